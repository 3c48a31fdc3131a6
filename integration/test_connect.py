"""Spark Connect: a server on a standalone cluster whose nodes have no Python."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration import connect_lane, crowd_wheels
from integration.conftest import Lane
from integration.connect_lane import Server
from integration.crowd_checks import check_all
from integration.running import Ended, SparkPython, plain_environment

_TOKEN = "0123456789abcdef-hidden"
_WAIT = 400.0


@pytest.fixture(scope="module")
def server(standalone: Lane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    conf = {"spark.connect.authenticate.token": _TOKEN}
    folder = tmp_path_factory.mktemp("connect")
    with connect_lane.running(standalone.master, folder, conf) as one:
        yield one


@pytest.fixture(scope="module")
def alone(server: Server, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The end of a driver with pyspark-client."""
    return client_alone(server, store, tmp_path_factory.mktemp("only"))


def client_alone(server: Server, store: Path, folder: Path) -> Ended:
    url = f"{server.url}/;token={_TOKEN}"
    python = SparkPython(store=store, folder=folder)
    return python.checked("connect_only.py", url, env=connect_lane.client_alone())


def set_up(master: str, store: Path, folder: Path) -> Path:
    """What a server is started with to have what `connect_only.py` asks for."""
    asked = ("conf", "--pip", "humanize", "--master", master, "--format", "connect-server")
    done = subprocess.run(
        [sys.executable, "-m", "coffee_boat.cli", *asked],
        env=plain_environment(Path(sys.executable), store),
        check=True,
        capture_output=True,
        text=True,
    )
    folder.mkdir()
    (folder / "spark-defaults.conf").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def ended(
    server: Server, alone: Ended, store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Ended:
    """The driver's end; while it runs the server is started anew, with another environment."""
    assert alone.code == 0
    folder = tmp_path_factory.mktemp("driver")
    python = SparkPython(store=store, folder=folder)

    def start_anew() -> None:
        defaults = set_up(server.master, store, folder / "conf")  # while the driver works
        end = time.monotonic() + _WAIT
        while not (folder / "ready").exists() and time.monotonic() < end:
            time.sleep(0.1)
        server.end()
        server.defaults = defaults
        server.start()
        (folder / "restarted").touch()

    thread = threading.Thread(target=start_anew, daemon=True)
    thread.start()
    url = f"{server.url}/;token={_TOKEN}"
    return python.checked("connect.py", url, folder, env=connect_lane.client(), timeout=_WAIT)


@pytest.fixture(scope="module")
def told(ended: Ended) -> Any:
    return ended.result


@pytest.mark.turn(2)
def test_functions_made_before_follow_what_the_session_has(
    server: Server, store: Path, tmp_path: Path, kinds_of_functions: str
) -> None:
    crowd_wheels.write(tmp_path / "wheels")
    words = (f"{server.url}/;token={_TOKEN}", tmp_path / "wheels", kinds_of_functions)
    python = SparkPython(store=store, folder=tmp_path)
    check_all(
        python.checked("generations.py", *words, env=connect_lane.client(), timeout=_WAIT).result
    )


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


def test_packages_change_and_go_back_in_functions_that_were_made_before(told: Any) -> None:
    (changed,) = told["changed"]
    assert changed.split()[1:3] == ["True", "4.11.0"]
    assert "No module named 'edtf'" in told["removed"]
    *years, back = told["back"]
    assert years == [1984, 2004]
    assert back.split()[2] == "4.10.0"


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


def test_a_driver_without_a_jvm_does_the_same(alone: Ended) -> None:
    told = alone.result
    assert (told["context"], told["py4j"]) == (False, False)
    assert told["numbers"] == ["1.0 million"]
    assert told["by name"] == [[["1.0 million"]], [["a", 1], ["bcd", 3]]]
    assert told["ok"], told["report"]
    assert told["wanted"] == ["humanize", "pyarrow"]
    assert "sending boat-" in alone.stderr


def test_a_server_that_has_it_is_sent_nothing(
    server: Server, ended: Ended, store: Path, tmp_path: Path
) -> None:
    assert ended.code == 0, "the server was started anew by then"
    again = client_alone(server, store, tmp_path)
    assert again.result["ok"], again.result["report"]
    assert again.result["numbers"] == ["1.0 million"]
    assert "the server has the environment already" in again.stderr
    assert "sending" not in again.stderr
