"""What was chosen, and for which nodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from coffee_boat._support.digest import digest_of
from coffee_boat._support.urls import without_query
from coffee_boat._support.words import counted
from coffee_boat.errors import Finding
from coffee_boat.model.hidden import Redacted

SourceKind = Literal["wheel", "sdist", "directory", "vcs", "local"]
"""local: code of one's own that needs no build; it is packed as it lies there."""


@dataclass(frozen=True)
class Target:
    """What executors are: the platform that a lock and an archive are made for."""

    python: str
    """Full version of the interpreter, as "3.11.7"."""
    architecture: str = "x86_64"
    """As platform.machine() says it."""
    glibc: tuple[int, int] = (2, 17)
    """The newest glibc that a wheel may ask for (PEP 600)."""

    @property
    def minor(self) -> str:
        """Python's minor version, as "3.11"."""
        return ".".join(self.python.split(".")[:2])

    @property
    def platform(self) -> str:
        """In pip's words, as "manylinux_2_28_x86_64"."""
        return f"manylinux_{self.glibc[0]}_{self.glibc[1]}_{self.architecture}"

    @property
    def site_packages(self) -> str:
        """Where packages lie inside an archive, with a slash at the end."""
        return f"lib/python{self.minor}/site-packages/"


@dataclass(frozen=True, repr=False)
class Pin(Redacted):
    """One distribution that was chosen: a wheel, or a source that becomes one on the driver."""

    name: str
    """Normalized (PEP 503)."""
    version: str
    kind: SourceKind = "wheel"
    filename: str = ""
    url: str = ""
    """Where to fetch it, without credentials: https, file or git+https."""
    size: int | None = None
    """Bytes to fetch, where the index tells; of local code, what is packed."""
    sha256: str = ""
    """Of the file at `url`; of the tree for a directory and for local code; empty for vcs."""
    commit: str = ""
    """The commit of a vcs source."""
    subdirectory: str = ""
    editable: bool = False
    direct: bool = False
    """Asked for by URL or path: gets a direct_url.json (PEP 610)."""
    requested: bool = False
    """Named by the user rather than needed by another: gets a REQUESTED file."""
    requires: tuple[str, ...] = ()
    """Normalized names of what it needs on the target; known once its metadata was read."""

    @property
    def label(self) -> str:
        """For people: "numpy 2.1.0", "mypkg (local)"."""
        said = "(local)" if self.kind == "local" else self.version
        return f"{self.name} {said}".rstrip()

    @property
    def identity(self) -> str:
        """What makes two pins the same bytes."""
        return (
            f"{self.name}=={self.version} {self.kind}"
            f" {self.sha256 or without_query(self.url) + '@' + self.commit}"
        )


@dataclass(frozen=True, repr=False)
class CondaPin(Redacted):
    """One conda package that was chosen: a file of a channel."""

    name: str
    """As conda has it."""
    version: str
    build: str
    """The build string: "py311h64a7726_0"."""
    subdir: str
    """"linux-64", "noarch"."""
    channel: str
    """The channel's name or URL, without credentials."""
    url: str
    """Of the file, without credentials."""
    filename: str
    sha256: str
    size: int | None = None
    """Bytes to fetch."""
    license: str = ""
    """As the channel says it."""
    noarch_python: bool = False
    """Python modules only, for any platform and Python minor."""
    requested: bool = False
    """Named by the user rather than needed by another."""
    requires: tuple[str, ...] = ()
    """Names of what it needs."""
    provides: tuple[str, ...] = ()
    """The Python distributions in it, where known: normalized name (PEP 503) and version, as
    "numpy==2.4.6".
    """
    record: str = field(default="", repr=False)
    """The channel's whole record of it, JSON without credentials: what rattler installs by
    (conda/records.py).
    """

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.name} {self.version}"

    @property
    def identity(self) -> str:
        """What makes two pins the same bytes."""
        return f"{self.name}={self.version}={self.build} {self.subdir} {self.sha256 or self.url}"


@dataclass(frozen=True, repr=False)
class Lock(Redacted):
    """The pins chosen for a target."""

    target: Target
    pins: tuple[Pin, ...] = ()
    """Of pip; sorted by name."""
    findings: tuple[Finding, ...] = ()
    conda: tuple[CondaPin, ...] = ()
    """Sorted by name. With any, conda's own python is the environment's interpreter."""
    exclude: tuple[str, ...] = ()
    """What stays behind: groups, patterns and names of packages, in order (model/excluded.py)."""
    without: tuple[Pin | CondaPin, ...] = field(default=(), compare=False)
    """Packages that were chosen, and that `exclude` names: for a plan only, never kept."""

    @property
    def digest(self) -> str:
        """sha256 of what is pinned and for whom; not of where it was fetched from."""
        lines = [
            f"{self.target.minor} {self.target.platform}",
            *(pin.identity for pin in self.pins),
            *(pin.identity for pin in self.conda),
            *(f"exclude {word}" for word in self.exclude),
        ]
        return digest_of(lines)

    @property
    def summary(self) -> str:
        """For people: how much is pinned, and for whom."""
        parts = [counted(len(self.conda), "conda package")] * bool(self.conda) + [
            counted(len(self.pins), "distribution")
        ] * bool(self.pins or not self.conda)
        return f"{' and '.join(parts)} for Python {self.target.python} on {self.target.platform}"

    def pin(self, name: str) -> Pin | None:
        """The pin of a normalized name."""
        return next((pin for pin in self.pins if pin.name == name), None)

    def has(self, name: str) -> bool:
        """True if a distribution of a normalized name is in it, from pip or, as far as that is
        known, from conda.
        """
        return self.pin(name) is not None or any(
            name in (pin.name, *(given.partition("==")[0] for given in pin.provides))
            for pin in self.conda
        )

    def lacks(self, other: Lock) -> Lock:
        """What another lock has that this one has not, by name."""
        ours = {pin.name for pin in self.pins}, {pin.name for pin in self.conda}
        return Lock(
            other.target,
            tuple(pin for pin in other.pins if pin.name not in ours[0]),
            conda=tuple(pin for pin in other.conda if pin.name not in ours[1]),
            exclude=other.exclude,
        )
