"""What a user holds. Each call is one verb of workflow/, which says what it does:

    add_* -> Request -> Lock -> Archive -> Shipped -> ConfPatch -> Spark -> Report

No process is started and no Spark setting is known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from coffee_boat import requirements, settings
from coffee_boat._support.exceptions import door
from coffee_boat._support.redact import redact
from coffee_boat.archive.destination import Destination
from coffee_boat.model import Archive, Arrival, Lock, Manifest, Plan, Report
from coffee_boat.spark import hook, jvm
from coffee_boat.workflow import order
from coffee_boat.workflow.changing import Changing
from coffee_boat.workflow.request import Request
from coffee_boat.workflow.steering import Steering
from coffee_boat.workflow.tools import Tools

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    from coffee_boat.spark.submission import Order


@partial(door, explain=jvm.explain)
class Captain(Steering):
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
        python: the interpreter to ship: "3.11", the path of one or of a folder that has one, or
            "conda" for conda's. Default: the driver's own; for nodes of another machine a
            standalone build. Spark needs the driver's minor version; another one can only be
            packed.
        ship_python: False uses the nodes' own interpreter of that minor version. Default True.
        platform: what the nodes are, in pip's words, as "manylinux_2_28_x86_64"; "auto" asks the
            cluster, where it can be asked before building. Default: as the driver.
        index_url: as pip's option. pip's and uv's own settings are honoured without it.
        extra_index_urls: further indexes; the first index that has a name is taken for it.
        find_links: folders or pages with wheels, as pip's option.
        torch_backend: which build of torch, as uv's --torch-backend: "cpu" where no node has a GPU.
        offline: use nothing but the store and local folders.
        exclude: what stays behind of packages: "tests", "headers", "static-libraries", "stubs";
            patterns with a * or a / as .gitignore has them, below site-packages; names of packages.
        install_local: make the packages importable on the driver too, after its own. Default True.
        stage: a place that executors fetch the archive from, as "hdfs:///boats" or
            "s3://bucket/boats"; or a folder, "file:///shared". Default: Spark's own file server.
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
        torch_backend: str | None = None,
        exclude: Sequence[str] = (),
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
            "torch_backend": torch_backend,
            "exclude": exclude or None,
            "install_local": install_local,
            "stage": stage,
            "store": None if store is None else str(store),
        }
        chosen, findings = settings.load(given)
        asked = Request(
            (Manifest(findings=findings),), condas_python=chosen.python == settings.CONDA
        )
        super().__init__(Changing(Tools.of(chosen), asked))

    @classmethod
    def from_environment(cls, environment: str | Path | None = None, **settings: Any) -> Captain:
        """A Captain that wants what an environment has: every package of it in its version, from
        where it came.

        The environment is described and built anew from a lock, never copied. What that cannot
        bring back is named in the findings of `plan`: packages from nowhere, files that were
        changed by hand. An editable install is taken from its folder. Needs the network, or a store
        that knows the packages.

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

    @property
    def lock(self) -> Lock | None:
        """What was chosen; None before `plan`, `pack` or `launch_ship`."""
        return self._work.lock

    @property
    def report(self) -> Report | Arrival | None:
        """What the executors said last: a Report by `verify`, an Arrival after packages were added
        to a running session.
        """
        return self._work.report

    @property
    def running(self) -> bool:
        """True while a session runs with this captain's environment: what is asked for now is sent
        at once.
        """
        return self._work.running

    # what is done with it

    def plan(
        self,
        master: str | None = None,
        *,
        pip: Sequence[str] = (),
        conda: Sequence[str] = (),
        channel: str | Sequence[str] | None = None,
    ) -> Plan:
        """What would be locked, built, sent and set. Makes no archive, sends nothing, and asks for
        nothing: the captain stays as it is.

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
        more = [
            requirements.pip_packages(pip, origin="plan"),
            requirements.conda_packages(conda, origin="plan", channel=channel),
        ]
        return self.plan_with(requirements.merge(more), master)

    def plan_with(
        self, more: Manifest, master: str | None = None, *, lock: str | Path | None = None
    ) -> Plan:
        """As `plan`, with all that a manifest wants besides; or of a lock file, as `add_lock` would
        take it.

        Raises:
            BoatError: as `plan`; with a lock file also as `add_lock`.
        """
        return self._work.plan(more, master, None if lock is None else Path(lock))

    def pack(
        self, path: str | Path | None, *, overwrite: bool = False, pyspark: bool = True
    ) -> Archive:
        """Write the archive to a file, for people who submit with spark-submit, Airflow or Livy.

        Args:
            path: a .tar.gz; None for the store.
            overwrite: replace the file if it is there.
            pyspark: False leaves pyspark and py4j out, for what runs outside of Spark.

        Raises:
            RequirementError, LockError, BuildError: it cannot be made, or `path` exists and
                `overwrite` is not given.
        """
        destination = None if path is None else Destination.of(path, overwrite=overwrite)
        return self._work.pack(destination, pyspark=pyspark)

    def launch_ship(
        self, master: str | None = None, conf: Mapping[str, str] | None = None
    ) -> Captain:
        """Build the environment now; the next SparkContext or SparkSession of this process has it,
        and each after that. A session of Spark Connect is sent it when it is there.

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
        self._work.launch(master, conf)
        return self

    def start(self, builder: SparkSession.Builder | None = None) -> SparkSession:
        """Launch if that was not done yet, then start the session.

        Args:
            builder: a configured `SparkSession.builder`; a fresh one by default.

        Raises:
            BoatError: as `launch_ship`.
        """
        if not self._work.launched:
            self.launch_ship()
        return hook.start(builder)

    def board(self, session: SparkSession | SparkContext) -> Captain:
        """Take over a running session: one that a platform or a shell started, or one of ours whose
        JVM outlived the Python that started it. Then packages can be added and executors verified,
        as after `launch_ship`.

        One of ours goes on with what it has, and gets what this captain was asked for besides.
        Another one gets the whole environment sent, and its interpreter switched for functions that
        are used from now on; what that does not reach is told.

        Raises:
            LaunchError: it was stopped, its server does not know it any more, it does not go with
                this Python, or it is ours and this store does not know it.
            RequirementError, LockError, BuildError, ShipError: the environment cannot be made or
                sent. The captain is as it was before.
        """
        self._work.board(session)
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
        return self._work.verify(modules, deadline)

    def close(self) -> None:
        """Give the process back: pyspark's functions, the environment, sys.path.

        A running session keeps what it has, and is this captain's no more: what is asked for now
        is for the next launch. `board` takes it over again.
        """
        self._work.close()

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
        state = "launched" if self._work.launched else "not launched"
        return f"<Captain: {wanted}; {state}>"

    # for programs that spark-submit runs

    def submit(
        self,
        script: str | Path | None = None,
        args: Sequence[str] = (),
        *,
        master: str | None = None,
        deploy_mode: str | None = None,
        conf: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        spark_defaults: bool = True,
        main_class: str | None = None,
    ) -> int:
        """Run a script with spark-submit and the environment, to its end; without a script, an
        interactive pyspark. It has our terminal.

        Or a program of the JVM: `captain.submit("app.jar", main_class="com.example.Main")`. With
        functions (`add_function`) its `main` is called by a driver in Python, in whose session
        they are; `SparkSession.builder().getOrCreate()` there is that session.

        What the script says of itself (PEP 723) is added to what is asked for, unless a lock file
        says it all.

        Args:
            script: a Python file or a jar on this machine, or a URL that spark-submit takes.
            args: of the script.
            master: over what spark-defaults.conf says.
            deploy_mode: "client" or "cluster", over what it says.
            conf: Spark settings, over what it says.
            options: of spark-submit, for what is no setting: ["--proxy-user", "ann"].
            spark_defaults: False leaves spark-defaults.conf unread.
            main_class: of a jar. Default: what its manifest says.

        Returns:
            The application's exit code; 128 + n if signal n ended it.

        Raises:
            LaunchError: no Spark, Java, script or jar, or this Spark does not support this Python;
                a function cannot be had.
            RequirementError, LockError, BuildError: the environment cannot be made.
        """
        where = order.Where(master, deploy_mode, conf, spark_defaults=spark_defaults)
        program = order.program_of(self._work, where, script, main_class)
        header = None if program else order.header(self._work, script)
        if header is not None:
            self.add_requirements(header)
        return order.run(self._work, where, script, args, options, jvm=program)

    def order(
        self,
        *,
        master: str | None = None,
        deploy_mode: str | None = None,
        conf: Mapping[str, str] | None = None,
        serves_connect: bool = False,
        driver: Literal["python", "jvm"] = "python",
    ) -> Order:
        """Build the environment and tell the Spark settings that use it, for people who submit by
        other means.

        They may do so from elsewhere: what the cluster cannot do, as seen from here, is told and
        refuses nothing.

        Args:
            serves_connect: what is started with them is a Spark Connect server: its sessions need
                pyarrow, which is added as for a session of ours.
            driver: "jvm" where Spark starts with no Python (spark-sql, spark-shell, the Thrift
                server): its sessions have the functions that were asked for (`add_function`).

        Raises:
            BoatError: as `submit`.
        """
        if serves_connect:
            order.refuse_connect(driver, self._work.functions)
            self._work.bring_arrow()
        where = order.Where(master, deploy_mode, conf)
        if driver == "jvm":
            return order.for_jvm(self._work, where)
        return order.for_python(self._work, where)
