"""What channels say, asked in a process of its own (apart.py): `chosen` and `listed` are called
here, `there_*` run there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag

from coffee_boat._support.store import Store
from coffee_boat.conda import apart, client, solve
from coffee_boat.conda.channels import Channel, without_secrets
from coffee_boat.conda.configuration import Configuration
from coffee_boat.conda.records import pin_from, pin_of
from coffee_boat.conda.request import Wish
from coffee_boat.model import CondaPin, Manifest, grammar


def chosen(wish: Wish, store: Store, *, flexible: bool = False) -> tuple[CondaPin, ...]:
    """The packages that were chosen, sorted by name.

    Args:
        flexible: a lower channel may serve what the first one that has a name does not.

    Raises:
        LockError: a record is not what it may be; or rattler ended without an answer.
        rattler.exceptions.SolverError: there is no solution.
        rattler.exceptions.GatewayError: a channel cannot be read.
    """
    cache, of = client.repodata(store), _named(wish.channels)
    try:
        said = apart.call(__name__, there_chosen.__name__, wish, cache, flexible, of=of)
    except apart.RattlerEndedError:
        apart.call(__name__, there_blamed.__name__, wish, cache, of=of)
        raise
    return tuple(map(_checked, said))


def listed(
    urls: Sequence[str],
    places: Sequence[Channel],
    subdir: str,
    configuration: Configuration,
    store: Store,
) -> dict[str, CondaPin]:
    """Public URL, without a fragment -> what its channel says of it; of those that are listed.

    Raises:
        LockError: as `chosen`.
        rattler.exceptions.GatewayError: as `chosen`.
    """
    said = apart.call(
        __name__,
        there_listed.__name__,
        list(urls),
        tuple(places),
        subdir,
        configuration,
        client.repodata(store),
        of=_named(places),
    )
    return {url: _checked(pin) for url, pin in said.items()}


def _named(places: Sequence[Channel]) -> str:
    return f"channels {', '.join(place.name for place in places)}"


def _checked(said: Mapping[str, Any]) -> CondaPin:
    pin = pin_of(said)
    return grammar.checked_conda(pin, f"the list of {pin.channel}")


# there


def there_chosen(wish: Wish, cache: Path, flexible: bool) -> dict[str, Any]:
    """As `chosen`."""
    gateway = client.gateway(wish.configuration, cache)
    places = wish.channels

    def made() -> list[dict[str, Any]]:
        records = client.wait(lambda: solve.chosen(wish, places, gateway, flexible=flexible))
        pins = [pin_from(record, wish.manifest, places) for record in records]
        return [asdict(pin) for pin in sorted(pins, key=lambda pin: pin.name)]

    return apart.told(made)


def there_blamed(wish: Wish, cache: Path) -> dict[str, Any]:
    """Raises for the record that ended the solver, if it can be told."""
    gateway = client.gateway(wish.configuration, cache)
    return apart.told(lambda: client.wait(lambda: solve.refuse_deep(wish, wish.channels, gateway)))


def there_listed(
    urls: Sequence[str],
    places: Sequence[Channel],
    subdir: str,
    configuration: Configuration,
    cache: Path,
) -> dict[str, Any]:
    """As `listed`."""
    gateway = client.gateway(configuration, cache)
    wanted = {without_secrets(urldefrag(url).url) for url in urls}

    def made() -> dict[str, dict[str, Any]]:
        records = client.wait(lambda: solve.listed(urls, places, gateway, subdir))
        return {
            url: asdict(pin_from(record, Manifest(), places))
            for record in records
            if (url := without_secrets(str(record.url))) in wanted
        }

    return apart.told(made)
