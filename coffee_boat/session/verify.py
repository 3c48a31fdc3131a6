"""Asks every executor what it runs, and says what does not fit.

"It started" is not enough: an interpreter that was copied badly once loaded the node's own
libpython. So each executor tells the real path of its interpreter, every file that is mapped into
it, the lock it was built from, and each distribution's version.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from coffee_boat.errors import VerifyError
from coffee_boat.model import Archive, ExecutorFacts, Finding, Lock, Report, Target
from coffee_boat.session import Session, own
from coffee_boat.session.findings import (
    aboard,
    absent,
    failed_imports,
    spark_versions,
    unreached,
    unshared,
)
from coffee_boat.worker import facts


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
    mine = own.driver_only_modules()
    try:
        answers = session.ask(facts.collect, tuple(modules), tuple(mine), deadline=deadline)
    except VerifyError as error:
        raise explain(error.cause) or error from error
    executors = tuple(
        _executor_facts(name, said)
        for name, said in sorted(
            answers.by_executor.items(), key=lambda item: (len(item[0]), item[0])
        )
    )
    findings = (
        *unreached(executors, answers.missed, deadline),
        *(aboard(executors, lock, base or lock, ships_python) if lock else ()),
        *spark_versions(executors, versions),
        *failed_imports(executors),
        *absent(executors, mine),
        *unshared(executors),
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
        complete=answers.complete,
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
        answers = session.ask(facts.boats, deadline=deadline, patient=False)
    except VerifyError as error:
        why = explain(error.cause) or error
        return (
            (),
            (),
            (
                Finding(
                    "verify.not-asked",
                    "executors could not be asked whether they have the added packages",
                    value=why.what,
                    cause=why.cause,
                    cure=why.cure,
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
    failed = {
        name: why
        for name in missed
        for said in answers.by_executor.get(name, ())
        if (why := said.removeprefix(f"{sent.name}: ")) != said
    }
    return having, missed, (*not_seen([n for n in missed if n not in failed]), *_failed(failed))


def _failed(why: Mapping[str, str]) -> tuple[Finding, ...]:
    """What is said of executors that cannot unpack what was sent."""
    if not why:
        return ()
    return (
        Finding(
            "verify.layer-not-unpacked",
            "executors cannot unpack the added packages",
            value="; ".join(f"executor {name}: {said}" for name, said in sorted(why.items())),
            cause="the disk with their working directory is full or read-only, or what they fetched"
            " was damaged on its way",
            cure="make room there: the next import tries again; an executor that Spark starts anew"
            " fetches it anew",
        ),
    )


def not_seen(missed: Sequence[str], *, composed: bool = False) -> tuple[Finding, ...]:
    """What is said of executors that did not confirm a change in time.

    Args:
        composed: they compose their environment of what they have (worker/compose.py).
    """
    if not missed:
        return ()
    then = (
        "they compose the environment when they start Python for the next job; one that cannot"
        " fails its tasks"
        if composed
        else "the packages are there from the next stage on"
    )
    return (
        Finding(
            "verify.not-confirmed",
            "executors have not confirmed the packages yet",
            value=", ".join(missed),
            cause=(
                "no task of ours could run there yet: other tasks keep all slots, or the executor"
                f" is still starting; {then}"
            ),
            cure="captain.verify() asks again",
            severity="note",
        ),
    )


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


def explain(text: str) -> VerifyError | None:
    """What Spark's text about a failed job means, as an error; None if it is not known."""
    found = own.explain(text)
    return None if found is None else VerifyError.of(found)
