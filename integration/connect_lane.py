"""A Spark Connect server for tests, and what its clients need that this Python need not have."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from integration.beds import _processes
from integration.beds.standalone import spark
from integration.venvs import tools_venv

_CLASS = "org.apache.spark.sql.connect.service.SparkConnectServer"
_CLIENT = "pyspark-client==4.1.1"
"""Of another minor version than the server, as clients may be."""
_SECONDS = 90.0


@dataclass
class Server:
    """A process that takes sessions, and runs them on a cluster."""

    master: str
    folder: Path
    conf: Mapping[str, str] = field(default_factory=dict)
    defaults: Path | None = None
    """A folder with a spark-defaults.conf."""
    port: int = 0
    _process: _processes.Process | None = None

    @property
    def url(self) -> str:
        return f"sc://localhost:{self.port}"

    def start(self) -> None:
        """Start it, on the port that it had before; wait until it listens.

        Raises:
            AssertionError: it does not come up.
        """
        if not self.port:
            (self.port,) = _processes.free_ports(1)
        installation = spark.find()
        conf = {
            "spark.connect.grpc.binding.port": str(self.port),
            "spark.ui.enabled": "false",
            **self.conf,
        }
        said = [word for key, value in conf.items() for word in ("--conf", f"{key}={value}")]
        submit = (str(installation.home / "bin" / "spark-submit"), "--master", self.master)
        log = self.folder / "server.log"
        self._process = _processes.start(
            [*submit, "--class", _CLASS, *said, "spark-internal"],
            record=self.folder / "server",
            log=log,
            env={
                **installation.environment("127.0.0.1"),
                **({"SPARK_CONF_DIR": str(self.defaults)} if self.defaults else {}),
            },
        )
        end = time.monotonic() + _SECONDS
        while not self._listens():
            text = log.read_text(errors="replace")
            assert self._process.alive, text[-3000:]
            assert time.monotonic() < end, text[-3000:]
            time.sleep(0.1)

    def end(self) -> None:
        """Kill it: its clients are told nothing."""
        if self._process is not None:
            self._process.kill()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("localhost", self.port), timeout=1).close()
        except OSError:
            return False
        return True


@contextmanager
def running(master: str, folder: Path, conf: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server for as long as the block lasts."""
    server = Server(master, folder, conf or {})
    try:
        server.start()
        yield server
    finally:
        server.end()


def client() -> dict[str, str]:
    """Variables of a driver of this Python that has what pyspark's own extra `connect` names."""
    found = map(Requirement, metadata.requires("pyspark") or ())
    wanted = [
        f"{each.name}{each.specifier}"
        for each in found
        if each.marker is not None and each.marker.evaluate({"extra": "connect"})
    ]
    return _importable(tools_venv("connect", *wanted))


def client_alone() -> dict[str, str]:
    """Variables of a driver with pyspark-client: it has no JVM and no SparkContext."""
    return _importable(tools_venv("connect-only", _CLIENT))


def _importable(venv: Path) -> dict[str, str]:
    (packages,) = venv.glob("lib/python*/site-packages")
    return {"PYTHONPATH": str(packages), "PYTHONWARNINGS": "ignore::FutureWarning"}
