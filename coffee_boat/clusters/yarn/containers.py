"""What Spark asks YARN for, as containers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from coffee_boat._support.words import MIB, spark_bytes
from coffee_boat.model import SparkFacts

_LEAST_OVERHEAD = 384 * MIB
_OVERHEAD_FACTOR = 0.1


@dataclass(frozen=True)
class _Container:
    """What Spark asks for, in bytes."""

    what: str
    setting: str
    memory: int
    overhead: int
    beside: int = 0
    """For Python, and outside of the heap."""

    @property
    def size(self) -> int:
        return self.memory + self.overhead + self.beside


def containers(facts: SparkFacts) -> Iterator[_Container]:
    """As org.apache.spark.resource.ResourceProfile and deploy.yarn.Client reckon.

    What cannot be read is left out: Spark says that itself.
    """
    client = facts.deploy_mode != "cluster"
    master = (
        ("the application master", "spark.yarn.am.memory", "512m")
        if client
        else ("the driver", "spark.driver.memory", "1g")
    )
    made = (
        _container(facts, *wanted)
        for wanted in (("an executor", "spark.executor.memory", "1g"), master)
    )
    yield from (container for container in made if container is not None)


def _container(facts: SparkFacts, what: str, setting: str, default: str) -> _Container | None:
    memory = spark_bytes(facts.conf.get(setting, default), unit=MIB)
    overhead = None if memory is None else overhead_of(facts, setting, memory)
    beside = _beside_the_heap(facts) if setting == "spark.executor.memory" else 0
    return (
        None
        if memory is None or overhead is None or beside is None
        else _Container(what, setting, memory, overhead, beside)
    )


def overhead_of(facts: SparkFacts, setting: str, memory: int) -> int | None:
    """As it is said, or a share of the memory with a minimum; both can be set for executors and
    drivers, the minimum from Spark 4 on.
    """
    said = facts.conf.get(f"{setting}Overhead")
    if said is not None:
        return spark_bytes(said, unit=MIB)
    settable = setting != "spark.yarn.am.memory"
    try:
        share = (
            float(facts.conf.get(f"{setting}OverheadFactor", _OVERHEAD_FACTOR))
            if settable
            else _OVERHEAD_FACTOR
        )
    except ValueError:
        return None
    minimum = (
        facts.conf.get(f"{setting.removesuffix('memory')}minMemoryOverhead")
        if settable and not facts.version.startswith("3.")
        else None
    )
    least = _LEAST_OVERHEAD if minimum is None else spark_bytes(minimum, unit=MIB)
    return None if least is None else max(int(memory * share), least)


def _beside_the_heap(facts: SparkFacts) -> int | None:
    """What an executor's container has for Python and outside of the heap: bytes."""
    python = spark_bytes(facts.conf.get("spark.executor.pyspark.memory", "0"), unit=MIB)
    enabled = facts.conf.get("spark.memory.offHeap.enabled", "").strip().lower() == "true"
    outside = (
        spark_bytes(facts.conf.get("spark.memory.offHeap.size", "0"), unit=1) if enabled else 0
    )
    return None if python is None or outside is None else python + outside
