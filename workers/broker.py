"""Delivery from Redis: fetch, hold, acknowledge after the commit.

Dramatiq's own broker, keys and wire form, with a consumer of ours (`consumer_class` is its extension point):

    fetch         one script returns what it claims to, id and payload in pairs, and only to the worker whose heartbeat it finds;
                  an id without payload waits for it (`workers.missing`), an undecodable one goes to quarantine, neither strands
                  its neighbours
    hold          every fetched message belongs to this worker's name in Redis until it is settled
    settle        acknowledgements of a whole batch in one round trip, repeated until Redis has taken them
    reclaim       a worker's name is stable, so a successor takes back what a killed one held before it fetches anything; what
                  a dead peer held is returned once its heartbeat has ended

What else lies in the namespace and nobody claims is for `workers.strays`.

Delayed messages (`send_with_options(delay=…)`) are delivered at once: a fact carries its own time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import redis
import structlog
from dramatiq.brokers.redis import RedisBroker
from redis.backoff import NoBackoff
from redis.retry import Retry

from jarvis_client.contract.address import client_url
from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.primaries import connect
from workers import redis_scripts
from workers.answering import Answering
from workers.broker_server import warn_of_settings
from workers.consumer import LONGEST_RETRY_SECONDS, WAIT_SECONDS, LedgerConsumer
from workers.decoding import Decoding
from workers.delivery import Delivery
from workers.heartbeat import HEARTBEAT_SECONDS, Heartbeat
from workers.missing import MissingPayloads
from workers.misused_keys import MisusedKeys
from workers.reachability import Reachability
from workers.reclaim import return_what_the_dead_hold
from workers.traffic import Traffic

log = structlog.get_logger("broker")

#: Messages of one fetch: Lua's `unpack` takes a few thousand, and more would not be faster.
FETCH_MESSAGES = 500
#: Payload of one fetch, so that the writer has the first records of large messages while the next are being read.
FETCH_BYTES = 512 * 1024
#: Payload of what is fetched and not yet settled; as Python objects it takes about ten times as much.
IN_FLIGHT_BYTES = 8 * 1024 * 1024
#: Longer than any stall of a healthy Redis; a reply that comes later is treated as lost, and what it held is reclaimed.
SOCKET_SECONDS = 10


class LedgerBroker(RedisBroker):
    """Dramatiq's Redis broker, holding every message until its facts are durable.

    `on_malformed(delivery, error)` takes what cannot be read; it must submit it for quarantine. At most
    `max_in_flight` messages are fetched and not yet settled. `home` is where a worker of this name lives: one of another home is refused.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        client: redis.Redis | None = None,
        waiting_client: redis.Redis | None = None,
        namespace: str = "dramatiq",
        worker_name: str = "worker",
        home: str = "1",
        max_in_flight: int = 4_000,
        on_malformed: Callable[[Delivery, MalformedRecord], None] | None = None,
    ) -> None:
        # Retries in the client would repeat a fetch whose reply was lost, and so strand what it had claimed.
        once = Retry(NoBackoff(), 0)
        if client is None:
            # What the URL says goes before what stands here, so the limits of a URL are left out: a shorter one would end every wait.
            url = client_url(url or "redis://127.0.0.1:6379/0")
            client = connect(url, namespace, socket_timeout=SOCKET_SECONDS, socket_connect_timeout=5, retry=once)
            waiting_client = connect(url, namespace, socket_timeout=WAIT_SECONDS + SOCKET_SECONDS, socket_connect_timeout=5, retry=once)
        super().__init__(client=client, namespace=namespace, middleware=[])  # type: ignore[no-untyped-call]
        # redis-py's annotations cover both text and bytes replies; ours are always bytes.
        self.client: Any = client
        self.broker_id = f"jarvis-{worker_name}"
        self.waiting_client: Any = waiting_client or client
        self.max_in_flight = max_in_flight
        self.on_malformed = on_malformed or _refuse_to_lose
        self.stopping = threading.Event()
        #: Redis's number of the connection on which each queue's consumer waits, so that a stop can end the wait.
        self.waiting: dict[str, int] = {}
        #: Queues whose last fetch came back full: there is more where that came from.
        self.backlogged: set[str] = set()
        #: Asked before the first fetch and after every error; a consumer that is told no fetches nothing.
        self.before_fetching: Callable[[], bool] = lambda: True
        self.reachability = Reachability(url or "")
        #: Whether the server is to be looked at: at first, and after every outage, for it may be another one.
        self._look_at_server = True
        self._room = threading.Condition()
        #: By queue, what was fetched and is not settled yet, with its size. Ids are bytes throughout: whoever pushed them may have chosen any.
        self.held: dict[str, dict[bytes, int]] = {}
        self._held_bytes = 0
        self._reserved = 0
        self._unsubmitted = 0
        #: Messages given back to their queues so far.
        self.returned = 0
        self.traffic = Traffic()
        self.decoding = Decoding(self)
        #: Queues of which Redis may hold more for this worker than the worker knows.
        self.suspect: set[str] = set()
        self.misused = MisusedKeys(client, self.keys)
        self.heartbeat = Heartbeat(client, namespace, self.broker_id, home)
        self.missing = MissingPayloads(self)
        self._fetch = client.register_script(redis_scripts.FETCH)
        self.answering = Answering(client, namespace)
        #: A script that puts held ids at the head of their queue.
        self.put_back = client.register_script(redis_scripts.RETURN)
        self._answers: deque[Delivery] = deque()
        self._answering = threading.Condition()
        self._closing = False
        self._threads = [
            threading.Thread(target=self._answer_forever, name="acknowledger", daemon=True),
            threading.Thread(target=self._beat_forever, name="heartbeat", daemon=True),
        ]

    @property
    def consumer_class(self) -> type[LedgerConsumer]:
        return LedgerConsumer

    def start(self) -> None:
        """Begin to beat and to acknowledge. Redis may be down meanwhile."""
        for thread in self._threads:
            thread.start()

    @property
    def reachable(self) -> bool:
        return self.reachability.reachable

    @property
    def threads_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    @property
    def in_flight(self) -> int:
        """Messages fetched and not yet settled."""
        # A copy at one stroke: another queue's thread may add its own at any moment.
        return sum(map(len, list(self.held.values())))

    @property
    def has_room(self) -> bool:
        return self._room_left() > 0

    @property
    def unsubmitted(self) -> int:
        """Messages fetched whose facts have not reached the writer."""
        return self._unsubmitted

    def expecting(self) -> bool:
        """Whether further messages are on their way to the writer, so that a batch may wait a little for them."""
        return self._unsubmitted > 0 or (bool(self.backlogged) and self._room_left() > 0)

    def submitted(self, *deliveries: Delivery) -> None:
        for delivery in deliveries:
            delivery.submitted = True
        with self._room:
            self._unsubmitted -= len(deliveries)

    def settle(self, deliveries: Iterable[Any]) -> None:
        """Acknowledge what is durable, from a thread of its own, until Redis has taken it."""
        with self._answering:
            self._answers.extend(deliveries)
            self._answering.notify_all()

    def give_back(self, deliveries: Iterable[Any]) -> None:
        """Return uncommitted messages to the head of their queues, in their order."""
        by_queue: dict[str, list[bytes]] = {}
        for delivery in deliveries:
            by_queue.setdefault(delivery.queue, []).append(delivery.redis_id)
            if not delivery.submitted:
                self.submitted(delivery)
        for queue, ids in by_queue.items():
            self.returned += len(ids)
            self._forget(queue, ids)
            try:
                self.put_back(keys=[self.keys(queue)[0], self.holdings(queue)], args=ids)
            except redis.RedisError:
                # Redis still counts them as held: the next look at this queue, or the successor, takes them back.
                self.suspect.add(queue)

    def stop_fetching(self) -> None:
        """From here on nothing more is fetched; waits on the server end at once."""
        self.stopping.set()
        with self._room:
            self._room.notify_all()
        threading.Thread(target=self._end_waits, name="end-waits", daemon=True).start()

    def _end_waits(self) -> None:
        # Twice, because a consumer may have been about to wait when the first call came.
        for pause in (0.0, 0.05):
            time.sleep(pause)
            for connection_id in list(self.waiting.values()):
                # One connection of the pool that has ended must not keep the other queues waiting.
                with suppress(redis.RedisError):
                    self.client.client_unblock(connection_id)

    def wait_until_settled(self, timeout: float) -> bool:
        """True once nothing is held."""
        deadline = time.monotonic() + timeout
        with self._room:
            while self.in_flight and (rest := deadline - time.monotonic()) > 0:
                self._room.wait(min(rest, 0.2))
            return not self.in_flight

    def close(self, timeout: float = SOCKET_SECONDS) -> None:
        """End the threads once every acknowledgement is out (or Redis does not answer), and drop this worker's presence."""
        deadline = time.monotonic() + timeout
        self.stopping.set()
        self.decoding.close()
        with self._answering:
            self._closing = True
            self._answering.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.1, deadline - time.monotonic()))
        if self.reachable and time.monotonic() < deadline:
            with suppress(redis.RedisError):
                for queue in (*self.queues, *self.delay_queues):
                    if ids := self.missing.of(queue):
                        self.put_back(keys=[self.keys(queue)[0], self.holdings(queue)], args=ids)
                self.heartbeat.last_word()
                if self.heartbeat.refused is None:
                    self.client.delete(self.presence(self.broker_id))
        super().close()

    def queue_lengths(self) -> dict[str, int]:
        """Messages waiting per queue, held ones not included. Raises `redis.RedisError`."""
        queues = sorted(self.queues)
        with self.client.pipeline(transaction=False) as pipeline:
            for queue in queues:
                pipeline.llen(f"{self.namespace}:{queue}")
            return dict(zip(queues, pipeline.execute(), strict=True))

    # -- for the consumers -------------------------------------------------------------------------------------------

    def fetch(self, queue: str) -> list[Delivery | None]:
        """What is there, up to the room that is left; what another process reads comes with the next call. Raises `redis.RedisError`."""
        if not self.has_room and (rest := self.decoding.rest_of(queue)):
            return rest
        room = self._reserve_room()
        if not room:
            # Nobody looked, so there may well be more.
            self.backlogged.add(queue)
            return []
        try:
            found = self._fetch_if_alone(queue, room)
            pairs = [(found[i], found[i + 1]) for i in range(1, len(found), 2)]
        finally:
            with self._room:
                self._reserved -= room
        self.traffic.fetched(queue, len(pairs))
        more = bool(found) and (found[0] > 0 or len(pairs) == room)
        (self.backlogged.add if more else self.backlogged.discard)(queue)
        self.misused.mended(queue)
        if missing := [redis_id for redis_id, payload in pairs if payload is None]:
            self.missing.hold(queue, missing)
            pairs = [pair for pair in pairs if pair[1] is not None]
        self.count_as_held(queue, {redis_id: len(payload) for redis_id, payload in pairs}, len(pairs))
        return self.decoding.deliveries(queue, pairs, more=more)

    def count_as_held(self, queue: str, sizes: dict[bytes, int], messages: int | None = None) -> None:
        """From here on these ids are answered for. An id may be listed twice: a client that lost the reply sends it again."""
        with self._room:
            held = self.held.setdefault(queue, {})
            for redis_id, size in sizes.items():
                self._held_bytes += size - held.get(redis_id, 0)
                held[redis_id] = size
            self._unsubmitted += len(sizes) if messages is None else messages

    def unknown(self, queue: str, ids: list[bytes]) -> list[bytes]:
        """Those of these ids that this worker is not at work on."""
        missing = set(self.missing.of(queue))
        with self._room:
            held = self.held.get(queue, {})
            return [redis_id for redis_id in ids if redis_id not in held and redis_id not in missing]

    def quarantine(self, delivery: Delivery, refused: MalformedRecord) -> None:
        """Hand over what cannot be read. Never raises: its neighbours must go on."""
        try:
            self.on_malformed(delivery, refused)
        except Exception:
            log.exception("a message could not be put into quarantine, it goes back to its queue", queue=delivery.queue)
            self.give_back([delivery])

    def _fetch_if_alone(self, queue: str, room: int) -> list[Any]:
        """What the script found; nothing where a worker of this name is at work from elsewhere."""
        keys = [*self.keys(queue), self.presence(self.broker_id)]
        for _ in range(2):
            found: list[Any] = self._fetch(keys=keys, args=[room, max(1, min(FETCH_BYTES, IN_FLIGHT_BYTES - self._held_bytes)), self.heartbeat.home])
            if found != [-1]:
                return found
            # Before the first beat, or after a silence in which another may have begun.
            if not self.heartbeat.beat():
                self.stopping.wait(0.5)
                break
        return []

    # -- details -----------------------------------------------------------------------------------------------------

    def keys(self, queue: str) -> list[str]:
        """A queue's list and payloads, and what this worker holds of it."""
        return [f"{self.namespace}:{queue}", f"{self.namespace}:{queue}.msgs", self.holdings(queue)]

    def holdings(self, queue: str, broker_id: str | None = None) -> str:
        return f"{self.namespace}:__acks__.{broker_id or self.broker_id}.{queue}"

    def presence(self, broker_id: str) -> str:
        return f"{self.namespace}:__alive__.{broker_id}"

    def _room_left(self) -> int:
        if self._held_bytes >= IN_FLIGHT_BYTES:
            return 0
        return max(0, self.max_in_flight - self.in_flight - self._reserved)

    def _reserve_room(self) -> int:
        """How many messages the caller may fetch; it gives the reservation back once they are counted as held."""
        with self._room:
            if not self._room_left():
                self._room.wait(0.5)
            room = 0 if self.stopping.is_set() else min(self._room_left(), FETCH_MESSAGES)
            self._reserved += room
            return room

    def _forget(self, queue: str, ids: Iterable[bytes]) -> None:
        with self._room:
            held = self.held.get(queue, {})
            for redis_id in ids:
                self._held_bytes -= held.pop(redis_id, 0)
            self._room.notify_all()

    def _answer_forever(self) -> None:
        pause, told = 0.05, False
        while True:
            with self._answering:
                while not self._answers and not self._closing:
                    self._answering.wait()
                if not self._answers:
                    return
                batch = list(self._answers)
            by_queue: dict[str, list[bytes]] = {}
            for delivery in batch:
                by_queue.setdefault(delivery.queue, []).append(delivery.redis_id)
            try:
                failed = self.answering.acknowledge(batch, self.keys)
            except redis.RedisError as error:
                failed = dict.fromkeys(by_queue, error)
            with self._answering:
                for _ in batch:
                    self._answers.popleft()
                # A queue that cannot be settled keeps no other one waiting.
                self._answers.extendleft(d for d in reversed(batch) if d.queue in failed)
            for queue, ids in by_queue.items():
                if queue not in failed:
                    self.missing.settled(ids)
                    self._forget(queue, ids)
            if not failed:
                pause, told = 0.05, False
                continue
            messages, said = sum(len(by_queue[queue]) for queue in failed), str(next(iter(failed.values())))
            if self._closing:
                log.warning("acknowledgements not delivered; the messages come again and count as duplicates", messages=messages, error=said)
                return
            misused = [queue for queue, error in failed.items() if self.misused.tell(queue, error)]
            if len(misused) < len(failed) and not told:
                told = True
                log.warning("acknowledging again in a moment", messages=messages, error=said)
            with self._answering:
                self._answering.wait(pause)
            pause = min(pause * 2, LONGEST_RETRY_SECONDS)

    def _beat_forever(self) -> None:
        tidied = False
        while not self._closing:
            try:
                if self.heartbeat.beat():
                    if not tidied:
                        self.heartbeat.forget_the_long_gone()
                        tidied = True
                    return_what_the_dead_hold(self)
                self.seen(True)
                self.decoding.let_go()
                if self._look_at_server:
                    warn_of_settings(self.client)
                    self._look_at_server = False
            except redis.RedisError as error:
                self.seen(False, error)
            with self._answering:
                if not self._closing:
                    self._answering.wait_for(lambda: self._closing, HEARTBEAT_SECONDS)

    def seen(self, reachable: bool, error: Exception | None = None, *, of: str = "heartbeat") -> None:
        """What one thread has met with; its outage ends with a success of its own."""
        if error is not None:
            self.reachability.failed(of, error)
        elif reachable and self.reachability.succeeded(of):
            self._look_at_server = True
            # After a failover one thread may have acknowledged on one server what another had fetched from the next.
            self.suspect.update(self.queues)


def _refuse_to_lose(delivery: Delivery, error: MalformedRecord) -> None:
    raise RuntimeError(f"no quarantine is connected for {delivery.redis_id!r}: {error}")
