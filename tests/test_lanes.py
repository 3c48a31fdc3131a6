"""A lane that is skipped in silence proves nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

WITHOUT_CONDA = (
    "import sys, pytest; sys.modules['rattler'] = None; sys.exit(pytest.main(['-q', '-p',"
    " 'no:cacheprovider', 'tests/test_conda_channel.py']))"
)


@pytest.mark.parametrize(
    ("ci", "code", "said"),
    [
        (
            "true",
            pytest.ExitCode.USAGE_ERROR,
            "there is no rattler (pip install coffee_boat[conda])",
        ),
        ("", pytest.ExitCode.NO_TESTS_COLLECTED, "1 skipped"),
    ],
)
def test_what_is_not_installed_skips_tests_for_a_person_and_not_in_ci(
    ci: str, code: pytest.ExitCode, said: str
) -> None:
    checkout = Path(__file__).resolve().parent.parent
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_CONDA],
        cwd=checkout,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (ran.returncode, said in ran.stdout + ran.stderr) == (code, True), (
        ran.stdout + ran.stderr
    )


def test_a_run_ends_with_what_it_did_not_run_and_what_that_needs(tmp_path: Path) -> None:
    """The last lines before pytest's count; a machine without git, as an example."""
    checkout = Path(__file__).resolve().parent.parent
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            "tests/test_lock.py::test_a_commit_stays",
            "tests/test_wheels.py::test_a_commit_is_built_with_the_tags_of_its_repository",
        ],
        cwd=checkout,
        env={**os.environ, "CI": "", "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    heading, *lines, count = ran.stdout.splitlines()[-4:]
    assert "did not run here" in heading
    assert lines == [
        f"tests/test_{name}.py: 1 skipped: needs git: apt-get install git"
        for name in ("lock", "wheels")
    ]
    assert count.startswith("2 skipped")
