"""Whose books these are: an id for ever, and an epoch that going back renews."""

from __future__ import annotations

from persistence.engine.contract import Connection


def book_id(connection: Connection) -> str:
    """The id of the books, whatever the file is called."""
    return book_id_and_epoch(connection)[0]


def book_id_and_epoch(connection: Connection) -> tuple[str, str]:
    """The id of the books, and their epoch."""
    book, epoch = connection.execute("SELECT book_id, epoch FROM book").get
    return str(book), str(epoch)
