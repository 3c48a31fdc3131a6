"""One run of rattler's solver."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from coffee_boat.conda import channels
from coffee_boat.conda import client as conda_client
from coffee_boat.conda import records as conda_records
from coffee_boat.conda.channels import Channel
from coffee_boat.conda.request import Wish, platforms_of
from coffee_boat.model import Target, grammar

if TYPE_CHECKING:
    from rattler import Gateway, GenericVirtualPackage, RepoDataRecord
    from rattler.platform.subdir import SubdirLiteral


_TIMEOUT = datetime.timedelta(minutes=10)

_KERNELS = ((34, "5.14"), (28, "4.18"), (17, "3.10"))
"""glibc's minor -> the kernel of the oldest distribution that came with it (RHEL 9, 8, 7): what
nodes have at least.
"""


def virtual_packages(target: Target, overrides: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Name -> version and build of what the nodes are.

    An override that is empty takes a package away, as with conda.
    """
    kernel = next((version for minor, version in _KERNELS if target.glibc[1] >= minor), "3.10")
    own = {
        "unix": ("0", "0"),
        "linux": (kernel, "0"),
        "glibc": (".".join(map(str, target.glibc)), "0"),
        "archspec": ("1", target.architecture),
    }
    for name, value in overrides.items():
        own[name] = ("1", value) if name == "archspec" else (value, "0")
    return {f"__{name}": said for name, said in own.items() if all(said)}


async def chosen(
    wish: Wish, places: Sequence[Channel], gateway: Gateway, *, flexible: bool = False
) -> list[RepoDataRecord]:
    """The newest that goes together; then once more with the driver's own versions preferred, if
    what was chosen has others.
    """
    records = await _solve(wish, places, gateway, flexible=flexible)
    if flexible:
        return records
    preferred = await _preferred(wish, records, places[0], gateway)
    return await _solve(wish, places, gateway, preferred=preferred) if preferred else records


async def _preferred(
    wish: Wish, records: Sequence[RepoDataRecord], first: Channel, gateway: Gateway
) -> list[RepoDataRecord]:
    """What the first channel has in the driver's own versions of what was chosen.

    Of another channel it would get around the priorities.
    """
    settled = {
        "python",
        *(pin.name for pin in wish.aboard),
        *(r.name for r in wish.requirements if r.channel),
    }
    names = {
        name: version
        for record in records
        if (version := wish.preferred.get(name := record.name.normalized))
        not in (None, str(record.version))
        and name not in settled
    }
    if not names:
        return []
    module = conda_client.rattler()
    specs = [module.MatchSpec(f"{name} =={version}") for name, version in names.items()]
    listed = await gateway.query(
        [module.Channel(first.url)],
        platforms_of(wish),
        specs,
        recursive=False,
        channel_relations="disabled",
    )
    fitting = [
        record
        for found in listed
        for record in found
        if str(record.version) == names.get(record.name.normalized) and _is_for(record, wish.minor)
    ]
    return list(
        {
            record.name.normalized: record
            for record in sorted(fitting, key=lambda record: record.build_number)
        }.values()
    )


def _is_for(record: RepoDataRecord, minor: str) -> bool:
    """True if a package goes with a minor version of Python, as far as it says."""
    module = conda_client.rattler()
    bounds = [
        bound
        for text in record.depends
        if text.split(" ")[0] == "python" and (bound := module.MatchSpec(text).version)
    ]
    return all(module.VersionSpec(bound).matches(module.Version(f"{minor}.99")) for bound in bounds)


async def listed(
    urls: Sequence[str], places: Sequence[Channel], gateway: Gateway, subdir: str
) -> list[RepoDataRecord]:
    """What channels say of the packages that files are of."""
    module = conda_client.rattler()
    names = sorted({file_stem(url).rsplit("-", 2)[0] for url in urls})
    found = await gateway.query(
        [module.Channel(place.url) for place in places],
        [subdir, "noarch"],  # type: ignore[list-item]
        names,
        recursive=False,
        channel_relations="disabled",
    )
    return [record for records in found for record in records]


def file_stem(url: str) -> str:
    """The name of a package's file, without its ending."""
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    return name.removesuffix(".conda").removesuffix(".tar.bz2")


async def _solve(
    wish: Wish,
    places: Sequence[Channel],
    gateway: Gateway,
    *,
    preferred: Sequence[RepoDataRecord] = (),
    flexible: bool = False,
) -> list[RepoDataRecord]:
    """One solution, as records of the channels."""
    module = conda_client.rattler()
    priority = "Flexible" if flexible else wish.configuration.channel_priority.capitalize()
    sources = [module.Channel(place.url) for place in places]
    platforms = platforms_of(wish)
    found: list[RepoDataRecord] = await module.solve(
        sources=sources,
        specs=[
            await _spec(name, wish, gateway, platforms)
            for name in sorted(
                {"python", *(r.name for r in wish.requirements), *(pin.name for pin in wish.aboard)}
            )
        ],
        constraints=list(_constraints(wish)),
        locked_packages=preferred,
        pinned_packages=[
            conda_records.record_of(pin, places) for pin in wish.aboard
        ],  # wherever they came from: no channel need list them now
        gateway=gateway,
        platforms=platforms,
        virtual_packages=_virtual(wish),
        channel_priority=getattr(module.ChannelPriority, priority),
        # a channel's own word must not bring another one in, which may be Anaconda's
        channel_relations="disabled",
        timeout=_TIMEOUT,
    )
    return found


async def refuse_deep(wish: Wish, places: Sequence[Channel], gateway: Gateway) -> None:
    """Look at what every record that may be asked for says of others: which of them it is whose
    nested brackets end the solver. This takes longer than to solve.

    Raises:
        LockError: a record says more than is read.
    """
    sources = [conda_client.rattler().Channel(place.url) for place in places]
    waiting = {"python", *(r.name for r in wish.requirements), *(pin.name for pin in wish.aboard)}
    known: set[str] = set()
    while waiting:
        known |= waiting
        listed = await gateway.query(
            sources,
            platforms_of(wish),
            sorted(waiting),
            recursive=False,
            channel_relations="disabled",
        )
        texts = {
            text
            for records in listed
            for record in records
            for text in conda_records.relations_of(record)
        }
        waiting = {name for text in texts if (name := grammar.related(text))} - known


async def _spec(name: str, wish: Wish, gateway: Gateway, platforms: Sequence[SubdirLiteral]) -> str:
    """The name, tied to its channel where it is tied: of several that a channel's name stands for,
    to the first one that has it.
    """
    tie = next((r.channel for r in wish.requirements if r.name == name and r.channel), "")
    if not tie:
        return name
    places = channels.channels([tie], wish.configuration)
    if len(places) > 1:
        module = conda_client.rattler()
        listed = await gateway.query(
            [module.Channel(place.url) for place in places],
            platforms,
            [name],
            recursive=False,
            channel_relations="disabled",
        )
        having = {
            channels.without_secrets(str(record.channel))
            for records in listed
            for record in records
        }
        places = tuple(place for place in places if place.public in having) or places
    return f"{places[0].url.rstrip('/')}::{name}"


def _constraints(wish: Wish) -> Iterator[str]:
    yield wish.python
    yield from (r.text for r in wish.requirements if r.text != r.name)


def _virtual(wish: Wish) -> list[GenericVirtualPackage]:
    module = conda_client.rattler()
    said = virtual_packages(wish.target, wish.configuration.overrides)
    return [
        module.GenericVirtualPackage(
            module.PackageName(name), module.Version(version), module.BuildString(build)
        )
        for name, (version, build) in said.items()
    ]
