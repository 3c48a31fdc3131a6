"""The images of the bed, made by hand: Debian packages, a Java, Spark's jars, and no Python.

There is no image registry here and no Docker: a docker archive is a tar of layers (tars) and two
JSON files, and containerd imports it. The pyspark wheel has Spark's jars and scripts, but not the
image's entry point: entrypoint.sh is ours.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from integration.beds import BedCannotRun, BedFailed
from integration.beds import _cache as caches
from integration.beds.standalone import spark
from integration.beds.standalone.spark import Installation

PAUSE = "boat.bed/pause:1"
_ARCHIVE = "images.tar"
_ENTRYPOINT = Path(__file__).with_name("entrypoint.sh")

# bash, tar and gzip are for Hadoop's unTar, which runs them for spark.archives; coreutils and
# procps for people.
_PACKAGES = (
    "base-files base-passwd bash coreutils dash debianutils findutils grep gzip hostname libacl1"
    " libattr1 libbz2-1.0 libc-bin libc6 libcap2 libgcc-s1 libgcrypt20 libgmp10 libgpg-error0"
    " liblz4-1 liblzma5 libncursesw6 libpcre2-8-0 libproc2-0 libselinux1 libssl3 libstdc++6"
    " libsystemd0 libtinfo6 libzstd1 netbase procps sed tar tini tzdata zlib1g"
)
_ANOTHER_PYTHON = [
    "libexpat1",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libffi8",
    "libsqlite3-0",
    "python3.11-minimal",
]
"""For the second image: a Python of the distribution, as many images have one."""

_LEFT_OUT = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
    "usr/share/bash-completion",
    "usr/share/gcc",
    "usr/share/gdb",
)
_JAVA_LEFT_OUT = {
    "jmods",
    "demo",
    "man",
    "include",
    "src.zip",
    "lib/src.zip",
    "lib/ct.sym",
    "legal",
    "docs",
}

_ENVIRONMENT = [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/java/bin",
    "JAVA_HOME=/opt/java",
    "SPARK_HOME=/opt/spark",
    "LANG=C.UTF-8",
]
_USER = 185
"""As Spark's own images have it."""


@dataclass(frozen=True)
class Images:
    """What pods can be made from."""

    archive: Path
    """A docker archive with all of them."""
    spark: str
    """Java, Spark's jars, no Python."""
    python: str
    """The same with a distribution's Python, which has no package, and Spark's own Python files."""


@dataclass(frozen=True)
class _Entry:
    """A file or folder of this machine, or an empty folder, and where it goes."""

    source: Path | None
    target: str
    mode: int | None = None
    owner: int = 0
    keep: Callable[[str], bool] = lambda path: True


@dataclass(frozen=True)
class _Layer:
    path: Path
    digest: str


def build(cache: Path, pause: Path, spark_home: Path | None = None) -> Images:
    """The images of a Spark: of this folder, or SPARK_HOME, or the pyspark of this Python.

    Made if they are not there.

    Args:
        pause: the program that holds a pod's namespaces.

    Raises:
        BedCannotRun: no Spark, no Java, or Debian's packages cannot be had.
        BedFailed: there is a Python in what must have none.
    """
    installation = spark.find(spark_home)
    version = next(installation.home.glob("jars/spark-core_*.jar")).stem.split("-")[-1]
    images = (f"boat.bed/spark:{version}", f"boat.bed/spark-python:{version}")
    made_from = [
        Path(__file__).read_bytes(),
        _ENTRYPOINT.read_bytes(),
        pause.read_bytes(),
        *_described(installation),
    ]
    folder = caches.kept(
        cache,
        f"image-{version}",
        made_from,
        lambda folder: _make(folder, cache / "debs", pause, installation, images),
    )
    return Images(folder / _ARCHIVE, *images)


def _described(installation: Installation) -> Iterator[bytes]:
    """What tells one Spark and Java from another, without reading 500 MB."""
    yield repr(installation).encode()
    for folder in (installation.home / "jars", installation.java / "bin"):
        yield repr(sorted((path.name, path.stat().st_size) for path in folder.iterdir())).encode()


def _make(
    folder: Path, debs: Path, pause: Path, installation: Installation, names: tuple[str, str]
) -> None:
    base = _layer(folder / "base", _userland(folder / "root", _download(debs, _PACKAGES.split())))
    java = _layer(folder / "java", _java(installation))
    jars = _layer(folder / "jars", _spark(installation))
    for layer in (base, java, jars):
        _refuse_python(layer)
    python = _layer(
        folder / "python",
        _python(folder / "root-python", _download(debs, _ANOTHER_PYTHON), installation),
    )
    hold = _layer(folder / "pause", [_Entry(pause, "pause", 0o755)])
    _write(
        folder / _ARCHIVE,
        {
            PAUSE: ([hold], {"Entrypoint": ["/pause"], "User": "65535:65535"}),
            names[0]: ([base, java, jars], _config()),
            names[1]: ([base, java, jars, python], _config()),
        },
    )
    for layer in (base, java, jars, python, hold):
        layer.path.unlink()
    for root in ("root", "root-python"):
        shutil.rmtree(folder / root)


def _config() -> dict[str, object]:
    return {
        "Env": _ENVIRONMENT,
        "Entrypoint": ["/opt/entrypoint.sh"],
        "WorkingDir": "/opt/spark/work-dir",
        "User": str(_USER),
    }


# what goes into the layers


def _download(debs: Path, packages: Sequence[str]) -> list[Path]:
    """Debian packages by name, of the release that this machine is."""
    debs.mkdir(parents=True, exist_ok=True)
    missing = [package for package in packages if not any(debs.glob(f"{package}_*.deb"))]
    if missing and not _fetch(debs, missing):
        _apt(debs, "update")
        if not _fetch(debs, missing):
            raise BedCannotRun(
                "Debian's packages for the image cannot be had: apt-get download"
                f" {' '.join(missing)}"
            )
    return [next(debs.glob(f"{package}_*.deb")) for package in packages]


def _fetch(debs: Path, packages: Sequence[str]) -> bool:
    # As root: apt's own user _apt cannot write into root's folders.
    return _apt(debs, "-o", "APT::Sandbox::User=root", "download", *packages)


def _apt(folder: Path, *arguments: str) -> bool:
    try:
        return (
            subprocess.run(
                ["apt-get", "--quiet=2", *arguments],
                cwd=folder,
                capture_output=True,
                check=False,
                stdin=subprocess.DEVNULL,
            ).returncode
            == 0
        )
    except FileNotFoundError:
        raise BedCannotRun(
            "the image is made of Debian's packages, and this machine has no apt-get"
        ) from None


def _unpack(root: Path, packages: Iterable[Path]) -> None:
    root.mkdir()
    for package in packages:
        subprocess.run(["dpkg-deb", "--extract", str(package), str(root)], check=True)
    for left_out in _LEFT_OUT:
        shutil.rmtree(root / left_out, ignore_errors=True)


def _userland(root: Path, packages: Iterable[Path]) -> list[_Entry]:
    """Unpacked, with what their installation scripts would have done that matters here."""
    _unpack(root, packages)
    for folder, mode in (
        ("proc", 0o555),
        ("sys", 0o555),
        ("dev", 0o755),
        ("opt", 0o755),
        ("home/spark", 0o755),
        ("tmp", 0o1777),
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder).chmod(mode)
    masters = root / "usr/share/base-passwd"
    (root / "etc/passwd").write_text(
        f"{(masters / 'passwd.master').read_text()}spark:x:{_USER}:0:spark:/home/spark:/bin/bash\n"
    )
    (root / "etc/group").write_text((masters / "group.master").read_text())
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")
    if not (root / "bin/sh").exists():
        (root / "bin/sh").symlink_to("dash")
    return [_Entry(root, ".")]


def _java(installation: Installation) -> list[_Entry]:
    """The Java without what only compiles; its links into /etc followed."""

    def keep(path: str) -> bool:
        return not any(path == part or path.startswith(f"{part}/") for part in _JAVA_LEFT_OUT)

    return [
        _Entry(source, target.lstrip("/"), keep=keep)
        for source, target in installation.shown_on_nodes(pyspark_zip=False)
        if "/spark/" not in target
    ]


def _spark(installation: Installation) -> list[_Entry]:
    home = installation.home
    return [
        _Entry(None, "opt/spark", 0o755),
        _Entry(
            None, "opt/spark/work-dir", 0o775, _USER
        ),  # the pods' working directory, where archives are unpacked
        *(
            _Entry(home / folder, f"opt/spark/{folder}", 0o755)
            for folder in ("bin", "sbin", "jars")
            if (home / folder).is_dir()
        ),
        _Entry(_ENTRYPOINT, "opt/entrypoint.sh", 0o755),
    ]


def _python(root: Path, packages: Iterable[Path], installation: Installation) -> list[_Entry]:
    _unpack(root, packages)
    (root / "usr/bin/python3").symlink_to("python3.11")
    return [
        _Entry(root, "."),
        _Entry(spark.python_files(installation.home), "opt/spark/python/lib", 0o644),
    ]


# docker's archive format


def _layer(path: Path, entries: Iterable[_Entry]) -> _Layer:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, dereference=False) as tar:
        for entry in entries:
            _add(tar, entry)
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return _Layer(path, digest.hexdigest())


def _add(tar: tarfile.TarFile, entry: _Entry) -> None:
    if entry.source is None:
        tar.addfile(_plain(tarfile.TarInfo(entry.target), entry, tarfile.DIRTYPE))
    elif entry.source.is_file():
        tar.add(entry.source, entry.target, filter=lambda info: _plain(info, entry))
    else:
        for path in sorted(entry.source.rglob("*")):
            inside = path.relative_to(entry.source).as_posix()
            if entry.keep(inside):
                _add_one(tar, path, f"{entry.target}/{inside}".removeprefix("./"), entry)


def _add_one(tar: tarfile.TarFile, path: Path, name: str, entry: _Entry) -> None:
    leaves = (
        path.is_symlink()
        and not path.resolve().is_relative_to(Path(str(entry.source)).resolve())
        and entry.target != "."
    )
    if leaves and not path.is_file():
        return  # documentation that is not installed
    source = path.resolve() if leaves else path
    tar.add(source, name, recursive=False, filter=lambda info: _plain(info, entry))


def _plain(info: tarfile.TarInfo, entry: _Entry, kind: bytes | None = None) -> tarfile.TarInfo:
    """Without this machine's users and times: the same bytes each time."""
    info.uid, info.gid, info.uname, info.gname, info.mtime = entry.owner, 0, "", "", 0
    info.type = kind or info.type
    if (entry.mode is not None and not info.isdir()) or kind is not None:
        info.mode = entry.mode or info.mode
    return info


def _write(path: Path, images: dict[str, tuple[list[_Layer], dict[str, object]]]) -> None:
    manifest = []
    with tarfile.open(path, "w") as tar:
        for layer in {
            layer.digest: layer for layers, _ in images.values() for layer in layers
        }.values():
            tar.add(layer.path, f"{layer.digest}.tar")
        for name, (layers, config) in images.items():
            described = {
                "architecture": _architecture(),
                "os": "linux",
                "created": "1970-01-01T00:00:00Z",
                "config": config,
                "history": [{"created": "1970-01-01T00:00:00Z"} for _ in layers],
                "rootfs": {
                    "type": "layers",
                    "diff_ids": [f"sha256:{layer.digest}" for layer in layers],
                },
            }
            content = json.dumps(described).encode()
            file = f"{hashlib.sha256(content).hexdigest()}.json"
            _add_bytes(tar, file, content)
            manifest.append(
                {
                    "Config": file,
                    "RepoTags": [name],
                    "Layers": [f"{layer.digest}.tar" for layer in layers],
                }
            )
        _add_bytes(tar, "manifest.json", json.dumps(manifest).encode())


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def _architecture() -> str:
    """In Go's words."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def _refuse_python(layer: _Layer) -> None:
    with tarfile.open(layer.path) as tar:
        found = [name for name in tar.getnames() if Path(name).name.startswith("python")]
    if found:
        raise BedFailed(f"the image must have no Python, and has {', '.join(found[:3])}")
