"""Open gaps: sequence numbers of a producer that never arrived."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from persistence.domain.instants import to_datetime
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


class SQLiteGapRepository:
    """Open gaps, by producer and number."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_open(self, producer: str | None = None) -> list[Gap]:
        where, params = ("WHERE producer = ?", (producer,)) if producer is not None else ("", ())
        sql = f"SELECT producer, first, last, noticed_at FROM gaps {where} ORDER BY producer, first"
        return [Gap(row[0], row[1], row[2], to_datetime(row[3])) for row in self._database.execute_query(sql, params)]
