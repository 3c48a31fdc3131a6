"""What strangers wrote is shown short and without control characters, whatever shows it."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

import pytest
from conda_metadata import channel, pythons, record

from coffee_boat import Captain
from coffee_boat._support import logs, progress, redact
from coffee_boat._support.words import visible
from coffee_boat.errors import Finding, LockError
from coffee_boat.model import Plan
from coffee_boat.model.tables import html_table, text_table

ESCAPE = "\x1b[31m<script>\x07\u202e"


def planned(tmp_path: Path, **said: Any) -> Plan:
    """Of `evil 1.0`, of which the channel says so."""
    pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")
    minor = ".".join(platform.python_version_tuple()[:2])
    evil = {**record("evil", "1.0", ["python"], subdir="noarch"), **said}
    folder = channel(tmp_path / "channel", *pythons(f"{minor}.4"), evil)
    return Captain(store=tmp_path / "store").add_conda_packages("evil", channel=folder).plan()


@pytest.mark.parametrize(
    "said",
    [
        {"build": "a" * 100_000},
        {"depends": ["python", "python " + "|".join([">=1"] * 20_000)]},
        {"depends": ["python", f"python {'(' * 300}>1{')' * 300}"]},
        {"version": "1" * 10_000},
        {"version": ESCAPE},
        {"build": ESCAPE},
    ],
)
def test_what_a_record_says_is_bounded(tmp_path: Path, said: dict[str, Any]) -> None:
    begun = time.monotonic()
    with pytest.raises(LockError) as caught:
        planned(tmp_path, **said)
    assert len(str(caught.value)) < 30_000
    assert not set(str(caught.value)) & set("\x1b\x07\u202e")
    assert time.monotonic() - begun < 30


def test_a_licence_is_shown_on_one_line_short_and_without_control_characters(
    tmp_path: Path,
) -> None:
    begun = time.monotonic()
    made = planned(tmp_path, license=f"{ESCAPE}\nerror: all is lost" + "x" * 1_000_000)
    shown = f"{made}{made!r}{made.lock!r}{made._repr_html_()}"
    assert time.monotonic() - begun < 30
    assert len(shown) < 20_000
    assert not set(shown) & set("\x1b\x07\u202e")
    assert "<script>" not in made._repr_html_()
    assert "\nerror" not in str(made)


# wherever a stranger's text is shown


def test_what_people_see_holds_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    said = f"a\r\nb\tc\rd{ESCAPE}\x9b\ud800"
    finding = Finding("wheel.odd", said, value=said, cause=said, cure=said)
    error = LockError("lock.odd", said, value=said, cause=said, cure=said)
    progress.say_line(said)
    with logs.shown(2):
        logs.logger("coffee_boat.odd").warning("%s", said)
    table = text_table(("a",), [(said,)])
    page = html_table(("a",), [(said,)], caption=said)
    streams = "".join(capsys.readouterr())
    for shown in (
        str(finding),
        str(error),
        repr(finding),
        table,
        page,
        streams,
        redact.redact(said),
    ):
        assert not set(shown) & set("\x1b\x07\r\x9b\u202e\ud800"), ascii(shown)
        assert "\\x1b[31m" in shown
    assert len(table.splitlines()) == 2


def test_what_people_write_stays() -> None:
    for text in ("a\n\tb", "Grüße, 你好, שלום, e\u0301", "C:\\x1b"):
        assert visible(text) == text
        assert redact.redact(text) == text


def test_a_text_of_millions_is_shortened() -> None:
    begun = time.monotonic()
    finding = Finding("wheel.odd", "odd", value="x" * 5_000_000)
    assert len(str(finding)) < 21_000
    assert "+ 4,980,000 characters" in str(finding)
    assert time.monotonic() - begun < 5
