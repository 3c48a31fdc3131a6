"""One conda package, written into a chunk."""

from __future__ import annotations

import csv
import hashlib
import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from coffee_boat.archive import areas, elf, excluded, scripts
from coffee_boat.archive import names as archive_names
from coffee_boat.archive.areas import RECORDS, Areas
from coffee_boat.archive.writer import ChunkWriter
from coffee_boat.conda.prefix import CondaFile, Installed
from coffee_boat.errors import BuildError
from coffee_boat.model import Finding, Target

META = "conda-meta/"

_SHEBANG = re.compile(rb"#!\s*(?P<program>\S+/)?bin/python[\d.]*(?=\s)")
_GLIBC = re.compile(rb"GLIBC_(\d+)\.(\d+)")
_PROMISE = re.compile(r"__glibc\s+>=\s*(\d+)\.(\d+)")
_ASSIGNED = re.compile(
    rb"(?:^|[\s;&])(?:export\s+)?(LD_LIBRARY_PATH|LD_PRELOAD|PYTHONPATH|PYTHONHOME|PYTHONSTARTUP|PYTHONNOUSERSITE|MALLOC_ARENA_MAX)=",
    re.MULTILINE,
)
"""What a process reads when it starts: too late for one that runs."""
_ACTIVATION = "etc/conda/activate.d/"
_POST_LINK = re.compile(r"bin/\.[^/]+-post-link\.sh")
_SHOWN = 3


class Package:
    """One package being written into a chunk.

    What breaks the rules is collected, and raised together at the end.
    """

    def __init__(self, package: Installed, target: Target, exclude: Sequence[str] = ()) -> None:
        """
        Args:
            exclude: groups and patterns of files that stay behind.
        """
        self._exclude = exclude
        self._written: frozenset[str] | None = None
        """The files that are written, where some are left out."""
        self._package, self._target = package, target
        self._issues: list[str] = []
        self._areas = Areas(target, "python" if package.pin.name == "python" else "conda")
        self._prefixed: list[dict[str, str]] = []
        self._binaries: dict[str, bytes] = {}
        self._findings: list[Finding] = []

    def fill(self, writer: ChunkWriter) -> tuple[int, int]:
        """Write all of it; returns the glibc that it needs."""
        names = {file.name for file in self._package.paths}
        self._check_tree(names)
        self._raise_issues()
        files = {
            file.name: file
            for file in self._package.paths
            if not _is_bytecode(file.name, names) and not self._areas.is_sparks(file.name)
        }
        made = dict(self._scripts())
        gone = self._left_out(writer, files, made)
        for name, file in files.items():
            if name not in gone:
                self._write(writer, file)
        for name, data in made.items():
            if name not in gone:
                writer.file(name, data, executable=True)
                writer.scripts.add(name)
        self._write_meta(writer)
        self._write_record(writer)
        if self._package.pin.name == "python":
            self._check_python(names)
        self._raise_issues()
        floor = self._floor()
        self._check_machines(writer)
        writer.findings += self._findings
        return floor

    # files

    def _left_out(
        self, writer: ChunkWriter, files: Mapping[str, CondaFile], made: Mapping[str, bytes]
    ) -> frozenset[str]:
        """What stays behind, as `exclude` says."""
        if not self._exclude:
            return frozenset()
        sizes = {name: file.source.lstat().st_size for name, file in files.items()}
        sizes |= {name: len(data) for name, data in made.items()}
        gone, told = excluded.left_out(
            self._exclude,
            sizes,
            self._target.site_packages,
            lambda name: made[name] if name in made else files[name].source.read_bytes(),
        )
        writer.left_out[:] = told
        self._written = frozenset(sizes.keys() - gone) if gone else None
        return gone

    def _without_rows(self, name: str, record: bytes) -> bytes:
        """A distribution's RECORD without rows of what is not written."""
        site = self._target.site_packages
        written = self._written or frozenset()
        rows = record.decode("utf-8").splitlines(keepends=True)
        return "".join(
            row
            for row in rows
            if not row.strip()
            or (path := posixpath.normpath(f"{site}{next(csv.reader([row]))[0]}")) == name
            or path in written
        ).encode()

    def _write(self, writer: ChunkWriter, file: CondaFile) -> None:
        if not file.source.parent.resolve().is_relative_to(self._package.folder.resolve()):
            self._issue(file.name, "a link in the package leads out of it")
            return
        if file.source.is_symlink():
            writer.link(file.name, str(file.source.readlink()))
            return
        if not file.source.is_file():
            self._issue(file.name, "it is neither a file nor a link")
            return
        data = file.source.read_bytes()
        if file.sha256 and hashlib.sha256(data).hexdigest() != file.sha256:
            self._issue(file.name, "its content is not what the package says")
        if self._written is not None and file.name.endswith(".dist-info/RECORD"):
            data = self._without_rows(file.name, data)
        if file.name.startswith("bin/") and _is_for_python(data, file.placeholder):
            data = scripts.relocatable(data, self._target.minor)
        if file.placeholder and file.placeholder.encode() in data:
            self._prefixed.append(
                {
                    "path": file.name,
                    "mode": file.mode,
                    "placeholder": file.placeholder,
                    "sha256": hashlib.sha256(data).hexdigest(),
                }
            )
        if elf.is_elf(data):
            self._binaries[file.name] = data
        self._notice(file.name, data)
        writer.file(file.name, data, executable=bool(file.source.stat().st_mode & 0o111))

    def _scripts(self) -> Iterator[tuple[str, bytes]]:
        """The console scripts of a noarch python package: conda makes them when it installs."""
        if self._package.entry_points:
            text = "[console_scripts]\n" + "\n".join(self._package.entry_points) + "\n"
            for name, data in scripts.entry_points(text, self._label, self._target.minor):
                if reason := self._areas.taken(f"bin/{name}"):
                    self._issue(f"bin/{name}", reason)
                yield f"bin/{name}", data

    def _write_meta(self, writer: ChunkWriter) -> None:
        pin, index = self._package.pin, self._package.index
        paths = [
            {
                "_path": entry["path"],
                "path_type": "hardlink",
                "file_mode": entry["mode"],
                "prefix_placeholder": entry["placeholder"],
            }
            for entry in self._prefixed
        ]
        said = {
            "name": pin.name,
            "version": pin.version,
            "build": pin.build,
            "build_number": index.get("build_number", 0),
            "subdir": pin.subdir,
            "channel": pin.channel,
            "license": pin.license or index.get("license") or "",
            "depends": list(index.get("depends") or ()),
            "fn": pin.filename,
            "sha256": pin.sha256,
            "paths_data": {"paths_version": 1, "paths": paths},
        }
        writer.file(
            f"{META}{pin.name}-{pin.version}-{pin.build}.json",
            json.dumps(said, sort_keys=True, indent=1).encode() + b"\n",
        )

    def _write_record(self, writer: ChunkWriter) -> None:
        """Our own list of what nodes replace: a package's own word is never read there."""
        said = {"package": self._label, "prefixed": self._prefixed}
        data = json.dumps(said, sort_keys=True, indent=1).encode() + b"\n"
        writer.record = hashlib.sha256(data).hexdigest()
        writer.file(f"{RECORDS}{writer.record}.json", data)

    # checks

    @property
    def _label(self) -> str:
        return self._package.pin.filename

    def _check_tree(self, names: Iterable[str]) -> None:
        files = set(names)
        for folder in sorted(archive_names.folders_of(files) & files):
            self._issue(folder, "it is a folder and also a file or a link")
        for name in sorted(files):
            if not archive_names.is_plain(name):
                self._issue(name, "its name leaves the prefix or is not a valid file name")
            elif name.casefold() == META.rstrip("/") or name.casefold().startswith(META):
                self._issue(name, "this program writes what is in conda-meta")
            elif reason := self._areas.taken(name):
                self._issue(name, reason)
        found, planted = areas.of_spark(files, self._areas, self._label)
        if planted:
            self._issue(planted, "it is put into the driver's own Spark, which is in every archive")
        self._findings += found

    def _check_python(self, names: set[str]) -> None:
        """That conda's python is one that starts wherever it is put, and looks for packages where
        they are.
        """
        program, site = (
            f"bin/python{self._target.minor}",
            self._package.index.get("python_site_packages_path"),
        )
        if site not in (None, self._target.site_packages.rstrip("/")):
            self._issue(
                "info/index.json",
                f"packages lie in {site}: a free-threaded Python, which PySpark does not support",
            )
        if program not in self._binaries:
            self._issue(
                program,
                f"it is not a program for {self._target.architecture}, or not there"
                if program in names
                else "it is not there",
            )
            return
        found = elf.parse(self._binaries[program], program)
        absolute = [
            entry for entry in f"{found.rpath}:{found.runpath}".split(":") if entry.startswith("/")
        ]
        if absolute:
            self._issue(
                program,
                f"it looks for its libraries in {absolute[0]}, which no node has before the"
                " prefix is written",
            )

    def _floor(self) -> tuple[int, int]:
        """The glibc that is needed: what the package promises, unless its binaries name a newer
        one.
        """
        promised = [
            (int(match[1]), int(match[2]))
            for text in self._package.index.get("depends") or ()
            if (match := _PROMISE.match(text))
        ]
        fitting = {
            name: data
            for name, data in self._binaries.items()
            if elf.is_for(data, self._target.architecture)
        }
        if self._binaries and not fitting and self._package.pin.subdir != "noarch":
            self._issue(
                next(iter(self._binaries)),
                f"neither it nor another binary is for {self._target.architecture}",
            )
            self._raise_issues()
        floor = max(promised, default=(0, 0))
        for name, data in fitting.items():
            if (
                max(
                    ((int(major), int(minor)) for major, minor in _GLIBC.findall(data)),
                    default=(0, 0),
                )
                > floor
            ):
                floor = max(floor, elf.parse(data, name).glibc)
        return floor

    def _check_machines(self, writer: ChunkWriter) -> None:
        """All binaries of a package for one platform are for it; a noarch one may carry others."""
        architecture = self._target.architecture
        others = sorted(
            (name, machine)
            for name, data in self._binaries.items()
            if (machine := elf.machine_of(data)) and not elf.runs_on(machine, architecture)
        )
        for name, machine in others:
            if self._package.pin.subdir != "noarch" or name.startswith(("bin/", "lib/lib")):
                self._issue(name, f"it is for {machine}, the executors are {architecture}")
        self._raise_issues()
        for _, machine in others:
            writer.machines.pop(machine, None)

    def _notice(self, name: str, data: bytes) -> None:
        if (
            name.startswith(self._target.site_packages)
            and name.endswith(".pth")
            and (place := _absolute_line(data))
        ):
            self._issue(
                name,
                f"it makes Python look in {place}, which is on the machine that the package"
                " was built on: an editable install",
            )
        if name.startswith(_ACTIVATION) and (
            late := sorted({found.decode() for found in _ASSIGNED.findall(data)})
        ):
            self._find(
                "build.activation-too-late",
                "an activation script sets what a process reads only when it starts",
                value=f"{self._label}: {', '.join(late)}",
                cause="executors' Python runs already when the script does",
                cure=f'set it for executors: conf spark.executorEnv.{late[0]}="..."',
            )
        if _POST_LINK.fullmatch(name):
            self._find(
                "build.post-link-skipped",
                "a package has a script that conda runs after linking; it is not run",
                value=f"{self._label}: {name}",
                cause="it would change the prefix of one machine",
            )

    def _find(self, code: str, what: str, *, value: str, cause: str, cure: str = "") -> None:
        self._findings.append(Finding(code, what, value=value, cause=cause, cure=cure))

    def _issue(self, name: str, reason: str) -> None:
        self._issues.append(f"{name}: {reason}")

    def _raise_issues(self) -> None:
        if self._issues:
            others = len(self._issues) - _SHOWN
            cause = "; ".join(self._issues[:_SHOWN]) + (
                f"; + {others} others" if others > 0 else ""
            )
            raise BuildError(
                "build.conda-package-unusable",
                "a conda package cannot be shipped",
                value=self._label,
                cause=cause,
                cure="leave it out, or pin another build of it: name=version=build",
            )


def _is_for_python(data: bytes, placeholder: str) -> bool:
    """True for a script whose first line names the prefix's own Python."""
    if scripts.is_for_python(data):
        return True
    first = data.partition(b"\n")[0] + b"\n"
    return bool(placeholder) and placeholder.encode() in first and _SHEBANG.match(first) is not None


def _absolute_line(path_file: bytes) -> str:
    """The first line of a .pth that names a folder by its absolute path; empty if none does."""
    return next(
        (
            line.strip()
            for line in path_file.decode("utf-8", "replace").splitlines()
            if line.startswith("/")
        ),
        "",
    )


def _is_bytecode(name: str, names: set[str]) -> bool:
    """Bytecode is made anew where it is wanted; a module that comes without its source stays."""
    return "__pycache__" in name.split("/")[:-1] or (name.endswith(".pyc") and name[:-1] in names)
