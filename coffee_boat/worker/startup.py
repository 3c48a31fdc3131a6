"""Called by coffee_boat.pth at the start of every shipped interpreter: the daemon that forks
Spark's Python workers, and any other.

Where the nodes' own interpreter runs, sitecustomize.py has the .pth read.
"""

from __future__ import annotations

import os
import sys

from . import activation, finder, node, prefix, spark_zips

BASE = "COFFEE_BOAT_BASE"
"""The variable with the interpreter of the generation that counts now, where a running session got
another one than it began with: absolute; or several, relative to the executor's working directory
and separated by ":", the newest first. The first that is there counts: a job that began before the
newest was sent brings an older one to an executor.
"""
NODE_PYTHON = "COFFEE_BOAT_NODE_PYTHON"
"""As in worker/compose.py."""
SENTINEL = "boat.json"
"""The last member of every archive: without it the archive was not unpacked to its end."""


def start() -> None:
    """Make the interpreter fit its node, and find what arrives later.

    What fails in here is shown on stderr by site.py, which reads the .pth; the interpreter goes on.
    The finder comes first, so that it is there whatever the node is like.
    """
    change_base()
    finder.remember_files(os.path.basename(archive_root()))
    layers = finder.install()
    root = archive_root()
    _check_complete(root)
    if os.path.realpath(sys.prefix) == os.path.realpath(
        root
    ):  # a node's own interpreter fits its node
        leave_user_site()
        for failure in prefix.settle(root):
            sys.stderr.write(f"coffee_boat: {failure}\n")
        node.prepare(root)
        spark_zips.pass_over(root)  # it loads libraries of the standard library's
        activation.activate(os.path.realpath(root))
    else:
        activation.put_on_path(os.path.realpath(root))
    layers.begin(os.path.join(os.path.realpath(root), "bin"))


def leave_user_site() -> None:
    """Import nothing of the node user's own packages (~/.local), which site.py puts before ours.

    Where Spark can set PYTHONNOUSERSITE for its workers there are none; a session of Spark Connect
    cannot. What this process starts does the same.
    """
    import site

    if site.ENABLE_USER_SITE:
        theirs = os.path.realpath(site.getusersitepackages())
        sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) != theirs]
        site.ENABLE_USER_SITE = False
    os.environ["PYTHONNOUSERSITE"] = "1"


def change_base() -> None:
    """Be the interpreter of the generation that counts now, with the same arguments.

    Functions captured the first base's interpreter; the variables that reach it are those of now.
    Files and pipes stay open; nothing was read from them yet. A relative name is made absolute for
    what this process starts in another working directory. The driver's JVM starts Python in its
    own, and has the bases beside each other elsewhere.
    """
    named = os.environ.get(BASE)
    if not named:
        return
    around = os.path.dirname(archive_root())
    names = [named] if os.path.isabs(named) else named.split(":")
    places = [
        place
        for name in names
        for place in (_absolute(name), os.path.join(around, os.path.normpath(name)))
    ]
    wanted = next((place for place in places if os.access(place, os.X_OK)), None)
    if wanted is None:
        return
    os.environ[BASE] = wanted
    folder = os.path.dirname(os.path.dirname(os.path.realpath(wanted)))
    runs_it = os.environ.get(finder.RUNS) == folder
    if not runs_it and os.path.realpath(wanted) != os.path.realpath(sys.executable):
        os.environ[NODE_PYTHON] = sys.executable
        os.execv(wanted, [wanted, *sys.orig_argv[1:]])  # noqa: S606  (a list, no shell)


def _absolute(name: str) -> str:
    try:
        return os.path.abspath(name)
    except OSError:  # the working directory was removed
        return name


def archive_root() -> str:
    """The folder that the archive was unpacked into:
    <root>/lib/pythonX.Y/site-packages/coffee_boat_worker/startup.py.
    """
    folder = os.path.abspath(__file__)
    for _ in range(5):
        folder = os.path.dirname(folder)
    return folder


def _check_complete(prefix: str) -> None:
    if not os.path.isfile(os.path.join(prefix, SENTINEL)):
        sys.stderr.write(
            f"coffee_boat: {prefix} has no {SENTINEL}: the archive was cut while it was sent or"
            " unpacked, or is still being unpacked. Packages may be missing. Look for a full disk"
            " on this node, remove the folder and start the application again.\n"
        )
