"""Finds modules in layers that arrived after the interpreter started, and says what to do about
those that nobody has.

A layer is an archive that Spark unpacked as a folder `boat-layer-...` into SparkFiles' root or the
working directory; a large one is a file there, which is unpacked by who finds it first (layers.py).
One that was added to a composed generation has that one's digits in its name, and is seen by its
processes alone. It is looked for when Python starts and when an import fails, which costs a listing
of two small folders.

Its programs come to PATH (programs.py).
"""

from __future__ import annotations

import os
import site
import sys
import time
from _thread import (
    allocate_lock,
    get_ident,
)  # threading.Lock, without loading threading at every start of Python

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import FrameType

LAYERS = "boat-layer-"
FILES = "COFFEE_BOAT_FILES"
"""The variable with the folders that layers arrive in, absolute, on a line each: for a task that
changed its working directory, and for what it starts.
"""
RUNS = "COFFEE_BOAT_GENERATION"
"""As in worker/compose.py."""
SENTINEL = "boat.json"
_PROGRAMS = "boat-programs"
"""The folder with links to them; that of a composed generation's layers has its digits besides."""
_SPARKS = "SPARK_LOCAL_DIRS"
"""Spark tells each Python of an executor by it where its block folders are."""
FILE = ".layer"
"""As in worker/layers.py."""
_PATIENCE = 10.0
"""Seconds after which a file that could not be unpacked is tried again."""
SITE_PACKAGES = os.path.join(
    "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages"
)

_BOOTSTRAP = ("_frozen_importlib", "importlib._bootstrap")
"""The name of the import system's own module: the first until the package importlib is imported,
then the second.
"""


class LayerFinder:
    """A meta-path finder (importlib's protocol), to stand last on sys.meta_path.

    Safe in threads.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._hidden = _hidden()
        self._runs = os.path.basename(os.environ.get(RUNS, "")).rpartition("-")[2]
        self._programs = f"{_PROGRAMS}-{self._runs}" if self._runs else _PROGRAMS
        self._own_programs = ""
        self._lock = allocate_lock()
        self._unpacking: set[int] = set()
        """Threads that do: an import of theirs that fails looks for no layers."""
        self._failed: dict[str, tuple[float, str]] = {}
        """Layers that were sent as files and cannot be unpacked -> when, and why."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """The module's spec if a layer has it.

        Raises:
            ModuleNotFoundError: an import statement asked for a top-level module that nobody has;
                it says what to do.
        """
        self._board()
        spec = self._ask_others(name, path, target, everyone=bool(self._seen))
        if spec is None and _is_hintable(name, path) and is_import():
            text = missing(name, _whole(name), [why for _, why in [*self._failed.values()]])
            raise ModuleNotFoundError(text, name=name)
        return spec

    def find_distributions(self, context: object = None) -> list[object]:
        """The distributions of layers that importlib.metadata, which asks sys.path first, did not
        see yet.
        """
        from importlib.metadata import DistributionFinder, MetadataPathFinder

        new = self._board()
        if not new or not isinstance(context, DistributionFinder.Context):
            return []
        return list(
            MetadataPathFinder.find_distributions(
                DistributionFinder.Context(name=context.name, path=new)
            )
        )

    def failed(self) -> dict[str, str]:
        """Look for layers; why those are not here that cannot be unpacked."""
        self._board()
        return {name: why for name, (_, why) in [*self._failed.items()]}

    def _board(self, *, unpacks: bool = True) -> list[str]:
        """Put new layers on sys.path; returns their site-packages.

        Args:
            unpacks: False to look only at those that Spark unpacks.

        A layer is importable as soon as another thread can know that it was seen. Its .pth files
        are run outside of the lock: they may import, and another thread that holds that module's
        lock may be waiting for ours.
        """
        if self._hidden is None:
            return []
        waiting = self._waiting() if unpacks else set(self._others(FILE))
        with self._lock:
            layers = {
                name: place
                for name, place in self._others().items()
                if name not in waiting and _is_whole(place)
            }
            self._seen.update(layers)
            new = [os.path.join(layers[name], SITE_PACKAGES) for name in sorted(layers)]
            sys.path.extend(new)
        # not importlib.invalidate_caches: what is new has no cache, and zipimport would read the
        # whole directory of pyspark.zip again
        for folder in new:
            sys.path_importer_cache.pop(folder, None)
            site.addsitedir(folder)
        if layers:
            from . import programs

            for name in sorted(layers):
                programs.link(layers[name], self._programs, self._own_programs)
        return new

    def begin(self, own_programs: str) -> None:
        """Look for layers, and have what this process starts find their programs, also of those
        that come later. Large ones are not unpacked: where that fails, each Python would try it
        anew when it starts.

        Only where Spark started this process, or what started it: elsewhere the working directory
        is anybody's.

        Args:
            own_programs: the folder with the environment's, which come first.
        """
        self._own_programs = own_programs
        if _SPARKS not in os.environ:
            return
        self._board(unpacks=False)
        from . import programs

        for root in filter(os.path.isdir, _roots()):
            folder = os.path.abspath(os.path.join(root, self._programs))
            programs.put_on_path(folder, self._own_programs)

    def _waiting(self) -> set[str]:
        """Have those unpacked that were sent as files; names of those that are not here yet.

        Without the lock, which threads that import something else wait for.
        """
        thread, sent = get_ident(), self._others(FILE)
        if thread in self._unpacking:
            return set(sent)
        self._unpacking.add(thread)
        try:
            return {name for name, place in sent.items() if not self._is_ready(name, place)}
        finally:
            self._unpacking.discard(thread)

    def _is_ready(self, name: str, place: str) -> bool:
        """True if it is unpacked, and stays; a folder alone does not tell that."""
        tried, _ = self._failed.get(name, (0.0, ""))
        if tried and time.monotonic() - tried < _PATIENCE and not _is_whole(place):
            return False
        from . import layers

        try:
            ready = layers.ready(place)
        except ValueError as error:
            if not tried:
                sys.stderr.write(f"coffee_boat: {error}\n")
            self._failed[name] = (time.monotonic(), str(error))
            return False
        self._failed.pop(name, None)
        return ready

    def _others(self, suffix: str = "") -> dict[str, str]:
        """Names of layers for this process that were not seen yet -> their folders."""
        apart = self._seen | (self._hidden or frozenset())
        return {
            name: place
            for name, place in _layers(apart, suffix).items()
            if name[len(LAYERS) :].partition("-")[2] in ("", self._runs)
        }

    def _ask_others(
        self, name: str, path: object, target: object, *, everyone: bool
    ) -> ModuleSpec | None:
        """All other finders where layers are aboard (another thread may have added one just now),
        else those behind this one.
        """
        finders = list(sys.meta_path)
        if not everyone:
            finders = finders[finders.index(self) + 1 :] if self in finders else []
        for finder in finders:
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(name, path, target) if find else None
            if spec is not None:
                return spec
        return None


def remember_files(base: str) -> None:
    """Tell all that this process starts where layers arrive: in the working directory of an
    executor, where the base lies, too.

    Args:
        base: the name of the folder of this environment, or of its generation's.
    """
    known = os.environ.get(FILES, "")
    try:
        here = os.getcwd()
    except OSError:  # it was removed: what is known serves
        return
    if not known or os.path.isdir(os.path.join(here, base)):
        lines = dict.fromkeys([*filter(None, known.split("\n")), here])
        os.environ[FILES] = "\n".join(lines)


def _hidden() -> frozenset[str] | None:
    """Layers that are not for the generation that this process runs; None for all."""
    if RUNS not in os.environ:
        return frozenset()
    from . import compose

    return compose.hidden()


def install() -> LayerFinder:
    """The finder at the end of sys.meta_path; put there once."""
    there = next((finder for finder in sys.meta_path if isinstance(finder, LayerFinder)), None)
    if there is None:
        there = LayerFinder()
        sys.meta_path.append(there)
    return there


def missing(name: str, whole: str = "", failed: Sequence[str] = ()) -> str:
    """What is said of a module that is not aboard; the first line is Python's own.

    Args:
        whole: the dotted name that was imported, of which `name` is the first part that is missing.
        failed: why layers are not here that were sent.
    """
    from . import modules

    said = f"No module named {name!r}\n  "
    if failed:
        said += f"It may be in what was sent to this executor: {'; '.join(failed)}\n  "
    cause, cure = modules.about_python(name)
    if cause:
        return f"{said}{cause[0].upper()}{cause[1:]}. What to do:\n    {cure}"
    whole = whole or name
    file = f'    a file beside your notebook or script:  captain.add_local("{name}.py")\n'
    file += f"      or, at its start:                     boat launch --local {name}.py ...\n"
    package = f"    a package:                              {modules.command(whole)}\n"
    parts = [package] if "." in name else [file, package]
    if modules.is_shared(whole):
        parts = [f"    {whole} is shared by many packages; name the one that you import from it\n"]
    elif modules.distribution(whole):
        parts.reverse()
    return f"{said}It is not installed on this executor. On the driver:\n{''.join(parts)}".rstrip()


def _layers(apart: set[str] | frozenset[str], suffix: str) -> dict[str, str]:
    """Names of layers, but for some -> their folders. Where a name is twice, the first that is
    whole counts: names are content-addressed.

    Args:
        suffix: of what lies there.
    """
    found: dict[str, str] = {}
    for root in _roots():
        for entry in _names(root):
            name = entry[: len(entry) - len(suffix)]
            if not entry.startswith(LAYERS) or entry != name + suffix or "." in name:
                continue
            if name in apart:
                continue  # a failing import is not to look at each layer of a long session again
            if not _is_whole(found.get(name, "")):
                found[name] = os.path.abspath(os.path.join(root, name))
    return found


def _is_whole(place: str) -> bool:
    return bool(place) and os.path.isfile(os.path.join(place, SENTINEL))


def _roots() -> list[str]:
    """SparkFiles' root, where addArchive unpacks, and the working directory that Python was started
    in, where YARN and Connect do. Never asks a JVM.
    """
    roots = os.environ.get(FILES, os.curdir).split("\n")
    for module in ("pyspark.core.files", "pyspark.files"):  # Spark 4, Spark 3
        files = getattr(sys.modules.get(module), "SparkFiles", None)
        if getattr(files, "_is_running_on_worker", False):
            roots.append(str(getattr(files, "_root_directory", os.curdir)))
            break
    return roots


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # the working directory of a worker may be gone; then it holds no layers
        return []


def _is_hintable(name: str, path: object) -> bool:
    """Not for private accelerators (`_speedups`), which libraries try and do without, nor for parts
    of Python itself that every Python has. Of modules in a package only for those in a folder that
    many distributions share: another version of the package may have any other.
    """
    from . import modules

    if path is not None:
        return modules.is_shared(name.rpartition(".")[0]) and not name.endswith(".__path__")
    if name in getattr(sys, "stdlib_module_names", ()):
        return not name.startswith("_") and bool(modules.about_python(name)[0])
    return not name.startswith("_") and name not in ("sitecustomize", "usercustomize")


def _whole(name: str) -> str:
    """The dotted name that an import statement asks for, of which `name` is missing: with the first
    name after `import`, where the rest says nothing by itself (`from google.cloud import storage`).

    importlib calls itself for each part, and nothing stands between these frames.
    """
    from . import modules

    frame, whole = sys._getframe(2), name  # _whole < find_spec < _find_spec
    while frame is not None and frame.f_globals.get("__name__") in _BOOTSTRAP:
        asked = frame.f_locals.get("name")
        if isinstance(asked, str) and asked.startswith(name):
            whole = asked
        frame = frame.f_back  # type: ignore[assignment]
    if frame is None or not modules.is_shared(whole):
        return whole
    return ".".join([whole, *_from_list(frame)[:1]])


def _from_list(frame: FrameType) -> tuple[str, ...]:
    """The names after `import` in the statement that a frame is at."""
    import dis

    names: object = None
    for step in dis.get_instructions(frame.f_code):
        if step.offset >= frame.f_lasti:
            break
        if step.opname == "LOAD_CONST":
            names = step.argval
    return names if isinstance(names, tuple) else ()


def is_import() -> bool:
    """True below an import statement, import_module or an unpickler; False below
    importlib.util.find_spec, which must neither fail nor do anything.

    importlib offers no other way to tell: both call every finder through _bootstrap._find_spec, and
    only an import goes through _bootstrap._find_and_load_unlocked.
    """
    finding = sys._getframe(2)  # is_import < find_spec < _bootstrap._find_spec < its caller
    caller = finding.f_back
    if caller is None or finding.f_code.co_name != "_find_spec":
        return False
    return (
        caller.f_code.co_name == "_find_and_load_unlocked"
        and caller.f_globals.get("__name__") in _BOOTSTRAP
    )
