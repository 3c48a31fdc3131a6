"""Manifest -> Lock -> Archive: calls the stages in order, for a base that is launched and for a
layer that is added.

Both are one idea: what is wanted, less what is aboard. At launch nothing is aboard, so the archive
is the base, with the interpreter inside; in a session it is a layer of the missing distributions.
"""

from __future__ import annotations

import functools
import platform
import re
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from coffee_boat import _builds, _conda, _host, driver, requirements, settings
from coffee_boat._ahead import Ahead
from coffee_boat._progress import Say
from coffee_boat._store import Store
from coffee_boat.build import archive as archives
from coffee_boat.build import (
    areas,
    compiled,
    conda,
    conda_prefix,
    installed,
    interpreter,
    machines,
    pyspark_files,
    wheels,
    worker_files,
)
from coffee_boat.build import (
    chunks as packing,
)
from coffee_boat.errors import BoatError, BuildError, LockError, RequirementError, SettingsError
from coffee_boat.lock import conda as conda_lock
from coffee_boat.lock import conda_files, formats, pip, target
from coffee_boat.model import (
    Archive,
    Chunk,
    CondaPin,
    Finding,
    Indexes,
    Interpreter,
    Lock,
    Manifest,
    Pin,
    Plan,
    PlanItem,
    Requirement,
    Target,
)

_SECONDS_A_SOURCE = 15.0
_SECONDS_A_FETCHED_BYTE = 1 / 20_000_000
_SECONDS_A_PACKED_BYTE = 1 / 60_000_000
"""Estimates for a plan: 20 MB/s from an index, 60 MB/s through one core; the first is a guess at
the network.
"""


_BASE = "the base"
"""What the chunks that every base has are called among those made ahead; the others are called as
their wheels are.
"""


class Stopwatch:
    """Seconds spent in each part of an addition; a launch has the first three."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(("resolve", "fetch", "build", "send", "arrive"), 0.0)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of the block to a part."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - started


class Pipeline:
    """The stages from a manifest to an archive, with the settings and the store they share."""

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
                self._refuse_machine(named, _host.architecture())
            found = interpreter.find(
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
        named, own = self._settings.platform, _host.glibc()
        return (
            named is not None
            and own is not None
            and target.target_for(
                platform.python_version(), platform.machine(), platform=named
            ).glibc
            < own
        )

    @property
    def target(self) -> Target:
        """What the executors are.

        Raises:
            SettingsError: `platform` cannot be used.
        """
        if self._target is not None:
            return self._target
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
    def condarc(self) -> _conda.Configuration:
        """What conda's own configuration says, read when a conda package is asked for.

        Raises:
            SettingsError, RequirementError: a file of it cannot be read.
        """
        return settings.conda(self._settings)

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
        return conda_lock.minor_asked_for(manifest, own)

    # what is wanted -> what is pinned

    def lock(self, manifest: Manifest, say: Say, ahead: Ahead | None = None) -> Lock:
        """Resolve.

        Args:
            ahead: makes chunks of wheels that are likely to be chosen and are here, while an index
                is asked.

        Raises:
            RequirementError, LockError: the requirements contradict each other, or cannot be
                resolved.
        """
        with self.watch.part("resolve"):
            return self._ask(manifest, self._drivers_own(), say, ahead=ahead)

    def check(self, manifest: Manifest) -> None:
        """Refuse at once what no lock could be made of, before anything is asked or fetched.

        Raises:
            RequirementError: a channel is none, or is Anaconda's and its terms were not accepted.
            SettingsError: conda packages are asked for, and the nodes' own interpreter is to be
                used.
        """
        if not manifest.conda:
            return
        self._refuse_nodes_own("conda packages")
        _conda.refuse_unlicensed(
            conda_lock.channels_of(manifest, self.condarc),
            accepted=self._settings.accept_conda_license,
        )

    def _refuse_nodes_own(self, asked: str) -> None:
        if not self._settings.ship_python:
            raise SettingsError(
                "conda packages come with their own interpreter",
                value=f"ship_python=False, and {asked}",
                cause="they are built for conda's python, and are found relative to it",
                cure="leave ship_python=False out, or ask for packages of pip only",
            )

    def read_lock(self, path: Path) -> Lock:
        """A pylock.toml, a pixi.lock or an @EXPLICIT list, taken as it is.

        Raises:
            LockError: it cannot be read, holds nothing for the executors' platform, or has what
            would be built in spite of `only_binary`.
            RequirementError: a package of it is Anaconda's, and the terms were not accepted.
        """
        lock = self._read_lock(path)
        _builds.refuse(lock.pins, self._settings.indexes, LockError)
        return lock

    def _read_lock(self, path: Path) -> Lock:
        if not conda_files.holds_conda(path):
            return formats.read(path, self.target)
        self._refuse_nodes_own("a lock with conda packages")
        nodes = self.target if self._named_machine() in ("", _host.architecture()) else None
        return conda_files.read(
            path,
            nodes or self._conda_nodes(),
            configuration=self.condarc,
            accepted=self._settings.accept_conda_license,
            store=self._store,
        )

    def lock_more(self, manifest: Manifest, added: Manifest, aboard: Lock, say: Say) -> Lock:
        """Resolve with everything that is aboard kept as it is; it stays in the lock, wanted or
        not.

        Args:
            manifest: all that is wanted.
            added: what of it is asked for now, though it may be aboard.

        Raises:
            LockError: something that is aboard would have to change; it says what, and who asks.
        """
        manifest = self._with_built(manifest, added, aboard, say)
        kept = tuple(_kept(pin) for pin in aboard.pins if not _is_source(pin))
        limited = replace(manifest, constraints=(*manifest.constraints, *kept))
        with self.watch.part("resolve"):
            preferred = {**self._drivers_own(), **{pin.name: pin.version for pin in aboard.pins}}
            try:
                lock = self._ask(limited, preferred, say, aboard=aboard)
            except (LockError, RequirementError) as refusal:
                raise self._explained(refusal, manifest, aboard, say) from refusal
        _refuse_changes(aboard, lock, added=added)
        new = (pin for pin in lock.pins if aboard.pin(pin.name) is None)
        return replace(lock, pins=tuple(sorted((*aboard.pins, *new), key=lambda pin: pin.name)))

    def _with_built(self, manifest: Manifest, added: Manifest, aboard: Lock, say: Say) -> Manifest:
        """The manifest with the wheels that came aboard in place of folders, archives and branches,
        which may have changed since; but for those asked for now.
        """
        again = {(r.name, r.text) for r in added.requirements}

        def settled(wanted: Requirement) -> Requirement:
            pin = next(
                (pin for pin in aboard.pins if _is_source(pin) and _is_of(pin, wanted)), None
            )
            if pin is None or (wanted.name, wanted.text) in again:
                return wanted
            place = self._fetch((pin,), aboard, manifest, say)[pin.name].as_uri()
            extras = f"[{','.join(wanted.extras)}]" if wanted.extras else ""
            return replace(
                wanted,
                name=pin.name,
                text=f"{pin.name}{extras} @ {place}",
                url=place,
                hashes=(),
                editable=False,
            )

        return replace(manifest, requirements=tuple(settled(r) for r in manifest.requirements))

    def _drivers_own(self) -> dict[str, str]:
        """The driver's distributions, without those that were made importable there from the
        store.
        """
        trees = str(self._store.path("trees", ""))
        return driver.installed([entry for entry in sys.path if not entry.startswith(trees)])

    def _ask(
        self,
        manifest: Manifest,
        preferred: Mapping[str, str],
        say: Say,
        *,
        aboard: Lock | None = None,
        ahead: Ahead | None = None,
    ) -> Lock:
        """Conda first; pip on top, with what the conda packages bring as given."""

        def meanwhile(guess: pip.Guess) -> None:
            if ahead is not None:
                ahead.begin("guess", lambda: self._pack_guessed(guess, ahead))

        below = self._ask_conda(manifest, preferred, aboard, say)
        limits = [requirements.read_constraints(path) for path in self._settings.constraints]
        wanted = requirements.for_target(
            requirements.merge([manifest, *limits]), target.environment(below.target)
        )
        lock = pip.resolve(
            wanted,
            below.target,
            python=self._python_for(below) if wanted.requirements else sys.executable,
            preferred=preferred,
            indexes=self._indexes(manifest),
            store=self._store,
            max_age=self._settings.lock_max_age,
            say=say,
            provided=conda_lock.provided(below.conda),
            meanwhile=meanwhile,
        )
        return replace(lock, conda=below.conda, findings=(*below.findings, *lock.findings))

    def _ask_conda(
        self, manifest: Manifest, preferred: Mapping[str, str], aboard: Lock | None, say: Say
    ) -> Lock:
        """The conda half; a Lock of nothing but the target where none is wanted or aboard."""
        held = aboard.conda if aboard is not None else ()
        if not manifest.conda and not held:
            return Lock(self.target)
        wish = conda_lock.Wish(
            manifest,
            self.nodes(manifest),
            self.minor(manifest),
            self.condarc,
            accepted=self._settings.accept_conda_license,
            aboard=held,
            preferred=preferred,
        )
        if manifest.conda:
            lock = conda_lock.resolve(
                wish, store=self._store, max_age=self._settings.lock_max_age, say=say
            )
        else:  # nothing is asked of conda: what is aboard is what there is
            lock = replace(aboard or Lock(self.target), pins=(), findings=())
        known = {pin.name: pin for pin in held}
        lock = replace(lock, conda=tuple(known.get(pin.name, pin) for pin in lock.conda))
        return (
            conda_lock.with_provided(lock, wish, store=self._store)
            if manifest.requirements
            else lock
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

    def _explained(
        self, refusal: BoatError, manifest: Manifest, aboard: Lock, say: Say
    ) -> BoatError:
        """The refusal itself, or, if it would go well without what is aboard, what would have to
        change.
        """
        try:
            _refuse_changes(
                aboard,
                self._ask(manifest, {pin.name: pin.version for pin in aboard.pins}, say),
                why=f"{refusal.value}; {refusal.cause}",
            )
        except (LockError, RequirementError) as change:
            return change if change.what == _CHANGE else refusal
        return refusal

    @property
    def _python(self) -> str:
        """The interpreter that builds source distributions: of the executors' minor version."""
        return self.interpreter.executable if self._settings.ship_python else sys.executable

    def _indexes(self, manifest: Manifest) -> Indexes:
        return settings.combine(self._settings.indexes, manifest.indexes)

    # what is pinned -> what is sent

    @contextmanager
    def ahead(self, manifest: Manifest, lock: Lock | None) -> Iterator[Ahead]:
        """Chunks that are made in threads before they are needed: from now on those that no
        resolution decides, the interpreter and pyspark.

        Args:
            lock: if it is known already.
        """
        with Ahead() as ahead:
            if not manifest.conda and not (lock is not None and lock.conda):
                nodes = Lock(self.target)
                ahead.begin(_BASE, lambda: self._base_chunks(nodes, manifest, lambda _: None))
            yield ahead

    def base(
        self,
        lock: Lock,
        manifest: Manifest,
        say: Say,
        ahead: Ahead,
        *,
        to: archives.Destination | None = None,
    ) -> tuple[Lock, Archive]:
        """The archive of everything, the interpreter inside; and the lock with what only the wheels
        could tell.

        Args:
            ahead: chunks that are under way.
            to: where it is written instead of the store.

        Raises:
            BuildError: a part of it cannot be fetched or made, or needs a newer glibc than the
                target has; or `to` cannot be written.
        """
        self.refuse_mixed(lock)
        ahead.refuse_failed(_BASE)
        fetched = self._fetch(lock.pins, lock, manifest, say, ahead)
        with self.watch.part("build"):
            say(f"packing {len(lock.pins) + len(lock.conda)} distributions")
            lock = wheels.with_versions(lock, fetched)
            ahead.settle({_BASE, *(wheel.name for wheel in fetched.values())})
            own = ahead.take(_BASE, lambda: self._base_chunks(lock, manifest, say))
            guests = self._wheel_chunks(fetched, lock)
            areas.refuse_overlaps(own, guests, lock.target, self._store)
            parts = (*own, *guests)
            lock = conda.with_provided(self._with_edges(lock, fetched, manifest), self._store)
            return lock, self._assemble(
                parts, lock, manifest, has_python=self._settings.ship_python, to=to
            )

    def addition(
        self, lock: Lock, aboard: Lock, manifest: Manifest, say: Say
    ) -> tuple[Lock, Archive | None]:
        """The archive of what is not aboard yet, None if nothing is missing; and the lock with what
        only the wheels could tell.

        A layer, unless conda packages are among it that have more than modules: they belong into
        the interpreter's own folder, so the archive is a new base then, with all that is aboard.

        Raises:
            BuildError: a part of it cannot be fetched or made, or needs a newer glibc than the
                target has.
        """
        new = aboard.lacks(lock)
        if not new.pins and not new.conda:
            return lock, None
        machines.refuse_pins(lock)
        with self.watch.part("build"):
            packed = self._layered(lock, new, manifest, say)
        if packed is None:
            with Ahead() as ahead:
                return self.base(lock, manifest, say, ahead)
        with Ahead() as ahead:
            fetched = self._fetch(new.pins, lock, manifest, say, ahead)
            with self.watch.part("build"):
                lock = wheels.with_versions(lock, fetched)
                ahead.settle({wheel.name for wheel in fetched.values()})
                parts = (
                    *packed,
                    *self._wheel_chunks(
                        fetched, replace(lock, pins=_of(lock, fetched), conda=new.conda)
                    ),
                )
                lock = conda.with_provided(self._with_edges(lock, fetched, manifest), self._store)
                missing = replace(lock, pins=_of(lock, fetched), conda=new.conda)
                return lock, replace(
                    self._assemble(parts, missing, manifest, has_python=False), layer=True
                )

    def _layered(self, lock: Lock, new: Lock, manifest: Manifest, say: Say) -> list[Chunk] | None:
        """The chunks of new conda packages, None if one of them cannot be in a layer."""
        if not all(pin.noarch_python for pin in new.conda):
            return None
        names = [pin.name for pin in new.conda]
        packed = (
            conda.conda_chunks(
                lock, self._store, source=self._conda_source(manifest), say=say, only=names
            )
            if names
            else []
        )
        return (
            packed
            if all(conda.fits_a_layer(chunk, lock.target, self._store) for chunk in packed)
            else None
        )

    def chunks(self, some: Lock, lock: Lock, manifest: Manifest, say: Say) -> tuple[Chunk, ...]:
        """What some pins of a lock become.

        Raises:
            BuildError: one of them cannot be fetched or made.
        """
        fetched = self._fetch(some.pins, lock, manifest, say)
        names = [pin.name for pin in some.conda]
        packed = (
            conda.conda_chunks(
                lock, self._store, source=self._conda_source(manifest), say=say, only=names
            )
            if names
            else []
        )
        return (
            *packed,
            *installed.wheel_chunks(fetched, replace(lock, pins=some.pins), self._store),
        )

    def not_aboard(self, modules: Iterable[str], archive: Archive) -> Iterator[Finding]:
        """Modules that neither the archive nor Python itself has."""
        have = archives.modules(archive, self._store) | sys.stdlib_module_names
        for module in modules:
            if module.partition(".")[0] not in have:
                package = module.partition(".")[0]
                yield Finding(
                    "a module to preload is not aboard",
                    module,
                    "no distribution in the lock has it",
                    f'captain.add_pip_packages("{package}"), or leave it out of preload',
                )

    def trees(self, chunks: Iterable[Chunk], some: Lock) -> dict[str, Path]:
        """The site-packages of those pins whose chunks these are, unpacked in the store: normalized
        name of a distribution -> folder.
        """
        packed = {chunk.label: chunk for chunk in chunks}
        wanted = {pin.name: f"{pin.name} {pin.version}" for pin in some.pins}
        wanted |= {
            said.partition("==")[0]: conda.label(pin) for pin in some.conda for said in pin.provides
        }
        return {
            name: archives.unpack_chunk(packed[label], self._store) / some.target.site_packages
            for name, label in wanted.items()
            if label in packed
        }

    def _fetch(
        self,
        pins: tuple[Pin, ...],
        lock: Lock,
        manifest: Manifest,
        say: Say,
        ahead: Ahead | None = None,
    ) -> dict[str, Path]:
        """The wheels of some pins; packed while others are on their way, if `ahead` is given."""

        def arrived(pin: Pin, wheel: Path) -> None:
            if ahead is not None:
                self._pack_ahead(wheel, pin, lock.target, ahead)

        credentials = [r.url for r in manifest.requirements if r.url]
        some = replace(lock, pins=pins)
        with self.watch.part("fetch"):
            return wheels.fetch(
                some,
                indexes=self._indexes(manifest),
                store=self._store,
                python=self._python_for(lock),
                say=say,
                credentials=credentials,
                arrived=arrived,
            )

    def _pack_guessed(self, guess: pip.Guess, ahead: Ahead) -> list[Chunk]:
        """Begin with what will most likely be chosen, the largest first; what was guessed wrong
        stays in the store.
        """
        lock = guess() or Lock(self.target)
        here = [
            (wheel, pin)
            for pin in lock.pins
            if (wheel := wheels.kept(pin, self._store)) is not None
        ]
        for wheel, pin in sorted(here, key=lambda found: -found[0].stat().st_size):
            self._pack_ahead(wheel, pin, lock.target, ahead)
        return []

    def _pack_ahead(self, wheel: Path, pin: Pin, nodes: Target, ahead: Ahead) -> None:
        ahead.begin(wheel.name, lambda: [installed.wheel_chunk(wheel, pin, nodes, self._store)])

    def _with_edges(self, lock: Lock, fetched: Mapping[str, Path], manifest: Manifest) -> Lock:
        extras = {r.name: r.extras for r in manifest.requirements if r.extras}
        return wheels.with_edges(
            lock, fetched, target.environment(lock.target), extras, store=self._store
        )

    def _assemble(
        self,
        parts: Iterable[Chunk],
        lock: Lock,
        manifest: Manifest,
        *,
        has_python: bool,
        to: archives.Destination | None = None,
    ) -> Archive:
        chunks = tuple(parts)
        _refuse_newer_glibc(chunks, lock.target)
        machines.refuse_foreign(chunks, lock.target)
        archive = archives.assemble(
            chunks,
            target=lock.target,
            lock=lock,
            has_python=has_python,
            inputs=_inputs(manifest),
            store=self._store,
            to=to,
        )
        return replace(
            archive, findings=(*archive.findings, *packing.findings(archive.chunks, self._store))
        )

    def _base_chunks(self, lock: Lock, manifest: Manifest, say: Say) -> list[Chunk]:
        """The interpreter, conda's own where there is any conda package; our part of it;
        pyspark.
        """
        ours = [
            worker_files.chunk(lock.target, self._store),
            pyspark_files.chunk(lock.target, self._store, python=self._python_for(lock)),
        ]
        if lock.conda:
            return [*self._conda_chunks(lock, manifest, say), *ours]
        return (
            [interpreter.chunk(self.interpreter, self._store), *ours]
            if self._settings.ship_python
            else ours
        )

    def _conda_chunks(self, lock: Lock, manifest: Manifest, say: Say) -> list[Chunk]:
        packed = conda.conda_chunks(lock, self._store, source=self._conda_source(manifest), say=say)
        conda.refuse_both(lock, packed, self._store)
        python = self._python_for(lock)
        if self._settings.bytecode == "all":
            return [
                *packed,
                *(compiled.chunk(chunk, self._store, python=python) for chunk in packed),
            ]
        own = packed[[pin.name for pin in conda.in_order(lock.conda)].index("python")]
        return [
            *packed,
            compiled.library_chunk(own, self._store, python=python, minor=lock.target.minor),
        ]

    def _conda_source(self, manifest: Manifest) -> conda_prefix.Source:
        """Where conda packages are fetched, with the credentials of the channels that were
        named.
        """
        return conda_prefix.Source(self.condarc, conda_lock.channels_of(manifest, self.condarc))

    def _python_for(self, lock: Lock, *, fetch: bool = True) -> str:
        """An interpreter of the executors' minor version on this machine, to build and compile
        with; conda's own need not run here.
        """
        if not lock.conda:
            return self._python
        if platform.python_version().startswith(f"{lock.target.minor}."):
            return sys.executable
        return interpreter.find(
            lock.target.minor,
            offline=self._settings.indexes.offline or not fetch,
            store=self._store,
        ).executable

    def _wheel_chunks(self, fetched: Mapping[str, Path], lock: Lock) -> list[Chunk]:
        packed = installed.wheel_chunks(fetched, lock, self._store)
        if self._settings.bytecode == "all":
            packed += [
                compiled.chunk(chunk, self._store, python=self._python_for(lock))
                for chunk in packed
            ]
        return packed

    # what it would take

    def plan(self, lock: Lock) -> tuple[PlanItem, ...]:
        """One line a part of the base; looks at the store and makes nothing.

        Raises:
            BuildError: it would mix machines.
        """
        self.refuse_mixed(lock)
        return (
            *self._base_items(lock),
            *(self._conda_item(pin, lock.target) for pin in lock.conda),
            *(self._pin_item(pin, lock.target) for pin in lock.pins),
        )

    def refuse_mixed(self, lock: Lock) -> None:
        """Refuse what would make an archive of two machines, before anything of it is fetched.

        Raises:
            BuildError: an interpreter of another machine than the executors' would be shipped, or a
            package that is for another one is pinned.
        """
        if self._settings.ship_python and not lock.conda:
            self._refuse_machine(lock.target.architecture, self.interpreter.architecture)
        machines.refuse_pins(lock)

    def plan_addition(self, lock: Lock, aboard: Lock) -> Plan:
        """What `addition` would make of a lock.

        The plan's lock is what would be sent: what is missing, or all for a new base.
        """
        machines.refuse_pins(lock)
        new = aboard.lacks(lock)
        if not new.pins and not new.conda:
            return Plan(new, (), addition="nothing would be sent: all of it is aboard")
        packed = {
            pin.name: conda.recall_package(pin, lock.target, self._store) for pin in new.conda
        }
        modules_only = all(
            chunk is None or conda.fits_a_layer(chunk, lock.target, self._store)
            for chunk in packed.values()
        )  # as far as it is known
        if not (modules_only and all(pin.noarch_python for pin in new.conda)):
            why = "conda packages that have more than modules are among it"
            return Plan(
                lock,
                self.plan(lock),
                addition=(
                    "a new base would be sent, in which everything runs from its next job on:"
                    f" {why}"
                ),
            )
        items = (
            *(self._conda_item(pin, lock.target) for pin in new.conda),
            *(self._pin_item(pin, lock.target) for pin in new.pins),
        )
        unseen = [name for name, chunk in packed.items() if chunk is None]
        unless = (
            f", unless files outside of site-packages are in {', '.join(unseen)}: then a new base"
            " with all that is aboard"
            if unseen
            else ""
        )
        return Plan(new, items, addition=f"a layer would be sent{unless}")

    def _base_items(self, lock: Lock) -> list[PlanItem]:
        spark = _item("pyspark", self._known_pyspark(lock), seconds=3.0, size=3_000_000)
        if lock.conda or not self._settings.ship_python:
            return [spark]
        python = self.interpreter
        return [
            _item(
                f"python {python.version}",
                interpreter.recall(python, self._store),
                seconds=6.0,
                size=17_000_000,
            ),
            spark,
        ]

    def _known_pyspark(self, lock: Lock) -> Chunk | None:
        try:
            python = self._python_for(lock, fetch=False)
        except BuildError:  # there is none of that minor version here: a plan can do without
            return None
        return pyspark_files.recall(lock.target, self._store, python=python)

    def _pin_item(self, pin: Pin, where: Target) -> PlanItem:
        label, packed = f"{pin.name} {pin.version}", installed.recall_wheel(pin, where, self._store)
        if packed is not None or pin.kind != "wheel":
            return _item(label, packed, seconds=_SECONDS_A_SOURCE, size=pin.size)
        return _work(label, pin, fetch=not wheels.have(pin, self._store))

    def _conda_item(self, pin: CondaPin, where: Target) -> PlanItem:
        label, packed = (
            f"{pin.name} {pin.version} ({pin.channel}, {pin.license or 'licence not said'})",
            conda.recall_package(pin, where, self._store),
        )
        if packed is not None:
            return _item(label, packed, seconds=0.0, size=pin.size)
        return _work(label, pin, fetch=not conda.have(pin, self._store))


def _is_version(python: str | None) -> bool:
    """True for what is this machine's own interpreter, or one that is fetched for it."""
    return python is None or re.fullmatch(r"\s*\d+(\.\d+)*\s*", python) is not None


def _of(lock: Lock, names: Collection[str]) -> tuple[Pin, ...]:
    return tuple(pin for pin in lock.pins if pin.name in names)


_CHANGE = "a version that is aboard would have to change"


def _refuse_changes(
    aboard: Lock, lock: Lock, *, added: Manifest | None = None, why: str = ""
) -> None:
    """Raise if a pin that is aboard has another version in the new lock, or, if it is asked for
    again, other content.
    """
    wanted = added.requirements if added is not None else ()
    pairs = [(old, new) for old in aboard.pins if (new := lock.pin(old.name)) is not None]
    changes = [
        f"{old.name} {old.version} -> {new.version}"
        for old, new in pairs
        if new.version and new.version != old.version
    ]
    changes += [
        f"{old.name} {old.version}, whose source changed"
        for old, new in pairs
        if _is_source(new) and _source(old) != _source(new) and any(_is_of(new, r) for r in wanted)
    ]
    if changes:
        raise LockError(
            _CHANGE,
            value=", ".join(changes),
            cause=why or "a live session keeps what its workers have imported",
            cure=(
                "ask for what goes with what is aboard; or stop the session, captain.launch_ship(),"
                " and start it anew"
            ),
        )


def _is_source(pin: Pin) -> bool:
    """True for a folder, an archive, a branch or a wheel that was named by its place: an index does
    not have it.
    """
    return pin.direct or pin.kind != "wheel"


def _source(pin: Pin) -> tuple[str, str]:
    return pin.kind, pin.sha256 or f"{pin.url}@{pin.commit}"


def _is_of(pin: Pin, wanted: Requirement) -> bool:
    """True if the pin was chosen for a requirement; one without a name is known by its place."""
    if wanted.name:
        return wanted.name == pin.name
    place = wanted.url or (
        Path(wanted.text).as_uri() if Path(wanted.text).is_absolute() else wanted.text
    )
    return bool(pin.url) and place.rstrip("/") == pin.url.rstrip("/")


def _kept(pin: Pin) -> Requirement:
    return Requirement(
        text=f"{pin.name}=={pin.version}",
        name=pin.name,
        specifier=f"=={pin.version}",
        origin="aboard the running session",
    )


def _inputs(manifest: Manifest) -> dict[str, Any]:
    """What boat.json says it was made from: names and versions as asked for, no paths, so that two
    homes give the same bytes.
    """
    return {
        "requirements": sorted({f"{r.name}{r.specifier}" for r in manifest.requirements if r.name})
    }


def _item(label: str, chunk: Chunk | None, *, seconds: float, size: int | None) -> PlanItem:
    if chunk is not None:
        return PlanItem(label=label, action="reuse", size=chunk.size, known=True)
    return PlanItem(label=label, action="build", size=size, seconds=seconds)


def _work(label: str, pin: Pin | CondaPin, *, fetch: bool) -> PlanItem:
    """What is neither packed nor, perhaps, here."""
    seconds = (pin.size or 0) * (_SECONDS_A_FETCHED_BYTE * fetch + _SECONDS_A_PACKED_BYTE)
    return PlanItem(
        label=label, action="fetch" if fetch else "build", size=pin.size, seconds=seconds
    )


def _refuse_newer_glibc(chunks: Iterable[Chunk], nodes: Target) -> None:
    highest = max(chunks, key=lambda chunk: chunk.floor, default=None)
    if highest is None or highest.floor <= nodes.glibc:
        return
    dotted: Callable[[tuple[int, int]], str] = lambda version: ".".join(map(str, version))  # noqa: E731
    raise BuildError(
        "the environment needs a newer glibc than the platform has",
        value=(
            f"{highest.label} needs {dotted(highest.floor)}, {nodes.platform} has"
            f" {dotted(nodes.glibc)}"
        ),
        cause="what was built on this machine needs this machine's glibc",
        cure=(
            f'for the interpreter: python="{nodes.minor}", which takes a standalone build that uv'
            " fetches, or ship_python=False where the nodes have their own; for a package: a wheel"
            " built for that platform"
        ),
    )
