"""What is made once and kept: entries of a folder, each under the hash of what it was made from,
made aside and renamed.

What is made for Kubernetes, among it:
  binary-HASH/    all that a cluster needs of the compiler's work
  image-HASH/     docker archives
  debs/           Debian packages of the image
  go/             the compiler's module and build caches: disposable, 4 GB; they make the next
                  compile of a changed source short
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path


def kept(cache: Path, kind: str, made_from: Iterable[bytes], make: Callable[[Path], None]) -> Path:
    """The folder of this kind that was made from this; made now if it is not there.

    Who comes while another one makes it waits.

    Args:
        make: fills an empty folder; what it raises is passed on, and nothing is kept.
    """
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{kind}-{_hash(made_from)}"
    with (cache / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            unfinished = cache / f"{kind}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
            _forget_others(cache, kind, folder)
    return folder


def _forget_others(cache: Path, kind: str, current: Path) -> None:
    """What older sources made serves nobody; a cluster that runs from it keeps its open files, and
    is not whole any more if it is started again.
    """
    for folder in cache.glob(f"{kind}-*/"):
        if folder != current:
            shutil.rmtree(folder, ignore_errors=True)


def _hash(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]
