"""The range of Pythons is said in many places, and decided in one file."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

from coffee_boat._support.pythons import NEWEST, OLDEST, SUPPORTED, dotted
from coffee_boat.spark.pairs import RELEASES, Release

ROOT = Path(__file__).resolve().parent.parent
MINORS = [dotted((3, minor)) for minor in range(OLDEST[1], NEWEST[1] + 1)]
TEXTS = sorted(
    path
    for place in ("", "docs", "examples", "benchmarks")
    for path in (ROOT / place).glob("*.md" if not place else "**/*.md")
)
DRIVER = re.compile(r"Python (3\.\d+ to 3\.\d+)")


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_what_is_installed_declares_the_range() -> None:
    said = setup_cfg()
    assert said["options"]["python_requires"] == f">={dotted(OLDEST)}", "newer ones are told"
    assert re.findall(r"Python :: (3\.\d+)", said["metadata"]["classifiers"]) == MINORS


def test_types_are_checked_for_the_oldest() -> None:
    assert setup_cfg()["mypy"]["python_version"] == dotted(OLDEST)
    ruff = (ROOT / "ruff.toml").read_text()
    assert f'target-version = "py{OLDEST[0]}{OLDEST[1]}"' in ruff


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_text_says_the_same_range(path: Path) -> None:
    said = {
        found[1]
        for line in path.read_text("utf-8").splitlines()
        if not line.startswith("|")  # a table of Sparks
        for found in DRIVER.finditer(line)
    }
    assert said <= {SUPPORTED}


def test_the_readme_and_the_page_on_installing_say_the_range() -> None:
    for name in ("README.md", "docs/start/install.md"):
        assert f"Python {SUPPORTED}" in (ROOT / name).read_text("utf-8")


def test_the_readme_s_table_of_sparks_is_the_one_that_is_used() -> None:
    table = (ROOT / "README.md").read_text("utf-8").split("| Spark | driver's Python |")[1]
    rows = re.findall(r"^\| ([\d., ]+) \| ([\d., to]+) \|$", table.split("\n\n")[0], re.MULTILINE)
    said = {spark: pythons for sparks, pythons in rows for spark in sparks.split(", ")}
    assert said == {dotted(release.spark): in_words(release) for release in RELEASES}


def in_words(release: Release) -> str:
    oldest, newest = max(release.oldest, OLDEST), min(release.newest, NEWEST)
    if newest[1] - oldest[1] == 1:
        return f"{dotted(oldest)}, {dotted(newest)}"
    return f"{dotted(oldest)} to {dotted(newest)}"


def test_each_python_has_a_spark_and_the_readme_says_which_the_oldest_gets() -> None:
    newest = {
        minor: max(r.spark for r in RELEASES if r.oldest <= (3, minor) <= r.newest)
        for minor in range(OLDEST[1], NEWEST[1] + 1)
    }
    said = f"(with Python {dotted(OLDEST)} that is {dotted(newest[OLDEST[1]])})"
    assert said in (ROOT / "README.md").read_text("utf-8")


def test_pairs_that_are_tested_are_those_that_are_supported() -> None:
    pairs = (ROOT / "integration/venvs.py").read_text("utf-8")
    rows = re.findall(r'"(\d+\.\d+)\.\d+": \(([^)]*)\)', pairs)
    assert rows
    known = {dotted(release.spark): release for release in RELEASES}
    for spark, minors in rows:
        oldest = max(known[spark].oldest, OLDEST)
        wanted = range(oldest[1], min(known[spark].newest, NEWEST)[1] + 1)
        assert re.findall(r"3\.\d+", minors) == [f"3.{minor}" for minor in wanted]


def test_no_other_python_is_named_in_ci() -> None:
    for path in (ROOT / ".ci").iterdir():
        assert set(re.findall(r"\b3\.\d{1,2}\b", path.read_text("utf-8"))) <= set(MINORS)


def test_make_asks_in_the_same_place_before_it_makes_anything() -> None:
    assert "$(PYTHON) coffee_boat/_support/pythons.py" in (ROOT / "Makefile").read_text()
    program = (
        "import runpy, sys\n"
        "sys.version_info = (int(sys.argv[1]), int(sys.argv[2]), 0)\n"
        "runpy.run_path(sys.argv[3], run_name='__main__')\n"
    )
    newer = NEWEST[1] + 1
    for minor, fits in ((OLDEST[1] - 1, False), (OLDEST[1], True), (newer, True)):
        ran = subprocess.run(
            [
                sys.executable,
                "-c",
                program,
                "3",
                str(minor),
                ROOT / "coffee_boat/_support/pythons.py",
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        assert (ran.returncode == 0) is fits, ran.stderr
        said = f"{sys.executable} is 3.{minor}"
        assert fits or f"needs Python {dotted(OLDEST)} or later, {said}" in ran.stderr
        told = f"tried with Python {SUPPORTED} only, {said}"
        assert (told in ran.stderr) is (minor == newer)


def test_the_one_place_can_be_read_by_any_python() -> None:
    compile(
        (ROOT / "coffee_boat/_support/pythons.py").read_text(),
        "_pythons.py",
        "exec",
        dont_inherit=True,
    )
    text = (ROOT / "coffee_boat/_support/pythons.py").read_text()
    assert "annotations" not in text
    assert "f'" not in text
    assert 'f"' not in text
