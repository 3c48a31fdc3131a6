"""spark://host:port[,host:port...]: the masters' ports, and what the leading one's web UI says as
JSON.

A driver is told the port for applications only. The UI is looked for where Spark puts it
(`spark.master.ui.port`, 8080): what is not found there, or is another master's, is not known.
Fields: org.apache.spark.deploy.JsonProtocol.writeMasterState.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from coffee_boat._support import limits, parse
from coffee_boat._support.redact import redact
from coffee_boat._support.urls import lenient
from coffee_boat._support.words import GIB, MIB, human_bytes, spark_bytes
from coffee_boat.errors import LaunchError
from coffee_boat.model import ClusterFacts, Finding, NodeFacts, SparkFacts
from coffee_boat.spark import diagnosis

_CONNECT = 3.0
"""Seconds for a connection to the port that has to be there."""
_FIND, _READ = 0.2, 2.0
"""Seconds for a connection to the UI, which may be elsewhere, or behind a firewall that drops what
it does not let through; and for each read from it.
"""
_WHOLE = 30.0
"""Seconds for all of an answer."""
_LOG_BYTES = 65536
_UNHEARD_AFTER = 60_000
"""Milliseconds that an application may have executors which do not report: their JVMs start."""
_UNHEARD = Finding(
    "cluster.executors-do-not-report",
    "executors were started on workers and do not report to the driver",
    cause=(
        "they cannot reach the driver: its address is one that only this machine knows, or a"
        " firewall is between; or they end at once"
    ),
    cure=(
        "spark.driver.host=<an address that nodes reach>, and let spark.driver.port and"
        " spark.blockManager.port through; an executor's stderr in the worker's UI says more"
    ),
)
_NO_PAGE = (
    "a master answers, and its workers are not known: no page of its web UI tells of them"
    " (spark.master.ui.port)"
)
_UI_PORT = ("spark.master.ui.port", "8080")


def probe(facts: SparkFacts) -> ClusterFacts:
    """Its live workers.

    Raises:
        LaunchError: no master answers, there are no workers, or an executor fits on none of them.
    """
    masters = _masters(facts.master)
    _refuse_unreachable(facts.master, masters)
    state = _state(facts, masters)
    if state is None:
        return ClusterFacts(facts.master, "Spark standalone", not_known=_NO_PAGE)
    workers = state.workers
    _refuse_too_small(facts, workers)
    nodes = tuple(NodeFacts(host) for host in dict.fromkeys(worker.host for worker in workers))
    return ClusterFacts(
        facts.master, f"Spark standalone, {_cores(workers)}", nodes, tuple(_busy(facts, workers))
    )


def waiting(facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:
    """What became of the workers, and what the master did for the application."""
    state = _state(facts, _masters(facts.master))
    if state is None:
        return ()
    workers = state.workers
    try:
        _refuse_too_small(facts, workers)
    except LaunchError as error:
        return (Finding.of(error.problem, "error"),)
    ours = next((one for one in state.applications if one.id == application), _Application())
    if ours.state == "WAITING":
        return tuple(_busy(facts, workers))
    ended = next(
        (
            finding
            for worker in workers
            if (finding := _ended(worker, str(application))) is not None
        ),
        None,
    )
    if ended is not None:
        return (ended,)
    return (_UNHEARD,) if ours.duration > _UNHEARD_AFTER else ()


@dataclass(frozen=True)
class _Worker:
    """A live one."""

    host: str
    cores: int
    memory: int
    """MiB."""
    free_cores: int
    free_memory: int
    """MiB."""
    ui: str = ""
    """Host and port of its own web UI."""


@dataclass(frozen=True)
class _Application:
    id: str = ""
    state: str = ""
    duration: int = 0
    """Milliseconds."""


@dataclass(frozen=True)
class _State:
    """What a master says."""

    workers: tuple[_Worker, ...]
    applications: tuple[_Application, ...]


@dataclass(frozen=True)
class _Wanted:
    """One executor."""

    cores: int
    memory: int
    """MiB."""

    def __str__(self) -> str:
        return f"{human_bytes(self.memory * MIB)} and {_counted(self.cores, 'core')}"


# who is there


def _masters(master: str) -> list[tuple[str, int]]:
    """Host and port of each: "spark://a:7077,b:7077"."""
    places = [place.rpartition(":") for place in master.removeprefix("spark://").split(",")]
    wrong = [
        place
        for place in places
        if not place[0] or not place[2].isdigit() or not 0 < int(place[2]) < 65536
    ]
    if wrong or "@" in master:
        raise LaunchError(
            "launch.master-invalid",
            "the master cannot be used",
            value=redact(master),
            cause="it is not a valid host and port",
            cure="spark://host:7077",
        )
    return [(host.strip("[]"), int(port)) for host, _, port in places]


def _refuse_unreachable(master: str, masters: Sequence[tuple[str, int]]) -> None:
    refusals = []
    for host, port in masters:
        refusal = _refusal(host, port)
        if refusal is None:
            return
        refusals.append(refusal)
    raise LaunchError(
        "launch.master-unreachable",
        "the cluster's master cannot be reached",
        value=redact(master),
        cause="; ".join(refusals),
        cure=(
            "check host and port (the page of the master's UI begins with its spark:// URL), that"
            " it runs, and that no firewall is between"
        ),
    )


def _refusal(host: str, port: int) -> str | None:
    """Why nobody answers there; None if somebody does."""
    import socket

    try:
        socket.create_connection((host, port), timeout=_CONNECT).close()
    except OSError as error:
        return f"{host}:{port}: {error.strerror or error}"
    return None


# what it says


def _state(facts: SparkFacts, masters: Sequence[tuple[str, int]]) -> _State | None:
    """Of the master that leads; None if no UI tells it."""
    port = facts.conf.get(*_UI_PORT)
    if not port.isdigit():
        return None
    states = (_json(_page(f"{host}:{port}", "/json/")) for host, _ in masters)
    names = {f"spark://{host}:{number}" for host, number in masters}
    leading = next(
        (
            state
            for state in states
            if state is not None and state.get("status") == "ALIVE" and _is_one_of(names, state)
        ),
        None,
    )
    return None if leading is None else _read(leading)


def _is_one_of(names: set[str], state: Mapping[str, Any]) -> bool:
    """False for a master on another port of that machine.

    It may call itself by another name of the host.
    """
    return str(state.get("url")).rpartition(":")[2] in {name.rpartition(":")[2] for name in names}


def _page(ui: str, path: str) -> bytes | None:
    """What a web UI shows; None if nobody answers, or another program does."""
    import http.client
    from contextlib import closing

    if not ui:
        return None
    try:
        with closing(http.client.HTTPConnection(ui, timeout=_FIND)) as connection:
            connection.connect()
            connection.sock.settimeout(_READ)
            connection.request("GET", path)
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                return None
            return limits.read_answer(answer, seconds=_WHOLE)
    except (
        OSError,
        UnicodeError,
        http.client.HTTPException,
    ):  # the second for what cannot be a host's name
        return None


def _json(page: bytes | None) -> Mapping[str, Any] | None:
    try:
        said = parse.json(page or b"null")
    except ValueError:
        return None
    return said if isinstance(said, Mapping) else None


def _read(said: Mapping[str, Any]) -> _State | None:
    """Its live workers and its applications; None if it tells them in another way than we know."""
    try:
        live = [worker for worker in said["workers"] if worker["state"] == "ALIVE"]
        workers = (
            _Worker(
                str(w["host"]),
                int(w["cores"]),
                int(w["memory"]),
                int(w["coresfree"]),
                int(w["memoryfree"]),
                lenient(w.get("webuiaddress", "")).netloc,
            )
            for w in live
        )
        applications = (
            _Application(str(app["id"]), str(app["state"]), int(app["duration"]))
            for app in said["activeapps"]
        )
        return _State(tuple(workers), tuple(applications))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _ended(worker: _Worker, application: str) -> Finding | None:
    """Why the application's latest executor on a worker ended while it started, by its stderr; None
    if none did, or its words are not known.
    """
    said = _json(_page(worker.ui, "/json/")) or {}
    try:
        executors = [
            int(executor["id"])
            for executor in said.get("finishedexecutors", ())
            if executor["appid"] == application
        ]
    except (KeyError, TypeError, ValueError):
        return None
    if not executors:
        return None
    wanted = {
        "appId": application,
        "executorId": executors[-1],
        "logType": "stderr",
        "byteLength": _LOG_BYTES,
    }
    log = _page(worker.ui, f"/log/?{urlencode(wanted)}")
    found = diagnosis.explain((log or b"").decode("utf-8", "replace"))
    return (
        None
        if found is None
        else replace(found, value=f"{found.value} on {worker.host} (executor {executors[-1]})")
    )


# what does not fit


def _wanted(facts: SparkFacts) -> _Wanted | None:
    """None if the settings cannot be read; Spark says that itself."""
    memory = spark_bytes(facts.conf.get("spark.executor.memory", "1g"), unit=MIB)
    cores = facts.conf.get("spark.executor.cores", "1")
    return _Wanted(int(cores), memory // MIB) if memory is not None and cores.isdigit() else None


def _refuse_too_small(facts: SparkFacts, workers: Sequence[_Worker]) -> None:
    if not workers:
        raise LaunchError(
            "cluster.no-live-worker",
            "the cluster has no live worker",
            value=redact(facts.master),
            cause=(
                "none is registered with this master, or they were lost: an application would wait"
                " for resources without end"
            ),
            cure=f"start one: $SPARK_HOME/sbin/start-worker.sh {redact(facts.master)}",
        )
    wanted = _wanted(facts)
    if wanted is None or any(
        worker.memory >= wanted.memory and worker.cores >= wanted.cores for worker in workers
    ):
        return
    largest = max(workers, key=lambda worker: (worker.memory, worker.cores))
    raise LaunchError(
        "cluster.executor-fits-nowhere",
        "an executor fits on no worker",
        value=f"spark.executor.memory and spark.executor.cores ask for {wanted}",
        cause=(
            f"the largest of {_counted(len(workers), 'worker')}, {largest.host}, has"
            f" {human_bytes(largest.memory * MIB)} and {_counted(largest.cores, 'core')}"
        ),
        cure=(
            "ask for less:"
            f" spark.executor.memory={human_bytes(min(largest.memory, wanted.memory) * MIB)},"
            f" spark.executor.cores={min(largest.cores, wanted.cores)}"
        ),
    )


def _busy(facts: SparkFacts, workers: Sequence[_Worker]) -> list[Finding]:
    wanted = _wanted(facts)
    if wanted is None or any(
        worker.free_memory >= wanted.memory and worker.free_cores >= wanted.cores
        for worker in workers
    ):
        return []
    free = ", ".join(
        f"{w.host}: {human_bytes(w.free_memory * MIB)} and {_counted(w.free_cores, 'core')}"
        for w in workers[:3]
    )
    return [
        Finding(
            "cluster.workers-busy",
            "no worker has room for an executor now",
            value=f"{wanted} wanted, free are {free}",
            cause="other applications hold them: this one waits until they end",
            cure=(
                "end one (a notebook that is left open counts), or ask for less:"
                " spark.executor.memory, spark.executor.cores"
            ),
        )
    ]


def _cores(workers: Sequence[_Worker]) -> str:
    memory = sum(worker.memory for worker in workers) * MIB
    return (
        f"{_counted(len(workers), 'worker')},"
        f" {_counted(sum(worker.cores for worker in workers), 'core')}, {memory / GIB:.1f} GiB"
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
