"""Watching the books' file from a long-running process: whether it is still the one that was opened."""

from __future__ import annotations

import threading
import time

import structlog

from jarvis_client.contract.errors import BooksError
from persistence.domain.errors import WrongDatabase
from persistence.engine.contract import LiveBooks

log = structlog.get_logger("jarvis")

LOOK_SECONDS = 0.5
#: One line a minute is loud enough.
SAY_AGAIN_SECONDS = 60.0


class BooksWatch:
    """Looks at the file on a thread of its own, because copying a deleted one takes as long as it takes, and whoever watches this
    process must hear of it meanwhile. Used as a context manager; `look` raises what was found."""

    def __init__(self, database: LiveBooks) -> None:
        self._database = database
        self._ended = threading.Event()
        self._refusal: WrongDatabase | None = None
        self._said = -SAY_AGAIN_SECONDS
        self._thread = threading.Thread(target=self._watch, name="books-watch", daemon=True)

    def look(self) -> None:
        """Raises `WrongDatabase` where this process must not go on: the file was deleted, or holds other books by now."""
        if self._refusal is not None:
            raise self._refusal

    def __enter__(self) -> BooksWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            try:
                self._database.refuse_if_replaced()
            except WrongDatabase as error:
                log.error("the books are not those that were opened, stopping", error=str(error))
                self._refusal = error
                return
            except BooksError as error:
                if time.monotonic() - self._said > SAY_AGAIN_SECONDS:
                    self._said = time.monotonic()
                    log.error("the file of the books is not where it was", error=str(error))
