"""Checks that need the backups: whether they are sound and recent, and whether the chain agrees with the heads they keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from shutil import disk_usage
from typing import NamedTuple

from jarvis_client.contract.errors import BooksError
from jarvis_client.contract.instants import is_ahead, to_datetime, to_instant, to_text
from persistence.books.book import book_id, short
from persistence.books.events import RESTORED, of_kind
from persistence.copies import backups, going_back
from persistence.copies.choosing import last_taken, summary
from persistence.domain.finding import SHOWN, Finding
from persistence.domain.showing import size
from persistence.engine.contract import Database
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.proof import chain
from persistence.proof.books_checks import guarded
from persistence.proof.chain_checks import Anchor, check_chain, first_difference

#: A backup older than this is no protection any more.
OLDEST_BACKUP_DAYS = 2
_DAY = 86_400_000_000


class Protected(NamedTuple):
    """What the books themselves say of the backups there should be."""

    book: str
    #: When the first record was recorded; None where there is none.
    begun: int | None
    #: When the newest proved backup was taken that they were brought back from.
    restored: int | None


def protected(database: Database) -> Protected:
    with database.get_connection() as connection:
        begun = connection.execute("SELECT recorded_at FROM facts ORDER BY fact_no LIMIT 1").get
        came_from = [content["taken_at"] for _, content in of_kind(connection, RESTORED) if content.get("proved") and content.get("taken_at")]
        return Protected(book_id(connection), begun, to_instant(datetime.fromisoformat(came_from[-1])) if came_from else None)


def backups_are_sound(folder: Path, now: int, books: Protected, *, read_back: bool = False) -> list[Finding]:
    """Check the backups of a folder: of these books, proved, recent, whole. With `read_back` each is read and compared with its manifest."""
    present = backups.present(folder)
    found = [
        Finding("backups are proved", str(b.path), "a sound manifest", "none", "jarvis backup verify") for b in present if not b.proved
    ]  # fmt: skip
    found += [
        Finding("backups have their files", str(path), "the file that it describes", "none", "jarvis backup list") for path in backups.manifests_alone(folder)
    ]
    found += islice(_of_other_books(folder, present, books.book), SHOWN)
    found += [
        Finding("backups are from the past", str(b.path), f"taken by {to_text(now)}", f"taken {b.taken_at:%Y-%m-%dT%H:%M:%SZ}", "date -u; jarvis backup list")
        for b in present if b.is_ahead(now)
    ][:SHOWN]  # fmt: skip
    newest = last_taken(folder, books.book, now)
    if (failed := backups.newest_failed(folder, now)) is not None and (newest is None or newest < to_instant(failed[0])):
        found.append(Finding("backups are proved", str(failed[1]), "a sound one after it", "it failed its proof", "jarvis jobs history backup"))
    # Books that were brought back stand in the backup they came from; those that have no backup yet are as young as their first record.
    known = [instant for instant in (newest, books.restored) if instant is not None and not is_ahead(instant, now)]
    if newest is None and books.begun is not None and not is_ahead(books.begun, now):
        known.append(books.begun)
    if books.begun is not None and max(known, default=0) < now - OLDEST_BACKUP_DAYS * _DAY:
        said = "none" if newest is None else f"the newest of these books is from {to_datetime(newest):%Y-%m-%d %H:%M}"
        found.append(Finding("backups are recent", str(folder), f"a proved one of the last {OLDEST_BACKUP_DAYS} days", said, "jarvis jobs history backup"))
    for backup in (b for b in present if b.proved) if read_back else ():
        try:
            backups.verify(backup)
        except (BooksError, OSError) as error:
            found.append(Finding("backups are sound", str(backup.path), "what its manifest says", str(error), "jarvis backup verify"))
    return found


def _of_other_books(folder: Path, present: Sequence[backups.Backup], ours: str) -> Iterator[Finding]:
    foreign = [b for b in present if b.proved and b.book != ours]
    for book in sorted({str(b.book) for b in foreign}):
        theirs = [b for b in foreign if b.book == book]
        said = f"books {short(book)}: {summary(theirs)}"
        yield Finding(
            "backups belong to these books", str(folder), f"those of books {short(ours)}", said, 'jarvis backup list; docs/operating.md, "Whose backups"'
        )


def there_is_room(database: Database, folder: Path) -> Iterator[Finding]:
    """The next backup fits."""
    if folder.exists() and (free := disk_usage(folder).free) < (needed := backups.room_needed(database)):
        yield Finding("there is room for a backup", str(folder), size(needed), f"{size(free)} are free", f"df -h {folder}")


def files_are_private(database: Database, backup_folder: Path | None) -> list[Finding]:
    """Check that nobody but their owner may open the files, those of the backups included, or change what lies in their folders."""
    paths = [path for path in (Path(f"{database.path}{suffix}") for suffix in ("", "-wal", "-shm", "-mark")) if path.exists()]
    folders = [folder for folder in (database.folder.absolute(), backup_folder) if folder is not None and folder.is_dir()]
    if backup_folder in folders and backup_folder is not None:
        paths += sorted(path for kind in ("jarvis", "failed", "unproved", "rescued") for path in backup_folder.glob(f"{kind}-*"))
    modes = _modes_of(paths)
    found = [Finding("files are for their owner alone", str(path), "mode 600", f"mode {mode:o}", f"chmod 600 {path}") for path, mode in modes if mode & 0o077]
    modes = _modes_of(folders)
    found += [Finding("folders are for their owner alone", str(p), "mode 700", f"mode {mode:o}", f"chmod 700 {p}") for p, mode in modes if mode & 0o022]
    return found[:SHOWN]


def _modes_of(paths: Iterable[Path]) -> list[tuple[Path, int]]:
    found = []
    for path in paths:
        with suppress(OSError):  # gone since, or a link to nothing
            found.append((path, path.stat().st_mode & 0o777))
    return found


def chain_holds(database: SQLiteDatabase, backup_folder: Path | None, heads: Sequence[Anchor] = ()) -> list[Finding]:
    """Check the chain against the rows, the heads in the backups' manifests and those that are given. Where one differs, the first row
    is looked for in the backup itself."""
    kept = {str(b.path): b for b in backups.present(backup_folder)} if backup_folder is not None else {}
    gone_back = going_back.noted(backup_folder) if backup_folder is not None else set()
    with database.snapshot() as connection:
        left, ours = chain.epochs_left(connection), book_id(connection)
        anchors, unknown = [*heads], list[Finding]()
        for where, backup in kept.items():
            head = (backup.manifest or {}).get("chain")
            if head is None:
                continue
            epoch, block_no = head["epoch"], head["block_no"]
            if head["book"] != ours:
                continue  # told among what is wrong with the backups
            if epoch not in left and any(epoch == e for e, _ in gone_back):
                continue  # of books that were replaced
            if epoch not in left:
                expected = f"an epoch of {', '.join(left)}"
                unknown.append(Finding("backups belong to these books", where, expected, epoch, "jarvis backup list; jarvis chain events"))
            elif block_no <= left[epoch] or (epoch, left[epoch]) not in gone_back:
                # A head after a restore or an accepted loss belongs to no chain; only a note beside the backups excuses it.
                anchors.append(Anchor(block_no, bytes.fromhex(head["hash"]), where))
        found = [*guarded("the chain holds", check_chain(connection, anchors)), *unknown[:SHOWN]]
        for where in {f.source for f in found if f.source} & set(kept):
            # A backup that is damaged itself can not tell the row; that it is damaged is told elsewhere.
            with suppress(BooksError), backups.opened(kept[where], kept[where].path.parent) as plain, closing(SQLiteDatabase.copy_of(plain)) as theirs:
                with theirs.get_connection() as other:
                    row = first_difference(connection, other)
                found = [row, *found] if row else found
    return found
