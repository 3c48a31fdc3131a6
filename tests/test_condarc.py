"""conda's own configuration: where it lies, how its parts are joined, and what a channel's name
means by it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from coffee_boat.conda import client, condarc, licence
from coffee_boat.conda import configuration as conda_configuration
from coffee_boat.conda.channels import Channel, channels, with_secrets, without_secrets
from coffee_boat.conda.condarc import configured
from coffee_boat.conda.configuration import Configuration
from coffee_boat.conda.licence import is_anacondas, refuse_unlicensed
from coffee_boat.errors import RequirementError, SettingsError
from coffee_boat.settings import Settings

pytestmark = pytest.mark.once


def say(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def urls(*names: str, configuration: Configuration = Configuration()) -> list[str]:  # noqa: B008
    return [channel.url for channel in channels(names, configuration)]


# where it is said


def test_the_search_path_is_condas(tmp_path: Path) -> None:
    home, root, prefix = tmp_path / "home", tmp_path / "root", tmp_path / "prefix"
    places = [
        root / ".condarc",
        root / "condarc.d/a.yml",
        home / ".config/conda/.condarc",
        home / ".conda/condarc",
        home / ".condarc",
        prefix / ".condarc",
        tmp_path / "named",
    ]
    for number, place in enumerate(places):
        say(
            place.parent,
            place.name,
            f"channels: [c{number}]\nchannel_alias: https://host{number}\n",
        )
    environ = {
        "HOME": str(home),
        "CONDA_ROOT": str(root),
        "CONDA_PREFIX": str(prefix),
        "CONDARC": str(tmp_path / "named"),
    }
    said = condarc.load(environ)
    assert [name for name in said.channels if name.startswith("c")] == [
        "c6",
        "c5",
        "c4",
        "c3",
        "c2",
        "c1",
        "c0",
    ]
    assert said.channel_alias == "https://host6"
    assert said.files[: len(places)] == tuple(map(str, reversed(places)))


def test_xdg_config_home_and_an_active_condas_root_are_looked_at(tmp_path: Path) -> None:
    say(tmp_path / "xdg/conda", "condarc", "channels: [xdg]\n")
    say(tmp_path / "miniforge", ".condarc", "channels: [root]\n")
    said = condarc.load(
        {
            "HOME": str(tmp_path / "home"),
            "XDG_CONFIG_HOME": str(tmp_path / "xdg"),
            "CONDA_EXE": str(tmp_path / "miniforge/bin/conda"),
        }
    )
    assert said.channels == ("xdg", "root")


def test_variables_are_stronger_than_files(tmp_path: Path) -> None:
    named = say(
        tmp_path,
        "rc",
        "channels: [file]\nchannel_priority: disabled\noffline: false\nssl_verify:"
        " true\nremote_max_retries: 5\n",
    )
    environ = {
        "HOME": str(tmp_path),
        "CONDARC": str(named),
        "CONDA_CHANNELS": "a, b",
        "CONDA_CHANNEL_PRIORITY": "flexible",
        "CONDA_OFFLINE": "1",
        "CONDA_SSL_VERIFY": "no",
    }
    said = condarc.load({**environ, "CONDA_OVERRIDE_CUDA": "12.4"})
    assert said.channels == ("a", "b", "file")
    assert (
        said.channel_priority,
        said.offline,
        said.ssl_verify,
        said.retries,
        dict(said.overrides),
    ) == ("flexible", True, False, 5, {"cuda": "12.4"})


def test_without_a_word_priority_is_strict_and_defaults_are_anacondas(tmp_path: Path) -> None:
    said = condarc.load({"HOME": str(tmp_path)})
    assert (said.channels, said.channel_priority, said.default_channels) == (
        (),
        "strict",
        conda_configuration.ANACONDAS_DEFAULTS,
    )


def test_flags_behind_values_are_heeded(tmp_path: Path) -> None:
    say(
        tmp_path / "root",
        ".condarc",
        "channel_alias: https://mirror  #!final\nchannels:\n  - first  #!top\n  - last "
        " #!bottom\nproxy_servers:  #!final\n  https: http://ours\n",
    )
    say(
        tmp_path,
        ".condarc",
        "channel_alias: https://elsewhere\nchannels: [mine]\nproxy_servers:\n  https:"
        " http://theirs\n",
    )
    said = condarc.load({"HOME": str(tmp_path), "CONDA_ROOT": str(tmp_path / "root")})
    assert said.channels == ("first", "mine", "last")
    assert said.channel_alias == "https://mirror"
    assert said.proxy_servers == {"https": "http://ours"}


def test_a_final_list_takes_no_more(tmp_path: Path) -> None:
    say(tmp_path / "root", ".condarc", "channels: #!final\n  - ours\n")
    say(tmp_path, ".condarc", "channels: [theirs]\n")
    assert condarc.load(
        {"HOME": str(tmp_path), "CONDA_ROOT": str(tmp_path / "root"), "CONDA_CHANNELS": "more"}
    ).channels == ("ours",)


def test_maps_are_joined_and_variables_in_values_replaced(tmp_path: Path) -> None:
    say(
        tmp_path / "root", ".condarc", "custom_channels:\n  corp: https://old\n  lab: https://lab\n"
    )
    say(
        tmp_path,
        ".condarc",
        "custom_channels:\n  corp: https://$USER_NAME:${PASS_WORD}@new\ncustom_multichannels:\n "
        " all: [corp, conda-forge]\n",
    )
    said = condarc.load(
        {
            "HOME": str(tmp_path),
            "CONDA_ROOT": str(tmp_path / "root"),
            "USER_NAME": "me",
            "PASS_WORD": "hidden",
        }
    )
    assert said.custom_channels == {"corp": "https://me:hidden@new", "lab": "https://lab"}
    assert said.custom_multichannels == {"all": ("corp", "conda-forge")}
    assert "hidden" not in repr(said)


@pytest.mark.parametrize(
    "text",
    [
        "channels: [a\n",
        "- a\n",
        "channel_priority: sometimes\n",
        "channel_alias: host.without.scheme\n",
        "offline: perhaps\n",
        "custom_channels: [a]\n",
        "channels: [[a]]\n",
    ],
)
def test_what_cannot_be_is_refused_with_its_file(tmp_path: Path, text: str) -> None:
    named = say(tmp_path, "rc", text)
    with pytest.raises(SettingsError) as caught:
        condarc.load({"HOME": str(tmp_path), "CONDARC": str(named)})
    assert str(named) in caught.value.value


def test_settings_go_over_it(tmp_path: Path) -> None:
    from coffee_boat.model import Indexes

    environ = {"HOME": str(tmp_path)}
    said = configured(
        Settings(indexes=Indexes(offline=True, proxy="http://proxy", cert="/ca.pem")),
        environ=environ,
    )
    assert (said.offline, said.proxy_servers, said.ssl_verify) == (
        True,
        {"http": "http://proxy", "https": "http://proxy"},
        "/ca.pem",
    )


# what a name means


def test_names_are_looked_up_as_conda_does(tmp_path: Path) -> None:
    configuration = Configuration(
        channel_alias="https://mirror/conda",
        custom_channels={
            "corp": "https://corp.example/channels",
            "corp/dev": "https://dev.example",
        },
        custom_multichannels={"all": ("corp-extra", "https://direct/one")},
        default_channels=("https://mirror/main",),
    )
    assert urls("conda-forge", configuration=configuration) == ["https://mirror/conda/conda-forge/"]
    assert urls("conda-forge/label/dev", configuration=configuration) == [
        "https://mirror/conda/conda-forge/label/dev/"
    ]
    assert urls("corp", "corp/label/x", "corp/dev", configuration=configuration) == [
        "https://corp.example/channels/corp/",
        "https://corp.example/channels/corp/label/x/",
        "https://dev.example/corp/dev/",
    ]
    assert urls("all", configuration=configuration) == [
        "https://mirror/conda/corp-extra/",
        "https://direct/one/",
    ]
    assert urls("defaults", configuration=configuration) == ["https://mirror/main/"]
    assert urls("pkgs/main", configuration=configuration) == [
        "https://repo.anaconda.com/pkgs/main/"
    ]
    assert urls("nodefaults") == []
    assert urls(
        "conda-forge",
        "https://conda.anaconda.org/conda-forge/",
        "https://conda.anaconda.org/conda-forge/linux-64",
    ) == ["https://conda.anaconda.org/conda-forge/"]
    assert urls(str(tmp_path / "a b")) == [f"{tmp_path.as_uri()}/a%20b/"]


@pytest.mark.parametrize("name", ["", "two words", "gopher://host/x", "https:///nohost"])
def test_what_is_no_channel_is_refused(name: str) -> None:
    with pytest.raises(RequirementError, match="not a channel"):
        channels([name], Configuration())


def test_lists_of_what_is_allowed_are_heeded() -> None:
    with pytest.raises(RequirementError, match="forbidden"):
        channels(["bioconda"], Configuration(allowlist=("conda-forge",)))
    with pytest.raises(RequirementError, match="forbidden"):
        channels(["bioconda"], Configuration(denylist=("bioconda",)))
    assert urls(
        "conda-forge",
        configuration=Configuration(allowlist=("conda-forge",), denylist=("bioconda",)),
    )


def test_credentials_are_kept_for_fetching_only() -> None:
    place = channels(["https://user:hidden@host/t/TOKEN/corp"], Configuration())[0]
    assert (place.name, place.public, place.url) == (
        "https://host/corp",
        "https://host/corp/",
        "https://user:hidden@host/t/TOKEN/corp/",
    )
    assert "hidden" not in repr(place)
    assert (
        with_secrets("https://host/corp/noarch/a.conda", [place])
        == "https://user:hidden@host/t/TOKEN/corp/noarch/a.conda"
    )
    assert (
        with_secrets("https://host/corporation/a.conda", [place])
        == "https://host/corporation/a.conda"
    )
    assert without_secrets("https://host/api/t/TOKEN/corp") == "https://host/api/corp"
    assert without_secrets("file:///home/t/corp") == "file:///home/t/corp"


@pytest.mark.parametrize("place", ["file:///.chan/x", "file:///.chan/./y/../x/", "/.chan/x"])
def test_a_folder_that_begins_with_a_dot_keeps_it(place: str) -> None:
    assert urls(place) == ["file:///.chan/x/"]


# whose it is


@pytest.mark.parametrize(
    "name",
    [
        "defaults",
        "main",
        "r",
        "msys2",
        "anaconda",
        "anaconda/label/dev",
        "pkgs/main",
        "pkgs/r",
        "free",
        "https://repo.anaconda.com/pkgs/main",
        "http://REPO.Anaconda.COM:80/pkgs/r/linux-64",
        "https://repo.anaconda.com./pkgs/main",
        "https://user:word@repo.anaconda.com/t/TOKEN/pkgs/main",
        "https://repo.continuum.io/pkgs/main",
        "https://repo.anaconda.cloud/repo/main",
        "https://conda.anaconda.org/main",
        "https://conda.anaconda.org/t/TOKEN/anaconda",
        "https://conda.anaconda.org/t/TOKEN.x/main",
        "https://conda.anaconda.org\\main",
        "https://conda.anaconda.org/m%61in",
        "https://conda.anaconda.org//main",
        "https://conda.anaconda.org/conda-forge/../main",
        "https://conda.anaconda.org/Main",
        "https://anaconda.org/anaconda",
    ],
)
def test_anacondas_own_channels_need_their_terms_accepted(name: str) -> None:
    found = channels([name], Configuration())
    assert all(licence.needs_license(channel) for channel in found)
    with pytest.raises(RequirementError) as caught:
        refuse_unlicensed(found, accepted=False)
    assert "accept_conda_license=True" in caught.value.cure
    assert "conda-forge" in caught.value.cure
    assert "TOKEN" not in str(caught.value)
    refuse_unlicensed(found, accepted=True)


@pytest.mark.parametrize(
    "name",
    [
        "conda-forge",
        "bioconda",
        "rapidsai",
        "https://conda.anaconda.org/maintainers",
        "https://mirror.example/repo.anaconda.com/pkgs/main",
        "https://repo.prefix.dev/main",
    ],
)
def test_others_channels_need_nothing(name: str) -> None:
    refuse_unlicensed(channels([name], Configuration()), accepted=False)


@pytest.mark.parametrize(
    ("configuration", "name"),
    [
        (Configuration(channel_alias="https://repo.anaconda.com/pkgs"), "innocent"),
        (Configuration(custom_channels={"innocent": "https://repo.anaconda.com/pkgs"}), "innocent"),
        (Configuration(custom_multichannels={"innocent": ("conda-forge", "main")}), "innocent"),
        (
            Configuration(
                custom_multichannels={"conda-forge": ("https://repo.anaconda.com/pkgs/main",)}
            ),
            "conda-forge",
        ),
        (Configuration(default_channels=("https://repo.anaconda.com/pkgs/msys2",)), "defaults"),
    ],
)
def test_what_a_name_leads_to_counts(configuration: Configuration, name: str) -> None:
    with pytest.raises(RequirementError, match="terms") as caught:
        refuse_unlicensed(channels([name], configuration), accepted=False)
    assert "anaconda" in caught.value.value


def test_defaults_that_are_a_companys_own_mirror_need_nothing() -> None:
    configuration = Configuration(
        default_channels=("https://mirror.example/main",), channel_alias="https://mirror.example"
    )
    refuse_unlicensed(channels(["defaults", "main", "r"], configuration), accepted=False)


def test_a_record_that_lies_elsewhere_is_seen() -> None:
    assert is_anacondas("https://repo.anaconda.com/pkgs/main/linux-64/numpy-1.0-0.conda")
    assert not is_anacondas(Channel("x", "https://mirror/", "x").url)


# rattler's coroutines

INTERRUPTED = """
import asyncio, os, signal, sys, threading, time
from coffee_boat.conda import client

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell put into the background

async def work():
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        await asyncio.sleep(60)
    finally:
        time.sleep(0.3)  # it ends what it is at
        print("the coroutine has ended", flush=True)

async def cell():
    try:
        client.wait(work)
    except KeyboardInterrupt:
        print("interrupted", flush=True)

asyncio.new_event_loop().run_until_complete(cell())  # as a notebook's kernel: asyncio.run has a SIGINT of its own
"""  # noqa: E501


def test_ctrl_c_in_a_notebook_goes_on_when_what_it_interrupted_has_ended() -> None:
    root = Path(__file__).resolve().parent.parent
    ran = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert ran.stdout.splitlines() == ["the coroutine has ended", "interrupted"]


def test_a_coroutine_gives_its_result_and_its_error_also_where_a_loop_runs() -> None:
    import asyncio

    async def three() -> int:
        return 3

    async def fails() -> int:
        raise RequirementError("lock.no-such-package", "no such package")

    async def cell() -> int:
        with pytest.raises(RequirementError, match="no such package"):
            client.wait(fails)
        return client.wait(three)

    assert (asyncio.run(cell()), client.wait(three)) == (3, 3)


def test_a_home_that_nobody_knows_is_no_place(tmp_path: Path) -> None:
    made = condarc.load({"HOME": str(tmp_path), "CONDARC": "~nobody-knows/condarc"})
    assert made.files == ()
    [channel] = channels(["~nobody-knows/channel"], made)
    assert channel.url == f"{(Path.cwd() / '~nobody-knows/channel').as_uri()}/"
