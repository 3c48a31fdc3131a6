"""A network of nodes: a bridge on the host, and from it a cable (veth pair) into the network
namespace of each node.

The host is the bridge's own address, which is where a driver listens. There is no way out of the
network, and no name server. Bridge and cables are named after the folder of the cluster, so that a
later run finds what a killed one left.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from integration.beds import BedCannotRun, BedFailed

_SUBNETS = [f"10.77.{number}" for number in range(1, 250)]
_LOCK = Path(tempfile.gettempdir(), "coffee_boat-beds.lock")
"""Held while a subnet is chosen: two beds that start at once must not take the same."""

_HARDWARE = "02:00:00:00:00:01"
"""Every bridge's hardware address.

Without one it takes the lowest of its cables', and with the end of that node the others miss the
host for half a minute.
"""


@dataclass(frozen=True)
class Network:
    """A bridge and its addresses."""

    bridge: str
    subnet: str
    """The first three parts of an address: "10.77.1"; 24 bits."""

    @property
    def gateway(self) -> str:
        """The host's address there."""
        return f"{self.subnet}.1"

    def address(self, number: int) -> str:
        """The address of a node: 2 to 254."""
        return f"{self.subnet}.{number}"


def make(state: Path) -> Network:
    """The network of the cluster in this folder, with a subnet that no interface of this machine
    has.

    Raises:
        BedFailed: every subnet is taken.
    """
    remove(state)
    bridge = _bridge(state)
    with _alone():
        network = Network(bridge, _free_subnet())
        _ip("link", "add", bridge, "type", "bridge")
        _ip("link", "set", bridge, "address", _HARDWARE)
        _ip("address", "add", f"{network.gateway}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
    return network


def plug(network: Network, pid: int, address: str) -> None:
    """Lay a cable from the bridge to `eth0` in the network namespace of a process; what is inside
    is the process's own matter.
    """
    outer = (  # 15 letters at most (IFNAMSIZ)
        f"{_cables(network.bridge)}{address.rpartition('.')[2]}"
    )
    _ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    _ip("link", "set", outer, "master", network.bridge, "up")


def remove(state: Path) -> None:
    """Take away the bridge of the cluster in this folder and its cables, if there are any."""
    bridge, links = _bridge(state), Path("/sys/class/net")
    for link in [bridge, *(cable.name for cable in links.glob(f"{_cables(bridge)}*"))]:
        # The kernel removes the cable of a node that ended, but in its own time: it may be gone
        # now.
        done = subprocess.run(
            ["ip", "link", "delete", link], capture_output=True, text=True, check=False, timeout=30
        )
        if done.returncode != 0 and (links / link).exists():
            raise BedFailed(f"ip link delete {link}: {done.stderr.strip()}")


def require() -> None:
    """Say whether networks can be made here, by making one.

    Raises:
        BedCannotRun: with the reason.
    """
    with tempfile.TemporaryDirectory(prefix="bed-") as folder:
        try:
            make(Path(folder))
            remove(Path(folder))
        except BedFailed as error:
            raise BedCannotRun(
                "a network of nodes needs bridges and veth pairs, which this machine does not"
                f" allow: {error}"
            ) from error


def _bridge(state: Path) -> str:
    return f"bed-{hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:8]}"


def _cables(bridge: str) -> str:
    """How the names of its cables begin, on the host."""
    return f"v{bridge.removeprefix('bed-')}-"


def _free_subnet() -> str:
    taken = {
        address["local"].rpartition(".")[0]
        for link in json.loads(_ip("-json", "-family", "inet", "address"))
        for address in link.get("addr_info", [])
    }
    for subnet in _SUBNETS:
        if subnet not in taken:
            return subnet
    raise BedFailed(
        f"every subnet from {_SUBNETS[0]}.0/24 to {_SUBNETS[-1]}.0/24 is taken: ip address"
    )


@contextmanager
def _alone() -> Iterator[None]:
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _ip(*arguments: str) -> str:
    done = subprocess.run(
        ["ip", *arguments], capture_output=True, text=True, check=False, timeout=30
    )
    if done.returncode != 0:
        raise BedFailed(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
