"""The rows of recorded facts: their identities, and one table per kind of content.

Everything the ledger writes per fact is an `executemany` of ready tuples; a fact's texts are made once and serve its digest
and its row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from heapq import merge
from itertools import groupby
from typing import Any, NamedTuple

from persistence.domain.facts import Adjustment, AnyFact, Deposit, EquitySnapshot, Fill, ManualTransaction, OrderEvent, Void, Withdrawal
from persistence.domain.money import canonical
from persistence.engine.contract import Connection

LIVE, VOIDED, ERASED = 0, 1, 2
Identity = tuple[str, str, str]  # record id, account, kind: the order of the index


class Known(NamedTuple):
    """What the books hold under an identity."""

    fact_no: int
    digest: bytes
    sequence: int | None
    producer: str | None
    state: int
    recorded: str
    """The kind, for messages."""


INSERT_IDENTITY = (
    "INSERT INTO facts (fact_no, kind, account_id, record_id, occurred_at, sequence, producer, digest, recorded_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (record_id, account_id, kind) DO NOTHING"
)
INSERT_FILL = "INSERT INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_FLOW = "INSERT INTO flows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_ORDER_EVENT = "INSERT INTO order_events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_SNAPSHOT = "INSERT INTO equity_snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_VOID = "INSERT INTO voids VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_ENTRY = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
#: The columns of a fact tuple's trailing pair, read back from its identity.
_PLACE = "f.producer, f.sequence"
_FILL = (
    "l.account_id, l.fill_id, l.order_id, l.symbol, l.side, l.quantity, l.price, l.quote_quantity, l.multiplier, l.base, l.quote, l.fee, "
    f"l.fee_currency, l.executed_at, l.quote_usd_rate, l.fee_usd_rate, l.liquidity, l.order_type, l.order_quantity, l.order_price, l.extra, "
    f"l.given_time, {_PLACE}"
)
_EVENT = (
    "e.account_id, e.event_id, e.order_id, e.status, e.occurred_at, e.symbol, e.side, e.order_type, e.quantity, e.price, e.reserve, e.base, "
    f"e.quote, e.multiplier, e.extra, e.given_time, {_PLACE}"
)


def next_fact_no(connection: Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(fact_no), 0) + 1 FROM facts").get)


def find_known(connection: Connection, identities: Sequence[Identity]) -> dict[Identity, Known]:
    """What is recorded under each of these identities; missing ones are left out."""
    rows = connection.lookup(
        "SELECT record_id, account_id, kind, fact_no, digest, sequence, producer, state FROM facts WHERE record_id = ? AND account_id = ? AND kind = ?",
        identities,
    )
    return {(r[0], r[1], r[2]): Known(r[3], r[4], r[5], r[6], r[7], r[2]) for r in rows}


def flow_row(fact_no: int, fact: Deposit | Withdrawal, amount: str) -> tuple[Any, ...]:
    account, flow_id, currency, _, category, at, rate, description, reference, extra, given_time, _, _ = fact
    return fact_no, account, flow_id, fact.kind, currency, amount, category, at, _text(rate), description, reference, extra, given_time


def order_event_row(fact_no: int, fact: OrderEvent) -> tuple[Any, ...]:
    account, event, order, status, at, symbol, side, kind, quantity, price, reserve, base, quote, multiplier, extra, given_time, _, _ = fact
    return (
        fact_no, account, event, order, status, at, symbol, side, kind, _text(quantity), _text(price), int(reserve), base, quote,
        _text(multiplier), extra, given_time,
    )  # fmt: skip


def snapshot_row(fact_no: int, fact: EquitySnapshot) -> tuple[Any, ...]:
    account, snapshot, at, date, value, reported, extra, given_time, _, _ = fact
    return fact_no, account, snapshot, at, date, _text(value), reported, extra, given_time


def void_row(fact_no: int, fact: Void) -> tuple[Any, ...]:
    account, void, kind, target, reason, at, extra, given_time, _, _ = fact
    return fact_no, account, void, kind, target, None, reason, at, extra, given_time


def entry_row(fact_no: int, fact: ManualTransaction | Adjustment) -> tuple[Any, ...]:
    account, entry, kind, currency, amount, reserved, description, reference, at, _, _ = fact
    return fact_no, account, entry, fact.kind, kind, currency, _text(amount), _text(reserved), description, reference, at


def facts_of_order(connection: Connection, order_id: str, account_id: str) -> list[Fill | OrderEvent]:
    """The live facts that make an order what it is."""
    fills = connection.execute(
        f"SELECT {_FILL} FROM fills l JOIN facts f USING (fact_no) WHERE l.order_id = ? AND l.account_id = ? AND f.state = 0", (order_id, account_id)
    )
    found: list[Fill | OrderEvent] = [fill_of(row) for row in fills]
    events = connection.execute(
        f"SELECT {_EVENT} FROM order_events e JOIN facts f USING (fact_no) WHERE e.order_id = ? AND e.account_id = ? AND f.state = 0",
        (order_id, account_id),
    )
    found += [order_event_of(row) for row in events]
    return found


def facts_by_order(connection: Connection) -> Iterator[tuple[tuple[str, str], list[Fill | OrderEvent]]]:
    """The live facts of every order, by (order id, account), in one pass over each table's index."""
    order = "WHERE f.state = 0 ORDER BY 3, 1"
    fills: Iterator[Fill | OrderEvent] = (fill_of(row) for row in connection.execute(f"SELECT {_FILL} FROM fills l JOIN facts f USING (fact_no) {order}"))
    events: Iterator[Fill | OrderEvent] = (
        order_event_of(row) for row in connection.execute(f"SELECT {_EVENT} FROM order_events e JOIN facts f USING (fact_no) {order}")
    )
    for key, found in groupby(merge(fills, events, key=_order_key), _order_key):
        yield key, list(found)


def _order_key(fact: Fill | OrderEvent) -> tuple[str, str]:
    return fact.order_id, fact.account_id


def order_of_fact(connection: Connection, kind: str, fact_no: int) -> tuple[str, str] | None:
    """(order id, account) of a fill or an order event."""
    table = {"fill": "fills", "order": "order_events"}.get(kind)
    if table is None:
        return None
    return connection.execute(f"SELECT order_id, account_id FROM {table} WHERE fact_no = ?", (fact_no,)).get  # type: ignore[no-any-return]


def fill_of(row: Sequence[Any]) -> Fill:
    values = list(row)
    for i in (5, 6, 7, 8, 11, 14, 15, 18, 19):
        values[i] = None if values[i] is None else Decimal(values[i])
    return Fill._make(values)


def order_event_of(row: Sequence[Any]) -> OrderEvent:
    values = list(row)
    for i in (8, 9, 13):
        values[i] = None if values[i] is None else Decimal(values[i])
    values[10] = bool(values[10])
    return OrderEvent._make(values)


def _snapshot_of(row: Sequence[Any]) -> EquitySnapshot:
    values = list(row)
    values[4] = Decimal(values[4])
    return EquitySnapshot._make(values)


def _flow_of(row: Sequence[Any]) -> Deposit | Withdrawal:
    direction, *values = row
    values[3] = Decimal(values[3])
    values[6] = None if values[6] is None else Decimal(values[6])
    return (Deposit if direction == "deposit" else Withdrawal)._make(values)


def _entry_of(row: Sequence[Any]) -> ManualTransaction | Adjustment:
    kind, *values = row
    values[4], values[5] = Decimal(values[4]), Decimal(values[5])
    return (ManualTransaction if kind == "transaction" else Adjustment)._make(values)


#: (columns, where they stand, what they make) of each kind of content.
_READERS: tuple[tuple[str, str, Callable[[Sequence[Any]], AnyFact]], ...] = (
    (_FILL, "fills l JOIN facts f USING (fact_no)", fill_of),
    (
        (
            "l.direction, l.account_id, l.flow_id, l.currency, l.amount, l.category, l.occurred_at, l.usd_rate, l.description, l.reference, "
            f"l.extra, l.given_time, {_PLACE}"
        ),
        "flows l JOIN facts f USING (fact_no)",
        _flow_of,
    ),
    (_EVENT, "order_events e JOIN facts f USING (fact_no)", order_event_of),
    (
        f"s.account_id, s.snapshot_id, s.observed_at, s.date, s.total_value_usd, s.reported, s.extra, s.given_time, {_PLACE}",
        "equity_snapshots s JOIN facts f USING (fact_no)",
        _snapshot_of,
    ),
    (
        f"v.account_id, v.void_id, v.target_kind, v.target_id, v.reason, v.occurred_at, v.extra, v.given_time, {_PLACE}",
        "voids v JOIN facts f USING (fact_no)",
        Void._make,
    ),
    (
        f"e.kind, e.account_id, e.entry_id, e.type, e.currency, e.amount, e.reserved, e.description, e.reference, e.occurred_at, {_PLACE}",
        "entries e JOIN facts f USING (fact_no)",
        _entry_of,
    ),
)


class Recorded(NamedTuple):
    """A fact as its content row tells it, and what its identity says."""

    fact_no: int
    identity: Identity
    digest: bytes
    state: int
    fact: AnyFact


def recorded_by_number(connection: Connection, after: int = 0) -> Iterator[Recorded]:
    """Every fact that has content, of all kinds, in the order of their numbers."""

    def of(columns: str, source: str, reader: Callable[[Sequence[Any]], AnyFact]) -> Iterator[Recorded]:
        head = "f.fact_no, f.record_id, f.account_id, f.kind, f.digest, f.state"
        table = source.split(" ", 1)[1].split(" ", 1)[0]
        sql = f"SELECT {head}, {columns} FROM {source} WHERE {table}.fact_no > ? ORDER BY {table}.fact_no"
        for number, record_id, account_id, kind, digest, state, *values in connection.execute(sql, (after,)):
            yield Recorded(number, (record_id, account_id, kind), digest, state, reader(values))

    return merge(*(of(*reader) for reader in _READERS), key=lambda r: r.fact_no)


def recorded_fact(connection: Connection, fact_no: int) -> AnyFact | None:
    """The fact of that number; None where it was erased with its account."""
    for columns, source, reader in _READERS:
        for row in connection.execute(f"SELECT {columns} FROM {source} WHERE f.fact_no = ?", (fact_no,)):
            return reader(row)
    return None


def erase(connection: Connection, account_id: str) -> int:
    """Turn the identities of an account's facts into tombstones; their content goes with the account. Returns how many."""
    return connection.changed(
        "UPDATE facts SET state = 2 WHERE fact_no IN ("
        "SELECT fact_no FROM fills WHERE account_id = ?1 UNION ALL SELECT fact_no FROM flows WHERE account_id = ?1 UNION ALL "
        "SELECT fact_no FROM order_events WHERE account_id = ?1 UNION ALL SELECT fact_no FROM equity_snapshots WHERE account_id = ?1 UNION ALL "
        "SELECT fact_no FROM voids WHERE account_id = ?1 UNION ALL SELECT fact_no FROM entries WHERE account_id = ?1)",
        (account_id,),
    )


def _text(number: Decimal | None) -> str | None:
    return None if number is None else canonical(number)


def write_all(connection: Connection, rows: Iterable[tuple[str, list[tuple[Any, ...]]]]) -> None:
    for sql, bindings in rows:
        connection.insert_many(sql, bindings)
