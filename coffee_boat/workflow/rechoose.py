"""What is pinned -> what is pinned where installed packages may change, or go."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from coffee_boat._support.progress import Say
from coffee_boat.errors import BoatError, LockError, RequirementError
from coffee_boat.model import CondaPin, CondaRequirement, Lock, Manifest, Pin, Requirement
from coffee_boat.workflow import leaving_out, own_code
from coffee_boat.workflow.changes import is_of, is_source
from coffee_boat.workflow.resolve import Resolving


class Rechoosing(Resolving):
    """What is wanted -> what is pinned, for a session that runs and may change."""

    def lock_changed(
        self,
        manifest: Manifest,
        added: Manifest,
        aboard: Lock,
        say: Say,
        *,
        free: Collection[str] = (),
        conda: bool = False,
    ) -> Lock:
        """Resolve anew; versions that are installed are taken where the requirements allow it.

        Args:
            manifest: all that is wanted.
            added: what of it is asked for now.
            free: normalized names whose installed versions count for nothing.
            conda: conda packages may change, too.

        Raises:
            RequirementError, LockError: no versions serve all of it.
        """
        code = own_code.installed(manifest, added, aboard)
        manifest = own_code.without_installed(manifest, added, aboard)
        manifest = self._with_built(manifest, added, aboard, say)
        manifest = _with_requested(manifest, aboard, free, conda=conda)
        here = {name: version for name, version in self._drivers_own().items() if name not in free}
        preferred = here | {pin.name: pin.version for pin in aboard.pins if pin.name not in free}
        with self.watch.part("resolve"):
            try:
                lock = self._ask(manifest, preferred, say, aboard=None if conda else aboard)
            except (LockError, RequirementError) as error:
                error.problem = self._with_names(error.problem, manifest, preferred)
                raise
        pins = (*code, *(_kept(pin, aboard, added) for pin in lock.pins))
        lock = replace(lock, pins=tuple(sorted(pins, key=lambda pin: pin.name)))
        return leaving_out.without(lock, aboard.exclude, told=False)

    def refused(self, error: BoatError) -> bool:
        """True if something that is installed would have to change."""
        return error.code == "lock.version-would-change"


def without(aboard: Lock, names: Collection[str]) -> Lock:
    """A lock without some packages of pip, and without those that only they needed.

    Args:
        names: normalized.

    Raises:
        LockError: another package needs one of them.
        RequirementError: one of them is not installed.
    """
    if absent := sorted(name for name in names if not aboard.has(name)):
        raise not_installed(absent, "removed", "captain.lock tells what is")
    if bound := sorted(name for name in names if aboard.pin(name) is None):
        raise RequirementError(
            "requirements.of-conda",
            "a package of conda, which pip cannot remove",
            value=", ".join(bound),
            cure=f"captain.remove_conda_packages({', '.join(map(repr, bound))})",
        )
    refuse_needed(aboard, names)
    needs = {pin.name: set(pin.requires) for pin in aboard.pins}
    orphans = _reachable(names, needs) - set(names)
    rest = set(needs) - orphans - set(names)
    asked = {pin.name for pin in aboard.pins if pin.requested} - set(names)
    stay = _reachable(rest | asked, needs) - set(names)
    return replace(aboard, pins=tuple(pin for pin in aboard.pins if pin.name in stay), findings=())


def not_installed(names: Sequence[str], verb: str, instead: str) -> RequirementError:
    """The refusal of names that a session does not have."""
    return RequirementError(
        "requirements.not-installed",
        f"not installed, so it cannot be {verb}",
        value=", ".join(names),
        cause="the session has no package of that name",
        cure=f"check the spelling; {instead}",
    )


def refuse_needed(aboard: Lock, names: Collection[str], *, conda: bool = False) -> None:
    """Raise if a package that stays needs one that is to go.

    Args:
        conda: they are conda packages.

    Raises:
        LockError: one does.
        RequirementError: one of them is not installed.
    """
    pins: tuple[Pin | CondaPin, ...] = (*aboard.conda, *aboard.pins)
    here = {pin.name for pin in (aboard.conda if conda else pins)}
    if absent := sorted(name for name in names if name not in here):
        raise not_installed(absent, "removed", "captain.lock tells what is")
    users = {
        name: sorted(pin.name for pin in pins if name in pin.requires and pin.name not in names)
        for name in sorted(names)
    }
    needed = {name: some for name, some in users.items() if some}
    if needed:
        both = sorted({*names, *(one for some in needed.values() for one in some)})
        call = f"captain.remove_{'conda' if conda else 'pip'}_packages"
        raise LockError(
            "lock.needed-by-others",
            "other packages need it, so it cannot be removed",
            value="; ".join(
                f"{name} is needed by {', '.join(some)}" for name, some in needed.items()
            ),
            cause="they would fail when they import it",
            cure=f"remove them, too: {call}({', '.join(map(repr, both))})",
        )


def _reachable(start: Collection[str], needs: Mapping[str, Collection[str]]) -> set[str]:
    found: set[str] = set()
    ahead = [name for name in start if name in needs]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead.extend(one for one in needs[name] if one in needs)
    return found


def _with_requested(
    manifest: Manifest, aboard: Lock, free: Collection[str], *, conda: bool
) -> Manifest:
    """With what somebody else asked for, as another captain of the session; in any version."""
    origin = "in the running session"
    pip = {r.name for r in manifest.requirements} | set(free)
    more = tuple(
        Requirement(text=pin.name, name=pin.name, origin=origin)
        for pin in aboard.pins
        if pin.requested and pin.name not in pip and not is_source(pin)
    )
    manifest = replace(manifest, requirements=(*manifest.requirements, *more))
    if not conda:
        return manifest
    names = {r.name for r in manifest.conda} | set(free)
    others = [pin.name for pin in aboard.conda if pin.requested and pin.name not in names]
    if not manifest.conda and not others:
        others = ["python"]  # without any, the interpreter would be another one
    named = tuple(CondaRequirement(name, name, origin=origin) for name in others)
    return replace(manifest, conda=(*manifest.conda, *named))


def _kept(pin: Pin, aboard: Lock, added: Manifest) -> Pin:
    """The installed one where it serves: the same version may be known from another place."""
    old = aboard.pin(pin.name)
    if old is None or (pin.version and pin.version != old.version):
        return pin
    again = any(is_of(pin, wanted) for wanted in added.requirements)
    return pin if is_source(pin) and again else old
