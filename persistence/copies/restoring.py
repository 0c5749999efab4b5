"""Going back to a copy. Whoever restores, by the command or by `DatabaseManager.restore`, goes through the same steps:

refuse a copy of other books
bring in what was recorded after the copy and up to the time that is wanted, where one is
write what was recorded later to a file of its own, so that nothing is dropped in silence
give the copy a new epoch: what was made durable after it is left behind knowingly
keep the present database aside, and put the copy in its place in one step
check the books that stand there now
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from jarvis_client.contract.errors import BooksError, Invalid
from jarvis_client.contract.instants import to_datetime, to_text
from persistence.books import facts
from persistence.books.book import book_id_and_epoch, generation
from persistence.books.ledger import Ledger
from persistence.copies import backups
from persistence.copies.backups import Backup
from persistence.copies.choosing import present_books
from persistence.copies.going_back import take_back_on_purpose
from persistence.domain.entries import AnyFact
from persistence.domain.errors import WrongDatabase
from persistence.domain.progress import Progress, silent
from persistence.engine.sqlite.attached import facts_missing_in, held_missing_in
from persistence.engine.sqlite.connect import SQLiteConnection
from persistence.engine.sqlite.database import BESIDE, SQLiteDatabase
from persistence.files import make_file, make_last_folder, same_owner
from persistence.proof.books_checks import check_books

#: Records of one commit while those up to a time are brought in.
AT_ONCE = 2_500
#: Saved through the repositories: no message, so nothing that can be recorded or imported again.
BY_HAND = ("transaction", "adjustment")


@dataclass(slots=True)
class Restored:
    """What a restore left: the former database, and the records that it held beyond the copy."""

    aside: Path | None = None
    later: Path | None = None
    later_count: int = 0
    by_hand: int = 0
    quarantined: int = 0
    problem: str | None = None
    #: Whether there was a database to compare the copy with, and it could be read.
    compared: bool = False
    #: Records from after the copy that were recorded up to the time that was wanted.
    brought_in: int = 0
    #: And those of them that could not be: saved by hand, which is no record, or refused.
    left_out: int = 0
    #: When the newest record of the restored books was recorded: everything since has to be published again, where nothing was compared.
    recorded_until: int | None = None
    #: Notes beside the backups that could not be written.
    missing_notes: list[Path] = field(default_factory=list)


def restore_copy(
    backup: Backup,
    target: Path,
    *,
    unproved: bool = False,
    until: int | None = None,
    present: SQLiteDatabase | None = None,
    progress: Progress = silent,
) -> Restored:
    """Put a backup's database into a file of its own, with what the present books recorded after it `until` an instant.

    Raises `Invalid` where there is a file already, `WrongDatabase` for a bad backup.
    """
    for path in (target, *(Path(f"{target}{suffix}") for suffix in BESIDE)):
        if path.exists():
            # The log of another database would be applied to this one.
            raise Invalid(f"{path} exists already; name a new file")
    make_last_folder(target.parent)
    done = Restored()
    with backups.opened(backup, target.parent, unproved=unproved, progress=progress) as plain:
        if until is not None and present is not None:
            compare(present, plain, None, until, done)
        done.recorded_until = newest_instant(plain)
        os.replace(plain, target)
    return done


def bring_back(
    database: SQLiteDatabase,
    plain: Path,
    now: int,
    *,
    source: Backup,
    later_folder: Path,
    until: int | None = None,
    progress: Progress = silent,
) -> Restored:
    """Replace the books by `plain`, a sound copy on the same file system, which is used up. `source` is the backup it came from.

    Nobody else may write meanwhile. What was recorded after the copy goes to a file in `later_folder`, except what was recorded `until`
    an instant: that is recorded in the copy, too. Raises `WrongDatabase` for a copy of other books, before anything is touched.
    """
    path = Path(database.path)
    done = Restored()
    stamp, aside = _free_name(path, now)
    present = present_books(database)
    life = 0
    if present is not None:
        refuse_other_books(path, source.path, plain, present[0])
        life = generation_of(database)
    progress("comparing with the present database", 0, 0)
    if path.exists():
        since = newest_instant(plain)
        later = later_folder / f"after-{stamp}{'' if since is None else f'-since-{to_datetime(since):%Y%m%dT%H%M%SZ}'}.ndjson"
        compare(database, plain, later, until, done)
    elif Path(f"{path}-wal").exists():
        done.problem = f"the database was gone, its log is kept as {aside}-wal"
    done.recorded_until = newest_instant(plain)
    progress("putting the backup in its place", 0, 0)
    done.missing_notes = take_back_on_purpose(
        plain, now, database.backup_folder, instead_of=None if present is None else present[1], least_generation=life, content=origin_of(source)
    )
    same_owner(plain, path if path.exists() else path.parent)
    done.aside = database.replaced_from(plain, aside)
    database.open_up()
    if findings := check_books(database, progress):
        first = findings[0]
        raise BooksError(f"the restored books have findings, the first: {first.check}, {first.where}; the former database is {done.aside}")
    return done


def origin_of(source: Backup) -> dict[str, Any]:
    """What the chain says of where restored books come from."""
    return {"backup": source.path.name, "taken_at": to_text(int(source.taken_at.timestamp()) * 1_000_000), "proved": source.proved}


def _free_name(path: Path, now: int) -> tuple[str, Path]:
    """A stamp, and the name that the present database is kept under by it."""
    for n in range(1_000):
        stamp = f"{to_datetime(now):%Y%m%dT%H%M%SZ}{f'-{n}' if n else ''}"
        aside = path.with_name(f"{path.name}.before-restore-{stamp}")
        if not any(Path(f"{aside}{suffix}").exists() for suffix in ("", *BESIDE)):
            return stamp, aside
    raise Invalid(f"{path.parent} holds a thousand databases that were kept in this second; move some away")


def refuse_other_books(path: str | Path, source: Path, plain: Path, ours: str) -> None:
    """Raises `WrongDatabase` where `plain`, a backup's content, is not of the books `ours`, which are kept at `path`."""
    with closing(SQLiteDatabase.copy_of(plain)) as restored, restored.get_connection() as connection:
        theirs = book_id_and_epoch(connection)[0]
    if ours != theirs:
        raise WrongDatabase(
            f"{source} is a backup of other books ({theirs}) than those in {path} ({ours}); "
            "restore it with --to into a new file, or move the present database away first"
        )


def generation_of(database: SQLiteDatabase) -> int:
    """Of the present books; 0 where that cannot be read any more."""
    try:
        with closing(database.looking_too()) as present, present.get_connection() as connection:
            return generation(connection)
    except (BooksError, ValueError):
        return 0


def newest_instant(plain: Path) -> int | None:
    """When the last record of a copy was recorded."""
    with closing(SQLiteDatabase.copy_of(plain)) as restored:
        found = restored.execute_query("SELECT recorded_at FROM facts ORDER BY fact_no DESC LIMIT 1")
    return int(found[0][0]) if found else None


def compare(database: SQLiteDatabase, plain: Path, later: Path | None, until: int | None, done: Restored) -> None:
    """Bring into the copy `plain` what the present database recorded after the copy until an instant, and write the rest to a file."""
    try:
        # We move the log ourselves, even if Litestream did so until now: it has no more to do with this file.
        with closing(SQLiteDatabase.looking(database.path, wal_mode=database.wal_mode)) as present:
            if later is None:
                refuse_other_books(Path(database.path), plain, plain, (present_books(database) or ("",))[0])
            else:
                present.checkpoint(truncate=True)
            with present.get_connection() as connection:
                if until is not None:
                    due = [row for row in facts_missing_in(connection, str(plain)) if row[1] <= until]
                    done.brought_in = _bring_in(connection, plain, due)
                    done.left_out = len(due) - done.brought_in
                if later is not None:
                    _write_later(connection, plain, later, done)
        done.compared = True
    except (BooksError, OSError, ValueError) as error:
        done.problem = str(error)


def _bring_in(present: SQLiteConnection, plain: Path, due: Sequence[tuple[int, int]]) -> int:
    """Record in the copy what the present books hold as these (number, instant of recording), with those instants. Returns how many."""
    count, clock = 0, [0]
    # The commit that follows, of the new epoch, waits for the disk with all of this.
    with closing(SQLiteDatabase(plain, 1, wal_mode=False, durable=False, clock=lambda: clock[0])) as copy:
        ledger = Ledger(copy)
        for recorded_at, numbers in groupby(due, key=lambda row: row[1]):
            clock[0] = recorded_at
            for batch in _batches([number for number, _ in numbers]):
                # What cannot be recorded stays out of the copy, so it is among what is written aside.
                outcomes = ledger.post(list(_records(present, batch)), keep_refusals=False)
                count += sum(o.status == "applied" for o in outcomes)
    return count


def _batches(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for at in range(0, len(numbers), AT_ONCE):
        yield numbers[at : at + AT_ONCE]


def _records(present: SQLiteConnection, numbers: Sequence[int]) -> Iterator[AnyFact]:
    for number in numbers:
        fact = facts.recorded_fact(present, number)
        if fact is not None and fact.kind not in BY_HAND:
            yield fact


def _write_later(present: SQLiteConnection, plain: Path, target: Path, done: Restored) -> None:
    """Write the records of the present database that the copy does not hold."""
    with os.fdopen(make_file(target), "w", encoding="utf-8") as out:
        for number, _ in facts_missing_in(present, str(plain)):
            fact = facts.recorded_fact(present, number)
            if fact is None:
                continue
            if fact.kind in BY_HAND:
                done.by_hand += 1
                continue
            out.write(json.dumps(fact.record(), ensure_ascii=False) + "\n")
            done.later_count += 1
        out.flush()
        os.fsync(out.fileno())
    done.quarantined = held_missing_in(present, str(plain))
    if done.later_count:
        done.later = target
    else:
        target.unlink()


__all__ = ["Restored", "bring_back", "restore_copy"]
