"""What an index shows of README: its relative links lead to the repository there."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import setup

REPOSITORY = "https://github.com/nteract/coffee_boat"


def _description() -> str:
    text = Path(__file__).with_name("README.md").read_text("utf-8")
    images = re.sub(r"(!\[[^]]*\])\((?!\w+:)", rf"\1({REPOSITORY}/raw/HEAD/", text)
    return re.sub(r"\]\((?!\w+:|#)", f"]({REPOSITORY}/blob/HEAD/", images)


setup(long_description=_description(), long_description_content_type="text/markdown")
