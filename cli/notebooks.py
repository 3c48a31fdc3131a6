"""What a notebook's Captain wanted when it launched last, for another kernel of that notebook: kept
in the store, without secrets.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from coffee_boat import settings
from coffee_boat._support.progress import say_line
from coffee_boat._support.redact import redact, redact_setting
from coffee_boat._support.store import Store
from coffee_boat.captain import Captain
from coffee_boat.cli.options import Wanted, Where
from coffee_boat.errors import SettingsError, StoreError
from coffee_boat.model import CondaRequirement, Indexes, Manifest, Requirement

_KIND = "notebook"
_AGAIN = {
    "index_url": "--index-url URL",
    "extra_index_urls": "--extra-index-url URL",
    "find_links": "--find-links URL",
    "channel": "--channel URL",
    "master": "--master URL",
    "settings of a cell": ", after the cell that makes the Captain",
}
"""What may hold a password and decides where packages come from, or where they go -> how it is said
again.
"""
_ADD = "%boat add NAME asks for a package"
_OF_A_CELL = "settings of a cell"
Value = TypeVar("Value")


@dataclass(frozen=True)
class Kept:
    """What a launch wanted."""

    manifest: Manifest
    lock: str | None
    """The path of a lock file."""
    settings: Mapping[str, Any]
    """Of the Captain, as far as %boat gave them."""
    where: Where
    left_out: tuple[str, ...] = ()
    """What decides where packages come from and was not kept, as it has a password: settings by
    their names."""

    def refuse_half(self, said: Collection[str]) -> None:
        """Raise if packages would come from elsewhere now than then.

        Args:
            said: settings that are given now.

        Raises:
            SettingsError: an index, or what bounds what is taken from it, was not kept.
        """
        lacking = [name for name in self.left_out if name not in said]
        if lacking:
            raise SettingsError(
                "settings.half-kept",
                "what this notebook had was not kept whole",
                value=", ".join(lacking),
                cause="a password, or what a cell gave its Captain; without it packages would come"
                " from another index, or go to another cluster",
                cure="say it again: %boat launch --last "
                + " ".join(_AGAIN.get(name, name) for name in lacking),
            )

    def at(self, said: Where) -> Where:
        """Where that was, under what is said now.

        Raises:
            SettingsError: its master was not kept, and is not said now.
        """
        if not said.master:
            self.refuse_half({*self.left_out} - {"master"})
        return Where(
            said.master or self.where.master,
            conf={**self.where.conf, **said.conf},
            preload=tuple(dict.fromkeys((*self.where.preload, *said.preload))),
        )


class Last:
    """What a notebook launches, kept for its next kernel.

    Args:
        names: the kernel's own.
    """

    def __init__(self, names: Mapping[str, object]) -> None:
        self._names = names
        self.settings: Mapping[str, Any] = {}
        """That the Captain was made with, by %boat."""
        self.made_here = False
        """True if %boat made it. What a cell gave another one is not kept."""
        self.lock: str | None = None
        """The lock file that %boat was given."""
        self._where = Where()

    def recalled(self, wanted: Wanted, *, has_captain: bool) -> Kept:
        """What was kept.

        Args:
            wanted: may name another store.
            has_captain: the notebook has one, with its own settings.

        Raises:
            SettingsError: nothing was.
        """
        store, notebook = self._place(wanted.settings)
        kept = recall(store, notebook)
        if kept is None:
            raise SettingsError(
                "settings.nothing-kept",
                "nothing is kept of this notebook",
                value=notebook,
                cause="it launched nothing with %boat, or with another store",
                cure='captain.add_pip_packages("NAME"), then captain.launch_ship()',
            )
        indexes = asdict(wanted.manifest().indexes)
        named = {name for name, said in indexes.items() if said} | set(self.settings)
        named |= {"channel"} if wanted.channels else set()
        named |= {_OF_A_CELL, *_AGAIN} if has_captain and not self.made_here else set()
        kept.refuse_half({*named, *wanted.settings, "master"})
        return kept

    def keep(self, captain: Captain, where: Where | None = None) -> None:
        """Keep what runs now.

        Args:
            where: None for where the last launch of this kernel was.
        """
        self._where = self._where if where is None else where
        if not (captain.manifest.texts or self.lock):
            return
        manifest = replace(captain.manifest, findings=())
        elsewhere = () if self.made_here else (_OF_A_CELL,)
        wanted = Kept(manifest, self.lock, self.settings, self._where, elsewhere)
        for text in keep(*self._place(self.settings), wanted):
            say_line(f"note: not kept for %boat launch --last, as it has a password: {text}")

    def tell_empty(self, captain: Captain) -> None:
        """Say that a session would have nothing, and what this notebook had."""
        if captain.manifest.texts or captain.lock is not None:
            return
        kept = recall(*self._place(self.settings))
        had = "" if kept is None else ", ".join(kept.manifest.texts) or str(kept.lock)
        what = f"%boat launch --last takes what this notebook had: {redact(had)}" if had else _ADD
        say_line(f"note: nothing was asked for, so executors get Python and pyspark alone; {what}")

    def told(self) -> Iterator[tuple[str, str]]:
        """What was kept, as a row of a table; nothing without it."""
        kept = recall(*self._place({}))
        if kept is not None:
            wanted = ", ".join(redact(text) for text in kept.manifest.texts) or "no packages"
            yield "kept of before", f"{wanted}: %boat launch --last"

    def _place(self, given: Mapping[str, Any]) -> tuple[Store, str]:
        said, _ = settings.load({key: given[key] for key in ("store",) if key in given})
        return Store(said.store), name_of(self._names)


def name_of(names: Mapping[str, object], environ: Mapping[str, str] | None = None) -> str:
    """Which notebook a kernel is of: its path, or the working directory.

    Args:
        names: the kernel's own.
        environ: default: the process's environment.
    """
    environ = os.environ if environ is None else environ
    said = names.get("__vsc_ipynb_file__") or environ.get("JPY_SESSION_NAME") or Path.cwd()
    return str(Path(str(said)).absolute())


def keep(store: Store, notebook: str, wanted: Kept) -> list[str]:
    """Keep it in place of what was kept before.

    Returns:
        What is left out, as it has a secret; without it.
    """
    manifest = wanted.manifest
    every: tuple[Requirement | CondaRequirement, ...] = (*manifest.requirements, *manifest.conda)
    public = [one for one in every if _is_public(one)]
    value: dict[str, Any] = {
        "requirements": [asdict(one) for one in public if isinstance(one, Requirement)],
        "conda": [asdict(one) for one in public if isinstance(one, CondaRequirement)],
        "constraints": [asdict(one) for one in manifest.constraints if _is_public(one)],
        "indexes": {k: said for k, said in asdict(manifest.indexes).items() if _shows(said)},
        "requires_python": manifest.requires_python,
        "channels": [name for name in manifest.channels if redact(name) == name],
        "lock": wanted.lock,
        "settings": {key: said for key, said in wanted.settings.items() if _shows(said)},
        "master": wanted.where.master if _shows(wanted.where.master) else None,
        "preload": wanted.where.preload,
        "conf": {
            key: said
            for key, said in wanted.where.conf.items()
            if redact_setting(key, said) == said
        },
    }
    hidden = {key for key, said in wanted.settings.items() if not _shows(said)}
    hidden |= {key for key, said in asdict(manifest.indexes).items() if not _shows(said)}
    if value["master"] != wanted.where.master:  # sc://host/;token=...
        hidden.add("master")
    if len(value["channels"]) < len(manifest.channels):
        hidden.add("channel")
    value["left_out"] = sorted({*wanted.left_out, *(hidden & _AGAIN.keys())})
    with suppress(StoreError):  # one that cannot be written keeps nothing
        store.remember(_KIND, notebook, value)
    conf = [key for key in wanted.where.conf if key not in value["conf"]]
    lost = [one for one in (*every, *manifest.constraints) if not _is_public(one)]
    return [*(redact(one.text) for one in lost), *sorted(hidden), *conf]


def recall(store: Store, notebook: str) -> Kept | None:
    """What was kept of a notebook; None if nothing was."""
    said = store.recall(_KIND, notebook)
    if said is None:
        return None
    manifest = Manifest(
        requirements=_all(Requirement, said["requirements"]),
        constraints=_all(Requirement, said["constraints"]),
        indexes=_all(Indexes, [said["indexes"]])[0],
        conda=_all(CondaRequirement, said["conda"]),
        channels=tuple(said["channels"]),
        requires_python=tuple(map(tuple, said.get("requires_python", ()))),
    )
    given = {key: _tuples(value) for key, value in said["settings"].items()}
    where = Where(said["master"], conf=said["conf"], preload=tuple(said["preload"]))
    return Kept(manifest, said["lock"], given, where, tuple(said.get("left_out", ())))


def _all(kind: type[Value], values: Iterable[Mapping[str, Any]]) -> tuple[Value, ...]:
    names = {part.name for part in fields(kind)}  # type: ignore[arg-type]  # they are dataclasses
    return tuple(
        kind(**{key: _tuples(said) for key, said in value.items() if key in names})
        for value in values
    )


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _is_public(value: Requirement | CondaRequirement | Indexes) -> bool:
    return all(map(_shows, asdict(value).values()))


def _shows(value: object) -> bool:
    """True if no secret is in it."""
    texts = value if isinstance(value, (list, tuple)) else [value]
    return all(redact(text) == text for text in texts if isinstance(text, str))
