"""What happens while a SparkContext is being made.

The only place that sets anything in this process, and only while a SparkContext is being made.

install(Launch(...)) -> Hook      from now on each new SparkContext of this process is completed
    SparkContext.__init__             defaults for master and conf; Java for the gateway; the
                                      executors' interpreter
    SparkContext._initialize_context  the first place where the final master is known, whoever named
                                      it
    SparkSession.Builder              a session of Spark Connect starts no SparkContext: it gets
                                      what it needs when it is there (connect.py)
pyspark.sql.udf, .udtf            _wrap_function: what the driver's JVM plans in Python gets the
                                  driver's copy of the interpreter
Hook.remove()                     takes all of it back
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coffee_boat._support.environ import changed_environ
from coffee_boat._support.logs import logger
from coffee_boat._support.progress import say_line
from coffee_boat._support.store import Store
from coffee_boat.errors import BoatError
from coffee_boat.model import ConfPatch, Finding, SparkFacts
from coffee_boat.spark import class_data, connect, java, jvm, planning, remarks
from coffee_boat.spark import install as spark_install
from coffee_boat.spark.jvm import shared_map
from coffee_boat.spark.wrapping import wrap

_log = logger(__name__)
_MARK = "_coffee_boat_hook"
"""The attribute of SparkContext that names the hook in force: one a process, wherever it was
installed from.
"""

_Init = Callable[..., None]


def _nothing(*_: Any) -> None:
    """The default of callbacks."""


@dataclass(frozen=True)
class Start:
    """What one SparkContext that starts is given.

    Args:
        patch: what is set.
        started: called with the context when it is up; if it raises, the context is stopped.
        environment: gives the archive unpacked on this machine, for what the driver's JVM plans in
            Python; called when that is needed.
    """

    patch: ConfPatch
    started: Callable[[Any], None] = _nothing
    environment: Callable[[], Path | None] = lambda: None


@dataclass(frozen=True)
class Launch:
    """What is done with each SparkContext that starts.

    Args:
        complete: called when the master is known, before the context starts; what it raises comes
            out of SparkContext(...).
        store: where a Java shim is kept, if one is needed, and Spark's classes.
        class_data: the driver's JVM maps Spark's classes from a file, which is made when a session
            has ended.
        failed: called when it did not come up; what it returns is raised in place of the error.
        connected: called with each session that a builder gives; what it raises comes out of the
            builder, and a session of Spark Connect is stopped.
        stopping, stopped: called before and after a context stops.
        master, conf: used where the program sets none itself.
        say: takes one line about what is odd.
        replaced: called when another launch takes this one's place.
    """

    complete: Callable[[SparkFacts], Start]
    store: Store = field(default_factory=Store)
    class_data: bool = False
    failed: Callable[[BaseException], BoatError | None] = _nothing
    connected: Callable[[Any], None] = _nothing
    stopping: Callable[[Any], None] = _nothing
    stopped: Callable[[Any], None] = _nothing
    master: str | None = None
    conf: Mapping[str, str] = field(default_factory=dict, repr=False)
    say: Callable[[str], None] = say_line
    replaced: Callable[[], None] = lambda: None

    @property
    def defaults(self) -> dict[str, str]:
        """`conf` with the master in it."""
        return (
            dict(self.conf) if self.master is None else {**self.conf, "spark.master": self.master}
        )


def install(launch: Launch) -> Installed:
    """Complete each SparkContext of this process, and each session of Spark Connect, from now on,
    until `Hook.remove` or the next `install`.

    Raises:
        LaunchError: no pyspark, one that does not fit, or a SparkContext is already up.
    """
    remote = connect.Remote(connect.Defaults(launch.master, launch.conf), launch.connected)
    builder = spark_install.remote_builder()
    if builder is not None:
        _replace(builder, launch)
        return connect.RemoteOnly(builder, remote, launch, _MARK)
    spark = spark_install.load()
    # What is merely unknown of the pair was told, or refused, before anything was built.
    spark_install.compatible(spark.version, sys.version_info[:2], said=spark.declared)
    with spark.context._lock:
        spark_install.refuse_if_running()
        _replace(spark.context, launch)
        return Hook(launch, spark, remote)


def _replace(owner: Any, launch: Launch) -> None:
    """Take back the launch before, if it is in force."""
    previous: Installed | None = owner.__dict__.get(_MARK)
    if previous is not None:
        previous.remove()
        previous.launch.replaced()
        what = "this launch_ship replaces an earlier one of this process"
        note = Finding("launch.earlier-replaced", what, severity="note")
        launch.say(f"note: {note}")


def start(
    builder: Any | None = None, *, master: str | None = None, conf: Mapping[str, str] | None = None
) -> Any:
    """A SparkSession from a builder (a fresh one by default), as `getOrCreate` gives it.

    Args:
        builder: a `SparkSession.builder`.
        master, conf: set on the builder, and so stronger than the launch's own.
    """
    if builder is None:
        only_remote = spark_install.remote_builder()
        builder = spark_install.load().session.builder if only_remote is None else only_remote()
    if master is not None:
        builder = builder.master(master)
    for key, value in (conf or {}).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


class Hook:
    """The wraps around pyspark's own functions; made by `install`."""

    def __init__(
        self, launch: Launch, spark: spark_install.PySpark, remote: connect.Remote
    ) -> None:
        self.launch = launch
        self._remote = remote
        self.active = True
        self._spark = spark
        self._starts: dict[int, Start | None] = {}
        """By id of the contexts that are being made; None until their master is known."""
        self._on_driver: planning.DriversCopy | None = None
        """Of the newest context."""
        self._classes_later: class_data.Later | None = None
        builder = spark.session.Builder
        with ExitStack() as undo:  # all of them or none
            self._wraps = [
                wrap(owner, name, make, undo)
                for owner, name, make in (
                    (spark.context, "__init__", self._init),
                    (spark.context, "_initialize_context", self._initialize),
                    (spark.context, "stop", self._stop),
                    (builder, "getOrCreate", self._session),
                    (builder, "create", self._session),
                    *((module, "_wrap_function", self._function) for module in spark.functions),
                )
                if hasattr(owner, name)  # only newer Builders have "create"
            ]
            setattr(spark.context, _MARK, self)
            undo.pop_all()

    def __repr__(self) -> str:
        return f"<Hook: pyspark {self._spark.version}, {'active' if self.active else 'removed'}>"

    def remove(self) -> None:
        """Put pyspark's functions back.

        Where somebody wrapped ours since, theirs stays and ours only passes on. A running context
        keeps what it has.
        """
        with self._spark.context._lock:
            self.active = False
            for wrapped in self._wraps:
                wrapped.undo()
            if self._spark.context.__dict__.get(_MARK) is self:
                delattr(self._spark.context, _MARK)

    # the wraps

    def _init(self, original: _Init) -> _Init:
        signature = inspect.signature(original)

        def init(context: Any, *args: Any, **kwargs: Any) -> None:
            if not self.active:
                return original(context, *args, **kwargs)
            given = signature.bind(context, *args, **kwargs)
            if self._remote.starting:  # a Connect server's, in this process: needs Java, no more
                self._start_gateway(given.arguments)
                return original(context, *args, **kwargs)
            if given.arguments.get("jsc") is not None:
                self._say(
                    remarks.handed_over(
                        "a context that the platform had started was handed to pyspark"
                    )
                )
                return original(context, *args, **kwargs)
            return self._make(context, original, given)

        return init

    def _initialize(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def initialize(context: Any, jconf: Any) -> Any:
            if id(context) not in self._starts:  # handed over, or begun before the launch
                return original(context, jconf)
            start = self.launch.complete(self._facts(jconf))
            patch = start.patch
            for key, value in patch.conf.items():
                jconf.set(key, value)
            _log.info("set for this SparkContext:\n%s", "\n".join(patch.lines()))
            made = original(context, jconf)
            context.environment = shared_map(
                context._jvm, {**context.environment, **patch.environment}
            )
            self._starts[id(context)] = start
            return made

        return initialize

    def _stop(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def stop(context: Any) -> Any:
            try:
                if self.active:
                    self.launch.stopping(context)
            finally:
                ended = remarks.explained(original, context)
            if self.active:
                self.launch.stopped(context)
            if self._classes_later is not None:
                self._classes_later.begin()
            return ended

        return stop

    def _session(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def session(builder: Any, *args: Any, **kwargs: Any) -> Any:
            if not self.active:
                return original(builder, *args, **kwargs)
            jvm.refuse_ended()
            if self._remote.defaults.starts_remote(getattr(builder, "_options", {})):
                return self._remote.session(original, builder, *args, **kwargs)
            made = original(builder, *args, **kwargs)
            self.launch.connected(made)
            return made

        return session

    def _function(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def wrap_function(sc: Any, func: Any, returnType: Any = None) -> Any:  # noqa: N803  pyspark's names
            # what has a return type is not planned in Python
            python = (
                self._on_driver.of(sc.pythonExec)
                if self.active and returnType is None and self._on_driver is not None
                else None
            )
            return original(
                sc if python is None else planning.PlanningContext(sc, python), func, returnType
            )

        return wrap_function

    # making one context

    def _make(self, context: Any, original: _Init, given: inspect.BoundArguments) -> None:
        # Nothing before `original` may have effects on a running context: pyspark itself refuses a
        # second one.
        jvm.refuse_ended()
        findings = self._apply_defaults(given.arguments)
        self._start_gateway(given.arguments)
        self._starts[id(context)] = None
        try:
            original(*given.args, **given.kwargs)
        except BaseException as error:
            known = self.launch.failed(error)
            if known is not None:
                raise known from error
            raise
        finally:
            start = self._starts.pop(id(context))
        for finding in findings:
            self._say(finding)
        if start is None:
            self._say(remarks.handed_over("a subclass of SparkContext starts it in its own way"))
            return
        # From PYSPARK_PYTHON until here. That variable stays as it is: other programs started by
        # this process read it too.
        context.pythonExec = start.patch.python
        try:
            self._on_driver = planning.DriversCopy(
                start.patch, self._spark.files.getRootDirectory(), start.environment
            )
            start.started(context)
        except BaseException:
            context.stop()
            raise

    def _apply_defaults(self, arguments: dict[str, Any]) -> list[Finding]:
        """Put the launch's master and conf into the SparkConf (a copy of the user's), under what
        the program says itself.
        """
        defaults = self.launch.defaults
        if not defaults:
            return []
        theirs, fresh = arguments.get("conf"), self._spark.conf()
        explicit = dict(theirs.getAll()) if theirs is not None else {}
        # With a JVM up, a new SparkConf holds what spark-submit and spark-defaults say: the launch
        # is nearer to the program than those.
        loaded = dict(fresh.getAll())
        explicit = {key: value for key, value in explicit.items() if loaded.get(key) != value}
        if arguments.get("master"):
            explicit["spark.master"] = arguments["master"]
        if arguments.get("appName"):
            explicit["spark.app.name"] = arguments["appName"]
        if theirs is not None:
            fresh = remarks.copy(theirs, self._spark.conf)
        for key, value in defaults.items():
            fresh.set(key, explicit.get(key, value))
        arguments["conf"] = fresh
        return [
            remarks.overruled(key, value, explicit[key])
            for key, value in sorted(defaults.items())
            if explicit.get(key, value) != value
        ]

    def _start_gateway(self, arguments: Mapping[str, Any]) -> None:
        """Start the JVM, if this process has none, with the environment that it needs; for that
        call only.
        """
        context = self._spark.context
        with context._lock:
            given = (context._gateway, arguments.get("gateway"))
            if given != (None, None) or "PYSPARK_GATEWAY_PORT" in os.environ:
                return
            conf = arguments.get("conf")
            with changed_environ(self._gateway_environment(dict(conf.getAll()) if conf else {})):
                context._ensure_initialized(conf=conf)

    def _gateway_environment(self, conf: Mapping[str, str]) -> dict[str, str]:
        from pyspark.find_spark_home import _find_spark_home

        home = _find_spark_home()
        variables = dict(java.java_environment(self.launch.store, home))
        if self.launch.class_data:
            classes = class_data.of(self.launch.store, home, variables.get("JAVA_HOME"), conf)
            variables |= class_data.variables(classes)
            self._classes_later = class_data.later(classes)
        if sys.executable:
            # Spark's scripts and the driver's JVM run Python themselves (bin/find-spark-home,
            # PythonUtils.defaultPythonExec): an executors' path like ./env/bin/python, or
            # "jupyter", is none for them.
            variables |= {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
        return variables

    def _facts(self, jconf: Any) -> SparkFacts:
        conf = dict(self._spark.conf(_jconf=jconf).getAll())
        return SparkFacts(
            version=self._spark.version,
            master=conf["spark.master"],
            deploy_mode=conf.get("spark.submit.deployMode", "client"),
            conf=conf,
            environment={
                name: value for name, value in os.environ.items() if name.startswith("PYSPARK_")
            },
            python=sys.executable,
        )

    def _say(self, finding: Finding) -> None:
        self.launch.say(f"{finding.severity}: {finding}")


Installed = Hook | connect.RemoteOnly
"""What `install` gives: `remove` takes it back."""
