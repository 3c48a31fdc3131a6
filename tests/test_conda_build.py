"""Conda packages as chunks: from real channels, by rattler and conda-pack, unpacked and run.

Nothing of it needs a network.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")
pytest.importorskip("conda_pack", reason="needs conda-pack: pip install coffee_boat[conda]")

import conda_channel as channels
import hostile
from conda_channel import (
    MINOR,
    PLACEHOLDER,
    File,
    Package,
    fill,
    lock_of,
    module,
    native_module,
    python_abi,
    small_python,
)
from pages import DOCS, first_column

from coffee_boat._support.progress import Step
from coffee_boat._support.store import Store
from coffee_boat._support.waiting import PATIENCE
from coffee_boat.archive import concatenate, destination, unpack
from coffee_boat.archive.assemble import assemble
from coffee_boat.archive.chunks import chunk_path
from coffee_boat.conda import chunks
from coffee_boat.conda.install import Source
from coffee_boat.errors import BuildError
from coffee_boat.interpreter import compiled, worker_files
from coffee_boat.model import Archive, Chunk, CondaPin, Lock, Pin
from coffee_boat.pip import chunks as pip_chunks

SITE = f"lib/python{MINOR}/site-packages/"
HOSTILE = File(b"a paths.json that leads out")
"""Stands for one: where the user's file lies is known in the test only."""


def chunks_of(lock: Lock, store: Store, **how: Any) -> list[Chunk]:
    return chunks.conda_chunks(
        lock, store, source=Source(), say=how.pop("say", lambda _: None), **how
    )


def archive_of(lock: Lock, store: Store, more: Sequence[Chunk] = ()) -> Archive:
    parts = (
        *chunks_of(lock, store),
        worker_files.chunk(lock.target, store, has_python=True),
        *more,
    )
    return assemble(parts, target=lock.target, lock=lock, has_python=True, inputs={}, store=store)


def run(root: Path, program: str, **how: Any) -> str:
    ran = subprocess.run(
        [root / f"bin/python{MINOR}", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        **how,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def unpacked(archive: Archive, folder: Path) -> Path:
    """As a node has it: by tar, nothing done to it yet."""
    folder.mkdir()
    subprocess.run(["tar", "-xzf", archive.path, "-C", str(folder)], check=True)
    return folder


@pytest.fixture(scope="module")
def warm(conda_channel: str, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store that has the python package's chunk."""
    store = Store(tmp_path_factory.mktemp("warm") / "store")
    chunks_of(lock_of([conda_channel], f"python={MINOR}"), store)
    return store


@pytest.fixture
def small_channel(tmp_path: Path) -> Callable[..., str]:
    """A channel of packages of one's own, without Python."""
    return lambda *packages: fill(tmp_path / "own", *packages)


def refused(channel: str, store: Store, *specs: str) -> BuildError:
    with pytest.raises(BuildError) as caught:
        chunks_of(lock_of([channel], *specs), store)
    assert caught.value.cure
    return caught.value


# what is built


def test_packages_of_every_kind_run_wherever_the_archive_is_put(
    conda_channel: str, warm: Store, tmp_path: Path
) -> None:
    lock = lock_of([conda_channel], f"python={MINOR}", "user-of-pure", "native", "activated")
    root = unpacked(archive_of(lock, warm), tmp_path / "node")
    said = run(
        root,
        "import pure, native, user_of_pure, sys; print(pure.VERSION, native.VERSION, sys.prefix)",
    )
    assert said == f"1.1 2.0 {root}"
    assert (root / "etc/native.conf").read_text() == f"version=2.0\nhome={root}/share/native\n"
    binary = (root / "share/native/native.bin").read_bytes()
    assert binary.startswith(b"\x00\x01" + f"{root}/share/native".encode() + b"\x00")
    assert binary.endswith(b"\x00\x02end")
    assert len(binary) == len(PLACEHOLDER) + len("/share/native") + 7
    for script in ("pure-tool", "native-tool"):
        said = subprocess.run(
            [root / "bin" / script],
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": "/usr/bin:/bin"},
        ).stdout
        assert said.split()[0] == script.partition("-")[0]
    records = {path.name: json.loads(path.read_text()) for path in root.glob("conda-meta/*.json")}
    assert records["pure-1.1-pyh_0.json"]["channel"] == f"{conda_channel}/"
    boat = json.loads((root / "boat.json").read_text())
    documented = set(first_column(DOCS / "reference" / "boat-json.md"))
    assert boat.keys() == documented - {"exclude"}, "nothing stays behind"
    assert boat["conda"]["user-of-pure"] == {
        "version": "1.0",
        "build": "pyh_0",
        "channel": f"{conda_channel}/",
        "license": "BSD-3-Clause",
    }


def test_activation_takes_effect_in_python_and_in_what_it_starts(
    conda_channel: str, warm: Store, tmp_path: Path
) -> None:
    root = unpacked(archive_of(lock_of([conda_channel], "activated"), warm), tmp_path / "node")
    show = (
        "import os; print(*[os.environ.get(n) for n in ('ACTIVATED_HOME', 'ACTIVATED_PATH',"
        " 'ACTIVATED_MODE', 'CONDA_PREFIX')])"
    )
    environ = {
        "PATH": "/usr/bin:/bin",
        "ACTIVATED_PATH": "/before",
        "CONDA_PREFIX": "/somebody/elses",
    }
    assert run(root, show, env=environ) == f"{root}/share/activated {root}/lib:/before on {root}"
    inner = (
        f"import subprocess, sys; print(subprocess.run([sys.executable, '-c', {show!r}],"
        " capture_output=True, text=True).stdout)"
    )
    assert (
        run(root, inner, env=environ) == f"{root}/share/activated {root}/lib:/before on {root}"
    ), "once, not once a process"


def test_the_same_lock_again_installs_nothing_and_other_locks_share_its_chunks(
    conda_channel: str, warm: Store
) -> None:
    said: list[Step] = []
    lock = lock_of([conda_channel], f"python={MINOR}", "pure=1.0")
    first = chunks_of(lock, warm, say=said.append)
    assert str(said[-1]) == "packing 1 of 1 conda package", "Python was packed for another lock"
    said.clear()
    assert chunks_of(lock, warm, say=said.append) == first
    assert said == []


def test_two_stores_give_the_same_bytes_and_a_copy_can_be_read_by_others(
    conda_channel: str, tmp_path: Path
) -> None:
    lock = lock_of(
        [conda_channel], f"python={MINOR}", "user-of-pure", "activated", "first", "second"
    )
    made = [archive_of(lock, Store(tmp_path / name)) for name in ("one", "another-and-longer-name")]
    assert made[0].id == made[1].id
    assert Path(made[0].path).read_bytes() == Path(made[1].path).read_bytes()
    copy = concatenate.copy_to(made[0], destination.Destination(tmp_path / "env.tar.gz"))
    assert Path(copy.path).stat().st_mode & 0o444 == 0o444


def test_the_standard_library_is_compiled_and_packages_bytecode_is_not_shipped(
    conda_channel: str, small_channel: Callable[..., str], warm: Store, tmp_path: Path
) -> None:
    stale = native_module(
        "stale",
        "1.0",
        files={f"{SITE}__pycache__/stale.cpython-{MINOR.replace('.', '')}.pyc": File(b"old bytes")},
    )
    own = small_channel(stale, python_abi())
    lock = lock_of([own, conda_channel], "stale")
    packed = chunks_of(lock, warm)
    python = next(chunk for chunk in packed if chunk.label.startswith("python "))
    library = compiled.library_chunk(python, warm, python=sys.executable, minor=MINOR)
    root = unpacked(archive_of(lock, warm, [library]), tmp_path / "node")
    assert run(
        root,
        "import stale, json.decoder; print(json.decoder.__cached__)",
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    ).startswith(str(root))
    found = {path.relative_to(root).as_posix() for path in root.rglob("*.pyc")}
    assert (
        f"lib/python{MINOR}/json/__pycache__/decoder.cpython-{MINOR.replace('.', '')}.pyc" in found
    )
    assert not any("site-packages" in name for name in found)


def test_links_odd_names_and_run_bits_are_taken_as_they_are(
    small_channel: Callable[..., str], store: Store
) -> None:
    files = {
        "share/real/data.txt": File(b"1\n"),
        "share/link": File(link="real"),
        "share/long " + "n" * 120 + "é.txt": File(b"2\n"),
        "bin/run.sh": File(b"#!/bin/sh\n", executable=True),
    }
    chunk = chunks_of(
        lock_of([small_channel(Package("odd", "1.0", noarch="generic", files=files))], "odd"), store
    )[0]
    root = unpack.unpack_chunk(chunk, store)
    assert (root / "share/link/data.txt").read_text() == "1\n"
    assert next(root.glob("share/long*é.txt")).read_text() == "2\n"
    assert (root / "bin/run.sh").stat().st_mode & 0o777 == 0o755


def test_of_two_packages_with_one_file_the_later_ones_is_taken_and_both_are_named(
    conda_channel: str, warm: Store, tmp_path: Path
) -> None:
    archive = archive_of(lock_of([conda_channel], f"python={MINOR}", "first", "second"), warm)
    clash = [finding for finding in archive.findings if "share/clobbered.txt" in finding.value]
    assert "first 1.0 0 and second 1.0 0" in clash[0].value
    root = unpacked(archive, tmp_path / "node")
    assert (root / "share/clobbered.txt").read_text() == "of second\n"
    assert not (root / "__clobbers__").exists()


def test_what_a_starting_process_reads_and_scripts_that_are_not_run_are_told(
    small_channel: Callable[..., str], store: Store
) -> None:
    late = Package(
        "late",
        "1.0",
        noarch="generic",
        files={
            "etc/conda/activate.d/late.sh": File(
                b'export LATE=1\nexport LD_LIBRARY_PATH="$CONDA_PREFIX/lib"\n'
            ),
            "bin/.late-post-link.sh": File(b"touch $PREFIX/linked\n", executable=True),
        },
    )
    lock = lock_of([small_channel(late)], "late")
    told = chunks.findings(chunks_of(lock, store), store)
    assert [finding.value for finding in told] == [
        "late-1.0-0.conda: bin/.late-post-link.sh",
        "late-1.0-0.conda: LD_LIBRARY_PATH",
    ]
    assert chunks.findings(chunks_of(lock, store), store) == told, "also when its chunk was there"


def test_modules_and_scripts_fit_a_layer_and_what_is_looked_for_beside_the_interpreter_does_not(
    conda_channel: str, small_channel: Callable[..., str], warm: Store
) -> None:
    data = replace(
        module("with-data", "1.0"),
        files={**module("with-data", "1.0").files, "share/with-data/table.txt": File(b"1\n")},
    )
    lock = lock_of(
        [small_channel(data), conda_channel], f"python={MINOR}", "pure", "with-data", "native"
    )
    fits = {
        chunk.label.partition(" ")[0]: chunks.fits_a_layer(chunk, lock.target, warm)
        for chunk in chunks_of(lock, warm)
    }
    assert fits == {
        "python": False,
        "python_abi": True,
        "pure": True,
        "with-data": False,
        "native": False,
    }
    only = chunks_of(lock, warm, only=["pure"])
    assert [chunk.label for chunk in only] == ["pure 2.0 pyh_0"]


def test_what_distributions_a_package_has_is_read_from_its_chunk(
    small_channel: Callable[..., str], conda_channel: str, warm: Store
) -> None:
    lock = lock_of(
        [small_channel(module("conda-name", "1.0", distribution="Pypi.Name")), conda_channel],
        f"python={MINOR}",
        "conda-name",
        "native",
    )
    chunks_of(lock, warm)
    provided = {pin.name: pin.provides for pin in chunks.with_provided(lock, warm).conda}
    assert provided == {
        "conda-name": ("pypi-name==1.0",),
        "native": ("native==2.0",),
        "python": (),
        "python_abi": (),
    }


def test_packages_stand_after_what_they_need_also_where_they_need_each_other() -> None:
    pins = [
        CondaPin(name, "1", "0", "noarch", "", "", "", "", requires=requires)
        for name, requires in (
            ("a", ("c",)),
            ("b", ("c", "b")),
            ("c", ("d",)),
            ("d", ("c", "__glibc")),
        )
    ]
    assert [pin.name for pin in chunks.in_order(pins)] == ["d", "c", "a", "b"]


# what would make a wrong archive


def test_a_file_that_somebody_changed_in_the_package_cache_is_not_shipped(
    conda_channel: str, store: Store, tmp_path: Path
) -> None:
    lock = lock_of([conda_channel], f"python={MINOR}", "pure=1.0")
    chunks_of(lock, store)
    changed = list(store.root.rglob("pure-1.0-pyh_0/site-packages/pure.py"))
    assert len(changed) == 1
    changed[0].write_text("VERSION = 'changed by hand'\n")
    for entry in [*store.root.glob("keys/chunk/*"), *store.root.glob("chunks/*")]:
        entry.unlink()
    assert (
        run(
            unpacked(archive_of(lock, store), tmp_path / "node"), "import pure; print(pure.VERSION)"
        )
        == "1.0"
    )


def test_pip_never_goes_over_a_package_of_conda(
    conda_channel: str, warm: Store, make_wheel: Any
) -> None:
    wheel = make_wheel("pure", "9.9")
    lock = lock_of([conda_channel], f"python={MINOR}", "pure")
    both = replace(lock, pins=(Pin("pure", "9.9", filename=wheel.name, url=wheel.as_uri()),))
    with pytest.raises(BuildError, match="from conda and from pip") as caught:
        chunks.refuse_both(both, chunks_of(both, warm), warm)
    assert "pure 9.9 from pip, pure 2.0 pyh_0 from conda" in caught.value.value


def test_pip_goes_on_top_of_conda_in_the_same_folder(
    conda_channel: str, warm: Store, make_wheel: Any, tmp_path: Path
) -> None:
    wheel = make_wheel("topping", "1.0", {"topping.py": "import pure\nBELOW = pure.VERSION\n"})
    lock = lock_of([conda_channel], f"python={MINOR}", "pure")
    on_top = pip_chunks.wheel_chunk(
        wheel, Pin("topping", "1.0", filename=wheel.name, url=wheel.as_uri()), lock.target, warm
    )
    root = unpacked(archive_of(lock, warm, [on_top]), tmp_path / "node")
    assert (
        run(
            root,
            "import topping, importlib.metadata as m; print(topping.BELOW, m.version('topping'),"
            " m.version('pure'))",
        )
        == "2.0 1.0 2.0"
    )


def test_a_package_cache_that_is_gone_is_filled_again_and_binary_prefixes_are_right(
    conda_channel: str, store: Store, tmp_path: Path
) -> None:
    import shutil

    chunks_of(lock_of([conda_channel], f"python={MINOR}"), store)
    shutil.rmtree(store.root / "conda")
    root = unpacked(archive_of(lock_of([conda_channel], "native"), store), tmp_path / "node")
    run(root, "")
    assert str(root).encode() in (root / "share/native/native.bin").read_bytes()
    assert str(store.root).encode() not in (root / "share/native/native.bin").read_bytes()


def test_editable_installs_are_refused(
    small_channel: Callable[..., str], conda_channel: str, warm: Store
) -> None:
    by_path = native_module(
        "by-path",
        "1.0",
        files={f"{SITE}__editable__.by_path.pth": File(b"/home/somebody/by_path/src\n")},
    )
    info = {
        f"{SITE}by_url-1.0.dist-info/direct_url.json": File(
            json.dumps(
                {"url": "file:///home/somebody/by_url", "dir_info": {"editable": True}}
            ).encode()
        )
    }
    by_url = replace(
        native_module("by_url", "1.0"), files={**native_module("by_url", "1.0").files, **info}
    )
    own = small_channel(by_path, by_url)
    with pytest.raises(BuildError, match="/home/somebody/by_path/src"):
        chunks_of(lock_of([own, conda_channel], "by-path"), warm)
    with pytest.raises(BuildError, match="editable"):
        chunks_of(lock_of([own, conda_channel], "by_url"), warm)


# what is damaged or hostile


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"../escaped.txt": File(b"x")}, "escaped.txt"),
        ({"boat.json": File(b"{}")}, "boat.json"),
        ({f"bin/python{MINOR}": File(b"#!/bin/sh\n", executable=True)}, "replace the interpreter"),
        ({"share/out": File(link="../../../etc/passwd")}, "out of the archive"),
        ({"conda-meta/state": File(b"{}")}, "conda-meta/state"),
        *((files, place) for place, files in hostile.conda_packages().items()),
        (
            {"share/d": File(link="/etc"), "share/d/hostname": File(b"x")},
            "share/d",
        ),
    ],
)
def test_names_that_leave_the_prefix_or_are_ours_are_refused(
    small_channel: Callable[..., str], store: Store, files: dict[str, File], words: str
) -> None:
    error = refused(
        small_channel(
            Package(
                "hostile", "1.0", noarch="generic", files={"share/fine.txt": File(b"1"), **files}
            )
        ),
        store,
        "hostile",
    )
    assert words in str(error)
    assert "hostile-1.0-0" in str(error) or "share/out" in str(error)
    assert not list(store.root.glob("tmp/*"))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"_path": "up"}, "leaves the prefix"),
        ({"_path": "/etc/hostname"}, "/etc/hostname: its name leaves the prefix"),
        ({"_path": 7}, "7 is not text"),
        ({"prefix_placeholder": 7, "file_mode": "text"}, "7 is not text"),
        ({"prefix_placeholder": "", "file_mode": "text"}, "prefix_placeholder is empty"),
        ({"prefix_placeholder": "/usr", "file_mode": "evil"}, "file_mode is 'evil'"),
    ],
)
def test_what_a_package_says_of_its_files_is_looked_at_before_anything_is_linked(
    small_channel: Callable[..., str],
    store: Store,
    tmp_path: Path,
    said: dict[str, object],
    words: str,
) -> None:
    victim = hostile.Victim.below(tmp_path)
    if said == {"_path": "up"}:  # from any place below the store to the user's file
        up = f"../../../../{victim.path.relative_to(tmp_path)}"
        said = {"_path": up, "prefix_placeholder": "/usr", "file_mode": "text", "sha256": None}
    files = {"share/x": File(b"1", said=said)}
    channel = small_channel(Package("hostile", "1.0", noarch="generic", files=files))
    error = refused(channel, store, "hostile")
    assert words in error.cause
    assert error.value == "hostile-1.0-0.conda"
    assert victim.untouched
    assert not list((store.root / "tmp").glob("*"))


def test_a_package_that_is_called_as_one_that_was_looked_at_is_looked_at_itself(
    store: Store, tmp_path: Path
) -> None:
    victim = hostile.Victim.below(tmp_path)
    up = f"../../../../{victim.path.relative_to(tmp_path)}"
    said = {"_path": up, "prefix_placeholder": "/usr", "file_mode": "text", "sha256": None}
    good, bad = (
        fill(tmp_path / name, Package("same", "1.0", noarch="generic", files={"share/x": file}))
        for name, file in (("good", File(b"1")), ("bad", File(b"1", said=said)))
    )
    lock = lock_of([good], "same")
    chunks_of(lock, store)
    assert chunks.have(lock.conda[0], store)
    assert not chunks.have(lock_of([bad], "same").conda[0], store)
    assert "leaves the prefix" in refused(bad, store, "same").cause
    assert victim.untouched


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"info/paths.json": HOSTILE}, "info/paths.json: it is there twice"),
        ({"./info/paths.json": HOSTILE}, "lies in the folder that describes it"),
        (
            {"share/l": File(link="../info"), "share/l/paths.json": HOSTILE},
            "share/l: it is a link, and has files below it",
        ),
        ({"info/paths.json": File(b"[" * 100_000)}, "nested too deeply"),
    ],
)
def test_what_is_looked_at_is_what_is_unpacked(
    store: Store, tmp_path: Path, members: dict[str, File], words: str
) -> None:
    """A package may have two members of a name, and its parts in any order."""
    victim = hostile.Victim.below(tmp_path)
    up = f"../../../../{victim.path.relative_to(tmp_path)}"
    said = {"_path": up, "prefix_placeholder": "/usr", "file_mode": "text", "sha256": None}
    fine = {"share/x": File(b"1")}
    bad = Package("hostile", "1.0", noarch="generic", files={"share/x": File(b"1", said=said)})
    paths = File(bad.paths_json)
    members = {name: paths if file is HOSTILE else file for name, file in members.items()}
    alone = "nested" in words
    package = Package("hostile", "1.0", noarch="generic", files=fine)
    package.write(tmp_path / "own", members=members, instead=alone)
    error = refused(fill(tmp_path / "own"), store, "hostile")
    assert words in error.cause
    assert victim.untouched


def test_scripts_and_links_that_lead_out_are_refused_before_anything_is_linked(
    small_channel: Callable[..., str], store: Store, tmp_path: Path
) -> None:
    victim = hostile.Victim.below(tmp_path)
    script = Package(
        "script", "1.0", noarch="python", entry_points=("../../../../home/.bashrc = x:y",)
    )
    link = Package("link", "1.0", noarch="generic", files={"share/d": File(link="etc")})
    below = Package("below", "1.0", noarch="generic", files={"share/d/x": File(b"x")})
    channel = small_channel(script, link, below)
    assert "not a valid name of a script" in refused(channel, store, "script").cause
    assert "share/d: it has files below it" in refused(channel, store, "link", "below").cause
    assert victim.untouched


def test_a_package_with_a_record_of_its_own_gets_no_file_of_the_user_packed(
    small_channel: Callable[..., str], store: Store, tmp_path: Path
) -> None:
    victim = hostile.Victim.below(tmp_path)
    record = {
        "name": "hostile",
        "version": "1.0",
        "build": "0",
        "build_number": 0,
        "subdir": "noarch",
        "fn": "hostile-1.0-0.conda",
        "url": "file:///x",
        "channel": "x",
        "files": [".bashrc"],
        "paths_data": {
            "paths_version": 1,
            "paths": [{"_path": ".bashrc", "path_type": "hardlink"}],
        },
        "link": {"source": str(victim.path.parent), "type": 1},
    }
    files = {"conda-meta/zzz.json": File(json.dumps(record).encode()), "share/x": File(b"x")}
    channel = small_channel(Package("hostile", "1.0", noarch="generic", files=files))
    error = refused(channel, store, "hostile")
    assert "no package may have files there" in error.cause
    assert victim.untouched


def test_a_package_that_is_not_the_locked_one_is_refused(conda_channel: str, store: Store) -> None:
    lock = lock_of([conda_channel], "first")
    other = replace(lock, conda=(replace(lock.conda[0], sha256="0" * 64),))
    with pytest.raises(BuildError, match=r"not the one that was locked: .*first-1.0-0"):
        chunks_of(other, store)


def test_packages_of_one_name_and_version_from_two_channels_are_not_mixed_up(
    conda_channel: str, warm: Store, tmp_path: Path
) -> None:
    other = fill(tmp_path / "other", module("pure", "1.0", text="OTHER = True\n"))
    for channel, has in ((conda_channel, False), (other, True), (conda_channel, False)):
        lock = lock_of([channel, conda_channel], f"python={MINOR}", "pure=1.0")
        root = unpacked(archive_of(lock, warm), tmp_path / f"node{len(list(tmp_path.iterdir()))}")
        assert run(root, "import pure; print(hasattr(pure, 'OTHER'))") == str(has)


def test_a_package_that_is_gone_from_its_channel_is_named(
    small_channel: Callable[..., str], store: Store, tmp_path: Path
) -> None:
    lock = lock_of([small_channel(module("gone", "1.0", ()))], "gone")
    (tmp_path / "own/noarch/gone-1.0-pyh_0.conda").unlink()
    with pytest.raises(BuildError, match=r"gone-1\.0-pyh_0"):
        chunks_of(lock, store)


def test_a_package_is_fetched_once_looked_at_and_what_is_wrong_with_it_is_said(
    small_channel: Callable[..., str], store: Store, tmp_path: Path
) -> None:
    small_channel(
        *(Package(name, "1.0", noarch="generic", files={"x": File(b"1")}) for name in ("a", "b"))
    )
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=tmp_path / "own"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        channel = f"http://127.0.0.1:{server.server_port}"
        a, b = lock_of([channel], "a"), lock_of([channel], "b")
        assert len(chunks_of(a, store)) == 1
        assert asked.count("/noarch/a-1.0-0.conda") == 1
        (tmp_path / "own/noarch/b-1.0-0.conda").unlink()
        with pytest.raises(BuildError, match="a conda package cannot be fetched") as caught:
            chunks_of(b, store)
        assert "b-1.0-0.conda" in caught.value.value
        (tmp_path / "own/noarch/b-1.0-0.conda").write_bytes(b"another one")
        with pytest.raises(BuildError, match="not the one that was locked"):
            chunks_of(b, store)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_offline_without_the_package_is_refused_and_nothing_is_asked(store: Store) -> None:
    from coffee_boat.conda.configuration import Configuration

    lock = lock_of([fill(store.root.parent / "own", module("far", "1.0", ()))], "far")
    away = replace(
        lock,
        conda=(
            replace(
                lock.conda[0], url="https://conda.example.invalid/forge/noarch/far-1.0-pyh_0.conda"
            ),
        ),
    )
    with pytest.raises(BuildError, match=r"nothing may be fetched: far 1\.0"):
        chunks.conda_chunks(
            away, store, source=Source(Configuration(offline=True)), say=lambda _: None
        )


def test_a_python_that_would_not_start_elsewhere_is_refused(
    small_channel: Callable[..., str], store: Store
) -> None:
    if (
        not (prefix := os.path.realpath(sys.base_prefix)).startswith("/")
        or f"{prefix}/lib".encode()
        not in Path(sys.base_prefix, f"bin/python{MINOR}").resolve().read_bytes()
    ):
        pytest.skip("this CPython has no RUNPATH that could be kept")
    program = Path(sys.base_prefix, f"bin/python{MINOR}").resolve().read_bytes()
    good = small_python()
    bound = replace(
        good, files={**good.files, f"bin/python{MINOR}": File(program, executable=True)}
    )
    assert "looks for its libraries in" in str(refused(small_channel(bound), store, "python"))


def test_a_free_threaded_python_is_refused(small_channel: Callable[..., str], store: Store) -> None:
    free = replace(
        small_python(), more={"python_site_packages_path": f"lib/python{MINOR}t/site-packages"}
    )
    assert "free-threaded" in str(refused(small_channel(free), store, "python"))


# many at once, and ends that nobody planned


def test_concurrent_captains_install_once(conda_channel: str, store: Store) -> None:
    lock, said, made = lock_of([conda_channel], f"python={MINOR}", "pure"), [], []
    threads = [
        threading.Thread(target=lambda: made.append(chunks_of(lock, store, say=said.append)))
        for _ in range(3)
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert made[0] == made[1] == made[2]
    installed = [step for step in said if step.what.startswith("installing")]
    # whoever shows nothing for that long is not waited for: a busy machine is slow enough
    assert len(installed) == 1 or time.monotonic() - began > PATIENCE


def test_a_killed_build_leaves_the_store_whole(
    conda_channel: str, store: Store, tmp_path: Path
) -> None:
    lock = lock_of([conda_channel], f"python={MINOR}", "pure")
    (tmp_path / "lock.json").write_text(json.dumps([pin.__dict__ for pin in lock.conda]))
    program = (
        "import json, sys; from pathlib import Path; from coffee_boat.model import *; from"
        " coffee_boat._support.store import Store; from coffee_boat.conda import chunks; from"
        " coffee_boat.conda.prefix import Source; folder = Path(sys.argv[1]); target ="
        f" Target({lock.target.python!r}, {lock.target.architecture!r}, {lock.target.glibc!r});"
        " lock = Lock(target, conda=tuple(CondaPin(**pin) for pin in json.loads((folder /"
        " 'lock.json').read_text()))); chunks.conda_chunks(lock, Store(folder / 'store'),"
        " source=Source(), say=lambda line: print(line, flush=True))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("packing"):
            break
    time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert (
        run(
            unpacked(archive_of(lock, store), tmp_path / "node"), "import pure; print(pure.VERSION)"
        )
        == "2.0"
    )


def test_names_in_the_archive_are_sorted_parents_first_and_without_times(
    conda_channel: str, warm: Store
) -> None:
    chunk = next(
        chunk
        for chunk in chunks_of(lock_of([conda_channel], "native"), warm)
        if chunk.label.startswith("native ")
    )
    import gzip

    data = gzip.decompress(chunk_path(warm, chunk).read_bytes()) + bytes(1024)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        entries = tar.getmembers()
    assert {entry.mtime for entry in entries} == {315532800}
    assert {(entry.uid, entry.gid, entry.uname) for entry in entries} == {(0, 0, "")}
    assert {entry.mode for entry in entries} <= {0o755, 0o644}
    assert channels.PLACEHOLDER.encode() in data, "a prefix is written on the node"
    assert str(warm.root).encode() not in data
