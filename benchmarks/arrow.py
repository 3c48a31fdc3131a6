"""Arrow against plain UDFs, side by side in one session.

    python benchmarks/arrow.py [--cache FOLDER] [--repeat N] [--rows N]

Each function runs three ways: as a plain UDF, row by row, whose values are pickled; as the same
plain UDF with useArrow=True, row by row, whose values come by Arrow; and as a pandas UDF, which
gets whole columns. "Plus one" and "cumulative probability" by scipy are the functions with which
pandas UDFs were announced for Spark 2.3, as "3x to over 100x" as fast. scipy's `norm.cdf` is slow
when it is called for each row, whoever calls it: `math.erf` is what a plain UDF would use. It has a
tenth of the rows. What is collected is a sum or a longest text, so that nothing but the function
differs. In each round all take their turns; a first round of few rows starts Python and imports,
and is not counted. Medians over the rounds.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from _common import QUIET, Workshop, arguments, median, stop, table, versions

PACKAGES = ("pandas<3", "pyarrow", "scipy")
MASTER = "local-cluster[1,2,2048]"
NUMBER = "rand(1) * 4 - 2 as v"
TEXT = "concat(' boat number ', cast(id as string)) as v"
WAYS = ("plain", "plain by Arrow", "pandas")


@dataclass(frozen=True)
class Function:
    """One function, row by row and by columns."""

    name: str
    column: str
    returns: str
    a_row: Callable[[Any], Any]
    a_column: Callable[[Any], Any]
    share: float = 1.0
    """Of the rows."""

    def by(self, way: str) -> Callable[[str], Any]:
        """Its UDF."""
        from pyspark.sql import functions as f

        if way == "pandas":
            return f.pandas_udf(self.a_column, self.returns)
        return f.udf(self.a_row, self.returns, useArrow=way != "plain")


def functions() -> list[Function]:
    """What is measured; annotations say that a column is a Series."""
    import pandas as pd

    def plus_one(v: pd.Series) -> pd.Series:
        return v + 1

    def probability(v: pd.Series) -> pd.Series:
        from scipy import stats

        return pd.Series(stats.norm.cdf(v))

    def titles(text: pd.Series) -> pd.Series:
        return text.str.strip().str.title()

    def by_scipy(v: float) -> float:
        from scipy import stats

        return float(stats.norm.cdf(v))

    for function in (plus_one, probability, titles):  # not texts: pandas is imported here only
        function.__annotations__ = dict.fromkeys(function.__annotations__, pd.Series)
    erf, root = math.erf, math.sqrt(2)
    return [
        Function("plus one", NUMBER, "double", lambda v: v + 1, plus_one),
        Function(
            *("cumulative probability, math.erf", NUMBER, "double"),
            *(lambda v: (1 + erf(v / root)) / 2, probability),
        ),
        Function(
            "cumulative probability, scipy", NUMBER, "double", by_scipy, probability, share=0.1
        ),
        Function("strip and title of a text", TEXT, "string", lambda t: t.strip().title(), titles),
    ]


def seconds(spark: Any, function: Function, way: str, rows: int) -> tuple[float, Any]:
    """How long all rows take, and what came out."""
    from pyspark.sql import functions as f

    frame = spark.range(int(rows * function.share)).selectExpr("id", function.column)
    value = function.by(way)("v")
    asked = frame.select(f.sum(value) if function.returns == "double" else f.max(f.length(value)))
    began = time.perf_counter()
    answer = asked.first()[0]
    return time.perf_counter() - began, answer


def main() -> None:
    parser = arguments(__doc__, repeat=3)
    parser.add_argument("--rows", type=int, default=2_000_000, metavar="N")
    given = parser.parse_args()
    shop = Workshop(given.cache)
    os.environ["UV_CACHE_DIR"] = str(shop.path("uv-cache"))

    from coffee_boat import Captain

    captain = Captain(store=str(shop.path("store"))).add_pip_packages(*PACKAGES)
    captain.launch_ship(MASTER, QUIET)
    spark = captain.start()
    measured, rows = functions(), list[list[object]]()
    found: dict[tuple[str, str], list[float]] = {}
    for round_ in range(given.repeat + 1):
        for function in measured:
            answers = set()
            for way in WAYS:
                took, answer = seconds(spark, function, way, given.rows if round_ else 20_000)
                answers.add(round(answer, 4))
                if round_:
                    found.setdefault((function.name, way), []).append(took)
                    print(f"  {function.name}, {way}: {took:.2f} s", file=sys.stderr, flush=True)
            if len(answers) != 1:
                sys.exit(f"{function.name}: the ways differ: {answers}")
    for function in measured:
        times = {way: found[function.name, way] for way in WAYS}
        plain, arrow, pandas = (median(some) or 0.0 for some in times.values())
        rows.append(
            [function.name, int(given.rows * function.share), plain, arrow, pandas, plain / pandas]
        )
    told = versions("coffee_boat", "pyspark")
    packages = ", ".join(pin.label for pin in captain.lock.pins if pin.requested)
    stop(spark.sparkContext)
    print(f"\n{told}\n{packages}\n{MASTER}; seconds, medians of {given.repeat} rounds\n")
    print(table(["function", "rows", *WAYS, "plain / pandas"], rows))


if __name__ == "__main__":
    main()
