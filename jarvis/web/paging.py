"""Pages of listings that are put together whole: where one goes on is a number of rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jarvis.web import cursor
from jarvis.web.asking import Paged


def page(rows: Iterable[Any], asked: Paged) -> dict[str, Any]:
    """The rows of one page."""
    listed = list(rows)
    [start] = (0,) if asked.after is None else cursor.read(asked.after, int)
    end = max(0, start) + asked.limit
    return {"items": listed[max(0, start) : end], "next": cursor.written(end) if end < len(listed) else None}


def named(columns: Iterable[str], values: Iterable[Any]) -> dict[str, Any]:
    return dict(zip(columns, values, strict=True))
