"""An interpreter for a driver of its own, which is given the packages too."""

from __future__ import annotations

import site
import sys
from collections.abc import Sequence
from pathlib import Path

from coffee_boat._support.digest import digest_of
from coffee_boat._support.store import Store

# doing it


def driver_python(entries: Sequence[str], store: Store) -> str:
    """An interpreter for a driver of its own: this one, with more folders at the end of sys.path.

    A virtual environment of a few links in the store, which takes this interpreter's own packages
    first.

    Args:
        entries: folders to import from; with none, it is this interpreter itself.

    Raises:
        StoreError: the store cannot be written.
    """
    if not entries:
        return sys.executable
    base = _base_program()
    own = [
        *site.getsitepackages(),
        *([site.getusersitepackages()] if site.ENABLE_USER_SITE else []),
    ]
    path_file = "".join(
        [f"import site; site.addsitedir({folder!r})\n" for folder in own]
        + [f"{entry}\n" for entry in entries]
    )
    name = f"driver-{digest_of([base, sys.version, path_file])}"
    while not store.keep("trees", name):
        with store.publish("trees", name) as folder:
            _overlay(folder, base, path_file)
    return str(store.path("trees", name) / "bin" / "python")


def _base_program() -> str:
    """The interpreter that a virtual environment is of; before Python 3.11, `_base_executable` is
    the environment's own on Linux.
    """
    usual = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    if usual.exists():
        return str(usual)
    return getattr(sys, "_base_executable", None) or sys.executable


def _overlay(folder: Path, base: str, path_file: str) -> None:
    packages = (
        folder
        / "lib"
        / f"python{sys.version_info.major}.{sys.version_info.minor}"
        / "site-packages"
    )
    packages.mkdir(parents=True)
    (packages / "boat.pth").write_text(path_file, "utf-8")
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(base)
    (folder / "pyvenv.cfg").write_text(
        f"home = {Path(base).parent}\ninclude-system-site-packages = false\nversion ="
        f" {sys.version.split()[0]}\n",
        "utf-8",
    )
