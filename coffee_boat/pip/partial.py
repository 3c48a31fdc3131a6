"""A file that is fetched, as far as it came: a connection that was cut off goes on from there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from requests import Response

_RANGE = re.compile(r"bytes (?P<first>\d{1,18})-\d+/\S+", re.IGNORECASE)


class Partial:
    """The bytes of one file that are on the disk already.

    Args:
        path: where they are written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.forget()

    @property
    def sha256(self) -> str:
        """Of what is there."""
        return self._digest.hexdigest()

    def headers(self) -> dict[str, str]:
        """What asks for the rest; nothing if all of it is to be sent.

        Only a server that names the file's version (RFC 9110, a strong ETag) is asked for a part of
        it: of a file that was replaced meanwhile it sends the whole.
        """
        if not self.length or not self._version:
            return {}
        return {"Range": f"bytes={self.length}-", "If-Range": self._version}

    def take(
        self, response: Response, blocks: Iterable[bytes], look: Callable[[int], None]
    ) -> None:
        """Write what an answer sends, after what is there where it is the rest of that.

        Args:
            look: called with the length after each block; what it raises ends it.
        """
        if not self._goes_on(response):
            self._begin()
        self._version = _strong(response.headers.get("ETag", ""))
        with self._path.open("ab" if self.length else "wb") as file:
            for block in blocks:
                self._digest.update(block)
                self.length += file.write(block)
                look(self.length)

    def forget(self) -> None:
        """Begin anew: the server has no such part of it."""
        self._version = ""
        self._begin()

    def _begin(self) -> None:
        self._digest, self.length = hashlib.sha256(), 0

    def _goes_on(self, response: Response) -> bool:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        return response.status_code == 206 and found is not None and int(found[1]) == self.length


def _strong(tag: str) -> str:
    """A weak one (W/"...") is of files that are alike, not the same."""
    return tag if tag.startswith('"') else ""
