# ruff: noqa: ISC004  (texts of several lines)
"""Damaged wheels and strange texts for each door that takes what others wrote: what comes out is a
BoatError, or nothing.

    python tests/fuzzing.py --wheels 3000 --texts 10000 --seed 1      (make fuzz)

The same seed gives the same inputs. It prints how many were tried, and what was found.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import struct
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from coffee_boat import BoatError, Captain

BRACKETS, DIGITS, PATH = "[" * 3000 + "]" * 3000, "9" * 5001, "a/" * 2500
TOKENS = [
    *("", " ", "\n", "\t", "\0", "\ufeff", "\u2028", "\x85", "é", "\U0001f6a2", "\ud800", "\udc80"),
    *("'", '"', "'''", '"""', "\\", "\\u0000", "\\ud800", "#", ";", ",", ":", "=", "==", "~=", "@"),
    *("[", "]", "{", "}", "(", ")", "[]", "{}", "[x", "- ", "? ", "&a ", "*a", "<<: ", "!!int "),
    *("null", "true", "nan", "-inf", "1e999999999", "0x" + "f" * 5000, DIGITS, "-1", "1.0", "1_0"),
    *("2024-13-45", "12:60:61", BRACKETS, "{a: " * 3000, "(" * 3000, "x." * 3000, PATH),
    *("http://h:abc/x", "http://[x/y", "http://h:99999999/", "http://\u2100.com/", "file://h/x"),
    *("git+https://[x/y@z", "file:///" + PATH, "file:///\udc80", "~nobody-here/x", "/dev/full"),
    *("/proc/self/mem", "/proc/x", "..", "../../x", "C:\\x", "$X", "${X}", "%", "%(x)s", "%zz"),
    *("python_version ~= 'abc'", "os_name ~= 'x'", "extra == 'x'", "x; python_version < '3'"),
    *("# -*- coding: rot13 -*-\n", "# -*- coding: undefined -*-\n", "# -*- coding: utf-16 -*-\n"),
    *("-r ", "-c ", "-e ", "--hash=sha256:x", "--index-url ", "--find-links ", "-f ", "\\\n", "--"),
    *("py3-none-any", "cp311-cp311-manylinux_99_99_x86_64", "sha256=", "sha256:", "rot13=a", "md5"),
]
"""What libraries were seen to stumble over."""

OURS = "/coffee_boat/"
DIGEST = "a" * 64
TEXTS: dict[str, tuple[str, ...]] = {
    "requirements.txt": (
        "numpy>=2; python_version < '3.13' and os_name == 'posix'\n"
        "six==1.0 --hash=sha256:" + DIGEST + "\nx @ https://h/x-1.0-py3-none-any.whl\n"
        "git+https://h/r.git@v1#egg=y&subdirectory=z\n--index-url https://h/s\n",
    ),
    "pyproject.toml": (
        '[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.10"\n'
        'dependencies = ["six>=1", "x[y]; os_name == \'nt\'"]\n[project.optional-dependencies]\n'
        'ml = ["numpy"]\n[dependency-groups]\ndev = ["a", {include-group = "b"}]\nb = []\n'
        '[tool.coffee_boat]\nstage = "file:///x"\n[tool.uv.sources]\nsix = {git = "https://h/r"}\n',
    ),
    "job.py": (
        '# -*- coding: utf-8 -*-\n# /// script\n# requires-python = ">=3.10"\n'
        '# dependencies = ["six", "x @ https://h/x.zip"]\n# ///\nimport six\n',
    ),
    "environment.yml": (
        "name: x\nchannels: [conda-forge, https://h/c]\ndependencies:\n- python=3.11\n"
        "- conda-forge::numpy >=2\n- x[version='>=1', build=py*]\n- pip:\n  - six\n"
        "variables: {A: b}\nprefix: /x\n",
    ),
    "pylock.toml": (
        'lock-version = "1.0"\ncreated-by = "x"\nrequires-python = ">=3.10"\nextras = ["a"]\n'
        '[[packages]]\nname = "a"\nversion = "1.0"\nmarker = "os_name == \'posix\'"\n'
        'dependencies = [{name = "b"}]\n[[packages.wheels]]\nname = "a-1.0-py3-none-any.whl"\n'
        f'url = "https://h/a-1.0-py3-none-any.whl"\nsize = 10\nhashes = {{sha256 = "{DIGEST}"}}\n',
        'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "a"\nversion = "1.0"\n'
        '[packages.vcs]\ntype = "git"\nurl = "https://h/r.git"\ncommit-id = "' + "a" * 40 + '"\n'
        '[[packages]]\nname = "b"\n[packages.directory]\npath = "./b"\neditable = true\n'
        '[[packages]]\nname = "c"\nversion = "1"\n[packages.archive]\nurl = "https://h/c.tar.gz"\n'
        f'hashes = {{sha256 = "{DIGEST}"}}\n',
    ),
    "direct_url.json": (
        '{"url": "https://h/r", "vcs_info": {"vcs": "git", "commit_id": "' + "a" * 40 + '"}}',
        '{"url": "file:///x/y", "dir_info": {"editable": true}, "subdirectory": "z"}',
        '{"url": "https://h/zz-1.0-py3-none-any.whl", "archive_info": {"hashes": {"sha256": "a"}}}',
    ),
    "METADATA": (
        "Metadata-Version: 2.1\nName: zz\nVersion: 1.0\nRequires-Dist: b (>1); os_name == 'x'\n"
        "Provides-Extra: y\nDescription-Content-Type: text/plain; charset=utf-8\n\nWords.\n",
    ),
    "RECORD": ("zz.py,sha256=abc,12\nzz-1.0.dist-info/RECORD,,\n",),
    "zz-1.0-0.json": (
        '{"name": "zz", "version": "1.0", "build": "0", "build_number": 0, "subdir": "linux-64",'
        ' "channel": "https://h/c/linux-64", "url": "https://h/c/linux-64/zz-1.0-0.conda",'
        ' "files": ["bin/zz"], "paths_data": {"paths": [{"_path": "bin/zz", "sha256": "a",'
        ' "path_type": "hardlink"}]}, "depends": ["python >=3"]}',
    ),
    "explicit.txt": (
        "# platform: linux-64\n@EXPLICIT\nhttps://h/c/linux-64/python-3.11.7-h1_0_cpython.conda#"
        + "a" * 32
        + "\nhttps://h/c/noarch/six-1.16-pyh_0.tar.bz2#sha256:"
        + DIGEST
        + "\n",
    ),
}
"""Name of a file -> what is damaged of it."""
LOCKS = {"pylock.toml", "explicit.txt"}
INSTALLED = {
    "direct_url.json": "lib/python3.11/site-packages/zz-1.0.dist-info",
    "METADATA": "lib/python3.11/site-packages/zz-1.0.dist-info",
    "RECORD": "lib/python3.11/site-packages/zz-1.0.dist-info",
    "zz-1.0-0.json": "conda-meta",
}
"""Name of a file of an environment -> its folder there."""

INFO = "a-1.0.dist-info/"
MEMBERS: dict[str, bytes] = {
    "a/__init__.py": b"# -*- coding: utf-8 -*-\nimport os\n",
    "a/data.bin": bytes(range(256)) * 4,
    "a-1.0.data/scripts/tool": b"#!python\n'''Doc.'''\nfrom __future__ import annotations\n",
    "a-1.0.data/data/share/x.json": b"{}",
    f"{INFO}METADATA": (
        b"Metadata-Version: 2.1\nName: a\nVersion: 1.0\nRequires-Python: >=3.8\n"
        b"Requires-Dist: b (>=1) ; python_version < '3.13'\nRequires-Dist: c[x] ; extra == 'y'\n"
        b"Provides-Extra: y\nDescription-Content-Type: text/plain; charset=utf-8\n\nWords.\n"
    ),
    f"{INFO}WHEEL": (
        b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    ),
    f"{INFO}entry_points.txt": b"[console_scripts]\ntool2 = a:main\nt3 = a.b:c.d [y]\n",
}
RECORD = f"{INFO}RECORD"
EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


@dataclass
class Found:
    """What came of many inputs."""

    tried: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    escaped: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Where an error that is no BoatError came from -> its traceback, and what it was for."""

    def take(self, door: str, given: object, work: Callable[[], object]) -> None:
        self.tried[door] += 1
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                work()
        except BoatError as error:
            self.refused[door] += 1
            self.codes[f"{door}: {error.code}"] += 1
            try:
                str(error).encode("utf-8", "backslashreplace")
                json.dumps(str(error.problem))
            except Exception:  # noqa: BLE001
                self._escaped(door, given)
        except Exception:  # noqa: BLE001  (what is looked for)
            self._escaped(door, given)

    def _escaped(self, door: str, given: object) -> None:
        error = sys.exc_info()[1]
        trace = traceback.extract_tb(error.__traceback__ if error else None)
        ours = [f"{each.filename}:{each.lineno}" for each in trace if OURS in each.filename]
        where = f"{door}: {type(error).__name__} at {ours[-1] if ours else 'the door'}"
        self.escaped.setdefault(where, (traceback.format_exc(), repr(given)[:2000]))

    def __str__(self) -> str:
        lines = [
            f"{door}: {count:,} inputs, {self.refused[door]:,} refused"
            for door, count in sorted(self.tried.items())
        ]
        for where, (trace, said) in sorted(self.escaped.items()):
            lines += ["", f"FOUND {where}", *trace.splitlines()[-12:], f"given: {said[:600]}"]
        return "\n".join([*lines, "", f"{len(self.escaped)} kinds of traceback"])


# texts


def damaged(text: str, some: random.Random) -> str:
    """A text with a few tokens in it that are put, or stand in place of others."""
    for _ in range(some.choice((1, 1, 2, 4))):
        kind, token = some.randrange(4), some.choice(TOKENS)
        first = some.randrange(len(text) + 1)
        last = min(len(text), first + some.choice((0, 1, 3, 10, 40)))
        if kind == 0:
            text = text[:first] + token + text[last:]
        elif kind == 1:  # a whole value
            values = [i for i, mark in enumerate(text) if mark in "\"'=:"]
            first = some.choice(values) + 1 if values else 0
            ends = [text.find(mark, first) for mark in "\"'\n"]
            last = min((end for end in ends if end >= 0), default=len(text))
            text = text[:first] + token + text[last:]
        elif kind == 2:
            text = text[:first] + text[last:]
        else:
            text = text[:last] + text[first:]
    return text


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


def asked(folder: Path, name: str, store: Path) -> Callable[[], object]:
    """What a user does with a file."""
    path = folder / name
    if name == "environment.yml":
        return lambda: Captain(offline=True, store=store).add_environment(path)
    if name in LOCKS:
        return lambda: Captain(offline=True, store=store).add_lock(path)
    if name in INSTALLED:
        return lambda: Captain.from_environment(installed(folder, name), offline=True, store=store)
    return lambda: _captain(store).add_requirements(path)


def installed(folder: Path, name: str) -> Path:
    """A virtual environment, or one of conda, in which one file is another."""
    root = folder / "environment"
    shutil.rmtree(root, ignore_errors=True)
    files = {
        INSTALLED["METADATA"] + "/METADATA": "Metadata-Version: 2.1\nName: zz\nVersion: 1.0\n",
        INSTALLED["METADATA"] + "/RECORD": "zz.py,,\n",
        "pyvenv.cfg": f"home = {Path(sys.executable).parent}\n",
    }
    if INSTALLED[name] == "conda-meta":
        del files["pyvenv.cfg"]
        files["conda-meta/history"] = ""
    for place, text in files.items():
        written(root / place, text)
    (root / "bin").mkdir(exist_ok=True)
    (root / "bin" / "python").symlink_to(sys.executable)
    shutil.copyfile(folder / name, root / INSTALLED[name] / name)
    return root


def try_texts(found: Found, count: int, number: int, folder: Path) -> None:
    """Half of them damaged files, half what hypothesis thinks of, as one argument or value."""
    some, files, store = random.Random(number), sorted(TEXTS), folder / "store"
    for index in range(count // 2):
        name = files[index % len(files)]
        text = damaged(some.choice(TEXTS[name]), some)
        written(folder / "files" / name, text)
        found.take(name, text, asked(folder / "files", name, store))
        if name == "pyproject.toml":
            written(Path.cwd() / name, text)
            found.take("settings", text, lambda: Captain(store=store))
            Path(name).unlink()

    def conda(*specs: str, **channel: str) -> Captain:
        return Captain(offline=True, store=store).add_conda_packages(*specs, **channel)

    doors: dict[str, Callable[[str], object]] = {
        "a requirement": lambda text: _captain(store).add_pip_packages(text),
        "a conda package": conda,
        "a channel": lambda text: conda("x", channel=text),
        "a path of requirements": lambda text: _captain(store).add_requirements(text),
        "a path of a lock": lambda text: _captain(store).add_lock(text),
        "an environment": lambda text: Captain.from_environment(text, store=store),
        "an index": lambda text: Captain(store=store, index_url=text),
        "a stage": lambda text: Captain(store=store, stage=text),
        "a platform": lambda text: Captain(store=store, platform=text),
        "a store": lambda text: Captain(store=text),
        "a module": lambda text: _captain(store).preload(text),
    }
    words = st.one_of(
        st.text(max_size=30),
        st.lists(st.one_of(st.sampled_from(TOKENS), st.text(max_size=5)), max_size=5).map("".join),
        st.from_regex(
            r"[a-z]{1,3}(\[[a-z]\])?[<>=~!]{1,3}[0-9.*a-z+!]{0,8}(; [a-z_]+ [<=>]+ '.*')?"
        ),
        st.from_regex(r"(git\+)?(https?|file|s3|hdfs)://([a-z]*@)?[\[\]:a-z0-9]{0,8}/[^\n]{0,9}"),
    )

    @seed(number)
    @settings(
        max_examples=max(1, count - count // 2),
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(sorted(doors)), words)
    def one(door: str, text: str) -> None:
        found.take(door, text, lambda: doors[door](text))

    one()


def _captain(store: Path) -> Captain:
    return Captain(ship_python=False, offline=True, store=store)


# wheels


def wheel(members: dict[str, bytes], some: random.Random) -> bytes:
    """The bytes of a wheel."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            method = some.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2))
            archive.writestr(zipfile.ZipInfo(name, (2020, 2, 2, 0, 0, 0)), content, method)
    return out.getvalue()


def recorded(members: dict[str, bytes]) -> bytes:
    """The RECORD of some members."""
    rows = [
        f"{name},sha256={b64(hashlib.sha256(data).digest())},{len(data)}"
        for name, data in members.items()
    ]
    return "\n".join([*rows, f"{RECORD},,", ""]).encode("utf-8", "replace")


def b64(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def damaged_members(some: random.Random) -> dict[str, bytes]:
    """A wheel in which one member says something strange, or is called so."""
    members = dict(MEMBERS)
    name = some.choice([n for n in members if n.startswith(INFO)] * 2 + [*members, RECORD])
    if name == RECORD:
        text = damaged(recorded(members).decode(), some)
        return {**members, RECORD: text.encode("utf-8", "surrogatepass")}
    if some.randrange(6) == 0:
        token = some.choice(TOKENS).encode("utf-8", "replace").decode()[:60000].replace("\0", "")
        members[name.replace("a", token, 1)] = members.pop(name)
    elif some.randrange(12) == 0:
        del members[name]
    else:
        text = damaged(members[name].decode("latin-1"), some)
        members[name] = text.encode("utf-8", "surrogatepass")
    return {**members, RECORD: recorded(members)}


def damaged_bytes(data: bytes, some: random.Random) -> bytes:
    """A file in which bytes are others, are missing, or stand twice; mostly in a zip's headers."""
    made = bytearray(data)
    heads = [i for mark in (b"PK\1\2", b"PK\3\4", b"PK\5\6") for i in _all(data, mark)]
    for _ in range(some.choice((1, 1, 2, 3))):
        near = some.choice(heads) + some.randrange(46) if some.randrange(4) else 0
        place = min(near or some.randrange(len(made)), len(made) - 5)
        kind = some.randrange(5)
        if kind == 0:
            made[place] ^= 1 << some.randrange(8)
        elif kind == 1:
            made[place] = some.randrange(256)
        elif kind == 2:
            shape = some.choice(("<B", "<H", "<I"))
            edge = some.choice(EDGES) & ((1 << 8 * struct.calcsize(shape)) - 1)
            struct.pack_into(shape, made, place, edge)
        elif kind == 3:
            del made[place : place + some.choice((1, 4, 30))]
        else:
            made[place:place] = made[place : place + some.choice((1, 4, 30))]
        if len(made) < 60:
            break
    return bytes(made)


def _all(data: bytes, mark: bytes) -> Iterator[int]:
    place = data.find(mark)
    while place >= 0:
        yield place
        place = data.find(mark, place + 1)


def try_wheels(found: Found, count: int, number: int, folder: Path) -> None:
    """Each is locked, packed and read by a captain, as a wheel of the user's."""
    some = random.Random(number)
    for index in range(count):
        if index % 2:
            data = wheel(damaged_members(some), some)
        else:
            data = damaged_bytes(wheel({**MEMBERS, RECORD: recorded(MEMBERS)}, some), some)
        place = folder / "wheels" / "a-1.0-py3-none-any.whl"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        lock = (
            'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "a"\nversion = "1.0"\n'
            f'[[packages.wheels]]\npath = "{place}"\nsize = {len(data)}\n'
            f'hashes = {{sha256 = "{hashlib.sha256(data).hexdigest()}"}}\n'
        )
        written(folder / "wheels" / "pylock.toml", lock)
        found.take("a wheel", data, lambda: _packed(folder))


def _packed(folder: Path) -> None:
    captain = _captain(folder / "store")
    captain.add_lock(folder / "wheels" / "pylock.toml")
    captain.pack(folder / "wheels" / "boat.tar.gz", overwrite=True)


def main() -> int:
    """What was found, on stdout; 1 if anything was."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--wheels", type=int, default=3000)
    options.add_argument("--texts", type=int, default=10000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--codes", action="store_true", help="how often each error was raised")
    chosen = options.parse_args()
    found, begun = Found(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="boat-fuzz-") as name:
        folder = Path(name)
        (folder / "here").mkdir()
        os.chdir(folder / "here")
        try_texts(found, chosen.texts, chosen.seed, folder)
        try_wheels(found, chosen.wheels, chosen.seed, folder)
    lines = [str(found), f"seed {chosen.seed}, {time.monotonic() - begun:.0f} s"]
    if chosen.codes:
        lines += [f"{count:6} {code}" for code, count in found.codes.most_common()]
    sys.stdout.write("\n".join([*lines, ""]))
    return 1 if found.escaped else 0


if __name__ == "__main__":
    sys.exit(main())
