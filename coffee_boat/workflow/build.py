"""What is pinned -> what is sent: a base for a launch, a layer for an addition."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from coffee_boat._support.progress import Say
from coffee_boat.archive import areas, destination, system, unpack
from coffee_boat.archive import chunks as packing
from coffee_boat.archive.assemble import assemble
from coffee_boat.conda import chunks as conda_chunks
from coffee_boat.conda import install, request
from coffee_boat.interpreter import compiled, copy, pyspark, target, worker_files
from coffee_boat.model import Archive, Change, Chunk, Finding, Lock, Manifest, Pin
from coffee_boat.pip import chunks as pip_chunks
from coffee_boat.pip import for_driver, metadata
from coffee_boat.session.own import beside
from coffee_boat.spark import absent
from coffee_boat.spark.packages import DRIVERS_OWN
from coffee_boat.workflow import leaving_out, machines, own_code
from coffee_boat.workflow.fetch import Fetching
from coffee_boat.workflow.packing import Packing
from coffee_boat.workflow.prefetch import Ahead

_BASE = "Python and pyspark"
"""What the chunks that every base has are called among those made ahead; the others are called as
their wheels are.
"""


class Building(Fetching):
    """What is pinned -> what is sent."""

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
        to: destination.Destination | None = None,
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
        self.refuse_unfit(lock)
        ahead.refuse_failed(_BASE)
        fetched = self._fetch(lock.pins, lock, manifest, say, ahead)
        with self.watch.part("build"):
            lock = metadata.with_versions(lock, fetched)
            base = {_BASE: 0} if ahead.makes(_BASE) and not self._has_base(lock) else {}
            packing = Packing(say, fetched, lock, self._store, base)
            ahead.settle({_BASE, *(wheel.name for wheel in fetched.values())}, packing.settled)
            own = ahead.take(_BASE, lambda: self._base_chunks(lock, manifest, say))
            guests = self._wheel_chunks(fetched, lock, packing)
            own_code.refuse_taken(lock.pins, (*own, *guests), (), lock.target, self._store)
            areas.refuse_overlaps(own, guests, lock.target, self._store)
            parts = (*own, *guests)
            lock = conda_chunks.with_provided(
                self._with_edges(lock, fetched, manifest), self._store
            )
            archive = self._assemble(
                parts, lock, manifest, has_python=self._settings.ship_python, to=to
            )
            said = tuple(leaving_out.matched_nothing(lock, parts))
            archive = replace(archive, findings=(*archive.findings, *said))
            return lock, archive if self._spark else self._tell_who_needs_spark(archive, lock)

    def addition(
        self, change: Change, manifest: Manifest, say: Say
    ) -> tuple[Change, Archive | None]:
        """The archive of what is not installed yet, None if nothing is missing; and the change as
        it came out: with what only the wheels could tell, and as a new base where a package turned
        out not to fit a layer.

        Raises:
            BuildError: a part of it cannot be fetched or made, or needs a newer glibc than the
                target has.
        """
        if change.kind == "nothing":
            return change, None
        lock, new = change.lock, change.sent
        machines.refuse_pins(lock)
        packed = None
        if change.kind != "base":
            if not new.pins and not new.conda:
                return change, None
            with self.watch.part("build"):
                packed = self._layered(lock, new, manifest, say)
        if packed is None:
            with Ahead() as ahead:
                lock, base = self.base(lock, manifest, say, ahead)
            return replace(change, kind="base", lock=lock), base
        with Ahead() as ahead:
            fetched = self._fetch(new.pins, lock, manifest, say, ahead)
            with self.watch.part("build"):
                lock = metadata.with_versions(lock, fetched)
                missing = replace(lock, pins=_of(lock, fetched), conda=new.conda)
                packing = Packing(say, fetched, missing, self._store)
                ahead.settle({wheel.name for wheel in fetched.values()}, packing.settled)
                parts = (*packed, *self._wheel_chunks(fetched, missing, packing))
                here = self.packed(lock)
                own_code.refuse_taken(missing.pins, parts, here, lock.target, self._store)
                lock = conda_chunks.with_provided(
                    self._with_edges(lock, fetched, manifest), self._store
                )
                missing = replace(lock, pins=_of(lock, fetched), conda=new.conda)
                layer = self._assemble(parts, missing, manifest, has_python=False)
                return replace(change, lock=lock), replace(
                    layer, role="part" if change.difference.leaving else "layer"
                )

    def _layered(self, lock: Lock, new: Lock, manifest: Manifest, say: Say) -> list[Chunk] | None:
        """The chunks of new conda packages, None if one of them turns out not to fit a layer."""
        names = [pin.name for pin in new.conda]
        packed = (
            conda_chunks.conda_chunks(
                lock, self._store, source=self._conda_source(manifest), say=say, only=names
            )
            if names
            else []
        )
        return (
            packed
            if all(conda_chunks.fits_a_layer(chunk, lock.target, self._store) for chunk in packed)
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
            conda_chunks.conda_chunks(
                lock, self._store, source=self._conda_source(manifest), say=say, only=names
            )
            if names
            else []
        )
        some = replace(lock, pins=some.pins)
        packing = Packing(say, fetched, some, self._store)
        return (
            *packed,
            *pip_chunks.wheel_chunks(fetched, some, self._store, packed=packing.packed),
        )

    def not_aboard(self, modules: Iterable[str], archive: Archive) -> Iterator[Finding]:
        """Modules that neither the archive nor Python itself has."""
        have = unpack.modules(archive, self._store) | sys.stdlib_module_names
        for module in modules:
            if module.partition(".")[0] not in have:
                package = module.partition(".")[0]
                place = beside(package)
                yield Finding(
                    "build.preload-module-missing",
                    "a module to preload is not installed",
                    value=module,
                    cause="no distribution in the lock has it",
                    cure="leave it out of preload, or "
                    + (
                        absent.command(module) if place is None else f'captain.add_local("{place}")'
                    ),
                )

    def trees(self, chunks: Iterable[Chunk], some: Lock) -> dict[str, Path]:
        """The site-packages of those pins whose chunks these are, unpacked in the store: normalized
        name of a distribution -> folder.
        """
        packed = {chunk.label: chunk for chunk in chunks}
        wanted = {pin.name: f"{pin.name} {pin.version}" for pin in some.pins}
        wanted |= {
            said.partition("==")[0]: conda_chunks.label(pin)
            for pin in some.conda
            for said in pin.provides
        }
        return {
            name: unpack.unpack_chunk(packed[label], self._store) / some.target.site_packages
            for name, label in wanted.items()
            if label in packed
        }

    def for_the_driver(self, chunks: Iterable[Chunk], some: Lock, say: Say) -> dict[str, Path]:
        """Of those pins whose chunks these are and that this process could not import: the same
        versions for it, as far as there are wheels. Normalized name -> folder.

        Raises:
            StoreError: the store cannot be written.
        """
        labels = {chunk.label for chunk in chunks}
        pins = [
            pin
            for pin in some.pins
            if f"{pin.name} {pin.version}" in labels and for_driver.is_foreign(pin)
        ]
        return for_driver.trees(pins, self._asked_indexes, self._store, say)

    def _with_edges(self, lock: Lock, fetched: Mapping[str, Path], manifest: Manifest) -> Lock:
        extras = {r.name: r.extras for r in manifest.requirements if r.extras}
        return metadata.with_edges(
            lock, fetched, target.environment(lock.target), extras, store=self._store
        )

    def _assemble(
        self,
        parts: Iterable[Chunk],
        lock: Lock,
        manifest: Manifest,
        *,
        has_python: bool,
        to: destination.Destination | None = None,
    ) -> Archive:
        chunks = tuple(parts)
        machines.refuse_newer_glibc(((c.label, c.floor) for c in chunks), lock.target)
        machines.refuse_foreign(chunks, lock.target)
        archive = assemble(
            chunks,
            target=lock.target,
            lock=lock,
            has_python=has_python,
            inputs=_inputs(manifest),
            store=self._store,
            to=to,
        )
        said = packing.findings(archive.chunks, self._store)
        if has_python:
            said += self.untried(lock)
        if has_python or not lock.conda:  # a layer may find libraries in the base's conda packages
            bare = has_python and not lock.conda and not self.interpreter.native
            said += tuple(system.lacking(chunks, lock.target.architecture, self._store, bare=bare))
        return replace(archive, findings=(*archive.findings, *said))

    def _base_chunks(self, lock: Lock, manifest: Manifest, say: Say) -> list[Chunk]:
        """The interpreter, conda's own where there is any conda package; our part of it;
        pyspark.
        """
        python = self._python_for(lock)
        ours = [
            worker_files.chunk(
                lock.target,
                self._store,
                has_python=bool(lock.conda) or self._settings.ship_python,
            )
        ]
        if self._spark:
            ours.append(pyspark.chunk(lock.target, self._store, python=python))
        if lock.conda:
            return [*self._conda_chunks(lock, manifest, say), *ours]
        return (
            [copy.chunk(self.interpreter, self._store, python=python), *ours]
            if self._settings.ship_python
            else ours
        )

    def _conda_chunks(self, lock: Lock, manifest: Manifest, say: Say) -> list[Chunk]:
        packed = conda_chunks.conda_chunks(
            lock, self._store, source=self._conda_source(manifest), say=say
        )
        conda_chunks.refuse_both(lock, packed, self._store)
        python = self._python_for(lock)
        if self._settings.bytecode == "all":
            return [
                *packed,
                *(compiled.chunk(chunk, self._store, python=python) for chunk in packed),
            ]
        own = packed[[pin.name for pin in conda_chunks.in_order(lock.conda)].index("python")]
        return [
            *packed,
            compiled.library_chunk(own, self._store, python=python, minor=lock.target.minor),
        ]

    def _conda_source(self, manifest: Manifest) -> install.Source:
        """Where conda packages are fetched, with the credentials of the channels that were
        named.
        """
        return install.Source(self.condarc, request.channels_of(manifest, self.condarc))

    def _tell_who_needs_spark(self, archive: Archive, lock: Lock) -> Archive:
        """With what is said of packages that need the pyspark or py4j that was left out."""
        names = [pin.name for pin in lock.pins if not {*pin.requires}.isdisjoint(DRIVERS_OWN)]
        if not names:
            return archive
        found = Finding(
            "build.spark-left-out",
            "packages need pyspark or py4j, which were left out",
            value=", ".join(names),
            cause="pyspark=False packs neither",
            cure='leave it out: captain.pack("boat.tar.gz") packs those that this machine has',
        )
        return replace(archive, findings=(*archive.findings, found))

    def _has_base(self, lock: Lock) -> bool:
        """True if all was packed before that no resolution decides, where it is not conda's."""
        python = self._python_for(lock)
        has_spark = (
            not self._spark or pyspark.recall(lock.target, self._store, python=python) is not None
        )
        return has_spark and (
            not self._settings.ship_python or copy.recall(self.interpreter, self._store) is not None
        )

    def _wheel_chunks(
        self, fetched: Mapping[str, Path], lock: Lock, packing: Packing
    ) -> list[Chunk]:
        packed = pip_chunks.wheel_chunks(fetched, lock, self._store, packed=packing.packed)
        if self._settings.bytecode == "all":
            packed += [
                compiled.chunk(chunk, self._store, python=self._python_for(lock))
                for chunk in packed
            ]
        return packed


def _of(lock: Lock, names: Collection[str]) -> tuple[Pin, ...]:
    return tuple(pin for pin in lock.pins if pin.name in names)


def _inputs(manifest: Manifest) -> dict[str, Any]:
    """What boat.json says it was made from: names and versions as asked for, no paths, so that two
    homes give the same bytes.
    """
    return {
        "requirements": sorted({f"{r.name}{r.specifier}" for r in manifest.requirements if r.name})
    }
