"""A few damaged files for each door; `make fuzz` tries thousands."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("hypothesis", reason="needs hypothesis: pip install -e '.[dev]'")

import fuzzing

SEED = 20261129


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
def test_what_is_damaged_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    found = fuzzing.Found()
    fuzzing.try_texts(found, 200, SEED, tmp_path)
    assert not found.escaped, str(found)
    assert len(found.tried) >= 15, "a door is tried by chance, but most of them are"
    assert sum(found.refused.values()) < sum(found.tried.values())


@pytest.mark.usefixtures("pyspark_is_packed")
def test_wheels_that_are_damaged_are_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = fuzzing.Found()
    fuzzing.try_wheels(found, 20, SEED, tmp_path)
    assert not found.escaped, str(found)
    assert 5 < found.refused["a wheel"] < 20
