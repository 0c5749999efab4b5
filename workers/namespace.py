"""A walk through the namespace: messages of ours where no worker reads them, and what workers of another make left behind.

    queues that are not ours      a client left its queue_name out (`default`), or misspelt it; what can be recorded as it is moves to its
                                  own queue once nobody has taken anything there for a minute, the rest is shown
    dead letters (`.XQ`)          were never applied, so on our queues all of ours come back, on others what can be recorded
    holdings of dead workers      of another make: what is ours comes back to its queue

Another program's messages stay where they are.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import structlog

from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.routes import MAX_MESSAGE_BYTES
from persistence.domain.strays import StrayKind
from workers import redis_scripts
from workers.broker import LedgerBroker
from workers.envelope import KIND_OF_ACTOR
from workers.wire import decode_json

log = structlog.get_logger("strays")

#: How often one of the workers walks through all keys.
WALK_SECONDS = 180.0
#: Keys that Redis looks at in one step.
KEYS_SLICE = 500
#: A queue of which nothing was taken for so long is read by nobody.
UNREAD_SECONDS = 60.0
#: Messages of one step, and how deep a queue is looked into beyond messages that stay where they are.
MESSAGES_SLICE = 50
DEEPEST = 2_000
#: Queues that are not ours and are looked at, at a time.
MOST_QUEUES = 500

Show = Callable[[StrayKind, str, int, str], None]


class Namespace:
    """The keys of one namespace that are not the queues of a worker."""

    def __init__(
        self, broker: LedgerBroker, good: Callable[[bytes], str | None], show: Show, gone: Callable[[StrayKind, str], None], pause: Callable[[], bool]
    ) -> None:
        self._broker = broker
        self._client: Any = broker.client
        self._good = good
        self._show = show
        self._gone = gone
        self._pause = pause
        self._move = broker.client.register_script(redis_scripts.MOVE)
        self._walked = float("-inf")
        #: Sources, by what was last at their head, and since when.
        self._heads: dict[str, tuple[bytes, float]] = {}
        self._depth = 0
        #: Workers of another make that hold something of ours and have no heartbeat any more.
        self.forgotten: set[bytes] = set()

    def look(self) -> None:
        """Walk where nobody has for some minutes; then look at what was found. Raises `redis.RedisError`."""
        if time.monotonic() - self._walked >= WALK_SECONDS:
            self._walked = time.monotonic()
            turn = f"{self._broker.namespace}:__jarvis__.walk"
            if self._client.set(turn, self._broker.broker_id, nx=True, px=int(WALK_SECONDS * 900)) or self._heads:
                self._walk()
        for source in list(self._heads):
            self._look_at(source)

    def take_what_is_held(self, name: bytes, queue: str) -> None:
        """Return what a dead worker of another make holds of a queue of ours."""
        source = f"{self._broker.namespace}:__acks__.".encode() + name + f".{queue}".encode()
        taken, left, example = self._take(source, f"{self._broker.namespace}:{queue}.msgs".encode(), self._ours, queue)
        subject = source.decode("utf-8", "backslashreplace")
        self._tell("returned what a dead worker of another program held", subject, taken)
        self._keep(StrayKind.LEFT_HELD, subject, left, example)
        if not left:
            self.forgotten.discard(name)

    # -- details -----------------------------------------------------------------------------------------------------

    def _walk(self) -> None:
        prefix = f"{self._broker.namespace}:"
        pattern = re.sub(r"([*?\[\]\\^])", r"\\\1", prefix) + "*"
        ours = {*self._broker.queues, *self._broker.delay_queues}
        cursor, found = 0, set[str]()
        while True:
            cursor, keys = self._client.scan(cursor, match=pattern, count=KEYS_SLICE)
            for key in keys:
                name = key.decode("utf-8", "backslashreplace").removeprefix(prefix)
                if name.startswith("__acks__."):
                    self._note_holder(name.removeprefix("__acks__."), ours)
                elif not name.startswith("__") and not name.endswith(".msgs") and name not in ours:
                    found.add(name)
            if not cursor or self._pause():
                break
        for name in self._heads.keys() - found:
            self._forget(name)
        for name in sorted(found - self._heads.keys())[: max(0, MOST_QUEUES - len(self._heads))]:
            self._heads[name] = (b"", time.monotonic())

    def _note_holder(self, name: str, ours: set[str]) -> None:
        """A worker of ours without a heartbeat gets the oldest one, so that it counts as dead; one of another make is watched."""
        for queue in ours:
            if name.endswith(f".{queue}"):
                holder = name.removesuffix(f".{queue}")
                if not holder.startswith("jarvis-"):
                    self.forgotten.add(holder.encode())
                elif holder != self._broker.broker_id:
                    self._client.zadd(f"{self._broker.namespace}:__heartbeats__", {holder: 0}, nx=True)

    def _look_at(self, name: str) -> None:
        source = f"{self._broker.namespace}:{name}".encode()
        kind = self._client.type(source).decode()
        head = next(self._ids(source, kind, 0, 0), None)
        if head is None:
            self._forget(name)
            return
        last, since = self._heads[name]
        if head != last:
            self._heads[name] = (head, time.monotonic())
        elif time.monotonic() - since >= UNREAD_SECONDS:
            canonical = name.removesuffix(".XQ")
            is_ours = canonical in self._broker.queues
            queue_of, unread = (self._ours, canonical) if is_ours else (self._good, None)
            taken, left, example = self._take(source, source + b".msgs", queue_of, unread)
            self._tell("took back dead letters" if is_ours else "took messages of ours from a queue that nobody reads", name, taken)
            self._keep(StrayKind.UNREAD_QUEUE, name, left, example)
            self._heads[name] = (head, time.monotonic())

    def _ids(self, source: bytes, kind: str, start: int, end: int) -> Iterator[bytes]:
        if kind == "list":
            yield from self._client.lrange(source, start, end)
        elif kind == "zset":
            yield from self._client.zrange(source, start, end)

    def _slices(self, source: bytes) -> Iterator[list[bytes]]:
        """Ids, slice by slice. What is taken meanwhile makes the next ones come nearer."""
        kind = self._client.type(source).decode()
        if kind == "set":
            cursor = 0
            while True:
                cursor, ids = self._client.sscan(source, cursor, count=MESSAGES_SLICE)
                for at in range(0, len(ids), MESSAGES_SLICE):
                    yield ids[at : at + MESSAGES_SLICE]
                if not cursor:
                    return
        self._depth = 0
        while self._depth < DEEPEST and (ids := list(self._ids(source, kind, self._depth, self._depth + MESSAGES_SLICE - 1))):
            yield ids

    def _take(self, source: bytes, payloads: bytes, queue_of: Callable[[bytes], str | None], unread: str | None) -> tuple[int, int, str]:
        """Move what has a queue of its own, and to `unread` what has no payload or one that is longer than a message may be.

        Returns how many were moved, how many of ours were left, and one of those.
        """
        taken, left, example = 0, 0, ""
        self._depth = 0
        for ids in self._slices(source):
            by_queue: dict[str, list[bytes]] = {}
            ours = 0
            for redis_id, payload in zip(ids, self._payloads(payloads, ids), strict=True):
                queue = queue_of(payload) if payload else unread
                if queue is not None:
                    by_queue.setdefault(queue, []).append(redis_id)
                if payload and self._ours(payload) is not None:
                    ours += 1
                    example = example or (payload[:300].decode("utf-8", "replace") if queue is None else "")
            moved = 0
            for queue, wanted in by_queue.items():
                entries, hash_of_queue, _ = self._broker.keys(queue)
                moved += self._move(keys=[source, payloads, entries, hash_of_queue], args=[int(unread is not None), *wanted])
            taken += moved
            left += max(0, ours - moved)
            self._depth += len(ids) - moved
            if self._pause():
                break
        return taken, left, example if left else ""

    def _payloads(self, payloads: bytes, ids: list[bytes]) -> list[bytes | None]:
        """The payloads of ids; empty for one that is longer than a message may be."""
        with self._client.pipeline(transaction=False) as pipeline:
            for redis_id in ids:
                pipeline.hstrlen(payloads, redis_id)
            sizes = pipeline.execute()
        fitting = [redis_id for redis_id, size in zip(ids, sizes, strict=True) if 0 < size <= MAX_MESSAGE_BYTES]
        # One by one: fifty of the longest would be fifty megabytes.
        found = {redis_id: self._client.hget(payloads, redis_id) for redis_id in fitting}
        return [found.get(redis_id) for redis_id in ids]

    def _ours(self, payload: bytes) -> str | None:
        """The queue of a message that names an actor of ours, whatever else it says."""
        try:
            envelope = decode_json(payload)
        except MalformedRecord:
            return None
        actor = envelope.get("actor_name") if type(envelope) is dict else None
        if type(actor) is not str or actor not in KIND_OF_ACTOR:
            return None
        queue: str = self._broker.actors[actor].queue_name
        return queue

    def _tell(self, what: str, where: str, taken: int) -> None:
        if taken:
            log.warning(what, where=where, messages=taken)

    def _keep(self, kind: StrayKind, subject: str, left: int, example: str) -> None:
        if left:
            self._show(kind, subject, left, example)
        else:
            self._gone(kind, subject)

    def _forget(self, name: str) -> None:
        self._heads.pop(name, None)
        self._gone(StrayKind.UNREAD_QUEUE, name)
