"""Where a server is: a libpq URL, what is said of it without its password, and what we ask of every connection."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from jarvis_client.contract.errors import Invalid

#: What a URL begins with.
SCHEMES = ("postgresql://", "postgres://")
#: Asked of a connection where the URL says nothing else. A server that is gone without a word shows within half a minute.
DEFAULTS = {"connect_timeout": "5", "keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "20000"}


def is_server(url: str) -> bool:
    """Whether it names a PostgreSQL server, and not a file."""
    return url.startswith(SCHEMES)


def parameters_of(url: str) -> dict[str, Any]:
    """What the driver is told. Raises `Invalid` for a URL that it cannot read."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error as error:
        raise Invalid(f"database.url is no URL of PostgreSQL ({error}); write postgresql://user@host:5432/name, the password in a file") from None
    return {"application_name": "jarvis"} | DEFAULTS | given | {"client_encoding": "utf8"}


def shown(url: str) -> str:
    """The same place, for messages: without the password."""
    said = parameters_of(url)
    user = f"{said['user']}@" if said.get("user") else ""
    host = said.get("host") or said.get("hostaddr") or "localhost"
    ports = f":{said['port']}" if said.get("port") else ""
    return f"postgresql://{user}{host}{ports}/{said.get('dbname', '')}"


__all__ = ["is_server", "parameters_of", "shown"]
