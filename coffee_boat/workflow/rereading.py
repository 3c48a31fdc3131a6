"""What is pinned -> the same with one's own code as it lies in its folders now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from coffee_boat._support.progress import Say
from coffee_boat.errors import LockError
from coffee_boat.interpreter import target
from coffee_boat.model import Lock, Manifest, Pin
from coffee_boat.pip import metadata
from coffee_boat.spark import packages
from coffee_boat.workflow.fetch import Fetching


class Rereading(Fetching):
    """Reads one's own code again."""

    def lock_edited(
        self, installed: Lock, edited: Mapping[str, Pin], manifest: Manifest, say: Say
    ) -> Lock:
        """The lock of a session with code as it is now. Nothing is resolved.

        Args:
            edited: identity of a pin whose code was edited -> what it is now.
            manifest: what is wanted, for the settings of builds.

        Raises:
            BuildError: a project cannot be built.
            LockError: a project needs packages by now that are not installed.
        """
        now = tuple(edited.get(pin.identity, pin) for pin in installed.pins)
        lock = replace(installed, pins=now, findings=())
        projects = tuple(pin for pin in edited.values() if pin.kind == "directory" and pin in now)
        return self._with_projects(lock, projects, manifest, say) if projects else lock

    def _with_projects(
        self, lock: Lock, projects: tuple[Pin, ...], manifest: Manifest, say: Say
    ) -> Lock:
        """With what only the builds of projects tell: their versions, and what they need."""
        built = self._fetch(projects, lock, manifest, say)
        extras = {r.name: r.extras for r in manifest.requirements if r.extras}
        lock = metadata.with_edges(
            metadata.with_versions(lock, built),
            built,
            target.environment(lock.target),
            extras,
            store=self._store,
        )
        needed = {name for pin in lock.pins if pin.name in built for name in pin.requires}
        ours = packages.DRIVERS_OWN
        missing = sorted(name for name in needed if name not in ours and not lock.has(name))
        if missing:
            raise LockError(
                "lock.own-code-needs-more",
                "your project needs packages by now that are not installed",
                value=", ".join(missing),
                cause=f"what {', '.join(built)} depends on was changed",
                cure=f"captain.add_pip_packages({', '.join(map(repr, missing))}), then"
                " captain.refresh()",
            )
        return lock
