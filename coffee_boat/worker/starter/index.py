"""What a starter is told of the cargo: `node.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import NamedTuple

PACKAGE = "coffee_boat_starter"
"""How this package is called on nodes."""
NAME = "node.json"
"""In the folder of this package."""
OF_APPLICATION = "."
"""As `folder`: the application has an environment of its own, once a node where its executors have
a folder together, else each of them in its working directory.
"""


class Part(NamedTuple):
    """A part of the cargo that can be unpacked by itself."""

    offset: int
    """Where its first gzip member begins."""
    length: int
    padding: int
    """Bytes that come out of it before its first tar header."""
    sha256: str
    """Of its bytes as they are sent, in hex."""
    without: Sequence[str] = ()
    """Names that a later part has again: that one counts."""


class Index(NamedTuple):
    """All that is known of the cargo."""

    id: str
    """Of the archive: sha256 (hex) of what its environment has."""
    name: str
    """The folder that the environment is to be in the working directory."""
    cargo: str
    """The name of the file beside the starter."""
    python: str
    """Minor version: "3.11"."""
    size: int
    """Bytes of the cargo."""
    unpacked: int
    """Bytes of file content, at most."""
    files: int
    """Files and links that it becomes."""
    folder: str
    """Where environments are kept, if somebody named it: absolute; or OF_APPLICATION."""
    most: int
    """Bytes that environments which nobody runs from, and this one, may have together; 0: none of
    them is removed for it.
    """
    parts: Sequence[Part]
    on_demand: bool = False
    """True if the cargo is fetched when it is asked for (cargo.py); else Spark fetched it."""


def read(folder: str) -> Index:
    """Of the starter that this package came with.

    Args:
        folder: of this package.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    with open(os.path.join(folder, NAME), encoding="utf-8") as stream:
        return parsed(stream.read(), NAME)


def parsed(text: str, name: str) -> Index:
    """What `written` wrote.

    Args:
        name: where it stands, for people.

    Raises:
        ValueError: it is something else.
    """
    try:
        index = Index(**json.loads(text))
        return index._replace(parts=[Part(*part) for part in index.parts])
    except TypeError as error:
        raise ValueError(f"{name} is not as this program writes it: {error}") from error


def written(index: Index) -> str:
    """The text of `node.json`: a line."""
    return json.dumps(index._asdict(), sort_keys=True) + "\n"
