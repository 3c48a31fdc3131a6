"""What is said where a session runs that should not, or none does."""

from __future__ import annotations

from collections.abc import Sequence

from coffee_boat.errors import BoatError, LaunchError, VerifyError
from coffee_boat.model import Finding
from coffee_boat.session.connect import ConnectSession
from coffee_boat.spark import jvm
from coffee_boat.workflow.attach import Attached


def no_session(last: Attached | None) -> VerifyError:
    """The refusal of what only a running session can do.

    Args:
        last: the one that the captain had, if it had one.
    """
    if jvm.has_ended():
        return VerifyError.of(jvm.ENDED)
    session = None if last is None else last.live.session
    trouble = session.trouble() if isinstance(session, ConnectSession) else None
    if trouble is not None:
        return VerifyError.of(trouble)
    return VerifyError(
        "session.not-running",
        "no session runs with this captain's environment",
        cure="captain.launch_ship(), then start a SparkContext or SparkSession, and ask again",
    )


def while_running(code: str, what: str, names: Sequence[str], cure: str, cause: str) -> LaunchError:
    """The refusal of what has to be before a session.

    Args:
        cure: with {} for the names as they are typed.
    """
    said = cure.format(", ".join(f'"{name}"' for name in names))
    return LaunchError(code, what, value=", ".join(names), cause=cause, cure=said)


def not_in_session(error: BoatError) -> Finding:
    """What is said of what was asked for while a session started, and cannot be had there."""
    return Finding(
        "session.asked-too-late",
        "what was asked for while the session started is not in it",
        value=f"{error.what}: {error.value}",
        cause=error.cause,
        cure=error.cure,
        severity="error",
    )
