"""What was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from coffee_boat.errors import Finding
from coffee_boat.model.hidden import Redacted


@dataclass(frozen=True, repr=False)
class Requirement(Redacted):
    """One thing that was asked for, and where.

    `name` is normalized (PEP 503); it is empty for a source whose name only its build tells.
    """

    text: str
    """As it is handed to the resolver: a PEP 508 string, or a path or URL; paths are absolute."""
    name: str = ""
    extras: tuple[str, ...] = ()
    specifier: str = ""
    marker: str = ""
    url: str = ""
    """Where it comes from, if not from an index: https, git+https, file."""
    index: str = ""
    """The URL of the only index that is asked for it, where one is tied to it; it may hold
    credentials."""
    hashes: tuple[str, ...] = ()
    """As "sha256:hex"; one of them must match."""
    editable: bool = False
    local: bool = False
    """True for code of one's own without a build step: it is sent as it lies there."""
    origin: str = ""
    """For people: "add_pip_packages", "requirements.txt:3"."""


@dataclass(frozen=True, repr=False)
class Indexes(Redacted):
    """Where packages come from, and how they are fetched.

    URLs may hold credentials: never print one unredacted.

    None and () mean "not said here": the tools' own configuration then applies.
    """

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    trusted_hosts: tuple[str, ...] = ()
    cert: str | None = None
    """A CA bundle."""
    client_cert: str | None = None
    proxy: str | None = None
    timeout: float = 60.0
    """Seconds without an answer."""
    no_binary: tuple[str, ...] = ()
    only_binary: tuple[str, ...] = ()
    only_binary_said: tuple[str, ...] = field(default=(), compare=False)
    """For people: where that was said."""
    no_binary_said: tuple[str, ...] = field(default=(), compare=False)
    """The same; of requirements files alone."""
    prerelease: bool = False
    torch_backend: str | None = None
    """Which build of torch and its kin: "cpu", "cu128", as uv's --torch-backend."""
    offline: bool = False


@dataclass(frozen=True, repr=False)
class CondaRequirement(Redacted):
    """One conda package that was asked for, and where."""

    text: str
    """A MatchSpec in conda's words, without its channel: "numpy >=2"."""
    name: str
    """As conda has it, lower case."""
    channel: str = ""
    """The one that it must come from: a name or a URL; empty for any of the manifest's.

    The URL may hold credentials.
    """
    origin: str = ""
    """For people: "add_conda_packages", "environment.yml"."""


@dataclass(frozen=True, repr=False)
class Manifest(Redacted):
    """What is wanted: canonical (sorted, merged), before anything is resolved."""

    requirements: tuple[Requirement, ...] = ()
    """Of pip."""
    constraints: tuple[Requirement, ...] = ()
    indexes: Indexes = Indexes()
    """Index options met in requirements files; they add to the settings."""
    findings: tuple[Finding, ...] = ()
    conda: tuple[CondaRequirement, ...] = ()
    channels: tuple[str, ...] = ()
    """Conda channels in the order they are asked: names or URLs, which may hold credentials.

    With any, no others are asked; empty: those of .condarc, else conda-forge.
    """
    requires_python: tuple[tuple[str, str], ...] = ()
    """What projects and scripts say of the Python that they run with, and which: (">=3.11",
    "pyproject.toml")."""

    @property
    def texts(self) -> list[str]:
        """What was asked for, for people; the texts may hold credentials."""
        return [*(r.text for r in self.conda), *(r.text for r in self.requirements)]
