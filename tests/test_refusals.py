"""What a library refuses in its own words comes out of our doors as an error of ours, at once, and
shows nothing of a password.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from coffee_boat import BoatError, Captain, LockError, RequirementError, SettingsError, StoreError
from coffee_boat._support import limits, parse
from coffee_boat.clusters import settings
from coffee_boat.clusters.yarn import hadoop
from coffee_boat.errors import BuildError
from coffee_boat.interpreter.find import find
from coffee_boat.settings import load
from coffee_boat.spark import defaults, install, script

pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")

S = "hunter2"
LONG = "a" * 300


@pytest.fixture
def captain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Captain:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONDARC", os.devnull)
    return Captain(store=tmp_path / "store", offline=True)


def listed(text: str) -> Callable[[Captain], object]:
    def add(captain: Captain) -> object:
        Path("list.txt").write_text(f"@EXPLICIT\n{text}\n")
        return captain.add_lock("list.txt")

    return add


def pixi(url: str) -> Callable[[Captain], object]:
    def add(captain: Captain) -> object:
        Path("pixi.lock").write_text(
            "version: 6\nenvironments:\n  default:\n    channels:\n"
            f"    - url: {url}\n    packages:\n      linux-64:\n"
            f"      - conda: {url}/linux-64/x-1-0.conda\n"
            f"packages:\n- conda: {url}/linux-64/x-1-0.conda\n  sha256: {'0' * 64}\n"
        )
        return captain.add_lock("pixi.lock")

    return add


def in_channel(channel: str) -> Callable[[Captain], object]:
    def add(captain: Captain) -> object:
        captain.add_conda_packages("x", channel=channel)
        return captain.plan()

    return add


def spec(text: str) -> Callable[[Captain], object]:
    def add(captain: Captain) -> object:
        captain.add_conda_packages(text)
        return captain.plan()

    return add


@pytest.mark.parametrize(
    "refused",
    [
        *map(
            in_channel,
            (
                f"file://user:{S}@h/x",
                "file://h h/x",
                "https://xn--/x",
                "https://h%00/x",
                "http://256.256.256.256/x",
                "oci://h^/x",
                "s3://b b/x",
                f"https://user:a]{S}@h/x",
            ),
        ),
        *map(
            spec,
            (
                f"file://user:{S}@h/x::x",
                f"x==1 --config-settings=token={S}",
                "x ==1 =1",
                "x=1=b=c",
                "evil=*=*evil=*=*",
            ),
        ),
        *map(
            listed,
            (
                f"https://h/x;token={S}",
                "https://h/x%3Fa=1",
                "https://h/${HOME}",
                "git+https://h/x.git@v1",
                f"https://u:{S}%0ab@h/",
                f"jdbc:x://u:{S}@h",
                "https://h/c/linux-64/x*-1-0.conda",
                "https://h/c/linux-64/[x]-1-0.conda",
            ),
        ),
        *map(pixi, (f"https://user:a]{S}@h/x", f"https://user:a[{S}]@h/x")),
    ],
)
def test_what_rattler_refuses_is_an_error_of_ours(
    refused: Callable[[Captain], object], captain: Captain
) -> None:
    with pytest.raises((RequirementError, LockError)) as caught:
        refused(captain)
    assert S not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{" * 100_000, '["]", ' * 50_000, "[a 's, " * 50_000]
)
def test_a_lock_of_brackets_is_refused_before_it_is_read(text: str, captain: Captain) -> None:
    Path("pixi.lock").write_text(f"version: 6\nx: {text}")
    started = time.process_time()
    with pytest.raises(LockError, match="nested too deeply"):
        captain.add_lock("pixi.lock")
    assert time.process_time() - started < 5


def test_brackets_that_are_closed_are_no_nesting() -> None:
    parse.check_brackets("- \"a[b]\" 'c[d]' [e, {f: g}]\n" * 10_000)


@pytest.mark.parametrize("value", [f"https://user:a]{S}@h/x.zip", f"https://user:a[{S}]@h/x.zip"])
def test_an_address_that_is_none_is_left_to_spark(value: str) -> None:
    merged, findings = settings.merge_archives(value, "file:///b.tar.gz#boat")
    assert merged == f"{value},file:///b.tar.gz#boat"
    assert findings == ()


def _store(place: str) -> Callable[[Path], object]:
    def use(folder: Path) -> object:
        (folder / "file").write_text("")
        return Captain(store=folder / place, offline=True).pack(folder / "x.tar.gz")

    return use


@pytest.mark.parametrize("place", ["file", "file/x", LONG, "/proc/x", "a\0b"])
def test_a_store_that_cannot_be_there_is_named(place: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the store can"):
        _store(place)(tmp_path)


@pytest.mark.parametrize("variable", ["HADOOP_CONF_DIR", "SPARK_CONF_DIR", "PIP_CONFIG_FILE"])
def test_a_variable_that_names_what_cannot_be_looked_at_ends_in_no_traceback(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is too long stands for a folder that may not be entered: both raise."""
    monkeypatch.setenv(variable, LONG)
    read: dict[str, Callable[[], object]] = {
        "HADOOP_CONF_DIR": lambda: hadoop.configuration({}),
        "SPARK_CONF_DIR": lambda: defaults.defaults(install.Spark("4.0.0", LONG)),
        "PIP_CONFIG_FILE": lambda: load({}, folder=tmp_path),
    }
    if variable == "HADOOP_CONF_DIR":
        with pytest.raises(BoatError, match="no Hadoop configuration"):
            read[variable]()
    else:
        read[variable]()


def test_an_interpreter_that_cannot_be_looked_at_is_refused() -> None:
    with pytest.raises(BuildError, match="there is no such interpreter"):
        find(f"/{LONG}/python")


@pytest.mark.parametrize("device", ["/dev/tty", "/dev/zero", "/dev/full"])
def test_a_device_is_refused_not_read(device: str) -> None:
    with pytest.raises(OSError, match="it is a device"):
        limits.read_bytes(Path(device), limits.REQUIREMENTS)


def test_nothing_may_be_read_of_the_null_device() -> None:
    assert limits.read_bytes(Path(os.devnull), limits.REQUIREMENTS) == b""


def test_a_script_is_read_within_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "big.py"
    with path.open("wb") as stream:
        stream.truncate(limits.PROJECT.most + 1)
    with pytest.raises(BoatError, match="may have 4"):
        script.read_header(path)


def test_settings_show_no_value_of_another_type() -> None:
    with pytest.raises(SettingsError):
        load({"index_url": [f"https://me:{S}@h"]})
