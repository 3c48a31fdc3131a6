"""What the words mean with which an import fails on an executor; as in diagnosis.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from coffee_boat.errors import Problem
from coffee_boat.model import libraries
from coffee_boat.spark import absent
from coffee_boat.worker import modules


@dataclass(frozen=True)
class Symptom:
    """Named groups of the pattern may stand in the texts."""

    pattern: str
    problem: Problem
    of_the_node: bool = False
    """What the nodes are may be the reason."""
    more: Callable[[Mapping[str, str], str], Mapping[str, str]] | None = None
    """Further names for the texts, of those that the pattern found and the whole text."""


def _of_python(named: Mapping[str, str], _: str) -> Mapping[str, str]:
    cause, cure = modules.about_python(named["module"])
    return {"cause": cause, "cure": cure}


def _how_to_have(named: Mapping[str, str], text: str) -> Mapping[str, str]:
    module = ".".join(filter(None, (named["module"], named.get("attribute"))))
    top = module.partition(".")[0]
    package = absent.command(module, text)
    file = f'captain.add_local("{top}.py"), or boat launch --local {top}.py'
    if modules.distribution(module) or modules.is_shared(module) or "." in module:
        return {"how": package}
    return {"how": f"a file beside your notebook or script: {file}; a package: {package}"}


def _versions(named: Mapping[str, str], _: str) -> Mapping[str, str]:
    package = named["module"].partition(".")[0]
    here = absent.installed_here(package)
    if here:
        how = (
            f'captain.add_pip_packages("{here}") before the session starts, for the same version'
            " on both sides; or install on the driver what the executors have"
        )
    else:  # it may be a file of one's own, whose name an index has for somebody else's package
        how = (
            f'captain.add_local("{package}.py") if it is a file of your own; of a package, install'
            " on the driver the version that the executors have"
        )
    return {
        "package": package,
        "here": here.replace("==", " ") or "another version, or none",
        "how": how,
    }


def _of_system(named: Mapping[str, str], text: str) -> Mapping[str, str]:
    return {"how": libraries.how_to_have([named["library"]], libraries.needs_one(text))}


_MISSING = Problem(
    "executor.module-missing",
    "a module is not installed on the executors",
    cause="functions are pickled with the names of the modules they use; {module} has to be there,"
    " too",
    cure="{how}",
)
_OTHER_VERSION = Problem(
    "executor.other-version",
    "a package has another version on the executors than what uses it expects",
    cause="{package} is there, but not this part of it: the driver has {here}, and what it pickles"
    " needs that version on both sides; or two packages on the executors do not fit each other",
    cure="{how}",
)
IMPORTS = (
    Symptom(
        r"(?<![\w.+-])(?P<library>lib[\w.+-]{1,100}?\.so[\d.]{0,30}): cannot open shared"
        r" object file[^\n]*",
        Problem(
            "executor.system-library-missing",
            "a package needs a library that the node does not have",
            cause="{library} is neither in the package nor on the node, where the system would"
            " have it",
            cure="{how}",
        ),
        more=_of_system,
    ),
    Symptom(
        rf"No module named '(?P<module>(?:{modules.PARTS})(?:\.[\w.]+)?)'[^\n]*",
        Problem(
            "executor.python-part-missing",
            "a part of Python is not there",
            cause="{cause}",
            cure="{cure}",
        ),
        more=_of_python,
    ),
    Symptom(
        r"cannot import name '(?P<attribute>\w+)' from '(?P<module>[\w.]+)' \(unknown[^\n]*",
        _MISSING,
        more=_how_to_have,
    ),
    Symptom(
        r"(?:No module named(?= '\w+\.)|cannot import name '\w+' from|Can't get attribute"
        rf" '[^'\n]+' on <module) '(?P<module>(?!__main__|(?:{modules.SHARED})\.)[\w.]+)'[^\n]*",
        _OTHER_VERSION,
        more=_versions,
    ),
    Symptom(r"No module named '(?P<module>[^'\n]+)[^\n]*", _MISSING, more=_how_to_have),
)
