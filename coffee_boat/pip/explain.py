"""uv's own explanation of a failure, which is good, with the usual cause and what to type."""

from __future__ import annotations

import re

from coffee_boat.errors import LockError, UnreachableError
from coffee_boat.model import Target

_UNREACHABLE = (
    (
        r"UnknownIssuer|invalid peer certificate|certificate verify failed|CaUsedAsEndEntity",
        "the certificate of an index is not trusted",
        "a company's proxy signs with its own authority",
        "export SSL_CERT_FILE=/path/to/company-ca.pem, or set `cert` in pip.conf",
    ),
    (
        r"network (was|is) disabled",
        "the network is switched off, and not everything is known here",
        "offline=True (or UV_OFFLINE), and the store, uv's cache and find_links lack something",
        "run once with offline=False, or put the wheels into a folder and give it as find_links",
    ),
    (
        r"Could not resolve host|Failed to connect to",
        "a git host cannot be reached",
        "no network here, a proxy that is not set, or a wrong host name",
        (
            "export HTTPS_PROXY=http://proxy:port, or put a wheel of it into a folder and give that"
            " as find_links"
        ),
    ),
    (
        (
            r"dns error|tcp connect error|Connection re(fused|set)|timed out|Network is"
            r" unreachable|error sending request|50[234] (Bad Gateway|Service|Gateway)|Could not"
            r" connect"
        ),
        "an index cannot be reached",
        "no network here, a proxy that is not set, or a wrong host name",
        (
            "export HTTPS_PROXY=http://proxy:port, name a mirror with index_url=, or work from a"
            " folder of wheels: find_links=[...], offline=True"
        ),
    ),
)
_OTHERS = (
    (
        r"40[13] (Unauthorized|Forbidden)|lack of valid authentication|Missing credentials",
        "an index refused the credentials",
        "they are missing, wrong or expired",
        "put user and password (or token) into ~/.netrc or into the index URL",
    ),
    (
        r"[Gg]it executable not found|Git is not installed",
        "the git program is missing",
        "git+ URLs need it",
        "install git, or give a source archive or a wheel in place of the git+ URL",
    ),
    (
        r"Git operation failed",
        "a git repository cannot be read",
        "a wrong URL or revision, or no right to read it",
        "try `git ls-remote <url>` in a terminal; for https, put a token into ~/.netrc",
    ),
    (
        r"build backend returned an error|Failed to build|Failed to resolve requirements from",
        "a source distribution cannot say what it needs",
        (
            "its build failed here: a compiler, a header or a build requirement is missing, or it"
            " does not support this Python"
        ),
        "ask for a version that has wheels, or install what the text above misses",
    ),
    (
        (
            r"no wheels with a matching|no wheels are available|Wheels are available for|no"
            r" (usable|compatible) wheels"
        ),
        "no wheel fits the executors",
        "it is published for another Python, a newer glibc or another architecture only",
        (
            'ask for another version, or say platform="manylinux_2_XX_x86_64" if the nodes have a'
            " newer glibc"
        ),
    ),
    (
        r"requires Python|does not satisfy Python|Requires-Python",
        "a package needs another Python than the executors'",
        "it supports newer or older versions only",
        "ask for another version of the package, or run the driver with another Python",
    ),
    (
        r"was not found in the (package registry|provided package locations|cache)|404 Not Found",
        "no such package",
        "the name is misspelt, or it lies on an index that is not named here",
        "check the name; for a private index: index_url= or extra_index_urls=[...]",
    ),
    (
        (
            r"Failed to initialize cache|failed to (create|open).*cache|Permission denied|Read-only"
            r" file system"
        ),
        "uv cannot write its cache",
        "the home folder is read-only or belongs to someone else",
        "export UV_CACHE_DIR=/some/folder/of/yours",
    ),
    (
        r"No space left",
        "the disk is full",
        "uv's cache or the temporary folder has no room",
        "free some space, or export UV_CACHE_DIR and TMPDIR",
    ),
    (
        (
            r"Distribution not found at|does not appear to be a Python project|neither `setup.py`"
            r" nor `pyproject.toml`"
        ),
        "not a project or a distribution",
        "the path is wrong, or there is no pyproject.toml in the folder",
        "check the path",
    ),
    (
        r"there (is|are) no version|only .* (is|are) available",
        "no such version",
        "it was never released, was withdrawn, or another requirement forbids it",
        "loosen the version, as the text above says",
    ),
    (
        r"No solution found",
        "no set of versions serves all requirements",
        "two of them exclude each other",
        "loosen one of those that the text above names",
    ),
    (
        r"Couldn't parse|Failed to parse",
        "a requirement cannot be read",
        "a typing error",
        "write it as in name[extra]>=1.0",
    ),
)


def error(text: str, target: Target) -> LockError:
    """The error that uv's stderr stands for.

    Args:
        text: redacted.
    """
    value = f"{cleaned(text)}\n  for Python {target.python} on {target.platform}"
    if not _refused(text):
        for pattern, what, cause, cure in _UNREACHABLE:
            if re.search(pattern, text):
                return UnreachableError(what, value=value, cause=cause, cure=cure)
    for pattern, what, cause, cure in _OTHERS:
        if re.search(pattern, text):
            return LockError(what, value=value, cause=cause, cure=cure)
    return LockError(
        "uv could not resolve the requirements",
        value=value,
        cause="see the text above",
        cure="try the same with `uv pip compile` in a terminal",
    )


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
