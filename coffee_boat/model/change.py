"""What a launch or an addition would do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from coffee_boat._support.redact import redact
from coffee_boat.errors import Finding
from coffee_boat.model.hidden import Redacted
from coffee_boat.model.lock import CondaPin, Lock, Pin
from coffee_boat.model.spark import ConfPatch
from coffee_boat.model.tables import finding_lines, html_findings, html_table, text_table

ChangeKind = Literal["launch", "nothing", "layer", "base"]
"""A session starts; has all of it already; gets one more archive; gets a new base."""


@dataclass(frozen=True, repr=False)
class Change(Redacted):
    """What becomes of a session's packages."""

    kind: ChangeKind
    lock: Lock
    """All that is installed after it."""
    added: tuple[Pin | CondaPin, ...] = ()
    """What a running session did not have."""
    why: str = ""
    """For people: why it is of this kind, or when it would be of another one."""

    @property
    def sent(self) -> Lock:
        """What goes to the executors."""
        if self.kind in ("launch", "base"):
            return self.lock
        return Lock(
            self.lock.target,
            tuple(pin for pin in self.added if isinstance(pin, Pin)),
            conda=tuple(pin for pin in self.added if isinstance(pin, CondaPin)),
        )

    def __str__(self) -> str:
        text = {
            "launch": "",
            "nothing": "nothing would be sent: all of it is installed",
            "layer": f"a layer would be sent{self.why}",
            "base": "a new base would be sent, in which everything runs from its next job on:"
            f" {self.why}",
        }
        return redact(text[self.kind])


@dataclass(frozen=True, repr=False)
class PlanItem(Redacted):
    """One line of a plan."""

    label: str
    action: Literal["reuse", "fetch", "build"]
    size: int | None = None
    """Bytes to send; None if not known yet."""
    seconds: float = 0.0
    """Estimated, until it is ready to be concatenated."""
    known: bool = False
    """True if the size was measured, False if it is the index's word or an estimate."""


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
    def addition(self) -> str:
        """In which way an addition to a running session would come; empty for a launch."""
        return str(self.change)

    @property
    def _bytes(self) -> str:
        unknown = any(item.size is None for item in self.items)
        return f"~{self.size:,} bytes" + (" and what is not known yet" if unknown else "")

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                i.label,
                i.action,
                "?" if i.size is None else f"{'' if i.known else '~'}{i.size:,}",
                f"{i.seconds:.1f}",
            )
            for i in self.items
        ]

    def __str__(self) -> str:
        head = "\n".join(filter(None, (f"Plan: {self.lock.summary}, {self._bytes}", self.addition)))
        settings = [] if self.patch is None else self.patch.lines()
        return redact(
            "\n".join(
                [
                    head,
                    text_table(("what", "action", "bytes", "seconds"), self._rows()),
                    *settings,
                    *finding_lines(self.findings),
                ]
            )
        )

    def _repr_html_(self) -> str:
        caption = "; ".join(filter(None, (f"Plan: {self._bytes}", self.addition)))
        return html_table(
            ("what", "action", "bytes", "seconds"), self._rows(), caption=caption
        ) + html_findings(self.findings)
