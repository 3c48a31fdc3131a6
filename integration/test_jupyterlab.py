"""A notebook in a real JupyterLab: what a person sees, in a wide and in a narrow window, light and
dark.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import small_packages
from lanes import cannot_run

from integration import jupyterlab_lane
from integration.beds import BedCannotRun
from integration.conftest import timed
from integration.jupyterlab_lane import DARK, LIGHT, Lab
from integration.running import plain_environment
from integration.venvs import OWN_CACHE

LONG = "a-package-with-a-name-as-long-as-those-of-companies"
ADD, PLAN, MISSPELT = f"%boat add alpha {LONG}", "%boat plan", "%boat plan alpah"
LAUNCH, VERIFY, HOT_ADD = "%boat launch --master local[2]", "%boat verify", "%boat add beta"
SLOW, STATUS = "%boat add slow", "%boat status"
CELLS = ("%load_ext coffee_boat", ADD, PLAN, MISSPELT, LAUNCH, VERIFY, HOT_ADD, SLOW, STATUS)
TABLES = (ADD, PLAN, VERIFY, HOT_ADD, STATUS)
NUMBERS = {"size", "time", "distributions"}
"""Columns that hold numbers."""
WIDE, NARROW = 1200, 750
"""Pixels of a window."""
PICTURES = OWN_CACHE / "jupyterlab"
CONTRAST = 4.5
"""Of text and what is behind it: https://www.w3.org/TR/WCAG21/#contrast-minimum."""


@dataclass(frozen=True)
class Seen:
    """One notebook, after all its cells have run but one, which was interrupted."""

    looks: dict[tuple[str, int], dict[str, list[Any]]]
    """Theme and width -> source of a cell -> its outputs."""
    launching: list[list[str]]
    """What the outputs showed, change by change, while the session was launched."""
    waiting: list[Any]
    """The outputs of the cell that waits for an index."""

    def outputs(self, cell: str) -> list[Any]:
        """Those that show something."""
        return [each for each in self.looks[LIGHT, WIDE][cell] if each["text"].strip()]

    def tables(self) -> Iterator[tuple[str, Any]]:
        """Each table in each look, and a name for it."""
        for (theme, width), cells in self.looks.items():
            for cell in TABLES:
                found = [table for output in cells[cell] for table in output["tables"]]
                assert len(found) == 1, (cell, cells[cell])
                yield f"{cell} in {theme} at {width}", found[0]


@pytest.fixture(scope="module")
def seen(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("jupyterlab")
    for name in ("alpha", "beta", "slow", LONG):
        small_packages.wheel(folder / "wheels", name, "1.0")
    with small_packages.serving(folder / "wheels") as index:
        env = {
            **plain_environment(Path(sys.executable), store),
            "COFFEE_BOAT_INDEX_URL": index.url,
        }
        try:
            with timed("jupyterlab: browser and server"):
                jupyterlab_lane.prepare()
            with jupyterlab_lane.opened(folder / "lab", CELLS, env) as lab:
                yield _used(lab, index)
        except BedCannotRun as reason:
            cannot_run(str(reason))


def _used(lab: Lab, index: small_packages.Index) -> Seen:
    """What somebody sees who goes through the notebook."""
    for cell in CELLS[: CELLS.index(LAUNCH)]:
        lab.run(cell)
    lab.watch()
    lab.run(LAUNCH)
    launching = lab.watched()
    for cell in (VERIFY, HOT_ADD):
        lab.run(cell)
    waiting = _interrupted(lab, index)
    lab.run(STATUS)
    looks = {(LIGHT, WIDE): lab.look(WIDE, PICTURES / "light-wide.png")}
    lab.choose(DARK)
    looks[DARK, WIDE] = lab.look(WIDE, PICTURES / "dark-wide.png")
    lab.hide_files()
    looks[DARK, NARROW] = lab.look(NARROW, PICTURES / "dark-narrow.png")
    lab.choose(LIGHT)
    looks[LIGHT, NARROW] = lab.look(NARROW, PICTURES / "light-narrow.png")
    return Seen(looks, launching, waiting)


def _interrupted(lab: Lab, index: small_packages.Index) -> list[Any]:
    """What stands below a cell that waits for the index, before it is interrupted."""
    with index.holding("/simple/slow/"):
        lab.begin(SLOW)
        _until(lambda: "/simple/slow/" in index.asked)
        waiting = lab.look(WIDE)[SLOW]
        lab.interrupt()
        lab.wait(SLOW)
    return waiting


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true() and time.monotonic() < end:
        time.sleep(0.05)


def test_text_is_to_the_left_and_numbers_to_the_right(seen: Seen) -> None:
    for name, table in seen.tables():
        first, *rest = table["rows"]
        sides = ["right" if cell["text"] in NUMBERS else "left" for cell in first]
        for row in [first, *rest]:
            assert [cell["align"] for cell in row] == sides, name


def test_no_row_of_a_table_is_empty(seen: Seen) -> None:
    for name, table in seen.tables():
        assert all(any(cell["text"].strip() for cell in row) for row in table["rows"]), name


def test_a_caption_is_as_wide_as_the_page(seen: Seen) -> None:
    for name, table in seen.tables():
        caption = table["caption"]
        assert caption["text"].strip(), name
        assert caption["width"] >= caption["box"], name


def test_no_column_is_cut(seen: Seen) -> None:
    for name, table in seen.tables():
        assert table["right"] <= table["page"] + 1, name
        for row in table["rows"]:
            assert all(cell["right"] <= table["right"] + 1 for cell in row), name


def test_all_can_be_read_in_light_and_dark(seen: Seen) -> None:
    backgrounds = set()
    for look, cells in seen.looks.items():
        for cell, outputs in cells.items():
            backgrounds |= {(look[0], output["behind"]) for output in outputs}
            shown = [output for output in outputs if output["text"].strip()]
            assert all(output["contrast"] >= CONTRAST for output in shown), (look, cell, shown)
    assert len({behind for _, behind in backgrounds}) > 1, "there was one theme only"


def test_one_line_tells_how_a_launch_goes_on_and_none_is_left_of_it(seen: Seen) -> None:
    told = [shown for shown in seen.launching if shown]
    assert len({line for shown in told for line in shown}) > 2, seen.launching
    assert max(map(len, told)) == 1, told
    left = [
        each
        for each in seen.outputs(LAUNCH)
        if not each["tables"] and not each["kind"].startswith("application/vnd.jupyter.")
    ]
    assert sum(len(each["text"].strip().splitlines()) for each in left) <= 1, left
    silent = [each for each in seen.looks[LIGHT, WIDE][LAUNCH] if each not in seen.outputs(LAUNCH)]
    assert all(each["height"] == 0 for each in silent), silent


def test_an_error_is_words_without_a_traceback(seen: Seen) -> None:
    (error,) = seen.outputs(MISSPELT)
    assert "no such package" in error["text"]
    assert "alpah" in error["text"]
    assert "hint:" in error["text"]


def test_an_interrupted_cell_shows_one_line_and_the_kernel_goes_on(seen: Seen) -> None:
    (line,) = (each for each in seen.waiting if each["text"].strip())
    assert "coffee_boat" in line["text"]
    shown = seen.looks[LIGHT, WIDE][SLOW]
    assert [each["text"].strip() for each in shown if each["height"]] == ["interrupted"]
    assert "slow" not in seen.outputs(STATUS)[-1]["text"]
    assert "alpha, beta" in seen.outputs(STATUS)[-1]["text"]


def test_no_traceback_and_no_code_of_a_terminal_is_on_the_page(seen: Seen) -> None:
    for cells in seen.looks.values():
        for cell, outputs in cells.items():
            text = "\n".join(output["text"] for output in outputs)
            assert "Traceback" not in text, cell
            assert "\x1b" not in text, cell
            assert "[0m" not in text, cell
