"""Going back to a copy. Whoever restores, by the command or by `DatabaseManager.restore`, goes through the same steps:

refuse a copy of other books
write what was recorded after the copy to a file of its own, so that nothing is dropped in silence
give the copy a new epoch: what was made durable after it is left behind knowingly
keep the present database aside, and put the copy in its place in one step
check the books that stand there now
"""

from __future__ import annotations

import json
import os
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from persistence.books import facts
from persistence.books.book import book_id_and_epoch
from persistence.copies import backups
from persistence.copies.backups import Backup
from persistence.copies.going_back import take_back_on_purpose
from persistence.domain.errors import BooksError, Invalid, WrongDatabase
from persistence.domain.instants import to_datetime
from persistence.engine.sqlite.attached import facts_missing_in, held_missing_in
from persistence.engine.sqlite.database import BESIDE, SQLiteDatabase
from persistence.proof.books_checks import check_books


@dataclass(slots=True)
class Restored:
    """What a restore left: the former database, and the records that it held beyond the copy."""

    aside: Path | None = None
    later: Path | None = None
    later_count: int = 0
    by_hand: int = 0
    quarantined: int = 0
    problem: str | None = None
    #: Notes beside the backups that could not be written.
    missing_notes: list[Path] = field(default_factory=list)


def restore_copy(backup: Backup, target: Path, *, unproved: bool = False) -> None:
    """Put a backup's database into a file of its own. Raises `Invalid` where there is one already, `WrongDatabase` for a bad backup."""
    for path in (target, *(Path(f"{target}{suffix}") for suffix in BESIDE)):
        if path.exists():
            # The log of another database would be applied to this one.
            raise Invalid(f"{path} exists already; name a new file")
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with backups.opened(backup, target.parent, unproved=unproved) as plain:
        os.replace(plain, target)


def bring_back(database: SQLiteDatabase, plain: Path, now: int, *, source: Path, later_folder: Path) -> Restored:
    """Replace the books by `plain`, a sound copy on the same file system, which is used up. `source` is the backup it came from.

    Nobody else may write meanwhile. What was recorded after the copy goes to a file in `later_folder`. Raises `WrongDatabase` for a
    copy of other books, before anything is touched.
    """
    path = Path(database.path)
    done = Restored()
    stamp, aside = _free_name(path, now)
    present = _identity(database)
    if present is not None:
        _refuse_other_books(path, source, plain, present[0])
    if path.exists():
        _export_later(database, plain, later_folder / f"after-{stamp}.ndjson", done)
    elif Path(f"{path}-wal").exists():
        done.problem = f"the database was gone, its log is kept as {aside}-wal"
    done.missing_notes = take_back_on_purpose(plain, now, database.backup_folder, instead_of=None if present is None else present[1])
    done.aside = database.replaced_from(plain, aside)
    database.open_up()
    if findings := check_books(database):
        first = findings[0]
        raise BooksError(f"the restored books have findings, the first: {first.check}, {first.where}; the former database is {done.aside}")
    return done


def _free_name(path: Path, now: int) -> tuple[str, Path]:
    """A stamp, and the name that the present database is kept under by it."""
    for n in range(1_000):
        stamp = f"{to_datetime(now):%Y%m%dT%H%M%SZ}{f'-{n}' if n else ''}"
        aside = path.with_name(f"{path.name}.before-restore-{stamp}")
        if not any(Path(f"{aside}{suffix}").exists() for suffix in ("", *BESIDE)):
            return stamp, aside
    raise Invalid(f"{path.parent} holds a thousand databases that were kept in this second; move some away")


def _identity(database: SQLiteDatabase) -> tuple[str, str] | None:
    """Id and epoch of the present books; None where there are none that can be read."""
    with suppress(BooksError), closing(database.looking_too()) as present, present.get_connection() as connection:
        return book_id_and_epoch(connection)
    return None


def _refuse_other_books(path: Path, source: Path, plain: Path, ours: str) -> None:
    with closing(SQLiteDatabase.copy_of(plain)) as restored, restored.get_connection() as connection:
        theirs = book_id_and_epoch(connection)[0]
    if ours != theirs:
        raise WrongDatabase(
            f"{source} is a backup of other books ({theirs}) than those in {path} ({ours}); "
            "restore it with --to into a new file, or move the present database away first"
        )


def _export_later(database: SQLiteDatabase, plain: Path, target: Path, done: Restored) -> None:
    """Write the records of the present database that the copy does not hold."""
    try:
        # We move the log ourselves, even if Litestream did so until now: it has no more to do with this file.
        with closing(SQLiteDatabase.looking(database.path, wal_mode=database.wal_mode)) as present:
            present.checkpoint(truncate=True)
            with present.get_connection() as connection, open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
                for number in facts_missing_in(connection, str(plain)):
                    fact = facts.recorded_fact(connection, number)
                    if fact is None:
                        continue
                    if fact.kind in ("transaction", "adjustment"):
                        # Saved through the repositories: no message, so no NDJSON either.
                        done.by_hand += 1
                        continue
                    out.write(json.dumps(fact.record(), ensure_ascii=False) + "\n")
                    done.later_count += 1
                done.quarantined = held_missing_in(connection, str(plain))
        if done.later_count:
            done.later = target
        else:
            target.unlink()
    except (BooksError, OSError, ValueError) as error:
        done.problem = str(error)


__all__ = ["Restored", "bring_back", "restore_copy"]
