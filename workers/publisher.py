"""What a Python trading engine imports: checked records into the queues, one by one or pipelined.

    publisher = Publisher("unix:///path/to/broker.sock")
    publisher.publish_fill(fill_id="binance:BTCUSDT:42", account_id="main", order_id="o-1", symbol="BTC/USDT", side="buy",
                           quantity="0.015", price="64250.10", executed_at=datetime.now(UTC))

Needs Redis only: nothing here opens a database. Publishing the same record again is harmless, so after a lost connection
publish it again: it gets the number that it had.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from itertools import islice
from typing import Any

import redis

from jarvis_client.contract.address import read_address
from jarvis_client.contract.broker_faults import fault_of
from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS, Conventions
from jarvis_client.contract.errors import Invalid, MalformedRecord
from jarvis_client.contract.forms import fact_of
from jarvis_client.contract.jobs import job_of
from jarvis_client.contract.json_values import json_value
from jarvis_client.contract.routes import JOBS_ROUTE, MAX_BATCH_RECORDS, MAX_MESSAGE_BYTES, ROUTES, encode

log = logging.getLogger(__name__)

#: Messages that travel in one round trip: large enough to hide the network, small enough to keep Redis responsive.
PIPELINE_MESSAGES = 500
#: The sorted set of producers by their last numbers, in the namespace of the queues.
SEQUENCES = "__jarvis__.sequences"
#: Scores are floating-point numbers.
EXACT_SCORES = 2**53
#: Records whose sending failed, and that may be tried again.
FAILURES_REMEMBERED = 10_000


class Publisher:
    """Publishes records to the queues of the contract.

    With a `producer`, every record gets the next `sequence`, so that the books notice what never arrived. The broker keeps the
    last number, which travels with the records: another publisher of this name goes on after it, or after the `sequence` given here
    where that is higher. A name is for one publisher at a time. Every method checks its records first and raises
    `MalformedRecord` before anything is sent; a lost connection raises redis's own `ConnectionError`, whose note says what it means
    and what to do, and takes no number with it. Safe to use from several threads, which then number and send in turn.
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
        #: The last number that was sent.
        self.sequence = sequence
        self._numbering = threading.Lock()
        #: What the broker says of the last number is not known: before the first record, and after a failure.
        self._unsure = producer is not None
        self._sent = False
        #: Numbers of the records whose sending failed, by what they are.
        self._failed: dict[bytes, int] = {}

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
        [message_id] = self._publish([(kind, self.checked(kind, record), "sequence" in record)], 1)
        return message_id

    def publish_many(self, records: Iterable[tuple[str, Mapping[str, Any]]], *, records_per_message: int = 1) -> int:
        """Publish (kind, record) pairs in as few round trips as possible; several records of one kind may share a message.

        Records are checked as they are read, and sent in groups: after an error, those before it may have been sent already
        (publishing them again is harmless).
        """
        if not 1 <= records_per_message <= MAX_BATCH_RECORDS:
            raise MalformedRecord(f"records_per_message is {records_per_message}; 1 to {MAX_BATCH_RECORDS} are possible")
        sent = 0
        checked = ((kind, self.checked(kind, record), "sequence" in record) for kind, record in records)
        while group := list(islice(checked, PIPELINE_MESSAGES * records_per_message)):
            self._publish(group, records_per_message)
            sent += len(group)
        return sent

    def checked(self, kind: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record in its JSON form, with the number that would be its next. Raises `MalformedRecord`."""
        plain = {name: json_value(value) for name, value in record.items()}
        if self.producer is not None and "sequence" not in plain:
            plain["producer"], plain["sequence"] = self.producer, self.sequence + 1
        fact_of(kind, plain, self._conventions)
        return plain

    def refuse_too_long(self, kind: str, record: Mapping[str, Any]) -> None:
        """Raises `MalformedRecord` where a record makes a longer message than workers take."""
        for _ in _messages([(kind, self.checked(kind, record))], 1):
            pass

    def _publish(self, records: list[tuple[str, dict[str, Any], bool]], records_per_message: int) -> list[str]:
        """Number, encode and send (kind, record, whether it has a number of the caller's). Returns the message ids."""
        with self._numbering if self.producer is not None else nullcontext():
            numbers, last = self._number(records) if self.producer is not None else ({}, None)
            messages = list(_messages([(kind, record) for kind, record, _ in records], records_per_message))
            try:
                changed = self._send(messages, last if last is not None and last < EXACT_SCORES else None)
            except BaseException:
                self._unsure = self.producer is not None
                self._failed = dict(list({**self._failed, **numbers}.items())[-FAILURES_REMEMBERED:])
                raise
            if last is not None:
                self.sequence = max(self.sequence, last)
                for key in numbers:
                    self._failed.pop(key, None)
                # Sent again by the client itself, or with a number that another publisher has used.
                self._unsure = not changed
            return [message_id for _, message_id, _ in messages]

    def _number(self, records: list[tuple[str, dict[str, Any], bool]]) -> tuple[dict[bytes, int], int | None]:
        """Give every record its number. Returns the numbers given, by record, and the highest of this producer."""
        if self._unsure:
            self._learn_the_last_number()
        numbers: dict[bytes, int] = {}
        last, highest = self.sequence, 0
        for kind, record, numbered in records:
            if not numbered:
                key = _key(kind, record)
                if key in self._failed and key not in numbers:
                    record["sequence"] = self._failed[key]
                else:
                    last += 1
                    record["sequence"] = last
                numbers[key] = record["sequence"]
            if record.get("producer") == self.producer:
                highest = max(highest, record["sequence"])
                last = max(last, highest)
        return numbers, highest or None

    def _learn_the_last_number(self) -> None:
        """Ask the broker how far this producer is: whether what failed has arrived all the same, and where a former publisher ended."""
        score: Any = self._client.zscore(f"{self._namespace}:{SEQUENCES}", str(self.producer))
        last = int(score or 0)
        self._unsure = False
        if last > max(self.sequence, *self._failed.values(), 0) and self._sent:
            log.warning("producer %r is used by another publisher, which is at %d; give each a name of its own", self.producer, last)
        self.sequence = max(self.sequence, last)
        # What did not arrive has no number; what did keeps it.
        self._failed = {key: number for key, number in self._failed.items() if number <= self.sequence}

    def _send(self, messages: Iterable[tuple[str, str, bytes]], last: int | None = None) -> bool:
        """All of them in one MULTI: a payload is never seen without its id, nor the other way round, nor a number without its record.

        False where the broker knows this number, or a higher one, already.
        """
        by_queue: dict[str, dict[str, bytes]] = defaultdict(dict)
        for queue, message_id, payload in messages:
            by_queue[queue][message_id] = payload
        with self._client.pipeline(transaction=True) as pipeline:
            for queue, payloads in by_queue.items():
                pipeline.hset(f"{self._namespace}:{queue}.msgs", mapping=payloads)  # type: ignore[arg-type]
                pipeline.rpush(f"{self._namespace}:{queue}", *payloads)
            if last is not None:
                pipeline.zadd(f"{self._namespace}:{SEQUENCES}", {str(self.producer): last}, gt=True, ch=True)
            try:
                replies = pipeline.execute()
            except redis.RedisError as error:
                # Its class is redis's own, for whoever tries again; what it means stands below its trace.
                error.add_note(fault_of(error, self._url).sentence(error))
                raise
        self._sent = True
        return last is None or replies[-1] > 0


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


def _key(kind: str, record: Mapping[str, Any]) -> bytes:
    """What a record is, whatever number it has."""
    said = {name: value for name, value in record.items() if name != "sequence"}
    return hashlib.sha256(json.dumps([kind, said], sort_keys=True).encode()).digest()
