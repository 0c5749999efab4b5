"""How fast records become durable: counted second by second for an hour, at the same small cost whatever comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

MINUTE, HOUR = 60, 3_600


class Pace:
    """The records of the last hour. `clock` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts = [0] * HOUR
        self._second = int(clock())
        self._lock = threading.Lock()

    def note(self, records: int) -> None:
        with self._lock:
            self._counts[self._now() % HOUR] += records

    def last(self, seconds: int) -> int:
        """How many of so many seconds, the present one included; an hour at most."""
        with self._lock:
            now = self._now()
            return sum(self._counts[second % HOUR] for second in range(now - min(seconds, HOUR) + 1, now + 1))

    def _now(self) -> int:
        """The present second, those since the last look emptied of what they counted an hour ago."""
        now = int(self._clock())
        for second in range(max(self._second, now - HOUR) + 1, now + 1):
            self._counts[second % HOUR] = 0
        self._second = now
        return now
