"""How an environment is sent that executors unpack themselves: docs/concepts/node-store.md."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from coffee_boat._support.logs import logger
from coffee_boat._support.progress import Step
from coffee_boat._support.store import Store
from coffee_boat.clusters import (
    keeps_files,
    kind_of_running,
    plain_files,
    shares_folders,
)
from coffee_boat.errors import BuildError, StoreError
from coffee_boat.interpreter import starter
from coffee_boat.model import Archive, ConfPatch, Finding, Lock, SparkFacts
from coffee_boat.settings import APPLICATION, AUTO, OFF, ON, Settings
from coffee_boat.spark import executor_plugin
from coffee_boat.spark.keys import listed
from coffee_boat.worker.starter import index
from coffee_boat.workflow.built import Built
from coffee_boat.workflow.tools import Tools

_FOLDERS = {ON: "", **dict.fromkeys((AUTO, APPLICATION), index.OF_APPLICATION)}
"""As the starter is told."""
_WORTH = 96 << 20
"""Bytes of packages from which on executors are sooner done than Spark: two starts of Python, and
the interpreter sent twice, cost as much as unpacking about half of it on the driver and then again.
"""
_EACH_FETCHES = "spark.files"
"""The setting of files that each executor fetches from the driver, be they needed or not; the
plugin fetches the cargo where it is needed. YARN has them on a node once, from its own file system.
"""
_DAEMON = "spark.python.use.daemon"
_OURS = re.compile(r"/boat-[0-9a-f]+\.cargo$")
_log = logger(__name__)


def sent(
    tools: Tools,
    built: Built,
    facts: SparkFacts,
    send: Callable[[Archive], ConfPatch],
    jvm: Any | None = None,
) -> ConfPatch:
    """What is set for an environment, once it was sent: as a starter and a cargo where executors
    are to unpack it, else as it is.

    Args:
        send: ships an archive; gives what is set for that.
        jvm: the driver's, of a session that starts in this process; None for what is submitted.

    Raises:
        ShipError, LaunchError: as what sends it.
    """
    settings = tools.settings
    if not _is_asked_for(settings, facts):
        return send(built.archive)
    reasons = _reasons(settings, facts, built.lock, built.archive.has_python)
    if settings.node_store == AUTO:
        reasons = chain(reasons, _not_by_itself(built.archive, facts, jvm))
    if reason := next(reasons, ""):
        return _told(send(built.archive), settings, reason)
    has_plugin = jvm is not None and executor_plugin.load(jvm, facts.conf)
    on_demand = has_plugin and plain_files(facts.master) == _EACH_FETCHES
    try:
        small, cargo = _starter_and_cargo(tools, built.archive, on_demand=on_demand)
    except (BuildError, StoreError) as error:
        reason = ": ".join(filter(None, (error.what, error.cause)))
        return _told(send(built.archive), settings, reason)
    made = _with_files(send(small), facts, () if on_demand else (cargo.as_uri(),))
    plugin = executor_plugin.settings(facts.conf, cargo if on_demand else None)
    return replace(made, conf={**made.conf, **plugin}) if has_plugin else made


def _starter_and_cargo(tools: Tools, archive: Archive, *, on_demand: bool) -> tuple[Archive, Path]:
    name = f"{archive.name}.cargo"
    folder = _FOLDERS.get(tools.settings.node_store, tools.settings.node_store)
    with tools.work() as say:
        say(Step("looking for what can be unpacked side by side"))
        small = starter.build(
            archive, cargo=name, folder=folder, store=tools.store, on_demand=on_demand
        )
        return small, _cargo(archive, name, tools.store)


def _not_by_itself(archive: Archive, facts: SparkFacts, jvm: Any | None) -> Iterator[str]:
    """Why executors do not unpack it where nobody asked for that."""
    if not shares_folders(facts.master):
        yield "each executor there would unpack its own"
    if sum(chunk.unpacked for chunk in archive.chunks[1:]) < _WORTH:
        yield "its packages are too small"
    if jvm is None:
        yield "it is submitted: spark-submit --files would replace what has to be sent"
    elif not executor_plugin.load(jvm, facts.conf):
        yield "executors would get tasks before they have it"


def planned(made: ConfPatch, settings: Settings, facts: SparkFacts, lock: Lock) -> ConfPatch:
    """With why executors would not unpack what is not built yet, where that was asked for."""
    if settings.node_store == AUTO or not _is_asked_for(settings, facts):
        return made
    reason = next(_reasons(settings, facts, lock, settings.ship_python), "")
    return _told(made, settings, reason) if reason else made


def _is_asked_for(settings: Settings, facts: SparkFacts) -> bool:
    return settings.node_store != OFF and not kind_of_running(facts.master).runs_in_driver


def _reasons(settings: Settings, facts: SparkFacts, lock: Lock, has_python: bool) -> Iterator[str]:
    """Why nodes do not unpack it once."""
    if plain_files(facts.master) is None:
        yield "executors there cannot be given a plain file"
    if settings.node_store == ON and not keeps_files(facts.master):
        yield "a pod keeps nothing; name the folder of a volume that later pods have, too"
    if facts.deploy_mode == "cluster":
        yield "the driver runs in the cluster, from the same archive"
    if not has_python:
        yield "no interpreter is shipped (ship_python)"
    if lock.conda:
        yield "conda packages write their own folder into their files"
    if settings.stage is not None:
        yield "the archive is in a stage"
    if facts.conf.get(_DAEMON, "").strip().lower() == "false":
        yield f"{_DAEMON} is false: Spark waits 10 s for each Python, which may take longer once"


def _with_files(made: ConfPatch, facts: SparkFacts, uris: Sequence[str]) -> ConfPatch:
    """With files that executors get as they are, behind the user's own; without what we set in a
    conf that is used again.
    """
    key = str(plain_files(facts.master))
    had = facts.conf.get(key, "")
    theirs = [one for one in had.split(",") if not _OURS.search(one)]
    files = listed(",".join(theirs), *uris)
    return replace(made, conf={**made.conf, key: files}) if files or had else made


def _told(made: ConfPatch, settings: Settings, reason: str) -> ConfPatch:
    _log.info(
        "node_store = %s: Spark unpacks the environment, since %s", settings.node_store, reason
    )
    if settings.node_store == AUTO:
        return made
    said = Finding(
        "launch.node-store-not-used",
        "the environment is sent and unpacked as without a node store",
        value=f"node_store = {settings.node_store}",
        cause=reason,
        cure="nothing need be done; COFFEE_BOAT_NODE_STORE=off ends this note",
        severity="note",
    )
    return replace(made, findings=(*made.findings, said))


def _cargo(archive: Archive, called: str, store: Store) -> Path:
    """The archive's bytes under a name that Spark does not unpack."""
    name = f"{archive.id}/{called}"
    path = store.path("archives", name)
    if not _is_same(path, Path(archive.path)):
        with store.publish("archives", name) as scratch:
            try:
                os.link(archive.path, scratch)
            except OSError:  # a file system without links
                shutil.copyfile(archive.path, scratch)
    return path


def _is_same(cargo: Path, archive: Path) -> bool:
    """True for a link to the archive, which is looked at before it is sent, or what has its bytes:
    an archive that was damaged and made again is another file.
    """
    if not cargo.is_file():
        return False
    filecmp.clear_cache()  # it looks at sizes and times only, the second time
    return cargo.samefile(archive) or filecmp.cmp(cargo, archive, shallow=False)
