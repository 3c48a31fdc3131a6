"""Foreign nodes: machines in all that matters to an archive, made of Linux namespaces on this one.

A node sees the host's / through an overlay from which Python, libpython, home folders and whatever
else is named are gone. It has its own processes, host name and writable layer (in memory), and its
program runs as another user. Nothing of it is visible to the host's file system, and all of it ends
with its first process. See `_node.sh`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from integration.beds import BedCannotRun, BedFailed, _network, _processes
from integration.beds._network import Network
from integration.beds._processes import Process

USER, UID = "sailor", 20077
"""The user of a node's program: known on the nodes only."""

_SCRIPT = Path(__file__).with_name("_node.sh")
_UNSHARE = (
    "unshare",
    "--mount",
    "--uts",
    "--pid",
    "--ipc",
    "--fork",
    "--kill-child",
    "--propagation",
    "private",
)
_TOOLS = (
    "bash",
    "unshare",
    "nsenter",
    "setpriv",
    "pivot_root",
    "mount",
    "umount",
    "mknod",
    "ldconfig",
)

_PRIVATE = (
    "/root",
    "/home",
    "/opt",
    "/srv",
    "/mnt",
    "/media",
    "/run",
    "/tmp",
    "/var/tmp",
    "/var/cache",
    "/usr/local",
)
"""Empty or absent on every node."""

_PYTHON = ("*python*", "pip", "pip[0-9]*", "pydoc*", "idle*", "2to3*", "uv", "uvx", "conda")
_SYSTEM_PYTHON = (
    *(f"/usr/{folder}/{name}" for folder in ("bin", "sbin") for name in _PYTHON),
    *(
        f"/usr/{folder}/{name}"
        for folder in ("lib", "lib64", "lib/*-linux-gnu")
        for name in ("libpython*", "python*", "pkgconfig/python*")
    ),
    *(f"/usr/{folder}/python*" for folder in ("share", "include", "include/*-linux-gnu")),
)
"""Where a distribution's own Python lies."""

_PYTHONS_LIBRARIES = tuple(
    f"/usr/{folder}/{name}.so*"
    for folder in ("lib", "lib64", "lib/*-linux-gnu")
    for name in ("libffi", "libsqlite3", "libexpat", "libmpdec")
)
"""What Python's standard library needs and a slim machine lacks: an archive has to bring them."""

_NEEDED = {
    Path(path)
    for path in (
        "/",
        "/bin",
        "/dev",
        "/etc",
        "/lib",
        "/lib64",
        "/proc",
        "/sbin",
        "/sys",
        "/usr",
        "/usr/bin",
        "/usr/lib",
        "/var",
    )
}


@dataclass(frozen=True)
class Node:
    """What a node is to be."""

    name: str
    address: str
    """One of `network`; without, an address of the host: any of 127.0.0.0/8 gives each node one of
    its own.
    """
    folder: Path
    """On the host: the record of the process, its log, and the point where the node's files are
    mounted.
    """
    hide: tuple[Path, ...] = ()
    """Further files and folders that do not exist there."""
    show: tuple[tuple[Path, str], ...] = ()
    """Folders of the host and where they are seen there, read-only."""
    system_python: bool = False
    """Leave the distribution's own Python there."""
    root: Path = Path("/")
    """What it has for a system: this machine's, or another Debian's in a folder."""
    network: Network | None = None
    """What it is plugged into; None for the host's own network."""
    home: str = "/var/sailor"

    @property
    def log(self) -> Path:
        """All that the node's program and its making said."""
        return self.folder / "node.log"

    @property
    def process(self) -> Process | None:
        """The host's process that holds the node up; None if it never was started."""
        return _processes.recorded(self.folder / "process")


def start(node: Node, program: Sequence[str], environment: Mapping[str, str]) -> Process:
    """Make the node and start its program there, with this environment and no other variable.

    Raises:
        BedCannotRun: it is to hide what it cannot do without, or its folder's name does not fit
            into mount options.
        OSError: a tool is missing; see `why_not`.
    """
    if set(str(node.folder)) & set(",:\\"):
        raise BedCannotRun(
            f"a comma, colon or backslash in {node.folder}: overlayfs takes no such folder"
        )
    (node.folder / "files").mkdir(parents=True, exist_ok=True)
    process = _processes.start(
        _command(node, program, environment),
        record=node.folder / "process",
        log=node.log,
        env=_described(node),
    )
    if node.network is not None:
        _network.plug(node.network, _first_process_soon(node), node.address)
    return process


def stop(node: Node) -> None:
    """End the node and everything that runs there. Does nothing for one that is gone."""
    if process := node.process:
        first = process.children()
        process.kill()
        for each in (
            first
        ):  # unshare's --kill-child ends it, and with it the kernel ends all else in the node
            each.wait()
    (node.folder / "process").unlink(missing_ok=True)
    if (node.folder / "files").is_dir():
        (node.folder / "files").rmdir()


def first_process(node: Node) -> int:
    """The host's id of the node's pid 1; /proc/ID/root is what the node sees.

    Raises:
        BedFailed: the node is not up.
    """
    children = node.process.children() if node.process else []
    if not children:
        raise BedFailed(f"{node.name} is not up; its log: {node.log}")
    return children[0].pid


def _first_process_soon(node: Node, seconds: float = 20.0) -> int:
    """The node's pid 1, once it has its own network; what starts it has children of its own
    before.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and node.process and node.process.alive:
        for child in node.process.children():
            if _network_of(child.pid) not in ("", _network_of(os.getpid())):
                return child.pid
        time.sleep(0.02)
    return first_process(node)


def _network_of(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:  # it just ended
        return ""


def inside(
    node: Node, argv: Sequence[str], *, timeout: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run a program on a running node, as the node's user, and give its output."""
    return subprocess.run(
        inside_command(node, argv),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def inside_command(node: Node, argv: Sequence[str]) -> list[str]:
    """The command of the host that runs a program on a running node, as the node's user."""
    enter = [
        "nsenter",
        f"--target={first_process(node)}",
        "--mount",
        "--uts",
        "--pid",
        "--ipc",
        "--net",
        "--root",
        "--wd",
    ]
    return [*enter, *_as_user(), *_with_environment(node, {}), *argv]


def require() -> None:
    """Say whether nodes can be made here, by making one.

    Raises:
        BedCannotRun: with the reason.
    """
    reason = why_not()
    if reason:
        raise BedCannotRun(reason)


def why_not() -> str:
    """The reason why no node can be made here; empty if one can."""
    missing = [tool for tool in _TOOLS if _which(tool) is None]
    if not hasattr(os, "geteuid") or not Path("/proc/self/ns/mnt").exists():
        return "foreign nodes need Linux"
    if os.geteuid() != 0:
        return (
            "foreign nodes need root: mount and pid namespaces with an overlay of / are made (try:"
            " sudo -E ...)"
        )
    if missing:
        return (
            f"foreign nodes need {', '.join(missing)} (Debian: apt-get install util-linux mount"
            " coreutils)"
        )
    return _trial()


def _trial() -> str:
    with tempfile.TemporaryDirectory(prefix="bed-") as folder:
        node = Node(name="trial", address="127.0.0.1", folder=Path(folder))
        (node.folder / "files").mkdir()
        done = subprocess.run(
            _command(node, ["true"], {}),
            env=_described(node),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd="/",
        )
    return (
        ""
        if done.returncode == 0
        else (
            "a mount namespace with an overlay of / cannot be made here:"
            f" {done.stderr.strip() or done.returncode}"
        )
    )


def _command(node: Node, program: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    network = ["--net"] if node.network else []
    return [
        *_UNSHARE,
        *network,
        "bash",
        str(_SCRIPT),
        str(node.folder / "files"),
        *_with_environment(node, environment),
        *program,
    ]


def _as_user() -> list[str]:
    return ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--no-new-privs", "--"]


def _with_environment(node: Node, environment: Mapping[str, str]) -> list[str]:
    plain = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": node.home, "USER": USER}
    return [
        "env",
        "--ignore-environment",
        *(f"{name}={value}" for name, value in {**plain, **environment}.items()),
    ]


def _described(node: Node) -> dict[str, str]:
    """The node as `_node.sh` reads it."""
    return {
        "PATH": _tool_path(),
        "NODE_NAME": node.name,
        "NODE_ADDRESS": node.address,
        "NODE_GATEWAY": node.network.gateway if node.network else "",
        "NODE_USER": f"{USER}:{UID}",
        "NODE_HOME": node.home,
        "NODE_ROOT": str(node.root),
        "NODE_HIDDEN": "\n".join(map(str, _hidden(node))),
        "NODE_BINDS": "\n".join(f"{source.resolve()}\t{target}" for source, target in node.show),
    }


def _hidden(node: Node) -> list[Path]:
    """What does not exist on the node: canonical, and none within another."""
    system = (
        []
        if node.system_python
        else [
            path
            for pattern in (*_SYSTEM_PYTHON, *_PYTHONS_LIBRARIES)
            for path in Path("/").glob(pattern[1:])
        ]
    )
    wanted = {
        _canonical(path)
        for path in (*map(Path, _PRIVATE), *system, *node.hide)
        if path.exists() or path.is_symlink()
    }
    if needed := sorted(wanted.intersection(_NEEDED)):
        raise BedCannotRun(f"a node cannot do without {', '.join(map(str, needed))}")
    return sorted(path for path in wanted if not wanted.intersection(path.parents))


def _canonical(path: Path) -> Path:
    """The name itself, seen through links on its way: /bin/python3 is /usr/bin/python3, which may
    be a link.
    """
    path = path.absolute()
    return path.parent.resolve() / path.name


def _tool_path() -> str:
    """Without the caller's own folders: what runs as root here comes from the system."""
    return "/usr/sbin:/usr/bin:/sbin:/bin"


def _which(tool: str) -> str | None:
    return shutil.which(tool, path=_tool_path())
