"""`boat --version` says which coffee_boat this is: of a release, of a checkout, or of a URL."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from coffee_boat import __version__
from coffee_boat.cli.main import boat
from coffee_boat.cli.origin import origin

ROOT = Path(__file__).resolve().parent.parent


def test_the_version_of_a_checkout_names_its_folder() -> None:
    done = CliRunner().invoke(boat, ["--version"], prog_name="boat")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"boat, version {__version__}, from the checkout {ROOT}\n"


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (None, ""),
        ("{", ""),
        ("[]", ""),
        ({"url": "file:///home/me/coffee%20boat", "dir_info": {}}, "from /home/me/coffee boat"),
        ({"url": "file:///tmp/coffee_boat-1-py3-none-any.whl", "archive_info": {}}, ""),
        (
            {
                "url": "https://me:hunter2@example.org/boat.git",
                "vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef0123456789abcdef01234567"},
            },
            "from git+https://example.org/boat.git at 0123456789ab",
        ),
    ],
)
def test_the_version_says_what_it_was_installed_from(
    record: object, said: str, tmp_path: Path
) -> None:
    site = tmp_path / "site-packages"
    about = site / "coffee_boat-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: coffee_boat\nVersion: 1\n")
    if record is not None:
        text = record if isinstance(record, str) else json.dumps(record)
        (about / "direct_url.json").write_text(text)
    assert origin(site / "coffee_boat") == said
