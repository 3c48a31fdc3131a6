"""What all tests share: small real wheels, a store of their own, and a guard against effects that
outlive a test.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import shutil
import signal
import stat
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from lanes import cannot_run, require_installed, tell_at_the_end

from coffee_boat._support.store import Store


def pytest_configure(config: pytest.Config) -> None:
    require_installed()
    tell_at_the_end(config)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell's background begins
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--share",
        type=_share,
        default=(1, 1),
        metavar="N/M",
        help="each M-th file of tests, from the N-th on: for several runs that are all of them",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    number, shares = config.getoption("--share")
    files = list(dict.fromkeys(item.path for item in items))
    here = {path for place, path in enumerate(files) if place % shares == number - 1}
    config.hook.pytest_deselected(items=[item for item in items if item.path not in here])
    items[:] = [item for item in items if item.path in here]


def _share(text: str) -> tuple[int, int]:
    number, _, shares = text.partition("/")
    if not 1 <= int(number) <= int(shares):
        raise ValueError(text)
    return int(number), int(shares)


class MakeWheel(Protocol):
    """Writes a small real wheel and returns its path."""

    def __call__(
        self,
        name: str = "demo",
        version: str = "1.0",
        files: Mapping[str, str | bytes] | None = None,
        *,
        tag: str = "py3-none-any",
        requires: Sequence[str] = (),
        console_scripts: Mapping[str, str] | None = None,
        data: Mapping[str, str | bytes] | None = None,
        dist_info: Mapping[str, str | bytes] | None = None,
        executable: Sequence[str] = (),
        members: Sequence[tuple[zipfile.ZipInfo, str | bytes]] = (),
        record: Mapping[str, str | None] | None = None,
        compression: int = zipfile.ZIP_DEFLATED,
        folder: Path | None = None,
    ) -> Path:
        """Make one.

        Args:
            files: path in the wheel -> content; `NAME/__init__.py` with a version by default.
            console_scripts: name -> "module:attribute".
            data: path below NAME-VERSION.data ("scripts/tool") -> content.
            dist_info: path below NAME-VERSION.dist-info -> content; added to METADATA, WHEEL and
                RECORD, or instead of them.
            executable: those of `files` that have the run bit.
            members: zip members written last, as they are given.
            record: member -> what RECORD says of it ("sha256=...,12"), None to leave it out;
                instead of the truth.
            folder: where to write; a new folder by default.
        """


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def pyspark_packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the chunks that every archive has, and nothing else: making them takes longer
    than most tests.
    """
    from coffee_boat import Captain

    folder = tmp_path_factory.mktemp("packed")
    with Captain(ship_python=False, offline=True, store=folder / "all") as captain:
        captain.pack(folder / "none.tar.gz")
    for kind in ("chunks", "keys/chunk", "keys/listing", "keys/findings", "keys/needs"):
        shutil.copytree(folder / "all" / kind, folder / "store" / kind)
    return folder / "store"


@pytest.fixture
def pyspark_is_packed(pyspark_packed: Path, tmp_path: Path) -> None:
    """For tests that are not about Spark's own files: tmp_path / "store" has them."""
    with_chunks_of(pyspark_packed, tmp_path / "store")


def with_chunks_of(made: Path, store: Path) -> Path:
    """A store with the chunks that another one has.

    By links: entries of a store are never changed.
    """
    for kind in ("chunks", "keys"):
        shutil.copytree(made / kind, store / kind, copy_function=os.link, dirs_exist_ok=True)
    return store


@pytest.fixture(scope="session")
def interpreter_packed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with the driver's own interpreter as a chunk."""
    from coffee_boat.interpreter import copy
    from coffee_boat.interpreter.find import find

    store = Store(tmp_path_factory.mktemp("interpreter") / "store")
    found = find()
    assert copy.recall(found, store) is None
    copy.chunk(found, store)
    return store


@pytest.fixture
def make_wheel(tmp_path_factory: pytest.TempPathFactory) -> MakeWheel:
    def make(
        name: str = "demo",
        version: str = "1.0",
        files: Mapping[str, str | bytes] | None = None,
        *,
        tag: str = "py3-none-any",
        requires: Sequence[str] = (),
        console_scripts: Mapping[str, str] | None = None,
        data: Mapping[str, str | bytes] | None = None,
        dist_info: Mapping[str, str | bytes] | None = None,
        executable: Sequence[str] = (),
        members: Sequence[tuple[zipfile.ZipInfo, str | bytes]] = (),
        record: Mapping[str, str | None] | None = None,
        compression: int = zipfile.ZIP_DEFLATED,
        folder: Path | None = None,
    ) -> Path:
        stem = f"{name.replace('-', '_')}-{version}"
        own = f"{stem}.dist-info/"
        contents: dict[str, str | bytes] = dict(
            files
            if files is not None
            else {f"{name.replace('-', '_')}/__init__.py": f"__version__ = {version!r}\n"}
        )
        contents |= {f"{stem}.data/{path}": content for path, content in (data or {}).items()}
        contents[f"{own}METADATA"] = (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            + "".join(f"Requires-Dist: {text}\n" for text in requires)
        )
        contents[f"{own}WHEEL"] = (
            "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib:"
            f" {str(tag.endswith('any')).lower()}\nTag: {tag}\n"
        )
        if console_scripts:
            contents[f"{own}entry_points.txt"] = "[console_scripts]\n" + "".join(
                f"{script} = {target}\n" for script, target in console_scripts.items()
            )
        contents |= {own + path: content for path, content in (dist_info or {}).items()}
        path = (folder or tmp_path_factory.mktemp("wheels")) / f"{stem}-{tag}.whl"
        written = [
            (zip_info(member, executable=member in executable, compression=compression), content)
            for member, content in contents.items()
        ]
        table = (
            {info.filename: row_of(content) for info, content in [*written, *members]}
            | {f"{own}RECORD": ","}
            | dict(record or {})
        )
        with zipfile.ZipFile(path, "w") as archive:
            for info, content in [
                *written,
                (zip_info(f"{own}RECORD"), record_text(table)),
                *members,
            ]:
                archive.writestr(info, content)
        return path

    return make


def zip_info(
    name: str,
    *,
    executable: bool = False,
    compression: int = zipfile.ZIP_DEFLATED,
    link: bool = False,
) -> zipfile.ZipInfo:
    """A member as a build tool on Linux writes it."""
    info = zipfile.ZipInfo(name, (2020, 2, 2, 0, 0, 0))
    info.create_system = 3
    info.compress_type = compression
    info.external_attr = (
        stat.S_IFLNK | 0o777 if link else stat.S_IFREG | (0o755 if executable else 0o644)
    ) << 16
    return info


def row_of(content: str | bytes) -> str:
    """What RECORD says of a content: hash and length."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"sha256={digest},{len(data)}"


def record_text(table: Mapping[str, str | None]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(
        (name, *row.split(",")) for name, row in table.items() if row is not None
    )
    return out.getvalue()


@pytest.fixture(autouse=True)
def no_effects_left() -> Iterator[None]:
    """A test that changes the working directory or the environment breaks others: it fails, and the
    next ones start clean.
    """
    folder, environment = Path.cwd(), _environment()
    yield
    after = _environment()
    left = {name for name in {*environment, *after} if environment.get(name) != after.get(name)}
    moved = Path.cwd() != folder
    os.chdir(folder)
    for name in left:
        if name in environment:
            os.environ[name] = environment[name]
        else:
            del os.environ[name]
    assert not left, f"the test left os.environ changed: {sorted(left)}"
    assert not moved, "the test left the working directory changed"


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


@pytest.fixture(scope="session")
def conda_channel(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a channel with a Python of this minor that runs, and
    `conda_channel.small_packages()`.
    """
    pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")
    import conda_channel as channels

    if reason := channels.why_no_python():
        cannot_run(reason)
    return channels.fill(
        tmp_path_factory.mktemp("conda") / "forge",
        channels.small_python(),
        channels.python_abi(),
        *channels.small_packages(),
    )


@pytest.fixture(scope="session")
def other_conda_channel(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a second channel, for priorities: newer versions of what the first has, and one
    package of its own.
    """
    pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")
    import conda_channel as channels

    return channels.fill(
        tmp_path_factory.mktemp("conda") / "other",
        channels.module("pure", "3.0"),
        channels.module("only-there", "1.0", license="GPL-3.0-only"),
    )
