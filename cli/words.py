"""A cure that names a Captain's functions and settings, in the words of a terminal or a
notebook.
"""

from __future__ import annotations

import re

from coffee_boat.errors import FORGET

_CALLS = {
    "add_pip_packages": "--pip",
    "add_local": "--local",
    "add_requirements": "-r",
    "add_conda_packages": "--conda",
    "add_environment": "--environment",
    "add_lock": "--lock",
    "add_function": "--function",
    "preload": "--preload",
    "pack": "boat pack -o",
    "launch_ship": "boat launch",
    "plan": "boat plan",
    "verify": "boat verify",
}
_SWITCHES = {
    "ship_python=False": "--no-ship-python",
    "offline=True": "--offline",
    "offline=False": "no --offline",
    "accept_conda_license=True": "--accept-conda-license",
    "overwrite=True": "--overwrite",
    "pyspark=False": "--no-pyspark",
}
_SETTINGS = {
    "python": "--python",
    "platform": "--platform",
    "index_url": "--index-url",
    "extra_index_urls": "--extra-index-url",
    "find_links": "--find-links",
    "store": "--store",
    "channel": "--channel",
    "deadline": "--deadline",
}
"""What a Captain is given, and what is typed for it."""
_LINES = {
    "add_pip_packages": "%boat add",
    "add_local": "%boat add --local",
    "add_requirements": "%boat add -r",
    "add_conda_packages": "%boat add --conda",
    "add_environment": "%boat add --environment",
    "add_lock": "%boat add --lock",
    "forget": "%boat forget",
    "upgrade_pip_packages": "%boat upgrade",
    "upgrade_conda_packages": "%boat upgrade --conda",
    "remove_pip_packages": "%boat remove",
    "remove_conda_packages": "%boat remove --conda",
    "rollback": "%boat rollback",
    "refresh": "%boat refresh",
    "preload": "%boat launch --preload",
    "pack": "%boat pack -o",
    "plan": "%boat plan",
    "verify": "%boat verify",
    "launch_ship": "%boat launch",
    "start": "%boat launch",
}
"""A Captain's functions, and what is typed for them in a notebook."""
_STARTS = re.compile(
    r"captain\.launch_ship\(\),? (?:and|then) (?:a new SparkContext"
    r"|SparkSession\.builder\.getOrCreate\(\)"
    r"|start a SparkContext or SparkSession|start it (?:again|anew))"
)
"""%boat launch starts the session, too."""


def in_options(cure: str) -> str:
    """A cure that names a Captain's functions and settings, in the words of a command line:
    `index_url="X"` is `--index-url X` there.
    """
    text = cure.replace(FORGET, "")
    for call, option in _CALLS.items():
        before = r"(?:captain\.)?" if call.startswith("add") else r"captain\."
        for said in re.finditer(rf"\b{before}{call}\(([^()]*)\)", text):
            text = text.replace(said[0], f"{option} {_words(said[1])}".rstrip())
    text = re.sub(r"\bCaptain\(([^()]*)\)", lambda found: _words(found[1]), text)
    for setting, option in _SWITCHES.items():
        text = text.replace(setting, option)
    # not conda's "python=3.11", nor a key of Spark's
    named = rf"""(?<![\w."'-])({"|".join(_SETTINGS)})="""
    text = re.sub(rf"{named}\[([^\]]*)\]", lambda found: f"{_SETTINGS[found[1]]} {found[2]}", text)
    text = re.sub(rf"""{named}(?=["'.\d])""", lambda found: f"{_SETTINGS[found[1]]} ", text)
    return re.sub(rf"{named}(?=[,)\s]|$)", lambda found: _SETTINGS[found[1]], text)


def in_magic(cure: str) -> str:
    """A cure in the words of a notebook: `captain.add_pip_packages("X")` is `%boat add X` there.

    Settings are given to the Captain, in Python, also there.
    """
    text = _STARTS.sub("%boat launch", cure)
    text = re.sub(r"\bcaptain\.board\([^()]*\)", "%boat launch (without options)", text)
    for call, line in _LINES.items():
        for said in re.finditer(rf"\bcaptain\.{call}\(([^()]*)\)", text):
            text = text.replace(said[0], f"{line} {_typed(said[1])}".rstrip())
    text = text.replace("captain.generations", "%boat generations")
    return text.replace("allow_changes=True", "--allow-changes")


def _words(arguments: str) -> str:
    """Arguments as words: no commas between them, a name in place of a star."""
    return " ".join(arguments.replace("*names", "NAME").split(", "))


def _typed(arguments: str) -> str:
    """Arguments as the words of a line, without quotes where none are needed."""
    words = re.sub(r"""(["'])([\w.\[\]/+-]+)\1""", r"\2", _words(arguments))
    return re.sub(rf"({'|'.join(_SETTINGS)})=", lambda found: f"{_SETTINGS[found[1]]} ", words)
