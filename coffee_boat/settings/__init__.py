"""What a user or a platform team decided, from wherever it was said.

Strongest first:

    1. arguments                    Captain(python="3.11")
    2. COFFEE_BOAT_* variables      COFFEE_BOAT_PYTHON=3.11; lists with blanks between, flags as
                                    1/0, true/false, yes/no, on/off
    3. the project                  [tool.coffee_boat] in the nearest pyproject.toml that has it,
                                    from the working directory upwards
    4. the user's file              ~/.config/coffee_boat/config.toml (platformdirs'
                                    user_config_dir)
    5. uv's and pip's own           UV_OFFLINE; PIP_* and pip.conf, for what says where packages
                                    come from
    6. defaults

A key is taken whole from the strongest place that says it. What decides what is run, trusted or
fetched from is taken only from files that nobody but the user and root may write
(_support/trust.py). Relative paths in a file are relative to that file. Where uv's own
configuration names indexes (UV_INDEX_URL, UV_DEFAULT_INDEX, UV_INDEX, UV_EXTRA_INDEX_URL, uv.toml,
[tool.uv]), what pip's says about indexes is left aside and `Indexes.index_url` stays None: uv then
applies its own. The same for UV_FIND_LINKS and pip's find-links.

    __init__.py    the values and the door      keys.py      which keys there are
    sources.py     the places above, in order   values.py    what their values may be
    excluded.py    the words of `exclude`
    pipconf.py     pip's configuration          uvconf.py    uv's, as far as it matters
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from coffee_boat._support.logs import logger
from coffee_boat._support.redact import redact
from coffee_boat.errors import RequirementError, SettingsError
from coffee_boat.model import Finding, Indexes

if TYPE_CHECKING:
    from coffee_boat.settings.values import Said, Source

__all__ = ["Settings", "combine", "load", "misspelt", "places_of"]

_log = logger(__name__)
CONDA = "conda"
"""As `python`: conda's, also where no other conda package is asked for."""
AUTO = "auto"
"""As `platform`: what the cluster says of its nodes, where it can be asked before building. As
`node_store`: as APPLICATION, for a session that starts in this process, where that is known to be
sooner; else as OFF.
"""
OFF, APPLICATION, ON = "off", "application", "on"
"""As `node_store`: Spark unpacks; or the executors of an application do, once a node where Spark
gives them a common folder; or for all applications, in the folder that each node finds best.
"""


@dataclass(frozen=True, repr=False)
class Settings:
    """All that can be set. Paths are absolute."""

    store: str | None = None
    """Folder for what was built; None: Store's own default."""
    python: str | None = None
    """The interpreter to ship: "3.11", a path, or CONDA; None: the driver's, or for nodes of
    another machine a standalone build.
    """
    ship_python: bool = True
    platform: str | None = None
    """What the nodes are, in pip's words: "manylinux_2_28_x86_64", or AUTO; None: as the driver."""
    indexes: Indexes = field(default_factory=Indexes)
    install_local: bool = True
    stage: str | None = None
    """A folder or URL that executors can read; None: Spark's own file server."""
    bytecode: Literal["base", "all"] = "base"
    """What is compiled beforehand: the standard library and pyspark, or every package too."""
    node_store: str = AUTO
    """Who unpacks the environment, and where: AUTO, OFF, APPLICATION, ON, or a folder of the nodes,
    absolute.
    """
    exclude: tuple[str, ...] = ()
    """What stays behind of packages: groups, patterns, names of packages (model/excluded.py)."""
    preflight: Literal["refuse", "warn"] = "refuse"
    """What becomes of a launch that its cluster cannot serve, as far as we know."""
    untested_python: Literal["refuse", "warn"] = "warn"
    """What becomes of a Spark and a Python that nobody says to run together."""
    lock_max_age: float = 86400.0
    """Seconds that a resolution is taken as it is, before the index is asked again."""
    class_data: bool = False
    """Spark's classes are written to a file in the store, which the driver's JVM maps."""
    accept_conda_license: bool = False
    constraints: tuple[str, ...] = ()
    """Files of constraints, absolute; for requirements.read_constraints."""

    def __repr__(self) -> str:
        said = ", ".join(f"{part.name}={getattr(self, part.name)!r}" for part in fields(self))
        return redact(f"Settings({said})")


def load(
    arguments: Mapping[str, object],
    *,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> tuple[Settings, tuple[Finding, ...]]:
    """All settings, and what was odd about them.

    Args:
        arguments: by key; None means "not given".
        folder: where the search for a pyproject.toml begins, and what relative paths in arguments
            and variables are relative to;
            default: the working directory.
        environ: default: the process's environment.

    Raises:
        SettingsError: a key that does not exist, a value of a wrong type, a file that is not there,
        or one that others may write, with a key that decides what is run or fetched.
        Names the place and the key.
    """
    from coffee_boat.settings import keys
    from coffee_boat.settings.values import Said

    environ = os.environ if environ is None else environ
    places, findings = _places(arguments, folder, environ)
    values: dict[str, Any] = {}
    for source in places:
        for key in source.values:
            if key not in values:
                values[key] = keys.convert(key, source, findings, environ)
    said = _wheels_only(places, environ)
    if said:
        values["only_binary"] = tuple(dict.fromkeys(name for names, _ in said for name in names))
        values["only_binary_said"] = tuple(
            Said("only_binary", None, source, []).place for _, source in said
        )
        _keep_only_binary(values, said, places, findings)
    for key, value in values.items():
        if (place := _place(key, places)) is not None:
            _log.info("setting %s = %r, by %s", key, value, place)
    index_keys = {part.name for part in fields(Indexes)}
    indexes = Indexes(**{key: value for key, value in values.items() if key in index_keys})
    return Settings(
        indexes=indexes, **{key: value for key, value in values.items() if key not in index_keys}
    ), tuple(findings)


def misspelt(environ: Mapping[str, str] | None = None) -> tuple[Finding, ...]:
    """Variables of ours that name no setting; `load` finds them, too.

    Args:
        environ: default: the process's environment.
    """
    from coffee_boat.settings import sources

    return tuple(sources.misspelt(os.environ if environ is None else environ))


def places_of(
    arguments: Mapping[str, object],
    *,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Where each setting was said that is not the default: key -> the place, for people.

    Args:
        arguments, folder, environ: as for `load`.

    Raises:
        SettingsError: a file cannot be read, or has a key that does not exist.
    """
    places, _ = _places(arguments, folder, os.environ if environ is None else environ)
    said = dict.fromkeys(key for source in places for key in source.values)
    return {key: str(_place(key, places)) for key in said}


def _places(
    arguments: Mapping[str, object], folder: Path | None, environ: Mapping[str, str]
) -> tuple[list[Source], list[Finding]]:
    from coffee_boat.settings import sources

    return sources.all_of(arguments, folder=(folder or _here()).absolute(), environ=environ)


def _place(key: str, places: Sequence[Source]) -> str | None:
    """The strongest that says it; None if none does."""
    from coffee_boat.settings.values import Said

    source = next((source for source in places if key in source.values), None)
    return None if source is None else Said(key, None, source, []).place


def combine(settings: Indexes, files: Indexes) -> Indexes:
    """The settings with what requirements files add: their main index wins, as in pip; the rest is
    united.

    Args:
        settings: Settings.indexes.
        files: Manifest.indexes.

    Raises:
        RequirementError: a file's --no-binary would let build what the settings' `only_binary`
            does not.
    """
    allowed = _loosened(files.no_binary, settings.only_binary) - set(settings.no_binary)
    if allowed:
        names = ", ".join(sorted(allowed))
        raise RequirementError(
            "requirements.build-not-allowed",
            "a requirements file would allow a build, and the settings allow only wheels",
            value=f"--no-binary {names} ({', '.join(files.no_binary_said)})",
            cause=f"only_binary = {', '.join(settings.only_binary)}"
            f" ({', '.join(settings.only_binary_said)}): a file is weaker than a setting",
            cure="take --no-binary out of the file, or say these names as no_binary where"
            " only_binary is said",
        )
    more: dict[str, Any] = {}
    for part in fields(Indexes):
        ours, theirs = getattr(settings, part.name), getattr(files, part.name)
        if isinstance(ours, tuple):
            more[part.name] = tuple(dict.fromkeys((*ours, *theirs)))
        elif isinstance(ours, bool):
            more[part.name] = ours or theirs
    return replace(settings, index_url=files.index_url or settings.index_url, **more)


def _here() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise SettingsError(
            "settings.no-working-directory",
            "the working directory is not there any more",
            cause="it was removed since the program, or its shell, went there",
            cure="go to another folder: cd, or os.chdir",
        ) from error


def _loosened(no_binary: Iterable[str], only_binary: Iterable[str]) -> set[str]:
    """What `no_binary` says against `only_binary`."""
    wheels_only = set(only_binary)
    return set(no_binary) if ":all:" in wheels_only else set(no_binary) & wheels_only


def _wheels_only(
    places: Sequence[Source], environ: Mapping[str, str]
) -> list[tuple[tuple[str, ...], Source]]:
    """What `only_binary` is, by each place that counts: the strongest; if that came with a project,
    the strongest of the user's own as well.
    """
    from coffee_boat.settings import keys

    saying = [source for source in places if "only_binary" in source.values]
    own = next((source for source in saying if not source.of_project), None)
    counting = [*saying[:1], *([own] if own not in (None, *saying[:1]) else [])]
    said = [(keys.convert("only_binary", one, [], environ), one) for one in counting if one]
    return [(names, source) for names, source in said if names]


def _keep_only_binary(
    values: dict[str, Any],
    wheels_only: Sequence[tuple[tuple[str, ...], Source]],
    places: Sequence[Source],
    findings: list[Finding],
) -> None:
    """Of a `no_binary` from a weaker place, or from a project, only what takes nothing back: who
    says "wheels only" is not overruled by a place that could not say otherwise itself, nor by the
    author of what was cloned.
    """
    from coffee_boat.settings import keys, sources
    from coffee_boat.settings.values import Said

    saying = [source for source in places if "no_binary" in source.values]
    for place in saying:
        strongest, by_uv = place is saying[0], place.label == sources.UV
        if not strongest and not by_uv:
            continue
        for names, source in _over(place, wheels_only, places):
            where = Said("only_binary", None, source, []).place
            said = Said("no_binary", None, place, [])
            if by_uv:  # uv reads all of it, whatever is stronger here
                allowed = set() if strongest else set(values["no_binary"])
                listed = keys.convert("no_binary", place, [], {})
                if would := _loosened(listed, names) - allowed:
                    raise _uv_would_build(sorted(would), said, where)
                continue
            dropped = _loosened(values["no_binary"], names)
            values["no_binary"] = tuple(n for n in values["no_binary"] if n not in dropped)
            if dropped:
                findings.append(_ignored(sorted(dropped), said, where))


def _over(
    place: Source,
    wheels_only: Sequence[tuple[tuple[str, ...], Source]],
    places: Sequence[Source],
) -> list[tuple[tuple[str, ...], Source]]:
    """Of the places that allow wheels only, those that a place takes nothing back of."""
    return [
        (names, source)
        for names, source in wheels_only
        if places.index(source) < places.index(place)
        or (place.of_project and not source.of_project)
    ]


def _ignored(names: Sequence[str], said: Said, forbidden: str) -> Finding:
    return Finding(
        "settings.no-binary-ignored",
        "a weaker no_binary is left aside",
        value=f"{', '.join(names)} ({said.place})",
        cause=f"only_binary is set in a stronger place: {forbidden}",
        cure=(
            "say no_binary in the same place as only_binary, or in a stronger one; a project's file"
            " is weaker here than all of your own"
        ),
        severity="note",
    )


def _uv_would_build(names: Sequence[str], said: Said, forbidden: str) -> SettingsError:
    """uv reads its configuration itself, and has no option that takes names out of a list there."""
    return SettingsError(
        "settings.uv-would-build",
        "uv would build what only_binary forbids",
        value=f"{', '.join(names)} ({said.place})",
        cause=f"only_binary is set in a stronger place: {forbidden}",
        cure=(
            "take these names out of uv's configuration; or UV_NO_CONFIG=1, if no index is named"
            " there"
        ),
    )
