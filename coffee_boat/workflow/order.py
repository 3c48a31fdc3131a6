"""A request -> a submission: run by spark-submit here, or told to Airflow, Livy and others."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from coffee_boat._support import files
from coffee_boat._support.progress import say_line
from coffee_boat.clusters import kind_of, takes_files_only
from coffee_boat.errors import LaunchError
from coffee_boat.model import ClusterFacts, Finding, Function, SparkFacts, Target
from coffee_boat.spark import class_data, install, java, program, script, submission
from coffee_boat.spark import facts as spark_facts
from coffee_boat.spark.keys import DRIVER_PYTHON, PY_FILES, PYTHON
from coffee_boat.spark.program import Program
from coffee_boat.workflow import functions, launch, own_code, shipping, submit
from coffee_boat.workflow.built import Built, built_of, nodes
from coffee_boat.workflow.changing import Changing
from coffee_boat.workflow.driver import driver_python
from coffee_boat.workflow.expose import folders
from coffee_boat.workflow.starting import unpacks
from coffee_boat.workflow.tools import Tools

Ask = Callable[[Tools, SparkFacts, Callable[[], Target]], ClusterFacts]


@dataclass(frozen=True)
class Where:
    """What a submission says of its cluster, over what spark-defaults.conf says."""

    master: str | None = None
    deploy_mode: str | None = None
    conf: Mapping[str, str] | None = None
    spark_defaults: bool = True
    """Read spark-defaults.conf."""


def asked(tools: Tools, facts: SparkFacts, target: Callable[[], Target]) -> ClusterFacts:
    """What the cluster says, where nothing is refused: who submits may do so from elsewhere. It is
    shown.
    """
    cluster = launch.ask_gently(tools, facts, target, severity="warning")
    tools.emit(cluster.findings)
    return cluster


def header(work: Changing, path: str | Path | None) -> str | Path | None:
    """The script, if it says what it needs (PEP 723) and no lock file says it all.

    Raises:
        LaunchError: it asks for another Python.
        RequirementError: what it says cannot be read.
    """
    said = script.read_header(path) if path is not None else None
    if said is None:
        return None
    script.refuse_other_python(said, nodes(work.tools, *work.wanted()).python)
    return path if work.request.lock_file is None else None


def _not_sent(path: Path, sent: str, code: Iterable[str]) -> Iterator[Finding]:
    """Of the script's own modules, those that executors will not have.

    Args:
        sent: what Spark sends along.
        code: modules that we send.
    """
    names = {*code, *(name.rpartition("/")[2].partition(".")[0] for name in sent.split(","))}
    for place in script.imports_beside(path):
        if place.stem not in names:
            yield Finding(
                "launch.own-module-not-sent",
                "the script imports a module beside it that executors do not have",
                value=place.name,
                cause="it is your own code and no package: functions that use it are pickled with"
                " its name only",
                cure=f"if a function on executors uses it: boat launch --local {place}",
                severity="note",
            )


def order(work: Changing, where: Where, ask: Ask) -> submission.Order:
    """All that a submission sets, with the environment built and shipped.

    Args:
        ask: `launch.ask`, which refuses, or `asked`.

    Raises:
        BoatError: as `Captain.submit`.
    """
    tools, request, known = work.here, work.request, work.in_session()
    tools.reporter.begin()
    tools.emit(install.fitting(refuse_unknown=tools.refuses_untested))
    spark = install.find_spark()
    launch.refuse_other_minor(tools, request, known)
    facts = spark_facts.facts_of(
        spark,
        master=where.master,
        deploy_mode=where.deploy_mode,
        conf=where.conf,
        spark_defaults=where.spark_defaults,
    )
    kind = kind_of(facts.master)  # what is none is refused before anything is built
    if takes_files_only(facts.master):
        kind.check_submission(facts, None)
    cluster = ask(tools, facts, partial(nodes, tools, request, known))
    with tools.work() as say:
        built = built_of(tools, request, known, say)
        entries = folders(tools, built.lock, built.archive.chunks, say)
    work.keep(built)
    facts = replace(facts, python=driver_python(entries, tools.store))
    described = functions.described(
        tools, built, work.functions, python=facts.python, conf=facts.conf
    )
    patch = shipping.patch(tools, built, facts, cluster)
    tools.emit(patch.findings)
    return replace(submission.order(spark, facts, patch), functions=described)


def for_python(work: Changing, where: Where) -> submission.Order:
    """The same for what others submit, with a driver in Python.

    Raises:
        BoatError: as `order`; functions are given, which are for programs of the JVM.
    """
    refuse_functions(work.functions, "the driver")
    return order(work, where, asked)


def for_jvm(work: Changing, where: Where) -> submission.Order:
    """The same for a Spark that starts by itself, with no Python driver: spark-sql, spark-shell,
    the Thrift server.

    Raises:
        BoatError: as `order`.
    """
    made = order(work, where, asked)
    work.tools.emit([_data_sources(made)])
    return replace(made, conf={**made.conf, **program.for_jvm(made)})


def _data_sources(made: submission.Order) -> Finding:
    python = made.conf.get(DRIVER_PYTHON) or made.conf[PYTHON]
    return Finding(
        "launch.data-sources-need-python",
        "data sources in Python need one more variable where Spark is started",
        value=f"PYSPARK_PYTHON={python}",
        cause="the driver's JVM asks a Python for them; functions need none there",
        cure=f"if you use them: export PYSPARK_PYTHON={shlex.quote(python)}",
        severity="note",
    )


def program_of(
    work: Changing, where: Where, path: str | Path | None, main_class: str | None
) -> Program | None:
    """The program of the JVM that is to run; None if it is Python.

    Raises:
        LaunchError: its jar or its class is not there; or functions are given, and it is Python.
    """
    if path is None or not program.is_one(path, main_class):
        refuse_functions(work.functions, str(path or "an interactive pyspark"))
        return None
    if not work.functions:  # spark-submit looks for the class, also where we would not
        if str(path).lower().endswith(".jar"):
            program.refuse_unreadable(path)
        return Program(str(path), main_class or "")
    facts = spark_facts.facts_of(
        install.find_spark(), conf=where.conf, spark_defaults=where.spark_defaults
    )  # spark-defaults.conf may name more jars
    return program.program(path, main_class, facts.conf)


def refuse_connect(driver: str, asked: Sequence[Function]) -> None:
    """Raise if sessions of a Spark Connect server were to have functions.

    Raises:
        LaunchError: they were.
    """
    if driver == "jvm" or asked:
        raise LaunchError(
            "functions.connect-server",
            "sessions of a Spark Connect server cannot be given functions from outside",
            value=_listed(asked) or "connect-server with a driver in the JVM",
            cause="each of its sessions has files and settings of its own",
            cure="in Python, in each session: captain.add_function, after captain.board(spark)",
        )


def refuse_functions(asked: Sequence[Function], what: str) -> None:
    """Raise if functions are given for what is Python.

    Raises:
        LaunchError: they are.
    """
    if asked:
        raise LaunchError(
            "functions.python-program",
            "functions are for programs of the JVM",
            value=_listed(asked),
            cause=f"{what} is Python",
            cure="in Python: spark.udf.register(NAME, FUNCTION); or name a jar: boat launch"
            " --function ... --class com.example.Main app.jar; for spark-sql: boat conf --driver"
            " jvm --function ...",
        )


def _listed(asked: Sequence[Function]) -> str:
    return ", ".join(each.label for each in asked)


def run(
    work: Changing,
    where: Where,
    path: str | Path | None,
    arguments: Sequence[str],
    options: Sequence[str] = (),
    *,
    jvm: Program | None = None,
) -> int:
    """Run a script or a program of the JVM with spark-submit, to its end; without any, an
    interactive pyspark.

    Args:
        arguments: of the script.
        options: of spark-submit.
        jvm: the program, as `program_of` gives it.

    Returns:
        The application's exit code; 128 + n if signal n ended it.

    Raises:
        BoatError: as `Captain.submit`.
    """
    made = order(work, where, launch.ask)
    known = work.wanted()[1]
    if path is not None and jvm is None:
        code = own_code.on_the_driver(known.lock) if known is not None else ()
        work.tools.emit(_not_sent(files.named(path), made.complete.get(PY_FILES, ""), code))
    driver = None
    if jvm is not None and made.functions:
        driver = program.driver(jvm.main_class, made.functions)
        made = replace(made, conf={**made.conf, **program.with_jar(jvm, made.complete)})
    elif jvm is not None and jvm.main_class:
        options = ["--class", jvm.main_class, *options]
    if isinstance(known, Built) and not kind_of(made.master).runs_in_driver:
        say_line(f"Spark starts; {unpacks(known.archive)}")  # the terminal is spark-submit's then
    environment = dict(java.java_environment(work.tools.store, made.spark.home))
    classes = _classes(work.tools, made, environment.get("JAVA_HOME"))
    environment |= class_data.variables(classes)
    ended = submit.run(
        made, path, arguments, options=options, environment=environment, driver=driver
    )
    if (later := class_data.later(classes)) is not None:
        later.begin()
    return ended


def _classes(
    tools: Tools, made: submission.Order, java_home: str | None
) -> class_data.ClassData | None:
    """Spark's classes, for the JVM that spark-submit starts on this machine."""
    if not tools.settings.class_data:
        return None
    return class_data.of(tools.store, made.spark.home, java_home, made.complete)
