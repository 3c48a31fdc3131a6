"""What is asked of conda's solver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from coffee_boat._support.digest import digest_of, file_state
from coffee_boat._support.files import is_dir
from coffee_boat.conda import channels
from coffee_boat.conda import client as conda_client
from coffee_boat.conda import configuration as conda_configuration
from coffee_boat.conda.channels import Channel
from coffee_boat.conda.configuration import Configuration
from coffee_boat.model import CondaPin, CondaRequirement, Manifest, Target
from coffee_boat.spark import packages

if TYPE_CHECKING:
    from rattler.platform.subdir import SubdirLiteral


_LAYOUT = 4
"""Of what is remembered: another number forgets all."""

_SUBDIRS = {"x86_64": "linux-64", "i686": "linux-32", "armv7l": "linux-armv7l"}


@dataclass(frozen=True)
class Wish:
    """What is asked of the solver."""

    manifest: Manifest
    target: Target
    """Its glibc and architecture count; its python is the one that must be chosen, as far as
    `minor` says so.
    """
    minor: str
    """The minor version that python must have: "3.11"."""
    configuration: Configuration
    accepted: bool = False
    """True if Anaconda's terms of service were accepted."""
    aboard: tuple[CondaPin, ...] = ()
    """What must stay as it is."""
    preferred: Mapping[str, str] = field(default_factory=dict)
    """Normalized name -> version that the driver runs; taken where the requirements allow it, since
    objects are pickled from one to the other.
    """

    @property
    def requirements(self) -> tuple[CondaRequirement, ...]:
        """What is wanted, without what the driver itself brings."""
        return tuple(r for r in self.manifest.conda if r.name not in packages.DRIVERS_OWN)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The places that are asked, in order."""
        return channels_of(self.manifest, self.configuration)

    @property
    def python(self) -> str:
        """What python must be."""
        return f"python {self.minor}.*"

    def key(self) -> dict[str, Any]:
        """What an answer is remembered under; URLs enter as digests, for they may hold
        credentials.
        """
        return {
            "layout": _LAYOUT,
            "wanted": digest_of([[r.text, r.channel] for r in self.requirements]),
            "channels": digest_of([[channel.url, _listing(channel)] for channel in self.channels]),
            "priority": self.configuration.channel_priority,
            "target": [self.minor, self.target.platform, self.target.architecture],
            "overrides": dict(self.configuration.overrides),
            "aboard": digest_of([pin.identity for pin in self.aboard]),
        }


def channels_of(manifest: Manifest, configuration: Configuration) -> tuple[Channel, ...]:
    """The channels of a manifest, else those of conda's configuration, else conda-forge.

    One that a package is tied to is asked last, if it is not among them.

    Raises:
        RequirementError: one is no channel, or the configuration forbids it.
    """
    named = manifest.channels or configuration.channels or (conda_configuration.DEFAULT,)
    return channels.channels(
        [*named, *(r.channel for r in manifest.conda if r.channel)], configuration
    )


def subdir(target: Target) -> str:
    """The target's platform in conda's words: "linux-64"."""
    return _SUBDIRS.get(target.architecture, f"linux-{target.architecture}")


def minor_asked_for(manifest: Manifest, own: str) -> str:
    """The minor version that the manifest asks of python: the driver's own wherever it fits, else
    the first one that does.
    """
    module = conda_client.rattler()
    bounds = [
        module.VersionSpec(bound)
        for r in manifest.conda
        if r.name == "python" and (bound := module.MatchSpec(r.text).version)
    ]
    minors = [own, *(f"3.{minor}" for minor in range(20, 7, -1))]

    def fits(minor: str) -> bool:
        return all(
            any(bound.matches(module.Version(f"{minor}.{patch}")) for patch in range(40))
            for bound in bounds
        )

    return next((minor for minor in minors if fits(minor)), own)


def _listing(channel: Channel) -> list[list[object]]:
    """What a channel that is a folder lists, as far as can be told without reading it."""
    if not channel.url.startswith("file:"):
        return []
    folder = Path(unquote(urlsplit(channel.url).path))
    if not is_dir(folder):
        return []
    return [file_state(path) for path in sorted(folder.glob("*/repodata.json"))]


def platforms_of(wish: Wish) -> list[SubdirLiteral]:
    """The subdirectories of channels that are read."""
    return [subdir(wish.target), "noarch"]  # type: ignore[list-item]
