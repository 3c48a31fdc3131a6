"""What people read of a plan: the largest first, amounts in units for people, totals, and no number
for what nobody can know.
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner
from conftest import MakeWheel
from small_packages import project, sdist, wheel

from coffee_boat import Captain
from coffee_boat._support.words import human_size
from coffee_boat.cli import render
from coffee_boat.cli.main import boat
from coffee_boat.model import Archive, Change, ExecutorFacts, Lock, Plan, PlanItem, Report, Target
from coffee_boat.model.tables import html_table, text_table

SMALL = PlanItem("six 1.17.0", "reuse", 11_000, 0.0, known=True, unpacked=38_000)
LARGE = PlanItem("pyarrow 25.0.1", "fetch", 50_000_000, 3.3, unpacked=150_000_000)
HERE = PlanItem("numpy 2.4.0", "pack", 17_000_000, 0.3, unpacked=51_000_000)
SOURCE = PlanItem("old 1.0", "build", None, None)


def a_plan(*items: PlanItem) -> Plan:
    return Plan(Change("launch", Lock(Target("3.11.7"))), items)


def rows(text: str) -> list[list[str]]:
    """The lines of the table in a text, by columns."""
    return [re.split(r" {2,}", line.strip()) for line in text.splitlines() if line[:2] == "  "]


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_940, "999.9 kB"),
        (999_960, "1.0 MB"),
        (54_877_761, "54.9 MB"),
        (10**12, "1.0 TB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_sizes_are_in_units_for_people(size: int, said: str) -> None:
    assert human_size(size) == said


def test_a_plan_has_amounts_in_units_for_people_and_totals() -> None:
    plan = a_plan(LARGE, HERE, SMALL)
    assert rows(str(plan)) == [
        ["what", "action", "size", "time"],
        ["pyarrow 25.0.1", "fetch", "~50.0 MB", "3.3 s"],
        ["numpy 2.4.0", "pack", "~17.0 MB", "0.3 s"],
        ["six 1.17.0", "reuse", "11.0 kB", "0.0 s"],
        ["total", "~67.0 MB", "3.6 s"],
    ]
    assert "executors unpack ~201.0 MB" in str(plan)
    assert (plan.size, plan.unpacked) == (67_011_000, 201_038_000)
    assert plan.seconds == pytest.approx(3.6)


def test_what_is_built_from_source_has_no_time_and_no_size() -> None:
    plan = a_plan(SMALL, SOURCE)
    assert rows(str(plan))[2:] == [
        ["old 1.0", "build", "?", "unknown, builds from source"],
        ["total", "11.0 kB + ?", "0.0 s + unknown"],
    ]
    assert "executors unpack 38.0 kB + ?" in str(plan)
    assert plan.seconds == 0.0


def test_what_is_measured_is_not_called_an_estimate() -> None:
    assert "~" not in str(a_plan(SMALL))


def test_a_plan_of_nothing_has_no_table() -> None:
    lock = Lock(Target("3.11.7"))
    plan = Plan(Change("nothing", lock), ())
    assert rows(str(plan)) == []
    assert "unpacks" not in str(plan)
    assert "nothing would be sent" in str(plan)
    assert "<table" not in plan._repr_html_()
    assert "nothing would be sent" in plan._repr_html_()


def test_json_has_bytes_and_seconds() -> None:
    told = json.loads(render.to_json(a_plan(LARGE, SOURCE)))
    assert [item["label"] for item in told["items"]] == ["pyarrow 25.0.1", "old 1.0"]
    assert told["items"][0]["unpacked"] == 150_000_000
    assert told["items"][1]["seconds"] is None
    assert (told["size"], told["unpacked"], told["seconds"]) == (50_000_000, 150_000_000, 3.3)


def test_a_terminal_has_the_same_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    monkeypatch.setattr("sys.stdout", shown)
    render.show(a_plan(LARGE, SMALL, SOURCE))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.getvalue())
    lines = [re.split(r" {2,}", line.strip()) for line in plain.splitlines()]
    assert ["pyarrow 25.0.1", "fetch", "~50.0 MB", "3.3 s"] in lines
    assert ["total", "~50.0 MB + ?", "3.3 s + unknown"] in lines
    assert "executors unpack ~150.0 MB + ?" in plain


# which word


def test_the_largest_is_first_and_what_nobody_knows_is_last(
    make_wheel: MakeWheel, tmp_path: Path
) -> None:
    folder = project(tmp_path / "source", "source", "1.0")
    made = sdist(tmp_path / "dist", folder, "source", "1.0")
    for name, size in (("small", 10), ("large", 5_000_000)):
        (tmp_path / "wheels").mkdir(exist_ok=True)
        files = {f"{name}/data.bin": Random(0).randbytes(size)}
        make_wheel(name, "1.0", files=files, folder=tmp_path / "wheels")
    links = ("--find-links", str(tmp_path / "wheels"))
    assert [*actions(*links, "--pip", str(made), "--pip", "large", "--pip", "small")] == [
        *("large", "pyspark", "small", "source")
    ]


def actions(*words: str) -> dict[str, tuple[str, float | None, int | None]]:
    done = CliRunner().invoke(boat, ["plan", "--no-ship-python", "--json", *words])
    assert done.exit_code == 0, done.output
    return {
        item["label"].split()[0]: (item["action"], item["seconds"], item["size"])
        for item in json.loads(done.stdout)["items"]
    }


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COFFEE_BOAT_STORE", str(tmp_path / "store"))


def test_a_wheel_that_is_here_is_packed_and_then_reused(tmp_path: Path) -> None:
    made = wheel(tmp_path / "wheels", "alpha", "1.0")
    words = ("--pip", "alpha", "--offline", "--find-links", str(tmp_path / "wheels"))
    found = actions(*words)
    assert found["alpha"] == ("pack", pytest.approx(0, abs=0.1), made.stat().st_size)
    assert found["pyspark"][0] == "pack"
    done = CliRunner().invoke(boat, ["pack", "--no-ship-python", "-o", "env.tar.gz", *words])
    assert done.exit_code == 0, done.output
    assert {action for action, _, _ in actions(*words).values()} == {"reuse"}


@pytest.mark.usefixtures("pyspark_is_packed")
def test_a_source_is_built_and_its_wheel_is_reused(tmp_path: Path) -> None:
    folder = project(tmp_path / "source", "alpha", "1.0")
    made = sdist(tmp_path / "dist", folder, "alpha", "1.0")
    words = ("--pip", str(made))
    assert actions(*words)["alpha"] == ("build", None, None)
    done = CliRunner().invoke(boat, ["pack", "--no-ship-python", "-o", "env.tar.gz", *words])
    assert done.exit_code == 0, done.output
    assert actions(*words)["alpha"][0] == "reuse"
    for chunk in (tmp_path / "store" / "keys" / "chunk").iterdir():
        chunk.unlink()
    assert actions(*words)["alpha"][0] == "pack"


@pytest.mark.usefixtures("pyspark_is_packed")
def test_what_was_packed_is_counted_as_it_is(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "alpha", "1.0")
    captain = Captain(
        ship_python=False, offline=True, find_links=[str(tmp_path / "wheels")]
    ).add_pip_packages("alpha")
    archive = captain.pack(tmp_path / "env.tar.gz")
    known = {chunk.label: chunk.unpacked for chunk in archive.chunks}
    assert {item.label: item.unpacked for item in captain.plan().items if item.label in known} == {
        "alpha 1.0": known["alpha 1.0"],
        **{label: size for label, size in known.items() if label == "pyspark"},
    }


# tables


def test_numbers_are_to_the_right_in_text() -> None:
    text = text_table(("what", "size"), [("a", "9 B"), ("bcdef", "10.0 kB")], right=("size",))
    assert text.splitlines() == ["  what      size", "  a          9 B", "  bcdef  10.0 kB"]


class Cells(HTMLParser):
    """What a browser makes of a table: each cell with its style, the caption outside."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.cells: list[tuple[str, str, str]] = []
        self.tags: list[str] = []
        self._open: tuple[str, str] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in {"th", "td"}:
            self._open = (tag, dict(attrs).get("style") or "")

    def handle_data(self, data: str) -> None:
        if self._open:
            self.cells.append((*self._open, data))

    def handle_endtag(self, tag: str) -> None:
        self._open = None


def test_text_is_to_the_left_and_numbers_to_the_right_in_a_notebook() -> None:
    """A notebook's own style has all of it to the right."""
    cells = Cells(a_plan(SMALL, LARGE)._repr_html_()).cells
    sides = {text: re.search(r"text-align:(\w+)", style) for _, style, text in cells}
    told = {text: found and found[1] for text, found in sides.items()}
    assert {told[text] for text in ("what", "action", "pyarrow 25.0.1", "fetch", "total")} == {
        "left"
    }
    assert {told[text] for text in ("size", "time", "~50.0 MB", "3.3 s", "11.0 kB")} == {"right"}


def test_a_caption_is_not_as_narrow_as_its_table() -> None:
    html = a_plan(SMALL)._repr_html_()
    assert "caption" not in Cells(html).tags
    assert html.index("Plan: ") < html.index("<table")


def test_a_table_without_names_of_columns_has_no_row_for_them() -> None:
    tags = Cells(html_table(("", ""), [("captain", "none")])).tags
    assert "th" not in tags
    assert "thead" not in tags


def test_long_words_break_and_short_ones_do_not() -> None:
    """A path would push what stands to the right of it out of a narrow page."""
    facts = ExecutorFacts(
        *("0", "host-1", "3.11.7"),
        *("/var/lib/spark/app-20260101/0/boat-0123456789ab/bin/python3.11", "", ""),
        *((), "0" * 64, {"six": "1"}, "4.1.0", "2.36", "x86_64"),
    )
    report = Report((facts,), (), Lock(Target("3.11.7")), "4.1.0", "4.1.0", 1.0)
    told = Cells(report._repr_html_()).cells
    cells = {text: style for _, style, text in told}
    assert told[-1][2] == facts.executable, "what is out of sight on a narrow page is the path"
    assert "overflow-wrap:anywhere" in cells[facts.executable]
    assert "overflow-wrap" not in cells["host-1"]
    assert "text-align:right" in cells["1"]
    assert "overflow-x:auto" in report._repr_html_()
    assert "installed: nothing" in report._repr_html_()


@pytest.mark.usefixtures("pyspark_is_packed")
def test_an_archive_is_told_in_units_for_people(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "alpha", "1.0")
    captain = Captain(ship_python=False, offline=True, find_links=[str(tmp_path / "wheels")])
    made = captain.add_pip_packages("alpha").pack(tmp_path / "env.tar.gz")
    shown = replace(made, size=63_100_000)._repr_html_()
    assert "63.1 MB" in shown
    assert isinstance(made, Archive)
