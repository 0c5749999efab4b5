"""Publisher: checked records into the queues, one by one or pipelined.

    publisher = Publisher("unix:///path/to/broker.sock", producer="engine-1")
    publisher.publish_fill(fill_id="binance:BTCUSDT:42", account_id="main", symbol="BTC/USDT", side="buy", quantity="0.015",
                           price="64250.10", executed_at=datetime.now(UTC))

Needs Redis only. Publishing the same record again is harmless.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from redis.exceptions import RedisError
from redis.retry import Retry

from jarvis_client.connecting import checked_address, checked_replicas, patience
from jarvis_client.contract.answers import answer_key, outcomes_of, refusals_key
from jarvis_client.contract.broker_faults import passes_with_a_failover
from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS, Conventions
from jarvis_client.contract.errors import Invalid, Unavailable
from jarvis_client.contract.outcome import Outcome
from jarvis_client.copies import WAIT_SECONDS, WAIT_SECONDS_WITH_SPOOL, wait_for_copies
from jarvis_client.methods import RecordMethods
from jarvis_client.numbering import Numbering
from jarvis_client.outbox import Exchange, OnDisk, Outbox, Pause, Result, Steps
from jarvis_client.packing import Message
from jarvis_client.primaries import connect
from jarvis_client.receipts import WAIT_SLICE_SECONDS, Places, Receipt, Refusal, Sent, no_answer, refusals_in, wait_slice
from jarvis_client.spool import SPOOL_BYTES, Spool

log = logging.getLogger(__name__)

#: How often a spool looks whether Redis is back: soon at first, and every few seconds while it stays away.
FIRST_LOOK_SECONDS = 0.2
LONGEST_LOOK_SECONDS = 5.0
#: Refusals that are read at once.
REFUSALS_SLICE = 100


class Publisher(RecordMethods[Receipt, Sent]):
    """Publishes records to the queues of the contract. Threads may share it.

    - `producer`: every record gets the next number of that name, so that the books notice what never arrived. The broker keeps the last number;
      another publisher of the name goes on after it, or after `sequence` where that is higher. A name is for one publisher at a time.
    - `answers`: the worker answers for each record: `receipt.wait()`.
    - `spool`: a file in which records are kept while Redis is away, at most `spool_bytes`; they are sent in their order when it is back, also by the
      engine's next run. A file is for one publisher at a time.
    - `retries`: how often a lost connection is made anew, with growing pauses, before that is an error (or the spool's): default 5, with a spool 1, and
      30 (half a minute) where the url names sentinels or a cluster. A `client` of your own has retries of its own.
    - `wait_replicas`: so many replicas must have what was published before that counts as done; fewer is `NotCopied` after ten
      seconds of waiting. docs/growing.md says what this is worth and what it costs.

    Every method checks its records first and raises `MalformedRecord` before anything is sent. What the broker refuses, or that it is away, raises
    redis's own error; its note says what it means and what to do. With a spool it raises `SpoolFull` instead, once there is no more room.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        client: redis.Redis | None = None,
        namespace: str = "dramatiq",
        producer: str | None = None,
        sequence: int = 0,
        answers: bool = False,
        spool: str | Path | None = None,
        spool_bytes: int = SPOOL_BYTES,
        retries: int | None = None,
        wait_replicas: int = 0,
        conventions: Conventions = DEFAULT_CONVENTIONS,
    ) -> None:
        self._owns_client = client is None
        checked_replicas(wait_replicas, client)
        pauses: tuple[float, ...] = ()
        if client is None:
            address = checked_address(url, namespace)
            patient = patience(address, retries, spool=spool is not None)
            client, pauses = connect(url or "", namespace, retry=Retry(patient.backoff, patient.retries)), patient.pauses
        # redis-py's annotations cover both text and bytes replies, and a client of one's own may give either.
        self._client: Any = client
        self._namespace = namespace
        self._answers = answers
        self._wait_seconds = WAIT_SECONDS if spool is None else WAIT_SECONDS_WITH_SPOOL
        numbering = None if producer is None else Numbering(producer, sequence)
        self._spool = None if spool is None else Spool(spool, spool_bytes)
        self._outbox = Outbox(url or "", namespace, numbering, conventions, self._spool, asks=answers, pauses=pauses, wait_replicas=wait_replicas)
        #: Who numbers, and who sends what was kept, does so in turn.
        self._sending: Any = threading.Lock() if numbering is not None or self._spool is not None else nullcontext()
        self._closing = threading.Event()
        self._drainer: threading.Thread | None = None
        if self._spool is not None and self._spool.waiting:
            self._drain_later()

    @property
    def producer(self) -> str | None:
        return None if self._outbox.numbering is None else self._outbox.numbering.producer

    @property
    def sequence(self) -> int:
        """The last number that was sent; 0 without a producer."""
        return 0 if self._outbox.numbering is None else self._outbox.numbering.last

    @property
    def spooled_bytes(self) -> int:
        """What waits in the spool for Redis to be back."""
        return 0 if self._spool is None else self._spool.waiting_bytes

    def checked(self, kind: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record in its JSON form, with the number that would be its next. Nothing is sent. Raises `MalformedRecord`."""
        return self._outbox.checked(kind, record).record

    def refuse_too_long(self, kind: str, record: Mapping[str, Any]) -> None:
        """Raises `MalformedRecord` where a record makes a longer message than workers take."""
        self._outbox.refuse_too_long(kind, record)

    def publish(self, kind: str, record: Mapping[str, Any]) -> Receipt:
        [message] = self._publish([self._outbox.checked(kind, record)], 1)
        return Receipt.of(message, self._answer if self._answers else None)

    def publish_many(self, records: Iterable[tuple[str, Mapping[str, Any]]], *, records_per_message: int = 1) -> Sent:
        count, places = 0, Places()
        for group in self._outbox.groups(records, records_per_message):
            messages = self._publish(group, records_per_message)
            count += len(group)
            if self._answers:
                places.add(messages)
        return Sent.of(count, places.found, self._answer if self._answers else None)

    def request_job(self, job: str, **arguments: Any) -> Receipt:
        """Ask the scheduler to run a job; `account_id`, `date`, `from`, `to`, `rebuild` are for the rollup.

        Raises `MalformedRecord`.
        """
        message = self._outbox.job(job, arguments)
        if not self._outbox.keep_as_it_is(message):
            with self._sending:
                self._run(self._outbox.send_as_it_is(message))
        self._drain_later()
        return Receipt.of(message, self._answer if self._answers else None)

    def refusals(self, *, after: str = "0", timeout: float | None = 0.0) -> Iterator[Refusal]:
        """The records of this producer that went to quarantine: those the broker still keeps (the last 1,000), then those that come.

        Begins behind the entry `after`, and ends once nothing has come for `timeout` seconds; None: never. Raises redis's own errors.
        """
        if self._outbox.numbering is None:
            raise Invalid("refusals are kept by producer; give the publisher a name: producer=…")
        key = refusals_key(self._namespace, self._outbox.numbering.producer)
        until = time.monotonic() + (timeout or 0.0)
        while True:
            rest = WAIT_SLICE_SECONDS if timeout is None else min(WAIT_SLICE_SECONDS, until - time.monotonic())
            block = max(1, int(rest * 1000)) if rest > 0 else None
            found = refusals_in(self._client.xread({key: after}, count=REFUSALS_SLICE, block=block))
            for refusal in found:
                after = refusal.entry_id
                yield refusal
            if found:
                until = time.monotonic() + (timeout or 0.0)
            elif timeout is not None and time.monotonic() >= until:
                return

    def flush(self, timeout: float = 10.0) -> None:
        """Send what waits in the spool. Raises redis's own error, or `Unavailable` after `timeout` seconds."""
        until = time.monotonic() + timeout
        while self._drain_some():
            if time.monotonic() > until:
                raise Unavailable(f"{self.spooled_bytes:,} bytes still wait in the spool after {timeout:g} s; they are sent while this publisher is open")

    def close(self) -> None:
        """Send what waits in the spool, if Redis is there, and let go of both. What is left is sent by the next publisher over that spool."""
        self._closing.set()
        drainer = self._drainer
        if drainer is not None:
            drainer.join()
        if self._spool is not None:
            try:
                while self._drain_some():
                    pass
            except (RedisError, OSError, Unavailable):
                log.warning("the spool %s keeps %s bytes for the next run: the broker is still away", self._spool.path, f"{self.spooled_bytes:,}")
            self._spool.close()
        if self._owns_client:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # -- details -----------------------------------------------------------------------------------------------------

    def _publish(self, records: list[Any], records_per_message: int) -> list[Message]:
        # Behind those that wait, without waiting for Redis: another thread may be at it.
        messages = self._outbox.keep(records, records_per_message)
        if messages is None:
            with self._sending:
                messages = self._run(self._outbox.send(records, records_per_message))
        if self._spool is not None and self._spool.waiting:
            self._drain_later()
        return messages

    def _run(self, steps: Steps[Result]) -> Result:
        """Take the steps of an outbox."""
        try:
            asked = next(steps)
            while True:
                try:
                    reply = self._take(asked)
                except BaseException as error:
                    asked = steps.throw(error)
                else:
                    asked = steps.send(reply)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _take(self, asked: Exchange | Pause | OnDisk) -> Any:
        if isinstance(asked, Exchange):
            return self._exchange(asked)
        if isinstance(asked, Pause):
            time.sleep(asked.seconds)
            return None
        return asked()

    def _exchange(self, asked: Exchange) -> list[Any]:
        if asked.replicas:
            return wait_for_copies(self._client, asked.commands, asked.replicas, self._wait_seconds)
        with self._client.pipeline(transaction=True) as pipeline:
            for command in asked.commands:
                pipeline.execute_command(*command)
            return pipeline.execute()  # type: ignore[no-any-return]

    def _answer(self, message_id: str, timeout: float) -> Sequence[Outcome]:
        until = time.monotonic() + timeout
        away = False
        while (rest := until - time.monotonic()) > 0:
            try:
                found = self._client.blpop([answer_key(self._namespace, message_id)], timeout=wait_slice(rest))
            except RedisError as error:
                if not passes_with_a_failover(error):
                    raise
                away = True
                # The record may be in the spool, and the answer comes once Redis is back.
                time.sleep(min(FIRST_LOOK_SECONDS, rest))
                continue
            away = False
            if found is not None:
                return outcomes_of(found[1])
        raise no_answer(message_id, timeout, away=away)

    # -- the spool -----------------------------------------------------------------------------------------------------

    def _drain_some(self) -> bool:
        with self._sending:
            return self._run(self._outbox.drain())

    def _drain_later(self) -> None:
        """Let a thread look for Redis until the spool is empty."""
        spool = self._spool
        if spool is None or self._closing.is_set():
            return
        with spool.lock:
            if spool.waiting and self._drainer is None:
                self._drainer = threading.Thread(target=self._drain_until_empty, name="jarvis-spool", daemon=True)
                self._drainer.start()

    def _drain_until_empty(self) -> None:
        pause = FIRST_LOOK_SECONDS
        spool = self._spool
        assert spool is not None
        while not self._closing.is_set():
            try:
                while self._drain_some():
                    if self._closing.is_set():
                        return
                pause = FIRST_LOOK_SECONDS
            except Exception as error:
                if not isinstance(error, RedisError | OSError | Unavailable):
                    log.exception("what waits in the spool %s could not be sent", spool.path)
                self._closing.wait(pause)
                pause = min(pause * 2, LONGEST_LOOK_SECONDS)
            with spool.lock:
                if not spool.waiting:
                    self._drainer = None
                    return
