"""Everything that can go wrong for a user, as one tree.

    BoatError                 what happened, with what value, the usual cause, what to type
    |-- SettingsError         a setting or argument that cannot be used
    |-- RequirementError      a requirement that cannot be read, or two that contradict each other
    |-- LockError             no set of versions serves all requirements, or an index cannot be
                              reached
    |-- BuildError            an interpreter, a wheel or an archive cannot be made
    |-- StoreError            the local store cannot be read or written
    |-- ShipError             the archive cannot be put where executors find it
    |-- LaunchError           Spark cannot be started (or was started too early) with the
                              environment
    `-- VerifyError           the executors cannot be asked

Anything else that escapes is a bug in coffee_boat and keeps its traceback. The CLI maps a BoatError
to exit code 3.
"""

from __future__ import annotations

from coffee_boat._support.redact import redact_all

FORGET = '; captain.forget("name") takes a package back'
"""The end of a cure, for a captain who can be asked again."""


class BoatError(Exception):
    """A failure that a user can do something about.

    Args:
        what: what happened, one sentence without a full stop.
        value: the value it happened with (a requirement, a path, a version).
        cause: the usual cause.
        cure: what to type or change.

    Secrets in them are hidden here, for all that is made of them.
    """

    def __init__(self, what: str, *, value: str = "", cause: str = "", cure: str = "") -> None:
        self.value, self.what, self.cause, self.cure = redact_all(value, what, cause, cure)
        super().__init__(self.what)

    def __str__(self) -> str:
        lines = [f"{self.what}: {self.value}" if self.value else self.what]
        if self.cause:
            lines.append(f"  cause: {self.cause}")
        if self.cure:
            lines.append(f"  cure:  {self.cure}")
        return "\n".join(lines)

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in a notebook, in place of a traceback."""
        return f"{type(self).__name__}: {self}".splitlines()


class SettingsError(BoatError):
    """A setting or an argument cannot be used."""


class RequirementError(BoatError):
    """A requirement cannot be read, or contradicts another one."""


class LockError(BoatError):
    """The requirements cannot be resolved."""


class BuildError(BoatError):
    """An interpreter, a wheel or an archive cannot be made."""


class StoreError(BoatError):
    """The local store cannot be read or written."""


class ShipError(BoatError):
    """The archive cannot be put where executors find it."""


class LaunchError(BoatError):
    """Spark cannot be started with the environment."""


class VerifyError(BoatError):
    """The executors cannot be asked what they run."""


class UnreachableError(LockError):
    """An index cannot be reached: an earlier answer may serve."""
