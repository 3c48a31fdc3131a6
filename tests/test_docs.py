"""README and docs say what the code does: their code runs as far as it can be told without Spark,
their links lead somewhere, their lists are whole.
"""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from coffee_boat import Captain, LaunchError, _symptoms
from coffee_boat.backends import backend_for
from coffee_boat.settings import keys

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted(DOCS.rglob("*.md")),
]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def headings(page: Path) -> list[str]:
    return [line.lstrip("#").strip() for line in prose(page).splitlines() if line.startswith("#")]


def anchor(heading: str) -> str:
    """As GitHub makes it: lower case, without punctuation, dashes for blanks."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def commands(page: Path, language: str, program: str) -> list[list[str]]:
    lines = "\n".join(blocks(page, language)).replace("\\\n", " ").splitlines()
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
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0]) if words else None
        assert found is not None, f"{command.name} has no {words[:1]}"
        command, words = found, words[1:]
    command.make_context(command.name, list(words))


@each_page
def test_every_boat_command_parses(page: Path) -> None:
    from coffee_boat.cli.main import boat

    for words in commands(page, "sh", "boat"):
        _parse(boat, words[1:])


@each_page
def test_every_line_of_the_magic_parses(page: Path) -> None:
    from coffee_boat.magic import boat

    for words in commands(page, "text", "%boat"):
        _parse(boat, words[1:])


def test_the_quickstart_shows_both() -> None:
    assert len(commands(DOCS / "quickstart.md", "sh", "boat")) >= 5
    assert len(commands(DOCS / "quickstart.md", "text", "%boat")) >= 4


# links and lists


@each_page
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, fragment = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not fragment or fragment in map(anchor, headings(target)), link


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        links = (link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)))
        waiting += [
            there
            for link in links
            if link.endswith(".md")
            and (there := (page.parent / link).resolve()) not in reached
            and there.exists()
        ]
    assert set(DOCS.rglob("*.md")) <= reached


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", prose(DOCS / "settings.md"), re.MULTILINE)
    documented = [name for row in rows for name in re.findall(r"\w+", row)]
    assert sorted(documented) == sorted(keys.KEYS)


# settings by hand


@pytest.mark.parametrize(("page", "master"), [("connect", "sc://host:15002")])
def test_a_cluster_that_is_refused_has_a_page_with_the_cure(page: str, master: str) -> None:
    with pytest.raises(LaunchError) as refused:
        backend_for(master)
    path = DOCS / "clusters" / f"{page}.md"
    text = _without_minor("\n".join([*blocks(path, "sh"), *blocks(path, "python")]))
    parts = _SETTING.findall(_without_minor(refused.value.cure))
    assert len(parts) >= 3
    assert [part for part in parts if part not in text] == []


_SETTING = re.compile(
    r"captain\.pack\(.*?\)|--archives \S+|--conf spark\.pyspark\.python=\S+|--conf"
    r" spark\.[\w.]+=|spark\.addArtifacts\(.*?\)|spark\.conf\.set\(.*?\)"
)


def _without_minor(text: str) -> str:
    return re.sub(r"python3\.\d+", "python3.X", text)


# troubleshooting

TROUBLES = DOCS / "troubleshooting.md"


def sections(begin: str, end: str) -> dict[str, str]:
    """The headings of one part of the page -> what stands under them."""
    part = prose(TROUBLES).partition(begin)[2].partition(end)[0]
    return {
        heading.strip("` "): text
        for heading, text in re.findall(
            r"^## (.+?)\n(.*?)(?=^## |\Z)", part, re.DOTALL | re.MULTILINE
        )
    }


ON_EXECUTORS = sections("# On executors", "# When a session starts")
AT_START = sections("# When a session starts", "# On the driver")
SECTIONS = {**ON_EXECUTORS, **AT_START}


@pytest.mark.parametrize("symptom", _symptoms.ON_EXECUTORS, ids=lambda symptom: symptom.what)
def test_what_is_explained_has_a_heading(symptom: Any) -> None:
    assert any(re.search(symptom.pattern, heading) for heading in ON_EXECUTORS)


@pytest.mark.parametrize("symptom", _symptoms.AT_START, ids=lambda symptom: symptom.what)
def test_what_is_explained_at_the_start_has_a_heading(symptom: Any) -> None:
    assert any(re.search(symptom.pattern, heading) for heading in AT_START)


@pytest.mark.parametrize("heading", ON_EXECUTORS)
def test_what_has_a_heading_is_explained_in_the_same_words(heading: str) -> None:
    explained = _symptoms.explain(heading)
    assert explained is not None
    assert f"*{explained.what}*" in ON_EXECUTORS[heading]


@pytest.mark.parametrize("heading", SECTIONS)
def test_a_section_names_cause_and_cure(heading: str) -> None:
    assert "\nCause: " in SECTIONS[heading]
    assert "\n* " in SECTIONS[heading]
