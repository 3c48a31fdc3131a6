"""The working directories that executors leave behind, with an unpacked environment in each.

A standalone cluster's worker keeps them until somebody clears them, and so does the one that Spark
starts beside the driver for local-cluster[...]: there that is for ever. They are ours to remove,
as we made Spark put an environment into each.

Two local clusters that start in the same second share an application's name, and so its folder.
While processes of another one work there, only those of its folders go that have an environment in
them and nobody at work.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from coffee_boat.clusters import left_behind
from coffee_boat.model import FOLDER
from coffee_boat.session.status_store import while_it_lasts
from coffee_boat.spark.jvm import is_up

_PATIENCE = 10.0
"""Seconds that who stops a context waits for the last process of its executors; Spark kills what
does not end within 10 s.
"""
_MOMENT = 2.0
"""The same where those left are not the driver's; and for a JVM's answer when a process ends."""
_PAUSE = 0.05
_GLANCE = 1.0
"""Seconds until a stop is seen that nobody tells us of: the captain was closed before, or took over
a session that runs.
"""
_PROCESSES = Path("/proc")
_ENVIRONMENT = re.compile(FOLDER)

_followed: WeakKeyDictionary[Any, Folders] = WeakKeyDictionary()
"""By SparkContext."""


def follow(context: Any) -> None:
    """Remove what the executors of a SparkContext leave behind when this process ends, or `clear`
    is called. Only for a context that gets an archive of ours; None for none.
    """
    if context is None or context in _followed or not (_PROCESSES / "self/cwd").exists():
        return
    with while_it_lasts():  # nothing is removed of a Spark that is not as we know it
        java = context._jvm.java.lang
        application = str(context.applicationId)
        folder = left_behind(
            str(context.master),
            home=java.System.getenv("SPARK_HOME"),
            directory=str(java.System.getProperty("user.dir")),
            application=application,
        )
        if folder is not None:
            driver = str(java.management.ManagementFactory.getRuntimeMXBean().getName())
            _followed[context] = Folders(
                context, folder.resolve(), application, int(driver.partition("@")[0])
            )


def clear(context: Any) -> None:
    """Remove what the executors of a context that was stopped have left."""
    folders = _followed.pop(context, None)
    if folders is not None:
        folders.clear()


class Folders:
    """Of the executors of one session.

    Args:
        folder: of the application: it has a folder an executor.
        driver: the process id of the driver's JVM, whose executors are its children.
    """

    def __init__(self, context: Any, folder: Path, application: str, driver: int) -> None:
        self._context, self._folder = context, folder
        self._application, self._driver = application, driver
        self._process = os.getpid()
        self._leaving = threading.Event()
        self._answered, self._left = threading.Event(), threading.Event()
        self._clearing = threading.Lock()
        # now: a process that ends starts no more threads
        threading.Thread(target=self._wait, name="coffee_boat-folders", daemon=True).start()
        atexit.register(self._exit)

    def clear(self) -> None:
        """Remove what nobody works in any more, once the context was stopped."""
        with self._clearing:
            alone = self._all_gone()
            for folder in [self._folder] if alone else self._unpacked():
                if not any(self._at_work(folder)):
                    shutil.rmtree(folder, ignore_errors=True)
        if alone:
            atexit.unregister(self._exit)
            self._leaving.set()
            _followed.pop(self._context, None)

    def _all_gone(self) -> bool:
        begun = time.monotonic()
        while processes := [*self._at_work(self._folder)]:
            ours = any(self._is_ours(process) for process in processes)
            if time.monotonic() - begun >= (_PATIENCE if ours else _MOMENT):
                return False
            time.sleep(_PAUSE)
        return True

    def _exit(self) -> None:
        if os.getpid() != self._process:
            return  # a fork of ours; the session goes on
        self._leaving.set()
        if self._answered.wait(_MOMENT):
            self._left.wait(_PATIENCE + _MOMENT)

    def _wait(self) -> None:
        """In a thread of its own: a call to a JVM that hangs never returns, and who ends is not to
        wait for it.
        """
        while not self._leaving.wait(_GLANCE) and not self._stopped():
            pass
        try:
            self._leave()
        finally:
            self._answered.set()
            self._left.set()

    def _leave(self) -> None:
        context = self._context
        if is_up(context):
            self._answered.set()
            with while_it_lasts():
                if getattr(context._gateway, "proc", None) is None:
                    self._let_the_driver_clear(context._jvm)
                    return
                # The JVM ends with this process. Not stopped in good order, a local cluster starts
                # executors anew, in new folders, while it goes down.
                context.stop()
        self._answered.set()
        self.clear()

    def _stopped(self) -> bool:
        return self._context._jsc is None

    def _let_the_driver_clear(self, jvm: Any) -> None:
        """The JVM is not ours and goes on: it removes what is there when it ends."""
        others = {process for process in self._at_work(self._folder) if not self._is_ours(process)}
        for folder in self._unpacked() if others else [self._folder]:
            if others.isdisjoint(self._at_work(folder)):
                jvm.org.apache.spark.util.ShutdownHookManager.registerShutdownDeleteDir(
                    jvm.java.io.File(str(folder))
                )

    # what is there

    def _unpacked(self) -> list[Path]:
        """Executors' folders that have an environment of ours in them."""
        return [
            folder
            for folder in sorted(self._folder.glob("*"))
            if any(_ENVIRONMENT.fullmatch(entry.name) for entry in folder.glob("boat-*"))
        ]

    def _at_work(self, folder: Path) -> Iterator[int]:
        """Processes that work in a folder; those that do not let us see where are taken for such if
        their command names the application, as an executor's does.
        """
        for process in _PROCESSES.glob("[0-9]*"):
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
                try:
                    here = (process / "cwd").readlink().is_relative_to(folder)
                except PermissionError:
                    words = (process / "cmdline").read_bytes().split(b"\0")
                    here = self._application.encode() in words
                if here:
                    yield int(process.name)

    def _is_ours(self, process: int) -> bool:
        """True for what the driver's JVM has started, and what that has started."""
        while process > 1 and process != self._driver:
            try:
                status = (_PROCESSES / str(process) / "stat").read_text("utf-8", "replace")
            except (FileNotFoundError, ProcessLookupError):
                return True  # it has ended since
            process = int(status.rpartition(")")[2].split()[1])
        return process == self._driver
