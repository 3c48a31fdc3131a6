"""What does not fit between a lock and what executors run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from coffee_boat.model import ExecutorFacts, Finding, Lock
from coffee_boat.session import Versions, gpus
from coffee_boat.session.own import SPARKS_OWN, explain, how_to_add

_SHOWN = 3


# what does not fit


def unreached(
    executors: Sequence[ExecutorFacts], missed: Sequence[str], deadline: float
) -> Iterator[Finding]:
    """Executors that did not answer."""
    if missed:
        yield Finding(
            "verify.no-answer",
            "live executors did not answer",
            value=f"{_some(missed)}, within {deadline:g} s",
            cause=(
                "they are busy with other tasks, still unpack the archive, or their Python hangs"
                " while it starts"
            ),
            cure="captain.verify(deadline=120), or once the running jobs are done",
        )
    elif not executors:
        yield Finding(
            "verify.no-executor",
            "there is no executor to ask",
            value=f"none came up within {deadline:g} s",
            cause="the cluster has no free cores or memory for this application",
            cure=(
                "look at the cluster's UI, ask for less (spark.executor.cores,"
                " spark.executor.memory), or captain.verify(deadline=120)"
            ),
            severity="error",
        )


def aboard(
    executors: Sequence[ExecutorFacts], lock: Lock, base: Lock, ships_python: bool
) -> Iterator[Finding]:
    """What executors have, against what the lock says."""
    strangers = [e for e in executors if not e.lock_digest or (ships_python and not _is_shipped(e))]
    fitting = [e for e in executors if e not in strangers]
    yield from _strangers(strangers)
    yield from _other_locks(fitting, base)
    yield from _distributions(fitting, lock)
    yield from _shadowed(fitting)
    yield from _conda_packages(fitting, lock)
    yield from _unsettled(fitting)
    yield from gpus.drivers(fitting, lock)
    yield from _foreign_files(fitting if ships_python else ())


def _is_shipped(executor: ExecutorFacts) -> bool:
    """True if the interpreter lies in the archive itself, unlike a venv's, which is elsewhere.

    Both are real paths.
    """
    return Path(executor.executable).is_relative_to(executor.prefix)


def _strangers(executors: Sequence[ExecutorFacts]) -> Iterator[Finding]:
    for executable, some in _grouped(executors, lambda e: e.executable):
        yield Finding(
            "verify.other-interpreter",
            "another interpreter than the shipped one runs",
            value=f"{executable} on {_who(some)}",
            cause=(
                "PYSPARK_PYTHON or spark.pyspark.python was set after captain.launch_ship(), or"
                " the SparkContext was there before it"
            ),
            cure="unset both, then captain.launch_ship() and a new SparkContext",
            severity="error",
        )


def _other_locks(executors: Sequence[ExecutorFacts], lock: Lock) -> Iterator[Finding]:
    for digest, some in _grouped(
        (e for e in executors if e.lock_digest != lock.digest), lambda e: e.lock_digest
    ):
        yield Finding(
            "verify.other-lock",
            "an environment of another lock is installed",
            value=f"{digest[:12]} instead of {lock.digest[:12]} on {_who(some)}",
            cause="the session was started before the requirements changed, or by another Captain",
            cure="stop the session, captain.launch_ship(), and start it again",
            severity="error",
        )


def _distributions(executors: Sequence[ExecutorFacts], lock: Lock) -> Iterator[Finding]:
    for pin in lock.pins:
        if pin.name in SPARKS_OWN:
            continue
        for version, some in _grouped(
            (e for e in executors if e.distributions.get(pin.name) != pin.version),
            lambda e, name=pin.name: e.distributions.get(name, ""),  # type: ignore[misc]
        ):
            yield (
                _other_version(pin.name, pin.version, version, some)
                if version
                else _missing(pin.name, pin.version, some)
            )


def _shadowed(executors: Sequence[ExecutorFacts]) -> Iterator[Finding]:
    for places, some in _grouped(
        (e for e in executors if e.shadowed), lambda e: tuple(sorted(e.shadowed.items()))
    ):
        names = [f"{name} from {place}" for name, place in places]
        yield Finding(
            "verify.module-shadowed",
            "modules of the environment are hidden by others of the same name",
            value=f"{_some(names)} on {_who(some)}",
            cause="the node's PYTHONPATH, spark.executorEnv.PYTHONPATH or sc.addPyFile has a folder"
            " or a zip with its own copy, which Python finds first",
            cure="unset PYTHONPATH on the node and spark.executorEnv.PYTHONPATH, or take the module"
            " out of --py-files",
            severity="error",
        )


def _conda_packages(executors: Sequence[ExecutorFacts], lock: Lock) -> Iterator[Finding]:
    for pin in lock.conda:
        wanted = (pin.version, pin.channel)
        for found, some in _grouped(
            (e for e in executors if e.conda.get(pin.name) != wanted),
            lambda e, name=pin.name: e.conda.get(name),  # type: ignore[misc]
        ):
            yield (
                _other_version(pin.name, " ".join(wanted), " ".join(found), some)
                if found
                else _missing(pin.name, pin.version, some)
            )


def _unsettled(executors: Sequence[ExecutorFacts]) -> Iterator[Finding]:
    for files, some in _grouped((e for e in executors if e.unsettled), lambda e: e.unsettled):
        yield Finding(
            "verify.prefix-not-rewritten",
            "files of conda packages name a folder that is not theirs",
            value=f"{_some(files)} on {_who(some)}",
            cause=(
                "the archive's folder cannot be written there, or its name is longer than the"
                " packages have room for; programs that read those files look elsewhere"
            ),
            cure=(
                "let executors unpack into a folder of their own with a shorter name:"
                " spark.local.dir, SPARK_WORKER_DIR, yarn.nodemanager.local-dirs"
            ),
        )


def _missing(name: str, version: str, executors: Sequence[ExecutorFacts]) -> Finding:
    return Finding(
        "verify.distribution-missing",
        "a distribution is missing",
        value=f"{name} {version} on {_who(executors)}",
        cause=(
            "the archive was cut while it was sent or unpacked, or files were deleted on the node"
        ),
        cure="look for a full disk on that node, then start the session again",
        severity="error",
    )


def _other_version(
    name: str, wanted: str, found: str, executors: Sequence[ExecutorFacts]
) -> Finding:
    return Finding(
        "verify.version-shadowed",
        "another version than the locked one is found first",
        value=f"{name} {found} instead of {wanted} on {_who(executors)}",
        cause="a folder on the node's PYTHONPATH, or one added by sc.addPyFile, has its own copy",
        cure="unset spark.executorEnv.PYTHONPATH, or take the package out of --py-files",
        severity="error",
    )


def _foreign_files(executors: Sequence[ExecutorFacts]) -> Iterator[Finding]:
    for files, some in _grouped(
        (e for e in executors if e.foreign_files), lambda e: e.foreign_files
    ):
        yield Finding(
            "verify.foreign-files",
            "files of the node are loaded into the interpreter",
            value=f"{_some(files)} on {_who(some)}",
            cause=(
                "LD_LIBRARY_PATH or LD_PRELOAD on the node, or a wheel that expects a library that"
                " it does not carry"
            ),
            cure=(
                "unset spark.executorEnv.LD_LIBRARY_PATH and LD_PRELOAD, or use a manylinux wheel"
                " of that package"
            ),
            severity="error",
        )


def spark_versions(executors: Sequence[ExecutorFacts], versions: Versions) -> Iterator[Finding]:
    """Versions of pyspark and Spark that do not go together."""
    if versions.remote:
        yield from _of_a_server(executors, versions)
        return
    if _minor(versions.driver) != _minor(versions.jvm):
        yield Finding(
            "verify.jvm-other-spark",
            "the driver's pyspark is not of its JVM's minor version",
            value=f"pyspark {versions.driver}, Spark {versions.jvm}",
            cause="SPARK_HOME names another Spark than the pyspark that is imported",
            cure=(
                f'unset SPARK_HOME, or pip install "pyspark=={".".join(_minor(versions.jvm))}.*" on'
                " the driver"
            ),
            severity="error",
        )
    others = (e for e in executors if _minor(e.pyspark) != _minor(versions.driver))
    for (version, path), some in _grouped(others, lambda e: (e.pyspark, e.pyspark_path)):
        yield Finding(
            "verify.executor-other-spark",
            "an executor's pyspark is not of the driver's minor version",
            value=f"{version} from {path} instead of {versions.driver} on {_who(some)}",
            cause="nodes with a Spark of their own put their pyspark.zip first on PYTHONPATH",
            cure=f'pip install "pyspark=={".".join(_minor(version))}.*" on the driver, as the'
            " cluster has",
            severity="error",
        )


def _of_a_server(executors: Sequence[ExecutorFacts], versions: Versions) -> Iterator[Finding]:
    """Clients of Spark Connect may be of another version than the server; executors may not."""
    others = (e for e in executors if _minor(e.pyspark) != _minor(versions.jvm))
    for (version, path), some in _grouped(others, lambda e: (e.pyspark, e.pyspark_path)):
        yield Finding(
            "verify.executor-other-than-server",
            "an executor's pyspark is not of the server's minor version",
            value=f"{version} from {path} instead of {versions.jvm} on {_who(some)}",
            cause="the server's nodes have no Python files of Spark, so they run the client's",
            cure=f'pip install "pyspark=={".".join(_minor(versions.jvm))}.*" on the client',
            severity="error",
        )
    if _minor(versions.driver) != _minor(versions.jvm):
        yield Finding(
            "verify.client-other-spark",
            "the client's pyspark is not of the server's minor version",
            value=f"pyspark {versions.driver}, server {versions.jvm}",
            cause="most calls go together, and a function may not: it is pickled with one version"
            " and read with the other",
            cure=f'pip install "pyspark=={".".join(_minor(versions.jvm))}.*" on the client',
        )


def failed_imports(executors: Sequence[ExecutorFacts]) -> Iterator[Finding]:
    """Modules that executors could not import."""
    failures = [(module, error, e) for e in executors for module, error in e.import_errors.items()]
    for (module, error), some in _grouped(failures, lambda failure: failure[:2]):
        why = explain(error)
        yield Finding(
            "verify.import-fails",
            "a module cannot be imported",
            value=f"{module} on {_who([failure[2] for failure in some])}: {error.splitlines()[0]}",
            cause=why.cause if why else "it fails while it is imported",
            cure=why.cure if why else "try the same import on the driver, in the same environment",
            severity="error",
        )


def absent(executors: Sequence[ExecutorFacts], own: dict[str, Path]) -> Iterator[Finding]:
    """Modules of the driver that executors do not have."""
    for name, place in own.items():
        some = [e for e in executors if name in e.absent]
        if some:
            yield Finding(
                "verify.driver-module-missing",
                "a module of the driver is not installed on executors",
                value=f"{name} ({place}) on {_who(some)}",
                cause="functions that use it are pickled with its name only",
                cure=how_to_add(place),
            )


def unshared(executors: Sequence[ExecutorFacts]) -> Iterator[Finding]:
    """Executors that unpacked for themselves where nodes were to do it once."""
    for reason, some in _grouped((e for e in executors if e.not_shared), lambda e: e.not_shared):
        yield Finding(
            "verify.node-store-not-used",
            "an executor unpacked the environment for itself",
            value=_who(some),
            cause=reason,
            cure=f"{_cure(reason)}; or leave it: all else is the same",
        )


_ANOTHER = "name a folder of the nodes that the executors' user alone can write:"
_CURES = {
    "was changed": "end what runs from it: who starts then unpacks it again",
    "MiB free|No space left|[Qq]uota": "make room there, or name a folder on another disk:",
    "is held for": "end the process that has the lock; fuser says which, or name another folder:",
}


def _cure(reason: str) -> str:
    found = next((cure for words, cure in _CURES.items() if re.search(words, reason)), _ANOTHER)
    return f"{found} COFFEE_BOAT_NODE_STORE=/some/folder" if found.endswith(":") else found


# words


def _grouped(items: Iterable[Any], key: Callable[[Any], Any]) -> list[tuple[Any, list[Any]]]:
    """Items with the same key together, in the order they were met."""
    groups: dict[Any, list[Any]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.items())


def _who(executors: Sequence[ExecutorFacts]) -> str:
    return "executor " + _some([f"{e.executor} ({e.host})" for e in executors])


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" + {rest} others" if rest > 0 else "")


def _minor(version: str) -> tuple[str, ...]:
    """("3", "5") of "3.5.1-amzn-1"."""
    return tuple(version.split(".")[:2])
