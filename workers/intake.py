"""What a worker does with messages: check their records and hand their facts to the writer.

An actor takes what one fetch brought of its messages and returns at once; each is acknowledged with the commit that holds its
facts. A record that breaks a rule goes to quarantine alone, the rest of its message is recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dramatiq

from jarvis_client.contract.conventions import Conventions
from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.forms import FORMS, fact_of
from jarvis_client.contract.jobs import JOB_SAYS, job_of
from jarvis_client.contract.routes import JOBS_ROUTE, MAX_BATCH_RECORDS, ROUTES, Route
from persistence.books.posting import Item
from persistence.domain.ready import made_ready
from workers.batching import BatchWriter, Submission
from workers.broker import LedgerBroker
from workers.delivery import Delivery
from workers.envelope import KIND_OF_ACTOR, read_envelope, refused
from workers.messages import refusal
from workers.wire import decode_json

JOB = "job"
#: What is handed to the writer at a time: the records of a usual commit.
RECORDS_AT_A_TIME = 1_000


class Intake:
    """What stands between messages and the writer."""

    def __init__(self, broker: LedgerBroker, writer: BatchWriter, conventions: Conventions) -> None:
        self._broker = broker
        self._writer = writer
        self._conventions = conventions

    def take(self, kind: str, deliveries: Iterable[Delivery]) -> None:
        """Check every record of some messages, facts of a kind or `job`s, and submit what came of them.

        A message that a defect of ours keeps from being checked is not submitted, so that it goes back to its queue; its neighbours are.
        Raises the first such error once all are through.
        """
        ready: list[Submission] = []
        records, failure = 0, None
        for delivery in deliveries:
            try:
                ready.append(_submission(self._items(kind, delivery), delivery))
            except Exception as error:
                failure = failure or error
                continue
            records += len(ready[-1].items)
            if records >= RECORDS_AT_A_TIME:
                self._submit(ready)
                ready, records = [], 0
        self._submit(ready)
        if failure is not None:
            raise failure

    def refuse(self, delivery: Delivery, error: MalformedRecord) -> None:
        """Put a whole message that cannot be read into quarantine."""
        self._submit([_submission([refused(delivery.payload, error, delivery.queue)], delivery)])

    def recordable(self, payload: bytes) -> str | None:
        """The queue of a message whose records can all be recorded as they are; None for any other."""
        try:
            message = read_envelope(decode_json(payload), b"", self._broker.actors)
            kind = KIND_OF_ACTOR[message.actor_name]
            for record in message.content if type(message.content) is list else [message.content]:
                if kind == JOB:
                    job_of(record, message.message_id or "unknown")
                else:
                    fact_of(kind, record, self._conventions)
        except MalformedRecord:
            return None
        queue: str = self._broker.actors[message.actor_name].queue_name
        return queue

    def _items(self, kind: str, delivery: Delivery) -> list[Item]:
        """What the records of a message state, and why those that break a rule are refused."""
        if delivery.items is not None:
            return delivery.items
        records = delivery.content if type(delivery.content) is list else [delivery.content]
        if len(records) > MAX_BATCH_RECORDS:
            what = "requests" if kind == JOB else "records"
            error = MalformedRecord(f"a batch of {len(records)} {what}; at most {MAX_BATCH_RECORDS} are taken in one message")
            return [refused(delivery.payload, error, delivery.queue)]
        if kind == JOB:
            # A redelivery has the same id, so it asks for the same run.
            ids = [delivery.message_id] if len(records) == 1 else [f"{delivery.message_id}:{index}" for index in range(len(records))]
            return [_request(record, request_id, delivery, index) for index, (record, request_id) in enumerate(zip(records, ids, strict=True))]
        state = FORMS[kind].fact
        items: list[Item] = []
        for index, record in enumerate(records):
            try:
                items.append(made_ready(state(record, self._conventions)))
            except MalformedRecord as error:
                items.append(refusal(delivery.raw_of(index), kind, record, str(error)))
            except Exception as error:  # a defect of ours: keep the record whole, it can be replayed once that is mended
                items.append(refusal(delivery.raw_of(index), kind, record, f"{kind}: {type(error).__name__}: {error}"))
        return items

    def _submit(self, submissions: list[Submission]) -> None:
        # Marked first: the writer may have settled them before this thread runs again.
        deliveries: Any = [submission.delivery for submission in submissions]
        self._broker.submitted(*deliveries)
        if not self._writer.submit(*submissions):
            self._broker.give_back(deliveries)


def _submission(items: list[Item], delivery: Delivery) -> Submission:
    return Submission(items, delivery, delivery.raw_of, delivery.route, delivery.published_ms, delivery.asks)


def _request(record: Any, request_id: str, delivery: Delivery, index: int) -> Item:
    try:
        return job_of(record, request_id)
    except MalformedRecord as error:
        return refusal(delivery.raw_of(index), JOB, record, str(error))


def declare_actors(broker: LedgerBroker, intake: Intake) -> list[dramatiq.Actor[Any, Any]]:
    """Declare every actor of the contract on a worker's broker, where it takes bundles of what `workers.actors` sends."""

    def declare(kind: str, route: Route, says: str) -> dramatiq.Actor[Any, Any]:
        def record(deliveries: list[Delivery]) -> None:
            intake.take(kind, deliveries)

        record.__doc__ = says
        declared: dramatiq.Actor[Any, Any] = dramatiq.actor(actor_name=route.actor, queue_name=route.queue, broker=broker)(record)
        return declared

    return [*(declare(kind, route, FORMS[kind].says) for kind, route in ROUTES.items()), declare(JOB, JOBS_ROUTE, JOB_SAYS)]
