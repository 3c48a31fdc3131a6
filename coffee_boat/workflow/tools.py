"""What every verb works with: the settings, the stages, and who shows what was found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from coffee_boat._support.host import Host
from coffee_boat._support.logs import logger
from coffee_boat._support.progress import Say, progress, say_line
from coffee_boat._support.store import Store
from coffee_boat.model import Finding, Generation
from coffee_boat.session.views import Views
from coffee_boat.settings import AUTO, Settings
from coffee_boat.workflow.pipeline import Pipeline
from coffee_boat.workflow.preflight import Preflight

_log = logger(__name__)


class Reporter:
    """Shows each finding once a launch, on stderr."""

    def __init__(self) -> None:
        self._shown: set[Finding] = set()
        self._launched = False

    def begin(self, *, launch: bool = False) -> None:
        """From now on show what was shown before, too: it may be the reason once more.

        Args:
            launch: the first context that starts belongs to it, and shows nothing twice.
        """
        self._shown, self._launched = set(), launch

    def begin_context(self) -> None:
        """A context starts."""
        if not self._launched:
            self.begin()
        self._launched = False

    def emit(self, findings: Iterable[Finding], *, again: bool = False) -> None:
        """Show what was not shown yet; or all of it."""
        for finding in findings:
            if again or finding not in self._shown:
                self._shown.add(finding)
                say_line(f"{finding.severity}: {finding}")
                _log.debug("shown: %s %s: %s", finding.severity, finding.code, finding)


@dataclass(frozen=True)
class Tools:
    """Of one captain; or of one session, which has a platform and an interpreter of its own."""

    settings: Settings
    store: Store
    pipeline: Pipeline
    preflight: Preflight
    views: Views
    """What was put on sys.path of this process."""
    reporter: Reporter

    @classmethod
    def of(cls, settings: Settings, *, here: Host | None = None) -> Tools:
        """For what these settings say.

        Args:
            here: the driver's machine; by default this one.
        """
        store, reporter = Store(settings.store), Reporter()
        return cls(
            settings,
            store,
            Pipeline(settings, store, here=here),
            Preflight(store, reporter.emit, refuses=settings.preflight == "refuse"),
            Views(store),
            reporter,
        )

    def of_session(self, generation: Generation) -> Tools:
        """For a session that was started by a captain: with its platform and its interpreter
        rather than what our settings say.
        """
        target = generation.base.target
        settings = replace(
            self.settings, ship_python=generation.ships_python, platform=target.platform
        )
        return replace(
            self, settings=settings, pipeline=Pipeline(settings, self.store, target=target)
        )

    def settled(self, generation: Generation) -> Tools:
        """For a session that was started with these: what another cluster says of its nodes later
        is not for it.
        """
        return self.of_session(generation) if self.settings.platform == AUTO else self

    def without_spark(self) -> Tools:
        """For archives that no Spark runs."""
        target = self.pipeline.given_target
        pipeline = Pipeline(self.settings, self.store, target=target, spark=False)
        return replace(self, pipeline=pipeline)

    @contextmanager
    def work(self) -> Iterator[Say]:
        """Around what takes long: it is shown, and what it finds in the store stays there."""
        with progress() as say, self.store.lease():
            yield say

    @property
    def refuses_untested(self) -> bool:
        """True if a pair of Python and Spark that nobody knows is refused."""
        return self.settings.untested_python == "refuse"

    def emit(self, findings: Iterable[Finding]) -> None:
        """Show them, each once a launch."""
        self.reporter.emit(findings)
