"""Wheels of nothing but a name and a version, in place of pyspark and py4j."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from importlib import metadata as installed_metadata
from pathlib import Path

from coffee_boat.spark.packages import DRIVERS_OWN, pep440


def stubs(folder: Path, installed: Mapping[str, str]) -> dict[str, Path]:
    """Name -> stub wheel, made in `folder`.

    `installed` has the versions that the driver runs, normalized names.
    """
    return {name: _stub(folder, name, pep440(installed.get(name, ""))) for name in DRIVERS_OWN}


def stub(folder: Path, name: str, version: str) -> Path:
    """A wheel of nothing but a name and a version, which needs nothing; made in `folder`."""
    return _wheel(
        folder,
        name,
        pep440(version),
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {pep440(version)}\n",
    )


def _stub(folder: Path, name: str, version: str) -> Path:
    return _wheel(folder, name, version, _metadata(name, version))


def _wheel(folder: Path, name: str, version: str, metadata: str) -> Path:
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{stem}.dist-info/METADATA", metadata)
        archive.writestr(
            f"{stem}.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: coffee_boat\nRoot-Is-Purelib: true\nTag:"
            " py3-none-any\n",
        )
        archive.writestr(f"{stem}.dist-info/RECORD", "")
    return path


def _metadata(name: str, version: str) -> str:
    extras, requires = _of_the_driver(name)
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Provides-Extra: {extra}" for extra in extras),
        *(f"Requires-Dist: {text}" for text in requires),
    ]
    return "\n".join(lines) + "\n"


def _of_the_driver(name: str) -> tuple[Sequence[str], Sequence[str]]:
    """Extras and requirements of what is installed here; none where Spark came without dist-info
    (SPARK_HOME, a vendor's zip).
    """
    try:
        found = installed_metadata.metadata(name)
    except installed_metadata.PackageNotFoundError:
        return (), ()
    return found.get_all("Provides-Extra") or (), installed_metadata.requires(name) or ()
