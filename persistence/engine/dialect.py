"""The few words of SQL that engines do not share. All other statements are written so that SQLite and PostgreSQL take them as they stand.

Two functions are expected of every engine under SQLite's names: `decimal_sum(text)`, the exact sum of decimal texts as a
decimal text, and `group_concat(text, text)`. Parameters are `?`, or `?1` where one is used twice; an engine that writes them otherwise
translates a statement once.
"""

from __future__ import annotations

from typing import NamedTuple


class Dialect(NamedTuple):
    """How one engine says what the others say differently. Each word is a template of its arguments."""

    #: A JSON array of the arguments, as `persistence.domain.texts.canonical_text` writes it.
    json_array: str
    #: The JSON array of the first argument over the rows of a group, ordered by the second.
    json_group: str
    #: Bytes as lower-case hexadecimal text.
    hex: str
    #: One column as it stands in `json_array`.
    json_item: str = "{}"
    #: What follows a SELECT of rows that this commit is about to change, so that no other commit changes them meanwhile; by the column that
    #: they are taken in the order of. Nothing where only one commit is under way at a time.
    held: str = ""

    def array(self, *columns: str) -> str:
        return self.json_array.format(", ".join(map(self.json_item.format, columns)))

    def array_of_rows(self, column: str, order: str) -> str:
        return self.json_group.format(column, order)

    def hexadecimal(self, column: str) -> str:
        return self.hex.format(column)

    def holding(self, column: str) -> str:
        return self.held.format(column)
