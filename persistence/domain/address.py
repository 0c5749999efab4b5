"""Where books are: a path, or the URL of a PostgreSQL server, which is said without its password."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

#: What a URL of a server begins with.
SCHEMES = ("postgresql://", "postgres://")


def is_server(place: str | Path) -> bool:
    """Whether it names a PostgreSQL server, and not a file."""
    return str(place).startswith(SCHEMES)


def shown(url: str) -> str:
    """The same place, for messages: neither the password nor the options that it is asked with."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    host = host or ",".join(parse_qs(parts.query).get("host", []))
    return f"postgresql://{f'{name}@' if name else ''}{host}{parts.path if parts.path.startswith('/') else f'/{parts.path}'}"


def password_of(url: str) -> str | None:
    """The password as the URL has it; None where it has none."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[0].partition(":")[2] or next(iter(parse_qs(parts.query).get("password", [])), None)


__all__ = ["SCHEMES", "is_server", "password_of", "shown"]
