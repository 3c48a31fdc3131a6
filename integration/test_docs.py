"""The quickstart does what it says."""

from __future__ import annotations

import re
from pathlib import Path

from integration.running import SparkPython

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "quickstart.md").read_text("utf-8")


def test_the_quickstart_prints_what_it_says(spark_python: SparkPython, tmp_path: Path) -> None:
    script = tmp_path / "quickstart.py"
    script.write_text(
        "\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)), "utf-8"
    )
    said = spark_python(str(script))
    expected = [
        line
        for block in re.findall(r"^```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
        for line in block.splitlines()
        if not line.startswith("%")
    ]
    assert len(expected) >= 4
    at = 0
    for line in expected:  # in this order, each with something in place of "..."
        found = re.compile(".+".join(map(re.escape, line.split("..."))) + "$", re.MULTILINE).search(
            said, at
        )
        assert found, f"{line!r} is not in:\n{said[at:]}"
        at = found.end()
