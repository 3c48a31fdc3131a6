"""A real Kubernetes on this machine: apiserver to kubelet and containerd, two nodes, and an image
with Java and Spark and no Python.

    python -m integration.beds.kubernetes build     # compiles Kubernetes, makes the images; once
    python -m integration.beds.kubernetes up        # prints what to export
    python -m integration.beds.kubernetes down

What it is made of:

    programs     Debian's part: containerd, runc, CNI plugins, iptables, conntrack
    binary       source/ -> one program that is every part of Kubernetes, compiled from the Go
                 module proxy's sources
    image        Debian packages + Java + Spark's jars -> a docker archive, without an image
                 registry
    machine      a network, mount and pid namespace that the whole cluster runs in: it ends with its
                 first process
    keys         a CA, certificates, kubeconfigs
    parts        the command line of each part, and what it reads
    cluster      the order of all this: up, down, current
"""

from integration.beds.kubernetes.cluster import Cluster, Options, build, current, down, up

__all__ = ["Cluster", "Options", "build", "current", "down", "up"]
