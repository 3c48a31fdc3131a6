"""conda's words -> Manifest: MatchSpecs and environment.yml.

A MatchSpec is read by rattler at once. An environment file is YAML with `channels`, `dependencies`
(MatchSpecs, and a `pip:` list that is a requirements.txt in all but name); what else conda knows in
it is named where it does not take effect.
https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-environments.html#create-env-file-manually
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations, groupby
from pathlib import Path
from typing import TYPE_CHECKING

from coffee_boat._support.files import is_file
from coffee_boat._support.redact import redact
from coffee_boat.conda import client
from coffee_boat.errors import RequirementError
from coffee_boat.model import CondaRequirement
from coffee_boat.requirements import doors, spelling

if TYPE_CHECKING:
    from rattler import MatchSpec


_AND = ", "
KNOWN = {"name", "channels", "dependencies", "prefix", "variables", "platforms", "category"}
_LONGEST = 2_000
"""Characters of one MatchSpec; rattler's own parser ends the process at 100,000 brackets."""
_MANY = 100
"""Requirements of one name: each is compared with each."""
_EXAMPLE = 'write it like "numpy >=2", "numpy=1.26" or "conda-forge::numpy"'


def parse(text: object, *, origin: str, channel: str = "") -> CondaRequirement:
    """See `coffee_boat.requirements.parse_conda`."""
    written = _one_line(text, origin)
    if re.search(r"[/.](?!\d)", written) and is_file(Path(written)):
        doors.refuse(Path(written), own=(), read="the name of a conda package")
    tie, rest = _split_tie(written)
    if tie and channel and tie != channel:
        raise spelling.refusal(
            "requirements.two-channels",
            "a package is tied to two channels",
            written,
            origin,
            cause=f"{tie} in its own words, {redact(channel)} beside it",
            cure="leave one of them out",
        )
    spec = _match_spec(rest, written, origin)
    if spec.channel is not None or "url=" in str(spec):
        raise spelling.refusal(
            "requirements.conda-package-by-address",
            "a package of conda is named, not addressed",
            written,
            origin,
            cause="files are pinned by a lock",
            cure="write channel::name, or give an @EXPLICIT file to captain.add_lock",
        )
    name = spec.name.normalized if spec.name else ""
    if name.startswith("__"):
        raise spelling.refusal(
            "requirements.virtual-package",
            "a virtual package says what the nodes are, and cannot be asked for",
            written,
            origin,
            cure='platform="manylinux_2_28_x86_64", or CONDA_OVERRIDE_CUDA=12.4',
        )
    return CondaRequirement(text=str(spec), name=name, channel=tie or channel, origin=origin)


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
    for name, group in groupby(merged, key=lambda one: one.name):
        same = list(group)
        if len(same) > _MANY:
            raise RequirementError(
                "requirements.asked-too-often",
                "one package is asked for in more ways than are compared",
                value=f"{name}: {len(same):,}, at most {_MANY}",
                cause=f"the first of them: {shown(same[0])}",
                cure=f'write them as a range: "{name} >=1,<2"',
            )
        for first, second in combinations(same, 2):
            if cause := _clash(first, second):
                raise RequirementError(
                    "requirements.contradict",
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
        raise spelling.refusal(
            "requirements.not-a-string",
            f"a requirement is a string, not {type(text).__name__}",
            repr(text),
            origin,
            cure=cure,
        )
    line = re.sub(r"\s#.*$", "", text).strip()
    if len(line) > _LONGEST:
        raise spelling.refusal(
            "requirements.conda-line-too-long",
            f"a requirement of conda has {len(line):,} characters, at most {_LONGEST:,} are read",
            line,
            origin,
            cure=_EXAMPLE,
        )
    if not line or "\n" in line or "\0" in line:
        raise spelling.refusal(
            "requirements.conda-line-without-name",
            "a requirement of conda is one line with a name in it",
            text,
            origin,
            cure=_EXAMPLE,
        )
    if line.startswith("-"):
        raise spelling.refusal(
            "requirements.option-as-conda-package",
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
    module = client.rattler()
    try:
        spec = module.MatchSpec(rest)
        module.MatchSpec(str(spec), strict=True)  # as the solver reads it
        return spec  # type: ignore[no-any-return]
    except UnicodeEncodeError:
        cause = client.NO_TEXT
    except module.exceptions.InvalidMatchSpecError as error:
        cause = str(error).partition("\n")[0]
    # Not from rattler's error: it quotes what may be a password.
    raise spelling.refusal(
        "requirements.conda-unreadable",
        "a requirement of conda cannot be read",
        written,
        origin,
        cause=cause,
        cure=_cure(rest),
    )


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
    module = client.rattler()
    for one, other in ((first, second), (second, first)):
        exact = re.fullmatch(r"==(\S+)", module.MatchSpec(one.text).version or "")
        bound = module.MatchSpec(other.text).version
        if exact and bound and not module.VersionSpec(bound).matches(module.Version(exact[1])):
            return f"{exact[1]} is not {bound}"
    return ""
