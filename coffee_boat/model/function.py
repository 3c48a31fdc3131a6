"""A Python function that programs of the JVM call by a name of SQL."""

from __future__ import annotations

from dataclasses import dataclass, field

from coffee_boat.model.hidden import Redacted


@dataclass(frozen=True, repr=False)
class Function(Redacted):
    """As it was asked for: one of a module, or one that was pickled."""

    name: str
    """In SQL."""
    module: str = ""
    attribute: str = ""
    """Of the module: "tokenize", "Words.parse"."""
    returns: str = ""
    """The return type in Spark's words; empty if the function says it itself."""
    pickled: str = field(default="", repr=False)
    """In base64: one that no module has."""

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.module}:{self.attribute}" if self.module else self.attribute

    @property
    def label(self) -> str:
        """For people: "tokenize=mypkg.text:tokenize"."""
        return f"{self.name}={self.place}"
