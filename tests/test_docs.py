"""README and docs say what the code does: their code runs as far as it can be told without Spark,
their links lead somewhere, their lists are whole.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from pages import (
    DOCS,
    ROOT,
    all_blocks,
    anchor,
    blocks,
    first_column,
    headings,
    links,
    of_kind,
    prose,
)

from coffee_boat import Captain, settings
from coffee_boat.errors import Problem
from coffee_boat.settings import keys
from coffee_boat.spark import connect, diagnosis

pytestmark = pytest.mark.once

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    *sorted(DOCS.rglob("*.md")),
]

START = DOCS / "start"
FIRST = [ROOT / "README.md", *sorted(START.glob("*.md"))]
"""A reader's first pages: each of their blocks is run."""
RUN = ("boat", "pip", "make")
"""What stands first in a line of their commands."""

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def lines_of(text: str) -> list[str]:
    """Commands, one a line."""
    return text.replace("\\\n", " ").splitlines()


def commands(page: Path, language: str, program: str) -> list[list[str]]:
    lines = lines_of("\n".join(blocks(page, language)))
    return [shlex.split(line, comments=True) for line in lines if line.split(" ")[0] == program]


# code


@each_page
def test_python_is_python(page: Path) -> None:
    for block in blocks(page, "python"):
        compile(block, str(page), "exec")


@each_page
def test_every_use_of_a_captain_fits_its_signature(page: Path) -> None:
    for source in [*blocks(page, "python"), *_captains_in_text(page)]:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call):
                _fits(node)
            elif isinstance(node, ast.Attribute) and _is_captain(node.value):
                assert hasattr(Captain, node.attr), ast.unparse(node)


def _captains_in_text(page: Path) -> Iterator[str]:
    return (
        code
        for code in re.findall(r"`([^`\n]+)`", prose(page))
        if code.startswith(("captain.", "Captain(")) and not code.endswith(".py")
    )


def _is_captain(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "captain"


def _fits(call: ast.Call) -> None:
    if any(isinstance(value, ast.Constant) and value.value is ... for value in call.args):
        return  # "whatever you give it"
    keywords: dict[str, Any] = {
        keyword.arg: keyword.value for keyword in call.keywords if keyword.arg
    }
    if isinstance(call.func, ast.Name) and call.func.id == "Captain":
        inspect.signature(Captain).bind(*call.args, **keywords)
    elif isinstance(call.func, ast.Attribute) and _is_captain(call.func.value):
        inspect.signature(getattr(Captain, call.func.attr)).bind(None, *call.args, **keywords)


def _parse(command: click.Command, words: list[str]) -> None:
    """Down to the options of the last subcommand; nothing is run."""
    words = list(itertools.takewhile(lambda word: word not in (">", "2>"), words))
    while isinstance(command, click.Group):
        while words[:1] in (["-v"], ["-vv"]):
            words = words[1:]
        found = command.get_command(click.Context(command), words[0]) if words else None
        assert found is not None, f"{command.name} has no {words[:1]}"
        command, words = found, words[1:]
    command.make_context(command.name, list(words))


@each_page
def test_every_boat_command_parses(page: Path) -> None:
    from coffee_boat.cli.main import boat

    for words in commands(page, "sh", "boat"):
        if words[1:] != ["--version"]:
            _parse(boat, words[1:])


@each_page
def test_every_line_of_the_magic_parses(page: Path) -> None:
    from coffee_boat.magic import boat

    for words in commands(page, "text", "%boat"):
        _parse(boat, words[1:])


def test_the_first_pages_show_both() -> None:
    assert len(commands(START / "command-line.md", "sh", "boat")) >= 6
    assert len(commands(START / "notebook.md", "text", "%boat")) >= 6


@pytest.mark.parametrize("page", FIRST, ids=lambda page: page.name)
def test_every_block_of_the_first_pages_is_run_by_a_test(page: Path) -> None:
    """By integration/test_docs.py, but for settings, which are read here."""
    assert [block.kind for block in all_blocks(page)]
    for block in of_kind(page, "commands"):
        unknown = [line for line in lines_of(block.text) if line.split()[0] not in RUN]
        assert unknown == []


@each_page
def test_settings_are_read_as_they_stand(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wheelhouse").mkdir()
    monkeypatch.chdir(tmp_path)
    for text in blocks(page, "toml"):
        (tmp_path / "pyproject.toml").write_text(text, "utf-8")
        _, findings = settings.load({}, environ={"HOME": str(tmp_path)})
        assert findings == ()


def test_what_the_readme_says_of_make_is_there_and_ci_runs_it() -> None:
    """`make test` is tests/ and integration/, each file of which is in a lane of CI."""
    said = {words[1] for words in commands(ROOT / "README.md", "sh", "make")}
    targets = re.findall(r"^([\w-]+):", ROOT.joinpath("Makefile").read_text(), re.MULTILINE)
    assert said == {"demo", "test"}
    assert said <= set(targets)
    assert '("make", "demo")' in ROOT.joinpath("integration/ci.py").read_text()


def test_what_the_readme_says_was_measured_stands_in_the_tables_of_the_measurement() -> None:
    def part(page: Path, heading: str) -> str:
        return page.read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]

    measured = part(DOCS / "concepts" / "comparison.md", "Measured")
    said = re.findall(r"\b\d+\.\d\b", part(ROOT / "README.md", "In seconds"))
    assert len(said) >= 8
    assert [number for number in said if f"| {number} |" not in measured] == []


# installing, before there is a release

OURS_BY_NAME = re.compile(r"pip install (?:[-\w]+ )*['\"]?coffee_boat\b(?!\S* @)")
"""PyPI has another, old package of that name."""


@each_page
def test_nobody_is_told_to_install_by_name(page: Path) -> None:
    lines = [line for line in page.read_text("utf-8").splitlines() if OURS_BY_NAME.search(line)]
    assert [
        line for line in lines if "**Do not `pip install coffee_boat` by name" not in line
    ] == []


def test_who_installs_is_warned_of_that_name() -> None:
    for page in (ROOT / "README.md", START / "install.md"):
        assert OURS_BY_NAME.search(page.read_text("utf-8"))


def test_no_cure_installs_by_name() -> None:
    sources = [
        *ROOT.glob("coffee_boat/**/*.py"),
        *ROOT.glob("cli/*.py"),
        *filter(Path.is_file, ROOT.glob("examples/**/*")),
    ]
    assert len(sources) > 20
    joined = {path: re.sub(r'"\s+f?"', "", path.read_text("utf-8")) for path in sources}
    assert [path for path, text in joined.items() if OURS_BY_NAME.search(text)] == []


# links and lists


@each_page
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, fragment = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not fragment or fragment in map(anchor, headings(target)), link


@each_page
def test_a_heading_stands_once(page: Path) -> None:
    """A link to the second one of a name would lead to the first."""
    if page.name != "CHANGELOG.md":
        anchors = [*map(anchor, headings(page))]
        assert sorted(set(anchors)) == sorted(anchors)


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        targets = (link.partition("#")[0] for link in links(page))
        waiting += [
            there
            for target in targets
            if target.endswith(".md")
            and (there := (page.parent / target).resolve()) not in reached
            and there.exists()
        ]
    assert set(DOCS.rglob("*.md")) <= reached


def test_every_page_is_in_the_navigation_and_in_the_list_of_pages() -> None:
    nav = re.findall(r"(\S+\.md)$", ROOT.joinpath("mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    there = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    assert sorted(nav) == sorted(
        {*there, "index.md", "contributing.md", "changelog.md", "reporting.md"}
    )
    listed = {link.partition("#")[0] for link in links(DOCS / "pages.md")}
    assert there - {"pages.md"} <= listed


def test_what_is_made_from_the_code_is_what_the_code_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    made = importlib.import_module("docs.tools.generate").pages()
    stale = [name for name, text in made.items() if (DOCS / name).read_text("utf-8") != text]
    assert stale == [], "make reference"


def test_what_has_a_code_has_a_heading_of_that_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    source = tmp_path / "source.py"
    source.write_text(
        "PROBLEM = Problem('verify.foreign-file', 'a file of {name} is foreign', cause='its own')\n"
        'yield Finding("verify.foreign-file", "a file of {name} is foreign", cure="take it out")\n'
        "def refuse(it):\n"
        '    what = f"a context | of {it} runs"\n'
        '    raise line.refuse(it, "launch.context-running", what, cure=f"stop {it}")\n'
        'conf.get("spark.master", "local")\n'
    )
    page = tmp_path / "findings.md"
    page.write_text(importlib.import_module("docs.tools.findings").page([source]), "utf-8")
    assert [*map(anchor, headings(page))] == [
        "errors-and-findings",
        "index",
        "launch",
        "launchcontext-running",
        "verify",
        "verifyforeign-file",
    ]
    text = page.read_text("utf-8")
    assert "[launch](#launch)" in text
    assert "a context | of … runs\n\n* hint: stop …" in text
    assert "a file of … is foreign\n\n* cause: its own\n* hint: take it out" in text


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    assert sorted(first_column(DOCS / "reference" / "settings.md")) == sorted(keys.KEYS)


# Spark Connect


@pytest.mark.parametrize(
    "problem",
    [connect.unreachable("sc://host:1", ""), connect.ended("sc://host:1"), connect.denied("", "")],
    ids=lambda problem: problem.code,
)
def test_what_a_connect_server_does_not_do_is_on_its_page(problem: Problem) -> None:
    assert problem.what in prose(DOCS / "guides" / "clusters" / "connect.md")


# troubleshooting

TROUBLES = DOCS / "guides" / "troubleshooting.md"


def sections(begin: str, end: str) -> dict[str, str]:
    """The headings of one part of the page -> what stands under them."""
    part = prose(TROUBLES).partition(begin)[2].partition(end)[0]
    return {
        heading.strip("` "): text
        for heading, text in re.findall(
            r"^### (.+?)\n(.*?)(?=^##|\Z)", part, re.DOTALL | re.MULTILINE
        )
    }


ON_EXECUTORS = sections("## On executors\n", "## When a session starts\n")
AT_START = sections("## When a session starts\n", "## On the driver")
SECTIONS = {**ON_EXECUTORS, **AT_START}


@pytest.mark.parametrize(
    "symptom", diagnosis.ON_EXECUTORS, ids=lambda symptom: symptom.problem.code
)
def test_what_is_explained_has_a_heading(symptom: Any) -> None:
    assert any(re.search(symptom.pattern, heading) for heading in ON_EXECUTORS)


@pytest.mark.parametrize("symptom", diagnosis.AT_START, ids=lambda symptom: symptom.problem.code)
def test_what_is_explained_at_the_start_has_a_heading(symptom: Any) -> None:
    assert any(re.search(symptom.pattern, heading) for heading in AT_START)


@pytest.mark.parametrize("heading", ON_EXECUTORS)
def test_what_has_a_heading_is_explained_in_the_same_words(heading: str) -> None:
    explained = diagnosis.explain(heading)
    assert explained is not None
    assert f"*{explained.what}*" in ON_EXECUTORS[heading]


@pytest.mark.parametrize("heading", SECTIONS)
def test_a_section_names_cause_and_cure(heading: str) -> None:
    assert "\nCause: " in SECTIONS[heading]
    assert "\n* " in SECTIONS[heading]
