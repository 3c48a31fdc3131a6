"""How an environment is sent that nodes unpack once, and keep: docs/concepts/node-store.md."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from coffee_boat._support.progress import Step
from coffee_boat._support.store import Store
from coffee_boat.clusters import keeps_files, kind_of_running, plain_files, unpacks_once
from coffee_boat.errors import BuildError, StoreError
from coffee_boat.interpreter import starter
from coffee_boat.model import Archive, ConfPatch, Finding, Lock, SparkFacts
from coffee_boat.settings import EXECUTOR, OFF, ON, Settings
from coffee_boat.worker.starter import index
from coffee_boat.workflow.built import Built
from coffee_boat.workflow.tools import Tools

_FOLDERS = {ON: "", EXECUTOR: index.APART}
"""As the starter is told."""
_DAEMON = "spark.python.use.daemon"


def sent(
    tools: Tools, built: Built, facts: SparkFacts, send: Callable[[Archive], ConfPatch]
) -> ConfPatch:
    """What is set for an environment, once it was sent: as a starter and a cargo where nodes are
    to unpack it once, else as it is.

    Args:
        send: ships an archive; gives what is set for that.

    Raises:
        ShipError, LaunchError: as what sends it.
    """
    settings = tools.settings
    if not _is_asked_for(settings, facts):
        return send(built.archive)
    if reason := next(_reasons(settings, facts, built.lock, built.archive.has_python), ""):
        return _told(send(built.archive), settings, reason)
    try:
        with tools.work() as say:
            say(Step("looking for what can be unpacked side by side"))
            name = f"{built.archive.name}.cargo"
            folder = _FOLDERS.get(settings.node_store, settings.node_store)
            small = starter.build(built.archive, cargo=name, folder=folder, store=tools.store)
            cargo = _cargo(built.archive, name, tools.store)
    except (BuildError, StoreError) as error:
        reason = ": ".join(filter(None, (error.what, error.cause)))
        return _told(send(built.archive), settings, reason)
    return _with_file(send(small), facts, cargo.as_uri())


def planned(made: ConfPatch, settings: Settings, facts: SparkFacts, lock: Lock) -> ConfPatch:
    """With why nodes would not unpack once what is not built yet."""
    if not _is_asked_for(settings, facts):
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
    if settings.node_store == EXECUTOR and unpacks_once(facts.master):
        yield "the cluster unpacks it, once a node"
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


def _with_file(made: ConfPatch, facts: SparkFacts, uri: str) -> ConfPatch:
    """With one more file that each executor fetches as it is, behind the user's own."""
    key = str(plain_files(facts.master))
    theirs = (part.strip() for part in facts.conf.get(key, "").split(","))
    merged = ",".join(dict.fromkeys([*filter(None, theirs), uri]))
    return replace(made, conf={**made.conf, key: merged})


def _told(made: ConfPatch, settings: Settings, reason: str) -> ConfPatch:
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
