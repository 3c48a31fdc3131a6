"""What the user's own Hadoop configuration says, and asking Hadoop's daemons over HTTP.

Hadoop's own client reads core-site.xml, hdfs-site.xml and yarn-site.xml in HADOOP_CONF_DIR, and Spark lays its settings that begin
with `spark.hadoop.` over them. Both need a JVM; what is known here is known before one was started.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementInclude

from coffee_boat.errors import LaunchError

_FILES = ("core-site.xml", "hdfs-site.xml", "yarn-site.xml")
_FOLDERS = ("HADOOP_CONF_DIR", "YARN_CONF_DIR")
_SPARK = "spark.hadoop."
_REFERENCE = re.compile(r"\$\{([^${}\s]+)\}")
_CONNECT, _ANSWER = 3.0, 5.0
"""Seconds: a daemon that is there accepts at once."""


class NoAnswer(Exception):  # noqa: N818 - an answer that is not there, which callers take as one
    """A daemon did not answer a question over HTTP; the text says why."""


@dataclass(frozen=True)
class Service:
    """One daemon: where its clients call it, and where it speaks HTTP."""

    host: str
    port: int
    url: str
    """Scheme, host and port."""

    def reachable(self) -> str:
        """Connect to its port; empty if that went well, else what the system said."""
        try:
            with socket.create_connection((self.host, self.port), timeout=_CONNECT):
                return ""
        except (OSError, UnicodeError) as error:  # the latter for what cannot be a host's name, as one that begins with a dot
            return str(error)

    def ask(self, path: str, **parameters: str) -> dict[str, Any]:
        """GET a JSON object.

        Raises:
            NoAnswer: refused, not allowed, or no JSON.
        """
        try:
            told = json.loads(get(f"{self.url}{path}", **parameters))
        except ValueError as error:
            raise NoAnswer(f"{self.url}{path}: {error}") from error
        if not isinstance(told, dict):
            raise NoAnswer(f"{self.url}{path}: no object")
        return told


def refused_by_all(services: Sequence[Service]) -> str:
    """Why none of these can be reached; empty if one can."""
    refusals: dict[str, None] = {}
    for service in services:
        refusal = service.reachable()
        if not refusal:
            return ""
        refusals[refusal] = None
    return "; ".join(refusals)


def get(url: str, **parameters: str) -> bytes:
    """What a daemon answers to a GET.

    Raises:
        NoAnswer: it is not there, or refuses; with its own words.
    """
    import http.client
    import urllib.error
    import urllib.parse
    import urllib.request

    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # as Hadoop's own client, which knows no proxies: these hosts are near
    query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
    try:
        with direct.open(urllib.request.Request(f"{url}{query}", headers={"Accept": "application/json, */*"}), timeout=_ANSWER) as answer:  # noqa: S310 - http or https, by how it is made
            body: bytes = answer.read()
    except urllib.error.HTTPError as error:
        raise NoAnswer(f"{url}: HTTP {error.code} {_words(error.read())}".strip()) from error
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        raise NoAnswer(f"{url}: {error}") from error
    return body


@dataclass(frozen=True)
class Configuration:
    """Hadoop's settings, as its client sees them."""

    folder: str
    """Where they were read; empty if the user's Spark settings hold all of them."""
    settings: Mapping[str, str]

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
    def user(self) -> str:
        """Who we are to a cluster without Kerberos."""
        return os.environ.get("HADOOP_USER_NAME") or getpass.getuser()

    def managers(self) -> tuple[Service, ...]:
        """The ResourceManagers, of which one is active."""
        ids = self._listed("yarn.resourcemanager.ha.rm-ids") if self._says("yarn.resourcemanager.ha.enabled") else []
        return tuple(self._manager(f".{one}") for one in ids) or (self._manager(""),)

    def namenodes(self) -> tuple[Service, ...]:
        """The NameNodes of the default file system, of which one is active; none if that is not HDFS."""
        root = urlsplit(self.get("fs.defaultFS", "file:///"))
        if root.scheme != "hdfs" or not root.hostname:
            return ()
        ids = self._listed(f"dfs.ha.namenodes.{root.netloc}")
        return tuple(self._namenode(self.get(f"dfs.namenode.rpc-address.{root.netloc}.{one}"), f".{root.netloc}.{one}") for one in ids) or (self._namenode(root.netloc, ""),)

    def _manager(self, suffix: str) -> Service:
        host = self.get(f"yarn.resourcemanager.hostname{suffix}", self.get("yarn.resourcemanager.hostname", "0.0.0.0"))  # noqa: S104 - yarn-default.xml's
        secure = self.get("yarn.http.policy") == "HTTPS_ONLY"
        name, port = ("yarn.resourcemanager.webapp.https.address", 8090) if secure else ("yarn.resourcemanager.webapp.address", 8088)
        return _service(self.get(f"yarn.resourcemanager.address{suffix}", f"{host}:8032"), 8032, self.get(f"{name}{suffix}", f"{host}:{port}"), port, secure=secure)

    def _namenode(self, address: str, suffix: str) -> Service:
        secure = self.get("dfs.http.policy") == "HTTPS_ONLY"
        name, port = ("dfs.namenode.https-address", 9871) if secure else ("dfs.namenode.http-address", 9870)
        return _service(address, 8020, self.get(f"{name}{suffix}", f"{_host_and_port(address, 0)[0]}:{port}"), port, secure=secure)

    def _says(self, name: str) -> bool:
        return self.get(name).lower() == "true"

    def _listed(self, name: str) -> list[str]:
        return [part.strip() for part in self.get(name).split(",") if part.strip()]

    def _referred(self, name: str) -> str:
        """What ${name} stands for: another setting, ${env.NAME} with a default or without, or a property of the JVM."""
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
    over = {key.removeprefix(_SPARK): value for key, value in spark.items() if key.startswith(_SPARK)}
    named = [folder for name in _FOLDERS if (folder := os.environ.get(name))] or [found for found in [_said_by_spark()] if found]
    if named:
        folder = os.pathsep.join(dict.fromkeys(named))  # both are on the class path, in this order: of each file the first counts
        files = [next((path for path in (Path(each, file) for each in named) if path.is_file()), None) for file in _FILES]
        read = {name: value for path in files if path is not None for name, value in _properties(path)}
        if not read:
            raise _nothing_there(folder)
        return Configuration(folder, {**read, **over})
    if any(key.startswith("yarn.resourcemanager.") for key in over):
        return Configuration("", over)
    raise LaunchError(
        "YARN cannot be found: HADOOP_CONF_DIR is not set",
        value="neither HADOOP_CONF_DIR nor YARN_CONF_DIR in the environment",
        cause="without the cluster's own yarn-site.xml and core-site.xml Spark asks 0.0.0.0:8032 for minutes, and says nothing",
        cure="export HADOOP_CONF_DIR=/etc/hadoop/conf, or wherever they are (os.environ, before SparkContext(...))",
    )


def _said_by_spark() -> str:
    """HADOOP_CONF_DIR as conf/spark-env.sh sets it, in the plain ways: /etc/hadoop/conf, or ${HADOOP_CONF_DIR:-/etc/hadoop/conf}."""
    home = os.environ.get("SPARK_HOME")
    folder = os.environ.get("SPARK_CONF_DIR") or (home and str(Path(home, "conf")))
    script = Path(folder, "spark-env.sh") if folder else None
    if script is None or not script.is_file():
        return ""
    found = re.search(r"^[^#\n]*\b(?:HADOOP|YARN)_CONF_DIR=[\"']?(?:\$\{\w+:-)?(/[^\"'}\s;]+)", script.read_text("utf-8", "replace"), re.MULTILINE)
    return found[1] if found else ""


def _properties(path: Path) -> Iterator[tuple[str, str]]:
    try:
        root = ET.parse(path).getroot()  # noqa: S314 - the user's own file
    except (ET.ParseError, OSError) as error:
        raise LaunchError("Hadoop's configuration cannot be read", value=str(path), cause=str(error), cure="mend the file, or let HADOOP_CONF_DIR name another folder") from error
    _include(root, path)
    for each in root.iter("property"):
        name, value = each.findtext("name"), each.findtext("value")
        if name and value is not None:
            yield name.strip(), value


def _include(root: ET.Element, path: Path) -> None:
    """Put in what the file includes (XInclude); what is wrong with that, Hadoop's own client says."""
    try:
        ElementInclude.include(root, base_url=str(path))
    except (ET.ParseError, OSError, SyntaxError):
        return


def _nothing_there(folder: str) -> LaunchError:
    return LaunchError(
        "there is no Hadoop configuration in HADOOP_CONF_DIR",
        value=folder,
        cause=f"none of {', '.join(_FILES)} is there, or they say nothing",
        cure="let it name the folder that has the cluster's yarn-site.xml and core-site.xml: often /etc/hadoop/conf",
    )


def _service(address: str, port: int, web: str, web_port: int, *, secure: bool) -> Service:
    host, port = _host_and_port(address, port)
    web_host, web_port = _host_and_port(web, web_port)
    # A daemon that listens on all of its addresses is found where its clients find it.
    return Service(host, port, f"{'https' if secure else 'http'}://{host if web_host in ('', '0.0.0.0') else web_host}:{web_port}")  # noqa: S104


def _host_and_port(address: str, port: int) -> tuple[str, int]:
    host, colon, said = address.rpartition(":")
    return (host, int(said)) if colon and said.isdigit() else (address, port)


def _words(body: bytes) -> str:
    """What a RemoteException of Hadoop's says (WebHDFS and YARN's REST have one form)."""
    try:
        return str(json.loads(body)["RemoteException"]["message"]).strip().partition("\n")[0]
    except (ValueError, KeyError, TypeError):
        return ""
