"""Watching the books' files from a long-running process: whether they are still those that were opened, and how long the log is."""

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


class WalWatch:
    """Keeps the write-ahead log short, and warns while a reader of another program does not let us."""

    def __init__(self, database: LiveBooks) -> None:
        self._database = database
        self._warned = 0.0

    def look(self) -> None:
        size = self._database.keep_wal_short()
        if size and time.monotonic() - self._warned > SAY_AGAIN_SECONDS:
            self._warned = time.monotonic()
            log.warning(
                "the write-ahead log cannot be emptied: a reader has held its snapshot for long; end it (lsof on the database names it)",
                wal_bytes=size, database=self._database.path,
            )  # fmt: skip
