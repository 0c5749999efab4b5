"""Ids that came through a queue without their payload: held for some seconds, then put into quarantine.

Some clients send the id first; some Redis evicts; some programs use an id twice. An id stays among what its worker holds while it
waits, so a successor has it if this worker dies.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

import structlog

from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.outcome import Reason
from workers import redis_scripts
from workers.delivery import Delivery

if TYPE_CHECKING:
    from workers.broker import LedgerBroker

log = structlog.get_logger("broker")

#: What a client that sends an id before its payload may take for it.
PAYLOAD_SECONDS = 10.0
#: Ids that wait at a time; where there are more, the oldest wait shorter.
MOST_WAITING = 10_000
#: Ids that were settled last: one of them that is listed again needs no payload any more.
SETTLED_REMEMBERED = 20_000
#: Ids of one step.
SLICE = 1_000


class MissingPayloads:
    """The ids of one worker that wait for their payloads."""

    def __init__(self, broker: LedgerBroker) -> None:
        self._broker = broker
        self._lock = threading.Lock()
        #: By queue, and since when.
        self._waiting: dict[str, dict[bytes, float]] = {}
        self._settled: deque[list[bytes]] = deque()
        self._settled_count = 0
        self._arrived = broker.client.register_script(redis_scripts.ARRIVED)

    def hold(self, queue: str, ids: list[bytes]) -> None:
        """Wait for the payloads of ids that were fetched without."""
        ids = self._settle_what_is_done(queue, ids)
        if not ids:
            return
        log.warning("ids came without their payloads and wait for them", queue=queue, messages=len(ids), first=_text(ids[0]), seconds=PAYLOAD_SECONDS)
        with self._lock:
            waiting = self._waiting.setdefault(queue, {})
            for redis_id in ids:
                waiting.setdefault(redis_id, time.monotonic())

    def of(self, queue: str) -> list[bytes]:
        """The ids of a queue that wait here."""
        with self._lock:
            return list(self._waiting.get(queue, ()))

    def look(self) -> None:
        """What has its payload by now goes back to its queue, what has waited in vain to quarantine. Raises `redis.RedisError`."""
        broker = self._broker
        for queue in list(self._waiting):
            with self._lock:
                since = dict(self._waiting[queue])
            ids = list(since)
            early = set(ids[: max(0, len(ids) - MOST_WAITING)])
            overdue: list[bytes] = []
            for at in range(0, len(ids), SLICE):
                part = ids[at : at + SLICE]
                done = set(self._arrived(keys=broker.keys(queue), args=part))
                late = [i for i in part if i not in done and (i in early or time.monotonic() - since[i] >= PAYLOAD_SECONDS)]
                with self._lock:
                    for redis_id in (*done, *late):
                        self._waiting[queue].pop(redis_id, None)
                overdue += late
            self._refuse(queue, self._settle_what_is_done(queue, overdue))

    def settled(self, ids: list[bytes]) -> None:
        """Remember what was acknowledged."""
        with self._lock:
            self._settled.append(ids)
            self._settled_count += len(ids)
            while self._settled_count > SETTLED_REMEMBERED and len(self._settled) > 1:
                self._settled_count -= len(self._settled.popleft())

    def _settle_what_is_done(self, queue: str, ids: list[bytes]) -> list[bytes]:
        """Acknowledge ids that were listed twice and recorded meanwhile: their payload went with the first. Gives the others."""
        if not ids:
            return ids
        with self._lock:
            settled = {redis_id for batch in self._settled for redis_id in batch}
        self._broker.settle([Delivery(queue, redis_id, b"") for redis_id in ids if redis_id in settled])
        return [redis_id for redis_id in ids if redis_id not in settled]

    def _refuse(self, queue: str, ids: list[bytes]) -> None:
        if not ids:
            return
        log.error("ids came without their payloads and go to quarantine: publish these records again", queue=queue, messages=len(ids), first=_text(ids[0]))
        broker = self._broker
        broker.count_as_held(queue, dict.fromkeys(ids, 0))
        payloads = broker.keys(queue)[1]
        for redis_id in ids:
            text = _text(redis_id)
            detail = (
                f"the id {text[:128]!r} came without its payload: it is not in {payloads}; whoever sent it did not set it, or Redis dropped it, or the id "
                "was used twice; publish the record again, id and payload in one MULTI, a new id for each message"
            )
            raw = json.dumps({"queue": queue, "redis_message_id": text}).encode()
            broker.quarantine(Delivery(queue, redis_id, raw), MalformedRecord(detail, Reason.NO_PAYLOAD))


def _text(redis_id: bytes) -> str:
    return redis_id.decode("utf-8", "backslashreplace")
