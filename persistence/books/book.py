"""Whose books these are: an id for ever, and an epoch that going back renews. And how far they reach."""

from __future__ import annotations

from typing import NamedTuple

from persistence.books.events import LOSS_ACCEPTED, RESTORED, of_kind
from persistence.engine.contract import Connection


class Reach(NamedTuple):
    """How far books reach, as an order among copies of the same books: first how often they went back, then how many commits they hold.

    After going back commits are counted on from an earlier one, so their number alone says nothing.
    """

    generation: int
    commit_no: int
    fact_no: int


def book_id(connection: Connection) -> str:
    """The id of the books, whatever the file is called."""
    return book_id_and_epoch(connection)[0]


def book_id_and_epoch(connection: Connection) -> tuple[str, str]:
    """The id of the books, and their epoch."""
    book, epoch = connection.execute("SELECT book_id, epoch FROM book").get
    return str(book), str(epoch)


def generation(connection: Connection) -> int:
    """Which of their lives these books are in: 0, and one more than any other known whenever they went back."""
    events = [content for kind in (RESTORED, LOSS_ACCEPTED) for _, content in of_kind(connection, kind)]
    return max((g for content in events if isinstance(g := content.get("generation"), int)), default=0)


def reach(connection: Connection) -> Reach:
    sql = "SELECT commit_no, (SELECT coalesce(max(fact_no), 0) FROM facts) FROM book"
    return Reach(generation(connection), *connection.execute(sql).get)


def short(book: str) -> str:
    """A book's id as people read it and type it."""
    return book[:8]
