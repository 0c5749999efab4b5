"""What a Python trading engine imports: checked records into the queues, one by one or pipelined.

    publisher = Publisher("unix:///path/to/broker.sock")
    publisher.publish_fill(fill_id="binance:BTCUSDT:42", account_id="main", order_id="o-1", symbol="BTC/USDT", side="buy",
                           quantity="0.015", price="64250.10", executed_at=datetime.now(UTC))

Needs Redis only: nothing here opens a database. Publishing the same record again is harmless, so after a lost connection
publish it again.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import redis

from persistence.domain.conventions import DEFAULT_CONVENTIONS, Conventions
from persistence.domain.errors import Invalid
from workers.address import read_address
from workers.broker_faults import fault_of
from workers.messages import JOBS_ROUTE, MAX_BATCH_RECORDS, MAX_MESSAGE_BYTES, ROUTES, Route, fact_of, job_of
from workers.wire import MalformedRecord, json_value

#: Messages that travel in one round trip: large enough to hide the network, small enough to keep Redis responsive.
PIPELINE_MESSAGES = 500


class Publisher:
    """Publishes records to the queues of the contract.

    With a `producer`, every record gets the next `sequence`, so that the books notice what never arrived; keep the last
    number (`sequence`) over restarts. Every method checks its records first and raises `MalformedRecord` before anything is
    sent; a lost connection raises redis's own `ConnectionError`, whose note says what it means and what to do.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        client: redis.Redis | None = None,
        namespace: str = "dramatiq",
        producer: str | None = None,
        sequence: int = 0,
        conventions: Conventions = DEFAULT_CONVENTIONS,
    ) -> None:
        if client is None:
            if url is None:
                raise MalformedRecord("give the broker's url (the one that `jarvis up` prints), or a redis client")
            try:
                address = read_address(url)
            except Invalid as error:
                raise MalformedRecord(f"the broker's url {error}") from None
            if (problem := address.unreadable_file()) is not None:
                raise MalformedRecord(f"the broker's url: {problem}")
            client = redis.Redis.from_url(url)
        self._client = client
        self._url = url or ""
        self._namespace = namespace
        self._conventions = conventions
        self.producer = producer
        self.sequence = sequence

    def publish_fill(self, record: Mapping[str, Any] | None = None, /, **fields: Any) -> str:
        """Returns the message id."""
        return self.publish("fill", {**(record or {}), **fields})

    def publish_deposit(self, record: Mapping[str, Any] | None = None, /, **fields: Any) -> str:
        """Returns the message id."""
        return self.publish("deposit", {**(record or {}), **fields})

    def publish_withdrawal(self, record: Mapping[str, Any] | None = None, /, **fields: Any) -> str:
        """Returns the message id."""
        return self.publish("withdrawal", {**(record or {}), **fields})

    def publish_order(self, record: Mapping[str, Any] | None = None, /, **fields: Any) -> str:
        """Returns the message id."""
        return self.publish("order", {**(record or {}), **fields})

    def publish_metrics(self, record: Mapping[str, Any] | None = None, /, **fields: Any) -> str:
        """Returns the message id."""
        return self.publish("metrics", {**(record or {}), **fields})

    def publish_void(self, record: Mapping[str, Any] | None = None, /, **fields: Any) -> str:
        """Returns the message id."""
        return self.publish("void", {**(record or {}), **fields})

    def publish_fee(self, record: Mapping[str, Any] | None = None, /, **fields: Any) -> str:
        """Returns the message id."""
        return self.publish("fee", {**(record or {}), **fields})

    def publish_rate(self, record: Mapping[str, Any] | None = None, /, **fields: Any) -> str:
        """Returns the message id."""
        return self.publish("rate", {**(record or {}), **fields})

    def publish_balance(self, record: Mapping[str, Any] | None = None, /, **fields: Any) -> str:
        """Returns the message id."""
        return self.publish("balance", {**(record or {}), **fields})

    def publish_fills(self, records: Iterable[Mapping[str, Any]], *, records_per_message: int = 1) -> int:
        """In bulk, pipelined. Returns how many records were sent."""
        return self.publish_many((("fill", r) for r in records), records_per_message=records_per_message)

    def publish_deposits(self, records: Iterable[Mapping[str, Any]], *, records_per_message: int = 1) -> int:
        """In bulk, pipelined. Returns how many records were sent."""
        return self.publish_many((("deposit", r) for r in records), records_per_message=records_per_message)

    def publish_withdrawals(self, records: Iterable[Mapping[str, Any]], *, records_per_message: int = 1) -> int:
        """In bulk, pipelined. Returns how many records were sent."""
        return self.publish_many((("withdrawal", r) for r in records), records_per_message=records_per_message)

    def publish_orders(self, records: Iterable[Mapping[str, Any]], *, records_per_message: int = 1) -> int:
        """In bulk, pipelined. Returns how many records were sent."""
        return self.publish_many((("order", r) for r in records), records_per_message=records_per_message)

    def publish_metrics_many(self, records: Iterable[Mapping[str, Any]], *, records_per_message: int = 1) -> int:
        """In bulk, pipelined. Returns how many records were sent."""
        return self.publish_many((("metrics", r) for r in records), records_per_message=records_per_message)

    def publish_voids(self, records: Iterable[Mapping[str, Any]], *, records_per_message: int = 1) -> int:
        """In bulk, pipelined. Returns how many records were sent."""
        return self.publish_many((("void", r) for r in records), records_per_message=records_per_message)

    def publish_fees(self, records: Iterable[Mapping[str, Any]], *, records_per_message: int = 1) -> int:
        """In bulk, pipelined. Returns how many records were sent."""
        return self.publish_many((("fee", r) for r in records), records_per_message=records_per_message)

    def publish_rates(self, records: Iterable[Mapping[str, Any]], *, records_per_message: int = 1) -> int:
        """In bulk, pipelined. Returns how many records were sent."""
        return self.publish_many((("rate", r) for r in records), records_per_message=records_per_message)

    def publish_balances(self, records: Iterable[Mapping[str, Any]], *, records_per_message: int = 1) -> int:
        """In bulk, pipelined. Returns how many records were sent."""
        return self.publish_many((("balance", r) for r in records), records_per_message=records_per_message)

    def request_job(self, job: str, **arguments: Any) -> str:
        """Ask the scheduler to run a job; `account_id`, `date`, `from`, `to`, `rebuild` are for the rollup. Returns the message id.

        Raises `MalformedRecord`.
        """
        record = {"job": job, **{name: json_value(value) for name, value in arguments.items()}}
        job_of(record, "checked")
        message_id, payload = encode(JOBS_ROUTE, record)
        self._send([(JOBS_ROUTE.queue, message_id, payload)])
        return message_id

    def publish(self, kind: str, record: Mapping[str, Any]) -> str:
        """Publish one record of a kind. Returns the message id."""
        [(queue, message_id, payload)] = _messages([(kind, self.checked(kind, record))], 1)
        self._send([(queue, message_id, payload)])
        return message_id

    def publish_many(self, records: Iterable[tuple[str, Mapping[str, Any]]], *, records_per_message: int = 1) -> int:
        """Publish (kind, record) pairs in as few round trips as possible; several records of one kind may share a message.

        Records are checked as they are read, and sent in groups: after an error, those before it may have been sent already
        (publishing them again is harmless).
        """
        if not 1 <= records_per_message <= MAX_BATCH_RECORDS:
            raise MalformedRecord(f"records_per_message is {records_per_message}; 1 to {MAX_BATCH_RECORDS} are possible")
        sent = 0
        checked = ((kind, self.checked(kind, record)) for kind, record in records)
        while group := list(islice(checked, PIPELINE_MESSAGES * records_per_message)):
            self._send(_messages(group, records_per_message))
            sent += len(group)
        return sent

    def checked(self, kind: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record in its JSON form, numbered for its producer. Raises `MalformedRecord`."""
        plain = {name: json_value(value) for name, value in record.items()}
        if self.producer is not None and "sequence" not in plain:
            plain["producer"], plain["sequence"] = self.producer, self.sequence + 1
        fact_of(kind, plain, self._conventions)
        if plain.get("producer") == self.producer and self.producer is not None:
            self.sequence = max(self.sequence, plain["sequence"])
        return plain

    def refuse_too_long(self, kind: str, record: Mapping[str, Any]) -> None:
        """Raises `MalformedRecord` where a record makes a longer message than workers take."""
        for _ in _messages([(kind, self.checked(kind, record))], 1):
            pass

    def _send(self, messages: Iterable[tuple[str, str, bytes]]) -> None:
        """All of them in one MULTI: a payload is never seen without its id, nor the other way round."""
        by_queue: dict[str, dict[str, bytes]] = defaultdict(dict)
        for queue, message_id, payload in messages:
            by_queue[queue][message_id] = payload
        with self._client.pipeline(transaction=True) as pipeline:
            for queue, payloads in by_queue.items():
                pipeline.hset(f"{self._namespace}:{queue}.msgs", mapping=payloads)  # type: ignore[arg-type]
                pipeline.rpush(f"{self._namespace}:{queue}", *payloads)
            try:
                pipeline.execute()
            except redis.RedisError as error:
                # Its class is redis's own, for whoever tries again; what it means stands below its trace.
                error.add_note(fault_of(error, self._url).sentence(error))
                raise


def encode(route: Route, records: Any) -> tuple[str, bytes]:
    """(message id, payload) of one record or a list of records, in Dramatiq's wire form."""
    message_id = str(uuid.uuid4())
    envelope = {
        "queue_name": route.queue, "actor_name": route.actor, "args": [records], "kwargs": {}, "options": {"redis_message_id": message_id},
        "message_id": message_id, "message_timestamp": time.time_ns() // 1_000_000,
    }  # fmt: skip
    return message_id, json.dumps(envelope, separators=(",", ":")).encode()


def _messages(records: Iterable[tuple[str, dict[str, Any]]], records_per_message: int) -> Iterator[tuple[str, str, bytes]]:
    if records_per_message == 1:
        for kind, record in records:
            message_id, payload = encode(ROUTES[kind], record)
            if len(payload) > MAX_MESSAGE_BYTES:
                raise MalformedRecord(f"{kind}: a message of {len(payload):,} bytes; at most {MAX_MESSAGE_BYTES:,} are taken: shorten its unknown fields")
            yield ROUTES[kind].queue, message_id, payload
        return
    by_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for kind, record in records:
        by_kind[kind].append(record)
    for kind, found in by_kind.items():
        for at in range(0, len(found), records_per_message):
            group = found[at : at + records_per_message]
            message_id, payload = encode(ROUTES[kind], group)
            if len(payload) <= MAX_MESSAGE_BYTES:
                yield ROUTES[kind].queue, message_id, payload
            else:
                yield from _messages([(kind, record) for record in group], len(group) // 2 or 1)
