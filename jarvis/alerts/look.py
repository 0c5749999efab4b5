"""Taking the status, on a thread of its own: what fails or hangs there must not hang who tells of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from jarvis.status.alarms import Raised, Severity
from jarvis.status.model import Status
from persistence.domain.stillness import Stillness

log = structlog.get_logger("alerts")

#: A status takes a moment. Sources that are down have limits of their own, of a few seconds each.
HANGS_AFTER_SECONDS = 60.0
#: The name of the alarm that nobody can see how things stand.
UNKNOWN = "JarvisStatusUnknown"
_REMEDY = "`jarvis status`; the scheduler's log has the error. Until then, other alarms are neither raised nor over"


@dataclass(frozen=True, slots=True)
class Seen:
    """How things stand, and what is wrong by it."""

    status: Status
    alarms: list[Raised]


class Look:
    """Looks again and again, one look at a time. `take` also judges, so that an error of the judgement is told as well."""

    def __init__(self, take: Callable[[], Seen], ended: Callable[[], None], hangs_after: float = HANGS_AFTER_SECONDS) -> None:
        self._take = take
        self._ended = ended
        self._hangs_after = hangs_after
        self._thread: threading.Thread | None = None
        self._result: Seen | Exception | None = None
        self._done = threading.Event()
        self._stillness = Stillness()
        self._count = 0
        self._said_hanging = False
        self._said: str | None = None

    @property
    def under_way(self) -> bool:
        return self._thread is not None

    def begin(self) -> None:
        self._done.clear()
        self._count += 1
        self._said_hanging = False
        # Looked at for the first time, so that the time without a look counts for nothing.
        self._stillness.seconds(self._count)
        thread = threading.Thread(target=self._look, name="alerts-look", daemon=True)
        thread.start()
        # Only now: where the system grants no thread, no look is under way.
        self._thread = thread

    def take(self) -> Seen | Raised | None:
        """What was seen, or the alarm that it cannot be had: once for a look that has ended, each time for one that hangs. None meanwhile."""
        if self._thread is None:
            return None
        if self._done.is_set():
            self._thread = None
            if isinstance(self._result, Seen):
                self._said = None
                return self._result
            error = type(self._result).__name__
            if error != self._said:
                self._said = error
                log.error("how the daemon stands could not be seen", error=f"{error}: {self._result}")
            return _unknown("how the daemon stands could not be seen")
        if self._stillness.seconds(self._count) <= self._hangs_after:
            return None
        if not self._said_hanging:
            self._said_hanging = True
            log.error("looking at how the daemon stands hangs", for_seconds=self._hangs_after)
        return _unknown("looking at how the daemon stands hangs")

    def _look(self) -> None:
        try:
            self._result = self._take()
        except Exception as error:
            self._result = error
        self._done.set()
        self._ended()


def _unknown(says: str) -> Raised:
    return Raised(UNKNOWN, Severity.CRITICAL, "status", says, _REMEDY, None, says)
