"""What is odd about an answer of the resolver, and what a refusal means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from coffee_boat import errors
from coffee_boat._support.redact import redact
from coffee_boat.errors import LockError
from coffee_boat.model import Finding, Pin
from coffee_boat.pip import explain
from coffee_boat.pip.request import Request
from coffee_boat.spark import packages as spark_packages


def explained(text: str, request: Request) -> LockError:
    """The error that uv's words stand for; where a conda package is one of the two sides, it says
    so.
    """
    error = explain.error(text, request.target)
    sides = [
        name
        for name in request.provided
        if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text)
    ]
    if not sides or isinstance(error, errors.UnreachableError):
        return error
    named = ", ".join(f"{name} {request.provided[name]}" for name in sides)
    asked = [f"{r.text} ({r.origin})" for r in request.manifest.requirements if r.name in sides]
    return LockError(
        "lock.pip-against-conda",
        "what pip is asked for does not go with the conda packages",
        value="\n".join(
            [error.value, f"  of conda: {named}", *(f"  of pip: {redact(line)}" for line in asked)]
        ),
        cause="conda's packages are chosen first, and pip must not overwrite their files",
        cure=(
            f'bound the conda side by what pip needs, as captain.add_conda_packages("{sides[0]}'
            f" <...\"), loosen pip's side, or leave {sides[0]} to one of the two"
        ),
    )


def provided_findings(request: Request) -> Iterator[Finding]:
    """Extras of what a conda package brings: they are not taken."""
    for r in request.manifest.requirements:
        if r.name in request.provided and r.extras:
            cause = (
                f"{r.name} {request.provided[r.name]} is a conda package, and conda packages have"
                " no extras"
            )
            yield Finding(
                "lock.extras-not-taken",
                "extras are not taken",
                value=f"{r.text} ({r.origin})",
                cause=cause,
                cure="name what the extra stands for, with captain.add_conda_packages or"
                " add_pip_packages",
            )


def spark_findings(request: Request) -> list[Finding]:
    """What is said of pyspark and py4j where they were asked for."""
    return [
        spark_packages.asked_for(r, request.preferred)
        for r in request.manifest.requirements
        if r.name in spark_packages.DRIVERS_OWN
    ]


def dragged_in(request: Request, pins: Sequence[Pin]) -> list[Finding]:
    """pyspark came in through another package (py4j comes with it: not worth a word)."""
    asked = {r.name for r in request.manifest.requirements}
    return [
        spark_packages.not_locked(pin.name, "another package needs it")
        for pin in pins
        if pin.name in ("pyspark", "pyspark-client") and pin.name not in asked
    ]


def disagrees(explanation: str) -> Finding:
    """A package asks for another pyspark than the driver's own."""
    return Finding(
        "lock.other-pyspark-needed",
        "a package asks for another pyspark than the driver's own, which travels in every archive",
        value=" ".join(explanation.split()),
        cause="the package was made for another Spark",
        cure=(
            "ask for a version of the package that fits the driver's pyspark, or see whether it"
            " works as it is"
        ),
    )


def warnings(stderr: str) -> Iterator[Finding]:
    """uv's own warnings: yanked releases, unknown extras.

    What it says of its build interpreter is ours to know.
    """
    for line in stderr.splitlines():
        if line.startswith("warning: ") and "to build dependencies" not in line:
            yield Finding(
                "lock.uv-warning", "uv warns", value=line.removeprefix("warning: ").rstrip(".")
            )
