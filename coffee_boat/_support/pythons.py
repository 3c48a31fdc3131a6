"""Which Pythons coffee_boat was tried with, as driver and as what is shipped: the one place that
says it. An older one does not do; of a newer one nothing is known yet, and it is told.

Run as a program, by any Python however old, it says whether that one will do: the Makefile asks so.
"""

import sys

OLDEST, NEWEST = (3, 10), (3, 14)
"""Minor versions, both included. setup.cfg, README and the docs say the same: a test compares."""


def dotted(minor):  # type: (tuple[int, ...]) -> str
    """A version in the usual way of writing."""
    return ".".join(str(number) for number in minor)


SUPPORTED = "%s to %s" % (dotted(OLDEST), dotted(NEWEST))  # noqa: UP031  also for Python 3.5
"""As it is said to people: "3.10 to 3.12"."""


def _refuse_older():  # type: () -> None
    own = sys.version_info[:2]
    if own < OLDEST:
        sys.exit(
            "coffee_boat needs Python %s or later, %s is %s: make PYTHON=/path/to/python%s ..."  # noqa: UP031
            % (dotted(OLDEST), sys.executable, dotted(own), dotted(NEWEST))
        )
    if own > NEWEST:
        sys.stderr.write(
            "coffee_boat was tried with Python %s only, %s is %s\n"  # noqa: UP031
            % (SUPPORTED, sys.executable, dotted(own))
        )


if __name__ == "__main__":
    _refuse_older()
