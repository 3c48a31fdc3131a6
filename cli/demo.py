"""Shows the main job on an embedded Spark: two executors that are processes of their own, packages they never had.

    python -m coffee_boat.cli.demo

Needs the extra `local` (pyspark and a Java in a wheel); no Java and no cluster on the machine.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from coffee_boat import BoatError, Captain

MASTER = "local-cluster[2,1,1024]"
"""Two executors of one core and 1,024 MiB, each a process with a working directory of its own."""


def main() -> int:
    """Ship pyarrow and edtf, use both in a UDF, show the Report. Exit code 0, or 3 for a BoatError."""
    try:
        return _demo()
    except BoatError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 3


def _demo() -> int:
    started = time.perf_counter()
    with Captain() as captain:
        captain.add_pip_packages("pyarrow", "edtf")
        captain.launch_ship(master=MASTER, conf={"spark.ui.enabled": "false"})
        _show(f"environment ready after {time.perf_counter() - started:.1f} s")
        spark = captain.start()
        try:
            _show("a UDF on the executors says:")
            for row in _use_both(spark):
                _show(f"  {row}")
            report = captain.verify()
        finally:
            spark.stop()
    _show(str(report))
    return 0 if report.ok and len(report.executors) >= 2 else 1


def _use_both(spark: Any) -> list[str]:
    from pyspark.sql.functions import udf

    @udf("string", useArrow=False)  # type: ignore[untyped-decorator, unused-ignore]
    def season(day: str) -> str:
        import edtf
        import pyarrow

        return f"pyarrow {pyarrow.__version__} and edtf read {day!r} as {edtf.parse_edtf(day)!r}"

    days = spark.createDataFrame([("1984-06?",), ("2004-06/2006-08",)], ["day"])
    return [row[0] for row in days.select(season("day")).collect()]


def _show(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
