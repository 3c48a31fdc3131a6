"""What strangers wrote for rattler is read in a process of its own: it ends no process of the user,
and takes no time and memory without end.
"""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")

from conda_channel import File, Package, fill, lock_of
from conda_metadata import channel, pythons, record

from coffee_boat import Captain
from coffee_boat._support import apart
from coffee_boat._support.store import Store
from coffee_boat._support.words import MIB
from coffee_boat.conda.channels import Channel
from coffee_boat.conda.configuration import Configuration
from coffee_boat.conda.explain import unreachable
from coffee_boat.conda.provides import with_provided
from coffee_boat.conda.request import Wish
from coffee_boat.errors import LockError
from coffee_boat.model import Manifest, Plan

MINOR = ".".join(platform.python_version_tuple()[:2])
DEEP = f"x {'(' * 5000}>1{')' * 5000}"


def planned(tmp_path: Path, **said: Any) -> Plan:
    """Of `evil 1.0`, of which the channel says so."""
    evil = {**record("evil", "1.0", ["python"], subdir="noarch"), **said}
    folder = channel(tmp_path / "channel", *pythons(f"{MINOR}.4"), evil)
    return Captain(store=tmp_path / "store").add_conda_packages("evil", channel=folder).plan()


@pytest.mark.parametrize(
    "said",
    [
        {"depends": [DEEP]},
        {"constrains": [DEEP]},
        {"depends": [f"x {'(>1|' * 5000}>1{')' * 5000}"]},
        {"extra_depends": {"more": [DEEP]}},
    ],
)
def test_brackets_in_each_other_end_no_process_of_the_user(
    tmp_path: Path, said: dict[str, Any]
) -> None:
    with pytest.raises(LockError) as caught:
        planned(tmp_path, **said)
    assert caught.value.code == "lock.forbidden-value"
    assert (
        f"evil-1.0-0.conda in the list of {(tmp_path / 'channel').as_uri()}" in caught.value.value
    )
    assert "brackets" in caught.value.cause or "characters" in caught.value.cause


def test_a_lock_with_brackets_in_each_other_ends_no_process_of_the_user(tmp_path: Path) -> None:
    conda, wheel = "https://c.invalid/linux-64/python-3.11.7-0.conda", "https://c.invalid/x-1.whl"
    (tmp_path / "pixi.lock").write_text(
        f"""version: 6
environments:
  default:
    channels:
    - url: https://c.invalid/
    packages:
      linux-64:
      - conda: {conda}
      - pypi: {wheel}
packages:
- conda: {conda}
  sha256: {"b" * 64}
- pypi: {wheel}
  name: x
  version: "1"
  sha256: {"a" * 64}
  requires_dist:
  - "x; {"(" * 20000}python_version>'3'{")" * 20000}"
"""
    )
    with pytest.raises(LockError) as caught:
        Captain(store=tmp_path / "store").add_lock(tmp_path / "pixi.lock")
    assert caught.value.code == "lock.rattler-ended"
    assert "pixi.lock" in caught.value.value


# the process apart


def bounds(**changes: Any) -> apart.Bounds:
    return apart.Bounds(**{"seconds": 60, "memory": 400 * MIB, "file": MIB, **changes})


@pytest.mark.parametrize(
    ("call", "limits", "says"),
    [
        (("os", "abort"), {}, "SIGABRT"),
        (("time", "sleep", 60), {"seconds": 2}, "no answer in 2 seconds"),
        (("builtins", "bytearray", 1 << 30), {}, "MemoryError"),
        (("os", "truncate", "/FILE", 2 * MIB), {}, "File too large"),
    ],
)
def test_a_process_apart_is_bounded(
    tmp_path: Path, call: tuple[Any, ...], limits: dict[str, float], says: str
) -> None:
    (tmp_path / "file").touch()
    call = tuple(str(tmp_path / "file") if part == "/FILE" else part for part in call)
    with pytest.raises(apart.EndedError, match=says):
        apart.call(*call, bounds=bounds(**limits))


def test_a_process_apart_answers_and_imports_nothing_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('taken from the working directory')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    assert apart.call("os", "getpid", bounds=bounds()) != os.getpid()
    assert apart.call("os.path", "join", "a", "b", bounds=bounds()) == "a/b"


# servers and packages without an end


class Endless(BaseHTTPRequestHandler):
    """A list of packages that does not end."""

    def do_GET(self) -> None:
        if not self.path.endswith("/repodata.json"):
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"packages": {"')
        with suppress(OSError):
            while True:
                self.wfile.write(b"x" * MIB)

    def log_message(self, *_: object) -> None:
        pass


def test_a_list_without_an_end_is_cut_and_not_kept(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        place = Channel("endless", f"http://127.0.0.1:{server.server_port}/c/", "endless")
        said = apart.call(
            "coffee_boat.conda.asked",
            "there_listed",
            [f"{place.url}noarch/x-1-0.conda"],
            (place,),
            "linux-64",
            Configuration(retries=0),
            tmp_path / "lists",
            bounds=bounds(file=8 * MIB),
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    kind, text = said["refused"]
    assert kind == "GatewayError"
    error = unreachable(text, [place], Configuration())
    assert error.code == "lock.channel-list-too-large"
    assert "endless" in error.cure
    assert not [path for path in (tmp_path / "lists").rglob("*") if path.stat().st_size > MIB]


def most_memory() -> int:
    """Kilobytes that this process took at most since it was last asked."""
    status = Path("/proc/self/status").read_text().split()
    most = int(status[status.index("VmHWM:") + 1])
    Path("/proc/self/clear_refs").write_text("5")
    return most


def test_what_a_package_lists_of_itself_takes_no_memory_of_the_user(tmp_path: Path) -> None:
    package = Package("big", "1.0", noarch="python")
    lock = lock_of([fill(tmp_path / "c", package)], "big")
    (tmp_path / "c/noarch/big-1.0-0.conda").unlink()
    blanks = File(b'{"paths": [], "paths_version": 1}' + b" " * (200 * MIB))
    package.write(tmp_path / "c", members={"info/paths.json": blanks}, instead=True)
    del blanks
    wish = Wish(Manifest(channels=(lock.conda[0].channel,)), lock.target, "3.11", Configuration())
    most_memory()
    before = most_memory()
    made = with_provided(lock, wish, store=Store(tmp_path / "store"))
    assert most_memory() - before < 50 * 1024
    assert [pin.provides for pin in made.conda] in ([("big==1.0",)], [()])
