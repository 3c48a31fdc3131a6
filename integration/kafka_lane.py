"""A real Kafka broker of one node (KRaft), and the programs that run against it: jars from Maven
Central, kept in the cache; our own classes compiled each time.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from integration.beds import BedCannotRun, BedFailed, _java, _maven
from integration.beds._cache import kept

HERE = Path(__file__).with_name("kafka")
_SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""
_UP = 60.0
"""Seconds for the broker to come up; it takes 4."""


@dataclass(frozen=True)
class Jvm:
    """Java with Kafka's jars, and classes of ours."""

    java: Path
    jars: Path
    classes: Path

    def argv(self, main: str, *words: str, options: Sequence[str] = ()) -> list[str]:
        """The command line of a class with a main."""
        path = f"{self.classes}{os.pathsep}{self.jars}/*"
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return [f"{self.java}/bin/java", "-Xmx512m", quiet, *options, "-cp", path, main, *words]

    def environment(self) -> Mapping[str, str]:
        """Of its processes: without class data that are of Spark's jars."""
        return {"PATH": os.environ["PATH"], **_java.handed_on()}


def jars(cache: Path) -> Path:
    """A folder with Kafka, Streams and what both need: 112 MB.

    Raises:
        BedCannotRun: there is no Maven, or they cannot be fetched.
    """
    pom = HERE / "pom.xml"

    def fetch(folder: Path) -> None:
        goal = "dependency:copy-dependencies"
        _maven.run("--file", str(pom), goal, f"-DoutputDirectory={folder}")

    return kept(cache / "kafka", "jars", [pom.read_bytes()], fetch)


def compiled(cache: Path, sources: Sequence[Path], into: Path) -> Jvm:
    """What runs against a broker.

    Raises:
        BedCannotRun: there is no compiler for Java, or no Maven.
        BedFailed: the sources cannot be compiled.
    """
    java, libraries = _java.home(), jars(cache)
    compiler = java / "bin" / "javac"
    if not compiler.is_file():
        raise BedCannotRun("no javac (Debian: apt-get install openjdk-17-jdk-headless)")
    argv = [
        str(compiler),
        "-Xlint:all,-serial",
        "-Werror",
        "-cp",
        f"{libraries}/*",
        "-d",
        str(into),
    ]
    done = subprocess.run(
        [*argv, *map(str, sources)], capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode != 0:
        raise BedFailed(done.stdout + done.stderr)
    return Jvm(java, libraries, into)


@contextmanager
def broker(jvm: Jvm, folder: Path) -> Iterator[str]:
    """A broker for as long as the block lasts; gives where it listens.

    Raises:
        BedFailed: it does not come up.
    """
    ports = _free_ports()
    settings = folder / "server.properties"
    settings.write_text(_SETTINGS.format(broker=ports[0], controller=ports[1], folder=folder))
    format_ = ("format", "--cluster-id", "coffee_boat-kafka-lane", "--config", str(settings))
    tool = jvm.argv("kafka.tools.StorageTool", *format_)
    subprocess.run(tool, env=dict(jvm.environment()), check=True, timeout=60, capture_output=True)
    with (folder / "broker.log").open("wb") as log:
        process = subprocess.Popen(
            jvm.argv("kafka.Kafka", str(settings)),
            env=dict(jvm.environment()),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(process, ports[0], folder / "broker.log")
        yield f"127.0.0.1:{ports[0]}"
    finally:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _UP
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise BedFailed(f"Kafka does not come up: {log.read_text('utf-8', 'replace')[-3000:]}")


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
