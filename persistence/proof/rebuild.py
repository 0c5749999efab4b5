"""Rebuilding: everything that is derived made anew from the recorded facts alone, in a copy, and compared with what is stored.

The copy starts from the content of the facts, saves by hand included. Transactions, sums, voids, orders and balances are dropped
and made again. A row that differs is a finding, or replaces the stored row.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from jarvis_client.contract.errors import Unavailable
from jarvis_client.contract.facts import Void
from persistence.books import events, facts, movements, orders
from persistence.books.posting import Posting
from persistence.domain.entries import AnyFact
from persistence.domain.errors import Damaged
from persistence.domain.finding import Finding
from persistence.domain.order_state import OrderState, derive_orders
from persistence.domain.progress import Progress, silent
from persistence.engine.contract import Connection
from persistence.engine.sqlite import attached
from persistence.engine.sqlite.attached import Derived
from persistence.engine.sqlite.connect import SQLiteConnection
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.engine.sqlite.emptying import emptied
from persistence.proof.order_checks import IDS_AT_ONCE
from persistence.proof.plain_orders import plain_rows

FACTS_AT_ONCE = 1_000
NAME = "what is derived equals a rebuild"
#: (table, key, what else is compared); what records arrival is not.
_DERIVED = tuple(Derived(*row) for row in (
    ("transactions", "transaction_no", "account_id, occurred_at, type, currency, kind, amount, description, reference"),
    ("transaction_totals", "account_id, currency, kind, type", "amount, count"),
    ("balances", "account_id, currency, kind", "available, reserved"),
    (
        "orders", "order_id, account_id, instrument, side",
        (
            "symbol, order_type, quantity, price, cost, base, quote, settle, inverse, multiplier, filled, cash, weight, notional, fills_count, placed, "
            "reserve, quantity_given, amended, ended_status, created_at, updated_at, executed_at, status, reserved, reserved_currency"
        ),
    ),
    ("facts", "fact_no", "state"),
    ("voids", "fact_no", "target_fact_no"),
    ("order_events", "fact_no", "waiting"),
))  # fmt: skip


def rebuild(copy: SQLiteDatabase, now: int, progress: Progress = silent) -> None:
    """Derive everything anew in a copy of the books that nobody else uses. Raises `Damaged` where its facts cannot be derived from."""
    try:
        with copy.transaction() as connection:
            _rebuild(connection, now, progress)
    except Unavailable:
        raise
    except Exception as error:  # whatever reading damaged facts ends with
        raise Damaged(f"the facts cannot be derived from: {type(error).__name__}: {error}") from error


def _rebuild(connection: SQLiteConnection, now: int, progress: Progress) -> None:
    connection.execute("UPDATE facts SET state = 0 WHERE state = 1")
    connection.execute("UPDATE voids SET target_fact_no = NULL")
    connection.execute("UPDATE order_events SET waiting = 0 WHERE waiting = 1")
    with emptied(connection, [derived.table for derived in _DERIVED[:4]]):
        _derive(connection, now, progress)


def _derive(connection: Connection, now: int, progress: Progress) -> None:
    posting = Posting(connection, now, None)
    voids = list[tuple[int, Void]]()
    newest = int(connection.execute("SELECT coalesce(max(fact_no), 0) FROM facts").get)
    rows = facts.rows_by_number(connection)
    while group := list(islice(rows, FACTS_AT_ONCE)):
        moved = list[tuple[Any, ...]]()
        others = list[AnyFact]()
        for row in group:
            if row[facts.STATE] == facts.ERASED:
                continue
            number, texts = row[facts.NUMBER], facts.proved_texts(row)
            if texts is not None:
                moved += movements.fill_rows(number, texts)
                continue
            fact = facts.recorded(row).fact
            moved += movements.transactions_of(number, fact)
            others.append(fact)
            if isinstance(fact, Void):
                voids.append((number, fact))
        posting.derive_movements(moved, others)
        progress("deriving from the facts", group[-1][facts.NUMBER], newest)
    posting.derive_voids(voids)
    posting.derive_balances(_derive_orders(connection))


def _derive_orders(connection: Connection) -> list[OrderState]:
    """Every order from its facts; returns those that set something aside."""
    reserving = []
    found = plain_rows(connection)
    while group := list(islice(found, IDS_AT_ONCE)):
        writer = orders.StateWriter()
        for row in (row for _, row in group if row is not None):
            writer.insert(row)
        for order_id, of_it in facts.facts_of_orders(connection, [order_id for order_id, row in group if row is None]).items():
            derived = derive_orders(of_it)
            if derived.waiting:
                orders.mark_waiting(connection, order_id, derived.waiting)
            for state in derived.orders:
                writer.put(None, state)
                if state.reserved()[1] is not None:
                    reserving.append(state)
        writer.write(connection)
    return reserving


def differences(stored: SQLiteDatabase, rebuilt: str) -> Iterator[Finding]:
    """What the books hold otherwise than a rebuilt copy of them (a path)."""
    for found in attached.differences(stored, rebuilt, _DERIVED):
        if found.expected is None or found.found is None:
            said = ("a row", "none") if found.found is None else ("none", "a row")
        else:
            differing = [(n, a, b) for n, a, b in zip(found.columns, found.expected, found.found, strict=False) if a != b]
            said = ", ".join(f"{n} {a}" for n, a, _ in differing), ", ".join(f"{n} {b}" for n, _, b in differing)
        yield Finding(NAME, f"{found.table} {' '.join(map(str, found.key))}", *said, "jarvis rebuild")


def mend(connection: Connection, stored: SQLiteDatabase, rebuilt: str) -> None:
    """Put what a rebuilt copy (a path) holds otherwise than `stored`, a copy of the books as they are, into the books: row by row."""
    for table, keys, columns, expected, found in attached.differences(stored, rebuilt, _DERIVED):
        [derived] = [d for d in _DERIVED if d.table == table]
        where = " AND ".join(f"{name} = ?" for name in derived.key.split(", "))
        if derived in _DERIVED[4:]:
            column = derived.columns
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (*(expected or ())[: len(columns)], *keys))
            continue
        if found is not None:
            connection.execute(f"DELETE FROM {table} WHERE {where}", keys)
        if expected is not None:
            # The rows of balances say when they were changed, too.
            dated = {"updated_at": connection.now} if table == "balances" else {}
            names = ", ".join((derived.key, derived.columns, *dated))
            placeholders = ", ".join("?" * len(names.split(", ")))
            connection.execute(f"INSERT INTO {table} ({names}) VALUES ({placeholders})", (*keys, *expected[: len(columns)], *dated.values()))
    events.record(connection, events.REBUILT, connection.now, {})


def replace_derived(database: SQLiteDatabase, rebuilt: str, *, differing: bool = True) -> None:
    """Put what was rebuilt in the place of what is stored, in one commit. Where nothing is `differing`, it is there."""
    replaced = [table._replace(columns=f"{table.columns}, updated_at") if table.table == "balances" else table for table in _DERIVED[:4]]
    if not differing and attached.as_many(database, rebuilt, replaced):
        replaced = []
    with attached.taking_over(database, rebuilt, replaced, _DERIVED[4:]) as connection:
        events.record(connection, events.REBUILT, connection.now, {})
