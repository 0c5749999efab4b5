"""Telling what hangs from what was paused: a watchdog's clock that stands still while the watchdog itself does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: Whoever looks twice a second, and has not for so long, was stopped itself, or is starved of the processor: it cannot judge others.
LONGEST_LOOK_SECONDS = 5.0


class Stillness:
    """How long something has not moved, as far as its watcher was awake to see it.

    A suspended machine, a paused container, a SIGSTOP: time passes, nothing moves, and nothing hangs. So of the time between two
    looks only that counts which the watcher can vouch for: none, where the looks are more than `longest_look` seconds apart
    (`LONGEST_LOOK_SECONDS`).
    """

    def __init__(self, longest_look: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest_look = LONGEST_LOOK_SECONDS if longest_look is None else longest_look
        self._clock = clock
        self._looked = clock()
        self._seen: object = None
        self._still = 0.0
        self._lock = threading.Lock()

    def seconds(self, seen: object) -> float:
        """Look: seconds since `seen` was another value, or since the first look. To be asked again and again."""
        with self._lock:
            now = self._clock()
            passed, self._looked = now - self._looked, now
            if seen != self._seen:
                self._seen, self._still = seen, 0.0
            elif passed <= self._longest_look:
                self._still += passed
            return self._still

    def forgive(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self._looked, self._still = self._clock(), 0.0
