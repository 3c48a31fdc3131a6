"""Shows the main job on an embedded Spark: two executors that are processes of their own, packages
they never had, and one more while they run.

    boat demo

Needs the extra `local` (pyspark and a Java in a wheel); no Java and no cluster on the machine.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from coffee_boat.captain import Captain
from coffee_boat.errors import BoatError

MASTER = "local-cluster[2,1,1024]"
"""Two executors of one core and 1,024 MiB, each a process with a working directory of its own."""


def main() -> int:
    """Ship pyarrow and edtf, use both in a UDF, add humanize to the running session, show the
    Report. Exit code 0, or 3 for a BoatError.
    """
    try:
        return _demo()
    except BoatError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 3


def _demo() -> int:
    started = time.perf_counter()
    with Captain() as captain:
        captain.add_pip_packages("pyarrow", "edtf")
        captain.launch_ship(
            master=MASTER,
            conf={"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false"},
        )
        _show(f"The environment is ready after {time.perf_counter() - started:.1f} s.")
        spark = captain.start()
        try:
            _show("A UDF on the executors, which had neither package:", *_seasons(spark))
            _show(
                "A function that wants one more package:",
                early := _Early(spark),
                "and now captain.add_pip_packages('humanize'):",
            )
            captain.add_pip_packages("humanize")
            _show(
                captain.report, "The same function, made before:", early, "What the executors run:"
            )
            report = captain.verify()
        finally:
            spark.stop()
    _show(report)
    return 0 if report.ok and len(report.executors) >= 2 else 1


def _seasons(spark: Any) -> list[str]:
    from pyspark.sql.functions import udf

    @udf("string", useArrow=False)  # type: ignore[untyped-decorator, unused-ignore]
    def season(day: str) -> str:
        import edtf
        import pyarrow

        return f"pyarrow {pyarrow.__version__} and edtf read {day!r} as {edtf.parse_edtf(day)!r}"

    days = spark.createDataFrame([("1984-06?",), ("2004-06/2006-08",)], ["day"])
    return [f"  {row[0]}" for row in days.select(season("day")).collect()]


class _Early:
    """An RDD with a function in it, collected each time it is shown."""

    def __init__(self, spark: Any) -> None:
        def count(number: int) -> str:
            try:
                import humanize
            except ImportError as error:
                return str(error).splitlines()[0]
            return f"{number} is {humanize.intword(number)}"

        self._rdd = spark.sparkContext.parallelize([1_000_000, 1_000_000_000], 2).map(count)

    def __str__(self) -> str:
        return "\n".join(f"  {line}" for line in self._rdd.collect())


def _show(*texts: object) -> None:
    for text in texts:
        print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
