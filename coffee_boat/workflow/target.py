"""What the executors are, by the settings or by a running session."""

from __future__ import annotations

import functools
import platform
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from coffee_boat import settings
from coffee_boat._support.host import Host
from coffee_boat._support.logs import logger
from coffee_boat._support.store import Store
from coffee_boat.conda import chunks as conda_chunks
from coffee_boat.conda import condarc, configuration, request
from coffee_boat.errors import BuildError, SettingsError
from coffee_boat.interpreter import copy, facts, target
from coffee_boat.interpreter.find import find
from coffee_boat.model import (
    Chunk,
    Finding,
    Indexes,
    Interpreter,
    Lock,
    Manifest,
    NodeFacts,
    Pin,
    Target,
)
from coffee_boat.pip import chunks as pip_chunks
from coffee_boat.pip import sources as pip_sources
from coffee_boat.workflow import machines
from coffee_boat.workflow.stopwatch import Stopwatch

_log = logger(__name__)


class Executors:
    """What executors are, with the settings and the store that all verbs share."""

    def __init__(
        self,
        chosen: settings.Settings,
        store: Store,
        *,
        target: Target | None = None,
        here: Host | None = None,
        spark: bool = True,
    ) -> None:
        """
        Args:
            target: what the executors of a running session are; by default what the settings say.
            here: the driver's machine; by default this one.
            spark: pyspark goes along; False for what runs outside of Spark.
        """
        self._here = here or Host.here()
        self._spark = spark
        self._settings = chosen
        self._target = target
        self._store = store
        self._interpreter: Interpreter | None = None
        self._found_platform: str | None = None
        """What a cluster said, where it is to be asked."""
        self._asked_indexes = chosen.indexes
        """Where the packages of what was built last come from: the settings', and a file's own."""
        self.watch = Stopwatch()

    @property
    def _platform(self) -> str | None:
        """What the nodes are, in pip's words; None: as the driver."""
        if self._settings.platform == settings.AUTO:
            return self._found_platform
        return self._settings.platform

    def learn(self, nodes: Iterable[NodeFacts]) -> tuple[Finding, ...]:
        """Take what a cluster says of its nodes for what is built, if the settings say so; what is
        said of that.
        """
        if self._settings.platform != settings.AUTO or self._target is not None:
            return ()
        found = target.of_nodes(nodes, self._here)
        if found != self._found_platform:
            self._found_platform, self._interpreter = found, None
            self.__dict__.pop("target", None)
        return (_learned(found),)

    @property
    def given_target(self) -> Target | None:
        """What a running session's executors are; None where the settings say it."""
        return self._target

    @property
    def interpreter(self) -> Interpreter:
        """The interpreter that is shipped.

        Raises:
            BuildError: there is none, or it cannot be shipped.
        """
        if self._interpreter is None:
            named = self._named_machine()
            found = find(
                self._asked_for,
                offline=self._settings.indexes.offline,
                portable=self._nodes_are_older(),
                machine="" if self._here.runs(named) else named,
                store=self._store,
                here=self._here,
            )
            self._refuse_machine(named, found.architecture)
            self._interpreter = found
        return self._interpreter

    @property
    def _asked_for(self) -> str | None:
        """The interpreter that the settings name, where it is not conda's."""
        return None if self._settings.python == settings.CONDA else self._settings.python

    def _refuse_machine(self, nodes: str, shipped: str) -> None:
        machines.refuse_mixed(nodes, shipped, platform=self._platform, python=self._asked_for)

    def _named_machine(self) -> str:
        """What the settings say that the nodes are, as platform.machine() says it; empty if they do
        not.
        """
        if self._platform is None:
            return ""
        return self._target_for(
            platform.python_version(), self._here.machine, platform=self._platform
        ).architecture

    def _target_for(self, version: str, machine: str, *, platform: str | None) -> Target:
        return target.target_for(version, machine, platform=platform, here=self._here)

    def _nodes_are_older(self) -> bool:
        """True if the settings name a platform whose glibc is older than this machine's: its own
        interpreters would not start there.
        """
        named, own = self._platform, self._here.glibc
        return (
            named is not None
            and own is not None
            and self._target_for(
                platform.python_version(), self._here.machine, platform=named
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
        why = "as this machine" if self._platform is None else "as `platform` says"
        why = why if self._target is None else "as the running session says"
        _log.info("executors: Python %s on %s, %s", found.python, found.platform, why)
        return found

    def _target_of_settings(self) -> Target:
        if self._settings.ship_python:
            return self._target_for(
                self.interpreter.version,
                self.interpreter.architecture,
                platform=self._platform,
            )
        return self._target_for(
            platform.python_version(), self._here.machine, platform=self._platform
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
        named = self._asked_for
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
        return self._target or self._target_for(
            own if minor in ("", target.minor_of(own)) else f"{minor}.0",
            self._here.machine,
            platform=self._platform,
        )

    def _indexes(self, manifest: Manifest) -> Indexes:
        self._asked_indexes = settings.combine(self._settings.indexes, manifest.indexes)
        return self._asked_indexes

    def _python_for(self, lock: Lock, *, fetch: bool = True) -> str:
        """An interpreter of the executors' minor version on this machine, to build source
        distributions and compile with; the one that is shipped need not run here.
        """
        if not lock.conda:
            if not self._settings.ship_python:
                return sys.executable
            if self.interpreter.native:
                return self.interpreter.executable
        if platform.python_version().startswith(f"{lock.target.minor}."):
            return sys.executable
        return find(
            lock.target.minor,
            offline=self._settings.indexes.offline or not fetch,
            store=self._store,
        ).executable

    def packed(self, lock: Lock, *, base: bool = True) -> tuple[Chunk, ...]:
        """What of a lock was packed before.

        Args:
            base: with the interpreter; else none is looked for, as what is sent needs none.
        """
        where, store, exclude = lock.target, self._store, lock.exclude

        def built(pin: Pin) -> Path | None:
            return None if pin.kind == "wheel" else pip_sources.built(pin, where, store)

        own = (
            copy.recall(self.interpreter, store)
            if base and self._settings.ship_python and not lock.conda
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
                executors', or needs a newer glibc; or a package that is for another one is pinned;
                or a Python that was not tried is to be shipped, and that is set to be refused.
        """
        if self._settings.untested_python == "refuse":
            for finding in self.untried(lock):
                raise BuildError.of(
                    replace(finding, cause=f'{finding.cause}; untested_python = "refuse" is set')
                )
        if self._settings.ship_python and not lock.conda:
            self.refuse_interpreter(lock.target)
        machines.refuse_pins(lock)

    def untried(self, lock: Lock) -> tuple[Finding, ...]:
        """What is said of the Python that is shipped, if it is newer than those that were tried."""
        found = facts.untried(lock.target.python) if self._settings.ship_python else None
        return () if found is None else (found,)

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


def _learned(platform: str | None) -> Finding:
    return Finding(
        "launch.platform-found",
        "what the nodes are was asked of the cluster",
        value=platform or "as the driver",
        cause='platform="auto"'
        + ("" if platform else "; it says no more than that, or cannot be asked before it runs"),
        cure=""
        if platform
        else 'if they are another: platform="manylinux_2_28_aarch64", as they are',
        severity="note",
    )
