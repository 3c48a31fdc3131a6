"""How far a file has been read in this process, by the system's own books: who reads it need not
tell.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

_OPEN, _HOW_FAR = Path("/proc/self/fd"), Path("/proc/self/fdinfo")
_POSITION = re.compile(r"^pos:\s*(\d+)", re.MULTILINE)


def how_far(path: Path) -> int | None:
    """Bytes that were read of a file that is open here; None if it is not, or nobody knows."""
    with suppress(OSError):
        for link in _OPEN.iterdir():
            with suppress(OSError):  # closed meanwhile
                if link.readlink() == path:
                    found = _POSITION.search((_HOW_FAR / link.name).read_text("ascii"))
                    return None if found is None else int(found[1])
    return None
