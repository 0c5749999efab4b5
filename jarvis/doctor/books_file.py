"""The database: whether it is there, ours, of this program's schema, and whether its log and its folders are those it knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from jarvis.doctor.case import Case
from jarvis.doctor.diagnosis import Diagnosis, Level, not_checked, refused, warning, well
from jarvis.opening import open_database
from jarvis.settings import Settings
from jarvis_client.contract.errors import BooksError, Unavailable
from persistence.books.book import book_id, short
from persistence.copies.identity import is_missing, refuse_to_replace
from persistence.copies.places import refuse_strange
from persistence.domain.showing import size
from persistence.engine.contract import Connection
from persistence.engine.sqlite.migrations import newest_version, schema_version
from persistence.engine.sqlite.peek import peeked
from persistence.engine.sqlite.wal import LONG_WAL_BYTES


def look(_case: Case, settings: Settings) -> Iterator[Diagnosis]:
    path, backup = settings.database.path, settings.database.backup
    folders = [folder for folder in (backup.path, backup.second.path) if folder is not None and backup.enabled]
    if settings.database.url is not None:
        yield from _on_a_server(settings, folders)
        return
    try:
        if is_missing(path):
            refuse_to_replace(path, folders)
            yield well("database", f"{path} is not there yet; the first start makes it")
            return
        with peeked(path) as connection:
            found, newest = schema_version(connection, str(path)), newest_version()
            if not found:
                yield well("database", f"{path} is empty yet; the first start fills it")
                return
            if found < newest:
                rule = f"this program keeps schema {newest}"
                yield warning("database", f"{path} has schema {found}", rule, "stop the daemon, then `jarvis db init`, which takes a proved backup first")
            else:
                yield well("database", f"{path}, schema {found}, books {short(book_id(connection))}, {size(path.stat().st_size)}")
                yield from _of_their_folders(connection, folders)
    except Unavailable as error:
        yield refused("database", error, Level.NOT_CHECKED)
    except BooksError as error:
        yield refused("database", error)
    yield from _log(path)


def _on_a_server(settings: Settings, folders: list[Path]) -> Iterator[Diagnosis]:
    try:
        with closing(open_database(settings)) as database, database.get_connection() as connection:
            held = database.storage()
            yield well("database", f"{database.path}, {held.engine_version}, books {short(book_id(connection))}, {size(held.file_bytes)}")
            yield from _of_their_folders(connection, folders)
    except Unavailable as error:
        yield refused("database", error, Level.NOT_CHECKED)
    except BooksError as error:
        yield refused("database", error)


def _of_their_folders(connection: Connection, folders: list[Path]) -> Iterator[Diagnosis]:
    """Whether the folders for backups are the ones that these books have used."""
    for folder in folders:
        try:
            refuse_strange(connection, folder)
            yield well("backup folder", f"{folder} is theirs" if folder.is_dir() else f"{folder} is not there yet")
        except BooksError as error:
            yield refused("backup folder", error)
        except OSError as error:
            yield not_checked("backup folder", f"{folder}: {error.strerror}", "run this as the user whom the books belong to")


def _log(path: Path) -> Iterator[Diagnosis]:
    try:
        taken = Path(f"{path}-wal").stat().st_size
    except OSError:  # there is none, or what is said above of the file holds for it, too
        return
    if taken >= LONG_WAL_BYTES:
        rule = f"shorter than {size(LONG_WAL_BYTES)}: a reader that stays keeps it from being emptied"
        yield warning("write-ahead log", size(taken), rule, f"`lsof {path}` names who reads; end that program")
    elif taken:
        yield well("write-ahead log", size(taken))
