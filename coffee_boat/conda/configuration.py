"""What conda's configuration decided, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

from coffee_boat._support.redact import redact

ALIAS = "https://conda.anaconda.org"
"""What a channel's name is looked up under, unless `channel_alias` says otherwise (conda's
DEFAULT_CHANNEL_ALIAS).
"""
DEFAULT = "conda-forge"
"""The channel that is taken where nothing names one."""
ANACONDAS_DEFAULTS = ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
"""What `defaults` means to conda on Linux (conda's DEFAULT_CHANNELS_UNIX)."""


@dataclass(frozen=True, repr=False)
class Configuration:
    """What conda's configuration decided. URLs may hold credentials: never print one unredacted."""

    channels: tuple[str, ...] = ()
    """Names and URLs, the first one first; empty where nothing says so."""
    default_channels: tuple[str, ...] = ANACONDAS_DEFAULTS
    """What `defaults` means."""
    channel_alias: str = ALIAS
    custom_channels: Mapping[str, str] = field(default_factory=dict)
    """Name -> the URL that it lies below."""
    custom_multichannels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name -> the channels that it stands for."""
    allowlist: tuple[str, ...] = ()
    """The only channels that may be used, where there are any."""
    denylist: tuple[str, ...] = ()
    channel_priority: Literal["strict", "flexible", "disabled"] = "strict"
    proxy_servers: Mapping[str, str] = field(default_factory=dict)
    """Scheme ("http", "https") -> URL."""
    ssl_verify: bool | str = True
    """Whether servers must prove who they are; or the file with the authorities that are
    believed.
    """
    retries: int = 3
    """How often a request is tried again."""
    offline: bool = False
    overrides: Mapping[str, str] = field(default_factory=dict)
    """Virtual package ("glibc", "cuda", "archspec", "linux") -> what CONDA_OVERRIDE_* says of
    it.
    """
    files: tuple[str, ...] = ()
    """Where it was said, strongest first."""

    def __repr__(self) -> str:
        said = ", ".join(f"{part.name}={getattr(self, part.name)!r}" for part in fields(self))
        return redact(f"Configuration({said})")
