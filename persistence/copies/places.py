"""Folders for backups: which one belongs to which books.

Such a folder carries a marker with the ids of the books that use it, and the books remember the folder. An empty one at the same path
is a disk that is not mounted, so nothing is written there.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from jarvis_client.contract.errors import Unavailable
from persistence.books.book import book_id
from persistence.copies.manifest import read_manifest
from persistence.domain.errors import WrongFolder
from persistence.engine.contract import Connection, Database
from persistence.engine.sqlite.host import disk_not_mounted
from persistence.files import make_last_folder, replaced

MARKER = ".books"
MANIFEST = ".manifest.json"


def claim(database: Database, folder: Path, *, adopt: bool = False, remember: bool = True) -> None:
    """Take a folder for the backups of these books: where it is theirs already nothing changes; the first time, or to `adopt` it, it is
    made where it is missing, marked, and remembered unless the books are not to be written to.

    Raises `WrongFolder` as `enter` does.
    """
    with database.get_connection() as connection:
        ours, known = _known(connection, folder)
    if adopt:
        make_last_folder(folder)
    else:
        enter(database, folder)
    if ours not in marked(folder):
        _mark(folder, ours)
    if remember and not known:
        with database.transaction() as connection:
            connection.execute(
                "INSERT INTO backup_folders (path, first_used_at) VALUES (?, ?) ON CONFLICT (path) DO NOTHING", (str(folder.absolute()), connection.now)
            )


def enter(database: Database, folder: Path) -> None:
    """Make a folder for the backups of these books where it is missing, before anything is looked at or written there.

    Raises `WrongFolder` as `refuse_strange` does, and where the folder above it is missing.
    """
    with database.get_connection() as connection:
        refuse_strange(connection, folder)
    make_last_folder(folder)


def refuse_strange(connection: Connection, folder: Path) -> None:
    """Raises `WrongFolder` where these books have used the folder and it carries neither their mark nor any backup of them, or where its
    disk is not mounted."""
    ours, known = _known(connection, folder)
    if known and ours not in marked(folder) and not _keeps_backups_of(folder, ours):
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


def _known(connection: Connection, folder: Path) -> tuple[str, bool]:
    """The id of the books, and whether they have used a folder."""
    used = connection.execute("SELECT 1 FROM backup_folders WHERE path = ?", (str(folder.absolute()),)).get
    return book_id(connection), used is not None


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


def _keeps_backups_of(folder: Path, ours: str) -> bool:
    return any(books_of(read_manifest(path.with_name(path.name.removesuffix(MANIFEST)))) == ours for path in folder.glob(f"*{MANIFEST}"))


def books_of(manifest: Mapping[str, Any] | None) -> str | None:
    """Of which books a backup is; None where its manifest does not tell."""
    head = (manifest or {}).get("chain")
    return str(head["book"]) if isinstance(head, dict) and "book" in head else None


__all__ = ["MARKER", "books_of", "claim", "enter", "marked", "refuse_strange"]
