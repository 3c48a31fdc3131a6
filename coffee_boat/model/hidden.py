"""A repr without credentials."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import fields
from typing import Any

from coffee_boat._support.redact import redact, redact_setting

_within: ContextVar[bool] = ContextVar("within", default=False)
"""True while a value is written that holds others: the whole is looked through once, at its end."""


class Redacted:
    """A repr without the credentials that URLs in the fields, and Spark's settings among them, may
    hold.
    """

    def __repr__(self) -> str:
        if _within.get():
            return self._said()
        token = _within.set(True)
        try:
            return redact(self._said())
        finally:
            _within.reset(token)

    def _said(self) -> str:
        said = ", ".join(
            f"{part.name}={_without_secrets(getattr(self, part.name))!r}"
            for part in fields(self)  # type: ignore[arg-type]
            if part.repr
        )
        return f"{type(self).__name__}({said})"


def _without_secrets(value: Any) -> Any:
    return (
        {
            key: redact_setting(str(key), setting) if isinstance(setting, str) else setting
            for key, setting in value.items()
        }
        if isinstance(value, Mapping)
        else value
    )
