"""What is asked of an apiserver, and what becomes of its answers: against a small real HTTP server,
with credentials as people have them.
"""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

from coffee_boat import settings
from coffee_boat._support.store import Store
from coffee_boat.clusters import compatibility, probe, waiting
from coffee_boat.clusters.kubernetes import access as kubernetes_access
from coffee_boat.clusters.kubernetes import api, kubeconfig
from coffee_boat.clusters.kubernetes import plugin as kubernetes_plugin
from coffee_boat.clusters.kubernetes.access import Unusable
from coffee_boat.clusters.kubernetes.driver import KubernetesDriver
from coffee_boat.errors import LaunchError
from coffee_boat.model import NodeFacts, SparkFacts, Target
from coffee_boat.workflow.preflight import Preflight
from coffee_boat.workflow.target import Executors

PODS, ACCOUNTS = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/serviceaccounts"
SELF, OTHER = (
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    "/apis/authorization.k8s.io/v1/subjectaccessreviews",
)
IMAGE = {"spark.kubernetes.container.image": "registry/spark:4.1"}


class Cluster:
    """Answers by path; the longest that the path begins with."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {
            "/version": (200, {"gitVersion": "v1.34.4"}),
            "/api/v1/nodes": (
                200,
                {
                    "items": [
                        node("a", "amd64"),
                        node("b", "arm64", zone="2"),
                        node("closed", "amd64", closed=True),
                    ]
                },
            ),
            "/api/v1/namespaces/default/events": (200, {"items": []}),
            ACCOUNTS: (200, {}),
            "/api/v1/namespaces/default": (200, {}),
            "/api/v1/namespaces/default/": (404, {"message": "not found"}),
            SELF: (201, {"status": {"allowed": True}}),
            OTHER: (201, {"status": {"allowed": True}}),
        }
        self.forbidden: set[str] = set()
        """As "create pods": what a review says no to."""
        self.seen: list[tuple[str, str]] = []
        """Path and what it said of who asks."""
        self.url = ""

    def facts(self, *, mode: str = "client", **conf: str) -> SparkFacts:
        settings = {
            "spark.app.name": "job",
            **IMAGE,
            **{key.replace("__", "."): value for key, value in conf.items()},
        }
        return SparkFacts("4.1.4", f"k8s://{self.url}", mode, settings)


def page(items: list[Any], asked: dict[str, list[str]]) -> dict[str, Any]:
    """As an apiserver cuts a list: whoever names no limit gets all of it."""
    start = int(asked.get("continue", ["0"])[0])
    end = start + int(asked.get("limit", [str(len(items))])[0])
    metadata = {"continue": str(end)} if end < len(items) else {}
    return {"metadata": metadata, "items": items[start:end]}


def node(name: str, architecture: str, *, zone: str = "1", closed: bool = False) -> dict[str, Any]:
    ready = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"architecture": architecture},
    }
    return {
        "metadata": {"name": name, "labels": {"zone": zone}},
        "spec": {"unschedulable": closed},
        "status": ready,
    }


def pod(
    name: str = "job-exec-1",
    role: str = "executor",
    container: str = "spark-kubernetes-executor",
    **status: Any,
) -> dict[str, Any]:
    labels = {"spark-role": role}
    return {
        "metadata": {"name": name, "uid": name, "namespace": "default", "labels": labels},
        "spec": {"containers": [{"name": container}]},
        "status": status,
    }


def container(state: dict[str, Any], name: str = "spark-kubernetes-executor") -> dict[str, Any]:
    return {"name": name, "image": "registry/spark:4.1", "state": state}


PULL = pod(
    phase="Pending",
    containerStatuses=[
        container(
            {
                "waiting": {
                    "reason": "ErrImagePull",
                    "message": (
                        'failed to resolve "registry/spark:4.1": https://me:hunter2@registry: 404'
                    ),
                }
            }
        )
    ],
)
PENDING = pod(
    phase="Pending",
    conditions=[
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/2 nodes are available: 2 Insufficient memory.",
        }
    ],
)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cluster]:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with served(Cluster()) as made:
        yield made


@contextmanager
def served(cluster: Cluster, tls: ssl.SSLContext | None = None) -> Iterator[Cluster]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            cluster.seen.append((self.path, self.headers.get("Authorization", "")))
            code, said = cluster.answers.get(
                max(
                    (path for path in cluster.answers if self.path.startswith(path)),
                    key=len,
                    default="",
                ),
                (404, {"message": "not found"}),
            )
            if self.command == "POST":
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["spec"][
                    "resourceAttributes"
                ]
                said = (
                    {
                        "status": {
                            "allowed": (
                                said["status"]["allowed"]
                                and f"{asked['verb']} {asked['resource']}" not in cluster.forbidden
                            )
                        }
                    }
                    if code == 201
                    else said
                )
            if "items" in said and isinstance(said, dict):
                said = page(said["items"], parse_qs(urlsplit(self.path).query))
            body = (said if isinstance(said, str) else json.dumps(said)).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who does not trust us hangs up
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    cluster.url = f"http{'s' * (tls is not None)}://127.0.0.1:{server.server_port}"
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# probe


def test_a_cluster_that_is_well(cluster: Cluster) -> None:
    told = probe(cluster.facts())
    assert told.manager == "Kubernetes v1.34.4"
    assert told.nodes == (NodeFacts("a", "x86_64"), NodeFacts("b", "aarch64"))
    nodes = Target("3.11.7", "aarch64", (2, 28))
    (mixed,) = compatibility.platform(nodes, told, ships_python=True)
    assert "spark.kubernetes.executor.node.selector.kubernetes.io/arch=arm64" in mixed.cure
    assert told.findings == ()


def test_a_platform_that_is_asked_of_the_cluster_is_that_of_its_nodes(
    cluster: Cluster, store: Store
) -> None:
    chosen, _ = settings.load({"platform": "auto", "ship_python": False})
    executors = Executors(chosen, store)
    driver = executors.target
    arm = cluster.facts(spark__kubernetes__node__selector__zone="2")
    told = Preflight(store).ask(
        arm, lambda: executors.target, ships_python=False, learn=executors.learn
    )
    assert executors.target.platform == "manylinux_2_28_aarch64"
    assert [finding.value for finding in told.findings] == ["manylinux_2_28_aarch64"]
    Preflight(store).ask(
        cluster.facts(), lambda: executors.target, ships_python=False, learn=executors.learn
    )
    assert executors.target == driver, "of two machines the driver's, if it is one of them"


def test_nodes_that_executors_are_not_bound_to_do_not_count(cluster: Cluster) -> None:
    assert probe(cluster.facts(spark__kubernetes__node__selector__zone="2")).nodes == (
        NodeFacts("b", "aarch64"),
    )


def test_who_may_not_see_nodes_is_told_none(cluster: Cluster) -> None:
    cluster.answers["/api/v1/nodes"] = (403, {"message": "nodes is forbidden"})
    assert probe(cluster.facts()).nodes == ()


def test_the_nodes_of_a_large_cluster_come_page_by_page(cluster: Cluster) -> None:
    names = [f"node-{number}" for number in range(1200)]
    cluster.answers["/api/v1/nodes"] = (200, {"items": [node(name, "amd64") for name in names]})
    assert [found.host for found in probe(cluster.facts()).nodes] == names
    asked = [path for path, _ in cluster.seen if path.startswith("/api/v1/nodes")]
    assert len(asked) == 3
    assert all("limit=500" in path for path in asked)


def test_a_list_that_changes_while_it_is_read_is_asked_for_whole(cluster: Cluster) -> None:
    names = [f"node-{number}" for number in range(600)]
    cluster.answers["/api/v1/nodes"] = (200, {"items": [node(name, "amd64") for name in names]})
    cluster.answers["/api/v1/nodes?limit=500&continue="] = (410, {"message": "too old"})
    assert [found.host for found in probe(cluster.facts()).nodes] == names


def test_nobody_answers(cluster: Cluster) -> None:
    with pytest.raises(LaunchError, match="cannot be reached") as caught:
        probe(
            SparkFacts("4.1.4", "k8s://https://127.0.0.1:1", conf={"spark.app.name": "x", **IMAGE})
        )
    assert "refused" in caught.value.cause
    assert "kubectl cluster-info" in caught.value.cure


def test_somebody_else_answers(cluster: Cluster) -> None:
    cluster.answers["/version"] = (200, "<html>hello</html>")
    with pytest.raises(LaunchError, match="cannot be reached") as caught:
        probe(cluster.facts())
    assert "not as an apiserver" in caught.value.cause


def test_credentials_that_ran_out(cluster: Cluster) -> None:
    cluster.answers["/version"] = (401, {"message": "Unauthorized"})
    with pytest.raises(LaunchError, match="does not know us") as caught:
        probe(cluster.facts())
    assert caught.value.cause == "Unauthorized"


def test_a_namespace_that_is_not_there(cluster: Cluster) -> None:
    with pytest.raises(
        LaunchError, match=r"no such namespace: spark\.kubernetes\.namespace=harbour"
    ):
        probe(cluster.facts(spark__kubernetes__namespace="harbour"))


def test_what_is_forbidden_is_named(cluster: Cluster) -> None:
    cluster.forbidden = {"create pods", "create configmaps"}
    with pytest.raises(
        LaunchError, match="create pods, create configmaps in namespace default"
    ) as caught:
        probe(cluster.facts())
    assert "kubectl create rolebinding" in caught.value.cure


def test_config_maps_are_not_needed_where_spark_is_told_so(cluster: Cluster) -> None:
    cluster.forbidden = {"create configmaps"}
    assert probe(cluster.facts(spark__kubernetes__executor__disableConfigMap="true")).nodes


def test_the_drivers_service_account(cluster: Cluster) -> None:
    cluster.answers[OTHER] = (201, {"status": {"allowed": False}})
    with pytest.raises(LaunchError, match="service account is forbidden") as caught:
        probe(cluster.facts(mode="cluster"))
    assert "serviceAccountName is not set" in caught.value.cause
    assert "--serviceaccount=default:default" in caught.value.cure
    cluster.answers[OTHER] = (403, {"message": "subjectaccessreviews is forbidden"})
    assert probe(cluster.facts(mode="cluster")).nodes, "who may not ask for others goes on"
    cluster.answers[ACCOUNTS] = (404, {"message": "not found"})
    with pytest.raises(LaunchError, match="no such service account"):
        probe(
            cluster.facts(
                mode="cluster", spark__kubernetes__authenticate__driver__serviceAccountName="spark"
            )
        )


def test_no_image(cluster: Cluster) -> None:
    with pytest.raises(LaunchError, match="no image is named"):
        probe(SparkFacts("4.1.4", f"k8s://{cluster.url}", conf={"spark.app.name": "job"}))
    assert probe(SparkFacts("4.1.4", f"k8s://{cluster.url}")).nodes, (
        "before SparkContext(...) the program may still name one"
    )


def test_credentials_that_we_do_not_know_change_nothing(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_kubeconfig(tmp_path, monkeypatch, {"auth-provider": {"name": "oidc"}})
    (finding,) = probe(cluster.facts()).findings
    assert finding.severity == "note"
    assert "auth-provider" in finding.value


# waiting


@pytest.mark.parametrize(
    ("application", "asked"),
    [
        ("spark-1", "spark-app-selector%3Dspark-1"),
        (None, "coffee-boat%3Dboat-1%2Ccoffee-boat-session%3D17"),
    ],
)
def test_what_keeps_pods_from_running_is_said_once_in_the_clusters_words(
    cluster: Cluster, application: str | None, asked: str
) -> None:
    cluster.answers[PODS] = (
        200,
        {
            "items": [
                PULL,
                PENDING,
                {**PENDING, "metadata": {**PENDING["metadata"], "name": "job-exec-2"}},
                pod(phase="Running"),
            ]
        },
    )
    cluster.answers["/api/v1/namespaces/default/events"] = (
        200,
        {
            "items": [
                {"message": "Failed to pull image", "lastTimestamp": "1"},
                {"message": "Scheduled"},
            ]
        },
    )
    image, pending = waiting(
        cluster.facts(
            **{
                "spark__kubernetes__executor__label__coffee-boat": "boat-1",
                "spark__kubernetes__executor__label__coffee-boat-session": "17",
            }
        ),
        application,
    )
    assert any(asked in path for path, _ in cluster.seen)
    assert (image.what, image.severity) == ("an image cannot be pulled", "error")
    assert "registry/spark:4.1" in image.value
    assert "404" in image.cause
    assert "Failed to pull image" in image.cause
    assert "hunter2" not in str(image)
    assert pending.cause == "0/2 nodes are available: 2 Insufficient memory."
    assert "spark.executor.memory" in pending.cure


def many(kind: str) -> list[dict[str, Any]]:
    """500 pods that wait for the same, each said in words that name it."""

    def status(name: str) -> dict[str, Any]:
        if kind == "unschedulable":
            message = f'persistentvolumeclaim "{name}-pvc-0" not found'
            return {"conditions": [{**PENDING["status"]["conditions"][0], "message": message}]}
        message = f"back-off {len(name)}s restarting failed container of {name}"
        return {"containerStatuses": [container({"waiting": {"reason": kind, "message": message}})]}

    return [pod(name, **status(name)) for name in (f"job-exec-{n}" for n in range(1, 501))]


@pytest.mark.parametrize(
    ("kind", "of_events"),
    [("ErrImagePull", 1), ("CrashLoopBackOff", 1), ("unschedulable", 0)],
)
def test_hundreds_of_pods_that_wait_for_the_same_are_a_few_requests(
    cluster: Cluster, kind: str, of_events: int
) -> None:
    cluster.answers[PODS] = (200, {"items": many(kind)})
    (finding,) = waiting(cluster.facts(), "spark-1")
    assert "job-exec-1" in finding.value
    paths = [path for path, _ in cluster.seen]
    assert len([path for path in paths if "/events?" in path]) == of_events
    assert len(paths) == 1 + of_events


def test_a_cluster_that_does_not_answer_while_waiting_says_nothing(cluster: Cluster) -> None:
    assert waiting(SparkFacts("4.1.4", "k8s://https://127.0.0.1:1"), "spark-1") == ()
    assert waiting(cluster.facts(), None) == (), "without an id or a label nothing can be asked"


# the driver's pod


def driver(**status: Any) -> dict[str, Any]:
    return pod("job-driver", "driver", "spark-kubernetes-driver", **status)


def ended(code: int) -> dict[str, Any]:
    side = container({"terminated": {"exitCode": 0}}, "istio-proxy")
    return driver(
        phase="Failed" if code else "Succeeded",
        containerStatuses=[
            side,
            container(
                {"terminated": {"exitCode": code, "reason": "Error"}}, "spark-kubernetes-driver"
            ),
        ],
    )


@pytest.mark.parametrize(
    ("pods", "submitted", "code", "said"),
    [
        ([ended(0)], 0, 0, ""),
        ([ended(3)], 0, 3, "ValueError: the sea is rough"),
        ([], 0, 1, "its pod is gone"),
        (
            [driver(phase="Failed", reason="Evicted", message="The node was low on memory")],
            0,
            1,
            "Evicted: The node was low on memory",
        ),
        ([ended(3)], 1, 1, ""),
        ([driver(phase="Running")], 130, 130, "kubectl delete pod job-driver"),
    ],
    ids=["well", "failed", "gone", "evicted", "spark-submit failed", "interrupted"],
)
def test_the_drivers_exit_code_is_ours(
    cluster: Cluster, pods: list[Any], submitted: int, code: int, said: str
) -> None:
    cluster.answers |= {
        f"{PODS}/job-driver/log": (200, "Traceback\nValueError: the sea is rough"),
        PODS: (200, {"items": pods}),
    }
    lines: list[str] = []
    made = KubernetesDriver(cluster.facts(mode="cluster"))
    assert made.exit_code(submitted, lines.append) == code
    assert said in "\n".join(lines)
    assert bool(lines) is bool(said)
    assert all(made.run in path for path, _ in cluster.seen if path.startswith(f"{PODS}?"))


def test_who_does_not_wait_for_the_driver_is_not_told_of_it(cluster: Cluster) -> None:
    assert (
        KubernetesDriver(
            cluster.facts(mode="cluster", spark__kubernetes__submission__waitAppCompletion="false")
        ).exit_code(0, pytest.fail)
        == 0
    )
    assert cluster.seen == []


def test_a_cluster_that_cannot_be_asked_leaves_spark_submits_word(cluster: Cluster) -> None:
    cluster.answers[PODS] = (403, {"message": "pods is forbidden"})
    lines: list[str] = []
    assert KubernetesDriver(cluster.facts(mode="cluster")).exit_code(0, lines.append) == 0
    assert "pods is forbidden" in lines[0]


def test_while_spark_submit_waits_what_keeps_the_driver_from_running_is_said_once(
    cluster: Cluster,
) -> None:
    stuck = {**PULL, "spec": {"containers": [{"name": "spark-kubernetes-driver"}]}}
    cluster.answers[PODS] = (200, {"items": [stuck]})
    lines: list[str] = []
    with KubernetesDriver(cluster.facts(mode="cluster"), every=0.02).watched(lines.append):
        while sum(path.startswith(PODS) for path, _ in cluster.seen) < 3:
            threading.Event().wait(0.01)
    assert len(lines) == 1
    assert "an image cannot be pulled" in lines[0]


# credentials


def write_kubeconfig(
    folder: Path, monkeypatch: pytest.MonkeyPatch, user: dict[str, Any], **cluster: Any
) -> Path:
    told = {
        "current-context": "here",
        "contexts": [
            {"name": "here", "context": {"cluster": "one", "user": "me"}},
            {"name": "there", "context": {"cluster": "two", "user": "you"}},
        ],
        "clusters": [
            {"name": "one", "cluster": {"server": "https://one", **cluster}},
            {"name": "two", "cluster": {"server": "https://two"}},
        ],
        "users": [{"name": "me", "user": user}, {"name": "you", "user": {"token": "yours"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(told))
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def find(
    conf: dict[str, str] | None = None, *, submission: bool = False
) -> kubernetes_access.Access:
    return kubeconfig.find("k8s://https://master:6443", conf or {}, submission=submission)


def test_a_token_is_sent_and_not_shown(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_kubeconfig(tmp_path, monkeypatch, {"token": "hunter2"})
    probe(cluster.facts())
    assert {said for _, said in cluster.seen} == {"Bearer hunter2"}
    assert "hunter2" not in repr(find())


def test_the_master_is_the_server_whatever_the_context_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_kubeconfig(tmp_path, monkeypatch, {"token": "mine"})
    assert find().server == "https://master:6443"
    assert (
        kubeconfig.find("k8s://master:6443", {}, submission=False).server == "https://master:6443"
    )


def test_a_user_without_a_home_has_no_kubeconfig(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a container's arbitrary user, of whom nobody knows anything."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 1_234_567)
    with pytest.raises(RuntimeError):
        Path.home()
    assert kubeconfig.find("k8s://master:6443", {}, submission=False).origin == ""


def test_files_are_relative_to_the_kubeconfig_and_contents_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = {"client-certificate": "me.crt", "client-key-data": "S0VZ", "tokenFile": "/token"}
    write_kubeconfig(
        tmp_path,
        monkeypatch,
        user,
        **{
            "certificate-authority": "ca.crt",
            "tls-server-name": "kube",
            "proxy-url": "http://proxy:3128",
            "insecure-skip-tls-verify": True,
        },
    )
    access = find()
    assert (access.certificate_file, access.key, access.token_file, access.ca_file) == (
        str(tmp_path / "me.crt"),
        "KEY",
        "/token",
        str(tmp_path / "ca.crt"),
    )
    assert (access.server_name, access.proxy, access.verify) == ("kube", "http://proxy:3128", False)


def test_another_context_and_sparks_own_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_kubeconfig(tmp_path, monkeypatch, {"token": "mine"})
    assert find({"spark.kubernetes.context": "there"}).token == "yours"
    conf = {
        "spark.kubernetes.authenticate.oauthToken": "spark's",
        "spark.kubernetes.authenticate.submission.oauthTokenFile": "/submit",
    }
    assert find(conf).headers == {"Authorization": "Bearer spark's"}
    submitting = find(conf, submission=True)
    assert (submitting.token, submitting.token_file) == ("", "/submit")
    with pytest.raises(Unusable, match="'nowhere'"):
        find({"spark.kubernetes.context": "nowhere"})


def test_of_several_files_the_first_that_has_a_name_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_kubeconfig(tmp_path, monkeypatch, {"token": "mine"})
    first = tmp_path / "first"
    first.write_text("users:\n- name: me\n  user:\n    token: first\n")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{path}")
    assert find().token == "first"


def test_a_plugin_gives_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "login"
    script.write_text(
        f"#!{sys.executable}\nimport json, os, sys\nassert"
        " json.loads(os.environ['KUBERNETES_EXEC_INFO'])['kind'] == 'ExecCredential'\n"
    )
    with script.open("a") as file:
        file.write("print(json.dumps({'status': {'token': sys.argv[1] + os.environ['WHO']}}))\n")
    script.chmod(0o755)
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "./login",
        "args": ["token-"],
        "env": [{"name": "WHO", "value": "me"}],
    }
    write_kubeconfig(tmp_path, monkeypatch, {"exec": plugin})
    assert find().token == "token-me"
    write_kubeconfig(tmp_path, monkeypatch, {"exec": {**plugin, "command": "./gone"}})
    with pytest.raises(Unusable, match="gives no credentials"):
        find()


def counting(folder: Path, monkeypatch: pytest.MonkeyPatch, prints: str) -> Path:
    """A plugin that leaves a line for each of its runs."""
    runs = folder / "runs"
    write_kubeconfig(
        folder,
        monkeypatch,
        {
            "exec": {
                "command": sys.executable,
                "args": ["-c", f"open({str(runs)!r}, 'a').write('ran\\n'); {prints}"],
            }
        },
    )
    return runs


@pytest.mark.parametrize(("end", "ran"), [(None, 1), (3600, 1), (-5, 3), ("tomorrow", 1)])
def test_a_plugins_credentials_are_kept_until_they_run_out(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: int | str | None,
    ran: int,
) -> None:
    said = (
        datetime.fromtimestamp(time.time() + end, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        if isinstance(end, int)
        else end
    )
    status = {"token": "mine", **({"expirationTimestamp": said} if said else {})}
    runs = counting(tmp_path, monkeypatch, f"print({json.dumps({'status': status})!r})")
    cluster.answers[PODS] = (200, {"items": []})
    probe(cluster.facts())
    for _ in range(2):
        assert waiting(cluster.facts(), "spark-1") == ()
    assert {said for _, said in cluster.seen} == {"Bearer mine"}
    assert runs.read_text().count("ran") == ran


def test_another_profile_has_credentials_of_its_own(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting(
        tmp_path,
        monkeypatch,
        """import os; print('{"status": {"token": "%s"}}' % os.environ['AWS_PROFILE'])""",
    )
    for profile in ("one", "two"):
        monkeypatch.setenv("AWS_PROFILE", profile)
        assert find().token == profile


def test_credentials_that_are_not_accepted_are_asked_for_anew(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = counting(tmp_path, monkeypatch, """print('{"status": {"token": "mine"}}')""")
    well, cluster.answers["/version"] = (
        cluster.answers["/version"],
        (
            401,
            {"message": "Unauthorized"},
        ),
    )
    with pytest.raises(LaunchError, match="does not know us"):
        probe(cluster.facts())
    cluster.answers["/version"] = well
    assert probe(cluster.facts()).nodes
    assert runs.read_text().count("ran") == 2


def test_a_plugin_that_fails_is_not_run_again_at_once(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = counting(tmp_path, monkeypatch, "raise SystemExit('log in again')")
    assert "log in again" in probe(cluster.facts()).findings[0].value
    assert waiting(cluster.facts(), "spark-1") == ()
    assert runs.read_text().count("ran") == 1


def test_a_plugin_that_waits_for_somebody_is_not_waited_for(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_plugin, "_EXEC_SECONDS", 0.5)
    counting(tmp_path, monkeypatch, "import time; time.sleep(20)")
    (finding,) = probe(cluster.facts()).findings
    assert "log in" in finding.value


@pytest.mark.parametrize(
    "told",
    [
        {"contexts": ["here"]},
        {"contexts": [{"name": "here", "context": "one"}]},
        {"users": [{"name": "me", "user": {"exec": "aws"}}]},
    ],
)
def test_what_is_no_entry_of_a_kubeconfig(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any]
) -> None:
    path = write_kubeconfig(tmp_path, monkeypatch, {})
    path.write_text(json.dumps({**json.loads(path.read_text()), **told}))
    (finding,) = probe(cluster.facts()).findings
    assert "kubeconfigs have" in finding.value


needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="needs openssl to make a certificate"
)


def self_signed(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """What serves 127.0.0.1 with a certificate that nobody signed, and the certificate's file."""
    key, certificate = str(tmp_path / "key"), str(tmp_path / "certificate")
    made = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-keyout",
        key,
        "-out",
        certificate,
        "-days",
        "2",
        "-subj",
        "/CN=company",
    ]
    subprocess.run(
        ["openssl", *made, "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


@needs_openssl
def test_a_certificate_that_java_may_trust_refuses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    context, certificate = self_signed(tmp_path)
    with served(Cluster(), context) as cluster:
        (finding,) = probe(cluster.facts()).findings
        assert finding.severity == "note"
        assert "self" in finding.cause
        assert "caCertFile" in finding.cure
        assert probe(cluster.facts(spark__kubernetes__authenticate__caCertFile=certificate)).nodes


@needs_openssl
def test_who_verifies_nothing_is_not_warned_of_us_and_still_of_others(tmp_path: Path) -> None:
    context, _ = self_signed(tmp_path)
    with served(Cluster(), context) as cluster, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert probe(cluster.facts(spark__kubernetes__trust__certificates="true")).nodes
        assert [str(each.message) for each in warned] == []
        with urllib3.PoolManager(cert_reqs="CERT_NONE") as theirs:
            theirs.request("GET", f"{cluster.url}/version")
        assert [each.category for each in warned] == [urllib3.exceptions.InsecureRequestWarning]


@pytest.mark.parametrize(
    ("prints", "said"),
    [
        (
            "import sys; sys.exit('log in again: sso --password=x https://me:hunter2@sso')",
            "log in again",
        ),
        ("print('null')", "prints no ExecCredential"),
        ("print('{\"status\": null}')", "prints no ExecCredential"),
    ],
)
def test_a_plugin_that_fails_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prints: str, said: str
) -> None:
    write_kubeconfig(
        tmp_path, monkeypatch, {"exec": {"command": sys.executable, "args": ["-c", prints]}}
    )
    with pytest.raises(Unusable, match=said) as caught:
        find()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "- a list", "\tx: y"])
def test_a_broken_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with pytest.raises(Unusable, match="kubeconfig"):
        find()


def test_a_certificate_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_kubeconfig(
        tmp_path, monkeypatch, {"client-certificate": "gone.crt", "client-key": "gone.key"}
    )
    with pytest.raises(Unusable, match="cannot be read"):
        api.Apiserver(SparkFacts("4.1.4", "k8s://https://master"))


@pytest.mark.parametrize("user", [{"tokenFile": "gone"}, {"client-certificate-data": "YWE"}])
def test_a_token_or_certificate_that_is_damaged_is_no_bug_of_ours(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: dict[str, str]
) -> None:
    write_kubeconfig(tmp_path, monkeypatch, user)
    assert [finding.what for finding in probe(cluster.facts()).findings] == [
        "skipped the cluster check"
    ]


def test_certificates_are_believed_as_spark_believes_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert find().tls().verify_mode is ssl.CERT_REQUIRED
    assert not find().tls().verify_flags & ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    assert find({"spark.kubernetes.trust.certificates": "true"}).tls().verify_mode is ssl.CERT_NONE


def test_a_proxy_of_a_kind_that_is_not_spoken(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_kubeconfig(tmp_path, monkeypatch, {}, **{"proxy-url": "socks5://me:hunter2@bastion:1080"})
    (finding,) = probe(cluster.facts()).findings
    assert "bastion:1080" in finding.value
    assert "hunter2" not in str(finding)
