"""Which driver serves a place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from coffee_boat.errors import ShipError
from coffee_boat.ship.places import Place, scheme_of
from coffee_boat.spark.jvm import Hadoop

_JAVA_ONLY = frozenset({"hdfs", "viewfs", "ofs", "o3fs", "maprfs"})
"""Schemes that are reached by Hadoop in a JVM only (fsspec's own hdfs:// starts a JVM too, and
needs pyarrow and libhdfs for it).
"""


@contextmanager
def opened(url: str, hadoop: Hadoop | None) -> Iterator[Place]:
    """The place that a URL names.

    The JVM's Hadoop serves what only it can (hdfs://), and what fsspec has no driver for here if it
    has one; fsspec the rest.

    Args:
        url: as `url_of` gives it.
        hadoop: None where there is no JVM.

    Raises:
        ShipError: no driver is installed for the scheme.
    """
    from coffee_boat.ship import by_hadoop

    place = None if scheme_of(url) in _JAVA_ONLY else _by_python(url, hadoop)
    if place is not None:
        yield place
    elif hadoop is not None:
        with by_hadoop.opened(url, hadoop) as place:
            yield place
    else:
        cause = "it is reached by Spark's own Hadoop, in a JVM, and there is none"
        raise ShipError(
            "ship.not-from-here",
            "the stage cannot be reached from here",
            value=url,
            cause=cause,
            cure="use WebHDFS: webhdfs://namenode:9870/boats",
        )


def _by_python(url: str, hadoop: Hadoop | None) -> Place | None:
    """None if fsspec cannot, and Hadoop can."""
    from coffee_boat.ship import by_fsspec, by_hadoop

    try:
        return by_fsspec.place(url, hadoop)
    except by_fsspec.NoDriverError:
        if hadoop is None or not by_hadoop.serves(scheme_of(url), hadoop):
            raise
        return None
