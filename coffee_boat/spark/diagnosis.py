"""What the words of a loader, of Python or of Spark mean, when something does not start: what
happened, the usual cause, the cure.

    explain(text)         of a task that failed, on an executor
    explain_start(text)   of a SparkContext that did not come up

A new one is an entry of a table here and a heading in docs/guides/troubleshooting.md, which is
tested against this.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from coffee_boat._support.redact import redact
from coffee_boat.errors import Finding, Problem
from coffee_boat.spark.imports import IMPORTS, Symptom

_UNSET = (
    "unset PYSPARK_PYTHON and spark.pyspark.python, then captain.launch_ship() before the"
    " SparkContext"
)
ON_EXECUTORS = (
    Symptom(
        r"coffee_boat: the environment cannot be started on this node: (?P<why>[^\n]*)",
        Problem(
            "executor.not-unpacked",
            "a node cannot unpack the environment",
            cause="{why}; a full disk there, or the file to unpack is gone: from the driver's"
            " store, or since spark.files (on YARN spark.yarn.dist.files) was set anew"
            " (spark-submit --files)",
            cure="make room on that node, or launch again and let that setting be as it was set;"
            " or do without the node store: COFFEE_BOAT_NODE_STORE=off",
        ),
        of_the_node=True,
    ),
    Symptom(
        r"(?P<folder>\S*/boat-gen-[0-9a-f]+) cannot be composed: (?P<why>[^\n]*)",
        Problem(
            "executor.not-composed",
            "an executor cannot have the session's newest packages",
            cause="{why}; a full disk there, or a folder that cannot be written",
            cure="make room on that node; or go back to what the session had before:"
            " captain.rollback()",
        ),
        of_the_node=True,
    ),
    Symptom(
        r"error while loading shared libraries: (?P<library>[^:\s]+): [^\n]*",
        Problem(
            "executor.library-missing",
            "the executors' Python cannot start: a shared library is missing",
            cause="{library} is neither in the interpreter's archive nor on the node",
            cure='ship an interpreter that carries its libraries: Captain(python="3.X") without'
            " ship_python=False; not an archive of a plain venv",
        ),
    ),
    Symptom(
        r"version `?(?P<symbol>GLIBC_[\d.]+)'? not found[^\n]*",
        Problem(
            "executor.glibc-too-old",
            "the node's glibc is too old for what was shipped",
            cause="the interpreter or a wheel was built for {symbol}",
            cure=(
                'Captain(platform="manylinux_2_17_x86_64", python="3.X"): a standalone build of'
                " Python, and wheels for older systems"
            ),
        ),
        of_the_node=True,
    ),
    Symptom(
        r"version `?(?P<symbol>(?:GLIBCXX|CXXABI)_[\d.]+)'? not found[^\n]*",
        Problem(
            "executor.libstdcxx-too-old",
            "the node's libstdc++ is too old for what was shipped",
            cause="a wheel was built for {symbol}",
            cure='Captain(platform="manylinux_2_17_x86_64"), or unset LD_LIBRARY_PATH on the node',
        ),
    ),
    Symptom(
        r'Cannot run program "(?P<program>[^"]+)"[^\n]*error[=:] ?2\b[^\n]*',
        Problem(
            "executor.interpreter-missing",
            "the executors' interpreter is not there",
            cause=(
                "{program} does not exist on the node: the archive was not unpacked, or a setting"
                " names the driver's interpreter (or the node has no glibc at all, as Alpine)"
            ),
            cure=_UNSET,
        ),
        of_the_node=True,
    ),
    Symptom(
        r'Cannot run program "(?P<program>[^"]+)"[^\n]*error[=:] ?13\b[^\n]*',
        Problem(
            "executor.interpreter-not-executable",
            "the executors' interpreter may not be run",
            cause=(
                "{program} lies on a disk mounted noexec, or lost its run bit when it was unpacked"
            ),
            cure="let executors work on another disk: spark.local.dir, SPARK_WORKER_DIR,"
            " yarn.nodemanager.local-dirs",
        ),
    ),
    Symptom(
        # Java hands what the kernel refuses as no program to /bin/sh (ENOEXEC, the JDK's
        # childproc.c), which reads the ELF file as a script.
        r"(?<![^\s:])(?P<program>[^\s:]+/bin/python[\d.]*): "
        r"(?:(?:line )?\d+: (?:[Ss]yntax error|[^\n]*not found)|cannot execute binary file)[^\n]*",
        Problem(
            "executor.interpreter-other-architecture",
            "the executors' interpreter is for another architecture",
            cause=(
                "{program} was made for other processors than the node has, and a shell tried to"
                " read it"
            ),
            cure='Captain(platform="manylinux_2_28_aarch64"), or x86_64, as the nodes are',
        ),
        of_the_node=True,
    ),
    Symptom(
        r'Cannot run program "(?P<program>[^"]+)"[^\n]*error[=:] ?8\b[^\n]*',
        Problem(
            "executor.interpreter-other-architecture",
            "the executors' interpreter is for another architecture",
            cause="{program} was made for other processors than the node has",
            cure='Captain(platform="manylinux_2_28_aarch64"), or x86_64, as the nodes are',
        ),
        of_the_node=True,
    ),
    Symptom(
        r'Cannot run program "(?P<program>[^"]+)"[^\n]*',
        Problem(
            "executor.interpreter-unusable",
            "the executors' interpreter cannot be run",
            cause="the node refuses to start {program}",
            cure=_UNSET,
        ),
    ),
    Symptom(
        r"(?:PYTHON_VERSION_MISMATCH|Python in worker has different version)[^\n]*",
        Problem(
            "executor.other-python",
            "the executors run another Python minor version than the driver",
            cause="a setting names the nodes' own interpreter",
            cure=_UNSET,
        ),
    ),
    Symptom(
        r"No module named '?(?P<module>pyspark|py4j)\b[^\n]*",
        Problem(
            "executor.pyspark-missing",
            "the executors' Python has no {module}",
            cause=(
                "an interpreter runs that is not the shipped one, or the archive was cut while it"
                " was sent"
            ),
            cure=_UNSET,
        ),
    ),
    Symptom(
        r"(?:No module named 'encodings'|init_fs_encoding|Could not find platform independent"
        r" libraries)[^\n]*",
        Problem(
            "executor.python-library-missing",
            "the executors' Python does not find its own library",
            cause=(
                "PYTHONHOME is set on the node, or the archive was cut while it was sent or"
                " unpacked"
            ),
            cure=(
                "unset spark.executorEnv.PYTHONHOME, look for a full disk on the node, and start"
                " the session again"
            ),
        ),
    ),
    Symptom(
        r"No space left on device[^\n]*",
        Problem(
            "executor.disk-full",
            "a disk is full",
            cause="executors unpack the archive into their working directory",
            cure="free some space there, or set spark.local.dir",
        ),
    ),
    Symptom(
        r"(?:unexpected end of file|Truncated TAR archive|not in gzip format|Unexpected EOF in"
        r" archive|Error is not recoverable: exiting now)[^\n]*",
        Problem(
            "executor.archive-damaged",
            "an archive cannot be unpacked on a node",
            cause="it was cut while it was sent, or the disk is full",
            cure=(
                "look for a full disk on the node, then captain.launch_ship() and a new"
                " SparkContext"
            ),
        ),
    ),
    Symptom(
        r"(?:EOFException[^\n]*daemon|Bad data in pyspark\.daemon's|Python worker failed to connect"
        r" back|Failed to connect to the? ?Python daemon)[^\n]*",
        Problem(
            "executor.python-ends-early",
            "the executors' Python ends while it starts",
            cause=(
                "the archive was cut, the node killed it (memory), or something prints to stdout"
                " when Python starts (sitecustomize)"
            ),
            cure=(
                "look at the executors' stderr in the Spark UI; run the interpreter on that node"
                " by hand"
            ),
        ),
        of_the_node=True,
    ),
    Symptom(
        r"Python worker exited unexpectedly[^\n]*",
        Problem(
            "executor.worker-crashed",
            "a Python worker crashed",
            cause="it ran out of memory, or a native library broke",
            cure="give it more memory (spark.executor.memoryOverhead), or see where it broke: conf"
            ' spark.python.worker.faulthandler.enabled="true"',
        ),
    ),
    *IMPORTS,
    Symptom(
        r"(?:stopped SparkContext|SparkContext was shut down|SparkContext has been shutdown)[^\n]*",
        Problem(
            "session.stopped",
            "the Spark session was stopped",
            cause="somebody called stop(), or the cluster ended the application",
            cure="start the SparkContext or SparkSession again",
        ),
    ),
)

AT_START = (
    Symptom(
        r"No space left on device[^\n]*",
        Problem(
            "launch.driver-disk-full",
            "the driver's disk is full",
            cause="Spark unpacks archives at its side too",
            cure="free some space there, or set spark.local.dir",
        ),
    ),
    Symptom(
        r"(?:unexpected end of file|Truncated TAR archive|not in gzip format|Unexpected EOF in"
        r" archive|Error is not recoverable: exiting now)[^\n]*",
        Problem(
            "launch.archive-damaged",
            "the archive cannot be unpacked on the driver",
            cause=(
                "it was cut or changed where it lies (the store, or the stage), or the driver's"
                " disk is full"
            ),
            cure="look for a full disk at spark.local.dir (/tmp); then boat cache clear, and"
            " captain.launch_ship() again",
        ),
    ),
    Symptom(
        r"(?:Executor|System) memory (?P<size>\d+) must be at least (?P<least>\d+)[^\n]*",
        Problem(
            "launch.memory-too-small",
            "Spark needs more memory than it was given",
            cause="{size} bytes are below Spark's minimum of {least}",
            cure='conf={"spark.executor.memory": "512m", "spark.driver.memory": "1g"}, or more',
        ),
    ),
    Symptom(
        r"(?:All masters are unresponsive|Could not connect to spark://)[^\n]*",
        Problem(
            "launch.master-unreachable",
            "the cluster's master cannot be reached",
            cause="nobody answers there, or a Spark of another version",
            cure=(
                "check host and port (the page of the master's UI begins with its spark:// URL),"
                " that it runs, and that its Spark is of pyspark's minor version"
            ),
        ),
    ),
)


OF_A_NODE = frozenset(symptom.problem.code for symptom in ON_EXECUTORS if symptom.of_the_node)
"""Codes."""
_TEXT, _LINE = 1 << 20, 2000
"""Characters of a text, and of each line in it, that are looked through."""
_NODE = re.compile(r"\((?P<node>[^\s(]+) executor (?P<executor>[\w-]+)\)")


def explain(text: str) -> Finding | None:
    """What Spark's text about a failed job means: the node, the loader's own words, the cause and
    the cure; None if it is not known.

    Args:
        text: a Py4JJavaError or PythonException as text, or lines of an executor's stderr.
    """
    return _first(text, ON_EXECUTORS)


def explain_start(text: str) -> Finding | None:
    """What Spark's text about a context that did not come up means; None if it is not known."""
    return _first(text, AT_START)


def _shortened(text: str) -> str:
    """A task can put anything into its exception, and each expression looks at each line anew from
    each place that it may begin at.
    """
    lines = text[:_TEXT].splitlines()
    return "\n".join(line[:_LINE] for line in lines)


def _first(text: str, symptoms: Iterable[Symptom]) -> Finding | None:
    text = _shortened(text)
    for symptom in symptoms:
        found = re.search(symptom.pattern, text)
        if found:
            named = {key: value or "" for key, value in found.groupdict().items()}
            named = {
                **named,
                **(symptom.more(named, text) if symptom.more else {}),
            }
            where = _NODE.search(text)
            node = f" on {where['node']} (executor {where['executor']})" if where else ""
            said = redact(found.group(0).strip())
            problem = symptom.problem
            return Finding(
                problem.code,
                problem.what.format(**named),
                value=said + node,
                cause=problem.cause.format(**named),
                cure=problem.cure.format(**named),
                severity="error",
            )
    return None
