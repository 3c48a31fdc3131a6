"""What to type, to have a module that is missing somewhere, and which version of it is here."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from urllib.parse import urlsplit, urlunsplit

from coffee_boat._support import parse
from coffee_boat._support.files import local_path_or_none
from coffee_boat.worker import modules

_OURS = re.compile(
    r"It is not installed on this executor\. On the driver:\n(?:[^\n]{0,300}\n){0,2}?"
    r" *a package: +(?P<command>captain\.add_[^\n]{1,300})"
)
"""What an executor's finder says: it knew the whole dotted name."""
_NAMED = re.compile(r"captain\.add_(?:pip|conda)_packages\(\"[^\"]+\"[^)]*\)")


def command(module: str, text: str = "") -> str:
    """What brings a module that is no file of the user's own.

    Args:
        module: dotted, as far as it is known.
        text: what an executor said.
    """
    if (here := _distribution_here(module)) and (place := _from_elsewhere(here)):
        return f'captain.add_pip_packages("{place}")'
    said = _OURS.search(text)
    if said is not None and (named := _NAMED.search(said["command"])):
        return named.group()
    if modules.is_shared(module):
        return (
            f"{module} is shared by many packages: name the one that you import from it, as"
            ' captain.add_pip_packages("google-cloud-storage") for google.cloud.storage'
        )
    if modules.distribution(module):
        return modules.command(module)
    return f'captain.add_pip_packages("{here}")' if here else modules.command(module)


def installed_here(module: str) -> str:
    """The driver's own distribution that has a module, as "numpy==2.4.6", or by where it is from;
    empty if none has.
    """
    name = _distribution_here(module)
    try:
        return (_from_elsewhere(name) or f"{name}=={metadata.version(name)}") if name else ""
    except metadata.PackageNotFoundError:  # its metadata is broken
        return ""


def _distribution_here(module: str) -> str:
    top = module.partition(".")[0]
    try:
        names = metadata.packages_distributions().get(top, []) or _with_files_of(top)
    except (OSError, ValueError, TypeError, KeyError):  # broken metadata of any distribution
        return ""
    return names[0] if len(set(names)) == 1 else ""


def _from_elsewhere(name: str) -> str:
    """What brings a distribution that is here and came from no index (PEP 610): its name may be a
    stranger's there. Without a login, which is nothing to show.
    """
    try:
        said = parse.json(metadata.distribution(name).read_text("direct_url.json") or "{}")
        url, below = said.get("url", ""), str(said.get("subdirectory") or "")
        folder = local_path_or_none(url)
        if folder is not None:
            return str(folder / below)
        parts = urlsplit(url)
        bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        if "vcs_info" in said:
            vcs = said["vcs_info"]
            bare = f"{vcs['vcs']}+{bare}@{vcs['commit_id']}"
    except (
        metadata.PackageNotFoundError,
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
    ):
        return ""
    return f"{name} @ {bare}{f'#subdirectory={below}' if below else ''}" if url else ""


def _with_files_of(top: str) -> list[str]:
    """Python 3.10 knows only what top_level.txt says, which few build backends write."""
    if sys.version_info >= (3, 11):
        return []
    own = {f"{top}.py", top}
    found = metadata.distributions()
    return [one.metadata["Name"] for one in found if own & {f.parts[0] for f in one.files or ()}]
