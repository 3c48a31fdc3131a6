"""One wheel, written into a chunk as it is when it is installed."""

from __future__ import annotations

import csv
import io
import json
import posixpath
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from coffee_boat.archive import areas, elf, members, scripts
from coffee_boat.archive.areas import Areas
from coffee_boat.archive.names import folders_of, is_inside, is_plain
from coffee_boat.archive.writer import ChunkWriter, Content
from coffee_boat.errors import BuildError
from coffee_boat.model import LeftOut, Pin, Target
from coffee_boat.pip.metadata import direct_url
from coffee_boat.pip.tags import is_same_name, is_version, promised_glibc
from coffee_boat.pip.wheel_checks import (
    SHOWN,
    contradiction,
    for_others,
    is_bytecode,
    is_data,
    needed_glibc,
)
from coffee_boat.pip.wheel_places import LeftBehind, Made, Place, left_behind, schemes

INSTALLER = b"coffee_boat\n"

_OURS = {"RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json"}
"""Written anew, or signatures of a RECORD that is no more."""


class Install:
    """One wheel being written into a chunk.

    What breaks the rules is collected, and raised together at the end.
    """

    def __init__(self, wheel: Path, pin: Pin, target: Target, exclude: Sequence[str] = ()) -> None:
        """
        Args:
            exclude: groups and patterns of files that stay behind.
        """
        self._exclude = exclude
        self._wheel, self._pin, self._target, self._site = wheel, pin, target, target.site_packages
        self._areas = Areas(target)
        self._issues: list[str] = []
        self._rows: list[tuple[str, str, str]] = []
        self._binaries: list[tuple[Place, bytes]] = []
        self.requires: list[str] | None = None
        """Each Requires-Dist of its metadata, once that was read."""

    def fill(self, writer: ChunkWriter) -> tuple[int, int]:
        """Write all that an installer would; returns the glibc that the wheel needs."""
        from installer.exceptions import InstallerError
        from installer.records import InvalidRecordEntry
        from installer.sources import WheelFile

        try:
            with members.opened(self._wheel) as archive:
                self._check_readable(archive)
                stream = members.stream_of(archive)
                self._write(writer, stream, archive, WheelFile(archive).dist_info_dir)
                self._raise_issues()
                self._check_machines(writer)
                return self._floor(archive)
        # the last two are what libraries say of texts, numbers and names
        except (
            *(zipfile.BadZipFile, InstallerError, InvalidRecordEntry, EOFError, zlib.error),
            *(csv.Error, ValueError, LookupError),
        ) as error:
            raise self._broken(str(error) or type(error).__name__) from error
        except RecursionError:  # of email's parser: parts within parts
            raise self._broken("its metadata is nested too deeply") from None

    def _write(
        self, writer: ChunkWriter, stream: BinaryIO, archive: zipfile.ZipFile, dist_info: str
    ) -> None:
        self._check_metadata(archive, dist_info)
        recorded = self._recorded(archive, f"{dist_info}/RECORD")
        generated = dict(self._generated(archive, dist_info))
        places = {place.name: place for place in self._places(archive, dist_info)}
        self._check_tree([*places, *generated])
        places = self._without_spark(places, writer)
        gone, writer.left_out[:] = self._left_out(stream, places, generated)
        for name in sorted({*places, *generated} - gone):
            if name in generated:
                data, executable = generated[name]
                self._put(writer, name, data, executable=executable)
                if executable:
                    writer.scripts.add(name)
            else:
                self._copy(writer, stream, places[name], recorded)
        self._put_record(writer, f"{self._site}{dist_info}/RECORD")

    # where things go

    def _places(self, archive: zipfile.ZipFile, dist_info: str) -> Iterator[Place]:
        """Each member that is installed; of two for one place the last wins, as with pip."""
        members = {info.filename: info for info in archive.infolist() if not info.is_dir()}
        own = {f"{dist_info}/{name}" for name in _OURS}
        for name, info in sorted(members.items(), key=lambda item: is_data(item[0])):
            if info.orig_filename != name or "\\" in name or not is_plain(name):
                self._issue(
                    info.orig_filename,
                    "its name leaves the wheel's root or is not a valid file name",
                )
            elif name not in own:
                yield from self._allowed(info, dist_info, bytecode=is_bytecode(name, members))

    def _allowed(self, info: zipfile.ZipInfo, dist_info: str, *, bytecode: bool) -> Iterator[Place]:
        """Where a member goes, if that is a place that the wheel may have."""
        for place in self._placed(info):
            reason = self._areas.taken(place.name)
            if reason:
                self._issue(info.filename, f"as {place.name} {reason}")
            elif other := self._others_metadata(place.name, dist_info):
                self._issue(info.filename, f"{other} is another distribution's metadata")
            elif not bytecode:
                yield place

    def _others_metadata(self, name: str, dist_info: str) -> str:
        """The folder of metadata that a file is put into, if it is not this distribution's."""
        folder = name.removeprefix(self._site).partition("/")[0]
        if not name.startswith(self._site) or folder == dist_info:
            return ""
        stem, _, kind = folder.lower().rpartition(".")
        own = is_same_name(stem.partition("-")[0], self._pin.name)
        return folder if kind == "dist-info" or (kind == "egg-info" and not own) else ""

    def _without_spark(self, places: dict[str, Place], writer: ChunkWriter) -> dict[str, Place]:
        """Without the pyspark that a wheel brings: the driver's own is in every archive."""
        said, planted = areas.of_spark(places, self._areas, self._wheel.name)
        if planted:
            self._issue(planted, "it is put into the driver's own Spark, which is in every archive")
        writer.findings += said
        return {name: place for name, place in places.items() if not self._areas.is_sparks(name)}

    def _left_out(
        self, stream: BinaryIO, places: Mapping[str, Place], generated: Mapping[str, Made]
    ) -> LeftBehind:
        """What stays behind, as `exclude` says."""
        if not self._exclude:
            return frozenset(), ()
        return left_behind(self._exclude, self._site, stream, places, generated)

    def would_leave_out(self) -> tuple[LeftOut, ...]:
        """As `Chunk.left_out`, without packing it; empty where it cannot be read."""
        from installer.exceptions import InstallerError
        from installer.sources import WheelFile

        try:
            with members.opened(self._wheel) as archive:
                self._check_readable(archive)
                dist_info = WheelFile(archive).dist_info_dir
                places = {place.name: place for place in self._places(archive, dist_info)}
                generated = dict(self._generated(archive, dist_info))
                return self._left_out(members.stream_of(archive), places, generated)[1]
        except (zipfile.BadZipFile, InstallerError, BuildError, OSError, EOFError, ValueError):
            return ()

    def _placed(self, info: zipfile.ZipInfo) -> Iterator[Place]:
        if not is_data(info.filename):
            yield Place(info, self._site + info.filename)
            return
        _, scheme, *rest = info.filename.split("/", 2)
        root = schemes(self._wheel, self._target).get(scheme)
        if root is None or not rest:
            self._issue(info.filename, "no installation scheme is called so")
        else:
            yield Place(info, root + rest[0], script=scheme == "scripts")

    def _generated(self, archive: zipfile.ZipFile, dist_info: str) -> Iterator[tuple[str, Made]]:
        """What installers add: name -> content and run bit."""
        folder = f"{self._site}{dist_info}/"
        yield f"{folder}INSTALLER", (INSTALLER, False)
        if self._pin.requested:
            yield f"{folder}REQUESTED", (b"", False)
        direct = direct_url(self._pin)
        if direct is not None:
            yield f"{folder}direct_url.json", (json.dumps(direct, sort_keys=True).encode(), False)
        if f"{dist_info}/entry_points.txt" in archive.namelist():
            text = self._text(archive, f"{dist_info}/entry_points.txt")
            for name, data in scripts.entry_points(text, self._wheel.name, self._target.minor):
                if reason := self._areas.taken(f"bin/{name}"):
                    self._issue(f"{dist_info}/entry_points.txt", f"as bin/{name} {reason}")
                yield f"bin/{name}", (data, True)

    # writing

    def _copy(
        self,
        writer: ChunkWriter,
        stream: BinaryIO,
        place: Place,
        recorded: Mapping[str, tuple[str, str]],
    ) -> None:
        info = place.info
        try:
            raw = members.raw(stream, info)
            content = self._write_body(writer, place, raw)
            problem = contradiction(info, raw, content, recorded.get(info.filename))
        except (BuildError, zipfile.BadZipFile) as error:
            problem, content = (error.cause if isinstance(error, BuildError) else str(error)), None
        if problem:
            self._issue(info.filename, problem)
        if content is not None and elf.is_elf(content.head):
            self._binaries.append((place, content.head))

    def _write_body(self, writer: ChunkWriter, place: Place, raw: memoryview) -> Content:
        info, is_link = place.info, stat.S_ISLNK(place.mode)
        if is_link:
            target = members.link_target(info, raw)
            self._link(writer, place, target)
            return Content.of(target.encode("utf-8"))
        if place.script and members.starts_with(info, raw, scripts.FOR_PYTHON):
            data = members.whole(info, raw, most=members.SMALL, kind="a script for Python")
            self._put(
                writer, place.name, scripts.relocatable(data, self._target.minor), executable=True
            )
            return Content.of(data)
        if info.compress_type == zipfile.ZIP_DEFLATED:
            content = writer.deflated(
                place.name, raw, crc=info.CRC, size=info.file_size, executable=place.executable
            )
            self._row(place.name, content.hash, info.file_size)
            return content
        return self._put(
            writer, place.name, members.unpacked(info, raw), executable=place.executable
        )

    def _link(self, writer: ChunkWriter, place: Place, target: str) -> None:
        if is_inside(place.name, target):
            writer.link(place.name, target)
            self._rows.append((self._relative(place.name), "", ""))
        else:
            self._issue(place.info.filename, f"it is a link to {target!r}, out of the archive")

    def _put(
        self, writer: ChunkWriter, name: str, data: bytes | memoryview, *, executable: bool
    ) -> Content:
        content = writer.stored(name, data, executable=executable)
        self._row(name, content.hash, len(data))
        return content

    def _row(self, name: str, digest: str, size: int) -> None:
        self._rows.append((self._relative(name), digest, str(size)))

    def _relative(self, name: str) -> str:
        return (
            name[len(self._site) :]
            if name.startswith(self._site)
            else posixpath.relpath(name, self._site)
        )

    def _put_record(self, writer: ChunkWriter, name: str) -> None:
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows(
            sorted([*self._rows, (self._relative(name), "", "")])
        )
        writer.file(name, table.getvalue().encode("utf-8"))

    # checks

    def _check_readable(self, archive: zipfile.ZipFile) -> None:
        for member, reason in members.issues(archive, self._wheel.stat().st_size):
            self._issue(member, reason)
        self._raise_issues()

    def _check_metadata(self, archive: zipfile.ZipFile, dist_info: str) -> None:
        from installer.utils import parse_metadata_file

        wheel = parse_metadata_file(self._text(archive, f"{dist_info}/WHEEL"))
        version = str(wheel["Wheel-Version"] or "").strip()
        if version.split(".")[0] != "1":
            self._issue(
                f"{dist_info}/WHEEL", f"Wheel-Version is {version or 'missing'}, only 1.x is known"
            )
        metadata = parse_metadata_file(
            self._text(archive, f"{dist_info}/METADATA", members.METADATA)
        )
        self.requires = [str(text) for text in metadata.get_all("Requires-Dist", [])]
        if not is_version(str(metadata["Name"]), str(metadata["Version"]), self._pin):
            self._issue(
                f"{dist_info}/METADATA",
                f"it says {metadata['Name']} {metadata['Version']}, not {self._pin.name}"
                f" {self._pin.version}",
            )

    def _recorded(self, archive: zipfile.ZipFile, name: str) -> dict[str, tuple[str, str]]:
        """What RECORD says: name -> hash and size, as they are written there."""
        from installer.records import parse_record_file

        return {
            path: (digest, size)
            for path, digest, size in parse_record_file(
                self._text(archive, name, members.RECORD).splitlines()
            )
        }

    def _check_tree(self, names: Iterable[str]) -> None:
        files = set(names)
        for folder in sorted(folders_of(files) & files):
            self._issue(folder, "it is a folder and also a file or a link")

    def _check_machines(self, writer: ChunkWriter) -> None:
        """A wheel that is named for one machine has binaries for it only; one that is for any may
        carry some for each, besides those that these executors take.
        """
        architecture = self._target.architecture
        if architecture not in writer.machines:
            return  # none fits: told where the glibc is looked for
        others = [
            (place.name, machine)
            for place, head in self._binaries
            if (machine := elf.machine_of(head)) and not elf.runs_on(machine, architecture)
        ]
        for name, machine in others:
            if not self._wheel.name.endswith("-any.whl") or self._is_loaded(name):
                self._issue(name, f"it is for {machine}, the executors are {architecture}")
        self._raise_issues()
        if others:
            writer.findings.append(for_others(self._wheel.name, others, architecture))
        for _, machine in others:
            writer.machines.pop(machine, None)

    def _is_loaded(self, name: str) -> bool:
        """True where Python or the loader takes a file by its place."""
        own = f".cpython-{self._target.minor.replace('.', '')}-"
        return not name.startswith(self._site) or name.endswith(".abi3.so") or own in name

    def _floor(self, archive: zipfile.ZipFile) -> tuple[int, int]:
        promised = promised_glibc(self._wheel.name, self._target.architecture)
        fitting = [
            place.info
            for place, head in self._binaries
            if elf.is_for(head, self._target.architecture)
        ]
        if self._binaries and not fitting:
            self._issue(
                self._binaries[0][0].info.filename,
                f"neither it nor another binary is for {self._target.architecture}",
            )
            self._raise_issues()
        if promised is not None:
            return promised
        return max((needed_glibc(archive, info) for info in fitting), default=(0, 0))

    def _text(self, archive: zipfile.ZipFile, name: str, most: int = members.SMALL) -> str:
        try:
            return members.read(archive, name, most=most).decode("utf-8")
        except KeyError:
            raise self._broken(f"it has no {name}") from None

    def _issue(self, member: str, reason: str) -> None:
        self._issues.append(f"{member}: {reason}")

    def _raise_issues(self) -> None:
        if self._issues:
            others = len(self._issues) - SHOWN
            raise self._broken(
                "; ".join(self._issues[:SHOWN]) + (f"; + {others} others" if others > 0 else "")
            )

    def _broken(self, cause: str) -> BuildError:
        cure = (
            "pin another version, or leave the package out; if only its RECORD is wrong and you"
            f" trust it: python -m wheel unpack {self._wheel.name}, then python -m wheel pack"
        )
        return BuildError(
            "build.wheel-malformed",
            "a wheel breaks the rules of its format",
            value=self._wheel.name,
            cause=cause,
            cure=cure,
        )
