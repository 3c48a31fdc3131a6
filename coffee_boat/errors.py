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

What is merely odd, or will not work later, is a Finding. Both hold a Problem, whose code is stable:
docs/reference/findings.md has a heading for each.

Anything else that escapes is a bug in coffee_boat and keeps its traceback. The CLI maps a BoatError
to exit code 3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from coffee_boat._support.redact import redact_all
from coffee_boat._support.wording import told
from coffee_boat._support.words import shortened

if TYPE_CHECKING:
    from typing_extensions import Self

Severity = Literal["note", "warning", "error"]

FORGET = '; captain.forget("name") takes a package back'
"""The end of a cure, for a captain who can be asked again."""


_LONGEST = 20_000
"""Characters of each text of a problem: a stranger's may have millions."""


@dataclass(frozen=True)
class Problem:
    """What went wrong, as words for a user and as a code for programs and for the docs.

    Args:
        code: its stable name, "launch.context-running": a stage and what happened there. One
            sentence has one code.
        what: what happened, one sentence without a full stop.
        value: the value it happened with (a requirement, a path, a version).
        cause: the usual cause.
        cure: what to type or change.

    Secrets in them are hidden here, for all that is made of them.
    """

    code: str
    what: str
    value: str = field(default="", kw_only=True)
    cause: str = field(default="", kw_only=True)
    cure: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        """Hide secrets: what is one in any of the texts is one in all of them."""
        names = ("value", "what", "cause", "cure")
        texts = (shortened(getattr(self, name), _LONGEST) for name in names)
        for name, text in zip(names, redact_all(*texts), strict=True):
            object.__setattr__(self, name, text)

    def __str__(self) -> str:
        lines = [f"{self.what}: {self.value}" if self.value else self.what]
        if self.cause:
            lines.append(f"  cause: {self.cause}")
        if self.cure:
            lines.append(f"  hint:  {told(self.cure)}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Finding(Problem):
    """Something that was skipped, looks odd, or will not work.

    Args:
        severity: "error" where a launch would fail; "warning" where it may; "note" for what a user
            may want to know.
    """

    severity: Severity = field(default="warning", kw_only=True)

    @classmethod
    def of(cls, problem: Problem, severity: Severity = "warning") -> Finding:
        """The same problem, for where nothing is refused."""
        return cls(
            problem.code,
            problem.what,
            value=problem.value,
            cause=problem.cause,
            cure=problem.cure,
            severity=severity,
        )

    def __str__(self) -> str:
        text = f"{self.what}: {self.value}" if self.value else self.what
        if self.cause:
            text += f" ({self.cause})"
        return f"{text} -> {told(self.cure)}" if self.cure else text


class BoatError(Exception):
    """A failure that a user can do something about: it raises a Problem.

    Args:
        code: its stable name, such as "launch.context-running".
        what: what happened, one sentence without a full stop.
        value: the value it happened with (a requirement, a path, a version).
        cause: the usual cause.
        cure: what to type or change.

    `problem` holds all of them. It may be replaced by another one, where more is known of the cure.
    """

    def __init__(
        self, code: str, what: str, *, value: str = "", cause: str = "", cure: str = ""
    ) -> None:
        self.problem = Problem(code, what, value=value, cause=cause, cure=cure)
        super().__init__(code, self.problem.what)

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """An error that raises this problem."""
        return cls(
            problem.code,
            problem.what,
            value=problem.value,
            cause=problem.cause,
            cure=problem.cure,
        )

    @property
    def code(self) -> str:
        """Stable: programs and tests may compare it."""
        return self.problem.code

    @property
    def what(self) -> str:
        """What happened."""
        return self.problem.what

    @property
    def value(self) -> str:
        """What it happened with."""
        return self.problem.value

    @property
    def cause(self) -> str:
        """The usual cause."""
        return self.problem.cause

    @property
    def cure(self) -> str:
        """What to type or change."""
        return self.problem.cure

    def __str__(self) -> str:
        return str(self.problem)

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
