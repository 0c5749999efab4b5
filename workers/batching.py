"""BatchWriter: gather, commit once, answer each.

One thread writes. It takes what has been submitted, commits it as one batch and hands the deliveries back as settled. While
a commit runs the next batch gathers by itself, so nothing waits when there is nothing to wait for; `linger_ms` applies only
while there is a backlog, to fill the batch. What fails for now is kept and tried again; what can never be applied
the ledger has put into quarantine in the same commit.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Protocol

import structlog

from jarvis_client.contract import instants
from jarvis_client.contract.errors import BooksError, Unavailable
from jarvis_client.contract.outcome import Outcome
from persistence.books.posting import Item
from persistence.domain.errors import WrongDatabase
from persistence.domain.stillness import Stillness
from workers.figures import Figures
from workers.pace import Pace

log = structlog.get_logger("writer")

#: Tried again at once after a hiccup, and every few seconds while a disk stays full.
FIRST_RETRY_SECONDS = 0.05
LONGEST_RETRY_SECONDS = 2.0


class Poster(Protocol):
    """The part of `persistence.books.ledger.Ledger` that the writer calls."""

    def post(self, batch: Sequence[Item], raw_of: Callable[[int], bytes] | None = None, /) -> list[Outcome]: ...


@dataclass(slots=True)
class Submission:
    """What one message carried: its facts and refusals, who gets the answer, and the bytes of each record. Its queue and actor, and when
    it was published (0 where it does not say), are for the figures."""

    items: Sequence[Item]
    delivery: object
    raw_of: Callable[[int], bytes]
    route: tuple[str, str] = ("unknown", "unknown")
    published_ms: int = 0
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Failing:
    """Commits fail since an instant; `error` is the newest one's."""

    since: int
    error: str


@dataclass(slots=True)
class Counts:
    """What became of everything since the process started, in records; `messages` counts deliveries."""

    messages: int = 0
    applied: int = 0
    duplicate: int = 0
    quarantined: int = 0
    commits: int = 0
    retries: int = 0
    quarantine_reasons: dict[str, int] = field(default_factory=dict)


class BatchWriter:
    """Writes submissions in batches from a thread of its own.

    `settle` is called with the deliveries of each committed batch, and only then; `give_back` with those that a stop found
    uncommitted. `tell` is called before that with what became of a submission that asks, or of which a record is refused.
    `expecting` tells whether further messages are on their way.
    """

    def __init__(
        self,
        poster: Poster,
        settle: Callable[[list[object]], None],
        give_back: Callable[[list[object]], None],
        *,
        max_records: int = 1_000,
        linger_ms: float = 20.0,
        tell: Callable[[Submission, Sequence[Outcome]], None] = lambda submission, outcomes: None,
        expecting: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], int] = instants.now,
    ) -> None:
        self._poster = poster
        self._settle = settle
        self._give_back = give_back
        self._tell = tell
        self._max_records = max_records
        self._linger_seconds = linger_ms / 1000
        self._expecting = expecting
        self._waiting: deque[Submission] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._at_work = False
        self._deadline = float("inf")
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self.counts = Counts()
        self.figures = Figures()
        self.last_progress = time.monotonic()
        self._stillness = Stillness(clock=clock)
        self._now = now
        self.failing_since: float | None = None
        self.failing: Failing | None = None
        #: The last delivery that became durable, and when.
        self.newest: tuple[object, int] | None = None
        self.pace = Pace()

    @property
    def ready(self) -> bool:
        """False from the first failure that may pass until the next success."""
        return self.failing_since is None

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def backlog(self) -> int:
        """Submissions that wait for their commit."""
        return len(self._waiting)

    def still_for(self) -> float:
        """Seconds without progress while there is work, and while whoever asks was awake: what a hanging writer shows. To be asked
        about twice a second."""
        working = self._at_work or bool(self._waiting)
        still = self._stillness.seconds(self.last_progress if working else None)
        return still if working else 0.0

    def start(self) -> None:
        self._thread.start()

    def submit(self, *submissions: Submission) -> bool:
        """Hand over; False once the writer has stopped (the deliveries stay with the caller)."""
        with self._changed:
            if self._stopping and not self._thread.is_alive():
                return False
            if submissions and not self._at_work and not self._waiting:
                # From here there is work, so from here the writer has to move.
                self.last_progress = time.monotonic()
            self._waiting.extend(submissions)
            self._changed.notify()
            return True

    def stop(self, timeout: float = 30.0) -> None:
        """Commit what was submitted, then end; what cannot be committed within `timeout` seconds is given back."""
        with self._changed:
            self._stopping = True
            self._deadline = time.monotonic() + timeout
            self._changed.notify()
        self._thread.join(timeout)
        with self._changed:
            left, self._waiting = list(self._waiting), deque()
        if left:
            self._give_back([s.delivery for s in left])

    def _run(self) -> None:
        while (batch := self._gather()) is not None:
            if self._commit(batch):
                self._settle([s.delivery for s in batch])
            else:
                self._give_back([s.delivery for s in batch])
            self._at_work = False

    def _gather(self) -> list[Submission] | None:
        """The next batch, as soon as there is anything; None at the end."""
        with self._changed:
            while not self._waiting:
                if self._stopping:
                    return None
                self._changed.wait()
            batch, records = self._take([], 0)
            self._at_work = True
            linger_until = time.monotonic() + self._linger_seconds
            while records < self._max_records and not self._stopping and self._expecting():
                rest = linger_until - time.monotonic()
                if rest <= 0 or not (self._changed.wait(rest) or self._waiting):
                    break
                batch, records = self._take(batch, records)
            return batch

    def _take(self, batch: list[Submission], records: int) -> tuple[list[Submission], int]:
        while self._waiting and (not batch or records + len(self._waiting[0].items) <= self._max_records):
            submission = self._waiting.popleft()
            batch.append(submission)
            records += len(submission.items)
        return batch, records

    def _commit(self, batch: list[Submission]) -> bool:
        """Try until it is durable; False where a stop ran out of patience."""
        items = [item for submission in batch for item in submission.items]
        ends = list(accumulate(len(submission.items) for submission in batch))

        def raw_of(index: int) -> bytes:
            at = bisect_right(ends, index)
            return batch[at].raw_of(index - (ends[at - 1] if at else 0))

        pause = FIRST_RETRY_SECONDS
        while True:
            started = time.perf_counter()
            try:
                outcomes = self._poster.post(items, raw_of)
            except Unavailable as error:
                self._failed(error, len(items))
            except WrongDatabase as error:
                self._failed(error, len(items))
                if self._stopping:
                    # Waiting does not make it the right one.
                    return False
            except Exception as error:
                # A defect of ours must not lose or acknowledge anything either: keep the batch, stay loud, stay unready.
                self._failed(error, len(items))
            else:
                self._succeeded(batch, items, outcomes, time.perf_counter() - started)
                return True
            if time.monotonic() + pause > self._deadline:
                return False
            self._pause(pause)
            pause = min(pause * 2, LONGEST_RETRY_SECONDS)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with self._changed:
            was_stopping = self._stopping
            while (rest := until - time.monotonic()) > 0 and self._stopping == was_stopping:
                self._changed.wait(rest)

    def _failed(self, error: Exception, records: int) -> None:
        self.counts.retries += 1
        self.figures.retries += 1
        if self.failing_since is None:
            self.failing_since = time.monotonic()
        self.failing = Failing(self._now() if self.failing is None else self.failing.since, f"{type(error).__name__}: {error}")
        level = log.warning if isinstance(error, Unavailable) else log.error
        level("commit failed, kept and tried again", records=records, error=self.failing.error, exc_info=not isinstance(error, BooksError))

    def _succeeded(self, batch: list[Submission], items: list[Item], outcomes: list[Outcome], seconds: float) -> None:
        counts = self.counts
        by_status = self.figures.committed(items, outcomes, seconds, [s.route for s in batch], [s.published_ms for s in batch])
        for status, count in by_status.items():
            setattr(counts, status, getattr(counts, status) + count)
        counts.messages += len(batch)
        counts.commits += 1
        self.last_progress = time.monotonic()
        self._tell_who_waits(batch, outcomes)
        self.newest = batch[-1].delivery, self._now()
        self.pace.note(len(outcomes))
        quarantined = [o for o in outcomes if o.status == "quarantined"]
        for outcome in quarantined:
            counts.quarantine_reasons[outcome.reason] = counts.quarantine_reasons.get(outcome.reason, 0) + 1
        if self.failing_since is not None:
            log.info("commits succeed again", after_seconds=round(time.monotonic() - self.failing_since, 1))
            self.failing_since = self.failing = None
        if quarantined:
            log.warning("committed", records=len(outcomes), quarantined=len(quarantined), first=quarantined[0].detail[:300], ms=round(seconds * 1000, 1))
        else:
            log.debug("committed", records=len(outcomes), ms=round(seconds * 1000, 1))

    def _tell_who_waits(self, batch: list[Submission], outcomes: list[Outcome]) -> None:
        if not any(submission.asks for submission in batch) and not any(outcome.reason for outcome in outcomes):
            return
        at = 0
        for submission in batch:
            found = outcomes[at : at + len(submission.items)]
            at += len(submission.items)
            if submission.asks or any(outcome.reason for outcome in found):
                try:
                    self._tell(submission, found)
                except Exception:  # what is durable has to be acknowledged, whoever cannot be told of it
                    log.exception("could not say what became of a message")
