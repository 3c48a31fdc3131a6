"""Asks every executor what it runs, and says what does not fit.

"It started" is not enough: an interpreter that was copied badly once loaded the node's own
libpython. So each executor tells the real path of its interpreter, every file that is mapped into
it, the lock it was built from, and each distribution's version.
"""

from __future__ import annotations

import sys
import sysconfig
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from coffee_boat import _symptoms
from coffee_boat.errors import VerifyError
from coffee_boat.model import Archive, ExecutorFacts, Finding, Lock, Report, Target
from coffee_boat.session import Session, Versions
from coffee_boat.worker import facts

_SPARKS_OWN = frozenset({"pyspark", "py4j"})
"""Travel as the driver's own files, and nodes may put theirs before them: compared by Spark's
version, not by a pin.
"""
_SHOWN = 3


def verify(
    session: Session,
    lock: Lock | None,
    *,
    deadline: float = 30.0,
    modules: Sequence[str] = (),
    ships_python: bool = True,
    base: Lock | None = None,
) -> Report:
    """Ask every live executor what it runs.

    Args:
        lock: what should be aboard; None if that is not known: then only Spark's versions and
            missing modules are looked at.
        deadline: seconds; executors that did not answer by then are `missed`.
        modules: imported on each executor first, so that the libraries they load are looked at too.
        ships_python: False where the nodes' own interpreter is meant to run.
        base: what the session was started with, if packages were added since.

    Raises:
        VerifyError: the executors' Python cannot start, a job fails for another reason, or the
            session was stopped.
    """
    started = time.monotonic()
    versions = session.versions()
    own = driver_only_modules()
    try:
        answers = session.ask(facts.collect, tuple(modules), tuple(own), deadline=deadline)
    except VerifyError as error:
        raise explain(error.cause) or error from error
    executors = tuple(
        _executor_facts(name, said)
        for name, said in sorted(
            answers.by_executor.items(), key=lambda item: (len(item[0]), item[0])
        )
    )
    findings = (
        *_unreached(executors, answers.missed, deadline),
        *(_aboard(executors, lock, base or lock, ships_python) if lock else ()),
        *_spark_versions(executors, versions),
        *_failed_imports(executors),
        *_absent(executors, own),
    )
    return Report(
        executors=executors,
        missed=answers.missed,
        lock=lock or Lock(Target(sys.version.split()[0])),
        driver_spark=versions.driver,
        jvm_spark=versions.jvm,
        seconds=time.monotonic() - started,
        findings=findings,
        rounds=answers.rounds,
    )


def arrival(
    session: Session, sent: Archive | None, *, deadline: float
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[Finding, ...]]:
    """Wait until the live executors have a layer, or run a new base.

    It was sent: what goes wrong here is told, not raised.

    Args:
        sent: None if nothing was sent.
        deadline: seconds.

    Returns:
        Ids of the executors that were seen to have it, of those that were not seen in time, and
        what is odd.
    """
    if sent is None:
        return (), (), ()
    try:
        answers = session.ask(facts.boats, deadline=deadline)
    except VerifyError as error:
        why = explain(error.cause) or error
        return (
            (),
            (),
            (
                Finding(
                    "executors could not be asked whether they have the added packages",
                    why.what,
                    why.cause,
                    why.cure,
                ),
            ),
        )
    having = tuple(
        sorted(
            name
            for name, seen in answers.by_executor.items()
            if (sent.name if sent.layer else sent.lock_digest) in seen
        )
    )
    missed = (*answers.missed, *sorted(name for name in answers.by_executor if name not in having))
    return having, missed, _not_seen(missed, deadline)


def _not_seen(missed: Sequence[str], deadline: float) -> tuple[Finding, ...]:
    if not missed:
        return ()
    return (
        Finding(
            "not seen to have the added packages yet",
            ", ".join(missed),
            f"no task of ours ran there within {deadline:g} s: all slots are busy, or the executor"
            " is still starting; it has them before its next task",
            "captain.verify() asks again",
            severity="note",
        ),
    )


def driver_only_modules(loaded: Iterable[tuple[str, ModuleType]] | None = None) -> dict[str, Path]:
    """Top-level modules that this process imported from beside the script or notebook (or the
    working directory) -> their file or folder.

    A function that uses one is pickled with the module's name only: executors have to have it, too.

    Args:
        loaded: pairs as in sys.modules, which is the default.
    """
    beside = _own_folders()
    pairs = sorted(dict(sys.modules if loaded is None else loaded).items())
    found = {
        name: place
        for name, module in pairs
        if (place := _place(name, module)) is not None and place.parent in beside
    }
    return {
        name: place for name, place in found.items() if name not in {"coffee_boat", *_SPARKS_OWN}
    }


def _own_folders() -> set[Path]:
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    folders = {Path.cwd()} | ({Path(script).resolve().parent} if script else set())
    return folders - {Path(path).resolve() for path in sysconfig.get_paths().values()}


def _place(name: str, module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    if "." in name or name.startswith("__") or not isinstance(file, str):
        return None
    path = Path(file).resolve()
    return path.parent if path.name == "__init__.py" else path


def _executor_facts(executor: str, said: dict[str, Any]) -> ExecutorFacts:
    tuples = {name: tuple(said[name]) for name in ("foreign_files", "absent", "unsettled")}
    return ExecutorFacts(
        **{
            **said,
            **tuples,
            "executor": executor,
            "conda": {name: tuple(known) for name, known in said["conda"].items()},
        }
    )


# what does not fit


def _unreached(
    executors: Sequence[ExecutorFacts], missed: Sequence[str], deadline: float
) -> Iterator[Finding]:
    if missed:
        yield Finding(
            "live executors did not answer",
            f"{_some(missed)}, within {deadline:g} s",
            "they are busy with other tasks, still unpack the archive, or their Python hangs while"
            " it starts",
            "captain.verify(deadline=120), or once the running jobs are done",
        )
    elif not executors:
        yield Finding(
            "there is no executor to ask",
            f"none came up within {deadline:g} s",
            "the cluster has no free cores or memory for this application",
            "look at the cluster's UI, ask for less (spark.executor.cores, spark.executor.memory),"
            " or captain.verify(deadline=120)",
            severity="error",
        )


def _aboard(
    executors: Sequence[ExecutorFacts], lock: Lock, base: Lock, ships_python: bool
) -> Iterator[Finding]:
    strangers = [e for e in executors if not e.lock_digest or (ships_python and not _is_shipped(e))]
    fitting = [e for e in executors if e not in strangers]
    yield from _strangers(strangers)
    yield from _other_locks(fitting, base)
    yield from _distributions(fitting, lock)
    yield from _conda_packages(fitting, lock)
    yield from _unsettled(fitting)
    yield from _foreign_files(fitting if ships_python else ())


def _is_shipped(executor: ExecutorFacts) -> bool:
    """True if the interpreter lies in the archive itself, unlike a venv's, which is elsewhere.

    Both are real paths.
    """
    return Path(executor.executable).is_relative_to(executor.prefix)


def _strangers(executors: Sequence[ExecutorFacts]) -> Iterator[Finding]:
    for executable, some in _grouped(executors, lambda e: e.executable):
        yield Finding(
            "another interpreter than the shipped one runs",
            f"{executable} on {_who(some)}",
            "PYSPARK_PYTHON or spark.pyspark.python was set after captain.launch_ship(), or the"
            " SparkContext was there before it",
            "unset both, then captain.launch_ship() and a new SparkContext",
            severity="error",
        )


def _other_locks(executors: Sequence[ExecutorFacts], lock: Lock) -> Iterator[Finding]:
    for digest, some in _grouped(
        (e for e in executors if e.lock_digest != lock.digest), lambda e: e.lock_digest
    ):
        yield Finding(
            "an environment of another lock is aboard",
            f"{digest[:12]} instead of {lock.digest[:12]} on {_who(some)}",
            "the session was started before the requirements changed, or by another Captain",
            "stop the session, captain.launch_ship(), and start it again",
            severity="error",
        )


def _distributions(executors: Sequence[ExecutorFacts], lock: Lock) -> Iterator[Finding]:
    for pin in lock.pins:
        if pin.name in _SPARKS_OWN:
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
            "files of conda packages name a folder that is not theirs",
            f"{_some(files)} on {_who(some)}",
            "the archive's folder cannot be written there, or its name is longer than the packages"
            " have room for; programs that read those files look elsewhere",
            "let executors unpack into a folder of their own with a shorter name: spark.local.dir,"
            " SPARK_WORKER_DIR, yarn.nodemanager.local-dirs",
        )


def _missing(name: str, version: str, executors: Sequence[ExecutorFacts]) -> Finding:
    return Finding(
        "a distribution is missing",
        f"{name} {version} on {_who(executors)}",
        "the archive was cut while it was sent or unpacked, or files were deleted on the node",
        "look for a full disk on that node, then start the session again",
        severity="error",
    )


def _other_version(
    name: str, wanted: str, found: str, executors: Sequence[ExecutorFacts]
) -> Finding:
    return Finding(
        "another version than the locked one is found first",
        f"{name} {found} instead of {wanted} on {_who(executors)}",
        "a folder on the node's PYTHONPATH, or one added by sc.addPyFile, has its own copy",
        "unset spark.executorEnv.PYTHONPATH, or take the package out of --py-files",
        severity="error",
    )


def _foreign_files(executors: Sequence[ExecutorFacts]) -> Iterator[Finding]:
    for files, some in _grouped(
        (e for e in executors if e.foreign_files), lambda e: e.foreign_files
    ):
        yield Finding(
            "files of the node are loaded into the interpreter",
            f"{_some(files)} on {_who(some)}",
            "LD_LIBRARY_PATH or LD_PRELOAD on the node, or a wheel that expects a library that it"
            " does not carry",
            "unset spark.executorEnv.LD_LIBRARY_PATH and LD_PRELOAD, or use a manylinux wheel of"
            " that package",
            severity="error",
        )


def _spark_versions(executors: Sequence[ExecutorFacts], versions: Versions) -> Iterator[Finding]:
    if _minor(versions.driver) != _minor(versions.jvm):
        yield Finding(
            "the driver's pyspark is not of its JVM's minor version",
            f"pyspark {versions.driver}, Spark {versions.jvm}",
            "SPARK_HOME names another Spark than the pyspark that is imported",
            f'unset SPARK_HOME, or pip install "pyspark=={".".join(_minor(versions.jvm))}.*" on the'
            " driver",
            severity="error",
        )
    others = (e for e in executors if _minor(e.pyspark) != _minor(versions.driver))
    for (version, path), some in _grouped(others, lambda e: (e.pyspark, e.pyspark_path)):
        yield Finding(
            "an executor's pyspark is not of the driver's minor version",
            f"{version} from {path} instead of {versions.driver} on {_who(some)}",
            "nodes with a Spark of their own put their pyspark.zip first on PYTHONPATH",
            f'pip install "pyspark=={".".join(_minor(version))}.*" on the driver, as the'
            " cluster has",
            severity="error",
        )


def _failed_imports(executors: Sequence[ExecutorFacts]) -> Iterator[Finding]:
    failures = [(module, error, e) for e in executors for module, error in e.import_errors.items()]
    for (module, error), some in _grouped(failures, lambda failure: failure[:2]):
        yield Finding(
            "a module cannot be imported",
            f"{module} on {_who([failure[2] for failure in some])}: {error.splitlines()[0]}",
            "it is not aboard, or a library that it needs is not",
            f'captain.add_pip_packages("{module.partition(".")[0]}")',
            severity="error",
        )


def _absent(executors: Sequence[ExecutorFacts], own: dict[str, Path]) -> Iterator[Finding]:
    for name, place in own.items():
        some = [e for e in executors if name in e.absent]
        if some:
            yield Finding(
                "a module of the driver is not aboard",
                f"{name} ({place}) on {_who(some)}",
                "functions that use it are pickled with its name only",
                _how_to_add(name, place),
            )


def _how_to_add(name: str, place: Path) -> str:
    if place.is_dir():
        return (
            f'import shutil; sc.addPyFile(shutil.make_archive("/tmp/{name}", "zip",'
            f' "{place.parent}", "{name}"))'
        )
    return f'sc.addPyFile("{place}")'


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


def explain(text: str) -> VerifyError | None:
    """What Spark's text about a failed job means, as an error; None if it is not known."""
    found = _symptoms.explain(text)
    return (
        None
        if found is None
        else VerifyError(found.what, value=found.value, cause=found.cause, cure=found.cure)
    )
