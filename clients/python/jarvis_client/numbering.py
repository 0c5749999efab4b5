"""The numbers of a producer: every record gets the next one, none is lost with a failed publish.

The broker keeps the last number of each producer, in the sorted set `{namespace}:__jarvis__.sequences`, written in the same MULTI as the
records. Nothing here speaks to it: whoever does says what it said.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

from jarvis_client.packing import Checked

log = logging.getLogger(__name__)

#: The sorted set of producers by their last numbers, in the namespace of the queues.
SEQUENCES = "__jarvis__.sequences"
#: Scores are floating-point numbers.
EXACT_SCORES = 2**53
#: Records whose sending failed, and that may be tried again.
FAILURES_REMEMBERED = 10_000


class Numbering:
    """`last` is the last number that was sent. `unsure`: what the broker says of it is not known, before the first record and after a failure."""

    def __init__(self, producer: str, last: int) -> None:
        self.producer = producer
        self.last = last
        self.unsure = True
        self._sent = False
        #: Numbers of the records whose sending failed, by what they are.
        self._failed: dict[bytes, int] = {}

    def learn(self, score: float | None) -> None:
        """What the broker says: how far this producer is, so whether what failed has arrived all the same, and where a former publisher ended."""
        last = int(score or 0)
        self.unsure = False
        if last > max(self.last, *self._failed.values(), 0) and self._sent:
            log.warning("producer %r is used by another publisher, which is at %d; give each a name of its own", self.producer, last)
        self.last = max(self.last, last)
        # What did not arrive has no number; what did keeps it.
        self._failed = {key: number for key, number in self._failed.items() if number <= self.last}

    def number(self, records: list[Checked]) -> tuple[dict[bytes, int], int | None]:
        """Give every record its number. Returns the numbers given, by record, and the highest of this producer."""
        numbers: dict[bytes, int] = {}
        last, highest = self.last, 0
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

    def failed(self, numbers: dict[bytes, int]) -> None:
        """Sending them failed: they may have arrived, or not."""
        self.unsure = True
        self._failed = dict(list({**self._failed, **numbers}.items())[-FAILURES_REMEMBERED:])

    def sent(self, numbers: dict[bytes, int], highest: int | None, *, changed: bool) -> None:
        """They arrived. `changed` is False where the broker knew this number already: the client sent it again by itself, or another publisher
        has used it."""
        self._sent = True
        if highest is not None:
            self.last = max(self.last, highest)
            for key in numbers:
                self._failed.pop(key, None)
            self.unsure = not changed

    def kept(self, highest: int | None) -> None:
        """They are in the spool with their numbers, and will arrive."""
        self.last = max(self.last, highest or 0)


def _key(kind: str, record: Mapping[str, Any]) -> bytes:
    """What a record is, whatever number it has."""
    said = {name: value for name, value in record.items() if name != "sequence"}
    return hashlib.sha256(json.dumps([kind, said], sort_keys=True).encode()).digest()
