"""The wheel that is made of a person's own code, without a build step."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from pathlib import Path

from coffee_boat._support.files import local_path
from coffee_boat.errors import BoatError
from coffee_boat.model import Pin
from coffee_boat.pip.own_code import content_of, digest_of, read

_TIME = (1980, 1, 1, 0, 0, 0)


def write_wheel(pin: Pin, folder: Path, error: type[BoatError]) -> Path:
    """The wheel of a pin's code, in a folder that is made; the same bytes for the same code.

    Args:
        error: what to raise.

    Raises:
        RequirementError: as `pin_of`.
        BoatError: of that kind: it was changed since it was pinned.
    """
    code = read(local_path(pin.url))
    kept = [(file, content_of(file.path, Path.read_bytes)) for file in code.files]
    # what is packed is what is compared: an editor may write meanwhile
    if digest_of((file, hashlib.sha256(data).hexdigest()) for file, data in kept) != pin.sha256:
        raise error(
            "build.folder-changed",
            "a folder was changed since it was locked",
            value=str(code.place),
            cause="its files were edited in the meantime",
            cure="make the lock again: call plan() or launch_ship() once more",
        )
    stem = f"{pin.name.replace('-', '_')}-{pin.version}"
    members = [(file.name, data, file.runs) for file, data in kept]
    members += [
        (f"{stem}.dist-info/{name}", text.encode(), False)
        for name, text in {
            "METADATA": f"Metadata-Version: 2.1\nName: {pin.name}\nVersion: {pin.version}\n",
            "WHEEL": "Wheel-Version: 1.0\nGenerator: coffee_boat\nRoot-Is-Purelib: true\n"
            "Tag: py3-none-any\n",
            "top_level.txt": "".join(f"{name}\n" for name in sorted(code.modules)),
        }.items()
    ]
    folder.mkdir()
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data, runs in members:
            _put(archive, name, data, runs=runs)
        _put(archive, f"{stem}.dist-info/RECORD", _record(members, stem), runs=False)
    return wheel


def _put(archive: zipfile.ZipFile, name: str, data: bytes, *, runs: bool) -> None:
    info = zipfile.ZipInfo(name, _TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3  # the run bits of Unix
    info.external_attr = (0o100755 if runs else 0o100644) << 16
    archive.writestr(info, data)


def _record(members: list[tuple[str, bytes, bool]], stem: str) -> bytes:
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    for name, data, _ in members:
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.writerow([name, f"sha256={digest}", len(data)])
    rows.writerow([f"{stem}.dist-info/RECORD", "", ""])
    return table.getvalue().encode()
