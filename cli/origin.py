"""Which coffee_boat this is: of a checkout, of a URL, or of a release."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

from coffee_boat._support.files import local_path
from coffee_boat._support.urls import without_credentials


def origin(package: Path) -> str:
    """What it was installed from, for people; empty for a release.

    Args:
        package: the folder that is imported.
    """
    around = package.parent
    if (around / "setup.cfg").is_file() and (around / "cli").is_dir():
        return f"from the checkout {around}"
    record = _direct_url(around)
    url, commit = record.get("url"), record.get("vcs_info")
    if isinstance(commit, dict) and isinstance(url, str):
        where = f"{commit.get('vcs')}+{without_credentials(url)}"
        return f"from {where} at {str(commit.get('commit_id'))[:12]}"
    if "dir_info" in record and isinstance(url, str):
        return f"from {local_path(url)}"
    return ""


def _direct_url(folder: Path) -> dict[str, Any]:
    """What an installer wrote down (PEP 610); empty for what comes from an index."""
    for found in metadata.distributions(name="coffee_boat", path=[str(folder)]):
        try:
            record = json.loads(found.read_text("direct_url.json") or "{}")
        except ValueError:
            continue
        return record if isinstance(record, dict) else {}
    return {}
