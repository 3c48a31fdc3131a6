"""What one executor's Python says of itself.

Self-contained on purpose: the driver pickles these functions by value, so they also run where no
archive of ours arrived.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import platform
import re
import socket
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

SENTINEL = "boat.json"
LAYERS = "boat-layer-"
GENERATION = "COFFEE_BOAT_GENERATION"

MANYLINUX = (
    "ld-linux-[a-z0-9-]+|ld-linux|ld64|ld|"
    "libatomic|libgcc_s|libstdc\\+\\+|libm|libmvec|libanl|libdl|librt|libc|libnsl|libutil|libpthread|libresolv|libnss_[a-z0-9]+|"
    "libX11|libXext|libXrender|libICE|libSM|libGL|libgobject-2\\.0|libgthread-2\\.0|libglib-2\\.0|libexpat|libz|"
    "libcuda|libnvidia-[a-z0-9-]+"
)
"""The libraries that a manylinux wheel may take from its node: `lib_whitelist` in auditwheel's
manylinux-policy.json (PEP 600), the loader of every architecture, the name services that glibc
loads as the node's nsswitch.conf says, and the user's half of a GPU driver, which must be the
node's.
"""

LIBRARY = re.compile(rf"(?:{MANYLINUX})(?:-\d[\d.-]*)?\.so(?:\.\d+)*")
"""As files are called: libc.so.6, libc-2.28.so, libstdc++.so.6.0.30, libgcc_s-8-20210514.so.1."""

NODE_DATA = re.compile(r".*/(?:gconv/[^/]+|locale/.+|locale-archive|ld\.so\.cache|ffi\w{6})")
"""What glibc itself maps (character sets, locales), and the scratch file that libffi makes for its
closures.
"""


def collect(modules: Sequence[str] = (), candidates: Iterable[str] = ()) -> dict[str, Any]:
    """All that a report wants to know of this process, as plain values.

    Args:
        modules: imported first, so that the libraries they load are among the mapped files;
            failures are told, not raised.
        candidates: top-level modules of which is told whether they could be imported here.
    """
    import_errors = {module: error for module in modules if (error := _import_error(module))}
    pyspark = sys.modules.get("pyspark")
    return {
        "executor": executor_id(),
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "executable": os.path.realpath(sys.executable),
        "prefix": os.path.realpath(sys.prefix),
        "workdir": str(Path.cwd()),
        "foreign_files": foreign_files(mapped_files("/proc/self/maps"), own_folders()),
        "lock_digest": lock_digest(),
        "distributions": distributions(),
        "shadowed": shadowed(),
        "conda": conda_packages(),
        "unsettled": unsettled(),
        "not_shared": os.environ.get("COFFEE_BOAT_NOT_SHARED", ""),
        "pyspark": str(getattr(pyspark, "__version__", "")),
        "pyspark_path": str(Path(getattr(pyspark, "__file__", "")).parent),
        "glibc": _glibc(),
        "architecture": platform.machine(),
        "gpu_driver": gpu_driver(),
        "import_errors": import_errors,
        "absent": sorted(name for name in candidates if not _is_findable(name)),
    }


def boats() -> list[str]:
    """What is here of ours: the digest of the lock that the interpreter came with, and the names of
    layers; `NAME: why` of those that were sent and cannot be unpacked.
    """
    finders = [one for one in sys.meta_path if type(one).__name__ == "LayerFinder"]
    failed = [f"{name}: {why}" for one in finders for name, why in _failed(one)]
    return [lock_digest(), *layers(), *failed]


def _failed(finder: Any) -> list[tuple[str, str]]:
    """What a finder cannot unpack, of what was sent as a file (worker/layers.py)."""
    look = getattr(finder, "failed", None)  # one that came with an earlier version of us has none
    return sorted(look().items()) if look else []


def layers() -> list[str]:
    """Names of the complete layers that lie here, whether or not anything was imported from them;
    sorted.
    """
    return sorted({folder.name for folder in _layer_folders()})


def _layer_folders() -> list[Path]:
    """The complete layers that lie here, but for those that are not for the generation that runs
    (worker/compose.py); sorted.
    """
    hidden = _generation().get("known", ())
    running = os.path.basename(os.environ.get(GENERATION, "")).rpartition("-")[2]
    roots = [Path.cwd(), *map(Path, _spark_files())]
    return sorted(
        {
            path.parent
            for root in roots
            for path in root.glob(f"{LAYERS}*/{SENTINEL}")
            if path.parent.name not in hidden
            and "." not in path.parent.name
            and path.parent.name[len(LAYERS) :].partition("-")[2] in ("", running)
        }
    )


def _generation() -> dict[str, Any]:
    """What this interpreter's environment is composed of; empty for a base as it was sent."""
    folder = os.environ.get(GENERATION)
    text = _read(os.path.join(folder, "generation.json")) if folder else b""
    return dict(json.loads(text)) if text else {}


def executor_id() -> str:
    """The id Spark gave to the JVM above this process (`--executor-id`); "driver" where there is
    none, as in local mode.
    """
    pid = os.getpid()
    while pid > 0:
        found = re.search(rb"\0--executor-id\0([^\0]+)", _read(f"/proc/{pid}/cmdline"))
        if found:
            return found.group(1).decode()
        pid = _parent(pid)
    return os.environ.get("SPARK_EXECUTOR_ID", "driver")


def mapped_files(maps: str) -> list[str]:
    """The files in a maps file (proc_pid_maps(5)), sorted.

    One that was deleted since keeps its name, without the mark.
    """
    lines = _read(maps).decode(errors="replace").splitlines()
    paths = {
        line.split(None, 5)[5]
        for line in lines
        if line.count(" ") >= 5 and len(line.split(None, 5)) == 6
    }
    return sorted(
        path[: -len(" (deleted)")] if path.endswith(" (deleted)") else path
        for path in paths
        if _is_file(path)
    )


def foreign_files(mapped: Iterable[str], own: Sequence[str]) -> list[str]:
    """Those mapped files that neither lie in one of the folders nor may come from the node."""
    return [
        path
        for path in mapped
        if not _is_below(path, own)
        and not LIBRARY.fullmatch(Path(path).name)
        and not NODE_DATA.fullmatch(path)
    ]


def own_folders() -> list[str]:
    """The folders that Spark made for this executor or this application: working directory,
    archive, added files.
    """
    generation, folders = _generation(), [str(Path.cwd()), sys.prefix, *_spark_files()]
    folders += map(str, _layer_folders())  # some are links
    if generation:  # links lead to where its parts were unpacked
        beside = os.path.dirname(os.environ[GENERATION])
        names = [generation["base"], *generation["layers"]]
        folders += [os.path.join(place, name) for name in names for place in (beside, os.getcwd())]
    return [real for real in map(os.path.realpath, folders) if real != os.sep]


def _spark_files() -> list[str]:
    """Where Spark puts added files and archives, if this is a worker."""
    for module in ("pyspark.core.files", "pyspark.files"):  # Spark 4, Spark 3
        files: Any = getattr(sys.modules.get(module), "SparkFiles", None)
        if getattr(files, "_is_running_on_worker", False):
            return [files.getRootDirectory()]
    return []


def lock_digest() -> str:
    """What the archive that this interpreter, or our part of it, came with was locked to; empty if
    it is none of ours.
    """
    spec = importlib.util.find_spec(
        "coffee_boat_worker"
    )  # <root>/lib/pythonX.Y/site-packages/coffee_boat_worker/__init__.py
    root = Path(spec.origin).parents[4] if spec and spec.origin else Path(sys.prefix)
    text = _read(str(root / SENTINEL))
    return str(json.loads(text).get("lock", "")) if text else ""


def distributions() -> dict[str, str]:
    """Normalized name (PEP 503) -> version.

    The first on sys.path wins, as for imports; broken metadata is passed over.
    """
    from importlib.metadata import distributions as discover

    found: dict[str, str] = {}
    for distribution in discover():
        try:
            name, version = distribution.metadata["Name"], distribution.version
        except (OSError, ValueError, TypeError, KeyError):
            continue
        if name and version:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return found


_NOT_LOOKED_AT = {
    *("pyspark", "py4j", "coffee_boat_worker", "sitecustomize"),
    *("test", "tests", "testing", "conftest", "doc", "docs", "example", "examples"),
    *("benchmark", "benchmarks", "scripts", "setup"),
}


def shadowed() -> dict[str, str]:
    """Top-level modules of the archive and of its layers that Python finds elsewhere -> where: in
    an entry of sys.path that stands before theirs, as PYTHONPATH's do.

    A folder without __init__ hides no package (PEP 420). What many wheels leave at the top by
    mistake nobody imports: a project's own tests beside it do no harm.
    """
    entries = [os.path.realpath(entry or os.curdir) for entry in sys.path]
    own = [site for site in map(os.path.realpath, _sites()) if site in entries]
    if not own:
        return {}
    library = os.path.realpath(os.path.dirname(os.__file__))
    apart = {*own, library, os.path.join(library, "lib-dynload")}
    found: dict[str, str] = {}
    for site in own:
        ours = _modules(site).keys() - _NOT_LOOKED_AT
        for entry in entries[: entries.index(site)]:
            if entry not in apart:
                theirs = _modules(entry)
                for name in sorted(ours & theirs.keys()):
                    found.setdefault(name, theirs[name])
    return found


def _sites() -> list[str]:
    """The folders with the packages that we sent."""
    spec = importlib.util.find_spec("coffee_boat_worker")
    base = [str(Path(spec.origin).parents[1])] if spec and spec.origin else []
    inner = Path("lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")
    return [*base, *(str(layer / inner) for layer in _layer_folders())]


def _modules(entry: str) -> dict[str, str]:
    """Top-level modules of a folder or a zip file -> where each is."""
    import zipfile

    if os.path.isfile(entry):
        try:
            with zipfile.ZipFile(entry) as archive:
                names = set(archive.namelist())
        except (OSError, zipfile.BadZipFile):
            return {}
        inits = {name.split("/")[0] for name in names if name.count("/") == 1 and _is_init(name)}
        files = {name for name in names if "/" not in name}
    else:
        try:
            listed = os.listdir(entry)
        except OSError:  # an entry of sys.path need not be there
            return {}
        inits = {name for name in listed if any(map(_is_init, _names(os.path.join(entry, name))))}
        files = set(listed) - inits
    found = {
        name.partition(".")[0]: os.path.join(entry, name)
        for name in sorted(files)
        if name.endswith((".py", ".so")) and name.partition(".")[0].isidentifier()
    }
    return {**found, **{name: os.path.join(entry, name) for name in inits}}


def _is_init(name: str) -> bool:
    return name.rpartition("/")[2].partition(".")[0] == "__init__"


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # a file
        return []


def conda_packages() -> dict[str, list[str]]:
    """Name of each conda package in the environment and in its layers -> version and channel, as
    their records say; broken ones are passed over.
    """
    found: dict[str, list[str]] = {}
    for root in _environments():
        for path in sorted(root.glob("conda-meta/*.json")):
            try:
                record = json.loads(_read(str(path)))
            except ValueError:
                continue
            name = record.get("name") if isinstance(record, dict) else None
            if name and isinstance(name, str):
                found.setdefault(
                    name, [str(record.get("version", "")), str(record.get("channel", ""))]
                )
    return found


def unsettled() -> list[str]:
    """Files of conda packages that still have a placeholder instead of their folder."""
    prefix: Any = sys.modules.get("coffee_boat_worker.prefix")
    return (
        [path for root in _environments() for path in prefix.unsettled(str(root))] if prefix else []
    )


def _environments() -> list[Path]:
    """The interpreter's own folder, and the complete layers that lie here."""
    return [Path(os.path.realpath(sys.prefix)), *_layer_folders()]


def _import_error(module: str) -> str:
    try:
        importlib.import_module(module)
    except Exception as error:  # noqa: BLE001  a module may fail in any way, and that is the answer
        return f"{type(error).__name__}: {error}"
    return ""


def _is_findable(name: str) -> bool:
    try:
        return name in sys.modules or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _is_file(path: str) -> bool:
    return path.startswith("/") and not path.startswith(
        ("/dev/", "/memfd:", "/SYSV", "/anon_hugepage", "/[aio]")
    )


def gpu_driver(version: str = "/proc/driver/nvidia/version") -> str:
    """The version of NVIDIA's driver; empty where none is loaded, as without a GPU.

    Args:
        version: the file that the driver's kernel module makes.
    """
    found = re.search(rb"NVRM version:[^\n]*Kernel Module[^\n]*?\s(\d{3,}\.[\d.]+)", _read(version))
    return found.group(1).decode() if found else ""


def _is_below(path: str, folders: Sequence[str]) -> bool:
    return any(path.startswith(folder + os.sep) for folder in folders)


def _parent(pid: int) -> int:
    found = re.search(rb"^PPid:\s*(\d+)", _read(f"/proc/{pid}/status"), re.MULTILINE)
    return int(found.group(1)) if found else 0


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:  # not Linux, another user's process, or not there
        return b""


def _glibc() -> str:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").replace("glibc ", "")
    except (ValueError, OSError):  # another C library
        return ""
