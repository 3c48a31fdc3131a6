"""The wheels of a lock, packed while others are on their way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from coffee_boat._support.progress import Say
from coffee_boat.model import Chunk, Lock, Manifest, Pin
from coffee_boat.pip import chunks as pip_chunks
from coffee_boat.pip import fetch as pip_fetch
from coffee_boat.pip import resolve as pip_resolve
from coffee_boat.workflow.prefetch import Ahead
from coffee_boat.workflow.target import Executors


class Fetching(Executors):
    """The wheels of a lock: fetched or built, and packed ahead of time."""

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
                self._pack_ahead(wheel, pin, lock, ahead)

        credentials = [r.url or r.index for r in manifest.requirements if r.url or r.index]
        some = replace(lock, pins=pins)
        with self.watch.part("fetch"):
            return pip_fetch.fetch(
                some,
                indexes=self._indexes(manifest),
                store=self._store,
                python=self._python_for(lock),
                say=say,
                credentials=credentials,
                arrived=arrived,
            )

    def _pack_guessed(self, guess: pip_resolve.Guess, ahead: Ahead) -> list[Chunk]:
        """Begin with what will most likely be chosen, the largest first; what was guessed wrong
        stays in the store.
        """
        lock = guess() or Lock(self.target)
        here = [
            (wheel, pin)
            for pin in lock.pins
            if (wheel := pip_fetch.kept(pin, self._store)) is not None
        ]
        for wheel, pin in sorted(here, key=lambda found: -found[0].stat().st_size):
            self._pack_ahead(wheel, pin, replace(lock, exclude=self._settings.exclude), ahead)
        return []

    def _pack_ahead(self, wheel: Path, pin: Pin, lock: Lock, ahead: Ahead) -> None:
        def made() -> list[Chunk]:
            return [pip_chunks.wheel_chunk(wheel, pin, lock.target, self._store, lock.exclude)]

        ahead.begin(wheel.name, made)
