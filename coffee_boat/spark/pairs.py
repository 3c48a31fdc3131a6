"""Which Spark goes with which Python, and what is known of it from where.

What the installed pyspark declares comes first. A Spark without that (a vendor's, a SPARK_HOME) is
looked up in a table of releases; the table alone knows what a release does not declare because it
was found later. Nothing here refuses: that is for install.py.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from coffee_boat._support import pythons
from coffee_boat._support.pythons import dotted
from coffee_boat._support.run import run

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

Minor = tuple[int, int]

_CLASSIFIER = re.compile(r"Programming Language :: Python :: (\d+)\.(\d+)$")


@dataclass(frozen=True)
class Release:
    """A minor version of Spark."""

    spark: Minor
    oldest: Minor
    """Its Requires-Python."""
    newest: Minor
    """The highest of its classifiers."""
    fails_from: Minor | None = None
    """From this Python on it is known not to work."""
    why: str = ""
    """How that shows."""
    source: str = ""


RELEASES = (
    Release(
        (3, 5),
        (3, 8),
        (3, 11),
        fails_from=(3, 12),
        why="its functions for pandas and Arrow import distutils, which newer Pythons do not have",
        source="pyspark 3.5.9's metadata; https://issues.apache.org/jira/browse/SPARK-45390",
    ),
    Release((4, 0), (3, 9), (3, 13), source="pyspark 4.0.5's metadata"),
    Release((4, 1), (3, 10), (3, 14), source="pyspark 4.1.4's metadata"),
    Release((4, 2), (3, 10), (3, 14), source="pyspark 4.2.1's metadata"),
    Release((4, 3), (3, 11), (3, 14), source="pyspark 4.3.0's metadata"),
)
"""Sorted. For Sparks that do not say it themselves."""
NEWEST = RELEASES[-1].spark
"""The newest that coffee_boat was tried with; of a newer one nothing is known, and it is told."""


@dataclass(frozen=True)
class Declared:
    """What an installed pyspark says of itself."""

    requires: SpecifierSet
    minors: tuple[Minor, ...]
    """Its classifiers, sorted; empty if it has none."""


@dataclass(frozen=True)
class Verdict:
    """What is known of a pair."""

    outcome: Literal["works", "fails", "unknown"]
    cause: str = ""
    """Who says so."""


@dataclass(frozen=True)
class Installed:
    """The pyspark that this process imports."""

    version: str
    """Its `__version__`, a vendor's suffix and all."""
    declared: Declared | None
    """None where no distribution brought it, as in SPARK_HOME."""


def found() -> ModuleSpec | None:
    """Of the pyspark that an `import pyspark` finds; None if there is none."""
    try:
        return find_spec("pyspark")
    except ValueError:  # a module that somebody made up
        return None


def installed() -> Installed | None:
    """What an `import pyspark` finds, not imported: a pyspark too old for this Python cannot be.

    None if there is none, or one that does not tell its version.
    """
    spec = found()
    if spec is None or spec.origin is None:
        return None
    version = getattr(sys.modules.get("pyspark"), "__version__", None) or _version(spec)
    return Installed(version, declared(spec.origin)) if version else None


def declared(file: str | None) -> Declared | None:
    """What the distribution declares that a pyspark/__init__.py is of, if it is of one.

    It can lie in the distribution's own zip file, from which spark-submit imports it.
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        distribution = metadata.distribution("pyspark")
        requires = SpecifierSet((distribution.metadata.get_all("Requires-Python") or [""])[0])
    except (metadata.PackageNotFoundError, InvalidSpecifier):
        return None
    ours = Path(str(distribution.locate_file("pyspark"))).resolve()
    if file is None or not Path(file).resolve().is_relative_to(ours):
        return None
    named = map(_CLASSIFIER.match, distribution.metadata.get_all("Classifier") or ())
    minors = tuple(sorted((int(found[1]), int(found[2])) for found in named if found))
    return Declared(requires, minors) if minors or str(requires) else None


def version_here() -> str:
    """Of the pyspark that this process imports; empty if there is none, or it does not say it."""
    spec = found()
    return "" if spec is None else _version(spec)


def _version(spec: ModuleSpec) -> str:
    """As pyspark/version.py says it, in a folder or in a zip file; empty if it does not."""
    try:
        text = spec.loader.get_data(str(Path(str(spec.origin)).with_name("version.py")))  # type: ignore[union-attr]
    except (AttributeError, OSError):
        return ""
    found = re.search(rb"^__version__[^=]*=\s*[\"']([^\"']+)", text, re.MULTILINE)
    return found[1].decode("utf-8", "replace") if found else ""


def judge(spark: Minor, python: Minor, said: Declared | None) -> Verdict:
    """What is known of a Spark and a Python.

    Args:
        said: what this Spark declares, if it does.
    """
    release = _release(spark)
    if release.spark == spark and release.fails_from and python >= release.fails_from:
        until = dotted((release.fails_from[0], release.fails_from[1] - 1))
        return Verdict(
            "fails", f"Spark {dotted(spark)} runs with Python up to {until}: {release.why}"
        )
    if said is None:
        return _of_release(release, spark, python)
    if not said.requires.contains(dotted(python)):
        return Verdict("fails", f"this pyspark declares Requires-Python {said.requires}")
    if not said.minors:
        return _of_release(release, spark, python)
    return _up_to(said.minors[-1], python, "this pyspark")


def _of_release(release: Release, spark: Minor, python: Minor) -> Verdict:
    # No Spark went back to an older Python: what the release before it needs, it needs too.
    if python < release.oldest:
        return Verdict("fails", f"Spark {dotted(spark)} needs Python {dotted(release.oldest)}")
    if release.spark != spark:
        return Verdict(
            "unknown",
            f"Spark {dotted(release.spark)} is the newest that coffee_boat knows the Pythons of",
        )
    return _up_to(release.newest, python, f"Spark {dotted(spark)}")


def _up_to(newest: Minor, python: Minor, who: str) -> Verdict:
    if python <= newest:
        return Verdict("works")
    return Verdict("unknown", f"{who} declares Python up to {dotted(newest)}")


def cure(spark: Minor, python: Minor, said: Declared | None, *, search: bool = True) -> str:
    """What to type where a pair fails.

    Another pyspark for who has installed this one, since a Python is harder to change; another
    Python for who has a vendor's Spark.

    Args:
        search: look for such a Python on this machine, which takes a moment.
    """
    other = _other_release(spark, python)
    install = (
        f"pip install 'pyspark=={dotted(other.spark)}.*', which runs with Python {dotted(python)}"
        " (a cluster must be of that version too)"
        if said is not None and other is not None
        else ""
    )
    return "; or ".join(filter(None, [install, _other_python(spark, python, said, search)]))


def _release(spark: Minor) -> Release:
    """The release itself, or the newest before it."""
    return max(
        (one for one in RELEASES if one.spark <= spark),
        key=lambda one: one.spark,
        default=RELEASES[0],
    )


def _other_release(spark: Minor, python: Minor) -> Release | None:
    """The nearest release that is known to run with a Python: an older one for an old Python."""
    fit = [one for one in RELEASES if one.oldest <= python <= one.newest]
    older = [one for one in reversed(fit) if one.spark < spark]
    newer = [one for one in fit if one.spark > spark]
    is_old = python < _release(spark).oldest
    return next(iter([*older, *newer] if is_old else [*newer, *older]), None)


def _other_python(spark: Minor, python: Minor, said: Declared | None, search: bool) -> str:
    """Another Python for the driver, and where it is; or one that nobody knows."""
    outcomes = {
        (3, minor): judge(spark, (3, minor), said).outcome
        for minor in range(pythons.NEWEST[1], pythons.OLDEST[1] - 1, -1)
    }
    minors = [minor for minor, outcome in outcomes.items() if outcome == "works"]
    if not minors and outcomes.get(python, "fails") == "fails":
        minors = [minor for minor, outcome in outcomes.items() if outcome == "unknown"]
    if not minors:
        return ""
    text = dotted(minors[0]) if len(minors) == 1 else f"{dotted(minors[-1])} to {dotted(minors[0])}"
    told = f"run the driver with Python {text}"
    if not search:
        return told
    here = next(_on_this_machine(minors), None)
    return (
        f"{told}: {here} is here"
        if here
        else f"{told}: uv venv --python {dotted(minors[0])} makes one"
    )


def _on_this_machine(minors: list[Minor]) -> Iterator[str]:
    """Interpreters on PATH that start: pyenv has programs of each name that may only say no."""
    for minor in minors:
        path = shutil.which(f"python{dotted(minor)}")
        if path is None:
            continue
        try:
            ran = run([path, "-I", "-S", "-c", "import sys; print(sys.executable)"], timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if not ran.code:
            yield ran.stdout.strip() or path
