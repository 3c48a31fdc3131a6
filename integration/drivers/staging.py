"""Several users and their stage, one step after the other in one JVM: STAGE STEP...

as NAME          be this user from now on, as HDFS without Kerberos believes it
ship CONTENT     put an archive of this content there
plant CONTENT    put other bytes of the same length under its name
times            what the archives' own times are
age DAYS         make all files look so old
leftovers DAYS   what `boat cache prune` would remove; `prune DAYS` removes it
safemode WORD    ENTER or LEAVE
mode OCTAL       of the stage's folder
quota BYTES      of the stage's folder; 0 for none
"""

import hashlib
import json
import sys
import tempfile
import time
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark import SparkContext

from coffee_boat._support.store import Store
from coffee_boat.errors import BoatError
from coffee_boat.model import Archive, Target
from coffee_boat.ship import ship
from coffee_boat.ship.last_used import leftovers, prune
from coffee_boat.spark import gateway

stage, *words = sys.argv[1:]
store = Store()
scratch = Path(tempfile.mkdtemp())


def archive(content):
    path = scratch / f"{content}.tar.gz"
    path.write_bytes(content.encode() * 100_000)
    return Archive(
        hashlib.sha256(content.encode()).hexdigest(),
        str(path),
        path.stat().st_size,
        (),
        Target("3.11.7"),
        "",
        has_python=True,
    )


class Steps:
    """What users do; a name of this module's docstring is a method."""

    def __init__(self, jvm):
        self.jvm, self.hadoop = jvm, gateway.hadoop(store, {})
        self.path = jvm.org.apache.hadoop.fs.Path
        self.folder = self.path(stage)

    @property
    def files(self):
        """Of the user that is meant; what FileSystem.get keeps is of the first one."""
        return self.jvm.org.apache.hadoop.fs.FileSystem.newInstance(
            self.folder.toUri(), self.jvm.org.apache.hadoop.conf.Configuration()
        )

    def be(self, name):
        users = self.jvm.org.apache.hadoop.security.UserGroupInformation
        users.setLoginUser(users.createRemoteUser(name))

    def ship(self, content):
        shipped = ship(archive(content), stage, hadoop=self.hadoop)
        return {"uri": shipped.uri, "findings": [finding.what for finding in shipped.findings]}

    def plant(self, content):
        made = archive(content)
        name = f"{made.name}-{hashlib.sha256(Path(made.path).read_bytes()).hexdigest()[:12]}.tar.gz"
        Path(made.path).write_bytes(b"X" * made.size)
        self.files.copyFromLocalFile(False, True, self.path(made.path), self.path(stage, name))

    def times(self, _):
        return {
            found.getPath().getName(): found.getModificationTime()
            for found in self.files.listStatus(self.folder)
        }

    def age(self, days):
        then = int((time.time() - float(days) * 86400) * 1000)
        for found in self.files.listStatus(self.folder):
            self.files.setTimes(found.getPath(), then, -1)

    def leftovers(self, days):
        return [each.name for each in leftovers(stage, float(days), hadoop=self.hadoop)]

    def prune(self, days):
        done = prune(stage, leftovers(stage, float(days), hadoop=self.hadoop), hadoop=self.hadoop)
        return {
            "removed": [each.name for each in done.removed],
            "kept": [reason for _, reason in done.kept],
        }

    def mode(self, octal):
        self.files.mkdirs(self.folder)
        self.files.setPermission(
            self.folder, self.jvm.org.apache.hadoop.fs.permission.FsPermission(octal)
        )

    def quota(self, bytes_):
        self.files.setQuota(self.folder, (1 << 63) - 1, int(bytes_) or -1)

    def safemode(self, word):
        self.files.setSafeMode(getattr(self.jvm.org.apache.hadoop.fs.SafeModeAction, word))


def outcome(act, how):
    try:
        return act(how)
    except BoatError as error:
        return {"error": error.what, "cause": error.cause, "cure": error.cure}
    except Py4JJavaError as error:
        raise SystemExit(f"{act.__name__} {how}: {error.java_exception.toString()}") from None


with gateway.java_vm(store) as jvm:
    SparkContext._jvm = jvm  # for all steps, as in a session
    steps = Steps(jvm)
    results = [
        outcome(getattr(steps, what), how)
        for what, how in zip(words[::2], words[1::2], strict=True)
    ]
print("RESULT", json.dumps({"steps": results}))
