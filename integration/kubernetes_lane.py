"""The cluster that the Kubernetes lane runs on: the bed's, or the user's own where KUBECONFIG names
one.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integration.beds import _java
from integration.beds.kubernetes import Cluster

VARIABLES = (
    "KUBECONFIG",
    "KUBERNETES_MASTER",
    "KUBERNETES_IMAGE",
    "KUBERNETES_IMAGE_WITH_PYTHON",
    "KUBERNETES_DRIVER_HOST",
    "KUBERNETES_SERVICE_ACCOUNT",
    "KUBERNETES_BED",
)
"""What `python -m integration.beds.kubernetes up` prints."""

SMALL = {
    "spark.driver.extraJavaOptions": _java.QUICK,
    "spark.executor.extraJavaOptions": _java.QUICK,
    "spark.executor.instances": "2",
    "spark.executor.memory": "600m",
    "spark.executor.memoryOverhead": "400m",
    "spark.driver.memory": "600m",
    "spark.driver.memoryOverhead": "400m",
    "spark.kubernetes.executor.request.cores": "0.3",
    "spark.kubernetes.driver.request.cores": "0.3",
    "spark.ui.enabled": "false",
}


@dataclass(frozen=True)
class KubernetesLane:
    """A Kubernetes to test on."""

    kubeconfig: Path
    master: str
    image: str
    """With the driver's version of Spark, and without Python."""
    image_with_python: str
    """The same with another Python and Spark's own Python files; empty if there is none."""
    driver_host: str
    """An address of this machine that pods reach."""
    service_account: str
    own: bool
    """It is the bed's: its nodes see this machine's folders, as hostPath volumes."""

    def settings(self, **more: str) -> dict[str, str]:
        """Spark's, for small executors; dots in names as double underscores."""
        image = {
            "spark.kubernetes.container.image": self.image,
            "spark.kubernetes.container.image.pullPolicy": "IfNotPresent",
        }
        return {
            **SMALL,
            **image,
            **{name.replace("__", "."): value for name, value in more.items()},
        }

    def environment(self, folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
        """Variables of a driver: settings are in the spark-defaults.conf that its administrator
        wrote.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "spark-defaults.conf").write_text(
            "".join(f"{name} {value}\n" for name, value in settings.items()), "utf-8"
        )
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "SPARK_CONF_DIR": str(folder),
            "SPARK_LOCAL_IP": self.driver_host,
        }

    def kubectl(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        """Ask the cluster."""
        command = ["kubectl", f"--kubeconfig={self.kubeconfig}", *arguments]
        return subprocess.run(
            command, check=check, capture_output=True, text=True, timeout=180, input=stdin
        ).stdout

    def nodes_of_pods(self) -> dict[str, str]:
        """Pod -> node, of pods that may be gone: the scheduler's events remain for an hour."""
        events: list[dict[str, Any]] = json.loads(
            self.kubectl("get", "events", "--field-selector=reason=Scheduled", "-o", "json")
        )["items"]
        return {
            event["involvedObject"]["name"]: event["message"].rpartition(" to ")[2]
            for event in events
        }


def of_the_bed(cluster: Cluster) -> KubernetesLane:
    """The bed's."""
    images = (cluster.image, cluster.image_with_python)
    return KubernetesLane(
        cluster.kubeconfig,
        cluster.master_url,
        *images,
        cluster.host_address,
        cluster.service_account,
        own=True,
    )


def of_the_user() -> KubernetesLane | str | None:
    """The user's own, if KUBECONFIG names one; or what is missing to test on it."""
    said = {name: os.environ.get(name, "") for name in VARIABLES}
    if not said["KUBECONFIG"]:
        return None
    missing = [
        name
        for name in ("KUBERNETES_MASTER", "KUBERNETES_IMAGE", "KUBERNETES_DRIVER_HOST")
        if not said[name]
    ]
    if missing:
        return (
            f"KUBECONFIG names a cluster, and {', '.join(missing)} must say how to use it; or unset"
            " KUBECONFIG"
        )
    return KubernetesLane(
        Path(said["KUBECONFIG"]).absolute(),
        said["KUBERNETES_MASTER"],
        said["KUBERNETES_IMAGE"],
        said["KUBERNETES_IMAGE_WITH_PYTHON"],
        said["KUBERNETES_DRIVER_HOST"],
        said["KUBERNETES_SERVICE_ACCOUNT"] or "default",
        own=bool(said["KUBERNETES_BED"]),
    )
