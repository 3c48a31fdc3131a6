"""The worker of a JVM's pipe: what it answers, when, and how it ends."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FUNCTIONS = """
import os
def upper(text): return None if text is None else text.upper()
def fails(text): raise ValueError(f"no {text}")
def number(text): return 7
def noisy(text):
    print("printed"); os.system("echo by a child")
    return text
def backwards(data): return data[::-1]
class Model:
    @staticmethod
    def score(text): return str(len(text))
def greedy(text):
    os.system("cat > eaten"); return text
def leaves(text):
    if text == "out": raise SystemExit(0)
    return text
LIMIT = 3
"""


def framed(text: str | bytes | None) -> bytes:
    if text is None:
        return struct.pack(">i", -1)
    data = text.encode() if isinstance(text, str) else text
    return struct.pack(">i", len(data)) + data


def answers(data: bytes) -> Iterator[bytes | Exception | None]:
    while data:
        (size,), data = struct.unpack(">i", data[:4]), data[4:]
        failed = size == -2
        if failed:
            (size,), data = struct.unpack(">i", data[:4]), data[4:]
        taken, data = (None, data) if size == -1 else (data[:size], data[size:])
        yield RuntimeError((taken or b"").decode()) if failed else taken


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "functions.py").write_text(FUNCTIONS)
    (tmp_path / "leaves.py").write_text("raise SystemExit(0)")
    return tmp_path


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "coffee_boat.worker.pipe", *words]


def served(folder: Path, sent: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command(*words), input=sent, cwd=folder, capture_output=True, timeout=60, check=False
    )


def test_records_are_answered_in_their_order_and_the_end_of_the_input_is_its_end(
    folder: Path,
) -> None:
    sent = ["ahoy", "", None, "é" * 100_000, "last"]
    done = served(folder, b"".join(map(framed, sent)), "functions:upper")
    assert (done.returncode, done.stderr) == (0, b"")
    expected = [None if text is None else text.upper().encode() for text in sent]
    assert list(answers(done.stdout)) == expected


def test_what_the_function_raises_is_an_answer_and_the_next_record_is_served(folder: Path) -> None:
    done = served(folder, framed("way") + framed("wind"), "functions:fails")
    first, second = answers(done.stdout)
    assert str(first).endswith("ValueError: no way\n")
    assert 'functions.py", line' in str(first)
    assert str(second).endswith("ValueError: no wind\n")
    assert done.returncode == 0


def test_what_cannot_be_an_answer_or_a_text_is_told(folder: Path) -> None:
    (number,) = answers(served(folder, framed("x"), "functions:number").stdout)
    assert "the function returned int, not str or None" in str(number)
    bad, good = answers(served(folder, framed(b"\xff") + framed("x"), "functions:upper").stdout)
    assert "UnicodeDecodeError" in str(bad)
    assert good == b"X"


def test_bytes_are_taken_as_they_are(folder: Path) -> None:
    done = served(folder, framed(b"\xff\x00\x01"), "--bytes", "functions:backwards")
    assert list(answers(done.stdout)) == [b"\x01\x00\xff"]
    assert list(answers(served(folder, framed("abc"), "functions:Model.score").stdout)) == [b"3"]


def test_what_is_printed_is_no_answer(folder: Path) -> None:
    done = served(folder, framed("x"), "functions:noisy")
    assert list(answers(done.stdout)) == [b"x"]
    assert done.stderr == b"by a child\nprinted\n" or done.stderr == b"printed\nby a child\n"


def test_a_child_of_the_function_reads_none_of_the_records(folder: Path) -> None:
    (folder / "eats.py").write_text(
        "import os, sys; os.system('cat > eaten'); print(repr(sys.stdin.read()))\n"
        "from functions import greedy\n"
    )
    done = served(folder, framed("one") + framed("two"), "eats:greedy")
    assert (done.returncode, list(answers(done.stdout))) == (0, [b"one", b"two"])
    assert (done.stderr, (folder / "eaten").read_bytes()) == (b"''\n", b"")


def test_a_function_that_leaves_has_failed_and_the_next_record_is_served(folder: Path) -> None:
    done = served(folder, b"".join(map(framed, ["in", "out", "in"])), "functions:leaves")
    first, failed, last = answers(done.stdout)
    assert (first, last, done.returncode) == (b"in", b"in", 0)
    assert str(failed).endswith("SystemExit: 0\n")


def test_what_was_answered_before_a_wrong_record_is_written(folder: Path) -> None:
    done = served(folder, framed("good") + struct.pack(">i", -3), "functions:upper")
    assert (done.returncode, list(answers(done.stdout))) == (2, [b"GOOD"])
    assert b"a record cannot have the length -3" in done.stderr


def test_an_answer_is_written_before_the_next_record_is_waited_for(folder: Path) -> None:
    with subprocess.Popen(
        command("functions:upper"), cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        for text in ("one", "two"):
            whole = framed(text)
            for part in (whole[:2], whole[2:5], whole[5:]):  # as a pipe may cut it
                worker.stdin.write(part)
                worker.stdin.flush()
            assert worker.stdout.read(4 + len(text)) == framed(text.upper())
        worker.stdin.close()
        assert worker.wait(timeout=30) == 0


@pytest.mark.parametrize(
    ("sent", "words", "said"),
    [
        (struct.pack(">i", -3), ["functions:upper"], b"a record cannot have the length -3"),
        (b"GET / HTTP/1.1", ["functions:upper"], b"a record cannot have the length 1195725856"),
        (framed("cut")[:-1], ["functions:upper"], b"the input ended within a record, after 6"),
        (b"", ["functions:nothing"], b"functions:nothing is not there: module 'functions' has no"),
        (b"", ["no_such:thing"], b"no_such:thing is not there: No module named 'no_such'"),
        (b"", ["leaves:f"], b"leaves:f is not there: SystemExit: 0"),
        (b"", ["functions:LIMIT"], b"functions:LIMIT is no function"),
        (b"", ["functions"], b"usage: python -m coffee_boat_worker.pipe"),
        (b"", [], b"usage: python -m coffee_boat_worker.pipe"),
    ],
)
def test_what_is_wrong_with_the_sender_or_the_command_ends_it(
    sent: bytes, words: list[str], said: bytes, folder: Path
) -> None:
    done = served(folder, sent, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == b""


def test_it_ends_when_nobody_reads_its_answers(folder: Path) -> None:
    with subprocess.Popen(
        command("functions:upper"),
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stderr is not None
        worker.stdout.close()
        worker.stdin.write(framed("x"))
        worker.stdin.flush()
        assert worker.wait(timeout=30) == 1
        assert worker.stderr.read() == b""
