"""The channel that the tests of conda are built on is a real one: solved and installed by
py-rattler, and Python in it runs.
"""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

rattler = pytest.importorskip("rattler", reason="needs py-rattler: pip install coffee_boat[conda]")

from conda_channel import MINOR, NATIVE, PLACEHOLDER  # noqa: E402

pytestmark = pytest.mark.once


def installed(channels: list[str], specs: list[str], prefix: Path, cache: Path) -> list[str]:
    async def install() -> list[str]:
        records = await rattler.solve(
            sources=[rattler.Channel(channel) for channel in channels],
            specs=[rattler.MatchSpec(spec) for spec in specs],
            gateway=rattler.Gateway(cache_dir=cache / "repodata"),
            platforms=[NATIVE, "noarch"],
            virtual_packages=rattler.VirtualPackage.detect(),
        )
        await rattler.install(
            records,
            target_prefix=prefix,
            cache_dir=cache / "pkgs",
            platform=rattler.Subdir(NATIVE),
            show_progress=False,
        )
        return sorted(f"{record.name.normalized} {record.version}" for record in records)

    return asyncio.run(install())


def test_what_is_in_the_channel_is_solved_installed_and_runs(
    conda_channel: str, other_conda_channel: str, tmp_path: Path
) -> None:
    chosen = installed(
        [conda_channel, other_conda_channel],
        [f"python={MINOR}", "user-of-pure", "activated"],
        tmp_path / "prefix",
        tmp_path / "cache",
    )
    assert [name for name in chosen if not name.startswith("python ")] == [
        "activated 1.0",
        "native 2.0",
        "pure 1.1",
        f"python_abi {MINOR}",
        "user-of-pure 1.0",
    ]
    program = "import pure, native, user_of_pure, json, zlib; print(pure.VERSION, native.VERSION)"
    assert subprocess.run(
        [tmp_path / "prefix/bin/python", "-I", "-c", program],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split() == ["1.1", "2.0"]
    assert PLACEHOLDER not in (tmp_path / "prefix/etc/native.conf").read_text()
    binary = (tmp_path / "prefix/share/native/native.bin").read_bytes()
    assert PLACEHOLDER.encode() not in binary
    assert str(tmp_path / "prefix").encode() in binary
