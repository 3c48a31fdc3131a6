"""Starts our part in a node's own interpreter, in which no .pth can be placed.

Archives carry this file alone in a folder that stands first on PYTHONPATH; site.py imports
`sitecustomize` at every start of Python. So it serves the daemon, workers that Spark starts without
a daemon, and every version of Spark. Where the folder cannot be seen, Python starts as it would
without it.
"""

from __future__ import annotations

import os
import site
import sys

PACKAGES = os.path.join(
    "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages"
)


def board(root: str) -> None:
    """Run the .pth files of an archive's packages, as site.py does for an interpreter's own.

    Not for another minor version.

    Args:
        root: the folder that the archive was unpacked into.
    """
    packages = os.path.join(root, PACKAGES)
    if os.path.isdir(packages):
        site.addsitedir(packages)


def hand_on(own: str) -> None:
    """Run the node's own sitecustomize, which this one hides.

    Args:
        own: the folder of this file.
    """
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    others = [entry for entry in sys.path if os.path.realpath(entry) != os.path.realpath(own)]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        sys.modules["sitecustomize"] = module = module_from_spec(spec)
        spec.loader.exec_module(module)


if __name__ == "sitecustomize":
    _own = os.path.dirname(os.path.abspath(__file__))  # <root>/lib/coffee_boat
    board(os.path.dirname(os.path.dirname(_own)))
    hand_on(_own)
