"""DatabaseManager: the document's door to the books. It opens them, brings their schema up to date, takes backups and restores them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Self

from jarvis_client.contract.errors import Invalid
from persistence.copies import backups, identity, places
from persistence.copies.proving import unpacked
from persistence.copies.restoring import Restored, bring_back
from persistence.domain.errors import Damaged, WrongDatabase
from persistence.engine.sqlite.connect import SQLiteConnection
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.engine.sqlite.durable_mark import reached
from persistence.engine.sqlite.pool import IN_MEMORY
from persistence.files import make_last_folder, scratch_folder
from persistence.proof.books_checks import check_books
from persistence.proof.chain_checks import check_chain


class DatabaseManager(SQLiteDatabase):
    """The books' file and a pool of connections to it: `SQLiteDatabase` with the life of a whole file on top."""

    def __enter__(self) -> Self:
        """Initialised; leaving the block closes it."""
        self.initialize()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def initialize(self) -> None:
        """Create the file where it is missing, and the folder it lies in, and bring the schema up to date, after a proved backup of older data.

        Raises `BooksGone` where the file is missing and something says that there were books here, `WrongFolder` where what is above the
        folder is missing, too, `WrongDatabase` for a file that is not ours or newer than this program, without touching it, or on a
        network file system, and `LostCommits` where the books end before what was made durable.
        """
        if self.path != IN_MEMORY:
            identity.refuse_to_replace(Path(self.path), self._kept_in)
        try:
            self.open_up(self._back_up_first)
        except Damaged:
            if not self._was_emptied_by_another_program():
                raise
            self.renew_checksums()
            self.open_up(self._back_up_first)

    def start_anew(self) -> list[Path]:
        """Create new, empty books where the old ones are gone. Returns the names under which what was left of those is kept.

        Raises `Invalid` where the old ones are still there.
        """
        if self.path == IN_MEMORY or not identity.is_missing(Path(self.path)):
            raise Invalid(f"{self.path} is there; new books are started only where none are. Move it and its -wal, -shm and -mark away first")
        kept = identity.set_aside(Path(self.path), self._clock()) if Path(self.path).parent.is_dir() else []
        self.open_up()
        for folder in self._kept_in:
            if folder.is_dir():
                places.claim(self, folder, adopt=True)
        return kept

    def what_is_missing(self) -> str:
        return identity.what_is_missing(Path(self.path), self._kept_in, super().what_is_missing())

    @property
    def _kept_in(self) -> list[Path]:
        """The folders that backups of these books go to."""
        return [self.backup_folder, *([] if self.second_folder is None else [self.second_folder])]

    def _back_up_first(self, _connection: SQLiteConnection) -> None:
        backups.create(self, self.backup_folder, self._clock())

    def _was_emptied_by_another_program(self) -> bool:
        """True if another SQLite program checkpointed the log after our process was killed. It writes pages without renewing their
        checksums."""
        if self.wal_bytes():
            return False
        with closing(self.looking_too()) as other, other.get_connection() as connection:
            found, emptied = reached(connection), self.marks.emptied()
            return emptied is None or emptied.epoch != found.epoch or emptied.commit_no < found.commit_no

    def renew_checksums(self) -> None:
        """Write every page anew, once everything that it holds has proved to be whole. Raises `Damaged` where it has not."""
        self._pool.drop_all()
        with self.marks.locked(wait_seconds=600), closing(self.looking_too()) as other:
            findings = check_books(other)
            with other.snapshot() as connection:
                findings += check_chain(connection)
            for first in findings[:1]:
                raise Damaged(
                    f"{self.path}: pages do not match their checksums, and the books in them do not add up: {first.check}, {first.where}; "
                    "`jarvis verify` tells more, `jarvis restore --latest` brings the newest backup back"
                )
            other.rewrite()

    def backup(self, backup_path: str | Path) -> None:
        """A consistent copy of the whole database, taken while others write, fsynced, checked, then put in place.

        Raises `Invalid` where the path is the database itself, `Unavailable` where the copy could not be written or does not check.
        """
        target = Path(backup_path)
        if self.path != IN_MEMORY and target.absolute() == Path(self.path).absolute():
            raise Invalid(f"{backup_path} is the database itself; name another file")
        make_last_folder(target.parent)
        self.copy_with(target, lambda _: None, check=True)

    def restore(self, backup_path: str | Path) -> Restored:
        """Replace the books by a backup's, compressed or not, in one step. Returns what was kept of the present ones.

        The backup is checked first; raises `WrongDatabase` and changes nothing where it is missing, damaged, newer or of other books.
        What was recorded after the backup is written beside the database as NDJSON, and the present file is kept. A commit that is
        under way elsewhere ends with `CommitUnknown`; no other process should write meanwhile (`jarvis restore` sees to that).
        """
        source, folder = Path(backup_path), Path(self.path).absolute().parent
        if not source.is_file():
            raise WrongDatabase(f"{backup_path} does not exist; `ls` the backup folder for the ones there are")
        if self.path == IN_MEMORY:
            raise Invalid("books in memory have no file to restore into; open a database at a path")
        with scratch_folder(folder, "restoring") as scratch:
            plain = unpacked(source, scratch)
            return bring_back(self, plain, self._clock(), source=backups.identified(source), later_folder=folder)


__all__ = ["DatabaseManager"]
