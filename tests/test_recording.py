"""README's recording: a real run, drawn by docs/tools/record.py, that loads nothing."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pages import ROOT, all_blocks

from coffee_boat.cli.main import boat
from docs.tools import record

pytestmark = pytest.mark.once


def texts(svg: str) -> str:
    """What a person reads, line by line."""
    lines: dict[str, list[str]] = {}
    for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        lines.setdefault(element.get("y", ""), []).append(element.text or "")
    return "\n".join("".join(line).replace("\xa0", " ") for line in lines.values())


def test_a_command_is_drawn_with_its_output_in_order_and_without_a_log_of_others(
    tmp_path: Path,
) -> None:
    tmp_path.joinpath("told.py").write_text(
        "import sys, time\n"
        "def say(*words, file):\n"
        "    print(*words, file=file, flush=True)\n"
        "    time.sleep(0.1)\n"
        "say('coffee_boat: resolving <this>', file=sys.stderr)\n"
        "say('26/01/01 WARN Utils: noise', file=sys.stderr)\n"
        "say('\\x1b[1mtold\\x1b[0m', sys.stdout.isatty(), file=sys.stdout)\n"
        "say('coffee_boat: the end', file=sys.stderr)\n"
    )
    svg = record.drawn([record.run("python told.py", tmp_path, dict(os.environ))])
    said = [line.rstrip() for line in texts(svg).splitlines() if line.strip()]
    assert said[-4:] == [
        "$ python told.py",
        "coffee_boat: resolving <this>",
        "told True",
        "coffee_boat: the end",
    ]
    assert not re.search(r"@font-face|url\(['\"]?\w+:|href", svg)


def test_a_last_line_without_an_end_is_drawn_too(tmp_path: Path) -> None:
    shown = record.run("python -c 'print(6 * 7, end=str())'", tmp_path, dict(os.environ))
    assert shown.text == "42\n"


def test_a_command_that_fails_is_not_drawn(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended with 3"):
        record.run("python -c 'import sys; sys.exit(3)'", tmp_path, dict(os.environ))


def test_the_recording_is_of_what_readme_says() -> None:
    svg = record.RECORDING.read_text("utf-8")
    assert len(svg.encode()) < 100_000
    assert not re.search(r"@font-face|url\(['\"]?\w+:|href", svg)
    said = texts(svg)
    assert [line for line in said.splitlines() if line.startswith("$ ")] == [
        f"$ {command}" for command in record.COMMANDS
    ]
    printed = next(block for block in all_blocks(ROOT / "README.md") if block.kind == "printed")
    for line in printed.text.splitlines():
        assert line in said
    assert not re.search(r"/(home|root|tmp|work|Users)/", said), "a path of somebody's machine"
    assert f"]({record.RECORDING.relative_to(ROOT)})" in ROOT.joinpath("README.md").read_text()


def test_the_commands_of_the_recording_parse() -> None:
    for command in record.COMMANDS:
        program, *words = shlex.split(command)
        if program == "boat":
            found = boat.get_command(boat.make_context("boat", words[:1]), words[0])
            assert found is not None
            found.make_context(words[0], words[1:])
