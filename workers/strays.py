"""What lies in Redis and nobody claims: found within minutes, at a bounded cost, and taken back where that is harmless.

It is harmless because a record that was recorded is a duplicate. What cannot be taken back is shown: a line in the log at first
sight, and a row among the strays in the books until it is gone.

    every second        ids that wait for their payload (`workers.missing`)
    every ten seconds   do payloads, queue and holdings of each queue add up? Where they have not for a minute: payloads without an id;
                        what a dead Dramatiq worker of another make holds; keys of the wrong type; what the heartbeat learnt of the broker
    every few minutes   one worker walks through the namespace (`workers.namespace`)

Nothing here is one long step: a look goes in slices, with a pause after each.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import redis
import structlog

from jarvis_client.contract.errors import BooksError
from persistence.domain.strays import Stray, StrayKind
from workers import redis_scripts
from workers.broker import LedgerBroker
from workers.missing import SLICE
from workers.namespace import Namespace
from workers.other_makes import beats_and_queues, holders, holdings_of, of_other_makes, refuse_other_programs, shown_name

log = structlog.get_logger("strays")

TICK_SECONDS = 1.0
LOOK_SECONDS = 10.0
#: How long payloads, queue and holdings may not add up: a client without MULTI sets one before the other.
UNBALANCED_SECONDS = 60.0
#: A Dramatiq worker of another make that has not beaten for so long is dead; the same as its own.
SILENT_SECONDS = 60.0
#: A longer queue is not looked through; it becomes shorter.
LONGEST_LOOKED_THROUGH = 200_000
#: Another worker takes over a look that lasts longer: whoever began it is dead, or has a million to look through.
LONGEST_LOOK_MS = 300_000
#: Payloads of one step where Redis has to read them to name them.
PAYLOADS_SLICE = 50
#: Lost payloads that are remembered before they are taken back.
MOST_LOST = 10_000
#: Between two slices, so that a look is a small part of what Redis and the interpreter do.
PAUSE_SECONDS = 0.005
#: How often workers of another make are looked at.
OTHERS_SECONDS = 30.0


class Keeper(Protocol):
    """The part of `persistence.repositories.strays.SQLiteStrayRepository` that keeps what is found."""

    def note(self, kind: StrayKind, subject: str, count: int, example: str) -> None: ...

    def note_loss(self, kind: StrayKind, example: str, namespace: str, token: str) -> None: ...

    def settle(self, kind: StrayKind, subject: str) -> bool: ...

    def mark(self, namespace: str) -> str | None: ...

    def remember_mark(self, namespace: str, token: str) -> None: ...

    def last_numbers(self) -> dict[str, int]: ...

    def find_open(self) -> list[Stray]: ...


class Strays:
    """Looks after one worker's namespace, on a thread of its own."""

    def __init__(self, broker: LedgerBroker, keeper: Keeper, good: Callable[[bytes], str | None]) -> None:
        """`good` gives the queue of a message that can be recorded as it is, None for any other."""
        self._broker = broker
        self._client: Any = broker.client
        self._keeper = keeper
        self._stopping = threading.Event()
        self._totals = broker.client.register_script(redis_scripts.TOTALS)
        self._payload_ids = broker.client.register_script(redis_scripts.PAYLOAD_IDS)
        self._take_back = broker.client.register_script(redis_scripts.TAKE_BACK)
        self._unbalanced: dict[str, float] = {}
        #: By name of a worker of another make: its last beat, and since when that is the last.
        self._beats: dict[bytes, tuple[float, float]] = {}
        self._open: set[tuple[StrayKind, str]] = set()
        self._marked: str | None = None
        self._others_looked_at = float("-inf")
        self._ticked = float("-inf")
        self.namespace = Namespace(broker, good, self.show, self.gone, self.pause)
        self._thread = threading.Thread(target=self._run, name="strays", daemon=True)

    def recognise(self) -> None:
        """Take from the books what mark the broker of this namespace has, and what is known of it. Before the first beat."""
        self._open = {(stray.kind, stray.subject) for stray in self._keeper.find_open()}
        self._marked = self._broker.heartbeat.token = self._keeper.mark(self._broker.namespace)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(5)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def pause(self) -> bool:
        """Leave the others some time, and look after what cannot wait for the end of a long look; True where it is time to stop."""
        if time.monotonic() - self._ticked >= TICK_SECONDS:
            self._tick()
        return self._stopping.wait(PAUSE_SECONDS)

    def show(self, kind: StrayKind, subject: str, count: int, example: str) -> None:
        """Keep what was seen; say so at first sight. Of a key of the wrong type whoever met with it has said so."""
        if (kind, subject) not in self._open:
            if kind != StrayKind.WRONG_TYPE:
                log.warning(f"{kind}", where=subject, count=count, example=example[:300])
            self._open.add((kind, subject))
        self._keeper.note(kind, subject, count, example)

    def gone(self, kind: StrayKind, subject: str) -> None:
        """What may have been shown is there no longer."""
        if (kind, subject) in self._open:
            self._keeper.settle(kind, subject)
            self._open.discard((kind, subject))
            log.info("a stray is gone", kind=str(kind), where=subject)

    def look(self) -> None:
        """Everything that is looked at every few seconds. Raises `redis.RedisError`, and `BooksError` where the books take nothing now."""
        self._keep_what_the_heartbeat_learnt()
        names = self._holders()
        for queue in (*self._broker.queues, *self._broker.delay_queues):
            try:
                self._look_at(queue, names)
                self._types_are_right(queue)
            except redis.ResponseError as error:
                if not self._broker.misused.tell(queue, error):
                    raise
                for found in self._broker.misused.of(queue):
                    self.show(StrayKind.WRONG_TYPE, found.key, 1, found.remedy)
        if time.monotonic() - self._others_looked_at >= OTHERS_SECONDS:
            self._others_looked_at = time.monotonic()
            self._look_at_other_workers(names)

    def _run(self) -> None:
        looked = 0.0
        while not self._stopping.wait(TICK_SECONDS):
            try:
                self._tick()
                if time.monotonic() - looked >= LOOK_SECONDS:
                    looked = time.monotonic()
                    self.look()
                    self.namespace.look()
            except redis.RedisError as error:
                # Whether Redis answers is for the heartbeat to say.
                log.debug("looked for strays in vain", error=str(error))
            except BooksError as error:
                log.debug("strays are not kept now", error=str(error))
            except Exception:
                log.exception("a look for strays failed; the next one is in a moment")

    def _tick(self) -> None:
        self._ticked = time.monotonic()
        self._broker.missing.look()

    # -- the broker itself -------------------------------------------------------------------------------------------

    def _keep_what_the_heartbeat_learnt(self) -> None:
        heartbeat, namespace = self._broker.heartbeat, self._broker.namespace
        token = heartbeat.token
        while heartbeat.losses:
            kind, example = heartbeat.losses[0]
            self._keeper.note_loss(kind, example, namespace, token or "")
            heartbeat.losses.popleft()
        if token is not None and token != self._marked:
            # A new broker, or one that was emptied, knows no producer's last number; the books do.
            if numbers := self._keeper.last_numbers():
                self._client.zadd(f"{namespace}:__jarvis__.sequences", numbers, gt=True)
            self._keeper.remember_mark(namespace, token)
            self._marked = token

    # -- payloads without an id --------------------------------------------------------------------------------------

    def _holders(self) -> list[bytes]:
        return holders(self._client, self._broker.namespace)

    def _held_by(self, names: Iterable[bytes], queue: str) -> list[bytes]:
        return [holdings_of(self._broker.namespace, name, queue) for name in names]

    def _look_at(self, queue: str, names: list[bytes]) -> None:
        entries, payloads, _ = self._broker.keys(queue)
        there, named, waiting = self._totals(keys=[payloads, entries, *self._held_by(names, queue)])
        if there <= named:
            if self._unbalanced.pop(queue, None) is not None:
                self.gone(StrayKind.LOST_PAYLOADS, payloads)
            return
        since = self._unbalanced.setdefault(queue, time.monotonic())
        if time.monotonic() - since < UNBALANCED_SECONDS:
            return
        if waiting > LONGEST_LOOKED_THROUGH:
            self.show(StrayKind.LOST_PAYLOADS, payloads, there - named, f"looked for once fewer than {LONGEST_LOOKED_THROUGH:,} messages wait; now {waiting:,}")
            return
        # One worker at a time: two would put each id into the queue twice.
        turn = f"{self._broker.namespace}:__jarvis__.look.{queue}"
        if self._client.set(turn, self._broker.broker_id, nx=True, px=LONGEST_LOOK_MS):
            self.take_back_lost_payloads(queue)
            self._client.delete(turn)
        # Those it found are in the queue now; what still does not add up has a minute again.
        self._unbalanced[queue] = time.monotonic()

    def take_back_lost_payloads(self, queue: str) -> int:
        """Put ids of payloads that no list and no worker names at the end of their queue. Returns how many."""
        names = self._holders()
        # Redis may give an id of a hash that grows or shrinks meanwhile more than once.
        known, lost, taken, cursor = self._named(queue, names), set[bytes](), 0, b"0"
        while known is not None:
            cursor, *ids = self._payload_ids(keys=[self._broker.keys(queue)[1]], args=[cursor, PAYLOADS_SLICE])
            lost.update(redis_id for redis_id in ids if hash(redis_id) not in known)
            done = cursor == b"0" or self.pause()
            if lost and (done or len(lost) >= MOST_LOST):
                taken += self._take(queue, lost)
                lost = set()
                known = known if done else self._named(queue, names)
            if done:
                break
        if taken:
            log.warning("took back payloads whose ids were in no queue", queue=queue, messages=taken)
        return taken

    def _named(self, queue: str, names: list[bytes]) -> set[int] | None:
        """The ids in a queue and in anybody's holdings, as hashes: two that share one are looked at again a minute later. None where
        there are too many, or it is time to stop."""
        entries = self._broker.keys(queue)[0]
        found: set[int] = set()
        end = -1
        # From its end: what is taken or given back at its head meanwhile moves nothing.
        while ids := self._client.lrange(entries, end - SLICE + 1, end):
            found.update(map(hash, ids))
            end -= SLICE
            if len(found) > 2 * LONGEST_LOOKED_THROUGH or self.pause():
                return None
        for holdings in self._held_by(names, queue):
            for redis_id in self._client.sscan_iter(holdings, count=SLICE):
                found.add(hash(redis_id))
        return found

    def _take(self, queue: str, lost: Iterable[bytes]) -> int:
        # What was published, fetched or given back while the payloads were read is named by now.
        names = self._holders()
        known = self._named(queue, names)
        left = [] if known is None else [redis_id for redis_id in lost if hash(redis_id) not in known]
        entries, payloads, _ = self._broker.keys(queue)
        taken = 0
        for at in range(0, len(left), 100):
            taken += self._take_back(keys=[entries, payloads, *self._held_by(names, queue)], args=left[at : at + 100])
            if self.pause():
                break
        return taken

    # -- workers of another make -------------------------------------------------------------------------------------

    def refuse_other_programs(self) -> None:
        """Raises `HeldElsewhere` where a Dramatiq worker of another program is at work on a queue of ours: each would take what is the other's."""
        refuse_other_programs(self._client, self._broker.namespace, [*self._broker.queues, *self._broker.delay_queues], SILENT_SECONDS)

    def _beats_and_queues(self, names: Iterable[bytes]) -> dict[bytes, tuple[float, list[str]]]:
        return beats_and_queues(self._client, self._broker.namespace, [*self._broker.queues, *self._broker.delay_queues], names)

    def _look_at_other_workers(self, names: list[bytes]) -> None:
        others = self._beats_and_queues({*of_other_makes(names), *self.namespace.forgotten})
        self._beats = {name: beat for name, beat in self._beats.items() if name in others}
        for name, (score, queues) in others.items():
            last, since = self._beats.setdefault(name, (score, time.monotonic()))
            subject = shown_name(name)
            if score != last:
                self._beats[name] = (score, time.monotonic())
                if queues:
                    said = f"it is at work on {', '.join(queues)}: give one of the two another broker.namespace"
                    self.show(StrayKind.FOREIGN_WORKER, subject, len(queues), said)
            elif queues and time.monotonic() - since >= SILENT_SECONDS:
                for queue in queues:
                    self.namespace.take_what_is_held(name, queue)
                self._beats[name] = (score, time.monotonic())
            if not queues or score == last:
                self.gone(StrayKind.FOREIGN_WORKER, subject)

    # -- keys of the wrong type --------------------------------------------------------------------------------------

    def _types_are_right(self, queue: str) -> None:
        for key in self._broker.keys(queue):
            if (StrayKind.WRONG_TYPE, key) in self._open:
                self.gone(StrayKind.WRONG_TYPE, key)
