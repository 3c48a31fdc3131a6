"""What a captain has: the request, what was chosen or built of it, the session, the hook. Each is
replaced whole, and only here.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from coffee_boat import requirements
from coffee_boat._support import home
from coffee_boat.archive import concatenate
from coffee_boat.archive.destination import Destination
from coffee_boat.errors import BoatError, VerifyError
from coffee_boat.model import Archive, Arrival, Lock, Manifest, Plan, Report
from coffee_boat.session import Session, folders, reach, verify
from coffee_boat.session.handed import session_of
from coffee_boat.session.live import LiveSession
from coffee_boat.spark import hook, install, jvm
from coffee_boat.workflow import apply, attach, changes, launch, plan, refusals, remote
from coffee_boat.workflow.attach import Attached
from coffee_boat.workflow.built import Built, Resolved, build, unedited
from coffee_boat.workflow.expose import expose
from coffee_boat.workflow.request import LockFile, Request, has_packages, lock_file_while_running
from coffee_boat.workflow.tools import Tools


class Workspace:
    """Of one captain. Its calls may come from several threads."""

    def __init__(self, tools: Tools, request: Request) -> None:
        self.tools = tools
        self.request = request
        self.report: Report | Arrival | None = None
        self._known: Resolved | None = None
        """What was chosen, and perhaps built, last."""
        self._attached: Attached | None = None
        self._hook: hook.Installed | None = None
        self._requests: dict[int, Request] = {}
        """What was asked for by the generation of the running session that had it."""
        self._starting = False
        """True while a context is made that gets what was asked for when it began."""
        self._changing = threading.RLock()
        """Held while a field changes. Who holds it waits for no SparkContext to start."""

    @property
    def running(self) -> bool:
        """True while a session runs with what this captain was asked for."""
        return self._running() is not None

    @property
    def here(self) -> Tools:
        """For the running session, whose platform and interpreter may be others than the settings
        say; else for what the settings say.
        """
        return self._tools_of(self._running())

    @property
    def launched(self) -> bool:
        """True while sessions that start get what this captain was asked for."""
        return self._hook is not None

    @property
    def lock(self) -> Lock | None:
        """What was chosen; None before anything was."""
        known, file = self.wanted()[1], self.request.lock_file
        return known.lock if known else file.lock if file else None

    def wanted(self) -> tuple[Request, Resolved | None]:
        """What is asked for now, and what was chosen or built of it, if it was.

        What a session had that was started with other settings is not for others.
        """
        with self._changing:
            known, here = self._known, self._attached
            foreign = here is not None and here.foreign and not here.running
            fits = known is not None and known.serves(self.request) and not foreign
            return self.request, known if fits else None

    def in_session(self) -> Resolved | None:
        """What the running session has. None where none runs: what was chosen before is chosen
        anew, as folders, branches and indexes change.
        """
        return self._known if self.running else None

    def keep(self, known: Resolved) -> None:
        """Remember what was chosen or built, unless something else was asked for meanwhile."""
        with self._changing:
            if known.serves(self.request):
                self._known = known

    # what is asked for

    def add(self, manifest: Manifest, wait: float, *, allow_changes: bool = False) -> None:
        """As `Captain.add_manifest`."""
        with self._changing:
            running = self._running()
            wanted = self.request.asked(
                manifest, running=running is not None, allow_changes=allow_changes
            )
            self._tools_of(running).pipeline.check(wanted.manifest)
            if running is not None:
                self._add_live(running, wanted, manifest, wait, allow_changes=allow_changes)
            else:
                self.request = self.request.with_manifest(manifest)
                if not self._starting:  # else it is sent when the session is there
                    self.tools.emit(install.elsewhere())

    def take_lock_file(self, path: Path) -> None:
        """As `Captain.add_lock`."""
        with self._changing:
            self.request = self._with_lock_file(path)

    def forget(self, names: Sequence[str]) -> None:
        """As `Captain.forget`."""
        if not names:
            return
        with self._changing:
            self._refuse_running(
                "session.forget-while-running",
                "packages cannot be forgotten while a session runs with them",
                names,
                "captain.remove_pip_packages({0}) takes them out of it; or stop the session,"
                " captain.forget({0}), and start it again",
            )
            known = changes.built_names(self.request.manifest, self.lock)
            self.request = self.request.without(names, known)

    def preload(self, modules: Sequence[str]) -> None:
        """As `Captain.preload`."""
        if not modules:
            return
        with self._changing:
            wanted = self.request.preloading(modules)
            self._refuse_running(
                "session.preload-while-running",
                "modules cannot be preloaded in a running session",
                modules,
                "stop the session, captain.preload({0}), and start it again",
                "executors were told how to start Python when they started",
            )
            self.request = wanted

    def _with_lock_file(self, path: Path, besides: Manifest | None = None) -> Request:
        if self.running:
            raise lock_file_while_running(path)
        request = self.request.and_manifest(besides or Manifest())
        path = home.expanded(path)
        requirements.refuse_no_lock(path)
        request.refuse_packages(path)
        file = LockFile(path.absolute(), self.tools.pipeline.read_lock(path))
        return request.with_lock_file(file)

    def _refuse_running(
        self, code: str, what: str, names: Sequence[str], cure: str, cause: str = ""
    ) -> None:
        if self.running:
            raise refusals.while_running(code, what, names, cure, cause)

    # before a session

    def plan(self, more: Manifest, master: str | None, lock_file: Path | None) -> Plan:
        """As `Captain.plan_with`."""
        with self._changing:
            running = self._running()
            tools = self._tools_of(running)
            if lock_file is not None:
                wanted = self._with_lock_file(lock_file, more)
                return plan.plan_launch(tools, wanted, master)[0]
            asked = self.request
            wanted = (asked.with_changes if running else asked.and_manifest)(more)
            tools.pipeline.check(wanted.manifest)
            if not has_packages(more):
                known = self._known if running is not None else None
                lock = known.lock if known else None
                made, chosen = plan.plan_launch(tools, self.request, master, lock=lock)
                self._known = known or chosen
                return made
            if running is not None:
                return plan.plan_addition(tools, running.live, wanted.manifest, more, master)
            wanted = self.request.with_manifest(more)
            return plan.plan_launch(tools, wanted, master, asked_for=False)[0]

    def pack(self, destination: Destination | None, *, pyspark: bool = True) -> Archive:
        """As `Captain.pack`; without a destination it lies in the store."""
        if destination is not None:
            destination.check()
        self.tools.reporter.begin()
        request, known = self.request, self.in_session()
        if isinstance(known, Built) and destination is not None and pyspark:
            return concatenate.copy_to(known.archive, destination)
        tools = self.here if pyspark else self.here.without_spark()
        with tools.work() as say:
            lock = known.lock if known else None
            built = build(tools, request, say, lock=lock, to=destination)
        self.keep(Resolved(request, built.lock))
        return built.archive

    def launch(self, master: str | None, conf: Mapping[str, str] | None) -> None:
        """As `Captain.launch_ship`."""
        with self.tools.store.lease():
            self._launch(master, conf)

    def _launch(self, master: str | None, conf: Mapping[str, str] | None) -> None:
        if remote.expects(master, conf):
            self.bring_arrow()
        built = launch.prepare(self.tools, self.request, master=master, conf=conf)
        self.keep(built)
        self.unhook()
        launcher = launch.Launcher(
            self.tools,
            begins=self._begins,
            wanted=self.wanted,
            took=self._took,
            failed=self._failed,
            connected=self._connected,
            stopping=self._stopping,
            replaced=self.unhook,
        )
        try:
            self._hook = launcher.install(master, conf)
            with self.tools.work() as say:
                expose(self.tools, built.lock, built.archive.chunks, say)
        except BaseException:
            self.unhook()
            raise

    def bring_arrow(self, spark: str = "") -> None:
        """Ask for what sessions of a Spark Connect server need; `spark` is that server's."""
        with self._changing:
            known = self.wanted()[1]
            self.request = remote.with_arrow(self.tools, self.request, known, spark)

    # while a session runs

    def board(self, handed: Any) -> None:
        """As `Captain.board`."""
        self.tools.reporter.begin()
        session = session_of(handed)
        self.tools.emit(install.fitting(refuse_unknown=self.tools.refuses_untested))
        self._board(session, handed)
        if self._hook is None:
            self.tools.emit([reach.this_session_only()])

    def _board(self, session: Session, handed: Any) -> None:
        """It gets what was asked for; what it has is known then."""
        tools = self.tools
        folders.follow(jvm.context_of(handed))
        with self._changing, tools.work() as say:
            history = attach.recalled(tools, session)
            before = self._attached
            if history is None:
                if session.remote:
                    self.bring_arrow(session.versions().jvm)
                self._attached, self._known = attach.take_over(tools, session, *self.wanted(), say)
                self._requests = {1: self.request}
            elif before is None or not before.live.session.is_of(handed):
                here, applied = attach.go_on(
                    tools, session, history, self.request, known=self._known, say=say
                )
                self._attached, self._requests = here, {}
                self._known = Resolved(self.request, here.live.history.current.lock)
                if applied is not None:
                    self._confirm(here, applied)

    def _connected(self, spark: Any) -> None:
        """A session of Spark Connect is up, perhaps the one that we have."""
        here = self._attached
        if here is None or not here.live.session.is_of(spark) or not here.running:
            self.tools.reporter.begin_context()
            self._board(session_of(spark), spark)

    def verify(self, modules: Sequence[str], deadline: float) -> Report:
        """As `Captain.verify`."""
        here = self.attached()
        live, preflight = here.live, here.tools.preflight
        now = live.refresh()
        try:
            report = verify.verify(
                live.session,
                now.lock,
                base=now.base,
                deadline=deadline,
                modules=tuple(modules),
                ships_python=now.ships_python,
            )
        except VerifyError as error:
            archive = self._known.archive if isinstance(self._known, Built) else None
            preflight.look_into(error, live.session, archive)
            raise
        report = replace(report, generation=now.number)
        preflight.remember(live.session.master, report)
        self.report = report
        return report

    def attached(self) -> Attached:
        """The running session.

        Raises:
            VerifyError: none runs.
        """
        running = self._running()
        if running is None:
            raise refusals.no_session(self._attached)
        return running

    def close(self) -> None:
        """As `Captain.close`."""
        self.unhook()
        self._attached = None

    def unhook(self) -> None:
        """Give the process back: pyspark's functions, the watch, sys.path."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        self.tools.preflight.end_watch()
        self.tools.views.close()

    def _running(self) -> Attached | None:
        """The session, if it runs: its JVM is asked, so once in each call that needs to know."""
        here = self._attached
        return here if here is not None and here.running else None

    def _tools_of(self, running: Attached | None) -> Tools:
        return self.tools if running is None else running.tools

    def _add_live(
        self,
        here: Attached,
        wanted: Request,
        added: Manifest,
        wait: float,
        *,
        allow_changes: bool = False,
    ) -> None:
        wish = apply.addition(
            here.tools, wanted.manifest, added, deadline=wait, allow_changes=allow_changes
        )
        self._change(here, wanted, wish)

    def _change(self, here: Attached, wanted: Request, wish: apply.Wish) -> None:
        """Nothing of this captain or of the session changes before all of it is made."""
        applied = apply.apply(here.tools, here.live, wish)
        self._requests[here.live.history.current.number] = wanted
        self.request = wanted.installed(applied.lock)
        self._known = Resolved(self.request, applied.lock)
        self._confirm(here, applied, wanted.manifest)

    def _confirm(
        self, here: Attached, applied: apply.Applied, shown: Manifest | None = None
    ) -> None:
        if shown is None or self._attached is not here:  # closed by another thread meanwhile
            self.report = arrival = apply.confirm(here.live, applied)
        else:
            self.report = arrival = apply.confirm_and_expose(here.live, applied, here.tools, shown)
        here.tools.emit(applied.lock.findings)
        here.tools.reporter.emit(arrival.findings, again=True)  # each of this addition

    def _begins(self) -> tuple[Request, Resolved | None]:
        """A context is made: with what is asked for now."""
        with self._changing:
            self._starting = True
            request, known = self.wanted()
            return request, unedited(known)

    def _failed(self, error: BaseException) -> BoatError | None:
        """It did not come up; the error in words that help, if there are any."""
        self._starting = False
        return self.tools.preflight.failed(error)

    def _took(self, live: LiveSession, built: Built) -> None:
        """A context came up with what was asked for when it began; what was asked for since, in
        another thread, is sent after it.
        """
        with self._changing:
            self._starting = False
            tools = self.tools.settled(live.history.current)
            self._attached = here = Attached(live, tools)
            self._known, self._requests = built, {1: built.request}
            if built.serves(later := self.request):
                return
            self.request = built.request
            if later.lock_file is not None and later.lock_file != built.request.lock_file:
                refusal = lock_file_while_running(later.lock_file.path)
                self.tools.emit([refusals.not_in_session(refusal)])
                return
            try:
                self._add_live(here, later, Manifest(), wait=0.0)
            except BoatError as error:
                self.tools.emit([refusals.not_in_session(error)])

    def _stopping(self, context: Any) -> None:
        """Called before a context stops."""
        if self._attached is not None and self._attached.live.session.is_of(context):
            self.tools.preflight.stopping()
