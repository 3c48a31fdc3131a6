"""What people write -> Manifest."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
from packaging.markers import default_environment

from coffee_boat.errors import RequirementError
from coffee_boat.model import Indexes, Manifest, Requirement
from coffee_boat.requirements import for_target, merge, parse, read, read_constraints

LINUX = {
    "implementation_name": "cpython",
    "implementation_version": "3.11.7",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "",
    "platform_system": "Linux",
    "platform_version": "",
    "python_full_version": "3.11.7",
    "python_version": "3.11",
    "sys_platform": "linux",
}
WHEEL = "foo-1.0-py3-none-any.whl"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a project, an old project, a wheel and a source archive; only their
    names matter here.
    """
    (tmp_path / "proj").mkdir()
    (tmp_path / "proj/pyproject.toml").write_text('[project]\nname = "My.Proj"\nversion = "1"\n')
    (tmp_path / "old").mkdir()
    (tmp_path / "old/setup.py").touch()
    (tmp_path / "wheels dir").mkdir()
    (tmp_path / "wheels dir" / WHEEL).touch()
    (tmp_path / "foo_bar-2.0.tar.gz").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def asked(*texts: str, origin: str = "here") -> Manifest:
    return Manifest(requirements=tuple(parse(text, origin=origin) for text in texts))


def texts(manifest: Manifest) -> list[str]:
    return [r.text for r in manifest.requirements]


# one requirement


def test_a_name_is_normalized_and_its_parts_are_told() -> None:
    found = parse("Foo_Bar [Dev,a.b] >=1, <2 ; python_version > '3.8'", origin="here")
    assert found == Requirement(
        text='foo-bar[a-b,dev]<2,>=1; python_version > "3.8"',
        name="foo-bar",
        extras=("a-b", "dev"),
        specifier="<2,>=1",
        marker='python_version > "3.8"',
        origin="here",
    )


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("./proj", "my-proj @ {home}/proj"),
        ("proj/", "my-proj @ {home}/proj"),
        ("~/proj", "my-proj @ {home}/proj"),
        ("./old/../proj[Test]", "my-proj[test] @ {home}/proj"),
        ("file:./proj", "my-proj @ {home}/proj"),
        ("my_proj @ ./proj", "my-proj @ {home}/proj"),
        ("./old", "{home}/old"),
        ("old/[x]", "{home}/old[x]"),
        (f"wheels dir/{WHEEL}", f"foo @ {{home}}/wheels%20dir/{WHEEL}"),
        (
            f"./wheels dir/{WHEEL}[x];sys_platform=='linux'",
            f'foo[x] @ {{home}}/wheels%20dir/{WHEEL} ; sys_platform == "linux"',
        ),
        ("foo_bar-2.0.tar.gz", "foo-bar @ {home}/foo_bar-2.0.tar.gz"),
        (
            "https://h/torch-2.0%2Bcu118-cp311-cp311-linux_x86_64.whl",
            "torch @ https://h/torch-2.0%2Bcu118-cp311-cp311-linux_x86_64.whl",
        ),
        (
            "https://github.com/a/b/archive/refs/tags/thing-1.0.tar.gz",
            "https://github.com/a/b/archive/refs/tags/thing-1.0.tar.gz",
        ),
        (
            "git+https://h/a/b@v1#egg=Thing[x]&subdirectory=c",
            "thing[x] @ git+https://h/a/b@v1#subdirectory=c",
        ),
        (
            "thing @ git+ssh://git@h/a/b.git@v1 ; python_version<'4'",
            'thing @ git+ssh://git@h/a/b.git@v1 ; python_version < "4"',
        ),
        ("git+https://h/a/b", "git+https://h/a/b"),
    ],
)
def test_places_become_what_uv_takes_on_its_input(home: Path, written: str, text: str) -> None:
    assert parse(written, origin="here").text == text.format(home=home.as_uri())


def test_a_path_object_is_a_path_and_a_word_is_a_package(home: Path) -> None:
    assert parse(Path("proj"), origin="here").url  # type: ignore[arg-type]
    assert not parse("proj", origin="here").url


def test_paths_are_relative_to_the_given_folder(home: Path) -> None:
    assert parse("./proj", origin="here", folder=home / "old/..").url == (home / "proj").as_uri()


def test_a_hash_in_a_url_is_kept() -> None:
    digest = "ab" * 32
    assert parse(f"https://h/{WHEEL}#sha256={digest}", origin="here").hashes == (
        f"sha256:{digest}",
    )


@pytest.mark.parametrize(
    ("written", "cure"),
    [
        ("pkg=1.0", '"pkg==1.0"'),
        ("pkg=>1.0", '"pkg>=1.0"'),
        ("numpy>=1 <2", "numpy>=1,<2"),
        ("a b", '"a", "b"'),
        ("!pip install numpy pandas", '"numpy", "pandas"'),
        ("conda-forge::numpy", 'captain.add_conda_packages("conda-forge::numpy")'),
        ("requests@2.31", '"requests==2.31"'),
        ("-r req.txt", "captain.add_requirements('req.txt')"),
        ("-e ./proj", "captain.add_local('./proj')"),
        ("requirements.txt", "add_requirements"),
        ("./proj/pyproject.toml", "captain.add_requirements("),
        ("./wheels dir", "find_links="),
        ("./prj", "did you mean proj?"),
        ("helpers.py", 'captain.add_local("helpers.py")'),
        ("", "name"),
        ("a\nb", "add_requirements"),
        (["a", "b"], "*names"),
        (None, "name"),
        (3, "name"),
        ("hg+https://h/a", "wheel"),
        ("git@github.com:a/b.git", "git+ssh://git@github.com/a/b.git"),
        ("git+https://", "git+https://host"),
        ("https://github.com/a/b", "git+https://github.com/a/b"),
        ("https://pypi.org/simple/numpy/", "index_url='https://pypi.org/simple'"),
        ("s3://bucket/foo.whl", "download"),
        ("https://[::1", "https://"),
        ("https://h/x.whl", "name-1.0-py3-none-any.whl"),
        (f"https://h/{WHEEL}#sha256=abc", "64 hex"),
        (f"bar @ https://h/{WHEEL}", f"foo @ https://h/{WHEEL}"),
        ("file://host/x.whl", "file:///host/x.whl"),
        ("x; python_version > 3", "name"),
        ("./proj ; nonsense", "python_version"),
        ("./" + "a" * 5000, "name"),
        ("numpy @ file:///home/conda/feedstock_root/build/numpy_1", "pip list --format=freeze"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_cure(
    home: Path, written: object, cure: str
) -> None:
    write(home / "requirements.txt", "numpy\n")
    write(home / "helpers.py", "")
    with pytest.raises(RequirementError) as caught:
        parse(written, origin="notebook cell")  # type: ignore[arg-type]
    assert cure in caught.value.cure
    assert "notebook cell" in caught.value.value
    assert len(str(caught.value)) < 1500


def test_errors_show_no_credentials() -> None:
    for written in (
        "bar @ https://user:s3cret@h/foo-1.0-py3-none-any.whl",
        "https://user:s3cret@github.com/a/b",
        "--index-url https://user:s3cret@h",
        "pip install git+https://s3cret@h/a",
    ):
        with pytest.raises(RequirementError) as caught:
            parse(written, origin="here")
        assert "s3cret" not in str(caught.value)


def test_no_text_makes_anything_but_a_requirement_or_a_requirement_error(home: Path) -> None:
    pieces = [
        "numpy",
        "==",
        "1.0",
        "@",
        " ",
        "[",
        "]",
        "./proj",
        "git+",
        "https://",
        "//",
        "h/",
        WHEEL,
        ";",
        "python_version",
        "'3'",
        ">",
        "-r",
        "-e",
        "-i",
        "--",
        "#egg=x",
        "~",
        "file:",
    ]
    pieces += [
        "\\",
        "${HOME}",
        "%zz",
        "[::1]",
        "extra",
        "in",
        "(",
        "\x0c",
        "\ud800",
        "=",
        '"',
        "é",
        "--hash=sha256:",
        ",",
    ]
    chance = random.Random(7)
    outcomes = {"read": 0, "refused": 0, "refused without a cure": 0}
    for _ in range(1500):
        text = "".join(chance.choices(pieces, k=chance.randint(1, 8)))
        try:
            merge([asked(text), read(write(home / "r.txt", text.replace("\ud800", "")))])
            outcomes["read"] += 1
        except RequirementError as error:
            outcomes["refused" if error.cure else "refused without a cure"] += 1
    assert outcomes.pop("refused without a cure") == 0
    assert min(outcomes.values()) > 20


# requirements.txt


def test_a_requirements_file_as_pip_documents_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "t0ken")
    digest = "ab" * 32
    write(home / "sub/more.txt", "-c limits.txt\n../proj\n")
    write(home / "sub/limits.txt", "numpy<3\n")
    path = write(
        home / "requirements.txt",
        f"""\
# a comment
numpy >= 1 ; python_version > "3" # why
six==1.16 \\
    --hash=sha256:{digest} \\
    --hash=sha256:{"CD" * 32}

-r sub/more.txt
-i https://user:${{TOKEN}}@h/simple
--extra-index-url=https://b/simple
--extra-index-url https://a/simple
-f "wheels dir"
--pre
--trusted-host h
--no-binary Foo_Bar,baz
--only-binary :all:
thing @ https://h/thing-1.0.zip#frag
""",
    )
    found = read(path)
    assert texts(found) == [
        'numpy>=1; python_version > "3"',
        "six==1.16",
        f"my-proj @ {(home / 'proj').as_uri()}",
        "thing @ https://h/thing-1.0.zip#frag",
    ]
    assert found.requirements[1].hashes == (f"sha256:{digest}", f"sha256:{'cd' * 32}")
    assert [r.origin for r in found.requirements] == [
        f"{path}:2",
        f"{path}:3",
        f"{home}/sub/more.txt:2",
        f"{path}:16",
    ]
    assert [c.text for c in found.constraints] == ["numpy<3"]
    assert found.indexes == Indexes(
        index_url="https://user:t0ken@h/simple",
        extra_index_urls=("https://b/simple", "https://a/simple"),
        find_links=(str(home / "wheels dir"),),
        trusted_hosts=("h",),
        no_binary=("foo-bar", "baz"),
        only_binary=(":all:",),
        prerelease=True,
    )


def test_an_editable_folder_is_shipped_and_its_limits_are_told(home: Path) -> None:
    found = read(
        write(
            home / "r.txt",
            "-e ./proj[x] ; python_version > '3'\n--editable git+https://h/a#egg=a\n",
        )
    )
    assert [(r.name, r.extras, r.marker, r.editable) for r in found.requirements] == [
        ("my-proj", ("x",), 'python_version > "3"', True),
        ("a", (), "", True),
    ]
    assert ["r.txt:1" in finding.value for finding in found.findings] == [True]


def test_an_editable_folder_without_a_project_file_is_code_of_ones_own(home: Path) -> None:
    (home / "src/mypkg").mkdir(parents=True)
    (home / "src/mypkg/__init__.py").touch()
    (wanted,) = read(write(home / "r.txt", "-e ./src/mypkg\n")).requirements
    assert (wanted.name, wanted.local, wanted.url) == (
        "mypkg",
        True,
        (home / "src/mypkg").as_uri(),
    )
    assert wanted.origin.endswith("r.txt:1")


@pytest.mark.parametrize(
    "content",
    [
        "numpy\n".encode("utf-16"),
        b"\xef\xbb\xbfnumpy\n",
        b"# -*- coding: latin-1 -*-\n# caf\xe9\nnumpy\n",
        b"numpy\r\n",
        b"numpy \\",
    ],
)
def test_encodings_and_line_ends(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.txt"
    path.write_bytes(content)
    assert texts(read(path)) == ["numpy"]


@pytest.mark.parametrize(
    ("content", "cure"),
    [
        ("a\nb=1\n", '"b==1"'),
        ("a\n--extra-index-urls https://h\n", "--extra-index-url"),
        ("a\n--frobnicate\n", "take it out"),
        ("a\n-r\n", ""),
        ("a\ntorch --index-url https://h\n", "line of its own"),
        ("a\n--hash=sha256:ab\n", "behind the requirement"),
        ("a\nb==1 --hash=md5:ab\n", "sha256"),
        ("a\n-e numpy\n", "leave out -e"),
        ("a\n-f ./nowhere\n", ""),
        ("a\n-r https://h/r.txt\n", "download"),
        ("a\n-r nested.txt\n", ""),
        ("a\n-i https://h/${NO_SUCH_TOKEN}\n", "export NO_SUCH_TOKEN="),
        ("a\n--index-url 'unclosed\n", ""),
    ],
)
def test_a_bad_line_is_named_by_file_and_line(tmp_path: Path, content: str, cure: str) -> None:
    path = write(tmp_path / "r.txt", content)
    with pytest.raises(RequirementError) as caught:
        read(path)
    assert f"{path}:2" in caught.value.value
    assert cure in caught.value.cure
    assert caught.value.cure


@pytest.mark.parametrize(
    "line",
    [
        "b @ https://${TOKEN}@h/foo-1.0-py3-none-any.whl",
        "--frob https://h/${TOKEN}",
        "b=${TOKEN}",
        "-r ${TOKEN}.txt",
        "-e ./${TOKEN}",
        "-f ./${TOKEN}",
    ],
)
def test_values_of_variables_are_in_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setenv("TOKEN", "t0ken")
    with pytest.raises(RequirementError) as caught:
        read(write(tmp_path / "r.txt", line))
    assert "t0ken" not in str(caught.value)
    assert "r.txt:1" in caught.value.value


def test_files_in_a_circle_are_refused_and_a_file_read_twice_is_not(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "-r b.txt\n-r b.txt\n")
    path = write(tmp_path / "b.txt", "numpy\n")
    assert texts(merge([read(tmp_path / "a.txt")])) == ["numpy"]
    path.write_text("-c a.txt\n")
    with pytest.raises(RequirementError, match=r"a\.txt -> b\.txt -> a\.txt"):
        read(tmp_path / "a.txt")


def test_required_hashes_are_required(tmp_path: Path) -> None:
    with pytest.raises(RequirementError, match="numpy==1"):
        read(
            write(
                tmp_path / "r.txt",
                f"--require-hashes\nsix==1 --hash=sha256:{'ab' * 32}\nnumpy==1\n",
            )
        )


def test_constraints_have_a_name_and_no_extras(tmp_path: Path) -> None:
    assert [
        c.text for c in read_constraints(write(tmp_path / "c.txt", "numpy<2\n")).constraints
    ] == ["numpy<2"]
    for bad in ("numpy[x]<2", "git+https://h/a"):
        with pytest.raises(RequirementError, match="constraint"):
            read_constraints(write(tmp_path / "c.txt", bad))


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("environment.yml", "captain.add_environment("),
        ("pylock.toml", "add_lock"),
        ("pylock.dev.toml", "add_lock"),
        ("uv.lock", "uv export"),
        ("poetry.lock", "requirements.txt"),
        ("reqs.txt", "requirements.txt?"),
        ("folder", "add_pip_packages"),
        ("script.py", "uv add --script"),
        ("binary.txt", "UTF-8"),
    ],
)
def test_other_files_are_refused_with_the_cure(tmp_path: Path, name: str, cure: str) -> None:
    write(tmp_path / "requirements.txt", "")
    write(tmp_path / "script.py", "print()\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary.txt").write_bytes(b"\xff\x00\x01")
    with pytest.raises(RequirementError) as caught:
        read(tmp_path / name)
    assert cure in caught.value.cure


@pytest.mark.parametrize("path", [["numpy"], "", None, "a\0b", "~nobody-of-that-name/r.txt"])
def test_what_is_no_path_is_refused(path: object) -> None:
    with pytest.raises(RequirementError) as caught:
        read(path)  # type: ignore[arg-type]
    assert caught.value.cure


def test_extras_belong_to_a_project(tmp_path: Path) -> None:
    with pytest.raises(RequirementError, match=r"pyproject\.toml"):
        read(write(tmp_path / "r.txt", "a"), extras=["x"])


# pyproject.toml and scripts

PROJECT = """\
[project]
name = "Me"
dependencies = ["numpy>=1", "other @ file:./other"]
[project.optional-dependencies]
Fast_One = ["isal"]
all = ["me[fast-one]; python_version > '3'", "six", "me[all]"]
[dependency-groups]
test = ["pytest", {include-group = "base"}]
base = ["mypy"]
loop = [{include-group = "loop"}]
[tool.uv.sources]
numpy = {path = "../numpy"}
"""


def test_a_project_with_extras_and_groups(tmp_path: Path) -> None:
    path = write(tmp_path / "pyproject.toml", PROJECT)
    write(tmp_path / "other/pyproject.toml", '[project]\nname = "other"\n')
    write(tmp_path.parent / "numpy/pyproject.toml", '[project]\nname = "numpy"\n')
    other = f"other @ {(tmp_path / 'other').as_uri()}"
    numpy = f"numpy @ {(tmp_path.parent / 'numpy').as_uri()}"
    assert texts(read(path)) == [numpy, other]
    found = read(path, extras=["all"], groups=["Test"])
    assert texts(found) == [
        numpy,
        other,
        'isal; python_version > "3"',
        "six",
        "pytest",
        "mypy",
    ]
    assert found.requirements[2].origin == f"{path}: extra fast-one"
    assert not found.findings


SOURCES = """\
[project]
name = "me"
requires-python = ">=3.10"
dependencies = ["a>=1", "b[x]; python_version > '3'", "c", "d", "e", "f"]
[tool.uv.sources]
A = { path = "other", editable = true }
b = { git = "https://h.example.org/b.git", tag = "v1", subdirectory = "sub" }
c = [{ index = "gpu", marker = "sys_platform == 'win32'" }, { index = "own" }]
d = { url = "https://h.example.org/d-1.0-py3-none-any.whl" }
e = { workspace = true }
[[tool.uv.index]]
name = "own"
url = "https://own.example.org/simple"
explicit = true
[tool.uv.workspace]
members = ["packages/*"]
"""


def test_sources_of_uv_are_where_packages_come_from(tmp_path: Path) -> None:
    path = write(tmp_path / "pyproject.toml", SOURCES)
    write(tmp_path / "other/pyproject.toml", '[project]\nname = "a"\n')
    write(tmp_path / "packages/e/pyproject.toml", '[project]\nname = "E"\n')
    found = read(path)
    assert texts(found) == [
        f"a @ {(tmp_path / 'other').as_uri()}",
        'b[x] @ git+https://h.example.org/b.git@v1#subdirectory=sub ; python_version > "3"',
        "c",
        "d @ https://h.example.org/d-1.0-py3-none-any.whl",
        f"e @ {(tmp_path / 'packages/e').as_uri()}",
        "f",
    ]
    tied = {r.name: r.index for r in found.requirements if r.index}
    assert tied == {"c": "https://own.example.org/simple"}
    assert found.requirements[0].editable
    assert found.requires_python == ((">=3.10", str(path)),)


@pytest.mark.parametrize(
    "source",
    [
        '{ index = "nobody" }',
        "{ workspace = true }",
        "3",
        '{ path = "x", extra = "y" }',
        """{ path = "x", marker = "os_name ~= 'x'" }""",
        *(
            f"{{ workspace = true }}\n[tool.uv.workspace]\nmembers = ['{p}']"
            for p in ("", "/a/*", "**a")
        ),
    ],
)
def test_a_source_that_cannot_be_used_is_no_package_of_an_index(
    tmp_path: Path, source: str
) -> None:
    text = f"[project]\ndependencies = ['c']\n[tool.uv.sources]\nc = {source}\n"
    with pytest.raises(RequirementError) as caught:
        read(write(tmp_path / "pyproject.toml", text))
    assert caught.value.code == "requirements.uv-source-unusable"
    assert "uv export" in caught.value.cure


@pytest.mark.parametrize("script", [False, True])
def test_what_is_for_another_python_is_refused_for_the_executors(
    tmp_path: Path, script: bool
) -> None:
    text = 'requires-python = ">=3.99"\ndependencies = []\n'
    lines = "".join(f"# {line}\n" for line in text.splitlines())
    path = (
        write(tmp_path / "job.py", f"# /// script\n{lines}# ///\n")
        if script
        else write(tmp_path / "pyproject.toml", f"[project]\nname = 'x'\n{text}")
    )
    manifest = merge([read(path)])
    with pytest.raises(RequirementError) as caught:
        for_target(manifest, default_environment())
    assert caught.value.code == "requirements.other-python"
    assert str(path) in caught.value.value
    assert not for_target(
        read(path), {**default_environment(), "python_full_version": "3.99.1"}
    ).findings


@pytest.mark.parametrize(
    ("content", "choices", "words"),
    [
        (PROJECT, {"extras": ["fast"]}, "all, fast-one"),
        (PROJECT, {"extras": "all"}, "extras=['all']"),
        (PROJECT, {"groups": ["tests"]}, "did you mean test?"),
        (PROJECT, {"groups": ["loop"]}, "loop includes itself"),
        ('[project]\nname = "x"\ndynamic = ["dependencies"]\n', {}, "add_pip_packages("),
        ("[tool.poetry]\n", {}, "[project]"),
        ("[project]\ndependencies = 'a'\n", {}, "list of strings"),
        ("[project]\ndependencies = ['a=1']\n", {}, '"a==1"'),
        ("[project]\ndependencies = [3]\n", {}, "not int"),
        ("[project\n", {}, "line 1"),
        ("tool = 'x'\n[project]\n", {}, "tool is not a table"),
        ("[dependency-groups]\ntest = 3\n", {"groups": ["test"]}, "PEP 735"),
    ],
)
def test_a_project_that_cannot_be_read(
    tmp_path: Path, content: str, choices: dict[str, list[str]], words: str
) -> None:
    write(tmp_path / "other/pyproject.toml", "")
    path = write(tmp_path / "pyproject.toml", content)
    with pytest.raises(RequirementError) as caught:
        read(path, **choices)
    assert words in str(caught.value)


def test_a_script_says_what_it_needs(tmp_path: Path) -> None:
    path = write(
        tmp_path / "job.py",
        '#!/usr/bin/env python\n# /// script\n# requires-python = ">=3.10"\n# dependencies = [\n#  '
        ' "numpy",\n# ]\n# ///\nprint()\n',
    )
    assert texts(read(path)) == ["numpy"]


def test_a_header_ends_where_pep_723_says(tmp_path: Path) -> None:
    """A closing line within the block belongs to it: the last one counts."""
    path = write(
        tmp_path / "job.py",
        '# /// script\n# text = """\n# ///\n# """\n# dependencies = ["numpy"]\n# ///\nprint()\n',
    )
    assert texts(read(path)) == ["numpy"]


@pytest.mark.parametrize(
    ("content", "words"),
    [("# a = [\n", "not TOML"), ("# a = 1\n# ///\n\n# /// script\n# b = 1\n", "two headers")],
)
def test_a_header_that_cannot_be_read(tmp_path: Path, content: str, words: str) -> None:
    path = write(tmp_path / "job.py", f"# /// script\n{content}# ///\n")
    with pytest.raises(RequirementError, match=words):
        read(path)


# many


def test_the_order_of_manifests_does_not_count_and_that_of_indexes_in_a_file_does() -> None:
    parts = [
        asked("numpy>=1", "Six", origin="a"),
        asked("six", origin="b"),
        Manifest(
            indexes=Indexes(
                index_url="https://m",
                extra_index_urls=("https://z", "https://b"),
                find_links=("/x",),
            )
        ),
        Manifest(indexes=Indexes(extra_index_urls=("https://a", "https://b"), prerelease=True)),
    ]
    merged = {merge(order) for order in itertools.permutations(parts)}
    assert len(merged) == 1
    one = merged.pop()
    assert [(r.text, r.origin) for r in one.requirements] == [("numpy>=1", "a"), ("six", "a, b")]
    assert one.indexes == Indexes(
        index_url="https://m",
        extra_index_urls=("https://a", "https://b", "https://z"),
        find_links=("/x",),
        prerelease=True,
    )
    assert merge([one, one]) == one


def test_two_main_indexes_are_refused_without_their_passwords() -> None:
    with pytest.raises(RequirementError) as caught:
        merge([Manifest(indexes=Indexes(index_url=f"https://u:s3cret@{host}")) for host in "ab"])
    assert "s3cret" not in str(caught.value)


def test_markers_are_evaluated_for_the_executors_and_not_for_this_machine() -> None:
    manifest = asked(
        "a; python_version < '3.12'",
        "b; sys_platform == 'win32'",
        "c; platform_machine == 'aarch64'",
    )
    linux = for_target(manifest, LINUX)
    assert texts(linux) == ["a"]
    assert [(finding.severity, finding.value.split(";")[0]) for finding in linux.findings] == [
        ("note", "b"),
        ("note", "c"),
    ]
    assert texts(
        for_target(manifest, {**LINUX, "python_version": "3.13", "platform_machine": "aarch64"})
    ) == ["c"]


def test_one_name_is_one_requirement() -> None:
    found = for_target(
        asked("numpy>=1", "NumPy[x]<2; python_version>'3'", "numpy[y]", "abc"), LINUX
    )
    assert texts(found) == ["abc", "numpy[x,y]<2,>=1"]
    assert texts(for_target(found, LINUX)) == texts(found)


def test_a_place_stands_for_the_name_and_versions_bound_it() -> None:
    found = for_target(asked("foo>=2", "foo[x]", "foo @ git+https://h/foo"), LINUX)
    assert (texts(found), [c.text for c in found.constraints]) == (
        ["foo[x] @ git+https://h/foo"],
        ["foo>=2"],
    )
    early = "https://h/foo-2.0rc1-py3-none-any.whl"
    assert texts(for_target(asked("foo>=1", early), LINUX)) == [f"foo @ {early}"]


@pytest.mark.parametrize(
    ("wanted", "limits", "named"),
    [
        (("a==1", "a==2", "a"), (), ("a==1", "a==2")),
        (("a==1", "a>=2; python_version>'3'"), (), ("a==1", "a>=2")),
        (("a<2", "a>=1", "a!=1.*", "a>1.9,<1.10"), (), ("a", "no version is")),
        (
            (f"https://h/{WHEEL}", f"https://other/{WHEEL}"),
            (),
            ("https://h/", "https://other/", "different places"),
        ),
        ((f"https://h/{WHEEL}", "foo>=2"), (), ("foo>=2", "1.0 is there")),
        (("a==2",), ("a<2",), ("a==2", "a<2")),
    ],
)
def test_contradictions_name_both_and_where_they_came_from(
    wanted: tuple[str, ...], limits: tuple[str, ...], named: tuple[str, ...]
) -> None:
    parts = [asked(text, origin=f"file{number}") for number, text in enumerate(wanted)]
    parts += [Manifest(constraints=asked(text, origin="limits").requirements) for text in limits]
    with pytest.raises(RequirementError) as caught:
        for_target(merge(parts), LINUX)
    assert all(word in str(caught.value) for word in named)
    assert caught.value.value.count("(file") + caught.value.value.count("(limits") >= 2


def test_markers_that_exclude_each_other_are_no_contradiction() -> None:
    assert texts(
        for_target(
            merge([asked("a==1; python_version<'3.11'", "a==2; python_version>='3.11'")]), LINUX
        )
    ) == ["a==2"]


def test_a_constraint_alone_asks_for_nothing_and_contradicts_nothing() -> None:
    limits = Manifest(constraints=asked("a==1", "a==2").requirements)
    assert for_target(merge([limits, asked("b")]), LINUX).requirements == asked("b").requirements


def test_hashes_of_one_pin_are_those_that_all_allow() -> None:
    def pinned(*hashes: str) -> Manifest:
        return Manifest(
            requirements=(Requirement(text="a==1", name="a", specifier="==1", hashes=hashes),)
        )

    assert for_target(
        merge([pinned("sha256:1", "sha256:2"), pinned("sha256:2"), asked("a")]), LINUX
    ).requirements[0].hashes == ("sha256:2",)
    with pytest.raises(RequirementError, match="hashes"):
        merge([pinned("sha256:1"), pinned("sha256:2")])
