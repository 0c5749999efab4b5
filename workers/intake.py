"""What a worker does with a message: check its records and hand their facts to the writer.

An actor returns at once; its message is acknowledged with the commit that holds its facts. A record that breaks a rule goes
to quarantine alone, the rest of its message is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import dramatiq
from dramatiq.middleware import CurrentMessage

from jarvis_client.contract.conventions import Conventions
from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.forms import FORMS, fact_of
from jarvis_client.contract.jobs import JOB_SAYS, job_of
from jarvis_client.contract.outcome import Refusal
from jarvis_client.contract.routes import JOBS_ROUTE, MAX_BATCH_RECORDS, ROUTES
from persistence.books.posting import Item
from persistence.domain.entries import AnyFact
from workers.batching import BatchWriter, Submission
from workers.broker import LedgerBroker
from workers.delivery import Delivery, message_of
from workers.envelope import KIND_OF_ACTOR, refused
from workers.messages import refusal
from workers.wire import decode_json, record_slices


class Intake:
    """What stands between a message and the writer."""

    def __init__(self, broker: LedgerBroker, writer: BatchWriter, conventions: Conventions) -> None:
        self._broker = broker
        self._writer = writer
        self._conventions = conventions

    def take(self, kind: str, content: Any, delivery: Delivery) -> None:
        """Check every record of a message and submit what came of it."""
        raw_of = _raw_reader(delivery.payload)
        records = content if type(content) is list else [content]
        if len(records) > MAX_BATCH_RECORDS:
            self.refuse(delivery, MalformedRecord(f"a batch of {len(records)} records; at most {MAX_BATCH_RECORDS} are taken in one message"))
            return
        items: list[Item] = [self._item(kind, record, i, raw_of) for i, record in enumerate(records)]
        self._submit(Submission(items, delivery, raw_of, delivery.route, delivery.published_ms, delivery.asks))

    def take_job(self, content: Any, delivery: Delivery) -> None:
        """File what a message asks the scheduler to run."""
        records = content if type(content) is list else [content]
        if len(records) > MAX_BATCH_RECORDS:
            self.refuse(delivery, MalformedRecord(f"a batch of {len(records)} requests; at most {MAX_BATCH_RECORDS} are taken in one message"))
            return
        raw_of = _raw_reader(delivery.payload)
        items: list[Item] = []
        for index, record in enumerate(records):
            try:
                # A redelivery has the same id, so it asks for the same run.
                items.append(job_of(record, delivery.message_id if len(records) == 1 else f"{delivery.message_id}:{index}"))
            except MalformedRecord as error:
                items.append(refusal(raw_of(index), "job", record, str(error)))
        self._submit(Submission(items, delivery, raw_of, delivery.route, delivery.published_ms, delivery.asks))

    def refuse(self, delivery: Delivery, error: MalformedRecord) -> None:
        """Put a whole message that cannot be read into quarantine."""
        items = [refused(delivery.payload, error, delivery.queue)]
        self._submit(Submission(items, delivery, lambda _: delivery.payload, delivery.route, delivery.published_ms, delivery.asks))

    def recordable(self, payload: bytes) -> str | None:
        """The queue of a message whose records can all be recorded as they are; None for any other."""
        try:
            message = message_of("", b"", decode_json(payload), self._broker.actors)
            content = message.args[0]
            kind = KIND_OF_ACTOR[message.actor_name]
            for record in content if type(content) is list else [content]:
                if kind == "job":
                    job_of(record, message.message_id or "unknown")
                else:
                    fact_of(kind, record, self._conventions)
        except MalformedRecord:
            return None
        queue: str = self._broker.actors[message.actor_name].queue_name
        return queue

    def _item(self, kind: str, record: Any, index: int, raw_of: Callable[[int], bytes]) -> AnyFact | Refusal:
        try:
            return fact_of(kind, record, self._conventions)
        except MalformedRecord as error:
            return refusal(raw_of(index), kind, record, str(error))
        except Exception as error:  # a defect of ours: keep the record whole, it can be replayed once that is mended
            return refusal(raw_of(index), kind, record, f"{kind}: {type(error).__name__}: {error}")

    def _submit(self, submission: Submission) -> None:
        # Marked first: the writer may have settled it before this thread runs again.
        delivery = submission.delivery
        assert isinstance(delivery, Delivery)
        self._broker.submitted(delivery)
        if not self._writer.submit(submission):
            self._broker.give_back([delivery])


def _raw_reader(payload: bytes) -> Callable[[int], bytes]:
    @lru_cache(maxsize=1)
    def slices() -> list[bytes]:
        return record_slices(payload)

    def raw_of(index: int) -> bytes:
        found = slices()
        return found[index] if index < len(found) else payload

    return raw_of


def declare_actors(broker: LedgerBroker, intake: Intake) -> list[dramatiq.Actor[Any, Any]]:
    """Declare every actor of the contract on a worker's broker, where it takes what `workers.actors` sends."""

    def declare(kind: str) -> dramatiq.Actor[Any, Any]:
        def record(content: Any) -> None:
            delivery = CurrentMessage.get_current_message()
            assert isinstance(delivery, Delivery)
            intake.take(kind, content, delivery)

        record.__doc__ = FORMS[kind].says
        declared: dramatiq.Actor[Any, Any] = dramatiq.actor(actor_name=ROUTES[kind].actor, queue_name=ROUTES[kind].queue, broker=broker)(record)
        return declared

    def request(content: Any) -> None:
        delivery = CurrentMessage.get_current_message()
        assert isinstance(delivery, Delivery)
        intake.take_job(content, delivery)

    request.__doc__ = JOB_SAYS
    jobs: dramatiq.Actor[Any, Any] = dramatiq.actor(actor_name=JOBS_ROUTE.actor, queue_name=JOBS_ROUTE.queue, broker=broker)(request)
    return [*(declare(kind) for kind in ROUTES), jobs]
