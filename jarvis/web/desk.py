"""Answering: so many requests at a time, each for so long, each over one moment of the books."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from jarvis.settings import Settings
from jarvis.web.problems import problem
from jarvis.web.remembered import RememberedFees
from jarvis_client.contract import instants
from jarvis_client.contract.errors import Unavailable
from persistence.engine.contract import BooksToRead

T = TypeVar("T")

#: So many are answered side by side: more would only take the processor from the worker.
AT_A_TIME = 4
#: Requests that wait for their turn; a further one is refused at once.
MOST_WAITING = 32
#: For which a request may hold a moment of the books. The writer's log grows meanwhile, by no more than is written in so long.
READING_SECONDS = 5.0
#: After which a request has its answer, whatever it waits for.
ANSWER_SECONDS = 15.0

_AGAIN = {"Retry-After": "1"}


class Reading:
    """What the function behind a path is handed: the books, what the operator chose, the time, what was summed before."""

    def __init__(self, books: BooksToRead, settings: Settings) -> None:
        self.books = books
        self.settings = settings
        self.fees = RememberedFees()

    @property
    def now(self) -> int:
        return instants.now()


class Desk:
    """Threads that answer."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._threads = ThreadPoolExecutor(AT_A_TIME, "answering")
        self._waiting = 0

    async def answer(self, of: Callable[[Reading], T], *, over_a_moment: bool) -> T:
        """What a function answers, run by one of the threads. Raises `Problem` where it would come too late."""
        if self._waiting >= AT_A_TIME + MOST_WAITING:
            raise problem(503, f"{AT_A_TIME} requests are answered at a time, and {MOST_WAITING} wait already", "ask again in a moment", headers=_AGAIN)
        self._waiting += 1
        running = asyncio.get_running_loop().run_in_executor(self._threads, self._run, of, over_a_moment, time.monotonic() + ANSWER_SECONDS)
        # It counts until it has ended, also where nobody waits for it any more.
        running.add_done_callback(self._has_ended)
        try:
            return await asyncio.wait_for(asyncio.shield(running), ANSWER_SECONDS)
        except TimeoutError:
            raise problem(503, f"the answer took longer than {ANSWER_SECONDS:g} seconds", "ask for less at a time, or again later", headers=_AGAIN) from None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _has_ended(self, running: asyncio.Future[T]) -> None:
        self._waiting -= 1
        running.exception()  # whoever asked has heard of it, or has gone

    def _run(self, of: Callable[[Reading], T], over_a_moment: bool, until: float) -> T:
        if time.monotonic() > until:
            raise Unavailable("whoever asked has been answered already; it waited too long for its turn")
        if not over_a_moment:
            return of(self._reading)
        with self._reading.books.moment(READING_SECONDS):
            return of(self._reading)
