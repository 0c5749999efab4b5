"""Result rows that are read by position or by column name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, overload

from jarvis_client.contract.errors import Invalid


class Row(tuple[Any, ...]):
    """A result row: by position like any tuple, or by column name."""

    __slots__ = ()
    _columns: tuple[str, ...] = ()

    @overload  # type: ignore[override]
    def __getitem__(self, key: str | int) -> Any: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Any, ...]: ...
    def __getitem__(self, key: str | int | slice) -> Any:
        if isinstance(key, str):
            if key not in self._columns:
                raise Invalid(f"there is no column {key!r:.60}; there are {', '.join(self._columns)}")
            return tuple.__getitem__(self, self._columns.index(key))
        return tuple.__getitem__(self, key)

    def keys(self) -> tuple[str, ...]:
        return self._columns

    def asdict(self) -> dict[str, Any]:
        return dict(zip(self._columns, self, strict=True))


def rows_of(values: Iterable[Sequence[Any]], columns: Iterable[str]) -> list[Row]:
    """Rows whose columns have these names."""
    kind = _row_type(tuple(columns))
    return [kind(row) for row in values]


@lru_cache(maxsize=256)
def _row_type(columns: tuple[str, ...]) -> type[Row]:
    return type("Row", (Row,), {"__slots__": (), "_columns": columns})
