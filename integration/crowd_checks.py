"""What is right of what `drivers/generations.py` tells."""

from __future__ import annotations

from typing import Any

HAVE = {
    "before": {"crewballast": "1.0"},
    "add": {"crewballast": "1.0", "crewsail": "1.0"},
    "upgrade": {"crewballast": "2.0", "crewsail": "1.0"},
    "remove": {"crewballast": "2.0"},
    "rollback": {"crewballast": "2.0", "crewsail": "1.0"},
    "data": {"crewballast": "2.0", "crewsail": "1.0", "crewchart": "1.0"},
    "refused": {"crewballast": "2.0", "crewsail": "1.0", "crewchart": "1.0"},
}
"""Operation -> what is installed after it, besides crewhull and the crewkeel that it needs."""
NAMES = ("crewballast", "crewhull", "crewkeel", "crewsail", "crewchart")


def whole(some: dict[str, str]) -> dict[str, str | None]:
    return {name: {"crewhull": "1.0", "crewkeel": "1.0", **some}.get(name) for name in NAMES}


def check(seen: list[Any], operation: str) -> None:
    """Each task has all that the session has, and nothing else: by import, and by metadata."""
    assert seen
    for one in seen:
        assert one["imported"] == whole(HAVE[operation]), operation
        assert one["described"] == whole(HAVE[operation]), operation


def check_all(told: Any) -> None:
    """Of few kinds of functions, on a cluster where a session takes long."""
    assert set(told["seen"]) == set(HAVE) - {"refused"}
    for operation, kinds in told["seen"].items():
        for seen in kinds.values():
            check(seen, operation)
    check_others(told)


def check_others(told: Any) -> None:
    """Of other processes, data files and programs; and all is well in the end."""
    assert told["ok"], told["report"]
    for said in (*told["children"], *told["children afterwards"]):
        assert said == {"chdir": "1.0", "subprocess": "1.0", "spawn": "1.0"}
    assert {tuple(one.values()) for one in told["files"]} == {("rocks", "rocks ahead")}
