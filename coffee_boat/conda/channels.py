"""What a channel's name means: the places that names and URLs stand for."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit, urlunsplit

from coffee_boat._support import home
from coffee_boat._support.redact import redact
from coffee_boat.conda import client
from coffee_boat.conda.configuration import ALIAS, Configuration
from coffee_boat.errors import RequirementError

_TOKEN = re.compile(r"/t/[^/]+(?=/|$)")
_SUBDIRS = {
    "noarch",
    "linux-64",
    "linux-32",
    "linux-aarch64",
    "linux-armv6l",
    "linux-armv7l",
    "linux-ppc64le",
    "linux-riscv64",
    "linux-s390x",
    "osx-64",
    "osx-arm64",
    "win-64",
}


@dataclass(frozen=True, repr=False)
class Channel:
    """One place that is asked for packages."""

    name: str
    """For people, and for locks: a short name, or the URL without credentials."""
    url: str
    """With a slash at the end, and with its credentials."""
    asked: str
    """The name that led to it."""

    @property
    def public(self) -> str:
        """The URL without its credentials."""
        return without_secrets(self.url)

    def __repr__(self) -> str:
        return f"Channel({self.name!r})"


# channels


def channels(names: Iterable[str], configuration: Configuration) -> tuple[Channel, ...]:
    """The places that names and URLs stand for, in order, each once. `nodefaults` stands for none.

    By conda's rules (conda.models.channel): a URL, a path, a name of `custom_multichannels`
    (`defaults` is one), a name of `custom_channels` or below one, else a name below
    `channel_alias`.

    Raises:
        RequirementError: one is no channel, or the configuration forbids it.
    """
    found: dict[str, Channel] = {}
    for asked in names:
        for url in _urls(asked.strip(), configuration) if asked.strip() != "nodefaults" else ():
            _refuse_unreadable(url)
            found.setdefault(without_secrets(url), Channel(_name(url), url, asked.strip()))
    _refuse_forbidden(found.values(), configuration)
    return tuple(found.values())


def without_secrets(url: str) -> str:
    """The URL without user, password and token (`/t/TOKEN/`)."""
    parts = urlsplit(url)
    path = parts.path if parts.scheme == "file" else without_token(parts.path)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], path=path))


def without_token(path: str) -> str:
    """A path without conda's `/t/TOKEN`."""
    return _TOKEN.sub("", path, count=1)


def with_secrets(url: str, found: Iterable[Channel]) -> str:
    """A public URL as it is fetched: with the credentials of the channel that it lies in."""
    for channel in found:
        if url.startswith(channel.public):
            return channel.url + url.removeprefix(channel.public)
    return url


def _urls(asked: str, configuration: Configuration) -> tuple[str, ...]:
    if "://" in asked or asked.startswith(("/", "./", "../", "~")) or asked in (".", ".."):
        return (_placed(asked),)
    if not asked or any(letter.isspace() for letter in asked):
        raise RequirementError(
            "requirements.not-a-channel",
            "not a channel",
            value=repr(redact(asked)),
            cure='name it as conda does: "conda-forge", a URL, or a path that begins with / or ./',
        )
    name = _bare(asked)
    multi = {"defaults": configuration.default_channels, **configuration.custom_multichannels}
    if name in multi:
        return tuple(
            url
            for member in multi[name]
            for url in (
                [_placed(member)]
                if "://" in member
                else [_below(configuration.channel_alias, member)]
            )
        )
    return (_below(_parent(name, configuration), name),)


def _parent(name: str, configuration: Configuration) -> str:
    """What a name lies below: the custom channel with the longest name that it begins with, else
    the alias.
    """
    builtin = {"pkgs/pro": "https://repo.anaconda.com"} | dict.fromkeys(
        ("pkgs/main", "pkgs/r", "pkgs/msys2", "pkgs/free"), "https://repo.anaconda.com"
    )
    known = {**builtin, **configuration.custom_channels}
    fitting = [
        key for key in known if name == key.strip("/") or name.startswith(key.strip("/") + "/")
    ]
    return known[max(fitting, key=len)] if fitting else configuration.channel_alias


def _below(parent: str, name: str) -> str:
    return _placed(f"{parent.rstrip('/')}/{name.strip('/')}")


def _placed(place: str) -> str:
    """A channel's URL: absolute, dots resolved, without a platform at its end, with a slash."""
    if "://" not in place:
        place = Path(os.path.normpath(home.expanded(place).absolute())).as_uri()
    parts = _split(place.replace("\\", "/"))  # as rattler reads it
    if parts.scheme not in ("http", "https", "file", "s3", "oci", "gcs") or (
        parts.scheme != "file" and not parts.hostname
    ):
        raise RequirementError(
            "requirements.not-a-channel",
            "not a channel",
            value=redact(place),
            cause="a channel lies at https://, http://, file://, s3:// or oci://",
            cure="correct the URL",
        )
    if parts.scheme == "file" and parts.netloc not in ("", "localhost"):
        raise RequirementError(
            "requirements.not-a-channel",
            "not a channel",
            value=redact(place),
            cause="file:// is followed by a host's name; files are of this machine",
            cure="write file:///path, with three slashes",
        )
    path = "/" + posixpath.normpath(parts.path).strip("/") if parts.path else "/"
    path = _bare(path)
    return urlunsplit(parts._replace(path=path.rstrip("/") + "/", query="", fragment=""))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.hostname, parts.port
    except ValueError:
        pass  # refused below, not from this error: it quotes what may be a password
    else:
        return parts
    raise RequirementError(
        "requirements.not-a-channel",
        "not a channel",
        value=url,
        cause="its host or its port cannot be read",
        cure="correct the URL; in a password write %40 for @, %5B for [, %2F for /",
    )


def _refuse_unreadable(url: str) -> None:
    """What only rattler finds fault with: a host by IDNA's rules."""
    module = client.rattler()
    try:
        module.Channel(url)
    except UnicodeEncodeError:
        cause = client.NO_TEXT
    except module.exceptions.InvalidChannelError as error:
        cause = str(error).strip().rpartition("\n")[2].removeprefix("Caused by: ")
    else:
        return
    raise RequirementError(
        "requirements.not-a-channel",
        "not a channel",
        value=redact(url),
        cause=cause,
        cure="correct the URL",
    )


def _bare(name: str) -> str:
    """Without the platform that may stand at the end."""
    head, _, tail = name.rstrip("/").rpartition("/")
    return head if head and tail in _SUBDIRS else name.rstrip("/")


def _name(url: str) -> str:
    public = without_secrets(url).rstrip("/")
    return public.removeprefix(ALIAS + "/") if public.startswith(ALIAS + "/") else public


def _refuse_forbidden(found: Iterable[Channel], configuration: Configuration) -> None:
    allowed, denied = (
        {without_secrets(url) for name in names for url in _urls(name, configuration)}
        for names in (configuration.allowlist, configuration.denylist)
    )
    for channel in found:
        if channel.public in denied or (allowed and channel.public not in allowed):
            raise RequirementError(
                "requirements.channel-forbidden",
                "a channel is forbidden by conda's configuration",
                value=channel.name,
                cause=(
                    f"{'denylist' if channel.public in denied else 'allowlist'}_channels in"
                    f" {', '.join(configuration.files) or 'a variable'}"
                ),
                cure="use a channel that it allows, or ask who administers it",
            )
