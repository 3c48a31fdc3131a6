"""Small wheels of the tests of a session that changes: an index of them is a folder."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

BALLAST = tuple(f"{major}.0" for major in range(1, 7))
"""A package with several versions."""
FRAMES = ("1.0", "2.0")
"""Another one, which needs a crewballast that is as new as itself."""


def write(folder: Path) -> None:
    """All of them, into one folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for version in BALLAST:
        wheel(folder, "crewballast", version, _module("crewballast", version))
    for version in FRAMES:
        needs = [f"crewballast>={version}"]
        wheel(folder, "crewframes", version, _module("crewframes", version), needs)
    wheel(folder, "crewkeel", "1.0", _module("crewkeel", "1.0"))
    wheel(folder, "crewhull", "1.0", _module("crewhull", "1.0"), ["crewkeel"])
    wheel(folder, "crewsail", "1.0", _module("crewsail", "1.0"))
    wheel(folder, "crewflag", "1.0", _module("crewflag", "1.0"))
    wheel(folder, "crewchart", "1.0", _with_data())
    for name, files in native(folder).items():
        wheel(folder, name, "1.0", files, platform=True)


def wheel(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, bytes],
    requires: Sequence[str] = (),
    *,
    platform: bool = False,
) -> None:
    """One wheel of some files."""
    info = f"{name}-{version}.dist-info"
    tag = "py3-none-linux_x86_64" if platform else "py3-none-any"
    about = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    about += [f"Requires-Dist: {one}" for one in requires]
    pure = str(not platform).lower()
    said = f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: {pure}\nTag: {tag}\n"
    whole = {
        **files,
        f"{info}/METADATA": ("\n".join(about) + "\n").encode(),
        f"{info}/WHEEL": said.encode(),
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-{tag}.whl", "w") as archive:
        for path, content in whole.items():
            archive.writestr(path, content)
        rows = [
            f"{path},sha256={_digest(content)},{len(content)}" for path, content in whole.items()
        ]
        archive.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,\n"]))


def native(folder: Path) -> dict[str, dict[str, bytes]]:
    """Two packages, if a compiler is here: the library of `crewrope` looks for that of `crewanchor`
    where an installation has it, as torch's do.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        return {}
    work = folder.parent / "native"
    work.mkdir(exist_ok=True)
    (work / "crewanchor.c").write_text("int hold(void) { return 20; }\n")
    (work / "crewrope.c").write_text("int hold(void);\nint haul(void) { return hold() + 1; }\n")
    shared = [compiler, "-shared", "-fPIC", "-O1"]
    subprocess.run([*shared, "crewanchor.c", "-o", "libanchor.so"], cwd=work, check=True)
    linked = ["crewrope.c", "-o", "librope.so", "-L.", "-lanchor"]
    found = "-Wl,--enable-new-dtags,-rpath,$ORIGIN/../../crewanchor/lib"
    subprocess.run([*shared, *linked, found], cwd=work, check=True)
    loads = (
        "import ctypes, pathlib\n"
        "haul = ctypes.CDLL(str(pathlib.Path(__file__).parent / 'lib' / 'librope.so')).haul\n"
    )
    return {
        "crewanchor": {
            "crewanchor/__init__.py": b"",
            "crewanchor/lib/libanchor.so": (work / "libanchor.so").read_bytes(),
        },
        "crewrope": {
            "crewrope/__init__.py": loads.encode(),
            "crewrope/lib/librope.so": (work / "librope.so").read_bytes(),
        },
    }


def _module(name: str, version: str) -> dict[str, bytes]:
    return {f"{name}/__init__.py": f"VERSION = {version!r}\n".encode()}


def _with_data() -> dict[str, bytes]:
    points = b"[console_scripts]\ncrewchart = crewchart:main\n"
    return {
        "crewchart/__init__.py": b"VERSION = '1.0'\n\n\ndef main():\n    print('rocks ahead')\n",
        "crewchart-1.0.data/data/share/crewchart/coast.txt": b"rocks\n",
        "crewchart-1.0.dist-info/entry_points.txt": points,
    }


def _digest(content: bytes) -> str:
    digest = hashlib.sha256(content).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
