"""What is merely odd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from coffee_boat._support.redact import redact

Severity = Literal["note", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """Something that was skipped, looks odd, or will not work.

    The same four parts as a BoatError.
    """

    what: str
    value: str = ""
    cause: str = ""
    cure: str = ""
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        """Hide secrets, as BoatError does."""
        for name in ("what", "value", "cause", "cure"):
            object.__setattr__(self, name, redact(getattr(self, name)))

    def __str__(self) -> str:
        text = f"{self.what}: {self.value}" if self.value else self.what
        if self.cause:
            text += f" ({self.cause})"
        return f"{text} -> {self.cure}" if self.cure else text
