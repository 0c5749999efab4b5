"""Tables out of the books: CSV, JSON, NDJSON, Parquet.

All hold rows, except that NDJSON of fills, deposits, orders, metrics and rates holds records, which an import takes again: withdrawals
stand with deposits, fees with fills, reported balances with metrics, each record with its voids. A row says no `type`, so that no import
takes it for a record.

Amounts are exact decimal text, instants RFC 3339 in UTC; Parquet has types for both. Rows stand by account, each account's in the order of
facts, and no column records arrival, so the same set of facts exports to the same bytes whatever order they came in.
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

from jarvis_client.contract.decimals import EXACT, canonical
from jarvis_client.contract.errors import Invalid, Unavailable
from jarvis_client.contract.instants import to_text
from persistence import parquet
from persistence.books import facts, movements, orders
from persistence.books.order_of_facts import oldest_first, period
from persistence.columns import FORMATS
from persistence.domain.entries import AnyFact
from persistence.domain.order_state import average_price
from persistence.domain.rollup import FIGURE_COLUMNS, name_and_kind
from persistence.engine.contract import Connection, Database
from persistence.files import replaced


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


def _trade(row: Sequence[Any]) -> Sequence[Any]:
    account_id, date, position, direction, opened, closed, fills, peak, pnl, fees, estimated, fill_id = row
    instrument, kind = name_and_kind(position)
    return account_id, date, instrument, kind == "contract", direction, to_text(opened), to_text(closed), fills, peak, pnl, fees, bool(estimated), fill_id


def _equity(row: Sequence[Any]) -> Sequence[Any]:
    account_id, date, close_at, by_books, *figures = row
    return account_id, date, to_text(close_at), "books" if by_books else "snapshots", *figures


#: The figures that an engine may report itself, in the order of their columns.
_REPORTED = FIGURE_COLUMNS[1:]


def _snapshot(row: Sequence[Any]) -> Sequence[Any]:
    snapshot_id, account_id, observed_at, date, value, reported, closes = row
    told = {} if reported is None else json.loads(reported, parse_float=str, parse_int=str)
    return snapshot_id, account_id, to_text(observed_at), date, value, bool(closes), *(told.get(name) for name in _REPORTED)


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
    "trades": Export(
        ("account_id", "date", "instrument", "is_contract", "direction", "opened_at", "closed_at", "fills", "peak", "pnl_usd", "fees_usd", "estimated",
         "closing_fill_id"),
        "SELECT t.account_id, t.date, t.position, t.direction, t.opened_at, t.closed_at, t.fills, t.peak, t.pnl, t.fees, t.estimated, f.record_id "
        "FROM trades t JOIN facts f ON f.fact_no = t.closing_fact_no {where} ORDER BY t.date, t.position, t.number",
        _trade, "t.account_id", "date", by_date=True,
    ),
    "equity": Export(
        ("account_id", "date", "close_at", "valuation", "value_usd", "inflow_usd", "outflow_usd", "pnl_daily", "pnl_total", "daily_return", "drawdown",
         "max_drawdown", "trades", "books_value_usd", "warnings"),
        "SELECT account_id, date, close_at, close_fact_no IS NULL, value, inflow, outflow, pnl_daily, pnl_total, daily_return, depth - 1, max_drawdown, "
        "trades, books_value, warnings FROM rollup_rows {where} ORDER BY date",
        _equity, "account_id", "date", by_date=True,
    ),
    "returns": Export(
        ("account_id", "date", "daily_return"),
        "SELECT account_id, date, daily_return FROM rollup_rows {where} AND daily_return IS NOT NULL ORDER BY date",
        lambda row: row, "account_id", "date", by_date=True,
    ),
    "flows": Export(
        ("account_id", "date", "occurred_at", "flow_id", "direction", "category", "currency", "amount", "usd", "usd_rate", "description", "reference"),
        "SELECT v.account_id, v.date, v.at, l.flow_id, l.direction, l.category, l.currency, v.amount, v.usd, l.usd_rate, l.description, l.reference "
        "FROM flow_values v JOIN flows l ON l.fact_no = v.fact_no JOIN facts f ON f.fact_no = v.fact_no {where} "
        f"ORDER BY {oldest_first('v.at')}",
        lambda row: (*row[:2], to_text(row[2]), *row[3:]), "v.account_id", "v.at",
    ),
    "snapshots": Export(
        ("snapshot_id", "account_id", "observed_at", "date", "total_value_usd", "is_close", *_REPORTED),
        "SELECT c.snapshot_id, c.account_id, c.observed_at, c.date, c.total_value_usd, c.reported, v.is_close "
        "FROM equity_snapshots c JOIN v_snapshots v ON v.fact_no = c.fact_no JOIN facts f ON f.fact_no = c.fact_no AND f.state = 0 {where} "
        f"ORDER BY {oldest_first('c.observed_at')}",
        _snapshot, "c.account_id", "c.observed_at",
    ),
}  # fmt: skip


#: One account, several, or None: all there are, in the order of their ids.
Accounts = str | Sequence[str] | None


class Rows:
    """The rows of an export, read anew one by one each time that they are gone through; start included, end not."""

    def __init__(self, connection: Connection, name: str, accounts: Accounts = None, start: datetime | None = None, end: datetime | None = None) -> None:
        self._connection = connection
        self._table = TABLES[name]
        self._account_ids = account_ids(connection, accounts) if self._table.account_column is not None else [None]
        self._bounds = start, end

    def __iter__(self) -> Iterator[Sequence[Any]]:
        table, column = self._table, self._table.time_column or ""
        for account_id in self._account_ids:
            if table.by_date:
                where, params = _days(table, str(account_id), *self._bounds)
            else:
                where, params = period(table.account_column, column, account_id, *(self._bounds if column else (None, None)))
            for row in self._connection.stream(table.sql.format(where=where), params):
                yield table.values(row)


def account_ids(connection: Connection, accounts: Accounts) -> list[str]:
    """The ids of the accounts that are meant, each once and in order."""
    if accounts is None:
        return [row[0] for row in connection.execute("SELECT account_id FROM accounts ORDER BY account_id")]
    return [accounts] if isinstance(accounts, str) else sorted(set(accounts))


def records(connection: Connection, name: str, account_id: str | None, start: datetime | None = None, end: datetime | None = None) -> Iterator[AnyFact]:
    """The recorded facts of an export in the order of facts, each with its voids: what makes the same books again."""
    for fact_no in facts.numbers_of(connection, TABLES[name].kinds, account_id, start, end):
        fact = facts.recorded_fact(connection, fact_no)
        if fact is not None:
            yield fact


def write(
    database: Database,
    name: str,
    accounts: Accounts,
    form: str,
    out: TextIO,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    raw: bool = False,
    tell: Callable[[str], None] = lambda said: None,
) -> int:
    """Write one export to an open text file. Returns the number of rows. Raises `Invalid` for an unknown table or format.

    In CSV a text that a spreadsheet would run as a formula gets an apostrophe before it, unless `raw`; numbers stay numbers. Parquet goes
    to the binary file behind `out`, and what it cannot hold as a decimal is told.
    """
    if name not in TABLES or form not in FORMATS:
        raise Invalid(f"no export of {name!r} as {form!r}; there are {', '.join(TABLES)} as {', '.join(FORMATS)}")
    table = TABLES[name]
    with database.snapshot() as connection:
        if form == "ndjson" and table.kinds:
            chosen = account_ids(connection, accounts) if table.account_column is not None else [None]
            return _lines(out, (fact.record() for account_id in chosen for fact in records(connection, name, account_id, start, end)))
        return write_rows(table.columns, Rows(connection, name, accounts, start, end), form, out, raw=raw, tell=tell)


def write_rows(
    columns: Sequence[str],
    found: Iterable[Sequence[Any]],
    form: str,
    out: TextIO,
    *,
    raw: bool = False,
    tell: Callable[[str], None] = lambda said: None,
) -> int:
    """Write rows that come from elsewhere in the same forms; Parquet goes through them twice. Returns their number."""
    if form == "parquet":
        return parquet.write(columns, found, out.buffer, tell)
    if form == "csv" and not raw:
        found = ([_harmless(v) for v in values] for values in found)
    return _WRITERS[form](out, columns, found)


_FORMULA = re.compile(r"[=+\-@\t\r\n\0]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def _harmless(value: Any) -> Any:
    if type(value) is str and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return "'" + value
    return value


def to_file(database: Database, name: str, accounts: Accounts, form: str, path: str | Path) -> int:
    """The same into a file."""
    return into_file(path, lambda out: write(database, name, accounts, form, out))


def into_file(path: str | Path, writing: Callable[[TextIO], int]) -> int:
    """Let something be written into a file, which appears whole or not at all, at that very path: links are replaced, not followed."""
    target = Path(path).expanduser()
    try:
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        with replaced(target, of_the_caller=True) as file:
            out = TextIOWrapper(file, encoding="utf-8", newline="")
            count = writing(out)
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


def _csv(out: TextIO, columns: Sequence[str], found: Iterable[Sequence[Any]]) -> int:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    count = 0
    for values in found:
        count += 1
        writer.writerow(["" if v is None else str(v).lower() if isinstance(v, bool) else v for v in values])
    return count


def _ndjson(out: TextIO, columns: Sequence[str], found: Iterable[Sequence[Any]]) -> int:
    return _lines(out, (dict(zip(columns, values, strict=True)) for values in found))


def _lines(out: TextIO, found: Iterable[dict[str, Any]]) -> int:
    count = 0
    for record in found:
        count += 1
        out.write(json.dumps(record, ensure_ascii=False) + "\n")
    return count


def _json(out: TextIO, columns: Sequence[str], found: Iterable[Sequence[Any]]) -> int:
    count = 0
    for count, values in enumerate(found, 1):
        out.write("[\n  " if count == 1 else ",\n  ")
        out.write(json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False))
    out.write("\n]\n" if count else "[]\n")
    return count


_WRITERS = {"csv": _csv, "json": _json, "ndjson": _ndjson}

__all__ = ["FORMATS", "TABLES", "Accounts", "Rows", "account_ids", "into_file", "records", "to_file", "write", "write_rows"]
