"""What a stage's driver raises, as a ShipError: the cluster's own words, and a cure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from coffee_boat._support.redact import redact
from coffee_boat.errors import BoatError, Problem, ShipError


class _Kind(NamedTuple):
    pattern: str
    """Found in the name or in the text of an exception."""
    problem: Problem


_KINDS = (
    _Kind(
        "SafeMode|safe mode",
        Problem(
            "ship.hdfs-safe-mode",
            "HDFS is in safe mode and takes no files",
            cure="wait until its DataNodes have reported, or ask its administrator: hdfs dfsadmin"
            " -safemode get",
        ),
    ),
    _Kind(
        r"SIMPLE authentication is not enabled|GSS initiate failed|Client cannot authenticate"
        r" via|GSSException",
        Problem(
            "ship.no-kerberos-ticket",
            "the stage asks for Kerberos, and there is no valid ticket",
            cure=(
                "kinit, and start Python again; or spark.kerberos.keytab and"
                " spark.kerberos.principal"
            ),
        ),
    ),
    _Kind(
        r"Incomplete HDFS URI|no host: hdfs",
        Problem(
            "ship.hdfs-unnamed",
            "the stage does not say which cluster, and no configuration of Hadoop does",
            cure=(
                "export HADOOP_CONF_DIR=<the folder with core-site.xml> before Python starts, or"
                " name it: hdfs://namenode:8020/boats"
            ),
        ),
    ),
    _Kind(
        r"No FileSystem for scheme|ClassNotFoundException|NoClassDefFoundError",
        Problem(
            "ship.no-hadoop-driver",
            "Spark's Hadoop has no driver for the stage",
            cure=(
                "put its jar where Spark's jars are, on the driver and on the executors; for"
                " s3a:// that is org.apache.hadoop:hadoop-aws of Hadoop's own version"
            ),
        ),
    ),
    _Kind(
        r"No space left|Disk quota exceeded|QuotaExceeded|could only be (written|replicated)"
        r" to|XMinioStorageFull|InsufficientCapacity",
        Problem(
            "ship.stage-full",
            "there is no space in the stage",
            cure=(
                "boat cache prune --stage URL removes what was not used for long; or ask for a"
                " larger quota, or for DataNodes with space"
            ),
        ),
    ),
    _Kind(
        r"NoCredentials|DefaultCredentials|PartialCredentials|ClientAuthenticationError|InvalidAccessKeyId|SignatureDoesNotMatch|Anonymous"
        r" caller|No AWS Credentials"
        r"|token.*expired|ExpiredToken",
        Problem(
            "ship.no-credentials",
            "the storage does not know you",
            cure="put credentials where the storage's own library looks: environment variables, a"
            " credentials file, the node's role; never in the URL",
        ),
    ),
    _Kind(
        r"AccessDenied|Forbidden|\b403\b|AuthorizationFailure",
        Problem(
            "ship.forbidden",
            "the storage refuses you",
            cure=(
                "look whether your credentials are those that you mean, and whether the bucket's"
                " policy lets them list, read and write there"
            ),
        ),
    ),
    _Kind(
        r"AccessControl|PermissionError|Permission denied|Operation not permitted",
        Problem(
            "ship.no-permission",
            "the stage may not be read or written by you",
            cure=(
                "ask its owner for the right to create files there (a folder for many people: mode"
                " 1777, or 1775 for a group), or use a stage of your own"
            ),
        ),
    ),
    _Kind(
        r"NoSuchBucket|bucket does not exist|ContainerNotFound",
        Problem(
            "ship.no-such-bucket",
            "there is no such bucket",
            cure="create it, or correct the stage; coffee_boat creates folders, never buckets",
        ),
    ),
    _Kind(
        r"UnknownHost|ConnectException|ConnectTimeout|NoRouteToHost|SocketTimeout|EndpointConnection|ClientConnector|ConnectionError|Connection"
        r" refused|NewConnection"
        r"|StandbyException|Name or service not known|failed on connection"
        r" exception|Py4JNetworkError",
        Problem(
            "ship.stage-unreachable",
            "the stage cannot be reached",
            cure=(
                "check the host in the URL, HADOOP_CONF_DIR or the endpoint's variable, and that"
                " this machine may connect to it"
            ),
        ),
    ),
    _Kind(
        "FileNotFound",
        Problem(
            "ship.no-such-folder",
            "there is no such bucket or folder",
            cure="create it, or correct the stage; coffee_boat makes folders, never buckets",
        ),
    ),
)
_ELSE = _Kind(
    "",
    Problem(
        "ship.stage-unusable",
        "the stage cannot be read or written",
        cure="check that the folder exists and that you may write there",
    ),
)
_LINES = 3


@contextmanager
def explained(url: str) -> Iterator[None]:
    """While it lasts, what a driver raises becomes a ShipError; a bug of ours stays one, and so
    does an error that has its cure already.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, BoatError) or not _of_a_driver(error):
            raise
        words = _words(error)
        kind = next(
            (kind for kind in _KINDS if re.search(kind.pattern, words, re.IGNORECASE)), _ELSE
        )
        problem = kind.problem
        raise ShipError(
            problem.code,
            problem.what,
            value=redact(url),
            cause=redact("\n".join(words.splitlines()[:_LINES])),
            cure=problem.cure.replace("--stage URL", f"--stage {redact(url)}"),
        ) from error


def _of_a_driver(error: Exception) -> bool:
    """Each driver has a family of its own; fsspec's WebHDFS raises plain RuntimeErrors, and what
    cannot write is not implemented.
    """
    return isinstance(error, (OSError, RuntimeError)) or type(error).__module__ != "builtins"


def _words(error: Exception) -> str:
    """The exceptions from the one that was raised to its first cause, Java's or Python's."""
    java = getattr(error, "java_exception", None)
    if java is not None:
        return "\n".join(
            line
            for text in _java_words(java)
            for line in text.splitlines()
            if not line.startswith("\tat ")
        )
    chain: list[BaseException] = []
    each = error.__cause__ or error.__context__
    while each is not None and len(chain) < _LINES:
        chain.append(each)
        each = each.__cause__ or each.__context__
    return "\n".join(f"{type(one).__name__}: {one}" for one in (error, *chain))


def _java_words(error: object) -> Iterator[str]:
    said = ""
    while error is not None:
        text = str(error.toString()).strip()  # type: ignore[attr-defined]
        if text not in said:
            yield text
        said, error = said + text, error.getCause()  # type: ignore[attr-defined]
