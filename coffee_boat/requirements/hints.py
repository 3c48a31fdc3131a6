"""What a person probably meant, for the cures in error messages. Nothing is decided here."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from pathlib import Path

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from coffee_boat._support.files import exists
from coffee_boat.errors import Problem
from coffee_boat.requirements import doors, foreign

_FILE_NAMES = {
    "pyproject.toml",
    "pylock.toml",
    "environment.yml",
    "environment.yaml",
    "setup.py",
    "setup.cfg",
    "pipfile",
    "pipfile.lock",
    "pdm.lock",
    "pixi.lock",
    "pixi.toml",
    "uv.lock",
    "poetry.lock",
}
_FILE_SUFFIXES = (".py", ".toml", ".yml", ".yaml", ".lock", ".egg", ".cfg")
_EXAMPLE = 'write it like "name", "name==1.0" or "name[extra]>=1.0,<2"'
_AT_VERSION = re.compile(r"(?P<name>[\w.\-]+)\s*@\s*v?(?P<version>\d[\w.]*)")
_NAME = r"(?P<name>[\w.\-]+(?:\[[^\]]*\])?)"
_MEANT: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"Package\s+Version.*|-+\s+-+|[\w.\-]+\s{2,}\d[\w.+]*"),
        "the table of `pip list` is for people: make it with pip list --format=freeze",
    ),
    (
        re.compile(r"(?:[A-Za-z]:\\|\\\\).*", re.DOTALL),
        "a path of Windows is on no machine here: give a folder of this machine, or a git URL",
    ),
    (
        re.compile(r"(?P<whole>" + _NAME + r"=(?P<version>[\w.+*!]+)=\S+)"),
        r'"\g<name>==\g<version>", or as a conda package: captain.add_conda_packages("\g<whole>")',
    ),
    (re.compile(_NAME + r"\s*=\s*(?P<version>[\w.+*!]+)"), r'"\g<name>==\g<version>"'),
    (
        re.compile(_NAME + r"\s*=(?P<operator>[<>])\s*(?P<version>\S+)"),
        r'"\g<name>\g<operator>=\g<version>"',
    ),
    (
        re.compile(r"(?P<whole>.*::[\w.\-]+.*)", re.DOTALL),
        r'a conda package: captain.add_conda_packages("\g<whole>")',
    ),
    (
        re.compile(r".*--hash.*"),
        "hashes belong in a requirements.txt: captain.add_requirements(path)",
    ),
    (
        re.compile(
            _NAME + r"\s*(?P<first>[<>=!~]{1,2}\s*[\w.*]+)\s+(?P<second>[<>=!~]{1,2}\s*[\w.*]+)"
        ),
        r'put a comma between: "\g<name>\g<first>,\g<second>"',
    ),
)
"""What the whole string looks like -> the cure."""
_BY_SYSTEM = re.compile(_NAME + r"\s*==\s*(?P<version>\d[\w.+~:-]*)")
_COMMAND = re.compile(
    r"(?:(?:!|%)?(?:pip3?|uv|conda|mamba|python3?|poetry)\s+)(?:(?:pip|-m|add|install)\s+)*(?P<rest>\S.*)"
)
_OF_A_BUILD = re.compile(
    r"/(?:conda-bld|croot|feedstock_root|build_artifacts|ci(?:_\d+|_py\d+)?|perseverance-python-[\w-]+)/"
)
"""Where conda's packages are built: conda-build's folders, and Anaconda's own."""
_SEVERAL = re.compile(
    r"[\w.\-]+(?:[<>=!~]=?[\w.*]+)?(?:[\s,]+[A-Za-z][\w.\-]*(?:[<>=!~]=?[\w.*]+)?)+"
)


def is_file_name(text: str, folder: Path) -> bool:
    """True if a bare word is a file rather than a package.

    ruamel.yaml and web.py are packages; requirements.txt is none.
    """
    return (
        text in _FILE_NAMES
        or text.endswith(".txt")
        or (text.endswith(_FILE_SUFFIXES) and (folder / text).is_file())
    )


def cure_of_text(text: str) -> str:
    """For a string that is no requirement."""
    for pattern, cure in _MEANT:
        if found := pattern.fullmatch(text):
            return found.expand(cure)
    if found := _BY_SYSTEM.fullmatch(text):
        return foreign.without(found["name"], found["version"])
    if found := _COMMAND.fullmatch(text):
        if re.match(r"[!%]?(conda|mamba)\b", text):
            return f"captain.add_conda_packages({_strings(found['rest'])})"
        return f"leave the command out: {_strings(found['rest'])}"
    return (
        f"give each package a string of its own: {_strings(text)}"
        if _SEVERAL.fullmatch(text)
        else _EXAMPLE
    )


def _strings(text: str) -> str:
    return ", ".join(
        f'"{word}"' for word in re.split(r"[\s,]+", text) if word and not word.startswith("-")
    )


def cure_of_option(line: str) -> str:
    """For a string that starts with a dash."""
    option, _, value = line.replace("=", " ", 1).partition(" ")
    if option.startswith("-r") or option == "--requirement":
        return f"captain.add_requirements({(value or option[2:]).strip()!r})"
    if option in {"-e", "--editable"}:
        return f"captain.add_local({value.strip()!r})"
    if option in {"-i", "--index-url", "--extra-index-url", "-f", "--find-links"}:
        return "Captain(index_url=..., extra_index_urls=[...], find_links=[...])"
    return "put it into a requirements.txt, and give that: captain.add_requirements(path)"


def cure_of_page(url: str) -> str:
    """For an address of something that is no archive."""
    if url.endswith(".git") or re.match(
        r"https?://([^/@]*@)?(github|gitlab|bitbucket|codeberg)\.\w+/[^/]+/[^/]+/?$", url
    ):
        return f"git+{url}"
    if found := re.match(r"(.*/simple)(/[^/]*)?/?$", url):
        return f"give the package's name; an index goes to Captain(index_url={found[1]!r})"
    return "give the address of a file that ends with .whl or .tar.gz, or the package's name"


def cure_of_missing(path: Path, written: str = "") -> str:
    """For a path where nothing is, and the text that named it."""
    if found := _AT_VERSION.fullmatch(written):
        return f'"{found["name"]}=={found["version"]}"'
    if (found := re.fullmatch(r"(.+\.toml)\[([\w,. -]+)\]", path.name)) and exists(
        path.with_name(found[1])
    ):
        return (
            f"extras: captain.add_pip_packages({f'{path.parent}[{found[2]}]'!r}) takes the project"
            " with them"
        )
    if _OF_A_BUILD.search(path.as_posix()):
        return (
            "the line was written by pip freeze in a conda environment, and names a folder of the"
            " machine that built the package: "
            + (f'write "{said}", or ' if (said := _version_in(path)) else "")
            + "make the list with pip list --format=freeze"
        )
    if re.match(r"/[A-Za-z]:/|/Users/", path.as_posix()) and not exists(Path("/Users")):
        return "the path is of a machine with another system: give the package's name and version"
    near = _neighbours(path)
    return (
        f"did you mean {near}?"
        if near
        else "check the name, or give a package's name instead of a path"
    )


def _version_in(path: Path) -> str:
    """The name and version that a wheel's file name says: "numpy==1.26.4"; empty if it is none."""
    try:
        name, version, *_ = parse_wheel_filename(path.name)
    except InvalidWheelFilename:
        return ""
    return f"{name}=={version.public}"


def _neighbours(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    return next(iter(difflib.get_close_matches(path.name, names, n=1)), "")


_LOCK = Problem(
    "requirements.lock-file-as-package", "a lock file was given where a package is read"
)
_AS_PACKAGE = {
    "lock": _LOCK,
    "uv": _LOCK,
    "list": Problem(
        "requirements.list-as-package", "a list of requirements was given where a package is read"
    ),
    "environment": Problem(
        "requirements.environment-file-as-package",
        "an environment file of conda was given where a package is read",
    ),
    "foreign": Problem(
        "requirements.foreign-file-as-package",
        "a file of another tool was given where a package is read",
    ),
}
"""Kinds of files (doors.py) that are no packages."""


def wrong_file(path: Path) -> Problem:
    """What happened and the cure, for a file that is neither a wheel nor a source archive."""
    kind = doors.kind_of(path)
    name = "" if kind is None else kind.name
    if name in _AS_PACKAGE:
        return replace(_AS_PACKAGE[name], cure=doors.to(path))
    if name == "pyproject":
        return Problem(
            "requirements.project-file-as-package",
            "a project file was given where a package is read",
            cure=(
                f"captain.add_requirements({str(path)!r}) for its dependencies,"
                f" captain.add_pip_packages({str(path.parent)!r}) for itself"
            ),
        )
    if name == "script":
        return Problem(
            "requirements.module-as-package",
            "a module is not a package",
            cure=f'it is code of your own: captain.add_local("{path.name}")',
        )
    return Problem(
        "requirements.not-a-distribution",
        "this is neither a wheel nor a source archive",
        cure="give a file that ends with .whl or .tar.gz, or a folder with a pyproject.toml",
    )


def wrong_folder(folder: Path) -> Problem:
    """What happened and the cure, for a folder that is no project."""
    return Problem(
        "requirements.not-a-project",
        "this folder has neither a pyproject.toml nor a setup.py",
        cure=_cure_of_folder(folder),
    )


def _cure_of_folder(folder: Path) -> str:
    if door := doors.to(folder):
        return door
    if any(folder.glob("*.whl")):
        return f"a folder of wheels goes to Captain(find_links=[{str(folder)!r}])"
    if (folder / "requirements.txt").is_file():
        return f"captain.add_requirements({str(folder / 'requirements.txt')!r})"
    if (folder / "__init__.py").is_file():
        return f"send it as your own code: captain.add_local({str(folder)!r})"
    return "give a folder that pip could install"
