"""How a person changes the packages of a running session, and goes back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TypeVar

from coffee_boat import requirements
from coffee_boat._support.exceptions import door
from coffee_boat.model import Difference, History
from coffee_boat.spark import jvm
from coffee_boat.workflow.asking import Asking

Steered = TypeVar("Steered", bound="Steering")


@partial(door, explain=jvm.explain)
class Steering(Asking):
    """Who changes what a running session has.

    Each change is a generation of the session: whole, numbered, and one that can be gone back to.
    Functions that were made before run with the newest one from their next job on. A change that
    fails on an executor that was asked leaves the generation before it in force everywhere; one
    that could not be asked in time is told.
    """

    @property
    def generations(self) -> History:
        """What the running session has and had, oldest first; a table in terminals and notebooks.
        `generations[2].lock` is all that the second one had.

        Raises:
            VerifyError: no session of this captain runs.
        """
        return self._work.history()

    def diff(self, before: int, after: int | None = None) -> Difference:
        """What tells one generation of the running session from another: what was added, removed
        and changed.

        Args:
            before: the number of a generation.
            after: of another one; default: the newest.

        Raises:
            LaunchError: there is no generation of that number.
            VerifyError: no session of this captain runs.
        """
        return self._work.difference(before, after)

    def upgrade_pip_packages(self: Steered, *packages: str, wait: float = 10.0) -> Steered:
        """Have other versions of packages that are installed in the running session: of
        "pandas==2.3.*" one that fits it, of "pandas" the newest that goes with the rest. What they
        need changes where it has to, the rest stays.

        New versions and some kB are sent. Python workers are started anew with the next job: what
        they kept in memory is gone.

        Args:
            packages: as for `add_pip_packages`; what was asked for under the same name before no
                longer counts.
            wait: seconds that executors have to confirm that they can have it; 0 asks nobody.

        Raises:
            RequirementError: one of them cannot be read, or is not installed.
            LockError, BuildError: they cannot be had together.
            ShipError: an executor cannot have it; the one before is in force.
            VerifyError: no session of this captain runs.
        """
        manifest = requirements.pip_packages(packages, origin="upgrade_pip_packages")
        if packages:
            self._work.upgrade(manifest, wait)
        return self

    def upgrade_conda_packages(
        self: Steered, *specs: str, channel: str | Sequence[str] | None = None, wait: float = 10.0
    ) -> Steered:
        """The same of conda packages: the session gets a new base, with all that is installed.

        Args:
            specs: as for `add_conda_packages`.
            channel: the same.
            wait: as for `upgrade_pip_packages`.

        Raises:
            BoatError: as `upgrade_pip_packages`.
        """
        manifest = requirements.conda_packages(
            specs, origin="upgrade_conda_packages", channel=channel
        )
        if specs:
            self._work.upgrade(manifest, wait)
        return self

    def remove_pip_packages(self: Steered, *names: str, wait: float = 10.0) -> Steered:
        """Take packages out of the running session, and those that only they needed: to import
        them fails from the next job on, and their metadata is gone. Nothing but some kB is sent.

        Args:
            names: of packages.
            wait: as for `upgrade_pip_packages`.

        Raises:
            RequirementError: one of them is not installed.
            LockError: a package that stays needs one of them; it is named.
            ShipError: an executor cannot have it; the one before is in force.
            VerifyError: no session of this captain runs.
        """
        self._work.remove(names, wait)
        return self

    def remove_conda_packages(self: Steered, *names: str, wait: float = 10.0) -> Steered:
        """The same of conda packages: the session gets a new base without them.

        Raises:
            BoatError: as `remove_pip_packages`.
        """
        self._work.remove_conda(names, wait)
        return self

    def rollback(self: Steered, to: int | None = None, *, wait: float = 10.0) -> Steered:
        """Go back to what an earlier generation had; that is a new generation. Nothing but some kB
        is sent.

        Args:
            to: its number; default: what the session had before the last change.
            wait: as for `upgrade_pip_packages`.

        Raises:
            LaunchError: there is none of that number, or nothing to go back to.
            ShipError: an executor cannot have it; the newest stays in force.
            VerifyError: no session of this captain runs.
        """
        self._work.rollback(to, wait)
        return self
