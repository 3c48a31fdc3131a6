"""The driver's view: what it lacks becomes importable after its own, what does not fit is left out
by name.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pickle
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import packaging.utils  # noqa: F401  stays loaded where sys.path is cut short
import pytest

from coffee_boat._support.store import Store
from coffee_boat.model import CondaPin, Lock, Pin, SparkFacts, Target
from coffee_boat.session import arrow as session_arrow
from coffee_boat.session import driver, only_there
from coffee_boat.session.sys_path import DriverView
from coffee_boat.session.views import Later, Views


@pytest.fixture(autouse=True)
def _process_is_left_as_it_was() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    assert sys.path == path
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    importlib.invalidate_caches()


def dist(
    tree: Path,
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    extras: Sequence[str] = (),
    tag: str = "py3-none-any",
) -> Path:
    """What a wheel of one module leaves in site-packages."""
    module = name.replace("-", "_")
    info = tree / f"{module}-{version}.dist-info"
    info.mkdir(parents=True)
    (tree / f"{module}.py").write_text(f"version = {version!r}\n")
    lines = [
        f"Name: {name}",
        f"Version: {version}",
        *(f"Provides-Extra: {e}" for e in extras),
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    (info / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")
    (info / "WHEEL").write_text(f"Wheel-Version: 1.0\nTag: {tag}\n")
    return tree


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    """A folder of the driver's own distributions, first on sys.path."""
    folder = tmp_path / "own"
    folder.mkdir()
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


def lock_of(trees: Mapping[str, Path]) -> Lock:
    return Lock(
        Target("3.11.7"),
        tuple(
            Pin(name, importlib.metadata.Distribution.at(next(tree.glob("*.dist-info"))).version)
            for name, tree in sorted(trees.items())
        ),
    )


def boarded(trees: Mapping[str, Path], tmp_path: Path) -> DriverView:
    return driver.board(lock_of(trees), trees, Store(tmp_path / "store"))


def test_what_the_driver_lacks_is_importable_with_metadata_and_gone_after_close(
    tmp_path: Path, own: Path
) -> None:
    trees = {
        "boat-a": dist(tmp_path / "a", "boat-a", "1.0", requires=["boat-b>=2"]),
        "boat-b": dist(tmp_path / "b", "boat-b", "2.5"),
    }
    with pytest.raises(ImportError):
        importlib.import_module("boat_a")
    view = boarded(trees, tmp_path)
    assert view.findings == ()
    assert importlib.import_module("boat_a").version == "1.0"
    assert importlib.metadata.version("boat-b") == "2.5"
    view.close()
    view.close()
    assert "boat_a" in sys.modules
    assert importlib.util.find_spec("boat_b") is None


def test_entries_stand_after_the_drivers_own_until_the_last_view_that_holds_them_closes(
    tmp_path: Path, own: Path
) -> None:
    before = list(sys.path)
    trees = {"boat-a": dist(tmp_path / "a", "boat-a", "1.0")}
    first = boarded(trees, tmp_path)
    second = boarded(trees, tmp_path)
    assert sys.path == [*before, str(tmp_path / "a")]
    assert first.entries == second.entries == (str(tmp_path / "a"),)
    for view in (first, first):
        view.close()
        assert sys.path == [*before, str(tmp_path / "a")]
    second.close()
    assert sys.path == before


def test_what_somebody_else_put_on_the_path_is_not_taken_off(tmp_path: Path, own: Path) -> None:
    trees = {"boat-a": dist(tmp_path / "a", "boat-a", "1.0")}
    sys.path.append(str(tmp_path / "a"))
    view = boarded(trees, tmp_path)
    assert view.entries == ()
    view.close()
    assert sys.path.pop() == str(tmp_path / "a")


def test_the_drivers_own_stays_and_another_version_is_told(tmp_path: Path, own: Path) -> None:
    dist(own, "Boat.A", "1.0")
    trees = {"boat-a": dist(tmp_path / "a", "boat-a", "2.0")}
    view = boarded(trees, tmp_path)
    assert view.entries == ()
    assert "boat-a: 1.0 here, 2.0 there" in str(view.findings[0])
    assert 'add_pip_packages("boat-a==1.0")' in view.findings[0].cure


def test_a_package_built_for_another_version_is_left_out_and_both_are_named(
    tmp_path: Path, own: Path
) -> None:
    dist(own, "boat-numpy", "1.26.4")
    trees = {
        "boat-numpy": dist(tmp_path / "n", "boat-numpy", "2.1.0"),
        "boat-pandas": dist(tmp_path / "p", "boat-pandas", "2.2.3", requires=["boat-numpy>=2.0"]),
        "boat-above": dist(tmp_path / "s", "boat-above", "1.0", requires=["boat-pandas"]),
        "boat-free": dist(tmp_path / "f", "boat-free", "1.0"),
    }
    view = boarded(trees, tmp_path)
    assert view.entries == (str(tmp_path / "f"),)
    _, above, pandas = map(str, view.findings)
    assert "boat-pandas 2.2.3" in pandas
    assert "it needs boat-numpy>=2.0, the driver has boat-numpy 1.26.4" in pandas
    assert "boat-above 1.0" in above
    assert "boat-pandas" in above
    view.close()


@pytest.mark.parametrize("tool", ["setuptools", "pip", "wheel"])
def test_nothing_is_left_out_over_what_installs_packages(
    tool: str, tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(own)])
    trees = {"boat-t": dist(tmp_path / "t", "boat-t", "2.9", requires=[f"{tool}>=77"])}
    for version in (None, "65.5"):
        if version is not None:
            dist(own, tool, version)
        view = boarded(trees, tmp_path)
        assert view.findings == ()
        assert len(view.entries) == 1
        view.close()


def test_markers_and_extras_decide_what_is_needed(tmp_path: Path, own: Path) -> None:
    dist(own, "boat-old", "1.0")
    trees = {
        "boat-a": dist(
            tmp_path / "a",
            "boat-a",
            "1.0",
            requires=[
                'boat-nothing; sys_platform == "win32"',
                'boat-old>=9; extra == "x"',
                "boat-old",
            ],
            extras=["x"],
        ),
        "boat-b": dist(tmp_path / "b", "boat-b", "1.0", requires=["boat-a[x]"]),
    }
    view = boarded(trees, tmp_path)
    assert view.entries == (str(tmp_path / "a"),)
    assert [f.value for f in view.findings] == ["boat-b 1.0"]
    assert "boat-old>=9" in view.findings[0].cause
    view.close()


def test_packages_that_need_each_other_with_extras_end(tmp_path: Path, own: Path) -> None:
    trees = {
        "boat-a": dist(
            tmp_path / "a",
            "boat-a",
            "1.0",
            requires=['boat-a[y]; extra == "x"', 'boat-a[x]; extra == "y"', "boat-b[x]"],
            extras=["x", "y"],
        ),
        "boat-b": dist(
            tmp_path / "b",
            "boat-b",
            "1.0",
            requires=['boat-a[x]; extra == "x"', "boat-a"],
            extras=["x"],
        ),
    }
    view = boarded(trees, tmp_path)
    assert set(view.trees) == {str(tmp_path / "a"), str(tmp_path / "b")}
    assert len(view.entries) == 1
    view.close()


def test_a_wheel_for_another_platform_is_for_the_executors_only(tmp_path: Path, own: Path) -> None:
    trees = {"boat-a": dist(tmp_path / "a", "boat-a", "1.0", tag="cp38-cp38-manylinux2014_s390x")}
    view = boarded(trees, tmp_path)
    assert view.entries == ()
    assert "cp38-cp38-manylinux2014_s390x" in view.findings[0].cause


def test_prereleases_and_vendors_own_numbers_are_taken_as_they_are(
    tmp_path: Path, own: Path
) -> None:
    dist(own, "boat-old", "2.0rc1")
    dist(own, "boat-vendor", "3.5.1-amzn-x")
    trees = {
        "boat-a": dist(tmp_path / "a", "boat-a", "1.0", requires=["boat-old>=1", "boat-vendor>=3"])
    }
    view = boarded(trees, tmp_path)
    assert len(view.entries) == 1
    view.close()


def test_installed_passes_over_broken_metadata_and_the_first_on_the_path_wins(
    tmp_path: Path,
) -> None:
    dist(tmp_path / "first", "Boat_A", "1.0")
    dist(tmp_path / "second", "boat-a", "2.0")
    for broken, text in {
        "empty": "",
        "nameless": "Metadata-Version: 2.1\nVersion: 1\n",
        "versionless": "Metadata-Version: 2.1\nName: versionless\n",
    }.items():
        (tmp_path / f"first/{broken}-1.0.dist-info").mkdir()
        (tmp_path / f"first/{broken}-1.0.dist-info/METADATA").write_text(text)
    (tmp_path / "first/bare-1.0.dist-info").mkdir()
    (tmp_path / "first/binary-1.0.dist-info").mkdir()
    (tmp_path / "first/binary-1.0.dist-info/METADATA").write_bytes(b"Name: \xff\xfe\nVersion: 1\n")
    assert driver.installed(
        [str(tmp_path / "first"), str(tmp_path / "second"), str(tmp_path / "nowhere")]
    ) == {"boat-a": "1.0"}


def test_lacking_is_what_the_driver_has_in_no_version(own: Path) -> None:
    dist(own, "boat-a", "1.0")
    lock = Lock(Target("3.11.7"), (Pin("boat-a", "2.0"), Pin("boat-b", "1.0")))
    assert [pin.name for pin in driver.lacking(lock).pins] == ["boat-b"]


# several distributions as one folder


def shared(tmp_path: Path) -> dict[str, Path]:
    """Two distributions that are one package, whose library looks beside itself for the other's."""
    trees = {name: dist(tmp_path / name, name, "1.0") for name in ("boat-one", "boat-two")}
    for tree, file in zip(trees.values(), ("__init__", "two"), strict=True):
        (tree / "boat_shared").mkdir()
        (tree / "boat_shared" / f"{file}.py").write_text(f"file = {file!r}\n")
    return trees


def test_distributions_that_share_a_package_are_one_folder(tmp_path: Path, own: Path) -> None:
    trees = shared(tmp_path)
    view = boarded(trees, tmp_path)
    assert importlib.import_module("boat_shared.two").file == "two"
    module = importlib.import_module("boat_shared")
    assert Path(module.__file__ or "").with_name("two.py").exists(), "beside itself, too"
    assert importlib.metadata.version("boat-two") == "1.0"
    view.close()


def test_what_is_added_to_a_package_that_was_imported_before_is_found(
    tmp_path: Path, own: Path
) -> None:
    trees, path = shared(tmp_path), list(sys.path)
    views = Views(Store(tmp_path / "store"))
    views.board(lock_of(trees), {"boat-one": trees["boat-one"]})
    before = importlib.import_module("boat_shared")
    with pytest.raises(ImportError):
        importlib.import_module("boat_shared.two")
    views.board(lock_of(trees), {"boat-two": trees["boat-two"]})
    assert importlib.import_module("boat_shared.two").file == "two"
    assert importlib.import_module("boat_shared") is before
    assert len(views.entries) == 1
    views.close()
    assert sys.path == path


def test_a_store_that_cannot_be_written_serves_each_by_itself(tmp_path: Path, own: Path) -> None:
    trees = {name: dist(tmp_path / name, name, "1.0") for name in ("boat-a", "boat-b")}
    (tmp_path / "file").write_text("")
    view = driver.board(lock_of(trees), trees, Store(tmp_path / "file" / "store"))
    assert view.entries == (str(tmp_path / "boat-a"), str(tmp_path / "boat-b"))
    view.close()


# what is on executors only


@pytest.fixture
def views(tmp_path: Path) -> Iterator[Views]:
    views = Views(Store(tmp_path / "store"))
    yield views
    views.close()


def test_a_module_that_is_on_executors_only_says_so_where_a_result_is_unpickled(
    views: Views, tmp_path: Path, own: Path
) -> None:
    dist(own, "boat-numpy", "1.26.4")
    trees = {"boat-torch": dist(tmp_path / "t", "boat-torch", "2.9", requires=["boat-numpy>=2"])}
    told = views.board(lock_of(trees), trees)
    views.hints.add({"boat_torch": only_there.text("boat-torch 2.9", told, install_local=True)})
    for ask in (
        lambda: pickle.loads(b"cboat_torch\nTensor\n."),
        lambda: importlib.import_module("boat_torch.nn"),
    ):
        with pytest.raises(ModuleNotFoundError) as refused:
            ask()
        said = str(refused.value)
        assert said.startswith("No module named 'boat_torch'\n  boat-torch 2.9 is on the executors")
        assert "it needs boat-numpy>=2, the driver has boat-numpy 1.26.4" in said
        assert 'pip install "boat-numpy>=2" for the driver' in said
        assert refused.value.name == "boat_torch"
    assert importlib.util.find_spec("boat_torch") is None
    views.close()
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'boat_torch'$"):
        importlib.import_module("boat_torch")


def large(folder: Path, name: str, *requires: str, unpack: Callable[[], None]) -> Later:
    """A distribution that is unpacked when it is imported."""
    tree = dist(folder / name, name, "1.0", requires=requires)
    file = Path(shutil.make_archive(str(folder / f"{name}-1.0"), "zip", tree))
    wheel = file.rename(file.with_suffix(".whl"))

    def unpacked() -> Path:
        unpack()
        return tree

    return Later(wheel, frozenset({name.replace("-", "_")}), unpacked)


def two_large(folder: Path) -> tuple[dict[str, Later], list[str]]:
    """Two by their names; and the names of those that were unpacked, once they are."""
    unpacked: list[str] = []
    names = ("boat-big", "boat-lazy")
    return {n: large(folder, n, unpack=partial(unpacked.append, n)) for n in names}, unpacked


def test_what_is_large_is_judged_by_its_wheel_and_unpacked_when_it_is_imported(
    views: Views, tmp_path: Path, own: Path
) -> None:
    dist(own, "boat-numpy", "1.26.4")
    unpacked: list[str] = []
    needs = {
        "boat-big": ("boat-cuda", "boat-small"),
        "boat-cuda": (),
        "boat-other": (),
        "boat-unfit": ("boat-numpy>=2",),
    }
    some = {
        name: large(tmp_path, name, *asked, unpack=partial(unpacked.append, name))
        for name, asked in needs.items()
    }
    trees = {"boat-small": dist(tmp_path / "s", "boat-small", "1.0")}
    pins = {name: Pin(name, "1.0") for name in (*some, "boat-small")}
    pins["boat-big"] = Pin("boat-big", "1.0", requires=needs["boat-big"])
    lock = Lock(Target("3.11.7"), tuple(pins.values()))
    (told,) = views.board(lock, trees, some)
    assert told.value == "boat-unfit 1.0"
    assert importlib.util.find_spec("boat_unfit") is None
    assert importlib.import_module("boat_small").version == "1.0"
    more = {"boat-above": dist(tmp_path / "m", "boat-above", "1.0", requires=["boat-big"])}
    above = Pin("boat-above", "1.0", requires=("boat-big",))
    assert views.board(Lock(lock.target, (*lock.pins, above)), more) == ()
    assert importlib.import_module("boat_above").version == "1.0"
    assert unpacked == [], "nobody has imported it"
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(importlib.import_module, ["boat_big"] * 4))
    assert {module.version for module in found} == {"1.0"}
    assert sorted(unpacked) == ["boat-big", "boat-cuda"], "it, and what it needs"
    assert importlib.import_module("boat_cuda").version == "1.0"
    assert importlib.import_module("boat_other").version == "1.0"
    assert sorted(unpacked) == ["boat-big", "boat-cuda", "boat-other"]
    assert importlib.metadata.version("boat-big") == "1.0"


def test_who_looks_whether_a_large_package_is_there_finds_it_and_unpacks_nothing(
    views: Views, tmp_path: Path, own: Path
) -> None:
    some, unpacked = two_large(tmp_path)
    views.board(Lock(Target("3.11.7"), tuple(Pin(name, "1.0") for name in some)), {}, some)
    spec = importlib.util.find_spec("boat_big")
    assert spec is not None
    assert spec.loader is not None
    assert importlib.metadata.version("boat.big") == "1.0"
    assert "boat-lazy" in {one.metadata["Name"] for one in importlib.metadata.distributions()}
    assert driver.installed().keys() & some.keys() == set(), "not the driver's own"
    assert unpacked == []
    lazy = importlib.util.find_spec("boat_lazy")
    assert lazy is not None
    assert lazy.loader is not None
    lazy.loader = importlib.util.LazyLoader(lazy.loader)
    for one in (spec, lazy):
        module = importlib.util.module_from_spec(one)
        assert one.loader is not None
        one.loader.exec_module(module)
        assert module.version == "1.0"
        assert (module.__file__ or "").endswith(f"{one.name}.py")
    assert sorted(unpacked) == ["boat-big", "boat-lazy"]
    views.close()
    assert importlib.util.find_spec("boat_big") is None
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("boat-big")


def test_what_does_not_fit_any_more_when_it_is_unpacked_says_so(
    views: Views, tmp_path: Path, own: Path
) -> None:
    dist(own, "boat-numpy", "2.0")
    some = {
        name: large(tmp_path, name, *needs, unpack=lambda: None)
        for name, needs in {"boat-big": ("boat-numpy>=2",), "boat-lazy": ()}.items()
    }
    lock = Lock(Target("3.11.7"), tuple(Pin(name, "1.0") for name in some))
    assert views.board(lock, {}, some) == ()
    shutil.rmtree(own / "boat_numpy-2.0.dist-info")
    dist(own, "boat-numpy", "1.26.4")
    importlib.invalidate_caches()
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match=r"boat-big 1\.0 is on the executors, not on"):
            importlib.import_module("boat_big")
    assert importlib.import_module("boat_lazy").version == "1.0"


def test_where_nobody_knows_what_needs_what_all_is_unpacked_at_once(
    views: Views, tmp_path: Path, own: Path
) -> None:
    some, unpacked = two_large(tmp_path)
    views.board(Lock(Target("3.11.7"), tuple(Pin(name, "1.0") for name in some)), {}, some)
    importlib.import_module("boat_lazy")
    assert sorted(unpacked) == sorted(some)


@pytest.mark.parametrize("first", ["boat_many/__init__.py", "boat_many/small.py"])
@pytest.mark.parametrize("when", ["with it", "later"])
def test_what_waits_is_imported_from_a_package_that_another_one_brings(
    views: Views, tmp_path: Path, own: Path, first: str, when: str
) -> None:
    """`big` waits; of `boat_many` another distribution is here, and imported already."""
    trees = {}
    for name, file in (("boat-small", first), ("boat-big", "boat_many/in/big/__init__.py")):
        trees[name] = dist(tmp_path / name, name, "1.0")
        (tmp_path / name / file).parent.mkdir(parents=True)
        (tmp_path / name / file).write_text("x = 1\n")
    some, unpacked = two_large(tmp_path / "wheels")
    names = frozenset({"boat_many", "boat_many.in", "boat_many.in.big"})
    waits = replace(some["boat-big"], importable=names, modules=frozenset())
    waits = replace(waits, unpack=lambda: unpacked.append("boat-big") or trees["boat-big"])  # type: ignore[func-returns-value]
    lock = Lock(Target("3.11.7"), tuple(Pin(name, "1.0") for name in trees))
    small = {"boat-small": trees["boat-small"]}
    if when == "later":
        views.board(lock, {}, {"boat-big": waits})
        views.board(lock, small)
    else:
        views.board(lock, small, {"boat-big": waits})
    assert importlib.import_module(first.removesuffix(".py").replace("/", ".")).x == 1
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("boat_many.absent")
    assert unpacked == []
    big = importlib.import_module("boat_many.in.big")
    assert big.x == 1
    assert unpacked == ["boat-big"]
    for name in [name for name in sys.modules if name.startswith("boat_many")]:
        del sys.modules[name]


def scanned() -> list[str]:
    """As pkg_resources finds distributions: by the names in the folders of sys.path."""
    found = [info.name for entry in sys.path for info in Path(entry).glob("*.dist-info")]
    return sorted(name for name in found if name.startswith("boat_"))


def test_the_metadata_of_what_is_not_unpacked_yet_lies_on_sys_path(
    views: Views, tmp_path: Path, own: Path
) -> None:
    some, unpacked = two_large(tmp_path)
    points = "[boat.engines]\nbig = boat_big:engine\n"
    with zipfile.ZipFile(some["boat-big"].wheel, "a") as wheel:
        wheel.writestr("boat_big-1.0.dist-info/entry_points.txt", points)
    path = list(sys.path)
    needing = Pin("boat-small", "1.0", requires=("boat-big",))
    lock = Lock(Target("3.11.7"), (*(Pin(name, "1.0") for name in some), needing))
    views.board(lock, {}, some)
    (entry,) = (one for one in sys.path if one not in path)
    assert scanned() == ["boat_big-1.0.dist-info", "boat_lazy-1.0.dist-info"]
    names = [one.metadata["Name"] for one in importlib.metadata.distributions()]
    assert sorted(name for name in names if name in some) == ["boat-big", "boat-lazy"]
    assert importlib.metadata.version("boat-big") == "1.0"
    (point,) = importlib.metadata.entry_points(group="boat.engines")
    assert point.value == "boat_big:engine"
    assert importlib.metadata.packages_distributions()["boat_big"] == ["boat-big"]

    assert driver.installed().keys() & some.keys() == set()
    other = Views(Store(tmp_path / "store"))
    assert other.board(lock, {}, some) == (), "of another captain: not the driver's own"
    other.close()
    small = {"boat-small": dist(tmp_path / "s", "boat-small", "1.0", requires=["boat-big"])}
    views.board(lock, small)
    assert entry in sys.path
    assert unpacked == []

    importlib.import_module("boat_big")
    assert unpacked == ["boat-big"]
    assert entry not in sys.path
    assert [importlib.metadata.version(name) for name in some] == ["1.0", "1.0"]
    assert scanned().count("boat_lazy-1.0.dist-info") == 1, "it waits still"
    importlib.import_module("boat_lazy")
    assert unpacked == ["boat-big", "boat-lazy"]
    assert scanned().count("boat_lazy-1.0.dist-info") == 1
    views.close()
    assert sys.path == path


def test_metadata_of_large_packages_is_found_where_the_store_cannot_be_written(
    tmp_path: Path, own: Path
) -> None:
    (tmp_path / "file").write_text("")
    views, path = Views(Store(tmp_path / "file" / "store")), list(sys.path)
    some = {"boat-big": large(tmp_path, "boat-big", unpack=lambda: None)}
    views.board(Lock(Target("3.11.7"), (Pin("boat-big", "1.0"),)), {}, some)
    assert sys.path == path
    assert importlib.metadata.version("boat-big") == "1.0"
    views.close()


class Meeting(dict[str, Path]):
    """Trees; who reads them waits until two read theirs, or a moment has passed."""

    at = threading.Barrier(2)

    def items(self) -> ItemsView[str, Path]:
        with suppress(threading.BrokenBarrierError):
            self.at.wait(0.1)
        return super().items()


def test_two_threads_may_add_at_once(views: Views, tmp_path: Path, own: Path) -> None:
    trees = {name: dist(tmp_path / name, name, "1.0") for name in ("boat-a", "boat-b", "boat-c")}
    lock = lock_of(trees)
    views.board(lock, {"boat-c": trees["boat-c"]})
    with ThreadPoolExecutor(2) as threads:
        some = [Meeting({name: trees[name]}) for name in ("boat-a", "boat-b")]
        assert list(threads.map(partial(views.board, lock), some)) == [(), ()]
    assert len(views.entries) == 1
    for name in ("boat_a", "boat_b", "boat_c"):
        assert importlib.import_module(name).version == "1.0"


def test_an_addition_does_not_wait_for_what_another_thread_unpacks(
    views: Views, tmp_path: Path, own: Path
) -> None:
    unpacks, added, waited = threading.Event(), threading.Event(), []

    def unpack() -> None:
        unpacks.set()
        waited.append(added.wait(5))

    some = {"boat-big": large(tmp_path, "boat-big", unpack=unpack)}
    lock = Lock(Target("3.11.7"), (Pin("boat-big", "1.0"), Pin("boat-small", "1.0")))
    views.board(lock, {}, some)
    with ThreadPoolExecutor(1) as threads:
        big = threads.submit(importlib.import_module, "boat_big")
        assert unpacks.wait(5)
        views.board(lock, {"boat-small": dist(tmp_path / "s", "boat-small", "1.0")})
        added.set()
        assert big.result().version == "1.0"
    assert waited == [True]
    assert importlib.import_module("boat_small").version == "1.0"


# what pyspark makes of the driver's packages

UDF, UDTF = (
    "spark.sql.execution.pythonUDF.arrow.enabled",
    "spark.sql.execution.pythonUDTF.arrow.enabled",
)


def arrow(spark: str, *aboard: str, **conf: str) -> list[str]:
    """What is said to do, where the driver has what `own` has."""
    lock = Lock(Target("3.11.7"), tuple(Pin(name, "1.0") for name in aboard))
    found = list(
        session_arrow.arrow(
            lock,
            SparkFacts(
                version=spark,
                master="local[1]",
                conf={{"udf": UDF, "udtf": UDTF}[name]: value for name, value in conf.items()},
            ),
        )
    )
    assert all(finding.what and finding.value and finding.cause for finding in found)
    return [finding.cure for finding in found]


@pytest.fixture
def own_arrow(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(own)])
    dist(own, "pandas", "2.3.0")
    dist(own, "pyarrow", "21.0.0")


@pytest.mark.usefixtures("own_arrow")
def test_functions_that_spark_sends_as_arrow_since_the_driver_has_it_are_named() -> None:
    [cure] = arrow("4.3.0")
    assert 'captain.add_pip_packages("pyarrow")' in cure
    assert f'spark.conf.set("{UDF}", "false"); spark.conf.set("{UDTF}", "false")' in cure
    [cure] = arrow("4.2.1-vendor", udf="false")
    assert UDF not in cure
    assert UDTF in cure
    [cure] = arrow("4.1.4", udf="TRUE")
    assert UDF in cure
    assert UDTF not in cure
    [cure] = arrow("3.5.1-amzn-1", "pyarrow", udtf="true")
    assert 'add_pip_packages("pandas")' in cure


@pytest.mark.usefixtures("own_arrow")
def test_nothing_is_said_where_executors_have_arrow_or_it_is_not_used() -> None:
    assert (
        arrow("4.3.0", "pyarrow")
        == arrow("4.3.0", udf="false", udtf="false")
        == arrow("4.1.4")
        == arrow("3.5.9", "pandas", "pyarrow", udf="true")
        == []
    )


@pytest.mark.parametrize("only", ["pandas", "pyarrow"])
def test_a_driver_that_lacks_one_of_both_sends_no_arrow(
    own: Path, monkeypatch: pytest.MonkeyPatch, only: str
) -> None:
    monkeypatch.setattr(sys, "path", [str(own)])
    dist(own, only, "21.0.0")
    assert arrow("4.3.0") == []


LOOKALIKES = [
    "numpy/__init__.py",
    "numpy/core/x.py",
    "numpy.py",
    "numpy.pyc",
    "numpy.abi3.so",
    "NumPy/__init__.py",
    "pandas/__init__.py",
    "pyarrow.py",
    "grpc/__init__.py",
    "google/__init__.py",
    "google.py",
    "google/protobuf/__init__.py",
    "google/rpc/status_pb2.py",
    "psutil.py",
    "zstandard/__init__.py",
    "simplejson/__init__.py",
    "chardet/__init__.py",
    "org/python/core.py",
    "_manylinux.py",
    "winreg.py",
    "_distutils_hack/__init__.py",
    "rattler/__init__.py",
]


@pytest.mark.parametrize("file", LOOKALIKES)
def test_a_module_that_libraries_import_by_themselves_is_taken_from_its_own_package_only(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if "site-packages" not in entry])
    trees = {"boat-x": dist(tmp_path / "x", "boat-x", "1.0")}
    planted = trees["boat-x"] / file
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text("")
    view = boarded(trees, tmp_path)
    assert view.entries == ()
    [finding] = view.findings
    assert finding.value == "boat-x 1.0"
    assert file.partition("/")[0].partition(".")[0].lower() in finding.cause.lower()
    assert "import" in finding.cause
    assert "pip install boat-x" in finding.cure


@pytest.mark.parametrize(
    ("value", "left_out"),
    [("boat_x:Files", True), ("s3fs.core:S3FileSystem", False)],
)
def test_a_protocol_of_fsspec_is_not_taken_over(
    value: str, left_out: bool, tmp_path: Path, own: Path
) -> None:
    trees = {"boat-x": dist(tmp_path / "x", "boat-x", "1.0")}
    info = next(trees["boat-x"].glob("*.dist-info"))
    (info / "entry_points.txt").write_text(f"[fsspec.specs]\ns3 = {value}\nboat = boat_x:Files\n")
    view = boarded(trees, tmp_path)
    assert ["s3://" in finding.cause for finding in view.findings] == [True] * left_out
    view.close()


def test_pyspark_runs_no_code_of_a_package_that_nobody_imported(tmp_path: Path) -> None:
    """A process of its own, without numpy: py4j looks for it when it converts a first value."""
    trees = {"boat-x": dist(tmp_path / "x", "boat-x", "1.0")}
    (trees["boat-x"] / "numpy").mkdir()
    (trees["boat-x"] / "numpy" / "__init__.py").write_text("open('ran', 'w')\n")
    script = f"""
import sys
from pathlib import Path
from coffee_boat._support.store import Store
from coffee_boat.model import Lock, Pin, Target
from coffee_boat.session import driver, only_there

tree = Path({str(trees["boat-x"])!r})
sys.path[:] = [entry for entry in sys.path if not Path(entry, "numpy").exists()]
lock = Lock(Target("3.11.7"), (Pin("boat-x", "1.0"),))
driver.board(lock, {{"boat-x": tree}}, Store(Path("store").absolute()))
import py4j.protocol
import pyspark.sql.types
for one in py4j.protocol.INPUT_CONVERTER:
    one.can_convert(object())
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    assert not (tmp_path / "ran").exists()


def test_a_module_is_taken_from_the_package_that_it_is_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if "site-packages" not in entry])
    files = {
        "numpy": "numpy/__init__.py",
        "intel-numpy": "numpy/__init__.py",
        "protobuf": "google/protobuf/__init__.py",
        "grpcio": "grpc/__init__.py",
        "pyyaml": "yaml/__init__.py",
        "google-cloud-storage": "google/cloud/storage/__init__.py",
        "python-dateutil": "dateutil/__init__.py",
        "boat-sloppy": "test/__init__.py",
    }
    trees = {}
    for name, file in files.items():
        trees[name] = dist(tmp_path / name, name, "1.0")
        (trees[name] / file).parent.mkdir(parents=True)
        (trees[name] / file).write_text("")
        (trees[name] / f"{name.replace('-', '_')}.py").unlink()
    view = boarded(trees, tmp_path)
    assert view.findings == ()
    assert len(view.trees) == len(files)
    view.close()


def test_what_the_driver_has_itself_hides_the_lookalike(tmp_path: Path, own: Path) -> None:
    (own / "numpy").mkdir()
    (own / "numpy" / "__init__.py").write_text("")
    trees = {"boat-x": dist(tmp_path / "x", "boat-x", "1.0")}
    (trees["boat-x"] / "numpy.py").write_text("")
    (trees["boat-x"] / "types.py").write_text("")
    view = boarded(trees, tmp_path)
    assert view.findings == ()
    view.close()


def test_a_conda_package_owns_what_it_is_called_not_what_it_says_it_brings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if "site-packages" not in entry])
    pin = CondaPin(
        name="boat-x",
        version="1.0",
        build="0",
        subdir="noarch",
        channel="c",
        filename="boat-x-1.0-0.conda",
        url="https://h/c/noarch/boat-x-1.0-0.conda",
        sha256="0" * 64,
        noarch_python=True,
        provides=("numpy==1.0",),
    )
    trees = {"numpy": dist(tmp_path / "x", "numpy", "1.0")}
    view = driver.board(Lock(Target("3.11.7"), (), conda=(pin,)), trees, Store(tmp_path / "store"))
    assert view.entries == ()
    assert "numpy" in view.findings[0].cause
