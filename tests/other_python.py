"""An interpreter that says it is for another machine than this one, and a mirror that serves it."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import conda_channel as channels

from coffee_boat._support import host

HERE = host.architecture()
OTHER, NUMBER = ("aarch64", 183) if HERE == "x86_64" else ("x86_64", 62)
GLIBC = host.glibc() or (2, 36)
PLATFORM = f"manylinux_{GLIBC[0]}_{GLIBC[1]}_{OTHER}"
_KEPT = re.compile(
    r"^bin/|^lib/libpython|lib-dynload/(zlib|_struct|_json|math)\."
    r"|^lib/python3\.\d+/(_collections_abc|_sysconfigdata\w*|_?abc|codecs|io|os|pickle|site|socket"
    r"|stat|sysconfig|types|(encodings|importlib|json|sysconfig)/\w+)[^/]*$"
)
"""Enough for what looks whether it is complete: it never runs."""
_LOADERS = {"x86_64": b"/lib64/ld-linux-x86-64.so.2", "aarch64": b"/lib/ld-linux-aarch64.so.1"}


def for_other(binary: bytes) -> bytes:
    """The same ELF file, as if for the other machine."""
    old, new = _LOADERS[HERE] + b"\0", _LOADERS[OTHER] + b"\0"
    if len(new) <= len(old):
        binary = binary.replace(old, new.ljust(len(old), b"\0"))
    return binary[:18] + NUMBER.to_bytes(2, "little") + binary[20:]


def moved(package: channels.Package) -> channels.Package:
    """A conda package as if for the other machine."""
    files = {
        name: replace(file, data=for_other(file.data)) if _is_elf(file.data) else file
        for name, file in package.files.items()
    }
    there = "linux-64" if OTHER == "x86_64" else f"linux-{OTHER}"
    subdir = there if package.subdir != "noarch" else "noarch"
    return replace(package, subdir=subdir, files=files)


def _is_elf(data: bytes) -> bool:
    return data.startswith(b"\x7fELF")


def fill(folder: Path) -> Path:
    """A folder with this interpreter as if for the other machine; skips where none can be made."""
    for name, file in channels.small_python().files.items():
        if not _KEPT.search(name):
            continue
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.link:
            path.symlink_to(file.link)
            continue
        data = file.data.replace(channels.PLACEHOLDER.encode(), b"/install")
        path.write_bytes(for_other(data) if _is_elf(data) else data)
        path.chmod(0o755 if file.executable else 0o644)
    return folder


def mirror(python: Path, folder: Path, version: str) -> dict[str, str]:
    """A list of downloads and a mirror with one build; the variables that have uv use them."""
    with tarfile.open(place(folder), "w:gz") as archive:
        archive.add(python, "python")
    return listed(folder, version)


def place(folder: Path) -> Path:
    """Where a mirror has its archive."""
    (folder / "20260101").mkdir(parents=True, exist_ok=True)
    return folder / "20260101" / "cpython.tar.gz"


def listed(folder: Path, version: str) -> dict[str, str]:
    """The same for an archive that is in its place."""
    major, minor, patch = map(int, version.split("."))
    releases = "https://github.com/astral-sh/python-build-standalone/releases/download"
    said = {
        "name": "cpython",
        "arch": {"family": OTHER, "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "url": f"{releases}/20260101/cpython.tar.gz",
        "sha256": hashlib.sha256(place(folder).read_bytes()).hexdigest(),
        "variant": None,
        "build": "20260101",
    }
    (folder / "list.json").write_text(json.dumps({f"cpython-{version}-linux-{OTHER}-gnu": said}))
    return {
        "UV_PYTHON_DOWNLOADS_JSON_URL": (folder / "list.json").as_uri(),
        "UV_PYTHON_INSTALL_MIRROR": folder.as_uri(),
    }
