"""One channel's deliveries: one at a time, on a thread of their own, tried again at growing pauses.

Nothing is queued. What is tried again is not the old message but what there is to tell by then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from jarvis.alerts.channels import Channel
from jarvis.alerts.memory import Failing, KeptChannel
from jarvis.alerts.message import Message, Origin, Said
from jarvis.alerts.standing import Holding, Key
from jarvis.alerts.told import Told
from jarvis.status.alarms import Raised, Severity
from jarvis_client.contract.errors import Unavailable

log = structlog.get_logger("alerts")

FIRST_RETRY_SECONDS = 30.0
#: An outage that is over is known of this soon.
LONGEST_RETRY_SECONDS = 600.0
#: A first failure may be a moment's; the second is told through other channels.
FAILURES_TOLD = 2
#: The name of the alarm that a channel does not deliver. It is told by the others, so no status can raise it.
UNDELIVERED = "JarvisAlertsUndelivered"


@dataclass(frozen=True, slots=True)
class _Attempt:
    said: tuple[Said, ...]
    summary: int | None


class Courier:
    """Tells one channel. `kept` is what was kept of it; one that did not deliver then is tried at once, as it may have been mended."""

    def __init__(self, channel: Channel, told: Told, kept: KeptChannel, *, ended: Callable[[], None]) -> None:
        self.channel = channel
        self.told = told
        self.summary_done = kept.summary_done
        self.failing = kept.failing
        self._ended = ended
        self._next_try = 0.0
        self._attempt: _Attempt | None = None
        self._thread: threading.Thread | None = None
        self._delivered = threading.Event()
        self._problem: str | None = None

    @property
    def alarm(self) -> Raised | None:
        """What there is to tell others of this channel."""
        if self.failing is None or self.failing.failures < FAILURES_TOLD:
            return None
        says = f"messages to {self.channel.name} are not delivered"
        return Raised(UNDELIVERED, Severity.WARNING, self.channel.name, says, "`jarvis alerts test`; the scheduler's log says why", self.failing.since, says)

    @property
    def kept(self) -> KeptChannel:
        """What is kept of it over a restart."""
        return KeptChannel([replace(entry) for entry in self.told.entries], self.summary_done, self.failing)

    def turn(self, origin: Origin, standing: Mapping[Key, Holding], summary: tuple[int, Message] | None, now: int, steady: float) -> bool:
        """Take in how the delivery under way has ended, and begin another where something is due. `summary`: the newest one and its slot.
        Returns whether anything has changed."""
        changed = self.settle(now, steady)
        if self._attempt is not None or (self.failing is not None and steady < self._next_try):
            return changed
        others = {key: holding for key, holding in standing.items() if key != (UNDELIVERED, self.channel.name)}
        if said := self.told.due(others, now, steady):
            self._begin(Message.about(origin, said), _Attempt(tuple(said), None))
        elif summary is not None and (self.summary_done is None or summary[0] > self.summary_done):
            self._begin(summary[1], _Attempt((), summary[0]))
        return changed

    def settle(self, now: int, steady: float) -> bool:
        """Take in how the delivery under way has ended, if it has."""
        if self._attempt is None or not self._delivered.is_set():
            return False
        attempt, self._attempt, self._thread = self._attempt, None, None
        if self._problem is not None:
            self._fail(self._problem, now, steady)
            return True
        if self.failing is not None:
            log.info("messages are delivered again", channel=self.channel.name, for_seconds=max(0, now - self.failing.since) // 1_000_000)
            self.failing = None
        self.told.confirm(attempt.said, now, steady)
        self.summary_done = attempt.summary if attempt.summary is not None else self.summary_done
        return True

    def finish(self, seconds: float, now: int, steady: float) -> None:
        """Wait for the delivery under way, so that the next process does not repeat it."""
        if self._thread is not None:
            self._thread.join(seconds)
        self.settle(now, steady)

    def _begin(self, message: Message, attempt: _Attempt) -> None:
        self._problem = None
        self._delivered.clear()
        thread = threading.Thread(target=self._deliver, args=(message,), name=f"alerts-{self.channel.name}", daemon=True)
        thread.start()
        # Only now: where the system grants no thread, nothing is under way.
        self._attempt, self._thread = attempt, thread

    def _deliver(self, message: Message) -> None:
        try:
            self.channel.deliver(message)
        except Unavailable as error:
            self._problem = str(error)
        except Exception as error:
            self._problem = f"{type(error).__name__}: {error}"
        self._delivered.set()
        self._ended()

    def _fail(self, problem: str, now: int, steady: float) -> None:
        before = self.failing
        failures = 1 if before is None else before.failures + 1
        pause = min(FIRST_RETRY_SECONDS * 2 ** min(failures - 1, 30), LONGEST_RETRY_SECONDS)
        self._next_try = steady + pause
        self.failing = Failing(now if before is None else before.since, failures, problem, now + int(pause * 1e6))
        log.warning("a message was not delivered", channel=self.channel.name, error=problem, attempt=failures, again_in_seconds=pause)
