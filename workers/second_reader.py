"""A second process that reads messages while there is a backlog.

What messages say is a third of their way into the books, and the writer waits for Python's lock meanwhile. Where there is a core to spare,
another process reads them; while it reads what one fetch brought, the next is fetched. Where there is no such process (yet, any more), the
worker reads by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import structlog

from jarvis_client.contract.conventions import Conventions
from persistence.beside import Companion, Gone
from workers.reading import Fetched, Read, read_messages

log = structlog.get_logger("worker")

#: So much is fetched at a stretch before a process is started for the rest: a second's work, and it takes a quarter to start.
WORTH_STARTING_BYTES = 512 * 1024
#: Less is read here before another process has heard of it.
WORTH_ASKING_BYTES = 32 * 1024
#: It holds some 40 MB, and is let go of when so many seconds have brought nothing for it.
IDLE_SECONDS = 30.0
#: What takes longer than this, where a few hundredths are usual, will not come.
LONGEST_SECONDS = 5.0
#: What was killed may well be killed again.
SECONDS_AFTER_DEATH = 60.0

#: Messages with what they say.
Told = list[tuple[Fetched, Read]]


class SecondReader:
    """The second process of a worker, begun and let go of as there is work for it. Used by the threads of all queues, and works for one at a time."""

    def __init__(self, conventions: Conventions, actors: Collection[str], clock: Callable[[], float] = time.monotonic) -> None:
        # Without the symbols they have met: the other process meets its own.
        self._conventions = replace(conventions, known={})
        self._actors = frozenset(actors)
        self._clock = clock
        self._companion: Companion | None = None
        self._has_begun = False
        self._backlog_bytes = 0
        self._used_at = clock()
        self._not_before = float("-inf")
        self._lock = threading.Lock()
        #: What it was asked to read, and of which queue.
        self._asked: Sequence[Fetched] = ()
        self._queue = ""

    def read(self, queue: str, messages: Sequence[Fetched], *, more: bool) -> Told:
        """What messages of a queue say; what is None is to be read by the caller. If there are `more`, those that were asked before, and the
        given ones with the next call: what was asked is given back in its order, and all of it as soon as there is no more."""
        size = sum(len(payload) for _, payload in messages)
        self._backlog_bytes = self._backlog_bytes + size if more else 0
        # Another queue's thread reads by itself; what was asked of this one has to be given back, however long who holds the lock takes.
        if not self._lock.acquire(blocking=bool(self._asked) and self._queue == queue):
            return _untold(messages)
        try:
            if self._asked and self._queue != queue:
                return _untold(messages)
            if size < WORTH_ASKING_BYTES or not self._is_ready():
                return [*self._answered(), *_untold(messages)]
            assert self._companion is not None
            self._companion.ask(read_messages, self._conventions, self._actors, messages)
            before, self._queue = self._answered(), queue
            self._asked, self._used_at = messages, self._clock()
            return before if more else [*before, *self._answered()]
        finally:
            self._lock.release()

    def rest_of(self, queue: str) -> Told:
        """What was asked of a queue and is not given back yet. For the thread of that queue."""
        if not self._asked or self._queue != queue:
            return []
        with self._lock:
            return self._answered()

    def let_go(self) -> None:
        """End the process where nothing has come for it lately. Never waits: whoever calls this has a heart to beat."""
        if self._lock.acquire(blocking=False):
            try:
                if not self._asked and self._clock() - self._used_at > IDLE_SECONDS:
                    self._end()
            finally:
                self._lock.release()

    def close(self) -> None:
        with self._lock:
            self._end()
            self._not_before = float("inf")

    def _is_ready(self) -> bool:
        if self._companion is None:
            if self._backlog_bytes >= WORTH_STARTING_BYTES and self._clock() >= self._not_before:
                self._companion, self._has_begun, self._used_at = Companion(), False, self._clock()
                self._companion.ask(read_messages, self._conventions, self._actors, ())
        elif not self._has_begun and self._companion.has_answered():
            self._has_begun = self._answer() == []
        return self._has_begun and self._companion is not None

    def _answered(self) -> Told:
        asked, self._asked = self._asked, ()
        if not asked:
            return []
        answer = self._answer()
        return _untold(asked) if answer is None else list(zip(asked, answer, strict=True))

    def _answer(self) -> list[Read] | None:
        """What was asked first; None where nobody answers any more."""
        if self._companion is None:
            return None
        try:
            found: list[Read] = self._companion.answer(LONGEST_SECONDS)
        except Exception as error:  # whatever it is, the messages are at hand
            said = {} if isinstance(error, Gone) else {"error": f"{type(error).__name__}: {error}"}
            log.warning(
                "the process that reads ahead was killed, hangs or did not start: messages are read in this one", again_after_s=SECONDS_AFTER_DEATH, **said
            )
            self._end()
            self._not_before = self._clock() + SECONDS_AFTER_DEATH
            return None
        return found

    def _end(self) -> None:
        if self._companion is not None:
            self._companion.end()
            self._companion, self._has_begun = None, False


def _untold(messages: Sequence[Fetched]) -> Told:
    return [(message, None) for message in messages]
