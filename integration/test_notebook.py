"""The notebook in examples/, run by a real Jupyter kernel from top to bottom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

NOTEBOOK = Path(__file__).resolve().parent.parent / "examples" / "notebook.ipynb"


def texts(cell: Any) -> str:
    """All that a cell shows, as plain text."""
    return "\n".join(
        output.get("text") or output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    )


def html(cell: Any) -> str:
    return "\n".join(output.get("data", {}).get("text/html", "") for output in cell.outputs)


@pytest.mark.turn(2)
def test_the_example_runs_from_top_to_bottom(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COFFEE_BOAT_STORE", str(store))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    for name in ("SPARK_HOME", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(
        notebook,
        timeout=400,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    shown = {
        cell.source.splitlines()[0]: cell for cell in notebook.cells if cell.cell_type == "code"
    }
    assert "edtf" in html(shown["%boat plan"])
    assert ">action</th>" in html(shown["%boat plan"])
    assert "1984-06?" in texts(shown["from pyspark.sql.functions import udf"])
    assert "Arrival: rapidfuzz" in html(shown["%boat add rapidfuzz"])
    assert "93.33" in texts(shown['@udf("double")'])  # 100 * 2 * 7 equal letters / (7 + 8)
    report = shown["%boat verify --deadline 120"]
    assert "Report: ok, 2 of 2 executors" in html(report), texts(report)
    assert "rapidfuzz" in texts(report)
    assert "<Captain: edtf, rapidfuzz; launched>" in texts(shown["captain"])
    assert "as sc, spark" in texts(shown["%boat status"])


def test_a_notebook_whose_jvm_was_killed_says_so(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COFFEE_BOAT_STORE", str(store))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    for name in ("SPARK_HOME", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    asked = ("%boat status", "%boat launch", "%boat verify", "captain.board(sc)", "spark.stop()")
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(source)
            for source in (
                "%load_ext coffee_boat\n%boat launch --no-ship-python --master local[1]",
                "import pyspark\npyspark.SparkContext._gateway.proc.kill()",
                "pyspark.SparkContext._gateway.proc.wait()",
                *asked,
            )
        ]
    )
    nbclient.NotebookClient(
        notebook, timeout=200, kernel_name="python3", allow_errors=True
    ).execute()
    for source, cell in zip(asked, notebook.cells[3:], strict=True):
        said = texts(cell) + "".join(
            line for output in cell.outputs for line in output.get("traceback", ())
        )
        assert "Spark's JVM has ended" in said, (source, said)
        assert "restart the kernel" in said
        assert len(said.splitlines()) < 8, (source, said)


def test_the_example_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(
        not cell.outputs and cell.execution_count is None
        for cell in notebook.cells
        if cell.cell_type == "code"
    )
