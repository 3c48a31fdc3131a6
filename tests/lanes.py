"""Lanes that this machine cannot run: a skip for a person, a failure in CI."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import NoReturn

import pytest

_INSTALLED = {
    "rattler": "conda",
    "conda_pack": "conda",
    "ruamel.yaml": "conda",
    "pyspark": "local",
    "IPython": "notebook",
}
"""Without these, tests are skipped as they are collected or run (pytest.importorskip); each with
the extra that brings it.
"""


def in_ci() -> bool:
    return os.environ.get("CI") == "true"


def cannot_run(reason: str) -> NoReturn:
    """End the test: this machine lacks something."""
    if in_ci():
        pytest.fail(f"this lane has to run in CI: {reason}")
    pytest.skip(reason)


def require_installed() -> None:
    """Raises: pytest.UsageError in CI, where a lane would be skipped for want of a package."""
    missing = [
        f"{module} (pip install coffee_boat[{extra}])"
        for module, extra in _INSTALLED.items()
        if not _is_there(module)
    ]
    if in_ci() and missing:
        raise pytest.UsageError(f"in CI all lanes have to run; there is no {', '.join(missing)}")


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # no parent package; or kept from being imported
        return False
