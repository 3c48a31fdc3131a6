"""The solver's and the client's words, with the usual cause and what to type."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from coffee_boat._support import network
from coffee_boat._support.redact import redact
from coffee_boat._support.store import Store
from coffee_boat._support.words import human_bytes, shortened
from coffee_boat.conda import apart, asked
from coffee_boat.conda import client as conda_client
from coffee_boat.conda.channels import Channel
from coffee_boat.conda.configuration import Configuration
from coffee_boat.conda.request import Wish, subdir
from coffee_boat.errors import LockError, Problem, UnreachableError

_LONGEST = 20_000
"""Characters of what rattler says: it quotes channels."""

_BUILD = re.compile(r"[= ]\w{1,64}_\d{1,4}$")
_KNOWN = ("defaults", "conda-forge", "bioconda", "nvidia", "pytorch", "anaconda", "main", "msys2")
"""Channels that most lists name."""
_EXPORTED = 3
"""So many builds are pinned by nobody who types."""

# what went wrong


def unreachable(text: str, places: Iterable[Channel], configuration: Configuration) -> LockError:
    """The error that rattler's words about a channel stand for."""
    value = redact(
        " / ".join(
            line.removeprefix("Caused by: ")
            for line in shortened(text, _LONGEST).splitlines()
            if line
        )
    )
    named = ", ".join(place.name for place in places)
    if "no usable repodata cache" in text or "offline" in text.lower():
        cause = "offline, and the store does not know what they list"
        return UnreachableError(
            "lock.channels-offline",
            "the network is switched off, and the channels are not known here",
            value=named,
            cause=cause,
            cure=f"{network.again()}, or name a channel in a folder",
        )
    if re.search(r"\b40[13]\b|Unauthorized|Forbidden", text):
        cure = (
            "put user and password into ~/.netrc, a token into the channel's URL"
            " (https://host/t/TOKEN/channel), or log in with `pixi auth login`"
        )
        return LockError(
            "lock.channel-refused-credentials",
            "a channel refused the credentials",
            value=value,
            cause="they are missing, wrong or expired",
            cure=cure,
        )
    if re.search(r"could not find subdir|\b404\b|No such file", text):
        return LockError(
            "lock.no-such-channel",
            "no such channel",
            value=value,
            cause=f"it has no list of packages there; asked were {named}",
            cure=f"{_nearest(places, configuration)}; a name is looked up under channel_alias of"
            " .condarc",
        )
    if "(os error 27)" in text:
        return LockError(
            "lock.channel-list-too-large",
            "a channel's list of packages is larger than is read",
            value=value,
            cause=f"more than {human_bytes(apart.BOUNDS.file)}: its server may not stop",
            cure=f"leave out a channel at a time, to see which one it is; asked were {named}",
        )
    if re.search(r"certificate|UnknownIssuer", text):
        cure = (
            "name the company's authorities: `ssl_verify: /path/to/company-ca.pem` in .condarc, or"
            " export SSL_CERT_FILE"
        )
        return UnreachableError(
            "lock.channel-certificate-untrusted",
            "the certificate of a channel is not trusted",
            value=value,
            cause="a company's proxy signs with its own authority",
            cure=cure,
        )
    cure = (
        "`proxy_servers` in .condarc or HTTPS_PROXY names a proxy; `channel_alias` a mirror; a"
        ' channel may also be a folder: channel="file:///folder"'
    )
    cause = (
        "no network here, a proxy that is not set, or a wrong host"
        f" name{' (proxy_servers is set)' if configuration.proxy_servers else ''}"
    )
    return UnreachableError(
        "lock.channel-unreachable",
        "a channel cannot be reached",
        value=value,
        cause=cause,
        cure=cure,
    )


def _nearest(places: Iterable[Channel], configuration: Configuration) -> str:
    """What to do about a name that is no channel's."""
    asked_for = {place.asked for place in places}
    known = {*_KNOWN, *configuration.custom_channels, *configuration.custom_multichannels}
    near = {
        name: close[0]
        for name in sorted(asked_for - known)
        if (close := difflib.get_close_matches(name, sorted(known), n=1))
    }
    if not near:
        return "check its name"
    return "; ".join(f"did you mean {close}, not {name}?" for name, close in near.items())


def unsolvable(text: str, wish: Wish, store: Store) -> LockError:
    """The solver's words, who asked for what they name, and what to type."""
    told = cleaned(redact(shortened(text, _LONGEST)))
    named = [
        line
        for name, line in _asked(wish)
        if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", told)
    ]
    value = "\n".join(
        [
            told,
            *(f"  asked for: {line}" for line in named),
            (
                f"  for Python {wish.minor} on {subdir(wish.target)}, channels"
                f" {', '.join(c.name for c in wish.channels)}"
            ),
        ]
    )
    reason = _reason(told, wish, store)
    return LockError.of(replace(reason, value=value, cure=_without_builds(wish) + reason.cure))


def _without_builds(wish: Wish) -> str:
    """What to do where the file that was exported pins builds; empty if none is pinned."""
    pinned = [r.text for r in wish.requirements if _BUILD.search(r.text)]
    if len(pinned) < _EXPORTED:
        return ""
    return (
        f"if it was exported on another system ({pinned[0]} is a build of one): conda env export"
        " --no-builds, or --from-history; else "
    )


def _asked(wish: Wish) -> Iterator[tuple[str, str]]:
    for r in wish.requirements:
        yield r.name, f"{redact(r.channel) + '::' if r.channel else ''}{r.text} ({r.origin})"
    if not any(r.text == wish.python for r in wish.requirements):
        yield "python", f"{wish.python} (the driver's minor version, or python= of the Captain)"
    for pin in wish.aboard:
        yield pin.name, f"{pin.name} {pin.version} {pin.build} (in the running session)"


def cleaned(text: str) -> str:
    """The solver's explanation without its headline and without the lines that it says several
    times.
    """
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    lines[0] = lines[0].removeprefix("Cannot solve the request because of: ")
    kept: dict[str, str] = {}
    for line in lines:
        kept.setdefault(line.strip("├└─│ "), line)
    return "\n".join(kept.values())


def _reason(told: str, wish: Wish, store: Store) -> Problem:
    """What happened, the usual cause, and what to type."""
    if found := re.search(r"__(\w+)", _line_with("no candidates were found", told)):
        cure = (
            'say what the nodes are: platform="manylinux_2_28_x86_64" for glibc,'
            f" CONDA_OVERRIDE_{found[1].upper()}=... for others"
        )
        return Problem(
            "lock.conda-not-for-nodes",
            "a conda package does not run on the nodes",
            cause=f"it needs a __{found[1]} that they do not have, as far as it was told",
            cure=cure,
        )
    if found := re.search(r"No candidates were found for (\S+)", told):
        if found[1] == "python":
            return Problem(
                "lock.channels-without-python",
                "the channels have no python",
                cause="conda's python is the environment's interpreter",
                cure="name a channel that has it too: --channel conda-forge",
            )
        cause = (
            "the name is misspelt, or it lies in another channel, or has no build for these nodes"
        )
        return Problem(
            "lock.no-such-conda-package",
            "no such conda package",
            cause=cause,
            cure=(
                "check the name; name its channel; or, if PyPI has it,"
                f" captain.add_pip_packages({found[1].split('[')[0]!r})"
            ),
        )
    if "is locked, but another version is required" in told:
        return Problem(
            "lock.version-would-change",
            "an installed version would have to change",
            cause="a live session keeps what its workers have imported",
            cure="ask for what goes with what is installed; or start the session anew",
        )
    if wish.configuration.channel_priority == "strict" and (lower := _if_flexible(wish, store)):
        cause = (
            "a name is taken from the first channel that has it (strict channel priority); a lower"
            f" one would serve: {lower}"
        )
        return Problem(
            "lock.no-conda-solution",
            "no set of conda packages serves all requirements",
            cause=cause,
            cure=(
                "put that channel first, or set CONDA_CHANNEL_PRIORITY=flexible (or"
                " channel_priority in .condarc)"
            ),
        )
    return Problem(
        "lock.no-conda-solution",
        "no set of conda packages serves all requirements",
        cause="two of them exclude each other",
        cure="loosen one of those that the text above names",
    )


def _if_flexible(wish: Wish, store: Store) -> str:
    """What would come from lower channels if that were allowed; empty if it would not help."""
    places = wish.channels
    if len(places) < 2:
        return ""
    module = conda_client.rattler()
    try:
        pins = asked.chosen(wish, store, flexible=True)
    except (module.exceptions.SolverError, module.exceptions.GatewayError, LockError):
        return ""
    return (
        ", ".join(
            f"{pin.channel}::{pin.name} {pin.version}"
            for pin in pins
            if pin.channel != places[0].name and pin.requested
        )
        or "for what they need"
    )


def _line_with(words: str, told: str) -> str:
    return next((line for line in told.splitlines() if words in line), "")
