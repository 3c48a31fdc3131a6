"""The programs of examples/, as a person runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lanes import require_java

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SMALL = "local-cluster[1,1,1024]"


@pytest.fixture
def told(store: Path, tmp_path: Path) -> Any:
    require_java()

    def run(name: str, *words: str) -> Any:
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / f"{name}.py"), SMALL, *words],
            cwd=tmp_path,
            env={**os.environ, "COFFEE_BOAT_STORE": str(store)},
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        said = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        assert (done.returncode, len(said)) == (0, 1), done.stdout + done.stderr[-4000:]
        return json.loads(said[0].removeprefix("RESULT "))

    return run


def test_a_plain_function_and_one_by_arrow_give_the_same(told: Any) -> None:
    found = told("arrow_udf", "20000")
    assert found["plain"][0] == pytest.approx(found["arrow"][0])


def test_a_model_in_onnx_predicts_on_executors(told: Any) -> None:
    assert told("onnx_udf") == [1.0, 33.0, 65.0, 97.0]


def test_spacy_tokenizes_on_executors_and_in_sql(told: Any) -> None:
    assert told("spacy_tokenize") == [["Do", "n't", "sink", "the", "boat", "!"], []]
