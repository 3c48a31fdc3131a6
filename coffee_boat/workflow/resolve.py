"""What is wanted -> what is pinned: conda first, pip on top."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from coffee_boat import requirements, settings
from coffee_boat._support import home
from coffee_boat._support.progress import Say
from coffee_boat.archive import chunks
from coffee_boat.conda import licence, lockfile, provides, request
from coffee_boat.conda import resolve as conda_lock
from coffee_boat.errors import BoatError, LockError, Problem, RequirementError
from coffee_boat.interpreter import target
from coffee_boat.model import Lock, Manifest, Requirement
from coffee_boat.pip import builds, nearest, pylock
from coffee_boat.pip import resolve as pip_resolve
from coffee_boat.session import driver
from coffee_boat.session.own import beside, namesake
from coffee_boat.workflow import leaving_out, own_code
from coffee_boat.workflow.changes import is_of, is_source, kept_as_is, source_of
from coffee_boat.workflow.fetch import Fetching
from coffee_boat.workflow.prefetch import Ahead


class Resolving(Fetching):
    """What is wanted -> what is pinned."""

    def lock(self, manifest: Manifest, say: Say, ahead: Ahead | None = None) -> Lock:
        """Resolve.

        Args:
            ahead: makes chunks of wheels that are likely to be chosen and are here, while an index
                is asked.

        Raises:
            RequirementError, LockError: the requirements contradict each other, or cannot be
                resolved.
        """
        own = self._drivers_own()
        try:
            with self.watch.part("resolve"):
                lock = self._ask(manifest, own, say, ahead=ahead)
        except LockError as error:
            error.problem = self._with_names(error.problem, manifest, own)
            raise
        return leaving_out.without(_with_namesakes(lock, manifest), self._settings.exclude)

    def _with_names(self, problem: Problem, manifest: Manifest, own: Iterable[str]) -> Problem:
        """With the nearest names, where one is not known."""
        folders = nearest.in_folders(self._indexes(manifest).find_links)
        stored = (label.partition(" ")[0] for label in chunks.labels(self._store).values())
        near = nearest.nearest(problem.value, (*own, *folders, *stored))
        if not near:
            return problem
        return replace(problem, cure=f"did you mean {' or '.join(near)}? Else {problem.cure}")

    def check(self, manifest: Manifest) -> None:
        """Refuse at once what no lock could be made of, before anything is asked or fetched.

        Raises:
            RequirementError: a channel is none, or is Anaconda's and its terms were not accepted.
            SettingsError: conda packages are asked for, and the nodes' own interpreter is to be
                used.
        """
        if not manifest.conda:
            return
        self._refuse_nodes_own("conda packages")
        licence.refuse_unlicensed(
            request.channels_of(manifest, self.condarc),
            accepted=self._settings.accept_conda_license,
        )

    def read_lock(self, path: Path) -> Lock:
        """A pylock.toml, a pixi.lock or an @EXPLICIT list, taken as it is.

        Raises:
            LockError: it cannot be read, holds nothing for the executors' platform, or has what
            would be built in spite of `only_binary`.
            RequirementError: a package of it is Anaconda's, and the terms were not accepted.
        """
        lock = self._read_lock(home.expanded(path))
        builds.refuse(lock.pins, self._settings.indexes, LockError)
        return leaving_out.without(lock, (*lock.exclude, *self._settings.exclude))

    def _read_lock(self, path: Path) -> Lock:
        if not lockfile.holds_conda(path):
            if self._settings.python == settings.CONDA:
                raise LockError(
                    "lock.no-conda-python",
                    "this lock file has no conda packages, and conda's python is asked for",
                    value=path.name,
                    cause='python="conda", and the lock is one of pip',
                    cure='name a version in its place, as python="3.11"; or take a pixi.lock, which'
                    ' `boat lock` writes of what is asked for with python="conda"',
                )
            return pylock.read(path, self.target)
        self._refuse_nodes_own("a lock with conda packages")
        nodes = self.target if self._named_machine() in ("", self._here.machine) else None
        return lockfile.read(
            path,
            nodes or self._conda_nodes(),
            configuration=self.condarc,
            accepted=self._settings.accept_conda_license,
            store=self._store,
        )

    def lock_more(self, manifest: Manifest, added: Manifest, aboard: Lock, say: Say) -> Lock:
        """Resolve with everything that is aboard kept as it is; it stays in the lock, wanted or
        not.

        Args:
            manifest: all that is wanted.
            added: what of it is asked for now, though it may be aboard.

        Raises:
            LockError: something that is aboard would have to change; it says what, and who asks.
        """
        manifest = own_code.without_installed(manifest, added, aboard)
        manifest = self._with_built(manifest, added, aboard, say)
        kept = tuple(kept_as_is(pin) for pin in aboard.pins if not is_source(pin))
        limited = replace(manifest, constraints=(*manifest.constraints, *kept))
        with self.watch.part("resolve"):
            preferred = {**self._drivers_own(), **{pin.name: pin.version for pin in aboard.pins}}
            try:
                lock = self._ask(limited, preferred, say, aboard=aboard)
            except (LockError, RequirementError) as refusal:
                known = self._explained(refusal, manifest, aboard, say)
                known.problem = self._with_names(known.problem, manifest, preferred)
                raise known from refusal
        _refuse_changes(aboard, lock, added=added)
        new = (pin for pin in lock.pins if aboard.pin(pin.name) is None)
        lock = _with_namesakes(lock, added)
        pins = tuple(sorted((*aboard.pins, *new), key=lambda pin: pin.name))
        return leaving_out.without(replace(lock, pins=pins), aboard.exclude, told=False)

    def _with_built(self, manifest: Manifest, added: Manifest, aboard: Lock, say: Say) -> Manifest:
        """The manifest with the wheels that came aboard in place of folders, archives and branches,
        which may have changed since; but for those asked for now.
        """
        again = {(r.name, r.text) for r in added.requirements}

        def settled(wanted: Requirement) -> Requirement:
            pin = next((pin for pin in aboard.pins if is_source(pin) and is_of(pin, wanted)), None)
            if pin is None or wanted.local or (wanted.name, wanted.text) in again:
                return wanted
            place = self._fetch((pin,), aboard, manifest, say)[pin.name].as_uri()
            extras = f"[{','.join(wanted.extras)}]" if wanted.extras else ""
            return replace(
                wanted,
                name=pin.name,
                text=f"{pin.name}{extras} @ {place}",
                url=place,
                hashes=(),
                editable=False,
            )

        return replace(manifest, requirements=tuple(settled(r) for r in manifest.requirements))

    def _drivers_own(self) -> dict[str, str]:
        """The driver's distributions, without those that were made importable there from the
        store.
        """
        trees = str(self._store.path("trees", ""))
        return driver.installed([entry for entry in sys.path if not entry.startswith(trees)])

    def _ask(
        self,
        manifest: Manifest,
        preferred: Mapping[str, str],
        say: Say,
        *,
        aboard: Lock | None = None,
        ahead: Ahead | None = None,
    ) -> Lock:
        """Conda first; pip on top, with what the conda packages bring as given; one's own code
        beside them.
        """
        manifest, own = own_code.apart(manifest)

        def meanwhile(guess: pip_resolve.Guess) -> None:
            if ahead is not None:
                ahead.begin("guess", lambda: self._pack_guessed(guess, ahead))

        below = self._ask_conda(manifest, preferred, aboard, say)
        limits = [requirements.read_constraints(path) for path in self._settings.constraints]
        wanted = requirements.for_target(
            requirements.merge([manifest, *limits]), target.environment(below.target)
        )
        lock = pip_resolve.resolve(
            wanted,
            below.target,
            python=self._python_for(below) if wanted.requirements else sys.executable,
            preferred=preferred,
            indexes=self._indexes(manifest),
            store=self._store,
            max_age=self._settings.lock_max_age,
            say=say,
            provided=provides.provided(below.conda),
            meanwhile=meanwhile,
        )
        builds.refuse(lock.pins, self._indexes(manifest), LockError)
        lock = replace(lock, conda=below.conda, findings=(*below.findings, *lock.findings))
        return own_code.with_code(lock, own)

    def _ask_conda(
        self, manifest: Manifest, preferred: Mapping[str, str], aboard: Lock | None, say: Say
    ) -> Lock:
        """The conda half; a Lock of nothing but the target where none is wanted or aboard."""
        held = aboard.conda if aboard is not None else ()
        if not manifest.conda and not held:
            return Lock(self.target)
        wish = request.Wish(
            manifest,
            self.nodes(manifest),
            self.minor(manifest),
            self.condarc,
            accepted=self._settings.accept_conda_license,
            aboard=held,
            preferred=preferred,
        )
        if manifest.conda:
            lock = conda_lock.resolve(
                wish, store=self._store, max_age=self._settings.lock_max_age, say=say
            )
        else:  # nothing is asked of conda: what is aboard is what there is
            lock = replace(aboard or Lock(self.target), pins=(), findings=())
        known = {pin.name: pin for pin in held}
        lock = replace(lock, conda=tuple(known.get(pin.name, pin) for pin in lock.conda))
        return (
            provides.with_provided(lock, wish, store=self._store) if manifest.requirements else lock
        )

    def _explained(
        self, refusal: BoatError, manifest: Manifest, aboard: Lock, say: Say
    ) -> BoatError:
        """The refusal itself, or, if it would go well without what is aboard, what would have to
        change.
        """
        try:
            _refuse_changes(
                aboard,
                self._ask(manifest, {pin.name: pin.version for pin in aboard.pins}, say),
                why=f"{refusal.value}; {refusal.cause}",
            )
        except (LockError, RequirementError) as change:
            return change if change.code == _CHANGE.code else refusal
        return refusal


def _with_namesakes(lock: Lock, asked: Manifest) -> Lock:
    """With what is said of packages of an index that are called as a module that lies beside the
    script or notebook: often that one was meant, and a stranger's package is installed.
    """
    names = [r.name.replace("-", "_") for r in asked.requirements if r.name and not r.url]
    found = [namesake(name, place) for name in names if (place := beside(name)) is not None]
    return replace(lock, findings=(*lock.findings, *found)) if found else lock


_CHANGE = Problem("lock.version-would-change", "an installed version would have to change")


def _refuse_changes(
    aboard: Lock, lock: Lock, *, added: Manifest | None = None, why: str = ""
) -> None:
    """Raise if a pin that is aboard has another version in the new lock, or, if it is asked for
    again, other content.
    """
    wanted = added.requirements if added is not None else ()
    pairs = [
        (old, new)
        for old in aboard.pins
        if (new := lock.pin(old.name)) is not None and not old.kind == new.kind == "local"
    ]  # edited code is sent again by itself
    changes = [
        f"{old.name} {old.version} -> {new.version}"
        for old, new in pairs
        if new.version and new.version != old.version
    ]
    sources = [
        f"{old.name} {old.version}, whose source changed"
        for old, new in pairs
        if is_source(new)
        and source_of(old) != source_of(new)
        and any(is_of(new, r) for r in wanted)
    ]
    if sources or changes:
        edited = "; captain.refresh() sends folders of yours that were edited" * bool(sources)
        raise LockError(
            _CHANGE.code,
            _CHANGE.what,
            value=", ".join((*changes, *sources)),
            cause=why or "an addition keeps what workers have imported",
            cure="ask for what goes with what is installed; or let it change, with new Python"
            f" workers from the next job on: allow_changes=True{edited}",
        )
