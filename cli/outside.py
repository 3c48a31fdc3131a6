"""`boat unpack` and `boat exec`: an archive outside of Spark; and what `boat conf --for` prints."""

from __future__ import annotations

import shlex
from collections.abc import Collection

import click
from click.core import ParameterSource

from coffee_boat._support.progress import say_line
from coffee_boat.cli import render, stored
from coffee_boat.cli.verbose import Command
from coffee_boat.errors import Finding
from coffee_boat.model import Archive


@click.command(cls=Command)
@click.argument("archive", type=click.Path())
@click.argument("folder", metavar="DIR", type=click.Path())
def unpack(archive: str, folder: str) -> None:
    """Unpack ARCHIVE, which `boat pack` wrote, into DIR, ready to run: its Python is
    DIR/bin/python.

    DIR must be empty, or not be there yet. Do not move it afterwards: with conda packages, files in
    it name it.
    """
    from coffee_boat.workflow import outside

    made = outside.unpack(archive, folder)
    for line in made.issues:
        say_line(f"warning: {line}")
    if made.why_not_here:
        found = Finding("build.not-for-here", "it does not run here", value=made.why_not_here)
        render.tell(found)
    click.echo(made.program if made.has_python else made.folder)


@click.command(
    "exec",
    cls=Command,
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True},
)
@stored.option
@click.argument("archive", type=click.Path())
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(store: str | None, archive: str, command: tuple[str, ...]) -> None:
    """Run COMMAND with the Python and the programs of ARCHIVE; ends with its exit code.

    \b
    boat exec boat.tar.gz -- python job.py

    ARCHIVE is what `boat pack` wrote, which is unpacked in the store, once; or a folder that `boat
    unpack` made.
    """
    from coffee_boat.workflow import outside

    words = command[1:] if command[0] == "--" else command
    if not words:
        raise click.UsageError("Missing argument 'COMMAND...'.")
    click.get_current_context().exit(outside.run(archive, words, stored.opened(store)))


# what is typed elsewhere

SYSTEMS = ("flink", "beam", "ray", "dask")
"""What `boat conf --for` knows."""
NEEDS_PY4J = ("flink",)
"""Those whose Python starts with py4j, which is Spark's own here: it travels with pyspark."""


def refuse_spark(context: click.Context, system: str, others: Collection[str]) -> None:
    """Raise if something is said of Spark, where none runs.

    Args:
        others: parameters that are of packages.

    Raises:
        UsageError: something is.
    """
    given = [
        parameter.opts[-1]
        for parameter in context.command.params
        if parameter.name is not None
        and parameter.name not in others
        and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    ]
    if given:
        said = ", ".join(given)
        raise click.UsageError(f"no Spark runs with --for {system}: leave out {said}")


def how_to(system: str, archive: Archive) -> str:
    """What is typed there to run with an archive."""
    text = {"flink": _FLINK, "beam": _BEAM, "ray": _RAY, "dask": _DASK}[system]
    return (
        (_STAYS + text.lstrip())
        .format(
            shell=shlex.quote(archive.path),
            literal=repr(archive.path),
            minor=archive.target.minor,
            pack="boat pack" if system in NEEDS_PY4J else "boat pack --no-pyspark",
        )
        .strip()
    )


_STAYS = """\
# this archive lies in the store, where boat cache prune may remove it; one that is to stay:
# {pack} -o FILE.tar.gz, with the same options
"""
_FLINK = """
# Flink unpacks the archive on each TaskManager; apache-flink must be in it (--pip apache-flink).
# Its py4j is the driver's, which this archive has
flink run \\
  --pyArchives {shell}#boat \\
  --pyExecutable boat/bin/python{minor} \\
  --python job.py

# or in the program; the second of a TableEnvironment: env.get_config().set_python_executable
env.add_python_archive({literal}, "boat")
env.set_python_executable("boat/bin/python{minor}")

# a program that is not given to flink run starts a MiniCluster, whose functions run in its own
# Python unless that is said before:
export _python_worker_execution_mode=process
"""
_BEAM = """
# on each worker, at the same place; apache-beam must be in it, in the version that you submit with
boat unpack {shell} /opt/boat

# options of the pipeline, for runners that start a process (Flink, Spark)
--environment_type=PROCESS
--environment_config='{{"command": "/opt/boat/bin/beam-boot"}}'

# or a pool of workers that you start yourself on each
/opt/boat/bin/python{minor} -m apache_beam.runners.worker.worker_pool_main --service_port=50000
--environment_type=EXTERNAL
--environment_config=localhost:50000
"""
_RAY = """
# on each node, at the same place; ray must be in it
boat unpack {shell} /opt/boat
/opt/boat/bin/ray start --head
/opt/boat/bin/ray start --address=HEAD:6379   # on the others

# the program, with the same Python
/opt/boat/bin/python{minor} job.py

# or in a cluster that has another environment, with the same versions of Ray and Python
ray.init(runtime_env={{"py_executable": "/opt/boat/bin/python{minor}"}})
"""
_DASK = """
# on each node; distributed must be in it
boat unpack {shell} /opt/boat
/opt/boat/bin/dask scheduler
/opt/boat/bin/dask worker tcp://SCHEDULER:8786   # on the others

# by ssh, from Python
SSHCluster([...], remote_python="/opt/boat/bin/python{minor}")

# on YARN, where dask-yarn sources bin/activate; dask-yarn must be in it
YarnCluster(environment={literal})
"""
