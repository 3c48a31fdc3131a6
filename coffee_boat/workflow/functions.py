"""Python functions for programs of the JVM: are they aboard, can they be imported, and what must
Spark know of them.
"""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from coffee_boat._support import files
from coffee_boat._support.progress import Step
from coffee_boat._support.run import run
from coffee_boat.archive import modules
from coffee_boat.archive.chunks import listing
from coffee_boat.conda import chunks as conda_chunks
from coffee_boat.errors import LaunchError, Problem
from coffee_boat.model import Chunk, Finding, Function, Lock, Manifest, Target
from coffee_boat.session import driver
from coffee_boat.session import functions as session_functions
from coffee_boat.spark.keys import PY_FILES
from coffee_boat.workflow.attach import Attached
from coffee_boat.workflow.built import Built
from coffee_boat.workflow.driver import driver_python
from coffee_boat.workflow.expose import folders
from coffee_boat.workflow.tools import Tools

_DESCRIBE = Path(__file__).parent.parent / "spark" / "_describe.py"
_SECONDS = 300.0
"""To import what functions are in: tensorflow takes half a minute on a slow disk."""
_ALWAYS = frozenset({*sys.stdlib_module_names, "pyspark", "py4j"})
_TYPES = {
    "": "its annotations say none that Spark knows (str, int, float, bool, bytes, date, datetime,"
    " Decimal, list[...], dict[...])",
    "pandas": "pandas.Series does not say what is in it",
    "table": "a table function says which columns it gives",
}


def described(
    tools: Tools,
    built: Built,
    functions: Sequence[Function],
    *,
    python: str,
    conf: Mapping[str, str],
) -> tuple[dict[str, Any], ...]:
    """What Spark must know of each, from an interpreter of the driver's that has the packages.

    Args:
        python: that interpreter.
        conf: the submission's settings.

    Raises:
        LaunchError: executors do not have the module, it cannot be imported, it has no such
            function, or that has no return type.
    """
    if not functions:
        return ()
    if tools.settings.ship_python:  # else the nodes' own packages may have it
        chunks = built.archive.chunks
        _refuse_not_aboard(functions, _aboard(tools, chunks, built.archive.target, conf))
    return _described(tools, functions, python)


def give(here: Attached, manifest: Manifest, functions: Sequence[Function], spark: Any) -> None:
    """Let a session of Spark's that runs with what is installed find functions by their names.

    Args:
        manifest: all that was asked for.
        spark: a SparkSession.

    Raises:
        LaunchError: as `described`, or Spark does not take one.
    """
    tools, now = here.tools, here.live.refresh()
    packed = tools.pipeline.packed(now.lock)
    if now.ships_python and _is_all(packed, now.lock):  # what another store has is not known
        conf = here.live.session.facts().conf
        _refuse_not_aboard(functions, _aboard(tools, packed, now.lock.target, conf))
    with tools.work() as say:
        chunks: tuple[Chunk, ...] = ()
        if tools.settings.install_local:
            chunks = tools.pipeline.chunks(driver.lacking(now.lock), now.lock, manifest, say)
        python = driver_python(folders(tools, now.lock, chunks, say), tools.store)
    session_functions.give(spark, _described(tools, functions, python), python)


def _is_all(packed: Iterable[Chunk], lock: Lock) -> bool:
    labels = (*(pin.label for pin in lock.pins), *map(conda_chunks.label, lock.conda))
    # by names: code of one's own is packed under a version that its content gives
    return set(map(_first, labels)) <= {_first(chunk.label) for chunk in packed}


def _first(label: str) -> str:
    return label.partition(" ")[0]


def waits(function: Function) -> Finding:
    """What is said where a context runs, and no session of SQL."""
    return Finding(
        "functions.no-session-yet",
        "a function is there once there is a SparkSession",
        value=function.label,
        cause="names of SQL belong to a SparkSession, and only a SparkContext was started",
        cure="spark = SparkSession.builder.getOrCreate(); after a board, captain.board(spark)",
        severity="note",
    )


def _described(
    tools: Tools, functions: Sequence[Function], python: str
) -> tuple[dict[str, Any], ...]:
    with tools.work() as say:
        say(Step("importing the functions"))
        answers = _ask(functions, python)
    return tuple(
        _accepted(wanted, answer) for wanted, answer in zip(functions, answers, strict=True)
    )


def _aboard(
    tools: Tools, chunks: Iterable[Chunk], target: Target, conf: Mapping[str, str]
) -> set[str]:
    """The modules that an import on executors may begin with."""
    found = {
        name.rpartition("/")[2].partition(".")[0] for name in conf.get(PY_FILES, "").split(",")
    }
    for chunk in chunks:
        found |= modules.roots(listing(chunk, tools.store), target)
    return found


def _refuse_not_aboard(functions: Iterable[Function], aboard: Collection[str]) -> None:
    for each in functions:
        top = each.module.partition(".")[0]
        if top and top not in aboard and top not in _ALWAYS:
            raise LaunchError(
                "functions.module-not-sent",
                "executors do not have the module of a function",
                value=f"{top}, of {each.label}",
                cause="no package and no code of your own that is sent has it",
                cure=_how_to_bring(top, aboard),
            )


def _how_to_bring(top: str, aboard: Collection[str]) -> str:
    here = next((place for place in (f"{top}.py", top) if files.exists(Path(place))), None)
    if here is not None:
        return f'captain.add_local("{here}")'
    near = difflib.get_close_matches(top, sorted(aboard), n=2)
    perhaps = f"perhaps {' or '.join(near)}; else " if near else ""
    return f'{perhaps}captain.add_local("{top}.py") for code of your own, or\
 captain.add_pip_packages("NAME") for a package'


def _ask(functions: Sequence[Function], python: str) -> Sequence[Mapping[str, Any]]:
    import pyspark

    wanted = [
        {
            "module": each.module,
            "attribute": each.attribute,
            "returns": each.returns,
            "pickled": each.pickled,
        }
        for each in functions
    ]
    places = [os.environ.get("PYTHONPATH", ""), str(Path(pyspark.__file__).parent.parent)]
    try:
        ran = run(
            [python, str(_DESCRIBE)],
            stdin=json.dumps(wanted),
            env={"PYTHONPATH": os.pathsep.join(filter(None, places))},
            timeout=_SECONDS,
        )
        answers: list[dict[str, Any]] = json.loads(ran.stdout)
    except subprocess.TimeoutExpired:
        raise _failed(f"it did not end within {_SECONDS:.0f} seconds") from None
    except ValueError:
        raise _failed(ran.tail) from None
    return answers


def _failed(said: str) -> LaunchError:
    return LaunchError(
        "functions.import-ended",
        "the modules of the functions cannot be imported",
        value=said,
        cause="the Python that imports them ended, or waits for something",
        cure="look at what the module does when it is imported",
    )


def _accepted(wanted: Function, answer: Mapping[str, Any]) -> dict[str, Any]:
    why = answer.get("why")
    if why is None:
        return {"name": wanted.name, **answer}
    near = " or ".join(answer["near"])
    words = {
        "label": wanted.label,
        "name": wanted.name,
        "place": wanted.place,
        "module": wanted.module,
        "attribute": wanted.attribute,
        "text": _TYPES[answer["text"]] if why == "no-return-type" else answer["text"],
        "perhaps": f"perhaps {near}" if near else "check how it is spelt",
    }
    known = _REFUSALS[why]
    filled = {part: getattr(known, part).format_map(words) for part in ("value", "cause", "cure")}
    raise LaunchError.of(replace(known, **filled))


_REFUSALS = {
    "module-missing": Problem(
        "functions.module-missing",
        "the module of a function is not there",
        value="{label}",
        cause="{text}",
        cure="check how it is spelt: it is MODULE:FUNCTION, as mypkg.text:tokenize. With"
        " install_local = false the driver has no packages: leave that out",
    ),
    "module-fails": Problem(
        "functions.module-fails",
        "the module of a function cannot be imported",
        value="{label}",
        cause="{text}",
        cure='python -c "import {module}" shows where',
    ),
    "missing": Problem(
        "functions.function-missing",
        "the module has no such function",
        value="{label}",
        cause="{module} has no {attribute}",
        cure="{perhaps}",
    ),
    "not-callable": Problem(
        "functions.not-a-function",
        "what is named is not a function",
        value="{label} ({text})",
        cause="what can be named: a function, what udf, pandas_udf or udtf made of one, and a"
        " class with eval",
        cure="name another one",
    ),
    "no-return-type": Problem(
        "functions.no-return-type",
        "a function has no return type",
        value="{label}",
        cause="{text}",
        cure="boat launch --function '{name}={place} -> string'; in Python, returns=\"string\";"
        " or annotate it: -> str",
    ),
    "not-picklable": Problem(
        "functions.value-not-picklable",
        "a function cannot be sent to executors",
        value="{label}",
        cause="{text}",
        cure="let it refer to what can be pickled: open files and connections inside of it",
    ),
}
"""By what `_describe.py` answers; a name in braces is filled in."""
