"""Many manifests -> one, and one manifest -> what it says for the executors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import chain, combinations, groupby

from packaging.markers import Marker
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from coffee_boat._support.redact import redact
from coffee_boat.errors import RequirementError
from coffee_boat.model import CondaRequirement, Finding, Indexes, Manifest, Requirement
from coffee_boat.requirements import foreign, spelling

_AND = ", "
_BOUNDS = 100
"""Different bounds on one package: what looks whether a version is left takes more than the square
of their number.
"""
_PAIRS = 100
"""Requirements of one package that are compared in pairs, to name the two that clash."""
_SHOWN = 3


def merge(manifests: Iterable[Manifest]) -> Manifest:
    """See `coffee_boat.requirements.merge`.

    Of channels the order counts: it says which one is asked first.
    """
    parts = list(manifests)
    requirements = _distinct(chain.from_iterable(part.requirements for part in parts))
    constraints = _distinct(chain.from_iterable(part.constraints for part in parts))
    _check([r for r in requirements if not r.marker], [c for c in constraints if not c.marker])
    findings = {str(f): f for part in parts for f in part.findings}
    return Manifest(
        requirements=requirements,
        constraints=constraints,
        indexes=_merged_indexes([part.indexes for part in parts]),
        findings=tuple(findings[key] for key in sorted(findings)),
        conda=_merged_conda(parts),
        channels=tuple(dict.fromkeys(chain.from_iterable(part.channels for part in parts))),
        requires_python=tuple(sorted({said for part in parts for said in part.requires_python})),
    )


def for_target(manifest: Manifest, environment: Mapping[str, str]) -> Manifest:
    """See `coffee_boat.requirements.for_target`."""
    findings: list[Finding] = list(manifest.findings)
    requirements = [_bare(r) for r in manifest.requirements if _applies(r, environment, findings)]
    constraints = [_bare(c) for c in manifest.constraints if _applies(c, environment, [])]
    _refuse_other_python(manifest, environment.get("python_full_version", ""))
    foreign.refuse(requirements)
    _check(requirements, constraints)
    united = [_united(group) for group in _by_identity(requirements)]
    placed = {u.name for u in united if u.url}
    bounds = [_bound(r) for r in requirements if not r.url and r.specifier and r.name in placed]
    limits = [_united(group) for group in _by_identity([*constraints, *bounds])]
    return replace(
        manifest, requirements=tuple(united), constraints=tuple(limits), findings=tuple(findings)
    )


def _refuse_other_python(manifest: Manifest, version: str) -> None:
    for said, origin in manifest.requires_python:
        try:
            fits = not version or SpecifierSet(said).contains(version, prereleases=True)
        except InvalidSpecifier as error:
            raise RequirementError(
                "requirements.python-unreadable",
                "a requires-python cannot be read",
                value=f"{said!r} ({origin})",
                cause=str(error),
                cure='write it as ">=3.11"',
            ) from error
        if not fits:
            raise RequirementError(
                "requirements.other-python",
                "a project or a script asks for another Python",
                value=f"requires-python = {said!r} in {origin}",
                cause=f"driver and executors run Python {version}",
                cure=f"run the driver with a Python that fits {said}, or change requires-python",
            )


# order and duplicates


def _order(requirement: Requirement) -> tuple[object, ...]:
    return (requirement.name, requirement.text, requirement.hashes, requirement.editable)


def _identity(requirement: Requirement) -> tuple[str, str]:
    """What makes two requirements one: the name; the place where the name is not known."""
    return (requirement.name, "" if requirement.name else requirement.url)


def _by_identity(requirements: Iterable[Requirement]) -> list[list[Requirement]]:
    return [
        list(group)
        for _, group in groupby(sorted(_distinct(requirements), key=_identity), key=_identity)
    ]


def _distinct(requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """Sorted; what differs by its origin only stands once, with all its origins."""
    origins: dict[Requirement, set[str]] = {}
    for requirement in requirements:
        origins.setdefault(replace(requirement, origin=""), set()).update(
            requirement.origin.split(_AND)
        )
    merged = (
        replace(requirement, origin=_AND.join(sorted(filter(None, names))))
        for requirement, names in origins.items()
    )
    return tuple(sorted(merged, key=_order))


def _merged_indexes(parts: list[Indexes]) -> Indexes:
    """The union.

    Each file's own order is kept, since the first index that has a name wins; the files' order does
    not count.
    """
    main = sorted({part.index_url for part in parts if part.index_url})
    if len(main) > 1:
        raise RequirementError(
            "requirements.two-main-indexes",
            "two files name different main indexes",
            value=redact(f"{main[0]} and {main[1]}"),
            cause="only one index can be the main one",
            cure="make one of them an --extra-index-url",
        )

    def united(field: Callable[[Indexes], tuple[str, ...]]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(chain.from_iterable(sorted({field(part) for part in parts}))))

    return Indexes(
        index_url=main[0] if main else None,
        extra_index_urls=united(lambda part: part.extra_index_urls),
        find_links=united(lambda part: part.find_links),
        no_index=any(part.no_index for part in parts),
        trusted_hosts=united(lambda part: part.trusted_hosts),
        no_binary=united(lambda part: part.no_binary),
        only_binary=united(lambda part: part.only_binary),
        only_binary_said=united(lambda part: part.only_binary_said),
        no_binary_said=united(lambda part: part.no_binary_said),
        prerelease=any(part.prerelease for part in parts),
    )


def _merged_conda(parts: list[Manifest]) -> tuple[CondaRequirement, ...]:
    wanted = [requirement for part in parts for requirement in part.conda]
    if not wanted:  # rattler need not be there
        return ()
    from coffee_boat.requirements import conda

    return conda.merge(wanted)


# markers


def _applies(
    requirement: Requirement, environment: Mapping[str, str], findings: list[Finding]
) -> bool:
    if not requirement.marker:
        return True
    try:
        holds = Marker(requirement.marker).evaluate(dict(environment), context="requirement")
    except ValueError as error:  # packaging has several kinds of it
        raise RequirementError(
            "requirements.marker-not-evaluated",
            "a marker cannot be evaluated",
            value=_shown(requirement),
            cause=str(error),
            cure="see https://packaging.python.org/specifications/dependency-specifiers/",
        ) from error
    if not holds:
        findings.append(
            Finding(
                "requirements.not-for-executors",
                "a requirement does not apply to the executors",
                value=_shown(requirement),
                cause=f"its marker is false there: {requirement.marker}",
                severity="note",
            )
        )
    return holds


def _bare(requirement: Requirement) -> Requirement:
    return spelling.render(replace(requirement, marker="")) if requirement.marker else requirement


# many of one name


def _united(same: list[Requirement]) -> Requirement:
    """One requirement of several that do not contradict each other.

    One that names a place stands for all; the others bound it.
    """
    if len(same) == 1:
        return same[0]
    first = next((r for r in same if r.url), same[0])
    together = SpecifierSet(",".join(r.specifier for r in same if r.specifier))
    return spelling.render(
        replace(
            first,
            extras=tuple(sorted({extra for r in same for extra in r.extras})),
            specifier="" if first.url else str(together),
            index=next((r.index for r in same if r.index), ""),
            hashes=_common_hashes(same),
            editable=any(r.editable for r in same),
            origin=_distinct(replace(first, origin=r.origin) for r in same)[0].origin,
        )
    )


def _bound(requirement: Requirement) -> Requirement:
    """A version asked for beside a place: it bounds what may be found there."""
    return spelling.render(replace(requirement, extras=(), hashes=()))


def _common_hashes(same: list[Requirement]) -> tuple[str, ...]:
    stated = [set(r.hashes) for r in same if r.hashes]
    return tuple(sorted(set.intersection(*stated))) if stated else ()


# contradictions


def _check(requirements: Iterable[Requirement], constraints: Iterable[Requirement]) -> None:
    everything = sorted([*requirements, *constraints], key=_order)
    wanted = {r.name for r in requirements}
    for name, group in groupby(everything, key=lambda r: r.name):
        if name and name in wanted:
            _check_group(list(group))


def _check_group(same: list[Requirement]) -> None:
    """Name the two that clash, where two suffice; otherwise all."""
    bounds = {bound for r in same for bound in r.specifier.split(",")}
    if len(bounds) > _BOUNDS:
        raise RequirementError(
            "requirements.too-many-bounds",
            "one package has more bounds than are compared",
            value=f"{same[0].name}: {len(bounds):,}, at most {_BOUNDS}",
            cause=f"the first of them: {_shown(same[0])}",
            cure=f'write them as a range: "{same[0].name}>=1,<2"',
        )
    if not _clash(same):
        return
    for clashing in (*combinations(same[:_PAIRS], 2), tuple(same)):
        if cause := _clash(list(clashing)):
            others = len(clashing) - _SHOWN
            raise RequirementError(
                "requirements.contradict",
                "requirements contradict each other",
                value=" and ".join(_shown(r) for r in clashing[:_SHOWN])
                + (f" and {others:,} others" if others > 0 else ""),
                cause=cause,
                cure="take one of them out, or make them agree",
            )


def _clash(same: list[Requirement]) -> str:
    """Why no distribution serves all of them; empty if one may."""
    places = sorted({r.url for r in same if r.url})
    if len(places) > 1:
        return "they name different places"
    if len({r.index for r in same if r.index}) > 1 or (places and any(r.index for r in same)):
        return "they name different indexes"
    together = SpecifierSet(",".join(r.specifier for r in same if r.specifier))
    if together.is_unsatisfiable():
        return f"no version is {together}"
    version = next((found for r in same if r.url and (found := spelling.version_of(r))), "")
    if version and not together.contains(version, prereleases=True):
        return f"{version} is there, {together} is asked for"
    return (
        "no file has both hashes"
        if any(r.hashes for r in same) and not _common_hashes(same)
        else ""
    )


def _shown(requirement: Requirement) -> str:
    return redact(
        f"{requirement.text} ({requirement.origin})" if requirement.origin else requirement.text
    )
