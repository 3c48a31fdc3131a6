"""What the executors are, by the settings or by a running session."""

from __future__ import annotations

import functools
import platform
import re
import sys
from pathlib import Path

from coffee_boat import settings
from coffee_boat._support import host
from coffee_boat._support.logs import logger
from coffee_boat._support.store import Store
from coffee_boat.conda import chunks as conda_chunks
from coffee_boat.conda import condarc, configuration, request
from coffee_boat.errors import SettingsError
from coffee_boat.interpreter import copy, target
from coffee_boat.interpreter.find import find
from coffee_boat.model import Chunk, Indexes, Interpreter, Lock, Manifest, Pin, Target
from coffee_boat.pip import chunks as pip_chunks
from coffee_boat.pip import sources as pip_sources
from coffee_boat.workflow import machines
from coffee_boat.workflow.stopwatch import Stopwatch

_log = logger(__name__)


class Executors:
    """What executors are, with the settings and the store that all verbs share."""

    def __init__(
        self, chosen: settings.Settings, store: Store, *, target: Target | None = None
    ) -> None:
        """
        Args:
            target: what the executors of a running session are; by default what the settings say.
        """
        self._settings = chosen
        self._target = target
        self._store = store
        self._interpreter: Interpreter | None = None
        self.watch = Stopwatch()

    @property
    def interpreter(self) -> Interpreter:
        """The interpreter that is shipped.

        Raises:
            BuildError: there is none, or it cannot be shipped.
        """
        if self._interpreter is None:
            named = self._named_machine()
            if _is_version(self._settings.python):  # of this machine: nothing is fetched to see it
                self._refuse_machine(named, host.architecture())
            found = find(
                self._settings.python,
                offline=self._settings.indexes.offline,
                portable=self._nodes_are_older(),
                store=self._store,
            )
            self._refuse_machine(named, found.architecture)
            self._interpreter = found
        return self._interpreter

    def _refuse_machine(self, nodes: str, shipped: str) -> None:
        machines.refuse_mixed(
            nodes, shipped, platform=self._settings.platform, python=self._settings.python
        )

    def _named_machine(self) -> str:
        """What the settings say that the nodes are, as platform.machine() says it; empty if they do
        not.
        """
        if self._settings.platform is None:
            return ""
        return target.target_for(
            platform.python_version(), platform.machine(), platform=self._settings.platform
        ).architecture

    def _nodes_are_older(self) -> bool:
        """True if the settings name a platform whose glibc is older than this machine's: its own
        interpreters would not start there.
        """
        named, own = self._settings.platform, host.glibc()
        return (
            named is not None
            and own is not None
            and target.target_for(
                platform.python_version(), platform.machine(), platform=named
            ).glibc
            < own
        )

    @functools.cached_property
    def target(self) -> Target:
        """What the executors are.

        Raises:
            SettingsError: `platform` cannot be used.
        """
        found = self._target or self._target_of_settings()
        why = "as this machine" if self._settings.platform is None else "as `platform` says"
        why = why if self._target is None else "as the running session says"
        _log.info("executors: Python %s on %s, %s", found.python, found.platform, why)
        return found

    def _target_of_settings(self) -> Target:
        if self._settings.ship_python:
            return target.target_for(
                self.interpreter.version,
                self.interpreter.architecture,
                platform=self._settings.platform,
            )
        return target.target_for(
            platform.python_version(), platform.machine(), platform=self._settings.platform
        )

    @functools.cached_property
    def condarc(self) -> configuration.Configuration:
        """What conda's own configuration says, read when a conda package is asked for.

        Raises:
            SettingsError, RequirementError: a file of it cannot be read.
        """
        return condarc.configured(self._settings)

    def minor(self, manifest: Manifest) -> str:
        """The minor version of the executors' Python: "3.11".

        With conda packages it is their python's, which is the interpreter.

        Raises:
            BuildError: the interpreter of the settings cannot be shipped.
        """
        if not manifest.conda:
            return target.minor_of(
                self.interpreter.version
                if self._settings.ship_python
                else platform.python_version()
            )
        named = self._settings.python
        if named is not None and re.fullmatch(r"3\.\d+(\.\d+)?", named):
            return target.minor_of(named)
        own = target.minor_of(
            self.interpreter.version if named is not None else platform.python_version()
        )
        return request.minor_asked_for(manifest, own)

    def _refuse_nodes_own(self, asked: str) -> None:
        if not self._settings.ship_python:
            raise SettingsError(
                "settings.conda-python-fixed",
                "conda packages come with their own interpreter",
                value=f"ship_python=False, and {asked}",
                cause="they are built for conda's python, and are found relative to it",
                cure="leave ship_python=False out, or ask for packages of pip only",
            )

    def nodes(self, manifest: Manifest) -> Target:
        """What the executors are; with conda packages, of their python the minor version only,
        until it is chosen.
        """
        if not manifest.conda:
            return self.target
        return self._conda_nodes(self.minor(manifest))

    def _conda_nodes(self, minor: str = "") -> Target:
        own = platform.python_version()
        return self._target or target.target_for(
            own if minor in ("", target.minor_of(own)) else f"{minor}.0",
            platform.machine(),
            platform=self._settings.platform,
        )

    @property
    def _python(self) -> str:
        """The interpreter that builds source distributions: of the executors' minor version."""
        return self.interpreter.executable if self._settings.ship_python else sys.executable

    def _indexes(self, manifest: Manifest) -> Indexes:
        return settings.combine(self._settings.indexes, manifest.indexes)

    def _python_for(self, lock: Lock, *, fetch: bool = True) -> str:
        """An interpreter of the executors' minor version on this machine, to build and compile
        with; conda's own need not run here.
        """
        if not lock.conda:
            return self._python
        if platform.python_version().startswith(f"{lock.target.minor}."):
            return sys.executable
        return find(
            lock.target.minor,
            offline=self._settings.indexes.offline or not fetch,
            store=self._store,
        ).executable

    def packed(self, lock: Lock) -> tuple[Chunk, ...]:
        """What of a lock was packed before."""
        where, store, exclude = lock.target, self._store, lock.exclude

        def built(pin: Pin) -> Path | None:
            return None if pin.kind == "wheel" else pip_sources.built(pin, where, store)

        own = (
            copy.recall(self.interpreter, store)
            if self._settings.ship_python and not lock.conda
            else None
        )
        found = (
            own,
            *(
                pip_chunks.recall_wheel(pin, where, store, built=built(pin), exclude=exclude)
                for pin in lock.pins
            ),
            *(conda_chunks.recall_package(pin, where, store, exclude) for pin in lock.conda),
        )
        return tuple(chunk for chunk in found if chunk is not None)

    def refuse_unfit(self, lock: Lock) -> None:
        """Refuse what executors could not run, before anything of it is fetched.

        Raises:
            BuildError: an interpreter would be shipped that is of another machine than the
                executors', or needs a newer glibc; or a package that is for another one is pinned.
        """
        if self._settings.ship_python and not lock.conda:
            self.refuse_interpreter(lock.target)
        machines.refuse_pins(lock)

    def refuse_interpreter(self, nodes: Target) -> None:
        """Refuse an interpreter that executors could not run.

        Raises:
            BuildError: it is of another machine, or needs a newer glibc.
        """
        found = self.interpreter
        self._refuse_machine(nodes.architecture, found.architecture)
        if self._nodes_are_older():  # this machine's own libraries are not asked otherwise
            floor = copy.floor(found, self._store).glibc
            machines.refuse_newer_glibc([(f"python {found.version}", floor)], nodes)


def _is_version(python: str | None) -> bool:
    """True for what is this machine's own interpreter, or one that is fetched for it."""
    return python is None or re.fullmatch(r"\s*\d+(\.\d+)*\s*", python) is not None
