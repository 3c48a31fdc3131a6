"""Whether the CUDA that packages bring goes with the drivers of the nodes that have GPUs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from coffee_boat.model import CondaPin, ExecutorFacts, Finding, Lock, NodeFacts, Pin

_LEAST = {11: 450, 12: 525, 13: 580}
"""CUDA's major version -> the oldest driver that programs made with any of its minor versions run
with (docs.nvidia.com/deploy/cuda-compatibility, "Minor Version Compatibility", table 1).
"""
_RUNTIMES = ("nvidia-cuda-runtime", "cuda-cudart", "cudatoolkit")
"""What PyPI's and conda's packages have CUDA's runtime from; with -cu12 behind it, say."""


def drivers(nodes: Sequence[ExecutorFacts | NodeFacts], lock: Lock) -> Iterator[Finding]:
    """Drivers that are too old for the CUDA in the lock; nothing of nodes without GPUs.

    Args:
        nodes: as executors say it, or before there are any, as nodes said it the last time.
    """
    pins: tuple[Pin | CondaPin, ...] = (*lock.pins, *lock.conda)
    runtime = next((pin for pin in pins if pin.name.startswith(_RUNTIMES)), None)
    major = runtime.version.partition(".")[0] if runtime is not None else ""
    least = _LEAST.get(int(major)) if major.isdigit() else None
    if runtime is None or least is None:
        return
    old: dict[str, set[str]] = defaultdict(set)
    for node in nodes:
        branch = node.gpu_driver.partition(".")[0]
        if branch.isdigit() and int(branch) < least:
            old[node.gpu_driver].add(node.host)
    for version, hosts in sorted(old.items()):
        yield Finding(
            "cluster.gpu-driver-too-old",
            "the nodes' GPU driver is too old for the CUDA in the environment",
            value=f"driver {version} on {', '.join(sorted(hosts)[:3])}; {runtime.name}"
            f" {runtime.version}",
            cause=f"CUDA {major} needs driver {least} or newer: programs say that the CUDA driver"
            " version is insufficient, or find no GPU",
            cure=f'a build for an older CUDA: Captain(torch_backend="{_older(int(version[:3]))}");'
            " or a newer driver on the nodes",
        )


def _older(branch: int) -> str:
    """What uv calls a build that such a driver runs."""
    return next((f"cu{major}8" for major in (12, 11) if branch >= _LEAST[major]), "cpu")
