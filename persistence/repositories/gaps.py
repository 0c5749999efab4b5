"""Open gaps: sequence numbers of a producer that never arrived."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import to_datetime
from persistence.books import events, gaps
from persistence.engine.contract import Database


@dataclass(frozen=True, slots=True)
class Gap:
    """The numbers `first` to `last` of a producer are missing since `noticed_at`."""

    producer: str
    first: int
    last: int
    noticed_at: datetime

    @property
    def missing(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Missing:
    """All open gaps together. `noticed_at` is the instant at which the first of them was noticed; None where there is none."""

    numbers: int
    producers: int
    noticed_at: int | None


class SQLiteGapRepository:
    """Open gaps, by producer and number; accepting one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_open(self, producer: str | None = None) -> list[Gap]:
        where, params = ("WHERE producer = ?", (producer,)) if producer is not None else ("", ())
        sql = f"SELECT producer, first, last, noticed_at FROM gaps {where} ORDER BY producer, first"
        return [Gap(row[0], row[1], row[2], to_datetime(row[3])) for row in self._database.execute_query(sql, params)]

    def missing(self) -> Missing:
        [row] = self._database.execute_query(
            "SELECT CAST(coalesce(sum(CAST(last - first + 1 AS DOUBLE PRECISION)), 0) AS BIGINT), count(DISTINCT producer), min(noticed_at) FROM gaps"
        )
        return Missing(int(row[0]), int(row[1]), row[2])

    def accept(self, producer: str, first: int | None, last: int | None, reason: str) -> list[tuple[int, int]]:
        """Settle what a producer left out (of a range, or all of it) for good: events of the chain. Returns the ranges that were open."""
        with self._database.transaction() as connection:
            bounds = connection.execute("SELECT min(first), max(last) FROM gaps WHERE producer = ?", (producer,)).get
            if bounds[0] is None:
                raise Invalid(f"no number of producer {producer} is missing; `jarvis gaps` lists the gaps that are open")
            ranges = gaps.accept(connection, producer, bounds[0] if first is None else first, bounds[1] if last is None else last)
            if not ranges:
                raise Invalid(f"none of the numbers {first} to {last} of producer {producer} is missing; `jarvis gaps --producer {producer}` lists its gaps")
            for since, until in ranges:
                content = {"producer": producer, "first": since, "last": until, "reason": reason}
                events.record(connection, events.GAP_ACCEPTED, connection.now, content)
            return ranges
