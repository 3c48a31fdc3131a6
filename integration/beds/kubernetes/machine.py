"""The machine that the whole cluster runs on: one network, mount and pid namespace of this one (see
_machine.sh).

Nodes share it, as processes of a host do; pods have namespaces of their own within. kind does the
same with a container. Nothing that the cluster sets up is seen outside, several clusters do not
meet, and all of it ends with the first process. A pair of virtual network devices leads in: the
host has an address in the cluster's network, so that a driver there reaches pods and they reach it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from integration.beds import BedCannotRun, BedFailed, _processes
from integration.beds._processes import Process

_SCRIPT = Path(__file__).with_name("_machine.sh")
_NAMESPACES = ("--mount", "--net", "--pid")
_SECOND_BYTES = range(244, 252)
"""10.N.0.0/16 is the cluster's network: of these the first that nobody uses."""
_CGROUPS = Path("/sys/fs/cgroup")
_BRIDGE = "pods"
_RECORD = "network"
"""The file with a machine's number."""


@dataclass(frozen=True)
class Machine:
    """A machine by its network's number and the folder where its processes are recorded."""

    number: int
    state: Path

    @property
    def gateway(self) -> str:
        """Where the apiserver and the DNS listen."""
        return f"10.{self.number}.0.1"

    @property
    def host(self) -> str:
        """The address of this host that pods reach."""
        return f"10.{self.number}.0.2"

    @property
    def network(self) -> str:
        """Of nodes and pods."""
        return f"10.{self.number}.0.0/16"

    @property
    def name(self) -> str:
        """Of the host's network device, and of the cgroups."""
        return f"boat-kube{self.number}"

    def node_address(self, node: int) -> str:
        """The address of the nth node, from 1."""
        return f"10.{self.number}.255.{node}"

    def pods(self, node: int) -> str:
        """The beginning of the addresses of the nth node's pods."""
        return f"10.{self.number}.{node}"

    def cgroup(self, node: int) -> str:
        """The cgroup that all pods of the nth node are below, as a kubelet names it."""
        return f"/{self.name}-node{node}"

    @property
    def first_process(self) -> int:
        """The host's id of its pid 1.

        Raises:
            BedFailed: it is not up.
        """
        record = _processes.recorded(self.state / "machine.process")
        children = record.children() if record else []
        if not children:
            raise BedFailed(f"the cluster's machine is not up; its log: {self.state}/machine.log")
        return children[0].pid

    def run(self, *argv: object, timeout: float = 60.0) -> str:
        """Run a program there, and give its stdout.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        return subprocess.run(
            self._inside(argv),
            check=True,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        ).stdout

    def start(
        self, name: str, argv: Sequence[object], *, env: dict[str, str] | None = None
    ) -> Process:
        """Start a program there that goes on; recorded and logged by its name."""
        environment = {**os.environ, **(env or {})}
        return _processes.start(
            self._inside(argv),
            record=self.state / f"{name}.process",
            log=self.state / f"{name}.log",
            env=environment,
        )

    def _inside(self, argv: Sequence[object]) -> list[str]:
        return [
            "nsenter",
            f"--target={self.first_process}",
            *_NAMESPACES,
            "--wd=/",
            "--",
            *map(str, argv),
        ]


def start(state: Path, nodes: int) -> Machine:
    """Make a machine with addresses for some nodes.

    Raises:
        BedCannotRun: namespaces cannot be made here, or no network is free.
    """
    machine = _free_network(state)
    (state / _RECORD).write_text(str(machine.number))
    addresses = [
        f"{machine.gateway}/16",
        *(f"{machine.node_address(node)}/32" for node in range(1, nodes + 1)),
    ]
    command = [
        "unshare",
        *_NAMESPACES,
        "--fork",
        "--kill-child",
        "--propagation",
        "private",
        "bash",
        str(_SCRIPT),
        _BRIDGE,
        *addresses,
    ]
    _processes.start(command, record=state / "machine.process", log=state / "machine.log")
    try:
        _wait_until_ready(machine)
        _run("ip", "link", "set", f"{machine.name}-in", "netns", str(machine.first_process))
        machine.run("ip", "link", "set", f"{machine.name}-in", "master", _BRIDGE, "up")
        _run("ip", "address", "add", f"{machine.host}/16", "dev", machine.name)
        _run("ip", "link", "set", machine.name, "up")
    except BaseException:
        stop(machine)
        raise
    return machine


def recorded(state: Path) -> Machine | None:
    """The machine that was begun in this folder and not ended since, whole or not."""
    try:
        return Machine(int((state / _RECORD).read_text()), state)
    except FileNotFoundError:
        return None


def stop(machine: Machine) -> None:
    """End it and all that runs there. Does nothing for one that is gone."""
    record = _processes.recorded(machine.state / "machine.process")
    if record:
        first = record.children()
        record.kill()
        # unshare's --kill-child ends it, and with it the kernel ends all else in its pid namespace
        for each in first:
            each.wait(seconds=30)
    subprocess.run(
        ["ip", "link", "delete", machine.name], capture_output=True, check=False
    )  # gone with the namespace, if it got there
    for file in machine.state.glob("*.process"):
        file.unlink()
    _remove_cgroups(machine)
    (machine.state / _RECORD).unlink(missing_ok=True)


def make_cgroup(machine: Machine, node: int) -> None:
    """Make the cgroup of a node's pods: with cgroup v1 a kubelet wants it in every hierarchy
    beforehand, and an empty cpuset takes no process.
    """
    for hierarchy in _hierarchies():
        folder = hierarchy / machine.cgroup(node).lstrip("/")
        folder.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (folder / setting).exists() and not (folder / setting).read_text().strip():
                (folder / setting).write_text((hierarchy / setting).read_text())


def _hierarchies() -> list[Path]:
    """The folders of cgroup v1's controllers; the one folder of cgroup v2, where no bed ran yet."""
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS]
    return [
        folder
        for folder in sorted(_CGROUPS.iterdir())
        if folder.is_dir() and not folder.is_symlink() and folder.name != "unified"
    ]


def _remove_cgroups(machine: Machine) -> None:
    """From the deepest up: a cgroup with another in it cannot be removed, nor one whose last
    process is just ending.
    """
    deadline = time.monotonic() + 5
    while folders := [
        Path(folder)
        for node in _node_cgroups(machine)
        for folder, _, _ in os.walk(node, topdown=False)
    ]:
        for folder in folders:
            with contextlib.suppress(OSError):
                folder.rmdir()
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)


def _node_cgroups(machine: Machine) -> list[Path]:
    """In every hierarchy: runc makes them in `unified` too, beside those of cgroup v1."""
    return [*_CGROUPS.glob(f"{machine.name}-node*"), *_CGROUPS.glob(f"*/{machine.name}-node*")]


def _free_network(state: Path) -> Machine:
    """Taken by making the host's network device, which can be done once for a name."""
    used = set(_used_networks())
    for number in _SECOND_BYTES:
        machine = Machine(number, state)
        pair = [
            "ip",
            "link",
            "add",
            machine.name,
            "type",
            "veth",
            "peer",
            "name",
            f"{machine.name}-in",
        ]
        if (
            number not in used
            and subprocess.run(pair, capture_output=True, check=False).returncode == 0
        ):
            return machine
    raise BedCannotRun(
        f"no network from 10.{_SECOND_BYTES[0]}.0.0/16 to 10.{_SECOND_BYTES[-1]}.0.0/16 is free, or"
        " virtual network devices (veth) cannot be made here"
    )


def _used_networks() -> Iterator[int]:
    for route in json.loads(_run("ip", "-json", "route")):
        first, _, rest = str(route["dst"]).partition(".")
        if first == "10":
            yield int(rest.split(".")[0])


def _wait_until_ready(machine: Machine, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not _is_ready(machine):
        record = _processes.recorded(machine.state / "machine.process")
        if record is None or not record.alive or time.monotonic() > deadline:
            raise BedCannotRun(
                "the cluster's machine cannot be made here:"
                f" {(machine.state / 'machine.log').read_text(errors='replace').strip()}"
            )
        time.sleep(0.05)


def _is_ready(machine: Machine) -> bool:
    try:
        return Path(f"/proc/{machine.first_process}/root/run/ready").exists()
    except BedFailed:
        return False


def _run(*argv: str) -> str:
    return subprocess.run(
        argv, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    ).stdout
