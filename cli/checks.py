"""`boat check`: is this machine ready? Every check is tried, whatever the others say."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from coffee_boat import Captain, _host, _uv, launch, settings, submit
from coffee_boat._run import redact, run
from coffee_boat._store import Store
from coffee_boat.backends import backend_for
from coffee_boat.build import interpreter
from coffee_boat.cli.options import Wanted
from coffee_boat.cli.render import human
from coffee_boat.errors import BoatError, StoreError
from coffee_boat.model import text_table

_NEEDED = 2_000_000_000
"""Bytes that a common set (numpy, pandas, pyarrow, scikit-learn) takes: wheels, chunks, an archive and an unpacked copy."""


@dataclass(frozen=True)
class Checked:
    """How one check ended."""

    name: str
    outcome: Literal["ok", "failed"]
    detail: str
    cure: str = ""

    @property
    def ok(self) -> bool:
        """True if nothing is wrong."""
        return self.outcome == "ok"


def check(wanted: Wanted, master: str | None = None) -> list[Checked]:
    """Try everything that a launch needs on this machine; nothing is resolved or built.

    Raises:
        SettingsError: the settings themselves cannot be read.
    """
    said, _ = settings.load(wanted.settings)
    store = Store(said.store)
    checks: dict[str, Callable[[], str]] = {
        "python": lambda: f"{platform.python_version()} at {sys.executable}",
        "platform": _platform,
        "spark": _spark,
        "java": lambda: _java(store),
        "resolver": _resolver,
        "store": lambda: _space(store),
        "requirements": lambda: f"{len(wanted.add_to(Captain(**wanted.settings)).manifest.requirements)} requirements can be read",
    }
    if said.ship_python:
        checks["interpreter"] = lambda: _interpreter(said.python, offline=said.indexes.offline)
    if master is not None:
        checks["master"] = lambda: type(backend_for(master)).__name__.removesuffix("Backend").lower()
    return list(_tried(checks))


def listing(checked: list[Checked]) -> str:
    """The outcomes as a table, each with its cure."""
    return text_table(("check", "outcome", "detail"), [(one.name, one.outcome, redact(f"{one.detail} -> {one.cure}" if one.cure else one.detail)) for one in checked])


def _tried(checks: dict[str, Callable[[], str]]) -> Iterator[Checked]:
    return (_one(name, look) for name, look in checks.items())


def _one(name: str, look: Callable[[], str]) -> Checked:
    try:
        return Checked(name, "ok", look())
    except BoatError as error:
        return Checked(name, "failed", f"{error.what}: {error.value}" if error.value else error.what, error.cure)


def _platform() -> str:
    glibc = _host.glibc()
    return f"{_host.architecture()}, " + (f"glibc {glibc[0]}.{glibc[1]}" if glibc else "no glibc: say --platform and --python")


def _resolver() -> str:
    return run([_uv.binary(), "--version"], timeout=30).stdout.strip()


def _spark() -> str:
    spark = submit.find_spark()
    launch.compatible(spark.version, (sys.version_info.major, sys.version_info.minor))
    return f"{spark.version} at {spark.home}"


def _java(store: Store) -> str:
    extra = launch.java_environment(store, submit.find_spark().home)
    java = f"{extra['JAVA_HOME']}/bin/java" if extra else "java"
    told = run([java, "-version"], timeout=60) if extra or shutil.which("java") else None
    return told.stderr.splitlines()[0] if told is not None and told.stderr else "as JAVA_HOME or spark-env.sh says"


def _space(store: Store) -> str:
    with store.scratch() as scratch:
        scratch.write_bytes(b"")
    free = shutil.disk_usage(store.root).free
    if free < _NEEDED:
        raise StoreError("the disk of the store is nearly full", value=f"{human(free)} free at {store.root}", cure="boat cache prune, or --store on another disk")
    return f"{store.root}, {human(free)} free"


def _interpreter(python: str | None, *, offline: bool) -> str:
    found = interpreter.find(python, offline=offline)
    return f"{found.version} from {found.executable} can be shipped"
