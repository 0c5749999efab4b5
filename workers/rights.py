"""What a worker's user in Redis has to be allowed, and how each of it is tried without changing anything.

A command is tried on a key that does not exist, in a way that can add nothing; Redis looks at rights before it looks at that. What
only adds cannot be tried so. deploy/redis/users.acl grants the same commands; a test holds both against each other.
"""

from __future__ import annotations

from typing import Any

import redis

#: After the name of the command; {} stands for the key.
_TRIES: dict[str, tuple[Any, ...]] = {
    "evalsha": ("0" * 40, 0), "script|exists": ("0" * 40,), "client|id": (), "client|unblock": (0,), "ping": (), "time": (),
    "info": ("server",), "scan": (0, "COUNT", 1), "cluster|slots": (),
    "type": ("{}",), "exists": ("{}",), "get": ("{}",), "pttl": ("{}",), "del": ("{}",),
    # A time that is none.
    "expire": ("{}", "x"), "pexpire": ("{}", "x"),
    # Set only where it is there already.
    "set": ("{}", "x", "XX"), "zadd": ("{}", "XX", 0, "x"),
    "zscore": ("{}", "x"), "zrange": ("{}", 0, 0), "zrem": ("{}", "x"),
    "scard": ("{}",), "sscan": ("{}", 0), "sismember": ("{}", "x"), "srem": ("{}", "x"),
    "llen": ("{}",), "lrange": ("{}", 0, 0), "lpop": ("{}",), "lrem": ("{}", 0, "x"),
    # A time to wait that no server takes.
    "blmove": ("{}", "{}", "LEFT", "LEFT", -1),
    "hstrlen": ("{}", "x"), "hlen": ("{}",), "hscan": ("{}", 0), "hget": ("{}", "x"), "hmget": ("{}", "x"), "hdel": ("{}", "x"), "hexists": ("{}", "x"),
    # A field without a value, a number that is none.
    "hset": ("{}", "x", "x", "x"), "hincrby": ("{}", "x", "x"),
    # A stream is not made for it.
    "xadd": ("{}", "NOMKSTREAM", "*", "x", "x"),
}  # fmt: skip
#: They add whatever they are given, or fill the server's store of scripts.
NOT_TRIED = ("script|load", "lpush", "rpush", "sadd", "hsetnx")

TRIED = tuple(_TRIES)


def refused_rights(client: Any, namespace: str) -> dict[str, str]:
    """The commands that this user may not use in a namespace, each with Redis's own words. Raises `redis.ConnectionError` and `redis.TimeoutError`."""
    key = f"{namespace}:__jarvis__.rights"
    found = {}
    for name, arguments in _TRIES.items():
        words = name.upper().split("|")
        try:
            client.execute_command(*words, *(key if argument == "{}" else argument for argument in arguments))
        except (redis.ConnectionError, redis.TimeoutError):
            raise
        except redis.exceptions.NoPermissionError as error:
            found[name] = str(error)
        except redis.RedisError:
            continue  # it was refused for what it said, not for who said it
    return found
