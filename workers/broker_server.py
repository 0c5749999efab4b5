"""What a Redis of one's own has to be: new enough, and set up so that a message that it accepted stays. Told where it is not."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import redis
import structlog

from jarvis_client.contract.errors import Invalid

log = structlog.get_logger("broker")

#: BLMOVE, LPOP with a count and SET with GET came with it.
OLDEST = (6, 2)


class Weakness(NamedTuple):
    """A setting of the server by which it can lose a message that it accepted."""

    event: str
    details: dict[str, str]
    remedy: str


def refuse_old_server(client: Any) -> None:
    """Raises `Invalid` where the server is too old. One that is away or does not tell is asked nothing here."""
    version = version_of(client) or ""
    match = re.match(r"(\d+)\.(\d+)", version)
    if match and (int(match[1]), int(match[2])) < OLDEST:
        raise Invalid(f"broker.url names a Redis {version}; a worker needs 6.2 or newer, or any Valkey: upgrade it, or set no broker.url")


def version_of(client: Any) -> str | None:
    """The version of Redis, or the one that a Valkey is compatible with; None where this user may not ask."""
    found = told(client, "server").get("redis_version")
    return None if found is None else str(found)


def warn_of_settings(client: Any) -> None:
    """Say which settings of the server lose messages, each with the remedy. Raises as `weaknesses` does."""
    found = weaknesses(client)
    if found is None:
        log.debug("the broker does not tell this user how it is set up: noeviction and appendonly are not looked at")
    for weakness in found or ():
        log.warning(weakness.event, **weakness.details, what_to_do=weakness.remedy)


def weaknesses(client: Any) -> list[Weakness] | None:
    """Which settings of the server lose messages; None where this user may not ask. CONFIG GET, which also gives passwords, is never asked for.

    Raises `redis.ConnectionError` and `redis.TimeoutError` as every other call does.
    """
    policy, kept = told(client, "memory").get("maxmemory_policy"), told(client, "persistence").get("aof_enabled")
    if policy is None and kept is None:
        return None
    found = []
    if policy not in (None, "noeviction"):
        remedy = "CONFIG SET maxmemory-policy noeviction, and the same in its configuration file"
        found.append(Weakness("broker drops messages when it is full", {"maxmemory_policy": str(policy)}, remedy))
    if kept == 0:
        so = "when it is killed, what came after its last snapshot is lost, and everything where it takes none"
        found.append(Weakness("broker keeps no append-only file", {"so": so}, "CONFIG SET appendonly yes, and the same in its configuration file"))
    return found


def told(client: Any, section: str) -> dict[str, Any]:
    """A section of INFO; empty where this user may not ask. Raises as `weaknesses` does."""
    try:
        found = client.info(section)
    except (redis.ConnectionError, redis.TimeoutError):
        raise
    except redis.RedisError:
        return {}
    return found if isinstance(found, dict) else {}
