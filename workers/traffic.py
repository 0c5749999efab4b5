"""What goes between a worker and its broker, counted for those who watch it."""

from __future__ import annotations

import threading
from collections import Counter


class Traffic:
    """By queue, since the process started. Written by the consumers' threads and the heartbeat's, read by any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Looks into a queue.
        self.fetches: Counter[str] = Counter()
        self.messages_fetched: Counter[str] = Counter()
        #: Messages that a lost worker or a lost reply held, put back into their queue.
        self.messages_reclaimed: Counter[str] = Counter()

    def fetched(self, queue: str, messages: int) -> None:
        with self._lock:
            self.fetches[queue] += 1
            self.messages_fetched[queue] += messages

    def reclaimed(self, queue: str, messages: int) -> None:
        with self._lock:
            self.messages_reclaimed[queue] += messages
