"""What `redact` hides beside what stands in a well-formed URL: credentials in addresses that
were mistyped, and values that are called secret.

What cannot be told apart is hidden: a text that says too little is mended by looking at the file, a
secret in a log is not. Every pattern looks a bounded number of characters ahead."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote

HIDDEN = "***"
_WINDOW = 400
"""Characters that an address is looked through for the end of a password."""
_SHORTEST = 4
"""Characters of a secret that is looked for in other texts: a shorter one is in every word."""

_START = re.compile(
    r"(?<![a-zA-Z0-9+.\-])(?P<scheme>[a-zA-Z][a-zA-Z0-9+.\-]{0,30}:[/\\]{2,8}"
    r"|[a-zA-Z][a-zA-Z+]{2,20}:[/\\]"
    r"|[a-zA-Z][a-zA-Z0-9+]{1,20} ?(?:[:;.,|] ?){1,3}[/\\]{2,4}"
    r"|[a-zA-Z][a-zA-Z0-9+]{2,20} ?(?:[:;|] ?){1,3}[/\\]"
    r"|(?:git\+)?(?:https?|ssh|ftps?|s3)(?::[/\\]?|;[/\\]{0,4}|[/\\]{1,3})|:?//)(?=[^\s/\\])",
    re.IGNORECASE,
)
"""Of an address; "http:/", "http//", "https;//", "https.//", "https ://" and a bare "//" too."""
_USER = re.compile(r"[^\s:/\\@?#'\"<>]{0,200}")
_PORT = re.compile(r"\d{0,5}(?=$|[/\\?#\s'\"<>(),;\]}:.])")
_RUN = re.compile(r"(?:[^\s'\"]|['\"](?![\s,;:)\]}]|$)){0,400}")
"""An address without what closes it in a sentence, a list or a repr."""
_HOST = re.compile(r"(?:[\w\-]+(?:\.[\w\-]+)*|\[[0-9a-fA-F:.]+\])(?=$|[/:?#\s,;)\]])")
_GIT = re.compile(r"git@[\w.\-]+(?=$|[:/])")
"""The user of every forge's ssh addresses: a name, no secret."""
_DOTTED_HOST = re.compile(r"@(?=[\w\-]+(?:\.[\w\-]+)*\.[a-zA-Z]{2,20}(?:$|[/:]))")

_BARE = re.compile(
    r"(?:(?<![\w/@:.\-+%~*\\$])|(?<=[^/\\][/\\]))[\w.+~%\-]{1,100}:(?![/\\:\s])"
    r"(?:(?!://)[^\s'\"]){1,200}(?P<at>@|%40)(?=[\w\[])(?!sha(?:256|384|512):)"
)
"""user:password@host without a scheme; an image's name:tag@sha256: is none."""
_NO_USER = re.compile(r"(?<![\w:/.\-)\]}*]):(?![/\\:\s])[^\s'\"/@*][^\s'\"/@]{0,200}@(?=[\w\[])")
"""A text that is cut off before it: `:password@host`."""
_NO_SCHEME = re.compile(
    r"(?:(?<=^)|(?<=[\s'\"(=,`]))(?!git@)[^\s'\"/@:*(=,`]{4,200}"
    r"@(?=[\w\-]{1,63}(?:\.[\w\-]{1,63}){0,8}(?::\d{1,5})?/)(?!file:)"
)
"""token@host/path."""
_ENCODED_BARE = re.compile(
    r"(?<![\w.+~%\-])[\w.+~\-]{1,100}%3A(?:(?!%2F)[^\s'\"/@]){1,200}(?=%40[\w\[])", re.IGNORECASE
)
_NO_PORT = re.compile(
    r"(?<![a-zA-Z0-9+.\-])(?P<before>(?!(?:git[+])?ssh:|git:|file:)"
    r"[a-zA-Z][a-zA-Z0-9+.\-]{1,30}:/{1,2}"
    r"[^\s:/\\@?#'\"<>,]{1,200}:)"
    r"(?!(?:port|[N\d*\-]{1,11})(?![\w.\-])|[^\s'\"/\\]{0,400}@|\*\*\*)\w[^\s'\"<>/\\)\]},]{0,400}",
    re.IGNORECASE,
)
"""https://user:password and a host behind it, where the @ was forgotten."""
_ENCODED_LOGIN = re.compile(r"(%3A%2F%2F)(?:(?!%2F)[^\s'\"/]){1,300}(?:%40|@)", re.IGNORECASE)
_ENCODED_QUERY = re.compile(r"(%3F)(?:(?!%3D)[^\s'\"/]){1,100}%3D[^\s'\"/]{1,1000}", re.IGNORECASE)
_BARE_TOKEN = re.compile(
    r"((?<![\w/.\-])[\w\-]{1,63}(?:\.[\w\-]{1,63}){1,8}(?::\d{1,5})?(?:/[\w.\-]{1,60}){0,4}/t/)"
    r"[^/\s'\"]{1,200}"
)
"""conda's, where the scheme is missing."""
_FRAGMENT = re.compile(r"(://[^\s'\"<>#]{1,500}#)([^\s'\"<>]{1,1000})")
_FRAGMENT_VALUE = re.compile(
    r"(?P<name>(?:^|(?<=[&;]))(?!(?:egg|subdirectory|md5|sha\d+)=)[^&;=]{1,100}=)[^&;),:\]}]+"
)
"""What is not pip's own: egg, subdirectory, a hash."""

_NAME = (
    r"[\w.\-]{0,60}?(?:secret|passw(?:or)?d|passphrase|token|(?:access|api|private)[._\-]?key)"
    r"(?:[_.\-][\w.\-]{1,60})?"
)
_VALUE = r"(?:\"[^\"\n]{1,1000}\"|'[^'\n]{1,1000}'|[^\s'\",;&)\]}]{1,1000})"
_ASSIGNED = re.compile(
    rf"(?P<name>(?<![\w.\-]){_NAME}(?:\s?=(?!=)\s?|['\"]\s?:\s?))(?!\*\*\*){_VALUE}", re.IGNORECASE
)
"""token=value, API_KEY = value, "password": "value"; not a package of that name: token-x==1.0."""
_SAID = re.compile(
    rf"(?P<name>(?<![\w.\-]){_NAME}:\s?)(?!\*\*\*)(?=\S{{0,100}}\w){_VALUE}(?=$|[\s'\",;)\]}}])",
    re.IGNORECASE,
)
"""password: value; Private-Token: value."""
_BEARER = re.compile(
    r"(?P<name>\bbearer\s)(?!tokens?\b|auth|\*\*\*)[\w\-.~+/=]{5,2000}", re.IGNORECASE
)
_OPTION = re.compile(rf"(?P<name>(?<![\w\-])--{_NAME}\s){_VALUE}", re.IGNORECASE)
_HEADER = re.compile(
    r"(?P<name>authorization['\"]?\s?[:=]\s?['\"]?(?:(?:basic|bearer|digest|token)\s)?)[^\s'\",]{1,2000}",
    re.IGNORECASE,
)
_NETRC = re.compile(r"(?P<name>\blogin\s{1,8}\S{1,200}\s{1,8}password\s{1,8})\S{1,1000}")
_KNOWN = re.compile(
    r"(?<![\w\-])(?:gh[pousr]_\w{20,255}|github_pat_\w{20,255}|glpat-[\w\-]{16,255}"
    r"|pypi-[\w\-]{32,500}|AKIA[0-9A-Z]{16}|eyJ[\w\-]{10,2000}\.[\w\-]{4,4000}\.[\w\-]{4,1000})"
)
"""Tokens that tell by their form what they are."""


def as_read(text: str) -> str:
    """The text with compatibility characters (a full-width colon) as what they are taken for where
    an address is read; of the same length.
    """
    if text.isascii():
        return text
    return text.translate({ord(one): _plain(one) for one in set(text) if not one.isascii()})


def _plain(one: str) -> str:
    plain = unicodedata.normalize("NFKC", one)
    mark = next((mark for mark in "/?#@:" if mark in plain), "")
    return mark or (plain if len(plain) == 1 and plain.isascii() else one)


def hidden_in(text: str, shown: str) -> tuple[str, ...]:
    """What `shown`, which is the text redacted, hides of the text: longest first. Of a login its
    password, whole, decoded, and the words of it, as an error may quote one of them.
    """
    found: set[str] = set()
    at = 0
    for number, piece in enumerate(shown.split(HIDDEN)):
        place = text.find(piece, at)
        if place < 0:
            found |= _spellings(text[at:])
            break
        if number:
            found |= _spellings(text[at:] if not piece else text[at:place])
        at = place + len(piece)
    return tuple(sorted(found, key=len, reverse=True))


def _spellings(secret: str) -> set[str]:
    secret = re.split(r":|%3A", secret, maxsplit=1, flags=re.IGNORECASE)[-1]
    whole = {secret, unquote(secret)}
    words = {word for text in whole for word in re.split(r"[^\w\-.]+", text)}
    return {one for one in whole | words if len(one) >= _SHORTEST and one.strip("*")}


def masked(text: str, known: Iterable[str]) -> str:
    """The text without values that are known to be secret, wherever they stand."""
    for one in known:
        text = text.replace(one, HIDDEN)
    return text


def without_logins(text: str) -> str:
    """The text without user and password of addresses, however they were typed."""
    text = _NO_PORT.sub(rf"\g<before>{HIDDEN}", text)
    if "@" not in text and "%40" not in text:
        return text
    parts, end = [], 0
    for found in _START.finditer(text):
        if found.start() < end or not _may_log_in(text, found.end()):
            continue
        login = _login_end(text, found)
        if login:
            parts += [text[end : found.end()], HIDDEN]
            end = login
    text = "".join([*parts, text[end:]])
    text = _ENCODED_LOGIN.sub(rf"\1{HIDDEN}%40", text)
    text = _ENCODED_BARE.sub(HIDDEN, text)
    text = _BARE.sub(rf"{HIDDEN}\g<at>", text)
    text = _NO_USER.sub(f":{HIDDEN}@", text)
    return _NO_SCHEME.sub(f"{HIDDEN}@", text)


def without_named(text: str) -> str:
    """The text without values that are called secret, and parameters that are encoded or stand in a
    fragment.
    """
    text = _ENCODED_QUERY.sub(rf"\1{HIDDEN}", text)
    text = _BARE_TOKEN.sub(rf"\1{HIDDEN}", text)
    if "#" in text:
        text = _FRAGMENT.sub(
            lambda found: found[1] + _FRAGMENT_VALUE.sub(rf"\g<name>{HIDDEN}", found[2]), text
        )
    for pattern in (_HEADER, _BEARER, _ASSIGNED, _SAID, _OPTION, _NETRC):
        text = pattern.sub(rf"\g<name>{HIDDEN}", text)
    return _KNOWN.sub(HIDDEN, text)


def _may_log_in(text: str, start: int) -> bool:
    end = start + _WINDOW
    return text.find("@", start, end) >= 0 or text.find("%40", start, end) >= 0


def _login_end(text: str, found: re.Match[str]) -> int:
    """Where a user's name and password end, before their @; 0 if there are none."""
    start, git = found.end(), found["scheme"].lower().startswith("git+")
    user = _USER.match(text, start)
    after = user.end() if user else start
    run = _run_from(text, start)
    if _GIT.match(run):
        return 0
    if text[after : after + 1] != ":":
        return _behind(start, _end_without_password(run))
    rest = text[after + 1 : after + 3]
    if rest == "//" or not rest:
        return 0  # k8s://https://host
    if _PORT.match(text, after + 1):
        host = text[start:after]
        if git or "." in host or host in ("localhost", "") or host.startswith("["):
            return _behind(start, _in_host(run))  # https://host:8080/repository@v1
        return _behind(start, _last(run))
    end = _password_end(run, git=git)
    if end < 0 and rest[0] not in " \t":  # there are blanks in it
        line = re.sub(r"^(\S*)\n(?=\S*@)", r"\1 ", text[start : start + _WINDOW]).partition("\n")[0]
        end = _last(re.split(r"['\"<>]|://", line, maxsplit=1)[0])
    return _behind(start, end)


def _behind(start: int, length: int) -> int:
    return start + length if length > 0 else 0


def _end_without_password(run: str) -> int:
    """Of token@host; and of me@corp.com:password@host."""
    first = _in_host(run)
    colon = run.find(":", first)
    if first < 0 or colon < 0 or _PORT.match(run, colon + 1) or run[first + 1 : first + 2] == "[":
        return first
    return max(first, _last(run))


def _run_from(text: str, start: int) -> str:
    found = _RUN.match(text, start)
    return found[0].partition("://")[0] if found else ""


def _password_end(run: str, *, git: bool) -> int:
    """Of user:password@host; -1 if there is no @. Behind git's there may be a @revision."""
    first = _in_host(run)
    if first < 0:
        return _last(run)
    host = re.split(r"[/\\]", run[first + 1 :], maxsplit=1)[0]
    if not git:
        return max(first, _last(run))
    if "." in host or host == "localhost":
        return first
    return max((found.start() for found in _DOTTED_HOST.finditer(run)), default=first)


def _in_host(run: str) -> int:
    """The last @ before the path."""
    return re.split(r"[/\\]", run, maxsplit=1)[0].rfind("@")


def _last(run: str) -> int:
    """The last @ that a host may stand behind, or one that is encoded; -1 if there is none."""
    for mark in ("@", "%40"):
        place = run.rfind(mark)
        while place > 0:
            if _HOST.match(run, place + len(mark)):
                return place
            place = run.rfind(mark, 0, place)
    return -1
