"""MemoryPublisher: a publisher for the tests of an engine. It checks records as the real one does and keeps them in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS, Conventions
from jarvis_client.contract.forms import fact_of
from jarvis_client.contract.outcome import APPLIED, DUPLICATE, Outcome, Reason
from jarvis_client.methods import RecordMethods
from jarvis_client.numbering import Numbering
from jarvis_client.outbox import Outbox
from jarvis_client.packing import Checked, Message, messages_of
from jarvis_client.receipts import Places, Receipt, Refusal, Sent


class MemoryPublisher(RecordMethods[Receipt, Sent]):
    """Takes what `Publisher` takes, refuses what it refuses, and speaks to nobody.

    `records` holds what was published, in its JSON form: (kind, record). Receipts answer at once, as books would that were empty before: the
    same record again is a duplicate, another one of the same identity is quarantined as a conflict. `refuse_next` makes the next record come back
    quarantined for a reason of the test's.
    """

    def __init__(
        self, url: str | None = None, *, producer: str | None = None, sequence: int = 0, conventions: Conventions = DEFAULT_CONVENTIONS, **_: Any
    ) -> None:
        self.records: list[tuple[str, dict[str, Any]]] = []
        self.jobs: list[dict[str, Any]] = []
        self.closed = False
        self._conventions = conventions
        self._numbering = None if producer is None else Numbering(producer, sequence)
        self._outbox = Outbox("", "dramatiq", self._numbering, conventions, None, asks=True)
        self._digests: dict[tuple[str, str, str], bytes] = {}
        self._answers: dict[str, list[Outcome]] = {}
        self._refusals: list[Refusal] = []
        self._next: Outcome | None = None

    @property
    def producer(self) -> str | None:
        return None if self._numbering is None else self._numbering.producer

    @property
    def sequence(self) -> int:
        return 0 if self._numbering is None else self._numbering.last

    spooled_bytes = 0

    def refuse_next(self, detail: str, reason: Reason = Reason.MALFORMED) -> None:
        """Quarantine the next record, whatever it is."""
        self._next = Outcome("quarantined", str(reason), detail)

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """The records of a kind, in the order in which they were published."""
        return [record for k, record in self.records if k == kind]

    def publish(self, kind: str, record: Mapping[str, Any]) -> Receipt:
        [message] = self._publish([self._outbox.checked(kind, record)], 1)
        return Receipt.of(message, self._answer)

    def publish_many(self, records: Iterable[tuple[str, Mapping[str, Any]]], *, records_per_message: int = 1) -> Sent:
        count, places = 0, Places()
        for group in self._outbox.groups(records, records_per_message):
            places.add(self._publish(group, records_per_message))
            count += len(group)
        return Sent.of(count, places.found, self._answer)

    def request_job(self, job: str, **arguments: Any) -> Receipt:
        message = self._outbox.job(job, arguments)
        self.jobs.append({"job": job, **arguments})
        self._answers[message.message_id] = [APPLIED]
        return Receipt.of(message, self._answer)

    def refusals(self, *, after: str = "0", timeout: float | None = 0.0) -> Iterator[Refusal]:
        """Those there are behind the entry `after`; it never waits."""
        yield from (refusal for refusal in self._refusals if int(refusal.entry_id.partition("-")[0]) > int(after.partition("-")[0]))

    def flush(self, timeout: float = 10.0) -> None:
        """There is nothing to send."""

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _publish(self, records: list[Checked], records_per_message: int) -> list[Message]:
        if self._numbering is not None:
            numbers, highest = self._numbering.number(records)
            self._numbering.sent(numbers, highest, changed=True)
        messages = list(messages_of(records, records_per_message, asks=True))
        for message in messages:
            self._answers[message.message_id] = [self._book(records[place], message) for place in message.places]
        return messages

    def _book(self, checked: Checked, message: Message) -> Outcome:
        fact = fact_of(checked.kind, checked.record, self._conventions)
        self.records.append((checked.kind, checked.record))
        known = self._digests.get(fact.identity)
        if self._next is not None:
            outcome, self._next = self._next, None
        elif known is None:
            self._digests[fact.identity] = fact.digest
            outcome = APPLIED
        elif known == fact.digest:
            outcome = DUPLICATE
        else:
            outcome = Outcome("quarantined", str(Reason.CONFLICT), f"{fact.kind} {fact.record_id} is recorded with other content")
        if not outcome.recorded:
            entry = f"{len(self._refusals) + 1}-0"
            said = (fact.kind, fact.account_id, fact.record_id, fact.sequence, outcome.reason, outcome.detail, message.message_id, message.payload)
            self._refusals.append(Refusal(entry, *said))
        return outcome

    def _answer(self, message_id: str, timeout: float) -> Sequence[Outcome]:
        return self._answers[message_id]
