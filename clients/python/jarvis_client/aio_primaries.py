"""As `jarvis_client.primaries`, for asyncio."""

from __future__ import annotations

from itertools import count
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool, SentinelManagedConnection, SentinelManagedSSLConnection
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from jarvis_client.contract.address import read_address
from jarvis_client.primaries import Errors, Question, connection_options, elsewhere, host_of, question_of


def connect(url: str, namespace: str, **limits: Any) -> redis.asyncio.Redis:
    """As `primaries.connect`."""
    address = read_address(url)
    if not address.finder:
        return redis.asyncio.Redis.from_url(url, **limits)
    given = connection_options(address, limits)
    question = question_of(address, namespace)
    kind = _TLSConnection if address.scheme == "rediss" else _Connection
    asked = [redis.asyncio.Redis(host=host, port=port, retry=Retry(NoBackoff(), 0), **question.options) for host, port in address.hosts]
    finder: Any = Finder(question, asked)
    return redis.asyncio.Redis.from_pool(SentinelConnectionPool(question.name, finder, connection_class=kind, **given))  # type: ignore[no-untyped-call]


class Finder:
    """As that of `primaries`."""

    def __init__(self, question: Question, asked: list[Any]) -> None:
        self._question = question
        self._asked = asked
        self._turns = count()

    async def discover_master(self, _name: str) -> tuple[str, int]:
        errors = Errors(self._question)
        turn = next(self._turns)
        for n in range(len(self._asked)):
            client = self._asked[(turn + n) % len(self._asked)]
            try:
                found = self._question.read(await client.execute_command(*self._question.command), host_of(client)[0])
            except redis.RedisError as error:
                errors.add(client, error)
                continue
            if found is not None:
                return found
        raise errors.summary()


class _Connection(SentinelManagedConnection):
    """As that of `primaries`."""

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)
        except ResponseError as error:
            if (passing := elsewhere(error)) is None:
                raise
            await self.disconnect()
            raise passing from error


class _TLSConnection(_Connection, SentinelManagedSSLConnection):
    pass
