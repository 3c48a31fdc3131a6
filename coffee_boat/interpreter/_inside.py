"""Run by the interpreter that is copied, or by its copy, never imported: one word says what to do,
JSON comes by stdin and goes by stdout.

A process of its own, because bytecode must come from the interpreter that will read it, and because
what the loader finds for that interpreter is only to be seen there. Standard library only.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    del sys.path[0]  # this file's folder: its neighbours are not the standard library

import contextlib
import importlib
import json
import marshal
import py_compile
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_HEADER = 16
"""Bytes before the code (PEP 552)."""


def compiled(root: str, names: list[str]) -> list[str]:
    """Write bytecode beside each file; returns the names of what was written.

    A file that is not valid Python (a template, a sample) has none, nor one whose bytecode would be
    another one the next time.
    """
    written = []
    for name in names:
        try:
            path = py_compile.compile(
                f"{root}/{name}",
                dfile=name,
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except (py_compile.PyCompileError, ValueError, RecursionError):
            continue
        if sys.version_info < (3, 11):
            if _differs_next_time(Path(str(path))):
                Path(str(path)).unlink()
                continue
            _mark_all_names(Path(str(path)))
        written.append(Path(str(path)).relative_to(root).as_posix())
    return written


def _differs_next_time(compiled: Path) -> bool:
    """True if the bytecode holds a set with None or Ellipsis, whose hashes are addresses: marshal
    sorts sets from Python 3.11 on only. In the standard library that is traceback.py.
    """

    def differs(value: object) -> bool:
        if isinstance(value, types.CodeType):
            return any(differs(constant) for constant in value.co_consts)
        if isinstance(value, frozenset):
            return not value.isdisjoint({None, ...}) or any(map(differs, value))
        return isinstance(value, tuple) and any(map(differs, value))

    return differs(marshal.loads(compiled.read_bytes()[_HEADER:]))  # noqa: S302  just written


def _mark_all_names(compiled: Path) -> None:
    """Write the same code again, each name marked as one that may be referred to.

    Marshal marks what anything in the process holds, which is chance: from Python 3.11 on it marks
    all names (python/cpython#78274). Here all are held.
    """
    content = compiled.read_bytes()
    code = marshal.loads(content[_HEADER:])  # noqa: S302  just written
    held = list(_strings(code))
    compiled.write_bytes(content[:_HEADER] + marshal.dumps(code))
    held.clear()


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (tuple, frozenset)):
        for each in value:
            yield from _strings(each)
    elif isinstance(value, types.CodeType):
        yield from (value.co_filename, value.co_name)
        for names in (value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars):
            yield from names
        yield from _strings(value.co_consts)


def imported(modules: list[str]) -> dict[str, Any]:
    """Import modules; returns those that failed with the reason, and all files that are mapped
    afterwards.
    """
    reasons = {name: _reason(name) for name in modules}
    return {
        "failed": {name: reason for name, reason in reasons.items() if reason},
        "mapped": mapped(),
    }


def begun() -> str:
    """Do what an interpreter does before its program: site.py, with a .pth in the folder of
    packages. Returns why it cannot, empty if it can.
    """
    try:
        import site
        import tempfile

        site.main()
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "begun.pth").write_text("import sys; sys.begun = True\n", "utf-8")
            site.addsitedir(folder)
    except Exception as error:  # noqa: BLE001  whatever a torn standard library raises
        return f"{type(error).__name__}: {error}"
    return "" if hasattr(sys, "begun") else "a .pth file has no effect"


def located(libraries: list[str]) -> dict[str, str]:
    """Where the loader finds shared libraries for this interpreter; those that it does not find are
    left out.
    """
    import ctypes

    for name in libraries:
        with contextlib.suppress(OSError):
            ctypes.CDLL(name)
    return {
        name: path for path in mapped() for name in libraries if Path(path).name.startswith(name)
    }


def mapped() -> list[str]:
    """The files with ".so" in their names that are mapped into this process, sorted."""
    lines = Path("/proc/self/maps").read_text("utf-8").splitlines()
    paths = {line.split(maxsplit=5)[5] for line in lines if "/" in line}
    return sorted(path for path in paths if ".so" in Path(path).name)


def _reason(module: str) -> str:
    try:
        importlib.import_module(module)
    except ImportError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    verbs: dict[str, Callable[..., object]] = {
        "begin": begun,
        "compile": compiled,
        "import": imported,
        "locate": located,
    }
    sys.stdout.write(json.dumps(verbs[sys.argv[1]](**json.load(sys.stdin))))
