"""All rows of a query, with the names of their columns."""

from __future__ import annotations

import apsw

from persistence.engine.result_rows import Row, rows_of


def rows_read(cursor: apsw.Cursor) -> list[Row]:
    for first in cursor:
        # The driver knows the columns only as long as rows are left.
        columns = [column[0] for column in cursor.get_description()]
        return rows_of([first, *cursor], columns)
    return []
