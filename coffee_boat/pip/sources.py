"""A source distribution, a folder or a commit becomes a wheel, once.

`uv build` makes them all: in an isolated environment, from a copy, so that nothing is left behind
in the user's folder. It does not know VCS URLs; git fetches those, which keeps what `pip wheel`
would lose: tags for versions, submodules, and one way to log in.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from coffee_boat._support import network, uv
from coffee_boat._support.digest import copy_file, file_digest
from coffee_boat._support.files import is_file, local_path, local_path_or_none
from coffee_boat._support.progress import Say, Step, Tally
from coffee_boat._support.run import Ran, run
from coffee_boat._support.store import Store
from coffee_boat._support.urls import git_environment
from coffee_boat.archive import unpacking
from coffee_boat.errors import BuildError
from coffee_boat.model import Indexes, Pin, Target, grammar
from coffee_boat.pip import build_needs, builds, own_wheel, uv_options
from coffee_boat.pip.download import Downloads
from coffee_boat.pip.source_trees import copied, failed, folder_inside, named_as, refuse_foreign

_LAYOUT = 1
"""Of how wheels are built: another number builds all again."""
_TIMEOUT = 7200.0
_COMPILES = 60.0
"""Seconds for which a build of another process is waited for; it tells nothing of itself."""
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
    say: Say

    def wheel(self, pin: Pin) -> Path:
        """The wheel of a source pin, in the store; built if this source was not built before for
        this Python.

        Raises:
            BuildError: it cannot be fetched or built, changed since it was locked, or is not pure
                and the target is another platform.
        """
        builds.refuse([pin], self.indexes, BuildError)
        path = built(pin, self.target, self.store)
        if path is None:
            with self.store.turn(f"build {_key(pin, self.target)}", patience=_COMPILES):
                path = built(pin, self.target, self.store) or self._build(pin)
        refuse_foreign(pin, path.name, self.target)
        return path

    def _build(self, pin: Pin) -> Path:
        with self.store.scratch() as folder:
            folder.mkdir()
            folder = folder.resolve()  # noqa: PLW2901
            (folder / "pyproject.toml").write_text(uv_options.NO_PROJECT, "utf-8")
            wheel = self._made(pin, folder)
            digest = file_digest(wheel)
            with self.store.publish("wheels", f"{digest}/{wheel.name}") as scratch:
                shutil.copyfile(wheel, scratch)
        self.store.remember(
            "built", _key(pin, self.target), {"sha256": digest, "filename": wheel.name}
        )
        return self.store.path("wheels", f"{digest}/{wheel.name}")

    def _made(self, pin: Pin, folder: Path) -> Path:
        if pin.kind == "local":
            self.say(Step(f"packing {pin.label}"))
            return own_wheel.write_wheel(pin, folder / "out", BuildError)
        source = self._source(pin, folder)
        self.say(Step(f"building {pin.label}"))
        return self._run_build(pin, source, folder / "out")

    def _source(self, pin: Pin, folder: Path) -> Path:
        """The project folder or the source distribution, a copy of our own."""
        wanted = build_needs.configured(pin)
        source = self._copied(pin, folder, unpacked=bool(wanted))
        if wanted:
            build_needs.write(wanted, source)
        return source

    def _copied(self, pin: Pin, folder: Path, *, unpacked: bool) -> Path:
        """
        Args:
            unpacked: a folder, also of a source distribution.
        """
        if pin.kind == "vcs":
            return folder_inside(pin, self._checkout(pin, folder / "checkout"))
        if pin.kind == "directory":
            return folder_inside(pin, copied(pin, folder))
        own = local_path_or_none(pin.url)
        called = pin.filename or (own.name if own else "source.tar.gz")
        archive = self._archive(pin, folder / Path(called).name)
        with _told_of(pin):
            unpacking.check(archive)
        if not pin.subdirectory and not unpacked:
            return archive
        with _told_of(pin):
            inside = unpacking.unpack(archive, folder / "unpacked")
        return folder_inside(pin, inside)

    def _archive(self, pin: Pin, path: Path) -> Path:
        if not pin.url.startswith("file:"):
            if self.indexes.offline:
                raise offline([pin])
            name = f"{pin.name} {pin.version}".rstrip()
            tally = Tally(self.say, "fetching", "source", {name: pin.size})
            self.downloads.fetch(
                pin.url, path, sha256=pin.sha256, size=pin.size, came=partial(tally.came, name)
            )
            return path
        return local_file(pin, path)

    def _checkout(self, pin: Pin, folder: Path) -> Path:
        kind, _, url = pin.url.partition("+")
        if kind != "git":
            raise BuildError(
                "build.repository-not-supported",
                f"{kind} repositories are not supported",
                value=pin.url,
                cure="use git, or give a source archive or a wheel",
            )
        grammar.checked(pin, "the lock")  # what git is told below are no options of its
        if self.indexes.offline and not url.startswith("file:"):
            raise offline([pin])
        self.say(Step(f"cloning {pin.name} {pin.version}".rstrip()))
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
            raise BuildError(
                "lock.git-unreadable",
                "a git repository cannot be read",
                value=f"{pin.url}@{pin.commit}: {ran.tail}",
                cause="the commit is gone, or there is no right to read it",
                cure="try `git clone` in a terminal",
            )

    def _ran_git(self, pin: Pin, *arguments: str) -> Ran:
        try:
            return run(["git", *arguments], env=git_environment(self.urls), timeout=_TIMEOUT)
        except FileNotFoundError as error:
            raise BuildError(
                "lock.git-missing",
                "the git program is missing",
                value=pin.url,
                cause="git+ URLs need it",
                cure="install git, or give a source archive or a wheel",
            ) from error
        except subprocess.TimeoutExpired as error:
            raise BuildError(
                "build.git-timeout",
                "git took too long",
                value=pin.url,
                cause=f"no end after {_TIMEOUT:.0f} s",
                cure="try `git clone` in a terminal",
            ) from error

    def _run_build(self, pin: Pin, source: Path, out: Path) -> Path:
        argv = [
            uv.binary(),
            "build",
            "--wheel",
            f"--out-dir={out}",
            f"--python={self.python}",
            *(["--no-index"] if self.indexes.no_index else []),
            *builds.options(self.indexes),
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
                argv,
                env={**uv_options.environment(self.indexes), **fixed, **version},
                timeout=_TIMEOUT,
            )
        except subprocess.TimeoutExpired as error:
            raise failed(pin, f"took longer than {_TIMEOUT:.0f} s") from error
        wheels = sorted(out.glob("*.whl"))
        if ran.code or len(wheels) != 1:
            raise failed(pin, ran.tail or f"exit code {ran.code}")
        return named_as(pin, wheels[0])


def built(pin: Pin, target: Target, store: Store) -> Path | None:
    """The wheel that was built of this source before; None if there is none."""
    value = store.recall("built", _key(pin, target))
    path = store.path("wheels", f"{value['sha256']}/{value['filename']}") if value else None
    if path is None or not store.use("wheels", f"{path.parent.name}/{path.name}"):
        return None
    return path


def local_file(pin: Pin, copy: Path | None = None) -> Path:
    """The file of a `file:` pin, checked.

    Args:
        copy: where it is copied to; it is the copy that is checked then, and given. Others may
            replace a file of theirs between two looks at it.

    Raises:
        BuildError: it is gone, or was changed since it was locked.
    """
    path = local_path(pin.url)
    if not is_file(path):
        raise BuildError(
            "build.locked-file-missing",
            "a file of the lock is not there any more",
            value=str(path),
            cause="it was moved or deleted since it was locked",
            cure="put it back, or ask for it where it is now",
        )
    _check_size(path, pin)
    try:
        digest = file_digest(path) if copy is None else copy_file(path, copy)
    except OSError as error:
        raise BuildError(
            "build.locked-file-unreadable",
            "a file of the lock cannot be read",
            value=str(path),
            cause=str(error),
            cure="make it readable, or ask for it where it can be read",
        ) from error
    if digest != pin.sha256:
        raise BuildError(
            "build.local-file-changed",
            "a local file does not match the lock",
            value=f"{path}: sha256 {digest}; the lock has {pin.sha256}",
            cause="it was built anew since it was locked",
            cure="make the lock again",
        )
    return path if copy is None else copy


def _check_size(path: Path, pin: Pin) -> None:
    """Before anything is read: of a device's file there may be no end."""
    size = path.stat().st_size
    if pin.size is not None and size != pin.size:
        raise BuildError(
            "build.local-file-changed",
            "a local file does not match the lock",
            value=f"{path}: {size:,} bytes; the lock has {pin.size:,}",
            cause="it was built anew since it was locked, or is not a regular file",
            cure="make the lock again",
        )


def offline(pins: list[Pin]) -> BuildError:
    """Says which pins are not here."""
    names = ", ".join(f"{pin.name} {pin.version}".rstrip() for pin in pins)
    return BuildError(
        "build.offline",
        "not in the store, and the network is switched off",
        value=names,
        cause="nothing may be fetched: offline=True, UV_OFFLINE",
        cure=f"{network.again()}, or put the wheels into a folder and give it as find_links",
    )


def _key(pin: Pin, target: Target) -> list[object]:
    how = builds.surroundings()
    key: list[object] = [_LAYOUT, pin.identity, pin.subdirectory, target.minor, target.architecture]
    return [*key, how] if how else key


@contextmanager
def _told_of(pin: Pin) -> Iterator[None]:
    """An archive that cannot be unpacked, as a failure of its pin."""
    try:
        yield
    except unpacking.UNREADABLE as error:
        raise failed(pin, f"the archive cannot be unpacked: {error}") from error
