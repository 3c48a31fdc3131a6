"""Real conda channels in a folder, for tests: packages written in conda's own format, indexed as
channels are. No network, no conda.

    folder = tmp_path / "forge"
    fill(folder, small_python(), *small_packages())     # then folder.as_uri() is a channel

The python package is made of the CPython that runs the tests, as conda-build would make it:
libraries found relative to the file that needs them, its own prefix written as a placeholder that
installers replace. `python_package()` is all of it (0.5 to 1 s); `small_python()` is what starts
and imports (0.2 s). A wheel becomes a conda package by `from_wheel`.
"""

from __future__ import annotations

import asyncio
import email
import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from lanes import cannot_run

PLACEHOLDER = ("/opt/placeholder" + "_placehold" * 30)[:255]
"""What stands for the prefix in a package: 255 characters, as conda-build makes it, so that any
prefix has room in a binary.
"""
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
NATIVE = f"linux-{ {'x86_64': '64'}.get(os.uname().machine, os.uname().machine) }"
"""This machine's subdir."""
_WHEN = 1_700_000_000
_ELF = b"\x7fELF"


@dataclass(frozen=True)
class File:
    """One path of a package."""

    data: bytes = b""
    executable: bool = False
    prefix: Literal["", "text", "binary"] = ""
    """How the placeholder in it is replaced."""
    link: str = ""
    """Target, if it is a symbolic link."""
    said: Mapping[str, Any] = field(default_factory=dict)
    """What paths.json says of it besides, or instead of the truth."""


@dataclass(frozen=True)
class Package:
    """A conda package: what its index says, and its files."""

    name: str
    version: str
    build: str = "0"
    subdir: str = "noarch"
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    license: str = "MIT"
    entry_points: tuple[str, ...] = ()
    """Of a noarch python package: "name = module:attribute"."""
    noarch: Literal["", "python", "generic"] = ""
    files: Mapping[str, File] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of index.json."""

    @property
    def stem(self) -> str:
        return f"{self.name}-{self.version}-{self.build}"

    @property
    def paths_json(self) -> bytes:
        """What it says of its files."""
        return self._info()["paths.json"]

    def write(
        self, channel: Path, *, members: Mapping[str, File] | None = None, instead: bool = False
    ) -> Path:
        """Put it into a channel's folder as a .conda file.

        Args:
            members: more members, whatever they are called; then the description comes first.
            instead: they take the place of those of the same name.
        """
        from conda_package_streaming.create import conda_builder

        folder = channel / self.subdir
        folder.mkdir(parents=True, exist_ok=True)
        info = {f"info/{name}": File(content) for name, content in self._info().items()}
        with conda_builder(self.stem, str(folder), compression_level=1) as tar:
            for name, file in [*sorted(info.items()), *sorted(self.files.items())]:
                if not instead or name not in (members or {}):
                    _add(tar, name, file)
            for name, file in (members or {}).items():
                _add(tar, name, file)
        path = folder / f"{self.stem}.conda"
        if members:
            _put_description_first(path)
        return path

    def _info(self) -> dict[str, bytes]:
        system, _, bits = self.subdir.partition("-")
        index = {
            "name": self.name,
            "version": self.version,
            "build": self.build,
            "build_number": int(re.search(r"\d*$", self.build)[0] or 0),  # type: ignore[index]
            "depends": sorted(self.depends),
            "constrains": sorted(self.constrains),
            "subdir": self.subdir,
            "arch": {"": None, "64": "x86_64"}.get(bits, bits),
            "platform": system if bits else None,
            "license": self.license,
            "timestamp": _WHEN * 1000,
            **({"noarch": self.noarch} if self.noarch else {}),
            **self.more,
        }
        said = {
            "index.json": index,
            "about.json": {"license": self.license},
            "paths.json": {
                "paths": [_path(*one) for one in sorted(self.files.items())],
                "paths_version": 1,
            },
        }
        if self.noarch == "python":
            said["link.json"] = {
                "noarch": {"type": "python", "entry_points": list(self.entry_points)},
                "package_metadata_version": 1,
            }
        return {
            **{name: json.dumps(value, sort_keys=True).encode() for name, value in said.items()},
            "files": "".join(f"{name}\n" for name in sorted(self.files)).encode(),
        }


def _put_description_first(path: Path) -> None:
    """What is unpacked last wins."""
    with zipfile.ZipFile(path) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(parts, key=lambda part: part[0].startswith("pkg-")):
            archive.writestr(name, data)


def _add(tar: tarfile.TarFile, name: str, file: File) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.mtime, entry.size = 0o755 if file.executable else 0o644, _WHEN, len(file.data)
    if file.link:
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, file.link, 0o777
    tar.addfile(entry, io.BytesIO(file.data))


def _path(name: str, file: File) -> dict[str, Any]:
    said = {
        "_path": name,
        "path_type": "softlink" if file.link else "hardlink",
        "sha256": hashlib.sha256(file.data).hexdigest(),
        "size_in_bytes": len(file.data),
    }
    if file.prefix:
        said |= {"prefix_placeholder": PLACEHOLDER, "file_mode": file.prefix}
    return {**said, **file.said}


def fill(channel: Path, *packages: Package) -> str:
    """Write packages into a channel and index it; packages that are there stay. Its URL."""
    from rattler.index import index_fs

    (channel / "noarch").mkdir(parents=True, exist_ok=True)
    for package in packages:
        package.write(channel)
    asyncio.run(index_fs(channel, write_zst=False, write_shards=False))
    return channel.as_uri()


def lock_of(channels: Sequence[str], *specs: str) -> Any:
    """A Lock of what rattler chooses from channels for this machine: what the build stage starts
    from.
    """
    import rattler

    from coffee_boat.model import CondaPin, Lock, Target

    async def solve(listed: Path) -> Any:
        return await rattler.solve(
            sources=[rattler.Channel(channel) for channel in channels],
            specs=[rattler.MatchSpec(spec) for spec in specs],
            platforms=[NATIVE, "noarch"],
            virtual_packages=rattler.VirtualPackage.detect(),
            gateway=rattler.Gateway(cache_dir=listed),
        )

    pins = []
    with tempfile.TemporaryDirectory(prefix="boat-repodata-") as listed:
        records = asyncio.run(solve(Path(listed)))
    for record in records:
        kind = "python" if record.noarch.python else "generic" if record.noarch.generic else None
        said = {
            "build_number": record.build_number,
            "noarch": kind,
            "depends": list(record.depends),
            "channel": record.channel,
        }
        pins.append(
            CondaPin(
                name=record.name.normalized,
                version=str(record.version),
                build=str(record.build),
                subdir=str(record.subdir),
                channel=str(record.channel),
                url=record.url,
                filename=record.file_name,
                sha256=record.sha256.hex(),
                size=record.size,
                license=record.license or "",
                noarch_python=kind == "python",
                requested=any(
                    spec.split("=")[0].split()[0] == record.name.normalized for spec in specs
                ),
                requires=tuple(depend.split()[0] for depend in record.depends),
                record=json.dumps(said),
            )
        )
    python = next((pin.version for pin in pins if pin.name == "python"), f"{MINOR}.0")
    glibc = tuple(
        map(int, (os.confstr("CS_GNU_LIBC_VERSION") or "glibc 2.17").split()[1].split(".")[:2])
    )
    return Lock(
        Target(python, os.uname().machine, glibc),
        conda=tuple(sorted(pins, key=lambda pin: pin.name)),
    )


# packages that are made up


def module(
    name: str,
    version: str,
    depends: Sequence[str] = ("python",),
    *,
    text: str = "",
    entry_points: Sequence[str] = (),
    distribution: str = "",
    **more: Any,
) -> Package:
    """A noarch python package with one module, which knows its version, and its dist-info."""
    distribution = distribution or name
    file = name.replace("-", "_")
    files = {
        f"{file}.py": f"VERSION = {version!r}\n{text}",
        **_dist_info(distribution, version, [f"{file}.py"]),
    }
    return Package(
        name,
        version,
        "pyh_0",
        depends=tuple(depends),
        noarch="python",
        entry_points=tuple(entry_points),
        files={f"site-packages/{path}": File(content.encode()) for path, content in files.items()},
        **more,
    )


def native_module(
    name: str,
    version: str,
    depends: Sequence[str] = (),
    *,
    text: str = "",
    files: Mapping[str, File] | None = None,
    **more: Any,
) -> Package:
    """A package for this machine and this Python minor only: a module, its dist-info, and any other
    files.
    """
    below = f"lib/python{MINOR}/site-packages/"
    own = {
        f"{name.replace('-', '_')}.py": f"VERSION = {version!r}\n{text}",
        **_dist_info(name, version, [f"{name.replace('-', '_')}.py"]),
    }
    major, minor = MINOR.split(".")
    return Package(
        name,
        version,
        f"py{major}{minor}h_0",
        NATIVE,
        (
            f"python >={MINOR},<{major}.{int(minor) + 1}.0a0",
            f"python_abi {MINOR}.* *_cp{major}{minor}",
            *depends,
        ),
        files={
            **{below + path: File(content.encode()) for path, content in own.items()},
            **(files or {}),
        },
        **more,
    )


def _dist_info(distribution: str, version: str, names: Sequence[str]) -> dict[str, str]:
    info = f"{distribution.replace('-', '_')}-{version}.dist-info/"
    return {
        f"{info}METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n",
        f"{info}INSTALLER": "conda\n",
        f"{info}RECORD": "".join(
            f"{name},,\n"
            for name in (*names, f"{info}METADATA", f"{info}INSTALLER", f"{info}RECORD")
        ),
    }


def small_packages() -> list[Package]:
    """What a test of conda wants to meet.

    pure 1.0, 1.1, 2.0      noarch python, with a console script
    user-of-pure 1.0        noarch python, needs pure <2
    native 1.0, 2.0         for this machine: the prefix in a text file, in a binary file, and in a
                            script
    activated 1.0           scripts and variables that take effect when the environment is activated
    first, second 1.0       both have share/clobbered.txt
    """
    activate = (
        'export ACTIVATED_HOME="$CONDA_PREFIX/share/activated"\nexport'
        ' ACTIVATED_PATH="$CONDA_PREFIX/lib:${ACTIVATED_PATH:-none}"\n'
    )
    return [
        *(
            module(
                "pure",
                version,
                entry_points=["pure-tool = pure:main"],
                text="def main():\n    print('pure', VERSION)\n",
            )
            for version in ("1.0", "1.1", "2.0")
        ),
        module("user-of-pure", "1.0", ["python >=3.8", "pure <2"], license="BSD-3-Clause"),
        *(native_module("native", version, files=_prefixed(version)) for version in ("1.0", "2.0")),
        Package(
            "activated",
            "1.0",
            depends=("native",),
            noarch="generic",
            files={
                "etc/conda/activate.d/activated.sh": File(activate.encode()),
                "etc/conda/deactivate.d/activated.sh": File(b"unset ACTIVATED_HOME\n"),
                "etc/conda/env_vars.d/activated.json": File(b'{"ACTIVATED_MODE": "on"}\n'),
                "share/activated/data.txt": File(b"data\n"),
            },
        ),
        *(
            Package(
                name,
                "1.0",
                noarch="generic",
                files={
                    "share/clobbered.txt": File(f"of {name}\n".encode()),
                    f"share/{name}.txt": File(b"own\n"),
                },
            )
            for name in ("first", "second")
        ),
    ]


def _prefixed(version: str) -> dict[str, File]:
    script = f"#!{PLACEHOLDER}/bin/python\nimport native\nprint('native', native.VERSION)\n"
    return {
        "etc/native.conf": File(
            f"version={version}\nhome={PLACEHOLDER}/share/native\n".encode(), prefix="text"
        ),
        "share/native/native.bin": File(
            b"\x00\x01" + f"{PLACEHOLDER}/share/native".encode() + b"\x00\x02end", prefix="binary"
        ),
        "bin/native-tool": File(script.encode(), executable=True, prefix="text"),
    }


def native_program(name: str = "native-program", version: str = "1.0") -> Package | None:
    """A compiled program that prints the prefix in its own bytes; None where there is no C
    compiler.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    source = (
        f'#include <stdio.h>\nstatic volatile const char prefix[] = "{PLACEHOLDER}/share";\nint'
        " main(void) { int i = 0; while (prefix[i]) putchar(prefix[i++]); return 0; }\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "program.c").write_text(source)
        subprocess.run(
            [compiler, "-O0", "-o", f"{folder}/program", f"{folder}/program.c"], check=True
        )
        return Package(
            name,
            version,
            "h_0",
            NATIVE,
            ("__glibc >=2.17",),
            files={
                f"bin/{name}": File(
                    Path(folder, "program").read_bytes(), executable=True, prefix="binary"
                )
            },
        )


# Python itself


def why_no_python() -> str:
    """Why no python package can be made of the CPython that runs the tests; empty if it can."""
    prefix = Path(sys.base_prefix).resolve()
    if sys.implementation.name != "cpython" or not sys.platform.startswith("linux"):
        return f"{sys.executable} is no CPython for Linux, of which a conda package could be made"
    if prefix in {Path("/usr"), Path("/usr/local"), Path("/")}:
        return (
            f"{sys.executable} shares its prefix {prefix} with the system: a conda package is made"
            " of a CPython with a prefix of its own (pyenv, uv)"
        )
    if not (prefix / "bin" / f"python{MINOR}").is_file():
        return f"{prefix} has no bin/python{MINOR}"
    return ""


_LEFT_OUT = re.compile(
    r"(.*/)?(__pycache__|tests?|site-packages|idlelib|turtledemo|tkinter|lib2to3|_bundled|pkgconfig|config-[^/]*)(/.*)?|.*\.(pyc|a)|.*/lib-dynload/(_test|_tkinter|xx|_xxtestfuzz|nis|readline|_curses).*"
)
_SMALL = re.compile(
    rf"bin/python({re.escape(MINOR)}|3)?|lib/libpython.*|lib/python{re.escape(MINOR)}/("
    r"(?!(turtle|pydoc|doctest|pdb|smtplib|imaplib|mailbox|tarfile|optparse|pickletools|difflib|ftplib|nntplib|telnetlib|cgi|aifc)\.)[^/]+\.py"
    r"|(collections|importlib|importlib/(metadata|resources)|json|re|email|urllib|zipfile|zipfile/_path|sysconfig|concurrent|concurrent/futures|logging|ctypes|pathlib)/[^/]+\.py"
    r"|encodings/(__init__|aliases|utf_8|utf_8_sig|ascii|latin_1|idna|cp437)\.py"
    r"|lib-dynload/(zlib|math|_struct|_json|_csv|_datetime|_random|_bisect|_heapq|_sha\w*|_md5|_blake2|select|_socket|array|binascii|unicodedata|fcntl|_posixsubprocess|_opcode|_contextvars|_pickle|_statistics|grp|_queue)\..*)"
)


def small_python() -> Package:
    """The `python` package with what a test needs of the standard library; stripped, where the
    machine can.
    """
    return _python(lambda name: _SMALL.fullmatch(name) is not None, strip=True)


def python_package() -> Package:
    """The `python` package with all of the standard library but tests, tkinter and its kin; it
    needs `system_libraries()`.
    """
    whole = _python(lambda name: True, strip=True)
    return replace(whole, depends=(*whole.depends, "system-libraries"))


def python_abi() -> Package:
    return Package(
        "python_abi",
        MINOR,
        f"0_cp{MINOR.replace('.', '')}",
        constrains=(f"python {MINOR}.*",),
        noarch="generic",
    )


def _python(keep: Any, *, strip: bool) -> Package:
    if reason := why_no_python():
        cannot_run(reason)
    prefix = Path(sys.base_prefix).resolve()
    names = [name for name in _names(prefix) if keep(name)]
    files = {name: _python_file(prefix, name, strip=strip) for name in names}
    links = {f"bin/{name}": File(link=f"python{MINOR}") for name in ("python", "python3")}
    return Package(
        "python",
        ".".join(map(str, sys.version_info[:3])),
        "0_cpython",
        NATIVE,
        ("__glibc >=2.17",),
        (f"python_abi {MINOR}.* *_cp{MINOR.replace('.', '')}",),
        license="PSF-2.0",
        files={**files, **links},
        more={"python_site_packages_path": f"lib/python{MINOR}/site-packages"},
    )


def _names(prefix: Path) -> Iterator[str]:
    for top in (f"bin/python{MINOR}", f"bin/python{MINOR}-config", f"bin/pydoc{MINOR}"):
        if (prefix / top).exists():
            yield top
    for below in ("lib", f"include/python{MINOR}"):
        for folder, folders, names in os.walk(prefix / below):
            inside = Path(folder).relative_to(prefix)
            folders[:] = sorted(
                name for name in folders if not _LEFT_OUT.fullmatch(f"{inside}/{name}")
            )
            yield from (
                f"{inside}/{name}"
                for name in sorted(names)
                if not _LEFT_OUT.fullmatch(f"{inside}/{name}")
                and (below != "lib" or _is_pythons(f"{inside}/{name}"))
            )


def _is_pythons(name: str) -> bool:
    return name.startswith((f"lib/python{MINOR}/", "lib/libpython"))


def _python_file(prefix: Path, name: str, *, strip: bool) -> File:
    path = prefix / name
    if path.is_symlink():
        return File(link=os.path.relpath(path.parent / path.readlink(), path.parent))
    data = path.read_bytes()
    executable = os.access(path, os.X_OK)
    if data.startswith(_ELF):
        moved = _relative(_stripped(path) if strip else data, prefix, name)
        return File(_inherited(moved) if name.startswith("bin/") else moved, executable)
    if str(prefix).encode() in data and b"\0" not in data:
        return File(data.replace(str(prefix).encode(), PLACEHOLDER.encode()), executable, "text")
    return File(data, executable)


def _relative(data: bytes, prefix: Path, name: str) -> bytes:
    """The prefix's lib in a RUNPATH, overwritten in place by the same folder as seen from the
    file.
    """
    old = f"{prefix}/lib".encode() + b"\0"
    new = b"$ORIGIN/" + os.path.relpath("lib", os.path.dirname(name)).encode()
    return data.replace(old, new.ljust(len(old), b"\0")) if len(new) < len(old) else data


def _inherited(program: bytes) -> bytes:
    """A program's RUNPATH as an RPATH, which serves what its libraries need, too: so conda-build
    links (and so conda's python finds libssl).
    """
    from elftools.elf.elffile import ELFFile

    dynamic = ELFFile(io.BytesIO(program)).get_section_by_name(".dynamic")
    places = [
        dynamic["sh_offset"] + number * dynamic["sh_entsize"]
        for number, tag in enumerate(dynamic.iter_tags())
        if tag.entry.d_tag == "DT_RUNPATH"
    ]
    for place in places:
        program = (
            program[:place] + (15).to_bytes(8, "little") + program[place + 8 :]
        )  # DT_RPATH (ELF specification)
    return program


def _stripped(path: Path) -> bytes:
    program = shutil.which("strip")
    if program is None:
        return path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [program, "--strip-debug", "-o", f"{folder}/stripped", str(path)], check=True
        )
        return Path(folder, "stripped").read_bytes()


def system_libraries() -> Package:
    """The distribution's libraries that the standard library and wheels link (libssl, libffi,
    libstdc++...), without glibc's: nodes may have none of them.
    """
    extensions = Path(sys.base_prefix, f"lib/python{MINOR}/lib-dynload").glob("*.so")
    wanted = [
        str(path)
        for path in extensions
        if not _LEFT_OUT.fullmatch(f"lib/python{MINOR}/lib-dynload/{path.name}")
    ]
    told = subprocess.run(["ldd", *wanted], capture_output=True, text=True, check=False).stdout
    found = {
        name: path
        for name, path in re.findall(r"^\s+(\S+) => (/\S+)", told, re.MULTILINE)
        if not _GLIBC.match(name)
    }
    cache = subprocess.run(
        [shutil.which("ldconfig") or "/sbin/ldconfig", "-p"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for name in ("libstdc++.so.6", "libgcc_s.so.1"):
        match = re.search(
            rf"^\s+{re.escape(name)} \([^)]*{os.uname().machine.replace('_', '-')}[^)]*\) => (\S+)",
            cache,
            re.MULTILINE,
        )
        found |= {name: match[1]} if match else {}
    files = {
        f"lib/{name}": File(Path(path).resolve().read_bytes(), executable=True)
        for name, path in sorted(found.items())
    }
    return Package("system-libraries", "1.0", "h_0", NATIVE, ("__glibc >=2.17",), files=files)


_GLIBC = re.compile(
    r"linux-vdso|ld-linux|lib(c|m|pthread|dl|rt|util|resolv|nsl|crypt)\.so|libpython"
)


# wheels


def from_wheel(wheel: Path, *, license: str = "", without: Sequence[str] = ()) -> Package:  # noqa: A002
    """A wheel as a conda package: noarch python if it is pure, else for this machine and minor.

    Args:
        without: names that are not made dependencies.
    """
    from packaging.utils import canonicalize_name, parse_wheel_filename

    with zipfile.ZipFile(wheel) as archive:
        name, version, _, tags = parse_wheel_filename(wheel.name)
        info = next(
            entry.split("/")[0]
            for entry in archive.namelist()
            if entry.endswith(".dist-info/METADATA")
        )
        about = email.message_from_bytes(archive.read(f"{info}/METADATA"))
        pure = all(tag.abi == "none" and tag.platform == "any" for tag in tags)
        below = "site-packages" if pure else f"lib/python{MINOR}/site-packages"
        files = {
            f"{below}/{entry.filename}": _wheel_file(archive, entry)
            for entry in archive.infolist()
            if not entry.is_dir() and ".data/" not in entry.filename
        }
        scripts = _console_scripts(archive, f"{info}/entry_points.txt")
    files[f"{below}/{info}/INSTALLER"] = File(b"conda\n")
    needs = [
        spec
        for text in about.get_all("Requires-Dist") or []
        if (spec := _match_spec(text)) and canonicalize_name(spec.split()[0]) not in without
    ]
    requires = (about["Requires-Python"] or ">=3.8").replace(" ", "")
    major, minor = MINOR.split(".")
    own = (
        [f"python {requires}"]
        if pure
        else [
            f"python >={MINOR},<{major}.{int(minor) + 1}.0a0",
            f"python_abi {MINOR}.* *_cp{major}{minor}",
        ]
    )
    common: dict[str, Any] = {
        "depends": (*own, *needs),
        "license": license or about.get("License-Expression") or "",
    }
    if pure:
        return Package(
            name,
            str(version),
            "pyh_0",
            noarch="python",
            entry_points=tuple(scripts),
            files=files,
            **common,
        )
    return Package(
        name,
        str(version),
        f"py{major}{minor}h_0",
        NATIVE,
        files={**files, **dict(map(_script, scripts))},
        **common,
    )


def _wheel_file(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> File:
    return File(archive.read(entry), executable=bool((entry.external_attr >> 16) & stat.S_IXUSR))


def _console_scripts(archive: zipfile.ZipFile, name: str) -> list[str]:
    from installer.utils import parse_entrypoints

    text = archive.read(name).decode() if name in archive.namelist() else ""
    return [
        f"{script} = {where}:{attribute}" for script, where, attribute, _ in parse_entrypoints(text)
    ]


def _script(entry_point: str) -> tuple[str, File]:
    name, where, attribute = re.fullmatch(r"(\S+) = ([^:]+):(\S+)", entry_point).groups()  # type: ignore[union-attr]
    text = (
        f"#!{PLACEHOLDER}/bin/python\nimport sys\nfrom {where} import {attribute.split('.')[0]}\nif"
        f" __name__ == '__main__':\n    sys.exit({attribute}())\n"
    )
    return f"bin/{name}", File(text.encode(), executable=True, prefix="text")


def _match_spec(requirement: str) -> str:
    """A wheel's requirement in conda's words; empty if it does not count here."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    wanted = Requirement(requirement)
    if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
        return ""
    return (
        f"{canonicalize_name(wanted.name)} {','.join(sorted(map(str, wanted.specifier)))}".strip()
    )
