"""Whether a worker reaches its broker: said at once, again and again while it does not, and once more when it does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import structlog

from jarvis_client.contract import instants
from jarvis_client.contract.address import read_address
from jarvis_client.contract.broker_faults import Fault, fault_of, words_of
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import to_text

log = structlog.get_logger("broker")

#: An outage is told of when it begins, after these, and then at every such interval: seen by whoever looks, no flood in between.
TOLD_AFTER_SECONDS = (60.0, 300.0)
TOLD_EVERY_SECONDS = 600.0
#: Different errors of one outage that are told of at once; a client could make up any number.
MOST_KINDS = 8


class Standing(NamedTuple):
    """How it stands with a broker. `since` is an instant: since when it is reached, or is not; None before the first success or failure."""

    reachable: bool
    since: int | None
    problem: str | None = None


class Reachability:
    """What the threads of a worker have last seen of its broker. Each reports what it alone does: `of` names it."""

    def __init__(self, url: str = "", *, clock: Callable[[], float] = time.monotonic, now: Callable[[], int] = instants.now) -> None:
        self._url = url
        self.place = _place(url)
        self._clock, self._now = clock, now
        self._lock = threading.Lock()
        self._troubles: dict[str, tuple[Fault, str]] = {}
        self._reached = False
        self._since, self._since_text = 0.0, ""
        self._changed_at: int | None = None
        self._told: set[tuple[str, str]] = set()
        self._tell_next = 0.0

    @property
    def reachable(self) -> bool:
        return not self._troubles

    def succeeded(self, of: str) -> bool:
        """True where this is the first success, or ends an outage."""
        with self._lock:
            first, self._reached = not self._reached, True
            if self._troubles.pop(of, None) is None or self._troubles:
                if first and not self._troubles:
                    self._changed_at = self._now()
                return first
            self._changed_at = self._now()
            log.info("broker reachable again", broker=self.place, since=self._since_text, after_seconds=round(self._clock() - self._since, 1))
            return True

    def failed(self, of: str, error: BaseException) -> None:
        fault = fault_of(error, self._url)
        with self._lock:
            now = self._clock()
            if not self._troubles:
                self._changed_at = self._now()
                self._since, self._since_text = now, to_text(self._changed_at)
                self._told.clear()
                self._tell_next = TOLD_AFTER_SECONDS[0]
            said = words_of(error)
            self._troubles[of] = fault, said
            lasted = now - self._since
            grave = lasted >= fault.patience
            kind = (fault.event(grave), said)
            due = lasted >= self._tell_next
            if not due and (kind in self._told or len(self._told) >= MOST_KINDS):
                return
            self._told.add(kind)
            if due:
                self._tell_next = next((s for s in TOLD_AFTER_SECONDS if s > lasted), (lasted // TOLD_EVERY_SECONDS + 1) * TOLD_EVERY_SECONDS)
            told = log.error if grave else log.warning
            told(fault.event(grave), error=said, what_to_do=fault.remedy, broker=self.place, since=self._since_text, for_seconds=round(lasted))

    def standing(self) -> Standing:
        with self._lock:
            if not self._troubles:
                return Standing(self._reached, self._changed_at)
            fault, error = self._gravest()
            return Standing(False, self._changed_at, f"the broker {fault.clause}: {error.rstrip('.')}")

    def says(self) -> str:
        """One line for whoever asks how the worker is, such as `systemctl status`."""
        with self._lock:
            if self._troubles:
                fault, error = self._gravest()
                return f"broker {fault.predicate} since {self._since_text} ({self.place}): {error}"
            return f"{'reading from' if self._reached else 'connecting to'} {self.place}"

    def _gravest(self) -> tuple[Fault, str]:
        return max(self._troubles.values(), key=lambda trouble: -trouble[0].patience)


def _place(url: str) -> str:
    try:
        return read_address(url).place if url else "redis"
    except Invalid:
        return "redis"
