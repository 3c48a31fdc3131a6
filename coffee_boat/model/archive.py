"""What is sent: chunks, archives, and where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from coffee_boat._support.words import human_size
from coffee_boat.errors import Finding
from coffee_boat.model.excluded import LeftOut
from coffee_boat.model.hidden import Redacted
from coffee_boat.model.lock import Target
from coffee_boat.model.tables import html_table

START_FOLDER = "lib/coffee_boat/"
"""Inside an archive: what starts our part in a node's own interpreter, when it is first on
PYTHONPATH.
"""

SENTINEL = "boat.json"
"""The last entry of an archive: where it lies unpacked, all is there.

(What runs on executors imports nothing of ours, and names it itself.)
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python that can be shipped: what its own probe says, or its files."""

    executable: str
    """The real executable of the base interpreter, a venv followed to its end."""
    version: str
    architecture: str
    key: str
    """Digest of all that decides its copy: path, version, build, modification times, layout
    version.
    """
    native: bool = True
    """False for one that is for another machine than this one: it is never run."""


@dataclass(frozen=True)
class Chunk:
    """A run of gzip members that holds tar members, without the end of a tar.

    Immutable; kept in the store by id.
    """

    id: str
    """sha256 (hex) of the tar's headers and of the sha256 of each content (archive/writer.py)."""
    size: int
    """Bytes, packed."""
    unpacked: int
    """Bytes of file content."""
    files: int
    floor: tuple[int, int] = (0, 0)
    """The glibc that its binaries need; (0, 0) if it has none."""
    label: str = ""
    """For people: "python 3.11.7", "numpy 2.1.0"."""
    machines: tuple[tuple[str, str], ...] = ()
    """What its ELF files are for, as platform.machine() says it, each with one file's name; without
    those that a package carries for others on purpose."""
    record: str = ""
    """sha256 (hex) of our record of a conda package in it, which is called after that; empty for
    what is no conda package."""
    crc: int | None = None
    """CRC-32 of the packed bytes; None where an earlier version made it."""
    left_out: tuple[LeftOut, ...] = ()
    """What of the package stayed behind, as `exclude` said."""


Role = Literal["base", "layer", "part", "generation"]
"""What an archive is to a session: all that it starts with; more, which Python finds beside what
it has; more, which only generations that are composed of it have; or what such a generation is
composed of (worker/compose.py).
"""
_FOLDERS: dict[Role, str] = {
    "base": "boat-",
    "layer": "boat-layer-",
    "part": "boat-part-",
    "generation": "boat-gen-",
}
FOLDER = r"boat-(?:(?:layer|part|gen)-)?[0-9a-f]{12}(?:-[0-9a-f]{12})?"
"""A regular expression for `Archive.name`."""


@dataclass(frozen=True, repr=False)
class Archive(Redacted):
    """An ordered tuple of chunks and a tail (boat.json, the end of the tar), concatenated in the
    store.
    """

    id: str
    """sha256 over the ids of chunks and tail, in order."""
    path: str
    """Absolute path of the .tar.gz on the driver."""
    size: int
    chunks: tuple[Chunk, ...]
    target: Target
    lock_digest: str
    has_python: bool
    role: Role = "base"
    findings: tuple[Finding, ...] = ()
    after: str = ""
    """Of a layer that is added to a composed generation: the digits in the name of that one, whose
    processes alone see it. Those of an earlier one have other versions of what it needs.
    """

    @property
    def floor(self) -> tuple[int, int]:
        """The highest glibc that a chunk needs."""
        return max((chunk.floor for chunk in self.chunks), default=(0, 0))

    @property
    def name(self) -> str:
        """The folder it becomes on a node: content-addressed, since Spark takes each name once."""
        after = f"-{self.after}" if self.after else ""
        return f"{_FOLDERS[self.role]}{self.id[:12]}{after}"

    @property
    def layer(self) -> bool:
        """Added to a running session, rather than its base."""
        return self.role in ("layer", "part")

    @property
    def python(self) -> str:
        """The interpreter's path inside the archive."""
        return f"bin/python{self.target.minor}"

    def _repr_html_(self) -> str:
        rows = [
            (
                c.label,
                human_size(c.size),
                f"{c.files:,}",
                ".".join(map(str, c.floor)) if any(c.floor) else "",
            )
            for c in self.chunks
        ]
        return html_table(
            ("chunk", "size", "files", "glibc"),
            rows,
            caption=f"{self.name}: {human_size(self.size)}",
            right=("size", "files", "glibc"),
        )


@dataclass(frozen=True, repr=False)
class Shipped(Redacted):
    """An archive in the place that executors fetch it from."""

    archive: Archive
    uri: str
    """What spark.archives takes, without the #fragment; of a plain file, what addFile takes."""
    findings: tuple[Finding, ...] = ()
    plain: bool = False
    """True for a file that Spark does not unpack, but who looks for it (worker/layers.py)."""
