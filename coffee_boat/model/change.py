"""What a launch or an addition would do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from coffee_boat._support.redact import redact
from coffee_boat.errors import Finding
from coffee_boat.model.hidden import Redacted
from coffee_boat.model.lock import Lock
from coffee_boat.model.spark import ConfPatch
from coffee_boat.model.tables import finding_lines, html_findings, html_table, text_table


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

    lock: Lock
    """What would be aboard; of an addition, what would be sent."""
    items: tuple[PlanItem, ...]
    patch: ConfPatch | None = None
    """Only when a master was given."""
    findings: tuple[Finding, ...] = ()
    addition: str = ""
    """In which way an addition to a running session would come; empty for a launch."""

    @property
    def size(self) -> int:
        """Bytes to send, as far as they are known."""
        return sum(item.size or 0 for item in self.items)

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
