"""A requirement that names a place: a URL, a path, a repository."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Pep508
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from coffee_boat._support.files import exists
from coffee_boat._support.redact import redact
from coffee_boat.errors import RequirementError
from coffee_boat.model import Requirement, grammar
from coffee_boat.requirements import hints
from coffee_boat.requirements.spelling import (
    ARCHIVES,
    HASHES,
    SHOWN,
    canonical,
    checked_hash,
    file_name,
    first_line,
    refusal,
    render,
)

VCS = re.compile(r"(?P<tool>[a-z]+)\+", re.IGNORECASE)
URL = re.compile(r"(file:|[a-z][a-z0-9+.\-]*://)", re.IGNORECASE)
_REPOSITORY = re.compile(r"[a-z]+://[^/]*/[^/@#]", re.IGNORECASE)

_EGG = re.compile(r"(?P<name>[A-Za-z0-9][\w.\-]*)(?P<extras>\[[^\]]*\])?")
SCP = re.compile(r"(git\+)?(?P<user>git@[\w.\-]+):(?P<path>[\w./\-]+)")


@dataclass(frozen=True)
class Source:
    """A requirement that names a place, in its parts."""

    place: str
    origin: str
    folder: Path
    written: str
    name: str = ""
    extras: tuple[str, ...] = ()
    marker: str = ""

    def refuse(self, code: str, what: str, *, cause: str = "", cure: str = "") -> RequirementError:
        """The error that shows the requirement."""
        return refusal(code, what, self.written, self.origin, cause=cause, cure=cure)


def may_be_shown(text: str) -> bool:
    """True if an error may repeat it in other words, where what is secret in it is not seen."""
    return len(text) <= SHOWN and redact(text) == text


def name_and_extras(source: Source, name: str, extras: str | None) -> Source:
    """The source with a name and extras that were read."""
    try:
        read = Pep508(f"{name or 'x'}{extras or ''}")
    except InvalidRequirement as error:
        raise source.refuse(
            "requirements.name-unreadable",
            "a name or its extras cannot be read",
            cause=first_line(error),
            cure="write it like name[extra] @ https://...",
        ) from None
    return replace(
        source, name=str(canonicalize_name(name)) if name else "", extras=canonical(read.extras)
    )


# from a place


def from_place(source: Source) -> Requirement:
    """A requirement of what names a place."""
    if SCP.fullmatch(source.place):
        raise source.refuse(
            "requirements.ssh-address",
            "an ssh address of git is written as a URL",
            cure=SCP.sub(r"git+ssh://\g<user>/\g<path>", source.place),
        )
    _check_url(source)
    if VCS.match(source.place):
        return _from_vcs(source)
    if source.place.lower().startswith("file:"):
        return _from_path(
            replace(source, place=_path_of(source)), fragment=urlsplit(source.place).fragment
        )
    return _from_web(source) if URL.match(source.place) else _from_path(source)


def _made(source: Source, url: str, *, name: str = "", hashes: tuple[str, ...] = ()) -> Requirement:
    if name and source.name and name != source.name:
        raise source.refuse(
            "requirements.name-mismatch",
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


def _from_vcs(source: Source) -> Requirement:
    tool, _, address = source.place.partition("+")
    if tool.lower() != "git":
        raise source.refuse(
            "requirements.repository-not-supported",
            f"{tool} repositories cannot be read",
            cause="uv resolves git only",
            cure="give a folder of a checkout, or a wheel built from it",
        )
    if not _REPOSITORY.match(address):
        raise source.refuse(
            "requirements.git-address-incomplete",
            "an address of git names a scheme and a repository",
            cure="write it like git+https://host/name.git@revision",
        )
    url, fragment = _without_egg(source)
    if urlsplit(url).query:  # git's own processes would show it in their arguments
        raise source.refuse(
            "requirements.git-address-parameters",
            "an address of git has no parameters",
            cause="a token goes before the host",
            cure="write it like git+https://token@host/name.git@revision, or put it into ~/.netrc",
        )
    _check_parts(source, url, grammar.vcs_fault(urlsplit(url)._replace(fragment="").geturl()))
    path, at, revision = urlsplit(url).path.rpartition("@")
    if at and path and (fault := grammar.revision_fault(unquote(revision))):
        raise source.refuse(
            "requirements.revision-unreadable",
            "the revision of a repository cannot be read",
            cause=fault,
            cure="write it like git+https://host/name.git@v1.2",
        )
    source, name = _with_egg(source, fragment)
    return _made(source, url, name=name)


def _from_web(source: Source) -> Requirement:
    url, fragment = _without_egg(source)
    if urlsplit(url).scheme.lower() not in {"http", "https"}:
        raise source.refuse(
            "requirements.address-not-fetchable",
            "an address of this kind cannot be fetched",
            cause="http, https, file and git+ are known",
            cure="download the file, and give its path",
        )
    filename = file_name(url)
    if not filename.lower().endswith((".whl", *ARCHIVES)):
        raise source.refuse(
            "requirements.address-not-a-distribution",
            "an address points to neither a wheel nor a source archive",
            cure=redact(hints.cure_of_page(urlsplit(url)._replace(fragment="").geturl())),
        )
    _check_parts(source, url, grammar.url_fault(url, ("https", "http")))
    hashes = tuple(
        checked_hash(f"{kind}:{digest}") for kind in HASHES for digest in fragment.get(kind, ())
    )
    if "" in hashes:
        raise source.refuse(
            "requirements.address-hash-unreadable",
            "the hash of an address cannot be read",
            cure="write it like #sha256=<64 hex digits>",
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


def _from_path(source: Source, fragment: str = "") -> Requirement:
    path = located(source)
    if not exists(path):
        raise source.refuse(
            "requirements.path-missing",
            "a requirement names a file that is not there",
            cause=f"looked for {path}" if may_be_shown(source.place) else "",
            cure=hints.cure_of_missing(path, source.written),
        )
    url = path.as_uri() + (f"#{fragment}" if fragment else "")
    if path.is_dir():
        return _made(source, url, name=_name_of_folder(path, source))
    if not path.name.lower().endswith((".whl", *ARCHIVES)):
        fault = hints.wrong_file(path)
        raise source.refuse(fault.code, fault.what, cure=fault.cure)
    return _made(source, url, name=_name_in(path.name, source))


def _check_url(source: Source) -> None:
    try:
        urlsplit(urlsplit(source.place).geturl())  # twice: "https:////[" splits once only
        parse_qs(urlsplit(source.place).fragment)
        return
    except ValueError:
        pass  # refused below, not from this error: it quotes what may be a password
    raise source.refuse(
        "requirements.address-unreadable",
        "an address cannot be read",
        cause="its host or its port cannot be read",
        cure="write it like https://host/path/name-1.0-py3-none-any.whl",
    )


def _check_parts(source: Source, url: str, fault: str) -> None:
    """Refuse a URL that breaks its grammar, and a #subdirectory= that lies outside."""
    folders = parse_qs(urlsplit(url).fragment).get("subdirectory", ())
    fault = fault or next(filter(None, map(grammar.folder_fault, folders)), "")
    if fault:
        raise source.refuse(
            "requirements.address-unreadable",
            "an address cannot be read",
            cause=fault,
            cure="write it like git+https://host/name.git@v1#subdirectory=folder",
        )


def _without_egg(source: Source) -> tuple[str, dict[str, list[str]]]:
    """The URL without the #egg= of old, and all that its fragment said."""
    split = urlsplit(source.place)
    kept = "&".join(
        part for part in split.fragment.split("&") if part and not part.startswith("egg=")
    )
    return split._replace(fragment=kept).geturl(), parse_qs(split.fragment)


def _with_egg(source: Source, fragment: dict[str, list[str]]) -> tuple[Source, str]:
    if "egg" not in fragment:
        return source, ""
    egg = _EGG.fullmatch(fragment["egg"][0])
    if egg is None:
        raise source.refuse(
            "requirements.egg-not-a-name",
            "#egg= names a package, and nothing else",
            cure="write it like #egg=name, or name @ git+https://...",
        )
    parts = name_and_extras(source, egg["name"], egg["extras"])
    return replace(source, extras=canonical([*source.extras, *parts.extras])), parts.name


def _name_in(filename: str, source: Source) -> str:
    try:
        if filename.lower().endswith(".whl"):
            return str(parse_wheel_filename(filename)[0])
        return str(parse_sdist_filename(filename)[0])
    except InvalidWheelFilename as error:
        raise source.refuse(
            "requirements.not-a-wheel-name",
            "this is not the file name of a wheel",
            cause=first_line(error),
            cure="give the file its own name back: name-1.0-py3-none-any.whl",
        ) from error
    except InvalidSdistFilename:
        return ""  # its build tells


def _path_of(source: Source) -> str:
    from urllib.request import url2pathname

    split = urlsplit(source.place)
    if split.netloc not in {"", "localhost"}:
        raise source.refuse(
            "requirements.file-url-host",
            "a file URL names another machine",
            cause=f"{split.netloc} is read as a host",
            cure=f"write file:///{split.netloc}{split.path}",
        )
    return url2pathname(split.path)


def located(source: Source) -> Path:
    """The path of a place on this machine, whether something is there or not.

    Raises:
        RequirementError: it begins with ~ of a user whose home folder is not known.
    """
    try:
        path = Path(source.place).expanduser()
    except RuntimeError as error:
        raise source.refuse(
            "settings.home-folder-unknown",
            "a home folder is not known",
            cause=str(error),
            cure="write the whole path",
        ) from error
    return Path(
        os.path.normpath(source.folder.absolute() / path)
    )  # links are kept: the name of a link to a wheel counts


# a folder


def _name_of_folder(folder: Path, source: Source) -> str:
    project = folder / "pyproject.toml"
    if project.is_file():
        return _static_name(project, source)
    if (folder / "setup.py").is_file():
        return ""
    fault = hints.wrong_folder(folder)
    raise source.refuse(fault.code, fault.what, cure=fault.cure)


def _static_name(path: Path, source: Source) -> str:
    from coffee_boat.requirements import toml

    try:
        document = toml.load(path)
    except RequirementError as error:
        raise source.refuse(
            error.code,
            error.what,
            cause=f"{error.value}: {error.cause}",
            cure=error.cure,
        ) from error
    name = (
        document.get("project", {}).get("name", "")
        if isinstance(document.get("project"), dict)
        else ""
    )
    return str(canonicalize_name(name)) if isinstance(name, str) else ""
