"""Packages that a Spark does not go with: what the installed pyspark declares, and what was found
later.

pyspark does not pull pandas, pyarrow and numpy in, so no resolver looks at what its extras say of
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from coffee_boat.errors import Finding
from coffee_boat.model import CondaPin, Lock, Pin
from coffee_boat.spark import pairs

_EXTRAS = ("sql", "pandas_on_spark", "pandas-on-spark", "ml", "connect")


@dataclass(frozen=True)
class _Bound:
    """What Sparks go with."""

    before: tuple[int, int]
    """The first Spark that it does not hold for."""
    name: str
    allowed: str
    source: str


_KNOWN = (
    _Bound(
        (4, 3),
        "pandas",
        "<3",
        "https://github.com/apache/spark/pull/57051 (SPARK-57974, SPARK-55139)",
    ),
    _Bound((4, 0), "numpy", "<2", "https://issues.apache.org/jira/browse/SPARK-48710"),
)
_DECLARED: Mapping[tuple[int, int], Mapping[str, str]] = {
    (3, 5): {"pandas": ">=1.0.5", "pyarrow": ">=4.0.0", "numpy": ">=1.15"},
    (4, 0): {"pandas": ">=2.0.0", "pyarrow": ">=11.0.0", "numpy": ">=1.21"},
}
"""By releases, as their install pages say it: for a Spark without metadata (a SPARK_HOME)."""


def odd(lock: Lock, spark: str | None = None) -> Iterator[Finding]:
    """Packages of a lock that the Spark does not go with.

    Args:
        spark: its version; the driver's own pyspark by default.
    """
    version = spark or pairs.version_here()
    minor = _minor(version)
    if minor is None:
        return
    bounds = dict(_declared(minor))
    known = {one.name: one for one in _KNOWN if minor < one.before}
    pins: list[Pin | CondaPin] = [*lock.pins, *lock.conda]
    for pin in pins:
        declared = bounds.get(pin.name, SpecifierSet())
        later = known.get(pin.name)
        fits = SpecifierSet(f"{declared},{later.allowed}".strip(",")) if later else declared
        if str(fits) and not _holds(fits, pin.version):
            yield _finding(pin, fits, version, later)


def _declared(minor: tuple[int, int]) -> Iterator[tuple[str, SpecifierSet]]:
    """Name -> what the installed pyspark says of it; else what releases of that age said."""
    said: Mapping[str, str] = {}
    spec = pairs.found()
    is_it = spec is not None and _minor(pairs.version_here()) == minor
    if spec is not None and is_it and pairs.declared(spec.origin) is not None:
        found = list(_of_metadata())
        if found:
            yield from found
            return
    for release, bounds in sorted(_DECLARED.items()):
        said = bounds if release <= minor else said
    yield from ((name, SpecifierSet(text)) for name, text in said.items())


def _of_metadata() -> Iterator[tuple[str, SpecifierSet]]:
    for text in metadata.requires("pyspark") or ():
        try:
            one = Requirement(text)
        except InvalidRequirement:
            continue
        applies = any(one.marker and one.marker.evaluate({"extra": extra}) for extra in _EXTRAS)
        if applies:
            yield one.name, one.specifier


def _finding(pin: Pin | CondaPin, fits: SpecifierSet, spark: str, later: _Bound | None) -> Finding:
    beyond = later is not None and not _holds(SpecifierSet(later.allowed), pin.version)
    source = f": {later.source}" if later is not None and beyond else ", as its metadata says"
    wanted = f'pip_packages("{pin.name}{fits}")'
    if isinstance(pin, CondaPin):
        wanted = f'conda_packages("{pin.name} {fits}")'
    return Finding(
        "lock.not-with-this-spark",
        "a package has a version that this Spark does not go with",
        value=f"{pin.name} {pin.version} with Spark {spark}",
        cause=f"Spark {spark} is made for {pin.name}{fits}{source}; pandas functions and Arrow may"
        " fail",
        cure=f"captain.add_{wanted}",
    )


def _holds(fits: SpecifierSet, version: str) -> bool:
    try:
        return fits.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return True


def _minor(version: str) -> tuple[int, int] | None:
    parts = version.split(".")
    if len(parts) < 2 or not all(part.isdigit() for part in parts[:2]):
        return None
    return int(parts[0]), int(parts[1])
