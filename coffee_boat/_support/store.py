"""The local store: everything that was made once and can be made again.

    <root>/                        COFFEE_BOAT_STORE, or <user cache dir>/coffee_boat
        keys/<kind>/<sha256>.json  inputs -> a small JSON value (a chunk's figures, a lock): a
                                   cache, never the truth
        chunks/<sha256>.gz         chunks by the digest of their tar bytes
        archives/<name>.tar.gz     finished archives
        wheels/<sha256>/<name>.whl fetched or built wheels, by the digest of what they were made
        from
        trees/<name>/              unpacked: interpreters, environments for local[*], packages for
                                   the driver
        conda/<sha256>/<package>/  conda packages, unpacked, by the digest of their file;
                                   py-rattler compares each file before it is used, and puts a lock
                                   beside the folder
        rattler/repodata/          what conda channels list; looked after by py-rattler
        locks/<name>.lock          one writer at a time; <name>.pid: its process
        leases/                    who works with the store, and since when (leases.py)
        tmp/                       unfinished work; nothing here is ever read

Every entry but rattler's is immutable: written under tmp/, published by one rename, never changed.
A reader needs no lock, so a read-only store serves all that it has. A killed process leaves only
tmp/ behind, which `boat cache prune` takes away.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from coffee_boat._support import in_use, leases, parse, trust, waiting
from coffee_boat._support.entries import UNFINISHED, Entry, entry_of, members
from coffee_boat._support.logs import logger
from coffee_boat._support.scratch import scratch as _scratch_in
from coffee_boat.errors import StoreError

_log = logger(__name__)
_FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_FOLDER = {errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}
"""What is called so is a file, or nothing can be."""
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR}


class Store:
    """A folder of immutable entries, shared by all processes of a user."""

    def __init__(self, root: str | Path | None = None) -> None:
        """Nothing is made before it is needed.

        Args:
            root: the folder; default: COFFEE_BOAT_STORE, then the user's cache folder.

        Raises:
            StoreError: it begins with "~", or nothing names it, and the user has no home; or others
            may write it.
        """
        self.root = _whole(root) if root else _default_root()
        self._is_ours_alone = False
        self._refuse_strangers()

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    # small values

    def recall(self, kind: str, key: object) -> Any | None:
        """The value remembered for a key, None if there is none (or it cannot be read: then it is
        made again).
        """
        return _value_of(self._key_path(kind, key))

    def remember(self, kind: str, key: object, value: object) -> None:
        """Keep a JSON value for a key (any JSON value); a later value replaces an earlier one
        whole.
        """
        path = self._key_path(kind, key)
        with self._errors(), self._scratch() as scratch:
            scratch.write_text(_kept(value), "utf-8")
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch.replace(path)

    def values(self, kind: str) -> Iterator[Any]:
        """All that is remembered of one kind."""
        found = map(_value_of, sorted(self.path("keys", kind).glob("*.json")))
        return (value for value in found if value is not None)

    def _key_path(self, kind: str, key: object) -> Path:
        self._refuse_strangers()
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        return self.root / "keys" / kind / f"{digest}.json"

    # files and folders

    def path(self, kind: str, name: str) -> Path:
        """Where an entry lies once it is published.

        Raises:
            StoreError: the name would lead out of its kind's folder, or others may write the store.
        """
        if name.startswith("/") or "\0" in name or ".." in name.split("/"):
            raise StoreError(
                "store.bad-entry-name",
                "not a valid name for an entry of the store",
                value=ascii(name),
                cause="the name leads out of the store",
                cure="find out where it was set: a lock that was not made by a tool?",
            )
        self._refuse_strangers()
        return self.root / kind / name

    def has(self, kind: str, name: str) -> bool:
        """True if the entry is published, and so complete."""
        return self.path(kind, name).exists()

    def use(self, kind: str, name: str) -> bool:
        """As `has`, of what is going to be read: while this process has a `lease`, it stays."""
        self._refuse_strangers()
        return leases.use(self.root, self.path(kind, name))

    @contextmanager
    def lease(self) -> Iterator[None]:
        """While the block lasts, what it uses or makes is removed by nobody.

        Where the store cannot be written it has no effect.
        """
        with ExitStack() as stack:
            try:
                with self._errors():
                    self._folder("leases")
                    stack.enter_context(leases.lease(self.root))
            except StoreError as error:  # one that is read only serves what it has
                if error.code != "store.unwritable":
                    raise
            yield

    def keep(self, kind: str, name: str) -> bool:
        """As `has`, of what this process is going to run from: nobody prunes it until we end."""
        return in_use.hold(self.path(kind, name))

    @contextmanager
    def publish(self, kind: str, name: str) -> Iterator[Path]:
        """A path that does not exist yet: make a file or a folder there; it is published when the
        block ends well.

        If another process published the same name first, its entry stays and ours is dropped.

        Raises:
            StoreError: the disk is full, or the store cannot be written.
        """
        final = self.path(kind, name)
        with self._errors(), self._scratch() as scratch:
            yield scratch
            leases.touch(scratch)  # what it holds may be older
            final.parent.mkdir(parents=True, exist_ok=True)
            _rename(scratch, final)
            _log.debug("new in the store: %s/%s", kind, name)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A path that does not exist yet, for what gets its name only once it is made; dropped when
        the block ends.

        Raises:
            StoreError: the disk is full, or the store cannot be written.
        """
        with self._errors(), self._scratch() as scratch:
            yield scratch

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Only one process at a time makes what is called `name`: concurrent captains build
        once. Who waits for another process for long is told for which.

        Who has it waits for no network: `turn` is for that.
        """
        with ExitStack() as stack:
            with self._errors():
                stack.enter_context(waiting.locked(self._lock_place(name), name))
            yield

    @contextmanager
    def turn(self, name: str, *, patience: float = waiting.PATIENCE) -> Iterator[None]:
        """As `lock`, of what is fetched; a process that waits for its server is not waited for.

        Args:
            patience: seconds for which it may show nothing (`waiting.getting_on`).
        """
        with ExitStack() as stack:
            with self._errors():
                place = self._lock_place(name)
                stack.enter_context(waiting.in_turn(place, name, patience))
            yield

    def _lock_place(self, name: str) -> Path:
        return self._folder("locks") / hashlib.sha256(name.encode()).hexdigest()[:32]

    # chunks and archives

    def archive_path(self, archive_id: str) -> Path:
        """Where an archive lies; its file name carries 12 hex digits for people."""
        return self.path("archives", f"{archive_id}/boat-{archive_id[:12]}.tar.gz")

    # what is there

    def entries(self) -> Iterator[Entry]:
        """Everything but the locks, sorted by kind and name.

        What another process removes meanwhile is left out.
        """
        for kind, path in sorted(members(self.root)):
            with suppress(FileNotFoundError):
                yield entry_of(path, kind)

    def in_use(self, entry: Entry) -> bool:
        """True if a process runs from an entry, or works with it."""
        return in_use.is_held(entry.path) or (
            entry.kind != UNFINISHED and entry.used > leases.since(self.root)
        )

    def remove(self, entry: Entry, *, in_use_too: bool = True) -> bool:
        """Take an entry away, whole at once: a reader sees all of it or nothing.

        It is made again when it is needed.

        Args:
            entry: one of `entries`.
            in_use_too: also if a process runs from it.

        Returns:
            False if it was left: a process runs from it, or just works with it.

        Raises:
            StoreError: the store cannot be written.
        """
        with (
            self._errors(),
            self._scratch() as scratch,
            leases.removing(self.root) as since,
            in_use.alone(entry.path) as is_alone,
            suppress(FileNotFoundError),
        ):
            if not (is_alone or in_use_too):
                return False
            if entry.kind != UNFINISHED and entry_of(entry.path, entry.kind).used > since:
                return False
            entry.path.rename(scratch)
        return True

    def sweep(self) -> None:
        """Take away the locks that nobody has."""
        with self._errors():
            waiting.sweep(self.root / "locks")

    # the floor under it

    def _is_ours(self, error: OSError) -> bool:
        if not isinstance(error.filename, str):
            return False
        path = Path(error.filename)
        roots = (self.root, self.root.resolve())  # filelock names the file behind the links
        return any(
            path.is_relative_to(root) or root.is_relative_to(path) for root in roots
        )  # a folder above the root is made with it

    def _folder(self, name: str) -> Path:
        """A folder of ours, made if it is not there; what the user alone may enter, whatever umask
        says.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileNotFoundError as error:  # below /proc, say
            raise _no_place(self.root, str(error)) from error
        self._refuse_strangers()
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        return folder

    def _refuse_strangers(self) -> None:
        """Raise if others may write the store: its archives and interpreters are run."""
        if self._is_ours_alone or not os.path.lexists(self.root):
            return
        doubt = trust.doubt(self.root)
        if doubt is not None:
            raise StoreError(
                "store.others-may-write",
                "others may write the store, and what lies in it is run",
                value=str(self.root),
                cause=doubt.why,
                cure=(
                    "name a folder of your own: Captain(store=...) or"
                    f" COFFEE_BOAT_STORE=/some/folder; or {doubt.cure}"
                ),
            )
        self._is_ours_alone = True

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        with _scratch_in(self._folder(UNFINISHED)) as scratch:
            yield scratch

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise StoreError(
                    "store.disk-full",
                    "the disk of the store is full",
                    value=str(self.root),
                    cause=str(error),
                    cure="free some space, or name another folder: COFFEE_BOAT_STORE=/some/folder",
                ) from error
            if error.errno in {*_READ_ONLY, *_NO_FOLDER} and self._is_ours(error):
                raise StoreError(
                    "store.unwritable",
                    "the store cannot be written",
                    value=str(self.root),
                    cause=str(error),
                    cure=(
                        "name a folder of your own: Captain(store=...) or"
                        " COFFEE_BOAT_STORE=/some/folder"
                    ),
                ) from error
            raise


def _kept(value: object) -> str:
    """With its digest: what a disk or an editor changed is not taken for ours."""
    text = json.dumps(value, sort_keys=True)
    return json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "value": text})


def _value_of(path: Path) -> Any | None:
    try:
        said = parse.json(path.read_text("utf-8"))
        digest = hashlib.sha256(said["value"].encode()).hexdigest()
        return parse.json(said["value"]) if digest == said["sha256"] else None
    except (OSError, ValueError, TypeError, LookupError, AttributeError):  # not there, not ours
        return None


def _default_root() -> Path:
    named = os.environ.get("COFFEE_BOAT_STORE")
    if named:
        return _whole(named)
    import platformdirs

    try:
        folder = platformdirs.user_cache_dir("coffee_boat", appauthor=False)
    except RuntimeError as error:
        raise _homeless("~/.cache", error) from error
    return _whole(folder)  # older versions leave a "~" that nobody can expand


def _whole(path: str | Path) -> Path:
    if "\0" in str(path):
        raise _no_place(Path(ascii(str(path))), "there is a NUL in its name")
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise _homeless(str(path), error) from error


def _no_place(root: Path, cause: str) -> StoreError:
    return StoreError(
        "store.no-folder",
        "the store cannot be there",
        value=str(root),
        cause=cause,
        cure="name a folder of your own: Captain(store=...) or COFFEE_BOAT_STORE=/some/folder",
    )


def _homeless(path: str, error: RuntimeError) -> StoreError:
    return StoreError(
        "store.no-home-folder",
        "the store has no place: the user's home folder is not known",
        value=path,
        cause=f"HOME is not set, and the password database does not know the user ({error})",
        cure="name a folder: Captain(store=...) or COFFEE_BOAT_STORE=/some/folder",
    )


def _rename(scratch: Path, final: Path) -> None:
    if scratch.is_dir():
        try:
            scratch.rename(final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not final.is_dir():
                raise
    else:
        scratch.replace(final)
