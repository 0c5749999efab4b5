"""Moving the books to another engine: every row, and whose books they are last. The source is only read.

begin      the target is empty, or what an earlier run of the same move left
carry      table by table in the order of keys, some thousand rows a commit: a run that ended goes on behind the last row
compare    every row is read back from the target and held against the source's
finish     one commit makes the target these books: before it no program opens it, after it nothing tells that it was moved
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from jarvis_client.contract.errors import Invalid, Unavailable
from persistence.domain.errors import WrongDatabase
from persistence.domain.progress import Progress, silent
from persistence.engine import carrying
from persistence.engine.carrying import Table
from persistence.engine.contract import UNFINISHED_MOVE, Connection, Database
from persistence.proof import chain
from persistence.proof.chain import Head

#: What no commit leaves as it was, on either engine.
_STATE = (
    "SELECT book_id, epoch, commit_no, (SELECT coalesce(max(fact_no), 0) FROM facts), (SELECT coalesce(max(event_no), 0) FROM chain_events), "
    "(SELECT CAST(coalesce(sum(deliveries), 0) AS INTEGER) FROM quarantine), (SELECT CAST(coalesce(sum(dirty_count), 0) AS INTEGER) FROM accounts) FROM book"
)


class Moved(NamedTuple):
    """What a move brought over, and the head of the chain there."""

    facts: int
    #: Of all tables.
    rows: int
    #: Those of them that an earlier run had brought.
    were_there: int
    head: Head


def move(source: Database, target: Database, progress: Progress = silent) -> Moved:
    """Bring the books of `source` into `target`, whose tables are there. Nobody may write to either meanwhile.

    Raises `Invalid` where the target holds anything else, `Unavailable` where the source was written to meanwhile or the target cannot be
    reached: the same call goes on. `WrongDatabase` where a row that was read back is not the source's: the next call begins anew.
    """
    with source.snapshot() as original:
        state = _state(original)
        _begin(target, state)
        were_there, rows = _carry(original, target, progress)
        _compare(original, target, progress)
        with source.get_connection() as connection, target.get_connection() as other:
            head = chain.head(connection)
            if (found := chain.head(other)) != head:
                raise WrongDatabase(f"the chain of {target.path} ends with {found}, that of {source.path} with {head}; run the same command again")
            facts = _count(connection, _table("facts"))
            [book] = next(carrying.rows_of(connection, _table("book")))
    with source.get_connection() as connection:
        if _state(connection) != state:
            raise Unavailable(
                f"{source.path} was written to meanwhile: stop every worker and scheduler that uses it, on every host, then run the same command again"
            )
    _finish(target, book)
    return Moved(facts, rows, were_there, head)


def _table(name: str) -> Table:
    return next(table for table in carrying.tables() if table.name == name)


#: Whose books these are comes last.
def _carried() -> list[Table]:
    return [table for table in carrying.tables() if table.name != "book"]


def _state(connection: Connection) -> str:
    return json.dumps(list(connection.execute(_STATE).get))


def _begin(target: Database, state: str) -> None:
    """Mark the target as half-moved from books in this state; what an earlier run brought from another state is taken away."""
    with target.transaction() as connection:
        begun = _begun(connection)
        if begun is None:
            filled = [table.name for table in _carried() if connection.execute(f"SELECT 1 FROM {table.name} LIMIT 1").fetchall()]
            if filled:
                raise Invalid(
                    f"{target.path} holds something already ({', '.join(filled[:3])}{', …' if len(filled) > 3 else ''}); "
                    "books are moved into an empty database or schema alone: name another one"
                )
            connection.execute(f"CREATE TABLE {UNFINISHED_MOVE} (state TEXT NOT NULL)")
        elif begun != state:
            for table in reversed(_carried()):
                connection.execute(f"DELETE FROM {table.name}")
            connection.execute(f"DELETE FROM {UNFINISHED_MOVE}")
        if begun != state:
            connection.execute(f"INSERT INTO {UNFINISHED_MOVE} (state) VALUES (?)", (state,))


def _begun(connection: Connection) -> str | None:
    """The state of the source that an unfinished move into here began with."""
    if not connection.has_table(UNFINISHED_MOVE):
        return None
    return str(connection.execute(f"SELECT state FROM {UNFINISHED_MOVE}").get)


def _carry(original: Connection, target: Database, progress: Progress) -> tuple[int, int]:
    """Every row that is not there yet. Returns how many were, and how many there are."""
    of = sum(_count(original, table) for table in _carried())
    with target.get_connection() as connection:
        were_there = done = sum(_count(connection, table) for table in _carried())
    for table in _carried():
        with target.get_connection() as connection:
            reached = carrying.last_key(connection, table)
        for rows in carrying.rows_of(original, table, reached):
            with target.transaction() as connection:
                connection.insert_many(table.insert, rows)
            done += len(rows)
            progress(f"carrying {table.name.replace('_', ' ')}", done, of)
    return were_there, done


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table.name}").get)


def _compare(original: Connection, target: Database, progress: Progress) -> None:
    tables = _carried()
    progress("reading back and comparing", 0, len(tables))
    with target.snapshot() as connection:
        for number, table in enumerate(tables, 1):
            progress("reading back and comparing", number, len(tables))
            differs = carrying.first_difference(original, connection, table)
            if differs is not None:
                break
    if differs is not None:
        with target.transaction() as connection:
            connection.execute(f"UPDATE {UNFINISHED_MOVE} SET state = ''")
        raise WrongDatabase(
            f"{target.path}, {differs.table} {_key(differs.key)}: {_told(differs.expected)} was carried, {_told(differs.found)} was read back. Nothing else "
            "may write there; run the same command again, which begins anew"
        )


def _key(key: tuple[Any, ...]) -> str:
    return "/".join(map(str, key))


def _told(row: tuple[Any, ...] | None) -> str:
    return "no row" if row is None else f"{row!r:.300}"


def _finish(target: Database, book: tuple[Any, ...]) -> None:
    with target.transaction() as connection:
        connection.execute("DELETE FROM book")
        connection.execute(_table("book").insert, book)
        connection.execute(f"DROP TABLE {UNFINISHED_MOVE}")
        connection.rows_came_over()


__all__ = ["Moved", "move"]
