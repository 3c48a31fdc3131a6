"""What a user holds: collects what is wanted and calls the stages in order.

    add_* -> Manifest -> Lock -> Chunks -> Archive -> Shipped -> ConfPatch -> Spark -> Report

No process is started and no Spark setting is known here: that is the stages' work.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from coffee_boat import requirements, settings
from coffee_boat._support.exceptions import door, guarded
from coffee_boat._support.progress import Say, progress, say_line
from coffee_boat._support.redact import redact
from coffee_boat._support.store import Store
from coffee_boat.archive import concatenate
from coffee_boat.archive import destination as archive_destination
from coffee_boat.archive.unpack import environment_path, unpack
from coffee_boat.clusters import Backend, backend_for, backend_under_way
from coffee_boat.clusters.preload import preloading
from coffee_boat.errors import (
    FORGET,
    BoatError,
    LaunchError,
    LockError,
    RequirementError,
    SettingsError,
    StoreError,
    VerifyError,
)
from coffee_boat.model import (
    Archive,
    Arrival,
    Chunk,
    ClusterFacts,
    ConfPatch,
    Finding,
    Lock,
    Manifest,
    Plan,
    Report,
    Shipped,
    SparkFacts,
    Target,
)
from coffee_boat.session import driver, reach, record, verify
from coffee_boat.session.arrow import arrow
from coffee_boat.session.classic import ClassicSession
from coffee_boat.session.live import LiveSession
from coffee_boat.ship import ship
from coffee_boat.spark import facts as spark_facts
from coffee_boat.spark import gateway, hook, install, java, submission
from coffee_boat.spark import script as spark_script
from coffee_boat.workflow import changes, submit
from coffee_boat.workflow import driver as workflow_driver
from coffee_boat.workflow.pipeline import Pipeline
from coffee_boat.workflow.prefetch import Ahead
from coffee_boat.workflow.preflight import Preflight
from coffee_boat.workflow.stopwatch import Stopwatch

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    from coffee_boat.spark.submission import Order

_DRIVER_MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


@door
class Captain:
    """Collects requirements, builds a relocatable environment, and ships it to the executors of the
    next SparkContext.

        captain = Captain()
        captain.add_pip_packages("pyarrow", "edtf")
        captain.launch_ship()
        sc = SparkContext(master="spark://...")      # both packages work on every executor

    Also a context manager, which closes it at the end. An argument left out (None) takes its value
    from COFFEE_BOAT_* variables, then [tool.coffee_boat] in pyproject.toml, then the user's file,
    then the default.

    Args:
        accept_conda_license: agree to the terms of Anaconda's own channels; matters for conda
            packages only.
        python: the interpreter to ship: "3.11", or a path. Default: the driver's own. Spark needs
            the driver's minor version; another one can only be packed.
        ship_python: False uses the nodes' own interpreter of that minor version. Default True.
        platform: what the nodes are, in pip's words, as "manylinux_2_28_x86_64". Default: as the
            driver.
        index_url: as pip's option. pip's and uv's own settings are honoured without it.
        extra_index_urls: further indexes; the first index that has a name is taken for it.
        find_links: folders or pages with wheels, as pip's option.
        offline: use nothing but the store and local folders.
        install_local: make the packages importable on the driver too, after its own. Default True.
        stage: a folder that the executors can read, as "file:///shared", "hdfs:///boats" or
            "s3://bucket/boats". Default: Spark's own file server.
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
        self._hook: hook.Hook | None = None
        self._views = driver.Views()
        self._live: LiveSession | None = None
        self._preload: tuple[str, ...] = ()
        self._report: Report | Arrival | None = None
        self._told: set[Finding] = set()
        """Since the launch, the board or the archive that is under way began."""
        self._just_launched = False
        """True until the first context begins that the launch was for."""
        self._preflight = Preflight(
            self._store, self._tell, refuses=self._settings.preflight == "refuse"
        )
        self._adding = threading.RLock()

    @classmethod
    def from_environment(cls, environment: str | Path | None = None, **settings: Any) -> Captain:
        """A Captain that wants what an environment has: every package of it in its version, from
        where it came.

        The environment is described and built anew from a lock, never copied. What that cannot
        bring back is named in the findings of `plan`: editable installs, packages from nowhere,
        files that were changed by hand. Needs the network, or a store that knows the packages.

        Args:
            environment: the folder of a conda environment or of a virtual one, the name of a conda
                environment; by default the driver's own.
            settings: as for Captain.

        Raises:
            RequirementError: it is not there, is none, or has packages from Anaconda's channels
                whose terms were not accepted.
            SettingsError: as for Captain.
        """
        described = requirements.describe(environment)
        if described.python is not None:
            settings.setdefault("python", described.python)
        return cls(**settings).add_manifest(described.manifest, wait=0.0)

    # what is wanted

    def add_pip_packages(self, *packages: str, wait: float = 10.0) -> Captain:
        """Ask for packages: PEP 508 strings, wheels, source archives, folders with a
        pyproject.toml, VCS URLs.

        Before Spark starts: read at once, resolved by `plan` or `launch_ship`. While a session
        runs: sent at once, and from then on each task on each executor has them before it starts,
        also functions that were made before, and executors that join later. Versions that are
        aboard stay. `report` tells how it went. All packages are taken, or none.

        Args:
            wait: seconds to wait for executors to confirm, while a session runs.

        Raises:
            RequirementError: one of them cannot be read.
            LockError, BuildError: while a session runs: they cannot be had, or a version that is
                aboard would have to change.
        """
        return self.add_manifest(
            requirements.pip_packages(packages, origin="add_pip_packages"), wait=wait
        )

    def add_requirements(
        self,
        path: str | Path,
        *,
        extras: Sequence[str] = (),
        groups: Sequence[str] = (),
        wait: float = 10.0,
    ) -> Captain:
        """Ask for what a requirements.txt or a pyproject.toml lists; before Spark starts or while a
        session runs.

        Args:
            path: the file; -r and -c in it are followed.
            extras: optional dependencies of a pyproject.toml to take as well.
            groups: dependency groups (PEP 735) of a pyproject.toml to take as well.
            wait: as for `add_pip_packages`.

        Raises:
            RequirementError: the file or a line of it cannot be read.
            LockError, BuildError: as for `add_pip_packages`.
        """
        return self.add_manifest(
            requirements.read(Path(path), extras=extras, groups=groups), wait=wait
        )

    def add_conda_packages(
        self, *specs: str, channel: str | Sequence[str] | None = None, wait: float = 10.0
    ) -> Captain:
        """Ask for conda packages, in conda's words: "numpy >=2", "python=3.11",
        "conda-forge::scipy". No conda is needed here or there.

        Conda's python is then the environment's interpreter; packages of pip go on top of what
        conda has. Before Spark starts or while a session runs, as `add_pip_packages`. Needs the
        extra `conda`: pip install py-rattler conda-pack.

        Args:
            channel: the one that these packages must come from, a name or a URL; or several, in the
                order they are asked. With any named here or in an environment file, no others are
                asked; by default those of .condarc, else conda-forge.
            wait: as for `add_pip_packages`.

        Raises:
            RequirementError: one of them cannot be read, or lies in a channel of Anaconda's whose
                terms were not accepted.
            LockError, BuildError: as for `add_pip_packages`.
        """
        return self.add_manifest(
            requirements.conda_packages(specs, origin="add_conda_packages", channel=channel),
            wait=wait,
        )

    def add_environment(
        self, path: str | Path, *, channels: Sequence[str] | None = None, wait: float = 10.0
    ) -> Captain:
        """Ask for what an environment.yml lists: its channels, its packages, and those of its
        `pip:` list.

        Args:
            channels: in place of those in the file: exported files nearly always list Anaconda's
                `defaults`.
            wait: as for `add_pip_packages`.

        Raises:
            RequirementError: the file or a line of it cannot be read, or a channel is Anaconda's
                and its terms were not accepted.
            LockError, BuildError: as for `add_pip_packages`.
        """
        return self.add_manifest(requirements.read_environment(path, channels=channels), wait=wait)

    def add_manifest(self, manifest: Manifest, *, wait: float = 10.0) -> Captain:
        """Ask for all that a manifest wants, as another captain's `manifest`, at once: before Spark
        starts or while a session runs.

        Args:
            wait: as for `add_pip_packages`.

        Raises:
            RequirementError: it contradicts what was asked for before.
            LockError, BuildError: as for `add_pip_packages`.
        """
        if manifest == Manifest():
            return self
        with self._adding:
            wanted = requirements.merge(
                [*self._parts, manifest]
            )  # what contradicts itself in the text is refused here
            self._pipeline.check(wanted)
            if self.running:
                self._add_live(wanted, manifest, wait)
                return self
            if self._locked_by_file and (manifest.requirements or manifest.conda):
                raise _besides_a_lock(self._locked_by_file)
            self._parts.append(manifest)
            self._look_again()
            self._tell(install.elsewhere())
        return self

    def add_lock(self, path: str | Path) -> Captain:
        """Take a lock as it is: a pylock.toml (PEP 751), a pixi.lock, or an @EXPLICIT list of
        conda. Nothing is resolved.

        Raises:
            LockError: the file is none of them, or holds nothing for the executors' platform.
            RequirementError: packages were asked for already, or one in it is Anaconda's and its
                terms were not accepted.
            LaunchError: a session already runs with this captain's environment.
        """
        with self._adding:
            self._lock = self._read_lock(Path(path), self.manifest)
            self._locked_by_file, self._archive = Path(path).absolute(), None
        return self

    def _read_lock(self, path: Path, wanted: Manifest) -> Lock:
        if self.running:
            raise _lock_file_while_running(path)
        if wanted.requirements or wanted.conda:
            raise _besides_a_lock(path)
        return self._pipeline.read_lock(path)

    def forget(self, *names: str) -> Captain:
        """Take back packages that were asked for; for sessions that start later.

        What needs them may bring them all the same.

        Args:
            names: of packages. What was asked for by its place (a git URL, a folder) is also taken
                back by that, as it was written: its name may be known to its build only.

        Raises:
            RequirementError: one was not asked for.
            LaunchError: a session already runs with this captain's environment.
        """
        if self.running:
            raise LaunchError(
                "session.forget-while-running",
                "packages cannot be taken out of a running session",
                value=", ".join(names),
                cure="stop the session, captain.forget(...), and start it again",
            )
        with self._adding:
            self._parts = requirements.without(
                self._parts, names, known=changes.built_names(self.manifest, self._lock)
            )
            self._look_again()
        return self

    def preload(self, *modules: str) -> Captain:
        """Import modules on each executor before Python workers are forked, so that every worker
        has them at once.

        Takes time and memory once an executor, where each worker would spend the time again. For
        sessions that start later. What cannot be imported there is said in the executor's stderr,
        and named here if no package has it. Some libraries do not survive a fork: those known for
        it are named.

        Args:
            modules: as in an import statement: "pandas", "sklearn.ensemble".

        Raises:
            SettingsError: one is not the name of a module.
            LaunchError: a session already runs with this captain's environment.
        """
        wrong = [
            module
            for module in modules
            if not all(part.isidentifier() for part in module.split("."))
        ]
        if wrong:
            raise SettingsError(
                "settings.not-a-module-name",
                "not the name of a module",
                value=", ".join(map(repr, wrong)),
                cause="preload imports modules, not packages of an index",
                cure='preload("sklearn.ensemble")',
            )
        if self.running:
            cause = "executors were told how to start Python when they started"
            raise LaunchError(
                "session.preload-while-running",
                "modules cannot be preloaded in a running session",
                value=", ".join(modules),
                cause=cause,
                cure="stop the session, captain.preload(...), and start it again",
            )
        self._preload = tuple(dict.fromkeys((*self._preload, *modules)))
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
        """What the executors said last: a Report by `verify`, an Arrival after packages were added
        to a running session.
        """
        return self._report

    @property
    def running(self) -> bool:
        """True while a session runs with this captain's environment: what is asked for now is sent
        at once.
        """
        return self._live is not None and self._live.running

    # what is done with it

    def plan(
        self,
        master: str | None = None,
        *,
        pip: Sequence[str] = (),
        conda: Sequence[str] = (),
        channel: str | Sequence[str] | None = None,
    ) -> Plan:
        """What would be locked, built, sent and set.

        Makes no archive, sends nothing, and asks for nothing: the captain stays as it is.

            captain.plan(conda=["r-base"])      # in a running session: would it be a layer, or a
                                                new base? How many bytes?

        Args:
            master: with it, the plan tells the Spark settings too, and what the cluster says: a
                finding is an error where a launch would be refused.
            pip: packages besides those that were asked for, as for `add_pip_packages`. While a
                session runs the plan is of their addition alone.
            conda: the same, as for `add_conda_packages`.
            channel: of these conda packages.

        Raises:
            RequirementError, LockError: the requirements contradict each other, or cannot be
                resolved.
            BuildError, SettingsError: the interpreter cannot be shipped, or the platform is none:
                what the executors are is not known then, with a master or without.
            LaunchError: with a master: there is no Spark; or packages are given, and a session runs
                already, on a master of its own.
        """
        return self.plan_with(
            requirements.merge(
                [
                    requirements.pip_packages(pip, origin="plan"),
                    requirements.conda_packages(conda, origin="plan", channel=channel),
                ]
            ),
            master,
        )

    def plan_with(
        self, more: Manifest, master: str | None = None, *, lock: str | Path | None = None
    ) -> Plan:
        """As `plan`, with all that a manifest wants besides; or of a lock file, as `add_lock` would
        take it.

        Raises:
            BoatError: as `plan`; with a lock file also as `add_lock`.
        """
        with self._adding:
            wanted = requirements.merge([*self._parts, more])
            self._pipeline.check(wanted)
            if lock is not None:
                return self._plan_launch(wanted, master, self._read_lock(Path(lock), wanted))
            if more.requirements or more.conda:
                return (
                    self._plan_addition(wanted, more, master)
                    if self.running
                    else self._plan_launch(self._besides(wanted), master)
                )
            return self._plan_launch(None, master)

    def _besides(self, wanted: Manifest) -> Manifest:
        if self._locked_by_file:
            raise _besides_a_lock(self._locked_by_file)
        return wanted

    def _plan_launch(
        self, wanted: Manifest | None, master: str | None, lock: Lock | None = None
    ) -> Plan:
        """Of what was asked for, or of another manifest or a lock, which are not remembered."""
        self._look_again()
        fits = () if master is None else self._fitting()
        facts = None if master is None else self._facts(master)
        made_for = None if lock is None else lock.target
        said = () if facts is None else self._said_or_refused(facts, made_for).findings
        with progress() as say:
            if lock is None:
                lock = self._resolve(say) if wanted is None else self._pipeline.lock(wanted, say)
            items = self._pipeline.plan(lock)
        patch = None if facts is None else self._planned_patch(facts, lock)
        return Plan(
            lock=lock,
            items=items,
            patch=patch,
            findings=(
                *(wanted or self.manifest).findings,
                *lock.findings,
                *fits,
                *said,
                *(patch.findings if patch else ()),
            ),
        )

    def _plan_addition(self, wanted: Manifest, added: Manifest, master: str | None) -> Plan:
        """What `_add_live` would make; nothing is changed."""
        if master is not None:
            raise LaunchError(
                "session.already-running",
                "a session runs already",
                value=f"master={master!r}",
                cause="what is added goes to it",
                cure="leave the master out; or stop the session first",
            )
        with progress() as say:
            aboard = self._session().aboard()
            lock = self._pipeline.lock_more(wanted, added, aboard, say)
        return replace(
            self._pipeline.plan_addition(lock, aboard), findings=(*added.findings, *lock.findings)
        )

    def pack(self, path: str | Path, *, overwrite: bool = False) -> Archive:
        """Write the archive to a file, for people who submit by other means.

        Raises:
            RequirementError, LockError, BuildError: it cannot be made, or `path` exists and
                `overwrite` is not given.
        """
        destination = archive_destination.Destination(Path(path), overwrite)
        destination.check()
        self._tell_anew()
        self._look_again()
        with progress() as say:
            return (
                self._base(say, destination)
                if self._archive is None
                else concatenate.copy_to(self._archive, destination)
            )

    def launch_ship(
        self, master: str | None = None, conf: Mapping[str, str] | None = None
    ) -> Captain:
        """Build the environment now; the next SparkContext or SparkSession of this process has it,
        and each after that.

        In force until `close()` or the next `launch_ship`, of this captain or of another one: the
        newest wins.

        Args:
            master: used where the program names none itself.
            conf: Spark settings, used where the program sets none itself.

        Raises:
            LaunchError: a SparkContext is already up, this Spark does not support this Python, or
                the master's cluster cannot serve it.
            RequirementError, LockError, BuildError: the environment cannot be made.
        """
        self._tell_anew(launched=True)
        install.refuse_if_running()
        self._tell(install.fitting(refuse_unknown=self._refuses_untested))
        install.load()  # refused before anything is built
        cluster = None if master is None else self._ask(self._facts(master, conf))
        self._refuse_other_minor()
        self._look_again()
        made = hook.Launch(
            complete=self._complete,
            started=self._started,
            failed=self._preflight.failed,
            stopping=self._stopping,
            replaced=self._take_hands_off,
            environment=self._unpacked,
            master=master,
            conf=dict(conf or {}),
            say=say_line,
            store=self._store,
        )
        with progress() as say:
            archive = self._build(say)
            if cluster is not None:
                self._tell(self._preflight.hold(archive, cluster))
            self._take_hands_off()
            try:
                self._hook = hook.install(made)
                self._board_driver(say, archive.chunks)
            except BaseException:
                self._take_hands_off()
                raise
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
        return hook.start(builder)

    def board(self, session: SparkSession | SparkContext) -> Captain:
        """Take over a running session: one that a platform or a shell started, or one of ours after
        a restart of the kernel.

        One of ours goes on with what is aboard, and gets what this captain was asked for besides.
        Another one gets the whole environment sent, and its interpreter switched for functions that
        are used from now on; what that does not reach is told. Then packages can be added and
        executors verified, as after `launch_ship`.

        Raises:
            LaunchError: it was stopped, is Spark Connect's, does not go with this Python, or is
                ours and this store does not know it.
            RequirementError, LockError, BuildError, ShipError: the environment cannot be made or
                sent.
        """
        self._tell_anew()
        context, sql = reach.parts(session)
        facts = reach.facts(context)
        self._tell(install.fitting(refuse_unknown=self._refuses_untested))
        known = record.recall(self._store, str(context.applicationId), facts.conf)
        with self._adding, progress() as say:
            if known is None:
                self._take_over(context, sql, facts, say)
            elif self._live is None or not self._live.is_of(context):
                self._go_on(context, sql, known, say)
        if self._hook is None:
            self._tell([reach.this_session_only()])
        return self

    def verify(self, *, modules: Sequence[str] = (), deadline: float = 120.0) -> Report:
        """Ask every live executor what it runs.

        Args:
            modules: import these on each executor too, so that the libraries they load are looked
                at.
            deadline: seconds; what was not reached by then is a Finding. An executor unpacks the
                archive before its first task, which a slow disk makes long.

        Raises:
            VerifyError: no session of this captain runs, or the executors' Python cannot start.
        """
        live = self._session()
        try:
            report = verify.verify(
                live.session,
                self._lock,
                base=live.base,
                deadline=deadline,
                modules=tuple(modules),
                ships_python=self._settings.ship_python,
            )
        except VerifyError as error:
            self._preflight.look_into(error, live.context, self._archive)
            raise
        self._preflight.remember(live.context.master, report)
        self._report = report
        return report

    def submit(
        self,
        script: str | Path | None = None,
        args: Sequence[str] = (),
        *,
        master: str | None = None,
        deploy_mode: str | None = None,
        conf: Mapping[str, str] | None = None,
    ) -> int:
        """Run a script with spark-submit and the environment, to its end; without a script, an
        interactive pyspark. It has our terminal.

        What the script says of itself (PEP 723) is added to what is asked for, unless a lock file
        says it all.

        Args:
            script: a Python file on this machine, or a URL that spark-submit takes.
            args: of the script.
            master: over what spark-defaults.conf says.
            deploy_mode: "client" or "cluster", over what it says.
            conf: Spark settings, over what it says.

        Returns:
            The application's exit code; 128 + n if signal n ended it.

        Raises:
            LaunchError: no Spark, Java or script, or this Spark does not support this Python.
            RequirementError, LockError, BuildError: the environment cannot be made.
        """
        header = spark_script.read_header(script) if script is not None else None
        if script is not None and header is not None:
            spark_script.refuse_other_python(header, self._nodes().python)
            if self._locked_by_file is None:
                self.add_requirements(script)
        made = self._order(master, deploy_mode, conf, ask=self._ask)
        return submit.run(
            made, script, args, environment=java.java_environment(self._store, made.spark.home)
        )

    def order(
        self,
        *,
        master: str | None = None,
        deploy_mode: str | None = None,
        conf: Mapping[str, str] | None = None,
    ) -> Order:
        """Build the environment and tell the Spark settings that use it, for people who submit by
        other means.

        They may do so from elsewhere: what the cluster cannot do, as seen from here, is told and
        refuses nothing.

        Raises:
            BoatError: as `submit`.
        """
        return self._order(master, deploy_mode, conf, ask=self._ask_gently)

    def _order(
        self,
        master: str | None,
        deploy_mode: str | None,
        conf: Mapping[str, str] | None,
        *,
        ask: Callable[[SparkFacts], ClusterFacts],
    ) -> Order:
        self._tell_anew()
        self._tell(install.fitting(refuse_unknown=self._refuses_untested))
        spark = install.find_spark()
        self._refuse_other_minor()
        self._look_again()
        facts = spark_facts.facts_of(spark, master=master, deploy_mode=deploy_mode, conf=conf)
        backend_for(facts.master)  # refused before anything is built
        cluster = ask(facts)
        with progress() as say:
            folders = self._driver_folders(self._build(say), say)
        facts = replace(facts, python=workflow_driver.driver_python(folders, self._store))
        patch = self._patch_for(facts, cluster)
        self._tell(patch.findings)
        if self._lock is not None:
            with suppress(StoreError):  # only `board` in the submitted program needs it
                record.remember_lock(self._store, self._lock)
        return submission.order(spark, facts, patch)

    def close(self) -> None:
        """Take all hands off the process: the hook, the environment, sys.path.

        A running session keeps what it has, and is this captain's no more: what is asked for now
        is for the next launch. `board` takes it over again.
        """
        self._take_hands_off()
        self._live = None

    def __enter__(self) -> Captain:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        wanted = redact(", ".join(self.manifest.texts)) or "nothing yet"
        state = "launched" if self._hook is not None else "not launched"
        return f"<Captain: {wanted}; {state}>"

    # before a session

    def _look_again(self) -> None:
        """Forget what was chosen and built: folders, branches and indexes change.

        The store makes it cheap where they did not.
        """
        if not self.running:
            self._archive = None
            self._lock = self._lock if self._locked_by_file else None

    def _resolve(self, say: Say, ahead: Ahead | None = None) -> Lock:
        if self._lock is None:
            try:
                self._lock = self._pipeline.lock(self.manifest, say, ahead)
            except LockError as error:
                error.problem = replace(error.problem, cure=f"{error.cure}{FORGET}")
                raise
        return self._lock

    def _build(self, say: Say) -> Archive:
        if self._archive is None:
            self._archive = self._base(say)
        return self._archive

    def _base(self, say: Say, to: archive_destination.Destination | None = None) -> Archive:
        with self._pipeline.ahead(self.manifest, self._lock) as ahead:
            self._lock, archive = self._pipeline.base(
                self._resolve(say, ahead), self.manifest, say, ahead, to=to
            )
        self._tell([*self.manifest.findings, *self._lock.findings, *archive.findings])
        return archive

    def _facts(self, master: str, conf: Mapping[str, str] | None = None) -> SparkFacts:
        """What is known of a Spark that is to start in this process."""
        return spark_facts.facts_of(
            install.find_spark(), master=master, conf=conf, python=sys.executable
        )

    def _ask(self, facts: SparkFacts, *, driver_starts: bool = True) -> ClusterFacts:
        """What the cluster says, before anything is resolved or sent; what it says is told.

        Args:
            driver_starts: the driver's JVM is still to be started.

        Raises:
            LaunchError: it cannot serve.
        """
        cluster = self._preflight.ask(
            facts, self._nodes, ships_python=self._settings.ship_python, driver_starts=driver_starts
        )
        self._tell(cluster.findings)
        return cluster

    def _nodes(self) -> Target:
        """What the executors are, as far as it is known before anything is resolved."""
        return self._lock.target if self._lock is not None else self._pipeline.nodes(self.manifest)

    def _ask_gently(self, facts: SparkFacts) -> ClusterFacts:
        """The same, where nothing is refused."""
        cluster = self._said_or_refused(facts)
        self._tell(cluster.findings)
        return cluster

    def _said_or_refused(self, facts: SparkFacts, made_for: Target | None = None) -> ClusterFacts:
        """A refusal of the cluster is a finding.

        An interpreter that cannot be shipped is none: nothing can be resolved for it either.
        """
        try:
            return self._preflight.ask(
                facts, lambda: made_for or self._nodes(), ships_python=self._settings.ship_python
            )
        except LaunchError as refusal:
            return ClusterFacts(facts.master, findings=(Finding.of(refusal.problem, "error"),))

    @property
    def _refuses_untested(self) -> bool:
        return self._settings.untested_python == "refuse"

    def _fitting(self) -> tuple[Finding, ...]:
        """What is known against this Spark and this Python; a refusal is a finding."""
        try:
            return install.fitting(refuse_unknown=self._refuses_untested)
        except LaunchError as refusal:
            return (Finding.of(refusal.problem, "error"),)

    def _planned_patch(self, facts: SparkFacts, lock: Lock) -> ConfPatch:
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
        patch = backend_for(facts.master).patch(
            facts,
            Shipped(archive, Path(archive.path).as_uri()),
            environment=environment_path(self._store, archive),
        )
        return preloading(self._seen_from_the_driver(patch, facts, lock), facts, self._preload)

    def _refuse_other_minor(self) -> None:
        if self._lock is not None and self._lock.conda:
            _refuse_other_minor(self._lock.target.python, asked="conda's python is ")
        elif self.manifest.conda:
            _refuse_other_minor(
                self._pipeline.minor(self.manifest), asked="the conda packages are for "
            )
        elif self._settings.ship_python:
            _refuse_other_minor(
                self._pipeline.interpreter.version, asked=f"python={self._settings.python!r} is "
            )

    # while a SparkContext is made

    @guarded
    def _complete(self, facts: SparkFacts) -> ConfPatch:
        """Called when the master is known.

        Packages that were added since launch_ship, or to an earlier session, are in the base now.
        What the launch told is not told again for the first context that it was for.
        """
        if not self._just_launched:
            self._tell_anew()
        self._just_launched = False
        patch = self._patch_for(facts, self._ask(facts, driver_starts=False))
        self._preflight.begin_watch(
            replace(facts, conf={**facts.conf, **patch.conf}), self._archive
        )
        return patch

    def _patch_for(self, facts: SparkFacts, cluster: ClusterFacts) -> ConfPatch:
        """What must be set, with the archive in its place."""
        with progress() as say:
            archive, lock = self._build(say), self._resolve(say)
        self._tell(self._preflight.hold(archive, cluster))
        self._tell(self._pipeline.not_aboard(self._preload, archive))
        patch = preloading(
            self._patch(backend_for(facts.master), facts, self._ship(archive, facts)),
            facts,
            self._preload,
        )
        with suppress(StoreError):  # as for LiveSession
            record.remember_lock(self._store, lock)
        return replace(
            patch,
            conf={
                **patch.conf,
                **record.marks(patch, lock, ships_python=self._settings.ship_python),
            },
        )

    def _ship(self, archive: Archive, facts: SparkFacts) -> Shipped:
        """Where the executor is this process's own JVM, it needs no stage."""
        stage = None if backend_under_way(facts.master).needs_environment else self._settings.stage
        shipped = ship(
            archive, stage, hadoop=gateway.hadoop(self._store, facts.conf), store=self._store
        )
        self._tell(shipped.findings)
        return shipped

    def _patch(self, backend: Backend, facts: SparkFacts, shipped: Shipped) -> ConfPatch:
        environment = unpack(shipped.archive, self._store) if backend.needs_environment else None
        patch = backend.patch(facts, shipped, environment=environment)
        return patch if self._lock is None else self._seen_from_the_driver(patch, facts, self._lock)

    def _unpacked(self) -> Path:
        """The environment on this machine, additions and all."""
        with progress() as say:
            return unpack(self._build(say), self._store)

    def _seen_from_the_driver(self, patch: ConfPatch, facts: SparkFacts, lock: Lock) -> ConfPatch:
        """With what the driver's own packages make of it.

        What the nodes' own interpreter has is not known.
        """
        return (
            replace(patch, findings=(*patch.findings, *arrow(lock, facts)))
            if self._settings.ship_python
            else patch
        )

    def _started(self, context: SparkContext, patch: ConfPatch) -> None:
        """Called when the context came up."""
        self._preflight.follow(context)
        if self._lock is not None:
            self._live = LiveSession(
                context,
                record.Aboard(
                    patch.python,
                    self._lock,
                    self._lock,
                    self._settings.ship_python,
                    environment=patch.environment,
                ),
                self._store,
            )
        self._tell(patch.findings)

    def _stopping(self, context: SparkContext) -> None:
        """Called before a context stops."""
        if self._live is not None and self._live.is_of(context):
            self._preflight.stopping()

    # a session that runs already

    def _take_over(
        self, context: SparkContext, sql: SparkSession | None, facts: SparkFacts, say: Say
    ) -> None:
        """Send the base to a session that was started without us, and switch its interpreter."""
        self._refuse_other_minor()
        archive = self._build(say)
        if ClassicSession(context).executors():
            self._tell(self._preflight.ask_nodes(context, archive))
        backend, shipped = backend_under_way(facts.master), self._ship(archive, facts)
        patch = self._patch(backend, facts, shipped)
        session = ClassicSession(context)
        if not backend.needs_environment:
            session.send(shipped)
        session.switch(
            patch,
            record.marks(patch, self._resolve(say), ships_python=self._settings.ship_python),
            sql,
        )
        self._board_driver(say, shipped.archive.chunks)
        self._preflight.begin_watch(facts, archive)
        self._started(context, patch)
        self._tell(reach.not_reached(context, sql, ships_python=self._settings.ship_python))
        self._tell(
            [
                *reach.not_planned(patch.python, facts.version),
                *reach.not_preloaded(self._preload, patch.environment),
            ]
        )

    def _go_on(
        self, context: SparkContext, sql: SparkSession | None, known: record.Aboard, say: Say
    ) -> None:
        """Continue a session that was started by a captain, with its platform and its interpreter
        rather than our settings'.
        """
        _refuse_other_minor(known.base.target.python, asked="")
        aboard = {known.base.digest, known.lock.digest}
        if self._locked_by_file and (self._lock is None or self._lock.digest not in aboard):
            raise _lock_file_while_running(self._locked_by_file)
        self._settings = replace(
            self._settings, ship_python=known.ships_python, platform=known.base.target.platform
        )
        self._pipeline = Pipeline(self._settings, self._store, target=known.base.target)
        lacking = (
            driver.lacking(known.lock) if self._settings.install_local else Lock(known.lock.target)
        )
        chunks = self._pipeline.chunks(lacking, known.lock, self.manifest, say)
        ClassicSession(context).switch(
            ConfPatch(known.python, environment=known.environment), {}, sql
        )
        self._lock, self._archive = known.lock, None
        self._live = LiveSession(context, known, self._store)
        self._board_driver(say, chunks)
        self._tell(
            [
                *reach.not_preloaded(self._preload, known.environment),
                *reach.unknown_layers(context, known),
            ]
        )
        if self.manifest.requirements or self.manifest.conda:
            self._add_wanted()

    def _add_wanted(self) -> None:
        """What this captain was asked for before it took over a session of ours; if that cannot be
        had, it has not taken over.
        """
        try:
            self._add_live(self.manifest, Manifest(), wait=10.0)
        except BoatError:
            self._live = self._lock = None
            raise

    # while a session runs

    def _session(self) -> LiveSession:
        if self._live is None or not self.running:
            raise VerifyError(
                "session.not-running",
                "no session runs with this captain's environment",
                cure=(
                    "captain.launch_ship(), then start a SparkContext or SparkSession, and ask"
                    " again"
                ),
            )
        return self._live

    def _add_live(self, wanted: Manifest, added: Manifest, wait: float) -> None:
        """Send what is missing, as a layer or a new base; nothing of this captain or of the session
        changes before all of it is made.
        """
        self._pipeline.watch = watch = Stopwatch()
        live = self._session()
        with progress() as say, live.alone():
            aboard = live.aboard()
            lock = self._pipeline.lock_more(wanted, added, aboard, say)
            new = aboard.lacks(lock)
            lock, archive = self._pipeline.addition(lock, aboard, wanted, say)
            if archive is not None:
                with watch.part("send"):
                    self._send(live, lock, archive)
            self._lock, self._archive = lock, None
            self._parts.append(added)
            if self._live is live:  # not closed by another thread meanwhile
                self._board_driver(say, archive.chunks if archive is not None else ())
        with watch.part("arrive"):
            confirmed, missed, findings = verify.arrival(live.session, archive, deadline=wait)
        self._report = Arrival(
            (*new.conda, *new.pins), archive, confirmed, missed, dict(watch.seconds), findings
        )
        self._tell([*lock.findings, *findings])

    def _send(self, live: LiveSession, lock: Lock, archive: Archive) -> None:
        """A layer is only sent; a new base is what everything runs in from then on, also functions
        that were made before.
        """
        facts = reach.facts(live.context)
        shipped = self._ship(archive, facts)
        if archive.layer:
            live.session.send(shipped)
            live.note(lock, archive)
            return
        backend = backend_under_way(facts.master)
        patch = self._patch(backend, facts, shipped)
        self._tell([*archive.findings, reach.new_base(archive, lock)])
        if not backend.needs_environment:
            live.session.send(shipped)
        live.switch(lock, patch)

    # the driver

    def _board_driver(self, say: Say, chunks: Sequence[Chunk]) -> None:
        if not self._settings.install_local or self._lock is None or not chunks:
            return
        say("making the packages importable here")
        self._tell(
            self._views.board(self._lock, self._pipeline.trees(chunks, driver.lacking(self._lock)))
        )

    def _driver_folders(self, archive: Archive, say: Say) -> tuple[str, ...]:
        """What a driver in a process of its own imports from, after all that this one has
        itself.
        """
        if not self._views.entries:
            self._board_driver(say, archive.chunks)
            with closing(self._views):
                return self._views.entries
        return self._views.entries

    def _take_hands_off(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        self._preflight.end_watch()
        self._views.close()

    def _tell_anew(self, *, launched: bool = False) -> None:
        """From now on show what was shown before, too: it may be the reason once more."""
        self._told, self._just_launched = set(), launched

    def _tell(self, findings: Iterable[Finding]) -> None:
        """Show each finding once a launch, on stderr."""
        for finding in findings:
            if finding not in self._told:
                self._told.add(finding)
                say_line(f"{finding.severity}: {finding}")


def _refuse_other_minor(shipped: str, *, asked: str) -> None:
    if not f"{shipped}.".startswith(f"{_DRIVER_MINOR}."):
        raise LaunchError(
            "session.other-python-minor",
            "the executors' Python must be of the driver's minor version",
            value=f"{asked}{shipped}, the driver is {_DRIVER_MINOR}",
            cause=(
                "PySpark sends pickled functions from one to the other and refuses a mix"
                " (PYTHON_VERSION_MISMATCH)"
            ),
            cure=(
                f"leave out python=, or run the driver with {'.'.join(shipped.split('.')[:2])};"
                " captain.pack(path) can pack any"
            ),
        )


def _lock_file_while_running(path: Path) -> LaunchError:
    return LaunchError(
        "session.lock-file-while-running",
        "a lock file cannot be added to a running session",
        value=str(path),
        cure="captain.add_pip_packages(...) adds packages; or stop the session first",
    )


def _besides_a_lock(path: Path) -> RequirementError:
    return RequirementError(
        "requirements.lock-file-with-packages",
        "a lock file is taken as it is, and packages are asked for besides it",
        value=path.name,
        cure="add the packages to the lock file, or use another Captain for them",
    )
