"""Asking a bed's daemons, without the proxies of this machine."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(url: str) -> dict[str, Any]:
    """The JSON object at a URL; an empty one if nobody answers, or not with JSON: a young daemon
    has a page before it has this one.
    """
    try:
        with _DIRECT.open(url, timeout=3) as answer:
            told: dict[str, Any] = json.load(answer)
            return told
    except (OSError, json.JSONDecodeError):
        return {}


def put(url: str) -> None:
    """Send an empty PUT.

    Raises:
        OSError: nobody answers, or with an error.
    """
    with _DIRECT.open(urllib.request.Request(url, method="PUT"), timeout=20) as answer:
        answer.read()
