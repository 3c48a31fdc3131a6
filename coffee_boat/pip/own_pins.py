"""What a person's own code is pinned as, then and now."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import replace

from coffee_boat._support.digest import tree_digest
from coffee_boat._support.files import local_path
from coffee_boat.errors import RequirementError
from coffee_boat.model import Pin, Requirement
from coffee_boat.pip import own_code

_DIGITS = 12
"""Of the digest, in a version."""


def pin_of(requirement: Requirement) -> Pin:
    """What a requirement is now.

    Raises:
        RequirementError: as `read`, or it is not there any more.
    """
    place = local_path(requirement.url)
    if not os.path.lexists(place):
        raise RequirementError(
            "requirements.own-code-gone",
            "code of your own is not there any more",
            value=str(place),
            cause="it was moved or deleted since it was asked for",
            cure=f'put it back, or captain.forget("{requirement.name}")',
        )
    code = own_code.read(place)
    pin = Pin(requirement.name, "", "local", url=place.as_uri(), direct=True, requested=True)
    return _as_it_is(pin, code)


def again(pin: Pin) -> Pin:
    """The pin of some code, or of a project, as it lies there now: the same one if nothing changed,
    or if it is a package.

    Raises:
        RequirementError: as `pin_of`.
    """
    if pin.kind == "directory":
        if not local_path(pin.url).is_dir():  # what was built of it is what there is
            return pin
        digest = tree_digest(local_path(pin.url))
        return pin if digest == pin.sha256 else replace(pin, version="", sha256=digest)
    if pin.kind != "local":
        return pin
    wanted = Requirement(text=pin.name, name=pin.name, url=pin.url, local=True)
    now = pin_of(wanted)
    return pin if now.sha256 == pin.sha256 else replace(now, requires=pin.requires)


def edited(pins: Iterable[Pin], only: Collection[str] | None = None) -> dict[str, Pin]:
    """Identity of each pin whose code was edited since -> the pin as it is now.

    Args:
        only: URLs of code that is looked at; by default all of it.

    Raises:
        RequirementError: as `pin_of`.
    """
    looked_at = [pin for pin in pins if only is None or pin.url in only]
    now = {pin.identity: again(pin) for pin in looked_at}
    return {identity: pin for identity, pin in now.items() if pin.identity != identity}


def _as_it_is(pin: Pin, code: own_code.Code) -> Pin:
    digest = code.digest()
    # c: digits alone would be a number, which has no zeros before it (PEP 440)
    return replace(pin, version=f"0+c{digest[:_DIGITS]}", size=code.size, sha256=digest)
