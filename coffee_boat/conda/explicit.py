"""@EXPLICIT lists of conda packages, read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from coffee_boat._support import quoting
from coffee_boat._support.store import Store
from coffee_boat.conda import asked, channels, client, explain, licence, request
from coffee_boat.conda.configuration import Configuration
from coffee_boat.conda.solve import file_stem
from coffee_boat.conda.taken import lock_of
from coffee_boat.errors import LockError
from coffee_boat.model import CondaPin, Finding, Lock, Target, grammar
from coffee_boat.spark import packages as spark_packages

_NAME = re.compile(r"[A-Za-z0-9_][\w.\-]*-[^\s\-]+-[^\s\-]+\.(?:conda|tar\.bz2)", re.ASCII)

# conda's @EXPLICIT


def read_explicit(
    path: Path, target: Target, configuration: Configuration, store: Store, *, accepted: bool
) -> Lock:
    """An @EXPLICIT list, with what its channels say of each file."""
    from rattler.explicit_environment import ExplicitEnvironmentSpec

    module = client.rattler()
    try:
        spec = ExplicitEnvironmentSpec.from_path(path)
    except (module.exceptions.ParseExplicitEnvironmentSpecError, UnicodeEncodeError) as error:
        raise LockError(
            "lock.not-explicit-list",
            "not an @EXPLICIT list",
            value=str(path),
            cause=quoting.where(error),
            cure="make one with `conda list --explicit --sha256`",
        ) from None
    if spec.platform is not None and str(spec.platform) != request.subdir(target):
        raise LockError(
            "lock.list-other-platform",
            "the list was made for another platform",
            value=f"{path}: {spec.platform}, the executors are {request.subdir(target)}",
            cure="make it on a machine like them",
        )
    urls = [str(entry.url) for entry in spec.packages]
    for url in urls:
        _refuse_malformed(url, path)
    places = channels.channels(
        dict.fromkeys(urldefrag(url).url.rpartition("/")[0].rpartition("/")[0] for url in urls),
        configuration,
    )
    licence.refuse_unlicensed(places, accepted=accepted)
    try:
        pins = asked.listed(urls, places, request.subdir(target), configuration, store)
    except module.exceptions.GatewayError as error:
        raise explain.unreachable(str(error), places, configuration) from None
    made = lock_of([_checked(url, pins, path) for url in urls], (), target, path)
    return replace(made, findings=(*made.findings, *_lacking(made, path), *_unfixed(urls, path)))


def _refuse_malformed(url: str, path: Path) -> None:
    bare = urldefrag(url).url
    if fault := grammar.url_fault(bare, grammar.CHANNELS):
        raise grammar.refused("a file", path.name, bare, fault)
    name = unquote(urlsplit(bare).path).rpartition("/")[2]
    if _NAME.fullmatch(name) is None:
        rule = "a line is the URL of a package: .../linux-64/NAME-VERSION-BUILD.conda, or .tar.bz2"
        raise grammar.refused("a file", path.name, bare, rule)


def _checked(url: str, pins: Mapping[str, CondaPin], path: Path) -> CondaPin:
    """The pin, if it is of the file that the list means."""
    bare, fragment = urldefrag(url)
    pin = pins.get(channels.without_secrets(bare))
    shown = channels.without_secrets(bare)
    if pin is None:
        raise LockError(
            "lock.file-not-in-channel",
            "a channel does not list a file of the lock",
            value=f"{shown} in {path.name}",
            cause="it was taken away, or the URL is wrong",
            cure="make the list again",
        )
    said = _said(fragment)
    if said and not any(grammar.is_digest(said, kind) for kind in ("sha256", "md5")):
        raise grammar.refused(
            shown, path.name, f"#{fragment}", "a hash is 64 (sha256) or 32 (md5) hex digits"
        )
    own = {pin.sha256, json.loads(pin.record).get("md5")}
    if said and said not in own:
        raise LockError(
            "lock.file-changed-in-channel",
            "a file of the lock is another one in its channel",
            value=f"{shown} in {path.name}",
            cause=f"the list says {said}",
            cure="find out who replaced it",
        )
    return pin


def _said(fragment: str) -> str:
    """The digest behind a URL of a list, as conda, mamba and pixi write it."""
    for kind in ("sha256:", "sha256=", "md5:", "md5="):
        fragment = fragment.removeprefix(kind)
    return fragment.lower()


def _unfixed(urls: Sequence[str], path: Path) -> tuple[Finding, ...]:
    """Files of a list that it does not fix by a sha256: their channels say what they are."""
    loose = [
        file_stem(url) for url in urls if not grammar.is_digest(_said(urldefrag(url).fragment))
    ]
    if not loose:
        return ()
    return (
        Finding(
            "lock.list-without-sha256",
            "a list has no sha256 of some of its files: what their channels list today is taken",
            value=f"{path.name}: {', '.join(loose[:3])}"
            + (f" + {len(loose) - 3} others" if len(loose) > 3 else ""),
            cause="a channel may replace a file; an md5 is compared, and can be forged",
            cure="make the list with `conda list --explicit --sha256`",
        ),
    )


def _lacking(lock: Lock, path: Path) -> tuple[Finding, ...]:
    """What packages of a list need that is not in it: conda does not look either, but says
    nothing.
    """
    have = {pin.name for pin in lock.conda} | set(spark_packages.DRIVERS_OWN)
    lacking = sorted(
        {
            f"{name} (of {pin.name})"
            for pin in lock.conda
            for name in pin.requires
            if name not in have
        }
    )
    return (
        (
            Finding(
                "lock.list-incomplete",
                "a list of conda packages lacks what some of them need",
                value=f"{path.name}: {', '.join(lacking)}",
                cause="it was shortened by hand",
                cure="make it anew",
            ),
        )
        if lacking
        else ()
    )
