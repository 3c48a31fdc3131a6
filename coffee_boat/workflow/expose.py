"""The packages on the driver too: on sys.path of this process, or of another one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from coffee_boat._support.progress import Say, Step
from coffee_boat.model import Chunk, Lock
from coffee_boat.session import driver
from coffee_boat.workflow import own_code
from coffee_boat.workflow.built import Built
from coffee_boat.workflow.tools import Tools


def expose(tools: Tools, lock: Lock, chunks: Sequence[Chunk], say: Say) -> None:
    """Make what the driver lacks importable here, after the driver's own packages; what was left
    out is shown.

    Raises:
        StoreError: the store cannot be written.
    """
    if not tools.settings.install_local:
        return
    if chunks:
        say(Step("making the packages importable here"))
        lacking = driver.lacking(lock)
        own = tools.pipeline.for_the_driver(chunks, lacking, say)
        rest = replace(lacking, pins=tuple(pin for pin in lacking.pins if pin.name not in own))
        tools.emit(tools.views.board(lock, {**tools.pipeline.trees(chunks, rest), **own}))
    tools.emit(tools.views.show_code(own_code.on_the_driver(lock)))


def folders(tools: Tools, built: Built, say: Say) -> tuple[str, ...]:
    """What a driver in a process of its own imports from, after all that this one has itself."""
    if not tools.views.entries:
        expose(tools, built.lock, built.archive.chunks, say)
        with closing(tools.views):
            return tools.views.entries
    return tools.views.entries
