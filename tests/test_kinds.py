"""A kind of cluster that nobody has, made here: it is launched on, planned for and submitted to by
one object. No file of the package knows it; `also` is what its line in `KINDS` would be.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from test_cli import run
from test_launch import home, spark  # noqa: F401  fixtures
from test_sessions import context, new  # noqa: F401  fixtures
from test_submit import fake_spark

from coffee_boat import Captain, LaunchError
from coffee_boat._support.store import Store
from coffee_boat.clusters import (
    KINDS,
    Cluster,
    also,
    kind_of,
    kind_of_running,
    probe,
    settings,
    waiting,
)
from coffee_boat.model import (
    ClusterFacts,
    ConfPatch,
    Finding,
    NodeFacts,
    Shipped,
    SparkFacts,
)
from coffee_boat.session import nodes
from coffee_boat.session.watch import Watch

PIER = "harbour://pier:7"
FULL = "harbour://full:7"
NO_CRANE = "no crane is free"


class Harbour:
    """Its executors fetch the archive from where it is staged, and are told so by a setting."""

    name = "harbour"
    example = PIER
    runs_in_driver = on_this_machine = False

    def matches(self, master: str) -> bool:
        return master.startswith("harbour://")

    def patch(self, facts: SparkFacts, shipped: Shipped, *, environment: Path | None) -> ConfPatch:
        made = settings.by_file_server(facts, shipped)
        return replace(made, conf={**made.conf, "spark.harbour.cargo": shipped.archive.name})

    def probe(self, facts: SparkFacts) -> ClusterFacts:
        if facts.master == FULL:
            raise LaunchError(
                "cluster.harbour-full",
                "the harbour is full",
                value=FULL,
                cause="regatta",
                cure="wait",
            )
        return ClusterFacts(facts.master, "Harbour 7", (NodeFacts("pier-1"),))

    def waiting(self, facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:
        return (
            Finding(
                "cluster.no-crane",
                NO_CRANE,
                value=f"{application} of {facts.conf['spark.app.name']}",
            ),
        )

    def check_submission(self, facts: SparkFacts, script: str | None) -> None:
        if script is not None and script.startswith("/") and facts.deploy_mode == "cluster":
            raise LaunchError(
                "cluster.pier-cannot-read", "the pier cannot read the script", value=script
            )

    def remote_driver(self, facts: SparkFacts) -> Pilot | None:
        return Pilot(facts.conf["spark.harbour.cargo"]) if facts.deploy_mode == "cluster" else None


@dataclass(frozen=True)
class Pilot:
    """The driver there: spark-submit ends with 0, and it with 5."""

    cargo: str

    @property
    def conf(self) -> Mapping[str, str]:
        return {"spark.harbour.pilot": f"with {self.cargo}"}

    @contextmanager
    def watched(self, say: Callable[[str], None]) -> Iterator[None]:
        say("note: the pilot is on its way")
        yield

    def exit_code(self, submitted: int, say: Callable[[str], None]) -> int:
        say(f"the driver ran aground, spark-submit ended with {submitted}")
        return 5


def in_cluster_mode(kind: Cluster) -> SparkFacts:
    return SparkFacts("4.1.0", kind.example, deploy_mode="cluster")


@pytest.fixture
def harbour() -> Iterator[Cluster]:
    kind = Harbour()
    with also(kind):
        yield kind


# launched, planned and submitted


@pytest.mark.usefixtures("harbour")
def test_a_session_is_launched_there(
    new: Callable[[], Captain],  # noqa: F811
    context: Callable[[str], Any],  # noqa: F811
) -> None:
    captain = new().add_pip_packages("alpha").launch_ship(master=PIER)
    running = context(PIER)
    conf = running._jsc.conf
    cargo = conf["spark.harbour.cargo"]
    assert conf["spark.archives"].endswith(f"#{cargo}")
    assert running.environment["PYTHONPATH"].startswith(f"./{cargo}/")
    assert captain.running
    running.stop()


@pytest.mark.usefixtures("harbour", "spark", "context")
def test_a_plan_shows_what_is_set_there_and_what_would_be_refused(
    new: Callable[[], Captain],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COFFEE_BOAT_PREFLIGHT", "refuse")
    captain = new().add_pip_packages("alpha")
    plan = captain.plan(master=PIER)
    assert plan.patch is not None
    assert plan.patch.conf["spark.harbour.cargo"].startswith("boat-")
    assert plan.findings == ()
    (found,) = captain.plan(master=FULL).findings
    assert (found.what, found.severity) == ("the harbour is full", "error")
    with pytest.raises(LaunchError, match="the harbour is full"):
        captain.launch_ship(master=FULL)


@pytest.mark.usefixtures("harbour", "spark")
def test_a_script_is_submitted_there_and_its_driver_is_followed(
    new: Callable[[], Captain],  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    there = fake_spark(tmp_path / "spark", f'cp "$2" {tmp_path}/seen; exit 0')
    monkeypatch.setenv("SPARK_HOME", there.home)
    captain = new().add_pip_packages("alpha")
    cargo = captain.order(master=PIER, deploy_mode="cluster").conf["spark.harbour.cargo"]
    (tmp_path / "job.py").write_text("")
    with pytest.raises(LaunchError, match="the pier cannot read the script"):
        captain.submit(tmp_path / "job.py", master=PIER, deploy_mode="cluster")
    assert not (tmp_path / "seen").exists()
    assert captain.submit("harbour://job.py", master=PIER, deploy_mode="cluster") == 5
    seen = (tmp_path / "seen").read_text("utf-8").splitlines()
    assert {f"spark.harbour.cargo={cargo}", f"spark.harbour.pilot=with {cargo}"} <= set(seen)
    said = capsys.readouterr().err
    assert "note: the pilot is on its way" in said
    assert "the driver ran aground, spark-submit ended with 0" in said
    assert captain.submit(tmp_path / "job.py", master=PIER) == 0, "in client mode"


@pytest.mark.usefixtures("harbour", "spark", "context")
def test_check_names_it_and_what_it_says(tmp_path: Path) -> None:
    done = run("check", "--master", PIER, "--store", str(tmp_path / "store"), "--json")
    rows = {row["name"]: (row["status"], row["value"]) for row in json.loads(done.stdout)["checks"]}
    assert rows["master"] == ("ok", "harbour")
    assert rows["cluster"] == ("ok", "Harbour 7")
    assert rows["node"][1].startswith("pier-1: ")


# while a session runs there


def test_the_thread_that_watches_a_session_asks_it(harbour: Cluster) -> None:
    facts, told, heard = (
        SparkFacts("4.1.0", PIER, conf={"spark.app.name": "job"}),
        list[Finding](),
        threading.Event(),
    )

    def tell(finding: Finding, _: object) -> None:
        told.append(finding)
        heard.set()

    watch = Watch(
        waiting=lambda application: waiting(facts, application),
        explain=lambda _: None,
        tell=tell,
        patience=0.0,
    )
    assert heard.wait(20)
    watch.end()
    assert told == list(harbour.waiting(facts, None))


@pytest.mark.usefixtures("harbour")
def test_its_nodes_are_remembered_as_they_are_others_than_this_machine(tmp_path: Path) -> None:
    node, store = NodeFacts("pier-1", "aarch64", (2, 28)), Store(tmp_path / "store")
    for master in (PIER, "local[2]", "local-cluster[2,1,1024]"):
        nodes.remember(store, master, [node])
    assert nodes.recall(store, PIER) == (node,)
    assert nodes.recall(store, "local[2]") == nodes.recall(store, "local-cluster[2,1,1024]") == ()


class Bridge(Harbour):
    """The same, on the driver's own ship."""

    runs_in_driver = on_this_machine = True


def test_a_running_session_gets_an_archive_by_spark_whatever_the_kind(harbour: Cluster) -> None:
    running = kind_of_running(PIER)
    assert (running.runs_in_driver, running.on_this_machine) == (False, False)
    assert running is not harbour
    bridge = Bridge()
    with also(bridge):
        assert kind_of_running(PIER) is bridge, "nothing is sent to it"
    assert kind_of(PIER) is harbour


# which kinds there are


def test_who_mistypes_a_master_reads_of_it(harbour: Cluster) -> None:
    with pytest.raises(LaunchError) as refused:
        kind_of("harbor:/pier")
    assert refused.value.cure.startswith(f"use {harbour.example}, local[*], spark://host:7077, ")


def test_without_it_the_master_is_of_no_kind() -> None:
    with also(Harbour()):
        pass
    with pytest.raises(LaunchError, match="the master cannot be used"):
        kind_of(PIER)
    with pytest.raises(LaunchError) as old:
        kind_of("yarn-cluster")
    assert old.value.cure == "use yarn; with boat launch, --master yarn --deploy-mode cluster"
    assert probe(SparkFacts("4.1.0", PIER)).nodes == ()
    assert waiting(SparkFacts("4.1.0", PIER), None) == ()


def test_a_master_is_of_one_kind_and_each_has_a_name_of_its_own() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    for one in KINDS:
        assert [kind for kind in KINDS if kind.matches(one.example)] == [one]


@pytest.mark.usefixtures("spark", "context")
@pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS if kind.remote_driver(in_cluster_mode(kind)) is None],
    ids=lambda kind: kind.name,
)
def test_a_cluster_mode_that_there_is_not_is_refused_before_anything_is_built(
    kind: Cluster,
    new: Callable[[], Captain],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COFFEE_BOAT_PREFLIGHT", "refuse")
    captain = new().add_pip_packages("no-such-package")
    with pytest.raises(LaunchError, match="there is no cluster deploy mode"):
        captain.submit(master=kind.example, deploy_mode="cluster")


@pytest.mark.usefixtures("spark", "context")
def test_a_master_of_no_kind_is_refused_before_anything_is_built(
    new: Callable[[], Captain],  # noqa: F811
    tmp_path: Path,
) -> None:
    captain = new().add_pip_packages("no-such-package")
    for master, what in (("mesos://host:5050", "cannot be used"), ("sc:/host", "cannot be used")):
        with pytest.raises(LaunchError, match=what):
            captain.launch_ship(master=master)
        done = run("check", "--master", master, "--store", str(tmp_path / "store"), "--json")
        checks = json.loads(done.stdout)["checks"]
        rows = [row for row in checks if row["name"] in ("master", "cluster")]
        assert [(row["name"], row["status"]) for row in rows] == [("master", "failed")]
