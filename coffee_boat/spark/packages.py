"""pyspark and py4j are never locked: the driver's own travel in every archive, without their jars.

For the resolver a stub stands in for each: a wheel of metadata only, with the version and the
requirements of the driver's own. So `pyspark[sql]` still brings pandas and pyarrow, and nothing of
400 MB is fetched to find out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress

from coffee_boat.model import Finding, Requirement

DRIVERS_OWN = ("py4j", "pyspark", "pyspark-client")
"""Normalized names of the distributions that hold the packages pyspark and py4j."""


def pep440(version: str) -> str:
    """A vendor's version as PEP 440 has it: "3.5.1-amzn-1" is "3.5.1+amzn.1"; "0" if it is none at
    all.
    """
    from packaging.version import InvalidVersion, Version

    release, _, suffix = version.partition("-")
    local = re.sub(r"[^a-z0-9]+", ".", suffix.lower()).strip(".")
    for candidate in (version, f"{release}+{local}", release):
        with suppress(InvalidVersion):
            return str(Version(candidate))
    return "0"


def not_locked(name: str, value: str, *, cause: str = "") -> Finding:
    """Says that the driver's own is shipped in place of what was asked for."""
    return Finding(
        "lock.driver-own-shipped",
        f"{name} is not taken from an index: the driver's own travels in every archive",
        value=value,
        cause=cause,
        severity="note",
    )


def asked_for(requirement: Requirement, installed: Mapping[str, str]) -> Finding:
    """What to say of a requirement on pyspark or py4j that the user wrote."""
    own = installed.get(requirement.name, "")
    value = f"{requirement.text}" + (f" ({requirement.origin})" if requirement.origin else "")
    if not own or _contains(requirement.specifier, pep440(own)):
        return not_locked(requirement.name, value, cause=f"the driver has {own}" if own else "")
    return Finding(
        "lock.driver-own-differs",
        f"{requirement.name} is not taken from an index: the driver's own {own} travels in every"
        " archive",
        value=value,
        cause="driver, executors and cluster must run one Spark",
        cure=f'install the version you want on the driver: pip install "{requirement.text}"',
    )


def _contains(specifier: str, version: str) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidSpecifier:
        return False
