"""What is said of a large environment before it is sent: why it is large, who sends it how often,
and what it needs beside the JVM. Pure: takes values, gives findings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from coffee_boat._support.words import MIB, human_size, spark_bytes
from coffee_boat.errors import Finding
from coffee_boat.model import CondaPin, Lock, Pin, PlanItem, SparkFacts

_CUDA = ("nvidia-", "cuda-")
"""How the distributions begin that PyPI's torch, tensorflow and jax have CUDA from."""
_TORCH = ("torch", "torchvision", "torchaudio", "pytorch")
_HEAVY = frozenset(
    [
        "torch",
        "pytorch",
        "pytorch-cpu",
        "tensorflow",
        "tensorflow-cpu",
        "keras",
        "jax",
        "jaxlib",
        "transformers",
        "vllm",
        "xgboost",
        "lightgbm",
        "spacy",
        "onnxruntime",
        "mxnet",
        "paddlepaddle",
    ]
)
"""Libraries that take hundreds of MB in each process, or whose models do."""
_MUCH = 4_000_000_000
"""Bytes that a driver sends: half a minute of a network of 1 Gbit/s."""
_OVERHEAD = (
    "spark.executor.memoryOverhead",
    "spark.executor.memoryOverheadFactor",
    "spark.executor.pyspark.memory",
    "spark.kubernetes.memoryOverheadFactor",
    "spark.yarn.executor.memoryOverhead",
)
_LEAST_OVERHEAD = 384 * MIB
_FACTOR = 0.1
"""Both are Spark's defaults (spark.executor.memoryOverheadFactor, minMemoryOverhead)."""


def cuda(items: Iterable[PlanItem]) -> Iterator[Finding]:
    """What is large since it is made for GPUs.

    Args:
        items: of a plan.
    """
    sizes = {item.label.partition(" ")[0]: item for item in items}
    made_for_gpus = [name for name in sizes if name.startswith(_CUDA)]
    torch = next((name for name in _TORCH if name in sizes), None)
    if not made_for_gpus or torch is None:
        return
    taken = sum(sizes[name].size or 0 for name in made_for_gpus)
    total = sum(item.size or 0 for item in sizes.values())
    yield Finding(
        "lock.cuda-build",
        "torch is a build for GPUs, with CUDA in packages of its own",
        value=f"{sizes[torch].label}: {len(made_for_gpus)} packages of CUDA are"
        f" {human_size(taken)} of {human_size(total)}",
        cause="PyPI's torch for Linux is that build",
        cure='where no node has a GPU: Captain(torch_backend="cpu"), a tenth of the size',
        severity="note",
    )


def memory(lock: Lock, facts: SparkFacts) -> Iterator[Finding]:
    """Libraries that are known to be large, where a cluster ends what takes more than the default
    beside the JVM.
    """
    if not facts.master.startswith(("yarn", "k8s://")) or _says(facts.conf, _OVERHEAD):
        return
    pins: tuple[Pin | CondaPin, ...] = (*lock.pins, *lock.conda)
    found = sorted(pin.name for pin in pins if pin.name in _HEAVY)
    if found:
        heap = spark_bytes(facts.conf.get("spark.executor.memory", "1g"), unit=MIB) or 1024 * MIB
        default = max(_LEAST_OVERHEAD, int(heap * _FACTOR))
        yield Finding(
            "cluster.little-memory-for-python",
            "executors have little memory for what Python loads",
            value=f"{', '.join(found)}; beside the JVM an executor has {default // MIB}m, the"
            " default",
            cause="each Python worker holds the library and its model, one worker for each core;"
            " an executor that takes more is ended by the cluster (exit code 137 or 143)",
            cure="spark.executor.memoryOverhead=2g, or what your workers take, times"
            " spark.executor.cores",
        )


def egress(size: int, facts: SparkFacts, nodes: int, *, stage: str | None) -> Iterator[Finding]:
    """What the driver sends to all executors together, where no stage relieves it: Spark serves a
    shared folder's files (`file:`) from the driver, too (SparkContext.addArchive).

    Args:
        size: bytes of the archive.
        nodes: those of the cluster that are known.
    """
    relieved = stage is not None and "://" in stage and not stage.startswith("file:")
    if relieved or not facts.master.startswith(("spark://", "k8s://")):
        return  # on YARN it goes to HDFS once, and to each node from there
    conf = facts.conf
    named = conf.get("spark.executor.instances") or conf.get("spark.dynamicAllocation.maxExecutors")
    executors = int(named) if named and named.isdigit() else max(nodes, 1)
    if executors * size < _MUCH:
        return
    timeout = conf.get("spark.files.fetchTimeout", "60s")
    yield Finding(
        "ship.stage-advised",
        "the driver sends the environment to each executor by itself",
        value=f"{executors} executors, {human_size(size)} each: {human_size(executors * size)}",
        cause="no stage relieves it, so all of them fetch it from the driver at once; one that gets"
        f" nothing for spark.files.fetchTimeout ({timeout}) fails",
        cure='name a place that executors fetch from: stage="hdfs:///boats" or'
        ' "s3://bucket/boats"; a shared folder is served by the driver, too',
    )


def _says(conf: Mapping[str, str], keys: Iterable[str]) -> bool:
    return any(key in conf for key in keys)
