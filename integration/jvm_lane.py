"""An application of the JVM and the Python functions that it calls, for the lanes that run it."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from lanes import require_java

from integration.running import DRIVERS

TEXT = """
import sys


def tokenize(text: str) -> list[str]:
    return [sys.executable, *text.split()]


def broken(text: str) -> str:
    raise ValueError(f"no such word: {text}")


class Words:
    def eval(self, text: str):
        yield from ((word, len(word)) for word in text.split())


class Planned:
    @staticmethod
    def analyze(text):
        from pyspark.sql.types import StructType
        from pyspark.sql.udtf import AnalyzeResult

        return AnalyzeResult(StructType().add("shout", "string"))

    def eval(self, text: str):
        yield (text.upper(),)
"""
FRAMES = """
import pandas as pd


def longer(number: pd.Series) -> pd.Series:
    return number + 0.5
"""
ASKED = [
    *("--local", "mypkg"),
    *("--function", "tokenize=mypkg.text:tokenize"),
    *("--function", "words=mypkg.text:Words -> word string, length int"),
    *("--function", "broken=mypkg.text:broken"),
]
PANDAS = [
    *("--pip", "pandas<3", "--pip", "pyarrow"),
    *("--function", "longer=mypkg.frames:longer -> double"),
]


def compiled(folder: Path) -> Path:
    """A jar that was compiled without coffee_boat, in a folder."""
    require_java()
    (folder / "classes").mkdir()
    compiler, source = DRIVERS / "janino.py", DRIVERS / "java" / "Main.java"
    subprocess.run([sys.executable, compiler, folder / "classes", source], check=True, cwd=folder)
    with zipfile.ZipFile(folder / "app.jar", "w") as jar:
        for path in (folder / "classes").rglob("*.class"):
            jar.write(path, path.relative_to(folder / "classes"))
    return folder / "app.jar"


def write_code(folder: Path) -> None:
    """The package with the functions."""
    (folder / "mypkg").mkdir()
    for name, text in {"__init__": "", "text": TEXT, "frames": FRAMES}.items():
        (folder / "mypkg" / f"{name}.py").write_text(text, "utf-8")


def told(said: str) -> dict[str, list[str]]:
    """What was printed as TOLD <what> <text>."""
    found: dict[str, list[str]] = {}
    for what, text in re.findall(r"TOLD (\S+) (.*)$", said, re.MULTILINE):
        found.setdefault(what, []).append(text)
    assert found, said[-4000:]
    return found


def shipped(text: str) -> bool:
    """True if it names the interpreter of an archive that was unpacked for an executor."""
    return re.search(r"/boat-[0-9a-f]{12}/bin/python3\.\d+", text) is not None
