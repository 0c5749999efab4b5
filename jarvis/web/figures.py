"""Positions and lots, performance, statements."""

from __future__ import annotations

from datetime import date as Date
from typing import Any

from jarvis.reading import performance as plain
from jarvis.reading.statement import bounds
from jarvis.reading.statement import statement as plain_statement
from jarvis.web import asking, cursor
from jarvis.web.books import known
from jarvis.web.desk import Reading
from jarvis.web.paging import named, page
from jarvis.web.problems import problem
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup import tables
from scheduler.rollup.converted import Converter
from scheduler.rollup.days import day_of
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.statement import statement as stated
from scheduler.rollup.summary import summarise


def positions(reading: Reading, asked: asking.Standing) -> Any:
    options, day = _at(reading, asked)
    with SQLiteRollupRepository(reading.books).reading(asked.account) as books:
        return page((named(tables.POSITIONS, row) for row in tables.positions(books, options, day)), asked)


def lots(reading: Reading, asked: asking.Standing) -> Any:
    options, day = _at(reading, asked)
    with SQLiteRollupRepository(reading.books).reading(asked.account) as books:
        return page((named(tables.LOTS, row) for row in tables.lots(books, options, day)), asked)


def _at(reading: Reading, asked: asking.Standing) -> tuple[RollupOptions, Date]:
    known(reading, asked.account)
    options = reading.settings.rollup_plan.of(asked.account)
    return options, asked.date or day_of(reading.now, options.zone)


def performance(reading: Reading, asked: asking.Rows) -> Any:
    known(reading, asked.account)
    options = reading.settings.rollup_plan.of(asked.account)
    with SQLiteRollupRepository(reading.books).reading(asked.account) as books:
        if asked.currency == "USD":
            rows = plain.daily_rows(books, asked.first, asked.last)
        else:
            first, last = asked.first or Date.min, asked.last or Date.max
            converted = (plain.converted_row(row, asked.currency) for row in Converter(books, options, asked.currency).rows())
            rows = [row for row in converted if first <= row["date"] <= last]
    # By its day, so that a row that is added meanwhile moves no other one to another page.
    [after] = (0,) if asked.after is None else cursor.read(asked.after, int)
    rest = [row for row in rows if row["date"].toordinal() > after]
    shown = rest[: asked.limit]
    return {"items": shown, "next": cursor.written(shown[-1]["date"].toordinal()) if len(rest) > len(shown) else None}


def performance_summary(reading: Reading, asked: asking.Summary) -> Any:
    known(reading, asked.account)
    options, repository = reading.settings.rollup_plan.of(asked.account), SQLiteRollupRepository(reading.books)
    with repository.reading(asked.account) as books:
        found = summarise(books, options, asked.first, asked.last, asked.currency)
    if found is None:
        remedy = "/api/v1/performance lists the rows that there are; `jarvis rollup` brings them up to date"
        raise problem(404, "there is no row in that period", remedy, parameter="account", value=asked.account)
    withheld = plain.withheld_in(repository.withheld(asked.account), found, asked.first, asked.last)
    return plain.summary(asked.account, options, found, withheld)


def statement(reading: Reading, asked: asking.Statement) -> Any:
    known(reading, asked.account)
    options = reading.settings.rollup_plan.of(asked.account)
    with SQLiteRollupRepository(reading.books).reading(asked.account) as books:
        first, last = asked.days or bounds(books, options, asked.first, asked.last, reading.now)
        if last < first:
            name, value, other = ("to", last, first) if asked.last is not None else ("from", first, last)
            order = "before the first day" if name == "to" else "after the last day"
            raise problem(400, f"must not be {order}, {other}", "choose other days", parameter=name, value=value)
        return plain_statement(asked.account, options, first, last, stated(books, options, first, last))
