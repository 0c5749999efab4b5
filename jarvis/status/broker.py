"""What the broker tells: whether it can be used, what its workers say of themselves, what waits in it.

Only what a worker's own user may ask, and nothing but reads: a few round trips, whatever waits.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from jarvis.status.model import Broker, Queue
from jarvis.status.queues import read_queues
from jarvis_client.contract.address import client_url, read_address
from jarvis_client.contract.broker_faults import NOT_REACHABLE, fault_of, words_of
from jarvis_client.primaries import connect
from workers.heartbeat import DEAD_AFTER_MS, words_key
from workers.word import Word

#: Whoever asks how things stand does not wait for a broker that stalls.
SOCKET_SECONDS = 2.0
#: Workers that are looked at: those that beat last.
MOST_WORKERS = 100


@dataclass(frozen=True, slots=True)
class Spoken:
    """A worker's word, and when it last gave a sign of life; None where that is too long ago for it to be alive."""

    word: Word
    alive_at: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read of a broker. `queues` is None where they could not be read, and `unread` says why."""

    broker: Broker
    queues: tuple[Queue, ...] | None = None
    spoken: dict[str, Spoken] = field(default_factory=dict)
    unread: str | None = None


#: Of the embedded broker, where nothing answers.
NOT_RUNNING = "not running"


class BrokerLook:
    """Looks at one broker again and again, over one connection."""

    def __init__(self, url: str, namespace: str, *, log_of_embedded: Path | None = None) -> None:
        """`log_of_embedded`: where the embedded broker writes its log, if the URL is that one's."""
        self._url = url
        self._namespace = namespace
        self._log = log_of_embedded
        self._client: Any = connect(
            client_url(url), namespace, socket_timeout=SOCKET_SECONDS, socket_connect_timeout=SOCKET_SECONDS, retry=Retry(NoBackoff(), 0)
        )

    def close(self) -> None:
        with suppress(redis.RedisError):
            self._client.close()

    def look(self, now: int) -> Seen:
        """`now` dates what is found. Raises nothing for what the broker says, or does not say."""
        began = time.perf_counter()
        try:
            answer, told = self._replies([("TIME",), ("INFO", "server")])
            seconds = time.perf_counter() - began
            if isinstance(answer, Exception):
                return Seen(self._unusable(answer))
        except (redis.RedisError, OSError) as error:
            return Seen(self._unusable(error))
        broker = Broker(place=self._place, reachable=True, server=_server(told), round_trip_seconds=seconds)
        try:
            names, spoken = self._workers(now)
            return Seen(broker, read_queues(self._ask, self._namespace, names, now), spoken)
        except (redis.RedisError, OSError) as error:
            return Seen(broker, unread=fault_of(error, self._url).sentence(error))

    # -- details -----------------------------------------------------------------------------------------------------

    @property
    def _place(self) -> str:
        return "the embedded broker" if self._log is not None else read_address(self._url).place

    def _unusable(self, error: Exception) -> Broker:
        fault = fault_of(error, self._url)
        if isinstance(error, redis.TimeoutError):
            remedy = f"it may be stopped, or wait for its disk{'' if self._log is None else f': {self._log}'}"
            return Broker(place=self._place, reachable=False, problem=f"no answer within {SOCKET_SECONDS:g} s", remedy=remedy)
        if self._log is not None and fault is NOT_REACHABLE:
            return Broker(place=self._place, reachable=False, problem=NOT_RUNNING, remedy="start `jarvis up`, or `jarvis broker run`")
        return Broker(place=self._place, reachable=False, problem=f"{fault.predicate}: {words_of(error).rstrip('.')}", remedy=fault.remedy)

    def _workers(self, now: int) -> tuple[list[bytes], dict[str, Spoken]]:
        """The names of all that beat, of whatever make, and what those of ours say of themselves."""
        names: list[bytes] = self._client.zrange(f"{self._namespace}:__heartbeats__", -MOST_WORKERS, -1)
        _, found = self._client.hscan(words_key(self._namespace), count=MOST_WORKERS)
        words = [word for name, text in list(found.items())[:MOST_WORKERS] if (word := Word.read(text)) is not None and word.name.encode() == name]
        rests = self._ask([("PTTL", f"{self._namespace}:__alive__.jarvis-{word.name}") for word in words])
        # By the rest of a presence, which Redis counts itself, so that no machine's clock matters.
        alive_at = [now - (DEAD_AFTER_MS - rest) * 1_000 if rest > 0 else None for rest in rests]
        ours = [f"jarvis-{word.name}".encode() for word in words]
        return list(dict.fromkeys([*names, *ours])), {word.name: Spoken(word, at) for word, at in zip(words, alive_at, strict=True)}

    def _ask(self, commands: Iterable[Sequence[Any]]) -> list[Any]:
        """The replies to some commands, of one round trip. Raises the first error that is among them."""
        replies = self._replies(commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def _replies(self, commands: Iterable[Sequence[Any]]) -> list[Any]:
        with self._client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            return list(pipeline.execute(raise_on_error=False))


def _server(told: Any) -> str | None:
    """What a server calls itself; None where this user may not ask."""
    if not isinstance(told, dict):
        return None
    name = str(told.get("server_name", "redis"))
    version = told.get(f"{name}_version") or told.get("redis_version")
    return None if version is None else f"{name} {version}"
