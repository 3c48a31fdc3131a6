"""The values that pass between the stages: frozen, plain, and free of behaviour."""

from coffee_boat.errors import Finding, Severity
from coffee_boat.model.archive import (
    FOLDER,
    SENTINEL,
    START_FOLDER,
    Archive,
    Chunk,
    Interpreter,
    Shipped,
)
from coffee_boat.model.change import (
    PLAN_HEAD,
    PLAN_NUMBERS,
    Change,
    ChangeKind,
    Plan,
    PlanItem,
)
from coffee_boat.model.difference import Difference
from coffee_boat.model.excluded import LeftOut
from coffee_boat.model.function import Function
from coffee_boat.model.generation import Generation, History, Holding, Part
from coffee_boat.model.lock import CondaPin, Lock, Pin, SourceKind, Target
from coffee_boat.model.requirements import CondaRequirement, Indexes, Manifest, Requirement
from coffee_boat.model.results import Arrival, ExecutorFacts, Report
from coffee_boat.model.spark import SQL_PYTHON, ClusterFacts, ConfPatch, NodeFacts, SparkFacts
from coffee_boat.model.tables import finding_lines, html_findings, html_table, text_table

__all__ = [
    "FOLDER",
    "PLAN_HEAD",
    "PLAN_NUMBERS",
    "SENTINEL",
    "SQL_PYTHON",
    "START_FOLDER",
    "Archive",
    "Arrival",
    "Change",
    "ChangeKind",
    "Chunk",
    "ClusterFacts",
    "CondaPin",
    "CondaRequirement",
    "ConfPatch",
    "Difference",
    "ExecutorFacts",
    "Finding",
    "Function",
    "Generation",
    "History",
    "Holding",
    "Indexes",
    "Interpreter",
    "LeftOut",
    "Lock",
    "Manifest",
    "NodeFacts",
    "Part",
    "Pin",
    "Plan",
    "PlanItem",
    "Report",
    "Requirement",
    "Severity",
    "Shipped",
    "SourceKind",
    "SparkFacts",
    "Target",
    "finding_lines",
    "html_findings",
    "html_table",
    "text_table",
]
