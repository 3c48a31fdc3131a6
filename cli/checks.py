"""`boat check`: is this machine ready, and the cluster? Every check is tried, whatever the others
say.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from coffee_boat import settings
from coffee_boat._support import host, uv
from coffee_boat._support.redact import redact
from coffee_boat._support.run import run
from coffee_boat._support.store import Store
from coffee_boat._support.words import human_size
from coffee_boat.captain import Captain
from coffee_boat.cli.options import Wanted, Where
from coffee_boat.clusters import kind_of
from coffee_boat.conda import client, condarc
from coffee_boat.conda import configuration as conda_configuration
from coffee_boat.errors import BoatError, LaunchError, StoreError
from coffee_boat.model import ClusterFacts, Finding, NodeFacts, SparkFacts, Target, text_table
from coffee_boat.session import nodes
from coffee_boat.spark import facts as spark_facts
from coffee_boat.spark import install
from coffee_boat.spark import java as spark_java
from coffee_boat.workflow.pipeline import Pipeline
from coffee_boat.workflow.preflight import Preflight

_NEEDED = 2_000_000_000
"""Bytes that a common set (numpy, pandas, pyarrow, scikit-learn) takes: wheels, chunks, an archive
and an unpacked copy.
"""


@dataclass(frozen=True)
class Checked:
    """How one check ended; or one thing that looks odd, and breaks nothing yet."""

    name: str
    status: Literal["ok", "note", "warning", "unknown", "failed"]
    value: str = ""
    """Of a check that went well, what was found; of one that could not be made, why."""
    what: str = ""
    """What is wrong or odd; empty if nothing is."""
    cause: str = ""
    cure: str = ""
    code: str = ""
    """Of the problem, if it is one: docs/reference/findings.md has a heading for it."""

    @property
    def ok(self) -> bool:
        """True if nothing is known to be wrong."""
        return self.status != "failed"

    @property
    def detail(self) -> str:
        """All of it on one line."""
        found = Finding(self.code, self.what, value=self.value, cause=self.cause, cure=self.cure)
        return str(found) if self.what else self.value


@dataclass(frozen=True)
class Checks:
    """All of them, and what they were made with."""

    rows: tuple[Checked, ...]
    settings: settings.Settings | None = None
    """None if they cannot be used; the store then, too."""
    store: Store | None = None
    facts: SparkFacts | None = None
    """The Spark that was asked about; None if no master was named, or it is none."""
    cluster: ClusterFacts | None = None
    """As it answered now; None if it was not asked, or cannot serve."""
    known_nodes: tuple[NodeFacts, ...] = ()
    """What nodes of this master said in earlier runs."""

    @property
    def ok(self) -> bool:
        """True if nothing is wrong."""
        return all(one.ok for one in self.rows)


def check(wanted: Wanted, where: Where) -> Checks:
    """Try everything that a launch needs on this machine, and ask the master's cluster; nothing is
    resolved, built or sent.
    """
    checks: dict[str, Callable[[], str]] = {
        "python": lambda: f"{platform.python_version()} at {sys.executable}",
        "platform": _platform,
        "spark": lambda: _spark(refuse_unknown=False),
        "java": _java,
        "resolver": _resolver,
    }
    try:
        said, findings = settings.load(wanted.settings)
        store = Store(said.store)
    except BoatError as error:  # what needs no settings is looked at all the same
        return Checks((*_tried(checks), _failed("settings", error)))
    checks |= {
        "spark": lambda: _spark(refuse_unknown=said.untested_python == "refuse"),
        "store": lambda: _space(store),
        "requirements": lambda: (
            f"{len(wanted.add_to(Captain(**wanted.settings)).manifest.texts)} requirements can be"
            " read"
        ),
    }
    if wanted.conda or wanted.environments:
        checks["conda"] = lambda: _rattler(said)
    if said.ship_python:
        checks["interpreter"] = lambda: _interpreter(Pipeline(said, store))
    if where.master is None:
        return Checks((*_tried(checks), *_untested(findings)), said, store)
    master = where.master
    checks["master"] = lambda: kind_of(master).name
    tried = (*_tried(checks), *_untested(findings))
    if not all(one.ok for one in tried if one.name == "master"):
        return Checks(tried, said, store)
    known = nodes.recall(store, master)
    preflight = Preflight(store, refuses=said.preflight == "refuse")
    facts = None
    try:
        facts = _facts(where)
        cluster = preflight.ask(
            facts, lambda: _target(said, store), ships_python=said.ship_python, driver_starts=True
        )
    except BoatError as error:
        return Checks((*tried, _failed("cluster", error)), said, store, facts, None, known)
    rows = _cluster_rows(preflight.known(cluster))
    return Checks((*tried, *rows), said, store, facts, cluster, known)


def listing(checked: Sequence[Checked]) -> str:
    """The outcomes as a table, each with its cure."""
    return text_table(
        ("check", "outcome", "detail"),
        [(one.name, one.status, redact(one.detail)) for one in checked],
    )


def _tried(checks: dict[str, Callable[[], str]]) -> Iterator[Checked]:
    return (_one(name, look) for name, look in checks.items())


def _one(name: str, look: Callable[[], str]) -> Checked:
    try:
        return Checked(name, "ok", look())
    except BoatError as error:
        return _failed(name, error)
    except (OSError, subprocess.SubprocessError) as error:  # a program that hangs, or is not ours
        return Checked(name, "unknown", str(error))


def _failed(name: str, error: BoatError) -> Checked:
    return _odd(name, Finding.of(error.problem, "error"))


def _facts(where: Where) -> SparkFacts:
    """LaunchError if there is no Spark here."""
    return spark_facts.facts_of(
        install.find_spark(),
        master=where.master,
        deploy_mode=where.deploy_mode,
        conf=where.conf,
        python=sys.executable,
    )


def _cluster_rows(found: ClusterFacts) -> Iterator[Checked]:
    """The cluster, its nodes with what is known of them from earlier, then each finding."""
    yield Checked(
        "cluster",
        "unknown" if found.not_known else "ok",
        ": ".join(filter(None, (found.manager, found.not_known))),
    )
    for node in found.nodes:
        yield Checked(
            "node",
            "ok" if node.architecture and node.glibc else "unknown",
            f"{node.host}: {node.architecture or 'architecture unknown'}, "
            + (f"glibc {node.glibc[0]}.{node.glibc[1]}" if node.glibc else "glibc unknown"),
        )
    yield from (_odd("cluster", finding) for finding in found.findings)


def _untested(findings: Iterable[Finding]) -> Iterator[Checked]:
    """What is odd about the settings, and what nobody knows of this Spark and this Python; what is
    known to fail is the check's own.
    """
    yield from (_odd("settings", finding) for finding in findings)
    with suppress(LaunchError):
        yield from (_odd("spark", finding) for finding in install.fitting())


def _odd(name: str, finding: Finding) -> Checked:
    return Checked(
        name,
        "failed" if finding.severity == "error" else finding.severity,
        finding.value,
        finding.what,
        finding.cause,
        finding.cure,
        finding.code,
    )


def _target(said: settings.Settings, store: Store) -> Target | None:
    """What an environment would be made for; why it cannot be known is a check of its own."""
    try:
        return Pipeline(said, store).target
    except BoatError:
        return None


def _platform() -> str:
    glibc = host.glibc()
    return f"{host.architecture()}, " + (
        f"glibc {glibc[0]}.{glibc[1]}" if glibc else "no glibc: say --platform"
    )


def _resolver() -> str:
    return run([uv.binary(), "--version"], timeout=30).stdout.strip()


def _rattler(said: settings.Settings) -> str:
    client.rattler()
    configuration = condarc.configured(said)
    channels = (
        ", ".join(redact(name) for name in configuration.channels) or conda_configuration.DEFAULT
    )
    return f"py-rattler {metadata.version('py-rattler')}, channels {channels}" + (
        f" ({', '.join(configuration.files)})" if configuration.files else ""
    )


def _spark(*, refuse_unknown: bool) -> str:
    install.fitting(refuse_unknown=refuse_unknown)
    spark = install.find_spark()
    return f"{spark.version} at {spark.home}"


def _java() -> str:
    """Its version, and where it is."""
    java, place = spark_java.found(install.find_spark().home)
    told = run([java, "-version"], timeout=60).stderr.splitlines() if java else []
    return ", ".join(filter(None, (*told[:1], java, place)))


def _space(store: Store) -> str:
    with store.scratch() as scratch:
        scratch.write_bytes(b"")
    free = shutil.disk_usage(store.root).free
    if free < _NEEDED:
        raise StoreError(
            "store.disk-nearly-full",
            "the disk of the store is nearly full",
            value=f"{human_size(free)} free at {store.root}",
            cure="boat cache prune, or --store on another disk",
        )
    return f"{store.root}, {human_size(free)} free"


def _interpreter(pipeline: Pipeline) -> str:
    found = pipeline.interpreter
    pipeline.refuse_interpreter(pipeline.target)
    return f"{found.version} from {found.executable} can be shipped"
