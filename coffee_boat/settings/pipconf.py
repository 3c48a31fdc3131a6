"""pip's own configuration, as far as it says where packages come from. uv does not read it.

https://pip.pypa.io/en/stable/topics/configuration/: files, lowest first: global, user, site, the
one that PIP_CONFIG_FILE names; within all of them [global] is weaker than the section of a command;
PIP_* variables beat every file.
"""

from __future__ import annotations

import locale
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from coffee_boat._support import files, home, limits, quoting, trust
from coffee_boat.errors import SettingsError
from coffee_boat.settings.values import Found

if TYPE_CHECKING:
    from configparser import RawConfigParser

KEYS = {
    "index-url": "index_url",
    "pypi-url": "index_url",
    "extra-index-url": "extra_index_urls",
    "find-links": "find_links",
    "no-index": "no_index",
    "trusted-host": "trusted_hosts",
    "cert": "cert",
    "client-cert": "client_cert",
    "proxy": "proxy",
    "timeout": "timeout",
    "default-timeout": "timeout",
    "no-binary": "no_binary",
    "only-binary": "only_binary",
    "pre": "prerelease",
    "constraint": "constraints",
}
"""pip's names -> ours."""
_SECTIONS = ("global", "download", "wheel", "install")
Option = tuple[str, str, "Found | None"]
"""Text, where it was said for people, and the file, if nobody named it."""


def read(environ: Mapping[str, str], *, prefix: Path | None = None) -> dict[str, Option]:
    """What pip would use, by our keys.

    Args:
        environ: the environment; HOME, XDG_* and PIP_* matter.
        prefix: of the interpreter whose pip.conf counts; default: ours.

    Raises:
        SettingsError: a file is there and cannot be read.
    """
    parsers = [
        (path, _parser(path))
        for path in _files(environ, prefix or Path(sys.prefix))
        if files.is_file(path)
    ]
    said: dict[str, Option] = {}
    for section in _SECTIONS:
        for path, parser in parsers:
            found = _found(path, environ, prefix or Path(sys.prefix))
            said.update(_section(path, found, parser, section))
    said.update(_variables(environ))
    return said


def _files(environ: Mapping[str, str], prefix: Path) -> Iterator[Path]:
    """Lowest first.

    PIP_CONFIG_FILE=os.devnull turns all of them off; another file there stands in for the user's.
    """
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    for folder in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep):
        yield Path(folder, "pip", "pip.conf")
    yield Path(
        "/Library/Application Support/pip/pip.conf" if sys.platform == "darwin" else "/etc/pip.conf"
    )
    if not (named and files.exists(Path(named))):
        yield from _of_user(environ)
    yield prefix / "pip.conf"
    if named:
        yield Path(named)


def _of_user(environ: Mapping[str, str]) -> Iterator[Path]:
    folder, config = home.folder(environ), home.config(environ)
    if folder is not None:
        yield folder / ".pip" / "pip.conf"
        mac = folder / "Library" / "Application Support"
        if sys.platform == "darwin" and files.is_dir(mac / "pip"):
            config = mac
    if config is not None:
        yield config / "pip" / "pip.conf"


def _found(path: Path, environ: Mapping[str, str], prefix: Path) -> Found | None:
    """None for the one that PIP_CONFIG_FILE names. Whoever owns the interpreter may run code as us
    anyway.
    """
    if str(path) == environ.get("PIP_CONFIG_FILE"):
        return None
    uid = trust.owner(prefix) if path.parent == prefix else None
    return Found(path.absolute(), () if uid is None else (uid,))


def _parser(path: Path) -> RawConfigParser:
    import configparser

    parser = configparser.RawConfigParser()
    try:
        text = limits.read_text(path, limits.CONFIGURATION, locale.getpreferredencoding(False))
        limits.check_lines(text)
        parser.read_string(text, str(path))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise SettingsError(
            "settings.pip-file-unreadable",
            "a configuration file of pip cannot be read",
            value=str(path),
            cause=quoting.where(error),
            cure="mend it (pip config debug lists all), or set PIP_CONFIG_FILE=/dev/null",
        ) from None
    return parser


def _section(
    path: Path, found: Found | None, parser: RawConfigParser, section: str
) -> Iterator[tuple[str, Option]]:
    for name, value in parser.items(section) if parser.has_section(section) else ():
        option = name.lower().replace("_", "-").removeprefix("--")
        if option in KEYS and value:
            yield KEYS[option], (value, f"{path}: [{section}] {name}", found)


def _variables(environ: Mapping[str, str]) -> Iterator[tuple[str, Option]]:
    for option, key in KEYS.items():
        name = f"PIP_{option.upper().replace('-', '_')}"
        if environ.get(name):
            yield key, (environ[name], name, None)
