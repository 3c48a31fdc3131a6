"""spark-defaults.conf and --properties-file, as java.util.Properties reads them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from coffee_boat._support import limits
from coffee_boat._support.files import is_file
from coffee_boat.errors import LaunchError
from coffee_boat.spark.install import Spark

# java.util.Properties, as Spark reads and we write it


def defaults(spark: Spark) -> dict[str, str]:
    """spark-defaults.conf: in SPARK_CONF_DIR, else in SPARK_HOME/conf
    (org.apache.spark.util.Utils.getDefaultPropertiesFile).

    Raises:
        LaunchError: it cannot be read.
    """
    path = _folder(spark) / "spark-defaults.conf"
    return read(path) if is_file(path) else {}


def read(path: Path) -> dict[str, str]:
    """A file of settings, as spark-submit reads it.

    Raises:
        LaunchError: it cannot be read.
    """
    try:
        text = limits.read_text(path, limits.CONFIGURATION, errors="replace")
    except OSError as error:
        raise LaunchError(
            "launch.spark-defaults-unreadable",
            "a file of Spark's settings cannot be read",
            value=str(path),
            cause=error.strerror or str(error),
            cure="mend the file, or let SPARK_CONF_DIR or --properties-file name another",
        ) from error
    return {key: value for key, value in _pairs(text) if key.startswith("spark.")}


def files(spark: Spark) -> dict[str, dict[str, str] | None]:
    """The files of Spark's configuration that are there, and Hadoop's that Spark reads -> what they
    set, as they say it: of spark-env.sh, a script, what looks like an assignment; of others nothing
    is read.
    """
    script = _folder(spark) / "spark-env.sh"
    hadoop = (os.environ.get(name) for name in ("HADOOP_CONF_DIR", "YARN_CONF_DIR"))
    others = [
        *_folder(spark).glob("*.properties"),
        *_folder(spark).glob("*.xml"),
        *(path for folder in hadoop if folder for path in Path(folder).glob("*-site.xml")),
    ]
    found: dict[str, dict[str, str] | None] = {
        str(_folder(spark) / "spark-defaults.conf"): defaults(spark),
        **dict.fromkeys(map(str, sorted(others))),
    }
    if is_file(script):
        assigned = _ASSIGNMENT.findall(script.read_text("utf-8", "replace"))
        found[str(script)] = {name: value.strip("'\"") for name, value in assigned}
    return {path: said for path, said in found.items() if is_file(Path(path))}


def _folder(spark: Spark) -> Path:
    return Path(os.environ.get("SPARK_CONF_DIR") or Path(spark.home, "conf"))


_ASSIGNMENT = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)=(.*)$", re.MULTILINE)


_PAIR = re.compile(r"(?P<key>(?:\\.|[^\s=:\\])+)(?:\s*[=:]\s*|\s+|$)(?P<value>.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in _logical_lines(text):
        found = _PAIR.fullmatch(line)
        if found is not None:
            yield _unescaped(found["key"]), _unescaped(found["value"]).strip(" \t")


def _logical_lines(text: str) -> Iterator[str]:
    """Lines without comments; one that ends with an odd number of backslashes goes on in the
    next.
    """
    held: list[str] = []
    for line in text.splitlines():
        part = line.lstrip(" \t\f")
        if not any(held) and (not part or part[0] in "#!"):
            continue
        if (len(part) - len(part.rstrip("\\"))) % 2:
            held.append(part[:-1])
            continue
        yield "".join((*held, part))
        held = []
    if any(held):
        yield "".join(held)


def _unescaped(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        code = found[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else _CONTROLS.get(code, code)

    # A character beyond U+FFFF is written as two escapes.
    return _ESCAPE.sub(one, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def properties(conf: Mapping[str, str]) -> str:
    """Settings as a file that java.util.Properties reads."""
    return "".join(
        f"{_escaped(key, key=True)}={_escaped(value)}\n" for key, value in sorted(conf.items())
    )


def _escaped(text: str, *, key: bool = False) -> str:
    special = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f"} | (
        {mark: f"\\{mark}" for mark in " =:#!"} if key else {}
    )
    plain = "".join(special.get(letter, letter) for letter in text)
    if plain.startswith(" "):
        plain = f"\\{plain}"
    return "".join(letter if letter.isascii() else _utf16(letter) for letter in plain)


def _utf16(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
