"""What was said of a setting -> the value that Settings takes. One reader a kind of value."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from coffee_boat._support import files
from coffee_boat._support.redact import redact
from coffee_boat._support.words import NO, YES
from coffee_boat.errors import SettingsError
from coffee_boat.model import Finding
from coffee_boat.model.hidden import Redacted

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.\-]+:")


@dataclass(frozen=True)
class Found:
    """A file that was looked for in places, rather than named by a person."""

    path: Path
    owners: tuple[int, ...] = ()
    """Uids that are believed as the user is."""


@dataclass(frozen=True, repr=False)
class Source(Redacted):
    """One place where settings are said."""

    label: str
    """For people: a file, or a kind of variable."""
    folder: Path
    """What relative paths are relative to."""
    values: Mapping[str, object]
    textual: bool = False
    """All values are text: variables and pip.conf have no types."""
    forgiving: bool = False
    """What is not there is left out with a Finding, as pip does with its own."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Key -> where exactly, if that is more than the label."""
    file: Found | None = None
    """The file that all of it stands in."""
    of_project: bool = False
    """It came with a project, whose author may be somebody else: it may forbid builds, and allows
    none that the user's own places forbid.
    """
    files: Mapping[str, Found] = field(default_factory=dict)
    """Key -> the file that it stands in, where there are several."""

    def found_in(self, key: str) -> Found | None:
        """The file that a key stands in, if nobody named it."""
        return self.files.get(key, self.file)


@dataclass(frozen=True, repr=False)
class Said(Redacted):
    """One key of a source, on its way to become a value."""

    key: str
    value: object
    source: Source
    findings: list[Finding]
    """What was left out is added here."""

    @property
    def place(self) -> str:
        """Where it was said, for people."""
        return self.source.places.get(self.key) or f"{self.source.label}: {self.key}"

    def error(
        self, code: str, what: str, *, value: object = None, cause: str = "", cure: str
    ) -> SettingsError:
        """An error that names place, key and value, without credentials."""
        shown = self.value if value is None else value
        return SettingsError(
            code,
            what,
            value=redact(f"{self.place} = {shown!r}"),
            cause=cause,
            cure=redact(cure),
        )

    def wrong(self, expected: str, cure: str = "") -> SettingsError:
        """An error for a value of a wrong type."""
        return self.error(
            "settings.value-invalid",
            "a setting cannot be used",
            cause=f"it takes {expected}",
            cure=cure or f"give {expected}",
        )

    def absolute(self, text: str) -> str:
        """A path as the source means it: links are kept."""
        try:
            return os.path.normpath(self.source.folder / files.named(text).expanduser())
        except RuntimeError as error:
            raise self.error(
                "settings.home-folder-unknown",
                "a home folder is not known",
                value=text,
                cause=str(error),
                cure="write the whole path",
            ) from error

    def existing(self, text: str) -> str:
        """A path where something is."""
        path = self.absolute(text)
        if not os.path.exists(path):  # noqa: PTH110  (False where Path.exists raises)
            raise self.error(
                "settings.file-missing",
                "a setting names a file that is not there",
                value=path,
                cure="correct the path, or take the setting out",
            )
        return path


def text(said: Said) -> str:
    """A text with something in it; a path object is one too."""
    value = os.fspath(said.value) if isinstance(said.value, os.PathLike) else said.value
    if not isinstance(value, str) or not value.strip():
        raise said.wrong("a text")
    return value.strip()


def flag(said: Said) -> bool:
    """True or false."""
    if (
        said.source.textual
        and isinstance(said.value, str)
        and said.value.strip().lower() in YES | NO
    ):
        return said.value.strip().lower() in YES
    if not isinstance(said.value, bool):
        raise said.wrong("true or false")
    return said.value


def texts(said: Said) -> tuple[str, ...]:
    """A list of texts; blanks between them where all is text."""
    if said.source.textual and isinstance(said.value, str):
        return tuple(said.value.split())
    if not isinstance(said.value, (list, tuple)):
        raise said.wrong(
            "a list of texts", cure=f"write [{said.value!r}]" if isinstance(said.value, str) else ""
        )
    return tuple(text(replace(said, value=part)) for part in said.value)


def names(said: Said) -> tuple[str, ...]:
    """Normalized names, as pip's --no-binary takes them: :all: for every package, :none: to begin
    anew.
    """
    from packaging.utils import canonicalize_name, is_normalized_name

    listed = texts(
        replace(said, value=said.value.replace(",", " "))
        if said.source.textual and isinstance(said.value, str)
        else said
    )
    after_none = (
        listed[len(listed) - listed[::-1].index(":none:") :] if ":none:" in listed else listed
    )
    for name in after_none:
        if name != ":all:" and not is_normalized_name(canonicalize_name(name)):
            raise said.error(
                "settings.package-name-invalid",
                "a name of a package cannot be read",
                value=name,
                cause="names have letters, digits, and -_. between them",
                cure='write names, or ":all:"',
            )
    return tuple(
        name if name.startswith(":") else str(canonicalize_name(name)) for name in after_none
    )


def seconds(said: Said) -> float:
    """A finite number, not below 0."""
    try:
        number = (
            float(said.value) if said.source.textual and isinstance(said.value, str) else said.value
        )
    except ValueError:
        number = None
    if (
        isinstance(number, bool)
        or not isinstance(number, (int, float))
        or not 0 <= number < float("inf")
    ):
        raise said.wrong("a number of seconds")
    return float(number)


def bytecode(said: Said) -> str:
    """What is compiled beforehand."""
    if said.value not in ("base", "all"):
        raise said.wrong('"base" or "all"')
    return str(said.value)


def node_store(said: Said) -> str:
    """A word for who unpacks, or a folder on nodes: nothing of this machine."""
    if isinstance(said.value, bool):
        return "on" if said.value else "off"
    value = said.value.strip() if isinstance(said.value, str) else ""
    if value.lower() in YES | NO:
        return "on" if value.lower() in YES else "off"
    if value.lower() in ("auto", "application"):
        return value.lower()
    if not value.startswith("/") or "\0" in value:
        raise said.wrong('"auto", "off", "application", "on", or an absolute path on the nodes')
    return value


def torch_backend(said: Said) -> str:
    """As uv's --torch-backend has it; which there are, uv knows."""
    value = text(said)
    if not re.fullmatch(r"auto|cpu|xpu|cu\d+|rocm[\d.]+", value):
        raise said.error(
            "settings.unknown-torch-backend",
            "there is no such build of torch",
            cause="torch is built for the processor alone, for versions of CUDA and of ROCm",
            cure='torch_backend="cpu", "cu128", "rocm6.4"',
        )
    return value


def refusal(said: Said) -> str:
    """What becomes of what does not fit."""
    if said.value not in ("refuse", "warn"):
        raise said.wrong('"refuse" or "warn"')
    return str(said.value)


def interpreter(said: Said) -> str:
    """A version, or a path."""
    if isinstance(said.value, float):
        raise said.wrong(
            "a text",
            cure='write it in quotes, as python = "3.11": without them, 3.10 is the number 3.1',
        )
    value = text(said)
    return said.absolute(value) if "/" in value or value.startswith("~") else value


def path(said: Said) -> str:
    """An absolute path; nothing need be there."""
    value = text(said)
    if files.is_remote(value):
        raise said.error(
            "settings.folder-elsewhere",
            "a setting takes a folder of this machine",
            cause="it is a URL; what is built lies in a local folder, and is sent from there",
            cure="leave it out, or name a folder; the place that executors fetch archives from is"
            f" another setting: stage={value!r}",
        )
    return said.absolute(value)


def place(said: Said) -> str:
    """A URL, or an absolute path; nothing need be there."""
    value = text(said)
    return value if _SCHEME.match(value) else said.absolute(value)


def file(said: Said) -> str:
    """An absolute path where something is."""
    return said.existing(text(said))


def url(said: Said) -> str:
    """The URL of an index."""
    value = text(said)
    if not re.match(r"(https?|file)://\S", value):
        host = re.match(r"[\w.\-]+\.\w+(/|$)", value)
        cure = (
            f"write https://{value}"
            if host
            else "write https://..., or name a folder of wheels in find_links"
        )
        raise said.error(
            "settings.index-not-a-url",
            "an index is named by a URL",
            value=value,
            cause="it begins with neither https:// nor file://",
            cure=cure,
        )
    return value


def urls(said: Said) -> tuple[str, ...]:
    """The URLs of indexes."""
    return tuple(url(replace(said, value=value)) for value in texts(said))


def proxy(said: Said) -> str:
    """With a scheme, as requests would add it; only then can credentials be told from the rest."""
    value = text(said)
    return value if "://" in value else f"http://{value}"


def links(said: Said) -> tuple[str, ...]:
    """Folders of wheels: URLs, and absolute paths where something is."""
    return tuple(found for value in texts(said) if (found := _link(value, said)))


def _link(value: str, said: Said) -> str:
    if files.is_remote(value):
        if not value.lower().startswith(("http://", "https://")):
            raise said.error(
                "settings.folder-elsewhere",
                "a setting takes a folder of this machine",
                value=value,
                cause="wheels are read from a local folder, or from a page of links by https",
                cure="copy them to a folder, and name that",
            )
        return value
    local = said.absolute(value.removeprefix("file:").removeprefix("//"))
    if os.path.exists(local) or not said.source.forgiving:  # noqa: PTH110  (False where Path.exists raises)
        return said.existing(local)
    said.findings.append(
        Finding(
            "settings.wheel-folder-missing",
            "a folder of wheels is not there",
            value=f"{local} ({said.place})",
            cause="pip passes over it as well",
            cure="correct the path, or take the setting out",
        )
    )
    return ""


def existing_files(said: Said) -> tuple[str, ...]:
    """Files of constraints: absolute paths where something is."""
    return tuple(said.existing(value) for value in texts(said) if not _is_remote(value, said))


def _is_remote(value: str, said: Said) -> bool:
    if not _SCHEME.match(value):
        return False
    if not said.source.forgiving:
        raise said.error(
            "settings.constraints-by-url",
            "a file of constraints is named by a URL",
            value=value,
            cure="download it, and name the file",
        )
    said.findings.append(
        Finding(
            "settings.constraints-not-used",
            "constraints are not used",
            value=redact(f"{value} ({said.place})"),
            cause="files of constraints are read from this machine only",
            cure="download it, and set constraints = [file]",
        )
    )
    return True
