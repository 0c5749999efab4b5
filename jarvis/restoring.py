"""Coming back from a backup by command: nobody else may hold the books meanwhile. The steps stand in `persistence.copies.restoring`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from jarvis.opening import open_database
from jarvis.settings import Settings
from persistence.copies import backups
from persistence.copies.restoring import Restored, bring_back
from persistence.domain.errors import HeldElsewhere
from persistence.domain.instants import to_instant
from persistence.files import locked_file, make_folder

#: A worker drains for up to 25 seconds.
PATIENCE_SECONDS = 40.0


def restore_books(
    settings: Settings,
    backup: backups.Backup,
    now: datetime,
    *,
    stop: bool,
    unproved: bool = False,
    until: datetime | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Restored:
    """Replace the books by a backup's, with what was recorded after it `until` some time.

    Raises `HeldElsewhere` where somebody works on them, `WrongDatabase` for a bad backup or one of other books.
    """
    path, folder = Path(os.path.realpath(settings.database.path)), settings.data_folder
    make_folder(folder)
    if stop:
        tell("stopping the workers and the scheduler")
        stop_holders(folder, beside=path)
    tell(f"reading {backup.path.name} back")
    # Beside the books, so that putting it in their place is one rename.
    with (
        nobody_else(folder, beside=path),
        backups.opened(backup, path.parent, unproved=unproved) as plain,
        closing(open_database(settings)) as database,
    ):
        moment = None if until is None else to_instant(until)
        return bring_back(database, plain, to_instant(now), source=backup, later_folder=folder, until=moment, tell=tell)


@contextmanager
def nobody_else(folder: Path, *, beside: Path | None = None) -> Iterator[None]:
    """Hold every lock that a worker or a scheduler over this folder would. Raises `HeldElsewhere`, naming who has one.

    Locks that are made belong to whom the database `beside` belongs to.
    """
    with ExitStack() as held:
        # The supervisor's comes first: it would start anew whatever is stopped below it.
        names = ["jarvis.lock", "scheduler.lock", *sorted(p.name for p in folder.glob("worker-*.lock"))]
        for name in names:
            try:
                held.enter_context(locked_file(folder / name, "restore", beside=beside))
            except HeldElsewhere as error:
                raise HeldElsewhere(f"{error}; or give --stop, which drains and stops them", pid=error.pid) from None
        yield


def stop_holders(folder: Path, *, beside: Path | None = None) -> None:
    """Ask whoever holds a lock to drain, and wait for it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    asked: set[int] = set()
    while True:
        try:
            with nobody_else(folder, beside=beside):
                return
        except HeldElsewhere as error:
            if time.monotonic() > deadline:
                raise
            if error.pid is None:
                raise
            if error.pid not in asked:
                asked.add(error.pid)
                with suppress(ProcessLookupError):
                    os.kill(error.pid, signal.SIGTERM)
            time.sleep(0.1)


__all__ = ["nobody_else", "restore_books", "stop_holders"]
