"""What a launch or an addition would do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from coffee_boat._support.redact import redact
from coffee_boat._support.words import counted, human_size
from coffee_boat.errors import Finding
from coffee_boat.model import excluded
from coffee_boat.model.difference import NO_DIFFERENCE, Difference
from coffee_boat.model.excluded import LeftOut
from coffee_boat.model.hidden import Redacted
from coffee_boat.model.lock import CondaPin, Lock, Pin
from coffee_boat.model.spark import ConfPatch
from coffee_boat.model.tables import (
    finding_lines,
    html_caption,
    html_findings,
    html_table,
    text_table,
)

ChangeKind = Literal["launch", "nothing", "layer", "composed", "base"]
"""A session starts; has all of it already; gets one more archive; gets an environment that is
composed on executors of what they have and what is sent; gets a new base.
"""


@dataclass(frozen=True, repr=False)
class Change(Redacted):
    """What becomes of a session's packages."""

    kind: ChangeKind
    lock: Lock
    """All that is installed after it."""
    difference: Difference = NO_DIFFERENCE
    """From what a running session has."""
    held: frozenset[str] = frozenset()
    """Identities of packages that executors have from earlier generations."""
    why: str = ""
    """For people: why it is of this kind, or when it would be of another one."""

    @property
    def added(self) -> tuple[Pin | CondaPin, ...]:
        """What a running session does not have: new packages, and new versions."""
        return self.difference.arriving

    @property
    def sent(self) -> Lock:
        """What goes to the executors."""
        if self.kind in ("launch", "base"):
            return self.lock
        new = [pin for pin in self.added if pin.identity not in self.held]
        return Lock(
            self.lock.target,
            tuple(pin for pin in new if isinstance(pin, Pin)),
            conda=tuple(pin for pin in new if isinstance(pin, CondaPin)),
            exclude=self.lock.exclude,
        )

    def __str__(self) -> str:
        sent = "a layer and " if self.sent.pins or self.sent.conda else ""
        text = {
            "launch": "",
            "nothing": "nothing would be sent: all of it is installed",
            "layer": f"a layer would be sent{self.why}",
            "composed": f"{self.difference.summary}: {sent}a few kB"
            " would be sent, and new Python workers start with the next job",
            "base": "a new base would be sent, in which everything runs from its next job on:"
            f" {self.why}",
        }
        return redact(text[self.kind])


@dataclass(frozen=True, repr=False)
class PlanItem(Redacted):
    """One line of a plan."""

    label: str
    action: Literal["reuse", "fetch", "pack", "build"]
    """It is packed already; is fetched and packed; is here and is packed; is built from source and
    packed.
    """
    size: int | None = None
    """Bytes to send; None if not known yet."""
    seconds: float | None = 0.0
    """Estimated, until it is ready to be concatenated; None for what is built from source: nobody
    knows.
    """
    known: bool = False
    """True if the sizes were measured, False if they are the index's word or an estimate."""
    unpacked: int | None = None
    """Bytes on an executor; None if not known yet."""
    files: int | None = None
    """On an executor; None if not known yet."""
    left_out: tuple[LeftOut, ...] = ()
    """What of it stays behind, as `exclude` says, as far as it is known."""
    here: Literal["", "now", "later"] = ""
    """When the driver unpacks it: with the launch, when it imports it, or not at all: it has its
    own.
    """


@dataclass(frozen=True, repr=False)
class Plan(Redacted):
    """What launch, or an addition to a running session, would lock, build, send and set.

    Making one publishes nothing.
    """

    change: Change
    items: tuple[PlanItem, ...]
    """What is sent, part by part."""
    patch: ConfPatch | None = None
    """Only when a master was given."""
    findings: tuple[Finding, ...] = ()
    packages_left_out: tuple[LeftOut, ...] = ()
    """Packages that stay behind whole, as `exclude` says."""

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What `exclude` saves on each executor, by its words, as far as it is known; the largest
        first.
        """
        parts = (one for item in self.items for one in item.left_out)
        return excluded.together((*self.packages_left_out, *parts))

    @property
    def lock(self) -> Lock:
        """What is sent: of a launch or a new base, all that is installed then."""
        return self.change.sent

    @property
    def kind(self) -> ChangeKind:
        """What becomes of the session's packages."""
        return self.change.kind

    @property
    def size(self) -> int:
        """Bytes to send, as far as they are known."""
        return sum(item.size or 0 for item in self.items)

    @property
    def unpacked(self) -> int:
        """Bytes that each executor unpacks, as far as they are known."""
        return sum(item.unpacked or 0 for item in self.items)

    @property
    def unpacked_here(self) -> int:
        """Bytes that the driver unpacks for itself, as far as they are known."""
        return sum(item.unpacked or 0 for item in self.items if item.here == "now")

    @property
    def unpacked_later(self) -> int:
        """Bytes that the driver unpacks when it imports them, as far as they are known."""
        return sum(item.unpacked or 0 for item in self.items if item.here == "later")

    @property
    def seconds(self) -> float:
        """Estimated, until all is ready to be sent; without what is built from source."""
        return sum(item.seconds or 0.0 for item in self.items)

    @property
    def addition(self) -> str:
        """In which way an addition to a running session would come; empty for a launch."""
        return str(self.change)

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """For people: what, action, size and time of each part, and in total."""
        if not self.items:
            return []
        late = any(item.seconds is None for item in self.items)
        total = f"{self.seconds:.1f} s{' + unknown' if late else ''}"
        return [
            *((i.label, i.action, _size([(i.size, i.known)]), _time(i)) for i in self.items),
            ("total", "", _size([(i.size, i.known) for i in self.items]), total),
        ]

    @property
    def unpacking(self) -> str:
        """For people: what an executor and the driver unpack; empty if nothing is sent."""
        if not self.items:
            return ""
        total = _unpacked(self.items)
        if all(item.here == "now" for item in self.items):
            return f"the driver, which runs the tasks, unpacks {total}{self._saved}"
        return f"executors unpack {total}{self._here}{self._saved}"

    @property
    def _here(self) -> str:
        """For people: what the driver unpacks."""
        now, later = (
            [item for item in self.items if item.here == when] for when in ("now", "later")
        )
        parts = [_unpacked(now)] if now else []
        if later:
            few = ", ".join(item.label for item in later[:3])
            more = f" and {len(later) - 3} others" if len(later) > 3 else ""
            parts.append(f"{_unpacked(later)} more when it imports {few}{more}")
        return f"; the driver {', and '.join(parts)}" if parts else ""

    @property
    def _saved(self) -> str:
        """For people: what `exclude` leaves out."""
        if not self.left_out:
            return ""
        parts = "; ".join(f"{one.rule}: {_amount(one)}" for one in self.left_out)
        return f"; exclude leaves behind {parts}"

    def __str__(self) -> str:
        settings = [] if self.patch is None else self.patch.lines()
        lines = (
            f"Plan: {self.lock.summary}",
            self.addition,
            text_table(PLAN_HEAD, self.rows, right=PLAN_NUMBERS) if self.items else "",
            self.unpacking,
            *settings,
            *finding_lines(self.findings),
        )
        return redact("\n".join(filter(None, lines)))

    def _repr_html_(self) -> str:
        said = (f"Plan: {self.lock.summary}", self.addition, self.unpacking)
        caption = "; ".join(filter(None, said))
        if not self.items:
            return html_caption(caption) + html_findings(self.findings)
        return html_table(
            PLAN_HEAD, self.rows, caption=caption, right=PLAN_NUMBERS
        ) + html_findings(self.findings)


PLAN_HEAD = ("what", "action", "size", "time")
PLAN_NUMBERS = ("size", "time")
"""Which of them hold numbers."""


def _size(sizes: Sequence[tuple[int | None, bool]]) -> str:
    """Bytes in total, each with whether it was measured; "~" stands before estimates."""
    known = [(size, measured) for size, measured in sizes if size is not None]
    if not known:
        return "?"
    about = "" if all(measured for _, measured in known) else "~"
    rest = " + ?" if len(known) < len(sizes) else ""
    return f"{about}{human_size(sum(size for size, _ in known))}{rest}"


def _unpacked(items: Iterable[PlanItem]) -> str:
    return _size([(item.unpacked, item.known) for item in items])


def _amount(one: LeftOut) -> str:
    size = "?" if one.size is None else human_size(one.size)
    return size if one.files is None else f"{size} in {counted(one.files, 'file')}"


def _time(item: PlanItem) -> str:
    if item.seconds is None:
        return "unknown, builds from source"
    return f"{item.seconds:.1f} s"
