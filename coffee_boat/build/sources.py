"""A source distribution, a folder or a commit becomes a wheel, once.

`uv build` makes them all: in an isolated environment, from a copy, so that nothing is left behind
in the user's folder. It does not know VCS URLs; git fetches those, which keeps what `pip wheel`
would lose: tags for versions, submodules, and one way to log in.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from coffee_boat import _builds, _grammar, _host, _limits, _uv
from coffee_boat._credentials import git_environment
from coffee_boat._digest import copy_tree, file_digest, tree_digest
from coffee_boat._files import local_path
from coffee_boat._run import Ran, run
from coffee_boat._sizes import human_bytes
from coffee_boat._store import Store
from coffee_boat.build import members
from coffee_boat.build._http import Downloads
from coffee_boat.errors import BuildError
from coffee_boat.model import Indexes, Pin, Target

_LAYOUT = 1
"""Of how wheels are built: another number builds all again."""
_TIMEOUT = 7200.0
_HEADER = 16 << 20
"""The most bytes of a tar's own header."""
_UNREADABLE = (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError, lzma.LZMAError, zlib.error)
_EPOCH = "315532800"
"""1980-01-01, the first moment that a zip file can hold."""


@dataclass(frozen=True)
class Builder:
    """What every build of one call shares."""

    target: Target
    indexes: Indexes
    python: str
    store: Store
    downloads: Downloads
    urls: tuple[str, ...]
    """URLs whose credentials git may use."""
    say: Callable[[str], None]

    def wheel(self, pin: Pin) -> Path:
        """The wheel of a source pin, in the store; built if this source was not built before for
        this Python.

        Raises:
            BuildError: it cannot be fetched or built, changed since it was locked, or is not pure
                and the target is another platform.
        """
        _builds.refuse([pin], self.indexes, BuildError)
        path = built(pin, self.target, self.store)
        if path is None:
            with self.store.lock(f"build {_key(pin, self.target)}"):
                path = built(pin, self.target, self.store) or self._build(pin)
        _refuse_foreign(pin, path.name, self.target)
        return path

    def _build(self, pin: Pin) -> Path:
        self.say(f"building {pin.name} {pin.version}".rstrip())
        with tempfile.TemporaryDirectory(prefix="coffee_boat-build-") as name:
            folder = Path(name).resolve()
            source = self._source(pin, folder)
            wheel = self._run_build(pin, source, folder / "out")
            digest = file_digest(wheel)
            with self.store.publish("wheels", f"{digest}/{wheel.name}") as scratch:
                shutil.copyfile(wheel, scratch)
        self.store.remember(
            "built", _key(pin, self.target), {"sha256": digest, "filename": wheel.name}
        )
        return self.store.path("wheels", f"{digest}/{wheel.name}")

    def _source(self, pin: Pin, folder: Path) -> Path:
        """The project folder or the source distribution, a copy of our own."""
        if pin.kind == "vcs":
            return _inside(pin, self._checkout(pin, folder / "checkout"))
        if pin.kind == "directory":
            return _inside(pin, _copied(pin, folder))
        archive = self._archive(pin, folder / Path(pin.filename or "source.tar.gz").name)
        _check(pin, archive)
        return (
            _inside(pin, _unpacked(pin, archive, folder / "unpacked"))
            if pin.subdirectory
            else archive
        )

    def _archive(self, pin: Pin, path: Path) -> Path:
        if not pin.url.startswith("file:"):
            if self.indexes.offline:
                raise offline([pin])
            self.downloads.fetch(pin.url, path, sha256=pin.sha256, size=pin.size)
            return path
        return local_file(pin)

    def _checkout(self, pin: Pin, folder: Path) -> Path:
        kind, _, url = pin.url.partition("+")
        if kind != "git":
            raise BuildError(
                f"{kind} repositories are not supported",
                value=pin.url,
                cure="use git, or give a source archive or a wheel",
            )
        _grammar.checked(pin, "the lock")  # what git is told below are no options of its
        if self.indexes.offline and not url.startswith("file:"):
            raise offline([pin])
        # a clone brings all tags, which a commit alone would not: versions are read from them
        self._git(
            pin, "clone", "--quiet", "--no-checkout", "--filter=blob:none", "--", url, str(folder)
        )
        inside = ("-C", str(folder))
        if self._ran_git(pin, *inside, "cat-file", "-e", f"{pin.commit}^{{commit}}").code:
            # of no branch and no tag: a pull request
            self._git(pin, *inside, "fetch", "--quiet", "--", "origin", pin.commit)
        self._git(pin, *inside, "checkout", "--quiet", "--detach", pin.commit, "--")
        self._git(pin, *inside, "submodule", "update", "--quiet", "--init", "--recursive")
        return folder

    def _git(self, pin: Pin, *arguments: str) -> None:
        ran = self._ran_git(pin, *arguments)
        if ran.code:
            what, cure = "a git repository cannot be read", "try `git clone` in a terminal"
            raise BuildError(
                what,
                value=f"{pin.url}@{pin.commit}: {ran.tail}",
                cause="the commit is gone, or there is no right to read it",
                cure=cure,
            )

    def _ran_git(self, pin: Pin, *arguments: str) -> Ran:
        try:
            return run(["git", *arguments], env=git_environment(self.urls), timeout=_TIMEOUT)
        except FileNotFoundError as error:
            raise BuildError(
                "the git program is missing",
                value=pin.url,
                cause="git+ URLs need it",
                cure="install git, or give a source archive or a wheel",
            ) from error
        except subprocess.TimeoutExpired as error:
            raise BuildError(
                "git took too long",
                value=pin.url,
                cause=f"no end after {_TIMEOUT:.0f} s",
                cure="try `git clone` in a terminal",
            ) from error

    def _run_build(self, pin: Pin, source: Path, out: Path) -> Path:
        argv = [
            _uv.binary(),
            "build",
            "--wheel",
            f"--out-dir={out}",
            f"--python={self.python}",
            *(["--no-index"] if self.indexes.no_index else []),
            *_builds.options(self.indexes),
            "--",
            str(source),
        ]
        # a copy may have lost the tags that its version is read from
        version = (
            {
                "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_"
                + pin.name.upper().replace("-", "_"): pin.version
            }
            if pin.version
            else {}
        )
        fixed = {"SOURCE_DATE_EPOCH": _EPOCH, "PYTHONHASHSEED": "0", "GIT_OPTIONAL_LOCKS": "0"}
        try:
            ran = run(
                argv, env={**_uv.environment(self.indexes), **fixed, **version}, timeout=_TIMEOUT
            )
        except subprocess.TimeoutExpired as error:
            raise _failed(pin, f"took longer than {_TIMEOUT:.0f} s") from error
        wheels = sorted(out.glob("*.whl"))
        if ran.code or len(wheels) != 1:
            raise _failed(pin, ran.tail or f"exit code {ran.code}")
        return _named_as(pin, wheels[0])


def built(pin: Pin, target: Target, store: Store) -> Path | None:
    """The wheel that was built of this source before; None if there is none."""
    value = store.recall("built", _key(pin, target))
    path = store.path("wheels", f"{value['sha256']}/{value['filename']}") if value else None
    return path if path is not None and path.is_file() else None


def local_file(pin: Pin) -> Path:
    """The file of a `file:` pin, checked.

    Raises:
        BuildError: it is gone, or was changed since it was locked.
    """
    path = local_path(pin.url)
    if not path.is_file():
        raise BuildError(
            "a file of the lock is not there any more",
            value=str(path),
            cause="it was moved or deleted since it was locked",
            cure="put it back, or ask for it where it is now",
        )
    digest = file_digest(path)
    if digest != pin.sha256:
        raise BuildError(
            "a local file does not match the lock",
            value=f"{path}: sha256 {digest}; the lock has {pin.sha256}",
            cause="it was built anew since it was locked",
            cure="make the lock again",
        )
    return path


def offline(pins: list[Pin]) -> BuildError:
    """Says which pins are not here."""
    names = ", ".join(f"{pin.name} {pin.version}".rstrip() for pin in pins)
    return BuildError(
        "not in the store, and the network is switched off",
        value=names,
        cause="offline=True",
        cure=(
            "run once with offline=False, or put the wheels into a folder and give it as find_links"
        ),
    )


def _key(pin: Pin, target: Target) -> list[object]:
    return [_LAYOUT, pin.identity, pin.subdirectory, target.minor, target.architecture]


def _inside(pin: Pin, project: Path) -> Path:
    """The folder of a project that is built; a link in a repository may lead out of it."""
    found = (project / pin.subdirectory).resolve()
    if _grammar.folder_fault(pin.subdirectory) or not found.is_relative_to(project.resolve()):
        raise BuildError(
            "a subdirectory leads out of its project",
            value=f"{pin.name}: {_grammar.shown(pin.subdirectory)}",
            cause="it is absolute, has .. in it, or is a link to somewhere else",
            cure="name the folder in the project that has its pyproject.toml",
        )
    return found


def _copied(pin: Pin, folder: Path) -> Path:
    place = local_path(pin.url)
    if not place.is_dir():
        raise BuildError(
            "a folder of the lock is not there any more",
            value=str(place),
            cause="it was moved or deleted since it was locked",
            cure="put it back, or ask for it where it is now",
        )
    copy = folder / "project" / place.name
    copy_tree(place, copy)
    # the copy is what is built, so it is the copy that is compared
    if tree_digest(copy) != pin.sha256:
        raise BuildError(
            "a folder was changed since it was locked",
            value=str(place),
            cause="its files were edited in the meantime",
            cure="make the lock again: call plan() or launch_ship() once more",
        )
    return copy


def _check(pin: Pin, archive: Path) -> None:
    """That a source archive does not become more than its size allows: what builds it has no
    bounds.

    Raises:
        BuildError: it does, or cannot be read.
    """
    packed = archive.stat().st_size
    most = _limits.unpacked(packed)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                found = list(members.issues(zipped, packed))
            if found:
                raise zipfile.BadZipFile(": ".join(found[0]))
        else:
            with _opened(archive) as tar:
                for member in tar:
                    if member.size > most:  # a sparse file's is not in the archive
                        raise tarfile.ReadError(_too_much(packed))
    except _UNREADABLE as error:
        raise _failed(pin, f"the archive cannot be unpacked: {error}") from error


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    """A tar, in any compression, within its bounds."""
    with archive.open("rb") as stream:
        head = stream.read(6)
    openers: dict[bytes, Callable[..., Any]] = {
        b"\x1f\x8b": gzip.open,
        b"BZh": bz2.open,
        b"\xfd7zXZ\0": lzma.open,
    }
    opener: Callable[..., Any] = next(
        (found for magic, found in openers.items() if head.startswith(magic)), open
    )
    with opener(archive, "rb") as plain:
        bounded = _Bounded(cast("BinaryIO", plain), archive.stat().st_size)
        with tarfile.open(fileobj=cast("BinaryIO", bounded), mode="r:") as tar:
            yield tar


class _Bounded:
    """An unpacked stream that ends with an error where it goes on for too long; and whose headers
    are of a sane size, since tarfile takes them into memory whole.
    """

    def __init__(self, stream: BinaryIO, packed: int) -> None:
        self._stream, self._packed = stream, packed
        self.tell = stream.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _HEADER:
            raise tarfile.ReadError(f"a header claims {size:,} bytes, {_HEADER:,} are read")
        self._check(self._stream.tell() + size)
        return self._stream.read(size)

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET:
            self._check(place)
        return self._stream.seek(place, whence)

    def _check(self, place: int) -> None:
        if place > _limits.unpacked(self._packed):
            raise tarfile.ReadError(_too_much(self._packed))


def _too_much(packed: int) -> str:
    return (
        f"an archive of {packed:,} bytes may hold {human_bytes(_limits.unpacked(packed))} here"
        f" ({human_bytes(_limits.UNPACKED_FREE)}, or {_limits.UNPACKED} times its size), and this"
        " one has more"
    )


def _unpacked(pin: Pin, archive: Path, folder: Path) -> Path:
    """The one folder that the archive holds; never writes outside of `folder`."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                zipped.extractall(folder)  # noqa: S202  # ZipFile drops .. and absolute names itself
        else:
            with _opened(archive) as tar:
                _extract(tar, folder)
    except _UNREADABLE as error:
        raise _failed(pin, f"the archive cannot be unpacked: {error}") from error
    inside = [path for path in folder.iterdir() if path.is_dir()]
    return inside[0] if len(inside) == 1 else folder


def _extract(tar: tarfile.TarFile, folder: Path) -> None:
    if hasattr(tarfile, "data_filter"):
        tar.extractall(folder, filter="data")
        return
    # PEP 706 came to 3.10.12 and 3.11.4; before them only plain files and folders below `folder`
    # are taken
    plain = [
        member
        for member in tar
        if (member.isfile() or member.isdir())
        and (folder / member.name).resolve().is_relative_to(folder)
    ]
    tar.extractall(folder, members=plain)  # noqa: S202


def _named_as(pin: Pin, wheel: Path) -> Path:
    from packaging.utils import parse_wheel_filename

    name = parse_wheel_filename(wheel.name)[0]
    if name != pin.name:
        raise BuildError(
            "a source became a wheel of another name",
            value=f"{pin.name} ({pin.url}) gave {wheel.name}",
            cause="the requirement names another project",
            cure=f"ask for it as {name} @ ...",
        )
    return wheel


def _refuse_foreign(pin: Pin, filename: str, target: Target) -> None:
    from packaging.utils import parse_wheel_filename

    if all(tag.platform == "any" for tag in parse_wheel_filename(filename)[3]):
        return
    glibc = ".".join(map(str, _host.glibc() or ())) or "none"
    here = f"{_host.architecture()}, glibc {glibc} ({sys.platform})"
    foreign = _host.architecture() != target.architecture
    if foreign or (_host.glibc() or (99, 0)) > target.glibc:
        raise BuildError(
            f"{pin.name} {pin.version} must be compiled, and would not run on the executors",
            value=f"{filename}, built on {here}; the executors are {target.platform}",
            cause=(
                "no wheel fits them, so it was built here; what is compiled here needs the"
                " architecture and at least the glibc of this machine"
            ),
            cure=(
                f"ask for a version that has wheels for {target.platform}, give a wheel built"
                " there (find_links=), or say the executors' true platform="
            ),
        )


def _failed(pin: Pin, why: str) -> BuildError:
    return BuildError(
        f"no wheel could be built of {pin.name} {pin.version}".rstrip(),
        value=f"{pin.url}: {why}",
        cause=(
            "a compiler, a header or a build requirement is missing here, or it does not support"
            " this Python"
        ),
        cure="ask for a version that has wheels, or install what the text above misses",
    )
