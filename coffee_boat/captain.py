"""What a user holds: collects what is wanted and calls the stages in order.

    add_*  ->  Manifest  ->  Lock  ->  Chunks  ->  Archive  ->  Shipped  ->  ConfPatch  ->  Spark  ->  Report

No process is started and no Spark setting is known here: that is the stages' work.
"""

from __future__ import annotations

import platform as machine
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from coffee_boat import driver, launch, requirements, settings, ship, verify
from coffee_boat._progress import Say, progress, say_line
from coffee_boat._store import Store
from coffee_boat.backends import backend_for
from coffee_boat.build import archive as archives
from coffee_boat.build import installed, interpreter, pyspark_files, wheels, worker_files
from coffee_boat.errors import BuildError, LaunchError, RequirementError, VerifyError
from coffee_boat.lock import formats, pip, target
from coffee_boat.model import Archive, Chunk, ConfPatch, Finding, Indexes, Interpreter, Lock, Manifest, Pin, Plan, PlanItem, Report, Shipped, SparkFacts, Target

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

_DRIVER_MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


class Captain:
    """Collects requirements, builds a relocatable environment, and ships it to the executors of the next SparkContext.

        captain = Captain()
        captain.add_pip_packages("pyarrow", "edtf")
        captain.launch_ship()
        sc = SparkContext(master="spark://...")      # both packages work on every executor

    Also a context manager, which closes it at the end. An argument left out (None) takes its value from COFFEE_BOAT_*
    variables, then [tool.coffee_boat] in pyproject.toml, then the user's file, then the default.

    Args:
        accept_conda_license: agree to the terms of Anaconda's own channels; matters for conda packages only.
        python: the interpreter to ship: "3.11", or a path. Default: the driver's own. Spark needs the driver's minor
            version; another one can only be packed.
        ship_python: False uses the nodes' own interpreter of that minor version. Default True.
        platform: what the nodes are, in pip's words, as "manylinux_2_28_x86_64". Default: as the driver.
        index_url, extra_index_urls, find_links: as pip's options. pip's and uv's own settings are honoured without them.
        offline: use nothing but the store and local folders.
        install_local: make the packages importable on the driver too, after its own. Default True.
        stage: a folder that the executors can read, as "file:///shared" or "s3://bucket/boats". Default: Spark's own file server.
        store: the folder for what was built. Default: COFFEE_BOAT_STORE or the user's cache folder.

    Raises:
        SettingsError: an argument or a setting cannot be used.
    """

    def __init__(
        self,
        *,
        accept_conda_license: bool | None = None,
        python: str | None = None,
        ship_python: bool | None = None,
        platform: str | None = None,
        index_url: str | None = None,
        extra_index_urls: Sequence[str] = (),
        find_links: Sequence[str] = (),
        offline: bool | None = None,
        install_local: bool | None = None,
        stage: str | None = None,
        store: str | Path | None = None,
    ) -> None:
        given: dict[str, object] = {
            "accept_conda_license": accept_conda_license,
            "python": python,
            "ship_python": ship_python,
            "platform": platform,
            "index_url": index_url,
            "extra_index_urls": extra_index_urls or None,
            "find_links": find_links or None,
            "offline": offline,
            "install_local": install_local,
            "stage": stage,
            "store": None if store is None else str(store),
        }
        self._settings, findings = settings.load(given)
        self._store = Store(self._settings.store)
        self._parts: list[Manifest] = [Manifest(findings=findings)]
        self._locked_by_file: Path | None = None
        self._lock: Lock | None = None
        self._archive: Archive | None = None
        self._found: Interpreter | None = None
        self._hook: launch.Hook | None = None
        self._view: driver.DriverView | None = None
        self._context: SparkContext | None = None
        self._report: Report | None = None
        self._told: set[Finding] = set()

    # what is wanted

    def add_pip_packages(self, *packages: str) -> Captain:
        """Ask for packages: PEP 508 strings, wheels, source archives, folders with a pyproject.toml, VCS URLs.

        Read at once, resolved by `plan` or `launch_ship`. All of them are taken, or none.

        Raises:
            RequirementError: one of them cannot be read.
            LaunchError: a session already runs with this captain's environment.
        """
        self._refuse_when_running()
        parsed = tuple(requirements.parse(package, origin="add_pip_packages") for package in packages)
        return self._add(Manifest(requirements=parsed))

    def add_requirements(self, path: str | Path, *, extras: Sequence[str] = (), groups: Sequence[str] = ()) -> Captain:
        """Ask for what a requirements.txt or a pyproject.toml lists.

        Args:
            path: the file; -r and -c in it are followed.
            extras: optional dependencies of a pyproject.toml to take as well.
            groups: dependency groups (PEP 735) of a pyproject.toml to take as well.

        Raises:
            RequirementError: the file or a line of it cannot be read.
            LaunchError: a session already runs with this captain's environment.
        """
        self._refuse_when_running()
        return self._add(requirements.read(Path(path), extras=extras, groups=groups))

    def add_lock(self, path: str | Path) -> Captain:
        """Take a pylock.toml (PEP 751) as it is: nothing is resolved.

        Raises:
            LockError: the file is no pylock.toml, or holds nothing for the executors' platform.
            LaunchError: a session already runs with this captain's environment.
        """
        self._refuse_when_running()
        if any(part.requirements for part in self._parts):
            raise _besides_a_lock(Path(path))
        self._lock = formats.read(Path(path), self._target())
        self._locked_by_file, self._archive = Path(path).absolute(), None
        return self

    @property
    def manifest(self) -> Manifest:
        """What was asked for so far, canonical."""
        return requirements.merge(self._parts)

    @property
    def lock(self) -> Lock | None:
        """What was chosen; None before `plan`, `pack` or `launch_ship`."""
        return self._lock

    @property
    def report(self) -> Report | None:
        """What the executors said when they were last asked by `verify`."""
        return self._report

    # what is done with it

    def plan(self, master: str | None = None) -> Plan:
        """What would be locked, built, sent and set. Makes no archive and sends nothing.

        Args:
            master: with it, the plan tells the Spark settings too.

        Raises:
            RequirementError, LockError: the requirements contradict each other, or cannot be resolved.
        """
        with progress() as say:
            lock = self._resolve(say)
        items = (*self._base_items(), *(self._pin_item(pin, lock.target) for pin in lock.pins))
        patch = None if master is None else self._planned_patch(master, lock)
        return Plan(lock=lock, items=items, patch=patch, findings=(*self.manifest.findings, *lock.findings, *(patch.findings if patch else ())))

    def pack(self, path: str | Path, *, overwrite: bool = False) -> Archive:
        """Write the archive to a file, for people who submit by other means.

        Raises:
            RequirementError, LockError, BuildError: it cannot be made, or `path` exists and `overwrite` is not given.
        """
        with progress() as say:
            archive = self._build(say)
            lock = self._resolve(say)
        self._tell([*self.manifest.findings, *lock.findings, *archive.findings])
        return archives.copy_to(archive, Path(path), overwrite=overwrite)

    def launch_ship(self, master: str | None = None, conf: Mapping[str, str] | None = None) -> Captain:
        """Build the environment now; the next SparkContext or SparkSession of this process has it, and each after that.

        In force until `close()` or the next `launch_ship`, of this captain or of another one: the newest wins.

        Args:
            master: used where the program names none itself.
            conf: Spark settings, used where the program sets none itself.

        Raises:
            LaunchError: a SparkContext is already up, or this Spark does not support this Python.
            RequirementError, LockError, BuildError: the environment cannot be made.
        """
        launch.refuse_if_running()
        self._refuse_other_minor()
        with progress() as say:
            archive = self._build(say)
            self._take_hands_off()
            self._hook = launch.install(launch.Launch(complete=self._complete, started=self._started, master=master, conf=dict(conf or {}), say=say_line, store=self._store))
            self._board_driver(archive, say)
        self._tell([*self.manifest.findings, *self._lock.findings, *archive.findings] if self._lock else ())
        return self

    def start(self, builder: SparkSession.Builder | None = None) -> SparkSession:
        """Launch if that was not done yet, then start the session.

        Args:
            builder: a configured `SparkSession.builder`; a fresh one by default.

        Raises:
            BoatError: as `launch_ship`.
        """
        if self._hook is None:
            self.launch_ship()
        return launch.start(builder)

    def verify(self, *, modules: Sequence[str] = (), deadline: float = 30.0) -> Report:
        """Ask every live executor what it runs.

        Args:
            modules: import these on each executor too, so that the libraries they load are looked at.
            deadline: seconds; what was not reached by then is a Finding.

        Raises:
            VerifyError: no session of this captain runs, or the executors' Python cannot start.
        """
        from coffee_boat.session.classic import ClassicSession

        if self._context is None or self._context._jsc is None:  # a stopped context has none
            raise VerifyError("no session runs with this captain's environment", cure="captain.launch_ship(), then start a SparkContext or SparkSession, then captain.verify()")
        self._report = verify.verify(ClassicSession(self._context), self._lock, deadline=deadline, modules=tuple(modules), ships_python=self._settings.ship_python)
        return self._report

    def close(self) -> None:
        """Take all hands off the process: the hook, the environment, sys.path. A running session keeps what it has."""
        self._take_hands_off()

    def __enter__(self) -> Captain:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        wanted = ", ".join(r.text for r in self.manifest.requirements) or "nothing yet"
        state = "launched" if self._hook is not None else "not launched"
        return f"<Captain: {wanted}; {state}>"

    # stages

    def _add(self, manifest: Manifest) -> Captain:
        if self._locked_by_file and manifest.requirements:
            raise _besides_a_lock(self._locked_by_file)
        requirements.merge([*self._parts, manifest])  # what contradicts itself in the text is refused here
        self._parts.append(manifest)
        self._forget()
        return self

    def _forget(self) -> None:
        self._lock = self._archive = None

    def _interpreter(self) -> Interpreter:
        if self._found is None:
            self._found = interpreter.find(self._settings.python, offline=self._settings.indexes.offline)
        return self._found

    def _target(self) -> Target:
        if self._settings.ship_python:
            shipped = self._interpreter()
            return target.target_for(shipped.version, shipped.architecture, platform=self._settings.platform)
        return target.target_for(machine.python_version(), machine.machine(), platform=self._settings.platform)

    def _indexes(self) -> Indexes:
        return settings.combine(self._settings.indexes, self.manifest.indexes)

    def _resolve(self, say: Say) -> Lock:
        if self._lock is None:
            self._lock = formats.read(self._locked_by_file, self._target()) if self._locked_by_file else self._ask_resolver(say)
        return self._lock

    def _ask_resolver(self, say: Say) -> Lock:
        where = self._target()
        limits = [requirements.read_constraints(path) for path in self._settings.constraints]
        wanted = requirements.for_target(requirements.merge([*self._parts, *limits]), target.environment(where))
        return pip.resolve(
            wanted,
            where,
            python=self._build_python(),
            preferred=driver.installed(),
            indexes=self._indexes(),
            store=self._store,
            max_age=self._settings.lock_max_age,
            say=say,
        )

    def _build_python(self) -> str:
        """The interpreter that builds source distributions: of the executors' minor version."""
        return self._interpreter().executable if self._settings.ship_python else sys.executable

    def _build(self, say: Say) -> Archive:
        if self._archive is None:
            lock = self._resolve(say)
            credentials = [r.url for r in self.manifest.requirements if r.url]
            fetched = wheels.fetch(lock, indexes=self._indexes(), store=self._store, python=self._build_python(), say=say, credentials=credentials)
            extras = {r.name: r.extras for r in self.manifest.requirements if r.extras}
            self._lock = wheels.with_edges(lock, fetched, target.environment(lock.target), extras)
            self._archive = self._assemble(self._lock, fetched, say)
        return self._archive

    def _assemble(self, lock: Lock, fetched: Mapping[str, Path], say: Say) -> Archive:
        say(f"packing {len(lock.pins)} distributions")
        base = self._base_chunks(lock.target)
        parts = (*base, *installed.wheel_chunks(fetched, lock, self._store))
        archive = archives.assemble(parts, target=lock.target, lock=lock, has_python=self._settings.ship_python, inputs=self._inputs(), store=self._store)
        if archive.floor > lock.target.glibc:
            raise _needs_newer_glibc(archive)
        return archive

    def _base_chunks(self, where: Target) -> list[Chunk]:
        python = [interpreter.chunk(self._interpreter(), self._store)] if self._settings.ship_python else []
        return [*python, worker_files.chunk(where, self._store), pyspark_files.chunk(where, self._store, python=self._build_python())]

    def _inputs(self) -> dict[str, Any]:
        """What boat.json says it was made from: names and versions as asked for, no paths, so that two homes give the same bytes."""
        if self._locked_by_file:
            return {"lock": self._locked_by_file.name}
        return {"requirements": sorted({f"{r.name}{r.specifier}" for r in self.manifest.requirements if r.name})}

    # the session

    def _complete(self, facts: SparkFacts) -> ConfPatch:
        """Called while a SparkContext is being made, when its master is known."""
        archive = self._launched()
        backend = backend_for(facts.master)
        environment = archives.unpack(archive, self._store) if backend.needs_environment else None
        return backend.patch(facts, ship.ship(archive, self._settings.stage), environment=environment)

    def _started(self, context: SparkContext, patch: ConfPatch) -> None:
        """Called when a SparkContext came up."""
        self._context = context
        self._tell(patch.findings)

    def _launched(self) -> Archive:
        if self._archive is None:
            raise LaunchError("packages were added after launch_ship", cure="call captain.launch_ship() again before starting Spark")
        return self._archive

    def _board_driver(self, archive: Archive, say: Say) -> None:
        if not self._settings.install_local or self._lock is None:
            return
        say("making the packages importable here")
        packed = {chunk.label: chunk for chunk in archive.chunks}
        site = self._lock.target.site_packages
        lacking = {pin.name: packed[f"{pin.name} {pin.version}"] for pin in driver.lacking(self._lock)}
        self._view = driver.board(self._lock, {name: archives.unpack_chunk(chunk, self._store) / site for name, chunk in lacking.items()})
        self._tell(self._view.findings)

    def _take_hands_off(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        if self._view is not None:
            self._view.close()
            self._view = None

    def _running(self) -> bool:
        return self._context is not None and self._context._jsc is not None

    def _refuse_when_running(self) -> None:
        if self._running():
            raise LaunchError(
                "packages cannot be added while the session runs",
                cause="adding to a running session is not supported yet",
                cure="spark.stop(), add the packages, captain.launch_ship(), and start the session again",
            )

    def _refuse_other_minor(self) -> None:
        if not self._settings.ship_python:
            return
        shipped = self._interpreter().version
        if not shipped.startswith(f"{_DRIVER_MINOR}."):
            raise LaunchError(
                "the executors' Python must be of the driver's minor version",
                value=f"python={self._settings.python!r} is {shipped}, the driver is {_DRIVER_MINOR}",
                cause="PySpark sends pickled functions from one to the other and refuses a mix (PYTHON_VERSION_MISMATCH)",
                cure=f"leave out python=, or run the driver with {'.'.join(shipped.split('.')[:2])}; captain.pack(path) can pack any",
            )

    # plan

    def _base_items(self) -> list[PlanItem]:
        where = self._target()
        items = [_item("pyspark", pyspark_files.recall(where, self._store, python=self._build_python()), seconds=3.0, size=3_000_000)]
        if self._settings.ship_python:
            python = self._interpreter()
            items.insert(0, _item(f"python {python.version}", interpreter.recall(python, self._store), seconds=6.0, size=17_000_000))
        return items

    def _pin_item(self, pin: Pin, where: Target) -> PlanItem:
        label, packed = f"{pin.name} {pin.version}", installed.recall_wheel(pin, where, self._store)
        if packed is not None or pin.kind != "wheel":
            return _item(label, packed, seconds=_SECONDS_A_SOURCE, size=pin.size)
        fetch = not wheels.have(pin, self._store)
        seconds = (pin.size or 0) * (_SECONDS_A_FETCHED_BYTE * fetch + _SECONDS_A_PACKED_BYTE)
        return PlanItem(label=label, action="fetch" if fetch else "build", size=pin.size, seconds=seconds)

    def _planned_patch(self, master: str, lock: Lock) -> ConfPatch:
        """What would be set; where the archive is not built yet, its name is a placeholder."""
        archive = self._archive or Archive(
            id="not-built",
            path=str(self._store.archive_path("not-built")),
            size=0,
            chunks=(),
            target=lock.target,
            lock_digest=lock.digest,
            has_python=self._settings.ship_python,
        )
        facts = SparkFacts(version=pyspark_files.driver_version(), master=master)
        return backend_for(master).patch(facts, Shipped(archive, Path(archive.path).as_uri()), environment=self._store.environment_path(archive))

    # what is told

    def _tell(self, findings: Iterable[Finding]) -> None:
        """Show each finding once, on stderr."""
        for finding in findings:
            if finding not in self._told:
                self._told.add(finding)
                say_line(f"{finding.severity}: {finding}")


_SECONDS_A_SOURCE = 15.0
_SECONDS_A_FETCHED_BYTE = 1 / 20_000_000
_SECONDS_A_PACKED_BYTE = 1 / 60_000_000
"""Estimates for a plan: 20 MB/s from an index, 60 MB/s through one core; measured sizes and a guess at the network."""


def _item(label: str, chunk: Chunk | None, *, seconds: float, size: int | None) -> PlanItem:
    if chunk is not None:
        return PlanItem(label=label, action="reuse", size=chunk.size, known=True)
    return PlanItem(label=label, action="build", size=size, seconds=seconds)


def _besides_a_lock(path: Path) -> RequirementError:
    return RequirementError(
        "a lock file is taken as it is, and packages are asked for besides it", value=path.name, cure="add the packages to the lock file, or use another Captain for them"
    )


def _needs_newer_glibc(archive: Archive) -> BuildError:
    def dotted(version: tuple[int, int]) -> str:
        return ".".join(map(str, version))

    highest = next(chunk for chunk in archive.chunks if chunk.floor == archive.floor)
    return BuildError(
        "the environment needs a newer glibc than the platform has",
        value=f"{highest.label} needs {dotted(highest.floor)}, {archive.target.platform} has {dotted(archive.target.glibc)}",
        cause="what was built on this machine needs this machine's glibc",
        cure=(
            f'for the interpreter: python="{archive.target.minor}" with a standalone build (uv python install {archive.target.minor}), '
            "or ship_python=False where the nodes have their own; for a package: a wheel built for that platform"
        ),
    )
