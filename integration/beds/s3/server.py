"""Up and down: one process, and a state folder that tells of it.

STATE/
  lock          held while somebody changes the server
  cluster.json  options and port, written before it starts
  server        record of the process; server.log: what it said
  data/         a folder for each bucket; emptied by `down`
"""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from integration.beds import BedFailed, _processes, _state
from integration.beds._namespaces import Node
from integration.beds.s3 import programs

BUCKET = "boats"
"""There from the start: a folder of `data` is a bucket."""

_KEY, _SECRET, _REGION = "boatkey", "boatsecret", "us-east-1"
"""Of a server that holds test data and listens on this machine; the secret is handed over by the
environment all the same.
"""


@dataclass(frozen=True)
class Options:
    """What a server is to be."""

    cache: str
    """Where its program and the jars are kept."""
    address: str = "127.0.0.1"
    """Where it listens."""


@dataclass(frozen=True)
class Server:
    """A server that was started."""

    state: Path
    options: Options
    port: int

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://{self.options.address}:{self.port}"

    @property
    def exports(self) -> Mapping[str, str]:
        """What AWS's own libraries read."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_DEFAULT_REGION": _REGION,
        }

    @property
    def data(self) -> Path:
        """The folder that it serves."""
        return self.state / "data"

    def jars(self, hadoop: str) -> Path:
        """The folder with the jars that Spark needs for s3a://; see `programs.jars`."""
        return programs.jars(Path(self.options.cache), hadoop)

    @property
    def healthy(self) -> bool:
        """True if it answers."""
        process = _processes.recorded(self.state / "server")
        return process is not None and process.alive and self._answers()

    @property
    def summary(self) -> str:
        """One line for people."""
        return f"S3 {self.url}, bucket {BUCKET}{'' if self.healthy else ' (does not answer)'}"

    @property
    def nodes(self) -> tuple[Node, ...]:
        """None: it runs on this machine."""
        return ()

    def node(self, name: str) -> Node:
        """Raises: BedFailed, always."""
        raise BedFailed(f"no node {name!r}: the server runs on this machine")

    def logs(self) -> list[tuple[str, Path]]:
        """What it said."""
        return [("server", self.state / "server.log")]

    def start(self) -> None:
        """Start it, and wait until it serves."""
        (self.data / BUCKET).mkdir(parents=True)
        argv = [
            str(programs.server(Path(self.options.cache))),
            "--port",
            f"{self.options.address}:{self.port}",
            "--region",
            _REGION,
            "posix",
            str(self.data),
        ]
        _processes.start(
            argv,
            record=self.state / "server",
            log=self.state / "server.log",
            env={
                "ROOT_ACCESS_KEY_ID": _KEY,
                "ROOT_SECRET_ACCESS_KEY": _SECRET,
                "PATH": "/usr/bin:/bin",
            },
        )
        self._wait()

    def _wait(self, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not self.healthy:
            if time.monotonic() > deadline:
                raise BedFailed(
                    "the server did not come up:"
                    f" {(self.state / 'server.log').read_text(errors='replace')[-1500:]}"
                )
            time.sleep(0.1)

    def _answers(self) -> bool:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            direct.open(self.url, timeout=3).close()
        except urllib.error.HTTPError:  # it refuses who does not sign, and so is there
            return True
        except OSError:
            return False
        return True


def up(state: Path, options: Options) -> Server:
    """Start the server, or give the one that runs already with the same options.

    What a killed run left is removed first.

    Raises:
        BedCannotRun: this machine lacks something.
        BedFailed: it did not come up; its log is kept.
    """
    return _state.started(state, options, current=current, end=_end, start=_start)


def down(state: Path) -> None:
    """End the server, if there is one, and remove its data; its log stays."""
    _state.ended(state, _end)


def current(state: Path) -> Server | None:
    """The server that was started in this folder and not ended since, healthy or not."""
    told = _state.recorded(state)
    return None if told is None else Server(state, Options(**told["options"]), told["port"])


def _start(state: Path, options: Options) -> Server:
    programs.server(Path(options.cache))
    server = Server(state, options, _processes.free_ports(1)[0])
    _state.record(state, server)
    try:
        server.start()
    except BaseException:
        _end(state)
        raise
    return server


def _end(state: Path) -> None:
    process = _processes.recorded(state / "server")
    if process is not None:
        process.kill()
    (state / "server").unlink(missing_ok=True)
    _state.forget(state)
    shutil.rmtree(state / "data", ignore_errors=True)
