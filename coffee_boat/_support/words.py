"""Amounts in words (things, memory, time), yes and no, and texts of strangers as people may see
them.
"""

from __future__ import annotations

import re

YES = frozenset({"1", "y", "yes", "t", "true", "on"})
NO = frozenset({"0", "n", "no", "f", "false", "off"})
"""What a variable or an option says of what is on or off."""
MIB = 1024**2
GIB = 1024**3
_UNITS = {
    "b": 1,
    **{f"{letter}{b}": 1024**power for power, letter in enumerate("kmgtp", 1) for b in ("", "b")},
}
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]"
)
"""What a terminal obeys, what turns text around or is not seen, and what cannot be written."""
_SIZE = re.compile(r"([0-9]+)([a-z]+)?")


def spark_bytes(text: str, *, unit: int) -> int | None:
    """Bytes of "512m" or "2g"; None if Spark cannot read it either
    (org.apache.spark.network.util.JavaUtils.byteStringAs).

    Args:
        unit: bytes that a number alone counts; Spark has another one for each setting.
    """
    found = _SIZE.fullmatch(text.strip().lower())
    if found is None:
        return None
    factor = unit if found[2] is None else _UNITS.get(found[2])
    return None if factor is None else int(found[1]) * factor


def human_bytes(size: int) -> str:
    """As people write it in Spark's settings: "2g", "450m"."""
    return f"{size // GIB}g" if size % GIB == 0 and size else f"{size / MIB:.0f}m"


def human_size(size: float) -> str:
    """Bytes, for people: "13.1 MB"."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if round(size, 1) < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"


def duration(seconds: float) -> str:
    """For people: "3 hours"."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def counted(number: int, one: str) -> str:
    """ "1 package", "2 packages".

    Args:
        one: the word for one thing; more of them end with an s.
    """
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def visible(text: str) -> str:
    """The text with characters that a terminal obeys, or that nobody sees, as Python writes them
    ("\\x1b"); lines and tabs stay.
    """
    return _UNSEEN.sub(lambda one: ascii(one[0])[1:-1], text.replace("\r\n", "\n"))


def shortened(text: str, most: int) -> str:
    """The text, or its beginning and how much more there is."""
    return text if len(text) <= most else f"{text[:most]}... (+ {len(text) - most:,} characters)"


def one_line(text: str, most: int) -> str:
    """A stranger's text on one line, shortened."""
    return visible(shortened(" ".join(text[:most].split()) + text[most:], most))
