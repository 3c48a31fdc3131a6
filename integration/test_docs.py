"""Every block of code of README and of docs/start runs as it stands, and prints what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest
from lanes import cannot_run
from pages import DOCS, ROOT, Block, of_kind

from integration import offline
from integration.running import SparkPython, plain_environment

README = ROOT / "README.md"
START = DOCS / "start"
BIN = Path(sys.executable).parent
CELLS = """
import json, os
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in {cells!r}:
    shell.run_cell(cell).raise_error()
names = shell.user_ns
report = names["captain"].report
wanted = names["captain"].manifest.texts
print("RESULT", json.dumps(dict(wanted=wanted, years=names.get("years"), ok=report and report.ok)))
"""


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """What somebody has who reads these pages: a working directory with files of theirs."""
    library = tmp_path / "my_library"
    library.mkdir()
    (library / "my_library.py").write_text("answer = 42\n")
    (library / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "my_library"\nversion = "1.0"\n'
    )
    (tmp_path / "requirements.txt").write_text("edtf\n")
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "job"\nversion = "1.0"\ndependencies = ["humanize"]\n'
        '[project.optional-dependencies]\nml = ["idna"]\n'
    )
    (tmp_path / "job.py").write_text(
        "import sys\nimport edtf\nfrom pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "print(spark.range(2).count(), edtf.parse_edtf(sys.argv[1]))\n"
    )
    (tmp_path / "helpers.py").write_text("answer = 42\n")
    (tmp_path / "src/mypkg").mkdir(parents=True)
    (tmp_path / "src/mypkg/__init__.py").write_text("")
    return tmp_path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this one, as somebody clones it."""
    folder = tmp_path / "checkout"

    def left_out(where: str, names: list[str]) -> list[str]:
        """What git does not keep."""
        made = ("site", "build", "dist") if Path(where) == ROOT else ()
        return [
            n
            for n in names
            if n in made or n.startswith(".") or n.endswith((".egg-info", "__pycache__"))
        ]

    shutil.copytree(ROOT, folder, ignore=left_out)
    return folder


# programs


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(README, id="README.md"),
        pytest.param(START / "quickstart.md", id="quickstart.md", marks=pytest.mark.turn(1)),
    ],
)
def test_the_program_of_a_page_prints_what_it_says(
    page: Path, spark_python: SparkPython, reader: Path
) -> None:
    script = reader / "program.py"
    script.write_text("\n".join(block.text for block in of_kind(page, "python")), "utf-8")
    said = spark_python(str(script))
    expected = [line for block in of_kind(page, "printed") for line in block.text.splitlines()]
    assert len(expected) >= 2
    at = 0
    for line in expected:  # in this order, each with something in place of "..."
        found = re.compile(".+".join(map(re.escape, line.split("..."))) + "$", re.MULTILINE).search(
            said, at
        )
        assert found, f"{line!r} is not in:\n{said[at:]}"
        at = found.end()
    if page == README:
        assert "Report: ok, 2 of 2 executors" in said
        assert "Arrival: rapidfuzz" in said
        assert (reader / "boat.tar.gz").is_file()


# notebooks


def cells(blocks: Sequence[Block]) -> list[str]:
    """What is run at once: a line of %boat, else the whole block."""
    lines = [block.kind == "cells" and not block.text.startswith("%%") for block in blocks]
    return [
        cell
        for block, by_line in zip(blocks, lines, strict=True)
        for cell in (block.text.splitlines() if by_line else [block.text])
    ]


@pytest.mark.turn(0)
def test_the_cells_of_the_notebooks_page_run(spark_python: SparkPython, reader: Path) -> None:
    blocks = of_kind(START / "notebook.md", "cells", "python")
    script = reader / "cells.py"
    script.write_text(CELLS.format(cells=cells(blocks)), "utf-8")
    result = spark_python.checked(str(script)).result
    assert result == {"wanted": ["edtf", "humanize", "pyarrow"], "years": [1984, 2004], "ok": True}


def test_the_cells_of_the_readme_run(spark_python: SparkPython, reader: Path) -> None:
    script = reader / "cells.py"
    script.write_text(CELLS.format(cells=cells(of_kind(README, "cells"))), "utf-8")
    assert spark_python.checked(str(script)).result["wanted"] == ["edtf"]


# commands


def run(page: Path, folder: Path, *, path: Sequence[Path], env: dict[str, str]) -> str:
    """The commands of a page, one after the other, in one shell; what they print.

    `make` is left out: what README says of it is what CI runs (tests/test_docs.py).
    """
    lines = "\n".join(block.text for block in of_kind(page, "commands")).splitlines()
    script = "\n".join(["set -e", *(line for line in lines if not line.startswith("make "))])
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**env, "PATH": os.pathsep.join([*map(str, path), env["PATH"]])},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-4000:]}\n{done.stderr[-8000:]}"
    return done.stdout


def pip_into(folder: Path) -> tuple[Path, Path]:
    """A new virtual environment, and a folder with a pip that installs there, by uv's cache: pip
    would build a wheel of pyspark's 400 MB each time.
    """
    tools = folder / "tools"
    tools.mkdir()
    pip = tools / "pip"
    pip.write_text(f'#!/bin/sh\nexec "{BIN}/uv" pip "$@" --python "{folder}/venv"\n')
    pip.chmod(0o755)
    make = [f"{BIN}/uv", "venv", "--quiet", "--python", sys.executable, f"{folder}/venv"]
    subprocess.run(make, check=True)
    return folder / "venv" / "bin", tools


@pytest.mark.turn(1)
def test_it_is_installed_as_the_page_says(checkout: Path, store: Path, tmp_path: Path) -> None:
    if shutil.which("git") is None:
        cannot_run("needs git")
    repository = tmp_path / "repository"
    shutil.copytree(checkout, repository)
    git = ["git", "-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "as it is"]):
        subprocess.run([*git, *words], cwd=repository, check=True)
    bin_, tools = pip_into(tmp_path)
    env = {**plain_environment(bin_ / "python", store), "REPOSITORY": f"file://{repository}"}
    said = run(START / "install.md", checkout, path=[tools, bin_], env=env)
    version = (
        rf"^boat, version \d\S+, from git\+file://{re.escape(str(repository))} at [0-9a-f]{{12}}$"
    )
    assert re.search(version, said, re.MULTILINE)
    assert re.search(r"^ *spark +ok ", said, re.MULTILINE)
    record = json.loads(
        next((tmp_path / "venv").rglob("coffee_boat-*/direct_url.json")).read_text()
    )
    assert record["url"] == f"file://{repository}"
    assert record["vcs_info"]["vcs"] == "git"


def test_the_commands_of_the_readme_run(checkout: Path, reader: Path, store: Path) -> None:
    shutil.copy(reader / "job.py", checkout)
    _, tools = pip_into(reader)
    env = plain_environment(BIN / "python", store)
    assert "2 2024-01-01" in run(README, checkout, path=[tools, BIN], env=env)


@pytest.mark.turn(0)
def test_the_commands_of_the_command_line_page_run(store: Path, tmp_path: Path) -> None:
    page = START / "command-line.md"
    for block in of_kind(page, "file"):
        (tmp_path / block.file).write_text(block.text, "utf-8")
    said = run(page, tmp_path, path=[BIN], env=plain_environment(BIN / "python", store))
    assert "['1984-06', '2004-06']" in said
    assert "Report: ok, 2 of 2 executors" in said
    assert (tmp_path / "boat.tar.gz").is_file()


# the site


class Assets(HTMLParser):
    """What a page loads, rather than links to."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "link" and given.get("rel") not in {"canonical", "next", "prev"}:
            self.loaded.append(given["href"])
        self.loaded += [given[name] for name in ("src", "srcset", "data") if name in given]


def test_the_site_is_built_without_a_network_and_loads_nothing_from_one(tmp_path: Path) -> None:
    if find_spec("mkdocs") is None:
        cannot_run("needs mkdocs and its plugins: make docs installs them")
    site = tmp_path / "site"
    done = subprocess.run(
        [
            *offline.command(DOCS),  # which is read-only for it, too
            *(sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)),
        ],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    assert "Ask for packages" in (site / "reference" / "python.html").read_text("utf-8")
    commands = (site / "reference" / "command-line.html").read_text("utf-8")
    assert 'lock <span class="option">--check</span>' in commands, "it would break at its hyphen"
    assert '<span class="option">' not in "".join(re.findall(r"(?s)<pre.*?</pre>", commands))
    for page in pages:
        assets = Assets()
        assets.feed(page.read_text("utf-8"))
        assert [asset for asset in assets.loaded if re.match(r"(\w+:)?//", asset)] == [], page
    styles = "".join(path.read_text("utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"url\(['\"]?(?!data:)(?:\w+:)?//[^)]*", styles) == []
