"""Up and down: a Kubernetes with some nodes, and a state folder that tells of it.

STATE/
  lock                held while somebody changes the cluster
  cluster.json        what was started
  network             the number of the machine's network
  kubeconfig          of an administrator
  NAME.process        record of a process (see _processes)
  NAME.log
  keys/ etcd/         the control plane's
  node1/ node2/       what a node keeps: images, containers, pods, their logs
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NoReturn

from integration.beds import BedCannotRun, BedFailed, _packages, _processes, _state
from integration.beds._state import cache_folder
from integration.beds.kubernetes import binary, image
from integration.beds.kubernetes import machine as machines
from integration.beds.kubernetes.image import Images
from integration.beds.kubernetes.keys import Keys
from integration.beds.kubernetes.machine import Machine
from integration.beds.kubernetes.parts import CNI, Control, Node

_PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",  # crun refuses the cgroups of a machine with cgroup v1 and without systemd
    f"{CNI}/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "openssl": "openssl",
    "kubectl": "kubernetes-client",
}
_OBJECTS = Path(__file__).with_name("objects.yaml")
_SECONDS = 180.0
"""For each step of the start; a busy machine of two cores needs a tenth."""


@dataclass(frozen=True)
class Options:
    """What a cluster is to be."""

    nodes: int = 2
    spark_home: str | None = None
    """Whose jars the image has. Default: SPARK_HOME, or the pyspark of this Python."""
    cache: str | None = None
    """Where what takes long to make is kept; see `cache`. Default: in the folder of all beds."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that was started."""

    state: Path
    options: Options
    number: int
    """Of its network."""
    image: str
    """With Java and Spark, and no Python."""
    image_with_python: str
    """The same with a distribution's Python and Spark's own Python files."""

    service_account: ClassVar[str] = "spark"
    """In the namespace "default": may do there what a driver needs."""

    @property
    def machine(self) -> Machine:
        """Where all of it runs."""
        return Machine(self.number, self.state)

    @property
    def kubeconfig(self) -> Path:
        """Of an administrator."""
        return self.state / "kubeconfig"

    @property
    def master_url(self) -> str:
        """As Spark takes it: k8s://https://HOST:PORT."""
        return f"k8s://https://{self.machine.gateway}:6443"

    @property
    def host_address(self) -> str:
        """Of this host, as pods reach it: spark.driver.host of a driver here."""
        return self.machine.host

    @property
    def summary(self) -> str:
        """One line for people."""
        return (
            f"{self.master_url}, {self.nodes_ready()} of {self.options.nodes} nodes ready, image"
            f" {self.image}"
        )

    @property
    def exports(self) -> Mapping[str, str]:
        """What a shell, and Spark's settings, want to know."""
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "KUBERNETES_MASTER": self.master_url,
            "KUBERNETES_IMAGE": self.image,
            "KUBERNETES_IMAGE_WITH_PYTHON": self.image_with_python,
            "KUBERNETES_DRIVER_HOST": self.host_address,
            "KUBERNETES_SERVICE_ACCOUNT": self.service_account,
            "KUBERNETES_BED": "1",  # its nodes are this machine
        }

    nodes: ClassVar[tuple[()]] = ()
    """They are no machines of their own that a command could be run on."""

    def node(self, name: str) -> NoReturn:
        """Pods are entered, nodes are not.

        Raises:
            BedFailed: always.
        """
        raise BedFailed(f"{name} cannot be entered; a pod can: kubectl exec POD -- COMMAND")

    def kubectl(self, *arguments: str, stdin: str = "", timeout: float = 60.0) -> str:
        """Ask the cluster as an administrator.

        Raises:
            subprocess.CalledProcessError: kubectl failed.
        """
        command = ["kubectl", f"--kubeconfig={self.kubeconfig}", *arguments]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=timeout, input=stdin
        ).stdout

    def nodes_ready(self) -> int:
        """How many nodes the cluster counts as ready; 0 if it does not answer."""
        try:
            return sum(
                line.split()[1] == "Ready"
                for line in self.kubectl(
                    "get", "nodes", "--no-headers", "--request-timeout=5s"
                ).splitlines()
            )
        except (subprocess.SubprocessError, OSError):
            return 0

    @property
    def healthy(self) -> bool:
        """True if every process that was started is there, and all nodes are ready."""
        records = list(self.state.glob("*.process"))
        alive = [
            process
            for record in records
            if (process := _processes.recorded(record)) and process.alive
        ]
        return len(alive) == len(records) > 0 and self.nodes_ready() == self.options.nodes

    def logs(self) -> list[tuple[str, Path]]:
        """What can be read, by title: the parts' logs, then those of pods that are there."""
        parts = [(path.stem, path) for path in sorted(self.state.glob("*.log"))]
        pods = [
            (f"{path.parts[-5]}, {path.parts[-3]}, {path.parts[-2]}", path)
            for path in sorted(self.state.glob("node*/pod-logs/*/*/*.log"))
        ]
        return [*parts, *pods]


def build(options: Options | None = None) -> Images:
    """All that takes long and needs no cluster: Kubernetes' program and the images.

    Raises:
        BedCannotRun: this machine lacks something.
        BedFailed: something does not compile.
    """
    options = options or Options()
    cache = _cache(options)
    return image.build(
        cache,
        binary.build(cache) / "pause",
        Path(options.spark_home) if options.spark_home else None,
    )


def default_cache() -> Path:
    """Where what takes long to make is kept."""
    return cache_folder() / "kubernetes"


def _cache(options: Options) -> Path:
    return Path(options.cache) if options.cache else default_cache()


def up(state: Path, options: Options | None = None) -> Cluster:
    """Start the cluster, or give the one that runs already with the same options.

    What a killed run left is removed first.

    Args:
        state: not below /run or /var/log, which the cluster has for itself.

    Raises:
        BedCannotRun: this machine lacks something.
        BedFailed: it did not come up; nothing of it runs any more, its logs are kept.
    """
    return _state.started(state, options or Options(), current=current, end=_end, start=_start)


def down(state: Path) -> None:
    """End the cluster, if there is one; the parts' logs stay."""
    _state.ended(state, _end)


def current(state: Path) -> Cluster | None:
    """The cluster that was started in this folder and not ended since, healthy or not."""
    told = _state.recorded(state)
    return (
        None if told is None else Cluster(state, **{**told, "options": Options(**told["options"])})
    )


def _require() -> None:
    if os.geteuid() != 0:
        raise BedCannotRun(
            "a cluster needs root: network and mount namespaces, containers (try: sudo -E ...)"
        )
    _packages.require(_PROGRAMS)


def _start(state: Path, options: Options) -> Cluster:
    _require()
    images = build(options)
    binaries = binary.build(_cache(options))
    machine = machines.start(state, options.nodes)
    cluster = Cluster(state, options, machine.number, images.spark, images.python)
    try:
        _state.record(state, cluster)
        control = Control(binaries, state, machine, Keys(state / "keys"))
        nodes = [Node(number, control) for number in range(1, options.nodes + 1)]
        _start_parts(cluster, control, nodes, images.archive)
    except BaseException as error:
        _end(state)
        if isinstance(error, subprocess.SubprocessError | OSError):
            raise BedFailed(
                f"the cluster did not come up: {error}{getattr(error, 'stderr', None) or ''}; logs"
                f" in {state}"
            ) from error
        raise
    return cluster


def _start_parts(cluster: Cluster, control: Control, nodes: Sequence[Node], images: Path) -> None:
    machine = cluster.machine
    _issue_keys(cluster, control, nodes)
    machine.start("etcd", control.etcd())
    machine.start("kube-apiserver", control.apiserver())
    for node in nodes:  # containerd needs no apiserver
        machines.make_cgroup(machine, node.number)
        node.write_files()
        machine.start(f"containerd-{node.number}", node.containerd())
    with ThreadPoolExecutor() as threads:
        importing = [threads.submit(_import, cluster, node, images) for node in nodes]
        _wait(cluster, "the apiserver", lambda: cluster.kubectl("get", "--raw", "/readyz") == "ok")
        for each in importing:  # before a kubelet starts: nothing can be pulled
            each.result()
    machine.start("kube-controller-manager", control.controller_manager())
    machine.start("kube-scheduler", control.scheduler())
    machine.start("kube-proxy", control.proxy())
    machine.start("kube-dns", control.dns())
    for node in nodes:
        machine.start(f"kubelet-{node.number}", node.kubelet())
    _wait(cluster, "the nodes", lambda: cluster.nodes_ready() == len(nodes))
    _wait(
        cluster,
        "the default service account",
        lambda: bool(cluster.kubectl("get", "serviceaccount", "default")),
    )
    cluster.kubectl("apply", "-f", str(_OBJECTS))


def _issue_keys(cluster: Cluster, control: Control, nodes: Sequence[Node]) -> None:
    keys, server = control.keys, control.server
    clients = {
        "controller-manager": "/CN=system:kube-controller-manager",
        "scheduler": "/CN=system:kube-scheduler",
        "proxy": "/CN=system:kube-proxy",
        "dns": "/O=system:masters/CN=dns",
        **{node.name: f"/O=system:nodes/CN=system:node:{node.name}" for node in nodes},
    }
    keys.issue("apiserver", "/CN=kube-apiserver", control.server_names)
    keys.issue("kubelet-client", "/O=system:masters/CN=kubelet-client")
    keys.issue("admin", "/O=system:masters/CN=admin")
    addresses = {node.name: f"IP:{node.address},DNS:{node.name}" for node in nodes}
    for name, subject in clients.items():
        keys.issue(name, subject, addresses.get(name, ""))
        keys.kubeconfig(name, server, control.kubeconfig(name))
    keys.kubeconfig("admin", server, cluster.kubeconfig)


def _import(cluster: Cluster, node: Node, images: Path) -> None:
    _wait(
        cluster,
        f"the runtime of {node.name}",
        lambda: bool(cluster.machine.run(*node.ctr("version"))),
    )
    cluster.machine.run(*node.ctr("images", "import", images), timeout=_SECONDS)


def _wait(cluster: Cluster, what: str, is_there: Callable[[], bool]) -> None:
    """Until it is there; a part that ended means that it will not be."""
    deadline = time.monotonic() + _SECONDS
    while not _answers(is_there):
        ended = [
            record.stem
            for record in cluster.state.glob("*.process")
            if (process := _processes.recorded(record)) and not process.alive
        ]
        if ended or time.monotonic() > deadline:
            raise BedFailed(
                f"{what} did not come up; {' and '.join(ended) or 'nothing'} ended:"
                f" {_tails(cluster, ended)}"
            )
        time.sleep(0.3)


def _answers(is_there: Callable[[], bool]) -> bool:
    try:
        return is_there()
    except (subprocess.SubprocessError, OSError):
        return False


def _tails(cluster: Cluster, names: Sequence[str]) -> str:
    wanted = [path for title, path in cluster.logs() if not names or title in names]
    return "\n".join(
        f"--- {path}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
        for path in wanted
    )


def _end(state: Path) -> None:
    """Whatever of a cluster is there, whole or not.

    Its mounts went with the machine, so that nothing of this one is below these folders.
    """
    if machine := machines.recorded(state):
        machines.stop(machine)
    for folder in (
        *state.glob("node*/"),
        *(
            state / name
            for name in (
                "keys",
                "etcd",
                "apiserver",
                "controller-manager",
                "scheduler",
                "volume-plugins",
            )
        ),
    ):
        shutil.rmtree(folder, ignore_errors=True)
    (state / "kubeconfig").unlink(missing_ok=True)
    _state.forget(state)
