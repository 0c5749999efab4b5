"""Folders for backups: which one belongs to which books.

Such a folder carries a marker with the ids of the books that use it, and the books remember the folder. An empty one at the same path
is a disk that is not mounted, so nothing is written there.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from persistence.books.book import book_id
from persistence.copies.manifest import read_manifest
from persistence.domain.errors import Unavailable, WrongFolder
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.engine.sqlite.host import disk_not_mounted
from persistence.files import make_last_folder, replaced

MARKER = ".books"
MANIFEST = ".manifest.json"


def claim(database: SQLiteDatabase, folder: Path, *, adopt: bool = False, remember: bool = True) -> None:
    """Make sure that a folder is the one that these books keep backups in, before one is written there. The first time, or to `adopt` it,
    it is made where it is missing, marked, and remembered unless the books are not to be written to.

    Raises `WrongFolder` where these books have used it and it does not carry their mark, nor any backup of them.
    """
    where = str(folder.absolute())
    with database.get_connection() as connection:
        ours = book_id(connection)
        known = connection.execute("SELECT 1 FROM backup_folders WHERE path = ?", (where,)).get is not None
    if ours in marked(folder):
        if remember and not known:
            _remember(database, where)
        return
    if not adopt:
        if known and not _keeps_backups_of(folder, ours):
            raise WrongFolder(
                f"{folder} is not the folder that keeps the backups of these books: its mark ({folder / MARKER}) is "
                f"{'missing' if not marked(folder) else 'that of other books'}, and it holds no backup of them. Is the disk mounted? "
                f"If this folder is to be used from now on: `jarvis backup adopt {folder}`"
            )
        if not known and (point := disk_not_mounted(folder)) is not None:
            raise WrongFolder(
                f"{folder}: /etc/fstab says that a disk belongs at {point}, where none is mounted. Mount it; or, to keep backups there without it, "
                f"`jarvis backup adopt {folder}`"
            )
    make_last_folder(folder)
    _mark(folder, ours)
    if remember and not known:
        _remember(database, where)


def marked(folder: Path) -> list[str]:
    """The ids of the books that use a folder, by the marker in it."""
    with suppress(OSError):
        return (folder / MARKER).read_text("utf-8", "replace").split()
    return []


def _mark(folder: Path, ours: str) -> None:
    try:
        with replaced(folder / MARKER) as file:
            file.write("".join(f"{book}\n" for book in (*marked(folder), ours)).encode())
    except OSError as error:
        raise Unavailable(f"could not write {folder / MARKER}: {error.strerror or error}; check the folder, its owner and its mode") from error


def _remember(database: SQLiteDatabase, where: str) -> None:
    with database.transaction() as connection:
        connection.execute("INSERT OR IGNORE INTO backup_folders (path, first_used_at) VALUES (?, ?)", (where, connection.now))


def _keeps_backups_of(folder: Path, ours: str) -> bool:
    return any(books_of(read_manifest(path.with_name(path.name.removesuffix(MANIFEST)))) == ours for path in folder.glob(f"*{MANIFEST}"))


def books_of(manifest: Mapping[str, Any] | None) -> str | None:
    """Of which books a backup is; None where its manifest does not tell."""
    head = (manifest or {}).get("chain")
    return str(head["book"]) if isinstance(head, dict) and "book" in head else None


__all__ = ["MARKER", "books_of", "claim", "marked"]
