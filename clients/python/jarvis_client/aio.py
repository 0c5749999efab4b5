"""AsyncPublisher: as Publisher, for programs of asyncio.

async with AsyncPublisher(url, producer="engine-1", answers=True) as publisher:
    receipt = await publisher.publish_fill(fill_id="binance:BTCUSDT:42", …)
    outcome = await receipt.wait()
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.exceptions import RedisError

from jarvis_client.aio_primaries import connect
from jarvis_client.connecting import checked_address, checked_replicas, patience
from jarvis_client.contract.answers import answer_key, outcomes_of, refusals_key
from jarvis_client.contract.broker_faults import passes_with_a_failover
from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS, Conventions
from jarvis_client.contract.errors import Invalid, Unavailable
from jarvis_client.contract.outcome import Outcome
from jarvis_client.copies import WAIT_SECONDS, WAIT_SECONDS_WITH_SPOOL, wait_for_copies_async
from jarvis_client.methods import RecordMethods
from jarvis_client.numbering import Numbering
from jarvis_client.outbox import Exchange, OnDisk, Outbox, Pause, Result, Steps
from jarvis_client.packing import Message
from jarvis_client.publisher import FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS, REFUSALS_SLICE
from jarvis_client.receipts import WAIT_SLICE_SECONDS, AsyncReceipt, AsyncSent, Places, Refusal, no_answer, refusals_in, wait_slice
from jarvis_client.spool import SPOOL_BYTES, Spool

log = logging.getLogger(__name__)


class AsyncPublisher(RecordMethods[Coroutine[Any, Any, AsyncReceipt], Coroutine[Any, Any, AsyncSent]]):
    """Publishes records to the queues of the contract, from one event loop. Its arguments, errors and methods are those of `Publisher`."""

    def __init__(
        self,
        url: str | None = None,
        *,
        client: redis.asyncio.Redis | None = None,
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
        self._client: Any = client
        self._namespace = namespace
        self._answers = answers
        self._wait_seconds = WAIT_SECONDS if spool is None else WAIT_SECONDS_WITH_SPOOL
        numbering = None if producer is None else Numbering(producer, sequence)
        self._spool = None if spool is None else Spool(spool, spool_bytes)
        self._outbox = Outbox(url or "", namespace, numbering, conventions, self._spool, asks=answers, pauses=pauses, wait_replicas=wait_replicas)
        self._sending: Any = asyncio.Lock() if numbering is not None or self._spool is not None else nullcontext()
        self._closing = False
        self._drainer: asyncio.Task[None] | None = None

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

    async def publish(self, kind: str, record: Mapping[str, Any]) -> AsyncReceipt:
        [message] = await self._publish([self._outbox.checked(kind, record)], 1)
        return AsyncReceipt.of(message, self._answer if self._answers else None)

    async def publish_many(self, records: Iterable[tuple[str, Mapping[str, Any]]], *, records_per_message: int = 1) -> AsyncSent:
        count, places = 0, Places()
        for group in self._outbox.groups(records, records_per_message):
            messages = await self._publish(group, records_per_message)
            count += len(group)
            if self._answers:
                places.add(messages)
        return AsyncSent.of(count, places.found, self._answer if self._answers else None)

    async def request_job(self, job: str, **arguments: Any) -> AsyncReceipt:
        """As `Publisher.request_job`."""
        message = self._outbox.job(job, arguments)
        if not await asyncio.to_thread(self._outbox.keep_as_it_is, message):
            async with self._sending:
                await self._run(self._outbox.send_as_it_is(message))
        self._drain_later()
        return AsyncReceipt.of(message, self._answer if self._answers else None)

    async def refusals(self, *, after: str = "0", timeout: float | None = 0.0) -> AsyncIterator[Refusal]:
        """As `Publisher.refusals`."""
        if self._outbox.numbering is None:
            raise Invalid("refusals are kept by producer; give the publisher a name: producer=…")
        key = refusals_key(self._namespace, self._outbox.numbering.producer)
        until = time.monotonic() + (timeout or 0.0)
        while True:
            rest = WAIT_SLICE_SECONDS if timeout is None else min(WAIT_SLICE_SECONDS, until - time.monotonic())
            block = max(1, int(rest * 1000)) if rest > 0 else None
            found = refusals_in(await self._client.xread({key: after}, count=REFUSALS_SLICE, block=block))
            for refusal in found:
                after = refusal.entry_id
                yield refusal
            if found:
                until = time.monotonic() + (timeout or 0.0)
            elif timeout is not None and time.monotonic() >= until:
                return

    async def flush(self, timeout: float = 10.0) -> None:
        """As `Publisher.flush`."""
        until = time.monotonic() + timeout
        while await self._drain_some():
            if time.monotonic() > until:
                raise Unavailable(f"{self.spooled_bytes:,} bytes still wait in the spool after {timeout:g} s; they are sent while this publisher is open")

    async def close(self) -> None:
        """As `Publisher.close`."""
        self._closing = True
        if self._drainer is not None:
            self._drainer.cancel()
            await asyncio.gather(self._drainer, return_exceptions=True)
        if self._spool is not None:
            try:
                while await self._drain_some():
                    pass
            except (RedisError, OSError, Unavailable):
                log.warning("the spool %s keeps %s bytes for the next run: the broker is still away", self._spool.path, f"{self.spooled_bytes:,}")
            self._spool.close()
        if self._owns_client:
            await self._client.aclose()

    async def __aenter__(self) -> Self:
        self._drain_later()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    # -- details -----------------------------------------------------------------------------------------------------

    async def _publish(self, records: list[Any], records_per_message: int) -> list[Message]:
        if self._spool is not None and self._spool.waiting:
            # Behind those that wait, without waiting for Redis: the task may be at it.
            kept = await asyncio.to_thread(self._outbox.keep, records, records_per_message)
            if kept is not None:
                self._drain_later()
                return kept
        async with self._sending:
            messages = await self._run(self._outbox.send(records, records_per_message))
        self._drain_later()
        return messages

    async def _run(self, steps: Steps[Result]) -> Result:
        """Take the steps of an outbox; the disk's on a thread, so that nobody else on the loop waits for it."""
        try:
            asked = next(steps)
            while True:
                try:
                    reply = await self._take(asked)
                except BaseException as error:
                    asked = steps.throw(error)
                else:
                    asked = steps.send(reply)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    async def _take(self, asked: Exchange | Pause | OnDisk) -> Any:
        if isinstance(asked, Exchange):
            return await self._exchange(asked)
        if isinstance(asked, Pause):
            await asyncio.sleep(asked.seconds)
            return None
        return await asyncio.to_thread(asked)

    async def _exchange(self, asked: Exchange) -> list[Any]:
        if asked.replicas:
            return await wait_for_copies_async(self._client, asked.commands, asked.replicas, self._wait_seconds)
        async with self._client.pipeline(transaction=True) as pipeline:
            for command in asked.commands:
                pipeline.execute_command(*command)
            return await pipeline.execute()  # type: ignore[no-any-return]

    async def _answer(self, message_id: str, timeout: float) -> Sequence[Outcome]:
        until = time.monotonic() + timeout
        away = False
        while (rest := until - time.monotonic()) > 0:
            try:
                found = await self._client.blpop([answer_key(self._namespace, message_id)], timeout=wait_slice(rest))
            except RedisError as error:
                if not passes_with_a_failover(error):
                    raise
                away = True
                await asyncio.sleep(min(FIRST_LOOK_SECONDS, rest))
                continue
            away = False
            if found is not None:
                return outcomes_of(found[1])
        raise no_answer(message_id, timeout, away=away)

    # -- the spool -----------------------------------------------------------------------------------------------------

    async def _drain_some(self) -> bool:
        async with self._sending:
            return await self._run(self._outbox.drain())

    def _drain_later(self) -> None:
        """Let a task look for Redis until the spool is empty."""
        if self._spool is not None and self._spool.waiting and not self._closing and (self._drainer is None or self._drainer.done()):
            self._drainer = asyncio.create_task(self._drain_until_empty(), name="jarvis-spool")

    async def _drain_until_empty(self) -> None:
        pause = FIRST_LOOK_SECONDS
        while self._spool is not None and self._spool.waiting:
            try:
                await self._drain_some()
                pause = FIRST_LOOK_SECONDS
            except Exception as error:
                if not isinstance(error, RedisError | OSError | Unavailable):
                    log.exception("what waits in the spool %s could not be sent", self._spool.path)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_LOOK_SECONDS)
