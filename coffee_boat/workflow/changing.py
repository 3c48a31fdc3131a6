"""What may be done with the packages of a running session, besides adding to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from packaging.utils import canonicalize_name

from coffee_boat import requirements
from coffee_boat._support.progress import Say
from coffee_boat.errors import BoatError, LaunchError
from coffee_boat.model import (
    Difference,
    Finding,
    Function,
    Generation,
    History,
    Lock,
    Manifest,
    Plan,
    Requirement,
)
from coffee_boat.pip import own_pins
from coffee_boat.session import functions as sql
from coffee_boat.spark.connect import is_session
from coffee_boat.workflow import apply, changes, functions, own_code, rechoose
from coffee_boat.workflow.attach import Attached
from coffee_boat.workflow.built import Resolved
from coffee_boat.workflow.request import Request
from coffee_boat.workflow.tools import Tools
from coffee_boat.workflow.workspace import Workspace


class Changing(Workspace):
    """A workspace whose session changes, shrinks, and goes back."""

    def __init__(self, tools: Tools, request: Request) -> None:
        super().__init__(tools, request)
        self.functions: tuple[Function, ...] = ()
        self._given: WeakKeyDictionary[Any, tuple[Function, ...]] = WeakKeyDictionary()
        """What sessions of Spark's have by now."""
        self._refused: WeakKeyDictionary[Any, dict[Function, str]] = WeakKeyDictionary()
        """What they could not have, and the digest of what was installed then."""
        self._greeting = False
        """Spark may ask its builder for a session while it takes a function."""
        self._left: dict[str, str] = {}
        """URL -> digest of code as it lay there when a rollback went back from it."""

    def add_function(self, function: Function) -> None:
        """As `Captain.add_function`."""
        with self._changing:
            name = function.name.lower()  # SQL does not tell capital letters from small ones
            others = [one for one in self.functions if one.name.lower() != name]
            here = self._running()
            known = [found() for found in self._given.keyrefs()]
            sessions = () if here is None else sql.sessions(here.live.session, known)
            for spark in sessions:
                self._give(spark, [function])
            self.functions = (*others, function)
            if here is not None and not sessions:
                here.tools.emit([functions.waits(function)])

    def board(self, handed: Any) -> None:
        """As `Captain.board`."""
        super().board(handed)
        for spark in sql.sessions(self.attached().live.session, [handed]):
            self._greet(spark)

    def _connected(self, spark: Any) -> None:
        if is_session(spark):  # else its context was completed when it started
            super()._connected(spark)
        self._greet(spark)

    def _greet(self, spark: Any) -> None:
        """A session of Spark's gets the functions that it lacks; it goes on without those that it
        cannot have.
        """
        lacks = self._lacks(spark)
        if not lacks:  # who starts a session waits for no change that is under way
            return
        with self._changing:
            here = None if self._greeting else self._running()
            if here is None or not here.live.session.is_of(spark):
                return
            self._greeting = True
            try:
                self._give_all(here, spark, lacks)
            finally:
                self._greeting = False

    def _lacks(self, spark: Any) -> list[Function]:
        """What it has not, and could have since other packages are there."""
        had, refused = self._given.setdefault(spark, ()), self._refused.get(spark)
        lacks = [one for one in self.functions if one not in had]
        if not lacks or not refused:  # each getOrCreate() asks: nothing is digested for it
            return lacks
        now = self._digest()
        return [one for one in lacks if refused.get(one) != now]

    def _digest(self) -> str:
        return "" if self._known is None else self._known.lock.digest

    def _give_all(self, here: Attached, spark: Any, some: Sequence[Function]) -> None:
        try:
            self._give(spark, some)
        except BoatError:
            for each in some:
                self._give_or_tell(here, spark, each)

    def _give_or_tell(self, here: Attached, spark: Any, function: Function) -> None:
        try:
            self._give(spark, [function])
        except BoatError as error:
            self._refused.setdefault(spark, {})[function] = self._digest()
            here.tools.emit([Finding.of(error.problem, "error")])

    def _give(self, spark: Any, some: Sequence[Function]) -> None:
        if some:
            functions.give(self.attached(), self.request.manifest, some, spark)
            self._given[spark] = (*self._given.get(spark, ()), *some)

    def plan(self, more: Manifest, master: str | None, lock_file: Path | None) -> Plan:
        """As `Captain.plan_with`."""
        with self._changing:
            before = self.request, self._known
            if (here := self._running()) is not None:
                self._now(here)
            try:
                return super().plan(more, master, lock_file)
            finally:
                if self.request is not before[0]:  # a plan asks for nothing, and leaves nothing out
                    self.request, self._known = before

    def history(self) -> History:
        """As `Captain.generations`."""
        live = self.attached().live
        live.refresh()
        return live.history

    def difference(self, before: int, after: int | None) -> Difference:
        """As `Captain.diff`."""
        history = self.history()
        newest = history.current if after is None else _find(history, after)
        return Difference.between(_find(history, before).lock, newest.lock)

    def upgrade(self, manifest: Manifest, wait: float) -> None:
        """As `Captain.upgrade_pip_packages` and `upgrade_conda_packages`."""
        with self._changing:
            here = self.attached()
            aboard = self._now(here)
            names = {r.name for r in manifest.requirements if r.name}
            names |= {r.name for r in manifest.conda}
            if absent := sorted(name for name in names if not aboard.has(name)):
                raise rechoose.not_installed(absent, "upgraded", "captain.add_pip_packages(...)")
            wanted = self.request.and_manifest(manifest, replacing=True)
            here.tools.pipeline.check(wanted.manifest)

            def choose(now: Generation, say: Say) -> Lock:
                return here.tools.pipeline.lock_changed(
                    wanted.manifest,
                    manifest,
                    now.lock,
                    say,
                    free=names,
                    conda=bool(manifest.conda),
                )

            why = f"upgrade {', '.join(manifest.texts)}"
            self._change(here, wanted, apply.Wish(choose, wanted.manifest, why, wait))

    def add(self, manifest: Manifest, wait: float, *, allow_changes: bool = False) -> None:
        """As `Captain.add_manifest`: code that the session has already is read again."""
        with self._changing:
            here = self._running()
            pins = self._now(here).pins if here is not None else ()
            have = {pin.url for pin in pins if pin.kind == "local"}
            again = {r.url for r in manifest.requirements if r.local and r.url in have}
            rest = tuple(r for r in manifest.requirements if r.url not in again)
            if rest or manifest.conda or not again:
                more = replace(manifest, requirements=rest)
                super().add(more, wait, allow_changes=allow_changes)
            self.refresh(wait, only=again)

    def refresh(
        self, wait: float, only: Collection[str] | None = None, *, keep_rollback: bool = False
    ) -> None:
        """As `Captain.refresh`.

        Args:
            only: URLs of code; by default all of it.
            keep_rollback: what lies there as it did at a rollback stays there.
        """
        with self._changing:
            here = self._running()
            if here is None:
                return
            pins, manifest = self._now(here).pins, self.request.manifest
            edited = own_pins.edited(pins, only)
            if keep_rollback:
                left = {
                    pin.url: pin.sha256
                    for pin in edited.values()
                    if self._left.get(pin.url) == pin.sha256
                }
                self._left = left  # what was edited since is no more of the rollback
                edited = {was: pin for was, pin in edited.items() if pin.url not in left}
            if not edited:
                return

            def choose(now: Generation, say: Say) -> Lock:
                return here.tools.pipeline.lock_edited(now.lock, edited, manifest, say)

            names = sorted(pin.name for pin in edited.values())
            why = f"refresh {', '.join(names)}"
            self._change(here, self.request, apply.Wish(choose, manifest, why, wait))
            here.tools.emit(own_code.imported_before(edited.values()))

    def remove(self, names: Sequence[str], wait: float) -> None:
        """As `Captain.remove_pip_packages`."""
        self._remove({str(canonicalize_name(name)) for name in names}, wait, conda=False)

    def remove_conda(self, names: Sequence[str], wait: float) -> None:
        """As `Captain.remove_conda_packages`."""
        self._remove({name.lower() for name in names}, wait, conda=True)

    def _remove(self, names: Collection[str], wait: float, *, conda: bool) -> None:
        if not names:
            return
        with self._changing:
            here = self.attached()
            aboard = self._now(here)
            wanted = self._without(names, aboard)

            def choose(now: Generation, say: Say) -> Lock:
                if not conda:
                    return rechoose.without(now.lock, names)
                rechoose.refuse_needed(now.lock, names, conda=True)
                return here.tools.pipeline.lock_changed(
                    wanted.manifest, Manifest(), now.lock, say, free=names, conda=True
                )

            why = f"remove {', '.join(sorted(names))}"
            self._change(here, wanted, apply.Wish(choose, wanted.manifest, why, wait))

    def rollback(self, to: int | None, wait: float) -> None:
        """As `Captain.rollback`."""
        with self._changing:
            here = self.attached()
            here.live.refresh()
            history = here.live.history
            goal = _before(history) if to is None else _find(history, to)
            wanted = self._requests.get(goal.number) or _of_lock(self.request, goal.lock)
            left = own_code.lying_there(goal.lock.pins)

            def choose(_now: Generation, _say: Say) -> Lock:
                return goal.lock

            why = f"rollback to {goal.number}"
            self._change(here, wanted, apply.Wish(choose, wanted.manifest, why, wait))
            self._left = left

    def _now(self, here: Attached) -> Lock:
        """What the session has. What another captain took out of it since we looked is not asked
        for any more: our next change would bring it back.
        """
        now, known = here.live.refresh().lock, self._known
        if known is None:
            return now
        asked = self._asked(known.lock)
        gone = sorted(name for name in asked if known.lock.has(name) and not now.has(name))
        if gone:
            self.request = self._without(gone, known.lock)
            self._known = Resolved(self.request, now)
            taken = Finding(
                "session.taken-out-elsewhere",
                "another captain has taken packages out of the session",
                value=", ".join(gone),
                cause="they are not asked for any more",
                cure="captain.add_pip_packages(...) brings them back",
                severity="note",
            )
            here.tools.emit([taken])
        return now

    def _asked(self, aboard: Lock) -> set[str]:
        known = changes.built_names(self.request.manifest, aboard)
        return {
            *(r.name or known.get(r.url, "") for r in self.request.manifest.requirements),
            *(r.name for r in self.request.manifest.conda),
        }

    def _without(self, names: Collection[str], aboard: Lock) -> Request:
        """What was asked for, without these names."""
        known = changes.built_names(self.request.manifest, aboard)
        some = sorted(self._asked(aboard) & set(names))
        return self.request.without(some, known) if some else self.request


def _find(history: History, number: int) -> Generation:
    found = history.find(number)
    if found is None:
        raise LaunchError(
            "session.no-such-generation",
            "the session has no generation of that number",
            value=str(number),
            cause=f"it has {', '.join(str(one.number) for one in history)}",
            cure="captain.generations lists them",
        )
    return found


def _before(history: History) -> Generation:
    """The newest that had other packages than there are now."""
    now = history.current.lock.digest
    found = next((one for one in reversed(history.generations) if one.lock.digest != now), None)
    if found is None:
        raise LaunchError(
            "session.nothing-to-roll-back",
            "there is nothing to go back to",
            value=f"generation {history.current.number}",
            cause="the session has the packages that it began with",
            cure="captain.generations lists what it had",
        )
    return found


def _of_lock(request: Request, lock: Lock) -> Request:
    """What somebody else asked for, as far as a lock tells it: names, in any version, so that a
    later upgrade of one may change another.
    """
    origin = "in the running session"
    named = tuple(
        Requirement(text=pin.name, name=pin.name, origin=origin)
        for pin in lock.pins
        if pin.requested and not changes.is_source(pin)
    )
    conda = [pin.name for pin in lock.conda if pin.requested]
    manifest = replace(
        requirements.conda_packages(conda, origin=origin) if conda else Manifest(),
        requirements=named,
    )
    return replace(request, manifests=(manifest,))
