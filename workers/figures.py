"""What a worker counts for those who watch it: everything since the process started, in plain integers.

Every message and every record is in them, so recording has to cost next to nothing: it happens once per batch, over lists, and whoever
reads the figures does the rest.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import get_args

from persistence.books.posting import Item
from persistence.domain import instants
from persistence.domain.facts import AnyFact
from persistence.domain.jobs import JobRequest
from persistence.domain.outcome import Outcome, Refusal

#: From a fast disk's commit to one that waits for a stalled one.
COMMIT_MICROSECONDS = (1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000)
#: From the usual few milliseconds over a broker's outage to the backlog of a day.
LATENCY_MICROSECONDS = (
    2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
    300_000_000, 900_000_000, 3_600_000_000, 86_400_000_000,
)  # fmt: skip
#: Up to the largest message, which makes a batch of its own.
BATCH_RECORDS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500)

_FACTS = frozenset(get_args(AnyFact))
_status = itemgetter(0)


class Histogram:
    """How many values lie up to each bound, and their sum. Values are integers."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[int, ...]) -> None:
        self.bounds = bounds
        #: Those up to each bound and above the one before; at last those above all.
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0

    def observe(self, values: Sequence[int]) -> None:
        """Count them all. One below zero, of a clock that is ahead, lies below the least bound and takes nothing from the sum."""
        # Sorted, a batch is counted by a few bisections: a tenth of what one at a time would cost.
        values = sorted(values)
        at, bounds = 0, self.bounds
        while at < len(values):
            place = bisect_left(bounds, values[at])
            behind = bisect_right(values, bounds[place], at) if place < len(bounds) else len(values)
            self.counts[place] += behind - at
            at = behind
        self.sum += sum(values) if values and values[0] >= 0 else sum(value for value in values if value > 0)


class Figures:
    """Written by the writer's thread after each commit, read by any. `now` gives microseconds UTC."""

    def __init__(self, now: Callable[[], int] = instants.now) -> None:
        self._now = now
        #: Held while a batch is counted, and to be held while figures are read that belong together.
        self.lock = threading.Lock()
        #: By kind and outcome.
        self.records: Counter[tuple[str, str]] = Counter()
        self.quarantine_reasons: Counter[str] = Counter()
        #: By queue and actor.
        self.messages: Counter[tuple[str, str]] = Counter()
        self.batch_records = Histogram(BATCH_RECORDS)
        self.commit = Histogram(COMMIT_MICROSECONDS)
        self.publish_to_durable = Histogram(LATENCY_MICROSECONDS)
        self.event_to_durable = Histogram(LATENCY_MICROSECONDS)
        self.retries = 0
        self.last_commit_at: int | None = None

    def committed(self, items: Sequence[Item], outcomes: Sequence[Outcome], seconds: float) -> dict[str, int]:
        """Count a batch that has just become durable. Returns how many records met with each outcome."""
        now = self._now()
        tally = Counter(zip(map(type, items), map(_status, outcomes), strict=True))
        by_status: Counter[str] = Counter()
        for (_, status), count in tally.items():
            by_status[status] += count
        ages = [now - item.instant for item, outcome in zip(items, outcomes, strict=True) if type(item) in _FACTS and outcome[0] == "applied"]  # type: ignore[union-attr]  # as the set says
        with self.lock:
            for (made, status), count in tally.items():
                if status != "quarantined":
                    self.records[_kind(made), status] += count
            if "quarantined" in by_status:
                self._quarantined(items, outcomes)
            self.event_to_durable.observe(ages)
            self.batch_records.observe((len(items),))
            self.commit.observe((round(seconds * 1_000_000),))
            self.last_commit_at = now
        return by_status

    def answered(self, routes: Iterable[tuple[str, str]], published_ms: Iterable[int]) -> None:
        """Count the messages of that batch: by queue and actor, and when each was published (0 where it does not say)."""
        now = self._now()
        ages = [now - at * 1_000 for at in published_ms if at]
        messages = Counter(routes)
        with self.lock:
            self.messages.update(messages)
            self.publish_to_durable.observe(ages)

    def _quarantined(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> None:
        """One by one: there are few, and a refusal tells its kind by itself."""
        for item, outcome in zip(items, outcomes, strict=True):
            if outcome.status == "quarantined":
                kind = (item.kind or "unknown") if isinstance(item, Refusal) else _kind(type(item))
                self.records[kind, outcome.status] += 1
                self.quarantine_reasons[outcome.reason] += 1


def _kind(made: type) -> str:
    kind = "job" if made is JobRequest else getattr(made, "kind", None)
    return kind if isinstance(kind, str) else "unknown"
