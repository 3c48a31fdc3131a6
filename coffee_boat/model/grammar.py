"""What the parts of a lock and of a requirement may look like, by their own specifications.

A lock is input: somebody wrote it, and what it says becomes paths, URLs and arguments of programs.
Each part is looked at before it is used; what does not fit is refused, never mended."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from coffee_boat._support.redact import redact
from coffee_boat.errors import LockError
from coffee_boat.model.lock import CondaPin, Pin

FILES = ("https", "http", "file")
GIT = ("https", "http", "ssh", "git", "file")
_LONGEST_STEM = 230
"""Of the folder that a package is kept in, whose name the file beside it has, too."""
_RELATION, _NESTED = 2_000, 50
"""Of what a conda package needs: rattler ends the process at thousands of nested brackets."""
_RELATED = re.compile(
    r"\s*(?:[^\s\[:]{0,200}:{1,2}){0,2}(?P<name>[A-Za-z0-9_.\-]+)(?![^\s\[<>=!~;,*|(])"
)
CHANNELS = ("https", "http", "file", "s3", "oci", "gcs")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HEX = re.compile(r"[0-9a-f]*")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""Normalized (PEP 503)."""
_CONDA_NAME = re.compile(r"[a-z0-9_][a-z0-9_.\-]{0,127}")
_CONDA_VERSION = re.compile(r"[A-Za-z0-9_.!+~]{1,128}")
_CONDA_BUILD = re.compile(r"[A-Za-z0-9_.+]{0,128}")
_SUBDIR = re.compile(r"noarch|[a-z0-9]{1,20}-[a-z0-9_]{1,20}")
_UNSEEN = re.compile(
    r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202f\u2060-\u206f\ud800-\udfff\ufeff]"
)
"""Blanks, control characters and those that turn text around."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_KINDS = {"wheel", "sdist", "directory", "vcs", "local"}
_TOO_LARGE = 1 << 40
"""Bytes: no index takes a file of a tebibyte."""
_SHOWN = 120
_LONGEST = 2_000


def checked(pin: Pin, where: str) -> Pin:
    """The pin, if all that it says is what it may say.

    Args:
        where: what to call the lock in the error.

    Raises:
        LockError: it is not, with the first part that is not.
    """
    for said, rule in _faults(pin):
        raise refused(f"{pin.name} {pin.version}".rstrip(), where, said, rule)
    return pin


def checked_conda(pin: CondaPin, where: str) -> CondaPin:
    """The same of a conda package."""
    for said, rule in _conda_faults(pin):
        raise refused(f"{pin.name} {pin.version}".rstrip(), where, said, rule)
    return pin


def refused(package: str, where: str, said: str, rule: str) -> LockError:
    """The error for a part of a lock that is not what it may be."""
    return LockError(
        "lock.forbidden-value",
        "a lock says what cannot be taken",
        value=f"{shown(package)} in {where}: {shown(said)}",
        cause=rule,
        cure=(
            "find out who wrote that; make the lock again, as with"
            " `uv pip compile --format pylock.toml --generate-hashes` or `boat lock`"
        ),
    )


def shown(text: object) -> str:
    """A stranger's text as an error may quote it: one short line, without credentials."""
    plain = redact(str(text)[: 4 * _SHOWN]).encode("utf-8", "backslashreplace").decode("utf-8")
    escaped = _UNSEEN.sub(lambda c: " " if c[0] == " " else ascii(c[0])[1:-1], plain)
    return f"{escaped[:_SHOWN]}..." if len(escaped) > _SHOWN else escaped


def is_commit(text: str) -> bool:
    """True for a commit's whole id: SHA-1 or SHA-256, lower case."""
    return _COMMIT.fullmatch(text) is not None


def is_digest(text: str, algorithm: str = "sha256") -> bool:
    """True for a digest of that algorithm in lower case hex."""
    length = 2 * hashlib.new(algorithm, usedforsecurity=False).digest_size
    return len(text) == length and _HEX.fullmatch(text) is not None


def hash_fault(kind: str, digest: str) -> str:
    """Why a hash of a lock cannot be one; empty if it can, or if its kind is not known here."""
    known = kind in hashlib.algorithms_guaranteed and not kind.startswith("shake_")
    return "" if not known or is_digest(digest, kind) else f"a {kind} is lower case hex, whole"


def file_name_fault(name: str) -> str:
    """Why a text is no name of a file; empty if it is one."""
    if not name or name in (".", "..") or "/" in name or "\\" in name:
        return "a file name is one plain name, without / and .."
    if _CONTROL.search(name) or len(name.encode("utf-8", "surrogatepass")) > 255:
        return "a file name has no control characters, and 255 bytes at most"
    return "a file name does not begin with -" if name.startswith("-") else ""


def folder_fault(folder: str) -> str:
    """Why a text is no subdirectory; empty if it is one, or is empty."""
    if not folder:
        return ""
    parts = folder.rstrip("/").split("/")
    if folder.startswith(("/", "-")) or "\\" in folder or not {"", "..", "."}.isdisjoint(parts[1:]):
        return "a subdirectory lies inside: relative, without .. and without a leading -"
    if parts[0] in ("", "..") or _CONTROL.search(folder):
        return "a subdirectory lies inside: relative, without .. and control characters"
    return ""


def url_fault(url: str, schemes: tuple[str, ...]) -> str:
    """Why a text is no URL of one of these schemes; empty if it is one."""
    if url.startswith("-"):
        return "a URL does not begin with -"
    if _UNSEEN.search(url):
        return "a URL has no blanks and no control characters"
    try:
        parts = urlsplit(url)
        host, user, _ = parts.hostname, parts.username, parts.port
    except ValueError:  # its text quotes what may be a password
        return "it is not a valid URL: its host or its port cannot be read"
    if parts.scheme not in schemes or not url[len(parts.scheme) :].startswith(":/"):
        return f"a URL begins with one of {', '.join(f'{scheme}://' for scheme in schemes)}"
    if parts.scheme == "file":
        path, elsewhere = unquote(parts.path), host not in (None, "", "localhost")
        wrong = elsewhere or not path.startswith("/") or _CONTROL.search(path)
        return "a file URL is absolute, and of this machine" if wrong else ""
    return _host_fault(host or "", user or "")


def _host_fault(host: str, user: str) -> str:
    if not host:
        return "a URL names a host"
    return (
        "a host or a user does not begin with -"
        if host.startswith("-") or unquote(user).startswith("-")
        else ""
    )


def vcs_fault(url: str) -> str:
    """Why a text is no URL of a repository of git, "git+https://..."; empty if it is one."""
    tool, plus, address = url.partition("+")
    if tool != "git" or not plus:
        return "the only version control system that is known is git"
    return url_fault(address, GIT)


def revision_fault(revision: str) -> str:
    """Why a text is no name of a branch, a tag or a commit (git check-ref-format); empty if it is
    one.
    """
    if revision.startswith("-"):
        return "a revision does not begin with -"
    bad = _UNSEEN.search(revision) or re.search(r"[\\~^:?*\[]|\.\.|@\{", revision)
    return "it is not a valid name of a branch, a tag or a commit" if bad else ""


def relation_fault(text: str) -> str:
    """Why rattler may not read what a conda package says of another one; empty if it may."""
    if len(text) > _RELATION:
        return f"what a package needs is said in {_RELATION:,} characters at most"
    if text.count("(") + text.count("[") > _NESTED:
        return f"what a package needs has {_NESTED} brackets at most"
    if "/" in text and not related(text):
        return "what a package needs is named, not addressed"
    return ""


def related(text: str) -> str:
    """The package that such a text names, lower case; empty if it names none."""
    found = _RELATED.match(text)
    return found["name"].lower() if found else ""


def _is_size(size: object) -> bool:
    return size is None or (type(size) is int and 0 <= size < _TOO_LARGE)


def _faults(pin: Pin) -> Iterator[tuple[str, str]]:
    """What a pin says, and the rule that it breaks."""
    if _NAME.fullmatch(pin.name) is None:
        yield pin.name, "a name is normalized: lower case letters, digits and single dashes"
    if pin.kind not in _KINDS:
        yield pin.kind, f"a kind is one of {', '.join(sorted(_KINDS))}"
    if pin.version and not is_version(pin.version):
        yield pin.version, "a version is one by PEP 440"
    for name in pin.requires:
        if _NAME.fullmatch(name) is None:
            yield name, "a dependency is a normalized name"
    if fault := folder_fault(pin.subdirectory):
        yield pin.subdirectory, fault
    if not _is_size(pin.size):
        yield str(pin.size), "a size is a number of bytes, 0 or more, below a tebibyte"
    yield from _place_faults(pin)


def _place_faults(pin: Pin) -> Iterator[tuple[str, str]]:
    if pin.kind == "vcs":
        if fault := vcs_fault(pin.url):
            yield pin.url, fault
        if not is_commit(pin.commit):
            yield f"commit {pin.commit!r}", "a commit is its whole id: 40 or 64 hex digits"
        return
    folder = pin.kind in ("directory", "local")
    if fault := url_fault(pin.url, ("file",) if folder else FILES):
        yield pin.url, fault
    if not is_digest(pin.sha256):
        yield f"sha256 {pin.sha256!r}", "a sha256 is 64 hex digits, lower case"
    if not folder and (fault := file_name_fault(pin.filename)):
        yield f"file {pin.filename!r}", fault
    if pin.kind == "wheel" and (fault := _wheel_fault(pin)):
        yield f"file {pin.filename!r}", fault


def _wheel_fault(pin: Pin) -> str:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        name = parse_wheel_filename(pin.filename)[0]
    except InvalidWheelFilename:
        return "it is not the name of a wheel"
    return "" if name == pin.name else f"it is a wheel of {name}"


def is_version(text: str) -> bool:
    """True for a version as PEP 440 has it."""
    from packaging.version import Version

    try:
        return bool(Version(text))
    except ValueError:  # InvalidVersion; or numbers of thousands of digits
        return False


def _said_faults(pin: CondaPin) -> Iterator[tuple[str, str]]:
    """Of what only a channel bounds: names of channels, and its whole record."""
    if _CONTROL.search(pin.channel):
        yield repr(pin.channel), "a channel has no control characters"
    for text in _texts(json.loads(pin.record or "{}")):
        if len(text) > _LONGEST:
            yield text, f"what a channel says of a package has texts of {_LONGEST:,} characters"


def _texts(said: object) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(said, str):
        yield said
    elif isinstance(said, (list, dict)):
        for part in said.values() if isinstance(said, dict) else said:
            yield from _texts(part)


def _conda_faults(pin: CondaPin) -> Iterator[tuple[str, str]]:
    rules = (
        (
            pin.name,
            _CONDA_NAME,
            "a conda package's name has lower case letters, digits and _.-",
        ),
        (pin.version, _CONDA_VERSION, "a conda version has letters, digits and _.!+~"),
        (pin.build, _CONDA_BUILD, "a build string has letters, digits and _.+"),
        (pin.subdir, _SUBDIR, 'a subdir is noarch, or like "linux-64"'),
    )
    for said, rule, cause in rules:
        if rule.fullmatch(said) is None:
            yield repr(said), f"{cause}; 128 at most"
    if len(f"{pin.name}-{pin.version}-{pin.build}") > _LONGEST_STEM:
        yield pin.filename, f"name, version and build have {_LONGEST_STEM} characters at most"
    if fault := file_name_fault(pin.filename):
        yield f"file {pin.filename!r}", fault
    if fault := url_fault(pin.url, CHANNELS):
        yield pin.url, fault
    yield from _said_faults(pin)
    if pin.sha256 and not is_digest(pin.sha256):
        yield f"sha256 {pin.sha256!r}", "a sha256 is 64 hex digits, lower case"
    if not _is_size(pin.size):
        yield str(pin.size), "a size is a number of bytes, 0 or more, below a tebibyte"
