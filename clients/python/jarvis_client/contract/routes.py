"""Where each kind of record travels, and the envelope that it travels in: Dramatiq's own wire form."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any, NamedTuple

from jarvis_client.contract.answers import ANSWER_OPTION

#: Larger messages are quarantined unread: a batch of 1,000 records takes a third of it.
MAX_MESSAGE_BYTES = 1024 * 1024
MAX_BATCH_RECORDS = 1_000


class Route(NamedTuple):
    queue: str
    actor: str


#: Where each kind travels.
ROUTES: dict[str, Route] = {
    "fill": Route("fills", "record_fill"),
    "fee": Route("fills", "record_fee"),
    "deposit": Route("deposits", "record_deposit"),
    "withdrawal": Route("deposits", "record_withdrawal"),
    "order": Route("orders", "record_order"),
    "metrics": Route("metrics", "record_metrics"),
    "balance": Route("metrics", "record_balance"),
    "rate": Route("rates", "record_rate"),
    "void": Route("corrections", "record_void"),
}
JOBS_ROUTE = Route("jobs", "request_job")


def encode(route: Route, records: Any, *, asks: bool = False) -> tuple[str, bytes]:
    """(message id, payload) of one record or a list of records, in Dramatiq's wire form. `asks`: the worker is to answer."""
    message_id = str(uuid.uuid4())
    options = {"redis_message_id": message_id, ANSWER_OPTION: True} if asks else {"redis_message_id": message_id}
    envelope = {
        "queue_name": route.queue, "actor_name": route.actor, "args": [records], "kwargs": {}, "options": options,
        "message_id": message_id, "message_timestamp": time.time_ns() // 1_000_000,
    }  # fmt: skip
    return message_id, json.dumps(envelope, separators=(",", ":")).encode()
