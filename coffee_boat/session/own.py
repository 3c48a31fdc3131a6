"""Modules of the user's own, beside the script or notebook: executors do not have them."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

from coffee_boat.errors import Finding
from coffee_boat.spark import diagnosis

SPARKS_OWN = frozenset({"pyspark", "py4j"})
"""Travel as the driver's own files, and nodes may put theirs before them: compared by Spark's
version, not by a pin.
"""
_MISSING = re.compile(
    r"(?P<missing>No module named|cannot import name '\w+' from|on <module) '(?P<module>[^'.]+)"
)


def driver_only_modules(loaded: Iterable[tuple[str, ModuleType]] | None = None) -> dict[str, Path]:
    """Top-level modules that this process imported from beside the script or notebook (or the
    working directory) -> their file or folder.

    A function that uses one is pickled with the module's name only: executors have to have it, too.

    Args:
        loaded: pairs as in sys.modules, which is the default.
    """
    folders, resolved = _own_folders(), cache(Path.resolve)
    pairs = sorted(dict(sys.modules if loaded is None else loaded).items())
    found = {
        name: place
        for name, module in pairs
        if (place := _place(name, module, resolved)) is not None and place.parent in folders
    }
    return {
        name: place for name, place in found.items() if name not in {"coffee_boat", *SPARKS_OWN}
    }


def _own_folders() -> set[Path]:
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    folders = {Path(script).resolve().parent} if script else set()
    with suppress(FileNotFoundError):  # the working directory was removed
        folders.add(Path.cwd())
    return folders - {Path(path).resolve() for path in sysconfig.get_paths().values()}


def _place(name: str, module: ModuleType, resolved: Callable[[Path], Path]) -> Path | None:
    """Hundreds of modules lie in a few folders: those are resolved, and once each."""
    file = getattr(module, "__file__", None)
    if "." in name or name.startswith("__") or not isinstance(file, str):
        return None
    path = Path(file)
    if path.name == "__init__.py":
        return resolved(path.parent)
    return resolved(path.parent) / path.name


def beside(name: str) -> Path | None:
    """The file or folder of a module that lies beside the script or notebook; None if none does."""
    known = driver_only_modules().get(name)
    if known is not None:
        return known
    for folder in sorted(_own_folders()):
        for place in (folder / f"{name}.py", folder / name / "__init__.py"):
            if place.is_file():
                return place if place.stem == name else place.parent
    return None


def how_to_add(place: Path) -> str:
    """What sends a module of the driver's own to executors.

    Args:
        place: its file or folder.
    """
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # by spark-submit, as boat launch does
    other = f", or boat launch --local {place}" if submitted else ""
    without_us = f', or sc.addPyFile("{place}")' if place.is_file() else ""
    return f'captain.add_local("{place}"){other}{without_us}'


def namesake(name: str, place: Path) -> Finding:
    """What is said where a package is asked for that is called as a module of the user's own."""
    sent = f'captain.add_local("{place.name}")'
    return Finding(
        "requirements.same-name-as-own-module",
        "a package has the name of a file of yours",
        value=name,
        cause=f"{place.name} is here, and the package from the index is another thing",
        cure=f"if you mean yours, leave the package out, and send it: {sent}",
    )


def explain(text: str) -> Finding | None:
    """As `diagnosis.explain`; of a module that is a file of the user's own, that file is named."""
    found = diagnosis.explain(text)
    missing = _MISSING.search(found.value) if found is not None else None
    place = beside(missing["module"]) if missing is not None else None
    if found is None or missing is None or place is None:
        return found
    cause = "functions are pickled with its name only"
    if not missing["missing"].startswith("No"):
        cause = "executors have an older copy of it, or another module of that name"
    return replace(
        found,
        cause=f"{place.name} lies beside your notebook or script, and {cause}",
        cure=how_to_add(place),
    )
