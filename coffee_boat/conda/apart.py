"""What strangers wrote for rattler is read in a process of its own: its parsers overflow their
stack on brackets in each other, which ends the process that they run in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coffee_boat import errors
from coffee_boat._support import apart
from coffee_boat._support.words import GIB
from coffee_boat.conda import client

BOUNDS = apart.Bounds(seconds=1200.0, memory=4 * GIB, file=GIB)
"""Far above what conda-forge takes: a gigabyte of memory, files of 400 MB, a minute."""


_OF_ADDRESSES = ("IPv4", "IPv6", "netloc", "Port ")
"""In what urllib says of an address that it cannot read."""


class RattlerEndedError(errors.LockError):
    """The process in which rattler read a stranger's text ended without an answer."""


def call(module: str, function: str, *arguments: object, of: str) -> Any:
    """What a function returns there that ends with `told`.

    Args:
        of: whose text is read, for the error.

    Raises:
        RattlerEndedError: the process ended without an answer.
        BoatError, rattler.exceptions: what the function raised.
    """
    try:
        said = apart.call(module, function, *arguments, bounds=BOUNDS)
        if said.get("refused", [""])[0] == client.PanickedError.__name__:
            raise apart.EndedError(said["refused"][1])
    except apart.EndedError as error:
        raise RattlerEndedError(
            "lock.rattler-ended",
            "rattler, which reads for conda, ended without an answer",
            value=f"{of}: {error}",
            cause=(
                "it says what cannot be read, such as brackets in each other, thousands deep; or it"
                f" takes more than {BOUNDS}"
            ),
            cure="leave it out; of several channels, one at a time, to see which one it is",
        ) from None
    if "refused" in said:
        kind, text = said["refused"]
        raise getattr(client.rattler().exceptions, kind)(text)
    if "address" in said:
        raise errors.LockError(
            "requirements.address-unreadable",
            "an address cannot be read",
            value=of,
            cause="its host or its port is not valid, or a character in it is not escaped",
            cure="correct the address where it is written",
        )
    if "problem" in said:
        kind, problem = said["problem"]
        raise getattr(errors, kind).of(errors.Problem(**problem))
    return said["value"]


def told(made: Callable[[], Any]) -> dict[str, Any]:
    """In that process: what was made, or why it was not, as JSON."""
    try:
        return {"value": made()}
    except errors.BoatError as error:
        return {"problem": [type(error).__name__, vars(error.problem)]}
    except client.failures() as error:
        return {"refused": [type(error).__name__, str(error)]}
    except ValueError as error:
        if not any(word in str(error) for word in _OF_ADDRESSES):
            raise
        return {"address": True}  # without urllib's words: they quote a password
