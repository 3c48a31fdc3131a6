"""Text from outside is no work without end: requirements, projects, settings, and what is shown of
them.
"""

from __future__ import annotations

import cProfile
from collections.abc import Callable
from pathlib import Path

import bombs
import pytest
from bombs import soon, within

from coffee_boat import requirements
from coffee_boat._support import parse
from coffee_boat.errors import BoatError, RequirementError

pytestmark = pytest.mark.once

# requirements


def read(path: Path, text: str, **how: object) -> object:
    path.write_text(text)
    with soon():
        return requirements.for_target(
            requirements.merge([requirements.read(path, **how)]),  # type: ignore[arg-type]
            {"python_version": "3.11", "extra": ""},
        )


def calls(path: Path, line: str, lines: int) -> int:
    """How many functions are called for so many lines: the same on every machine."""
    path.write_text("\n".join(line.replace("{}", str(number)) for number in range(lines)))
    profile = cProfile.Profile()
    with profile:
        manifest = requirements.merge([requirements.read(path)])
        manifest = requirements.for_target(manifest, {"python_version": "3.11", "extra": ""})
    assert len(manifest.requirements) == lines
    return sum(entry.callcount for entry in profile.getstats())


@pytest.mark.parametrize(
    "line", ["p{}", "p{}==1.{}", "p{}==1; python_version>'3' --hash=sha256:" + "a" * 64]
)
def test_many_lines(tmp_path: Path, line: str) -> None:
    """Each costs what the others do, and no parser of options of its own (1,300 calls)."""
    path = tmp_path / "requirements.txt"
    calls(path, line, 10)  # what is imported and made once
    few, many = calls(path, line, 400), calls(path, line, 800)
    assert many < 2.3 * few
    assert few < 400 * 1000


@pytest.mark.parametrize("how", ["--hash=sha256:{}", "--hash sha256:{}"])
def test_many_hashes(tmp_path: Path, how: str) -> None:
    hashes = " \\\n ".join(how.format(f"{number:064x}") for number in range(20_000))
    manifest = read(tmp_path / "requirements.txt", f"demo==1 \\\n {hashes}\n")
    assert len(manifest.requirements[0].hashes) == 20_000  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a" + " " * 20_000 + "b", "a requirement has 20,002 characters, at most 10,000 are read"),
        ("a" + " " * 9_000 + "b", "a requirement cannot be read"),
        ("http://" * 20_000, "a requirement has 140,000 characters"),
        ("--hash='" + "a" * 200_000 + "'", "200,009 characters of options with quotes in them"),
        ("x" + "${LONG}" * 100_000, "characters, at most 4,194,304 are read"),
        ("a --global-option x" + " --global-option x" * 2000, "1,000 are read"),
        ("a; " + "(" * 9_000, "a requirement cannot be read"),
        (
            "\n".join(f"--extra-index-url https://h/{number}" for number in range(3_000)),
            "requirements files name more than 1,000 extra index urls",
        ),
        (
            "\n".join(f"demo!={number}" for number in range(3_000)),
            "demo: 3,000, at most 100",
        ),
        (
            "\n".join(f"demo @ https://h/{n}/demo-1-py3-none-any.whl" for n in range(3_000)),
            "they name different places",
        ),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else value,
)
def test_hostile_lines(
    tmp_path: Path, text: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONG", "x" * 100)
    with pytest.raises(RequirementError) as caught:
        read(tmp_path / "requirements.txt", text)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 3000


def test_spaces_before_a_comment(tmp_path: Path) -> None:
    manifest = read(tmp_path / "r.txt", f"a{' ' * 200_000}# b\n{' ' * 200_000}c\n")
    assert [one.name for one in manifest.requirements] == ["a", "c"]  # type: ignore[attr-defined]


def test_files_that_name_each_other_twice(tmp_path: Path) -> None:
    first = bombs.nested_requirements(tmp_path, 40)
    with soon():
        assert [one.name for one in requirements.read(first).requirements] == ["demo"]


def test_too_many_files(tmp_path: Path) -> None:
    first = bombs.nested_requirements(tmp_path, 60)
    with pytest.raises(
        RequirementError, match="at most 1,000 files are read, 50 within each other"
    ):
        requirements.read(first)


def test_a_file_without_an_end() -> None:
    told = within(
        """
        from coffee_boat import requirements
        for read in (requirements.read, requirements.read_constraints):
            try:
                read("/dev/zero")
            except Exception as error:
                print(type(error).__name__, error)
        """,
        seconds=30,
    )
    assert told.count("RequirementError") == 2
    assert told.count("it is a device, which may never end") == 2


PROJECT = '[project]\nname = "me"\nversion = "1"\n'


def test_extras_of_a_project_that_refer_to_each_other(tmp_path: Path) -> None:
    names = ",".join(f"x{number}" for number in range(40))
    extras = "".join(f'x{number} = ["me[{names}]", "p{number}"]\n' for number in range(40))
    path = tmp_path / "pyproject.toml"
    manifest = read(path, f"{PROJECT}[project.optional-dependencies]\n{extras}", extras=["x0"])
    assert len(manifest.requirements) == 40  # type: ignore[attr-defined]


def test_groups_that_include_each_other_twice(tmp_path: Path) -> None:
    twice = "[" + "{{include-group = 'g{0}'}}, " * 2 + "]"
    groups = "".join(f"g{n} = {twice.format(n + 1)}\n" for n in range(40)) + "g40 = ['demo']\n"
    with pytest.raises(RequirementError, match="10,000 requirements in 50 levels are taken"):
        read(tmp_path / "pyproject.toml", f"[dependency-groups]\n{groups}", groups=["g0"])
    manifest = read(tmp_path / "pyproject.toml", f"[dependency-groups]\n{groups}", groups=["g37"])
    assert [one.name for one in manifest.requirements] == ["demo"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text",
    [
        ".".join("a" * 20_000) + " = 1",
        "[" + ".".join("a" * 20_000) + "]",
        "x = {" + ".".join("a" * 20_000) + " = 1}",
        "a = " + "[" * 50_000,
        "a = " + "{a = " * 50_000,
        "a = " + "1" * 50_000,
    ],
    ids=["dotted", "table", "inline", "lists", "tables", "digits"],
)
def test_toml_that_keeps_its_reader_busy(tmp_path: Path, text: str) -> None:
    with pytest.raises(RequirementError, match="a project file is not TOML"):
        read(tmp_path / "pyproject.toml", text)


def test_toml_with_many_dots_is_read() -> None:
    text = f"a = [{', '.join(['1.5'] * 500)}]\nb = '{'.' * 500}'\nc = '''\n{'. ' * 300}\n'''\n"
    assert len(parse.toml(text)["a"]) == 500


def test_a_script_whose_header_has_no_end(tmp_path: Path) -> None:
    with pytest.raises(RequirementError, match="no header"):
        read(tmp_path / "x.py", "# /// script\n" * 50_000)


@pytest.mark.parametrize(
    "text",
    [
        bombs.yaml_aliases(),
        bombs.yaml_merges(),
        "a: &a [*a]\n",
        "a:\n" + "- " * 20_000,
        "a: 2024-13-45\n",
    ],
    ids=["aliases", "merges", "itself", "nested", "date"],
)
@pytest.mark.parametrize("door", ["environment", "condarc", "kubeconfig"])
def test_yaml_that_keeps_its_reader_busy(
    tmp_path: Path, text: str, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coffee_boat.clusters.kubernetes import access, kubeconfig
    from coffee_boat.conda import condarc

    path = tmp_path / ("environment.yml" if door == "environment" else ".condarc")
    path.write_text(text)
    doors: dict[str, Callable[[Path], object]] = {
        "environment": requirements.read_environment,
        "condarc": condarc._file,
        "kubeconfig": kubeconfig._read,
    }
    with soon(), pytest.raises((BoatError, access.Unusable)) as caught:
        doors[door](path)
    assert len(str(caught.value)) < 2000


def test_yaml_with_aliases_is_read(tmp_path: Path) -> None:
    path = tmp_path / "environment.yml"
    path.write_text("x: &x [conda-forge]\nchannels: *x\ndependencies: [numpy]\n")
    assert requirements.read_environment(path).channels == ("conda-forge",)


def test_a_requirement_of_conda_is_bounded(tmp_path: Path) -> None:
    """Rattler's parser ends the process at 100,000 brackets."""
    for spec in ("a " + "(" * 100_000, "a" + " " * 100_000 + "!"):
        with pytest.raises(RequirementError, match="characters, at most 2,000 are read"):
            requirements.conda_packages([spec], origin="test")
    assert requirements.conda_packages([f"numpy{' ' * 100_000}# x"], origin="test").conda
    with soon(), pytest.raises(RequirementError, match="a: 300, at most 100"):
        requirements.merge(
            [requirements.conda_packages([f"a !={n}" for n in range(300)], origin="test")]
        )


# what is shown


def test_redaction_takes_time_as_the_text_is_long() -> None:
    from coffee_boat._support.redact import redact

    secret = "http://user:s3cret@h/t/s3cret/c?token=s3cret "
    for text in (
        "http://" * 20_000,
        "http://h/t/" * 20_000,
        "https://h?a=" * 20_000,
        "a:" * 90_000,
    ):
        with soon():
            assert "s3cret" not in redact(text + " " + secret + text)
    with soon():
        assert "s3cret" not in redact(secret * 20_000)


def test_explanations_take_time_as_the_text_is_long() -> None:
    from coffee_boat.spark import diagnosis

    hostile = (
        "a/" * 100_000,
        "(" * 200_000,
        'Cannot run program "x"' * 20_000,
        "EOFException" * 20_000,
    )
    for text in hostile:
        with soon():
            diagnosis.explain(f"{text}\nNo space left on device\n{text}")
