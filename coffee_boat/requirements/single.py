"""One requirement, as a person writes it -> Requirement."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from coffee_boat import _grammar
from coffee_boat._run import redact
from coffee_boat.errors import RequirementError
from coffee_boat.model import Requirement
from coffee_boat.requirements import hints

_VCS = re.compile(r"(?P<tool>[a-z]+)\+", re.IGNORECASE)
_URL = re.compile(r"(file:|[a-z][a-z0-9+.\-]*://)", re.IGNORECASE)
_REPOSITORY = re.compile(r"[a-z]+://[^/]*/[^/@#]", re.IGNORECASE)
_NAMED = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.\-]*)\s*(?:(?P<extras>\[[^\]]*\])\s*)?@\s*(?P<place>\S.*)", re.DOTALL
)
_EXTRAS = re.compile(r"(?P<place>.*[^\[\s])\s*(?P<extras>\[[\w\s,.\-]+\])", re.DOTALL)
_MARKER = re.compile(
    r"\s;|;\s"
)  # PEP 508: a URL ends at a blank, since it may hold a semicolon itself
_EGG = re.compile(r"(?P<name>[A-Za-z0-9][\w.\-]*)(?P<extras>\[[^\]]*\])?")
_SCP = re.compile(r"(git\+)?(?P<user>git@[\w.\-]+):(?P<path>[\w./\-]+)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ARCHIVES = (".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz")
_HASHES = {"sha256": 64, "sha384": 96, "sha512": 128}
"""Kind -> hex digits."""
_SHOWN, _TOLD = 80, 300
"""Characters that an error quotes of a line, which may be one of another file than was meant; and
of a cause.
"""
_EXAMPLE = 'write it like "name" or "name>=1.0"'
_LONGEST = 10_000
"""Characters of one requirement, marker and all, without its hashes."""


@dataclass(frozen=True)
class _Source:
    """A requirement that names a place, in its parts."""

    place: str
    origin: str
    folder: Path
    written: str
    name: str = ""
    extras: tuple[str, ...] = ()
    marker: str = ""

    def refuse(self, what: str, *, cause: str = "", cure: str = "") -> RequirementError:
        return refusal(what, self.written, self.origin, cause=cause, cure=cure)


def parse(text: object, *, origin: str, folder: Path | None = None) -> Requirement:
    """See `coffee_boat.requirements.parse`."""
    written = _one_line(text, origin)
    place, marker = _split_marker(written)
    named = None if _SCP.fullmatch(place) else _NAMED.fullmatch(place)
    if named is None and not _names_a_place(place, folder or Path()):
        return _from_index(written, origin)
    source = _Source(place=place, origin=origin, folder=folder or Path.cwd(), written=written)
    if named is not None and not _VCS.match(place):
        asked = _name_and_extras(source, named["name"], named["extras"])
        source = replace(source, place=named["place"], name=asked.name, extras=asked.extras)
    elif (tail := _EXTRAS.fullmatch(place)) is not None and not exists(source.folder / place):
        source = replace(
            source, place=tail["place"], extras=_name_and_extras(source, "", tail["extras"]).extras
        )
    return _from_place(replace(source, marker=_checked_marker(marker, source)))


def render(requirement: Requirement) -> Requirement:
    """The same with `text` written anew from its parts, in one spelling."""
    extras = f"[{','.join(requirement.extras)}]" if requirement.extras else ""
    if requirement.url:
        text = (
            f"{requirement.name}{extras} @ {requirement.url}"
            if requirement.name
            else f"{requirement.url}{extras}"
        )
        return replace(
            requirement, text=f"{text} ; {requirement.marker}" if requirement.marker else text
        )
    text = f"{requirement.name}{extras}{requirement.specifier}"
    return replace(
        requirement, text=f"{text}; {requirement.marker}" if requirement.marker else text
    )


def refusal(
    what: str, written: str, origin: str, *, cause: str = "", cure: str = ""
) -> RequirementError:
    """An error that shows what was written and where, without credentials."""
    return RequirementError(
        what,
        value=f"{_shortened(redact(written))!r} ({origin})",
        cause=_shortened(redact(cause), _TOLD),
        cure=cure,
    )


def _may_be_shown(text: str) -> bool:
    """True if an error may repeat it in other words, where what is secret in it is not seen."""
    return len(text) <= _SHOWN and redact(text) == text


def _shortened(text: str, length: int = _SHOWN) -> str:
    return f"{text[:length]}..." if len(text) > length else text


def checked_hash(text: str) -> str:
    """As "sha256:hex"; empty if it is no hash that an index would give."""
    kind, _, digest = text.lower().partition(":")
    return (
        f"{kind}:{digest}"
        if re.fullmatch(r"[0-9a-f]+", digest) and len(digest) == _HASHES.get(kind)
        else ""
    )


def exists(path: Path) -> bool:
    """True if something is there that can be seen."""
    return os.path.exists(path)  # noqa: PTH110  (False where Path.exists raises: a name that is too long, a folder that is closed)


def version_of(requirement: Requirement) -> str:
    """The version that the file name of a wheel or source archive tells; empty if nothing does."""
    filename = _filename(requirement.url)
    try:
        if filename.endswith(".whl"):
            return str(parse_wheel_filename(filename)[1])
        return (
            str(parse_sdist_filename(filename)[1])
            if requirement.name and filename.endswith(_ARCHIVES)
            else ""
        )
    except (InvalidWheelFilename, InvalidSdistFilename):
        return ""


# the text


def _one_line(text: object, origin: str) -> str:
    if isinstance(text, os.PathLike):
        text = os.fspath(text)
        text = text if os.sep in str(text) else os.path.join(os.curdir, str(text))  # noqa: PTH118  (Path drops the "./" that says "a path")
    if isinstance(text, (list, tuple, set, frozenset, dict)):
        raise refusal(
            "a requirement is a string, not a collection of them",
            repr(text),
            origin,
            cure="put a star before it: add_pip_packages(*names)",
        )
    if not isinstance(text, str):
        raise refusal(
            f"a requirement is a string, not {type(text).__name__}",
            repr(text),
            origin,
            cure='write it like "name" or "name>=1.0"',
        )
    line = text.strip()
    if len(line) > _LONGEST:
        raise refusal(
            f"a requirement has {len(line):,} characters, at most {_LONGEST:,} are read",
            line,
            origin,
            cause="it is no requirement, or several without a line's end between them",
            cure="write each on a line of its own; a long list of markers goes to a lock",
        )
    if not line:
        raise refusal(
            "a requirement is empty", text, origin, cure='write it like "name" or "name>=1.0"'
        )
    if _SURROGATE.search(line):
        raise refusal(
            "a requirement has a character that no file name and no package name can have",
            ascii(line),
            origin,
            cure="type it anew",
        )
    if any(character in line for character in "\n\r\0"):
        raise refusal(
            "a requirement is one line",
            line,
            origin,
            cure="give each package a string of its own, or a file: captain.add_requirements(path)",
        )
    if line.startswith("-"):
        raise refusal(
            "an option was given where a requirement is read",
            line,
            origin,
            cure=hints.cure_of_option(line),
        )
    return line


def _split_marker(line: str) -> tuple[str, str]:
    parts = _MARKER.split(line, maxsplit=1)
    if len(parts) == 1 and "://" not in line:
        parts = line.split(";", maxsplit=1)
    return (parts[0].strip(), parts[1].strip()) if len(parts) > 1 else (line, "")


def _checked_marker(marker: str, source: _Source) -> str:
    try:
        return str(Marker(marker)) if marker else ""
    except InvalidMarker as error:
        raise source.refuse(
            "a marker cannot be read",
            cause=_first_line(error),
            cure="write it like ; python_version >= '3.11'",
        ) from None


def _names_a_place(place: str, folder: Path) -> bool:
    if _URL.match(place) or _SCP.fullmatch(place) or place.startswith((".", "~")):
        return True
    if (
        "://" in place
    ):  # a URL behind other words: reading it as a path would take its password apart
        return False
    head = place.partition(";")[0]
    bare = _EXTRAS.fullmatch(head)
    filename = (bare["place"] if bare else head).lower()
    return (
        "/" in head
        or filename.endswith((".whl", *_ARCHIVES))
        or hints.is_file_name(filename, folder)
    )


def _name_and_extras(source: _Source, name: str, extras: str | None) -> _Source:
    try:
        read = Pep508(f"{name or 'x'}{extras or ''}")
    except InvalidRequirement as error:
        raise source.refuse(
            "a name or its extras cannot be read",
            cause=_first_line(error),
            cure="write it like name[extra] @ https://...",
        ) from None
    return replace(
        source, name=str(canonicalize_name(name)) if name else "", extras=_canonical(read.extras)
    )


def _canonical(extras: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({str(canonicalize_name(extra)) for extra in extras}))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


# from an index


def _from_index(written: str, origin: str) -> Requirement:
    try:
        read = Pep508(written)
    except InvalidRequirement as error:
        raise refusal(
            "a requirement cannot be read",
            written,
            origin,
            cause=_first_line(error),
            cure=hints.cure_of_text(written) if _may_be_shown(written) else _EXAMPLE,
        ) from None
    specifier = str(read.specifier)
    return render(
        Requirement(
            text="",
            name=str(canonicalize_name(read.name)),
            extras=_canonical(read.extras),
            specifier=specifier,
            marker=str(read.marker) if read.marker else "",
            origin=origin,
        )
    )


# from a place


def _from_place(source: _Source) -> Requirement:
    if _SCP.fullmatch(source.place):
        raise source.refuse(
            "an ssh address of git is written as a URL",
            cure=_SCP.sub(r"git+ssh://\g<user>/\g<path>", source.place),
        )
    _check_url(source)
    if _VCS.match(source.place):
        return _from_vcs(source)
    if source.place.lower().startswith("file:"):
        return _from_path(
            replace(source, place=_path_of(source)), fragment=urlsplit(source.place).fragment
        )
    return _from_web(source) if _URL.match(source.place) else _from_path(source)


def _made(
    source: _Source, url: str, *, name: str = "", hashes: tuple[str, ...] = ()
) -> Requirement:
    if name and source.name and name != source.name:
        raise source.refuse(
            "a requirement names one package and points to another",
            cause=f"{source.name} is asked for, {name} is there",
            cure=redact(f"write {name} @ {url}"),
        )
    return render(
        Requirement(
            text="",
            name=source.name or name,
            extras=source.extras,
            marker=source.marker,
            url=url,
            hashes=hashes,
            origin=source.origin,
        )
    )


def _from_vcs(source: _Source) -> Requirement:
    tool, _, address = source.place.partition("+")
    if tool.lower() != "git":
        raise source.refuse(
            f"{tool} repositories cannot be read",
            cause="uv resolves git only",
            cure="give a folder of a checkout, or a wheel built from it",
        )
    if not _REPOSITORY.match(address):
        raise source.refuse(
            "an address of git names a scheme and a repository",
            cure="write it like git+https://host/name.git@revision",
        )
    url, fragment = _without_egg(source)
    if urlsplit(url).query:  # git's own processes would show it in their arguments
        raise source.refuse(
            "an address of git has no parameters",
            cause="a token goes before the host",
            cure="write it like git+https://token@host/name.git@revision, or put it into ~/.netrc",
        )
    _check_parts(source, url, _grammar.vcs_fault(urlsplit(url)._replace(fragment="").geturl()))
    path, at, revision = urlsplit(url).path.rpartition("@")
    if at and path and (fault := _grammar.revision_fault(unquote(revision))):
        raise source.refuse(
            "the revision of a repository cannot be read",
            cause=fault,
            cure="write it like git+https://host/name.git@v1.2",
        )
    source, name = _with_egg(source, fragment)
    return _made(source, url, name=name)


def _from_web(source: _Source) -> Requirement:
    url, fragment = _without_egg(source)
    if urlsplit(url).scheme.lower() not in {"http", "https"}:
        raise source.refuse(
            "an address of this kind cannot be fetched",
            cause="http, https, file and git+ are known",
            cure="download the file, and give its path",
        )
    filename = _filename(url)
    if not filename.lower().endswith((".whl", *_ARCHIVES)):
        raise source.refuse(
            "an address points to neither a wheel nor a source archive",
            cure=redact(hints.cure_of_page(urlsplit(url)._replace(fragment="").geturl())),
        )
    _check_parts(source, url, _grammar.url_fault(url, ("https", "http")))
    hashes = tuple(
        checked_hash(f"{kind}:{digest}") for kind in _HASHES for digest in fragment.get(kind, ())
    )
    if "" in hashes:
        raise source.refuse(
            "the hash of an address cannot be read", cure="write it like #sha256=<64 hex digits>"
        )
    source, name = _with_egg(source, fragment)
    # a forge names its archives after tags and branches, not after the package
    named_by_forge = "/archive/" in url or filename.lower().endswith(".zip")
    return _made(
        source,
        url,
        name=name or ("" if named_by_forge else _name_in(filename, source)),
        hashes=hashes,
    )


def _from_path(source: _Source, fragment: str = "") -> Requirement:
    path = _located(source)
    if not exists(path):
        raise source.refuse(
            "a requirement names a file that is not there",
            cause=f"looked for {path}" if _may_be_shown(source.place) else "",
            cure=hints.cure_of_missing(path, source.written),
        )
    url = path.as_uri() + (f"#{fragment}" if fragment else "")
    if path.is_dir():
        return _made(source, url, name=_name_of_folder(path, source))
    if not path.name.lower().endswith((".whl", *_ARCHIVES)):
        what, cure = hints.wrong_file(path)
        raise source.refuse(what, cure=cure)
    return _made(source, url, name=_name_in(path.name, source))


def _check_url(source: _Source) -> None:
    try:
        urlsplit(urlsplit(source.place).geturl())  # twice: "https:////[" splits once only
        parse_qs(urlsplit(source.place).fragment)
    except ValueError as error:
        raise source.refuse(
            "an address cannot be read",
            cause=str(error),
            cure="write it like https://host/path/name-1.0-py3-none-any.whl",
        ) from error


def _check_parts(source: _Source, url: str, fault: str) -> None:
    """Refuse a URL that breaks its grammar, and a #subdirectory= that lies outside."""
    folders = parse_qs(urlsplit(url).fragment).get("subdirectory", ())
    fault = fault or next(filter(None, map(_grammar.folder_fault, folders)), "")
    if fault:
        raise source.refuse(
            "an address cannot be read",
            cause=fault,
            cure="write it like git+https://host/name.git@v1#subdirectory=folder",
        )


def _without_egg(source: _Source) -> tuple[str, dict[str, list[str]]]:
    """The URL without the #egg= of old, and all that its fragment said."""
    split = urlsplit(source.place)
    kept = "&".join(
        part for part in split.fragment.split("&") if part and not part.startswith("egg=")
    )
    return split._replace(fragment=kept).geturl(), parse_qs(split.fragment)


def _with_egg(source: _Source, fragment: dict[str, list[str]]) -> tuple[_Source, str]:
    if "egg" not in fragment:
        return source, ""
    egg = _EGG.fullmatch(fragment["egg"][0])
    if egg is None:
        raise source.refuse(
            "#egg= names a package, and nothing else",
            cure="write it like #egg=name, or name @ git+https://...",
        )
    parts = _name_and_extras(source, egg["name"], egg["extras"])
    return replace(source, extras=_canonical([*source.extras, *parts.extras])), parts.name


def _filename(url: str) -> str:
    return unquote(urlsplit(url).path).rstrip("/").rpartition("/")[2]


def _name_in(filename: str, source: _Source) -> str:
    try:
        if filename.lower().endswith(".whl"):
            return str(parse_wheel_filename(filename)[0])
        return str(parse_sdist_filename(filename)[0])
    except InvalidWheelFilename as error:
        raise source.refuse(
            "this is not the file name of a wheel",
            cause=_first_line(error),
            cure="give the file its own name back: name-1.0-py3-none-any.whl",
        ) from error
    except InvalidSdistFilename:
        return ""  # its build tells


def _path_of(source: _Source) -> str:
    from urllib.request import url2pathname

    split = urlsplit(source.place)
    if split.netloc not in {"", "localhost"}:
        raise source.refuse(
            "a file URL names another machine",
            cause=f"{split.netloc} is read as a host",
            cure=f"write file:///{split.netloc}{split.path}",
        )
    return url2pathname(split.path)


def _located(source: _Source) -> Path:
    try:
        path = Path(source.place).expanduser()
    except RuntimeError as error:
        raise source.refuse(
            "a home folder is not known", cause=str(error), cure="write the whole path"
        ) from error
    return Path(
        os.path.normpath(source.folder.absolute() / path)
    )  # links are kept: the name of a link to a wheel counts


# a folder


def _name_of_folder(folder: Path, source: _Source) -> str:
    project = folder / "pyproject.toml"
    if project.is_file():
        return _static_name(project, source)
    if (folder / "setup.py").is_file():
        return ""
    what, cure = hints.wrong_folder(folder)
    raise source.refuse(what, cure=cure)


def _static_name(path: Path, source: _Source) -> str:
    from coffee_boat.requirements import project

    try:
        document = project.load(path)
    except RequirementError as error:
        raise source.refuse(
            error.what, cause=f"{error.value}: {error.cause}", cure=error.cure
        ) from error
    name = (
        document.get("project", {}).get("name", "")
        if isinstance(document.get("project"), dict)
        else ""
    )
    return str(canonicalize_name(name)) if isinstance(name, str) else ""
