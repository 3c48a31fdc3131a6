"""The programs of examples/, as a person runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from lanes import require_java

from integration.systems_lane import keep_row, versions

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SMALL = "local-cluster[1,1,1024]"


@pytest.fixture
def told(store: Path, tmp_path: Path) -> Any:
    require_java()

    def run(name: str, *words: str, master: str = SMALL, timeout: float = 500) -> Any:
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / f"{name}.py"), master, *words],
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


@pytest.fixture
def heavy(told: Any, request: pytest.FixtureRequest, store: Path) -> Any:
    """The same for libraries of some hundred MB; the row of the table is kept."""
    if not request.config.getoption("--every-system"):
        pytest.skip("some hundred MB: make test-systems")

    def run(name: str, *words: str, packages: Sequence[str], master: str = SMALL) -> Any:
        began = time.monotonic()
        found = told(name, *words, master=master, timeout=1500)
        took = time.monotonic() - began
        archive = max(store.glob("archives/*/*.tar.gz"), key=lambda path: path.stat().st_mtime)
        keep_row(name, versions(store, *packages), archive, took)
        return found

    return run


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("example", "packages"),
    [
        ("keras_udf", ["tensorflow-cpu", "keras"]),
        ("jax_udf", ["jax", "jaxlib"]),
        ("torch_udf pypi", ["torch"]),
    ],
)
def test_a_large_library_predicts_on_executors(
    heavy: Any, example: str, packages: list[str]
) -> None:
    assert heavy(*example.split(), packages=packages) == [1.0, 3.0, 5.0, 7.0]


@pytest.mark.timeout(1800)
def test_executors_are_one_cluster_of_tensorflow(heavy: Any) -> None:
    packages = ["tensorflowonspark", "tensorflow-cpu"]
    two = "local-cluster[2,1,1024]"
    found = heavy("tensorflow_on_spark", packages=packages, master=two)
    assert found == {"answers": [1.0, 3.0, 5.0, 7.0], "nodes": ["chief", "worker"]}
