"""What the site has beyond the Markdown that is also read on the hosting page: README and the other
texts beside docs/ as pages, and docstrings whole where reference/python.md has first sentences.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "reporting.md",
}
"""Files beside docs/ -> their pages."""
_LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[#)])")
_API = re.compile(r"<!-- api (\S+) -->.*?<!-- end of api -->", re.DOTALL)

_TAG = re.compile(r"(<[^>]*>)")
_OPTION = re.compile(r"(?<![\w-])--?[a-z][\w-]*")
_AS_IT_IS = ("pre", "script", "style", "svg")
"""Elements whose text is not wrapped, or no text."""


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made of files beside docs/."""
    for name, page in PAGES.items():
        text = _moved(ROOT.joinpath(name).read_text("utf-8"), name, page)
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Let links out of docs/ lead to those pages, and docstrings be read."""
    uri = page.file.src_uri
    if uri not in PAGES.values():
        markdown = _moved(markdown, f"docs/{uri}", uri)
    return _API.sub(r"::: \1", markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Keep options whole: a browser breaks a line behind a hyphen, also the first of two."""
    inside, parts = "", _TAG.split(html)
    for place, part in enumerate(parts):
        if place % 2:
            name = re.split(r"[\s>]", part.strip("</"), maxsplit=1)[0]
            if name in _AS_IT_IS and inside in ("", name):
                inside = "" if part.startswith("</") else name
        elif not inside:
            parts[place] = _OPTION.sub(r'<span class="option">\g<0></span>', part)
    return "".join(parts)


def _moved(text: str, old: str, new: str) -> str:
    """The text of a file of the repository, with the links of a page of the site."""

    def there(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(old), match[1]))
        page = PAGES.get(target, target.removeprefix("docs/"))
        return posixpath.relpath(page, posixpath.dirname(new) or ".")

    return _LINK.sub(there, text)
