"""Any Python environment, on any Spark cluster, in seconds, and changeable while the session runs.

from coffee_boat import Captain
captain = Captain()
captain.add_pip_packages("pyarrow", "edtf")
captain.launch_ship()
sc = SparkContext(master="spark://...")
"""

from typing import TYPE_CHECKING, Any

from coffee_boat._support import logs as _logs  # noqa: F401  the logger that users may ask for
from coffee_boat._version import __version__
from coffee_boat.errors import (
    BoatError,
    BuildError,
    LaunchError,
    LockError,
    RequirementError,
    SettingsError,
    ShipError,
    StoreError,
    VerifyError,
)
from coffee_boat.model import Archive, Finding, Lock, Manifest, Plan, Report

if TYPE_CHECKING:
    from coffee_boat.captain import Captain

__all__ = [
    "Archive",
    "BoatError",
    "BuildError",
    "Captain",
    "Finding",
    "LaunchError",
    "Lock",
    "LockError",
    "Manifest",
    "Plan",
    "Report",
    "RequirementError",
    "SettingsError",
    "ShipError",
    "StoreError",
    "VerifyError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Load the Captain, and with it the stages, when it is first asked for (PEP 562)."""
    if name == "Captain":
        from coffee_boat.captain import Captain

        return Captain
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(shell: Any) -> None:
    """%load_ext coffee_boat"""
    from coffee_boat import magic

    magic.load(shell)
