"""Coming back from a backup: nobody holds the books, the backup is verified, the present database is kept aside, then replaced."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from jarvis.opening import open_database
from jarvis.settings import Settings
from persistence import backups
from persistence.chain import identity, newest
from persistence.database import DatabaseManager
from persistence.domain.errors import BooksError, HeldElsewhere, Invalid, WrongDatabase
from persistence.domain.instants import to_instant
from persistence.files import fsync_folder, locked_file
from persistence.integrity import check_books
from persistence.maintenance import take_back_on_purpose
from persistence.repositories import facts, quarantine

#: A worker drains for up to 25 seconds.
PATIENCE_SECONDS = 40.0


@dataclass(slots=True)
class Restored:
    """What a restore left: the former database, and the records that it held beyond the backup."""

    aside: Path | None = None
    later: Path | None = None
    later_count: int = 0
    by_hand: int = 0
    quarantined: int = 0
    problem: str | None = None
    #: Notes beside the backups that could not be written.
    missing_notes: list[Path] = field(default_factory=list)


def restore_copy(backup: backups.Backup, target: Path, *, unproved: bool = False) -> None:
    """A backup's database as a file of its own. Raises `Invalid` where there is one already, `WrongDatabase` for a bad backup."""
    for path in (target, *_beside(target)):
        if path.exists():
            # The log of another database would be applied to this one.
            raise Invalid(f"{path} exists already; name a new file")
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with backups.opened(backup, target.parent, unproved=unproved) as plain:
        os.replace(plain, target)


def restore_books(settings: Settings, backup: backups.Backup, now: datetime, *, stop: bool, unproved: bool = False) -> Restored:
    """Replace the books by a backup's.

    Raises `HeldElsewhere` where somebody works on them, `WrongDatabase` for a bad backup or one of other books.
    """
    path, folder = Path(os.path.realpath(settings.database.path)), settings.data_folder
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if stop:
        stop_holders(folder)
    # Beside the books, so that putting it in their place is one rename.
    with nobody_else(folder), backups.opened(backup, path.parent, unproved=unproved) as plain:
        done = Restored()
        stamp, aside = _free_name(path, now)
        present = _identity(settings)
        if present is not None:
            _refuse_other_books(settings, backup, plain, present[0])
        if path.exists():
            _export_later(settings, plain, folder / f"after-{stamp}.ndjson", done)
        notes = settings.database.backup.path
        done.missing_notes = take_back_on_purpose(plain, to_instant(now), notes, instead_of=present)
        if path.exists():
            done.aside = aside
            # A second name for it, so that there is a database under the first one at every moment.
            os.link(path, aside)
        elif _beside(path)[0].exists():
            done.problem = f"the database was gone, its log is kept as {_beside(aside)[0]}"
        # The log of the former database, which a readable one no longer has by now, must not be applied to the other one.
        for found, kept in zip(_beside(path), _beside(aside), strict=True):
            with suppress(FileNotFoundError):
                os.replace(found, kept)
        os.replace(plain, path)
        fsync_folder(path.parent)
        with closing(open_database(settings)) as restored:
            restored.initialize()
            if findings := check_books(restored):
                first = findings[0]
                raise BooksError(f"the restored books have findings, the first: {first.check}, {first.where}; the former database is {done.aside}")
        return done


def _free_name(path: Path, now: datetime) -> tuple[str, Path]:
    """A stamp, and the name that the present database is kept under by it."""
    for n in range(1_000):
        stamp = f"{now:%Y%m%dT%H%M%SZ}{f'-{n}' if n else ''}"
        aside = path.with_name(f"{path.name}.before-restore-{stamp}")
        if not any(p.exists() for p in (aside, *_beside(aside))):
            return stamp, aside
    raise Invalid(f"{path.parent} holds a thousand databases that were kept in this second; move some away")


def _beside(path: Path) -> tuple[Path, Path, Path]:
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm"), path.with_name(f"{path.name}-journal")


def _identity(settings: Settings) -> tuple[str, str] | None:
    """Id and epoch of the present books; None where there are none that can be read."""
    with suppress(BooksError), closing(open_database(settings, looking=True)) as present, present.get_connection() as connection:
        return identity(connection)
    return None


def _refuse_other_books(settings: Settings, backup: backups.Backup, plain: Path, ours: str) -> None:
    with closing(DatabaseManager(plain, wal_mode=False)) as restored, restored.get_connection() as connection:
        # Of those from before there was a chain nobody can tell.
        theirs = identity(connection)[0] if newest(connection).block_no else None
    if theirs is not None and ours != theirs:
        raise WrongDatabase(
            f"{backup.path} is a backup of other books ({theirs}) than those in {settings.database.path} ({ours}); "
            "restore it with --to into a new file, or move the present database away first"
        )


def _export_later(settings: Settings, backup: Path, target: Path, done: Restored) -> None:
    """The records of the present database that the backup does not hold."""
    try:
        # Whoever moves its log otherwise (Litestream) has no more to do with it.
        wal_mode = settings.database.performance.wal_mode
        with closing(DatabaseManager(settings.database.path, wal_mode=wal_mode, refuse_loss=False, verify_pages=False)) as new:
            new.checkpoint(truncate=True)
            with new.get_connection() as connection, open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
                for fact in facts.facts_missing_in(connection, str(backup)):
                    if fact.kind in ("transaction", "adjustment"):
                        # Saved through the repositories: no message, so no NDJSON either.
                        done.by_hand += 1
                        continue
                    out.write(json.dumps(fact.record(), ensure_ascii=False) + "\n")
                    done.later_count += 1
                done.quarantined = quarantine.count_missing_in(connection, str(backup))
        done.later = target
        if not done.later_count:
            target.unlink()
    except (BooksError, OSError, ValueError) as error:
        done.problem = str(error)


@contextmanager
def nobody_else(folder: Path) -> Iterator[None]:
    """Hold every lock that a worker or a scheduler over this folder would. Raises `HeldElsewhere`, naming who has one."""
    with ExitStack() as held:
        # The supervisor's comes first: it would start anew whatever is stopped below it.
        names = ["jarvis.lock", "scheduler.lock", *sorted(p.name for p in folder.glob("worker-*.lock"))]
        for name in names:
            try:
                held.enter_context(locked_file(folder / name, f"restore, process {os.getpid()}"))
            except HeldElsewhere as error:
                raise HeldElsewhere(f"{error}; or give --stop, which drains and stops them") from None
        yield


def stop_holders(folder: Path) -> None:
    """Ask whoever holds a lock to drain, and wait for it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    asked: set[int] = set()
    while True:
        try:
            with nobody_else(folder):
                return
        except HeldElsewhere as error:
            if time.monotonic() > deadline:
                raise
            match = re.search(r"process (\d+)", str(error))
            if match is None:
                raise
            if (number := int(match[1])) not in asked:
                asked.add(number)
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGTERM)
            time.sleep(0.1)


__all__ = ["Restored", "nobody_else", "restore_books", "restore_copy", "stop_holders"]
