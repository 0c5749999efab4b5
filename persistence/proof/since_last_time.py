"""Quick verification: where the last full one ended, and checks of the records after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

from jarvis_client.contract.decimals import EXACT, ZERO, canonical
from persistence.books import events, facts, orders
from persistence.books.movements import LEGS, REVERSAL
from persistence.domain.finding import Finding
from persistence.domain.order_state import derive_orders
from persistence.engine.contract import Connection, Database
from persistence.proof import chain
from persistence.proof.books_checks import balances_are_explained, reserved_is_explained
from persistence.proof.chain_checks import check_chain
from persistence.proof.content_checks import content_and_movements_follow
from persistence.proof.order_checks import order_findings


class Verified(NamedTuple):
    """Up to where everything was found in order."""

    facts_to: int = 0
    events_to: int = 0
    block_no: int = 0


def last_verified(connection: Connection) -> Verified:
    row = connection.execute("SELECT facts_to, events_to, block_no FROM verifications ORDER BY verified_at DESC LIMIT 1").get
    return Verified(*row) if row else Verified()


def reach_of(connection: Connection) -> Verified:
    """How far a verification of this snapshot looks."""
    newest: tuple[int, int] = connection.execute(
        "SELECT coalesce((SELECT max(fact_no) FROM facts), 0), coalesce((SELECT max(event_no) FROM chain_events), 0)"
    ).get
    return Verified(newest[0], newest[1], chain.newest(connection).block_no)


def remember(database: Database, copy: Database, now: int) -> None:
    """Keep what a verification without findings saw of a copy: its place, and the sums that new transactions are added to."""
    with copy.get_connection() as connection:
        seen = reach_of(connection)
        totals = connection.execute("SELECT account_id, currency, kind, type, amount, count FROM transaction_totals").fetchall()
    with database.transaction() as connection:
        connection.execute("DELETE FROM verifications")
        connection.execute("DELETE FROM verified_totals")
        connection.execute("INSERT INTO verifications (verified_at, facts_to, events_to, block_no) VALUES (?, ?, ?, ?)", (now, *seen))
        connection.executemany("INSERT INTO verified_totals (account_id, currency, kind, type, amount, count) VALUES (?, ?, ?, ?, ?, ?)", totals)


def check_since(connection: Connection, verified: Verified) -> Iterator[Finding]:
    """Check every newer fact, transaction, sum, order and block. The cost depends on their number, not on the length of the history."""
    yield from content_and_movements_follow(connection, verified.facts_to)
    yield from check_chain(connection, after=verified.block_no)
    yield from _sums_moved_with_transactions(connection, verified)
    yield from balances_are_explained(connection)
    yield from reserved_is_explained(connection)
    yield from _new_orders(connection, verified)


_NEW_SUMS = (
    "SELECT account_id, currency, kind, type, amount, count FROM ("
    "SELECT account_id, currency, kind, type, decimal_sum(amount) AS amount, count(*) AS count FROM transactions "
    f"WHERE transaction_no >= (?1 + 1) * {LEGS} GROUP BY account_id, currency, kind, type UNION ALL "
    # Reversals of older facts that were voided since: by the first void that names them, or their fill.
    "SELECT t.account_id, t.currency, t.kind, t.type, t.amount, 1 FROM ("
    "SELECT v.target_fact_no AS fact_no FROM voids v WHERE v.fact_no > ?1 AND v.target_fact_no <= ?1 UNION "
    "SELECT e.fact_no FROM voids v JOIN fees e ON e.account_id = v.account_id AND e.fill_id = v.target_id "
    "WHERE v.fact_no > ?1 AND v.target_kind = 'fill' AND e.fact_no <= ?1) AS voided "
    "JOIN facts f ON f.fact_no = voided.fact_no LEFT JOIN fees e ON e.fact_no = f.fact_no JOIN transactions t "
    f"ON t.transaction_no BETWEEN f.fact_no * {LEGS} + {REVERSAL} AND f.fact_no * {LEGS} + {LEGS - 1} "
    "WHERE NOT EXISTS (SELECT 1 FROM voids o WHERE o.fact_no <= ?1 AND o.account_id = f.account_id "
    "AND ((o.target_id = f.record_id AND o.target_kind = f.kind) OR (o.target_id = e.fill_id AND o.target_kind = 'fill')))) AS sums"
)


def _sums_moved_with_transactions(connection: Connection, verified: Verified) -> Iterator[Finding]:
    """The sums are those that were verified, and what moved since."""
    deleted = {content["account_id"] for _, content in events.of_kind(connection, events.ACCOUNT_DELETED, verified.events_to)}
    # A fact that is saved by hand again keeps its old number, so its account waits for the next full verification.
    for _, content in events.of_kind(connection, events.RECORDED_ANEW, verified.events_to):
        deleted.add(connection.execute("SELECT account_id FROM facts WHERE fact_no = ?", (content["fact_no"],)).get)
    expected: dict[tuple[str, str, str, str], tuple[Decimal, int]] = {}

    def add(rows: Iterable[tuple[str, str, str, str, str, int]]) -> None:
        for account_id, currency, kind, type_, amount, count in rows:
            if account_id not in deleted:
                before = expected.get((account_id, currency, kind, type_), (ZERO, 0))
                expected[account_id, currency, kind, type_] = EXACT.add(before[0], Decimal(amount)), before[1] + count

    if verified.facts_to:
        add(connection.execute("SELECT account_id, currency, kind, type, amount, count FROM verified_totals"))
    add(connection.execute(_NEW_SUMS, (verified.facts_to,)))
    sql = "SELECT account_id, currency, kind, type, amount, count FROM transaction_totals"
    stored = {(a, c, k, t): (Decimal(amount), n) for a, c, k, t, amount, n in connection.execute(sql)}
    for key in sorted({*expected, *stored}):
        wanted, found = expected.get(key, (ZERO, 0)), stored.get(key, (ZERO, 0))
        if wanted != found and key[0] not in deleted:
            said = f"{canonical(wanted[0])} in {wanted[1]}", f"{canonical(found[0])} in {found[1]}"
            yield Finding("sums match transactions", " ".join(key), *said, f"jarvis transactions --account {key[0]}")


def _new_orders(connection: Connection, verified: Verified) -> Iterator[Finding]:
    """The orders that new facts, or voids of older ones, belong to."""
    sql = (
        "SELECT order_id, account_id FROM fills WHERE fact_no > ?1 AND order_id IS NOT NULL UNION "
        "SELECT order_id, account_id FROM order_events WHERE fact_no > ?1 UNION "
        "SELECT f.order_id, f.account_id FROM voids v JOIN fills f ON f.fact_no = v.target_fact_no WHERE v.fact_no > ?1 AND f.order_id IS NOT NULL UNION "
        "SELECT e.order_id, e.account_id FROM voids v JOIN order_events e ON e.fact_no = v.target_fact_no WHERE v.fact_no > ?1"
    )
    ids: list[orders.OrderId] = connection.execute(sql, (verified.facts_to,)).fetchall()
    stored, found = orders.find_states(connection, ids), facts.facts_of_orders(connection, ids)
    for order_id in ids:
        yield from order_findings(order_id, derive_orders(found.get(order_id, [])).orders, stored.get(order_id, {}))
