"""How long the queues of a broker are, and since when the message waits that was published first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from jarvis.status.model import Queue
from jarvis_client.contract.routes import JOBS_ROUTE, MAX_MESSAGE_BYTES, ROUTES
from workers.envelope import published_at

#: Messages of one worker and queue whose age is looked at: which of what it holds is the oldest, Redis does not know.
SAMPLED = 3
#: Every queue of ours; what is sent with a delay lies in the second list of each.
QUEUES = tuple(dict.fromkeys(route.queue for route in (*ROUTES.values(), JOBS_ROUTE)))
PARTS = ("", ".DQ")

#: Gives the replies to some commands, of one round trip.
Ask = Callable[[Iterable[Sequence[Any]]], list[Any]]


class _Source(NamedTuple):
    """Where messages of a queue are: a list, or what a worker holds; and the key of their payloads."""

    queue: str
    key: bytes
    payloads: str
    is_held: bool


def read_queues(ask: Ask, namespace: str, workers: Sequence[bytes], now: int) -> tuple[Queue, ...]:
    """Every queue; `workers` are the names under which something may be held. What a publisher dates ahead of `now` counts as published now."""
    sources = [source for queue in QUEUES for part in PARTS for source in _sources(namespace, queue, part, workers)]
    counts = ask([("SCARD" if source.is_held else "LLEN", source.key) for source in sources])
    filled = [source for source, count in zip(sources, counts, strict=True) if count]
    ids = ask([("SSCAN", source.key, 0, "COUNT", SAMPLED) if source.is_held else ("LRANGE", source.key, 0, 0) for source in filled])
    wanted = [
        (source, redis_id) for source, found in zip(filled, ids, strict=True) for redis_id in (found[1] if source.is_held else found)[:SAMPLED]
    ]  # fmt: skip
    sizes = ask([("HSTRLEN", source.payloads, redis_id) for source, redis_id in wanted])
    fitting = [pair for pair, size in zip(wanted, sizes, strict=True) if 0 < size <= MAX_MESSAGE_BYTES]
    oldest: dict[str, int] = {}
    for (source, _), payload in zip(fitting, ask([("HGET", source.payloads, redis_id) for source, redis_id in fitting]), strict=True):
        published = None if payload is None else published_at(payload)
        if published is not None:
            oldest[source.queue] = min(published, now, oldest.get(source.queue, now))
    tally = {queue: [0, 0] for queue in QUEUES}
    for source, count in zip(sources, counts, strict=True):
        tally[source.queue][source.is_held] += count
    return tuple(Queue(name=queue, waiting=waiting, held=held, oldest_at=oldest.get(queue)) for queue, (waiting, held) in tally.items())


def _sources(namespace: str, queue: str, part: str, workers: Sequence[bytes]) -> Iterable[_Source]:
    key = f"{namespace}:{queue}{part}"
    yield _Source(queue, key.encode(), f"{key}.msgs", is_held=False)
    for worker in workers:
        yield _Source(queue, f"{namespace}:__acks__.".encode() + worker + f".{queue}{part}".encode(), f"{key}.msgs", is_held=True)
