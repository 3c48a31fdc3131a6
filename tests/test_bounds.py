"""A small input is no work without end: each door is bounded by what the input promised, and by a
limit that its message names.
"""

from __future__ import annotations

import pickle
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import bombs
import pytest
from bombs import GIB, MIB, within

from coffee_boat import requirements
from coffee_boat._support import parse
from coffee_boat._support.store import Store
from coffee_boat.archive import elf
from coffee_boat.errors import BoatError, BuildError, RequirementError
from coffee_boat.model import Indexes, Lock, Pin, Target
from coffee_boat.pip import metadata
from coffee_boat.pip.download import Downloads
from coffee_boat.pip.sources import Builder

OWN = Target("3.11.0", glibc=(2, 28))
_SECONDS = 20.0
"""Processor time: none of these takes a second on a machine that does nothing else, and each took
minutes, hours or for ever.
"""


@contextmanager
def soon() -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < _SECONDS


# wheels


@pytest.fixture
def installed(tmp_path: Path) -> Callable[[Path], str]:
    """What comes of a wheel, in 300 MB of memory."""

    def door(wheel: Path) -> str:
        assert wheel.stat().st_size < 4 * MIB
        store = str(tmp_path / "store")
        return within(
            f"import bombs; print(bombs.install({str(wheel)!r}, {store!r}))", megabytes=300
        )

    return door


def test_a_bzip2_member_is_no_larger_than_promised(
    tmp_path: Path, installed: Callable[[Path], str]
) -> None:
    wheel = bombs.of_zeros(tmp_path, "bomb/x.bin", 96 * MIB, zipfile.ZIP_BZIP2)
    told = installed(wheel)
    assert "it has 100,663,296 bytes in bzip2, of which 67,108,864 are read here" in told
    told = installed(bombs.patched(wheel, "bomb/x.bin", 1000))
    assert "its CRC-32 or its length is not what the zip says" in told


def test_a_small_bzip2_member_is_installed(
    tmp_path: Path, installed: Callable[[Path], str]
) -> None:
    wheel = bombs.of_zeros(tmp_path, "bomb/x.bin", 3 * MIB, zipfile.ZIP_BZIP2)
    assert installed(wheel).startswith("made")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_metadata_is_bounded(tmp_path: Path, installed: Callable[[Path], str], method: int) -> None:
    member = "bomb-1.0.dist-info/entry_points.txt"
    told = installed(bombs.of_zeros(tmp_path, member, 32 * MIB, method))
    assert "a wheel breaks the rules of its format" in told
    assert "compressed by method 14" in told or "may have 1,048,576 here" in told


def test_a_wheel_is_no_more_than_its_size_allows(
    tmp_path: Path, installed: Callable[[Path], str]
) -> None:
    wheel = bombs.wheel(tmp_path, {"bomb.py": "", "a": "", "b": ""})
    for member in ("a", "b"):
        bombs.patched(wheel, member, GIB - 1)
    told = installed(wheel)
    assert "2g in all" in told or "2048m in all" in told
    assert "may hold 1g here (1g, or 200 times its size)" in told


def test_a_large_script_is_not_taken_into_memory(
    tmp_path: Path, installed: Callable[[Path], str]
) -> None:
    """A program may lie among scripts; one for Python is parsed, so it is bounded."""
    member = "bomb-1.0.data/scripts/x"
    assert installed(bombs.of_zeros(tmp_path, member, 300 * MIB, 8)).startswith("made")
    told = installed(bombs.of_zeros(tmp_path, member, 8 * MIB, 8, head=b"#!python\n"))
    assert "a script for Python may have 1,048,576 here" in told


def test_a_large_library_is_not_taken_into_memory(
    tmp_path: Path, installed: Callable[[Path], str]
) -> None:
    head = bombs.elf("versions")
    told = installed(bombs.of_zeros(tmp_path, "bomb/x.so", 300 * MIB, 8, head=head))
    assert "its tables have more than 200,000 entries" in told


def test_members_do_not_lie_upon_each_other(
    tmp_path: Path, installed: Callable[[Path], str]
) -> None:
    assert "it lies upon the member behind it" in installed(bombs.overlapping(tmp_path))


def test_deep_names_and_deep_metadata(tmp_path: Path, installed: Callable[[Path], str]) -> None:
    told = installed(bombs.wheel(tmp_path, {"a/" * 5000 + "x": ""}))
    assert "its name leaves the wheel's root or is no file name" in told
    nested = "Content-Type: message/rfc822\n\n" * 20_000
    assert "nested too deeply" in installed(bombs.wheel(tmp_path, metadata=nested))


def test_entry_points_with_a_long_line(tmp_path: Path, installed: Callable[[Path], str]) -> None:
    text = "[console_scripts]\na" + " " * 200_000 + "b\n"
    told = installed(bombs.wheel(tmp_path, entry_points=text))
    assert "line 2 has 200,002 characters; 8,192 are read here" in told


@pytest.mark.parametrize("kind", ["sections", "versions"])
def test_tables_without_an_end(kind: str) -> None:
    with soon(), pytest.raises(BuildError, match="an ELF file cannot be read"):
        elf.parse(bombs.elf(kind), "x.so")


def test_extras_that_refer_to_each_other(tmp_path: Path, store: Store) -> None:
    """`bomb[1]` needs `bomb[2]` needs ...: each is looked at once."""
    requires = "".join(
        f"Requires-Dist: bomb[x{number + 1}]; extra == 'x{number}'\n" for number in range(500)
    )
    wheel = bombs.wheel(tmp_path, metadata=requires)
    lock = Lock(OWN, (Pin("bomb", "1.0", filename=wheel.name, url=wheel.as_uri()),))
    with soon(), pytest.raises(BuildError) as caught:
        metadata.with_edges(lock, {"bomb": wheel}, {}, {"bomb": ["x0"]}, store=store)
    assert "at most 200,000 pairs of them are" in str(caught.value)
    wheel = bombs.wheel(tmp_path, metadata="".join(requires.splitlines(keepends=True)[:200]))
    done = metadata.with_edges(lock, {"bomb": wheel}, {}, {"bomb": ["x0"]}, store=store)
    assert done.pins[0].requires == ("bomb",)


# source archives


def build(path: Path, store: Store) -> None:
    indexes = Indexes()
    builder = Builder(OWN, indexes, "python", store, Downloads(indexes, ()), (), lambda _: None)
    from coffee_boat._support.digest import file_digest

    pin = Pin("bomb", "1.0", "sdist", filename=path.name, url=path.as_uri(), subdirectory="x")
    builder.wheel(replace(pin, sha256=file_digest(path)))


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_a_source_archive_is_no_more_than_its_size_allows(
    tmp_path: Path, store: Store, suffix: str
) -> None:
    path = bombs.tar_of_zeros(tmp_path / f"bomb-1.0.tar.{suffix}", 40 * MIB, header=True)
    with soon(), pytest.raises(BuildError, match="a header claims 41,943,040 bytes"):
        build(path, store)


def test_a_source_archive_of_gigabytes(tmp_path: Path, store: Store) -> None:
    path = bombs.tar_of_zeros(tmp_path / "bomb-1.0.tar.gz", 0, promised=2 * GIB)
    with soon(), pytest.raises(BuildError, match="may hold 1g here"):
        build(path, store)


# servers


def fetch(url: str, path: Path, size: int | None) -> str:
    with pytest.raises(BuildError) as caught:
        Downloads(Indexes(), ()).fetch(f"{url}/x.whl?token=s3cret", path, sha256="0", size=size)
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


def test_a_server_that_goes_on_sending(tmp_path: Path) -> None:
    with bombs.server() as (url, sent):
        told = fetch(url, tmp_path / "x", 10)
    assert "the server goes on sending; the lock has 10 bytes" in told
    assert sent[0] < 32 * MIB


def test_a_server_that_says_another_size(tmp_path: Path) -> None:
    with bombs.server(headers={"Content-Length": str(GIB)}) as (url, _):
        told = fetch(url, tmp_path / "x", 10)
    assert "the server says 1,073,741,824 bytes; the lock has 10 bytes" in told


def test_a_size_that_nobody_bounds(tmp_path: Path) -> None:
    with bombs.server(headers={"Content-Length": str(99 * GIB)}) as (url, _):
        told = fetch(url, tmp_path / "x", None)
    assert "17,179,869,184 bytes are taken of what no lock bounds" in told
    assert "write its size into the lock" in told


def test_what_a_server_packs_is_not_unpacked(tmp_path: Path) -> None:
    """Nor is the body of a redirection read, or of an error."""
    headers = {"Content-Encoding": "gzip"}
    with bombs.server(headers=headers, block=bombs.gzip_stream(), most=200_000) as (url, _):
        assert "does not match the lock" in fetch(url, tmp_path / "x", 10 * MIB)
    assert (tmp_path / "x").stat().st_size < MIB


@pytest.mark.parametrize("status", [302, 404])
def test_the_body_of_a_refusal_is_not_read(tmp_path: Path, status: int) -> None:
    with bombs.server(status=status, headers={"Location": "/y"}) as (url, sent):
        told = fetch(url, tmp_path / "x", 10)
    assert "30 redirections" in told or "404" in told
    assert max(sent) < 32 * MIB


def test_a_redirection_is_followed_with_the_credentials_of_its_own_host(tmp_path: Path) -> None:
    import hashlib

    body = b"content"
    with bombs.server(block=b"", most=0, first=body, headers={"Connection": "close"}) as (there, _):
        headers = {"Location": f"{there}/y", "Connection": "close"}
        with bombs.server(status=301, headers=headers, most=0) as (here, _):
            digest = hashlib.sha256(body).hexdigest()
            Downloads(Indexes(), ()).fetch(f"{here}/x", tmp_path / "x", sha256=digest, size=7)
    assert (tmp_path / "x").read_bytes() == body


def test_answers_of_clusters_are_bounded() -> None:
    told = within(
        """
        import bombs
        from coffee_boat.clusters.yarn import daemons
        from coffee_boat.clusters.standalone import probe
        with bombs.server(most=2 << 30) as (url, sent):
            try:
                daemons.get(url)
            except daemons.NoAnswer as error:
                print(error)
            print(probe._page(url.removeprefix("http://"), "/json/"))
            print(max(sent) < 400 << 20)
        """
    )
    assert "it has more than 128m; a cluster's answer may have 128m here" in told
    assert told.strip().endswith("None\nTrue")


def test_an_answer_of_an_apiserver_is_bounded() -> None:
    told = within(
        """
        import bombs
        from coffee_boat.clusters.kubernetes import api
        from coffee_boat.model import SparkFacts
        import os
        os.environ["KUBECONFIG"] = "/nonexistent"
        with bombs.server(most=2 << 30) as (url, sent):
            facts = SparkFacts("4.0.0", f"k8s://{url}", {})
            try:
                print(api.Apiserver(facts).version())
            except api.Unreachable as error:
                print(error)
            print(max(sent) < 400 << 20)
        """
    )
    assert "128m here" in told, told
    assert "True" in told


# requirements


def read(path: Path, text: str, **how: object) -> object:
    path.write_text(text)
    with soon():
        return requirements.for_target(
            requirements.merge([requirements.read(path, **how)]),  # type: ignore[arg-type]
            {"python_version": "3.11", "extra": ""},
        )


@pytest.mark.parametrize(
    "line", ["p{}", "p{}==1.{}", "p{}==1; python_version>'3' --hash=sha256:" + "a" * 64]
)
def test_many_lines(tmp_path: Path, line: str) -> None:
    text = "\n".join(line.replace("{}", str(number)) for number in range(8_000))
    manifest = read(tmp_path / "requirements.txt", text)
    assert len(manifest.requirements) == 8_000  # type: ignore[attr-defined]


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
    assert "a requirements file may have 16m here: split it" in told


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


# conda packages


def test_a_conda_package_is_no_more_than_its_size_allows(tmp_path: Path, store: Store) -> None:
    """By a lower bound than users have: a gigabyte would be written to the disk."""
    channels = pytest.importorskip("conda_channel")
    big = channels.Package("big", "1.0", files={"share/x": channels.File(bytes(40 * MIB))})
    lock = channels.lock_of([channels.fill(tmp_path / "other", big)], "big")
    assert (lock.conda[0].size or 0) < MIB
    told = within(
        f"""
        import pickle
        from pathlib import Path
        from coffee_boat._support import limits
        from coffee_boat._support.store import Store
        from coffee_boat.conda import chunks
        from coffee_boat.conda.install import Source
        lock = pickle.loads({pickle.dumps(lock)!r})
        limits.UNPACKED_FREE = 1 << 20
        try:
            chunks.conda_chunks(lock, Store(Path({str(store.root)!r})), source=Source(), say=print)
        except Exception as error:
            print(error)
        """,
        megabytes=4000,
    )
    assert "conda packages become larger than their size allows" in told


def test_what_writes_without_an_end_is_cancelled(tmp_path: Path) -> None:
    import asyncio

    from coffee_boat._support.limits import TooMuch
    from coffee_boat.conda.install import bounded

    async def write() -> None:
        with (tmp_path / "x").open("wb") as file:
            while True:
                file.write(bytes(4 * MIB))
                file.flush()
                await asyncio.sleep(0.02)

    with soon(), pytest.raises(TooMuch):
        asyncio.run(asyncio.wait_for(bounded(write(), tmp_path, 16 * MIB), 60))
    size = (tmp_path / "x").stat().st_size
    time.sleep(0.2)
    assert (tmp_path / "x").stat().st_size == size


def test_a_placeholder_many_times_in_a_binary() -> None:
    from coffee_boat.worker.prefix import replaced

    with soon():
        data = replaced(b"/old\0" + b"/old" * 100_000, b"/old", b"/new", binary=True)
    assert data == b"/new\0" + b"/old" * 100_000
