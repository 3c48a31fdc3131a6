"""A real Kubernetes whose pods have no Python: client mode outside and inside, cluster mode,
additions, and what goes wrong said in seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lanes import cannot_run

from integration import crowd_wheels, jvm_lane
from integration.crowd_checks import check_all
from integration.kubernetes_lane import KubernetesLane
from integration.running import (
    DRIVERS,
    Ended,
    SparkPython,
    plain_environment,
)

CHECKOUT = Path(__file__).resolve().parent.parent
POD_USER = 185
"""Of the image."""
SECONDS = 60.0
"""That a message may take on a busy machine; the watch asks after 5."""

# The first may wait for the compiler; each session has a limit of its own, for half a minute where
# nothing else runs.
pytestmark = pytest.mark.timeout(2700)

Drive = Callable[..., Ended]


@pytest.fixture
def drive(kubernetes: KubernetesLane, spark_python: SparkPython, tmp_path: Path) -> Drive:
    """Runs a program of `drivers/` with an administrator's settings, over which a test puts its
    own.
    """

    def run(
        script: str,
        *arguments: object,
        wait: float = 800.0,
        env: dict[str, str] | None = None,
        **settings: str,
    ) -> Ended:
        environment = kubernetes.environment(tmp_path / "conf", kubernetes.settings(**settings))
        return spark_python.run(
            script, *arguments, env={**environment, **(env or {})}, timeout=wait
        )

    return run


def checked(ended: Ended) -> Any:
    assert ended.code == 0, ended.tail
    return ended.result


def test_the_image_has_no_python(kubernetes: KubernetesLane) -> None:
    name = f"look-{time.time_ns()}"
    look = [
        "bash",
        "-c",
        "find / -path /proc -prune -o -name 'python*' -print 2>/dev/null | grep . || echo none",
    ]
    kubernetes.kubectl(
        "run",
        name,
        f"--image={kubernetes.image}",
        "--image-pull-policy=IfNotPresent",
        "--restart=Never",
        "--command",
        "--",
        *look,
    )
    try:
        kubernetes.kubectl(
            "wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=90s"
        )
        assert kubernetes.kubectl("logs", name).split()[0] == "none"
    finally:
        kubernetes.kubectl("delete", "pod", name, "--wait=false")


# client mode


def test_the_snippet_on_both_nodes(kubernetes: KubernetesLane, drive: Drive) -> None:
    answer = checked(drive("snippet.py", kubernetes.master))
    (told,) = answer["rounds"]
    assert answer["ok"], answer["report"]
    assert all(
        one["inside"] and one["sum"] == 42 and one["edtf"] == "1984-06?" for one in told["rdd"]
    )
    assert all(one["pyspark_inside"] for one in told["rdd"]), "not of the image's pyspark.zip"
    assert told["udf"] == ["2004-06/2006-08 2004"]
    nodes = kubernetes.nodes_of_pods()
    hosts = {one["host"] for one in told["rdd"]}
    assert len(hosts) == 2
    assert len({nodes[host] for host in hosts}) == 2, "each executor is on a node of its own"


@pytest.mark.turn(0)
def test_functions_made_before_follow_what_the_session_has(
    kubernetes: KubernetesLane, drive: Drive, tmp_path: Path, kinds_of_functions: str
) -> None:
    crowd_wheels.write(tmp_path / "wheels")
    words = (kubernetes.master, tmp_path / "wheels", kinds_of_functions)
    told = checked(drive("generations.py", *words))
    check_all(told)


def test_executors_that_start_after_an_addition_have_it_and_a_volume_keeps_the_environment(
    kubernetes: KubernetesLane, drive: Drive, tmp_path: Path
) -> None:
    dynamic = {
        "enabled": "true",
        "shuffleTracking__enabled": "true",
        "minExecutors": "1",
        "initialExecutors": "1",
        "maxExecutors": "2",
    }
    settings = {f"spark__dynamicAllocation__{name}": value for name, value in dynamic.items()}
    volume = volume_of_the_machine(tmp_path) if kubernetes.own else {}
    told = checked(
        drive(
            "late_executors.py",
            kubernetes.master,
            env={"COFFEE_BOAT_NODE_STORE": "/boats"} if kubernetes.own else {},
            **{**settings, "spark__executor__instances": "1", **volume},
        )
    )
    assert (told["before"], told["after"]) == (1, 2)
    assert len({host for host, *_ in told["seen"]}) == 2
    assert all("/boat-layer-" in file for _, file, _ in told["seen"])
    assert not kubernetes.own or len({root for *_, root in told["seen"]}) == 1, "of the volume"
    assert not any(told["foreign"]), told["report"]
    assert told["ok"], told["report"]
    assert told["answered"] == 2


def volume_of_the_machine(folder: Path) -> dict[str, str]:
    """Settings that let each executor have a folder of this machine as /boats."""
    boats = folder / "boats"
    boats.mkdir()
    os.chown(boats, POD_USER, POD_USER)
    name = "spark__kubernetes__executor__volumes__hostPath__boats"
    return {f"{name}__mount__path": "/boats", f"{name}__options__path": str(boats)}


@pytest.fixture
def pod_with_us(
    kubernetes: KubernetesLane, store: Path, tmp_path: Path
) -> Iterator[Callable[..., str]]:
    """Runs a program of `drivers/` in a pod, as a notebook server is one: with a Python that has
    pyspark and coffee_boat, here by volumes of this machine.
    """
    if not kubernetes.own:
        cannot_run(
            "the driver's Python is mounted from this machine, which a cluster of one's own does"
            " not see"
        )
    name = f"harbour-{time.time_ns()}"
    wheels = tmp_path / "wheels"  # nothing outside of the cluster is reached from its pods
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--wheel-dir",
            str(wheels),
            "pyarrow",
            "edtf",
        ],
        check=True,
        timeout=300,
    )
    folders = sorted(
        {str(path) for path in (Path(sys.prefix), Path(sys.base_prefix), CHECKOUT, store, wheels)}
    )
    more = {"spark__kubernetes__container__image": kubernetes.image_with_python}
    settings = kubernetes.environment(
        tmp_path / "conf", kubernetes.settings(spark__kubernetes__driver__pod__name=name, **more)
    )
    folders.append(settings["SPARK_CONF_DIR"])

    def run(script: str, *arguments: str) -> str:
        ours = {
            "COFFEE_BOAT_STORE": str(store),
            "COFFEE_BOAT_FIND_LINKS": str(wheels),
            "COFFEE_BOAT_OFFLINE": "true",
        }
        variables = {"SPARK_CONF_DIR": settings["SPARK_CONF_DIR"], "HOME": "/tmp", **ours}
        address = {
            "name": "SPARK_LOCAL_HOSTNAME",
            "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}},
        }
        container = {
            "name": "driver",
            "image": kubernetes.image_with_python,
            "imagePullPolicy": "IfNotPresent",
            "command": [sys.executable, str(DRIVERS / script), *arguments],
            "env": [{"name": key, "value": value} for key, value in variables.items()] + [address],
            "securityContext": {"runAsUser": 0},
            "volumeMounts": [
                {"name": f"v{number}", "mountPath": folder} for number, folder in enumerate(folders)
            ],
        }
        spec = {
            "restartPolicy": "Never",
            "serviceAccountName": kubernetes.service_account,
            "containers": [container],
            "volumes": [
                {"name": f"v{number}", "hostPath": {"path": folder}}
                for number, folder in enumerate(folders)
            ],
        }
        kubernetes.kubectl(
            "apply",
            "-f",
            "-",
            stdin=json.dumps(
                {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
            ),
        )
        deadline = time.monotonic() + 800
        while (
            phase := kubernetes.kubectl("get", "pod", name, "-o", "jsonpath={.status.phase}")
        ) in ("", "Pending", "Running"):
            assert time.monotonic() < deadline, (
                f"the pod is {phase}: {kubernetes.kubectl('logs', name, check=False)}"
            )
            time.sleep(1)
        return kubernetes.kubectl("logs", name)

    yield run
    kubernetes.kubectl("delete", "pod", name, "--wait=false")


@pytest.mark.turn(1)
def test_a_driver_in_a_pod_and_executors_whose_image_has_another_python(
    kubernetes: KubernetesLane, pod_with_us: Callable[..., str]
) -> None:
    said = pod_with_us("snippet.py", "k8s://https://kubernetes.default.svc")
    answer = Ended(0, said, "").result
    assert answer["ok"], answer["report"]
    assert all(one["inside"] for one in answer["rounds"][0]["rdd"])


# cluster mode


LAUNCH = ("launch", "--pip", "pyarrow", "--pip", "edtf", "--deploy-mode", "cluster")
Settings = Callable[[dict[str, str]], dict[str, str]]
Launch = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def in_cluster_mode(kubernetes: KubernetesLane, tmp_path: Path) -> Settings:
    """Spark's settings and others over them, of which empty ones are none; uploads go to a folder
    that the driver's pod sees.
    """
    if not kubernetes.own:
        cannot_run(
            "scripts are uploaded to a folder of this machine, which a cluster of one's own does"
            " not see"
        )
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    volume = "spark.kubernetes.driver.volumes.hostPath.uploads"
    shared = {
        "spark.kubernetes.authenticate.driver.serviceAccountName": kubernetes.service_account,
        f"{volume}.mount.path": str(uploads),
        f"{volume}.options.path": str(uploads),
        "spark.kubernetes.file.upload.path": uploads.as_uri(),
    }

    def settings(more: dict[str, str]) -> dict[str, str]:
        given = {**kubernetes.settings(), **shared, **more}
        return {name: value for name, value in given.items() if value}

    return settings


@pytest.fixture
def launch(
    kubernetes: KubernetesLane, in_cluster_mode: Settings, store: Path, tmp_path: Path
) -> Launch:
    """`boat launch` of a program of `drivers/`."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = kubernetes.environment(tmp_path / "conf", in_cluster_mode({}))
        boat = (sys.executable, "-m", "coffee_boat.cli", *LAUNCH, "--master", kubernetes.master)
        return subprocess.run(
            [*boat, *words],
            cwd=tmp_path,
            env={**plain_environment(Path(sys.executable), store), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=800,
            stdin=subprocess.DEVNULL,
        )

    return run


def log_of(kubernetes: KubernetesLane, name: str) -> str:
    return kubernetes.kubectl("logs", "-l", f"spark-role=driver,spark-app-name={name}", "--tail=-1")


@pytest.mark.turn(2)
def test_in_cluster_mode_a_jar_calls_functions(
    kubernetes: KubernetesLane, launch: Launch, tmp_path: Path
) -> None:
    jvm_lane.write_code(tmp_path)
    main = ("--class", "com.example.Main", str(jvm_lane.compiled(tmp_path)), "plain")
    done = launch("--conf", "spark.app.name=jar", *jvm_lane.ASKED, *main)
    assert done.returncode == 0, done.stderr[-4000:]
    said = jvm_lane.told(log_of(kubernetes, "jar"))
    assert said["error"] == ["true"]
    assert all(map(jvm_lane.shipped, said["call_udf"])), said


def test_cluster_mode_runs_the_driver_in_the_shipped_interpreter_and_its_end_is_the_launchs(
    kubernetes: KubernetesLane, launch: Launch
) -> None:
    done = launch("--conf", "spark.app.name=ill", str(DRIVERS / "on_cluster.py"), "7")
    assert done.returncode == 7, done.stderr[-4000:]
    assert "ended with exit code 7" in done.stderr
    assert "ValueError: the sea is rough" in done.stderr
    told = Ended(0, log_of(kubernetes, "ill"), "").result
    assert told["executable"].startswith(f"{told['folder']}/boat-")
    assert (told["edtf"], told["sum"], told["nousersite"]) == ("1984-06?", 42, "1")
    assert len({host for host, *_ in told["seen"]}) == 2
    for _, executable, folder, total, _ in told["seen"]:
        assert executable.startswith(f"{folder}/boat-")
        assert total == 42


LACKS = (
    (
        "spark.kubernetes.file.upload.path",
        "",
        "the driver's pod cannot read the archive",
        "spark.kubernetes.file.upload.path",
    ),
    (
        "spark.kubernetes.authenticate.driver.serviceAccountName",
        "",
        "the driver's service account is forbidden",
        "create rolebinding",
    ),
    (
        "spark.kubernetes.authenticate.driver.serviceAccountName",
        "nobody",
        "there is no such service account",
        "kubectl create serviceaccount nobody",
    ),
    (
        "spark.kubernetes.namespace",
        "nowhere",
        "there is no such namespace",
        "kubectl get namespaces",
    ),
    (
        "spark.kubernetes.container.image",
        "",
        "no image is named for the pods",
        "spark.kubernetes.container.image=",
    ),
)
"""Setting, its value, what is told, and words of the cure."""


def test_what_cluster_mode_lacks_is_said_before_anything_is_sent(
    kubernetes: KubernetesLane,
    in_cluster_mode: Settings,
    spark_python: SparkPython,
    tmp_path: Path,
) -> None:
    folders = [
        kubernetes.environment(tmp_path / f"conf{number}", in_cluster_mode({setting: value}))
        for number, (setting, value, *_) in enumerate(LACKS)
    ]
    told = spark_python.checked(
        "boat_refused.py",
        ",".join(each["SPARK_CONF_DIR"] for each in folders),
        *LAUNCH,
        *("--master", kubernetes.master, str(DRIVERS / "on_cluster.py"), "0"),
        env=folders[0],
        timeout=800,
    ).result["ended"]
    assert len(told) == len(LACKS)
    for each, (_, _, what, words) in zip(told, LACKS, strict=True):
        assert each["code"] == 3, each
        assert what in each["stderr"]
        assert words in each["stderr"]


# what goes wrong


def test_an_apiserver_that_does_not_answer(kubernetes: KubernetesLane, drive: Drive) -> None:
    nobody = f"k8s://https://{kubernetes.driver_host}:1"
    (seconds, text), *_ = checked(drive("stuck.py", nobody, 300))["lines"]
    assert "the apiserver cannot be reached" in text
    assert "Connection refused" in text
    assert seconds < SECONDS


def test_a_service_account_that_may_not_make_pods(
    kubernetes: KubernetesLane, drive: Drive, tmp_path: Path
) -> None:
    token = kubernetes.kubectl("create", "token", "default").strip()
    theirs = replace(
        kubernetes, kubeconfig=tmp_path / "kubeconfig"
    )  # without the administrator's certificate, which counts more than a token
    theirs.kubeconfig.write_text(
        kubernetes.kubectl("config", "view", "--raw", "--minify", "--flatten"), "utf-8"
    )
    theirs.kubectl("config", "set-credentials", "default", f"--token={token}")
    theirs.kubectl("config", "set-context", "--current", "--user=default")
    ended = drive("stuck.py", kubernetes.master, 300, env={"KUBECONFIG": str(theirs.kubeconfig)})
    (seconds, text), *_ = checked(ended)["lines"]
    assert "the cluster forbids what Spark needs" in text
    assert "create pods" in text
    assert seconds < SECONDS
    assert token not in ended.stdout + ended.stderr


def test_an_image_that_cannot_be_pulled(kubernetes: KubernetesLane, drive: Drive) -> None:
    lines = checked(
        drive(
            "stuck.py",
            kubernetes.master,
            300,
            spark__kubernetes__container__image="registry.invalid/spark:none",
        )
    )["lines"]
    seconds, text = lines[-1]
    assert "an image cannot be pulled" in text
    assert "registry.invalid/spark:none" in text
    assert seconds < SECONDS


def test_a_pod_that_no_node_takes(kubernetes: KubernetesLane, drive: Drive) -> None:
    lines = checked(drive("stuck.py", kubernetes.master, 300, spark__executor__memory="900g"))[
        "lines"
    ]
    seconds, text = lines[-1]
    assert "a pod stays Pending" in text
    assert "nodes are available" in text
    assert seconds < SECONDS
