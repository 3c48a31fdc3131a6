"""The command line of each part of the cluster, and the files that it reads: nothing is started
here.

All of it listens in the machine's own network, so that ports are the usual ones.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from integration.beds.kubernetes import image
from integration.beds.kubernetes.keys import Keys
from integration.beds.kubernetes.machine import Machine

SERVICES = "10.96"
"""10.96.0.0/16 is the network of services, inside the machine only."""
CNI = "/usr/lib/cni"
"""Where Debian puts the CNI plugins."""
_ETCD = "http://127.0.0.1:2379"


@dataclass(frozen=True)
class Control:
    """The control plane's parts: name -> command."""

    binaries: Path
    state: Path
    machine: Machine
    keys: Keys

    @property
    def server(self) -> str:
        """The apiserver's URL."""
        return f"https://{self.machine.gateway}:6443"

    @property
    def server_names(self) -> str:
        """What the apiserver's certificate is for."""
        names = (
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        )
        return ",".join(
            [
                *(
                    f"IP:{address}"
                    for address in (self.machine.gateway, f"{SERVICES}.0.1", "127.0.0.1")
                ),
                *(f"DNS:{name}" for name in names),
            ]
        )

    def etcd(self) -> list[str]:
        """The store. Its data is gone with the cluster: nothing waits for the disk."""
        peer = "http://127.0.0.1:2380"
        clients = ("--listen-client-urls", _ETCD, "--advertise-client-urls", _ETCD)
        peers = (
            "--listen-peer-urls",
            peer,
            "--initial-advertise-peer-urls",
            peer,
            "--initial-cluster",
            f"default={peer}",
        )
        return [
            self._part("etcd"),
            "--data-dir",
            str(self.state / "etcd"),
            *clients,
            *peers,
            "--unsafe-no-fsync",
            "--logger",
            "zap",
            "--log-level",
            "warn",
        ]

    def apiserver(self) -> list[str]:
        """The apiserver, with RBAC."""
        keys = self.keys
        return [
            self._part("kube-apiserver"),
            f"--etcd-servers={_ETCD}",
            f"--bind-address={self.machine.gateway}",
            f"--advertise-address={self.machine.gateway}",
            "--secure-port=6443",
            f"--service-cluster-ip-range={SERVICES}.0.0/16",
            f"--tls-cert-file={keys.certificate('apiserver')}",
            f"--tls-private-key-file={keys.key('apiserver')}",
            f"--client-ca-file={keys.certificate('ca')}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={keys.folder / 'service-accounts.pub'}",
            f"--service-account-signing-key-file={keys.key('service-accounts')}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--kubelet-client-certificate={keys.certificate('kubelet-client')}",
            f"--kubelet-client-key={keys.key('kubelet-client')}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--cert-dir={self.state}/apiserver",
        ]

    def controller_manager(self) -> list[str]:
        """What makes service accounts' tokens, endpoints of services, and pods go when their owner
        goes.
        """
        keys, own = (
            self.keys,
            (
                "--use-service-account-credentials=true",
                "--leader-elect=false",
                "--bind-address=127.0.0.1",
            ),
        )
        signed = (
            f"--root-ca-file={keys.certificate('ca')}",
            f"--service-account-private-key-file={keys.key('service-accounts')}",
        )
        # its default folder for plugins is in /usr/libexec
        folders = (
            f"--cert-dir={self.state}/controller-manager",
            f"--flex-volume-plugin-dir={self.state}/volume-plugins",
        )
        return [
            self._part("kube-controller-manager"),
            *self._as("controller-manager"),
            *signed,
            *own,
            *folders,
        ]

    def scheduler(self) -> list[str]:
        """What gives pods their nodes."""
        return [
            self._part("kube-scheduler"),
            *self._as("scheduler"),
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            f"--cert-dir={self.state}/scheduler",
        ]

    def proxy(self) -> list[str]:
        """What makes services' addresses lead to pods, once for both nodes.

        Limits of conntrack are the host's, and not ours to set.
        """
        unset = (
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        )
        return [
            self._part("kube-proxy"),
            f"--kubeconfig={self.kubeconfig('proxy')}",
            f"--cluster-cidr={self.machine.network}",
            "--hostname-override=node1",
            "--proxy-mode=iptables",
            *unset,
        ]

    def dns(self) -> list[str]:
        """Names of services: executors look for the driver by its headless service."""
        return [
            self._part("kube-dns"),
            "--kubeconfig",
            str(self.kubeconfig("dns")),
            "--listen",
            f"{self.machine.gateway}:53",
        ]

    def kubeconfig(self, name: str) -> Path:
        """The settings of a part as a client."""
        return self.keys.folder / f"{name}.kubeconfig"

    def _as(self, name: str) -> Sequence[str]:
        path = self.kubeconfig(name)
        return [
            f"--kubeconfig={path}",
            f"--authentication-kubeconfig={path}",
            f"--authorization-kubeconfig={path}",
        ]

    def _part(self, name: str) -> str:
        return str(self.binaries / name)


@dataclass(frozen=True)
class Node:
    """A node: a containerd and a kubelet with folders and a cgroup of their own."""

    number: int
    control: Control

    @property
    def name(self) -> str:
        """As the cluster knows it."""
        return f"node{self.number}"

    @property
    def folder(self) -> Path:
        """What the node keeps, in the cluster's state."""
        return self.control.state / self.name

    @property
    def socket(self) -> Path:
        """Where its containerd listens; a socket's path may have 107 characters, so it is short."""
        return Path(f"/run/{self.name}.sock")

    @property
    def address(self) -> str:
        """Of the kubelet."""
        return self.control.machine.node_address(self.number)

    def write_files(self) -> None:
        """The settings of its parts."""
        for folder in ("cni", "kubelet"):
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
        (self.folder / "cni" / "10-pods.conflist").write_text(json.dumps(self._network(), indent=1))
        (self.folder / "containerd.toml").write_text(self._containerd())
        (self.folder / "kubelet.json").write_text(json.dumps(self._kubelet(), indent=1))
        (self.folder / "resolv.conf").write_text(f"nameserver {self.control.machine.gateway}\n")

    def containerd(self) -> list[str]:
        """The runtime."""
        return ["containerd", "--config", str(self.folder / "containerd.toml")]

    def ctr(self, *arguments: object) -> list[str]:
        """A command to the runtime."""
        return ["ctr", "--address", str(self.socket), "--namespace", "k8s.io", *map(str, arguments)]

    def kubelet(self) -> list[str]:
        """What runs pods."""
        settings = (
            f"--config={self.folder}/kubelet.json",
            f"--kubeconfig={self.control.kubeconfig(self.name)}",
        )
        own = (f"--root-dir={self.folder}/kubelet", f"--cert-dir={self.folder}/kubelet/pki")
        return [
            str(self.control.binaries / "kubelet"),
            *settings,
            *own,
            f"--hostname-override={self.name}",
            f"--node-ip={self.address}",
        ]

    def _network(self) -> dict[str, object]:
        machine, pods = self.control.machine, self.control.machine.pods(self.number)
        addresses = {
            "subnet": machine.network,
            "rangeStart": f"{pods}.2",
            "rangeEnd": f"{pods}.250",
            "gateway": machine.gateway,
        }
        ipam = {
            "type": "host-local",
            "dataDir": f"{self.folder}/addresses",
            "ranges": [[addresses]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        return {
            "cniVersion": "0.4.0",
            "name": "pods",
            "plugins": [
                {
                    "type": "bridge",
                    "bridge": "pods",
                    "isGateway": True,
                    "ipMasq": False,
                    "hairpinMode": True,
                    "ipam": ipam,
                }
            ],
        }

    def _containerd(self) -> str:
        off = [
            "snapshotter.v1.aufs",
            "snapshotter.v1.btrfs",
            "snapshotter.v1.zfs",
            "snapshotter.v1.devmapper",
            "tracing.processor.v1.otlp",
            "internal.v1.tracing",
        ]
        # restrict_oom_score_adj: without CAP_SYS_RESOURCE nothing may be made less likely to be
        # killed, and runc says so in riddles: "runc create failed: ... can't get final child's PID
        # from pipe: EOF".
        return f"""version = 2
root = "{self.folder}/containerd"
state = "/run/{self.name}"
disabled_plugins = {json.dumps([f"io.containerd.{plugin}" for plugin in off])}
[grpc]
  address = "{self.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image.PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI}"
    conf_dir = "{self.folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
[plugins."io.containerd.internal.v1.opt"]
  path = "{self.folder}/opt"
"""

    def _kubelet(self) -> dict[str, object]:
        control = self.control
        keys = control.keys
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.address,
            "port": 10250,
            "readOnlyPort": 0,
            "healthzBindAddress": self.address,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(keys.certificate("ca"))},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(keys.certificate(self.name)),
            "tlsPrivateKeyFile": str(keys.key(self.name)),
            "containerRuntimeEndpoint": f"unix://{self.socket}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": control.machine.cgroup(self.number),
            "failCgroupV1": False,
            "failSwapOn": False,
            "clusterDNS": [control.machine.gateway],
            "clusterDomain": "cluster.local",
            "resolvConf": f"{self.folder}/resolv.conf",
            "volumePluginDir": f"{self.folder}/volume-plugins",
            # two kubelets with one folder delete each other's logs
            "podLogsDir": f"{self.folder}/pod-logs",
            "makeIPTablesUtilChains": False,
            # the images are not pulled: once collected, they would be gone for good
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1Gi",
                "imagefs.available": "1Gi",
                "nodefs.inodesFree": "1%",
            },
            "maxPods": 60,
            "maxOpenFiles": 20000,
        }
