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

    def run(name: str, *words: str, timeout: float = 500) -> Any:
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / f"{name}.py"), SMALL, *words],
            cwd=tmp_path,
            env={**os.environ, "COFFEE_BOAT_STORE": str(store)},
            capture_output=True,
            text=True,
            timeout=timeout,
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


def test_xgboost_learns_on_executors_that_start_together(told: Any) -> None:
    found = told("xgboost_barrier", "1")
    assert found["workers"] == 1
    assert found["worst"] < 10, "of numbers up to 63"


def test_stages_in_python_are_saved_and_loaded_with_those_of_the_jvm(told: Any) -> None:
    assert told("ml_pipeline") == [
        ["Fahrschiff uber See", ["fahrschiff", "uber", "see"], 1.0],
        ["naive bateau", ["naive", "bateau"], 0.63],
    ]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("example", ["keras_udf", "torch_udf pypi"])
def test_a_large_library_predicts_on_executors(
    told: Any, request: pytest.FixtureRequest, example: str
) -> None:
    if not request.config.getoption("--every-system"):
        pytest.skip("some hundred MB: make test-systems")
    assert told(*example.split(), timeout=1500) == [1.0, 3.0, 5.0, 7.0]
