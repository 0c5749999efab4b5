"""Iterating over one queue: Dramatiq's consumer, of bundles of messages that stay held until their facts are durable."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import redis
from dramatiq.broker import Consumer, MessageProxy

from workers.delivery import Bundle, Delivery, bundles_of
from workers.reclaim import reclaim

if TYPE_CHECKING:
    from workers.broker import LedgerBroker


#: How long one wait for a next message lasts on the server, and so how often an idle queue costs a call.
WAIT_SECONDS = 5
FIRST_RETRY_SECONDS = 0.05
LONGEST_RETRY_SECONDS = 1.0


class LedgerConsumer(Consumer):
    """Iterates over one queue. Every Redis error is a pause, never the end of the thread."""

    def __init__(self, broker: LedgerBroker, queue_name: str, prefetch: int, timeout: int) -> None:
        self._broker = broker
        self._queue = queue_name
        self._fetched: deque[Bundle] = deque()
        # Until the first look, this worker's name may hold what a predecessor left.
        self._unsure = True
        self._emptied = False
        self._pause = FIRST_RETRY_SECONDS
        self._waiter: Any = None

    def __next__(self) -> Bundle | None:
        if self._fetched:
            return self._fetched.popleft()
        broker = self._broker
        if broker.stopping.is_set():
            self._take(broker.decoding.rest_of(self._queue))
            if not self._fetched:
                time.sleep(0.02)
            return self._fetched.popleft() if self._fetched else None
        try:
            if self._unsure or self._queue in broker.suspect:
                broker.suspect.discard(self._queue)
                self._unsure = True
                if not broker.before_fetching():
                    time.sleep(self._pause)
                    return None
                reclaim(broker, self._queue)
                self._unsure = False
            if self._emptied and broker.has_room and not self._wait_for_message():
                return None
            self._take(broker.fetch(self._queue))
            # If this fetch emptied the queue, wait for a message before the next one.
            self._emptied = self._queue not in broker.backlogged
            if self._pause > FIRST_RETRY_SECONDS:
                broker.seen(True, of=self._queue)
            self._pause = FIRST_RETRY_SECONDS
        except redis.RedisError as error:
            if not broker.stopping.is_set():
                # A full Redis refuses to wait on a list, and gives what is in it all the same.
                self._unsure, self._emptied = True, False
                self._waiter = None
                if not broker.misused.tell(self._queue, error):
                    broker.seen(False, error, of=self._queue)
                # What came before has nothing to do with it.
                self._take(broker.decoding.rest_of(self._queue))
                if not self._fetched:
                    time.sleep(self._pause)
                self._pause = min(self._pause * 2, LONGEST_RETRY_SECONDS)
        return self._fetched.popleft() if self._fetched else None

    def ack(self, message: MessageProxy) -> None:
        """Dramatiq calls this when the actor has returned. The messages stay held until their facts are durable; those that the
        actor did not hand over go back."""
        self.requeue([message])

    #: What failed in our actors was not handed over either.
    nack = ack

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        self._broker.give_back(_not_handed_over(messages))

    def close(self) -> None:
        self._take(self._broker.decoding.rest_of(self._queue))
        self._broker.give_back(_not_handed_over(self._fetched))
        self._fetched.clear()
        if self._waiter is not None:
            self._broker.waiting.pop(self._queue, None)
            self._waiter.close()

    def _take(self, deliveries: Iterable[Delivery | None]) -> None:
        self._fetched.extend(bundles_of(delivery for delivery in deliveries if delivery is not None))

    def _wait_for_message(self) -> bool:
        """Until there is one, or a few seconds have passed, on a connection of its own. Takes nothing: the list is moved onto itself."""
        if self._waiter is None:
            self._waiter = self._broker.waiting_client.client()
            self._broker.waiting[self._queue] = self._waiter.client_id()
        key = f"{self._broker.namespace}:{self._queue}"
        if self._broker.stopping.is_set():
            return False
        try:
            return self._waiter.blmove(key, key, WAIT_SECONDS, "LEFT", "LEFT") is not None
        except ValueError:
            # Closed by `close`, at a stop that the server did not hear of: the wait may be on one that has just ceased to be the primary.
            raise redis.ConnectionError("the wait was ended") from None


def _not_handed_over(bundles: Iterable[MessageProxy]) -> list[Delivery]:
    return [delivery for bundle in bundles if isinstance(bundle, Bundle) for delivery in bundle.deliveries if not delivery.submitted]
