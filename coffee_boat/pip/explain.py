"""uv's own explanation of a failure, which is good, with the usual cause and what to type."""

from __future__ import annotations

import re
from dataclasses import replace

from coffee_boat._support import network
from coffee_boat.errors import LockError, Problem, UnreachableError
from coffee_boat.model import Target

_UNREACHABLE = (
    (
        r"UnknownIssuer|invalid peer certificate|certificate verify failed|CaUsedAsEndEntity",
        Problem(
            "lock.index-certificate-untrusted",
            "the certificate of an index is not trusted",
            cause="a company's proxy signs with its own authority",
            cure="export SSL_CERT_FILE=/path/to/company-ca.pem, or set `cert` in pip.conf",
        ),
    ),
    (
        r"network (was|is) disabled",
        Problem(
            "lock.offline",
            "the network is switched off, and not everything is known here",
            cause=(
                "offline=True (or UV_OFFLINE), and the store, uv's cache and find_links lack"
                " something"
            ),
            cure="run once with offline=False, or put the wheels into a folder: find_links=[...]",
        ),
    ),
    (
        r"Could not resolve host|Failed to connect to",
        Problem(
            "lock.git-unreachable",
            "a git host cannot be reached",
            cause="no network here, a proxy that is not set, or a wrong host name",
            cure=(
                "export HTTPS_PROXY=http://proxy:port, or put a wheel of it into a folder:"
                " find_links=[...]"
            ),
        ),
    ),
    (
        (
            r"dns error|tcp connect error|Connection re(fused|set)|timed out|Network is"
            r" unreachable|error sending request|50[234] (Bad Gateway|Service|Gateway)|Could not"
            r" connect"
        ),
        Problem(
            "lock.index-unreachable",
            "an index cannot be reached",
            cause="no network here, a proxy that is not set, or a wrong host name",
            cure=(
                "export HTTPS_PROXY=http://proxy:port, name a mirror with index_url=, or work from"
                " a folder of wheels: find_links=[...], offline=True"
            ),
        ),
    ),
)
_OTHERS = (
    (
        r"40[13] (Unauthorized|Forbidden)|lack of valid authentication|Missing credentials",
        Problem(
            "lock.index-refused-credentials",
            "an index refused the credentials",
            cause="they are missing, wrong or expired",
            cure="put user and password (or token) into ~/.netrc or into the index URL",
        ),
    ),
    (
        r"[Gg]it executable not found|Git is not installed",
        Problem(
            "lock.git-missing",
            "the git program is missing",
            cause="git+ URLs need it",
            cure="install git, or give a source archive or a wheel in place of the git+ URL",
        ),
    ),
    (
        r"Git operation failed",
        Problem(
            "lock.git-unreadable",
            "a git repository cannot be read",
            cause="a wrong URL or revision, or no right to read it",
            cure="try `git ls-remote <url>` in a terminal; for https, put a token into ~/.netrc",
        ),
    ),
    (
        r"build backend returned an error|Failed to build|Failed to resolve requirements from",
        Problem(
            "lock.source-not-buildable",
            "a source distribution cannot say what it needs",
            cause=(
                "its build failed here: a compiler, a header or a build requirement is missing, or"
                " it does not support this Python"
            ),
            cure="ask for a version that has wheels, or install what the text above misses",
        ),
    ),
    (
        (
            r"no wheels with a matching|no wheels are available|Wheels are available for|no"
            r" (usable|compatible) wheels"
        ),
        Problem(
            "lock.no-wheel-fits",
            "no wheel fits the executors",
            cause="it is published for another Python, a newer glibc or another architecture only",
            cure=(
                'ask for another version, or say platform="manylinux_2_XX_x86_64" if the nodes'
                " have a newer glibc"
            ),
        ),
    ),
    (
        r"requires Python|does not satisfy Python|Requires-Python",
        Problem(
            "lock.other-python-needed",
            "a package needs another Python than the executors'",
            cause="it supports newer or older versions only",
            cure="ask for another version of the package, or run the driver with another Python",
        ),
    ),
    (
        r"was not found in the (package registry|provided package locations|cache)|404 Not Found",
        Problem(
            "lock.no-such-package",
            "no such package",
            cause="the name is misspelt, or it lies on an index that is not named here",
            cure="check the name; for a private index: index_url= or extra_index_urls=[...]",
        ),
    ),
    (
        (
            r"Failed to initialize cache|failed to (create|open).*cache|Permission denied|Read-only"
            r" file system"
        ),
        Problem(
            "lock.uv-cache-unwritable",
            "uv cannot write its cache",
            cause="the home folder is read-only or belongs to someone else",
            cure="export UV_CACHE_DIR=/some/folder/of/yours",
        ),
    ),
    (
        r"No space left",
        Problem(
            "lock.disk-full",
            "the disk is full",
            cause="uv's cache or the temporary folder has no room",
            cure="free some space, or export UV_CACHE_DIR and TMPDIR",
        ),
    ),
    (
        (
            r"Distribution not found at|does not appear to be a Python project|neither `setup.py`"
            r" nor `pyproject.toml`"
        ),
        Problem(
            "lock.not-a-project",
            "not a project or a distribution",
            cause="the path is wrong, or there is no pyproject.toml in the folder",
            cure="check the path",
        ),
    ),
    (
        r"there (is|are) no version|only .* (is|are) available",
        Problem(
            "lock.no-such-version",
            "no such version",
            cause="it was never released, was withdrawn, or another requirement forbids it",
            cure="loosen the version, as the text above says",
        ),
    ),
    (
        r"No solution found",
        Problem(
            "lock.no-solution",
            "no set of versions serves all requirements",
            cause="two of them exclude each other",
            cure="loosen one of those that the text above names",
        ),
    ),
    (
        r"Couldn't parse|Failed to parse",
        Problem(
            "requirements.unreadable",
            "a requirement cannot be read",
            cause="a typing error",
            cure="write it as in name[extra]>=1.0",
        ),
    ),
)


def error(text: str, target: Target) -> LockError:
    """The error that uv's stderr stands for.

    Args:
        text: redacted.
    """
    value = f"{cleaned(text)}\n  for Python {target.python} on {target.platform}"
    if not _refused(text):
        for pattern, problem in _UNREACHABLE:
            if re.search(pattern, text):
                return UnreachableError.of(replace(_sharper(problem, text), value=value))
    for pattern, problem in _OTHERS:
        if re.search(pattern, text):
            return LockError.of(replace(_sharper(problem, text), value=value))
    return LockError(
        "lock.uv-failed",
        "uv could not resolve the requirements",
        value=value,
        cause="see the text above",
        cure="try the same with `uv pip compile` in a terminal",
    )


def _sharper(problem: Problem, text: str) -> Problem:
    """With what the text tells about this case, where the usual cause is not the likely one."""
    other = re.search(r"`(\S+)` is often confused for `(\S+?)`", text)
    if problem.code == "lock.source-not-buildable" and other is not None:
        return replace(
            problem,
            cause=f"{other[1]} is often confused for {other[2]}",
            cure=f"ask for {other[2]} in place of {other[1]}",
        )
    if problem.code == "lock.offline":
        return replace(
            problem,
            cure=f"{network.again()}, or put the wheels into a folder: find_links=[...]",
        )
    never = re.search(r"there is no version of ([\w.-]+)", text)
    if problem.code == "lock.no-such-version" and never is not None:
        return replace(
            problem,
            cure=f'leave the version out ("{never[1]}"): a plan shows the newest that fits',
        )
    return problem


def cleaned(text: str) -> str:
    """uv's explanation without its headlines, progress and exit words."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    kept = [
        line
        for line in lines
        if not re.match(
            r"\s*(Updating|Updated|Building|Built|Resolved|Downloading|Prepared|Using)\b|error: No"
            r" solution found|warning: ",
            line,
        )
    ]
    return "\n".join(re.sub(r"^(\s*)(error|cause): ", r"\1", line) for line in kept).strip()


def _refused(text: str) -> bool:
    return re.search(_OTHERS[0][0], text) is not None
