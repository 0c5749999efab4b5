"""Waiting until replicas have what was published: WAIT, on the connection that published it and in the same round trip.

Redis answers a publish once its own disk has it; its replicas get it a moment later. A primary that dies in that moment takes with it what only it
had. WAIT says how many replicas have it, which is no promise about their disks.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from typing import Any

from redis.exceptions import RedisError, ResponseError

from jarvis_client.contract.errors import Unavailable
from jarvis_client.primaries import refuse_former

#: One wait on the server, shorter than a client's patience with a silent one. A replica that is well answers within a millisecond.
SLICE_MS = 1_000
#: After a failover the next primary's replicas have to find it first.
WAIT_SECONDS = 10.0
#: With a spool, what is not copied soon is kept.
WAIT_SECONDS_WITH_SPOOL = 1.0

Command = tuple[Any, ...]
#: Each is sent as a whole, and the step is sent the replies, errors among them.
Steps = Generator[list[Command], list[Any], list[Any]]


class NotCopied(Unavailable):
    """The broker has the records, and too few replicas do: a failover now could lose them. Publish them again, which is harmless."""


def wait_for_copies(client: Any, commands: Sequence[Command], replicas: int, seconds: float) -> list[Any]:
    """The replies to commands in one MULTI, once so many replicas have what they wrote. Raises `NotCopied`, and redis's own errors."""
    connection = client.connection_pool.get_connection()
    # One whose replicas have left it for another primary does not know of that for some seconds.
    find_primary = getattr(client.connection_pool, "get_master_address", None)

    def say() -> list[Any]:
        steps = _steps(commands, replicas, seconds)
        try:
            asked = next(steps)
            while True:
                connection.send_packed_command(connection.pack_commands(asked))
                replies: list[Any] = []
                for _ in asked:
                    try:
                        replies.append(connection.read_response())
                    except ResponseError as error:
                        replies.append(error)
                asked = steps.send(replies)
                if find_primary is not None:
                    refuse_former(connection, find_primary())
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    try:
        return connection.retry.call_with_retry(say, lambda _error: connection.disconnect())  # type: ignore[no-any-return]
    except BaseException:
        # Whoever has the connection next must not read what is left of these replies.
        connection.disconnect()
        raise
    finally:
        client.connection_pool.release(connection)


async def wait_for_copies_async(client: Any, commands: Sequence[Command], replicas: int, seconds: float) -> list[Any]:
    """As `wait_for_copies`."""
    connection = await client.connection_pool.get_connection()
    find_primary = getattr(client.connection_pool, "get_master_address", None)

    async def say() -> list[Any]:
        steps = _steps(commands, replicas, seconds)
        try:
            asked = next(steps)
            while True:
                await connection.send_packed_command(connection.pack_commands(asked))
                replies: list[Any] = []
                for _ in asked:
                    try:
                        replies.append(await connection.read_response())
                    except ResponseError as error:
                        replies.append(error)
                asked = steps.send(replies)
                if find_primary is not None:
                    refuse_former(connection, await find_primary())
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    try:
        return await connection.retry.call_with_retry(say, lambda _error: connection.disconnect())  # type: ignore[no-any-return]
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    finally:
        await client.connection_pool.release(connection)


def _steps(commands: Sequence[Command], replicas: int, seconds: float) -> Steps:
    wait: Command = ("WAIT", replicas, SLICE_MS)
    until = time.monotonic() + seconds
    *said, executed, copies = yield [("MULTI",), *commands, ("EXEC",), wait]
    for reply in [*said, *(executed if isinstance(executed, list) else [executed]), copies]:
        if isinstance(reply, RedisError):
            raise reply
    while copies < replicas and time.monotonic() < until:
        # On the same connection, so of the same records: publishing them again would only make duplicates.
        [copies] = yield [wait]
        if isinstance(copies, RedisError):
            raise copies
    if copies < replicas:
        raise NotCopied(
            f"the broker has stored these records, but {copies} of {replicas} replicas have them after {seconds:g} s: they would be lost with the primary. "
            "Publish them again (what is recorded already counts as a duplicate); look why replicas are away or behind (INFO replication), or wait for "
            "fewer (wait_replicas)"
        )
    return list(executed)
