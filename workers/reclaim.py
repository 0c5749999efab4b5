"""What a worker held when it died goes back to its queue: its own successor's first act, and its peers' once its heartbeat has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis
import structlog

from jarvis_client.contract.broker_faults import WRONG_TYPE, fault_of, words_of
from workers.missing import SLICE

if TYPE_CHECKING:
    from workers.broker import LedgerBroker

log = structlog.get_logger("broker")


def reclaim(broker: LedgerBroker, queue: str) -> int:
    """Return what Redis counts as held by this worker and the worker does not know of: a predecessor's, or of a lost reply."""
    if not broker.heartbeat.beat():
        return 0
    returned = _return_held(broker, queue, broker.broker_id)
    if returned:
        log.info("took back messages that a lost worker or reply held", queue=queue, messages=returned)
    return returned


def return_what_the_dead_hold(broker: LedgerBroker) -> None:
    """Of workers of ours; what other makes leave behind is for `workers.strays`."""
    heartbeats = f"{broker.namespace}:__heartbeats__"
    for name in broker.client.zrange(heartbeats, 0, -1):
        # Our names are plain text.
        peer = name.decode("ascii", "replace")
        if not peer.startswith("jarvis-") or peer == broker.broker_id or broker.client.exists(broker.presence(peer)):
            continue
        returned = sum(_return_of_dead(broker, queue, peer) for queue in (*broker.queues, *broker.delay_queues))
        broker.client.zrem(heartbeats, name)
        if returned:
            log.warning("returned what a dead worker held", worker=peer.removeprefix("jarvis-"), messages=returned)


def _return_of_dead(broker: LedgerBroker, queue: str, peer: str) -> int:
    """A key of another type holds nothing that could be returned; it is no outage of ours."""
    try:
        return _return_held(broker, queue, peer)
    except redis.ResponseError as error:
        if fault_of(error) is not WRONG_TYPE:
            raise
        remedy = f"look who wrote {broker.holdings(queue, peer)}, which a dead worker left, then delete it"
        log.error(WRONG_TYPE.event(grave=True), queue=queue, error=words_of(error), what_to_do=remedy)
        return 0


def _return_held(broker: LedgerBroker, queue: str, broker_id: str) -> int:
    """Slice by slice: there may be a million. What this worker is at work on stays."""
    holdings, cursor, returned = broker.holdings(queue, broker_id), 0, 0
    while True:
        cursor, ids = broker.client.sscan(holdings, cursor, count=SLICE)
        if broker_id == broker.broker_id:
            ids = broker.unknown(queue, ids)
        # A small set comes whole, whatever the count; Lua takes a few thousand arguments.
        for at in range(0, len(ids), SLICE):
            put_back = broker.put_back(keys=[broker.keys(queue)[0], holdings], args=ids[at : at + SLICE])
            broker.traffic.reclaimed(queue, put_back)
            returned += put_back
        if not cursor or broker.stopping.is_set():
            return returned
