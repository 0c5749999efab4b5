"""Tables out of the books: CSV, JSON, NDJSON.

CSV and JSON are the form of rows. NDJSON of fills, deposits, orders, metrics and rates is the form of records, which an import
takes again: withdrawals stand with deposits, fees with fills, reported balances with metrics, each record with its voids.

Amounts are exact decimal text, instants RFC 3339 in UTC. Rows stand in the order of facts and no column records arrival, so
the same set of facts exports to the same bytes whatever order they came in.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from persistence.books import facts, movements, orders
from persistence.books.order_of_facts import oldest_first, period
from persistence.domain.errors import Invalid, Unavailable
from persistence.domain.facts import AnyFact
from persistence.domain.instants import to_text
from persistence.domain.money import EXACT, canonical
from persistence.domain.order_state import average_price
from persistence.engine.contract import Connection, Database
from persistence.files import replaced

FORMATS = ("csv", "json", "ndjson")


@dataclass(frozen=True, slots=True)
class Export:
    """One kind of export: its columns, its query (with {where}), how a row becomes values, and the column that a period bounds."""

    columns: tuple[str, ...]
    sql: str
    values: Callable[[Sequence[Any]], Sequence[Any]]
    account_column: str | None
    time_column: str | None
    by_date: bool = False
    #: Kinds whose records NDJSON holds; none where it holds rows.
    kinds: tuple[str, ...] = ()


def _transaction(row: Sequence[Any]) -> Sequence[Any]:
    number, account_id, at, type_, currency, kind, amount, description, reference, fact, record_id, voided = row
    leg = number % movements.LEGS
    return (
        movements.transaction_id(fact, account_id, record_id, leg), account_id, to_text(at), type_, currency, kind, amount, fact, record_id,
        leg >= movements.REVERSAL, bool(voided), description, reference,
    )  # fmt: skip


def _with_time(at: int) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Rows whose instant stands at a place, and whose last value says whether they are voided."""

    def values(row: Sequence[Any]) -> Sequence[Any]:
        return (*row[:at], to_text(row[at]), *row[at + 1 : -1], bool(row[-1]))

    return values


def _order(row: Sequence[Any]) -> Sequence[Any]:
    *head, settle, inverse, filled, cash, weight, notional, count, status, reserved, currency, created, updated, executed = row
    base, quote = head[-2:]
    average = average_price(
        Decimal(cash), Decimal(weight), Decimal(notional), Decimal(filled), inverse=bool(inverse),
        quanto=settle is not None and not inverse and settle not in (base, quote),
    )  # fmt: skip
    return (
        *head, settle, status, filled, None if average is None else canonical(average), cash, count, reserved, currency, to_text(created),
        to_text(updated), None if executed is None else to_text(executed),
    )  # fmt: skip


def _balance(row: Sequence[Any]) -> Sequence[Any]:
    account_id, currency, kind, available, reserved = row
    return account_id, currency, kind, available, reserved, canonical(EXACT.add(Decimal(available), Decimal(reserved)))


def _content(columns: str, table: str, account_column: str | None, time_column: str, kinds: tuple[str, ...]) -> Export:
    """An export of the content of facts: some columns of their table, and whether they are voided."""
    names = tuple(columns.split(", "))
    return Export(
        (*names, "producer", "sequence", "is_voided"),
        f"SELECT {', '.join(f'c.{name}' for name in names)}, f.producer, f.sequence, f.state = 1 FROM {table} c JOIN facts f USING (fact_no) "
        f"{{where}} ORDER BY {oldest_first(f'c.{time_column}')}",
        _with_time(names.index(time_column)), account_column, f"c.{time_column}", kinds=kinds,
    )  # fmt: skip


TABLES = {
    "transactions": Export(
        ("transaction_id", "account_id", "occurred_at", "type", "currency", "kind", "amount", "fact_kind", "fact_id",
         "is_reversal", "is_voided", "description", "reference"),
        "SELECT t.transaction_no, t.account_id, t.occurred_at, t.type, t.currency, t.kind, t.amount, t.description, t.reference, f.kind, f.record_id, "
        f"f.state = 1 FROM transactions t JOIN facts f ON f.fact_no = t.fact_no {{where}} ORDER BY {oldest_first('t.occurred_at')}, t.leg",
        _transaction, "t.account_id", "t.occurred_at",
    ),
    "fills": _content(
        "fill_id, account_id, order_id, instrument, symbol, side, quantity, price, quote_quantity, base, quote, settle, inverse, multiplier, fee, "
        "fee_currency, fee_usd_rate, more_fees, executed_at, quote_usd_rate, liquidity, order_type, order_quantity, order_price, extra",
        "fills", "c.account_id", "executed_at", ("fill", "fee"),
    ),
    "deposits": _content(
        "flow_id, direction, account_id, currency, amount, category, usd_rate, fee, fee_currency, occurred_at, description, reference, symbol, extra",
        "flows", "c.account_id", "occurred_at", ("deposit", "withdrawal"),
    ),
    "orders": Export(
        ("order_id", "account_id", "instrument", "symbol", "side", "order_type", "quantity", "price", "cost", "base", "quote", "settle", "status", "filled",
         "average_price", "cash", "fills_count", "reserved", "reserved_currency", "created_at", "updated_at", "executed_at"),
        "SELECT order_id, account_id, instrument, symbol, side, order_type, quantity, price, cost, base, quote, settle, inverse, filled, cash, weight, "
        "notional, fills_count, status, reserved, reserved_currency, created_at, updated_at, executed_at FROM orders {where} "
        f"ORDER BY {orders.OLDEST_FIRST}",
        _order, "account_id", "created_at", kinds=("order",),
    ),
    "metrics": _content(
        "snapshot_id, account_id, observed_at, date, total_value_usd, reported, extra",
        "equity_snapshots", "c.account_id", "observed_at", ("metrics", "balance"),
    ),
    "rates": _content("currency, usd_rate, observed_at, source, extra", "rates", None, "observed_at", ("rate",)),
    "balances": Export(
        ("account_id", "currency", "kind", "available", "reserved", "total"),
        "SELECT account_id, currency, kind, available, reserved FROM balances {where} ORDER BY account_id, currency, kind",
        _balance, "account_id", None,
    ),
    "performance": Export(
        ("account_id", "date", "total_value_usd", "pnl_daily", "pnl_total", "sharpe_ratio", "sortino_ratio", "max_drawdown", "win_rate",
         "profit_factor", "trades_count", "source"),
        "SELECT account_id, date, total_value_usd, pnl_daily, pnl_total, sharpe_ratio, sortino_ratio, max_drawdown, win_rate, profit_factor, "
        "trades_count, source FROM performance_metrics {where} ORDER BY date",
        lambda row: row, "account_id", "date", by_date=True,
    ),
}  # fmt: skip


def rows(connection: Connection, name: str, account_id: str | None, start: datetime | None = None, end: datetime | None = None) -> Iterator[Sequence[Any]]:
    """The rows of an export one by one, in constant memory; start included, end not."""
    table = TABLES[name]
    if table.by_date:
        where, params = _days(table, str(account_id), start, end)
    else:
        column = table.time_column or ""
        where, params = period(table.account_column, column, account_id, start if column else None, end if column else None)
    for row in connection.execute(table.sql.format(where=where), params):
        yield table.values(row)


def records(connection: Connection, name: str, account_id: str | None, start: datetime | None = None, end: datetime | None = None) -> Iterator[AnyFact]:
    """The recorded facts of an export in the order of facts, each with its voids: what makes the same books again."""
    for fact_no in facts.numbers_of(connection, TABLES[name].kinds, account_id, start, end):
        fact = facts.recorded_fact(connection, fact_no)
        if fact is not None:
            yield fact


def write(
    database: Database,
    name: str,
    account_id: str | None,
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
    table = TABLES[name]
    if table.account_column is not None and account_id is None:
        raise Invalid(f"{name} are exported for one account at a time; name it")
    with database.snapshot() as connection:
        if form == "ndjson" and table.kinds:
            return _lines(out, (fact.record() for fact in records(connection, name, account_id, start, end)))
        found = rows(connection, name, account_id, start, end)
        if form == "csv" and not raw:
            found = ([_harmless(v) for v in values] for values in found)
        return _WRITERS[form](out, table.columns, found)


_FORMULA = re.compile(r"[=+\-@\t\r\n\0]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def _harmless(value: Any) -> Any:
    if type(value) is str and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return "'" + value
    return value


def to_file(
    database: Database,
    name: str,
    account_id: str | None,
    form: str,
    path: str | Path,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    raw: bool = False,
) -> int:
    """The same into a file, which appears whole or not at all, at that very path: links are replaced, not followed."""
    target = Path(path).expanduser()
    try:
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        with replaced(target, of_the_caller=True) as file:
            out = TextIOWrapper(file, encoding="utf-8", newline="")
            count = write(database, name, account_id, form, out, start, end, raw=raw)
            out.flush()
            out.detach()
    except OSError as error:
        raise Unavailable(f"could not write {path}: {error.strerror}; check the folder and the free space") from error
    return count


def _days(table: Export, account_id: str, start: datetime | None, end: datetime | None) -> tuple[str, tuple[Any, ...]]:
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
    return _lines(out, (dict(zip(columns, values, strict=True)) for values in found))


def _lines(out: TextIO, found: Iterable[dict[str, Any]]) -> int:
    count = 0
    for record in found:
        count += 1
        out.write(json.dumps(record, ensure_ascii=False) + "\n")
    return count


def _json(out: TextIO, columns: Sequence[str], found: Iterator[Sequence[Any]]) -> int:
    count = 0
    for count, values in enumerate(found, 1):
        out.write("[\n  " if count == 1 else ",\n  ")
        out.write(json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False))
    out.write("\n]\n" if count else "[]\n")
    return count


_WRITERS = {"csv": _csv, "json": _json, "ndjson": _ndjson}

__all__ = ["FORMATS", "TABLES", "records", "rows", "to_file", "write"]
