"""What was decided, from wherever it was said."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from coffee_boat._support import uv
from coffee_boat.errors import SettingsError
from coffee_boat.model import Finding, Indexes
from coffee_boat.settings import Settings, combine, load, pipconf


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, str]:
    """An environment in which nobody said anything: no pip.conf, no user's file."""
    return {
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_CONFIG_DIRS": str(tmp_path / "xdg"),
        "PIP_CONFIG_FILE": os.devnull,
    }


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def loaded(environ: Mapping[str, str], folder: Path, **arguments: object) -> Settings:
    return load(arguments, folder=folder, environ=environ)[0]


def found(environ: Mapping[str, str], folder: Path) -> tuple[Finding, ...]:
    return load({}, folder=folder, environ=environ)[1]


def test_defaults(tmp_path: Path, alone: dict[str, str]) -> None:
    assert load({"python": None}, folder=tmp_path, environ=alone) == (Settings(), ())


def test_the_strongest_place_wins_key_by_key(tmp_path: Path, alone: dict[str, str]) -> None:
    places: list[tuple[str, object]] = []
    environ = {**alone, "PIP_INDEX_URL": "https://pip"}
    places.append(("pip", loaded(environ, tmp_path)))
    write(
        tmp_path / "config/coffee_boat/config.toml",
        'index-url = "https://user"\nstage = "s3://user"\n',
    )
    places.append(("user", loaded(environ, tmp_path)))
    write(tmp_path / "pyproject.toml", '[tool.coffee_boat]\nindex_url = "https://project"\n')
    places.append(("project", loaded(environ, tmp_path / "deep/er")))
    environ["COFFEE_BOAT_INDEX_URL"] = "https://variable"
    places.append(("variable", loaded(environ, tmp_path)))
    places.append(("argument", loaded(environ, tmp_path, index_url="https://argument")))
    assert [
        settings.indexes.index_url for _, settings in places if isinstance(settings, Settings)
    ] == [f"https://{name}" for name, _ in places]
    assert loaded(environ, tmp_path).stage == "s3://user"


def test_a_project_that_says_nothing_does_not_hide_the_one_above(
    tmp_path: Path, alone: dict[str, str]
) -> None:
    write(tmp_path / "pyproject.toml", "[tool.coffee-boat]\nship-python = false\n")
    write(tmp_path / "member/pyproject.toml", "[tool.ruff]\n")
    assert loaded(alone, tmp_path / "member").ship_python is False


def test_every_key_can_be_said_in_every_kind_of_place(
    tmp_path: Path, alone: dict[str, str]
) -> None:
    (tmp_path / "wheels").mkdir()
    for name in ("ca.pem", "me.pem", "limits.txt"):
        (tmp_path / name).touch()
    typed: dict[str, object] = {
        "store": "./store",
        "python": "./venv/bin/python",
        "ship_python": False,
        "platform": "manylinux_2_28_x86_64",
        "install_local": False,
        "stage": "stage",
        "bytecode": "all",
        "node_store": "/data",
        "preflight": "warn",
        "lock_max_age": 60,
        "accept_conda_license": True,
        "constraints": ["limits.txt"],
        "index_url": "https://h/simple",
        "extra_index_urls": ["https://a", "https://b"],
        "find_links": ["wheels", "https://h/links"],
        "no_index": True,
        "trusted_hosts": ["h"],
        "cert": "ca.pem",
        "client_cert": "me.pem",
        "proxy": "user:pw@proxy:3128",
        "timeout": 1.5,
        "no_binary": [":all:"],
        "only_binary": ["Foo_Bar"],
        "prerelease": True,
        "torch_backend": "cpu",
        "offline": True,
    }
    variables = {
        f"COFFEE_BOAT_{key.upper()}": " ".join(value) if isinstance(value, list) else str(value)
        for key, value in typed.items()
    }
    lines = [
        f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}"
        for key, value in typed.items()
    ]
    write(tmp_path / "other/pyproject.toml", "")
    by_argument, by_variable = (
        loaded(alone, tmp_path, **typed),
        loaded({**alone, **variables}, tmp_path),
    )
    write(tmp_path / "pyproject.toml", "\n".join(["[tool.coffee_boat]", *lines]))
    assert by_argument == by_variable == loaded(alone, tmp_path / "other")
    assert by_argument == Settings(
        store=str(tmp_path / "store"),
        python=str(tmp_path / "venv/bin/python"),
        ship_python=False,
        platform="manylinux_2_28_x86_64",
        install_local=False,
        stage=str(tmp_path / "stage"),
        bytecode="all",
        node_store="/data",
        preflight="warn",
        lock_max_age=60.0,
        accept_conda_license=True,
        constraints=(str(tmp_path / "limits.txt"),),
        indexes=Indexes(
            index_url="https://h/simple",
            extra_index_urls=("https://a", "https://b"),
            find_links=(str(tmp_path / "wheels"), "https://h/links"),
            no_index=True,
            trusted_hosts=("h",),
            cert=str(tmp_path / "ca.pem"),
            client_cert=str(tmp_path / "me.pem"),
            proxy="http://user:pw@proxy:3128",
            timeout=1.5,
            no_binary=(":all:",),
            only_binary=("foo-bar",),
            prerelease=True,
            torch_backend="cpu",
            offline=True,
        ),
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("python = 3.11", 'python = "3.11"'),
        ("pyton = '3.11'", "did you mean python?"),
        ("ship_python = 'no'", "true or false"),
        ("ship_python = 0", "true or false"),
        ("find_links = 'wheels'", "['wheels']"),
        ("find_links = ['wheels']", "correct the path"),
        ("extra_index_urls = [3]", "a text"),
        ("index_url = 'pypi.org/simple'", "https://pypi.org/simple"),
        ("lock_max_age = -1", "number of seconds"),
        ("lock_max_age = true", "number of seconds"),
        ("timeout = inf", "number of seconds"),
        ("bytecode = 'some'", '"base" or "all"'),
        ("preflight = 'never'", '"refuse" or "warn"'),
        ("store = ''", "a text"),
        ("store = '~nobody-of-that-name/x'", "whole path"),
        ("cert = 'nowhere.pem'", "nowhere.pem"),
        ("constraints = ['https://h/c.txt']", "download"),
        ("index_url = 'https://a'\nindex-url = 'https://b'", "keep one"),
        ("python = ", "line 2"),
    ],
)
def test_what_cannot_be_used_is_named_by_file_and_key(
    tmp_path: Path, alone: dict[str, str], line: str, words: str
) -> None:
    path = write(tmp_path / "pyproject.toml", f"[tool.coffee_boat]\n{line}\n")
    with pytest.raises(SettingsError) as caught:
        load({}, folder=tmp_path, environ=alone)
    assert words in str(caught.value)
    assert str(path) in caught.value.value
    assert caught.value.cure


def test_a_wrong_argument_and_a_wrong_variable(tmp_path: Path, alone: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="find_links"):
        loaded(alone, tmp_path, find_link=["x"])
    with pytest.raises(SettingsError, match=r"\['https://h'\]"):
        loaded(alone, tmp_path, extra_index_urls="https://h")
    with pytest.raises(SettingsError, match="COFFEE_BOAT_OFFLINE = 'perhaps'"):
        loaded({**alone, "COFFEE_BOAT_OFFLINE": "perhaps"}, tmp_path)
    assert [
        (f.value, f.cure)
        for f in found({**alone, "COFFEE_BOAT_STROE": "/x", "COFFEE_BOAT_STAGE": ""}, tmp_path)
    ] == [("COFFEE_BOAT_STROE", "did you mean COFFEE_BOAT_STORE?")]


def test_tool_coffee_boat_must_be_a_table(tmp_path: Path, alone: dict[str, str]) -> None:
    write(tmp_path / "pyproject.toml", "[tool]\ncoffee_boat = '3.11'\n")
    with pytest.raises(SettingsError, match="not a table"):
        loaded(alone, tmp_path)


def test_credentials_are_shown_nowhere(tmp_path: Path, alone: dict[str, str]) -> None:
    secret = "https://user:s3cret@h/simple"
    settings = loaded(
        alone, tmp_path, index_url=secret, extra_index_urls=[secret], proxy="user:s3cret@proxy:1"
    )
    assert settings.indexes.index_url == secret
    assert "s3cret" not in repr(settings)
    for wrong in ({"extra_index_urls": secret}, {"index_url": [secret]}, {"constraints": [secret]}):
        with pytest.raises(SettingsError) as caught:
            loaded(alone, tmp_path, **wrong)
        assert "s3cret" not in str(caught.value)


# pip's configuration


def test_pips_files_and_variables_in_pips_order(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path / "xdg")}

    def timeout() -> str:
        return pipconf.read(environ, prefix=tmp_path / "venv")["timeout"][0]

    told = []
    for place in (
        "xdg/pip/pip.conf",
        "home/.pip/pip.conf",
        "home/.config/pip/pip.conf",
        "venv/pip.conf",
    ):
        write(tmp_path / place, f"[global]\ntimeout = {len(told)}\n")
        told.append(timeout())
    write(tmp_path / "home/.config/pip/pip.conf", "[global]\nproxy = http://user\n")
    assert pipconf.read(environ)["proxy"][0] == "http://user"
    environ["PIP_CONFIG_FILE"] = str(write(tmp_path / "named.conf", "[global]\ntimeout = 4\n"))
    told.append(timeout())
    assert "proxy" not in pipconf.read(environ)
    write(tmp_path / "xdg/pip/pip.conf", "[install]\ndefault_timeout = 5\n")
    told.append(timeout())
    environ["PIP_DEFAULT_TIMEOUT"] = "6"
    told.append(timeout())
    assert told == ["0", "1", "2", "3", "4", "5", "6"]
    assert pipconf.read({**environ, "PIP_CONFIG_FILE": os.devnull, "PIP_DEFAULT_TIMEOUT": ""}) == {}


def test_what_pip_would_use_is_used(tmp_path: Path, alone: dict[str, str]) -> None:
    (tmp_path / "wheels").mkdir()
    write(tmp_path / "limits.txt", "numpy<2\n")
    named = write(
        tmp_path / "pip.conf",
        """\
[global]
index-url = https://user:100%@h/simple
extra-index-url =
    https://a
    https://b
find-links = wheels nowhere
no-binary = :all:,:none:,Foo_Bar,baz
trusted_host = h other
pre = yes
constraint = limits.txt https://h/limits.txt
keyring-provider = import
[freeze]
timeout = 1
""",
    )
    settings, findings = load({}, folder=tmp_path, environ={**alone, "PIP_CONFIG_FILE": str(named)})
    assert settings.constraints == (str(tmp_path / "limits.txt"),)
    assert settings.indexes.index_url == "https://user:100%@h/simple"
    assert settings.indexes.extra_index_urls == ("https://a", "https://b")
    assert settings.indexes.find_links == (str(tmp_path / "wheels"),)
    assert settings.indexes.no_binary == ("foo-bar", "baz")
    assert settings.indexes.trusted_hosts == ("h", "other")
    assert settings.indexes.prerelease
    assert settings.indexes.timeout == 60.0
    assert sorted(f.what for f in findings) == [
        "a folder of wheels is not there",
        "constraints are not used",
    ]


def test_a_broken_file_of_pip_is_named_unless_it_is_turned_off(
    tmp_path: Path, alone: dict[str, str]
) -> None:
    path = write(tmp_path / "config/pip/pip.conf", "index-url = https://h\n")
    del alone["PIP_CONFIG_FILE"]
    with pytest.raises(SettingsError) as caught:
        loaded(alone, tmp_path)
    assert caught.value.value == str(path)
    assert loaded({**alone, "PIP_CONFIG_FILE": os.devnull}, tmp_path).indexes.index_url is None


@pytest.mark.parametrize(
    "variable", ["UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_INDEX"]
)
def test_uvs_own_indexes_beat_pips_and_are_left_to_uv(
    tmp_path: Path, alone: dict[str, str], variable: str
) -> None:
    environ = {
        **alone,
        "PIP_INDEX_URL": "https://u:s3cret@pip",
        "PIP_FIND_LINKS": str(tmp_path),
        "PIP_TRUSTED_HOST": "h",
        variable: "https://uv",
    }
    settings, findings = load({}, folder=tmp_path, environ=environ)
    assert settings.indexes == Indexes(find_links=(str(tmp_path),), trusted_hosts=("h",))
    assert [(f.value, f.severity) for f in findings] == [("PIP_INDEX_URL", "note")]
    assert (
        loaded(environ, tmp_path, index_url="https://argument").indexes.index_url
        == "https://argument"
    )


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("config/uv/uv.toml", 'index-url = "https://uv"\n'),
        ("uv.toml", '[[index]]\nurl = "https://uv"\n'),
        ("pyproject.toml", '[tool.uv.pip]\nextra-index-url = ["https://uv"]\n'),
    ],
)
def test_files_of_uv_beat_pip_too(
    tmp_path: Path, alone: dict[str, str], place: str, text: str
) -> None:
    path = write(tmp_path / place, text)
    environ = {**alone, "PIP_INDEX_URL": "https://pip"}
    settings, findings = load({}, folder=tmp_path / "deep", environ=environ)
    assert settings.indexes.index_url is None
    assert str(path) in findings[0].cause
    assert loaded({**environ, "UV_NO_CONFIG": "1"}, tmp_path).indexes.index_url == "https://pip"


def test_uvs_folders_and_offline(tmp_path: Path, alone: dict[str, str]) -> None:
    environ = {
        **alone,
        "PIP_FIND_LINKS": "/nowhere",
        "UV_FIND_LINKS": str(tmp_path),
        "UV_OFFLINE": "1",
    }
    assert loaded(environ, tmp_path).indexes == Indexes(offline=True)
    assert loaded(environ, tmp_path, offline=False).indexes.offline is False


def test_files_add_to_the_settings() -> None:
    settings = Indexes(
        index_url="https://mine",
        extra_index_urls=("https://a",),
        timeout=5.0,
        cert="/ca",
        offline=True,
    )
    files = Indexes(
        index_url="https://theirs", extra_index_urls=("https://a", "https://b"), prerelease=True
    )
    assert combine(settings, files) == Indexes(
        index_url="https://theirs",
        extra_index_urls=("https://a", "https://b"),
        timeout=5.0,
        cert="/ca",
        offline=True,
        prerelease=True,
    )
    assert combine(settings, Indexes()) == settings


def test_without_a_home_no_users_file_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    write(tmp_path / "~/.config/coffee_boat/config.toml", 'stage = "s3://not/a/home"\n')
    monkeypatch.chdir(tmp_path)
    nowhere = {"XDG_CONFIG_DIRS": str(tmp_path / "xdg")}
    assert loaded(nowhere, tmp_path).stage is None
    assert isinstance(uv.configuration(), tuple)
    write(tmp_path / "config/coffee_boat/config.toml", 'stage = "s3://user"\n')
    assert (
        loaded({**nowhere, "XDG_CONFIG_HOME": str(tmp_path / "config")}, tmp_path).stage
        == "s3://user"
    )
