"""sc://host:15002: a Spark Connect server. Its executors get what its sessions are sent."""

from __future__ import annotations

from pathlib import Path

from coffee_boat._support.redact import redact
from coffee_boat.clusters import settings
from coffee_boat.errors import LaunchError
from coffee_boat.model import ClusterFacts, ConfPatch, Finding, Shipped, SparkFacts
from coffee_boat.spark import connect

_NO_CLUSTER_MODE = "a server is there already, and takes sessions of programs that run elsewhere"


class Connect:
    """Only files of the driver's machine can be sent to it, by the session itself."""

    name = "Spark Connect"
    example = "sc://host:15002"
    runs_in_driver = on_this_machine = False
    takes_files_only = True

    def matches(self, master: str) -> bool:
        """sc://host:15002, with parameters or without."""
        return connect.is_remote(master)

    def patch(self, facts: SparkFacts, shipped: Shipped, *, environment: Path | None) -> ConfPatch:  # noqa: ARG002  (of the protocol)
        """The interpreter: nothing else of Python workers is a setting of a session.

        Raises:
            LaunchError: the archive has none, or the deploy mode is "cluster".
        """
        settings.refuse_cluster_mode(facts, _NO_CLUSTER_MODE)
        if not shipped.archive.has_python:
            raise LaunchError(
                "launch.connect-needs-python",
                "packages alone cannot be sent to Spark Connect",
                value="ship_python=False",
                cause="a node's own Python finds them by PYTHONPATH, which no session can set",
                cure="leave out ship_python=False: the interpreter travels, too",
            )
        return ConfPatch(settings.unpacked(shipped.archive).python)

    def probe(self, facts: SparkFacts) -> ClusterFacts:
        """Whether somebody listens there.

        Raises:
            LaunchError: nobody does, or the deploy mode is "cluster".
        """
        settings.refuse_cluster_mode(facts, _NO_CLUSTER_MODE)
        connect.refuse_silent(facts.master)
        return ClusterFacts(
            connect.address(facts.master),
            not_known="a Spark Connect server tells nothing of its nodes",
        )

    def waiting(self, facts: SparkFacts, application: str | None) -> tuple[Finding, ...]:  # noqa: ARG002  (of the protocol)
        """The server's own log has it."""
        return ()

    def check_submission(self, facts: SparkFacts, script: str | None) -> None:  # noqa: ARG002  (of the protocol)
        """Nothing is submitted to a server.

        Raises:
            LaunchError: always.
        """
        settings.refuse_cluster_mode(facts, _NO_CLUSTER_MODE)
        raise LaunchError(
            "launch.connect-not-submitted",
            "spark-submit cannot bring the environment to a Spark Connect server",
            value=redact(facts.master),
            cause="the session that the script starts has to send it",
            cure=(
                "in the script, before its session: Captain().add_requirements(...).launch_ship();"
                " then run it with python"
            ),
        )

    def remote_driver(self, facts: SparkFacts) -> None:
        """The script's own process is the driver's side."""
