"""What the worker tells engines of their records: an answer to each message that asks for one, and a stream of refusals per producer.

Both are made after the commit and go to Redis with the acknowledgement of their message, so a worker that dies before it has sent them gets the
message again, and answers then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import redis
import structlog

from jarvis_client.contract.answers import ANSWER_SECONDS, MOST_REFUSALS, REFUSALS_SECONDS, answer_key, answer_text, refusal_fields, refusals_key
from jarvis_client.contract.outcome import Outcome, Reason
from persistence.books.posting import refusal_of
from workers import redis_scripts
from workers.batching import Submission
from workers.delivery import Delivery

log = structlog.get_logger("broker")

#: Messages of one script: a batch of a thousand records is answered with some 30 KB.
ANSWERS_SLICE = 100


class Answering:
    """Makes answers and refusals, and acknowledges deliveries together with theirs."""

    def __init__(self, client: Any, namespace: str) -> None:
        self._namespace = namespace
        self._client = client
        self._settle = client.register_script(redis_scripts.SETTLE)
        self._settle_and_answer = client.register_script(redis_scripts.SETTLE_AND_ANSWER)
        self._told = False

    def tell(self, submission: Submission, outcomes: Sequence[Outcome]) -> None:
        """Note on a delivery what is to be told of its records."""
        delivery = submission.delivery
        assert isinstance(delivery, Delivery)
        message_id = delivery.redis_id.decode("utf-8", "replace")
        if delivery.asks:
            delivery.answer = answer_text(outcomes)
        for index, (item, outcome) in enumerate(zip(submission.items, outcomes, strict=True)):
            if outcome.reason and item.producer is not None:
                refused = refusal_of(item, Reason(outcome.reason), outcome.detail, submission.raw_of, index)
                said = {"kind": refused.kind, "account_id": refused.account_id, "record_id": refused.record_id, "sequence": refused.sequence}
                fields = refusal_fields(outcome, message_id, said, refused.raw)
                delivery.refusals = [*delivery.refusals, (refusals_key(self._namespace, item.producer), fields)]

    def acknowledge(self, deliveries: Sequence[Delivery], keys_of: Any) -> dict[str, Exception]:
        """Settle deliveries in one round trip, with what is to be told. Gives the queues that could not be settled. Raises `redis.RedisError`."""
        by_queue: dict[str, list[bytes]] = {}
        answered: dict[str, list[Delivery]] = {}
        refused = []
        for delivery in deliveries:
            if delivery.refusals:
                refused.append(delivery)
            if delivery.answer is None:
                by_queue.setdefault(delivery.queue, []).append(delivery.redis_id)
            else:
                answered.setdefault(delivery.queue, []).append(delivery)
        with self._client.pipeline(transaction=False) as pipeline:
            entries = sum(self._tell_of_refusals(pipeline, delivery) for delivery in refused)
            queues: list[tuple[str, list[Delivery]]] = []
            for queue, ids in by_queue.items():
                self._settle(keys=keys_of(queue)[1:], args=ids, client=pipeline)
                queues.append((queue, []))
            for queue, found in answered.items():
                for group in _slices(found):
                    keys = [*keys_of(queue)[1:], *(answer_key(self._namespace, "").encode() + d.redis_id for d in group)]
                    arguments = [part for d in group for part in (d.redis_id, d.answer)]
                    self._settle_and_answer(keys=keys, args=[ANSWER_SECONDS * 1000, *arguments], client=pipeline)
                    queues.append((queue, group))
            replies = pipeline.execute(raise_on_error=False)
        self._look_at(replies[:entries], refused)
        failed = {}
        for (queue, group), reply in zip(queues, replies[entries:], strict=True):
            if isinstance(reply, Exception):
                failed[queue] = reply
                # What cannot be answered is acknowledged all the same, the next time.
                for delivery in group:
                    delivery.answer = None
        return failed

    def _tell_of_refusals(self, pipeline: Any, delivery: Delivery) -> int:
        """Returns the number of commands."""
        for key, fields in delivery.refusals:
            pipeline.execute_command("XADD", key, "MAXLEN", "~", MOST_REFUSALS, "*", *fields)
            pipeline.execute_command("EXPIRE", key, REFUSALS_SECONDS)
        return 2 * len(delivery.refusals)

    def _look_at(self, replies: list[Any], refused: list[Delivery]) -> None:
        """Nothing is told twice because another queue could not be settled; what Redis did not take stays in quarantine, as everything refused."""
        for delivery in refused:
            delivery.refusals = ()
        errors = [reply for reply in replies if isinstance(reply, redis.RedisError)]
        if errors and not self._told:
            log.warning("engines cannot be told of refused records; quarantine has them", error=str(errors[0]))
        self._told = bool(errors) or (self._told and not replies)


def _slices(deliveries: list[Delivery]) -> Iterator[list[Delivery]]:
    for at in range(0, len(deliveries), ANSWERS_SLICE):
        yield deliveries[at : at + ANSWERS_SLICE]
