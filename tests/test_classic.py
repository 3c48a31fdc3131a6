"""What a classic session leaves behind in the driver's process.

The context is a stand-in: no JVM.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from coffee_boat.session.classic import ClassicSession


def context(
    run: Callable[[Callable[[list[int]], None]], None], cancel: Callable[[str], None] = print
) -> Any:
    """As much of a SparkContext as one job on one executor needs.

    `run` is given what a task does; it runs in the job's own thread.
    """
    from pyspark import Accumulator

    executor = SimpleNamespace(id=lambda: "driver", maxTasks=lambda: 1)
    executors = SimpleNamespace(size=lambda: 1, apply=[executor].__getitem__)
    spark = SimpleNamespace(
        isStopped=lambda: False,
        isLocal=lambda: True,
        statusStore=lambda: SimpleNamespace(executorList=lambda _: executors),
    )
    spark.sc = lambda: spark
    return SimpleNamespace(
        _jsc=spark,
        accumulator=lambda value, param: Accumulator(-1, value, param),
        setJobGroup=lambda *_: None,
        cancelJobGroup=cancel,
        parallelize=lambda *_: SimpleNamespace(foreachPartition=run),
    )


def registered() -> set[int]:
    from pyspark import accumulators

    return set(accumulators._accumulatorRegistry)


def test_an_ask_leaves_no_accumulator() -> None:
    known = registered()
    answers = ClassicSession(context(lambda task: task([]))).ask(os.getpid, deadline=10)
    assert answers.by_executor == {"driver": os.getpid()}
    assert registered() == known


def test_a_job_that_fails_leaves_none_either() -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    known = registered()
    with pytest.raises(ZeroDivisionError):
        ClassicSession(context(fail)).ask(os.getpid, deadline=10)
    assert registered() == known


def test_one_that_is_given_up_leaves_none_once_it_has_ended() -> None:
    known, cancelled = registered(), threading.Event()
    session = ClassicSession(
        context(lambda _: cancelled.wait(10) and None, lambda _: cancelled.set())
    )
    assert session.ask(os.getpid, deadline=0.2).missed == ("driver",)
    assert cancelled.is_set()
    assert registered() == known
