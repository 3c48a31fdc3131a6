"""Small inputs that ask for work without end, made by code: what each new door can be tried with.

Nothing here is large itself: sizes are promised, streams repeat, names refer to each other.
`within` runs a door in a process of its own that has little memory and little time, so that a door
without a bound fails the test and not the machine.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from conftest import record_text, row_of, zip_info

MIB, GIB = 1 << 20, 1 << 30
ZEROS = bytes(MIB)


def within(code: str, *, megabytes: int = 700, seconds: float = 60) -> str:
    """What a door says, in a process with so much memory (RLIMIT_AS) and time.

    Args:
        code: Python; what it prints is returned. MemoryError and a kill show in it.
    """
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({megabytes << 20},) * 2)\n"
    done = subprocess.run(
        [sys.executable, "-c", limit + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        cwd=Path(__file__).parent,
    )
    return done.stdout + done.stderr[-2000:]


SECONDS = 20.0
"""Processor time: none of these takes a second on a machine that does nothing else, and each took
minutes, hours or for ever.
"""


@contextmanager
def soon() -> Iterator[None]:
    """Fails what takes longer."""
    start = time.process_time()
    yield
    assert time.process_time() - start < SECONDS


# zip


def wheel(
    folder: Path,
    files: Mapping[str, bytes | str] | None = None,
    *,
    metadata: str = "",
    entry_points: str = "",
    compression: int = zipfile.ZIP_DEFLATED,
    tag: str = "py3-none-any",
) -> Path:
    """A sound wheel called bomb 1.0."""
    info = "bomb-1.0.dist-info/"
    contents: dict[str, bytes | str] = {
        **(files or {"bomb.py": ""}),
        f"{info}METADATA": f"Metadata-Version: 2.1\nName: bomb\nVersion: 1.0\n{metadata}",
        f"{info}WHEEL": (f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: {tag}\n"),
        **({f"{info}entry_points.txt": entry_points} if entry_points else {}),
    }
    table = {name: row_of(content) for name, content in contents.items()} | {f"{info}RECORD": ","}
    path = folder / f"bomb-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(zip_info(name, compression=compression), content)
        archive.writestr(zip_info(f"{info}RECORD"), record_text(table))
    return path


def of_zeros(folder: Path, member: str, size: int, method: int, *, head: bytes = b"") -> Path:
    """A wheel with one member more, of so many zeros, packed to next to nothing.

    It lies in the zip and in RECORD with its true size and hash.
    """
    import hashlib
    from base64 import urlsafe_b64encode

    digest, crc = hashlib.sha256(head), zlib.crc32(head)
    left = size - len(head)
    for start in range(0, left, MIB):
        block = ZEROS[: min(MIB, left - start)]
        digest.update(block)
        crc = zlib.crc32(block, crc)
    recorded = urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
    with_member = wheel(folder, {"bomb.py": "", member: b""})
    with zipfile.ZipFile(with_member) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    row = f"{member},sha256={recorded},{size}"
    table = contents["bomb-1.0.dist-info/RECORD"].decode().splitlines()
    contents["bomb-1.0.dist-info/RECORD"] = "\n".join(
        row if line.startswith(f"{member},") else line for line in table
    ).encode()
    with zipfile.ZipFile(with_member, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            if name != member:
                archive.writestr(zip_info(name), content)
        info = zip_info(member, compression=method)
        with archive.open(info, "w", force_zip64=True) as out:
            out.write(head)
            for start in range(0, left, MIB):
                out.write(ZEROS[: min(MIB, left - start)])
    return with_member


def patched(path: Path, member: str, size: int) -> Path:
    """The wheel with another size said of one member, in both of its headers."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(member)
        struct.pack_into("<L", data, info.header_offset + 22, size)
        at = archive.start_dir
        for other in archive.infolist():
            if other.filename == member:
                struct.pack_into("<L", data, at + 24, size)
            at += 46 + len(other.filename.encode()) + len(other.extra) + len(other.comment)
    path.write_bytes(data)
    return path


def overlapping(folder: Path, *, count: int = 200, size: int = 4 * MIB) -> Path:
    """A wheel whose members are one and the same stream (David Fifield's "better zip bomb")."""
    path = wheel(folder, {"bomb.py": "", "a/0": bytes(size)})
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        start, entries = archive.start_dir, len(archive.infolist())
        shared = archive.getinfo("a/0")
    directory = data[start : data.index(b"PK\x05\x06", start)]
    entry = b"PK\x01\x02" + struct.pack(
        "<4B4HL2L5H2L",
        20, 3, 20, 0, 0, 8, 0, 33, shared.CRC, shared.compress_size, shared.file_size,
        3, 0, 0, 0, 0, 0, shared.header_offset,
    )  # fmt: skip
    more = b"".join(entry + f"b/{number % 10}".encode() for number in range(count))
    total = entries + count
    end = struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, total, total, len(directory + more), start, 0
    )
    path.write_bytes(data[:start] + directory + more + end)
    return path


# tar


def tar_of_zeros(path: Path, size: int, *, header: bool = False, promised: int = 0) -> Path:
    """A source archive with one file of so many zeros; or with a header of its own of that size,
    which tarfile reads into memory.

    Args:
        promised: bytes that the archive says the file has, if they are not those.
    """
    openers = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    info = tarfile.TarInfo("bomb-1.0/zeros")
    info.size = promised or size
    if header:
        info.name, info.type = "bomb-1.0/PaxHeaders/x", tarfile.XHDTYPE
    with openers[path.suffix](path, "wb") as out:
        out.write(info.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(size // MIB):
            out.write(ZEROS)
        out.write(bytes(1024))
    return path


# ELF


def elf(kind: str) -> bytes:
    """A library of some hundred bytes whose tables have no end.

    Args:
        kind: "sections" (2^63 of them), "versions" (2^31 that follow each other at one place).
    """
    section = struct.Struct("<LLQQQQLLQQ")
    names = b"\0.gnu.version_r\0.shstrtab\0.dynstr\0"
    at = 64 + len(names)
    need = struct.pack("<HHLLL", 1, 1, 1, 16, 0) + struct.pack("<LHHLL", 0, 0, 2, 1, 0)
    table = at + len(need)
    count = 4
    first = section.pack(0, 0, 0, 0, 0, 1 << 62 if kind == "sections" else 0, 0, 0, 0, 0)
    sections = first + b"".join(
        [
            section.pack(16, 3, 0, 0, 64, len(names), 0, 0, 1, 0),
            section.pack(1, 0x6FFFFFFE, 0, 0, at, len(need), 3, 0x7FFFFFFF, 4, 0),
            section.pack(26, 3, 0, 0, 64, len(names), 0, 0, 1, 0),
        ]
    )
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack(
        "<HHLQQQLHHHHHH", 3, 62, 1, 0, 0, table, 0, 64, 56, 0, 64,
        0 if kind == "sections" else count, 1,
    )  # fmt: skip
    data = header + names + need + sections
    return data + (bytes(MIB) if kind == "sections" else b"")


# text


def yaml_aliases(levels: int = 9, key: str = "a") -> str:
    """ "Billion laughs": ten to the power of `levels` values."""
    lines = [f"{key}0: &{key}0 [lol, lol]"]
    lines += [
        f"{key}{level}: &{key}{level} [{', '.join([f'*{key}{level - 1}'] * 10)}]"
        for level in range(1, levels)
    ]
    return "\n".join(lines) + "\n"


def yaml_merges(levels: int = 9) -> str:
    """The same by merge keys, which are written out while the file is read."""
    lines = ["m0: &m0 {a: 1, b: 2}"]
    lines += [
        f"m{level}: &m{level} {{<<: [{', '.join([f'*m{level - 1}'] * 10)}]}}"
        for level in range(1, levels)
    ]
    return "\n".join(lines) + "\n"


def nested_requirements(folder: Path, levels: int = 40) -> Path:
    """Files that name the next one twice: 2^levels readings of the last."""
    for level in range(levels):
        (folder / f"{level}.txt").write_text(f"-r {level + 1}.txt\n-r {level + 1}.txt\n")
    (folder / f"{levels}.txt").write_text("demo\n")
    return folder / "0.txt"


# servers


@contextmanager
def server(
    *,
    headers: Mapping[str, str] | None = None,
    status: int = 200,
    block: bytes = ZEROS[: 1 << 16],
    most: int = 64 * MIB,
    first: bytes = b"",
) -> Iterator[tuple[str, list[int]]]:
    """A server that answers everything with a body that goes on; its URL, and the bytes that it got
    rid of by each answer (`most` at last, so that a test ends).
    """
    sent: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            at = len(sent)
            sent.append(0)
            try:
                self.wfile.write(first)
                while sent[at] < most:
                    sent[at] += self.wfile.write(block)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}", sent
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def gzip_stream() -> bytes:
    """A megabyte of zeros as one gzip member, to be sent again and again."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as stream:
        stream.write(ZEROS)
    return out.getvalue()


# doors, for `within`


def install(path: str, store: str) -> str:
    """A wheel made into a chunk: "made", or the error's text."""
    from coffee_boat._support.store import Store
    from coffee_boat.errors import BoatError
    from coffee_boat.model import Pin, Target
    from coffee_boat.pip.chunks import wheel_chunk

    wheel = Path(path)
    minor = "{}.{}".format(*sys.version_info[:2])
    pin = Pin("bomb", "1.0", filename=wheel.name, url=wheel.as_uri())
    try:
        chunk = wheel_chunk(wheel, pin, Target(f"{minor}.0", glibc=(2, 28)), Store(Path(store)))
    except BoatError as error:
        return str(error)
    return f"made {chunk.unpacked}"
