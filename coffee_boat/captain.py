"""What a user holds: collects what is wanted and calls the stages in order.

    add_*  ->  Manifest  ->  Lock  ->  Chunks  ->  Archive  ->  Shipped  ->  ConfPatch  ->  Spark  ->  Report

No process is started and no Spark setting is known here: that is the stages' work.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from coffee_boat import driver, launch, requirements, settings, ship, verify
from coffee_boat._progress import Say, progress, say_line
from coffee_boat._run import redact
from coffee_boat._store import Store
from coffee_boat.backends import backend_for
from coffee_boat.build import archive as archives
from coffee_boat.build import pyspark_files
from coffee_boat.errors import LaunchError, RequirementError, VerifyError
from coffee_boat.lock import formats
from coffee_boat.model import Archive, Arrival, ConfPatch, Finding, Lock, Manifest, Plan, Report, Shipped, SparkFacts
from coffee_boat.pipeline import Pipeline

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    from coffee_boat.session import Session

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
        self._pipeline = Pipeline(self._settings, self._store)
        self._parts: list[Manifest] = [Manifest(findings=findings)]
        self._locked_by_file: Path | None = None
        self._lock: Lock | None = None
        self._archive: Archive | None = None
        self._hook: launch.Hook | None = None
        self._views: list[driver.DriverView] = []
        self._context: SparkContext | None = None
        self._aboard: Lock | None = None
        """Of the base that the running session was started with."""
        self._report: Report | Arrival | None = None
        self._told: set[Finding] = set()
        self._adding = threading.RLock()

    # what is wanted

    def add_pip_packages(self, *packages: str, wait: float = 10.0) -> Captain:
        """Ask for packages: PEP 508 strings, wheels, source archives, folders with a pyproject.toml, VCS URLs.

        Before Spark starts: read at once, resolved by `plan` or `launch_ship`. While a session runs: sent at once, and from then
        on each task on each executor has them before it starts, also functions that were made before, and executors that join
        later. Versions that are aboard stay. `report` tells how it went. All packages are taken, or none.

        Args:
            wait: seconds to wait for executors to confirm, while a session runs.

        Raises:
            RequirementError: one of them cannot be read.
            LockError, BuildError: while a session runs: they cannot be had, or a version that is aboard would have to change.
        """
        parsed = tuple(requirements.parse(package, origin="add_pip_packages") for package in packages)
        return self._add(Manifest(requirements=parsed), wait)

    def add_requirements(self, path: str | Path, *, extras: Sequence[str] = (), groups: Sequence[str] = (), wait: float = 10.0) -> Captain:
        """Ask for what a requirements.txt or a pyproject.toml lists; before Spark starts or while a session runs.

        Args:
            path: the file; -r and -c in it are followed.
            extras: optional dependencies of a pyproject.toml to take as well.
            groups: dependency groups (PEP 735) of a pyproject.toml to take as well.
            wait: as for `add_pip_packages`.

        Raises:
            RequirementError: the file or a line of it cannot be read.
            LockError, BuildError: as for `add_pip_packages`.
        """
        return self._add(requirements.read(Path(path), extras=extras, groups=groups), wait)

    def add_lock(self, path: str | Path) -> Captain:
        """Take a pylock.toml (PEP 751) as it is: nothing is resolved.

        Raises:
            LockError: the file is no pylock.toml, or holds nothing for the executors' platform.
            RequirementError: packages were asked for already.
            LaunchError: a session already runs with this captain's environment.
        """
        if self._running():
            raise LaunchError("a lock file cannot be added to a running session", value=str(path), cure="captain.add_pip_packages(...) adds packages; or stop the session first")
        if any(part.requirements for part in self._parts):
            raise _besides_a_lock(Path(path))
        self._lock = formats.read(Path(path), self._pipeline.target)
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
    def report(self) -> Report | Arrival | None:
        """What the executors said last: a Report by `verify`, an Arrival after packages were added to a running session."""
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
            items = self._pipeline.plan(lock)
        patch = None if master is None else self._planned_patch(master, lock)
        return Plan(lock=lock, items=items, patch=patch, findings=(*self.manifest.findings, *lock.findings, *(patch.findings if patch else ())))

    def pack(self, path: str | Path, *, overwrite: bool = False) -> Archive:
        """Write the archive to a file, for people who submit by other means.

        Raises:
            RequirementError, LockError, BuildError: it cannot be made, or `path` exists and `overwrite` is not given.
        """
        with progress() as say:
            archive = self._build(say)
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
            self._build(say)
            self._take_hands_off()
            self._hook = launch.install(launch.Launch(complete=self._complete, started=self._started, master=master, conf=dict(conf or {}), say=say_line, store=self._store))
            self._board_driver(say)
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
        report = verify.verify(self._session(), self._lock, base=self._aboard, deadline=deadline, modules=tuple(modules), ships_python=self._settings.ship_python)
        self._report = report
        return report

    def close(self) -> None:
        """Take all hands off the process: the hook, the environment, sys.path. A running session keeps what it has."""
        self._take_hands_off()

    def __enter__(self) -> Captain:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        wanted = ", ".join(redact(r.text) for r in self.manifest.requirements) or "nothing yet"
        state = "launched" if self._hook is not None else "not launched"
        return f"<Captain: {wanted}; {state}>"

    # before a session

    def _add(self, manifest: Manifest, wait: float) -> Captain:
        with self._adding:
            wanted = requirements.merge([*self._parts, manifest])  # what contradicts itself in the text is refused here
            if self._running():
                self._add_live(wanted, wait)
            elif self._locked_by_file and manifest.requirements:
                raise _besides_a_lock(self._locked_by_file)
            else:
                self._lock = self._archive = None
            self._parts.append(manifest)
        return self

    def _resolve(self, say: Say) -> Lock:
        if self._lock is None:
            self._lock = self._pipeline.lock(self.manifest, say)
        return self._lock

    def _build(self, say: Say) -> Archive:
        if self._archive is None:
            self._lock, self._archive = self._pipeline.base(self._resolve(say), self.manifest, say)
            self._tell([*self.manifest.findings, *self._lock.findings, *self._archive.findings])
        return self._archive

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

    def _refuse_other_minor(self) -> None:
        if not self._settings.ship_python:
            return
        shipped = self._pipeline.interpreter.version
        if not shipped.startswith(f"{_DRIVER_MINOR}."):
            raise LaunchError(
                "the executors' Python must be of the driver's minor version",
                value=f"python={self._settings.python!r} is {shipped}, the driver is {_DRIVER_MINOR}",
                cause="PySpark sends pickled functions from one to the other and refuses a mix (PYTHON_VERSION_MISMATCH)",
                cure=f"leave out python=, or run the driver with {'.'.join(shipped.split('.')[:2])}; captain.pack(path) can pack any",
            )

    # while a SparkContext is made

    def _complete(self, facts: SparkFacts) -> ConfPatch:
        """Called when the master is known. Packages that were added since launch_ship, or to an earlier session, are in the base now."""
        with progress() as say:
            archive = self._build(say)
        backend = backend_for(facts.master)
        environment = archives.unpack(archive, self._store) if backend.needs_environment else None
        return backend.patch(facts, ship.ship(archive, self._settings.stage), environment=environment)

    def _started(self, context: SparkContext, patch: ConfPatch) -> None:
        """Called when the context came up."""
        self._context, self._aboard = context, self._lock
        self._tell(patch.findings)

    # while a session runs

    def _running(self) -> bool:
        return self._context is not None and self._context._jsc is not None  # a stopped context has none

    def _session(self) -> Session:
        from coffee_boat.session.classic import ClassicSession

        if self._context is None or not self._running():
            raise VerifyError("no session runs with this captain's environment", cure="captain.launch_ship(), then start a SparkContext or SparkSession, and ask again")
        return ClassicSession(self._context)

    def _add_live(self, wanted: Manifest, wait: float) -> None:
        """Send what is missing as a layer; nothing of this captain or of the session changes before all of it is made."""
        aboard = self._lock
        if aboard is None:
            raise LaunchError("the running session's lock is not known", cure="stop the session, captain.launch_ship(), and start it again")
        self._pipeline.watch = watch = type(self._pipeline.watch)()
        with progress() as say:
            lock = self._pipeline.lock_more(wanted, aboard, say)
            lock, layer = self._pipeline.layer(lock, aboard, wanted, say)
            session = self._session()
            with watch.part("send"):
                if layer is not None:
                    session.send(ship.ship(layer, self._settings.stage))
            self._lock, self._archive = lock, None
            self._board_driver(say, layer)
            with watch.part("arrive"):
                confirmed, missed = verify.arrived(session, layer, deadline=wait) if layer is not None else ((), ())
        added = tuple(pin for pin in lock.pins if aboard.pin(pin.name) is None)
        self._report = Arrival(added, layer, confirmed, missed, dict(watch.seconds), verify.not_seen(missed, wait))
        self._tell([*lock.findings, *self._report.findings])

    # the driver

    def _board_driver(self, say: Say, layer: Archive | None = None) -> None:
        archive = layer or self._archive
        if not self._settings.install_local or self._lock is None or archive is None:
            return
        say("making the packages importable here")
        within = {chunk.label for chunk in archive.chunks}
        lacking = [pin for pin in driver.lacking(self._lock) if f"{pin.name} {pin.version}" in within]
        view = driver.board(self._lock, self._pipeline.trees(archive, self._lock, lacking))
        self._views.append(view)
        self._tell(view.findings)

    def _take_hands_off(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        while self._views:
            self._views.pop().close()

    def _tell(self, findings: Iterable[Finding]) -> None:
        """Show each finding once, on stderr."""
        for finding in findings:
            if finding not in self._told:
                self._told.add(finding)
                say_line(f"{finding.severity}: {finding}")


def _besides_a_lock(path: Path) -> RequirementError:
    return RequirementError(
        "a lock file is taken as it is, and packages are asked for besides it", value=path.name, cure="add the packages to the lock file, or use another Captain for them"
    )
