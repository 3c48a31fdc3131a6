"""An application of the JVM and the Python functions that it calls, for the lanes that run it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lanes import require_java

from integration.beds import _java
from integration.running import DRIVERS, plain_environment

CLUSTER = "local-cluster[1,1,1024]"
QUIET = ["--conf", "spark.ui.enabled=false"]
TOOLS = "awk basename bash cat chmod cut dirname env expr grep gzip head hostname id ls mkdir nice"
TOOLS += " ps readlink rm sed sh stty tar tr tput uname which"
"""What Spark's scripts and Hadoop's run; no Python."""

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


PLANNED = ("--function", "planned=mypkg.text:Planned")
"""Says itself what it returns: from Spark 4.0 on."""


@dataclass(frozen=True)
class Door:
    """Runs programs in a folder with the code, with nothing of Spark in the environment.

    Args:
        python: of a virtual environment with pyspark and coffee_boat.
    """

    folder: Path
    store: Path
    python: Path = Path(sys.executable)

    def run(
        self, *argv: object, typed: str = "", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return subprocess.run(
            list(map(str, argv)),
            cwd=self.folder,
            env=self.environment(env),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            input=typed,
        )

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """Of the programs."""
        return {**plain_environment(self.python, self.store), **(env or {})}

    def boat(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run `boat`."""
        return self.run(self.python, "-m", "coffee_boat.cli", *words)

    @cached_property
    def spark(self) -> Path:
        """Where Spark is."""
        found = self.run(self.python, "-c", "import pyspark; print(pyspark.__file__)")
        return Path(found.stdout.strip()).parent

    def program(self, name: str) -> Path:
        """One of Spark's."""
        return self.spark / "bin" / name

    def settings(self, master: str, *more: str) -> Path:
        """A file with what `boat conf --driver jvm` prints."""
        words = ("--driver", "jvm", "--master", master, *QUIET, "--format", "properties")
        ended = self.boat("conf", *ASKED, *more, *words)
        assert ended.returncode == 0, ended.stderr[-3000:]
        conf = self.folder / "jvm.conf"
        conf.write_text(ended.stdout + "spark.ui.enabled=false\n", "utf-8")
        return conf


def without_python(folder: Path) -> dict[str, str]:
    """Variables of a shell that has no Python; what it has is linked in a folder."""
    folder.mkdir()
    for name in TOOLS.split():
        found = shutil.which(name)
        if found is not None:
            (folder / name).symlink_to(found)
    return {"PATH": str(folder), "JAVA_HOME": str(_java.home())}


def compiled(folder: Path, python: Path = Path(sys.executable)) -> Path:
    """A jar that was compiled without coffee_boat, in a folder, for the Spark of a Python."""
    require_java()
    (folder / "classes").mkdir()
    compiler, source = DRIVERS / "janino.py", DRIVERS / "java" / "Main.java"
    subprocess.run([python, compiler, folder / "classes", source], check=True, cwd=folder)
    with zipfile.ZipFile(folder / "app.jar", "w") as jar:
        for path in (folder / "classes").rglob("*.class"):
            jar.write(path, path.relative_to(folder / "classes"))
    return folder / "app.jar"


def write_code(folder: Path) -> None:
    """The package with the functions."""
    (folder / "mypkg").mkdir()
    for name, text in {"__init__": "", "text": TEXT, "frames": FRAMES}.items():
        (folder / "mypkg" / f"{name}.py").write_text(text, "utf-8")


def transformer() -> str:
    """The class of the guide, as a file of Scala."""
    guide = Path(__file__).parent.parent / "docs" / "guides" / "jvm.md"
    found = re.search(r"```scala\n(class SpacyTokenizePython.*?)```", guide.read_text(), re.DOTALL)
    assert found is not None
    return f"""package com.example
import org.apache.spark.ml.Transformer
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.ml.util.{{DefaultParamsReadable, DefaultParamsWritable, Identifiable}}
import org.apache.spark.sql.{{DataFrame, Dataset}}
import org.apache.spark.sql.functions.{{call_udf, col}}
import org.apache.spark.sql.types.{{ArrayType, StringType, StructType}}
{found[1]}"""


def told(said: str) -> dict[str, list[str]]:
    """What was printed as TOLD <what> <text>."""
    found: dict[str, list[str]] = {}
    for what, text in re.findall(r"TOLD (\w+) (.*)$", said, re.MULTILINE):
        found.setdefault(what, []).append(text)
    assert found, said[-4000:]
    return found


def shipped(text: str) -> bool:
    """True if it names the interpreter of an archive that was unpacked for an executor."""
    return re.search(r"/boat-[0-9a-f]{12}/bin/python3\.\d+", text) is not None
