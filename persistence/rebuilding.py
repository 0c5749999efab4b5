"""Rebuilding: everything that is derived made anew from the recorded facts alone, in a copy, and compared with what is stored.

The copy starts from the content of the facts, saves by hand included. Transactions, sums, voids, orders and balances are dropped
and made again; what comes out otherwise is a finding, or takes the place of what is stored.
"""

from __future__ import annotations

from collections.abc import Iterator

import apsw

from persistence import chain
from persistence.chunks import chunked
from persistence.database import DatabaseManager
from persistence.domain.errors import BooksError, Damaged
from persistence.domain.facts import Fill, Void
from persistence.domain.finding import Finding
from persistence.domain.order import OrderState
from persistence.integrity import file_is_sound
from persistence.ledger import Posting
from persistence.repositories import facts, orders

FACTS_AT_ONCE = 1_000
#: What reading facts that are damaged ends with.
UNREADABLE = (apsw.Error, BooksError, ArithmeticError, ValueError, KeyError, TypeError, IndexError)
NAME = "what is derived equals a rebuild"

#: (table, key, what else is compared); what records arrival is not.
_DERIVED = (
    ("transactions", "transaction_no", "account_id, occurred_at, type, currency, amount, description, reference"),
    ("transaction_totals", "account_id, currency, type", "amount, count"),
    ("balances", "account_id, currency", "available, reserved"),
    (
        "orders", "order_id, account_id",
        (
            "symbol, side, order_type, quantity, price, base, quote, multiplier, filled, cash, weight, fills_count, placed, reserve, quantity_given, "
            "ended_status, created_at, updated_at, executed_at, status, reserved, reserved_currency"
        ),
    ),
    ("facts", "fact_no", "state"),
    ("voids", "fact_no", "target_fact_no"),
)  # fmt: skip


def rebuild(copy: DatabaseManager, now: int) -> None:
    """Derive everything anew in a copy of the books that nobody else uses."""
    with copy.transaction() as connection:
        for table in ("transactions", "transaction_totals", "balances", "orders"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("UPDATE facts SET state = 0 WHERE state = 1")
        connection.execute("UPDATE voids SET target_fact_no = NULL")
        posting = Posting(connection, now, None)
        voids = []
        for group in chunked(facts.recorded_by_number(connection), FACTS_AT_ONCE):
            numbered = [(r.fact_no, r.fact, r.fact.texts() if isinstance(r.fact, Fill) else None) for r in group if r.state != facts.ERASED]
            posting.derive_movements(numbered)
            voids += [n for n in numbered if isinstance(n[1], Void)]
        posting.derive_voids(voids)
        reserved = _derive_orders(connection)
        posting.derive_balances(reserved)


def _derive_orders(connection: apsw.Connection) -> list[OrderState]:
    """Every order from its facts; returns those that set something aside."""
    reserving = []
    for group in chunked(facts.facts_by_order(connection), FACTS_AT_ONCE):
        writer = orders.StateWriter()
        for _, found in group:
            state = OrderState.derive(found)
            writer.put(None, state)
            if state is not None and state.reserved()[1] is not None:
                reserving.append(state)
        writer.write(connection)
    return reserving


def differences(stored: DatabaseManager, rebuilt: str) -> Iterator[Finding]:
    """What the books hold otherwise than a rebuilt copy of them (a path)."""
    with stored.get_connection() as connection:
        connection.execute("ATTACH ? AS rebuilt", (rebuilt,))
        try:
            for table, key, rest in _DERIVED:
                names = f"{key}, {rest}"
                for (*keys,) in connection.execute(
                    f"SELECT {key} FROM (SELECT {names} FROM main.{table} EXCEPT SELECT {names} FROM rebuilt.{table}) "
                    f"UNION SELECT {key} FROM (SELECT {names} FROM rebuilt.{table} EXCEPT SELECT {names} FROM main.{table}) ORDER BY {key}"
                ).fetchall():
                    yield _finding(connection, table, key.split(", "), rest.split(", "), keys)
        finally:
            connection.execute("DETACH rebuilt")


def _finding(connection: apsw.Connection, table: str, key: list[str], columns: list[str], keys: list[object]) -> Finding:
    where = " AND ".join(f"{k} = ?" for k in key)
    names = ", ".join(columns)

    def row(schema: str) -> tuple[object, ...] | None:
        found: tuple[object, ...] | None = connection.execute(f"SELECT {names}, 0 FROM {schema}.{table} WHERE {where}", keys).get
        return found

    expected, found = row("rebuilt"), row("main")
    if expected is None or found is None:
        said = ("a row", "none") if found is None else ("none", "a row")
    else:
        differing = [(n, a, b) for n, a, b in zip(columns, expected, found, strict=False) if a != b]
        said = ", ".join(f"{n} {a}" for n, a, _ in differing), ", ".join(f"{n} {b}" for n, _, b in differing)
    return Finding(NAME, f"{table} {' '.join(map(str, keys))}", *said, "jarvis rebuild")


def mend_indexes(database: DatabaseManager) -> list[Finding]:
    """Make indexes anew that do not fit their tables. Returns what was wrong; raises `Damaged` where they cannot be made."""
    with database.get_connection() as connection:
        found = [f for f in file_is_sound(connection) if "index" in f.found]
    if found:
        with database.transaction() as connection:
            try:
                connection.execute("REINDEX")
            except apsw.Error as error:
                said = f"{found[0].found}: it is not only the indexes ({error}); `jarvis db check` says what can be read, `jarvis db salvage` recovers it"
                raise Damaged(said) from error
    return found


def replace_derived(database: DatabaseManager, rebuilt: str, now: int) -> None:
    """Put what was rebuilt in the place of what is stored, in one commit."""
    # Attaching is for outside of transactions, and stays with the connection.
    with database.get_connection() as connection:
        connection.execute("ATTACH ? AS rebuilt", (rebuilt,))
        try:
            with database.transaction_on(connection):
                for table, key, rest in _DERIVED[:4]:
                    connection.execute(f"DELETE FROM main.{table}")
                    names = f"{key}, {rest}" if table != "balances" else f"{key}, {rest}, updated_at"
                    connection.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM rebuilt.{table} ORDER BY {key}")
                for table, key, column in _DERIVED[4:]:
                    differs = f"r.{key} = {table}.{key} AND r.{column} IS NOT {table}.{column}"
                    connection.execute(f"UPDATE main.{table} SET {column} = r.{column} FROM rebuilt.{table} r WHERE {differs}")
                chain.record_event(connection, chain.REBUILT, now, {})
        finally:
            connection.execute("DETACH rebuilt")


__all__ = ["differences", "mend_indexes", "rebuild", "replace_derived"]
