"""Hostile locks and what goes with them, made by code: each new door can be tried with them."""

from __future__ import annotations

import zlib

_TABLE = [0] * 256
for _number in range(256):
    _value = _number
    for _ in range(8):
        _value = (_value >> 1) ^ (0xEDB88320 if _value & 1 else 0)
    _TABLE[_number] = _value
_BACK = {entry >> 24: index for index, entry in enumerate(_TABLE)}


def forged(content: bytes, wanted: bytes) -> bytes:
    """`wanted` with a comment behind it, as long as `content` and of the same CRC-32: the last four
    bytes are chosen for it.
    """
    room = len(content) - 4
    filled = wanted[:room].ljust(room, b"#")
    return filled + _patch(zlib.crc32(filled), zlib.crc32(content))


def _patch(before: int, after: int) -> bytes:
    """Four bytes that take a CRC-32 from one value to another."""
    state, indexes = after ^ 0xFFFFFFFF, []
    for _ in range(4):
        index = _BACK[state >> 24]
        indexes.append(index)
        state = ((state ^ _TABLE[index]) << 8) & 0xFFFFFFFF
    patch, state = b"", before ^ 0xFFFFFFFF
    for index in reversed(indexes):
        byte = (state ^ index) & 0xFF
        patch += bytes([byte])
        state = _TABLE[index] ^ (state >> 8)
    return patch


DIGEST = "ab" * 32
COMMIT = "0123456789abcdef0123456789abcdef01234567"
WHEEL = "alpha-1.0-py3-none-any.whl"

SOURCES = {
    "sdist": '[packages.sdist]\nname = "alpha-1.0.tar.gz"\nurl = "https://x.org/alpha-1.0.tar.gz"\n'
    f'hashes = {{ sha256 = "{DIGEST}" }}\n',
    "archive": '[packages.archive]\nurl = "https://x.org/alpha-1.0.zip"\n'
    f'hashes = {{ sha256 = "{DIGEST}" }}\n',
    "vcs": f'[packages.vcs]\ntype = "git"\nurl = "https://x.org/a.git"\ncommit-id = "{COMMIT}"\n',
    "directory": '[packages.directory]\npath = "project"\n',
    "editable": '[packages.directory]\npath = "project"\neditable = true\n',
}
"""Each way in which a pylock.toml names what has to be built."""


def pylock(source: str, *, name: str = "alpha", more: str = "") -> str:
    """A pylock.toml of one package."""
    return (
        'lock-version = "1.0"\ncreated-by = "nobody"\n'
        f'[[packages]]\nname = "{name}"\nversion = "1.0"\n{more}{source}'
    )


def wheel(
    url: str = f"https://x.org/{WHEEL}",
    name: str = WHEEL,
    sha256: str = DIGEST,
    size: str = "10",
    place: str = "url",
) -> str:
    """A wheel of it."""
    return (
        f'[[packages.wheels]]\nname = "{name}"\n{place} = "{url}"\nsize = {size}\n'
        f'hashes = {{ sha256 = "{sha256}" }}\n'
    )


def vcs(
    url: str = "https://x.org/a.git", commit: str = COMMIT, kind: str = "git", more: str = ""
) -> str:
    """A repository of it."""
    return f'[packages.vcs]\ntype = "{kind}"\nurl = "{url}"\ncommit-id = "{commit}"\n{more}'


HOSTILE = {
    "commit is an option": vcs(commit="--upload-pack=touch x;"),
    "commit is a branch": vcs(commit="main"),
    "commit is short": vcs(commit=COMMIT[:12]),
    "commit with a line behind": vcs(commit=f"{COMMIT}\\n--x"),
    "repository is an option": vcs(url="--upload-pack=touch x"),
    "repository is a helper": vcs(url="ext::sh -c touch% x"),
    "repository at a host that is an option": vcs(url="ssh://-oProxyCommand=touch%20x/a.git"),
    "repository of a user that is an option": vcs(url="ssh://-lx@x.org/a.git"),
    "repository with a control character": vcs(url="https://x.org/a\\u0007.git"),
    "another version control system": vcs(kind="hg"),
    "an option for one": vcs(kind="--git"),
    "subdirectory above": vcs(more='subdirectory = "../../etc"\n'),
    "subdirectory from the root": vcs(more='subdirectory = "/etc"\n'),
    "subdirectory is an option": vcs(more='subdirectory = "--config-setting=x"\n'),
    "subdirectory above, later": vcs(more='subdirectory = "a/../../b"\n'),
    "sha256 is a path": wheel(sha256="../../x"),
    "sha256 is absolute": wheel(sha256="/etc/x"),
    "sha256 is short": wheel(sha256="ab"),
    "sha256 is empty": wheel(sha256=""),
    "sha256 is no hex": wheel(sha256="zz" * 32),
    "file name is a path": wheel(name="../alpha-1.0-py3-none-any.whl"),
    "file name of another package": wheel(name="beta-1.0-py3-none-any.whl"),
    "file name with a NUL": wheel(name="alpha-1.0-py3-none-any\\u0000.whl"),
    "url is an option": wheel(url="--index-url=https://x.org"),
    "url of a strange scheme": wheel(url=f"gopher://x.org/{WHEEL}"),
    "url without a scheme": wheel(url=f"x.org/{WHEEL}"),
    "url without a host": wheel(url=f"https:///{WHEEL}"),
    "url with a blank": wheel(url=f"https://x.org/a b/{WHEEL}"),
    "url with a line": wheel(url=f"https://x.org/\\n{WHEEL}"),
    "url that cannot be split": wheel(url=f"https://[/{WHEEL}"),
    "url of a port that is none": wheel(url=f"https://x.org:99999/{WHEEL}"),
    "url of a file on another machine": wheel(url=f"file://x.org/{WHEEL}"),
    "path with a NUL": wheel(url=f"a\\u0000b/{WHEEL}", place="path"),
    "size below nothing": wheel(size="-1"),
    "size beyond all sense": wheel(size="9223372036854775807"),
    "size is no number": wheel(size='"10"'),
    "size is a truth": wheel(size="true"),
    "archive's subdirectory above": SOURCES["archive"] + 'subdirectory = ".."\n',
    "archive's name is all dots": '[packages.archive]\nurl = "https://x.org/.."\n'
    f'hashes = {{ sha256 = "{DIGEST}" }}\n',
    "archive's name leads out": '[packages.archive]\nurl = "https://x.org/..%2F..%2Fx%00.zip"\n'
    f'hashes = {{ sha256 = "{DIGEST}" }}\n',
    "folder's subdirectory above": SOURCES["directory"] + 'subdirectory = "../.."\n',
}
"""What somebody may write into a pylock.toml."""

HOSTILE_HEADS = {
    "name is a path": pylock(wheel(), name="../alpha"),
    "name is an option": pylock(wheel(), name="-alpha"),
    "marker is none": pylock(wheel(), more="marker = \"__import__('os')\"\n"),
    "dependency is none": pylock(wheel(), more='dependencies = [{ name = "../x" }]\n'),
    "dependency without a name": pylock(wheel(), more="dependencies = [{ }]\n"),
    "packages are none": 'lock-version = "1.0"\ncreated-by = "x"\npackages = 3\n',
    "packages are text": 'lock-version = "1.0"\ncreated-by = "x"\npackages = ["x"]\n',
}
"""The same before a package's source."""
