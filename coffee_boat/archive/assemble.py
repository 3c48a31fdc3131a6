"""Chunks -> archive: what is written into one, and where it lies when it is made."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coffee_boat._support.digest import digest_of
from coffee_boat._support.logs import logger
from coffee_boat._support.store import Store
from coffee_boat._support.words import counted
from coffee_boat.archive.clashes import clashes
from coffee_boat.archive.concatenate import concatenate, is_whole
from coffee_boat.archive.destination import Destination
from coffee_boat.archive.writer import ChunkWriter
from coffee_boat.model import SENTINEL, Archive, Chunk, Lock, Target

_log = logger(__name__)
FORMAT = 1
"""Of boat.json."""


def assemble(
    chunks: Sequence[Chunk],
    *,
    target: Target,
    lock: Lock,
    has_python: bool,
    inputs: Mapping[str, Any],
    store: Store,
    to: Destination | None = None,
) -> Archive:
    """The archive of some chunks, in this order; where two hold the same file, the later one wins
    when it is unpacked.

    Args:
        inputs: a JSON value for boat.json: what was asked for. No paths of this machine, no
            secrets.
        to: where it is written, whole or not at all, instead of the store.

    Raises:
        BuildError: a chunk is not in the store any more, or was cut short; or one has a folder
            where another has a file; or `to` cannot be written.
        StoreError: the archive is not there yet, and the store cannot be written.
    """
    tail, tail_id = _tail(_manifest(chunks, target, lock, has_python, inputs))
    archive_id = digest_of([*(chunk.id for chunk in chunks), tail_id])
    findings = clashes(archive_id, chunks, target, store)
    path = store.archive_path(archive_id) if to is None else to.path.absolute()
    there = to is None and _is_there(path, chunks, tail, store)
    if to is not None:
        with to.written() as out:
            concatenate(chunks, tail, out, store)
    elif not there:
        with store.lock(f"archive {archive_id}"):
            if not _is_there(path, chunks, tail, store):
                _publish(chunks, tail, archive_id, store)
    if to is None:
        store.keep("archives", archive_id)  # a driver serves it to executors that join later
    _log.info(
        "archive of %s, %d bytes, for %s, %s the interpreter: %s %s",
        counted(len(chunks), "chunk"),
        path.stat().st_size,
        target.platform,
        "with" if has_python else "without",
        "reused" if there else "written to",
        path,
    )
    return Archive(
        id=archive_id,
        path=str(path),
        size=path.stat().st_size,
        chunks=tuple(chunks),
        target=target,
        lock_digest=lock.digest,
        has_python=has_python,
        findings=findings,
    )


def _is_there(path: Path, chunks: Sequence[Chunk], tail: bytes, store: Store) -> bool:
    """False also of one that a disk gives back with other bytes: it is made again."""
    return store.use("archives", f"{path.parent.name}/{path.name}") and is_whole(path, chunks, tail)


# boat.json and the archive's bytes


def _manifest(
    chunks: Sequence[Chunk], target: Target, lock: Lock, has_python: bool, inputs: Mapping[str, Any]
) -> bytes:
    """What boat.json says.

    Not by which release it was made: all of it is in the archive's id, and releases that pack the
    same share a staged file.
    """
    records = [chunk.record for chunk in chunks if chunk.record]
    value = {
        "format": FORMAT,
        "inputs": dict(inputs),
        "lock": lock.digest,
        "pins": {pin.name: pin.version for pin in lock.pins},
        **(
            {
                "conda": {
                    pin.name: {
                        "version": pin.version,
                        "build": pin.build,
                        "channel": pin.channel,
                        "license": pin.license,
                    }
                    for pin in lock.conda
                }
            }
            if lock.conda
            else {}
        ),
        "chunks": [{"id": chunk.id, "label": chunk.label} for chunk in chunks],
        **({"records": records} if records else {}),
        "glibc": max((chunk.floor for chunk in chunks), default=(0, 0)),
        "architecture": target.architecture,
        "python": target.python,
        "has_python": has_python,
        **({"exclude": list(lock.exclude)} if lock.exclude else {}),
    }
    return json.dumps(value, sort_keys=True, indent=1).encode("ascii") + b"\n"


def _tail(manifest: bytes) -> tuple[bytes, str]:
    out = io.BytesIO()
    writer = ChunkWriter(out)
    writer.file(SENTINEL, manifest)
    writer.end()
    digest = writer.finish()
    return out.getvalue(), digest


def _publish(chunks: Sequence[Chunk], tail: bytes, archive_id: str, store: Store) -> None:
    final = store.archive_path(archive_id)
    with (
        store.publish("archives", f"{archive_id}/{final.name}") as scratch,
        scratch.open("wb", buffering=0) as out,
    ):
        concatenate(chunks, tail, out, store)
