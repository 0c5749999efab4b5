"""What may be shown: text without the passwords of its URLs, lists without an end."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: `user:password@` of any URL. A password that was not percent-encoded may hold / ? # and @, so all up to the last @ of the word goes.
_USER_AND_PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/?#@:\"<>]*:)[^\s\"<>]+@", re.IGNORECASE)
#: `password@`: a password where the user's name belongs.
_ALONE = re.compile(r"(\b(?:rediss?(?:\+[a-z]+)?|unix)://)[^\s/?#@:\"<>]+@", re.IGNORECASE)
_IN_QUERY = re.compile(r"([?&;](?:ssl_|sentinel_)?password=)[^\s&#;\"<>]+", re.IGNORECASE)


def hide_passwords(text: str) -> str:
    """A text whose URLs show no password, in whatever place of the URL it stands."""
    if "://" not in text:
        return text
    return _IN_QUERY.sub(r"\1***", _ALONE.sub(r"\1***@", _USER_AND_PASSWORD.sub(r"\1***@", text)))


def first_few(names: Iterable[str], most: int = 5) -> str:
    """The first names of a list and how many more there are: what clients send may be thousands."""
    listed = list(names)
    more = len(listed) - most
    return ", ".join(listed) if more <= 0 else f"{', '.join(listed[:most])} and {more:,} more"


def shown(value: object) -> str:
    """The beginning of a value: what clients send may be a megabyte."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
