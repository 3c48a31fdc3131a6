"""One run of `uv pip compile`: the files that it reads and writes."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from pathlib import Path

from packaging.utils import canonicalize_name

from coffee_boat._support import home, parse, uv
from coffee_boat._support import limits as _support_limits
from coffee_boat._support.digest import copy_tree, digest_of
from coffee_boat._support.redact import redact
from coffee_boat._support.run import Ran, run
from coffee_boat._support.urls import git_environment
from coffee_boat.errors import LockError, SettingsError
from coffee_boat.model import Finding, Manifest, Requirement, Target, grammar
from coffee_boat.pip import builds, stubs, uv_options
from coffee_boat.pip.lines import bracketed, line, local, location
from coffee_boat.pip.request import Request
from coffee_boat.spark import packages as spark_packages

_TIMEOUT = 3600.0
_TIED = "tied-to-an-index"
"""The name of the project that ties requirements to their indexes."""
_NO_SOURCES = ("UV_NO_SOURCES", "UV_NO_SOURCES_PACKAGE")
"""Variables that let uv ask any index for what is tied to one."""
_UV_PLATFORMS = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)
"""glibc minors that uv's --python-platform knows: a fixed list."""


class Desk:
    """A temporary folder with what uv reads and writes."""

    def __init__(self, request: Request, folder: Path) -> None:
        self._request = request
        self._folder = folder
        self._copies = {
            place: folder / f"copy{number}" / place.name
            for number, place in enumerate(_built_folders(request.manifest))
        }
        self._stubs = stubs.stubs(folder, request.preferred)
        self._provided = {
            name: stubs.stub(folder, name, version) for name, version in request.provided.items()
        }
        for place, copy in self._copies.items():
            copy_tree(place, copy)  # its build leaves files behind

    @property
    def output(self) -> Path:
        """Where uv writes the pylock.toml."""
        return self._folder / "pylock.toml"

    def compile(self, *, override: bool) -> Ran:
        """Run uv.

        A stub for pyspark or py4j is either the only version there is, or (`override`) stands for
        any version that is asked for.
        """
        self._write_preferences()
        # a stub whose version nobody knows would send uv back to old releases that ask for no
        # pyspark
        forced = [name for name in self._stubs if override or name not in self._request.preferred]
        limits = [
            line(r, self._copies)
            for r in self._request.manifest.constraints
            if r.name not in spark_packages.DRIVERS_OWN
        ]
        limits += [
            f"{name} @ {path.as_uri()}"
            for name, path in (*self._stubs.items(), *self._provided.items())
            if name not in forced
        ]
        overrides = [
            f"{name}{bracketed(self._extras_of(name))} @ {self._stubs[name].as_uri()}"
            for name in forced
        ]
        argv = [
            uv.binary(),
            "pip",
            "compile",
            "-",  # the requirements come by stdin
            *self._tied(),
            *self._options(),
            *self._lines("--constraints", limits),
            *self._lines("--overrides", overrides),
        ]
        try:
            return run(
                argv,
                env=self._environment(),
                stdin="\n".join(self.requirements()) + "\n",
                timeout=_TIMEOUT,
            )
        except subprocess.TimeoutExpired as error:
            raise LockError(
                "lock.resolving-timeout",
                "resolving took too long",
                value=f"{_TIMEOUT:.0f} s",
                cause="an index that does not answer",
                cure="try again, or name another index_url",
            ) from error

    def in_users_words(self, text: str) -> str:
        """uv's text with the user's folders in place of our copies; redacted."""
        for place, copy in self._copies.items():
            text = text.replace(copy.as_uri(), place.as_uri()).replace(str(copy), str(place))
        text = text.replace(f"{_TIED} depends on", "you require")
        for path in self._provided.values():
            text = text.replace(path.as_uri(), "conda").replace(path.name, "conda")
        return redact(text)

    def place_of(self, folder: Path) -> Path:
        """The user's folder that a folder in uv's answer stands for."""
        return next((place for place, copy in self._copies.items() if copy == folder), folder)

    def missing_links(self) -> Iterator[Finding]:
        """Folders of wheels that are not there: pip passes over them, uv refuses."""
        for place in self._request.indexes.find_links:
            if _is_missing(place):
                yield Finding(
                    "settings.wheel-folder-missing",
                    "a folder of wheels is not there",
                    value=place,
                    cause="find_links names it",
                    cure="make it, or take it out of find_links / PIP_FIND_LINKS / pip.conf",
                )

    def _options(self) -> list[str]:
        request = self._request
        argv = [
            "--format",
            "pylock.toml",
            "--output-file",
            str(self.output),
            "--no-header",
            f"--python-version={request.target.python}",
            f"--python={request.python}",
        ]
        if request.indexes.torch_backend:
            argv.append(f"--torch-backend={request.indexes.torch_backend}")
        # uv lets a folder that is a source of another one be built as an editable install in spite
        # of --only-binary
        own = [
            f"--no-sources-package={name}"
            for name in request.indexes.only_binary
            if name != builds.ALL and name not in {r.name for r in self._tied_ones()}
        ]
        return [
            *argv,
            *_platform_option(request.target),
            *uv_options.options(request.indexes),
            *own,
        ]

    def _lines(self, option: str, lines: Sequence[str]) -> list[str]:
        """An option whose value is a requirements file, after the user's own files: an option hides
        its variable.
        """
        variable = {"--constraints": "UV_CONSTRAINT", "--overrides": "UV_OVERRIDE"}[option]
        if not lines:
            return []
        path = self._folder / f"{option.strip('-')}.txt"
        path.write_text("\n".join(lines) + "\n", "utf-8")
        return [f"{option}={name}" for name in (*os.environ.get(variable, "").split(), str(path))]

    def _environment(self) -> dict[str, str | None]:
        indexes = self._request.indexes
        there = replace(
            indexes,
            find_links=tuple(place for place in indexes.find_links if not _is_missing(place)),
        )
        return {
            **git_environment(r.url for r in self._request.manifest.requirements),
            **uv_options.environment(there),
            "GIT_OPTIONAL_LOCKS": "0",
            **(dict.fromkeys(_NO_SOURCES) if self._tied_ones() else {}),
        }

    def asks(self) -> bool:
        """True if anything is asked for."""
        return bool(self.requirements() or self._tied_ones())

    def _tied_ones(self) -> list[Requirement]:
        """What one index alone is asked for."""
        return [
            r
            for r in self._request.manifest.requirements
            if r.index and r.name not in spark_packages.DRIVERS_OWN
        ]

    def _tied(self) -> list[str]:
        """A project file that ties requirements to their indexes: no option of uv's can.

        Raises:
            LockError: uv is set to leave sources out, and would ask any index.
        """
        import tomli_w

        tied = self._tied_ones()
        if not tied:
            return []
        said = sorted({*_lets_ask_any({r.name for r in tied})})
        if said:
            raise LockError(
                "lock.sources-switched-off",
                "packages are tied to an index, and uv is set to ask any",
                value=", ".join(sorted(r.name for r in tied)),
                cause=" and ".join(said),
                cure="take it out there, or set UV_NO_CONFIG=1 and unset UV_OVERRIDE",
            )
        # an index of that name in a variable of uv's would take its place: nobody has this one
        names = {r.index: f"tied-{digest_of(r.index)[:16]}" for r in tied}
        document = {
            "project": {
                "name": _TIED,
                "version": "0",
                "dependencies": [r.text for r in tied],
            },
            "tool": {
                "uv": {
                    "sources": {r.name: {"index": names[r.index]} for r in tied},
                    "index": [
                        {"name": name, "url": url, "explicit": True} for url, name in names.items()
                    ],
                }
            },
        }
        path = self._folder / "tied" / "pyproject.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(tomli_w.dumps(document), "utf-8")
        return [str(path)]

    def requirements(self) -> list[str]:
        """What uv is asked for, one a line; of pyspark only its extras matter."""
        kept = [
            line(r, self._copies)
            for r in self._request.manifest.requirements
            if r.name not in spark_packages.DRIVERS_OWN and not r.index
        ]
        own = sorted(
            {
                name + bracketed(self._extras_of(name))
                for name in spark_packages.DRIVERS_OWN
                if self._extras_of(name)
            }
        )
        return kept + own

    def _extras_of(self, name: str) -> tuple[str, ...]:
        return tuple(
            sorted(
                {
                    extra
                    for r in self._request.manifest.requirements
                    if r.name == name
                    for extra in r.extras
                }
            )
        )

    def _write_preferences(self) -> None:
        """uv keeps the versions of an existing output file where they still fit."""
        import tomli_w

        direct = {*(r.name for r in self._request.manifest.requirements if r.url), *self._provided}
        packages = [
            {"name": name, "version": version}
            for name, version in sorted(self._request.preferred.items())
            if name not in direct and grammar.is_version(version)
        ]
        self.output.write_text(
            tomli_w.dumps(
                {"lock-version": "1.0", "created-by": "coffee_boat", "packages": packages}
            ),
            "utf-8",
        )


def _platform_option(target: Target) -> list[str]:
    from coffee_boat._support import host

    if target.architecture in ("x86_64", "aarch64"):
        minor = max(
            (known for known in _UV_PLATFORMS if known <= target.glibc[1]), default=_UV_PLATFORMS[0]
        )
        return ["--python-platform", f"{target.architecture}-manylinux_2_{minor}"]
    if target.architecture == host.architecture():
        return []  # uv asks the interpreter
    cure = (
        "resolve on a machine of that architecture, or give a pylock.toml made for it to add_lock"
    )
    raise SettingsError(
        "settings.uv-foreign-architecture",
        "uv cannot resolve for this architecture from another one",
        value=target.architecture,
        cure=cure,
    )


def _built_folders(manifest: Manifest) -> list[Path]:
    """Wanted folders that only a build can tell the metadata of."""
    places = {
        place for r in manifest.requirements if (place := local(location(r))) and place.is_dir()
    }
    return sorted(place for place in places if not _is_static(place))


def _is_static(project: Path) -> bool:
    try:
        document = parse.toml(
            _support_limits.read_text(project / "pyproject.toml", _support_limits.PROJECT)
        )
    except (OSError, ValueError):
        return False
    table = document.get("project", {})
    return "version" in table and not {"dependencies", "optional-dependencies"} & set(
        table.get("dynamic", ())
    )


def _is_missing(place: str) -> bool:
    path = local(place) if place.startswith("file:") else home.expanded(place)
    return (
        (place.startswith("file:") or "://" not in place) and path is not None and not path.exists()
    )


def _lets_ask_any(tied: Set[str]) -> Iterator[str]:
    """What of uv's settings lets it ask any index for packages: its sources are off, or an override
    stands for what they are asked for with.
    """
    for table in uv.configuration():
        pip = table.get("pip")
        for said in (table, pip if isinstance(pip, dict) else {}):
            named = [key for key in ("no-sources", "no-sources-package") if said.get(key)]
            texts = said.get("override-dependencies")
            if isinstance(texts, list) and tied & set(map(_name_of, texts)):
                named.append("override-dependencies")
            yield from (f"uv's configuration has {key}" for key in named)
    for place in os.environ.get("UV_OVERRIDE", "").split():
        try:
            lines = _support_limits.read_text(
                Path(place), _support_limits.REQUIREMENTS
            ).splitlines()
        except (OSError, ValueError):  # uv says so
            continue
        if tied & set(map(_name_of, lines)):
            yield f"UV_OVERRIDE has {place}"


def _name_of(line: object) -> str:
    text = line.get("name", "") if isinstance(line, dict) else str(line)
    found = re.match(r"\s*([A-Za-z0-9][\w.-]*)", str(text))
    return str(canonicalize_name(found[1])) if found else ""
