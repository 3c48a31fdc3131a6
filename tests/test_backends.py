"""Golden patches: what each kind of cluster gets set.

After a change that is meant: UPDATE_GOLDEN=1 pytest tests/test_backends.py, and read the diff.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from coffee_boat.clusters import KINDS, kind_of
from coffee_boat.errors import LaunchError
from coffee_boat.model import Archive, ConfPatch, Shipped, SparkFacts, Target

pytestmark = pytest.mark.once

GOLDEN = Path(__file__).parent / "golden"
ENVIRONMENT = Path("/store/trees/boat-abcdefabcdef")

PLAIN: dict[str, str] = {"spark.app.name": "job", "spark.executor.memory": "1g"}
OPINIONATED = {
    **PLAIN,
    "spark.archives": "data.zip#data, models.tar.gz,data.zip#data,other.zip#data",
    "spark.pyspark.python": "/opt/python/bin/python3",
    "spark.sql.execution.pyspark.python": "/opt/python/bin/python3",
    "spark.executorEnv.PYTHONNOUSERSITE": "0",
    "spark.executorEnv.PYTHONHOME": "/opt/python",
    "spark.executorEnv.PYTHONPATH": "/opt/lib",
    "spark.executorEnv.TZ": "UTC",
    "spark.yarn.dist.archives": "hdfs:///models.tar.gz#models",
    "spark.yarn.queue": "harbour",
    "spark.yarn.appMasterEnv.PYSPARK_DRIVER_PYTHON": "/opt/python/bin/python3",
    "spark.yarn.appMasterEnv.PYTHONPATH": "/opt/lib",
    "spark.pyspark.driver.python": "/opt/python/bin/python3",
    "spark.kubernetes.driverEnv.PYTHONPATH": "/opt/lib",
    "spark.kubernetes.driverEnv.PYTHONHOME": "/opt/python",
    "spark.kubernetes.driver.podTemplateFile": "template.yaml",
    "spark.kubernetes.namespace": "harbour",
}
USERS = {"plain": PLAIN, "opinionated": OPINIONATED}
MASTERS = {kind.name: kind.example for kind in KINDS}
CLUSTER_MODE = [
    kind.name
    for kind in KINDS
    if kind.remote_driver(SparkFacts("4.1.0", kind.example, deploy_mode="cluster")) is not None
]
STAGES = {"": "file:///store/a.tar.gz", "-staged": "hdfs:///boats/boat-abcdefabcdef.tar.gz"}
CASES = [(kind, "client", "") for kind in MASTERS] + [
    (kind, mode, stage)
    for kind in CLUSTER_MODE
    for mode in ("client", "cluster")
    for stage in STAGES
    if (mode, stage) != ("client", "")
]
"""Master, deploy mode, and where the archive is."""
PYTHONS = {"ship_python": True, "nodes_python": False}
REFUSED = {("Spark Connect", "nodes_python")}
GOLDENS = [
    (*case, python) for case in CASES for python in PYTHONS if (case[0], python) not in REFUSED
]


def shipped(*, python: bool = True, stage: str = "") -> Shipped:
    archive = Archive(
        id="abcdef" * 10 + "abcd",
        path="/store/a.tar.gz",
        size=1,
        chunks=(),
        target=Target("3.11.7"),
        lock_digest="0" * 64,
        has_python=python,
    )
    return Shipped(archive, STAGES[stage])


def patch(
    master: str,
    conf: Mapping[str, str],
    *,
    python: bool = True,
    mode: str = "client",
    stage: str = "",
) -> ConfPatch:
    kind = kind_of(master)
    variables = (
        {"PYSPARK_PYTHON": "./old/bin/python"}
        if conf is OPINIONATED
        else {"PYSPARK_PYTHON": "python3"}
    )
    uploads = (
        {"spark.kubernetes.file.upload.path": "s3a://bucket/uploads"}
        if mode == "cluster" and not stage
        else {}
    )
    facts = SparkFacts(
        version="4.1.0",
        master=master,
        deploy_mode=mode,
        conf={**conf, **uploads},
        environment=variables,
        python="/venv/bin/python",
    )
    return kind.patch(
        facts,
        shipped(python=python, stage=stage),
        environment=ENVIRONMENT if kind.runs_in_driver else None,
    )


def golden_name(kind: str, mode: str, stage: str, python: str, user: str) -> str:
    return f"{kind}{'-cluster' if mode == 'cluster' else ''}{stage}-{python}-{user}.json"


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(("kind", "mode", "stage", "python"), GOLDENS)
def test_golden(kind: str, mode: str, stage: str, python: str, user: str) -> None:
    """Of findings the codes: sentences may change."""
    patched = patch(MASTERS[kind], USERS[user], python=PYTHONS[python], mode=mode, stage=stage)
    codes = [f"{f.severity} {f.code}: {f.value}" for f in patched.findings]
    made = json.loads(json.dumps({**dataclasses.asdict(patched), "findings": codes}))
    path = GOLDEN / golden_name(kind, mode, stage, python, user)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(json.dumps(made, indent=2, sort_keys=True) + "\n", "utf-8")
    assert made == json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize(
    "key", ["spark.pyspark.python", "spark.executorEnv.PYTHONHOME", "spark.executorEnv.PYTHONPATH"]
)
def test_findings_show_no_secrets_of_settings(key: str) -> None:
    findings = patch("local[2]", {key: "https://h/x?sig=hunter2"}).findings
    assert "https://h/x?sig=***" in "".join(map(str, findings))
    assert "hunter2" not in "".join(map(str, findings))


def test_a_setting_of_one_kind_is_replaced_there_and_left_alone_elsewhere() -> None:
    conf = {"spark.yarn.appMasterEnv.PYSPARK_PYTHON": "/opt/python"}
    there = patch("yarn", conf)
    assert there.conf[next(iter(conf))] == there.python
    assert [found.value.rpartition("=")[2] for found in there.findings] == ["/opt/python"]
    elsewhere = patch("spark://host:7077", conf)
    assert not conf.keys() & elsewhere.conf.keys()
    assert elsewhere.findings == ()


def test_every_golden_file_is_of_a_case() -> None:
    made = {golden_name(*case, user) for case in GOLDENS for user in USERS}
    assert {path.name for path in GOLDEN.glob("*.json")} == made


@pytest.mark.parametrize(
    ("master", "needs"),
    [
        ("local", True),
        ("local[*]", True),
        ("local[4]", True),
        ("local[*,3]", True),
        ("local[2, 3]", True),
        ("spark://a:7077,b:7077", False),
        ("local-cluster[2, 1, 1024]", False),
        ("yarn", False),
        ("k8s://https://host:6443", False),
        ("sc://host:15002", False),
    ],
)
def test_which_masters_need_the_environment_on_the_driver(master: str, needs: bool) -> None:
    assert kind_of(master).runs_in_driver is needs


@pytest.mark.parametrize(
    ("master", "cure"),
    [
        ("yarn-cluster", "use yarn; with boat launch, --master yarn --deploy-mode cluster"),
        ("kubernetes", "k8s://https://host:6443"),
        ("sc:/host:15002", "sc://host:15002"),
        ("mesos://host:5050", "use local[*]"),
        ("local[two]", "use local[*]"),
        ("local-cluster[2,1]", "use local[*]"),
        ("", "use local[*]"),
    ],
)
def test_other_masters_are_refused_with_what_works_instead(master: str, cure: str) -> None:
    with pytest.raises(LaunchError) as error:
        kind_of(master)
    assert cure in error.value.cure


def test_a_token_in_a_master_is_not_shown() -> None:
    with pytest.raises(LaunchError) as error:
        kind_of("sd://me:secret@host:15002/;token=secret")
    assert "secret" not in str(error.value)


def test_the_users_archive_of_our_name_is_refused() -> None:
    with pytest.raises(LaunchError, match="another archive has the name"):
        patch("spark://host:7077", {"spark.archives": "hdfs:///mine.tar.gz#boat-abcdefabcdef"})


def test_our_archive_is_named_once() -> None:
    ours = "file:///store/a.tar.gz#boat-abcdefabcdef"
    made = patch("spark://host:7077", {"spark.archives": f"{ours},x.zip"})
    assert made.conf["spark.archives"] == f"{ours},x.zip"
    assert made.findings == ()


@pytest.mark.parametrize("master", ["local[2]", "spark://host:7077"])
def test_cluster_mode_is_refused_where_spark_has_none(master: str) -> None:
    facts = SparkFacts(version="4.1.4", master=master, deploy_mode="cluster")
    with pytest.raises(LaunchError, match="cluster deploy mode"):
        kind_of(master).patch(facts, shipped(), environment=Path("/store/tree"))


@pytest.mark.parametrize(
    ("uri", "conf", "refused"),
    [
        ("file:///store/a.tar.gz", {}, "spark.kubernetes.file.upload.path=s3a://bucket/uploads"),
        ("file:///store/a.tar.gz", {"spark.kubernetes.file.upload.path": "file:///shared"}, ""),
        (
            "local:///opt/a.tar.gz",
            {"spark.kubernetes.file.upload.path": "file:///shared"},
            "by file:",
        ),
        ("http://host/a.tar.gz", {}, ""),
        ("hdfs:///boats/a.tar.gz", {}, ""),
    ],
)
def test_in_cluster_mode_on_kubernetes_pods_must_be_able_to_read_the_archive(
    uri: str, conf: dict[str, str], refused: str
) -> None:
    facts = SparkFacts(
        version="4.1.4", master="k8s://https://host:6443", deploy_mode="cluster", conf=conf
    )
    place = dataclasses.replace(shipped(), uri=uri)
    if refused:
        with pytest.raises(LaunchError) as caught:
            kind_of(facts.master).patch(facts, place, environment=None)
        assert refused in caught.value.cure
    else:
        assert (
            kind_of(facts.master).patch(facts, place, environment=None).conf["spark.archives"]
            == f"{uri}#{place.archive.name}"
        )


def test_an_unknown_driver_interpreter_is_looked_for_on_the_path() -> None:
    made = kind_of("local[2]").patch(
        SparkFacts("4.1.0", "local[2]"), shipped(python=False), environment=ENVIRONMENT
    )
    assert made.python == "python3.11"


def test_local_without_the_unpacked_environment_is_refused() -> None:
    with pytest.raises(LaunchError, match="not unpacked"):
        kind_of("local[2]").patch(SparkFacts("4.1.0", "local[2]"), shipped(), environment=None)


def test_a_store_with_a_colon_serves_a_shipped_interpreter_only() -> None:
    facts, place = (
        SparkFacts(version="4.1.0", master="local[2]", python="/venv/bin/python"),
        Path("/data:1/trees/boat-abcdefabcdef"),
    )
    with pytest.raises(LaunchError, match="':'") as caught:
        kind_of("local[2]").patch(facts, shipped(python=False), environment=place)
    assert caught.value.value == str(place)
    assert "COFFEE_BOAT_STORE=" in caught.value.cure
    assert (
        kind_of("local[2]")
        .patch(facts, shipped(), environment=place)
        .python.startswith(f"{place}/")
    )
