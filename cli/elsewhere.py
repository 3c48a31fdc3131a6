"""What people type who know another tool, and what it is called here."""

from __future__ import annotations

_ASKED = "Packages are asked for as: boat launch --pip NAME"
TYPED = {
    "add": f"{_ASKED}; in a notebook, %boat add NAME adds to a session",
    "install": _ASKED,
    "forget": "Each command is asked anew: leave the package out; %boat forget is for notebooks",
    "status": "%boat status is for notebooks; here, boat check looks at this machine",
    "run": "It is: boat launch --master M SCRIPT",
    "submit": "It is: boat launch --master M SCRIPT",
    "help": "It is: boat --help",
    "version": "It is: boat --version",
}
"""What people type who know %boat, pip, uv or spark-submit, and what it is called here."""
