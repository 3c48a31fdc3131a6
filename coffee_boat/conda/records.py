"""A channel's record of a package <-> a pin."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from coffee_boat._support.words import one_line
from coffee_boat.conda import channels, licence
from coffee_boat.conda.channels import Channel, with_secrets
from coffee_boat.conda.client import rattler
from coffee_boat.model import CondaPin, Manifest, grammar

if TYPE_CHECKING:
    from rattler import RepoDataRecord


_LICENSE = 200
"""Characters of a licence that are shown: SPDX expressions of whole distributions have 100."""


def record_of(pin: CondaPin, found: Iterable[Channel] = ()) -> RepoDataRecord:
    """What rattler installs by: the channel's own record of a pin.

    Args:
        found: the channels, for the credentials that a pin does not hold.
    """
    module, said, places = rattler(), json.loads(pin.record), tuple(found)
    record = module.PackageRecord(
        name=pin.name,
        version=pin.version,
        build=module.BuildString(pin.build),
        build_number=said.get("build_number", 0),
        subdir=pin.subdir,
        noarch=said.get("noarch"),
        depends=said.get("depends", []),
        constrains=said.get("constrains", []),
        sha256=bytes.fromhex(pin.sha256) if pin.sha256 else None,
        md5=bytes.fromhex(said["md5"]) if said.get("md5") else None,
        size=pin.size,
        license=said.get("license"),
        license_family=said.get("license_family"),
        python_site_packages_path=said.get("python_site_packages_path"),
    )
    made: RepoDataRecord = module.RepoDataRecord(
        record,
        pin.filename,
        with_secrets(pin.url, places),
        with_secrets(str(said.get("channel", "")), places),
    )
    return made


def relations_of(record: RepoDataRecord) -> tuple[str, ...]:
    """What a record says of other packages.

    Raises:
        LockError: one of these texts is longer, or nested more deeply, than is read.
    """
    extras = getattr(record, "extra_depends", None) or {}
    texts = (
        *record.depends,
        *record.constrains,
        *(one for said in extras.values() for one in said),
    )
    for text in texts:
        if fault := grammar.relation_fault(text):
            where = channels.without_secrets(str(record.channel or ""))
            raise grammar.refused(str(record.file_name), f"the list of {where}", text, fault)
    return texts


def pin_of(said: Mapping[str, Any]) -> CondaPin:
    """A pin from what `dataclasses.asdict` made of it and JSON gave back."""
    return CondaPin(
        **{**said, "requires": tuple(said["requires"]), "provides": tuple(said["provides"])}
    )


# reading the answer


def pin_from(record: RepoDataRecord, manifest: Manifest, places: Iterable[Channel]) -> CondaPin:
    """A record of a channel as a pin, without credentials."""
    relations_of(record)
    said: dict[str, Any] = json.loads(record.to_json())
    for key in ("license", "license_family"):  # free text
        said |= {key: one_line(said[key], _LICENSE)} if said.get(key) else {}
    url = str(record.url)
    channel = next(
        (
            place
            for place in places
            if url.startswith(place.url) or channels.without_secrets(url).startswith(place.public)
        ),
        None,
    )
    lies_in = str(record.channel or "")
    public = {
        **said,
        "url": channels.without_secrets(url),
        "channel": channel.public if channel else channels.without_secrets(lies_in),
    }
    name = record.name.normalized
    pin = CondaPin(
        name=name,
        version=str(record.version),
        build=str(record.build),
        subdir=str(record.subdir),
        channel=channel.name if channel else channels.without_secrets(lies_in).rstrip("/"),
        url=public["url"],
        filename=record.file_name,
        sha256=record.sha256.hex() if record.sha256 else "",
        size=record.size,
        license=said.get("license") or "",
        noarch_python=bool(record.noarch.python),
        requested=any(r.name == name for r in manifest.conda),
        requires=tuple(
            sorted(
                {
                    depend.split()[0].split("[")[0].split("=")[0]
                    for depend in record.depends
                    if depend.strip() and not depend.startswith("__")
                }
            )
        ),
        record=json.dumps(public, sort_keys=True),
    )
    return grammar.checked_conda(pin, f"the list of {pin.channel}")


def refuse_anacondas_files(pins: Iterable[CondaPin], *, accepted: bool) -> None:
    """Raise where a channel's list leads to files of Anaconda's, whatever the channel is called."""
    licence.refuse_unlicensed(
        (
            Channel(pin.channel, pin.url, f"{pin.name} {pin.version} of {pin.channel}")
            for pin in pins
            if licence.is_anacondas(pin.url)
        ),
        accepted=accepted,
    )
