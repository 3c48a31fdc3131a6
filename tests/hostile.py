"""Hostile wheels, conda packages and locks, made by code: what each new door is tried with.

    wheel = hostile.wheel(tmp_path, data={"data/lib/python311.zip": "x"})
    @pytest.mark.parametrize("case", hostile.AREAS, ids=str)
    def test_it_is_refused(case, tmp_path): ... case.make(tmp_path) ... case.words

Each list holds one kind of attack. A `Case` says what is made and what the refusal has to name, so
that a test is the door and the list, nothing else. Nothing here does harm by itself: payloads are
files that a test looks for (`Victim`)."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import record_text, row_of, zip_info

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
NODOT = MINOR.replace(".", "")
STDLIB = f"lib/python{MINOR}/"
SITE = f"{STDLIB}site-packages/"

Member = tuple[zipfile.ZipInfo, "str | bytes"]


@dataclass(frozen=True)
class Case:
    """One attack."""

    name: str
    make: Callable[[Path], Path]
    """Writes it below a folder; its file."""
    words: str = ""
    """What the refusal has to name."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Victim:
    """A file of the user that a package must not reach."""

    path: Path
    content: str = "export PATH=/usr/bin:$PATH\n"

    @classmethod
    def below(cls, folder: Path) -> Victim:
        """A `.bashrc` in a home folder of its own."""
        victim = cls(folder / "home" / ".bashrc")
        victim.path.parent.mkdir(parents=True)
        victim.path.write_text(victim.content)
        return victim

    @property
    def untouched(self) -> bool:
        return self.path.read_text() == self.content


# wheels


def wheel(
    folder: Path,
    name: str = "hostile",
    version: str = "1.0",
    *,
    files: Mapping[str, str | bytes] | None = None,
    data: Mapping[str, str | bytes] | None = None,
    members: Sequence[Member] = (),
    requires: Sequence[str] = (),
    entry_points: str = "",
    tag: str = "py3-none-any",
    compression: int = zipfile.ZIP_DEFLATED,
    record: Mapping[str, str | None] | None = None,
) -> Path:
    """A wheel that keeps every rule of its format but those that it is made to break.

    Args:
        files: path in the wheel (so in site-packages) -> content.
        data: path below NAME-VERSION.data ("data/etc/x", "scripts/x") -> content.
        members: zip members written last, as they are.
        record: member -> what RECORD says of it, instead of the truth; None leaves it out.
    """
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info/"
    contents: dict[str, str | bytes] = {
        **(files if files is not None else {f"{name}/__init__.py": ""}),
        **{f"{stem}.data/{path}": content for path, content in (data or {}).items()},
        f"{info}METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            + "".join(f"Requires-Dist: {text}\n" for text in requires)
        ),
        f"{info}WHEEL": (f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: {tag}\n"),
        **({f"{info}entry_points.txt": entry_points} if entry_points else {}),
    }
    written = [
        (zip_info(path, compression=compression), content) for path, content in contents.items()
    ]
    rows = {member.filename: row_of(content) for member, content in [*written, *members]}
    table = rows | {f"{info}RECORD": ","} | dict(record or {})
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in [*written, (zip_info(f"{info}RECORD"), record_text(table))]:
            archive.writestr(member, content)
        for member, content in members:
            archive.writestr(member, content)
    return path


def _wheel(name: str, words: str = "", **how: Any) -> Case:
    return Case(name, lambda folder: wheel(folder, **how), words)


def _linked(place: str) -> Case:
    """A link where others look for a folder, to files of the wheel's own."""
    link = (zip_info(f"hostile-1.0.data/data/{place}", link=True), "../share/evil")
    data = {"data/share/evil/x": "x"}
    return Case(
        f"a link in the place of {place}",
        lambda folder: wheel(folder, data=data, members=[link]),
        place,
    )


# a record of conda's, brought by a wheel: it named files to be rewritten


def conda_record(path: object, **more: object) -> str:
    """A conda-meta/*.json that asks for `/usr` to be replaced in a file."""
    entry = {"_path": path, "prefix_placeholder": "/usr", "file_mode": "text", **more}
    return json.dumps({"name": "x", "version": "1", "paths_data": {"paths": [entry]}})


RECORDS = [
    _wheel(f"a record of conda that names {name}", "meta", data={f"data/{place}": record})
    for name, place, record in [
        ("an absolute path", "conda-meta/x.json", conda_record("/etc/hostname")),
        ("a path that leads up", "conda-meta/x.json", conda_record("../../../x")),
        ("a number", "conda-meta/x.json", conda_record(7)),
        ("wrong types", "conda-meta/x.json", '{"paths_data": {"paths": [1, null, {"_path": []}]}}'),
        ("nothing", "conda-meta/history", ""),
        ("variables", "conda-meta/state", '{"env_vars": {"LD_PRELOAD": "x"}}'),
        ("files in another spelling", "Conda-Meta/x.json", conda_record("/etc/hostname")),
        ("it by another letter", "conda\uff0dmeta/x.json", conda_record("/etc/hostname")),
    ]
] + [
    Case(
        "a link in the place of conda's folder",
        lambda folder: wheel(
            folder,
            data={"data/share/evil/x.json": conda_record("/etc/hostname")},
            members=[(zip_info("hostile-1.0.data/data/conda-meta", link=True), "share/evil")],
        ),
        "conda-meta",
    ),
]
"""Wheels that speak as conda: worker/prefix.py and worker/activation.py once listened."""

AREAS = [
    *RECORDS,
    *(
        _wheel(f"data in {place}", place.split("/")[0], data={f"data/{place}": "x"})
        for place in (
            "boat.json",
            "boat.json/x",
            "Boat.JSON",
            "boat-layer-0123456789ab/boat.json",
            "lib/coffee_boat/sitecustomize.py",
            "lib/coffee_boat",
            "lib/coffee_boat/conda/settled",
            "LIB/Coffee_Boat/sitecustomize.py",
            "lib/fallback/libz.so.1",
            "pyvenv.cfg",
            f"python{NODOT}._pth",
            f"python{NODOT}.zip",
            "bin/pyvenv.cfg",
            "bin/pybuilddir.txt",
            f"bin/python{MINOR}._pth",
            f"bin/python{NODOT}.zip",
            f"bin/Python{MINOR}",
            "bin/python3-config",
            f"lib/python{NODOT}.zip",
            f"lib/libpython{MINOR}.so.1.0",
            f"lib/libpython{MINOR}._pth",
            f"{STDLIB}os.py",
            f"{STDLIB}sitecustomize.py",
            f"{STDLIB}usercustomize.py",
            f"{STDLIB}lib-dynload/_json.cpython-{NODOT}-x86_64-linux-gnu.so",
            f"{STDLIB}__pycache__/os.cpython-{NODOT}.pyc",
            f"lib64/python{MINOR}/os.py",
            "lib/python3/dist-packages/x.py",
            f"lib/python{MINOR}",
            "lib",
            "bin",
            "lib/libc.so.6",
            "lib/libstdc++.so.6",
            "lib/ld-linux-x86-64.so.2",
            "lib/libnss_files.so.2",
            "lib/glibc-hwcaps/x86-64-v2/libc.so.6",
            "lib/tls/libm.so.6",
            "lib64/libpthread.so.0",
            f"bin/lib/python{MINOR}/os.py",
            f"bin/lib/python{MINOR}/lib-dynload/x.so",
            f"bin/lib/python{NODOT}.zip",
            f"bin/lib64/python{MINOR}/os.py",
            f"bin/libx32/python{MINOR}/os.py",
            f"bin/Lib/python{MINOR}/os.py",
            "bin/Lib/os.py",
            "bin/lib",
            "bin/Modules/Setup.local",
            "bin/Modules",
            "Modules/Setup.local",
            f"lib/lib/python{NODOT}.zip",
            f"lib/lib64/python{MINOR}/os.py",
            "lib/lib",
            "lib/glibc-hwcaps/x86-64-v3/libssl.so.3",
            "lib/glibc-hwcaps/x86-64-v3/sub/x",
            "lib/glibc-hwcaps",
            "lib/GLIBC-hwcaps/x86-64-v3/libx.so",
            "lib/tls/x86_64/libffi.so.8",
            "lib/x86_64/libssl.so.3",
            "lib/haswell/libssl.so.3",
            "lib/haswell",
            "lib64/glibc-hwcaps/x86-64-v3/libssl.so.3",
            "lib/libcrypt.so.1",
            "lib/libreadline.so.8",
            "lib/libssl.so.3",
            "lib/libtinfo.so.6",
            "lib/libtirpc.so.3",
            "lib/libtcl8.6.so",
            "lib/libdb-5.3.so",
            "ssl/openssl.cnf",
            "ssl/cacert.pem",
            "etc/conda/activate.d/x.sh",
            "etc/conda/env_vars.d/x.json",
            "etc/conda",
            f"{SITE}coffee_boat_worker/startup.py",
            f"{SITE}sitecustomize.py",
            f"{SITE}numpy-9.dist-info/METADATA",
            f"{SITE}numpy.egg-info",
        )
    ),
    *(
        _wheel(f"a script in {place}", place.split("/")[0], data={f"scripts/{place}": "x"})
        for place in (f"lib/python{MINOR}/os.py", f"lib/python{NODOT}.zip", "lib64/x", "Modules/x")
    ),
    *(
        _linked(place)
        for place in ("bin/lib", "bin/lib64", "bin/Modules", "lib/glibc-hwcaps", "lib/haswell")
    ),
    *(
        _wheel(f"{place} in site-packages", place.split("/")[0], files={place: "x"})
        for place in (
            "coffee_boat.pth",
            "Coffee_Boat.pth",
            "coffee_boat_worker.py",
            "coffee_boat_worker.abi3.so",
            "coffee_boat_worker/startup.py",
            f"coffee_boat_worker/startup.cpython-{NODOT}-x86_64-linux-gnu.so",
            f"coffee_boat_worker/__pycache__/startup.cpython-{NODOT}.pyc",
            "coffee_boat_worker/startup/__init__.py",
            "sitecustomize.py",
            "sitecustomize/__init__.py",
            "usercustomize.abi3.so",
            "pyspark/worker/__init__.py",
            f"pyspark/serializers.cpython-{NODOT}-x86_64-linux-gnu.so",
            "pyspark/jars/x.py",
            "PySpark/x.py",
            "pyspark.py",
            "py4j/java_gateway.abi3.so",
        )
    ),
    *(
        _wheel(
            f"a script called {script}",
            script,
            entry_points=f"[console_scripts]\n{script} = x:main\n",
        )
        for script in (f"python{MINOR}", "python", f"python{MINOR}._pth", "pyvenv.cfg", "lib")
    ),
]
"""Wheels that reach into an area of the interpreter, of this program, of Spark or of conda."""

LEGAL = {
    "jupyter": {"data/etc/jupyter/x.json": "{}", "data/share/jupyter/kernels/k/kernel.json": "{}"},
    "nodejs": {"data/lib/node_modules/npm/index.js": "", "scripts/node": "#!/bin/sh\n"},
    "cmake": {"data/share/cmake/Modules/x.cmake": "", "data/lib/cmake/x/x.cmake": ""},
    "mkl": {"data/lib/libmkl_core.so.2": "x", "data/lib/libiomp5.so": "x"},
    "neo4j_tools": {"data/lib/neo4j/libz.so.1": "x", "data/lib/z3/x": "", "data/bin/library": ""},
    "greenlet": {"headers/greenlet.h": ""},
    "ruff": {"scripts/ruff": "#!/bin/sh\n"},
    "grpcio_tools": {"scripts/python-grpc-tools-protoc": "#!python\n"},
    "bundled": {"data/lib/bundled/libz.so.1": "x", "data/lib/pkgconfig/x.pc": ""},
    "sloppy": {"data/LICENSE": "", "data/share/man/man1/x.1": "", "data/include/x.h": ""},
    "own": {f"data/{SITE}own_more.py": "", f"data/{SITE}own.egg-info/PKG-INFO": ""},
}
"""Distribution -> what wheels in the wild put outside of site-packages, and may."""


# conda packages


def conda_packages() -> dict[str, Mapping[str, Any]]:
    """Attack -> files of a noarch conda package, and the word of the refusal under "": needs
    conda_channel's extras.
    """
    from conda_channel import File

    text = File(b"x")
    places = (
        "boat.json/x",
        "conda-meta/x.json",
        "Conda-Meta/x.json",
        "lib/coffee_boat/conda/settled",
        "lib/fallback/libz.so.1",
        "pyvenv.cfg",
        f"bin/python{MINOR}._pth",
        f"{STDLIB}os.py",
        f"lib/libpython{MINOR}.so.1.0",
        "lib/libc.so.6",
        f"bin/lib/python{MINOR}/os.py",
        f"bin/lib/python{NODOT}.zip",
        f"bin/lib/python{MINOR}/lib-dynload/x.a",
        "bin/Modules/Setup.local",
        f"lib/lib/python{NODOT}.zip",
        "lib/glibc-hwcaps/x86-64-v3/libssl.so.3",
        "lib/haswell/libssl.so.3",
        f"{SITE}coffee_boat_worker/startup.abi3.so",
        f"{SITE}sitecustomize.py",
        f"{SITE}pyspark/serializers.abi3.so",
    )
    return {place: {place: text} for place in places}
