"""What decides what is run is taken only from files that nobody but the user and root may write."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from lanes import require_git

from coffee_boat._support import trust
from coffee_boat._support.run import run
from coffee_boat._support.store import Store
from coffee_boat.clusters.kubernetes.access import Unusable
from coffee_boat.clusters.kubernetes.kubeconfig import find
from coffee_boat.conda import condarc
from coffee_boat.errors import BuildError, SettingsError, StoreError
from coffee_boat.interpreter import find as interpreter_find
from coffee_boat.pip import uv_options
from coffee_boat.settings import Settings, keys, load

_NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Nobody said anything; the home is elsewhere, so that all of tmp_path is looked at."""
    said = {
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_CONFIG_DIRS": str(tmp_path / "xdg"),
        "PIP_CONFIG_FILE": os.devnull,
    }
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    return said


def write(path: Path, text: str, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


def project(folder: Path, line: str, mode: int = 0o644) -> Path:
    return write(folder / "pyproject.toml", f"[tool.coffee_boat]\n{line}\n", mode)


def loaded(environ: Mapping[str, str], folder: Path, **arguments: object) -> Settings:
    return load(arguments, folder=folder, environ=environ)[0]


# settings


_VALUES = {
    "store": "'/x'",
    "python": "'/x/python'",
    "ship_python": "false",
    "install_local": "false",
    "stage": "'file:///x'",
    "node_store": "'/x'",
    "accept_conda_license": "true",
    "constraints": "['pyproject.toml']",
    "index_url": "'https://h/s'",
    "extra_index_urls": "['https://h/s']",
    "find_links": "['.']",
    "no_index": "false",
    "trusted_hosts": "['h']",
    "cert": "'pyproject.toml'",
    "client_cert": "'pyproject.toml'",
    "proxy": "'http://p'",
    "no_binary": "[':all:']",
    "only_binary": "[]",
    "prerelease": "true",
    "torch_backend": "'cpu'",
    "exclude": "['tests']",
    "offline": "false",
}


@pytest.mark.parametrize("key", sorted(keys.KEYS))
def test_each_key_in_a_file_that_anybody_may_write(
    tmp_path: Path, alone: dict[str, str], key: str
) -> None:
    if keys.KEYS[key].harmless:
        assert key in {
            "bytecode",
            "class_data",
            "lock_max_age",
            "platform",
            "preflight",
            "timeout",
            "untested_python",
        }
        return
    path = project(tmp_path, f"{key} = {_VALUES[key]}", 0o666)
    with pytest.raises(SettingsError, match="others may write") as caught:
        loaded(alone, tmp_path / "deep")
    assert f"everybody may write {path}" in caught.value.cause
    assert f"COFFEE_BOAT_{key.upper()}=" in caught.value.cure
    assert f"chmod go-w {path}" in caught.value.cure
    path.chmod(0o644)
    assert loaded(alone, tmp_path / "deep") is not None


@as_root
def test_an_interpreter_named_by_another_users_project_is_not_run(
    tmp_path: Path, alone: dict[str, str]
) -> None:
    ran = tmp_path / "ran"
    evil = write(tmp_path / "evil", f"#!/bin/sh\ntouch {ran}\n", 0o755)
    path = project(tmp_path, f"python = '{evil}'")
    os.chown(path, _NOBODY, _NOBODY)
    (tmp_path / "mine").mkdir()
    boat = [sys.executable, "-m", "coffee_boat.cli", "plan"]
    done = subprocess.run(boat, cwd=tmp_path / "mine", capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert not ran.exists()
    said = " ".join(done.stderr.split())
    assert f"{path} belongs to nobody (uid {_NOBODY})" in said
    assert f"export COFFEE_BOAT_TRUSTED_FOLDERS={tmp_path}" in said


def test_what_is_stronger_or_harmless_is_not_in_question(
    tmp_path: Path, alone: dict[str, str]
) -> None:
    project(tmp_path, "index_url = 'https://stranger'\ntimeout = 7", 0o666)
    settings = loaded(alone, tmp_path, index_url="https://mine")
    assert (settings.indexes.index_url, settings.indexes.timeout) == ("https://mine", 7.0)
    believed = {**alone, trust.VARIABLE: f"/elsewhere:{tmp_path}"}
    assert loaded(believed, tmp_path).indexes.index_url == "https://stranger"


def test_a_strangers_table_does_not_hide_ours_above_it(
    tmp_path: Path, alone: dict[str, str]
) -> None:
    project(tmp_path, "index_url = 'https://mine'")
    project(tmp_path / "theirs", "timeout = 7", 0o666)
    assert loaded(alone, tmp_path / "theirs").indexes.index_url == "https://mine"


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_folder_on_the_way_that_others_may_write(
    tmp_path: Path, alone: dict[str, str], mode: int
) -> None:
    path = project(tmp_path / "shared/mine", "index_url = 'https://h'")
    shared = tmp_path / "shared"
    if os.geteuid() == 0:
        os.chown(shared, 0, 12)  # a group that is nobody's private one
    elif mode == 0o775:
        pytest.skip("only root gives files away")
    shared.chmod(mode)
    with pytest.raises(SettingsError, match="may write"):
        loaded(alone, path.parent)
    shared.chmod(mode | 0o1000)  # as /tmp is
    assert loaded(alone, path.parent).indexes.index_url == "https://h"


@as_root
def test_a_link_of_another_users_is_not_followed(tmp_path: Path, alone: dict[str, str]) -> None:
    """What is relative in the file would be relative to the link."""
    mine = project(tmp_path / "mine", "python = './bin/python'")
    place = tmp_path / "place"
    place.mkdir()
    link = place / "pyproject.toml"
    link.symlink_to(mine)
    assert loaded(alone, place).python == str(place / "bin/python")
    os.lchown(link, _NOBODY, _NOBODY)
    with pytest.raises(SettingsError, match="belongs to nobody"):
        loaded(alone, place)


@as_root
def test_a_private_group_counts_for_nothing(tmp_path: Path, alone: dict[str, str]) -> None:
    path = project(tmp_path, "index_url = 'https://h'", 0o664)  # of root's own group
    assert loaded(alone, tmp_path).indexes.index_url == "https://h"
    os.chown(path, 0, 12)
    with pytest.raises(SettingsError, match=r"the group .* may write"):
        loaded(alone, tmp_path)


def test_files_of_the_user_and_of_pip_that_others_may_write(
    tmp_path: Path, alone: dict[str, str]
) -> None:
    own = write(tmp_path / "config/coffee_boat/config.toml", "index_url = 'https://h'", 0o666)
    with pytest.raises(SettingsError, match="others may write"):
        loaded(alone, tmp_path)
    own.unlink()
    del alone["PIP_CONFIG_FILE"]
    pip = write(tmp_path / "config/pip/pip.conf", "[global]\nindex-url = https://h\n", 0o666)
    with pytest.raises(SettingsError, match="others may write"):
        loaded(alone, tmp_path)
    named = {**alone, "PIP_CONFIG_FILE": str(pip)}
    assert loaded(named, tmp_path).indexes.index_url == "https://h"  # what is named is meant


# other programs' settings


@pytest.mark.parametrize(
    ("place", "text"),
    [("uv.toml", 'python-install-mirror = "file:///x"'), ("pyproject.toml", "[tool.uv]\n")],
)
def test_uv_is_not_started_where_it_would_read_a_strangers_file(
    tmp_path: Path,
    alone: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    text: str,
) -> None:
    path = write(tmp_path / place, text, 0o666)
    (tmp_path / "deep").mkdir()
    with pytest.raises(SettingsError, match="uv would take its settings"):
        loaded(alone, tmp_path / "deep")
    monkeypatch.chdir(tmp_path / "deep")
    for start in (
        lambda: uv_options.environment(Settings().indexes),
        lambda: interpreter_find.find("3.10.1", offline=True, store=Store(tmp_path / "s")),
    ):
        with pytest.raises(SettingsError) as caught:
            start()
        assert caught.value.value == str(path)
    assert loaded({**alone, "UV_NO_CONFIG": "1"}, tmp_path / "deep") == Settings()


def test_condas_configuration_of_a_stranger(tmp_path: Path, alone: dict[str, str]) -> None:
    path = write(tmp_path / "prefix/.condarc", "channels: [https://stranger/c]\n", 0o666)
    environ = {**alone, "CONDA_PREFIX": str(tmp_path / "prefix")}
    with pytest.raises(SettingsError, match="others may write") as caught:
        condarc.load(environ)
    assert caught.value.value == f"{path}: channels"
    assert condarc.load({**environ, "CONDARC": str(path)}).channels == ("https://stranger/c",)


@as_root
def test_an_environment_that_is_active_is_its_owners(tmp_path: Path, alone: dict[str, str]) -> None:
    path = write(tmp_path / "prefix/.condarc", "channels: [c]\n")
    for place in (path, path.parent):
        os.chown(place, _NOBODY, _NOBODY)
    assert condarc.load({**alone, "CONDA_PREFIX": str(path.parent)}).channels == ("c",)


def test_a_strangers_kubeconfig_runs_nothing(
    tmp_path: Path, alone: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    path = write(
        tmp_path / "kubeconfig",
        "current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
        "clusters: [{name: c, cluster: {}}]\n"
        f"users: [{{name: u, user: {{exec: {{command: touch, args: ['{ran}']}}}}}}]\n",
        0o666,
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", "kubeconfig")
    with pytest.raises(Unusable, match="everybody may write"):
        find("k8s://https://h", {}, submission=False)
    assert not ran.exists()
    path.chmod(0o600)
    with pytest.raises(Unusable, match="prints no ExecCredential"):
        find("k8s://https://h", {}, submission=False)
    assert ran.exists()


# the store


def test_a_store_that_others_may_write(tmp_path: Path, alone: dict[str, str]) -> None:
    root = tmp_path / "store"
    made = Store(root)
    made.remember("kind", "key", 1)
    assert root.stat().st_mode & 0o777 == 0o700
    root.chmod(0o777)
    with pytest.raises(StoreError, match="others may write the store") as caught:
        Store(root)
    assert f"chmod go-w {root}" in caught.value.cure


@as_root
def test_a_store_that_another_user_made_first(tmp_path: Path, alone: dict[str, str]) -> None:
    root = tmp_path / "store"
    ours = Store(root)
    root.mkdir()
    os.chown(root, _NOBODY, _NOBODY)
    for use in (
        lambda: ours.recall("lock", 1),
        lambda: ours.path("chunks", "x"),
        lambda: ours.remember("lock", 1, 1),
    ):
        with pytest.raises(StoreError, match="belongs to nobody"):
            use()
    assert list(root.iterdir()) == []


# programs


def test_programs_are_not_taken_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_git()
    ran = tmp_path / "ran"
    write(tmp_path / "git", f"#!/bin/sh\ntouch {ran}\n", 0o755)
    write(tmp_path / "python9", f"#!/bin/sh\ntouch {ran}\n", 0o755)
    write(tmp_path / "cat", f"#!/bin/sh\ntouch {ran}\n", 0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f".:{os.environ['PATH']}")
    assert "git version" in run(["git", "--version"]).stdout
    assert run(["sh", "-c", "cat /dev/null"]).code == 0
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="git"):
        run(["git", "--version"])
    with pytest.raises(BuildError, match="no such interpreter"):
        interpreter_find.find("python9", offline=True, store=Store(tmp_path / "s"))
    assert not ran.exists()


def test_an_old_interpreter_imports_nothing_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that knows no -I is asked with -c, which looks for modules there."""
    ran = tmp_path / "ran"
    write(tmp_path / "json.py", f"open({str(ran)!r}, 'w')\n")
    old = write(
        tmp_path / "old",
        f'#!/bin/sh\n[ "$1" = -I ] && exit 2\nshift 4\n'
        f"exec {sys.executable} -E -s -S -c \"import json; print('2.7.18')\"\n",
        0o755,
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BuildError):
        interpreter_find.find(str(old), offline=True, store=Store(tmp_path / "s"))
    assert not ran.exists()


def test_a_repository_starts_no_programs_of_its_own(tmp_path: Path) -> None:
    require_git()
    from coffee_boat._support.urls import git_environment

    ran = tmp_path / "ran"
    hook = write(tmp_path / "hook", f"#!/bin/sh\ntouch {ran}\n", 0o755)
    folder = tmp_path / "repository"
    run(["git", "init", "--quiet", str(folder)])
    run(["git", "-C", str(folder), "config", "core.fsmonitor", str(hook)])
    write(folder / ".git/hooks/post-index-change", hook.read_text("utf-8"), 0o755)
    write(folder / "a", "a")
    run(["git", "-C", str(folder), "add", "a"], env=git_environment(()))
    run(["git", "-C", str(folder), "status"], env=git_environment(()))
    assert not ran.exists()
    run(["git", "-C", str(folder), "status"])
    assert ran.exists()  # as it would be without
