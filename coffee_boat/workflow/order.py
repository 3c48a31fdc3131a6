"""A request -> a submission: run by spark-submit here, or told to Airflow, Livy and others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from coffee_boat._support.progress import say_line
from coffee_boat.clusters import kind_of, takes_files_only
from coffee_boat.model import ClusterFacts, Finding, SparkFacts, Target
from coffee_boat.spark import facts as spark_facts
from coffee_boat.spark import install, java, script, submission
from coffee_boat.spark.keys import PY_FILES
from coffee_boat.workflow import launch, own_code, submit
from coffee_boat.workflow.built import Built, built_of, nodes
from coffee_boat.workflow.driver import driver_python
from coffee_boat.workflow.expose import folders
from coffee_boat.workflow.starting import unpacks
from coffee_boat.workflow.tools import Tools
from coffee_boat.workflow.workspace import Workspace

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


def header(work: Workspace, path: str | Path | None) -> str | Path | None:
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


def order(work: Workspace, where: Where, ask: Ask) -> submission.Order:
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
        entries = folders(tools, built, say)
    work.keep(built)
    facts = replace(facts, python=driver_python(entries, tools.store))
    patch = launch.patch(tools, built, facts, cluster)
    tools.emit(patch.findings)
    return submission.order(spark, facts, patch)


def run(
    work: Workspace,
    where: Where,
    path: str | Path | None,
    arguments: Sequence[str],
    options: Sequence[str] = (),
) -> int:
    """Run a script with spark-submit, to its end; without a script, an interactive pyspark.

    Args:
        arguments: of the script.
        options: of spark-submit.

    Returns:
        The application's exit code; 128 + n if signal n ended it.

    Raises:
        BoatError: as `Captain.submit`.
    """
    made = order(work, where, launch.ask)
    known = work.wanted()[1]
    if path is not None:
        code = own_code.on_the_driver(known.lock) if known is not None else ()
        work.tools.emit(_not_sent(Path(path), made.complete.get(PY_FILES, ""), code))
    if isinstance(known, Built) and not kind_of(made.master).runs_in_driver:
        say_line(f"Spark starts; {unpacks(known.archive)}")  # the terminal is spark-submit's then
    environment = java.java_environment(work.tools.store, made.spark.home)
    return submit.run(made, path, arguments, options=options, environment=environment)
