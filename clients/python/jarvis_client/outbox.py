"""What publishing consists of, without a connection: checks, numbers, messages, commands, the spool.

A publisher runs the steps of an outbox: each asks for one exchange with Redis, or for work on the disk, and is told what came of it. So
threads and asyncio share every rule, and differ in how they wait.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from redis.exceptions import DataError, RedisError

from jarvis_client.contract.broker_faults import fault_of, passes_with_a_failover, words_of
from jarvis_client.contract.conventions import Conventions
from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.forms import fact_of
from jarvis_client.contract.jobs import job_of
from jarvis_client.contract.json_values import json_value
from jarvis_client.contract.routes import JOBS_ROUTE, MAX_BATCH_RECORDS, encode
from jarvis_client.copies import NotCopied
from jarvis_client.mistaken import kind_and_record, pointed_to_ccxt, refuse_no_record
from jarvis_client.numbering import EXACT_SCORES, SEQUENCES, Numbering
from jarvis_client.packing import Checked, Message, messages_of
from jarvis_client.spool import Spool

log = logging.getLogger(__name__)

#: Messages that travel in one round trip: large enough to hide the network, small enough to keep Redis responsive.
PIPELINE_MESSAGES = 500

Command = tuple[Any, ...]


class Exchange(NamedTuple):
    """Commands for Redis, in one MULTI; the step is sent their replies, once so many replicas have what they wrote."""

    commands: list[Command]
    replicas: int = 0


class Pause(NamedTuple):
    """Seconds to wait before the next try."""

    seconds: float


OnDisk = Callable[[], Any]
"""Work on the disk; the step is sent what it gives."""

Result = TypeVar("Result")
Steps = Generator[Exchange | Pause | OnDisk, Any, Result]


class Outbox:
    """The records of one publisher on their way. Not for several threads at once, but for `keep`."""

    def __init__(
        self,
        url: str,
        namespace: str,
        numbering: Numbering | None,
        conventions: Conventions,
        spool: Spool | None,
        *,
        asks: bool,
        pauses: tuple[float, ...] = (),
        wait_replicas: int = 0,
    ) -> None:
        """`pauses`: before each further try, where another server may take over."""
        self._url = url
        self._namespace = namespace
        self._conventions = conventions
        self._asks = asks
        self._pauses = pauses
        self._replicas = wait_replicas
        self.numbering = numbering
        self.spool = spool
        self._told = False

    # -- before anything is sent -----------------------------------------------------------------------------------------

    def checked(self, kind: str, record: Mapping[str, Any]) -> Checked:
        """The record in its JSON form, with the number that would be its next. Raises `MalformedRecord`."""
        refuse_no_record(kind, record)
        plain = {name: json_value(value) for name, value in record.items()}
        numbered = "sequence" in plain
        if self.numbering is not None and not numbered:
            plain["producer"], plain["sequence"] = self.numbering.producer, self.numbering.last + 1
        try:
            fact_of(kind, plain, self._conventions)
        except MalformedRecord as error:
            raise pointed_to_ccxt(kind, plain, error) from None
        return Checked(kind, plain, numbered)

    def refuse_too_long(self, kind: str, record: Mapping[str, Any]) -> None:
        """Raises `MalformedRecord` where a record makes a longer message than workers take."""
        for _ in messages_of([self.checked(kind, record)], 1, asks=self._asks):
            pass

    def groups(self, records: Iterable[tuple[str, Mapping[str, Any]]], records_per_message: int) -> Iterator[list[Checked]]:
        """Checked records in groups that travel together. Raises `MalformedRecord`."""
        if not 1 <= records_per_message <= MAX_BATCH_RECORDS:
            raise MalformedRecord(f"records_per_message is {records_per_message}; 1 to {MAX_BATCH_RECORDS} are possible")
        checked = (self.checked(*kind_and_record(pair)) for pair in records)
        while group := list(islice(checked, PIPELINE_MESSAGES * records_per_message)):
            yield group

    def job(self, job: str, arguments: Mapping[str, Any]) -> Message:
        """The message that asks for a job. Raises `MalformedRecord`."""
        record = {"job": job, **{name: json_value(value) for name, value in arguments.items()}}
        job_of(record, "checked")
        return Message(JOBS_ROUTE.queue, *encode(JOBS_ROUTE, record, asks=self._asks), (0,))

    # -- sending ---------------------------------------------------------------------------------------------------------

    def keep(self, records: list[Checked], records_per_message: int) -> list[Message] | None:
        """Put records behind those that wait in the spool; None where none do. Raises `SpoolFull`, `Unavailable`, `MalformedRecord`."""
        if self.spool is None or not self.spool.waiting:
            return None
        with self.spool.lock:
            return self._spooled(records, records_per_message) if self.spool.waiting else None

    def send(self, records: list[Checked], records_per_message: int) -> Steps[list[Message]]:
        """Number, pack and send records; with a spool, keep them where they cannot be sent."""
        if self.spool is not None and (kept := (yield lambda: self.keep(records, records_per_message))) is not None:
            return kept  # type: ignore[no-any-return]
        numbers: dict[bytes, int] = {}
        highest = None
        if self.numbering is not None:
            try:
                if self.numbering.unsure:
                    yield from self._learn(self.numbering)
            except (RedisError, OSError) as error:
                self._raise_unless_kept(error)
                return (yield lambda: self._spooled(records, records_per_message))  # type: ignore[no-any-return]
            numbers, highest = self.numbering.number(records)
        messages = list(messages_of(records, records_per_message, asks=self._asks))
        try:
            changed = yield from self._exchange(messages, highest)
        except BaseException as error:
            try:
                self._raise_unless_kept(error)
                # They may have arrived: the same messages, with the same ids and numbers.
                yield lambda: self._append(messages)
            except BaseException:
                if self.numbering is not None:
                    self.numbering.failed(numbers)
                raise
            if self.numbering is not None:
                self.numbering.kept(highest)
            return messages
        if self.numbering is not None:
            self.numbering.sent(numbers, highest, changed=changed)
        return messages

    def keep_as_it_is(self, message: Message) -> bool:
        """Put one message behind those that wait in the spool; False where none do. Raises `SpoolFull`, `Unavailable`."""
        if self.spool is None or not self.spool.waiting:
            return False
        with self.spool.lock:
            if self.spool.waiting:
                self._append([message])
                return True
            return False

    def send_as_it_is(self, message: Message) -> Steps[None]:
        """Send one message that has no number; with a spool, keep it where it cannot be sent."""
        try:
            yield from self._exchange([message], None)
        except (RedisError, OSError, NotCopied) as error:
            self._raise_unless_kept(error)
            yield lambda: self._append([message])

    def drain(self) -> Steps[bool]:
        """Send one group of what waits in the spool, the oldest. True while there is more."""
        spool = self.spool
        if spool is None or not spool.waiting:
            return False
        payloads, end = yield lambda: spool.first(PIPELINE_MESSAGES)
        highest = None
        if self.numbering is not None:
            if self.numbering.unsure:
                yield from self._learn(self.numbering)
            payloads, highest = self._numbered(self.numbering, payloads)
        yield from self._exchange([_message(payload) for payload in payloads], highest)
        if self.numbering is not None:
            self.numbering.sent({}, highest, changed=True)
        yield lambda: spool.sent(end)
        if not spool.waiting and self._told:
            self._told = False
            log.info("the broker is back and has everything that was kept in the spool %s", spool.path)
        return spool.waiting

    # -- details ---------------------------------------------------------------------------------------------------------

    def _learn(self, numbering: Numbering) -> Steps[None]:
        [score] = yield from self._say([("ZSCORE", f"{self._namespace}:{SEQUENCES}", numbering.producer)])
        numbering.learn(score)

    def _exchange(self, messages: list[Message], highest: int | None) -> Steps[bool]:
        """All of them in one MULTI: a payload is never seen without its id, nor the other way round, nor a number without its record.

        False where the broker knows this number, or a higher one, already.
        """
        by_queue: dict[str, list[Message]] = defaultdict(list)
        for message in messages:
            by_queue[message.queue].append(message)
        commands: list[Command] = []
        for queue, found in by_queue.items():
            commands.append(("HSET", f"{self._namespace}:{queue}.msgs", *(part for m in found for part in (m.message_id, m.payload))))
            commands.append(("RPUSH", f"{self._namespace}:{queue}", *(m.message_id for m in found)))
        has_number = self.numbering is not None and highest is not None and highest < EXACT_SCORES
        if self.numbering is not None and has_number:
            commands.append(("ZADD", f"{self._namespace}:{SEQUENCES}", "GT", "CH", highest, self.numbering.producer))
        if not commands:
            return True
        replies = yield from self._say(commands, self._replicas)
        return not has_number or int(replies[-1]) > 0

    def _say(self, commands: list[Command], replicas: int = 0) -> Steps[list[Any]]:
        exchange, pauses = Exchange(commands, replicas), iter(self._pauses)
        while True:
            try:
                return (yield exchange)  # type: ignore[no-any-return]
            except RedisError as error:
                pause = next(pauses, None)
                if pause is None or not passes_with_a_failover(error, self._url):
                    # Its class is redis's own, for whoever tries again; what it means stands below its trace.
                    error.add_note(fault_of(error, self._url).sentence(error))
                    raise
                if pause == self._pauses[0]:
                    log.warning("the broker %s: %s; trying again for up to %.0f s", fault_of(error, self._url).clause, words_of(error), sum(self._pauses))
            # The same messages under the same ids: should they have arrived, what is recorded already counts as a duplicate.
            yield Pause(pause)

    def _spooled(self, records: list[Checked], records_per_message: int) -> list[Message]:
        """Keep records whose numbers they get when they are sent, in their order: how far the producer is then, nobody knows yet."""
        if self.numbering is not None:
            for record in records:
                if not record.numbered:
                    record.record.pop("sequence", None)
        messages = list(messages_of(records, records_per_message, asks=self._asks))
        self._append(messages)
        return messages

    def _append(self, messages: list[Message]) -> None:
        assert self.spool is not None
        self.spool.append([message.payload for message in messages])

    def _numbered(self, numbering: Numbering, payloads: list[bytes]) -> tuple[list[bytes], int | None]:
        """Messages of the spool with numbers for the records that have none. Returns them and the highest number of this producer."""
        last, highest, found = numbering.last, 0, []
        for payload in payloads:
            envelope = json.loads(payload)
            [content] = envelope["args"]
            changed = False
            for record in content if isinstance(content, list) else [content]:
                if record.get("producer") != numbering.producer:
                    continue
                if "sequence" not in record:
                    last += 1
                    record["sequence"], changed = last, True
                last = highest = max(last, record["sequence"])
            found.append(json.dumps(envelope, separators=(",", ":")).encode() if changed else payload)
        return found, highest or None

    def _raise_unless_kept(self, error: BaseException) -> None:
        """Raises the error where it is one that no spool is for; else says once that records are kept from here on."""
        if self.spool is None or not _may_pass(error):
            raise error
        if not self._told:
            self._told = True
            said = str(error) if isinstance(error, NotCopied) else fault_of(error, self._url).sentence(error)
            log.warning("%s; records are kept in %s until it takes them", said, self.spool.path)


def _may_pass(error: BaseException) -> bool:
    """Whether an error is Redis's or the network's: one of this program's own stays loud."""
    return isinstance(error, RedisError | OSError | NotCopied) and not isinstance(error, DataError)


def _message(payload: bytes) -> Message:
    envelope = json.loads(payload)
    return Message(envelope["queue_name"], envelope["options"]["redis_message_id"], payload, ())
