"""Coming back from a backup by command: nobody else may hold the books meanwhile. The steps stand in `persistence.copies.restoring`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path

from jarvis.opening import open_database
from jarvis.settings import Settings
from jarvis_client.contract.errors import HeldElsewhere
from jarvis_client.contract.instants import to_instant
from persistence.copies import backups
from persistence.copies.restoring import Restored, bring_back
from persistence.copies.server_restoring import bring_back_to_server
from persistence.database import DatabaseManager
from persistence.domain.progress import Progress, silent
from persistence.files import locked_file, make_last_folder
from persistence.holders import Process, holder_of

#: A worker drains for up to 25 seconds.
PATIENCE_SECONDS = 40.0
#: Whose holder is not found in two looks so far apart is held by somebody who cannot be seen from here.
UNKNOWN_SECONDS = 1.0


def restore_books(
    settings: Settings,
    backup: backups.Backup,
    now: datetime,
    *,
    stop: bool,
    unproved: bool = False,
    until: datetime | None = None,
    progress: Progress = silent,
) -> Restored:
    """Replace the books by a backup's, with what was recorded after it `until` some time.

    Raises `HeldElsewhere` where somebody works on them, `WrongDatabase` for a bad backup or one of other books.
    """
    path, folder = Path(os.path.realpath(settings.database.path)), settings.data_folder
    make_last_folder(folder)
    if stop:
        progress("stopping the workers and the scheduler", 0, 0)
        stop_holders(folder, beside=path)
    # Beside the books, so that putting it in their place is one rename.
    with (
        nobody_else(folder, beside=path),
        backups.opened(backup, path.parent, unproved=unproved, progress=progress) as plain,
        closing(open_database(settings)) as database,
    ):
        moment = None if until is None else to_instant(until)
        if not isinstance(database, DatabaseManager):
            return bring_back_to_server(database, plain, to_instant(now), source=backup, later_folder=folder, until=moment, progress=progress)
        return bring_back(database, plain, to_instant(now), source=backup, later_folder=folder, until=moment, progress=progress)


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
                raise HeldElsewhere(f"{error}; or give --stop, which drains and stops them", lock=error.lock) from None
        yield


def stop_holders(folder: Path, *, beside: Path | None = None) -> None:
    """Ask whoever holds a lock to drain, and wait for it.

    Raises `HeldElsewhere` at once where a holder cannot be asked: who is not proved to be the holder here, in this container, is sent nothing.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    unknown_since: float | None = None
    asked: set[Process] = set()
    while True:
        try:
            with nobody_else(folder, beside=beside):
                return
        except HeldElsewhere as error:
            if error.lock is None:
                raise
            holder = holder_of(error.lock)
            if holder.process is None:
                # A lock that was let go between two looks has no holder for a moment, and one look of a starved process may take seconds.
                unknown_since = unknown_since or time.monotonic()
                if time.monotonic() - unknown_since > UNKNOWN_SECONDS:
                    raise HeldElsewhere(f"{error.lock} is held by {holder}, which --stop cannot ask from here: stop it there", lock=error.lock) from None
            else:
                unknown_since = None
                if holder.process.pid == os.getpid():
                    raise
                if time.monotonic() > deadline:
                    raise HeldElsewhere(
                        f"{error.lock} is held by {holder}, which was asked to stop and has not in {PATIENCE_SECONDS:.0f} s; if it hangs, end it by `kill -9`:"
                        " what it held comes again", lock=error.lock,
                    ) from None  # fmt: skip
                if holder.process not in asked:
                    asked.add(holder.process)
                    _ask_to_stop(holder.process, error.lock, str(holder))
            time.sleep(0.1)


def _ask_to_stop(process: Process, lock: Path, holder: str) -> None:
    try:
        process.signal(signal.SIGTERM)
    except PermissionError:
        raise HeldElsewhere(f"{lock} is held by {holder}, which belongs to another user: run this as that user or as root", lock=lock) from None


__all__ = ["nobody_else", "restore_books", "stop_holders"]
