"""What is said where plain functions need packages on executors and Arrow is on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from coffee_boat.model import Finding, Lock, SparkFacts
from coffee_boat.session.driver import installed

_ARROW_SETTINGS = (
    "spark.sql.execution.pythonUDF.arrow.enabled",
    "spark.sql.execution.pythonUDTF.arrow.enabled",
)
"""Of functions made by `udf` and by `udtf`."""
_ARROW_BY_DEFAULT = (4, 2)
_ARROW_WITHOUT_PANDAS = (4, 1)
"""From these versions of Spark on."""


def arrow(lock: Lock, facts: SparkFacts) -> Iterator[Finding]:
    """What is said where plain functions need packages on executors, only because the driver has
    them.

    pyspark sends them as Arrow data if the driver has pandas and pyarrow; what executors have is
    not looked at (pyspark.sql.udf, pyspark.sql.udtf).

    Args:
        lock: what executors have.
        facts: its version and its settings.
    """
    spark = tuple(map(int, re.findall(r"\d+", facts.version)[:2]))
    default = "true" if spark >= _ARROW_BY_DEFAULT else "false"
    used = [key for key in _ARROW_SETTINGS if facts.conf.get(key, default).lower() == "true"]
    lacking = [
        name
        for name in ("pyarrow", "pandas")[: 1 if spark >= _ARROW_WITHOUT_PANDAS else 2]
        if not lock.has(name)
    ]
    if used and lacking and {"pandas", "pyarrow"} <= installed().keys():
        yield _sent_as_arrow(facts.version, used, lacking)


def _sent_as_arrow(spark: str, settings: Sequence[str], lacking: Sequence[str]) -> Finding:
    packages = ", ".join(f'"{name}"' for name in lacking)
    switches = "; ".join(f'spark.conf.set("{key}", "false")' for key in settings)
    return Finding(
        "driver.udf-will-fail",
        "functions made by udf or udtf will fail on executors",
        value=f"{' and '.join(lacking)} not installed",
        cause=(
            f"the driver has pandas and pyarrow, so Spark {spark} sends these functions as Arrow"
            f" data ({', '.join(settings)})"
        ),
        cure=f"captain.add_pip_packages({packages}); or, before they are made: {switches}",
    )
