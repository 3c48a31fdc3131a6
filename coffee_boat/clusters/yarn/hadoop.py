"""What the user's own Hadoop configuration says."""

from __future__ import annotations

import getpass
import itertools
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from coffee_boat._support import limits
from coffee_boat._support.files import is_file
from coffee_boat._support.redact import redact
from coffee_boat._support.urls import lenient
from coffee_boat.clusters.yarn.daemons import Service, host_and_port
from coffee_boat.errors import LaunchError
from coffee_boat.model import Finding

_FILES = ("core-site.xml", "hdfs-site.xml", "yarn-site.xml")
_FOLDERS = ("HADOOP_CONF_DIR", "YARN_CONF_DIR")
_SPARK = "spark.hadoop."
_FACTORY = "hadoop.rpc.socket.factory.class."
_INCLUDE, _FALLBACK = (
    f"{{http://www.w3.org/2001/XInclude}}{name}" for name in ("include", "fallback")
)
_REFERENCE = re.compile(r"\$\{([^${}\s]+)\}")

_INCLUDES = 1_000
"""Files that a configuration includes: two that include a third twice, and so on, are 2^n."""


@dataclass(frozen=True)
class Configuration:
    """Hadoop's settings, as its client sees them."""

    folder: str
    """Where they were read; empty if the user's Spark settings hold all of them."""
    settings: Mapping[str, str]
    findings: tuple[Finding, ...] = ()
    """What of the files could not be read."""

    def get(self, name: str, default: str = "") -> str:
        """A setting, with the other settings that it refers to put in."""
        value = self.settings.get(name, default)
        for _ in range(20):  # as Hadoop's own limit (Configuration.MAX_SUBST)
            found = _REFERENCE.search(value)
            if found is None:
                break
            value = value[: found.start()] + self._referred(found[1]) + value[found.end() :]
        return value.strip()

    @property
    def secure(self) -> bool:
        """True if daemons want Kerberos, which we do not speak."""
        return self.get("hadoop.security.authentication", "simple").lower() == "kerberos"

    @property
    def detour(self) -> str:
        """The class that Hadoop connects with, where it does not connect directly (SOCKS): its
        ports need not be open to us. Else empty.
        """
        classes = (self.get(name) for name in self.settings if name.startswith(_FACTORY))
        return next(
            (name for name in classes if name and not name.endswith(".StandardSocketFactory")), ""
        )

    @property
    def user(self) -> str:
        """Who we are to a cluster without Kerberos; empty for one whom this machine has no name
        for.
        """
        try:
            return os.environ.get("HADOOP_USER_NAME") or getpass.getuser()
        except (KeyError, OSError):
            return ""

    def managers(self) -> tuple[Service, ...]:
        """The ResourceManagers, of which one is active."""
        ids = (
            self._listed("yarn.resourcemanager.ha.rm-ids")
            if self._says("yarn.resourcemanager.ha.enabled")
            else []
        )
        return tuple(self._manager(f".{one}") for one in ids) or (self._manager(""),)

    def namenodes(self) -> tuple[Service, ...]:
        """The NameNodes of the default file system, of which one is active; none if that is not
        HDFS.
        """
        root = lenient(self.get("fs.defaultFS", "file:///"))
        if root.scheme != "hdfs" or not root.hostname:
            return ()
        ids = self._listed(f"dfs.ha.namenodes.{root.netloc}")
        addresses = {
            f".{root.netloc}.{one}": self.get(f"dfs.namenode.rpc-address.{root.netloc}.{one}")
            for one in ids
        } or {"": root.netloc}
        return tuple(
            self._namenode(address, suffix) for suffix, address in addresses.items() if address
        )

    def _manager(self, suffix: str) -> Service:
        host = self.get(
            f"yarn.resourcemanager.hostname{suffix}",
            self.get("yarn.resourcemanager.hostname", "0.0.0.0"),  # noqa: S104 - yarn-default.xml's
        )
        secure = self.get("yarn.http.policy") == "HTTPS_ONLY"
        name, port = (
            ("yarn.resourcemanager.webapp.https.address", 8090)
            if secure
            else ("yarn.resourcemanager.webapp.address", 8088)
        )
        return _service(
            self.get(f"yarn.resourcemanager.address{suffix}", f"{host}:8032"),
            8032,
            self.get(f"{name}{suffix}", f"{host}:{port}"),
            port,
            secure=secure,
        )

    def _namenode(self, address: str, suffix: str) -> Service:
        secure = self.get("dfs.http.policy") == "HTTPS_ONLY"
        name, port = (
            ("dfs.namenode.https-address", 9871) if secure else ("dfs.namenode.http-address", 9870)
        )
        return _service(
            address,
            8020,
            self.get(f"{name}{suffix}", f"{host_and_port(address, 0)[0]}:{port}"),
            port,
            secure=secure,
        )

    def _says(self, name: str) -> bool:
        return self.get(name).lower() == "true"

    def _listed(self, name: str) -> list[str]:
        return [part.strip() for part in self.get(name).split(",") if part.strip()]

    def _referred(self, name: str) -> str:
        """What ${name} stands for: another setting, ${env.NAME} with a default or without, or a
        property of the JVM.
        """
        if name.startswith("env."):
            variable, _, default = name[4:].partition(":-")
            return os.environ.get(variable.rstrip("-"), default)
        return self.settings.get(name, self.user if name == "user.name" else "")


def configuration(spark: Mapping[str, str]) -> Configuration:
    """Hadoop's settings for a driver of this process.

    Args:
        spark: the user's Spark settings; those that begin with spark.hadoop. win.

    Raises:
        LaunchError: there are none, or a file cannot be read.
    """
    over = {
        key.removeprefix(_SPARK): value for key, value in spark.items() if key.startswith(_SPARK)
    }
    named = [folder for name in _FOLDERS if (folder := os.environ.get(name))] or [
        found for found in [_said_by_spark()] if found
    ]
    if named:
        folder = os.pathsep.join(
            dict.fromkeys(named)
        )  # both are on the class path, in this order: of each file the first counts
        files = [
            next((path for path in (Path(each, file) for each in named) if is_file(path)), None)
            for file in _FILES
        ]
        odd: list[Finding] = []
        read = {
            name: value
            for path in files
            if path is not None
            for name, value in _properties(path, odd)
        }
        if not read:
            raise _nothing_there(folder)
        return Configuration(folder, {**read, **over}, tuple(odd))
    if any(key.startswith("yarn.resourcemanager.") for key in over):
        return Configuration("", over)
    raise LaunchError(
        "cluster.hadoop-conf-unset",
        "YARN cannot be found: HADOOP_CONF_DIR is not set",
        value="neither HADOOP_CONF_DIR nor YARN_CONF_DIR in the environment",
        cause=(
            "without the cluster's own yarn-site.xml and core-site.xml Spark asks 0.0.0.0:8032 for"
            " minutes, and says nothing"
        ),
        cure=(
            "export HADOOP_CONF_DIR=/etc/hadoop/conf, or wherever they are (os.environ, before"
            " SparkContext(...))"
        ),
    )


def _said_by_spark() -> str:
    """HADOOP_CONF_DIR as conf/spark-env.sh sets it, in the plain ways: /etc/hadoop/conf, or
    ${HADOOP_CONF_DIR:-/etc/hadoop/conf}.
    """
    home = os.environ.get("SPARK_HOME")
    folder = os.environ.get("SPARK_CONF_DIR") or (home and str(Path(home, "conf")))
    script = Path(folder, "spark-env.sh") if folder else None
    if script is None or not is_file(script):
        return ""
    try:
        text = script.read_text("utf-8", "replace")
    except OSError:  # Spark's own script says it, or another user's settings do not count
        return ""
    found = re.search(
        r"^[^#\n]*\b(?:HADOOP|YARN)_CONF_DIR=[\"']?(?:\$\{\w+:-)?(/[^\"'}\s;]+)", text, re.MULTILINE
    )
    return found[1] if found else ""


def _properties(path: Path, odd: list[Finding]) -> Iterator[tuple[str, str]]:
    try:
        root = _root(path)
    except (ET.ParseError, OSError) as error:
        raise LaunchError(
            "cluster.hadoop-conf-unreadable",
            "Hadoop's configuration cannot be read",
            value=str(path),
            cause=str(error),
            cure="mend the file, or let HADOOP_CONF_DIR name another folder",
        ) from error
    try:
        yield from _said_in(root, (path.resolve(),), odd, itertools.count())
    except RecursionError:
        raise LaunchError(
            "cluster.hadoop-conf-unreadable",
            "Hadoop's configuration cannot be read",
            value=str(path),
            cause="its elements, or the files that it includes, are nested too deeply",
            cure="mend the file, or let HADOOP_CONF_DIR name another folder",
        ) from None


def _said_in(
    element: ET.Element, files: tuple[Path, ...], odd: list[Finding], count: Iterator[int]
) -> Iterator[tuple[str, str]]:
    """Names and values in a file's order, those of included files in their place.

    Args:
        files: the one that this is in, last, and those that include it.
        odd: takes what cannot be included; the rest counts.
        count: of included files.
    """
    for child in element:
        if child.tag == "property":
            name, value = child.findtext("name"), child.findtext("value")
            if name and value is not None:
                yield name.strip(), value
        elif child.tag == _INCLUDE:
            yield from _included(child, files, odd, count)
        else:
            yield from _said_in(child, files, odd, count)


def _included(
    include: ET.Element, files: tuple[Path, ...], odd: list[Finding], count: Iterator[int]
) -> Iterator[tuple[str, str]]:
    """As Hadoop's own client does it (Configuration.Parser): a file that is not there has a
    fallback. ElementInclude of Python's knows none.
    """
    if len(odd) > _INCLUDES:
        return
    href = lenient(include.get("href", ""))
    path = files[-1].parent / unquote(href.path)
    fallback = include.find(_FALLBACK)
    if href.scheme in ("", "file") and fallback is not None and not is_file(path):
        yield from _said_in(fallback, files, odd, count)
        return
    try:
        if href.scheme not in ("", "file") or path.resolve() in files:
            raise OSError(
                "it is not on this machine"
                if href.scheme not in ("", "file")
                else "it includes itself"
            )
        if next(count) >= _INCLUDES:
            raise OSError(f"more than {_INCLUDES:,} files are included")
        root = _root(path)
    except (ET.ParseError, OSError) as error:
        cure = (
            f"mend the xi:include in {files[-1]}; an xi:fallback in it is for a file that may be"
            " missing"
        )
        odd.append(
            Finding(
                "cluster.hadoop-part-unreadable",
                "a part of Hadoop's configuration cannot be read",
                value=redact(include.get("href", "")),
                cause=str(error),
                cure=cure,
            )
        )
        return
    yield from _said_in(root, (*files, path.resolve()), odd, count)


def _root(path: Path) -> ET.Element:
    return ET.fromstring(  # noqa: S314 - the user's own file
        limits.read_bytes(path, limits.CONFIGURATION)
    )


def _nothing_there(folder: str) -> LaunchError:
    return LaunchError(
        "cluster.hadoop-conf-missing",
        "there is no Hadoop configuration in HADOOP_CONF_DIR",
        value=folder,
        cause=f"none of {', '.join(_FILES)} is there, or they say nothing",
        cure=(
            "let it name the folder that has the cluster's yarn-site.xml and core-site.xml: often"
            " /etc/hadoop/conf"
        ),
    )


def _service(address: str, port: int, web: str, web_port: int, *, secure: bool) -> Service:
    host, port = host_and_port(address, port)
    web_host, web_port = host_and_port(web, web_port)
    # A daemon that listens on all of its addresses is found where its clients find it.
    shown = host if web_host in ("", "0.0.0.0") else web_host  # noqa: S104
    return Service(host, port, f"{'https' if secure else 'http'}://{shown}:{web_port}")
