"""Test beds: real clusters on one machine, each started by one command.

    python -m integration.beds.NAME up|down|status|logs

A bed imports nothing of coffee_boat, so that what it proves does not rest on what it tests.
"""


class BedCannotRun(Exception):  # noqa: N818 - a state of the machine, which skips a lane
    """This machine cannot hold the bed; the text says what is missing."""


class BedFailed(Exception):  # noqa: N818
    """The bed could run here, but did not come up; the text says where its logs are."""
