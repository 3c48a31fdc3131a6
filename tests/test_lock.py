from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from lanes import require_git
from packaging.pylock import Pylock
from small_packages import files_below, project, sdist, serving, sha256, wheel

from coffee_boat import requirements
from coffee_boat._support.progress import Step
from coffee_boat._support.store import Store
from coffee_boat.errors import LockError, StoreError
from coffee_boat.model import Indexes, Lock, Manifest, Pin, Target
from coffee_boat.pip import explain, nearest, pylock
from coffee_boat.pip import resolve as pip_resolve
from coffee_boat.workflow import lockfile

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TARGET = Target("3.11.7", "x86_64", (2, 28))
DAY = 86400.0


@pytest.fixture(scope="session")
def uv_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uv-cache")


@pytest.fixture(autouse=True)
def _own_uv(uv_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_CACHE_DIR", str(uv_cache))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def links(tmp_path: Path) -> Path:
    folder = tmp_path / "links"
    wheel(folder, "alpha", "1.0", ["beta<2"])
    wheel(folder, "alpha", "1.5", ["beta"])
    wheel(folder, "alpha", "2.0", ["beta>=2"])
    wheel(folder, "beta", "1.0")
    wheel(folder, "beta", "2.0")
    return folder


class Asker:
    """Resolves against one folder of wheels, with one store."""

    def __init__(self, links: Path, store: Store) -> None:
        self.indexes = Indexes(find_links=(str(links),), no_index=True, offline=True)
        self.store = store
        self.said: list[Step] = []

    def __call__(
        self,
        *texts: str,
        preferred: Mapping[str, str] | None = None,
        indexes: Indexes | None = None,
        max_age: float = DAY,
        target: Target = TARGET,
        constraints: tuple[str, ...] = (),
    ) -> Lock:
        manifest = Manifest(
            tuple(requirements.parse(text, origin="test") for text in texts),
            tuple(requirements.parse(text, origin="test") for text in constraints),
        )
        self.said.clear()
        return pip_resolve.resolve(
            manifest,
            target,
            python=sys.executable,
            preferred=preferred or {},
            indexes=indexes or self.indexes,
            store=self.store,
            max_age=max_age,
            say=self.said.append,
        )


@pytest.fixture
def ask(links: Path, tmp_path: Path) -> Asker:
    return Asker(links, Store(tmp_path / "store"))


def versions(lock: Lock) -> dict[str, str]:
    return {pin.name: pin.version for pin in lock.pins}


# choosing


def test_the_newest_versions_with_hashes(ask: Asker, links: Path) -> None:
    lock = ask("alpha")
    file = links / "alpha-2.0-py3-none-any.whl"
    assert lock.pins[0] == Pin(
        "alpha", "2.0", filename=file.name, url=file.as_uri(), sha256=sha256(file), requested=True
    )
    assert versions(lock) == {"alpha": "2.0", "beta": "2.0"}
    assert not lock.pins[1].requested


def test_constraints_hold(ask: Asker) -> None:
    assert versions(ask("alpha", constraints=("beta<2",))) == {"alpha": "1.5", "beta": "1.0"}


@pytest.mark.parametrize(
    ("preferred", "chosen"),
    [
        ({"alpha": "1.5"}, {"alpha": "1.5", "beta": "2.0"}),
        ({"alpha": "1.5", "beta": "1.0"}, {"alpha": "1.5", "beta": "1.0"}),
        (
            {"beta": "1.0"},
            {"alpha": "2.0", "beta": "2.0"},
        ),  # contradicts alpha 2.0, which nothing holds back
        ({"alpha": "1.7"}, {"alpha": "2.0", "beta": "2.0"}),  # no index has it
        ({"alpha": "not a version"}, {"alpha": "2.0", "beta": "2.0"}),
    ],
)
def test_the_drivers_version_is_taken_where_it_fits(
    ask: Asker, preferred: dict[str, str], chosen: dict[str, str]
) -> None:
    assert versions(ask("alpha", preferred=preferred)) == chosen


def test_a_requirement_beats_the_drivers_version(ask: Asker) -> None:
    assert versions(ask("alpha>=2", preferred={"alpha": "1.0"}))["alpha"] == "2.0"


def test_the_wheel_that_fits_best(ask: Asker, links: Path) -> None:
    for tag in (
        "py3-none-any",
        "cp311-cp311-manylinux_2_17_x86_64",
        "cp311-cp311-manylinux_2_28_x86_64",
        "cp311-cp311-manylinux_2_35_x86_64",
        "cp312-cp312-manylinux_2_17_x86_64",
    ):
        wheel(links, "gamma", "1", tag=tag)
    assert ask("gamma").pins[0].filename == "gamma-1-cp311-cp311-manylinux_2_28_x86_64.whl"
    assert (
        ask("gamma", target=replace(TARGET, glibc=(2, 17))).pins[0].filename
        == "gamma-1-cp311-cp311-manylinux_2_17_x86_64.whl"
    )
    assert (
        ask("gamma", target=replace(TARGET, architecture="aarch64")).pins[0].filename
        == "gamma-1-py3-none-any.whl"
    )


def test_hashes_that_the_user_gave_decide(ask: Asker, links: Path) -> None:
    good = sha256(wheel(links, "gamma", "1", tag="py3-none-any"))
    wheel(links, "gamma", "1", tag="cp311-cp311-manylinux_2_17_x86_64")
    manifest = Manifest(
        (replace(requirements.parse("gamma==1", origin=""), hashes=(f"sha256:{good}",)),)
    )
    lock = pip_resolve.resolve(
        manifest,
        TARGET,
        python=sys.executable,
        preferred={},
        indexes=ask.indexes,
        store=ask.store,
        max_age=0,
        say=print,
    )
    assert lock.pins[0].sha256 == good
    manifest = Manifest((replace(manifest.requirements[0], hashes=("sha256:" + "0" * 64,)),))
    with pytest.raises(LockError, match="has one of the hashes"):
        pip_resolve.resolve(
            manifest,
            TARGET,
            python=sys.executable,
            preferred={},
            indexes=ask.indexes,
            store=ask.store,
            max_age=0,
            say=print,
        )


def test_a_missing_folder_of_wheels_is_a_finding(ask: Asker) -> None:
    indexes = replace(ask.indexes, find_links=(*ask.indexes.find_links, "/no/such/folder"))
    assert [finding.value for finding in ask("beta", indexes=indexes).findings] == [
        "/no/such/folder"
    ]


def test_uvs_own_configuration_stays_in_force(
    ask: Asker, links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "uv.toml").write_text(f'no-index = true\nfind-links = ["{links}"]\n')
    monkeypatch.chdir(tmp_path / "here")
    assert versions(ask("beta", indexes=Indexes())) == {"beta": "2.0"}


# pyspark


@pytest.fixture
def drivers_pyspark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    info = tmp_path / "driver" / "pyspark-4.1.4.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: pyspark\nVersion: 4.1.4\nRequires-Dist: py4j\nProvides-Extra:"
        " sql\nRequires-Dist: beta<2; extra == 'sql'\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "driver")
    return {"pyspark": "4.1.4", "py4j": "0.10.9.9"}


def test_pyspark_is_not_locked_and_its_extras_are(
    ask: Asker, drivers_pyspark: dict[str, str]
) -> None:
    lock = ask("pyspark[sql]>=4", preferred=drivers_pyspark)
    assert versions(lock) == {"beta": "1.0"}
    assert "pyspark" in lock.findings[0].what
    assert lock.findings[0].severity == "note"


def test_another_pyspark_than_the_drivers_is_a_warning(
    ask: Asker, drivers_pyspark: dict[str, str]
) -> None:
    lock = ask("pyspark==3.5.1", preferred=drivers_pyspark)
    assert lock.pins == ()
    assert (lock.findings[0].severity, "4.1.4" in lock.findings[0].what) == ("warning", True)


def test_pyspark_dragged_in_is_left_out_and_told(
    ask: Asker, links: Path, drivers_pyspark: dict[str, str]
) -> None:
    wheel(links, "delta-tool", "1", ["pyspark[sql]>=4"])
    lock = ask("delta-tool", preferred=drivers_pyspark)
    assert versions(lock) == {"beta": "1.0", "delta-tool": "1"}
    assert [finding.value for finding in lock.findings] == ["another package needs it"]


def test_pyspark_dragged_in_is_told_beside_a_py4j_that_was_asked_for(
    ask: Asker, links: Path, drivers_pyspark: dict[str, str]
) -> None:
    wheel(links, "delta-tool", "1", ["pyspark[sql]>=4"])
    lock = ask("delta-tool", "py4j", preferred=drivers_pyspark)
    assert versions(lock) == {"beta": "1.0", "delta-tool": "1"}
    assert [finding.value for finding in lock.findings] == [
        "py4j (test)",
        "another package needs it",
    ]
    assert [finding.what.split()[0] for finding in lock.findings] == ["py4j", "pyspark"]


@pytest.mark.parametrize("name", ["pyspark", "py4j", "pyspark-client"])
def test_a_file_that_is_called_as_sparks_own_is_left_out_and_told(
    name: str, ask: Asker, tmp_path: Path, drivers_pyspark: dict[str, str]
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    path = wheel(folder, name, "9.9")
    lock = ask(f"{name} @ {path.as_uri()}", preferred=drivers_pyspark)
    assert lock.pins == ()
    assert lock.findings[0].what.startswith(f"{name} is not taken")


def test_a_package_for_another_pyspark_is_taken_with_a_warning(
    ask: Asker, links: Path, drivers_pyspark: dict[str, str]
) -> None:
    wheel(links, "delta-tool", "1", ["pyspark<4"])
    lock = ask("delta-tool", preferred=drivers_pyspark)
    assert versions(lock) == {"delta-tool": "1"}
    assert lock.findings[0].severity == "warning"
    assert "pyspark<4" in lock.findings[0].value


@pytest.mark.parametrize("version", ["", "3.5.1-amzn-1"])
def test_a_pyspark_without_dist_info_does_not_push_packages_back(
    ask: Asker, links: Path, version: str
) -> None:
    wheel(links, "delta-tool", "1")
    wheel(links, "delta-tool", "2", ["pyspark>=3.5,<4"])
    assert versions(ask("delta-tool", preferred={"pyspark": version} if version else {})) == {
        "delta-tool": "2"
    }


# sources


def test_sources_become_pins(ask: Asker, links: Path, tmp_path: Path) -> None:
    static = project(tmp_path / "my project", "static", "1.0", ["beta<2"])
    built = project(tmp_path / "built", "built", "2.0", ["beta"], static=False)
    archive = sdist(tmp_path, project(tmp_path / "made", "made", "3.0"), "made", "3.0")
    local = wheel(tmp_path, "local", "4.0")
    before = files_below(built)
    lock = ask(str(static), str(built), str(archive), str(local))
    assert {(pin.name, pin.kind, pin.version) for pin in lock.pins if pin.direct} == {
        ("static", "directory", "1.0"),
        ("built", "directory", ""),  # only its build tells
        ("made", "sdist", "3.0"),
        ("local", "wheel", "4.0"),
    }
    assert versions(lock)["beta"] == "1.0"
    assert {pin.name for pin in lock.pins if not pin.requested} == {"beta"}
    assert lock.pin("made") == replace(
        lock.pin("made"), url=archive.as_uri(), sha256=sha256(archive)
    )  # type: ignore[type-var]
    assert files_below(built) == before


def repository_of(folder: Path, name: str, version: str) -> str:
    """A git repository of a project, or one more commit in it; the commit."""
    require_git()
    project(folder, name, version)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(folder)]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", version]):
        subprocess.run([*git, *arguments], check=True)
    return subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_git_repository_is_pinned_to_its_commit(ask: Asker, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    commit = repository_of(repository, "gamma", "1.0")
    pin = ask(f"git+{repository.as_uri()}", indexes=replace(ask.indexes, offline=False)).pins[0]
    assert (pin.name, pin.kind, pin.commit, pin.url, pin.requested) == (
        "gamma",
        "vcs",
        commit,
        f"git+{repository.as_uri()}",
        True,
    )


def test_a_git_repository_without_git_names_what_is_missing(
    ask: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LockError, match="the git program is missing") as error:
        ask("git+https://example.org/team/tool", indexes=replace(ask.indexes, offline=False))
    assert "install git" in error.value.cure


# remembering


def test_the_same_question_is_answered_from_the_store(ask: Asker) -> None:
    first = ask("alpha")
    assert ask.said
    before = files_below(ask.store.root)
    assert ask("alpha") == first
    assert not ask.said
    assert files_below(ask.store.root) == before


def test_what_else_the_driver_has_does_not_matter(ask: Asker) -> None:
    ask("alpha")
    ask("alpha", preferred={"other": "1.0"})
    assert not ask.said
    assert versions(ask("alpha", preferred={"alpha": "1.5"}))["alpha"] == "1.5"


@pytest.mark.parametrize(
    "change", ["a new wheel", "an edited folder", "another target", "another setting", "age"]
)
def test_a_change_is_noticed(ask: Asker, links: Path, tmp_path: Path, change: str) -> None:
    folder = project(tmp_path / "mine", "mine", "1.0", ["beta"])
    ask(str(folder))
    target, indexes, age = TARGET, ask.indexes, DAY
    if change == "a new wheel":
        wheel(links, "beta", "3.0")
    elif change == "an edited folder":
        project(folder, "mine", "1.1", ["beta"])
    elif change == "another target":
        target = replace(TARGET, python="3.11.8")
    elif change == "another setting":
        indexes = replace(indexes, prerelease=True)
    else:
        age, indexes = 0.0, replace(indexes, offline=False)
        time.sleep(0.01)
    ask(str(folder), target=target, indexes=indexes, max_age=age)
    assert ask.said


def test_an_edited_folder_that_only_another_folder_names_is_noticed(
    ask: Asker, tmp_path: Path
) -> None:
    app, inner = (
        project(tmp_path / "app", "app", "1.0", ["inner"]),
        project(tmp_path / "inner", "inner", "1.0"),
    )
    with (app / "pyproject.toml").open("a") as file:
        file.write('\n[tool.uv.sources]\ninner = { path = "../inner" }\n')
    first = ask(str(app)).pin("inner")
    assert ask(str(app)).pin("inner") == first
    assert not ask.said
    (inner / "body.txt").write_text("EDITED = True")
    second = ask(str(app)).pin("inner")
    assert first
    assert second
    assert first.sha256 != second.sha256
    (inner / "pyproject.toml").unlink()
    with pytest.raises(LockError, match="does not appear to be a Python project"):
        ask(str(app))


@pytest.mark.parametrize("revision", ["", "@main"])
def test_a_branch_is_followed(ask: Asker, tmp_path: Path, revision: str) -> None:
    online, repository = replace(ask.indexes, offline=False), tmp_path / "repository"
    wanted = f"git+{repository.as_uri()}{revision}"
    commits = []
    for version in ("1.0", "1.1"):
        commits.append(repository_of(repository, "gamma", version))
        assert ask(wanted, indexes=online).pins[0].commit == commits[-1]
    repository_of(repository, "gamma", "1.2")
    kept = ask(wanted)  # offline
    assert (kept.pins[0].commit, kept.findings[-1].cause) == (commits[-1], "offline=True")


def test_a_commit_stays(ask: Asker, tmp_path: Path) -> None:
    online, repository = replace(ask.indexes, offline=False), tmp_path / "repository"
    wanted = f"gamma @ git+{repository.as_uri()}@{repository_of(repository, 'gamma', '1.0')}"
    first = ask(wanted, indexes=online)
    assert ask(wanted, indexes=online) == first
    assert not ask.said


def test_a_branch_serves_while_its_host_cannot_be_reached(ask: Asker, tmp_path: Path) -> None:
    repository_of(tmp_path / "gamma", "gamma", "1.0")
    subprocess.run(["git", "-C", str(tmp_path / "gamma"), "update-server-info"], check=True)
    info = tmp_path / "gamma/.git/info"
    (info / "refs").rename(
        info / "refs?service=git-upload-pack"
    )  # the server takes a query for a part of the name
    online = replace(ask.indexes, offline=False)
    with serving(tmp_path) as host:
        wanted = f"gamma @ git+http://{host.host}/files/gamma/.git"
        first = ask(wanted, indexes=online)
    later = ask(wanted, indexes=online)
    assert later.pins == first.pins
    assert later.findings[-1].cause == "a git host cannot be reached"


def test_builds_leftovers_are_no_change(ask: Asker, tmp_path: Path) -> None:
    folder = project(tmp_path / "mine", "mine", "1.0")
    ask(str(folder))
    for leftover in ("mine.egg-info", "__pycache__", "build", ".git"):
        (folder / leftover).mkdir()
        (folder / leftover / "x").write_text("x")
    ask(str(folder))
    assert not ask.said


def test_an_old_answer_serves_while_the_index_cannot_be_reached(ask: Asker, links: Path) -> None:
    with serving(links) as index:
        indexes = Indexes(index_url=index.url)
        first = ask("alpha", indexes=indexes)
    time.sleep(0.01)
    for offline in (False, True):
        later = ask("alpha", indexes=replace(indexes, offline=offline), max_age=0.0)
        assert later.pins == first.pins
        assert "old" in later.findings[-1].value
    with pytest.raises(LockError, match="cannot be reached"):
        ask("beta", indexes=indexes)


def test_the_drivers_versions_may_become_those_that_were_chosen(ask: Asker) -> None:
    first = ask("alpha")
    assert ask("alpha", preferred=versions(first)) == first
    assert not ask.said


def test_an_answer_for_other_versions_on_the_driver_serves_while_the_index_cannot_be_reached(
    ask: Asker, links: Path
) -> None:
    with serving(links) as index:
        indexes = Indexes(index_url=index.url)
        first = ask("alpha", indexes=indexes)
    later = ask("alpha", indexes=indexes, preferred={"alpha": "1.5"})
    assert later.pins == first.pins
    assert "other versions on the driver" in later.findings[-1].value
    with pytest.raises(LockError, match="cannot be reached"):
        ask("alpha", indexes=indexes, preferred={"pyspark": "4.0.1"})


class ReadOnly(Store):
    """Stands for a read-only file system: for root, modes make none."""

    @contextmanager
    def turn(self, name: str, *, patience: float = 0.0) -> Iterator[None]:
        raise StoreError(
            "store.unwritable", "the store cannot be written", value=name, cure="name another"
        )
        yield


def test_an_old_answer_serves_from_a_store_that_cannot_be_written(ask: Asker) -> None:
    first = ask("alpha")
    ask.store = ReadOnly(ask.store.root)
    later = ask("alpha", indexes=replace(ask.indexes, offline=False), max_age=0.0)
    assert later.pins == first.pins
    assert (later.findings[-1].cause, later.findings[-1].cure) == (
        "the store cannot be written",
        "name another",
    )
    with pytest.raises(StoreError, match="cannot be written"):
        ask("beta")


def test_an_answer_that_cannot_be_kept_is_an_answer(ask: Asker) -> None:
    ask.store.root.mkdir()
    (ask.store.root / "keys").write_text("in the way")
    assert versions(ask("beta")) == {"beta": "2.0"}


# failures


@pytest.mark.parametrize(
    ("texts", "what", "named"),
    [
        (["nonesuch"], "no such package", "nonesuch"),
        (["alpha==9"], "no such version", "alpha==9"),
        (["alpha==2.0", "beta<2"], "no set of versions|no such version", "beta"),
        (["future"], "another Python", ">=3.99"),
        (["only312"], "no wheel fits", "cp312"),
        (["newglibc"], "no wheel fits", "manylinux_2_39_x86_64"),
    ],
)
def test_failures_keep_uvs_explanation_and_say_what_to_do(
    ask: Asker, links: Path, texts: list[str], what: str, named: str
) -> None:
    wheel(links, "future", "1", python=">=3.99")
    wheel(links, "only312", "1", tag="cp312-cp312-manylinux_2_17_x86_64")
    wheel(links, "newglibc", "1", tag="cp311-cp311-manylinux_2_39_x86_64")
    with pytest.raises(LockError, match=what) as caught:
        ask(*texts)
    assert named in caught.value.value
    assert caught.value.cause
    assert caught.value.cure


def test_a_build_that_fails_says_why_and_where(ask: Asker, tmp_path: Path) -> None:
    folder = project(tmp_path / "broken", "broken", "1", static=False)
    (folder / "backend.py").write_text("raise SystemExit('no compiler here')")
    with pytest.raises(LockError, match="cannot say what it needs") as caught:
        ask(str(folder))
    assert "no compiler here" in caught.value.value
    assert "coffee_boat-lock" not in str(caught.value)


def test_credentials_work_and_are_kept_nowhere(ask: Asker, links: Path) -> None:
    with serving(links, login="captain:s3cr/et") as index:
        secret = f"http://captain:s3cr%2Fet@{index.host}/simple"
        lock = ask("alpha", indexes=Indexes(index_url=secret))
        assert lock.pins[0].url == f"http://{index.host}/files/alpha-2.0-py3-none-any.whl"
        with pytest.raises(LockError, match="refused the credentials") as caught:
            ask("alpha", indexes=Indexes(index_url=secret.replace("s3cr", "wr0ng")))
    kept = "".join(path.read_text() for path in ask.store.root.rglob("*") if path.is_file())
    for text in (kept, lockfile.text_of(lock), repr(lock), str(caught.value)):
        assert "s3cr" not in text
        assert "wr0ng" not in text


def test_a_token_in_a_query_is_kept_nowhere_and_works(ask: Asker, links: Path) -> None:
    (links / "beta-2.0-py3-none-any.whl").rename(
        links / "beta-2.0-py3-none-any.whl?token=s3cret"
    )  # not there without it
    with serving(links) as index:
        wanted = f"http://{index.host}/files/beta-2.0-py3-none-any.whl?token=s3cret"
        online = replace(ask.indexes, offline=False)
        locks = [ask(wanted, indexes=online) for _ in range(2)]
    assert not ask.said
    assert [lock.pins[0].url for lock in locks] == [wanted] * 2
    kept = "".join(path.read_text() for path in ask.store.root.rglob("*") if path.is_file())
    assert "py3-none-any.whl" in kept
    assert "s3cret" not in kept + lockfile.text_of(locks[0])


def test_an_extra_index_comes_first_and_hides_the_name(
    ask: Asker, links: Path, tmp_path: Path
) -> None:
    wheel(tmp_path / "own", "beta", "0.1")
    with serving(links) as public, serving(tmp_path / "own") as own:
        assert versions(
            ask("beta", indexes=Indexes(index_url=public.url, extra_index_urls=(own.url,)))
        ) == {"beta": "0.1"}


# pylock.toml


EVERY_KIND = Lock(
    TARGET,
    (
        Pin(
            "a",
            "1",
            filename="a-1-py3-none-any.whl",
            url="https://x.org/a-1-py3-none-any.whl",
            size=10,
            sha256="a" * 64,
            requested=True,
            requires=("b", "c"),
        ),
        Pin(
            "b",
            "1",
            "sdist",
            filename="b-1.tar.gz",
            url="https://x.org/b-1.tar.gz",
            sha256="b" * 64,
        ),
        Pin(
            "c",
            "1",
            filename="c-1-py3-none-any.whl",
            url="https://x.org/c-1-py3-none-any.whl",
            sha256="c" * 64,
            direct=True,
            requested=True,
        ),
        Pin(
            "d",
            "",
            "sdist",
            filename="main.zip",
            url="https://x.org/main.zip",
            sha256="d" * 64,
            direct=True,
            subdirectory="python",
        ),
        Pin(
            "f",
            "1",
            "vcs",
            url="git+https://x.org/f.git",
            commit="0" * 40,
            direct=True,
            requested=True,
            subdirectory="sub",
        ),
    ),
)


def test_a_lock_is_valid_pylock_and_comes_back(tmp_path: Path) -> None:
    folder = project(tmp_path / "e e", "e", "1")
    lock = replace(
        EVERY_KIND,
        pins=(
            *EVERY_KIND.pins,
            Pin(
                "g",
                "1",
                "directory",
                url=folder.as_uri(),
                sha256="e" * 64,
                editable=True,
                direct=True,
            ),
        ),
    )
    text = lockfile.text_of(lock)
    Pylock.from_dict(tomllib.loads(text)).validate()
    assert pylock.read(text, TARGET) == lock
    (tmp_path / "pylock.toml").write_text(text)
    assert pylock.read(tmp_path / "pylock.toml", TARGET) == lock
    assert lockfile.text_of(lock) == text


def test_a_lock_holds_no_credentials() -> None:
    login = replace(EVERY_KIND.pins[0], url="https://captain:s3cret@x.org/a-1-py3-none-any.whl")
    tokens = [replace(pin, url=f"{pin.url}?token=s3cret") for pin in EVERY_KIND.pins if pin.direct]
    assert "s3cret" not in lockfile.text_of(Lock(TARGET, (login, *tokens)))


LOCK_OF_ANOTHER_TOOL = """
lock-version = "1.0"
created-by = "another"
[[packages]]
name = "gamma"
version = "1.0"
requires-python = ">=3.8"
wheels = [
  {{ name = "gamma-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", path = "wheels/gamma-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", hashes = {hashes} }},
  {{ name = "gamma-1.0-cp311-cp311-win_amd64.whl", url = "https://u:p@x.org/gamma-1.0-cp311-cp311-win_amd64.whl", hashes = {{ sha256 = "0" }} }},
]
[[packages]]
name = "pywin32"
version = "1"
marker = "sys_platform == 'win32'"
sdist = {{ url = "https://x.org/pywin32-1.tar.gz", hashes = {{ sha256 = "{digest}" }} }}
[[packages]]
name = "pyspark"
version = "3.0.0"
sdist = {{ url = "https://x.org/pyspark-3.0.0.tar.gz", hashes = {{ sha256 = "{digest}" }} }}
"""  # noqa: E501


def other_lock(hashes: str = f'{{ sha256 = "{"ab" * 32}" }}') -> str:
    return LOCK_OF_ANOTHER_TOOL.format(hashes=hashes, digest="12" * 32)


def test_another_tools_lock_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "pylock.toml").write_text(other_lock())
    lock = pylock.read(tmp_path / "pylock.toml", TARGET)
    assert [(pin.name, pin.url, pin.sha256) for pin in lock.pins] == [
        (
            "gamma",
            (tmp_path / "wheels/gamma-1.0-cp311-cp311-manylinux_2_17_x86_64.whl").as_uri(),
            "ab" * 32,
        )
    ]
    assert any("pyspark" in finding.what for finding in lock.findings)
    assert any("credentials" in finding.what for finding in lock.findings)


@pytest.mark.parametrize(
    ("text", "target", "what", "named"),
    [
        (other_lock(f'{{ sha512 = "{"ab" * 64}" }}'), TARGET, "no sha256", "gamma 1.0"),
        (other_lock("{}"), TARGET, "not a valid pylock.toml", "hash"),
        (
            other_lock(),
            replace(TARGET, python="3.12.1"),
            "fits Python 3.12",
            "gamma-1.0-cp311-cp311-win_amd64.whl",
        ),
        (other_lock(), replace(TARGET, architecture="aarch64"), "aarch64", "gamma-1.0-cp311"),
        (
            other_lock().replace("created-by", "\nrequires-python = '>=3.12'\ncreated-by"),
            TARGET,
            "not made for these executors",
            ">=3.12",
        ),
        (other_lock().replace(">=3.8", ">=3.12"), TARGET, "not made for these executors", "gamma"),
        ("numpy==1.0\npandas\n", TARGET, "not TOML", ""),
        ("a = 1\n", TARGET, "not a valid pylock.toml", "lock-version"),
    ],
)
def test_locks_that_cannot_be_used(text: str, target: Target, what: str, named: str) -> None:
    with pytest.raises(LockError, match=what) as caught:
        pylock.read(text, target)
    assert named in str(caught.value)
    assert caught.value.cure


def test_a_lock_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="cannot be read"):
        pylock.read(tmp_path / "pylock.toml", TARGET)


@pytest.mark.parametrize("variable", ["", "UV_NO_SOURCES", "UV_NO_SOURCES_PACKAGE", "UV_INDEX"])
def test_a_package_tied_to_an_index_never_comes_from_another(
    ask: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    if variable.startswith("UV_NO"):
        monkeypatch.setenv(variable, "mine" if variable.endswith("PACKAGE") else "1")
    wheel(tmp_path / "public", "mine", "9.0")
    wheel(tmp_path / "public", "other", "1.0")
    wheel(tmp_path / "own", "mine", "1.0")
    project = tmp_path / "pyproject.toml"
    monkeypatch.setenv("UV_INDEX_OWN_USERNAME", "me")
    monkeypatch.setenv("UV_INDEX_OWN_PASSWORD", "s3cret")
    with serving(tmp_path / "public") as public, serving(tmp_path / "own", "me:s3cret") as own:
        if variable == "UV_INDEX":  # a guess at the name that ours has for uv
            monkeypatch.setenv(variable, f"tied-0={public.url}")
        project.write_text(
            '[project]\nname = "x"\ndependencies = ["mine", "other"]\n[tool.uv.sources]\n'
            f'mine = {{ index = "own" }}\n[[tool.uv.index]]\nname = "own"\nurl = "{own.url}"\n'
            "explicit = true\n"
        )

        def asked() -> Lock:
            return pip_resolve.resolve(
                requirements.read(project),
                TARGET,
                python=sys.executable,
                preferred={},
                indexes=Indexes(index_url=public.url, only_binary=("mine",)),
                store=ask.store,
                max_age=0,
                say=ask.said.append,
            )

        assert versions(asked()) == {"mine": "1.0", "other": "1.0"}
        assert "s3cret" not in repr(requirements.read(project))
        assert not any("mine" in path for path in public.asked)
        assert not any("other" in path for path in own.asked)
        for path in (tmp_path / "own").iterdir():
            path.unlink()
        with pytest.raises(LockError, match="you require mine"):
            asked()
        (tmp_path / "override.txt").write_text("mine>=0.5\n")
        monkeypatch.setenv("UV_OVERRIDE", str(tmp_path / "override.txt"))
        with pytest.raises(LockError) as caught:
            asked()
        assert caught.value.code == "lock.sources-switched-off"
        assert "UV_OVERRIDE" in caught.value.cause


def test_what_uv_says_is_understood_in_a_narrow_terminal(
    ask: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    with pytest.raises(
        LockError, match="nobody-knows-this was not found in the provided"
    ) as caught:
        ask("nobody-knows-this")
    assert caught.value.code == "lock.no-such-package"


@pytest.mark.parametrize(
    "said",
    [
        "no-sources = true",
        'no-sources-package = ["mine"]',
        "[pip]\nno-sources = true",
        '[pip]\nno-sources-package = ["mine"]',
        'override-dependencies = ["Mine>=0.5"]',
    ],
)
def test_uv_that_leaves_sources_out_is_refused_for_a_tied_package(
    ask: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    for folder, version in (("public", "9.0"), ("own", "1.0")):
        wheel(tmp_path / folder, "mine", version)
    (tmp_path / "uv.toml").write_text(said)
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "uv.toml"))
    monkeypatch.delenv("UV_NO_CONFIG", raising=False)
    project = tmp_path / "pyproject.toml"
    with serving(tmp_path / "public") as public, serving(tmp_path / "own") as own:
        project.write_text(
            '[project]\nname = "x"\ndependencies = ["mine"]\n[tool.uv.sources]\n'
            f'mine = {{ index = "own" }}\n[[tool.uv.index]]\nname = "own"\nurl = "{own.url}"\n'
        )
        with pytest.raises(LockError) as caught:
            pip_resolve.resolve(
                requirements.read(project),
                TARGET,
                python=sys.executable,
                preferred={},
                indexes=Indexes(index_url=public.url),
                store=ask.store,
                max_age=0,
                say=ask.said.append,
            )
        assert caught.value.code == "lock.sources-switched-off"
        assert said.partition("\n")[2].partition(" ")[0] in caught.value.cause
        assert not public.asked


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("Because pandass was not found in the package registry", "pandas"),
        ("Because cv2 was not found in the package registry", "opencv-python-headless"),
        ("Because skleran was not found in the package registry", "scikit-learn"),
        ("Because mylibary was not found in the package registry", "my-library"),
        ("No candidates were found for geopandass *.", "geopandas"),
        ("No candidates were found for torch *.", "pytorch"),
        ("No candidates were found for cv2 *.", "opencv"),
        ("No candidates were found for osgeo *.", "gdal"),
        ("No candidates were found for psycopg2-binry *.", "psycopg2"),
    ],
)
def test_the_nearest_of_a_name_that_nobody_knows(text: str, near: str) -> None:
    assert nearest.nearest(text, ["my-library"])[:1] == (near,)


def test_a_name_that_only_says_that_it_is_the_wrong_one_is_told_with_the_right_one() -> None:
    text = """Failed to build `sklearn==0.0.post12`
  The build backend returned an error
hint: `sklearn` is often confused for `scikit-learn`.
"""
    refused = explain.error(text, Target("3.11.7"))
    assert refused.cure == "ask for scikit-learn in place of sklearn"
    assert "compiler" not in refused.cause
