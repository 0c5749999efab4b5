"""What arrives: from a message in Redis to facts in the ledger.

    messages.py   from a line to a fact, or why there is none; what a record is says `jarvis_client.contract`
    schemas.py    the JSON Schemas of the contract, from the forms that check it; schema_words.py, conditions.py
    wire.py       JSON as it arrives: one bad value takes no neighbour along
    publisher.py  what a Python trading engine imports
    actors.py     record_fill, record_deposit, …: what a program that has Dramatiq sends with
    broker.py     delivery from Redis: fetch, hold, acknowledge after the commit; consumer.py, redis_scripts.py; delivery.py: a message, and the
                  bundles of messages in which Dramatiq gets them
    reachability.py  whether a worker reaches its broker, and how often that is said; broker_server.py: how a Redis is set up
    rights.py     what a worker has to be allowed in Redis, and how that is tried
    heartbeat.py  who is at work from where, and whether the broker still is what it was; reclaim.py, what the dead held; other_makes.py,
                  who else is at work
    word.py       what a worker says of itself; pace.py, gap_lines.py
    missing.py    ids without their payload; strays.py, namespace.py, what else lies in Redis and nobody claims
    envelope.py   which record a message carries, and what else it asks for
    decoding.py   from what was fetched to deliveries; reading.py: what plain messages say; second_reader.py, the process that reads them while
                  there is a backlog
    intake.py     what becomes of messages: their records checked and handed to the writer
    batching.py   BatchWriter: gather, commit once, answer each
    replay.py     quarantined records once more, by today's rules
    app.py        create_worker(...): the only wiring of the worker process

A message is acknowledged only after the commit that holds its facts. Whatever dies in between, it is delivered again, and
the identity of each fact makes the second time a duplicate.
"""

from __future__ import annotations

import sys
from types import FrameType

_MACHINERY = {__name__, "importlib", "_frozen_importlib", "_frozen_importlib_external"}


def _importer() -> str:
    """The module whose code imports this package."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _MACHINERY:
        frame = frame.f_back
    return "" if frame is None else str(frame.f_globals.get("__name__"))


if _importer() == "dramatiq.cli":
    # `dramatiq workers.app` would make up a broker, find no actors on it and call itself ready. A program that this command runs
    # may import us all the same.
    sys.exit("jarvis: the dramatiq command cannot run this worker (it acknowledges before the commit): run `jarvis worker run`")
