"""Lanes that this machine cannot run: a skip for a person, a failure in CI."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, NoReturn

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


def require_git() -> None:
    """End the test where there is no git: a person's machine may do without."""
    if shutil.which("git") is None:
        cannot_run("needs git: apt-get install git")


def require_java() -> None:
    """End the test where Spark's own commands find no Java; coffee_boat brings one for itself."""
    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        cannot_run("needs a Java for spark-submit: apt-get install openjdk-17-jre-headless")


def tell_at_the_end(config: pytest.Config) -> None:
    """Have a run end with what it did not run, and what that needs."""
    if not config.pluginmanager.has_plugin("lanes that did not run"):
        config.pluginmanager.register(_NotRun(), "lanes that did not run")


class _NotRun:
    """Outermost, so that it comes after pytest's own summary, which has a line a test."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Iterator[None]:
        yield
        skipped = Counter(_why(report) for report in terminalreporter.stats.get("skipped", ()))
        if skipped:
            terminalreporter.section("did not run here")
        for (reason, lane), tests in sorted(skipped.items()):
            terminalreporter.line(f"{lane}: {tests} skipped: {reason}")


def _why(report: Any) -> tuple[str, str]:
    """Why a test was skipped, and its lane: the file."""
    said = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return said.removeprefix("Skipped: "), report.nodeid.split("::")[0]


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
