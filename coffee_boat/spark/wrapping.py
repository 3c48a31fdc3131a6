"""A function of pyspark's that is replaced by ours, and put back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Wrap:
    """A function of a class that was replaced by ours."""

    owner: Any
    name: str
    original: Any
    ours: Any
    inherited: bool
    """True if the class has the function from one above it, as a vendor's Builder may."""

    def undo(self) -> None:
        """Put the original back; where somebody wrapped ours since, theirs stays."""
        if self.owner.__dict__.get(self.name) is not self.ours:
            return
        if self.inherited:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self.original)


def wrap(owner: Any, name: str, make: Callable[[Any], Any], undo: ExitStack) -> Wrap:
    """Replace a function of a class.

    Args:
        make: original -> ours.
        undo: gets what puts the original back.
    """
    original = getattr(owner, name)
    ours = functools.wraps(original)(make(original))
    wrap = Wrap(owner, name, original, ours, inherited=name not in owner.__dict__)
    undo.callback(wrap.undo)
    setattr(owner, name, ours)
    return wrap
