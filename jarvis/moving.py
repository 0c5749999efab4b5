"""Moving the books by command, from where the settings have them to a server or a file. The steps stand in `persistence.copies.moving`."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from jarvis.opening import open_database
from jarvis.restoring import nobody_else, stop_holders
from jarvis.settings import Settings
from jarvis_client.contract.errors import Invalid
from persistence.copies import identity
from persistence.copies.moving import Moved, move
from persistence.domain.address import SCHEMES, is_server
from persistence.domain.progress import Progress, silent
from persistence.engine.contract import UNFINISHED_MOVE, Database
from persistence.engine.sqlite.database import BESIDE, SQLiteDatabase
from persistence.files import fsync_folder, make_last_folder, same_owner
from persistence.opening import open_books

#: Added to the name of the file that books are moved into, until all of them are there.
UNFINISHED = ".half-moved"
_OF_A_FILE = "sqlite:///"


class Place(NamedTuple):
    """Where books were moved to: what `jarvis` calls it, and what has to be set so that it is used."""

    shown: str
    to_be_set: str


def move_books(settings: Settings, to: str, *, stop: bool = False, progress: Progress = silent) -> tuple[Moved, Place]:
    """Bring the configured books to a URL, of PostgreSQL or `sqlite:///PATH`, or to the path of a file. They themselves are only read.

    Raises `HeldElsewhere` where somebody of this host works on them, `Invalid` for a place that holds something already, and what
    `persistence.copies.moving.move` does.
    """
    folder = settings.data_folder
    if stop:
        progress("stopping the workers and the scheduler", 0, 0)
        stop_holders(folder)
    with nobody_else(folder), closing(open_database(settings)) as source:
        if is_server(to):
            with closing(open_books(to, folder=folder, half_moved=True)) as target:
                target.initialize()
                return move(source, target, progress), Place(target.path, "let database.url or database.url_file name it on every host")
        path = _file_of(to)
        return _into_file(source, path, progress), Place(str(path), "let database.path name it, and take database.url away, on this host alone")


def _file_of(to: str) -> Path:
    if "://" in to and not to.startswith(_OF_A_FILE):
        raise Invalid(f"{to.partition('://')[0]}:// is no place for books; name {SCHEMES[0]}USER@HOST/DATABASE, or the path of a new file")
    path = Path(to.removeprefix(_OF_A_FILE)).absolute()
    if path.exists():
        raise Invalid(f"{path} exists already; books are moved into a new file: name another one, or move this one away")
    identity.refuse_to_replace(path, [])
    return path


def _into_file(source: Database, path: Path, progress: Progress) -> Moved:
    """Into a file beside it, which gets its name once it is whole."""
    make_last_folder(path.parent)
    unfinished = path.with_name(path.name + UNFINISHED)
    if unfinished.exists() and not _is_begun(unfinished):
        _remove(unfinished)
    with closing(SQLiteDatabase(unfinished)) as target:
        target.open_up()
        moved = move(source, target, progress)
    same_owner(unfinished, path.parent)
    os.replace(unfinished, path)
    _remove(unfinished)
    fsync_folder(path.parent)
    return moved


def _is_begun(unfinished: Path) -> bool:
    """Whether a move into the file was cut off: one that had only to be given its name is whole, and is made again."""
    with closing(SQLiteDatabase.looking(unfinished)) as database, database.get_connection() as connection:
        return connection.has_table(UNFINISHED_MOVE)


def _remove(unfinished: Path) -> None:
    for suffix in ("", "-mark", *BESIDE):
        with suppress(FileNotFoundError):
            os.unlink(f"{unfinished}{suffix}")


__all__ = ["Place", "move_books"]
