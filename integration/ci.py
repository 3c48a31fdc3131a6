"""All that must hold for a commit, side by side: what .ci/run runs when `.venv` is there.

    python -m integration.ci                # all lanes
    python -m integration.ci yarn s3        # these, and what prepares them
    python -m integration.ci --pythons      # tests/ on each Python, not a share of it

The table at the end tells what each lane took. Where the time of a lane goes is in its own part of
the output."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from importlib.metadata import metadata
from pathlib import Path

from integration.side_by_side import Command, Lane, run, table
from integration.venvs import (
    CHECKOUT,
    OWN_CACHE,
    NoInterpreterError,
    find_interpreter,
    wheels_folder,
)

_WHEELS, _CLASSES, _BROWSER = "pyspark wheels", "class data", "browser and jupyterlab"
_AFTER_LONG_ONES = (_CLASSES,)
"""For lanes that could begin sooner: those of clusters are longer, and begin before them."""
_BARE = {"trixie": "3.13", "sid": "3.14"}
"""Debian's stable and its newest, each with its Python: this machine's own of that minor would be
tried a second time.
"""
_LOCAL_CLUSTERS = frozenset({"local clusters of .venv"})
"""Spark keeps the applications of local clusters below pyspark, and names them by the second."""
_ON_DISK = ("kubernetes",)
"""Lanes whose folders are not in memory: a pod has a /dev/shm of its own over this machine's."""
_TEMPORARY = ("PYTEST_DEBUG_TEMPROOT", "GOTMPDIR")
"""Variables that name a folder for what pytest and Go's compiler write."""
_MUCH = 16 << 30
"""Bytes of memory, where a lane's store and what its tests write is 1 to 2 GB."""
_PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=15")
_NOT_ONCE = "-n 0 -m 'not once'"
"""For all Pythons but this one: none of what depends on no Python. Several lanes of them run at
once, and a process each collects once and makes what tests share once. Quoted for make's shell.
"""
_ENDS = 4
"""So many commits, one after the other, run on the oldest Python and on the newest all of tests/
that depends on one.
"""
_AT_ONCE = (os.cpu_count() or 1) + 1
"""So many keep two processors busy all the time; with more, each is only slower."""


_PYTHONS = "--pythons"


def main(names: Sequence[str]) -> int:
    """Run them. Exit code 0, 1 if one failed, 2 for a name that is none, 130 if interrupted."""
    started = time.monotonic()
    lanes, not_here = all_lanes(whole=_PYTHONS in names)
    if [*names] == [_PYTHONS]:
        names = [lane.name for lane in lanes if lane.name.startswith(("python ", "debian "))]
    if unknown := set(names) - {lane.name for lane in lanes}:
        print(f"no lane {', '.join(sorted(unknown))}: {', '.join(lane.name for lane in lanes)}")
        return 2
    chosen = _with_what_prepares(lanes, names) if names else lanes
    try:
        with (
            tempfile.TemporaryDirectory(prefix="boat-ci-") as disk,
            tempfile.TemporaryDirectory(prefix="boat-", dir=_memory()) as memory,
        ):
            folders = {name: Path(disk) for name in _ON_DISK}
            ended = run(
                [
                    _apart(lane, folders.get(lane.name, Path(memory)) / str(number))
                    for number, lane in enumerate(chosen)
                ],
                at_once=_AT_ONCE,
                logs=OWN_CACHE / "ci",
            )
    except KeyboardInterrupt:
        print(
            f"interrupted after {time.monotonic() - started:.0f} s; logs are in {OWN_CACHE / 'ci'}"
        )
        return 130
    print("=" * 20, "all lanes", "=" * 20)
    print(table(ended))
    for reason in not_here:
        print(f"not run: {reason}")
    failed = [each.lane.name for each in ended if each.failed]
    words = f"FAILED: {', '.join(failed)}" if failed else f"all {len(ended)} lanes are well"
    print(f"{words}, after {time.monotonic() - started:.0f} s", flush=True)
    return 1 if failed else 0


def _memory() -> str | None:
    """A folder in memory, where programs may be run from it and there is much: a quarter of what
    tests/ take is the disk's. Else None.
    """
    folder = "/dev/shm"
    try:
        state = os.statvfs(folder)
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
    free = state.f_bavail * state.f_frsize
    runs = not state.f_flag & os.ST_NOEXEC and os.access(folder, os.W_OK)
    return folder if runs and min(memory, free) >= _MUCH else None


def _apart(lane: Lane, own: Path) -> Lane:
    """With a folder for the temporary ones of its pytest: each pytest that starts closes the common
    one to other users, whom some tests open it to. Its name is short: a socket's takes 107 bytes.
    """
    own.parent.chmod(0o755)
    own.mkdir()
    commands = (
        replace(command, env={**command.env, **dict.fromkeys(_TEMPORARY, str(own))})
        for command in lane.commands
    )
    return replace(lane, commands=tuple(commands))


def all_lanes(*, whole: bool = False) -> tuple[list[Lane], list[str]]:
    """The lanes, in the order in which they begin; and what this machine has no Python for.

    Args:
        whole: each Python runs all of tests/ that depends on a Python, not its share.
    """
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    suites = _BARE if _can_hold_a_bare_root() else {}
    pythons, not_here = _other_pythons(here, set(suites.values()))
    minors = [here, *pythons, *suites.values()]
    chosen = dict.fromkeys(minors, _NOT_ONCE) if whole else _chosen(minors, here, _turn())
    bare = [lane for suite, minor in suites.items() for lane in _bare(suite, chosen[minor])]
    if not bare:
        not_here.append("bare Debian roots: they need Linux, root, and debootstrap or apt-get")
    clusters = [
        _lane("kubernetes", "kubernetes", after=("kubernetes build",)),
        _lane("standalone", "standalone broken refused hot_add conda"),
        _lane("yarn", "yarn", after=(_WHEELS,)),
        _lane("connect", "connect"),
        _lane("s3", "s3", _LOCAL_CLUSTERS, after=("s3 build",)),
        _lane("generations", "generations"),
        _lane("jvm door", "jvm_door", _LOCAL_CLUSTERS),
        _lane("kafka", "kafka"),
        _lane("examples", "examples", _LOCAL_CLUSTERS),
        # While they run, the kernel starts what the other lane expects to be refused.
        _lane("other nodes", "aarch64 older_nodes", _LOCAL_CLUSTERS, after=("standalone",)),
        _lane("pairs", "matrix jvm_sparks", after=(_WHEELS,)),
        _lane("jupyterlab", "jupyterlab", after=(_BROWSER,)),
    ]
    return [
        _preparing(_CLASSES, "integration.class_data"),
        _preparing("kubernetes build", "integration.beds.kubernetes", "build"),
        _preparing(_WHEELS, "integration.venvs", "wheels"),
        _preparing(_BROWSER, "integration.jupyterlab_lane"),
        _preparing("s3 build", "integration.beds.s3", "build", after=(_WHEELS,)),
        Lane("checks", (Command("checks", ("make", "check")),)),
        Lane(f"python {here}", (_unit_tests(),)),
        Lane("demo", (Command("demo", ("make", "demo")),), uses=_LOCAL_CLUSTERS),
        clusters[0],
        _lane("local", _others(clusters), _LOCAL_CLUSTERS),
        *clusters[1:],
        *bare,  # before what is shorter: the last one runs alone
        *(
            _python(minor, python, chosen[minor], demo=minor in _ends(minors, here))
            for minor, python in pythons.items()
        ),
    ], not_here


def _preparing(name: str, module: str, *verb: str, after: tuple[str, ...] = ()) -> Lane:
    argv = (sys.executable, "-m", module, *verb)
    return Lane(name, (Command(name, argv),), after, prepares=True)


def _lane(
    name: str, files: str, uses: frozenset[str] = frozenset(), after: tuple[str, ...] = ()
) -> Lane:
    paths = (f"integration/test_{file}.py" for file in files.split())
    argv = (*_PYTEST, f"--turn={_turn()}", *paths)
    return Lane(name, (Command(name, argv),), (_CLASSES, *after), uses)


def _others(named: Sequence[Lane]) -> str:
    """Files that no lane names: a new one is run without being told here."""
    names = {word for lane in named for command in lane.commands for word in command.argv}
    files = sorted(CHECKOUT.glob("integration/test_*.py"))
    return " ".join(
        path.stem.removeprefix("test_") for path in files if f"integration/{path.name}" not in names
    )


def _other_pythons(here: str, in_roots: Set[str]) -> tuple[dict[str, Path], list[str]]:
    """The interpreters of other minors than this one's and those of bare roots; and which are not
    on this machine.
    """
    wanted = [minor for minor in _supported() if minor not in {here, *in_roots}]
    found = {minor: interpreter for minor in wanted if (interpreter := _interpreter(minor))}
    return found, [
        f"python {minor} of this machine: there is none" for minor in wanted if minor not in found
    ]


def _chosen(minors: Sequence[str], here: str, turn: int) -> dict[str, str]:
    """What of tests/ each minor runs: this one all, the oldest and the newest a quarter of what
    depends on a Python each, those between an eighth: what fails there fails at an end, too, as a
    rule.

    With the next turn they change places: four or eight commits run all of it on each.
    """
    ends = _ends(minors, here)
    between = sorted({*minors} - {here, *ends})
    shares = {
        **{minor: (turn + place, _ENDS) for place, minor in enumerate(ends)},
        **{minor: (turn + place, 2 * _ENDS) for place, minor in enumerate(between)},
    }
    words = {
        minor: f"{_NOT_ONCE} --share {number % of + 1}/{of}"
        for minor, (number, of) in shares.items()
    }
    return {**words, here: ""}


def _ends(minors: Sequence[str], here: str) -> list[str]:
    """The oldest and the newest of all but this one."""
    others = sorted({*minors} - {here}, key=lambda minor: int(minor.partition(".")[2]))
    return others if len(others) < 2 else [others[0], others[-1]]


@functools.cache
def _turn() -> int:
    """The next number for the next commit or merge, the same each time that this one is tried. Of a
    clone without its history any, by the commit's name.
    """
    if shutil.which("git") is None:
        return 0
    if _git("rev-parse", "--is-shallow-repository") == "true":
        return int(_git("rev-parse", "HEAD"), 16)
    return int(_git("rev-list", "--first-parent", "--count", "HEAD") or "0")


def _git(*words: str) -> str:
    done = subprocess.run(
        ("git", *words), cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _interpreter(minor: str) -> Path | None:
    try:
        return find_interpreter(minor)
    except NoInterpreterError:
        return None


def _supported() -> list[str]:
    """Python's minors, as the package's own metadata say."""
    prefix = "Programming Language :: Python :: 3."
    said = metadata("coffee_boat").get_all("Classifier") or []
    minors = sorted(int(line.removeprefix(prefix)) for line in said if line.startswith(prefix))
    return [f"3.{minor}" for minor in minors]


def _python(minor: str, interpreter: Path, chosen: str, *, demo: bool) -> Lane:
    """Tests, and the demo if it is wanted, in a virtual environment of its own."""
    venv = f".cache/python{minor}"
    make = ("make", f"VENV={venv}", f"PYTHON={interpreter}")
    alone = ("flock", ".cache/editable.lock")  # as integration/venvs.py
    wheels = {"UV_FIND_LINKS": str(wheels_folder())}
    commands = [
        Command("environment", (*alone, *make, f"{venv}/ready"), wheels),
        _unit_tests(*make, chosen=chosen),
    ]
    if demo:
        commands.append(Command("demo", (*make, "demo")))
    return Lane(f"python {minor}", tuple(commands), after=(_WHEELS, *_AFTER_LONG_ONES))


def _bare(suite: str, chosen: str) -> Iterator[Lane]:
    """The README's two commands, the second without clusters, where nothing is but Python.

    To make the root and to remove it is waiting for a disk: neither takes a place.
    """
    name, folder = f"debian {suite}", str(OWN_CACHE / "bare" / suite)
    bed = "integration.beds.bare_root"
    yield _preparing(f"{name} root", bed, "up", suite, folder)
    commands = ("run", folder, "--", *_unit_tests("make", "demo", chosen=chosen).argv)
    argv = (sys.executable, "-m", bed, *commands)
    before = (f"{name} root", *_AFTER_LONG_ONES)
    yield Lane(name, (Command("demo and tests", argv),), after=before)
    yield _preparing(f"{name} down", bed, "down", folder, after=(name,))


def _can_hold_a_bare_root() -> bool:
    """Debootstrap is installed where it is missing and that can be done without asking."""
    tools = ("debootstrap", "apt-get")
    return sys.platform == "linux" and os.geteuid() == 0 and any(map(shutil.which, tools))


def _unit_tests(*make: str, chosen: str = "") -> Command:
    arguments = " ".join((*_PYTEST[3:], chosen)).strip()
    return Command("tests", (*(make or ("make",)), "test-unit", f"PYTEST_ARGS={arguments}"))


def _with_what_prepares(lanes: Sequence[Lane], names: Sequence[str]) -> list[Lane]:
    wanted = set(names)
    wanted |= {before for lane in lanes if lane.name in wanted for before in lane.after}
    tidying = {lane.name for lane in lanes if lane.prepares and set(lane.after) & set(names)}
    return [lane for lane in lanes if lane.name in wanted | tidying]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
