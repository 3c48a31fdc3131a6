"""What executors run, and how packages came there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from coffee_boat._support.redact import redact
from coffee_boat._support.words import counted, human_size
from coffee_boat.errors import Finding
from coffee_boat.model.archive import Archive
from coffee_boat.model.difference import NO_DIFFERENCE, Difference
from coffee_boat.model.hidden import Redacted
from coffee_boat.model.lock import CondaPin, Lock, Pin
from coffee_boat.model.tables import (
    finding_lines,
    html_caption,
    html_findings,
    html_table,
    text_table,
)


@dataclass(frozen=True, repr=False)
class ExecutorFacts(Redacted):
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
    shadowed: Mapping[str, str] = field(default_factory=dict)
    """Top-level modules of the environment that Python takes from elsewhere -> from where."""
    conda: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Name of each conda package -> its version and its channel."""
    gpu_driver: str = ""
    """The version of NVIDIA's driver there; empty where none is loaded."""
    unsettled: tuple[str, ...] = ()
    """Files of conda packages that name another folder than theirs: it could not be written
    there.
    """
    not_shared: str = ""
    """Why it unpacked the environment for itself, where nodes were to unpack it once."""


@dataclass(frozen=True, repr=False)
class Report(Redacted):
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
    complete: bool = True
    """False if nobody says which executors are live, as with Spark Connect: these are those that
    were seen.
    """
    generation: int = 1
    """Of the session: what every function runs with from its next job on, also those that were
    made under an earlier one.
    """

    @property
    def ok(self) -> bool:
        """Every executor that is known of answered, and nothing is in error."""
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
                e.pyspark,
                e.lock_digest[:12],
                str(len(e.distributions)),
                "ok" if not e.foreign_files else f"{len(e.foreign_files)} foreign",
                e.executable,
            )
            for e in self.executors
        ]

    _HEAD = (
        "executor",
        "host",
        "python",
        "pyspark",
        "lock",
        "distributions",
        "mapped files",
        "executable",
    )
    """The widest is the last: on a narrow page it breaks, or is out of sight."""
    _NUMBERS = ("distributions",)

    @property
    def _installed(self) -> str:
        """What was asked for and what that needs, each in the version that was found."""
        known = {name: version for e in self.executors for name, version in e.distributions.items()}
        conda = {
            name: f"{version} ({channel})"
            for e in self.executors
            for name, (version, channel) in e.conda.items()
        }
        told = [
            *(f"{pin.name} {known.get(pin.name, '-')}" for pin in self.lock.pins),
            *(f"{pin.name} {conda.get(pin.name, '-')}" for pin in self.lock.conda),
        ]
        said = f"installed: {redact(', '.join(told)) or 'nothing'}{self._gpus}"
        if self.generation == 1:
            return said
        return (
            f"{said}\ngeneration {self.generation}: each function runs with it from its next job"
            " on, also one that was made before"
        )

    @property
    def _gpus(self) -> str:
        """For people: which drivers the nodes that have GPUs have."""
        hosts: dict[str, set[str]] = {}
        for e in self.executors:
            if e.gpu_driver:
                hosts.setdefault(e.gpu_driver, set()).add(e.host)
        told = (f"{version} on {', '.join(sorted(on))}" for version, on in sorted(hosts.items()))
        return f"\nNVIDIA driver: {'; '.join(told)}" if hosts else ""

    def __str__(self) -> str:
        verdict = "ok" if self.ok else "NOT ok"
        known = len(self.executors) + len(self.missed)
        which = (
            f"{len(self.executors)} of {known} executors answered"
            if self.complete
            else f"{counted(len(self.executors), 'executor')} seen"
        )
        answered = f"{which} in {self.seconds:.1f} s, {counted(self.rounds, 'round')}"
        sides = ("driver", "JVM") if self.complete else ("client", "server")
        versions = f"{sides[0]} {self.driver_spark}, {sides[1]} {self.jvm_spark}"
        head = f"Report: {verdict}, {answered} (Spark: {versions})"
        return "\n".join(
            [
                head,
                text_table(self._HEAD, self._rows(), right=self._NUMBERS),
                self._installed,
                *finding_lines(self.findings),
            ]
        )

    def _repr_html_(self) -> str:
        caption = str(self).splitlines()[0]
        table = html_table(self._HEAD, self._rows(), caption=caption, right=self._NUMBERS)
        return table + html_caption(self._installed) + html_findings(self.findings)


@dataclass(frozen=True, repr=False)
class Arrival(Redacted):
    """How packages were added to a running session."""

    added: tuple[Pin | CondaPin, ...]
    """What was missing and is installed now; empty if all of it was there."""
    archive: Archive | None
    """The layer that was sent; or a new base, with all that was installed before."""
    confirmed: tuple[str, ...]
    """Ids of executors that were seen to have it."""
    missed: tuple[str, ...]
    """Ids of live executors that were not seen in time; they have it from the next stage on all
    the same.
    """
    seconds: Mapping[str, float]
    """The parts of the time: resolve, fetch, build, send, arrive."""
    findings: tuple[Finding, ...] = ()
    difference: Difference = NO_DIFFERENCE
    """What changed besides: versions, and what was removed."""
    complete: bool = True
    """False if nobody says which executors are live, as with Spark Connect."""

    @property
    def ok(self) -> bool:
        """Every executor that is known of was seen to have it."""
        return not self.missed and not any(f.severity == "error" for f in self.findings)

    def __str__(self) -> str:
        what = ", ".join(pin.label for pin in self.added) or "nothing new"
        if self.difference.leaving:
            what = self.difference.summary
        size = (
            f", {human_size(self.archive.size)}{'' if self.archive.layer else ' as a new base'}"
            if self.archive
            else ""
        )
        seen = (
            f"confirmed by {len(self.confirmed)} of {len(self.confirmed) + len(self.missed)}"
            " executors"
            if self.complete
            else f"confirmed by {counted(len(self.confirmed), 'executor')}, those seen"
        )
        parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.seconds.items())
        return "\n".join(
            [f"Arrival: {what}{size}; {seen} ({parts})", *finding_lines(self.findings)]
        )

    def _repr_html_(self) -> str:
        said = str(self).splitlines()[0]
        if self.difference.leaving:
            return html_caption(said) + self.difference._repr_html_() + html_findings(self.findings)
        rows = [(pin.name, pin.version) for pin in self.added]
        made = html_table(("added", "version"), rows, caption=said) if rows else html_caption(said)
        return made + html_findings(self.findings)
