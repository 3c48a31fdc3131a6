"""Manifest -> Lock -> Archive: calls the stages in order, for a base that is launched and for a
layer that is added.

Both are one idea: what is wanted, less what is aboard. At launch nothing is aboard, so the archive
is the base, with the interpreter inside; in a session it is a layer of the missing distributions.
"""

from __future__ import annotations

from coffee_boat.workflow.build import Building
from coffee_boat.workflow.estimate import Estimates
from coffee_boat.workflow.rechoose import Rechoosing
from coffee_boat.workflow.rereading import Rereading


class Pipeline(Rereading, Rechoosing, Building, Estimates):
    """The stages from a manifest to an archive, with the settings and the store they share."""
