"""The options in a line of a requirements file."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import NoReturn

from packaging.utils import canonicalize_name

from coffee_boat._support.files import exists
from coffee_boat.model import Indexes
from coffee_boat.requirements import hints
from coffee_boat.requirements.lines import Line

REMOTE = re.compile(r"[a-z][a-z0-9+.\-]*://", re.IGNORECASE)
_REPEATED = (
    "-r --requirement",
    "-c --constraint",
    "-f --find-links",
    "--extra-index-url",
    "--no-binary",
    "--only-binary",
    "--trusted-host",
    "--use-feature",
    "--hash",
    "--config-settings --config-setting -C",
    "--global-option",
)

_QUOTED = 1 << 16
"""Characters of options with quotes or backslashes in them: shlex takes the square of a word."""
_OPTIONS = 1_000
"""Words of options in one line, besides hashes; and places of one kind in all lines."""

_SAID = 10
"""Lines that an error names, where each takes part."""
OPTION_LINES = 10_000
"""Lines of options in all files of one reading: argparse takes its time for each."""


class _Options(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """What argparse says, without the words that it found: one may be part of a password."""
        said, colon, _ = message.partition("unrecognized arguments:")
        raise ValueError(f"{said}words that belong to no option" if colon else message)


@cache
def _parser() -> _Options:
    parser = _Options(prog="requirements file", add_help=False, allow_abbrev=False)
    for spellings in _REPEATED:
        parser.add_argument(*spellings.split(), action="append")
    for name in ("--no-index", "--pre", "--prefer-binary", "--require-hashes"):
        parser.add_argument(name, action="store_true")
    parser.add_argument("-i", "--index-url", "--pypi-url")
    return parser


def parsed(line: Line, text: str) -> argparse.Namespace:
    """The options of a line, as pip reads them."""
    parser = _parser()
    try:
        words, hashes = _without_hashes(_words(text))
        if len(words) > _OPTIONS:
            raise ValueError(f"{len(words):,} words of options in a line; {_OPTIONS:,} are read")
        if any(
            word.endswith("--") for word in words
        ):  # argparse would end the options there, and drop a value that is "--"
            raise ValueError("two dashes without a name")
        options = parser.parse_args(words) if words else _nothing_said()
        options.hash = [*(options.hash or ()), *hashes] or None
        return options
    except ValueError as error:
        known = re.findall(r"--[a-z-]+", parser.format_usage())
        near = difflib.get_close_matches(text.split(maxsplit=1)[0].partition("=")[0], known, n=1)
        cure = (
            f"did you mean {near[0]}?"
            if near
            else (
                "take it out; https://pip.pypa.io/en/stable/reference/requirements-file-format/"
                " lists what may stand here"
            )
        )
        raise line.refuse(
            "requirements.option-unreadable",
            "an option of a requirements file cannot be read",
            cause=str(error),
            cure=cure,
        ) from None


@cache
def _defaults() -> Mapping[str, object]:
    return vars(_parser().parse_args([]))


def _nothing_said() -> argparse.Namespace:
    """As of a line without options, most lines of most files: argparse takes a millisecond."""
    return argparse.Namespace(**_defaults())


def _words(text: str) -> list[str]:
    if not any(mark in text for mark in "\"'\\"):
        return text.split()
    if len(text) > _QUOTED:
        raise ValueError(
            f"{len(text):,} characters of options with quotes in them; {_QUOTED:,} are read"
        )
    return shlex.split(text)


def _without_hashes(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Hashes apart from other options: a requirement may have thousands, of which argparse takes
    the square.
    """
    others: list[str] = []
    hashes: list[str] = []
    for word in words:
        if others and others[-1] == "--hash" and not word.startswith("-"):
            others.pop()
            hashes.append(word)
        elif word.startswith("--hash="):
            hashes.append(word.removeprefix("--hash="))
        else:
            others.append(word)
    return others, hashes


def with_options(indexes: Indexes, options: argparse.Namespace, line: Line) -> Indexes:
    """The indexes with what a line says of them."""
    more = replace(
        indexes,
        index_url=options.index_url or indexes.index_url,
        extra_index_urls=_united(indexes.extra_index_urls, options.extra_index_url),
        find_links=_united(
            indexes.find_links, [_link(value, line) for value in options.find_links or ()]
        ),
        no_index=indexes.no_index or options.no_index,
        trusted_hosts=_united(indexes.trusted_hosts, options.trusted_host),
        no_binary=_names(indexes.no_binary, options.no_binary),
        only_binary=_names(indexes.only_binary, options.only_binary),
        only_binary_said=_united(
            indexes.only_binary_said,
            [f"{line.origin}: --only-binary"] if options.only_binary else None,
        )[:_SAID],
        no_binary_said=_united(
            indexes.no_binary_said,
            [f"{line.origin}: --no-binary"] if options.no_binary else None,
        )[:_SAID],
        prerelease=indexes.prerelease or options.pre,
    )
    for name in ("extra_index_urls", "find_links", "trusted_hosts", "no_binary", "only_binary"):
        if len(getattr(more, name)) > _OPTIONS:
            raise line.refuse(
                "requirements.too-many-options",
                f"requirements files name more than {_OPTIONS:,} {name.replace('_', ' ')}",
                cause=f"at most {_OPTIONS:,} are taken",
                cure="take some out; --no-binary and --only-binary take :all:",
            )
    return more


def _united(known: tuple[str, ...], more: list[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *(more or ()))))


def _link(value: str, line: Line) -> str:
    """As pip: relative to the file if it is there, to the working directory otherwise."""
    if REMOTE.match(value):
        return value
    path = line.path(value.removeprefix("file:"))
    places = (line.file.absolute().parent / path, path.absolute())
    found = next((str(place) for place in places if exists(place)), None)
    if found is None:
        raise line.refuse(
            "requirements.find-links-missing",
            "a folder of --find-links is not there",
            cause=line.masked(f"looked for {places[0]}"),
            cure=hints.cure_of_missing(places[0]),
        )
    return os.path.normpath(found)


def _names(known: tuple[str, ...], values: list[str] | None) -> tuple[str, ...]:
    """Names as --no-binary takes them: commas between, :all: for every one, :none: to begin
    anew.
    """
    names = list(known)
    for name in (part.strip() for value in values or () for part in value.split(",")):
        names = (
            []
            if name == ":none:"
            else [*names, name if name.startswith(":") else str(canonicalize_name(name))]
        )
    return tuple(dict.fromkeys(names))
