"""What the driver is told of a server: its URL, and what we ask of every connection."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from jarvis_client.contract.errors import Invalid
from persistence.domain.address import shown

#: Asked of a connection where the URL says nothing else. A server that is gone without a word shows within half a minute.
DEFAULTS = {"connect_timeout": "5", "keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "20000"}


def parameters_of(url: str) -> dict[str, Any]:
    """What the driver is told. Raises `Invalid` for a URL that it cannot read."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        # What the driver says of it may hold the password.
        raise Invalid(f"database.url ({shown(url)}) is no URL of PostgreSQL; write postgresql://user@host:5432/name") from None
    return {"application_name": "jarvis"} | DEFAULTS | given | {"client_encoding": "utf8"}


__all__ = ["parameters_of"]
