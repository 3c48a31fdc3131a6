"""Who owns what in an archive: areas are owned, not single names.

    the interpreter   bin/python*, lib/pythonX.Y/ but for site-packages, lib/libpython*, what
                      decides
                      where Python looks (pyvenv.cfg, *._pth), ssl/, the libraries that a node has
                      itself or that it loads first
    this program      boat.json, lib/coffee_boat/, lib/fallback/, boat-layer-*, coffee_boat_worker
    the driver's Spark  pyspark and py4j, as packages, modules and extension modules
    conda             conda-meta/, etc/conda/
    a wheel           the rest of site-packages, its scripts, its data where nobody else is
    a conda package   the same, and what is conda's; `python` has what is the interpreter's

Names are compared as a file system would that folds case and normalizes Unicode: such a name is
nobody's by accident. Pure: takes names, gives reasons.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from coffee_boat._support.store import Store
from coffee_boat.archive import chunks, elf
from coffee_boat.errors import BuildError
from coffee_boat.model import SENTINEL, START_FOLDER, Chunk, Finding, Target
from coffee_boat.worker.facts import LAYERS, LIBRARY

RECORDS = f"{START_FOLDER}conda/"
"""Our own records of conda packages, each called after its sha256: what worker/prefix.py reads."""

_WORKER = "coffee_boat_worker"
_SPARK = ("pyspark", "py4j")
_JVM_SIDE = frozenset({"jars", "bin", "sbin", "data", "examples", "licenses", "tests"})
"""Folders of pyspark without Python that executors import: packages for Spark put jars there."""
_HOOKS = frozenset({"sitecustomize", "usercustomize"})
"""Modules that site.py imports at every start of Python."""
_INTERPRETER = re.compile(r"python[\d.]*[tdmwi]{0,2}(?:-config|\.exe|\.cfg|\.zip)?")
_ZIPPED = re.compile(r"python\d[\d.]*t?\.zip")
_LANDMARKS = frozenset({"pyvenv.cfg", "pybuilddir.txt"})
"""What getpath.py looks for beside the executable, or above it, to decide where Python's library
is.
"""
_LIBRARIES = ("lib", "lib32", "lib64", "libx32")
_FOLDERS = frozenset({"bin", "etc", "include", "lib", "lib32", "lib64", "libx32", "share"})
"""What no file and no link may be called: others have files below."""
_HARDWARE = re.compile(
    r"tls|glibc-hwcaps|x86_64|x86-64-v\d|haswell|xeon_phi|avx512_1|i\d86|sse2|aarch64|atomics|v8l|neon"
    r"|vfp|power\d+|ppc\w*|s390x|z\d{2,}|zec12"
)
"""Folders that ld.so looks into below each that it searches (its hwcaps, now and before 2.37)."""
_OF_STANDARD_LIBRARY = re.compile(
    r"lib(bz2|crypt|crypto|ssl|ffi|lzma|zstd|z|uuid|sqlite3|readline|history|edit|termcap|bsd"
    r"|n?curses|ncursesw|panelw?|tinfow?|nsl|tirpc|gdbm|gdbm_compat|ndbm|db(-\d[\d.]*)?|expat|mpdec"
    r"|intl|tcl\d[\d.]*t?|tk\d[\d.]*t?|tcl9tk\d[\d.]*|gssapi_krb5|krb5|k5crypto|krb5support"
    r"|com_err|keyutils|x11|xft|xss|xext|xcb)(-[\d.]+)?\.so(\.\w+)*"
)
"""What extension modules of Python's standard library need (DT_NEEDED in lib-dynload, of 3.10 to
3.14), and what that needs. One that the interpreter does not bring is the node's.
"""
_SHOWN = 3


@dataclass(frozen=True)
class Areas:
    """The areas of an archive for a target, for the files of one package."""

    target: Target
    by: str = "wheel"
    """"wheel", "conda", or "python": conda's package of that name."""

    def taken(self, name: str) -> str:
        """Why the package may not have a file of that name; empty if it may.

        Args:
            name: relative to the archive's root.
        """
        folded = _folded(name)
        parts = folded.split("/")
        if reason := self._ours(folded, parts):
            return reason
        if self._is_in_site(folded):
            return _taken_in_site(folded.removeprefix(_folded(self.target.site_packages)))
        if self.by == "wheel" and (parts[0] == "conda-meta" or parts[:2] == ["etc", "conda"]):
            return "it lies in conda's own folder, where only conda packages may have files"
        if self.by == "python":
            return ""
        reason = self._found_upwards(parts)
        if reason or (self.by == "conda" and parts[-1].endswith(".a")):
            return reason  # nothing loads a static library
        return self._the_interpreters(parts)

    def is_sparks(self, name: str) -> bool:
        """True for a file of a package pyspark or py4j: the driver's own has that place."""
        folded = _folded(name)
        if not self._is_in_site(folded):
            return False
        return _stem(folded.removeprefix(_folded(self.target.site_packages))) in _SPARK

    def _is_in_site(self, folded: str) -> bool:
        return folded.startswith(_folded(self.target.site_packages))

    def _ours(self, folded: str, parts: Sequence[str]) -> str:
        ours = "it lies in a place that is this program's own"
        if parts[0] == SENTINEL or parts[0].startswith(LAYERS):
            return ours
        if _below(folded, START_FOLDER) or _below(folded, "lib/fallback/"):
            return ours
        return ""

    def _the_interpreters(self, parts: Sequence[str]) -> str:
        top = parts[0]
        if len(parts) == 1 and top in _FOLDERS:
            return "it would replace a folder of the environment"
        if top == "ssl" and self.by == "wheel":
            return "it lies in the folder of OpenSSL's settings and certificates"
        if _is_landmark(parts) or (top in _LIBRARIES and self._is_library(parts)):
            return "it lies in the interpreter's own area"
        if top == "bin" and _is_program(parts):
            return "it would replace the interpreter, or a part of it"
        if top in _LIBRARIES:
            return self._taken_by_loader(parts[1:-1], parts[-1])
        return ""

    def _found_upwards(self, parts: Sequence[str]) -> str:
        """Why nothing may lie below another `lib` than that of the root.

        Python looks for lib/pythonX.Y in the folder of its program, or of its libpython, and then
        in each above (getpath.py): what lies lower is found before its own.
        """
        if len(parts) < 2 or parts[1] not in _LIBRARIES:
            return ""
        if parts[0] == "bin" or (
            parts[0] in _LIBRARIES and (len(parts) == 2 or self._is_library(parts[1:]))
        ):
            return "it lies where the interpreter looks for its own library"
        return ""

    def _is_library(self, parts: Sequence[str]) -> bool:
        name = parts[1]
        own = {
            f"python{self.target.minor}",
            f"python{self.target.minor}t",
            "python3",
            f"python{self.target.minor.replace('.', '')}.zip",
        }
        return name in own or name.startswith("libpython")

    def _taken_by_loader(self, between: Sequence[str], name: str) -> str:
        """The interpreter's DT_RPATH leads to lib/: what lies there is loaded in place of the
        node's own, by whatever is imported; and what is in a folder for some processors, in place
        of what lies in lib/.
        """
        if _HARDWARE.fullmatch([*between, name][0]):
            return (
                "it lies in a folder for some processors, whose libraries are loaded in place of"
                " those that the interpreter has"
            )
        if between:
            return ""
        wheels = self.by == "wheel" and (
            LIBRARY.fullmatch(name) or _OF_STANDARD_LIBRARY.fullmatch(name)
        )
        if elf.is_glibc(name) or wheels:
            return "it would be loaded in place of a library that the node or the interpreter has"
        return ""


def of_spark(names: Iterable[str], areas: Areas, label: str) -> tuple[tuple[Finding, ...], str]:
    """What is said where a package brings files of pyspark or py4j, which are left out: the
    driver's own are in every archive. And the file for which it is refused, if it is: one that is
    put into a package of somebody else.

    Args:
        names: all its files, relative to the archive's root.
        label: for people.
    """
    found: list[Finding] = []
    site = _folded(areas.target.site_packages)
    for package in _SPARK:
        theirs = sorted(name for name in names if _stem_below(name, site) == package)
        if not theirs:
            continue
        below = {_folded(name).removeprefix(site) for name in theirs}
        if f"{package}/__init__.py" not in below and (
            planted := [name for name in theirs if not _is_never_imported(name, site)]
        ):
            return (), planted[0]
        others = f" + {len(theirs) - _SHOWN} others" if len(theirs) > _SHOWN else ""
        found.append(
            Finding(
                "build.spark-files-replaced",
                f"a package brings files of {package}; the driver's own are what executors get",
                value=f"{label}: {', '.join(theirs[:_SHOWN])}{others}",
                cause=(
                    f"driver and executors must run one Spark, so the driver's {package} is in"
                    " every archive"
                ),
                cure=f"to use the {package} of this package, install it on the driver, in place of"
                " pyspark",
            )
        )
    return tuple(found), ""


def refuse_overlaps(
    owners: Sequence[Chunk], guests: Sequence[Chunk], target: Target, store: Store
) -> None:
    """Refuse a wheel's file in the place of one that the interpreter, Spark, this program or, where
    libraries lie, a conda package has.

    Args:
        owners: the chunks of the base.
        guests: those of wheels.

    Raises:
        BuildError: there is one.
    """
    owned: dict[str, tuple[str, str]] = {}
    for chunk in owners:
        listing = chunks.listing(chunk, store)
        shared = (target.site_packages, "bin/", "share/", "etc/", "man/", "include/")
        whole = chunk.label.startswith(("python ", "pyspark ", "coffee_boat ")) and not chunk.record
        for name, content in listing.items():
            if whole or not name.startswith(shared):
                owned[name] = (content, chunk.label)
    for chunk in guests:
        for name, content in sorted(chunks.listing(chunk, store).items()):
            if name in owned and owned[name][0] != content:
                raise BuildError(
                    "build.environment-file-replaced",
                    "a wheel would replace a file of the environment itself",
                    value=f"{chunk.label}: {name}",
                    cause=f"the file is of {owned[name][1]}",
                    cure="leave the package out, or pin another version of it",
                )


def _taken_in_site(name: str) -> str:
    """For a folded name below site-packages."""
    stem = _stem(name)
    if stem.startswith(_WORKER) or name == "coffee_boat.pth":
        return "it lies in a place that is this program's own"
    if stem in _HOOKS:
        return "it lies in the interpreter's own area: Python runs it at every start"
    return ""


def _is_program(parts: Sequence[str]) -> bool:
    """True for what the interpreter's own program is called in bin/, and what Python looks for
    there.
    """
    return _INTERPRETER.fullmatch(parts[1]) is not None or parts[1] == "modules"


def _is_landmark(parts: Sequence[str]) -> bool:
    """True for what decides where Python looks: in the root, beside the program or libpython."""
    last = parts[-1]
    if parts == ["modules"] or parts[:2] == ["modules", "setup.local"]:
        return True
    named = last in _LANDMARKS or last.endswith("._pth") or _ZIPPED.fullmatch(last)
    return bool(named) and (len(parts) == 1 or parts[0] in ("bin", *_LIBRARIES))


def _is_never_imported(name: str, site: str) -> bool:
    """True for jars, and for what only type checkers read."""
    parts = _folded(name).removeprefix(site).split("/")
    suffix = PurePosixPath(parts[-1]).suffix
    jar = len(parts) > 2 and parts[1] in _JVM_SIDE and suffix == ".jar"
    return jar or suffix == ".pyi" or parts[-1] == "py.typed"


def _stem_below(name: str, site: str) -> str:
    folded = _folded(name)
    return _stem(folded.removeprefix(site)) if folded.startswith(site) else ""


def _stem(name: str) -> str:
    """The module that a name below site-packages would be, or be part of."""
    return name.partition("/")[0].partition(".")[0]


def _below(name: str, folder: str) -> bool:
    return name == folder.rstrip("/") or name.startswith(folder)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
