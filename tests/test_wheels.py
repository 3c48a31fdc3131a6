from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
import threading
import time
import traceback
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from lanes import require_git
from small_packages import Index, files_below, project, sdist, serving, sha256, wheel

from coffee_boat._support import digest, host
from coffee_boat._support.progress import Step
from coffee_boat._support.store import Store
from coffee_boat._support.urls import git_environment, without_credentials
from coffee_boat.errors import BoatError, BuildError
from coffee_boat.model import Indexes, Lock, Pin, Target
from coffee_boat.pip import chunks, metadata
from coffee_boat.pip import fetch as pip_fetch
from coffee_boat.pip.download import Downloads

OWN = Target(platform.python_version(), host.architecture(), host.glibc() or (2, 17))
OFFLINE = Indexes(no_index=True, offline=True)


@pytest.fixture(scope="session")
def uv_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uv-cache")


@pytest.fixture(autouse=True)
def _own_settings(uv_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(uv_cache))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("alpha", "beta", "gamma"):
        wheel(tmp_path / "links", name, "1.0")
    return tmp_path / "links"


@pytest.fixture
def index(folder: Path) -> Iterator[Index]:
    with serving(folder) as served:
        yield served


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def fetch(
    lock: Lock,
    store: Store,
    indexes: Indexes | None = None,
    said: list[Step] | None = None,
    credentials: tuple[str, ...] = (),
) -> dict[str, Path]:
    return pip_fetch.fetch(
        lock,
        indexes=indexes or Indexes(),
        store=store,
        python=sys.executable,
        say=(said if said is not None else []).append,
        credentials=credentials,
    )


def remote(folder: Path, index: Index, *names: str) -> Lock:
    pins = []
    for name in names:
        file = folder / f"{name}-1.0-py3-none-any.whl"
        pins.append(
            Pin(
                name,
                "1.0",
                filename=file.name,
                url=f"http://{index.host}/files/{file.name}",
                sha256=sha256(file),
                size=file.stat().st_size,
            )
        )
    return Lock(OWN, tuple(pins))


def of_folder(place: Path, name: str, version: str, target: Target = OWN) -> Lock:
    return Lock(
        target,
        (
            Pin(
                name,
                version,
                "directory",
                url=place.as_uri(),
                sha256=digest.tree_digest(place),
                direct=True,
            ),
        ),
    )


# fetching


def test_wheels_are_fetched_once_and_kept_by_their_digest(
    folder: Path, index: Index, store: Store
) -> None:
    lock = remote(folder, index, "alpha", "beta", "gamma")
    got = fetch(lock, store)
    assert list(got) == ["alpha", "beta", "gamma"]
    assert {name: path.read_bytes() for name, path in got.items()} == {
        name: (folder / path.name).read_bytes() for name, path in got.items()
    }
    assert got["alpha"] == store.path("wheels", f"{lock.pins[0].sha256}/alpha-1.0-py3-none-any.whl")
    assert pip_fetch.here(lock.pins[0], store) is not None
    asked, before = len(index.asked), files_below(store.root)
    assert fetch(lock, store, OFFLINE) == got
    assert (len(index.asked), files_below(store.root)) == (asked, before)


def test_two_at_once_fetch_once(folder: Path, index: Index, store: Store) -> None:
    lock = remote(folder, index, "alpha", "beta")
    threads = [threading.Thread(target=fetch, args=(lock, store)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(index.asked) == [
        "/files/alpha-1.0-py3-none-any.whl",
        "/files/beta-1.0-py3-none-any.whl",
    ]


def test_another_file_than_the_locked_one_is_refused_and_not_kept(
    folder: Path, index: Index, store: Store
) -> None:
    index.replaced["beta-1.0-py3-none-any.whl"] = b"<html>Please log in</html>"
    with pytest.raises(BuildError, match="does not match") as caught:
        fetch(remote(folder, index, "beta"), store)
    assert "beta-1.0" in caught.value.value
    assert not store.path("wheels", "").exists()
    assert not list((store.root / "tmp").iterdir())


def test_a_connection_that_was_cut_off_is_tried_again(
    folder: Path, index: Index, store: Store
) -> None:
    index.cut_off.add("/files/alpha-1.0-py3-none-any.whl")
    assert (
        fetch(remote(folder, index, "alpha"), store)["alpha"].read_bytes()
        == (folder / "alpha-1.0-py3-none-any.whl").read_bytes()
    )
    assert len(index.asked) == 2
    (half,) = index.ranges
    assert half != "bytes=0-", "what came is not sent again"


def test_a_part_that_the_server_has_not_is_no_end(tmp_path: Path) -> None:
    body, asked = b"whole", list[str]()

    class Odd(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.headers.get("Range", ""))
            self.send_response(416 if asked[-1] else 200)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", "0" if asked[-1] else str(len(body)))
            self.end_headers()
            if not asked[-1]:
                self.wfile.write(body if len(asked) > 1 else body[:2])
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Odd) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/x"
        digest = hashlib.sha256(body).hexdigest()
        Downloads(Indexes(), [url]).fetch(url, tmp_path / "x", sha256=digest)
        server.shutdown()
    assert (tmp_path / "x").read_bytes() == body
    assert asked == ["", "bytes=2-", ""]


def test_a_file_that_was_replaced_while_it_was_fetched_is_refused_as_a_whole(
    folder: Path, index: Index, store: Store
) -> None:
    name = "alpha-1.0-py3-none-any.whl"
    index.cut_off.add(f"/files/{name}")

    def replace_it() -> None:
        if len(index.asked) == 2:
            index.replaced[name] = b"another one"

    index.before[f"/files/{name}"] = replace_it
    with pytest.raises(BuildError, match="does not match") as caught:
        fetch(remote(folder, index, "alpha"), store)
    assert f"sha256 {hashlib.sha256(b'another one').hexdigest()}" in caught.value.value


def test_a_server_that_is_busy_is_asked_again_when_it_says(
    folder: Path, index: Index, store: Store
) -> None:
    path = "/files/alpha-1.0-py3-none-any.whl"
    index.busy[path] = [(503, "1"), (429, "soon")]
    begun = time.monotonic()
    assert fetch(remote(folder, index, "alpha"), store)["alpha"].is_file()
    assert time.monotonic() - begun >= 1.0
    assert len(index.asked) == 3


def test_a_server_that_stays_busy_is_given_up(folder: Path, index: Index, store: Store) -> None:
    path = "/files/alpha-1.0-py3-none-any.whl"
    index.busy[path] = [(503, "")] * 9
    with pytest.raises(BuildError, match="503"):
        fetch(remote(folder, index, "alpha"), store)
    assert len(index.asked) == 4


def test_a_file_that_is_gone(folder: Path, index: Index, store: Store) -> None:
    lock = remote(folder, index, "alpha", "beta")
    (folder / "beta-1.0-py3-none-any.whl").unlink()
    with pytest.raises(BuildError, match="not there any more"):
        fetch(lock, store)


def test_a_token_in_a_url_is_not_shown(folder: Path, index: Index, store: Store) -> None:
    lock, token = remote(folder, index, "alpha"), "s3cret"
    asked = replace(
        lock, pins=(replace(lock.pins[0], url=f"{lock.pins[0].url}?token={token}"),)
    )  # the index has no file of that name
    with pytest.raises(BuildError, match=r"alpha-1\.0-py3-none-any\.whl\?token=\*\*\*") as caught:
        fetch(asked, store)
    assert index.asked[0].endswith("token=s3cret")
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_offline_names_all_that_is_missing(folder: Path, index: Index, store: Store) -> None:
    fetch(remote(folder, index, "alpha"), store)
    with pytest.raises(BuildError) as caught:
        fetch(remote(folder, index, "alpha", "beta", "gamma"), store, OFFLINE)
    assert caught.value.value == "beta 1.0, gamma 1.0"


@pytest.mark.parametrize(
    "place", ["index_url", "extra", "UV_INDEX", "named UV_INDEX", "uv.toml", "netrc", "direct"]
)
def test_credentials_from_wherever_they_are(
    folder: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    indexes, credentials = Indexes(), ()
    with serving(folder, login="captain:p@ss/word") as index:
        secret = f"http://captain:p%40ss%2Fword@{index.host}/simple"
        if place == "index_url":
            indexes = Indexes(index_url=secret)
        elif place == "extra":
            indexes = Indexes(
                index_url="http://other:login@example.invalid/simple", extra_index_urls=(secret,)
            )
        elif place == "UV_INDEX":
            monkeypatch.setenv("UV_INDEX", secret)
        elif place == "named UV_INDEX":
            monkeypatch.setenv("UV_INDEX", f"our-own={index.url}")
            monkeypatch.setenv("UV_INDEX_OUR_OWN_USERNAME", "captain")
            monkeypatch.setenv("UV_INDEX_OUR_OWN_PASSWORD", "p@ss/word")
        elif place == "uv.toml":
            (tmp_path / "uv.toml").write_text(f'[[index]]\nname = "own"\nurl = "{secret}"\n')
            monkeypatch.chdir(tmp_path)
        elif place == "netrc":
            (tmp_path / "netrc").write_text("machine 127.0.0.1 login captain password p@ss/word\n")
            monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        else:
            credentials = (
                f"http://captain:p%40ss%2Fword@{index.host}/files/alpha-1.0-py3-none-any.whl",
            )
        assert fetch(remote(folder, index, "alpha"), store, indexes, credentials=credentials)[
            "alpha"
        ].is_file()


def test_credentials_go_to_their_own_host_only_and_are_not_shown(
    folder: Path, store: Store
) -> None:
    with serving(folder, login="captain:s3cret") as index, serving(folder) as other:
        indexes = Indexes(
            index_url=f"http://captain:s3cret@{other.host}/simple"
        )  # another port is another server
        with pytest.raises(BuildError, match="refused the credentials") as caught:
            fetch(remote(folder, index, "alpha"), store, indexes)
    assert "s3cret" not in str(caught.value)


def test_a_local_wheel_is_copied_as_it_was_locked(folder: Path, store: Store) -> None:
    file = folder / "alpha-1.0-py3-none-any.whl"
    lock = Lock(
        OWN,
        (
            Pin(
                "alpha",
                "1.0",
                filename=file.name,
                url=file.as_uri(),
                sha256=sha256(file),
                direct=True,
            ),
        ),
    )
    locked = file.read_bytes()
    file.write_bytes(locked + b"x")
    with pytest.raises(BuildError, match="does not match"):
        fetch(lock, store, OFFLINE)
    file.write_bytes(locked)
    copy = fetch(lock, store, OFFLINE)["alpha"]
    file.write_bytes(b"another one")
    assert copy.is_relative_to(store.root)
    assert copy.read_bytes() == locked
    assert fetch(lock, store, OFFLINE) == {"alpha": copy}


def test_a_local_wheel_that_is_gone_is_told(folder: Path, store: Store) -> None:
    file = folder / "alpha-1.0-py3-none-any.whl"
    pin = Pin("alpha", "1.0", filename=file.name, url=file.as_uri(), sha256=sha256(file))
    file.unlink()
    with pytest.raises(BuildError, match="not there any more"):
        fetch(Lock(OWN, (replace(pin, direct=True),)), store, OFFLINE)


# building


def test_a_folder_becomes_a_wheel_once_and_is_left_as_it_was(tmp_path: Path, store: Store) -> None:
    place = project(tmp_path / "my project", "mine", "1.0", ["beta"])
    before = files_below(place)
    said: list[Step] = []
    lock = of_folder(place, "mine", "1.0")
    first = fetch(lock, store, OFFLINE, said)
    assert zipfile.ZipFile(first["mine"]).testzip() is None
    assert first["mine"].name == "mine-1.0-py3-none-any.whl"
    assert said == [Step("building mine 1.0")]
    assert fetch(lock, store, OFFLINE, said) == first
    assert len(said) == 1
    assert files_below(place) == before


def test_the_same_source_gives_the_same_wheel(tmp_path: Path) -> None:
    lock = of_folder(project(tmp_path / "mine", "mine", "1.0"), "mine", "1.0")
    one, two = (
        fetch(lock, Store(tmp_path / name), OFFLINE)["mine"] for name in ("store1", "store2")
    )
    assert sha256(one) == sha256(two)


def test_a_folder_that_changed_since_the_lock_is_refused(tmp_path: Path, store: Store) -> None:
    place = project(tmp_path / "mine", "mine", "1.0")
    lock = of_folder(place, "mine", "1.0")
    (place / "body.txt").write_text("X = 1")
    with pytest.raises(BuildError, match="changed since it was locked"):
        fetch(lock, store, OFFLINE)
    fetch(of_folder(place, "mine", "1.0"), store, OFFLINE)


def test_a_package_named_build_is_part_of_its_project(tmp_path: Path) -> None:
    place = project(tmp_path / "mine", "mine", "1.0")
    before = digest.tree_digest(place)
    for name in ("src/build/__init__.py", "build/lib/mine.py"):
        (place / name).parent.mkdir(parents=True)
        (place / name).write_text("")
    digest.copy_tree(place, tmp_path / "copy")
    assert digest.tree_digest(place) != before
    assert "src/build/__init__.py" in files_below(tmp_path / "copy")
    assert "build" not in files_below(tmp_path / "copy")


def test_a_source_distribution_is_fetched_and_built(
    folder: Path, index: Index, store: Store, tmp_path: Path
) -> None:
    archive = sdist(folder, project(tmp_path / "made", "made", "3.0"), "made", "3.0")
    pin = Pin(
        "made",
        "3.0",
        "sdist",
        filename=archive.name,
        url=f"http://{index.host}/files/{archive.name}",
        sha256=sha256(archive),
    )
    got = fetch(Lock(OWN, (pin,)), store)
    assert got["made"].name == "made-3.0-py3-none-any.whl"
    archive.unlink()
    assert fetch(Lock(OWN, (pin,)), store, OFFLINE) == got
    with pytest.raises(BuildError, match="switched off"):
        fetch(Lock(OWN, (replace(pin, sha256="0" * 64),)), store, OFFLINE)


def test_a_commit_is_built_with_the_tags_of_its_repository(store: Store, tmp_path: Path) -> None:
    require_git()
    repository = project(tmp_path / "repository" / "python", "mine", "1.0").parent
    (repository / "python" / "backend.py").write_text(
        "import subprocess\nTAG = subprocess.run(['git', 'describe', '--tags'],"
        " capture_output=True, text=True, check=True).stdout.strip()\n"
        + (repository / "python" / "backend.py")
        .read_text()
        .replace("VERSION, TAG", "VERSION_, TAG_")
        .replace("'1.0', 'py3-none-any'", "'', ''")
        .replace("def _files", "VERSION, TAG = TAG, 'py3-none-any'\ndef _files")
    )
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(repository)]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"], ["tag", "1.7"]):
        subprocess.run([*git, *arguments], check=True)
    commit = subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    pin = Pin(
        "mine",
        "1.7",
        "vcs",
        url=f"git+{repository.as_uri()}",
        commit=commit,
        direct=True,
        subdirectory="python",
    )
    assert fetch(Lock(OWN, (pin,)), store, OFFLINE)["mine"].name == "mine-1.7-py3-none-any.whl"
    with pytest.raises(BuildError, match="git repository"):
        fetch(Lock(OWN, (replace(pin, commit="1" * 40),)), store, OFFLINE)


def test_a_commit_without_git_names_what_is_missing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    pin = Pin("mine", "1.7", "vcs", url=f"git+{tmp_path.as_uri()}", commit="1" * 40, direct=True)
    with pytest.raises(BuildError, match="the git program is missing") as error:
        fetch(Lock(OWN, (pin,)), store, OFFLINE)
    assert "install git" in error.value.cure


@pytest.mark.parametrize("target", [replace(OWN, architecture="s390x"), replace(OWN, glibc=(2, 5))])
def test_what_is_compiled_here_is_refused_for_another_platform(
    tmp_path: Path, store: Store, target: Target
) -> None:
    compiled = project(
        tmp_path / "mine",
        "mine",
        "1.0",
        tag=f"cp{''.join(OWN.minor.split('.'))}-none-linux_{OWN.architecture}",
    )
    with pytest.raises(BuildError, match="must be compiled") as caught:
        fetch(of_folder(compiled, "mine", "1.0", target), store, OFFLINE)
    assert target.platform in caught.value.value
    assert fetch(of_folder(compiled, "mine", "1.0"), store, OFFLINE)
    pure = project(tmp_path / "pure", "pure", "1.0")
    assert fetch(of_folder(pure, "pure", "1.0", target), store, OFFLINE)


def test_a_build_that_fails_says_why(tmp_path: Path, store: Store) -> None:
    place = project(tmp_path / "mine", "mine", "1.0")
    (place / "backend.py").write_text("raise SystemExit('no compiler here')")
    with pytest.raises(BuildError, match="no wheel could be built") as caught:
        fetch(of_folder(place, "mine", "1.0"), store, OFFLINE)
    assert "no compiler here" in caught.value.value
    assert not store.path("wheels", "").exists()


def test_a_source_of_another_name_is_refused(tmp_path: Path, store: Store) -> None:
    with pytest.raises(BuildError, match="another name"):
        fetch(of_folder(project(tmp_path / "mine", "mine", "1.0"), "yours", "1.0"), store, OFFLINE)


# what they need


def test_requires_evaluates_markers_for_the_executors(tmp_path: Path) -> None:
    needs = [
        "Beta_Two[fast]>=1",
        'win; sys_platform == "win32"',
        'new; python_version >= "3.11"',
        'extra; extra == "more"',
        "broken (>=1.*)",
    ]
    file = wheel(tmp_path, "alpha", "1.0", needs, extras=["more"])
    there = {"sys_platform": "linux", "python_version": "3.11", "python_full_version": "3.11.7"}
    assert metadata.requires(file, there) == ("beta-two", "broken", "new")
    assert metadata.requires(file, there, ["more"]) == ("beta-two", "broken", "extra", "new")


def test_what_a_wheel_needs_is_known_once_it_was_packed(tmp_path: Path, store: Store) -> None:
    path = wheel(tmp_path, "alpha", "1.0", ["beta>=2", 'gamma; python_version < "3"'])
    pin = Pin("alpha", "1.0", url=path.as_uri(), sha256=sha256(path))
    chunks.wheel_chunk(path, pin, OWN, store)
    path.unlink()
    lock = metadata.with_edges(
        Lock(OWN, (pin,)), {"alpha": path}, {"python_version": "3.11"}, store=store
    )
    assert lock.pins[0].requires == ("beta",)


def test_edges_follow_extras_and_fill_versions(tmp_path: Path, store: Store) -> None:
    files = {
        "alpha": wheel(tmp_path, "alpha", "1.0", ["beta[fast]"]),
        "beta": wheel(
            tmp_path,
            "beta",
            "2.0",
            ['gamma; extra == "fast"', 'delta; extra == "slow"'],
            extras=["fast", "slow"],
        ),
        "gamma": wheel(tmp_path, "gamma", "3.0"),
    }
    lock = Lock(OWN, (Pin("alpha", ""), Pin("beta", "2.0"), Pin("gamma", "3.0")))
    there = {"sys_platform": "linux"}
    edges = {
        pin.name: (pin.version, pin.requires)
        for pin in metadata.with_edges(
            metadata.with_versions(lock, files), files, there, store=store
        ).pins
    }
    assert edges == {"alpha": ("1.0", ("beta",)), "beta": ("2.0", ("gamma",)), "gamma": ("3.0", ())}
    assert metadata.with_edges(lock, files, there, {"beta": ["slow"]}, store=store).pins[
        1
    ].requires == ("delta", "gamma")


def test_what_a_wheel_needs_is_remembered_by_its_digest(tmp_path: Path, store: Store) -> None:
    file = wheel(tmp_path, "alpha", "1.0", ["beta"])
    lock = Lock(OWN, (Pin("alpha", "1.0", sha256=digest.file_digest(file)),))
    there = {"sys_platform": "linux"}
    first = metadata.with_edges(lock, {"alpha": file}, there, store=store)
    file.unlink()
    assert metadata.with_edges(lock, {"alpha": file}, there, store=store) == first
    assert first.pins[0].requires == ("beta",)
    with pytest.raises(FileNotFoundError):
        metadata.with_edges(
            replace(lock, pins=(Pin("alpha", "1.0", sha256="0" * 64),)),
            {"alpha": file},
            there,
            store=store,
        )


@pytest.mark.parametrize("content", [b"not a zip", None])
def test_what_is_no_wheel_is_told(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "alpha-1.0-py3-none-any.whl"
    if content is None:
        zipfile.ZipFile(path, "w").close()
    else:
        path.write_bytes(content)
    with pytest.raises(BoatError, match="not a wheel"):
        metadata.requires(path, {})


def test_git_logs_in_by_a_header_so_that_no_process_list_shows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    environment = git_environment(
        [
            "git+https://captain:p%40ss@x.org/r.git",
            "git+ssh://git@x.org/r.git",
            "https://other:login@x.org/a.whl",
        ]
    )
    assert environment == {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_KEY_1": "core.fsmonitor",
        "GIT_CONFIG_VALUE_1": "false",
        "GIT_CONFIG_KEY_2": "core.hooksPath",
        "GIT_CONFIG_VALUE_2": "/dev/null",
        "GIT_CONFIG_KEY_3": "http.https://x.org/.extraHeader",
        "GIT_CONFIG_VALUE_3": f"Authorization: Basic {b64encode(b'captain:p@ss').decode()}",
        "GIT_CONFIG_COUNT": "4",
    }
    assert without_credentials("git+ssh://git@x.org/r.git") == "git+ssh://git@x.org/r.git"
