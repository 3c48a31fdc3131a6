"""Spark Connect: a server on a standalone cluster whose nodes have no Python."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration import connect_lane
from integration.conftest import Lane
from integration.connect_lane import Server
from integration.running import Ended, SparkPython

_TOKEN = "0123456789abcdef-hidden"
_WAIT = 240.0


@pytest.fixture(scope="module")
def server(standalone: Lane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    conf = {"spark.connect.authenticate.token": _TOKEN}
    folder = tmp_path_factory.mktemp("connect")
    with connect_lane.running(standalone.master, folder, conf) as one:
        yield one


@pytest.fixture(scope="module")
def alone(server: Server, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a driver with pyspark-client tells."""
    python = SparkPython(store=store, folder=tmp_path_factory.mktemp("only"))
    url = f"{server.url}/;token={_TOKEN}"
    return python.checked("connect_only.py", url, env=connect_lane.client_alone()).result


@pytest.fixture(scope="module")
def ended(server: Server, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The driver's end; while it runs the server is started anew."""
    folder = tmp_path_factory.mktemp("driver")
    python = SparkPython(store=store, folder=folder)

    def start_anew() -> None:
        end = time.monotonic() + _WAIT
        while not (folder / "ready").exists() and time.monotonic() < end:
            time.sleep(0.1)
        server.end()
        server.start()
        (folder / "restarted").touch()

    thread = threading.Thread(target=start_anew, daemon=True)
    thread.start()
    url = f"{server.url}/;token={_TOKEN}"
    return python.checked("connect.py", url, folder, env=connect_lane.client(), timeout=_WAIT)


@pytest.fixture(scope="module")
def told(ended: Ended) -> Any:
    return ended.result


def test_the_readmes_program_runs_through_a_server(told: Any) -> None:
    assert told["years"] == [1984, 2004]


def test_an_addition_is_seen_by_a_frame_that_was_computed_before(told: Any) -> None:
    assert (told["before"], told["after"]) == ([""], ["1.0 million"])
    assert "confirmed by 2 executors, those seen" in told["arrival"]


def test_verify_tells_of_those_that_were_seen(told: Any) -> None:
    assert told["ok"], told["report"]
    assert "2 executors seen" in told["report"]
    assert len(set(told["hosts"])) == 2
    assert not any(told["foreign"]), told["report"]


def test_two_sessions_have_different_versions_in_the_same_moment(told: Any) -> None:
    assert len(set(told["sessions"])) == 2
    (one,), (other,) = told["at once"]["one"], told["at once"]["other"]
    _, inside, version, began, ended = one.split()
    assert (inside, version) == ("True", "4.10.0")
    _, inside, version, other_began, other_ended = other.split()
    assert (inside, version) == ("True", "4.9.0")
    assert max(float(began), float(other_began)) < min(float(ended), float(other_ended))
    assert (told["running"], told["stopped"]) == ([True, True], [True, False])


def test_a_session_of_a_server_that_was_started_anew_is_gone_and_board_brings_it_back(
    told: Any,
) -> None:
    assert told["after restart"] is False
    code, text = told["gone"]
    assert code == "session.connect-ended"
    assert "captain.board(spark)" in text
    assert told["anew"] == ["1.0 million"]


def test_a_token_is_shown_nowhere(told: Any, ended: Ended, store: Path) -> None:
    code, _ = told["denied"]
    assert code == "launch.connect-denied"
    assert _TOKEN not in ended.stdout + ended.stderr
    written = [
        path for path in store.rglob("*") if path.is_file() and path.stat().st_size < 1 << 20
    ]
    assert not [path for path in written if _TOKEN.encode() in path.read_bytes()]


def test_a_driver_without_a_jvm_does_the_same(alone: Any) -> None:
    assert (alone["context"], alone["py4j"]) == (False, False)
    assert alone["numbers"] == ["1.0 million"]
    assert alone["ok"], alone["report"]
    assert alone["wanted"] == ["humanize", "pyarrow"]
