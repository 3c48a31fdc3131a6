"""How a network that was switched off is switched on again, for hints."""

from __future__ import annotations

import os

from coffee_boat._support.words import NO

_VARIABLES = ("COFFEE_BOAT_OFFLINE", "UV_OFFLINE")
"""The stronger one first."""


def again() -> str:
    """What to do for one run: an option that nobody gave cannot be left out."""
    for name in _VARIABLES:
        if os.environ.get(name, "").strip().lower() not in {"", *NO}:
            return f"run once without the variable {name}, which is set"
    return "run once with offline=False"
