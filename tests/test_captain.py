"""The Captain through its own door: no Spark is started, no network is used, wheels come from a
folder.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import MakeWheel, with_chunks_of
from lanes import cannot_run
from pages import DOCS, first_column
from small_packages import project, serving, wheel

import coffee_boat
from coffee_boat import (
    BoatError,
    BuildError,
    Captain,
    LaunchError,
    LockError,
    RequirementError,
    SettingsError,
)
from coffee_boat._support.pythons import NEWEST, OLDEST
from coffee_boat._support.store import Store

pytestmark = pytest.mark.usefixtures("pyspark_is_packed")


@pytest.fixture
def wheels(make_wheel: MakeWheel, tmp_path: Path) -> Path:
    folder = tmp_path / "wheelhouse"
    folder.mkdir()
    make_wheel("alpha", "1.0", requires=["beta"], folder=folder)
    make_wheel("beta", "1.0", folder=folder)
    make_wheel("beta", "2.0", folder=folder)
    return folder


@pytest.fixture
def captain(wheels: Path, tmp_path: Path) -> Iterator[Captain]:
    # The nodes' own interpreter: what these tests are about does not need a copy of this one.
    with Captain(
        ship_python=False, offline=True, find_links=[str(wheels)], store=tmp_path / "store"
    ) as captain:
        yield captain


def names_in(archive: Path) -> set[str]:
    with tarfile.open(archive) as entries:
        return set(entries.getnames())


def test_what_is_public() -> None:
    assert coffee_boat.__all__ == [
        "Archive",
        "BoatError",
        "BuildError",
        "Captain",
        "Finding",
        "LaunchError",
        "Lock",
        "LockError",
        "Manifest",
        "Plan",
        "Report",
        "RequirementError",
        "SettingsError",
        "ShipError",
        "StoreError",
        "VerifyError",
        "__version__",
    ]
    for name in coffee_boat.__all__:
        assert getattr(coffee_boat, name) is not None


def test_packs_what_was_asked_for_and_what_it_needs(captain: Captain, tmp_path: Path) -> None:
    archive = captain.add_pip_packages("alpha").pack(tmp_path / "env.tar.gz")
    site = archive.target.site_packages
    assert {
        f"{site}alpha/__init__.py",
        f"{site}beta/__init__.py",
        f"{site}pyspark/worker.py",
        "boat.json",
    } <= names_in(tmp_path / "env.tar.gz")
    assert captain.lock is not None
    assert [(pin.name, pin.version, pin.requires) for pin in captain.lock.pins] == [
        ("alpha", "1.0", ("beta",)),
        ("beta", "2.0", ()),
    ]


def once_packed(label: str, store: Path, seen: list[bool]) -> Callable[[], None]:
    """Waits for a chunk, and tells whether it came: before that, nobody gets an answer."""

    def wait() -> None:
        end = time.monotonic() + 20
        while not (found := bool(chunks_called(label, store))) and time.monotonic() < end:
            time.sleep(0.01)
        seen.append(found)

    return wait


def chunks_called(label: str, store: Path) -> list[Path]:
    return [
        key
        for key in (store / "keys/chunk").glob("*.json")
        if json.loads(json.loads(key.read_text())["value"])["label"] == label
    ]


def test_a_wheel_is_packed_while_another_one_is_fetched(wheels: Path, tmp_path: Path) -> None:
    seen = list[bool]()
    with serving(wheels) as index:
        index.before["/files/beta-2.0-py3-none-any.whl"] = once_packed(
            "alpha 1.0", tmp_path / "store", seen
        )
        Captain(ship_python=False, index_url=index.url, store=tmp_path / "store").add_pip_packages(
            "alpha"
        ).pack(tmp_path / "env.tar.gz")
    assert seen == [True]


def test_what_will_likely_be_chosen_is_packed_while_the_index_is_asked(
    wheels: Path, tmp_path: Path
) -> None:
    store, seen = tmp_path / "store", list[bool]()
    with serving(wheels) as index:
        asked = {"ship_python": False, "index_url": index.url, "store": store}
        first = Captain(**asked).add_pip_packages("alpha").pack(tmp_path / "one.tar.gz")
        shutil.rmtree(store / "keys/lock")
        for key in (*chunks_called("alpha 1.0", store), *chunks_called("beta 2.0", store)):
            key.unlink()
        index.before["/simple/alpha/"] = once_packed("beta 2.0", store, seen)
        again = Captain(**asked).add_pip_packages("alpha").pack(tmp_path / "two.tar.gz")
    assert seen[0]
    assert again.id == first.id


def test_a_wrong_guess_costs_nothing_but_time(
    wheels: Path, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    store, seen = tmp_path / "store", list[bool]()
    with serving(wheels) as index:
        asked = {"ship_python": False, "index_url": index.url, "store": store}
        Captain(**asked).add_pip_packages("alpha").pack(tmp_path / "one.tar.gz")
        shutil.rmtree(store / "keys/lock")
        for key in chunks_called("beta 2.0", store):
            key.unlink()
        make_wheel("beta", "3.0", folder=wheels)
        index.before["/simple/alpha/"] = once_packed("beta 2.0", store, seen)
        captain = Captain(**asked).add_pip_packages("alpha")
        archive = captain.pack(tmp_path / "two.tar.gz")
    assert seen[0]
    assert captain.lock is not None
    assert [pin.version for pin in captain.lock.pins] == ["1.0", "3.0"]
    assert {"alpha 1.0", "beta 3.0"} <= {chunk.label for chunk in archive.chunks}
    assert "beta 2.0" not in {chunk.label for chunk in archive.chunks}


def test_the_same_again_is_the_same_archive_and_needs_no_writable_store(
    captain: Captain, wheels: Path, tmp_path: Path
) -> None:
    first = captain.add_pip_packages("alpha").pack(tmp_path / "one.tar.gz")
    again = Captain(
        ship_python=False, offline=True, find_links=[str(wheels)], store=tmp_path / "store"
    ).add_pip_packages("alpha")
    kept = [path for path in (tmp_path / "store").rglob("*") if path.name != "leases"]
    before = {path: path.stat().st_mtime_ns for path in kept}
    second = again.pack(tmp_path / "two.tar.gz")
    assert second.id == first.id
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    assert {path: path.stat().st_mtime_ns for path in kept} == before


def test_boat_json_tells_what_it_was_made_from_and_no_path(
    captain: Captain, tmp_path: Path
) -> None:
    captain.add_pip_packages("alpha", "beta<2").pack(tmp_path / "env.tar.gz")
    with tarfile.open(tmp_path / "env.tar.gz") as entries:
        last = entries.getmembers()[-1]
        told = entries.extractfile(last)
        assert told is not None
        text = told.read().decode()
    assert last.name == "boat.json"
    assert json.loads(text)["inputs"] == {"requirements": ["alpha", "beta<2"]}
    documented = first_column(DOCS / "reference" / "boat-json.md")
    assert sorted(documented) == sorted({*json.loads(text), "conda", "records", "exclude"})
    assert str(tmp_path) not in text


def test_two_releases_that_pack_the_same_make_the_same_archive(
    captain: Captain, wheels: Path, tmp_path: Path
) -> None:
    mine = captain.add_pip_packages("alpha").pack(tmp_path / "mine.tar.gz")
    code = Path(coffee_boat.__file__).parent
    other = tmp_path / "other"
    shutil.copytree(code, other / code.name, ignore=shutil.ignore_patterns("__pycache__"))
    (other / code.name / "_version.py").write_text('__version__ = "999.1.2"\n')
    program = (
        "import coffee_boat; from coffee_boat import Captain; print(coffee_boat.__version__);"
        f"print(Captain(ship_python=False, offline=True, find_links=[{str(wheels)!r}],"
        f" store={str(tmp_path / 'store')!r}).add_pip_packages('alpha')"
        f".pack({str(tmp_path / 'theirs.tar.gz')!r}).id)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=other,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["999.1.2", mine.id]
    assert (tmp_path / "theirs.tar.gz").read_bytes() == (tmp_path / "mine.tar.gz").read_bytes()


def test_bytecode_of_all_packages_goes_along_if_asked_for(
    wheels: Path, make_wheel: MakeWheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = {"gamma/__init__.py": "", "gamma/tests/__init__.py": "", "gamma/tests/test_it.py": ""}
    make_wheel("gamma", files=tests, folder=wheels)
    for choice, expected in (("base", 0), ("all", 3)):
        monkeypatch.setenv("COFFEE_BOAT_BYTECODE", choice)
        captain = Captain(
            ship_python=False, offline=True, find_links=[str(wheels)], store=tmp_path / "store"
        ).add_pip_packages("alpha", "gamma")
        captain.pack(tmp_path / f"{choice}.tar.gz")
        compiled = [
            name
            for name in names_in(tmp_path / f"{choice}.tar.gz")
            if name.endswith(".pyc")
            and any(f"/{one}/" in name for one in ("alpha", "beta", "gamma"))
        ]
        assert len(compiled) == expected, "of each module, but for tests"


def test_a_plan_makes_no_archive(captain: Captain, tmp_path: Path) -> None:
    plan = captain.add_pip_packages("alpha").plan(master="spark://host:7077")
    assert [item.label for item in plan.items] == ["pyspark", "alpha 1.0", "beta 2.0"]
    assert plan.patch is not None
    assert plan.patch.conf["spark.archives"].endswith("#boat-not-built")
    assert not (tmp_path / "store" / "archives").exists()
    assert "alpha 1.0" in str(plan)


def test_a_plan_tells_why_nodes_will_not_unpack_it_once(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COFFEE_BOAT_NODE_STORE", "on")
    given = {"ship_python": False, "offline": True, "find_links": [str(wheels)]}
    with Captain(**given, store=tmp_path / "store") as captain:
        plan = captain.add_pip_packages("alpha").plan(master="spark://host:7077")
        again = captain.plan(master="local[1]")
    told = [finding for finding in plan.findings if finding.code == "launch.node-store-not-used"]
    assert [finding.cause for finding in told] == ["no interpreter is shipped (ship_python)"]
    assert not [finding for finding in again.findings if "node-store" in finding.code]


NOBODY = "spark://127.0.0.1:1"
"""A master that nobody is."""


def test_a_plan_tells_what_a_launch_would_be_refused_for(captain: Captain) -> None:
    [finding] = captain.add_pip_packages("alpha").plan(master=NOBODY).findings
    assert (finding.what, finding.severity) == ("the cluster's master cannot be reached", "error")


@pytest.mark.parametrize("conf", [{}, {"spark.executor.memory": "100m"}])
def test_what_would_be_refused_is_a_warning_where_the_user_knows_better(
    wheels: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    conf: dict[str, str],
) -> None:
    pytest.importorskip("pyspark", reason="needs pyspark: pip install coffee_boat[local]")
    said = (
        "Spark needs more memory than it was given"
        if conf
        else "the cluster's master cannot be reached"
    )
    monkeypatch.setenv("COFFEE_BOAT_PREFLIGHT", "warn")
    with Captain(
        store=tmp_path / "store", find_links=[str(wheels)], offline=True, ship_python=False
    ) as captain:
        captain.add_pip_packages("alpha").launch_ship(master=NOBODY, conf=conf)
        assert f"warning: {said}" in capsys.readouterr().err
        assert {finding.severity for finding in captain.plan(master=NOBODY).findings} == {"warning"}
    monkeypatch.setenv("COFFEE_BOAT_PREFLIGHT", "refuse")
    with (
        Captain(
            store=tmp_path / "store", find_links=[str(wheels)], offline=True, ship_python=False
        ) as captain,
        pytest.raises(LaunchError, match=said),
    ):
        captain.add_pip_packages("alpha").launch_ship(master=NOBODY, conf=conf)


@pytest.mark.parametrize("master", [None, "local-cluster[2,1,1024]"])
def test_a_plan_for_executors_that_nobody_can_make_fails_alike_with_a_cluster_and_without(
    tmp_path: Path, master: str | None
) -> None:
    with pytest.raises(BuildError, match="no such interpreter"):
        Captain(python="/no/such/python", store=tmp_path / "store").plan(master=master)
    with pytest.raises(SettingsError, match="not supported"):
        Captain(platform="windows", store=tmp_path / "store").plan(master=master)


def test_a_plan_goes_by_the_settings_that_a_launch_would_have(
    captain: Captain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyspark", reason="needs pyspark: pip install coffee_boat[local]")
    (tmp_path / "spark-defaults.conf").write_text(
        "spark.executor.memory 100m\nspark.archives hdfs:///theirs.zip#theirs\n"
    )
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    plan = captain.add_pip_packages("alpha").plan(master="local-cluster[1,1,1024]")
    assert [finding.what for finding in plan.findings if finding.severity == "error"] == [
        "Spark needs more memory than it was given"
    ]
    assert plan.patch is not None
    assert plan.patch.conf["spark.archives"].startswith("hdfs:///theirs.zip#theirs,")


def test_with_a_master_the_cluster_is_asked_before_anything_is_resolved(
    captain: Captain, tmp_path: Path
) -> None:
    pytest.importorskip("pyspark", reason="needs pyspark: pip install coffee_boat[local]")
    captain.add_pip_packages("no-such-package")

    def made() -> set[Path]:
        return {path for path in (tmp_path / "store").glob("*/*") if path.is_dir()}

    before = made()
    with pytest.raises(LaunchError, match="cannot be reached"):
        captain.launch_ship(master=NOBODY)
    with pytest.raises(LaunchError, match="cannot be reached"):
        captain.submit(master=NOBODY)
    with pytest.raises(LaunchError, match="Spark needs more memory"):
        captain.launch_ship(master="local[2]", conf={"spark.executor.memory": "100m"})
    with pytest.raises(LaunchError, match=r"spark\.driver\.memory=128m"):
        captain.submit(master="local[2]", conf={"spark.driver.memory": "128m"})
    assert made() == before


def test_an_order_for_elsewhere_is_made_all_the_same(
    captain: Captain, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyspark", reason="needs pyspark: pip install coffee_boat[local]")
    assert captain.add_pip_packages("alpha").order(master=NOBODY).master == NOBODY
    assert "warning: the cluster's master cannot be reached" in capsys.readouterr().err


def test_a_plan_knows_what_is_there_already(captain: Captain, tmp_path: Path) -> None:
    captain.add_pip_packages("alpha").pack(tmp_path / "env.tar.gz")
    assert {item.action for item in captain.plan().items} == {"reuse"}


def test_all_packages_of_a_call_are_taken_or_none(captain: Captain) -> None:
    with pytest.raises(RequirementError):
        captain.add_pip_packages("alpha", "beta=1.0")
    assert captain.manifest.requirements == ()


def test_a_contradiction_names_both_and_where_they_came_from(
    captain: Captain, tmp_path: Path
) -> None:
    (tmp_path / "requirements.txt").write_text("beta==1.0\n")
    captain.add_requirements(tmp_path / "requirements.txt")
    with pytest.raises(RequirementError, match=r"requirements.txt:1") as refused:
        captain.add_pip_packages("beta==2.0")
    assert "add_pip_packages" in str(refused.value)
    assert len(captain.manifest.requirements) == 1


def test_an_unknown_package_is_refused_with_a_cure_and_nothing_is_published(
    captain: Captain, tmp_path: Path
) -> None:
    with pytest.raises(LockError) as refused:
        captain.add_pip_packages("alpah").pack(tmp_path / "env.tar.gz")
    assert refused.value.cure
    assert "alpah" in str(refused.value)
    assert not (tmp_path / "env.tar.gz").exists()


def test_a_file_that_is_there_is_not_overwritten(captain: Captain, tmp_path: Path) -> None:
    (tmp_path / "env.tar.gz").write_text("mine")
    with pytest.raises(BuildError):
        captain.add_pip_packages("beta").pack(tmp_path / "env.tar.gz")
    assert (tmp_path / "env.tar.gz").read_text() == "mine"
    captain.pack(tmp_path / "env.tar.gz", overwrite=True)
    assert "boat.json" in names_in(tmp_path / "env.tar.gz")


def test_a_lock_file_is_taken_as_it_is(
    captain: Captain, pyspark_packed: Path, tmp_path: Path
) -> None:
    from coffee_boat.workflow import lockfile

    captain.add_pip_packages("beta<2").plan()
    assert captain.lock is not None
    (tmp_path / "pylock.toml").write_text(lockfile.text_of(captain.lock))
    store = with_chunks_of(pyspark_packed, tmp_path / "other")
    other = Captain(ship_python=False, offline=True, store=store).add_lock(tmp_path / "pylock.toml")
    assert [
        (pin.name, pin.version) for pin in other.pack(tmp_path / "env.tar.gz") and other.lock.pins
    ] == [("beta", "1.0")]  # type: ignore[union-attr]
    with pytest.raises(RequirementError, match="lock file"):
        other.add_pip_packages("alpha")
    with pytest.raises(RequirementError, match="lock file"):
        captain.add_lock(tmp_path / "pylock.toml")


def test_on_the_driver_two_distributions_are_one_package_and_what_it_lacks_is_told(
    captain: Captain, wheels: Path, tmp_path: Path
) -> None:
    wheel(tmp_path / "more", "one", "1.0", module="boat_shared/__init__")
    wheel(tmp_path / "more", "two", "1.0", module="boat_shared/two")
    wheel(tmp_path / "more", "three", "1.0", ["packaging>999"], module="boat_three")
    wheel(tmp_path / "more", "packaging", "1000")
    found = [str(path) for path in (tmp_path / "more").iterdir()]
    captain.add_pip_packages(*found).launch_ship(master="local[1]")
    assert importlib.import_module("boat_shared.two").VERSION == "1.0"
    with pytest.raises(ModuleNotFoundError, match=r"three 1\.0 is on the executors, not"):
        importlib.import_module("boat_three")
    captain.close()
    for name in ("boat_shared", "boat_shared.two"):
        sys.modules.pop(name, None)


@pytest.mark.once
def test_what_is_large_is_not_unpacked_on_the_driver_until_it_is_imported(
    captain: Captain, wheels: Path, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    big = {"boat_big/__init__.py": "x = 1\n", "boat_big/weights.bin": bytes(201_000_000)}
    big["boat_shelf/big.py"] = "x = 1\n"  # a folder that two share
    make_wheel("boat-big", files=big, requires=["boat-engine"], folder=wheels)
    make_wheel("boat-engine", files={"boat_engine.py": "y = 2\n"}, folder=wheels)
    small = {"boat_small.py": "z = 3\n", "boat_shelf/small.py": "z = 3\n"}
    make_wheel("boat-small", files=small, folder=wheels)
    captain.add_pip_packages("boat-big", "boat-small")
    captain.launch_ship(master="local[1]")
    assert importlib.import_module("boat_small").z == 3
    assert importlib.import_module("boat_shelf.small").z == 3
    assert not list((tmp_path / "store" / "trees").rglob("weights.bin"))
    assert importlib.import_module("boat_shelf.big").x == 1
    assert importlib.import_module("boat_big").x == 1
    assert importlib.import_module("boat_engine").y == 2
    captain.close()
    for name in [
        name
        for name in sys.modules
        if name.startswith(("boat_small", "boat_big", "boat_engine", "boat_shelf"))
    ]:
        sys.modules.pop(name, None)


def test_packages_work_on_the_driver_until_close(captain: Captain) -> None:
    before = list(sys.path)
    captain.add_pip_packages("alpha").launch_ship(master="local[1]")
    assert importlib.import_module("alpha").__version__ == "1.0"
    assert sys.path[: len(before)] == before, "the driver's own come first"
    captain.close()
    assert sys.path == before
    for name in ("alpha", "beta"):
        sys.modules.pop(name, None)


def test_close_gives_pyspark_its_functions_back(captain: Captain) -> None:
    from pyspark import SparkContext

    before = (SparkContext.__init__, SparkContext._initialize_context)
    captain.add_pip_packages("beta").launch_ship()
    assert (SparkContext.__init__, SparkContext._initialize_context) != before
    captain.close()
    captain.close()
    assert (SparkContext.__init__, SparkContext._initialize_context) == before


def test_of_two_captains_the_newest_launch_wins(
    captain: Captain, wheels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pyspark import SparkContext

    before = SparkContext.__init__
    other = Captain(
        ship_python=False, offline=True, find_links=[str(wheels)], store=tmp_path / "store"
    ).add_pip_packages("alpha")
    captain.add_pip_packages("beta").launch_ship()
    other.launch_ship()
    assert "replaces an earlier one" in capsys.readouterr().err
    hooked = SparkContext.__init__
    captain.close()
    assert SparkContext.__init__ is hooked, (
        "closing the replaced captain does not touch the other's hook"
    )
    other.close()
    assert SparkContext.__init__ is before


def test_verify_without_a_session_says_what_to_do(captain: Captain) -> None:
    with pytest.raises(BoatError, match="launch_ship"):
        captain.verify()


def test_a_python_that_the_driver_is_not_is_refused_at_launch(tmp_path: Path) -> None:
    own = f"python{sys.version_info.major}.{sys.version_info.minor}"
    minors = {f"python3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)} - {own}
    others = [
        path
        for path in sorted(Path(sys.base_prefix).parent.glob("*/bin/python3.*"))
        if path.name in minors
    ]
    if not others:
        cannot_run("needs a Python of another minor version beside this one, as pyenv has them")
    with pytest.raises(LaunchError, match="minor version"):
        Captain(python=str(others[0]), offline=True, store=tmp_path / "store").launch_ship()
    planned = Captain(python=str(others[0]), offline=True, store=tmp_path / "store")
    assert "session.other-python-minor" not in {one.code for one in planned.plan().findings}
    told = {one.code: one.severity for one in planned.plan("local[1]").findings}
    assert told["session.other-python-minor"] == "error", "a plan says what a launch refuses"


def test_an_older_platform_than_this_machine_is_refused_for_its_own_interpreter(
    interpreter_packed: Store, tmp_path: Path
) -> None:
    store = with_chunks_of(interpreter_packed.root, tmp_path / "store")
    with pytest.raises(BuildError, match="glibc") as refused:
        Captain(platform="manylinux_2_17_x86_64", offline=True, store=store).pack(
            tmp_path / "env.tar.gz"
        )
    assert "python 3" in refused.value.value
    assert not (tmp_path / "env.tar.gz").exists()


@pytest.mark.parametrize("master", [None, "local-cluster[1,1,1024]"])
def test_a_plan_refuses_the_interpreter_that_a_launch_would_refuse(
    tmp_path: Path, master: str | None
) -> None:
    with (
        Captain(
            platform="manylinux_2_17_x86_64", offline=True, store=tmp_path / "store"
        ) as captain,
        pytest.raises(BuildError, match="newer glibc than the platform") as refused,
    ):
        captain.plan(master)
    assert refused.value.value.startswith("python 3")
    assert not (tmp_path / "store/trees").exists(), "nothing is copied to know it"


def test_for_older_nodes_a_version_means_a_standalone_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    # A folder of uv's own that is empty: this machine has no standalone build, and offline none is
    # fetched.
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "none"))
    with pytest.raises(BuildError, match="no such Python") as refused:
        Captain(
            platform="manylinux_2_17_x86_64", python=own, offline=True, store=tmp_path / "store"
        ).pack(tmp_path / "env.tar.gz")
    assert "uv python install" in refused.value.cure


def test_a_misspelt_setting_in_a_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.coffee_boat]\nplatfrom = "manylinux_2_28_x86_64"\n'
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="platfrom"):
        Captain()


def test_a_store_that_cannot_be_written_is_named(wheels: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BoatError) as refused:
        Captain(
            ship_python=False,
            offline=True,
            find_links=[str(wheels)],
            store=tmp_path / "file" / "store",
        ).add_pip_packages("beta").pack(tmp_path / "env.tar.gz")
    assert str(tmp_path / "file") in str(refused.value)


def test_the_packed_file_has_the_modes_of_the_users_own_files(
    captain: Captain, tmp_path: Path
) -> None:
    before = os.umask(0o022)
    try:
        captain.add_pip_packages("beta").pack(tmp_path / "env.tar.gz")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "env.tar.gz").stat().st_mode) == 0o644


def test_a_folder_that_was_edited_is_built_again(captain: Captain, tmp_path: Path) -> None:
    mine = project(tmp_path / "mine", "mine", "1.0")
    captain.add_pip_packages(str(mine))
    for state in ("old", "new"):
        (mine / "body.txt").write_text(f"STATE = {state!r}\n")
        archive = captain.pack(tmp_path / f"{state}.tar.gz")
        with tarfile.open(tmp_path / f"{state}.tar.gz") as entries:
            module = entries.extractfile(f"{archive.target.site_packages}mine.py")
            assert module is not None
            assert module.read().decode() == f"STATE = {state!r}\n"


def test_adding_nothing_to_a_lock_file_leaves_it_as_it_is(captain: Captain, tmp_path: Path) -> None:
    from coffee_boat.workflow import lockfile

    captain.add_pip_packages("beta<2").plan()
    assert captain.lock is not None
    (tmp_path / "pylock.toml").write_text(lockfile.text_of(captain.lock))
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    other = Captain(ship_python=False, offline=True, store=tmp_path / "other").add_lock(
        tmp_path / "pylock.toml"
    )
    other.add_pip_packages().add_requirements(tmp_path / "requirements.txt")
    assert [pin.name for pin in other.plan().lock.pins] == ["beta"]


def test_a_package_can_be_taken_back(captain: Captain) -> None:
    captain.add_pip_packages("Alpah", "beta")
    with pytest.raises(LockError, match="forget"):
        captain.plan()
    assert [pin.name for pin in captain.forget("alpah").plan().lock.pins] == ["beta"]
    with pytest.raises(RequirementError, match="not asked for"):
        captain.forget("gamma")


def test_what_an_earlier_captain_made_importable_is_gone_and_decides_nothing(
    captain: Captain, wheels: Path, tmp_path: Path
) -> None:
    before = list(sys.path)
    other = Captain(
        ship_python=False, offline=True, find_links=[str(wheels)], store=tmp_path / "store"
    ).add_pip_packages("beta")
    captain.add_pip_packages("beta<2").launch_ship()
    assert sys.path != before
    other.launch_ship()
    assert other.lock is not None
    assert [(pin.name, pin.version) for pin in other.lock.pins] == [("beta", "2.0")]
    assert "not launched" in repr(captain)
    other.close()
    assert sys.path == before


def test_repr_says_what_is_wanted_and_hides_secrets(captain: Captain) -> None:
    captain.add_pip_packages(
        "alpha", "tool @ https://user:secret@example.org/tool-1.0-py3-none-any.whl"
    )
    assert "alpha" in repr(captain)
    assert "secret" not in repr(captain)
