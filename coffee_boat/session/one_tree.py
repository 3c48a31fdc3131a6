"""Several site-packages as one folder, as an environment has them.

A package may be of two distributions, `shared/__init__.py` of one and `shared/two.py` of the other,
and libraries look for those of other distributions beside themselves (torch and nvidia-*): neither
is found where each distribution has an entry of its own on sys.path.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType

from coffee_boat._support.digest import digest_of
from coffee_boat._support.store import Store
from coffee_boat.errors import StoreError
from coffee_boat.worker import compose


def joined(trees: Sequence[str], store: Store) -> tuple[str, ...]:
    """A folder in the store with links to all files of some others; where two have the same file,
    the later one's counts. Of one, it is that one.

    Where the store cannot be written, and has no such folder yet, they are given as they are.

    Raises:
        StoreError: the disk is full.
    """
    if len(trees) < 2:
        return tuple(trees)
    name = f"view-{digest_of(list(trees))}"
    try:
        while not store.keep("trees", name):
            with store.publish("trees", name) as scratch:
                scratch.mkdir()
                for tree in trees:
                    compose.link_all(tree, str(scratch), frozenset())
    except StoreError as error:
        if error.code != "store.unwritable":
            raise
        return tuple(trees)
    return (str(store.path("trees", name)),)


def carry_over(before: Iterable[str], now: str) -> None:
    """Have the packages that were imported from some entries of sys.path look for further modules
    in the entry that takes their place.
    """
    for module in list(sys.modules.values()):
        places = module.__dict__.get("__path__") if isinstance(module, ModuleType) else None
        if not isinstance(places, list):  # a namespace package looks at sys.path by itself
            continue
        below = [
            now + place[len(entry) :]
            for place in places
            for entry in before
            if isinstance(place, str) and place.startswith(entry + os.sep)
        ]
        places += [place for place in dict.fromkeys(below) if place not in places]
