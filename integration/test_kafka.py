"""Python in the middle of Kafka Streams: a real broker, the program of examples/kafka_streams, and
workers from an archive that are killed while records flow.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lanes import cannot_run

from integration import kafka_lane
from integration.beds import BedCannotRun
from integration.beds._processes import Process
from integration.conftest import timed
from integration.kafka_lane import Jvm
from integration.venvs import cache_folder

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "kafka_streams"
RECORDS = 100_000
KILLED_AFTER = (20_000, 60_000)


@pytest.fixture
def jvm(tmp_path: Path) -> Jvm:
    sources = [*sorted(EXAMPLE.glob("*.java")), kafka_lane.HERE / "Check.java"]
    try:
        with timed("kafka: jars and classes"):
            return kafka_lane.compiled(cache_folder(), sources, tmp_path / "classes")
    except BedCannotRun as reason:
        cannot_run(str(reason))


@pytest.fixture
def python(tmp_path: Path, store: Path) -> Path:
    """Of an unpacked archive with the example's function."""
    boat = [sys.executable, "-m", "coffee_boat.cli"]
    environment = {**os.environ, "COFFEE_BOAT_STORE": str(store)}
    packed = ["pack", "--no-pyspark", "--pip", "edtf", "--local", str(EXAMPLE / "words.py")]
    for words in ([*packed, "-o", "boat.tar.gz"], ["unpack", "boat.tar.gz", "boat"]):
        done = subprocess.run(
            [*boat, *words], cwd=tmp_path, env=environment, capture_output=True, text=True,
            check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path / "boat.tar.gz", ignore_errors=True)
    return tmp_path / "boat" / "bin" / "python"


@pytest.fixture
def streams(jvm: Jvm, python: Path, tmp_path: Path) -> Iterator[tuple[str, Any]]:
    """A broker's address, and what starts the example on it; it ends with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(broker: str) -> subprocess.Popen[bytes]:
        with (tmp_path / "streams.log").open("wb") as log:
            argv = jvm.argv(
                *("Words", broker, "lines", "words", str(python), "words:transform"),
                options=[f"-Dstate.dir={tmp_path}/state"],
            )
            started.append(
                subprocess.Popen(argv, env={"PATH": "/usr/bin:/bin"}, stdout=log, stderr=log)
            )
        return started[-1]

    with timed("kafka: up"), kafka_lane.broker(jvm, tmp_path) as broker:
        yield broker, start
        for process in started:
            process.kill()
            process.wait()


@pytest.mark.timeout(180)
def test_no_record_is_lost_when_workers_are_killed(
    jvm: Jvm, streams: tuple[str, Any], tmp_path: Path
) -> None:
    broker, start = streams
    check = subprocess.Popen(
        jvm.argv("Check", broker, str(RECORDS)),
        env=dict(jvm.environment()),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert check.stdout is not None
    killed, result, program = [], None, None
    for line in check.stdout:
        word, _, rest = line.strip().partition(" ")
        if word == "SENT":
            program = start(broker)
        elif word == "GOT" and program is not None:
            if len(killed) < len(KILLED_AFTER) and int(rest) >= KILLED_AFTER[len(killed)]:
                killed += kill_worker(program.pid)
        elif word == "RESULT":
            result = json.loads(rest)
    log = (tmp_path / "streams.log").read_text("utf-8", "replace")
    assert check.wait(30) == 0, log[-3000:]
    assert len(set(killed)) == len(KILLED_AFTER), log[-3000:]
    assert result == {
        "got": RECORDS,
        "different": RECORDS,
        "workers": len(KILLED_AFTER) + 1,
        "years": [1984],
    }, log[-3000:]
    assert program is not None
    program.send_signal(signal.SIGTERM)
    program.wait(30)
    assert not any("coffee_boat_worker" in line for line in log.splitlines())


def kill_worker(program: int) -> list[int]:
    """Kill the Python that a program of Java started."""
    (worker,) = children(program)
    os.kill(worker.pid, signal.SIGKILL)
    return [worker.pid]


def children(pid: int) -> list[Process]:
    line = Path(f"/proc/{pid}/stat").read_text()
    return Process(pid, int(line.rpartition(")")[2].split()[19])).children()
