"""Exec plugins (client.authentication.k8s.io): credentials that a program gives."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from coffee_boat._support import parse
from coffee_boat._support.redact import redact
from coffee_boat._support.run import run
from coffee_boat.clusters.kubernetes.access import Unusable

_EXEC_SECONDS = 10.0
"""For a plugin: most take a second or two. One that opens a browser is not waited for."""
_LIFETIME, _AGAIN, _EARLY = 300.0, 60.0, 10.0
"""Seconds that a plugin's credentials are used where it does not say; after which one that failed
is asked again; and before the end of credentials.
"""


@dataclass(frozen=True)
class _Plugin:
    """An exec plugin (client.authentication.k8s.io), as it is run."""

    argv: tuple[str, ...] = field(repr=False)
    variables: tuple[tuple[str, str], ...] = field(repr=False)
    """This process's among them: AWS_PROFILE makes somebody else of us."""
    name: str


@dataclass(frozen=True)
class _Kept:
    """What a plugin gave, for a while: it takes seconds, and may ask people something."""

    until: float
    """Seconds since the epoch."""
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    failure: str = ""


_kept: dict[_Plugin, _Kept] = {}


def forget() -> None:
    """Plugins are asked anew from here on: what they gave is not accepted any more."""
    _kept.clear()


def of_plugin(told: Mapping[str, Any], beside: Path, origin: str) -> dict[str, str]:
    """What an exec plugin gives: a token, or a certificate with its key; kept in this process until
    it runs out.
    """
    plugin = _plugin(told, beside, origin)
    kept = _kept.get(plugin)
    if kept is None or kept.until < time.time():
        kept = _kept[plugin] = _asked(plugin)
    if kept.failure:
        raise Unusable(f"{origin}: {plugin.name} gives no credentials{kept.failure}")
    return dict(kept.credentials)


def _plugin(told: Mapping[str, Any], beside: Path, origin: str) -> _Plugin:
    try:
        command = str(told.get("command", ""))
        program = (
            str(beside / command) if "/" in command and not Path(command).is_absolute() else command
        )
        info = {
            "apiVersion": told.get("apiVersion"),
            "kind": "ExecCredential",
            "spec": {"interactive": False},
        }
        variables = {
            **os.environ,
            **{str(entry["name"]): str(entry["value"]) for entry in told.get("env") or ()},
        }
        arguments = [str(argument) for argument in told.get("args") or ()]
    except (AttributeError, KeyError, TypeError) as error:
        raise Unusable(f"{origin}: its user's exec is not as kubeconfigs have it") from error
    return _Plugin(
        (program, *arguments),
        (*variables.items(), ("KUBERNETES_EXEC_INFO", json.dumps(info))),
        command,
    )


def _asked(plugin: _Plugin) -> _Kept:
    """Run it."""
    try:
        done = run(plugin.argv, env=dict(plugin.variables), timeout=_EXEC_SECONDS)
    except subprocess.TimeoutExpired:
        return _failed(
            f" within {_EXEC_SECONDS:.0f} s: it may wait for somebody to log in; kubectl auth"
            " whoami does that, then launch again"
        )
    except OSError as error:
        return _failed(f": {error.strerror or error}")
    try:
        status = dict(parse.json(done.stdout)["status"])
        credentials = {
            "token": status.get("token", ""),
            "certificate": status.get("clientCertificateData", ""),
            "key": status.get("clientKeyData", ""),
        }
        return _Kept(_end(status.get("expirationTimestamp")), credentials)
    except (ValueError, KeyError, TypeError):
        words = (
            done.stderr.strip() if done.code else "it prints no ExecCredential"
        )  # what it printed may be a secret
        return _failed(f": {redact(words) or f'exit code {done.code}'}")


def _failed(why: str) -> _Kept:
    return _Kept(time.time() + _AGAIN, failure=why)


def _end(said: object) -> float:
    """When credentials run out: RFC 3339, as "2030-01-01T00:00:00Z".

    Where that is not said, soon.
    """
    try:
        return datetime.fromisoformat(str(said).replace("Z", "+00:00")).timestamp() - _EARLY
    except ValueError:
        return time.time() + _LIFETIME
