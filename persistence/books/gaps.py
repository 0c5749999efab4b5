"""Gaps: sequence numbers of a producer that never arrived.

A number counts as arrived with any delivery of its record: applied, duplicate or quarantined. The gaps depend only on the set of
numbers that arrived, not on their order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from persistence.engine.contract import Connection


class Opened(NamedTuple):
    """The numbers `first` to `last` of a producer were found missing."""

    producer: str
    first: int
    last: int


def note(connection: Connection, arrived: dict[str, set[int]], now: int) -> list[Opened]:
    """Take the numbers of one commit into account: open the gaps that they show, close those that they fill. Returns what was opened."""
    opened = []
    for producer, numbers in sorted(arrived.items()):
        for first, last in runs(numbers):
            gap = _note_run(connection, producer, first, last, now)
            if gap is not None:
                opened.append(gap)
    return opened


def not_counted(connection: Connection, arrived: dict[str, set[int]]) -> dict[str, set[int]]:
    """Which of these numbers have not arrived before."""
    found: dict[str, set[int]] = {}
    for producer, numbers in sorted(arrived.items()):
        known = _held(connection, producer)
        if known is None:
            found[producer] = set(numbers)
            continue
        missing = "SELECT 1 FROM gaps WHERE producer = ? AND first <= ? AND last >= ? LIMIT 1"
        found[producer] = {n for n in numbers if not known[0] <= n <= known[1] or connection.execute(missing, (producer, n, n)).get is not None}
    return found


def accept(connection: Connection, producer: str, first: int, last: int) -> list[tuple[int, int]]:
    """Take what is missing of a range out of the gaps for good. Returns what that was."""
    sql = "SELECT first, last FROM gaps WHERE producer = ? AND first <= ? AND last >= ? ORDER BY first"
    _held(connection, producer)
    met: list[Any] = connection.execute(sql, (producer, last, first)).fetchall()
    _fill(connection, producer, first, last)
    return [(max(first, gap_first), min(last, gap_last)) for gap_first, gap_last in met]


def _note_run(connection: Connection, producer: str, first: int, last: int, now: int) -> Opened | None:
    known = _held(connection, producer)
    if known is None:
        new = "INSERT INTO producers (producer, lowest, highest, seen_at) VALUES (?, ?, ?, ?) ON CONFLICT (producer) DO NOTHING"
        if connection.changed(new, (producer, first, last, now)):
            return None
        known = _held(connection, producer)  # somebody else was faster
    lowest, highest = known
    opened = None
    if first > highest + 1:
        opened = Opened(producer, highest + 1, first - 1)
    elif last < lowest - 1:
        opened = Opened(producer, last + 1, lowest - 1)
    if opened is not None:
        connection.execute("INSERT INTO gaps (producer, first, last, noticed_at) VALUES (?, ?, ?, ?)", (*opened, now))
    else:
        _fill(connection, producer, first, last)
    connection.execute("UPDATE producers SET lowest = ?, highest = ?, seen_at = ? WHERE producer = ?", (min(lowest, first), max(highest, last), now, producer))
    return opened


def _held(connection: Connection, producer: str) -> Any:
    """(lowest, highest) of a producer, whose numbers nobody else notes before this commit has ended."""
    holding = connection.dialect.holding("producer")
    sql = f"SELECT lowest, highest FROM producers WHERE producer = ?{holding}"
    return connection.execute(sql, (producer,)).get


def _fill(connection: Connection, producer: str, first: int, last: int) -> None:
    """Remove a run of numbers from the gaps that it overlaps. The rest of a gap keeps its time of notice."""
    sql = "SELECT first, last, noticed_at FROM gaps WHERE producer = ? AND first <= ? AND last >= ?"
    met: list[Any] = connection.execute(sql, (producer, last, first)).fetchall()
    for gap_first, gap_last, noticed in met:
        connection.execute("DELETE FROM gaps WHERE producer = ? AND first = ?", (producer, gap_first))
        if gap_first < first:
            connection.execute("INSERT INTO gaps (producer, first, last, noticed_at) VALUES (?, ?, ?, ?)", (producer, gap_first, first - 1, noticed))
        if gap_last > last:
            connection.execute("INSERT INTO gaps (producer, first, last, noticed_at) VALUES (?, ?, ?, ?)", (producer, last + 1, gap_last, noticed))


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Consecutive numbers as (first, last), ascending."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return found
