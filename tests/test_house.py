"""The house: which folder may import which, no circles, no long files; and what `import
coffee_boat` may load.
"""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from coffee_boat.model import SENTINEL

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "coffee_boat"

# A file imports its own folder and folders with smaller numbers, nothing else.
# errors.py hides credentials as _support/ does, and _support/ raises errors: together they are one.
NUMBERS = {
    "worker": 0,
    "_version": 0,
    "_support": 1,
    "model": 2,
    "settings": 3,
    "spark": 3,
    "archive": 3,
    "interpreter": 4,
    "clusters": 4,
    "pip": 5,
    "conda": 5,
    "ship": 5,
    "session": 5,
    "requirements": 6,
    "workflow": 7,
    "captain": 8,
    "cli": 9,
    "magic": 10,
    "__init__": 11,
}
MOST_ENTRIES = 20
MOST_LINES = 400
# What does not keep the rules yet. This list only shrinks: a line of it that is not needed fails.
STILL_LONGER: set[str] = set()
STILL_UPWARD: set[tuple[str, str]] = set()


def modules() -> dict[str, Path]:
    """Dotted name -> file, of the package and of the command line, which is installed into it."""
    found = {}
    for path in sorted([*PACKAGE.rglob("*.py"), *(ROOT / "cli").rglob("*.py")]):
        parts = path.relative_to(ROOT).with_suffix("").parts
        parts = ("coffee_boat", *parts) if parts[0] == "cli" else parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


SOURCES = modules()


def folder_of(module: str) -> str:
    first = module.split(".")[1] if "." in module else "__init__"
    return "_support" if first == "errors" else first


def imported(tree: ast.AST, module: str, sources: Iterable[str]) -> Iterator[str]:
    """The modules of ours that a file imports, wherever in it: inside functions, and for types."""
    package = (
        module if SOURCES.get(module, Path()).name == "__init__.py" else module.rpartition(".")[0]
    )
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in sources)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, *filter(None, [node.module])]) if node.level else node.module
            for alias in node.names:
                name = f"{base}.{alias.name}"
                yield from (name,) if name in sources else (base,) if base in sources else ()


IMPORTS = {
    module: set(imported(ast.parse(path.read_text("utf-8")), module, SOURCES)) - {module}
    for module, path in SOURCES.items()
}


def upward(imports: Mapping[str, set[str]]) -> set[tuple[str, str]]:
    """Who imports what, though its number is not smaller."""
    return {
        (module, other)
        for module, others in imports.items()
        for other in others
        if folder_of(module) != folder_of(other)
        and NUMBERS[folder_of(module)] <= NUMBERS[folder_of(other)]
    }


def circle(imports: Mapping[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle; empty if there is none."""
    left = {module: set(others) for module, others in imports.items()}
    while done := {module for module, others in left.items() if not others & left.keys()}:
        left = {module: others for module, others in left.items() if module not in done}
    if not left:
        return []
    path = [min(left)]
    while True:  # whoever is left imports one that is left, so that a path comes back to itself
        following = min(left[path[-1]] & left.keys())
        if following in path:
            return path[path.index(following) :]
        path.append(following)


def test_every_folder_has_a_number_and_every_number_a_folder() -> None:
    assert {folder_of(module) for module in SOURCES} == set(NUMBERS)


def test_a_file_imports_its_own_folder_and_smaller_numbers() -> None:
    assert upward(IMPORTS) == STILL_UPWARD


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle(IMPORTS) == []


# Of a kind of cluster its own file or folder knows all: others ask `kind_of`.
OF_ALL_CLUSTERS = {
    "coffee_boat.clusters",
    "coffee_boat.clusters.compatibility",
    "coffee_boat.clusters.large",
    "coffee_boat.clusters.preload",
}
LOOKS = {"startswith", "removeprefix", "partition", "split", "match", "fullmatch", "search"}


def masters_looked_into(tree: ast.AST) -> Iterator[str]:
    """Where code goes by what a master says: compares it with a text, or asks how it begins."""
    for node in ast.walk(tree):
        looked: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            looked = [node.left, *node.comparators]
            if not any(isinstance(one, ast.Constant | ast.Tuple | ast.Set) for one in looked):
                continue
            if all(isinstance(operator, ast.Is | ast.IsNot) for operator in node.ops):
                continue
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            looked = [node.func.value, *node.args] if node.func.attr in LOOKS else []
        elif isinstance(node, ast.Match):
            looked = [node.subject]
        names = [one for one in looked if not isinstance(one, ast.Constant)]
        if any("master" in ast.unparse(one).lower() for one in names):
            yield ast.unparse(node)


def test_what_a_kind_of_cluster_is_only_its_own_folder_knows() -> None:
    for module, path in SOURCES.items():
        if folder_of(module) != "clusters":
            kinds = {other for other in IMPORTS[module] if folder_of(other) == "clusters"}
            assert kinds <= OF_ALL_CLUSTERS, f"{path}: ask clusters.kind_of"
            looked = list(masters_looked_into(ast.parse(path.read_text("utf-8"))))
            assert looked == [], f"{path}: ask clusters.kind_of"


@pytest.mark.parametrize(
    ("code", "looks"),
    [
        ('order.master == "yarn"', True),
        ('master in ("yarn", "local")', True),
        ('conf["spark.master"].startswith("k8s://")', True),
        ("_LOCAL.fullmatch(facts.master)", True),
        ('match master:\n    case "yarn":\n        pass', True),
        ("master is None", False),
        ("kind_of(master).runs_in_driver", False),
        ('"spark.master" in conf', False),
        ('name.startswith("local")', False),
    ],
)
def test_what_looks_into_a_master(code: str, looks: bool) -> None:
    assert bool(list(masters_looked_into(ast.parse(code)))) is looks


def test_what_the_rules_find() -> None:
    code = """
from coffee_boat.model import Lock
if TYPE_CHECKING:
    from coffee_boat.workflow import build
def late():
    from coffee_boat.captain import Captain
"""
    found = set(imported(ast.parse(code), "coffee_boat.pip.fetch", SOURCES))
    assert found == {"coffee_boat.model", "coffee_boat.workflow.build", "coffee_boat.captain"}
    assert upward({"coffee_boat.pip.fetch": found}) == {
        ("coffee_boat.pip.fetch", "coffee_boat.workflow.build"),
        ("coffee_boat.pip.fetch", "coffee_boat.captain"),
    }
    assert upward({"coffee_boat.pip.fetch": {"coffee_boat.conda.solve"}}), "neighbours"
    assert circle({"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set()}) == ["a", "b", "c"]


def test_no_file_is_too_long() -> None:
    long = {
        module
        for module, path in SOURCES.items()
        if len(path.read_text("utf-8").splitlines()) > MOST_LINES
    }
    assert long == STILL_LONGER


def test_the_hall_is_small() -> None:
    entries = [entry.name for entry in PACKAGE.iterdir() if entry.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


def test_imports_are_absolute_but_for_the_worker() -> None:
    for module, path in SOURCES.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and folder_of(module) != "worker":
                assert node.level == 0, f"{path}: absolute imports only"


def test_what_is_installed_is_complete() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    packages = {name for name, path in SOURCES.items() if path.name == "__init__.py"}
    assert set(settings["options"]["packages"].split()) == packages
    folders = {path.parent for path in SOURCES.values()}
    assert all((folder / "__init__.py").is_file() for folder in folders)


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "worker").glob("*.py")), ids=lambda path: path.name
)
def test_the_worker_uses_the_standard_library_only(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and node.level == 0
            else []
        )
        others = {"grpc", "google", "apache_beam"} if path.name == "beam.py" else {"pyspark"}
        assert {name.split(".")[0] for name in names if name} <= sys.stdlib_module_names | others


def test_the_worker_names_the_sentinel_as_all_do() -> None:
    said = [
        line
        for path in SOURCES.values()
        for line in path.read_text("utf-8").splitlines()
        if line.startswith("SENTINEL = ")
    ]
    assert len(said) == 7, "in model/, and in those files of the worker that are used by themselves"
    assert set(said) == {f'SENTINEL = "{SENTINEL}"'}


def test_nothing_is_run_through_a_shell_and_processes_start_in_one_place() -> None:
    for module, path in SOURCES.items():
        if module != "coffee_boat._support.run" and folder_of(module) != "worker":
            for words in ("subprocess.run", "Popen("):
                assert words not in path.read_text("utf-8"), f"{path}: use _support/run.py"


def test_importing_coffee_boat_loads_nothing_heavy() -> None:
    script = "import coffee_boat, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout.split()
    assert not {
        "pyspark",
        "py4j",
        "rattler",
        "rich",
        "requests",
        "uv",
        "fsspec",
        "elftools",
        "isal",
        "click",
        "numpy",
    } & set(loaded)


def test_nothing_is_loaded_for_a_network_before_it_is_used() -> None:
    script = "import coffee_boat.captain, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout.split()
    assert not {"asyncio", "http.client", "ssl", "requests", "isal.igzip", "elftools"} & set(loaded)


def test_importing_coffee_boat_loads_little_of_it() -> None:
    """By number, as a clock says more of the machine: 70 ms of a processor for 22 modules of ours
    and 45 of the standard library.
    """
    script = """
import sys
before = set(sys.modules)
import coffee_boat
loaded = set(sys.modules) - before
print(sum(name.startswith("coffee_boat") for name in loaded), len(loaded))
"""
    ours, all_of_them = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout.split()
    assert int(ours) <= 30
    assert int(all_of_them) <= 120
