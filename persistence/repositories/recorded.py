"""How much was recorded and when, asked in a moment of books of any size: nothing here counts rows that grow with time."""

from __future__ import annotations

from persistence.engine.contract import Database


class SQLiteRecordedRepository:
    """The facts by their numbers, which are given in the order of commits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(self) -> tuple[int, int] | None:
        """The number of the newest fact, which is how many there are, and when it was recorded; None where there is none."""
        return self._first("ORDER BY fact_no DESC LIMIT 1")

    def oldest(self) -> tuple[int, int] | None:
        return self._first("ORDER BY fact_no LIMIT 1")

    def since(self, instant: int) -> int:
        """How many facts were recorded at this instant or later, found by halving: their instants rise with their numbers, except where a
        clock was set back or an erased fact was recorded anew."""
        newest, oldest = self.newest(), self.oldest()
        if newest is None or oldest is None:
            return 0
        low, high = oldest[0], newest[0] + 1
        while low < high:
            middle = (low + high) // 2
            found = self._first("WHERE fact_no >= ? ORDER BY fact_no LIMIT 1", middle)
            if found is None or found[1] >= instant:
                high = middle
            else:
                low = found[0] + 1
        return newest[0] + 1 - low

    def _first(self, where: str, *params: int) -> tuple[int, int] | None:
        rows = self._database.execute_query(f"SELECT fact_no, recorded_at FROM facts {where}", params)
        return (int(rows[0][0]), int(rows[0][1])) if rows else None
