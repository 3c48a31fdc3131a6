"""Manifest + Target -> Lock, by uv.

uv resolves for the executors' Python and platform, not for the driver's, and writes a pylock.toml;
of the wheels that it lists the one that fits the target best is pinned. With extra indexes uv takes
a package from the first index that has the name, where pip takes the best version of all: uv's rule
keeps a stranger on a public index from replacing a package of the company's own, and stays.

What was resolved once is kept in the store and taken as it is while it is young, or while no index
can be reached. Then no process is started. A branch or a tag may have moved on: what came from one
is asked for again.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from coffee_boat import _builds, _limits, _parse, _uv
from coffee_boat._credentials import git_environment, without_credentials
from coffee_boat._digest import copy_tree, file_digest, file_state, tree_digest
from coffee_boat._files import local_path_or_none
from coffee_boat._run import Ran, redact, run
from coffee_boat._store import Store
from coffee_boat.errors import LockError, SettingsError, StoreError
from coffee_boat.lock import explain, formats, spark
from coffee_boat.model import Finding, Indexes, Lock, Manifest, Pin, Requirement, Target, digest_of

Guess = Callable[[], "Lock | None"]

_LAYOUT = 1
"""Of what is remembered: another number forgets all."""
_TIMEOUT = 3600.0
_UV_PLATFORMS = (17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)
"""glibc minors that uv's --python-platform knows: a fixed list."""


def resolve(
    manifest: Manifest,
    target: Target,
    *,
    python: str,
    preferred: Mapping[str, str],
    indexes: Indexes,
    store: Store,
    max_age: float,
    say: Callable[[str], None],
    provided: Mapping[str, str] | None = None,
    meanwhile: Callable[[Guess], object] = lambda _: None,
) -> Lock:
    """Choose a version and a file of everything that is wanted and of all that it needs.

    Args:
        manifest: evaluated for the target.
        python: an interpreter of the target's minor version; asks source distributions for their
            metadata.
        preferred: normalized name -> version that the driver runs; taken where the requirements
            allow it.
        indexes: all of them: the settings with those of the manifest already among them.
        max_age: seconds for which an earlier answer is taken as it is.
        say: takes one line about what is being done.
        provided: normalized name -> version of distributions that conda packages bring: they meet
            what is asked for, bound it, and are not pinned.
        meanwhile: called when an index is about to be asked, with what tells the answer that is to
            be expected: for work that may be begun in advance.

    Raises:
        LockError: no set of versions serves all requirements, an index cannot be reached, a source
            distribution cannot say what it needs, or may not be asked (`only_binary`).
        StoreError: nothing is known, and the store cannot be written.
    """
    request = _Request(
        manifest,
        target,
        python,
        preferred,
        indexes,
        {
            name: version
            for name, version in (provided or {}).items()
            if name not in spark.DRIVERS_OWN
        },
    )
    if not manifest.requirements:
        return Lock(target)
    named = (*manifest.requirements, *manifest.constraints)
    _builds.refuse_wanted((replace(r, url=_location(r)) for r in named), indexes, LockError)
    key = request.key()
    known = _recall(store, key, request)
    if known is not None and known.stands(max_age):
        return known.lock
    if known is not None and known.exact and request.indexes.offline:
        return known.aged("offline=True")

    def asking() -> None:
        say(
            f"resolving {len(manifest.requirements)} requirements for Python {target.python} on"
            f" {target.platform}"
        )
        if not (indexes.offline or indexes.no_index):
            meanwhile(partial(_guess, request) if known is None else (lambda: known.lock))

    try:
        return _ask_alone(request, key, store, max_age, asking)
    except StoreError as error:
        if known is None:
            raise
        return known.aged(error.what, cure=error.cure)


@dataclass(frozen=True)
class _Request:
    """Everything that the answer depends on."""

    manifest: Manifest
    target: Target
    python: str
    preferred: Mapping[str, str]
    indexes: Indexes
    provided: Mapping[str, str]

    def key(self) -> dict[str, Any]:
        """What an answer is remembered under; URLs and settings enter as digests, for they may hold
        credentials.
        """
        wanted = [[r.text, r.url, list(r.hashes), r.editable] for r in self.manifest.requirements]
        limits = [[r.text, r.url, list(r.hashes)] for r in self.manifest.constraints]
        return {
            "layout": _LAYOUT,
            "wanted": digest_of([wanted, limits]),
            "content": _content(self.manifest, self.indexes),
            "target": [self.target.python, self.target.platform],
            "indexes": digest_of([_described(self.indexes), _surroundings()]),
            **({"provided": dict(self.provided)} if self.provided else {}),
        }

    def preference(self, name: str) -> str:
        """The version that the driver has; empty if it has none."""
        return self.preferred.get(name, "")


@dataclass(frozen=True)
class _Known:
    """An earlier answer."""

    lock: Lock
    made: float
    """Seconds since the epoch."""
    exact: bool
    """False if the driver has other versions now: the answer serves, but is not the one that would
    be given today.
    """
    moving: bool
    """True if it holds a commit that no requirement names: a branch's or a tag's, which may be
    another by now.
    """

    @property
    def age(self) -> float:
        """Seconds."""
        return max(0.0, time.time() - self.made)

    def stands(self, max_age: float) -> bool:
        """True if it need not be asked for again."""
        return self.exact and not self.moving and self.age <= max_age

    def aged(
        self,
        cause: str,
        *,
        cure: str = "newer releases are looked for once the index can be reached",
    ) -> Lock:
        """The lock, with a Finding that names its age."""
        value = f"{duration(self.age)} old" + (
            "" if self.exact else ", and chosen for other versions on the driver"
        )
        finding = Finding(
            "an earlier resolution is used as it is", value, cause=cause, cure=cure, severity="note"
        )
        return replace(self.lock, findings=(*self.lock.findings, finding))


def _recall(store: Store, key: Mapping[str, Any], request: _Request) -> _Known | None:
    value = store.recall("lock", key)
    if not isinstance(value, dict) or not {"pylock", "made", "preferred", "findings"} <= {*value}:
        return None  # not there, or not what we wrote
    lock = _remembered(value["pylock"], request)
    if lock is None or any(map(_has_changed, lock.pins)):
        return None
    changed = _other_preferences(value["preferred"], lock, request)
    if changed.intersection(
        spark.DRIVERS_OWN
    ):  # no preferences: the answer may not go with another pyspark
        return None
    findings = tuple(Finding(**finding) for finding in value["findings"])
    return _Known(
        replace(lock, findings=findings),
        value["made"],
        exact=not changed,
        moving=_is_moving(lock, request.manifest),
    )


def _remembered(text: str, request: _Request) -> Lock | None:
    try:
        lock = formats.read(text, request.target)
    except LockError:  # a folder of it is gone
        return None
    return replace(lock, pins=tuple(_with_query(pin, request.manifest) for pin in lock.pins))


def _other_preferences(earlier: Mapping[str, str], lock: Lock, request: _Request) -> set[str]:
    """Names of which the driver has neither what it had nor what was chosen.

    Its other packages may come and go.
    """
    chosen = {pin.name: pin.version for pin in lock.pins}
    return {
        name
        for name, version in earlier.items()
        if request.preference(name) not in (version, chosen.get(name))
    }


def _has_changed(pin: Pin) -> bool:
    """True for a folder or file that was edited since; the manifest may not name it (`path` in
    [tool.uv.sources]).
    """
    place = _local(pin.url) if pin.direct else None
    return place is not None and (not place.exists() or _digest(place) != pin.sha256)


def _is_moving(lock: Lock, manifest: Manifest) -> bool:
    named = " ".join(_location(r) for r in (*manifest.requirements, *manifest.constraints)).lower()
    return any(pin.kind == "vcs" and pin.commit not in named for pin in lock.pins)


def _with_query(pin: Pin, manifest: Manifest) -> Pin:
    """The pin with the query that only the manifest may hold: it can be a token."""
    if not pin.direct or pin.kind in ("directory", "vcs"):
        return pin
    urls = (_location(r) for r in (*manifest.requirements, *manifest.constraints))
    query = next((urlsplit(url).query for url in urls if _same_place(url, pin.url)), "")
    return replace(pin, url=urlsplit(pin.url)._replace(query=query).geturl()) if query else pin


def _remember(store: Store, key: Mapping[str, Any], request: _Request, lock: Lock) -> None:
    """Keep the answer if it can be kept: the stages that must write say so themselves."""
    text = formats.write(lock)
    again = _remembered(text, request)
    if again is None or [pin.url for pin in again.pins] != [pin.url for pin in lock.pins]:
        return  # it needs a query that is not the manifest's
    names = {*(pin.name for pin in lock.pins if not pin.direct), *spark.DRIVERS_OWN}
    value = {
        "made": time.time(),
        "preferred": {name: request.preference(name) for name in sorted(names)},
        "pylock": text,
        "findings": [vars(finding) for finding in lock.findings],
    }
    with suppress(StoreError):
        store.remember("lock", key, value)


def _ask_alone(
    request: _Request,
    key: Mapping[str, Any],
    store: Store,
    max_age: float,
    asking: Callable[[], None],
) -> Lock:
    """Ask uv, unless another process does so meanwhile."""
    started = time.time()
    with store.lock(f"resolve {digest_of(key)}"):
        known = _recall(store, key, request)
        if known is not None and (known.stands(max_age) or (known.exact and known.made >= started)):
            return known.lock
        asking()
        return _ask(request, key, store, known)


def _ask(request: _Request, key: Mapping[str, Any], store: Store, known: _Known | None) -> Lock:
    """Ask uv; an earlier answer serves where the index does not."""
    try:
        lock = _resolved(request)
    except explain.UnreachableError as error:
        if known is None:
            raise
        return known.aged(error.what)
    _remember(store, key, request, lock)
    return lock


def _guess(request: _Request) -> Lock | None:
    """What uv would choose by what it knows already; None if it knows too little, or would have to
    build something to tell.
    """
    if any(map(_location, request.manifest.requirements)):
        return None
    known = replace(request.indexes, offline=True, only_binary=(":all:",))
    try:
        return _resolved(replace(request, indexes=known))
    except LockError:
        return None


# asking uv


def _resolved(request: _Request) -> Lock:
    with tempfile.TemporaryDirectory(prefix="coffee_boat-lock-") as name:
        desk = _Desk(request, Path(name).resolve())
        findings = [*desk.missing_links(), *_spark_findings(request), *_provided_findings(request)]
        if not desk.requirements():
            return Lock(request.target, findings=tuple(findings))
        ran = desk.compile(override=False)
        if ran.code and re.search(r"\b(pyspark|py4j)\b", ran.stderr):
            first = explain.cleaned(desk.in_users_words(ran.stderr))
            ran = desk.compile(override=True)
            findings += [] if ran.code else [_disagrees(first)]
        if ran.code:
            raise _explained(desk.in_users_words(ran.tail), request)
        pins = _pins(request, desk)
        return Lock(
            request.target,
            _wanted_only(pins, request.provided),
            (*findings, *_dragged_in(request, pins), *_warnings(desk.in_users_words(ran.stderr))),
        )


class _Desk:
    """A temporary folder with what uv reads and writes."""

    def __init__(self, request: _Request, folder: Path) -> None:
        self._request = request
        self._folder = folder
        self._copies = {
            place: folder / f"copy{number}" / place.name
            for number, place in enumerate(_built_folders(request.manifest))
        }
        self._stubs = spark.stubs(folder, request.preferred)
        self._provided = {
            name: spark.stub(folder, name, version) for name, version in request.provided.items()
        }
        for place, copy in self._copies.items():
            copy_tree(place, copy)  # its build leaves files behind

    @property
    def output(self) -> Path:
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
            _line(r, self._copies)
            for r in self._request.manifest.constraints
            if r.name not in spark.DRIVERS_OWN
        ]
        limits += [
            f"{name} @ {path.as_uri()}"
            for name, path in (*self._stubs.items(), *self._provided.items())
            if name not in forced
        ]
        overrides = [
            f"{name}{_extras(self._extras_of(name))} @ {self._stubs[name].as_uri()}"
            for name in forced
        ]
        argv = [
            _uv.binary(),
            "pip",
            "compile",
            "-",  # the requirements come by stdin
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
                "resolving took too long",
                value=f"{_TIMEOUT:.0f} s",
                cause="an index that does not answer",
                cure="try again, or name another index_url",
            ) from error

    def in_users_words(self, text: str) -> str:
        """uv's text with the user's folders in place of our copies; redacted."""
        for place, copy in self._copies.items():
            text = text.replace(copy.as_uri(), place.as_uri()).replace(str(copy), str(place))
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
                    "a folder of wheels is not there",
                    place,
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
        # uv lets a folder that is a source of another one be built as an editable install in spite
        # of --only-binary
        own = [
            f"--no-sources-package={name}"
            for name in request.indexes.only_binary
            if name != _builds.ALL
        ]
        return [*argv, *_platform_option(request.target), *_uv.options(request.indexes), *own]

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
            **_uv.environment(there),
            "GIT_OPTIONAL_LOCKS": "0",
        }

    def requirements(self) -> list[str]:
        """What uv is asked for, one a line; of pyspark only its extras matter."""
        kept = [
            _line(r, self._copies)
            for r in self._request.manifest.requirements
            if r.name not in spark.DRIVERS_OWN
        ]
        own = sorted(
            {
                name + _extras(self._extras_of(name))
                for name in spark.DRIVERS_OWN
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
            if name not in direct and _is_version(version)
        ]
        self.output.write_text(
            tomli_w.dumps(
                {"lock-version": "1.0", "created-by": "coffee_boat", "packages": packages}
            ),
            "utf-8",
        )


def _line(requirement: Requirement, copies: Mapping[Path, Path]) -> str:
    """One line of a requirements file.

    Git URLs go without credentials: uv would put them on git's command line.
    """
    url = _location(requirement)
    if not url:
        return requirement.text
    if url.startswith("git+"):
        url = without_credentials(url)
    place = _local(url)
    if place is not None and place in copies:
        url = copies[place].as_uri() + (
            "#" + urlsplit(url).fragment if urlsplit(url).fragment else ""
        )
    return (
        f"{requirement.name}{_extras(requirement.extras)} @ {url}"
        if requirement.name
        else f"{url}{_extras(requirement.extras)}"
    )


def _location(requirement: Requirement) -> str:
    """The URL of a requirement that does not come from an index; empty for one that does."""
    if requirement.url:
        return requirement.url
    text = requirement.text
    if Path(text).is_absolute():
        return Path(text).as_uri()
    return text if re.match(r"[a-z+]+://", text) else ""


def _local(url: str) -> Path | None:
    path = local_path_or_none(url)
    return None if path is None else path.resolve()


def _extras(extras: Sequence[str]) -> str:
    return f"[{','.join(extras)}]" if extras else ""


def _platform_option(target: Target) -> list[str]:
    from coffee_boat import _host

    if target.architecture in ("x86_64", "aarch64"):
        minor = max(
            (known for known in _UV_PLATFORMS if known <= target.glibc[1]), default=_UV_PLATFORMS[0]
        )
        return ["--python-platform", f"{target.architecture}-manylinux_2_{minor}"]
    if target.architecture == _host.architecture():
        return []  # uv asks the interpreter
    cure = (
        "resolve on a machine of that architecture, or give a pylock.toml made for it to add_lock"
    )
    raise SettingsError(
        "uv cannot resolve for this architecture from another one",
        value=target.architecture,
        cure=cure,
    )


def _built_folders(manifest: Manifest) -> list[Path]:
    """Wanted folders that only a build can tell the metadata of."""
    places = {
        place for r in manifest.requirements if (place := _local(_location(r))) and place.is_dir()
    }
    return sorted(place for place in places if not _is_static(place))


def _is_static(project: Path) -> bool:
    try:
        document = _parse.toml(_limits.read_text(project / "pyproject.toml", _limits.PROJECT))
    except (OSError, ValueError):
        return False
    table = document.get("project", {})
    return "version" in table and not {"dependencies", "optional-dependencies"} & set(
        table.get("dynamic", ())
    )


def _is_version(text: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return bool(Version(text))
    except InvalidVersion:
        return False


def _is_missing(place: str) -> bool:
    path = _local(place) if place.startswith("file:") else Path(place).expanduser()
    return (
        (place.startswith("file:") or "://" not in place) and path is not None and not path.exists()
    )


# reading the answer


def _pins(request: _Request, desk: _Desk) -> tuple[Pin, ...]:
    document = _parse.toml(desk.output.read_text("utf-8"))
    allowed = _hashes(request.manifest)
    for package in document.get("packages", ()):
        _restrict(package, allowed.get(package["name"], frozenset()))
        if folder := package.get("directory"):
            folder["path"] = str(desk.place_of((desk.output.parent / folder["path"]).resolve()))
    pins = formats.pins_of(document, request.target, desk.output.parent, name="uv's answer")
    return tuple(_named(pin, request.manifest) for pin in pins)


def _hashes(manifest: Manifest) -> dict[str, frozenset[str]]:
    """Name -> the hashes that the user allows, for those that have some."""
    allowed: dict[str, set[str]] = {}
    for r in (*manifest.requirements, *manifest.constraints):
        if r.name and r.hashes:
            allowed.setdefault(r.name, set()).update(r.hashes)
    return {name: frozenset(hashes) for name, hashes in allowed.items()}


def _restrict(package: dict[str, Any], allowed: frozenset[str]) -> None:
    """Leave only files with an allowed hash: uv takes note of --hash, but does not check it while
    it compiles.
    """
    if not allowed or "vcs" in package or "directory" in package:
        return
    files = {kind: package.pop(kind) for kind in ("wheels", "sdist", "archive") if kind in package}
    package |= {
        kind: [f for f in found if _matches(f, allowed)] if kind == "wheels" else found
        for kind, found in files.items()
        if kind == "wheels" or _matches(found, allowed)
    }
    if not any(package.get(kind) for kind in files):
        raise LockError(
            f"no file of {package['name']} {package.get('version', '')} for the executors has one"
            " of the hashes that were given",
            value=", ".join(sorted(allowed)[:3]),
            cause=(
                "the hashes are of another version, of another platform's wheel, or the file was"
                " changed"
            ),
            cure=(
                "list the hashes of all files of that version, as `uv pip compile"
                " --generate-hashes` does"
            ),
        )


def _matches(file: Mapping[str, Any], allowed: frozenset[str]) -> bool:
    return any(f"{kind}:{value}" in allowed for kind, value in file["hashes"].items())


def _named(pin: Pin, manifest: Manifest) -> Pin:
    """The pin with what only the manifest knows: whether the user named it, and how."""
    mine = [
        r
        for r in manifest.requirements
        if r.name == pin.name or (not r.name and _same_place(_location(r), pin.url))
    ]
    return replace(
        pin,
        requested=bool(mine),
        editable=pin.kind == "directory" and any(r.editable for r in mine),
    )


def _same_place(url: str, pinned: str) -> bool:
    def bare(text: str) -> str:
        parts = urlsplit(without_credentials(text))
        path = unquote(parts.path).rstrip("/")
        return f"{parts.scheme}://{parts.netloc}{path}"

    return bare(pinned) in (bare(url), bare(url).rpartition("@")[0])


def _wanted_only(pins: Sequence[Pin], provided: Mapping[str, str]) -> tuple[Pin, ...]:
    return tuple(
        pin for pin in pins if pin.name not in spark.DRIVERS_OWN and pin.name not in provided
    )


def _explained(text: str, request: _Request) -> LockError:
    """The error that uv's words stand for; where a conda package is one of the two sides, it says
    so.
    """
    error = explain.error(text, request.target)
    sides = [
        name
        for name in request.provided
        if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text)
    ]
    if not sides or isinstance(error, explain.UnreachableError):
        return error
    named = ", ".join(f"{name} {request.provided[name]}" for name in sides)
    asked = [f"{r.text} ({r.origin})" for r in request.manifest.requirements if r.name in sides]
    return LockError(
        "what pip is asked for does not go with the conda packages",
        value="\n".join(
            [error.value, f"  of conda: {named}", *(f"  of pip: {redact(line)}" for line in asked)]
        ),
        cause="conda's packages are chosen first, and pip must not overwrite their files",
        cure=(
            f'bound the conda side by what pip needs, as captain.add_conda_packages("{sides[0]}'
            f" <...\"), loosen pip's side, or leave {sides[0]} to one of the two"
        ),
    )


def _provided_findings(request: _Request) -> Iterator[Finding]:
    for r in request.manifest.requirements:
        if r.name in request.provided and r.extras:
            cause = (
                f"{r.name} {request.provided[r.name]} is a conda package, and conda packages have"
                " no extras"
            )
            yield Finding(
                "extras are not taken",
                f"{r.text} ({r.origin})",
                cause,
                "name what the extra stands for, with captain.add_conda_packages or"
                " add_pip_packages",
            )


def _spark_findings(request: _Request) -> list[Finding]:
    return [
        spark.asked_for(r, request.preferred)
        for r in request.manifest.requirements
        if r.name in spark.DRIVERS_OWN
    ]


def _dragged_in(request: _Request, pins: Sequence[Pin]) -> list[Finding]:
    """pyspark came in through another package (py4j comes with it: not worth a word)."""
    asked = {r.name for r in request.manifest.requirements}
    if asked & set(spark.DRIVERS_OWN):
        return []
    return [
        spark.not_locked(pin.name, "another package needs it")
        for pin in pins
        if pin.name in ("pyspark", "pyspark-client")
    ]


def _disagrees(explanation: str) -> Finding:
    return Finding(
        "a package asks for another pyspark than the driver's own, which travels in every archive",
        " ".join(explanation.split()),
        cause="the package was made for another Spark",
        cure=(
            "ask for a version of the package that fits the driver's pyspark, or see whether it"
            " works as it is"
        ),
    )


def _warnings(stderr: str) -> Iterator[Finding]:
    """uv's own warnings: yanked releases, unknown extras.

    What it says of its build interpreter is ours to know.
    """
    for line in stderr.splitlines():
        if line.startswith("warning: ") and "to build dependencies" not in line:
            yield Finding("uv warns", line.removeprefix("warning: ").rstrip("."))


# what the answer depends on


def _content(manifest: Manifest, indexes: Indexes) -> list[list[str]]:
    """Digests of everything local: what lies in a folder may change under its name."""
    places = {
        place
        for r in (*manifest.requirements, *manifest.constraints)
        if (place := _local(_location(r))) is not None
    }
    found = [[str(place), _digest(place)] for place in sorted(places) if place.exists()]
    return found + [
        [_place_digest(place), _listing(place)]
        for place in indexes.find_links
        if "://" not in place or place.startswith("file:")
    ]


def _digest(place: Path) -> str:
    return tree_digest(place) if place.is_dir() else file_digest(place)


def _place_digest(place: str) -> str:
    return hashlib.sha256(place.encode()).hexdigest()


def _listing(place: str) -> str:
    folder = _local(place) if place.startswith("file:") else Path(place).expanduser()
    if folder is None or not folder.exists():
        return ""
    files = sorted(folder.iterdir()) if folder.is_dir() else [folder]
    return digest_of([file_state(path) for path in files])


def _described(indexes: Indexes) -> dict[str, Any]:
    """The settings that decide what is found; how it is fetched (timeout, proxy) and whether
    (offline) does not.
    """
    fields = (
        "index_url",
        "extra_index_urls",
        "find_links",
        "no_index",
        "no_binary",
        "only_binary",
        "prerelease",
    )
    return {field: getattr(indexes, field) for field in fields}


def _surroundings() -> dict[str, Any]:
    """uv's own configuration that is in force here."""
    ignored = {
        "UV_CACHE_DIR",
        "UV_OFFLINE",
        "UV_HTTP_TIMEOUT",
        "UV_HTTP_RETRIES",
        "UV_NO_PROGRESS",
        "UV_CONCURRENT_DOWNLOADS",
    }
    variables = {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith("UV_") and name not in ignored
    }
    return {"variables": variables, "files": repr(_uv.configuration())}


def duration(seconds: float) -> str:
    """For people: "3 hours"."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
