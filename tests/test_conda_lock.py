"""What is chosen of conda's packages, for whom, and why not: rattler against lists of packages, and
against real small channels.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import ssl
import subprocess
import sys
from base64 import b64encode
from collections.abc import Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from threading import Thread
from typing import Any

import certifi
import pytest

pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")

import small_packages
from conda_metadata import channel, pythons, record
from small_proxy import proxying

from coffee_boat import BoatError, Captain, LockError, RequirementError, SettingsError, settings
from coffee_boat._support.store import Store
from coffee_boat.conda import client
from coffee_boat.conda.configuration import Configuration
from coffee_boat.conda.provides import distributions
from coffee_boat.conda.solve import virtual_packages
from coffee_boat.errors import LaunchError
from coffee_boat.model import Lock, Manifest, Plan, Target
from coffee_boat.requirements import parse, parse_conda
from coffee_boat.workflow.pipeline import Pipeline

pytestmark = pytest.mark.once

MINOR = ".".join(platform.python_version_tuple()[:2])
OTHER = "3.12" if MINOR != "3.12" else "3.11"


@pytest.fixture(autouse=True)
def nobody_is_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No .condarc of the machine's user, no variable of conda's."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in (
        "CONDARC",
        "CONDA_PREFIX",
        "CONDA_ROOT",
        "CONDA_EXE",
        "CONDA_CHANNELS",
        "CONDA_CHANNEL_PRIORITY",
        "XDG_CONFIG_HOME",
        "HTTPS_PROXY",
        "https_proxy",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def forge(tmp_path: Path) -> str:
    """A list with two Pythons of the driver's minor and one other, and a small world above them."""
    own = [f"{MINOR}.1", f"{MINOR}.4"]
    return channel(
        tmp_path / "forge",
        *pythons(*own, f"{OTHER}.2"),
        record("numpy", "1.26.4", [f"python {MINOR}.*"], build="py_a"),
        record("numpy", "2.4.6", [f"python {MINOR}.*"], build="py_a", license="BSD-3-Clause"),
        record("numpy", "2.4.6", [f"python {OTHER}.*"], build="py_b"),
        record("scipy", "1.11.0", ["numpy >=1.22,<2", "python"]),
        record("pandas", "3.0.0", ["numpy >=2", "python"]),
        record("pure", "1.0", ["python >=3.8"], subdir="noarch"),
        record("modern", "1.0", ["__glibc >=2.39"]),
        record("fast", "1.0", ["__archspec 1 x86_64_v3"]),
        record("gpu", "1.0", ["__cuda >=12"]),
        record("linux-only", "1.0", ["__linux"], subdir="noarch"),
    )


@pytest.fixture
def lower(tmp_path: Path) -> str:
    """A second list, with newer versions of what the first one has."""
    return channel(
        tmp_path / "lower",
        record("numpy", "2.9.0", ["python"]),
        record("only-there", "1.0", ["python"], subdir="noarch"),
        *pythons(f"{MINOR}.9"),
    )


def captain(tmp_path: Path, **settings: Any) -> Captain:
    return Captain(store=tmp_path / "store", **settings)


def plan(tmp_path: Path, *specs: str, channel: str | Sequence[str], **settings: Any) -> Plan:
    return (
        captain(tmp_path, **settings)
        .add_conda_packages(*specs, channel=channel if isinstance(channel, str) else list(channel))
        .plan()
    )


def versions(lock: Lock | None) -> dict[str, str]:
    assert lock is not None
    return {pin.name: pin.version for pin in lock.conda}


# what is chosen


def test_packages_are_chosen_with_their_channel_and_licence(tmp_path: Path, forge: str) -> None:
    made = plan(tmp_path, "numpy >=2", channel=[forge])
    assert versions(made.lock) == {"numpy": "2.4.6", "python": f"{MINOR}.4"}
    numpy = made.lock.conda[0]
    assert (
        numpy.channel,
        numpy.license,
        numpy.build,
        numpy.subdir,
        numpy.requested,
        numpy.requires,
    ) == (forge, "BSD-3-Clause", "py_a", "linux-64", True, ("python",))
    assert not made.lock.conda[1].requested
    assert made.lock.target.python == f"{MINOR}.4", "conda's own python is the interpreter"
    assert f"numpy 2.4.6 ({forge}, BSD-3-Clause)" in str(made)


def test_a_package_without_python_brings_python(tmp_path: Path, forge: str) -> None:
    assert "python" in versions(plan(tmp_path, "linux-only", channel=[forge]).lock)


def test_the_nodes_decide_and_not_the_driver(tmp_path: Path, forge: str) -> None:
    with pytest.raises(LockError, match="does not run on the nodes") as caught:
        plan(tmp_path, "modern", channel=[forge], platform="manylinux_2_28_x86_64")
    assert "__glibc" in caught.value.cause
    assert "platform=" in caught.value.cure
    assert "modern" in versions(
        plan(tmp_path, "modern", channel=[forge], platform="manylinux_2_39_x86_64").lock
    )


def test_another_architecture_has_other_packages(tmp_path: Path) -> None:
    there = channel(
        tmp_path / "arm",
        *pythons(f"{MINOR}.4", subdir="linux-aarch64"),
        record("numpy", "2.0", ["python"], subdir="linux-aarch64"),
    )
    lock = plan(tmp_path, "numpy", channel=[there], platform="manylinux_2_28_aarch64").lock
    assert {pin.subdir for pin in lock.conda} == {"linux-aarch64"}
    assert lock.target.architecture == "aarch64"


def test_virtual_packages_are_the_targets() -> None:
    said = virtual_packages(
        Target("3.11.0", "x86_64", (2, 28)), {"cuda": "12.4", "archspec": "x86_64_v3"}
    )
    assert said == {
        "__unix": ("0", "0"),
        "__linux": ("4.18", "0"),
        "__glibc": ("2.28", "0"),
        "__archspec": ("1", "x86_64_v3"),
        "__cuda": ("12.4", "0"),
    }


@pytest.mark.parametrize(
    ("name", "variable", "value"),
    [("gpu", "CONDA_OVERRIDE_CUDA", "12.4"), ("fast", "CONDA_OVERRIDE_ARCHSPEC", "x86_64_v3")],
)
def test_what_only_the_user_knows_of_the_nodes_is_said_by_condas_variables(
    tmp_path: Path,
    forge: str,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    variable: str,
    value: str,
) -> None:
    with pytest.raises(LockError) as caught:
        plan(tmp_path, name, channel=[forge])
    assert variable.rpartition("_")[2].lower() in caught.value.value
    monkeypatch.setenv(variable, value)
    assert name in versions(plan(tmp_path, name, channel=[forge]).lock)


def test_no_secret_is_shown_or_kept(
    tmp_path: Path, forge: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(forge.removeprefix("file://")).parent
    with serving(root) as url:
        secret = url.replace("http://", "http://user:hidden@") + "/forge"
        made = plan(tmp_path, f"{secret}::numpy", channel=[secret])
        with pytest.raises(LockError) as caught:
            plan(tmp_path, "nosuch", channel=[secret])
    assert versions(made.lock)["numpy"] == "2.4.6"
    assert "hidden" not in f"{made} {made!r} {made.lock!r} {caught.value}"
    assert not [
        path
        for path in (tmp_path / "store" / "keys").rglob("*.json")
        if "hidden" in path.read_text()
    ]


# what the driver has


def test_the_drivers_own_versions_are_preferred_where_they_may_be(
    tmp_path: Path, forge: str
) -> None:
    own = metadata.version("click")
    click = [
        record("click", version, ["python"], subdir="noarch") for version in ("1.0", own, "99.0")
    ]
    there = channel(tmp_path / "clicks", *pythons(f"{MINOR}.4"), *click)
    assert versions(plan(tmp_path, "click", channel=[there]).lock)["click"] == own
    assert versions(plan(tmp_path, "click >=99", channel=[there]).lock)["click"] == "99.0"
    below = channel(tmp_path / "below", *pythons(f"{MINOR}.4"), record("click", "98.0", ["python"]))
    assert versions(plan(tmp_path, "click", channel=[below, there]).lock)["click"] == "98.0", (
        "it gets around no priority"
    )


# Python's minor version


def test_python_is_of_the_drivers_minor_though_newer_ones_are_there(
    tmp_path: Path, forge: str
) -> None:
    assert versions(plan(tmp_path, "pure", channel=[forge]).lock)["python"] == f"{MINOR}.4"
    assert (
        versions(plan(tmp_path, "pure", "python >=3.8", channel=[forge]).lock)["python"]
        == f"{MINOR}.4"
    )


def test_another_minor_can_be_locked_and_not_launched(tmp_path: Path, forge: str) -> None:
    ours = captain(tmp_path).add_conda_packages(f"python={OTHER}", "numpy", channel=forge)
    with pytest.raises(LaunchError, match="the driver's minor version") as caught:
        ours.launch_ship()
    assert OTHER in caught.value.value
    assert versions(ours.plan().lock)["python"] == f"{OTHER}.2"


def test_the_nodes_own_interpreter_does_not_go_with_conda(tmp_path: Path, forge: str) -> None:
    with pytest.raises(SettingsError, match="their own interpreter"):
        captain(tmp_path, ship_python=False).add_conda_packages("numpy", channel=forge)


# priorities


def test_strict_priority_is_strict_also_for_a_version_that_only_a_lower_channel_has(
    tmp_path: Path, forge: str, lower: str
) -> None:
    with pytest.raises(LockError, match="no set of conda packages") as caught:
        plan(tmp_path, "numpy=2.9", channel=[forge, lower])
    assert f"{lower}::numpy 2.9.0" in caught.value.cause
    assert "CONDA_CHANNEL_PRIORITY=flexible" in caught.value.cure
    assert "numpy 2.9.* (add_conda_packages)" in caught.value.value


@pytest.mark.parametrize("specs", [["numpy"], ["numpy >=2"], ["pandas"], ["numpy", "only-there"]])
def test_strict_priority_takes_the_first_channel_that_has_a_name(
    tmp_path: Path, forge: str, lower: str, specs: list[str]
) -> None:
    chosen = {pin.name: pin for pin in plan(tmp_path, *specs, channel=[forge, lower]).lock.conda}
    assert (chosen["numpy"].version, chosen["python"].version) == ("2.4.6", f"{MINOR}.4")
    assert {pin.channel for pin in chosen.values() if pin.name != "only-there"} == {forge}


def test_the_order_of_channels_is_their_priority(tmp_path: Path, forge: str, lower: str) -> None:
    assert versions(plan(tmp_path, "numpy", channel=[lower, forge]).lock) == {
        "numpy": "2.9.0",
        "python": f"{MINOR}.9",
    }


@pytest.mark.parametrize(("priority", "numpy"), [("flexible", "2.4.6"), ("disabled", "2.9.0")])
def test_other_priorities_are_condas(
    tmp_path: Path,
    forge: str,
    lower: str,
    monkeypatch: pytest.MonkeyPatch,
    priority: str,
    numpy: str,
) -> None:
    monkeypatch.setenv("CONDA_CHANNEL_PRIORITY", priority)
    assert versions(plan(tmp_path, "numpy", channel=[forge, lower]).lock)["numpy"] == numpy
    assert versions(plan(tmp_path, "numpy=2.9", channel=[forge, lower]).lock)["numpy"] == "2.9.0"


@pytest.mark.parametrize("priority", ["strict", "flexible", "disabled"])
def test_a_package_that_is_tied_comes_from_its_channel(
    tmp_path: Path, forge: str, lower: str, monkeypatch: pytest.MonkeyPatch, priority: str
) -> None:
    monkeypatch.setenv("CONDA_CHANNEL_PRIORITY", priority)
    chosen = {
        pin.name: pin.channel
        for pin in plan(tmp_path, f"{lower}::numpy >=2", channel=[forge]).lock.conda
    }
    assert chosen["numpy"] == lower
    with pytest.raises(LockError):
        plan(tmp_path, f"{forge}::numpy=2.9", channel=[forge, lower])


def test_a_tie_to_a_name_of_several_channels_is_to_the_first_that_has_it(
    tmp_path: Path, forge: str, lower: str
) -> None:
    (tmp_path / "home/.condarc").write_text(f"custom_multichannels:\n  both: [{forge}, {lower}]\n")
    chosen = {
        pin.name: pin.channel
        for pin in plan(tmp_path, "both::only-there", "both::numpy", channel=[forge]).lock.conda
    }
    assert (chosen["only-there"], chosen["numpy"]) == (lower, forge)


def test_one_channel_beside_packages_ties_them_to_it(
    tmp_path: Path, forge: str, lower: str
) -> None:
    ours = (
        captain(tmp_path)
        .add_conda_packages("pure", channel=forge)
        .add_conda_packages("numpy", channel=lower)
    )
    assert {pin.name: pin.channel for pin in ours.plan().lock.conda} == {
        "pure": forge,
        "numpy": lower,
        "python": forge,
    }


def test_a_channels_own_word_brings_no_other_channel_in(tmp_path: Path, forge: str) -> None:
    """CEP 42: a channel may name a base or an override beside it, which tools then ask too."""
    channel(tmp_path / "secret", record("hidden", "1.0"))
    entry = channel(
        tmp_path / "entry",
        *pythons(f"{MINOR}.4"),
        info={"channel_relations": {"base": "../secret"}},
    )
    with pytest.raises(LockError, match="no such conda package"):
        plan(tmp_path, "hidden", channel=[entry])


# what does not go


def test_a_conflict_names_both_sides_and_who_asked(tmp_path: Path, forge: str) -> None:
    with pytest.raises(LockError, match="no set of conda packages") as caught:
        captain(tmp_path).add_conda_packages("scipy", "pandas", channel=forge).plan()
    told = caught.value.value
    assert "numpy >=1.22,<2" in told
    assert "numpy >=2" in told
    assert "scipy (add_conda_packages)" in told
    assert "pandas (add_conda_packages)" in told


def test_a_version_that_bounds_a_candidate_is_named_as_well(tmp_path: Path, forge: str) -> None:
    """As a spec of its own it would silently filter, and the text would say that numpy <2 is not in
    the channel.
    """
    with pytest.raises(LockError) as caught:
        plan(tmp_path, f"python={MINOR}", "scipy", "numpy>=2", channel=[forge])
    assert "numpy >=2" in caught.value.value
    assert "numpy >=1.22,<2" in caught.value.value
    assert "no candidates were found" not in caught.value.value
    assert "scipy (add_conda_packages)" in caught.value.value


def test_a_name_that_nobody_has_is_told_from_a_conflict(tmp_path: Path, forge: str) -> None:
    with pytest.raises(
        LockError, match="no such conda package: No candidates were found for nosuch"
    ) as caught:
        plan(tmp_path, "nosuch", channel=[forge])
    assert forge in caught.value.value
    assert "add_pip_packages('nosuch')" in caught.value.cure


def test_channels_without_python_are_told(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="the channels have no python") as caught:
        plan(tmp_path, "tool", channel=[channel(tmp_path / "tools", record("tool", "1.0"))])
    assert "conda-forge" in caught.value.cure


def test_a_folder_that_is_no_channel_is_told(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="no such channel"):
        plan(tmp_path, "numpy", channel=[str(tmp_path / "nothing")])


def test_a_misspelt_channel_is_told_with_the_nearest_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    condarc = tmp_path / "condarc"
    condarc.write_text(f"channel_alias: {tmp_path.as_uri()}\n")
    monkeypatch.setenv("CONDARC", str(condarc))
    for written, meant in {"default": "defaults", "condaforge": "conda-forge"}.items():
        with pytest.raises(LockError, match="no such channel") as caught:
            plan(tmp_path, "numpy", channel=[written])
        assert f"did you mean {meant}, not {written}?" in caught.value.cure


def test_what_was_refused_is_not_kept(tmp_path: Path, forge: str) -> None:
    ours = captain(tmp_path).add_conda_packages("numpy", channel=forge)
    for wrong in ("numpy >=>2", "numpy==0.1"):
        with pytest.raises(BoatError):
            ours.add_conda_packages(wrong, "numpy==0.2")
    assert [r.text for r in ours.manifest.conda] == ["numpy"]
    assert ours.forget("NumPy").manifest.conda == ()


# the licence


@pytest.mark.parametrize("name", ["defaults", "main", "r", "msys2", "anaconda"])
def test_anacondas_channels_are_refused_at_once(tmp_path: Path, name: str) -> None:
    ours = captain(tmp_path)
    with pytest.raises(RequirementError, match="terms to be accepted") as caught:
        ours.add_conda_packages("numpy", channel=name)
    assert name in caught.value.value
    with pytest.raises(RequirementError):
        ours.add_conda_packages(f"{name}::numpy")
    assert ours.manifest.conda == ()


def test_a_list_that_leads_to_anacondas_files_is_seen(tmp_path: Path, forge: str) -> None:
    """CEP 15: a list may say that its files lie elsewhere."""
    innocent = channel(
        tmp_path / "innocent",
        record("tool", "1.0", subdir="linux-64"),
        info={"base_url": "https://repo.anaconda.com/pkgs/main/linux-64/"},
    )
    with pytest.raises(RequirementError, match="terms to be accepted") as caught:
        plan(tmp_path, "tool", channel=[innocent, forge])
    assert "repo.anaconda.com/pkgs/main" in caught.value.value
    assert "tool" in versions(
        plan(tmp_path, "tool", channel=[innocent, forge], accept_conda_license=True).lock
    )


def ask_with_and_without(tmp_path: Path, asked: Any) -> tuple[list[str], list[str]]:
    """Whom a proxy sees: without the licence, and with it."""
    with proxying() as proxy:
        rc = tmp_path / "home/.condarc"
        rc.write_text(
            f"{rc.read_text() if rc.exists() else ''}proxy_servers:\n  https:"
            f" {proxy.url}\nremote_max_retries: 0\n"
        )
        with pytest.raises(RequirementError, match="terms to be accepted"):
            asked(captain(tmp_path)).plan()
        before = list(proxy.asked)
        with pytest.raises(LockError, match="cannot be reached"):
            asked(captain(tmp_path, accept_conda_license=True)).plan()
        return before, proxy.asked[len(before) :]


def test_a_proxy_sees_anacondas_host_with_the_licence_only(tmp_path: Path) -> None:
    before, after = ask_with_and_without(
        tmp_path, lambda ours: ours.add_conda_packages("numpy", channel="defaults")
    )
    assert before == []
    assert set(after) == {"repo.anaconda.com:443"}


@pytest.mark.parametrize(
    ("rc", "host"),
    [
        ("channels: [defaults]\n", "repo.anaconda.com:443"),
        (
            "channels: [conda-forge]\nchannel_alias: https://repo.anaconda.com/pkgs\n",
            "repo.anaconda.com:443",
        ),
        ("channels: [mine]\ncustom_multichannels:\n  mine: [main]\n", "conda.anaconda.org:443"),
    ],
)
def test_so_it_is_through_condarc(tmp_path: Path, rc: str, host: str) -> None:
    (tmp_path / "home/.condarc").write_text(rc)
    before, after = ask_with_and_without(tmp_path, lambda ours: ours.add_conda_packages("numpy"))
    assert before == []
    assert set(after) == {host}


def test_so_it_is_through_an_environment_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forge: str
) -> None:
    path = tmp_path / "environment.yml"
    path.write_text("channels: [defaults]\ndependencies: [numpy]\n")
    before, after = ask_with_and_without(tmp_path, lambda ours: ours.add_environment(path))
    assert before == []
    assert "repo.anaconda.com:443" in after
    path.write_text(f"channels: [{forge}, nodefaults]\ndependencies: [numpy]\n")
    assert versions(captain(tmp_path).add_environment(path).plan().lock)["numpy"] == "2.4.6"
    path.write_text("channels: [defaults]\ndependencies: [numpy]\n")
    assert (
        versions(captain(tmp_path).add_environment(path, channels=[forge]).plan().lock)["numpy"]
        == "2.4.6"
    )


def test_the_default_channel_is_conda_forge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxying() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("CONDA_REMOTE_MAX_RETRIES", "0")
        with pytest.raises(LockError, match="cannot be reached") as caught:
            captain(tmp_path).add_conda_packages("numpy").plan()
    assert "https://conda.anaconda.org/conda-forge/" in caught.value.value
    assert set(proxy.asked) == {"conda.anaconda.org:443"}


# once is enough


class serving:  # noqa: N801  (a context manager)
    """A folder over http, or with a certificate over https; to those only who know the login or the
    token.
    """

    def __init__(
        self, folder: Path, *, login: str = "", token: str = "", certificate: Path | None = None
    ) -> None:
        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *args: Any) -> None:
                super().__init__(*args, directory=str(folder))

            def do_GET(self) -> None:
                if (
                    login
                    and self.headers.get("Authorization")
                    != f"Basic {b64encode(login.encode()).decode()}"
                ):
                    self.send_error(401)
                elif not self.path.startswith(f"/t/{token}/" if token else "/"):
                    self.send_error(403)
                else:
                    self.path = self.path.removeprefix(f"/t/{token}") if token else self.path
                    super().do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> str:
        self._thread.start()
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def test_what_was_solved_is_kept_and_serves_without_the_network(
    tmp_path: Path, forge: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDA_REMOTE_MAX_RETRIES", "0")
    with serving(Path(forge.removeprefix("file://")).parent) as url:
        there = f"{url}/forge"
        first = plan(tmp_path, "numpy", channel=[there])
    assert plan(tmp_path, "numpy", channel=[there]).lock == first.lock, "young: nobody is asked"
    monkeypatch.setenv("COFFEE_BOAT_LOCK_MAX_AGE", "0")
    aged = plan(tmp_path, "numpy", channel=[there])
    assert aged.lock.conda == first.lock.conda
    assert any(
        "earlier solution" in f.what and "cannot be reached" in f.cause for f in aged.findings
    )
    assert plan(tmp_path, "numpy", channel=[there], offline=True).lock.conda == first.lock.conda
    with pytest.raises(LockError):
        plan(tmp_path, "pandas", channel=[there])


def test_a_folder_that_changed_is_looked_at_again(tmp_path: Path) -> None:
    place = tmp_path / "folder"
    there = channel(place, *pythons(f"{MINOR}.1"))
    assert versions(plan(tmp_path, channel=[there]).lock) == {}
    assert versions(plan(tmp_path, "python", channel=[there]).lock)["python"] == f"{MINOR}.1"
    channel(place, *pythons(f"{MINOR}.1", f"{MINOR}.22"))
    assert versions(plan(tmp_path, "python", channel=[there]).lock)["python"] == f"{MINOR}.22"


def test_offline_says_what_is_lacking(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="the network is switched off"):
        plan(tmp_path, "numpy", channel=["conda-forge"], offline=True)


@pytest.mark.parametrize("name", ["COFFEE_BOAT_OFFLINE", "UV_OFFLINE"])
def test_the_variable_that_switched_the_network_off_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(LockError) as error:
        plan(tmp_path, "numpy", channel=["conda-forge"])
    assert error.value.code == "lock.channels-offline"
    assert f"run once without the variable {name}," in error.value.cure


def test_it_solves_where_an_event_loop_runs_already(tmp_path: Path, forge: str) -> None:
    async def cell() -> dict[str, str]:
        return versions(plan(tmp_path, "numpy", channel=[forge]).lock)

    assert asyncio.run(cell())["numpy"] == "2.4.6"


# while a session runs


def more(
    tmp_path: Path,
    aboard: Lock,
    *specs: str,
    channel: str,
    pip: Sequence[str] = (),
    wheels: Path | None = None,
) -> Lock:
    chosen, _ = settings.load(
        {
            "store": str(tmp_path / "store"),
            "offline": bool(pip) or None,
            "find_links": [str(wheels)] if wheels else None,
        }
    )
    asked = tuple(parse_conda(spec, origin="add_conda_packages") for spec in specs)
    wanted = Manifest(
        conda=asked,
        channels=(channel,),
        requirements=tuple(parse(text, origin="add_pip_packages") for text in pip),
    )
    return Pipeline(chosen, Store(tmp_path / "store"), target=aboard.target).lock_more(
        wanted, wanted, aboard, lambda _line: None
    )


def test_what_is_aboard_stays_as_it_is(tmp_path: Path, forge: str) -> None:
    aboard = plan(tmp_path, "numpy <2", channel=[forge]).lock
    assert versions(more(tmp_path, aboard, "scipy", "numpy", channel=forge)) == {
        "numpy": "1.26.4",
        "python": f"{MINOR}.4",
        "scipy": "1.11.0",
    }


def test_what_is_aboard_need_not_be_listed_any_more(tmp_path: Path, forge: str, lower: str) -> None:
    aboard = plan(tmp_path, "numpy <2", channel=[forge]).lock
    added = more(tmp_path, aboard, "only-there", channel=lower)
    assert versions(added) == {**versions(aboard), "only-there": "1.0"}
    assert [pin for pin in added.conda if pin.name != "only-there"] == list(aboard.conda)


def test_a_change_of_what_is_aboard_is_refused_and_named(tmp_path: Path, forge: str) -> None:
    aboard = plan(tmp_path, "numpy <2", channel=[forge]).lock
    with pytest.raises(LockError, match="an installed version would have to change") as caught:
        more(tmp_path, aboard, "pandas", channel=forge)
    assert "numpy 1.26.4 py_a (in the running session)" in caught.value.value
    assert "pandas (add_conda_packages)" in caught.value.value


def test_pip_goes_on_top_of_what_conda_brought_aboard(
    tmp_path: Path, wheels: Path, conda_channel: str
) -> None:
    aboard = plan(tmp_path, "pure=1", channel=[conda_channel]).lock
    added = more(tmp_path, aboard, channel=conda_channel, pip=["on-top"], wheels=wheels)
    assert [pin.name for pin in added.pins] == ["helper", "on-top"]
    assert versions(added) == versions(aboard)
    assert added.target == aboard.target
    with pytest.raises(LockError, match="does not go with the conda packages"):
        more(tmp_path, aboard, channel=conda_channel, pip=["wants-new"], wheels=wheels)


# credentials


def test_credentials_are_taken_from_where_rattler_keeps_them(
    tmp_path: Path, forge: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDA_REMOTE_MAX_RETRIES", "0")
    with serving(Path(forge.removeprefix("file://")).parent, login="me:hidden") as url:
        with pytest.raises(LockError, match="refused the credentials") as caught:
            plan(tmp_path, "numpy", channel=[f"{url}/forge"])
        assert "netrc" in caught.value.cure
        with pytest.raises(LockError, match="refused the credentials") as caught:
            plan(tmp_path, "numpy", channel=[url.replace("//", "//me:WRONG@") + "/forge"])
        assert "WRONG" not in str(caught.value)
        (tmp_path / "home/.netrc").write_text("machine 127.0.0.1 login me password hidden\n")
        assert versions(plan(tmp_path, "numpy", channel=[f"{url}/forge"]).lock)["numpy"] == "2.4.6"


def test_a_token_in_a_channels_path_is_used_and_hidden(tmp_path: Path, forge: str) -> None:
    with serving(Path(forge.removeprefix("file://")).parent, token="SECRET") as url:
        made = plan(tmp_path, "numpy", channel=[f"{url}/t/SECRET/forge"])
    assert versions(made.lock)["numpy"] == "2.4.6"
    assert {pin.url.partition("/forge")[0] for pin in made.lock.conda} == {url}
    assert "SECRET" not in f"{made}{made!r}"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_authorities_of_a_company_are_believed_where_condarc_says_so(
    tmp_path: Path, forge: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("CONDA_REMOTE_MAX_RETRIES", "0")
    authority = tmp_path / "authority.pem"
    with serving(
        Path(forge.removeprefix("file://")).parent, certificate=certificate(tmp_path, authority)
    ) as url:
        with pytest.raises(LockError, match="certificate of a channel is not trusted") as caught:
            plan(tmp_path, "numpy", channel=[f"{url}/forge"])
        assert "ssl_verify" in caught.value.cure
        for said in (str(authority), "false"):
            (tmp_path / "home/.condarc").write_text(f"ssl_verify: {said}\n")
            assert (
                versions(
                    captain(tmp_path / said.strip("/"))
                    .add_conda_packages("numpy", channel=f"{url}/forge")
                    .plan()
                    .lock
                )["numpy"]
                == "2.4.6"
            )


def test_the_certificates_of_a_company_are_no_variable_of_the_users(
    tmp_path: Path, forge: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python tells hooks of each change of the environment, a moment before it is made."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    (tmp_path / "home/.condarc").write_text(f"ssl_verify: {certifi.where()}\n")
    changes: list[tuple[str, str | None]] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event in ("os.putenv", "os.unsetenv") and arguments[0] == b"SSL_CERT_FILE":
            changes.append((event, os.environ.get("SSL_CERT_FILE")))

    watching = [True]
    sys.addaudithook(hook)  # for as long as the process lives
    try:
        client.client(Configuration(ssl_verify=certifi.where()))
    finally:
        watching.clear()
    assert versions(plan(tmp_path, "numpy", channel=[forge]).lock)["numpy"] == "2.4.6"
    assert changes
    assert set(changes) == {("os.putenv", None), ("os.unsetenv", None)}
    said = subprocess.check_output(["env"], text=True)
    assert not any(line.startswith("SSL_CERT_FILE=") for line in said.splitlines())


def certificate(folder: Path, authority: Path) -> Path:
    """Key and certificate of 127.0.0.1 in one file, signed by an authority that nobody knows."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "authority.key",
        "-out",
        str(authority),
        "-days",
        "2",
        "-subj",
        "/CN=authority",
    )
    openssl(
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "server.key",
        "-out",
        "server.csr",
        "-subj",
        "/CN=server",
    )
    signed = [
        "-CA",
        str(authority),
        "-CAkey",
        "authority.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        "extensions",
        "-out",
        "server.pem",
    ]
    openssl("x509", "-req", "-in", "server.csr", *signed)
    both = folder / "both.pem"
    both.write_text((folder / "server.key").read_text() + (folder / "server.pem").read_text())
    return both


# conda below, pip on top


def mixed(tmp_path: Path, conda: Sequence[str], pip: Sequence[str], *, channel: str) -> Captain:
    ours = captain(tmp_path, find_links=[str(tmp_path / "wheels")], offline=True)
    return ours.add_conda_packages(*conda, channel=channel).add_pip_packages(*pip)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    small_packages.wheel(folder, "on-top", "1.0", ["pure<2", "helper"])
    small_packages.wheel(folder, "helper", "1.0")
    small_packages.wheel(folder, "pure", "1.5")
    small_packages.wheel(folder, "wants-new", "1.0", ["pure>=3"])
    small_packages.wheel(folder, "wants-other-name", "1.0", ["pypi-name"])
    small_packages.wheel(folder, "pypi-name", "9.0")
    return folder


def test_what_conda_brings_is_not_brought_by_pip(
    tmp_path: Path, wheels: Path, conda_channel: str
) -> None:
    ours = mixed(tmp_path, ["pure=1"], ["on-top", "pure"], channel=conda_channel)
    assert [pin.name for pin in ours.plan().lock.pins] == ["helper", "on-top"]
    assert versions(ours.lock)["pure"] == "1.1"


def test_a_source_distribution_on_top_is_bound_as_well(
    tmp_path: Path, wheels: Path, conda_channel: str
) -> None:
    project = small_packages.project(tmp_path / "project", "from-source", "1.0", ["pure", "helper"])
    ours = mixed(tmp_path, ["pure=1"], [str(project)], channel=conda_channel)
    assert [pin.name for pin in ours.plan().lock.pins] == ["from-source", "helper"]


@pytest.mark.parametrize(
    ("pip", "side"),
    [
        ("wants-new", "wants-new"),
        ("pure>=3", "pure>=3 (add_pip_packages)"),
        ("pure==1.5", "pure==1.5 (add_pip_packages)"),
    ],
)
def test_what_cannot_go_together_names_both_sides(
    tmp_path: Path, wheels: Path, conda_channel: str, pip: str, side: str
) -> None:
    with pytest.raises(LockError, match="does not go with the conda packages") as caught:
        mixed(tmp_path, ["pure=1"], [pip], channel=conda_channel).plan()
    assert "of conda: pure 1.1" in caught.value.value
    assert side in caught.value.value
    assert "/tmp" not in caught.value.value.replace(str(wheels), "")


def test_a_file_of_what_conda_brings_is_refused(
    tmp_path: Path, wheels: Path, conda_channel: str
) -> None:
    with pytest.raises(LockError, match="does not go with the conda packages"):
        mixed(
            tmp_path, ["pure=1"], [str(next(wheels.glob("pure-*.whl")))], channel=conda_channel
        ).plan()


def test_the_names_in_the_packages_count(tmp_path: Path, wheels: Path) -> None:
    import conda_channel as channels

    there = channels.fill(
        tmp_path / "named", channels.module("conda-name", "1.0", distribution="pypi_name")
    )
    bottom = channel(tmp_path / "bottom", *pythons(f"{MINOR}.4"))
    ours = (
        captain(tmp_path, find_links=[str(wheels)], offline=True)
        .add_conda_packages("conda-name", channel=[there, bottom])
        .add_pip_packages("wants-other-name")
    )
    assert [pin.name for pin in ours.plan().lock.pins] == ["wants-other-name"]
    assert next(pin for pin in ours.plan().lock.conda if pin.name == "conda-name").provides == (
        "pypi-name==1.0",
    )


def test_packages_of_a_server_are_looked_into_without_keeping_them(
    tmp_path: Path, wheels: Path, conda_channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COFFEE_BOAT_NO_INDEX", "1")
    with serving(Path(conda_channel.removeprefix("file://"))) as url:
        ours = (
            captain(tmp_path, find_links=[str(wheels)])
            .add_conda_packages("pure=1", channel=url)
            .add_pip_packages("on-top")
        )
        made = ours.plan()
    assert next(pin for pin in made.lock.conda if pin.name == "pure").provides == ("pure==1.1",)
    assert not [f for f in made.findings if "same name" in f.what]


def test_a_package_that_cannot_be_looked_into_is_taken_by_its_name(
    tmp_path: Path, wheels: Path, forge: str
) -> None:
    made = mixed(tmp_path, ["pure"], ["on-top"], channel=forge).plan()
    assert [pin.name for pin in made.lock.pins] == ["helper", "on-top"]
    assert any(
        "taken for the distributions of the same name" in f.what and "pure" in f.value
        for f in made.findings
    )


def test_extras_of_what_conda_brings_are_named(
    tmp_path: Path, wheels: Path, conda_channel: str
) -> None:
    made = mixed(tmp_path, ["pure=1"], ["pure[all]"], channel=conda_channel).plan()
    assert any(f.code == "lock.extras-not-taken" and "pure[all]" in f.value for f in made.findings)


def test_distributions_are_read_off_their_folders() -> None:
    below = "lib/python3.11/site-packages/"
    paths = [
        f"{below}scikit_learn-1.5.0.dist-info/METADATA",
        f"{below}Old.Name-1.0-py3.11.egg-info/PKG-INFO",
        "site-packages/x_y-2.0.dist-info/RECORD",
        f"{below}numpy/__init__.py",
        f"{below}of-old-3.0+cu121.dist-info/METADATA",
    ]
    assert distributions(paths) == (
        "of-old==3.0+cu121",
        "old-name==1.0",
        "scikit-learn==1.5.0",
        "x-y==2.0",
    )


def test_pyspark_of_conda_is_not_taken(tmp_path: Path, forge: str) -> None:
    made = plan(tmp_path, "pyspark >=3.5", "pure", channel=[forge])
    assert "pyspark" not in versions(made.lock)
    assert any("pyspark is not taken" in f.what for f in made.findings)


# the doors


def test_boat_check_tells_what_conda_needs(tmp_path: Path, forge: str) -> None:
    from click.testing import CliRunner

    from coffee_boat.cli.main import boat

    (tmp_path / "home/.condarc").write_text(f"channels: [{forge}]\n")
    done = CliRunner().invoke(
        boat, ["check", "--conda", "numpy", "--store", str(tmp_path / "store")]
    )
    assert f"channels {forge}" in done.stdout
    assert "1 requirements can be read" in done.stdout


def test_the_command_line_has_the_same_words(
    tmp_path: Path, forge: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from coffee_boat.cli.main import boat

    (tmp_path / "environment.yml").write_text("channels: [defaults]\ndependencies: [pure]\n")
    words = [
        "plan",
        "--json",
        "--conda",
        "numpy >=2",
        "--environment",
        str(tmp_path / "environment.yml"),
        "--store",
        str(tmp_path / "store"),
    ]
    done = CliRunner().invoke(boat, [*words, "--channel", forge])
    assert done.exit_code == 0, done.output
    assert [pin["name"] for pin in json.loads(done.stdout)["lock"]["conda"]] == [
        "numpy",
        "pure",
        "python",
    ]
    refused = CliRunner().invoke(boat, words)
    assert refused.exit_code == 3
    assert "terms to be accepted" in refused.stderr
    with proxying() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("CONDA_REMOTE_MAX_RETRIES", "0")
        assert CliRunner().invoke(boat, [*words, "--accept-conda-license"]).exit_code == 3
    assert set(proxy.asked) == {"repo.anaconda.com:443"}
