"""What all kinds share: merging with the user's own settings, and naming what was replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from coffee_boat._support.redact import redact, redact_setting
from coffee_boat._support.urls import lenient
from coffee_boat.errors import LaunchError
from coffee_boat.model import (
    SQL_PYTHON,
    START_FOLDER,
    Archive,
    ConfPatch,
    Finding,
    Shipped,
    SparkFacts,
)
from coffee_boat.spark.keys import DRIVER_PYTHON

_EXECUTOR_ENV = "spark.executorEnv."
_OURS = {"PYTHONNOUSERSITE": "1", "PYTHONHOME": ""}
"""A variable cannot be removed for a worker; CPython takes an empty PYTHONHOME as none."""

_PYTHON_SETTINGS = (
    "spark.pyspark.python",
    SQL_PYTHON,
    "spark.executorEnv.PYSPARK_PYTHON",
)
_INSTANCES = "2"
"""As org.apache.spark.scheduler.cluster.SchedulerBackendUtils.DEFAULT_NUMBER_EXECUTORS."""
_PYSPARK_DEFAULT = "python3"
"""What bin/pyspark exports as PYSPARK_PYTHON where nobody said anything."""


def on_demand(facts: SparkFacts) -> bool:
    """True if Spark starts executors when jobs need them."""
    return facts.conf.get("spark.dynamicAllocation.enabled", "").strip().lower() == "true"


def instances(facts: SparkFacts) -> int | None:
    """Executors that are asked for at the start where the settings say how many (YARN, Kubernetes);
    None if jobs decide it.
    """
    said = facts.conf.get("spark.executor.instances", _INSTANCES).strip()
    return (int(said) or None) if said.isdecimal() and not on_demand(facts) else None


def patch(
    facts: SparkFacts,
    *,
    python: str,
    packages: str | None,
    conf: Mapping[str, str],
    findings: tuple[Finding, ...] = (),
    also_python: tuple[str, ...] = (),
) -> ConfPatch:
    """The patch for an interpreter, with the user's own settings merged in.

    Args:
        also_python: settings of this kind of cluster alone that name an interpreter.
        packages: for the workers' PYTHONPATH, when the interpreter is the node's own: see
            `python_path`.
    """
    pythons = (*_PYTHON_SETTINGS, *also_python)
    replaced = {key: python for key in pythons if facts.conf.get(key, python) != python}
    environment = dict(_OURS)
    if packages is not None:
        # Workers get Spark's own files first, then this, then the PYTHONPATH of the executor's JVM
        # (org.apache.spark.api.python.PythonWorkerFactory).
        environment["PYTHONPATH"] = ":".join(
            filter(None, [packages, facts.conf.get(f"{_EXECUTOR_ENV}PYTHONPATH")])
        )
    return ConfPatch(
        python=python,
        conf={**conf, **replaced},
        environment=environment,
        findings=(
            *findings,
            *_replaced_pythons(facts, pythons, python),
            *_replaced_variables(facts),
            *_shadowing(facts, packages),
        ),
    )


@dataclass(frozen=True)
class Unpacked:
    """How an executor's working directory has the archive."""

    python: str
    packages: str | None
    """For the workers' PYTHONPATH; None where the interpreter comes along."""
    planned: Mapping[str, str]
    """Settings that name the interpreter to executors."""


def unpacked(archive: Archive) -> Unpacked:
    """For clusters that unpack the archive below its name.

    Raises:
        LaunchError: as `python_path`.
    """
    root = f"./{archive.name}"
    if not archive.has_python:
        # Python makes relative entries of PYTHONPATH absolute when it starts (site.abs_paths), in
        # the executor's working directory.
        return Unpacked(f"python{archive.target.minor}", python_path(archive, root), {})
    python = f"{root}/{archive.python}"
    # What the driver's JVM plans captures the driver's copy of the interpreter (launch): executors
    # have to be told of theirs.
    return Unpacked(python, None, {SQL_PYTHON: python})


def by_file_server(facts: SparkFacts, shipped: Shipped) -> ConfPatch:
    """The patch where every executor fetches what spark.archives names, from the driver or from
    where it is staged, and unpacks it into its working directory.

    Raises:
        LaunchError: as `python_path` and `merge_archives`.
    """
    there = unpacked(shipped.archive)
    archives, findings = merge_archives(
        facts.conf.get("spark.archives", ""), f"{shipped.uri}#{shipped.archive.name}"
    )
    return patch(
        facts,
        python=there.python,
        packages=there.packages,
        conf={"spark.archives": archives, **there.planned},
        findings=findings,
    )


def with_driver(
    made: ConfPatch, facts: SparkFacts, *, prefix: str, variables: Mapping[str, str]
) -> ConfPatch:
    """The patch for cluster mode, where the driver runs the shipped environment, too.

    Args:
        prefix: of the settings that are the driver's variables.
        variables: which it needs.
    """
    told = {f"{prefix}{name}": value for name, value in variables.items()}
    return replace(
        made,
        conf={**made.conf, **told},
        findings=(*made.findings, *_unused_by_driver(facts, prefix, told)),
    )


def refuse_cluster_mode(facts: SparkFacts, cause: str) -> None:
    """For masters where spark-submit itself refuses it, with a stack trace.

    Raises:
        LaunchError: the deploy mode is "cluster".
    """
    if facts.deploy_mode == "cluster":
        raise LaunchError(
            "launch.no-cluster-mode",
            "there is no cluster deploy mode for this master",
            value=redact(facts.master),
            cause=cause,
            cure="leave out --deploy-mode and spark.submit.deployMode, or say client",
        )


def python_path(archive: Archive, root: str) -> str:
    """The folders of an archive that a node's own interpreter needs on PYTHONPATH: what starts our
    part, then the packages.

    Args:
        root: the folder that the archive was unpacked into.

    Raises:
        LaunchError: its name has a colon, which separates the entries of PYTHONPATH and cannot be
            quoted.
    """
    if ":" in root:
        raise LaunchError(
            "launch.colon-in-store",
            "the store's folder has a ':' in its path",
            value=root,
            cause=(
                "with ship_python=False the packages are found by PYTHONPATH, where a ':' ends an"
                " entry"
            ),
            cure="name another folder: Captain(store=...) or COFFEE_BOAT_STORE=/some/folder",
        )
    return ":".join(
        f"{root}/{folder}".rstrip("/") for folder in (START_FOLDER, archive.target.site_packages)
    )


def merge_archives(
    theirs: str, ours: str, *, key: str = "spark.archives"
) -> tuple[str, tuple[Finding, ...]]:
    """The comma-separated value of a setting that names archives: theirs in their order, then ours;
    each once.

    Raises:
        LaunchError: another archive of theirs is unpacked under our name.
    """
    merged: dict[str, str] = {}
    findings = []
    for entry in filter(None, (part.strip() for part in theirs.split(","))):
        alias = _alias(entry)
        if alias == _alias(ours) and entry != ours:
            raise LaunchError(
                "launch.archive-name-taken",
                "another archive has the name of the shipped one",
                value=redact(entry),
                cause=f"{key} unpacks both into the same folder",
                cure=f"take {redact(entry)!r} out of {key}, or give it another #name",
            )
        if alias in merged and merged[alias] != entry:
            findings.append(_same_alias(key, alias, merged[alias], entry))
        elif alias in merged:
            findings.append(
                Finding(
                    "launch.archive-listed-twice",
                    f"an archive stands twice in {key}",
                    value=redact(entry),
                    cause="Spark takes each once",
                    cure="remove one",
                    severity="note",
                )
            )
        merged.setdefault(alias, entry)
    merged[_alias(ours)] = ours
    return ",".join(merged.values()), tuple(findings)


def _same_alias(key: str, alias: str, first: str, second: str) -> Finding:
    return Finding(
        "launch.archives-same-name",
        f"two archives of {key} have the same name; only the first is sent",
        value=f"{redact(first)} and {redact(second)}",
        cause=f"Spark would unpack the second over the first, in {alias!r}",
        cure="give one of them another #name",
    )


def _alias(entry: str) -> str:
    """The folder that an archive becomes: its #fragment, or its file name
    (SparkContext.addArchive).
    """
    location, _, fragment = entry.partition("#")
    return fragment or PurePosixPath(lenient(location).path).name


def _replaced_pythons(facts: SparkFacts, settings: Sequence[str], python: str) -> Iterator[Finding]:
    theirs = {key: facts.conf[key] for key in settings if key in facts.conf}
    theirs["PYSPARK_PYTHON"] = facts.environment.get("PYSPARK_PYTHON", "")
    for key, value in theirs.items():
        if value and value not in (python, _PYSPARK_DEFAULT):
            yield Finding(
                "launch.python-setting-ignored",
                f"{key} is not used for executors",
                value=redact_setting(key, value),
                cause=f"they run the shipped environment: {python}",
                cure=f"remove {key}, or do not ship",
                severity="note",
            )


def _replaced_variables(facts: SparkFacts) -> Iterator[Finding]:
    for name, value in _OURS.items():
        key = _EXECUTOR_ENV + name
        theirs = facts.conf.get(key)
        if theirs is not None and theirs != value:
            cause = f"the shipped environment needs {name}={value!r}"
            yield Finding(
                "launch.variable-replaced",
                f"{key} is replaced for Python workers",
                value=redact_setting(key, theirs),
                cause=cause,
                cure=f"remove {key}",
                severity="note",
            )


def _unused_by_driver(facts: SparkFacts, prefix: str, told: Mapping[str, str]) -> Iterator[Finding]:
    ours = {f"{prefix}{name}" for name in ("PYSPARK_DRIVER_PYTHON", *_OURS)}.intersection(told)
    for key in sorted({DRIVER_PYTHON, *ours}.intersection(facts.conf)):
        if facts.conf[key] != told.get(key):
            cause = "in cluster mode the driver runs the shipped environment"
            yield Finding(
                "launch.setting-not-used",
                f"{key} is not used",
                value=redact_setting(key, facts.conf[key]),
                cause=cause,
                cure=f"remove {key}",
                severity="note",
            )


def _shadowing(facts: SparkFacts, packages: str | None) -> Iterator[Finding]:
    key = f"{_EXECUTOR_ENV}PYTHONPATH"
    theirs = facts.conf.get(key)
    if theirs and packages is None:
        yield Finding(
            "launch.pythonpath-first",
            f"{key} comes before the shipped packages",
            value=redact_setting(key, theirs),
            cause="what it holds under the same names hides them",
            cure="remove it if the shipped environment has all that it was for",
        )
