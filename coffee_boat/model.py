"""The values that pass between the stages: frozen, plain, and free of behaviour that needs another
module.

    Manifest --lock--> Lock --build--> Chunk... -> Archive --ship--> Shipped --backend--> ConfPatch
    --launch--> Spark --verify--> Report

They load nothing but the standard library, so that `import coffee_boat` stays fast.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from coffee_boat._credentials import without_query
from coffee_boat._run import redact, redact_setting

SourceKind = Literal["wheel", "sdist", "directory", "vcs"]
Severity = Literal["note", "warning", "error"]

START_FOLDER = "lib/coffee_boat/"
"""Inside an archive: what starts our part in a node's own interpreter, when it is first on
PYTHONPATH.
"""

SENTINEL = "boat.json"
"""The last entry of an archive: where it lies unpacked, all is there.

(What runs on executors imports nothing of ours, and names it itself.)
"""

SQL_PYTHON = "spark.sql.execution.pyspark.python"
"""Spark's setting: what executors run SQL's functions with, whatever was captured with them; looked
at each time a query runs (org.apache.spark.sql.internal.SQLConf).
"""


class _Redacted:
    """A repr without the credentials that URLs in the fields, and Spark's settings among them, may
    hold.
    """

    def __repr__(self) -> str:
        said = ", ".join(
            f"{part.name}={_without_secrets(getattr(self, part.name))!r}"
            for part in fields(self)  # type: ignore[arg-type]
            if part.repr
        )
        return redact(f"{type(self).__name__}({said})")


def _without_secrets(value: Any) -> Any:
    return (
        {key: redact_setting(key, setting) for key, setting in value.items()}
        if isinstance(value, Mapping)
        else value
    )


@dataclass(frozen=True)
class Finding:
    """Something that was skipped, looks odd, or will not work.

    The same four parts as a BoatError.
    """

    what: str
    value: str = ""
    cause: str = ""
    cure: str = ""
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        """Hide secrets, as BoatError does."""
        for name in ("what", "value", "cause", "cure"):
            object.__setattr__(self, name, redact(getattr(self, name)))

    def __str__(self) -> str:
        text = f"{self.what}: {self.value}" if self.value else self.what
        if self.cause:
            text += f" ({self.cause})"
        return f"{text} -> {self.cure}" if self.cure else text


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
class Requirement(_Redacted):
    """One thing that was asked for, and where.

    `name` is normalized (PEP 503); it is empty for a source whose name only its build tells.
    """

    text: str
    """As it is handed to the resolver: a PEP 508 string, or a path or URL; paths are absolute."""
    name: str = ""
    extras: tuple[str, ...] = ()
    specifier: str = ""
    marker: str = ""
    url: str = ""
    """Where it comes from, if not from an index: https, git+https, file."""
    hashes: tuple[str, ...] = ()
    """As "sha256:hex"; one of them must match."""
    editable: bool = False
    origin: str = ""
    """For people: "add_pip_packages", "requirements.txt:3"."""


@dataclass(frozen=True, repr=False)
class Indexes(_Redacted):
    """Where packages come from, and how they are fetched.

    URLs may hold credentials: never print one unredacted.

    None and () mean "not said here": the tools' own configuration then applies.
    """

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    trusted_hosts: tuple[str, ...] = ()
    cert: str | None = None
    """A CA bundle."""
    client_cert: str | None = None
    proxy: str | None = None
    timeout: float = 60.0
    """Seconds without an answer."""
    no_binary: tuple[str, ...] = ()
    only_binary: tuple[str, ...] = ()
    only_binary_said: tuple[str, ...] = field(default=(), compare=False)
    """For people: where that was said."""
    prerelease: bool = False
    offline: bool = False


@dataclass(frozen=True, repr=False)
class CondaRequirement(_Redacted):
    """One conda package that was asked for, and where."""

    text: str
    """A MatchSpec in conda's words, without its channel: "numpy >=2"."""
    name: str
    """As conda has it, lower case."""
    channel: str = ""
    """The one that it must come from: a name or a URL; empty for any of the manifest's.

    The URL may hold credentials.
    """
    origin: str = ""
    """For people: "add_conda_packages", "environment.yml"."""


@dataclass(frozen=True, repr=False)
class Manifest(_Redacted):
    """What is wanted: canonical (sorted, merged), before anything is resolved."""

    requirements: tuple[Requirement, ...] = ()
    """Of pip."""
    constraints: tuple[Requirement, ...] = ()
    indexes: Indexes = Indexes()
    """Index options met in requirements files; they add to the settings."""
    findings: tuple[Finding, ...] = ()
    conda: tuple[CondaRequirement, ...] = ()
    channels: tuple[str, ...] = ()
    """Conda channels in the order they are asked: names or URLs, which may hold credentials.

    With any, no others are asked; empty: those of .condarc, else conda-forge.
    """

    @property
    def texts(self) -> list[str]:
        """What was asked for, for people; the texts may hold credentials."""
        return [*(r.text for r in self.conda), *(r.text for r in self.requirements)]


@dataclass(frozen=True, repr=False)
class Pin(_Redacted):
    """One distribution that was chosen: a wheel, or a source that becomes one on the driver."""

    name: str
    """Normalized (PEP 503)."""
    version: str
    kind: SourceKind = "wheel"
    filename: str = ""
    url: str = ""
    """Where to fetch it, without credentials: https, file or git+https."""
    size: int | None = None
    """Bytes to fetch, where the index tells."""
    sha256: str = ""
    """Of the file at `url`; of the tree for a directory; empty for vcs."""
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
    def identity(self) -> str:
        """What makes two pins the same bytes."""
        return (
            f"{self.name}=={self.version} {self.kind}"
            f" {self.sha256 or without_query(self.url) + '@' + self.commit}"
        )


@dataclass(frozen=True, repr=False)
class CondaPin(_Redacted):
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
    (_conda.record_of).
    """

    @property
    def identity(self) -> str:
        """What makes two pins the same bytes."""
        return f"{self.name}={self.version}={self.build} {self.subdir} {self.sha256 or self.url}"


@dataclass(frozen=True, repr=False)
class Lock(_Redacted):
    """The pins chosen for a target."""

    target: Target
    pins: tuple[Pin, ...] = ()
    """Of pip; sorted by name."""
    findings: tuple[Finding, ...] = ()
    conda: tuple[CondaPin, ...] = ()
    """Sorted by name. With any, conda's own python is the environment's interpreter."""

    @property
    def digest(self) -> str:
        """sha256 of what is pinned and for whom; not of where it was fetched from."""
        lines = [
            f"{self.target.minor} {self.target.platform}",
            *(pin.identity for pin in self.pins),
            *(pin.identity for pin in self.conda),
        ]
        return digest_of(lines)

    @property
    def summary(self) -> str:
        """For people: how much is pinned, and for whom."""
        parts = [f"{len(self.conda)} conda packages"] * bool(self.conda) + [
            f"{len(self.pins)} distributions"
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
        )


@dataclass(frozen=True)
class Interpreter:
    """A Python that can be shipped: what its own probe says."""

    executable: str
    """The real executable of the base interpreter, a venv followed to its end."""
    version: str
    architecture: str
    key: str
    """Digest of all that decides its copy: path, version, build, modification times, layout
    version.
    """


@dataclass(frozen=True)
class Chunk:
    """A run of gzip members that holds tar members, without the end of a tar.

    Immutable; kept in the store by id.
    """

    id: str
    """sha256 (hex) of the tar's headers and of the sha256 of each content (build/chunks.py)."""
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


@dataclass(frozen=True, repr=False)
class Archive(_Redacted):
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
    layer: bool = False
    """Added to a running session, rather than its base."""
    findings: tuple[Finding, ...] = ()

    @property
    def floor(self) -> tuple[int, int]:
        """The highest glibc that a chunk needs."""
        return max((chunk.floor for chunk in self.chunks), default=(0, 0))

    @property
    def name(self) -> str:
        """The folder it becomes on a node: content-addressed, since Spark takes each name once."""
        return f"boat-layer-{self.id[:12]}" if self.layer else f"boat-{self.id[:12]}"

    @property
    def python(self) -> str:
        """The interpreter's path inside the archive."""
        return f"bin/python{self.target.minor}"

    def _repr_html_(self) -> str:
        rows = [
            (
                c.label,
                f"{c.size:,}",
                f"{c.files:,}",
                ".".join(map(str, c.floor)) if any(c.floor) else "",
            )
            for c in self.chunks
        ]
        return html_table(
            ("chunk", "bytes", "files", "glibc"), rows, caption=f"{self.name}: {self.size:,} bytes"
        )


@dataclass(frozen=True, repr=False)
class Shipped(_Redacted):
    """An archive in the place that executors fetch it from."""

    archive: Archive
    uri: str
    """What spark.archives takes, without the #fragment."""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, repr=False)
class SparkFacts(_Redacted):
    """The Spark that is about to start, as far as the driver knows it."""

    version: str
    """pyspark's __version__, a vendor's suffix and all."""
    master: str
    deploy_mode: str = "client"
    conf: Mapping[str, str] = field(default_factory=dict)
    """The user's own settings, complete."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The driver's PYSPARK_* variables."""
    python: str = ""
    """The driver's own interpreter, absolute; empty if unknown."""


@dataclass(frozen=True)
class NodeFacts:
    """What a node is, as far as an archive cares."""

    host: str
    architecture: str = ""
    """As `uname -m` says it; empty if unknown."""
    glibc: tuple[int, int] | None = None
    """None if unknown, or if the node has another C library."""


@dataclass(frozen=True, repr=False)
class ClusterFacts(_Redacted):
    """What a cluster said of itself before anything was sent to it."""

    master: str
    manager: str = ""
    """Kind and version, for people: "YARN 3.4.2"."""
    nodes: tuple[NodeFacts, ...] = ()
    """Those that are known; empty where nothing could be asked."""
    findings: tuple[Finding, ...] = ()
    """What looks odd; what cannot work is a LaunchError of the probe."""


@dataclass(frozen=True, repr=False)
class ConfPatch(_Redacted):
    """What a backend wants set: pure data, applied by launch.py only."""

    python: str
    """The executors' interpreter: absolute, or relative to the executor's working directory."""
    conf: Mapping[str, str] = field(default_factory=dict)
    """Final values; user's own values are merged in already."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the executors' Python."""
    findings: tuple[Finding, ...] = ()

    def lines(self) -> list[str]:
        """What is set, one a line: the interpreter, its variables, Spark's settings.

        Without secrets.
        """
        variables, settings = (
            [f"  {key}={redact_setting(key, value)}" for key, value in sorted(part.items())]
            for part in (self.environment, self.conf)
        )
        return [f"  executors run {self.python} with", *variables, "  Spark's settings", *settings]


@dataclass(frozen=True, repr=False)
class PlanItem(_Redacted):
    """One line of a plan."""

    label: str
    action: Literal["reuse", "fetch", "build"]
    size: int | None = None
    """Bytes to send; None if not known yet."""
    seconds: float = 0.0
    """Estimated, until it is ready to be concatenated."""
    known: bool = False
    """True if the size was measured, False if it is the index's word or an estimate."""


@dataclass(frozen=True, repr=False)
class Plan(_Redacted):
    """What launch, or an addition to a running session, would lock, build, send and set.

    Making one publishes nothing.
    """

    lock: Lock
    """What would be aboard; of an addition, what would be sent."""
    items: tuple[PlanItem, ...]
    patch: ConfPatch | None = None
    """Only when a master was given."""
    findings: tuple[Finding, ...] = ()
    addition: str = ""
    """In which way an addition to a running session would come; empty for a launch."""

    @property
    def size(self) -> int:
        """Bytes to send, as far as they are known."""
        return sum(item.size or 0 for item in self.items)

    @property
    def _bytes(self) -> str:
        unknown = any(item.size is None for item in self.items)
        return f"~{self.size:,} bytes" + (" and what is not known yet" if unknown else "")

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                i.label,
                i.action,
                "?" if i.size is None else f"{'' if i.known else '~'}{i.size:,}",
                f"{i.seconds:.1f}",
            )
            for i in self.items
        ]

    def __str__(self) -> str:
        head = "\n".join(filter(None, (f"Plan: {self.lock.summary}, {self._bytes}", self.addition)))
        settings = [] if self.patch is None else self.patch.lines()
        return redact(
            "\n".join(
                [
                    head,
                    text_table(("what", "action", "bytes", "seconds"), self._rows()),
                    *settings,
                    *finding_lines(self.findings),
                ]
            )
        )

    def _repr_html_(self) -> str:
        caption = "; ".join(filter(None, (f"Plan: {self._bytes}", self.addition)))
        return html_table(
            ("what", "action", "bytes", "seconds"), self._rows(), caption=caption
        ) + html_findings(self.findings)


@dataclass(frozen=True, repr=False)
class ExecutorFacts(_Redacted):
    """What one executor's Python said of itself (made by worker/facts.py)."""

    executor: str
    host: str
    python: str
    """Full version."""
    executable: str
    """Real path."""
    prefix: str
    workdir: str
    foreign_files: tuple[str, ...]
    """Mapped files outside of the executor's own folders and not on the manylinux list."""
    lock_digest: str
    distributions: Mapping[str, str]
    pyspark: str
    glibc: str
    architecture: str
    pyspark_path: str = ""
    """The folder, or the path inside a zip, that pyspark was really imported from."""
    import_errors: Mapping[str, str] = field(default_factory=dict)
    """Module that was to be imported -> why it could not be."""
    absent: tuple[str, ...] = ()
    """The driver's own modules that cannot be imported there."""
    conda: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Name of each conda package -> its version and its channel."""
    unsettled: tuple[str, ...] = ()
    """Files of conda packages that name another folder than theirs: it could not be written
    there.
    """


@dataclass(frozen=True, repr=False)
class Report(_Redacted):
    """What the executors run, and what does not fit."""

    executors: tuple[ExecutorFacts, ...]
    missed: tuple[str, ...]
    """Ids of live executors that did not answer in time."""
    lock: Lock
    driver_spark: str
    jvm_spark: str
    seconds: float
    findings: tuple[Finding, ...] = ()
    rounds: int = 1
    """Jobs that it took to reach them."""

    @property
    def ok(self) -> bool:
        """Every live executor answered, and nothing is in error."""
        return (
            bool(self.executors)
            and not self.missed
            and not any(f.severity == "error" for f in self.findings)
        )

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                e.executor,
                e.host,
                e.python,
                e.executable,
                e.pyspark,
                e.lock_digest[:12],
                str(len(e.distributions)),
                "ok" if not e.foreign_files else f"{len(e.foreign_files)} foreign",
            )
            for e in self.executors
        ]

    _HEAD = (
        "executor",
        "host",
        "python",
        "executable",
        "pyspark",
        "lock",
        "distributions",
        "mapped files",
    )

    def __str__(self) -> str:
        known = {name: version for e in self.executors for name, version in e.distributions.items()}
        conda = {
            name: f"{version} ({channel})"
            for e in self.executors
            for name, (version, channel) in e.conda.items()
        }
        asked_for = [f"{pin.name} {known.get(pin.name, '-')}" for pin in self.lock.pins] + [
            f"{pin.name} {conda.get(pin.name, '-')}" for pin in self.lock.conda
        ]
        aboard = ", ".join(asked_for)
        verdict = "ok" if self.ok else "NOT ok"
        answered = (
            f"{len(self.executors)} of {len(self.executors) + len(self.missed)} executors answered"
            f" in {self.seconds:.1f} s, {self.rounds} round{'s' * (self.rounds != 1)}"
        )
        head = (
            f"Report: {verdict}, {answered} (Spark: driver {self.driver_spark}, JVM"
            f" {self.jvm_spark})"
        )
        return "\n".join(
            [
                head,
                text_table(self._HEAD, self._rows()),
                f"aboard: {redact(aboard) or 'nothing asked for'}",
                *finding_lines(self.findings),
            ]
        )

    def _repr_html_(self) -> str:
        return html_table(
            self._HEAD, self._rows(), caption=str(self).splitlines()[0]
        ) + html_findings(self.findings)


@dataclass(frozen=True, repr=False)
class Arrival(_Redacted):
    """How packages came aboard a running session."""

    added: tuple[Pin | CondaPin, ...]
    """What was missing and is aboard now; empty if all of it was there."""
    archive: Archive | None
    """The layer that was sent; or a new base, with all that was aboard before."""
    confirmed: tuple[str, ...]
    """Ids of executors that were seen to have it."""
    missed: tuple[str, ...]
    """Ids of live executors that were not seen in time; they have it before their next task all the
    same.
    """
    seconds: Mapping[str, float]
    """The parts of the time: resolve, fetch, build, send, arrive."""
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Every live executor was seen to have it."""
        return not self.missed and not any(f.severity == "error" for f in self.findings)

    def __str__(self) -> str:
        what = ", ".join(f"{pin.name} {pin.version}" for pin in self.added) or "nothing new"
        size = (
            f", {self.archive.size:,} bytes{'' if self.archive.layer else ' as a new base'}"
            if self.archive
            else ""
        )
        seen = (
            f"confirmed by {len(self.confirmed)} of {len(self.confirmed) + len(self.missed)}"
            " executors"
        )
        parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.seconds.items())
        return "\n".join(
            [f"Arrival: {what}{size}; {seen} ({parts})", *finding_lines(self.findings)]
        )

    def _repr_html_(self) -> str:
        rows = [(pin.name, pin.version) for pin in self.added]
        return html_table(
            ("added", "version"), rows, caption=str(self).splitlines()[0]
        ) + html_findings(self.findings)


def digest_of(value: Any) -> str:
    """sha256 (hex) of a JSON value, the same on every machine."""
    return hashlib.sha256(
        json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    ).hexdigest()


def finding_lines(findings: tuple[Finding, ...]) -> list[str]:
    """One line a finding, for terminals."""
    return [f"{finding.severity}: {finding}" for finding in findings]


def text_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Columns padded with blanks; for repr and logs."""
    rows = [tuple(map(redact, row)) for row in rows]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return "\n".join(
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    )


def html_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, caption: str = "") -> str:
    """A plain table; every cell escaped."""
    from html import escape

    def line(tag: str, cells: tuple[str, ...]) -> str:
        return (
            "<tr>" + "".join(f"<{tag}>{escape(redact(cell))}</{tag}>" for cell in cells) + "</tr>"
        )

    body = "".join(line("td", row) for row in rows)
    return f"<table><caption>{escape(redact(caption))}</caption>{line('th', head)}{body}</table>"


def html_findings(findings: tuple[Finding, ...]) -> str:
    """A list; every text escaped."""
    from html import escape

    items = "".join(f"<li><b>{escape(f.severity)}</b> {escape(str(f))}</li>" for f in findings)
    return f"<ul>{items}</ul>" if items else ""
