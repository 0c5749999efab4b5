"""Saying in the log that numbers of a producer are missing, and that they came.

Records of one producer travel through several queues, so most gaps are filled by the next commit or the one after it. Only one that has
stayed for some seconds is told of.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from jarvis_client.contract.errors import BooksError
from jarvis_client.contract.showing import first_few
from persistence.books.gaps import Opened
from persistence.repositories.gaps import Gap

log = structlog.get_logger("gaps")

#: What is on its way through another queue comes within this, unless that queue is backed up.
PATIENCE_SECONDS = 10.0
LOOK_SECONDS = 2.0
#: Gaps that wait to be told of: a producer that jumps about could make any number.
MOST_WAITING = 10_000


class OpenGaps(Protocol):
    """The part of `persistence.repositories.gaps.SQLiteGapRepository` that is asked."""

    def find_open(self, producer: str | None = None) -> list[Gap]: ...


class GapLines:
    """Tells of the gaps that this worker's own commits opened, so that of several workers one does."""

    def __init__(self, gaps: OpenGaps, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._gaps = gaps
        self._clock = clock
        self._waiting: list[tuple[float, Opened]] = []
        #: By producer, and since when, what was said to be missing.
        self._told: dict[str, tuple[float, list[Opened]]] = {}
        self._lock = threading.Lock()
        self._looked = float("-inf")

    def opened(self, gaps: Sequence[Opened]) -> None:
        """Take note of gaps that a commit opened. From any thread."""
        now = self._clock()
        with self._lock:
            self._waiting += [(now, gap) for gap in gaps[: max(0, MOST_WAITING - len(self._waiting))]]

    def look(self) -> None:
        """Tell of what has stayed missing, and of what came. To be called about twice a second."""
        now = self._clock()
        if now - self._looked < LOOK_SECONDS or not (self._waiting or self._told):
            return
        self._looked = now
        with self._lock:
            due = [gap for since, gap in self._waiting if now - since >= PATIENCE_SECONDS]
        try:
            self._tell_missing(due, now)
            self._tell_arrived(now)
        except BooksError as error:
            log.debug("gaps are not looked at now", error=str(error))
            return
        with self._lock:
            self._waiting = self._waiting[len(due) :]

    def _tell_missing(self, due: Sequence[Opened], now: float) -> None:
        producers = dict.fromkeys(gap.producer for gap in due)
        found = {producer: self._still_open(producer, [gap for gap in due if gap.producer == producer]) for producer in producers}
        for producer, missing in found.items():
            if missing:
                since, told = self._told.get(producer, (now, []))
                self._told[producer] = since, [*told, *missing]
                log.warning(
                    "numbers of a producer are missing", producer=producer, numbers=_ranges(missing), missing=_count(missing),
                    what_to_do=f"publish them again; `jarvis gaps accept {producer} --reason TEXT` settles what will never come",
                )  # fmt: skip

    def _tell_arrived(self, now: float) -> None:
        for producer, (since, told) in list(self._told.items()):
            left = self._still_open(producer, told)
            if not left:
                del self._told[producer]
                log.info("no number of a producer is missing any more", producer=producer, were_missing=_count(told), after_seconds=round(now - since))

    def _still_open(self, producer: str, wanted: Sequence[Opened]) -> list[Opened]:
        """The parts of these gaps that are open now."""
        open_now = self._gaps.find_open(producer)
        return [
            Opened(producer, max(gap.first, was.first), min(gap.last, was.last))
            for was in wanted for gap in open_now if gap.first <= was.last and gap.last >= was.first
        ]  # fmt: skip


def _count(gaps: Sequence[Opened]) -> int:
    return sum(gap.last - gap.first + 1 for gap in gaps)


def _ranges(gaps: Sequence[Opened]) -> str:
    return first_few([str(gap.first) if gap.first == gap.last else f"{gap.first} to {gap.last}" for gap in gaps])
