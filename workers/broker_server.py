"""What a Redis of one's own has to be: new enough, and set up so that a message that it accepted stays. Told where it is not."""

from __future__ import annotations

import re
from typing import Any

import redis
import structlog

from jarvis_client.contract.errors import Invalid

log = structlog.get_logger("broker")

#: BLMOVE, LPOP with a count and SET with GET came with it.
OLDEST = (6, 2)


def refuse_old_server(client: Any) -> None:
    """Raises `Invalid` where the server is too old. One that is away or does not tell is asked nothing here."""
    version = str(_told(client, "server").get("redis_version", ""))
    match = re.match(r"(\d+)\.(\d+)", version)
    if match and (int(match[1]), int(match[2])) < OLDEST:
        raise Invalid(f"broker.url names a Redis {version}; a worker needs 6.2 or newer, or any Valkey: upgrade it, or set no broker.url")


def warn_of_settings(client: Any) -> None:
    """Say which settings of the server lose messages, each with the remedy. What this user may not ask is passed over; CONFIG GET, which also
    gives passwords, is never asked for.

    Raises `redis.ConnectionError` and `redis.TimeoutError` as every other call does.
    """
    policy = _told(client, "memory").get("maxmemory_policy")
    if policy is None:
        log.debug("the broker does not tell this user how it is set up: noeviction and appendonly are not looked at")
    elif policy != "noeviction":
        log.warning(
            "broker drops messages when it is full", maxmemory_policy=policy,
            what_to_do="CONFIG SET maxmemory-policy noeviction, and the same in its configuration file",
        )  # fmt: skip
    if _told(client, "persistence").get("aof_enabled") == 0:
        kept = "when it is killed, what came after its last snapshot is lost, and everything where it takes none"
        log.warning("broker keeps no append-only file", so=kept, what_to_do="CONFIG SET appendonly yes, and the same in its configuration file")


def _told(client: Any, section: str) -> dict[str, Any]:
    try:
        found = client.info(section)
    except (redis.ConnectionError, redis.TimeoutError):
        raise
    except redis.RedisError:
        return {}
    return found if isinstance(found, dict) else {}
