"""What tells the packages of one lock from those of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from coffee_boat.model.hidden import Redacted
from coffee_boat.model.lock import CondaPin, Lock, Pin
from coffee_boat.model.tables import html_caption, html_table, text_table

_HEAD = ("package", "before", "after")


@dataclass(frozen=True, repr=False)
class Difference(Redacted):
    """From one lock to another, each part sorted by name; conda packages before those of pip."""

    added: tuple[Pin | CondaPin, ...] = ()
    removed: tuple[Pin | CondaPin, ...] = ()
    changed: tuple[tuple[Pin | CondaPin, Pin | CondaPin], ...] = ()
    """Before and after: another version, or other content of the same version."""

    @classmethod
    def between(cls, before: Lock, after: Lock) -> Difference:
        """What is there afterwards and was not, is not and was, or is another."""
        old, new = _by_name(before), _by_name(after)
        return cls(
            added=tuple(new[name] for name in new if name not in old),
            removed=tuple(old[name] for name in old if name not in new),
            changed=tuple(
                (old[name], new[name])
                for name in new
                if name in old and old[name].identity != new[name].identity
            ),
        )

    @property
    def arriving(self) -> tuple[Pin | CondaPin, ...]:
        """What has to be there that is not."""
        return (*self.added, *(new for _, new in self.changed))

    @property
    def leaving(self) -> tuple[Pin | CondaPin, ...]:
        """What must not be seen any more."""
        return (*self.removed, *(old for old, _ in self.changed))

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    @property
    def summary(self) -> str:
        """For people, in a line: "+humanize 4.9, pandas 2.2 -> 2.3, -edtf 5.0"."""
        return ", ".join(
            [
                *(f"+{pin.name} {pin.version}" for pin in self.added),
                *(_step(old, new) for old, new in self.changed),
                *(f"-{pin.name} {pin.version}" for pin in self.removed),
            ]
        )

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """For people: name, version before, version after; "" where there is none."""
        return sorted(
            [
                *((pin.name, "", pin.version) for pin in self.added),
                *((pin.name, pin.version, "") for pin in self.removed),
                *((old.name, old.version, _other(old, new)) for old, new in self.changed),
            ]
        )

    def __str__(self) -> str:
        return text_table(_HEAD, self.rows) if self else "no difference"

    def _repr_html_(self) -> str:
        return html_table(_HEAD, self.rows) if self else html_caption(str(self))


NO_DIFFERENCE = Difference()


def _by_name(lock: Lock) -> Mapping[tuple[bool, str], Pin | CondaPin]:
    pins: tuple[Pin | CondaPin, ...] = (*lock.conda, *lock.pins)
    return {(isinstance(pin, Pin), pin.name): pin for pin in pins}


def _step(old: Pin | CondaPin, new: Pin | CondaPin) -> str:
    return f"{old.name} {old.version} -> {_other(old, new)}"


def _other(old: Pin | CondaPin, new: Pin | CondaPin) -> str:
    return new.version if new.version != old.version else f"{new.version}, other content"
