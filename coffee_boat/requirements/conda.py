"""conda's words -> Manifest: MatchSpecs and environment.yml.

A MatchSpec is read by rattler at once. An environment file is YAML with `channels`, `dependencies`
(MatchSpecs, and a `pip:` list that is a requirements.txt in all but name); what else conda knows in
it is named where it does not take effect.
https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-environments.html#create-env-file-manually
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coffee_boat import _conda, _quoting
from coffee_boat._run import redact
from coffee_boat.errors import RequirementError
from coffee_boat.model import CondaRequirement, Finding, Manifest
from coffee_boat.requirements import files, single

if TYPE_CHECKING:
    from rattler import MatchSpec

_AND = ", "
_KNOWN = {"name", "channels", "dependencies", "prefix", "variables", "platforms", "category"}
_EXAMPLE = 'write it like "numpy >=2", "numpy=1.26" or "conda-forge::numpy"'


def parse(text: object, *, origin: str, channel: str = "") -> CondaRequirement:
    """See `coffee_boat.requirements.parse_conda`."""
    written = _one_line(text, origin)
    tie, rest = _split_tie(written)
    if tie and channel and tie != channel:
        raise single.refusal(
            "a package is tied to two channels",
            written,
            origin,
            cause=f"{tie} in its own words, {redact(channel)} beside it",
            cure="leave one of them out",
        )
    spec = _match_spec(rest, written, origin)
    if spec.channel is not None or "url=" in str(spec):
        raise single.refusal(
            "a package of conda is named, not addressed",
            written,
            origin,
            cause="files are pinned by a lock",
            cure="write channel::name, or give an @EXPLICIT file to captain.add_lock",
        )
    name = spec.name.normalized if spec.name else ""
    if name.startswith("__"):
        raise single.refusal(
            "a virtual package says what the nodes are, and cannot be asked for",
            written,
            origin,
            cure='platform="manylinux_2_28_x86_64", or CONDA_OVERRIDE_CUDA=12.4',
        )
    return CondaRequirement(text=str(spec), name=name, channel=tie or channel, origin=origin)


def read(path: Path, *, channels: Sequence[str] | None = None) -> Manifest:
    """See `coffee_boat.requirements.read_environment`."""
    said = _load(path)
    listed = (
        tuple(channels) if channels is not None else _texts(said.get("channels"), "channels", path)
    )
    wanted, pip = _dependencies(said.get("dependencies"), path)
    below = files.read_list(pip, path) if pip else Manifest()
    findings = [*below.findings, *_oddities(said, path)]
    if not listed:
        findings.append(_no_channels(path))
    return replace(
        below,
        conda=tuple(
            parse(text, origin=f"{path}: dependencies[{number}]") for number, text in wanted
        ),
        channels=tuple(dict.fromkeys(name for name in listed if name != "nodefaults")),
        findings=tuple(findings),
    )


def merge(requirements: Iterable[CondaRequirement]) -> tuple[CondaRequirement, ...]:
    """Sorted; what differs by its origin only stands once, with all its origins.

    Raises:
        RequirementError: two of one name cannot both be.
    """
    origins: dict[CondaRequirement, set[str]] = {}
    for requirement in requirements:
        origins.setdefault(replace(requirement, origin=""), set()).update(
            requirement.origin.split(_AND)
        )
    merged = sorted(
        (
            replace(one, origin=_AND.join(sorted(filter(None, names))))
            for one, names in origins.items()
        ),
        key=lambda one: (one.name, one.text, one.channel),
    )
    for _, same in groupby(merged, key=lambda one: one.name):
        for first, second in combinations(list(same), 2):
            if cause := _clash(first, second):
                raise RequirementError(
                    "requirements contradict each other",
                    value=f"{shown(first)} and {shown(second)}",
                    cause=cause,
                    cure="take one of them out, or make them agree",
                )
    return tuple(merged)


def shown(requirement: CondaRequirement) -> str:
    """For people: as it would be written, and where it was."""
    tie = f"{redact(requirement.channel)}::" if requirement.channel else ""
    return f"{tie}{requirement.text}" + (f" ({requirement.origin})" if requirement.origin else "")


# one requirement


def _one_line(text: object, origin: str) -> str:
    if not isinstance(text, str):
        cure = (
            "put a star before it: add_conda_packages(*specs)"
            if isinstance(text, (list, tuple, set))
            else _EXAMPLE
        )
        raise single.refusal(
            f"a requirement is a string, not {type(text).__name__}", repr(text), origin, cure=cure
        )
    line = re.sub(r"\s+#.*$", "", text).strip()
    if not line or "\n" in line or "\0" in line:
        raise single.refusal(
            "a requirement of conda is one line with a name in it", text, origin, cure=_EXAMPLE
        )
    if line.startswith("-"):
        raise single.refusal(
            "an option was given where a package is named",
            line,
            origin,
            cure='a channel goes beside it: add_conda_packages("numpy", channel="conda-forge")',
        )
    return line


def _split_tie(written: str) -> tuple[str, str]:
    """`channel::spec` in its two parts.

    A platform in the tie goes to the spec; a `::` within brackets is none.
    """
    tie, mark, rest = written.partition("::")
    if not mark or "[" in tie:
        return "", written
    if re.fullmatch(r".*/(noarch|linux-[a-z0-9]+)", tie) and "://" not in tie:
        tie, _, subdir = tie.rpartition("/")
        return tie, f"{rest}[subdir={subdir}]"
    return tie.strip(), rest.strip()


def _match_spec(rest: str, written: str, origin: str) -> MatchSpec:
    module = _conda.rattler()
    try:
        spec: MatchSpec = module.MatchSpec(rest)
    except module.exceptions.InvalidMatchSpecError as error:
        raise single.refusal(
            "a requirement of conda cannot be read",
            written,
            origin,
            cause=str(error).partition("\n")[0],
            cure=_cure(rest),
        ) from error
    return spec


def _cure(rest: str) -> str:
    if rest.endswith((".conda", ".tar.bz2")):
        return (
            "name the package: a file is pinned by a lock (@EXPLICIT), which captain.add_lock takes"
        )
    if ";" in rest or " @ " in rest or rest.startswith(("git+", "http")):
        return f"this looks like a requirement of pip: captain.add_pip_packages({rest!r})"
    if re.match(r"[\w.-]+\[[\w,-]+\]", rest):
        return f"conda has no extras: name the packages, or captain.add_pip_packages({rest!r})"
    return (
        "give each package a string of its own"
        if "," in rest.partition(" ")[0] and not re.search(r"[<>=]", rest)
        else _EXAMPLE
    )


def _clash(first: CondaRequirement, second: CondaRequirement) -> str:
    """Why no package serves both; empty if one may. What only the solver can tell is left to it."""
    if first.channel and second.channel and first.channel != second.channel:
        return "they are tied to different channels"
    module = _conda.rattler()
    for one, other in ((first, second), (second, first)):
        exact = re.fullmatch(r"==(\S+)", module.MatchSpec(one.text).version or "")
        bound = module.MatchSpec(other.text).version
        if exact and bound and not module.VersionSpec(bound).matches(module.Version(exact[1])):
            return f"{exact[1]} is not {bound}"
    return ""


# a file


def _load(path: Path) -> Mapping[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        table = YAML(typ="safe", pure=True).load(path.read_text("utf-8-sig"))
    except FileNotFoundError as error:
        raise RequirementError(
            "an environment file is not there",
            value=str(path),
            cause=f"looked for {path.absolute()}",
            cure="check the path",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RequirementError(
            "an environment file cannot be read",
            value=str(path),
            cause=str(error),
            cure="give a file of UTF-8 text that you may read",
        ) from error
    except YAMLError as error:
        raise RequirementError(
            "an environment file is not YAML",
            value=str(path),
            cause=_quoting.where(error),
            cure="mend the line that the cause names",
        ) from None
    if not isinstance(table, dict) or "dependencies" not in table:
        raise RequirementError(
            "an environment file lists dependencies",
            value=str(path),
            cause="there is no such key in it",
            cure="write `dependencies:` and below it lines like `  - numpy>=2`",
        )
    return table


def _texts(value: object, key: str, path: Path) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value or []
    if not isinstance(listed, list) or not all(
        isinstance(one, str) and one.strip() for one in listed
    ):
        raise RequirementError(
            f"`{key}` of an environment file is a list of names",
            value=redact(f"{path}: {value!r}"),
            cure=f"write `{key}:` and below it lines like `  - name`",
        )
    return tuple(one.strip() for one in listed)


def _dependencies(value: object, path: Path) -> tuple[list[tuple[int, str]], list[str]]:
    """Numbered MatchSpecs, and the lines for pip."""
    listed = value or []
    if not isinstance(listed, list):
        raise RequirementError(
            "`dependencies` of an environment file is a list",
            value=f"{path}: {type(value).__name__}",
            cure="write each package on a line of its own: `  - numpy>=2`",
        )
    specs: list[tuple[int, str]] = []
    pip: list[str] = []
    for number, one in enumerate(listed, 1):
        if isinstance(one, dict) and set(one) == {"pip"}:
            pip += _texts(one["pip"], "pip", path)
        elif isinstance(one, str) and one.strip():
            specs.append((number, one))
        elif one is not None:
            cause = (
                "besides names there may be `pip:` with a list"
                if isinstance(one, dict)
                else "YAML reads it as something else than text: put it in quotes"
            )
            raise RequirementError(
                "a dependency of an environment file cannot be read",
                value=redact(f"{path}: {one!r}"),
                cause=cause,
                cure="write it like `  - numpy>=2`",
            )
    return specs, pip


def _oddities(said: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    variables = said.get("variables")
    if isinstance(variables, dict) and variables:
        names = ", ".join(sorted(map(str, variables)))
        cause = (
            "conda keeps them in the environment that it makes of the file; here packages alone are"
            " taken from it"
        )
        yield Finding(
            "variables of an environment file are not set on executors",
            f"{path}: {names}",
            cause,
            'captain.launch_ship(conf={"spark.executorEnv.NAME": "value"})',
        )
    strange = sorted(set(map(str, said)) - _KNOWN)
    if strange:
        yield Finding(
            "keys of an environment file mean nothing to conda, nor here",
            f"{path}: {', '.join(strange)}",
            severity="note",
        )


def _no_channels(path: Path) -> Finding:
    return Finding(
        "an environment file names no channels",
        str(path),
        cause="conda would take those of its configuration, and Anaconda's `defaults` without one",
        cure=(
            f"here those of .condarc are taken, else {_conda.DEFAULT}; name them in the file to be"
            " sure: `channels: [conda-forge]`"
        ),
        severity="note",
    )
