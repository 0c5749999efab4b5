"""Tables out of the books: CSV, JSON, NDJSON.

Amounts are exact decimal text, instants RFC 3339 in UTC. Rows stand in the order of facts and no column records arrival, so
the same set of facts exports to the same bytes whatever order they came in.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from persistence.books import movements, orders
from persistence.books.order_of_facts import period
from persistence.domain.errors import Invalid, Unavailable
from persistence.domain.instants import to_text
from persistence.domain.money import EXACT, canonical
from persistence.domain.order import average_price
from persistence.engine.contract import Connection, Database
from persistence.files import replaced

FORMATS = ("csv", "json", "ndjson")


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of export: its columns, its query (with {where}), how a row becomes values, and the column that a period bounds."""

    columns: tuple[str, ...]
    sql: str
    values: Callable[[Sequence[Any]], Sequence[Any]]
    account_column: str
    time_column: str | None
    by_date: bool = False


def _transaction(row: Sequence[Any]) -> Sequence[Any]:
    number, account_id, at, kind, currency, amount, description, reference, fact, record_id, voided = row
    leg = number % movements.LEGS
    return (
        movements.transaction_id(fact, account_id, record_id, leg), account_id, to_text(at), kind, currency, amount, fact, record_id,
        leg >= movements.REVERSAL, bool(voided), description, reference,
    )  # fmt: skip


def _fill(row: Sequence[Any]) -> Sequence[Any]:
    values = list(row)
    values[12] = to_text(values[12])
    values[-1] = bool(values[-1])
    return values


def _order(row: Sequence[Any]) -> Sequence[Any]:
    *head, filled, cash, weight, count, status, reserved, currency, created, updated, executed = row
    average = average_price(Decimal(cash), Decimal(weight))
    return (
        *head, status, filled, None if average is None else canonical(average), cash, count, reserved, currency, to_text(created),
        to_text(updated), None if executed is None else to_text(executed),
    )  # fmt: skip


def _balance(row: Sequence[Any]) -> Sequence[Any]:
    account_id, currency, available, reserved = row
    return account_id, currency, available, reserved, canonical(EXACT.add(Decimal(available), Decimal(reserved)))


TABLES = {
    "transactions": Table(
        ("transaction_id", "account_id", "occurred_at", "type", "currency", "amount", "fact_kind", "fact_id",
         "is_reversal", "is_voided", "description", "reference"),
        "SELECT t.transaction_no, t.account_id, t.occurred_at, t.type, t.currency, t.amount, t.description, t.reference, f.kind, f.record_id, f.state = 1 "
        f"FROM transactions t JOIN facts f ON f.fact_no = t.fact_no {{where}} ORDER BY {movements.OLDEST_FIRST}",
        _transaction, "t.account_id", "t.occurred_at",
    ),
    "fills": Table(
        ("fill_id", "account_id", "order_id", "symbol", "side", "quantity", "price", "quote_quantity", "base", "quote", "fee", "fee_currency",
         "executed_at", "multiplier", "quote_usd_rate", "fee_usd_rate", "liquidity", "order_type", "order_quantity", "order_price", "extra",
         "producer", "sequence", "is_voided"),
        "SELECT l.fill_id, l.account_id, l.order_id, l.symbol, l.side, l.quantity, l.price, l.quote_quantity, l.base, l.quote, l.fee, "
        "l.fee_currency, l.executed_at, l.multiplier, l.quote_usd_rate, l.fee_usd_rate, l.liquidity, l.order_type, l.order_quantity, "
        "l.order_price, l.extra, f.producer, f.sequence, f.state = 1 FROM fills l JOIN facts f USING (fact_no) {where} "
        "ORDER BY l.executed_at, coalesce(f.sequence, -1), coalesce(f.producer, ''), l.fill_id",
        _fill, "l.account_id", "l.executed_at",
    ),
    "orders": Table(
        ("order_id", "account_id", "symbol", "side", "order_type", "quantity", "price", "status", "filled", "average_price", "cash", "fills_count",
         "reserved", "reserved_currency", "created_at", "updated_at", "executed_at"),
        "SELECT order_id, account_id, symbol, side, order_type, quantity, price, filled, cash, weight, fills_count, status, reserved, "
        f"reserved_currency, created_at, updated_at, executed_at FROM orders {{where}} ORDER BY {orders.OLDEST_FIRST}",
        _order, "account_id", "created_at",
    ),
    "balances": Table(
        ("account_id", "currency", "available", "reserved", "total"),
        "SELECT account_id, currency, available, reserved FROM balances {where} ORDER BY account_id, currency",
        _balance, "account_id", None,
    ),
    "performance": Table(
        ("account_id", "date", "total_value_usd", "pnl_daily", "pnl_total", "sharpe_ratio", "sortino_ratio", "max_drawdown", "win_rate",
         "profit_factor", "trades_count", "source"),
        "SELECT account_id, date, total_value_usd, pnl_daily, pnl_total, sharpe_ratio, sortino_ratio, max_drawdown, win_rate, profit_factor, "
        "trades_count, source FROM performance_metrics {where} ORDER BY date",
        lambda row: row, "account_id", "date", by_date=True,
    ),
}  # fmt: skip


def rows(connection: Connection, name: str, account_id: str, start: datetime | None = None, end: datetime | None = None) -> Iterator[Sequence[Any]]:
    """The rows of an export one by one, in constant memory; start included, end not."""
    table = TABLES[name]
    if table.by_date:
        where, params = _days(table, account_id, start, end)
    else:
        column = table.time_column or ""
        where, params = period(table.account_column, column, account_id, start if column else None, end if column else None)
    for row in connection.execute(table.sql.format(where=where), params):
        yield table.values(row)


def write(
    database: Database,
    name: str,
    account_id: str,
    form: str,
    out: TextIO,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    raw: bool = False,
) -> int:
    """Write one export to an open text file. Returns the number of rows. Raises `Invalid` for an unknown table or format.

    In CSV a text that a spreadsheet would run as a formula gets an apostrophe before it, unless `raw`; numbers stay numbers.
    """
    if name not in TABLES or form not in FORMATS:
        raise Invalid(f"no export of {name!r} as {form!r}; there are {', '.join(TABLES)} as {', '.join(FORMATS)}")
    with database.get_connection() as connection:
        found = rows(connection, name, account_id, start, end)
        if form == "csv" and not raw:
            found = ([_harmless(v) for v in values] for values in found)
        return _WRITERS[form](out, TABLES[name].columns, found)


_FORMULA = re.compile(r"[=+\-@\t\r\n\0]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def _harmless(value: Any) -> Any:
    if type(value) is str and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return "'" + value
    return value


def to_file(
    database: Database,
    name: str,
    account_id: str,
    form: str,
    path: str | Path,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    raw: bool = False,
) -> int:
    """The same into a file, which appears whole or not at all, at that very path: links are replaced, not followed."""
    try:
        with replaced(path) as file:
            out = TextIOWrapper(file, encoding="utf-8", newline="")
            count = write(database, name, account_id, form, out, start, end, raw=raw)
            out.flush()
            out.detach()
    except OSError as error:
        raise Unavailable(f"could not write {path}: {error.strerror}; check the folder and the free space") from error
    return count


def _days(table: Table, account_id: str, start: datetime | None, end: datetime | None) -> tuple[str, tuple[Any, ...]]:
    where, params = f"WHERE {table.account_column} = ?", [account_id]
    if start is not None:
        where, params = f"{where} AND date >= ?", [*params, start.date().isoformat()]
    if end is not None:
        where, params = f"{where} AND date < ?", [*params, end.date().isoformat()]
    return where, tuple(params)


def _csv(out: TextIO, columns: Sequence[str], found: Iterator[Sequence[Any]]) -> int:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    count = 0
    for values in found:
        count += 1
        writer.writerow(["" if v is None else str(v).lower() if isinstance(v, bool) else v for v in values])
    return count


def _ndjson(out: TextIO, columns: Sequence[str], found: Iterator[Sequence[Any]]) -> int:
    count = 0
    for values in found:
        count += 1
        out.write(json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False) + "\n")
    return count


def _json(out: TextIO, columns: Sequence[str], found: Iterator[Sequence[Any]]) -> int:
    count = 0
    for count, values in enumerate(found, 1):
        out.write("[\n  " if count == 1 else ",\n  ")
        out.write(json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False))
    out.write("\n]\n" if count else "[]\n")
    return count


_WRITERS = {"csv": _csv, "json": _json, "ndjson": _ndjson}

__all__ = ["FORMATS", "TABLES", "rows", "to_file", "write"]
