"""Stages that Spark's own Hadoop reaches, in a JVM: HDFS with the user's Kerberos ticket, HA and
configuration.

No byte of an archive passes through py4j, which would copy each one several times: the JVM reads
the local file itself, and it computes the digest itself.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from coffee_boat.ship.failures import explained
from coffee_boat.ship.places import OBJECT_STORES, Place, Status, scheme_of
from coffee_boat.spark.jvm import Hadoop

_AT_ONCE = OBJECT_STORES - {"abfs", "abfss"}
"""Object stores whose Hadoop driver shows a file when it is closed; Azure's shows it as it grows,
and renames it in one step.
"""

_HASTE = {
    "ipc.client.connect.max.retries": "3",
    "ipc.client.connect.max.retries.on.timeouts": "1",
    "ipc.client.connect.timeout": "10000",
}
"""Hadoop's own defaults wait a quarter of an hour for a host that does not answer."""


@contextmanager
def opened(url: str, hadoop: Hadoop) -> Iterator[Place]:
    """The stage by the FileSystem that Hadoop's configuration names for it; one of its own, closed
    at the end.
    """
    with (
        hadoop.jvm() as jvm,
        explained(url),
    ):  # while the JVM is there to say what its exceptions mean
        path = jvm.org.apache.hadoop.fs.Path(url)
        files = jvm.org.apache.hadoop.fs.FileSystem.newInstance(
            path.toUri(), _configuration(jvm, hadoop.conf)
        )
        try:
            yield HadoopPlace(
                jvm, files, files.makeQualified(path), at_once=scheme_of(url) in _AT_ONCE
            )
        finally:
            files.close()


def serves(scheme: str, hadoop: Hadoop) -> bool:
    """True if this Hadoop has a driver for a scheme."""
    from py4j.protocol import Py4JJavaError

    with hadoop.jvm() as jvm:
        try:
            jvm.org.apache.hadoop.fs.FileSystem.getFileSystemClass(
                scheme, _configuration(jvm, hadoop.conf)
            )
        # UnsupportedFileSystemException, or ClassNotFoundException where only the configuration
        # knows it
        except Py4JJavaError:
            return False
    return True


class HadoopPlace:
    """A folder on an org.apache.hadoop.fs.FileSystem."""

    def __init__(self, jvm: Any, files: Any, folder: Any, *, at_once: bool) -> None:
        self._jvm, self._files, self._folder, self._at_once = jvm, files, folder, at_once
        self.user = str(
            jvm.org.apache.hadoop.security.UserGroupInformation.getCurrentUser().getShortUserName()
        )

    def uri(self, name: str) -> str:
        """With the cluster's name in it: executors may have another default, or none."""
        return str(self._path(name).toUri())

    def status(self, name: str) -> Status | None:
        """By getFileStatus."""
        return self._status(self._path(name))

    def listing(self) -> list[Status]:
        """By listStatus."""
        return (
            []
            if self._status(self._folder) is None
            else [_status(found) for found in self._files.listStatus(self._folder)]
        )

    def folders(self) -> list[Status]:
        """As far as they exist."""
        found, path = [], self._folder
        while path is not None:
            found.append((str(path.toUri().getPath()), self._status(path)))
            path = path.getParent()
        return [replace(status, name=name) for name, status in found if status is not None]

    def sha256(self, name: str) -> str:
        """Read by the JVM. HDFS's own checksum is made of CRCs, which anybody can forge."""
        stream = self._files.open(self._path(name))
        try:
            return str(self._jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream))
        finally:
            stream.close()

    def put(self, local: Path, name: str) -> bool:
        """By copyFromLocalFile and rename, which does not replace what is there."""
        if self._at_once:
            self._copy(local, self._path(name))
            return True
        self._files.mkdirs(self._folder)
        unfinished = self._path(f".{name}.{uuid.uuid4().hex}")
        try:
            self._copy(local, unfinished)
            return bool(self._files.rename(unfinished, self._path(name)))
        finally:
            with contextlib.suppress(Exception):
                # moved; or the first error is the one to tell, and what is left has a name that
                # `prune` knows
                self._files.delete(unfinished, False)

    def mark(self, name: str) -> None:
        """An empty file, which HDFS keeps in the NameNode's memory alone."""
        self._files.create(self._path(name), True).close()

    def remove(self, name: str) -> None:
        """By delete."""
        self._files.delete(self._path(name), False)

    def _copy(self, local: Path, to: Any) -> None:
        source = self._jvm.org.apache.hadoop.fs.Path(self._jvm.java.net.URI(local.as_uri()))
        self._files.copyFromLocalFile(False, True, source, to)

    def _path(self, name: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(self._folder, name)

    def _status(self, path: Any) -> Status | None:
        from py4j.protocol import Py4JJavaError

        try:
            found = self._files.getFileStatus(path)
            return replace(_status(found), identity=self._identity(found))
        except Py4JJavaError as error:
            if error.java_exception.getClass().getName() == "java.io.FileNotFoundException":
                return None
            raise

    def _identity(self, found: Any) -> str:
        """HDFS's number of a file, which no other file ever gets; who may not write the file cannot
        set its time either. Other file systems tell none here.
        """
        from py4j.protocol import Py4JError

        if self._files.getUri().getScheme() != "hdfs" or not found.isFile():
            return ""
        try:
            return str(found.getFileId())
        except Py4JError:  # a file system of that scheme which is not Apache's
            return ""


def _configuration(jvm: Any, conf: Mapping[str, str]) -> Any:
    """Hadoop's configuration as Spark makes it: the user's files, then spark.hadoop.* and what
    Spark takes from AWS's variables.
    """
    settings = jvm.org.apache.spark.SparkConf(False)
    for key, value in conf.items():
        settings.set(key, value)
    configuration = jvm.org.apache.spark.deploy.SparkHadoopUtil.get().newConfiguration(settings)
    for key, value in _HASTE.items():
        sources = configuration.getPropertySources(key)
        if sources is None or all(
            source.endswith("-default.xml") for source in sources
        ):  # not said by the user
            configuration.set(key, value)
    return configuration


def _status(found: Any) -> Status:
    return Status(
        name=found.getPath().getName(),
        size=found.getLen(),
        modified=found.getModificationTime() / 1000,
        is_file=found.isFile(),
        owner=found.getOwner(),
        group=found.getGroup(),
        mode=found.getPermission().toShort(),
    )
