"""Stages that Python's own drivers reach: shared folders, object stores, WebHDFS."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import stat
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from coffee_boat._support.files import local_path
from coffee_boat.errors import ShipError
from coffee_boat.ship import by_hadoop
from coffee_boat.ship.places import OBJECT_STORES, Place, Status, scheme_of
from coffee_boat.spark import jvm
from coffee_boat.spark.jvm import Hadoop

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_BLOCK = 1 << 20
_DRIVERS = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "oss": "ossfs",
    "oci": "ocifs",
}
"""The package of PyPI that has the scheme's driver."""
_HADOOPS_NAMES = {"gcs": ("gs",), "s3": ("s3", "s3a")}
"""Where fsspec knows a scheme that Hadoop has another name for.

Apache's Hadoop has no s3://, which is s3a:// there; a vendor's may have one (Amazon's EMR).
"""
_JARS = {
    "s3a": "hadoop-aws, of the version of the hadoop-client-api there, with AWS's SDK",
    "gs": "gcs-connector",
    "abfs": "hadoop-azure, of the version of the hadoop-client-api there",
    "abfss": "hadoop-azure, of the version of the hadoop-client-api there",
}
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modificationTime", "created")
"""When it was written, in the words of: local files, s3fs, adlfs, gcsfs, webhdfs, memory."""
_VERSIONS = ("VersionId", "generation", "ETag", "etag")
"""What an object store gives each object that is written, in the words of: s3fs, gcsfs, s3fs and
ossfs, adlfs.
"""
_READABLE = "644"


class NoDriverError(ShipError):
    """Python has no driver for the stage here."""


def place(url: str, hadoop: Hadoop | None) -> Place:
    """The stage by the driver that fsspec has for its scheme.

    Raises:
        NoDriverError: fsspec knows no such scheme, or its driver is not installed.
        ShipError: the JVM that runs has no driver for it.
    """
    files, folder = _driver(url)
    return FsspecPlace(files, folder, _seen_by_spark(url, hadoop), scheme_of(url))


class FsspecPlace:
    """A folder on an fsspec file system."""

    def __init__(self, files: AbstractFileSystem, folder: str, uri: str, scheme: str) -> None:
        self._files, self._folder, self._uri, self._scheme = files, folder.rstrip("/"), uri, scheme
        self.user = _our_name(scheme)

    def uri(self, name: str) -> str:
        """As Spark's Hadoop writes it."""
        return f"{self._uri}/{name}"

    def status(self, name: str) -> Status | None:
        """By the driver's `info`."""
        self._files.invalidate_cache()
        return self._status(self._path(name))

    def listing(self) -> list[Status]:
        """By the driver's `ls`."""
        self._files.invalidate_cache()
        try:
            found = self._files.ls(self._folder, detail=True)
        except FileNotFoundError:
            return []
        return [_status(info) for info in found]

    def folders(self) -> list[Status]:
        """Of shared folders and WebHDFS."""
        if self._scheme not in {"file", "webhdfs", "swebhdfs"}:
            return []
        path = PurePosixPath(self._folder or "/")
        found = [(str(each), self._status(str(each))) for each in (path, *path.parents)]
        return [replace(status, name=name) for name, status in found if status is not None]

    def sha256(self, name: str) -> str:
        """Read here."""
        digest = hashlib.sha256()
        with self._files.open(self._path(name), "rb") as there:
            while block := there.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest()

    def put(self, local: Path, name: str) -> bool:
        """By the driver's `put_file`."""
        how = (
            {"permissions": _READABLE} if self._scheme in {"webhdfs", "swebhdfs"} else {}
        )  # its own default is 0511
        size = local.stat().st_size

        def write(path: str) -> None:
            self._files.put_file(str(local), path, **how)

        if self._scheme not in OBJECT_STORES:
            return self._write_aside(name, write, size, self._publish)
        write(self._path(name))
        found = self.status(name)
        if found is None or found.size != size:
            raise _incomplete(self.uri(name))
        return True

    def mark(self, name: str) -> None:
        """An empty file.

        In a shared folder it takes the place of what is there, which may be a link to somewhere
        else.
        """
        if self._scheme == "file":
            self._write_aside(name, self._touch, 0, self._replace)
        else:
            self._touch(self._path(name))

    def remove(self, name: str) -> None:
        """By the driver's `rm_file`."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def _touch(self, path: str) -> None:
        self._files.pipe_file(path, b"")

    def _replace(self, unfinished: str, name: str) -> bool:
        Path(unfinished).replace(self._path(name))
        return True

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _status(self, path: str) -> Status | None:
        try:
            info = self._files.info(path)
            return replace(_status(info), identity=_identity(info, self._scheme))
        except FileNotFoundError:
            return None

    def _write_aside(
        self,
        name: str,
        write: Callable[[str], None],
        size: int,
        publish: Callable[[str, str], bool],
    ) -> bool:
        """Under a temporary name, then published: nobody reads half an archive."""
        self._files.makedirs(self._folder or "/", exist_ok=True)
        unfinished = self._path(f".{name}.{uuid.uuid4().hex}")
        try:
            write(unfinished)
            if self._files.info(unfinished)["size"] != size:
                raise _incomplete(self.uri(name))
            return publish(unfinished, name)
        finally:
            with contextlib.suppress(Exception):
                # moved; or the first error is the one to tell, and what is left has a name that
                # `prune` knows
                self._files.rm_file(unfinished)

    def _publish(self, unfinished: str, name: str) -> bool:
        """Without replacing what is there: YARN refuses a file whose time changed since an
        application named it. False if something is there.
        """
        if self._scheme == "file":
            with contextlib.suppress(OSError):  # no hard links on some shared folders
                return _linked(unfinished, self._path(name))
        if self.status(name) is not None:
            return False
        self._files.mv(
            unfinished, self._path(name)
        )  # fsspec's WebHDFS does not say that the NameNode refused
        if self.status(name) is None:
            raise _incomplete(self.uri(name))
        return self.status(unfinished.rpartition("/")[2]) is None


def _linked(unfinished: str, path: str) -> bool:
    """Give a file its second name in one step, unless that is taken."""
    try:
        os.link(unfinished, path)
    except FileExistsError:
        return False
    return True


def _incomplete(uri: str) -> ShipError:
    return ShipError(
        "ship.upload-incomplete",
        "the upload is not complete",
        value=uri,
        cause="a full disk or a connection that broke",
        cure="free some space there and call launch_ship again",
    )


def _driver(url: str) -> tuple[AbstractFileSystem, str]:
    import fsspec

    scheme = scheme_of(url)
    try:
        if scheme == "file":
            return fsspec.filesystem("file"), os.path.realpath(local_path(url))
        files, path = fsspec.core.url_to_fs(
            url, skip_instance_cache=True, **_as_hadoop_does(scheme)
        )  # a kept one has the credentials and listings of its first use
    except ImportError as error:
        package = _DRIVERS.get(scheme, "what it names")
        cure = (
            f"pip install {package}, or stage to a folder that all nodes mount: file:///shared;"
            f" without stage= Spark sends the archive itself ({scheme}:// is then not needed)"
        )
        raise NoDriverError(
            "ship.driver-missing",
            "the driver for the stage is not installed",
            value=url,
            cause=f"fsspec reaches {scheme}:// by {package}: {error}",
            cure=cure,
        ) from error
    except (
        ValueError
    ) as error:  # a scheme that fsspec does not know, or a driver that lacks an account
        cure = (
            "use a URL such as file:///shared, s3://bucket/boats or hdfs:///boats; the driver's own"
            " settings are read from its variables and from ~/.config/fsspec"
        )
        raise NoDriverError(
            "ship.stage-invalid", "the stage cannot be used", value=url, cause=str(error), cure=cure
        ) from error
    return files, path


def _as_hadoop_does(scheme: str) -> dict[str, Any]:
    """Without Kerberos, WebHDFS believes the name that it is told; fsspec tells none, which is the
    user dr.who.
    """
    import fsspec

    configured: Mapping[str, Any] = fsspec.config.conf.get(scheme, {})
    if scheme not in {"webhdfs", "swebhdfs"} or {"user", "kerberos", "token"} & set(configured):
        return {}
    return {"user": _our_name(scheme)}


def _our_name(scheme: str) -> str:
    return (
        _user(os.geteuid() if hasattr(os, "geteuid") else 0)
        if scheme == "file"
        else os.environ.get("HADOOP_USER_NAME") or getpass.getuser()
    )


def _seen_by_spark(url: str, hadoop: Hadoop | None) -> str:
    """With the scheme that Spark's Hadoop has; a JVM that runs already is asked."""
    scheme = scheme_of(url)
    if scheme == "file":
        return Path(os.path.realpath(local_path(url))).as_uri()
    names = _HADOOPS_NAMES.get(scheme, (scheme,))
    if hadoop is None or jvm.running() is None:
        return f"{names[-1]}{url[len(scheme) :]}"
    served = next((name for name in names if by_hadoop.serves(name, hadoop)), None)
    if served is None:
        raise _no_driver(url, names[-1])
    return f"{served}{url[len(scheme) :]}"


def _no_driver(url: str, scheme: str) -> ShipError:
    jar = _JARS.get(scheme, "its jar")
    cure = (
        f"put {jar} where Spark's own jars are, on the driver and on the nodes, or name it in"
        " spark.driver.extraClassPath and spark.executor.extraClassPath"
    )
    return ShipError(
        "ship.no-hadoop-driver",
        "Spark's Hadoop has no driver for the stage",
        value=url,
        cause=f"executors could not read {scheme}://: Spark does not bring {jar}",
        cure=cure,
    )


def _status(info: Mapping[str, Any]) -> Status:
    return Status(
        name=str(info["name"]).rstrip("/").rpartition("/")[2],
        size=int(info["size"] or 0),
        modified=_modified(info),
        is_file=info["type"] == "file" and not info.get("islink"),
        owner=(
            _user(info["uid"])
            if "uid" in info
            else str(info.get("owner", ""))
            if "permission" in info
            else ""
        ),
        group=_group(info["gid"]) if "gid" in info else str(info.get("group", "")),
        mode=(
            stat.S_IMODE(info["mode"])
            if "uid" in info
            else int(info["permission"], 8)
            if "permission" in info
            else None
        ),
    )


def _identity(info: Mapping[str, Any], scheme: str) -> str:
    if scheme == "file":
        return _inode(info)
    words = (
        ("fileId",)
        if scheme in {"webhdfs", "swebhdfs"}
        else _VERSIONS
        if scheme in OBJECT_STORES
        else ()
    )
    return " ".join(f"{word}={info[word]}" for word in words if info.get(word))


def _inode(info: Mapping[str, Any]) -> str:
    """With the time of the last change, which the kernel sets; nobody else can."""
    found = os.lstat(info["name"])
    if (found.st_ino, found.st_uid, found.st_gid, found.st_mode) != tuple(
        info[word] for word in ("ino", "uid", "gid", "mode")
    ):
        return ""  # another file since the moment before
    return f"{found.st_ino} {found.st_ctime_ns}"


def _modified(info: Mapping[str, Any]) -> float:
    for key in _TIMES:
        value = info.get(key)
        if isinstance(value, str):
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()
        if value is not None:
            return float(value) / (1000 if key == "modificationTime" else 1)
    return time.time()  # unknown is new: nothing is removed for its age


def _user(uid: int) -> str:
    try:
        import pwd

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError):  # (Windows has no such list)
        return str(uid)


def _group(gid: int) -> str:
    try:
        import grp

        return grp.getgrgid(gid).gr_name
    except (ImportError, KeyError):
        return str(gid)
