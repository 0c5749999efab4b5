"""Gaps: sequence numbers of a producer that never arrived.

A number counts as arrived with any delivery of its record: applied, duplicate or quarantined. The gaps depend only on the set of
numbers that arrived, not on their order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from persistence.engine.contract import Connection


def note(connection: Connection, arrived: dict[str, set[int]], now: int) -> None:
    """Take the numbers of one commit into account: open the gaps that they show, close those that they fill."""
    for producer, numbers in arrived.items():
        for first, last in _runs(numbers):
            _note_run(connection, producer, first, last, now)


def _note_run(connection: Connection, producer: str, first: int, last: int, now: int) -> None:
    known = connection.execute("SELECT lowest, highest FROM producers WHERE producer = ?", (producer,)).get
    if known is None:
        connection.execute("INSERT INTO producers (producer, lowest, highest, seen_at) VALUES (?, ?, ?, ?)", (producer, first, last, now))
        return
    lowest, highest = known
    if first > highest + 1:
        connection.execute("INSERT INTO gaps (producer, first, last, noticed_at) VALUES (?, ?, ?, ?)", (producer, highest + 1, first - 1, now))
    elif last < lowest - 1:
        connection.execute("INSERT INTO gaps (producer, first, last, noticed_at) VALUES (?, ?, ?, ?)", (producer, last + 1, lowest - 1, now))
    else:
        _fill(connection, producer, first, last)
    connection.execute("UPDATE producers SET lowest = ?, highest = ?, seen_at = ? WHERE producer = ?", (min(lowest, first), max(highest, last), now, producer))


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


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Consecutive numbers as (first, last), ascending."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return runs
