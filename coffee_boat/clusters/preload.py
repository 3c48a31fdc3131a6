"""Modules that Python's daemon on each executor imports before it forks workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from coffee_boat.model import ConfPatch, Finding, SparkFacts
from coffee_boat.worker import daemon

_DAEMON_MODULE = "spark.python.daemon.module"
_USE_DAEMON = "spark.python.use.daemon"
_OURS = "coffee_boat_worker.daemon"


@dataclass(frozen=True)
class _Unsafe:
    """Why a library does not go well with a fork, in its own makers' words, and where they say
    so.
    """

    why: str
    source: str


_FORK_UNSAFE = {
    "grpc": _Unsafe(
        "gRPC's core has threads of its own and does not support fork() once it was used",
        "https://github.com/grpc/grpc/blob/master/doc/fork_support.md",
    ),
    "jax": _Unsafe(
        "JAX has threads of its own: after a fork it is likely to hang",
        "https://github.com/jax-ml/jax/issues/18852",
    ),
    "polars": _Unsafe(
        "Polars' thread pool and locks do not survive a fork",
        "https://docs.pola.rs/user-guide/misc/multiprocessing/",
    ),
    "tensorflow": _Unsafe(
        "TensorFlow has threads of its own: a session from before a fork hangs after it",
        "https://github.com/tensorflow/tensorflow/issues/5448",
    ),
    "torch": _Unsafe(
        "CUDA that was initialised before a fork cannot be used after it; importing torch does not"
        " initialise it, but what imports torch may",
        "https://docs.pytorch.org/docs/stable/notes/multiprocessing.html",
    ),
}
"""Top-level modules."""


def preloading(patch: ConfPatch, facts: SparkFacts, modules: Sequence[str]) -> ConfPatch:
    """The patch with a daemon that imports modules before it forks; as it is if there are none.

    A daemon module of the user's own runs as before, after the imports.
    """
    if not modules:
        return patch
    environment = {**patch.environment, daemon.PRELOAD: ",".join(modules)}
    theirs = facts.conf.get(_DAEMON_MODULE, _OURS)
    if theirs != _OURS:
        environment[daemon.DAEMON] = theirs
    return replace(
        patch,
        conf={**patch.conf, _DAEMON_MODULE: _OURS},
        environment=environment,
        findings=(*patch.findings, *_no_daemon(facts, modules), *fork_unsafe(modules)),
    )


def fork_unsafe(modules: Sequence[str]) -> Iterator[Finding]:
    """Those modules whose makers warn of a fork."""
    for module in modules:
        known = _FORK_UNSAFE.get(module.partition(".")[0])
        if known is not None:
            yield Finding(
                "launch.preload-and-fork",
                "a preloaded library may not survive a fork",
                value=module,
                cause=f"{known.why} ({known.source})",
                cure=f"leave {module} out of preload if tasks hang or crash",
            )


def _no_daemon(facts: SparkFacts, modules: Sequence[str]) -> Iterator[Finding]:
    if facts.conf.get(_USE_DAEMON, "true").lower() == "false":
        yield Finding(
            "launch.not-preloaded",
            "modules are not preloaded",
            value=", ".join(modules),
            cause=f"{_USE_DAEMON}=false: each worker is a Python of its own",
            cure=f"remove {_USE_DAEMON}",
        )
