"""HDFS, where Spark on YARN puts what containers are to have: whether it is there, takes files, and
has room.

Asked over HTTP: the NameNode's metrics (/jmx) and WebHDFS. Where those are closed, nothing is
known, and Spark finds out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from coffee_boat._support.urls import lenient
from coffee_boat._support.words import GIB, human_bytes, spark_bytes
from coffee_boat.clusters.yarn.daemons import NoAnswer, Service, refuse_unreachable, shaped
from coffee_boat.clusters.yarn.hadoop import Configuration
from coffee_boat.errors import LaunchError, Problem
from coffee_boat.model import Finding

_BLOCK = "134217728"
_BEANS = "Hadoop:service=NameNode,name="


def probe(settings: Configuration, staging: str) -> tuple[Finding, ...]:
    """What looks odd.

    Args:
        staging: spark.yarn.stagingDir; empty for the user's own folder.

    Raises:
        LaunchError: no NameNode answers, it is in safe mode, there is no room, or this user may not
            write.
    """
    namenodes = settings.namenodes()
    if not namenodes:
        return tuple(_other_file_system(settings))
    where = settings.folder or "spark.hadoop.*"
    refuse_unreachable(
        namenodes,
        "cluster.hdfs-unreachable",
        "HDFS cannot be reached",
        cure=(
            "check that the NameNode runs, that no firewall is between, and fs.defaultFS in"
            f" {where}"
        ),
    )
    active = _active(namenodes)
    if active is None:
        return ()
    _refuse_safe_mode(active)
    _refuse_full(settings, active)
    home = lenient(staging or f"/user/{settings.user}")
    if (
        settings.user
        and not settings.secure
        and (not home.scheme or home.netloc in ("", lenient(settings.get("fs.defaultFS")).netloc))
    ):
        _refuse_closed(settings, active, home.path.rstrip("/") or "/")
    return ()


def _other_file_system(settings: Configuration) -> Iterator[Finding]:
    root = settings.get("fs.defaultFS", "file:///")
    if lenient(root).scheme in ("", "file"):
        where = settings.folder or "spark.hadoop.*"
        yield Finding(
            "cluster.files-not-shared",
            "YARN's nodes are given files of this machine's own disk",
            value=f"fs.defaultFS={root} in {where}",
            cause=(
                "core-site.xml is not there, or does not name the cluster's file system:"
                " containers fail with FileNotFoundException"
            ),
            cure="let HADOOP_CONF_DIR name a folder that has the cluster's core-site.xml",
        )


# who is there


def _active(namenodes: Sequence[Service]) -> Service | None:
    """The NameNode that serves; None if none says so over HTTP."""
    return next(
        (
            namenode
            for namenode in namenodes
            if _bean(namenode, "NameNodeStatus").get("State") == "active"
        ),
        None,
    )


def _bean(namenode: Service, name: str) -> Mapping[str, Any]:
    """One of the NameNode's groups of metrics; empty if it does not tell."""
    try:
        with shaped("metrics"):
            return dict((namenode.ask("/jmx", qry=f"{_BEANS}{name}").get("beans") or [{}])[0])
    except NoAnswer:
        return {}


# whether it takes files


def _refuse_safe_mode(namenode: Service) -> None:
    words = str(_bean(namenode, "NameNodeInfo").get("Safemode", ""))
    if words:
        raise LaunchError(
            "ship.hdfs-safe-mode",
            "HDFS is in safe mode and takes no files",
            value=f"{namenode.host}:{namenode.port}",
            cause=words.partition("\n")[0],
            cure=(
                "wait until it leaves it by itself (hdfs dfsadmin -safemode wait); an administrator"
                " can end it: hdfs dfsadmin -safemode leave"
            ),
        )


def _refuse_full(settings: Configuration, namenode: Service) -> None:
    state, block = _bean(namenode, "FSNamesystemState"), _block(settings)
    free = state.get("CapacityRemaining")
    if state.get("NumLiveDataNodes") == 0:
        raise LaunchError(
            "cluster.no-live-datanode",
            "HDFS has no live DataNode",
            value=f"{namenode.host}:{namenode.port}",
            cause="none is registered: nothing can be written",
            cure="hdfs dfsadmin -report shows them; an administrator has to start them",
        )
    if isinstance(free, int) and free < block:
        raise LaunchError(
            "cluster.hdfs-full",
            "HDFS is full",
            value=(
                f"{human_bytes(free)} of {int(state.get('CapacityTotal', 0)) / GIB:.1f} GiB are"
                " free"
            ),
            cause=f"a file takes a block of {human_bytes(block)} at least while it is written",
            cure="free some room (hdfs dfs -expunge empties the trash), or ask an administrator",
        )


def _refuse_closed(settings: Configuration, namenode: Service, home: str) -> None:
    """The folder below which Spark puts its files may be missing, closed, or at its quota."""
    folder = home
    while not _exists(settings, namenode, folder):
        folder = folder.rpartition("/")[0] or "/"
    _refuse_not_allowed(settings, namenode, home, folder)
    _refuse_quota(settings, namenode, folder)


def _exists(settings: Configuration, namenode: Service, folder: str) -> bool:
    try:
        _webhdfs(settings, namenode, folder, "GETFILESTATUS")
    except NoAnswer as error:
        return folder == "/" or "File does not exist" not in str(
            error
        )  # where nothing can be asked, nothing is looked for
    return True


_CLOSED = Problem("cluster.hdfs-folder-forbidden", "you may not write to your folder in HDFS")
_NO_FOLDER = Problem(
    "cluster.hdfs-folder-missing", "you have no folder in HDFS, and may not make it"
)


def _refuse_not_allowed(settings: Configuration, namenode: Service, home: str, folder: str) -> None:
    try:
        _webhdfs(settings, namenode, folder, "CHECKACCESS", fsaction="-wx")
    except NoAnswer as error:
        if "Permission denied" in str(error):
            fault = _CLOSED if folder == home else _NO_FOLDER
            raise LaunchError(
                fault.code,
                fault.what,
                value=home,
                cause=str(error).partition("HTTP 403 ")[2],
                cure=(
                    f"an administrator has to: hdfs dfs -mkdir -p {home}; hdfs dfs -chown"
                    f" {settings.user} {home}; or name one of yours:"
                    " spark.yarn.stagingDir=hdfs:///..."
                ),
            ) from error


def _refuse_quota(settings: Configuration, namenode: Service, home: str) -> None:
    try:
        with shaped("quotas"):
            told = _webhdfs(settings, namenode, home, "GETCONTENTSUMMARY").get("ContentSummary", {})
            quota, used = int(told.get("spaceQuota", -1)), int(told.get("spaceConsumed", 0))
    except NoAnswer:
        return
    block = _block(settings) * int(settings.get("dfs.replication", "3"))
    if 0 <= quota < used + block:
        raise LaunchError(
            "cluster.hdfs-quota-reached",
            "your folder in HDFS is at its quota",
            value=f"{home} uses {human_bytes(used)} of {human_bytes(quota)}, replicas counted",
            cause=(
                f"an administrator limits it, and a file takes a block of {human_bytes(block)} at"
                " least while it is written"
            ),
            cure=(
                "delete what is not needed there, or name another folder:"
                " spark.yarn.stagingDir=hdfs:///..."
            ),
        )


def _block(settings: Configuration) -> int:
    """Bytes that a file takes at least while it is written: HDFS reserves a whole block."""
    return spark_bytes(settings.get("dfs.blocksize", _BLOCK), unit=1) or int(_BLOCK)


def _webhdfs(
    settings: Configuration, namenode: Service, path: str, operation: str, **parameters: str
) -> dict[str, Any]:
    return namenode.ask(
        f"/webhdfs/v1{quote(path)}", op=operation, **{"user.name": settings.user}, **parameters
    )
