"""What people write of conda: specs, environment files; and which of it contradicts itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")

from coffee_boat.errors import RequirementError
from coffee_boat.model import CondaRequirement, Manifest
from coffee_boat.requirements import merge, parse_conda, read, read_environment, without

pytestmark = pytest.mark.once


def parsed(text: str, channel: str = "") -> CondaRequirement:
    return parse_conda(text, origin="here", channel=channel)


@pytest.mark.parametrize(
    ("written", "text", "channel"),
    [
        ("numpy", "numpy", ""),
        ("NumPy >=2", "numpy >=2", ""),
        ("numpy=1.26", "numpy 1.26.*", ""),
        ("numpy==1.26.4", "numpy ==1.26.4", ""),
        ("numpy=1.26.4=py311h64a7726_0", "numpy ==1.26.4 py311h64a7726_0", ""),
        ("python=3.11  # as the cluster has it", "python 3.11.*", ""),
        ("conda-forge::scipy>=1.11", "scipy >=1.11", "conda-forge"),
        ("conda-forge/linux-64::scipy", 'scipy[subdir="linux-64"]', "conda-forge"),
        (
            "https://user:word@host/t/TOKEN/corp::tool",
            "tool",
            "https://user:word@host/t/TOKEN/corp",
        ),
    ],
)
def test_a_spec_is_read_at_once(written: str, text: str, channel: str) -> None:
    assert (parsed(written).text, parsed(written).channel) == (text, channel)


@pytest.mark.parametrize(
    ("written", "cure"),
    [
        ("numpy >=>2", "numpy >=2"),
        ("", "numpy >=2"),
        ("numpy,scipy", "a string of its own"),
        ("pandas[parquet]", "conda has no extras"),
        ("numpy; python_version > '3'", "add_pip_packages"),
        ("git+https://host/tool", "add_pip_packages"),
        ("https://host/linux-64/numpy-1.0-0.conda", "@EXPLICIT"),
        ("./numpy-1.0-0.conda", "@EXPLICIT"),
        ("__cuda", "CONDA_OVERRIDE_CUDA"),
        ("-c conda-forge", "channel="),
        ("numpy*", "numpy >=2"),
    ],
)
def test_what_is_no_spec_is_refused_with_the_cure(written: str, cure: str) -> None:
    with pytest.raises(RequirementError) as caught:
        parsed(written)
    assert cure in caught.value.cure


def test_a_list_in_place_of_a_spec_is_refused() -> None:
    with pytest.raises(RequirementError, match="a requirement is a string, not list") as caught:
        parse_conda(["numpy"], origin="here")  # type: ignore[arg-type]
    assert "put a star before it" in caught.value.cure


def test_a_spec_tied_to_one_channel_is_not_asked_of_another() -> None:
    with pytest.raises(RequirementError, match="tied to two channels"):
        parsed("conda-forge::numpy", channel="other")
    assert parsed("conda-forge::numpy", channel="conda-forge").channel == "conda-forge"


def test_no_secret_of_a_channel_is_shown() -> None:
    requirement = parsed("https://user:hidden@host/t/SECRET/corp::tool")
    assert "hidden" not in repr(requirement)
    assert "SECRET" not in repr(requirement)
    with pytest.raises(RequirementError) as caught:
        merge([Manifest(conda=(requirement, parsed("other::tool")))])
    assert "hidden" not in str(caught.value)
    assert "SECRET" not in str(caught.value)


# many


def test_what_is_asked_for_twice_stands_once_with_both_origins() -> None:
    twice = [Manifest(conda=(parse_conda("numpy >=2", origin=origin),)) for origin in ("b", "a")]
    assert [(r.text, r.origin) for r in merge(twice).conda] == [("numpy >=2", "a, b")]


def test_channels_keep_their_order() -> None:
    assert merge([Manifest(channels=("z", "a")), Manifest(channels=("a", "m"))]).channels == (
        "z",
        "a",
        "m",
    )


@pytest.mark.parametrize(
    ("first", "second", "cause"),
    [
        ("numpy==1.26", "numpy>=2", "1.26 is not >=2"),
        ("numpy=1.0=py_0", "numpy<1", "is not <1"),
        ("a::numpy", "b::numpy", "different channels"),
    ],
)
def test_contradictions_name_both_and_where_they_came_from(
    first: str, second: str, cause: str
) -> None:
    parts = [
        Manifest(conda=(parse_conda(text, origin=origin),))
        for text, origin in ((first, "environment.yml"), (second, "add_conda_packages"))
    ]
    with pytest.raises(RequirementError, match="contradict each other") as caught:
        merge(parts)
    assert cause in caught.value.cause
    assert "environment.yml" in caught.value.value
    assert "add_conda_packages" in caught.value.value


def test_what_may_go_together_is_left_to_the_solver() -> None:
    merge(
        [Manifest(conda=(parsed("numpy=1.26"), parsed("numpy>=1.26.3"), parsed("numpy==1.26.4")))]
    )


def test_a_conda_package_is_taken_back_however_it_is_written() -> None:
    assert without([Manifest(conda=(parsed("scikit_learn"), parsed("numpy")))], ["Scikit-Learn"])[
        0
    ].conda == (parsed("numpy"),)


# environment files


def environment(folder: Path, text: str) -> Path:
    path = folder / "environment.yml"
    path.write_text(text)
    return path


def test_an_environment_file_is_read_with_its_pip_list(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("requests>=2\n")
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool" / "pyproject.toml").write_text('[project]\nname = "tool"\nversion = "1"\n')
    path = environment(
        tmp_path,
        """
name: analysis
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - numpy=1.26.4=py311h64a7726_0   # pinned
  - bioconda::samtools
  - pip
  - pip:
    - humanize>=4  # a comment
    - -r more.txt
    - -e ./tool
    - --extra-index-url https://example.org/simple
prefix: /home/somebody/envs/analysis
""",
    )
    made = read_environment(path)
    assert made.channels == ("conda-forge",)
    assert [(r.channel, r.text) for r in made.conda] == [
        ("", "python 3.11.*"),
        ("", "numpy ==1.26.4 py311h64a7726_0"),
        ("bioconda", "samtools"),
        ("", "pip"),
    ]
    assert sorted(r.name for r in made.requirements) == ["humanize", "requests", "tool"]
    assert made.indexes.extra_index_urls == ("https://example.org/simple",)
    assert made.conda[0].origin == f"{path}: dependencies[1]"
    assert next(r.origin for r in made.requirements if r.name == "humanize") == f"{path}: pip[1]"
    assert not [f for f in made.findings if "environment" in f.what]


def test_channels_that_are_given_stand_in_for_the_files(tmp_path: Path) -> None:
    path = environment(tmp_path, "channels: [defaults, r]\ndependencies: [numpy]\n")
    assert read_environment(path, channels=["conda-forge"]).channels == ("conda-forge",)


def test_a_file_without_channels_says_which_are_taken(tmp_path: Path) -> None:
    made = read_environment(environment(tmp_path, "dependencies: [numpy]\n"))
    assert made.channels == ()
    assert "else conda-forge" in made.findings[0].cure


def test_what_does_not_take_effect_is_named_without_its_value(tmp_path: Path) -> None:
    made = read_environment(
        environment(
            tmp_path,
            "channels: [c]\ndependencies: [numpy]\nvariables:\n  API_KEY: hidden\nflavour: x\n",
        )
    )
    assert [f.value.partition(": ")[2] for f in made.findings] == ["API_KEY", "flavour"]
    assert "hidden" not in str(made.findings)
    assert "activate" not in made.findings[0].cause, "executors do activate what packages bring"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("dependencies: [numpy\n", "not YAML"),
        ("channels: [c]\n", "lists dependencies"),
        ("- numpy\n", "lists dependencies"),
        ("dependencies: numpy\n", "is a list"),
        ("dependencies: [3.11]\n", "cannot be read"),
        ("dependencies: [{conda: [numpy]}]\n", "cannot be read"),
        ("dependencies: [numpy]\nchannels: {a: b}\n", "list of names"),
        ("dependencies: [numpy >=>2]\n", "cannot be read"),
        ("dependencies: [{pip: [numpy >=>2]}]\n", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str, what: str) -> None:
    path = environment(tmp_path, text)
    with pytest.raises(RequirementError, match=what) as caught:
        read_environment(path)
    assert "environment.yml" in caught.value.value


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequirementError, match="is not there"):
        read_environment(tmp_path / "environment.yml")


def test_an_environment_file_in_place_of_requirements_is_sent_to_its_door(tmp_path: Path) -> None:
    with pytest.raises(RequirementError) as caught:
        read(environment(tmp_path, "dependencies: [numpy]\n"))
    assert "captain.add_environment(" in caught.value.cure


# without the extra


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    path = environment(tmp_path, "channels: [c]\ndependencies: [numpy]\n")
    script = (
        "import sys; sys.modules['rattler'] = None\nfrom coffee_boat import"
        f" Captain\nCaptain(store={str(tmp_path)!r}).add_environment({str(path)!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "hint:  pip install py-rattler conda-pack" in done.stderr
