"""Spark Connect without a server: what a session is sent and told, and what its failures mean.

What a real server does with it: integration/test_connect.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_submit import fake_spark

from coffee_boat import Captain, LaunchError, ShipError, VerifyError
from coffee_boat._support.store import Store
from coffee_boat.clusters import kind_of, kind_of_running, probe
from coffee_boat.model import (
    SQL_PYTHON,
    Archive,
    Arrival,
    ConfPatch,
    Generation,
    History,
    Lock,
    Manifest,
    Pin,
    Report,
    Shipped,
    SparkFacts,
    Target,
)
from coffee_boat.session import Versions, reach, record
from coffee_boat.session.connect import ConnectSession
from coffee_boat.session.findings import spark_versions
from coffee_boat.session.handed import session_of
from coffee_boat.session.live import LiveSession
from coffee_boat.session.reading import how_far
from coffee_boat.spark import connect, submission
from coffee_boat.spark import facts as spark_facts
from coffee_boat.worker import startup
from coffee_boat.workflow import refusals, remote
from coffee_boat.workflow.attach import Attached
from coffee_boat.workflow.request import Request
from coffee_boat.workflow.tools import Tools

URL = "sc://localhost:15002"
LOCK = Lock(Target("3.11.7", glibc=(2, 28)))


class GrpcError(Exception):
    """As pyspark's client raises it."""


GrpcError.__module__ = "pyspark.errors.exceptions.connect"


class UnsupportedOperationException(GrpcError):  # noqa: N818  as it is called
    """What pyspark makes of some answers, as those of Sail, whose words do not tell it."""

    __module__ = "pyspark.errors.exceptions.connect"


class Server:
    """A session, and a server that keeps its settings; `fails` makes every call of it fail."""

    session_id, version, is_stopped = "5a0c", "4.3.0", False

    def __init__(self, conf: Mapping[str, str] | None = None) -> None:
        self.settings = dict(conf or {})
        self.sent: list[str] = []
        self.fails: Exception | None = None
        self.streams = SimpleNamespace(active=[])
        self.conf = SimpleNamespace(get=self._get, set=self._set)
        self.client = SimpleNamespace(
            is_closed=False,
            _server_session_id="one",
            _builder=SimpleNamespace(endpoint="localhost:15002", metadata=lambda: ()),
            _config_request_with_metadata=self._request,
            _stub=SimpleNamespace(Config=self._config),
        )
        self.server_session = "one"

    def addArtifacts(self, path: str, *, archive: bool) -> None:  # noqa: N802  Spark's name
        self._fail()
        assert archive
        self.sent.append(path)

    def _get(self, key: str, default: str | None) -> str | None:
        self._fail()
        return self.settings.get(key, default)

    def _set(self, key: str, value: str) -> None:
        self._fail()
        self.settings[key] = value

    def _request(self) -> Any:
        pairs: list[Any] = []

        def add() -> Any:
            pairs.append(SimpleNamespace(key="", value=""))
            return pairs[-1]

        asked = SimpleNamespace(pairs=SimpleNamespace(add=add, all=pairs))
        return SimpleNamespace(operation=SimpleNamespace(get_with_default=asked))

    def _config(self, request: Any, *, metadata: Any, timeout: float) -> Any:
        self._fail()
        assert (metadata, timeout < 60) == ((), True)
        for pair in request.operation.get_with_default.pairs.all:
            pair.value = self.settings.get(pair.key, pair.value)
        pairs = request.operation.get_with_default.pairs.all
        return SimpleNamespace(pairs=pairs, server_side_session_id=self.server_session)

    def _fail(self) -> None:
        if self.fails is not None:
            raise self.fails


Server.__module__ = "pyspark.sql.connect.session"


@pytest.fixture
def server() -> Server:
    return Server()


def shipped(folder: Path, name: str = "ab" * 32, *, has_python: bool = True) -> Shipped:
    path = folder / f"{name}.tar.gz"
    path.write_bytes(b"an archive")
    archive = Archive(
        id=name,
        path=str(path),
        size=10,
        chunks=(),
        target=LOCK.target,
        lock_digest=LOCK.digest,
        has_python=has_python,
    )
    return Shipped(archive, path.as_uri())


# which server


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("sc://host", "sc://host:15002"),
        ("sc://me:secret@host:7/;token=secret;user_id=me", "sc://host:7"),
        ("sc://[::1]:7/;use_ssl=true", "sc://[::1]:7"),
    ],
)
def test_nothing_but_host_and_port_of_an_address_is_kept(url: str, address: str) -> None:
    assert connect.address(url) == address
    assert spark_facts.of_master(url).master == address


@pytest.mark.parametrize("url", ["sc://", "sc:///;token=secret", "sc://host:port", "sc://[::1"])
def test_an_address_that_is_none_is_refused_without_what_is_secret_in_it(url: str) -> None:
    with pytest.raises(LaunchError) as error:
        connect.address(url)
    assert error.value.code == "launch.connect-address-invalid"
    assert "secret" not in str(error.value)


def test_its_port_is_asked_before_anything_is_built(tmp_path: Path) -> None:
    captain = Captain(store=tmp_path).add_pip_packages("no-such-package")
    with pytest.raises(LaunchError, match="server does not answer") as error:
        captain.launch_ship(master="sc://127.0.0.1:1/;token=secret")
    assert error.value.value == "sc://127.0.0.1:1"
    assert not captain.manifest.findings


def test_through_a_proxy_nobody_knocks_at_its_own_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    assert probe(SparkFacts("4.3.0", "sc://127.0.0.1:1")).nodes == ()


@pytest.mark.parametrize("python", [True, False])
def test_an_interpreter_has_to_travel(tmp_path: Path, python: bool) -> None:
    made = shipped(tmp_path, has_python=python)
    facts = SparkFacts("4.3.0", URL)
    if python:
        patch = kind_of_running(URL).patch(facts, made, environment=None)
        assert patch == ConfPatch(f"./{made.archive.name}/bin/python3.11")
    else:
        with pytest.raises(LaunchError, match="packages alone cannot be sent"):
            kind_of(URL).patch(facts, made, environment=None)


def test_nothing_is_submitted_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", fake_spark(tmp_path).home)
    captain = Captain(store=tmp_path / "store").add_pip_packages("no-such-package")
    (job := tmp_path / "job.py").write_text("print(1)\n")
    with pytest.raises(LaunchError, match="spark-submit cannot bring") as error:
        captain.submit(job, master="sc://me:secret@host")
    assert "secret" not in str(error.value)


# a session


def test_an_archive_is_sent_once_by_its_name(server: Server, tmp_path: Path) -> None:
    (folder := tmp_path / "a folder; 100% #1").mkdir()
    session, made = session_of(server), shipped(folder)
    session.send(made)
    session.send(made)
    assert server.sent == [f"{(folder / made.archive.path).as_uri()}#{made.archive.name}"]
    assert session.archives() == (made.archive.name,)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("(grpc._channel) status = StatusCode.UNIMPLEMENTED", "ship.connect-no-artifacts"),
        ("artifacts are not yet supported", "ship.connect-no-artifacts"),
        ("StatusCode.RESOURCE_EXHAUSTED: No space left", "ship.connect-refused"),
        ("something else", "ship.connect-refused"),
        ("[INVALID_HANDLE.SESSION_CHANGED] The handle", "session.connect-ended"),
        ("[NO_ACTIVE_SESSION] No active Spark session found", "session.connect-ended"),
        ("<StatusCode.UNAVAILABLE, failed to connect to all>", "launch.connect-unreachable"),
        ("UNAUTHENTICATED: Invalid authentication token", "launch.connect-denied"),
    ],
)
def test_what_a_server_says_to_an_archive_is_told_with_what_to_do(
    server: Server, tmp_path: Path, text: str, code: str
) -> None:
    session = session_of(server)
    server.fails = GrpcError(f"{text} sc://host/;token=secret")
    with pytest.raises(ShipError) as error:
        session.send(shipped(tmp_path))
    assert error.value.code == code
    assert error.value.cure
    assert "secret" not in str(error.value)
    assert session.archives() == ()


def test_a_server_that_lacks_the_call_is_known_by_the_kind_of_its_error(
    server: Server, tmp_path: Path
) -> None:
    session = session_of(server)
    server.fails = UnsupportedOperationException("handle add artifacts")
    with pytest.raises(ShipError) as error:
        session.send(shipped(tmp_path))
    assert error.value.code == "ship.connect-no-artifacts"
    assert "handle add artifacts" in error.value.cause


def test_what_is_set_is_the_interpreter_that_counts_and_our_marks(server: Server) -> None:
    session = session_of(server)
    patch = ConfPatch("./boat-1/bin/python3.11", environment={"PYTHONHOME": ""})
    marks = record.marks(patch, LOCK, ships_python=True)
    session.activate(patch, marks)
    assert server.settings == {**marks, SQL_PYTHON: "./boat-1/bin/python3.11"}
    newest = session.place("boat-gen-2/bin/python3.11")
    bases = {startup.BASE: f"{newest}:./boat-gen-1/bin/python3.11"}
    session.activate(ConfPatch("./boat-1/bin/python3.11", environment=bases))
    assert server.settings == {**marks, SQL_PYTHON: "./boat-gen-2/bin/python3.11"}
    assert record.LOCK in session.facts().conf
    assert session.facts().master == URL


@pytest.mark.parametrize("end", ["", "closed", "gone", "restarted", "made anew"])
def test_a_session_runs_until_its_server_does_not_know_it(server: Server, end: str) -> None:
    session = session_of(server)
    patch = ConfPatch("./boat-1/bin/python3.11")
    session.activate(patch, record.marks(patch, LOCK, ships_python=True))
    if end == "closed":
        server.client.is_closed = True
    elif end == "gone":
        server.fails = GrpcError("StatusCode.UNAVAILABLE")
    elif end == "restarted":
        server.server_session = "two"
    elif end == "made anew":  # Spark 3.5 does so under the old id, without our settings
        server.settings.clear()
    assert session.alive is not bool(end)


@pytest.mark.parametrize(
    ("text", "code", "cure"),
    [
        ("[INVALID_HANDLE.SESSION_CLOSED]", "session.connect-ended", "captain.board(spark)"),
        ("StatusCode.UNAVAILABLE", "launch.connect-unreachable", "start it"),
        ("StatusCode.UNAUTHENTICATED", "launch.connect-denied", "token="),
        ("what no server says", "session.connect-ended", "captain.board(spark)"),
    ],
)
def test_one_that_is_gone_is_not_boarded(
    server: Server, tmp_path: Path, text: str, code: str, cure: str
) -> None:
    server.fails = GrpcError(text)
    with pytest.raises(LaunchError) as error:
        Captain(store=tmp_path).board(server)  # type: ignore[arg-type]
    assert error.value.code == code
    assert cure in error.value.cure


def test_a_setting_that_cannot_be_made_is_told(server: Server) -> None:
    session = session_of(server)
    server.fails = GrpcError("[INVALID_HANDLE.SESSION_CLOSED] Session was closed.")
    with pytest.raises(VerifyError, match="session has ended"):
        session.activate(ConfPatch("./boat-1/bin/python3.11"))
    server.fails = GrpcError("(UNIMPLEMENTED) no such call")
    with pytest.raises(VerifyError, match="does not do what was asked") as error:
        session.activate(ConfPatch("./boat-1/bin/python3.11"))
    assert "lacks a call" in error.value.cure
    server.fails = ZeroDivisionError("ours")
    with pytest.raises(ZeroDivisionError):
        session.facts()


def test_what_of_it_a_change_does_not_reach_is_its_streams(server: Server) -> None:
    session = session_of(server)
    assert list(reach.not_reached(session, ships_python=True)) == []
    server.streams.active.append(SimpleNamespace(name="clicks", id="1"))
    (found,) = reach.not_reached(session, ships_python=True)
    assert (found.code, found.value) == ("session.streams-unchanged", "clicks")


# what a captain does with it


def test_who_asks_it_for_something_once_it_is_gone_is_told_so(server: Server, store: Store) -> None:
    live = LiveSession(session_of(server), History((Generation("p", LOCK, LOCK),)), store)
    with Captain(store=store.root) as captain:
        last = Attached(live, captain._work.tools)
    assert refusals.no_session(last).code == "session.not-running"
    server.server_session = "of a server that was started anew"
    refused = refusals.no_session(last)
    assert refused.code == "session.connect-ended"
    assert "captain.board(spark)" in refused.cure


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[Tools]:
    with Captain(store=tmp_path / "store") as captain:
        yield captain._work.tools


@pytest.mark.parametrize(
    ("spark", "asked", "brought"),
    [
        ("4.3.0", ["humanize"], ["humanize", "pyarrow"]),
        ("4.2.1", ["humanize"], ["humanize", "pyarrow"]),
        ("4.1.4", ["humanize"], ["humanize"]),
        ("3.5.9", ["humanize"], ["humanize"]),
        ("4.3.0", ["PyArrow==20"], ["PyArrow==20"]),
    ],
)
def test_pyarrow_is_brought_where_functions_need_it(
    tools: Tools, spark: str, asked: list[str], brought: list[str]
) -> None:
    from coffee_boat import requirements

    manifest = requirements.pip_packages(asked, origin="test")
    made = remote.with_arrow(tools, Request((Manifest(), manifest)), None, spark)
    assert [text.lower() for text in made.manifest.texts] == [text.lower() for text in brought]


def test_of_a_lock_file_without_it_that_is_told() -> None:
    (found,) = remote.arrow_missing(LOCK, "4.3.0")
    assert found.severity == "error"
    assert 'add_pip_packages("pyarrow")' in found.cure
    assert list(remote.arrow_missing(LOCK, "4.1.0")) == []


def test_a_server_that_has_our_lock_already_is_sent_nothing(server: Server) -> None:
    there = "../boat-1/bin/python3.11"
    server.settings = record.marks(ConfPatch(there), LOCK, ships_python=True)
    conf = session_of(server).facts().conf
    assert remote.on_server(conf, LOCK) == ConfPatch(there)
    other = Lock(LOCK.target, (Pin("alpha", "1.0", url="https://x.org/a.whl"),))
    assert remote.on_server(conf, other) is None
    assert remote.on_server({}, LOCK) is None


def test_a_servers_mark_makes_no_session_ours(server: Server, store: Store) -> None:
    patch = ConfPatch("../boat-1/bin/python3.11")
    server.settings = record.marks(patch, LOCK, ships_python=True)
    record.remember_lock(store, LOCK)
    session = session_of(server)
    assert remote.recalled(store, session) is None
    first = Generation(patch.python, LOCK, LOCK)
    live = LiveSession(session, History((first,)), store)
    assert remote.recalled(store, session) == live.history


def test_settings_of_a_server_name_the_folder_above_its_sessions(tmp_path: Path) -> None:
    python = "./boat-1/bin/python3.11"
    patch = ConfPatch(
        python,
        conf={
            "spark.archives": "file:///store/a.tar.gz#boat-1",
            SQL_PYTHON: python,
            **record.marks(ConfPatch(python), LOCK, ships_python=True),
        },
        environment={"PYTHONNOUSERSITE": "1"},
    )
    spark = fake_spark(tmp_path)
    facts = spark_facts.facts_of(spark, master="spark://host:7077", python="/usr/bin/python3")
    text = submission.as_connect_server(submission.order(spark, facts, patch))
    conf = spark_facts.facts_of(fake_spark(tmp_path / "server", defaults=text)).conf
    assert conf == {
        "spark.master": "spark://host:7077",
        "spark.archives": "file:///store/a.tar.gz#boat-1",
        "spark.executorEnv.PYTHONNOUSERSITE": "1",
        SQL_PYTHON: f".{python}",
        **record.marks(ConfPatch(f".{python}"), LOCK, ships_python=True),
    }


# what is told


def test_what_is_known_is_said_to_be_what_was_seen() -> None:
    report = Report((), (), LOCK, "4.1.1", "4.3.0", 1.0, rounds=2, complete=False)
    assert "0 executors seen in 1.0 s, 2 rounds (Spark: client 4.1.1, server 4.3.0)" in str(report)
    arrival = Arrival((), None, ("0",), (), {}, complete=False)
    assert "confirmed by 1 executor, those seen" in str(arrival)


@pytest.mark.parametrize(
    ("client", "executor", "codes"),
    [
        ("4.3.1", "4.3.0", []),
        ("4.1.1", "4.3.0", ["verify.client-other-spark"]),
        ("4.1.1", "4.1.1", ["verify.executor-other-than-server", "verify.client-other-spark"]),
    ],
)
def test_executors_are_held_against_the_server(
    client: str, executor: str, codes: list[str]
) -> None:
    facts: Any = SimpleNamespace(pyspark=executor, pyspark_path="/x", executor="0", host="h")
    found = spark_versions([facts], Versions(client, "4.3.0", remote=True))
    assert [each.code for each in found] == codes


def test_how_far_a_file_was_read_is_known_while_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(100))
    assert how_far(path) is None
    with path.open("rb", buffering=0) as opened:
        opened.read(40)
        assert how_far(path) == 40


def test_a_repr_of_a_session_shows_no_token() -> None:
    server = Server()
    server.client._builder = SimpleNamespace(endpoint="localhost:15002", url="token=secret")
    assert not re.search("secret", repr(ConnectSession(server)) + ConnectSession(server).master)
