"""The driver of a submission in YARN's cluster mode: spark-submit says that it failed, but neither
with which exit code nor what it said.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from coffee_boat._support.redact import redact
from coffee_boat._support.urls import lenient
from coffee_boat.clusters import remote
from coffee_boat.clusters.yarn.daemons import NoAnswer, get
from coffee_boat.clusters.yarn.hadoop import configuration
from coffee_boat.errors import LaunchError
from coffee_boat.model import SparkFacts

_TAGS = "spark.yarn.tags"
_WAIT = "spark.yarn.submit.waitAppCompletion"
_EXIT = (
    re.compile(r"User application exited with status (\d+)"),
    re.compile(r"exited with\s+exitCode: (\d+)"),
)
"""In YARN's diagnostics: Spark's own word (org.apache.spark.deploy.yarn.ApplicationMaster), else
the container's.
"""
_CONTEXT = re.compile(r"^={60,}$.*?^={60,}$\n?", re.DOTALL | re.MULTILINE)
"""How an executor is started, on a hundred lines; said by the application master at INFO."""
_BEGIN, _END = "LogContents:\n", "End of LogType:"
"""Around a log's text, as the NodeManager sends it."""
_BYTES = "65536"

Say = Callable[[str], None]


@dataclass(frozen=True)
class YarnDriver:
    """One submission's."""

    facts: SparkFacts
    """With the conf complete."""
    tag: str = field(default_factory=lambda: f"coffee-boat-{uuid.uuid4().hex[:12]}")

    @property
    def conf(self) -> dict[str, str]:
        """What must be set besides, so that the application is found."""
        return {_TAGS: ",".join(filter(None, [self.facts.conf.get(_TAGS), self.tag]))}

    @contextmanager
    def watched(self, say: Say) -> Iterator[None]:  # noqa: ARG002  (as every kind of driver)
        """Nothing: spark-submit itself shows the reports of the ResourceManager."""
        yield

    def exit_code(self, submitted: int, say: Say) -> int:
        """The driver's own exit code, once spark-submit has ended; says what failed, with the end
        of its log.

        Args:
            submitted: spark-submit's, which is taken where YARN says nothing.
        """
        if self.facts.conf.get(_WAIT, "true").lower() == "false":
            return submitted
        application = self._application()
        if application is None:
            return submitted
        if application.get("state") not in ("FINISHED", "FAILED", "KILLED"):
            self._say_that_it_goes_on(application, submitted, say)
            return submitted
        return (
            0
            if application.get("finalStatus") == "SUCCEEDED"
            else self._failed(application, submitted, say)
        )

    def _application(self) -> Mapping[str, Any] | None:
        """What the ResourceManager says of it; None if it knows of none, or says nothing."""
        try:
            managers = configuration(self.facts.conf).managers()
        except LaunchError:
            return None
        for manager in managers:
            try:
                told = manager.ask("/ws/v1/cluster/apps", applicationTags=self.tag)
            except NoAnswer:
                continue
            return next(iter((told.get("apps") or {}).get("app", [])), None)
        return None

    def _failed(self, application: Mapping[str, Any], submitted: int, say: Say) -> int:
        name, words = str(application.get("id")), str(application.get("diagnostics", ""))
        code = (
            next(
                (int(found[1]) for pattern in _EXIT if (found := pattern.search(words))), submitted
            )
            or 1
        )
        say(
            f"the driver of {name} ended with exit code {code} ({application.get('finalStatus')});"
            f" the end of what it said (yarn logs -applicationId {name} -am -1):"
        )
        try:
            for stream in ("stdout", "stderr"):
                if tail := log_tail(str(application.get("amContainerLogs", "")), stream):
                    say(redact(f"--- {stream}\n{tail}"))
        except NoAnswer as error:
            say(
                redact(
                    f"its log cannot be read: {error}; YARN's own words: {words.strip()[-2000:]}"
                )
            )
        return code

    @staticmethod
    def _say_that_it_goes_on(application: Mapping[str, Any], submitted: int, say: Say) -> None:
        name = str(application.get("id"))
        cause = (
            "spark-submit was interrupted, not the application"
            if submitted == remote.INTERRUPTED
            else "spark-submit ended before it"
        )
        end = f"yarn application -kill {name}"
        say(f"note: {remote.goes_on(name, cause=cause, end=end)}")


def log_tail(page: str, stream: str) -> str:
    """The last lines of a container's log, without Spark's own chatter.

    Args:
        page: the NodeManager's page of the container's logs, as the ResourceManager names it.

    Raises:
        NoAnswer: the NodeManager does not give it.
    """
    url = lenient(page)
    container = next((part for part in url.path.split("/") if part.startswith("container_")), "")
    if not container:
        raise NoAnswer("YARN names no container of the driver: it was not started")
    said = get(
        f"{url.scheme}://{url.netloc}/ws/v1/node/containers/{container}/logs/{stream}",
        size=f"-{_BYTES}",
    ).decode("utf-8", "replace")
    return remote.tail(_CONTEXT.sub("", _contents(said))).strip("\n")


def _contents(said: str) -> str:
    """The log's own text; all where nothing is around it."""
    _, begins, text = said.partition(_BEGIN)
    text, ends, _ = text.partition(_END)
    return text.removesuffix("\n") if begins and ends else said
