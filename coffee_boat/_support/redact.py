"""What hides credentials in texts that people see."""

from __future__ import annotations

import re

from coffee_boat._support import secrets
from coffee_boat._support.words import visible

_CREDENTIALS = re.compile(
    r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.\-]{0,30}://)(?!git@[\w.\-]+(?:[:/]|$))[^/\s'\"]+@"
)
_ADDRESS = re.compile(r"(?<![\w+.\-])(?!file:)[a-zA-Z][a-zA-Z0-9+.\-]{2,30}:/{1,3}[^\s'\"]+")
_TOKEN = re.compile(r"(?<=/t/)[^/\s'\"]+")
"""Of a conda server, in the path: https://host/t/TOKEN/channel.

Each address is looked through once: one expression for both begins anew at each "http://" of a text
that is full of them.
"""
_WITH_PARAMETERS = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9+.\-]{0,30}://|\?)[^\s'\"<>#]+")
"""A URL as far as its fragment; or the query alone, as messages about a connection have it ("with
url: /x.whl?token=...").
"""
_PARAMETER = re.compile(r"(?P<name>[?&;][^?&;=]+=)(?:[^&;]|;(?![^&;=]+=))*[^&;).,:\]}]")
"""The value ends before the punctuation of a sentence.

After a semicolon too: Spark Connect's URLs (sc://host/;token=...).
"""
_BARE_QUERY = re.compile(
    r"(?P<path>(?:://|:/|\.(?:whl|zip|gz|bz2|xz|tgz|conda)(?=\?))[^\s'\"<>?#]{0,300}\?)"
    r"(?P<query>(?=[^\s'\"<>#]{0,400}[\w%])[^\s'\"<>#]+)"
)
_BARE_PARAMETER = re.compile(r"(?:^|(?<=[&;]))[^&;=]*[^&;=).,:\]}](?=$|[&;).,:\]}])")
"""A parameter that is a value without a name: https://host/x.whl?TOKEN."""
SENSITIVE = r"secret|password|token|access[.]?key"
"""Spark's own default of spark.redaction.regex (org.apache.spark.internal.config)."""
_SENSITIVE_KEY = re.compile(rf"{SENSITIVE}|(?<![a-z])sas(?![a-z])", re.IGNORECASE)
"""Azure's shared access signatures stand in fs.azure.sas.* too."""
_ASSIGNED = re.compile(
    rf"(?P<name>(?:{SENSITIVE})[^\s=]{{0,80}}=)(?:\"[^\"]*\"|'[^']*'|\S+)", re.IGNORECASE
)


def redact(text: str) -> str:
    """The text without what opens doors in the URLs in it: `user:password@` becomes `***@`,
    `?token=value` becomes `?token=***`, conda's `/t/TOKEN/` becomes `/t/***/`.

    All parameters lose their values: a name does not tell what is a secret (`sig`,
    `X-Amz-Signature`). Of fragments what pip does not know loses its value. Addresses that were
    mistyped, and values that are called secret: secrets.py.

    What people see goes through here, so control characters become escapes here, too: a stranger's
    text must not move a terminal's cursor.
    """
    plain = secrets.as_read(text)
    shown = _redacted(plain)
    return visible(text if shown == plain else shown)


def _redacted(text: str) -> str:
    bare = _CREDENTIALS.sub(r"\g<scheme>***@", secrets.without_logins(text))
    bare = _ADDRESS.sub(lambda found: _TOKEN.sub("***", found[0], count=1), bare)
    bare = _WITH_PARAMETERS.sub(lambda found: _PARAMETER.sub(r"\g<name>***", found[0]), bare)
    bare = _BARE_QUERY.sub(
        lambda found: found["path"] + _BARE_PARAMETER.sub("***", found["query"]), bare
    )
    return secrets.without_named(bare)


def redact_all(*texts: str) -> tuple[str, ...]:
    """Texts that are said together: what the first hides is hidden in each, in whatever words."""
    first = secrets.as_read(texts[0])
    known = secrets.hidden_in(first, _redacted(first)) if first else ()
    return tuple(secrets.masked(redact(text), known) for text in texts)


def redact_setting(key: str, value: str) -> str:
    """The value of a Spark setting as people may see it: nothing of what Spark's own UI hides by
    the key, nor of `-Dpassword=value` in it.
    """
    return "***" if _SENSITIVE_KEY.search(key) else _ASSIGNED.sub(r"\g<name>***", redact(value))
