"""Watching a session that does not come up. What is told of one that runs: integration/test_broken.py."""

from __future__ import annotations

import threading
import time
from typing import Any

from coffee_boat.model import Finding
from coffee_boat.session.watch import Watch

PENDING = Finding("a pod stays Pending", "exec-1", "0/2 nodes are available: 2 Insufficient memory", "ask for less")


class Told:
    """What a watch told, and whom it asked."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.asked: list[str | None] = []
        self.enough = threading.Event()

    def waiting(self, application: str | None) -> list[Finding]:
        self.asked.append(application)
        if len(self.asked) >= 3:
            self.enough.set()
        return [PENDING]

    def tell(self, finding: Finding, context: Any) -> None:
        assert context is None
        self.findings.append(finding)


def test_the_cluster_is_asked_before_there_is_a_context_and_tells_once() -> None:
    told = Told()
    watch = Watch(waiting=told.waiting, explain=lambda _: None, tell=told.tell, patience=0.01)
    try:
        assert told.enough.wait(20)
    finally:
        watch.end()
    assert set(told.asked) == {None}
    assert told.findings == [PENDING]


def test_nobody_is_asked_at_once_and_nothing_is_told_after_the_end() -> None:
    told = Told()
    patient = Watch(waiting=told.waiting, explain=lambda _: None, tell=told.tell)
    ended = Watch(waiting=told.waiting, explain=lambda _: None, tell=told.tell, patience=0)
    ended.end()
    assert patient.look() is False, "there is nothing to look at"
    time.sleep(0.6)
    patient.end()
    assert told.findings == []
