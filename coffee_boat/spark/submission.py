"""ConfPatch -> a submission, and the texts that people may have of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from coffee_boat._support.logs import logger
from coffee_boat._support.redact import redact_setting
from coffee_boat.model import SQL_PYTHON, ConfPatch, Finding, SparkFacts
from coffee_boat.model.hidden import Redacted
from coffee_boat.spark.defaults import properties
from coffee_boat.spark.install import Spark
from coffee_boat.spark.keys import DEPLOY_MODE, DRIVER_PYTHON, MARK, MASTER, PYTHON

_log = logger(__name__)


@dataclass(frozen=True, repr=False)
class Order(Redacted):
    """All that one submission sets. What it shows holds no credentials; its values may."""

    spark: Spark
    master: str
    deploy_mode: str
    conf: Mapping[str, str]
    """What the environment needs, without the master, the deploy mode and the user's other
    settings.
    """
    user_conf: Mapping[str, str] = field(repr=False)
    """The user's own settings, complete."""
    findings: tuple[Finding, ...] = ()
    functions: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    """Python functions for a program of the JVM, as `_describe.py` describes them."""

    @property
    def complete(self) -> dict[str, str]:
        """Every setting of the submission."""
        return {**self.user_conf, **self.conf, MASTER: self.master, DEPLOY_MODE: self.deploy_mode}


def order(spark: Spark, facts: SparkFacts, patch: ConfPatch) -> Order:
    """All that must be set for a patch."""
    conf = {
        **patch.conf,
        PYTHON: patch.python,
        **{f"spark.executorEnv.{name}": value for name, value in patch.environment.items()},
    }
    if facts.deploy_mode == "client":
        # spark-submit runs the script itself with the executors' interpreter unless the driver's is
        # named (org.apache.spark.deploy.PythonRunner).
        conf[DRIVER_PYTHON] = facts.conf.get(DRIVER_PYTHON) or facts.python
    theirs = {
        key: value
        for key, value in facts.conf.items()
        if key != DRIVER_PYTHON or facts.deploy_mode == "client"
    }
    _log.info(
        "set for spark-submit:\n%s",
        "\n".join(f"  {key}={redact_setting(key, value)}" for key, value in sorted(conf.items())),
    )
    return Order(
        spark=spark,
        master=facts.master,
        deploy_mode=facts.deploy_mode,
        conf=conf,
        user_conf=theirs,
        findings=patch.findings,
    )


# an Order as text


def as_arguments(order: Order) -> str:
    """Arguments of spark-submit, quoted for a shell, on one line."""
    return shlex.join(
        [
            "--master",
            order.master,
            "--deploy-mode",
            order.deploy_mode,
            *(
                word
                for key, value in sorted(order.conf.items())
                for word in ("--conf", f"{key}={value}")
            ),
        ]
    )


def as_properties(order: Order) -> str:
    """A file for spark-submit --properties-file, or lines for spark-defaults.conf."""
    return properties({**order.conf, MASTER: order.master, DEPLOY_MODE: order.deploy_mode})


def as_json(order: Order) -> str:
    """An object with `master`, `deployMode` and `conf`; Livy and Airflow take `conf` as it is."""
    return (
        json.dumps(
            {
                "master": order.master,
                "deployMode": order.deploy_mode,
                "conf": dict(sorted(order.conf.items())),
            },
            indent=2,
        )
        + "\n"
    )


def as_yaml(order: Order) -> str:
    """The part of a SparkApplication (sparkoperator.k8s.io/v1beta2) that says it."""
    lines = [
        f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(order.conf.items())
    ]  # a JSON string is a YAML string
    return "\n".join(["spec:", f"  mode: {order.deploy_mode}", "  sparkConf:", *lines]) + "\n"


def as_connect_server(order: Order) -> str:
    """Lines for the spark-defaults.conf of a Spark Connect server: its sessions have the
    environment from the start, and a client that has the same lock sends nothing.

    Python works in a folder of its session there, one below the executor's, where archives are
    (org.apache.spark.executor.Executor.IsolatedSessionState).
    """
    own = (DRIVER_PYTHON, PYTHON)  # the server runs no Python, and its sessions read another one
    conf = {key: value for key, value in order.conf.items() if key not in own}
    conf[SQL_PYTHON] = order.conf[PYTHON]
    for key, value in conf.items():
        if value.startswith("./") and (key == SQL_PYTHON or key.startswith(MARK)):
            conf[key] = f".{value}"
    return properties({**conf, MASTER: order.master})
