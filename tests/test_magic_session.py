"""%boat while a session runs in the kernel, and after its JVM ended: a stand-in of pyspark, so no
JVM.

What real Spark does with it: integration/test_notebook.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("IPython")

from test_launch import home, spark  # noqa: F401  fixtures
from test_magic import boat, shell  # noqa: F401  a fixture
from test_sessions import context, new  # noqa: F401  fixtures

from coffee_boat import Captain, LaunchError


@pytest.fixture
def running(
    shell: Any,  # noqa: F811
    new: Callable[[], Captain],  # noqa: F811
    context: Callable[[str], Any],  # noqa: F811
) -> Captain:
    """The notebook's Captain, in whose session alpha is."""
    captain: Captain = new().add_pip_packages("alpha").launch_ship()
    shell.user_ns["captain"] = captain
    context("local[1]")
    assert captain.running
    return captain


@pytest.mark.parametrize(
    "line",
    ["status", "plan", "plan --pip beta", "lock -o -", "pack -o b.tar.gz", "conf", "check", "add"],
)
@pytest.mark.usefixtures("running")
def test_a_command_needs_no_other_session_than_the_one_that_runs(
    shell: Any,  # noqa: F811
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    boat(shell, line)


def test_to_preload_or_forget_nothing_is_no_change(running: Captain) -> None:
    assert running.preload().forget() is running


@pytest.mark.usefixtures("running")
def test_a_launch_that_is_refused_adds_nothing_to_the_session_that_runs(
    shell: Any,  # noqa: F811
) -> None:
    with pytest.raises(LaunchError, match="already up"):
        boat(shell, "launch --pip beta --master local[2]")
    assert shell.user_ns["captain"].manifest.texts == ["alpha"]
