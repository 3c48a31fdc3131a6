"""What is fetched and built once, and kept in the cache: the server, and the jars of s3a://."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from integration.beds import BedCannotRun, _go
from integration.beds._state import locked

_SERVER, _VERSION = "github.com/versity/versitygw/cmd/versitygw", "v1.8.0"
_POM = Path(__file__).with_name("pom.xml")

_AWS = {"3.4": "2.29.52", "3.5": "2.35.4"}
"""Hadoop's minor -> the AWS SDK that its hadoop-aws was built with (aws-java-sdk-v2.version in
hadoop-project's pom).
"""


def server(cache: Path) -> Path:
    """The server's program, built by Go if it is not in the cache: a minute and a half of processor
    time, and 53 MB.

    Raises:
        BedCannotRun: it cannot be built; Go's own words.
    """
    return (
        _kept(cache / "s3" / f"versitygw-{_VERSION}", lambda folder: _build(cache, folder))
        / "versitygw"
    )


def jars(cache: Path, hadoop: str) -> Path:
    """A folder with hadoop-aws and the parts of AWS's SDK that it uses: 14 MB, where the bundle
    that it names has 600.

    What Spark brings itself is left out: Netty, slf4j, commons.

    Args:
        hadoop: version of the hadoop-client-api among Spark's jars.

    Raises:
        BedCannotRun: they cannot be fetched; Maven's own words.
    """
    aws = _AWS.get(hadoop.rpartition(".")[0])
    if aws is None:
        raise BedCannotRun(f"no AWS SDK is known for Hadoop {hadoop}, only for {', '.join(_AWS)}")
    return _kept(cache / "s3" / f"hadoop-aws-{hadoop}", lambda folder: _fetch(folder, hadoop, aws))


def _kept(folder: Path, make: Callable[[Path], None]) -> Path:
    with locked(folder.parent):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                make(Path(scratch, "made"))
                Path(scratch, "made").rename(folder)
    return folder


def _build(cache: Path, folder: Path) -> None:
    go = ["nice", _go.find("the S3 server"), "install", *_go.FLAGS, f"-ldflags={_go.LINKER}"]
    flags = {"GOBIN": str(folder), "GOFLAGS": "-modcacherw"}
    # Kubernetes' own: what both need is compiled once
    variables = {**_go.environment(cache / "kubernetes" / "go"), **flags}
    _run([*go, f"{_SERVER}@{_VERSION}"], folder.parent, variables)


def _fetch(folder: Path, hadoop: str, aws: str) -> None:
    if shutil.which("mvn") is None:
        raise BedCannotRun(
            "the jars of s3a:// are fetched by Maven, and there is no mvn (Debian: apt-get install"
            " maven)"
        )
    of_spark = "-DexcludeGroupIds=io.netty,org.slf4j,commons-logging,commons-codec"
    versions = [f"-Dhadoop.version={hadoop}", f"-Daws.version={aws}"]
    argv = [
        "mvn",
        "--quiet",
        "--batch-mode",
        "--no-transfer-progress",
        "--file",
        str(_POM),
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        of_spark,
        *versions,
    ]
    _run([*argv, f"-DoutputDirectory={folder}"], folder.parent, {})


def _run(argv: Sequence[str], cwd: Path, variables: Mapping[str, str]) -> None:
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
        cwd=cwd,
        env={**os.environ, **variables},
    )
    if done.returncode != 0:
        raise BedCannotRun(
            f"{' '.join(argv[:3])} failed: {(done.stdout + done.stderr).strip()[-1500:]}"
        )
