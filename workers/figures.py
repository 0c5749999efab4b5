"""What a worker counts for those who watch it: everything since the process started, in plain integers.

Every message and every record is in them, so recording has to cost next to nothing: it happens once per batch, over lists, and whoever
reads the figures does the rest.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import compress
from operator import itemgetter
from typing import get_args

from jarvis_client.contract.jobs import JobRequest
from jarvis_client.contract.outcome import Outcome, Refusal
from persistence.books.posting import Item
from persistence.domain.entries import AnyFact
from persistence.domain.ready import ReadyFill

#: From a fast disk's commit to one that waits for a stalled one.
COMMIT_MICROSECONDS = (1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000)
#: From the usual few milliseconds over a broker's outage to the backlog of a day.
LATENCY_MICROSECONDS = (
    2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
    300_000_000, 900_000_000, 3_600_000_000, 86_400_000_000,
)  # fmt: skip
#: Up to the largest message, which makes a batch of its own.
BATCH_RECORDS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500)

OUTCOMES = ("applied", "duplicate", "quarantined")
_FACTS = frozenset((*get_args(AnyFact), ReadyFill))
_status = itemgetter(0)
#: So few values are counted one by one.
_FEW = 5


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
        if len(values) < _FEW:
            for value in values:
                self.counts[bisect_left(self.bounds, value)] += 1
                self.sum += max(0, value)
            return
        # Sorted, many are counted by a few bisections: a tenth of what one at a time would cost.
        values = sorted(values)
        at, bounds = 0, self.bounds
        while at < len(values):
            place = bisect_left(bounds, values[at])
            behind = bisect_right(values, bounds[place], at) if place < len(bounds) else len(values)
            self.counts[place] += behind - at
            at = behind
        self.sum += sum(values) if values[0] >= 0 else sum(value for value in values if value > 0)


def _now() -> int:
    return time.time_ns() // 1_000


class Figures:
    """Written by the writer's thread after each commit, read by any. `now` gives microseconds UTC."""

    def __init__(self, now: Callable[[], int] = _now) -> None:
        self._now = now
        #: Held while a batch is counted, and to be held while figures are read that belong together.
        self.lock = threading.Lock()
        self._recorded: Counter[tuple[type, str]] = Counter()
        self._quarantined: Counter[tuple[str, str]] = Counter()
        #: Messages by queue and actor.
        self.messages: Counter[tuple[str, str]] = Counter()
        self.batch_records = Histogram(BATCH_RECORDS)
        self.commit = Histogram(COMMIT_MICROSECONDS)
        self.publish_to_durable = Histogram(LATENCY_MICROSECONDS)
        self.event_to_durable = Histogram(LATENCY_MICROSECONDS)
        self.retries = 0
        self.last_commit_at: int | None = None

    def committed(
        self, items: Sequence[Item], outcomes: Sequence[Outcome], seconds: float, routes: Sequence[tuple[str, str]] = (), published_ms: Sequence[int] = ()
    ) -> dict[str, int]:
        """Count a batch that has just become durable, and its messages: the queue and actor of each, and when it was published (0 where it
        does not say). Returns how many records met with each outcome."""
        now = self._now()
        statuses = list(map(_status, outcomes))
        by_status = {status: statuses.count(status) for status in OUTCOMES}
        if by_status["applied"] == len(items):
            ages = [now - item.instant for item in items if type(item) in _FACTS]  # type: ignore[union-attr]  # as the set says
        else:
            applied = compress(items, map("applied".__eq__, statuses))
            ages = [now - item.instant for item in applied if type(item) in _FACTS]  # type: ignore[union-attr]
        late = [now - at * 1_000 for at in published_ms if at]
        with self.lock:
            self._recorded.update(zip(map(type, items), statuses, strict=True))
            if by_status["quarantined"]:
                self._count_quarantined(items, outcomes)
            self.messages.update(routes)
            self.event_to_durable.observe(ages)
            self.publish_to_durable.observe(late)
            self.batch_records.observe((len(items),))
            self.commit.observe((round(seconds * 1_000_000),))
            self.last_commit_at = now
        return by_status

    def records(self) -> dict[tuple[str, str], int]:
        """Records by kind and outcome."""
        found: Counter[tuple[str, str]] = Counter()
        for (made, status), count in self._recorded.items():
            if status != "quarantined":
                found[_kind(made), status] += count
        for (kind, _), count in self._quarantined.items():
            found[kind, "quarantined"] += count
        return dict(found)

    def quarantine_reasons(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for (_, reason), count in self._quarantined.items():
            found[reason] += count
        return dict(found)

    def _count_quarantined(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> None:
        """One by one: there are few, and a refusal tells its kind by itself."""
        for item, outcome in zip(items, outcomes, strict=True):
            if outcome.status == "quarantined":
                kind = (item.kind or "unknown") if isinstance(item, Refusal) else _kind(type(item))
                self._quarantined[kind, outcome.reason] += 1


def _kind(made: type) -> str:
    kind = "job" if made is JobRequest else getattr(made, "kind", None)
    return kind if isinstance(kind, str) else "unknown"
