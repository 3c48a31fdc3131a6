"""environment.yml of conda -> Manifest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from coffee_boat._support import limits, quoting
from coffee_boat._support import parse as _support_parse
from coffee_boat._support.redact import redact
from coffee_boat.conda import configuration
from coffee_boat.errors import RequirementError
from coffee_boat.model import Finding, Manifest
from coffee_boat.requirements import files, foreign
from coffee_boat.requirements.conda import KNOWN, parse


def read(path: Path, *, channels: Sequence[str] | None = None) -> Manifest:
    """See `coffee_boat.requirements.read_environment`."""
    said = _load(path)
    listed = (
        tuple(channels) if channels is not None else _texts(said.get("channels"), "channels", path)
    )
    wanted, pip = _dependencies(said.get("dependencies"), path)
    _refuse_other_system(wanted, path)
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


def _refuse_other_system(wanted: Sequence[tuple[int, str]], path: Path) -> None:
    """Refuse what conda wrote on Windows or macOS, with packages that no Linux has."""
    names = [
        re.split(r"[\s=<>!~\[]", text.rpartition("::")[2], maxsplit=1)[0] for _, text in wanted
    ]
    system, theirs = foreign.conda_systems(names)
    if not theirs:
        return
    builds = any(re.search(r"=[^=\s]+=[^=\s]+$", text) for _, text in wanted)
    again = (
        "export it there without builds: conda env export --no-builds, or --from-history; and take"
        if builds
        else "export it there with conda env export --from-history, or take"
    )
    raise RequirementError(
        "requirements.export-of-another-system",
        "an environment file lists packages of another system",
        value=f"{path}: {', '.join(theirs)}",
        cause=f"it was written on {system}: no channel has these packages for Linux, which"
        " executors run" + (", nor the builds of all others" if builds else ""),
        cure=f"{again} out {', '.join(theirs)}",
    )


# a file


def _load(path: Path) -> Mapping[str, Any]:
    try:
        table = _support_parse.yaml(limits.read_text(path, limits.ENVIRONMENT, "utf-8-sig"))
    except FileNotFoundError as error:
        raise RequirementError(
            "requirements.environment-file-missing",
            "an environment file is not there",
            value=str(path),
            cause=f"looked for {path.absolute()}",
            cure="check the path",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RequirementError(
            "requirements.environment-file-unreadable",
            "an environment file cannot be read",
            value=str(path),
            cause=str(error),
            cure="give a file of UTF-8 text that you may read",
        ) from error
    except ValueError as error:
        raise RequirementError(
            "requirements.environment-file-not-yaml",
            "an environment file is not YAML",
            value=str(path),
            cause=quoting.where(error),
            cure="mend the line that the cause names",
        ) from None
    if not isinstance(table, dict) or "dependencies" not in table:
        raise RequirementError(
            "requirements.environment-without-dependencies",
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
            "requirements.environment-names-not-list",
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
            "requirements.dependencies-not-a-list",
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
                "requirements.environment-dependency-unreadable",
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
            "requirements.environment-variables-skipped",
            "variables of an environment file are not set on executors",
            value=f"{path}: {names}",
            cause=cause,
            cure='captain.launch_ship(conf={"spark.executorEnv.NAME": "value"})',
        )
    strange = sorted(set(map(str, said)) - KNOWN)
    if strange:
        yield Finding(
            "requirements.environment-keys-unknown",
            "keys of an environment file mean nothing to conda, nor here",
            value=f"{path}: {', '.join(strange)}",
            severity="note",
        )


def _no_channels(path: Path) -> Finding:
    return Finding(
        "requirements.environment-without-channels",
        "an environment file names no channels",
        value=str(path),
        cause="conda would take those of its configuration, and Anaconda's `defaults` without one",
        cure=(
            f"here those of .condarc are taken, else {configuration.DEFAULT}; name them in the"
            " file to be sure: `channels: [conda-forge]`"
        ),
        severity="note",
    )
