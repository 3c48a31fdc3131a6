"""Anaconda's own channels: whose terms go with which channel."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from coffee_boat._support.redact import redact
from coffee_boat.conda.channels import Channel
from coffee_boat.errors import RequirementError

_ANACONDAS_HOSTS = {"repo.anaconda.com", "repo.anaconda.cloud", "repo.continuum.io"}
_MIRRORING_HOSTS = {"conda.anaconda.org", "anaconda.org", "api.anaconda.org"}
"""Anybody's channels, and among them Anaconda's own under these names:"""
_ANACONDAS_NAMES = {
    "main",
    "r",
    "msys2",
    "anaconda",
    "defaults",
    "free",
    "pro",
    "archive",
    "mro",
    "mro-archive",
    "pkgs",
}


def needs_license(channel: Channel) -> bool:
    """True for Anaconda's own channels: their use is subject to its terms of service."""
    return is_anacondas(channel.url)


def is_anacondas(url: str) -> bool:
    """True if what lies at a URL is Anaconda's own: on its hosts, or its channels on
    anaconda.org.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    if host in _ANACONDAS_HOSTS:
        return True
    steps = [step for step in posixpath.normpath(unquote(parts.path)).split("/") if step]
    steps = steps[2:] if steps[:1] == ["t"] else steps
    return host in _MIRRORING_HOSTS and bool(steps) and steps[0].lower() in _ANACONDAS_NAMES


def refuse_unlicensed(found: Iterable[Channel], *, accepted: bool) -> None:
    """Raise for channels of Anaconda's, unless its terms were accepted.

    Raises:
        RequirementError: which channel, why, and the two ways out.
    """
    ours = [channel for channel in found if needs_license(channel)]
    if not ours or accepted:
        return
    named = ", ".join(
        dict.fromkeys(
            (
                f"{redact(channel.asked)} ({channel.public})"
                if channel.asked != channel.name
                else channel.name
            )
            for channel in ours
        )
    )
    raise RequirementError(
        "requirements.terms-not-accepted",
        "a channel of Anaconda's needs its terms to be accepted",
        value=named,
        cause=(
            "Anaconda's own channels (defaults, main, r, msys2, anaconda) are free of charge for"
            " some only: https://www.anaconda.com/legal"
        ),
        cure=(
            "accept them: Captain(accept_conda_license=True) or COFFEE_BOAT_ACCEPT_CONDA_LICENSE=1;"
            " or go on without it, as most do: take the channel out of the list, or name those that"
            ' are to be used: channel="conda-forge", add_environment(path,'
            ' channels=["conda-forge"]), --channel conda-forge'
        ),
    )
