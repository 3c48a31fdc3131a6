"""Bytecode that travels: unchecked (PEP 552), so that a node neither compares times nor writes; the
same bytes wherever it is made.

A compiled file names its source by the path inside the archive; importlib puts the real path there
when it loads it (`_bootstrap_external._compile_bytecode`), so that tracebacks show where the file
really is.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from coffee_boat._support.crew import Crew
from coffee_boat._support.digest import contents_digest
from coffee_boat._support.futures import results
from coffee_boat._support.run import ctrl_c_later, interrupt, run
from coffee_boat._support.store import Store
from coffee_boat.errors import BuildError

FORMAT = 4
"""Part of the key of every chunk with bytecode: raise it when the bytes for the same sources
change.
"""

RARE = re.compile(
    r"/(encodings/(?!(__init__|aliases|ascii|idna|latin_1|utf_8|utf_8_sig)\.py$)|(tests?|idlelib|lib2to3|tkinter|turtledemo|ensurepip|pydoc_data)/)"
)
"""Of the standard library: not worth a file of bytecode each, since nodes unpack by the file.

Of a hundred encodings a process reads one, if any, and site.py utf_8_sig: from Python 3.13 on it
decodes each .pth with it.
"""

_SLICES, _FEW = 4, 32
"""Files are compiled in this many processes, and fewer files in one: to start four takes longer.

Constants: which strings marshal writes as references depends on what the same process compiled
before.
"""
_INSIDE = Path(__file__).with_name("_inside.py")
_QUIET = {"LC_ALL": "C.UTF-8", "LD_PRELOAD": None}


def compile_tree(python: str, root: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Compile files of a tree, beside their sources in `__pycache__`.

    Args:
        python: an interpreter of the version that will read the bytecode.
        root: what becomes the archive's root.
        names: sources, relative to `root`, with forward slashes.

    Returns:
        The names of the compiled files, sorted. A source that is not valid Python has none.

    Raises:
        BuildError: the interpreter does not run.
    """
    sources = sorted(name for name in names if name.endswith(".py"))
    processes = _SLICES if len(sources) > _FEW else 1
    slices = [sources[first::processes] for first in range(processes)]
    with Crew(min(processes, os.cpu_count() or 1), "bytecode") as crew:
        parts: list[Future[list[str]]] = []
        try:
            with ctrl_c_later():  # one that is just being begun would be nobody's
                parts.extend(crew.submit(partial(_compiled, python, root, part)) for part in slices)
            written = [name for names in results(parts) for name in names]
        except KeyboardInterrupt:
            crew.stop()
            interrupt()
            raise
    return tuple(sorted(written))


def stamp(python: str, store: Store) -> list[Any]:
    """What changes when the interpreter does, for the key of a chunk that it compiled."""
    path = Path(python).resolve()
    return [str(path), contents_digest([path], store)]


def ask(
    python: str,
    verb: str,
    question: dict[str, Any],
    *,
    flags: Sequence[str] = ("-I",),
    env: dict[str, str | None] | None = None,
) -> Any:
    """Have an interpreter run a verb of `_inside.py`.

    Raises:
        BuildError: it does not run, or fails.
    """
    try:
        ran = run(
            [python, *flags, "-S", "-B", "-W", "ignore", str(_INSIDE), verb],
            stdin=json.dumps(question),
            env={**_QUIET, **(env or {})},
            timeout=600,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _broken(python, str(error)) from error
    if ran.code:
        raise _broken(python, ran.tail)
    return json.loads(ran.stdout)


def _compiled(python: str, root: Path, names: Sequence[str]) -> list[str]:
    # Not isolated: -I would ignore PYTHONHASHSEED, which decides the order of frozensets in Python
    # 3.10's marshal.
    unset: dict[str, str | None] = {name: None for name in os.environ if name.startswith("PYTHON")}
    written: list[str] = ask(
        python,
        "compile",
        {"root": str(root), "names": list(names)},
        flags=("-s",),
        env={**unset, "PYTHONHASHSEED": "0"},
    )
    return written


def _broken(python: str, cause: str) -> BuildError:
    return BuildError(
        "build.interpreter-fails",
        "an interpreter does not run",
        value=python,
        cause=cause,
        cure='reinstall it, or name another one: python="3.11" or python="/path/to/python"',
    )
