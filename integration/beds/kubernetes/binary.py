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
import subprocess
from pathlib import Path

from integration.beds import BedFailed, _go
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


def build(cache: Path) -> Path:
    """The folder with a program for each of PARTS, and `pause`; compiled if it is not there.

    Raises:
        BedCannotRun: no Go, or one that is too old.
        BedFailed: it does not compile; with the end of what Go said.
    """
    sources = sorted(path for path in _SOURCE.rglob("*") if path.is_file())
    made_from = [
        repr((_go.FLAGS, _linker())).encode(),
        *(part for path in sources for part in (path.name.encode(), path.read_bytes())),
    ]
    return caches.kept(cache, "binary", made_from, lambda folder: _compile(cache, folder))


def version() -> str:
    """Kubernetes' version, as "v1.34.4"."""
    found = re.search(r"k8s\.io/kubernetes (v\S+)", (_SOURCE / "go.mod").read_text())
    assert found is not None
    return found[1]


def _compile(cache: Path, folder: Path) -> None:
    go = _go.find("Kubernetes")
    # without -modcacherw, files in the module cache cannot be removed
    flags = {"GOFLAGS": "-mod=mod -modcacherw"}
    environment = {**os.environ, **_go.environment(cache / "go"), **flags}
    for package, name in ((".", "kubernetes"), ("./pause", "pause")):
        command = [
            go,
            "build",
            *_go.FLAGS,
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
            _go.LINKER,
            *(f"-X k8s.io/component-base/version.{name}={value}" for name, value in said.items()),
        ]
    )
