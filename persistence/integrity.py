"""Checks of the books: small, named, each returning findings. A finding says what was expected, what was found, where, and
which command shows more. Checks read one consistent snapshot and change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

import apsw

from persistence.database import DatabaseManager
from persistence.domain.money import EXACT, ZERO, canonical
from persistence.domain.order import OrderState
from persistence.repositories import facts, orders

#: Findings shown per check; more of the same say nothing new.
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    where: str
    expected: str
    found: str
    look: str
    """The command that shows more."""


Check = Callable[[apsw.Connection], Iterator[Finding]]


def check_books(database: DatabaseManager) -> list[Finding]:
    """Run every check on one snapshot. An empty list means that the books add up."""
    findings: list[Finding] = []
    with database.get_connection() as connection:
        connection.execute("SAVEPOINT checking")
        try:
            for check in CHECKS:
                for count, finding in enumerate(check(connection), 1):
                    if count > SHOWN:
                        break
                    findings.append(finding)
        finally:
            connection.execute("RELEASE checking")
    return findings


def file_is_sound(connection: apsw.Connection) -> Iterator[Finding]:
    for (text,) in connection.execute(f"PRAGMA integrity_check({SHOWN})"):
        if text != "ok":
            yield Finding("file is sound", "database file", "ok", text, "jarvis db check")


def references_hold(connection: apsw.Connection) -> Iterator[Finding]:
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield Finding("references hold", f"{table} row {row}", f"a row of {parent}", "none", f"jarvis db check  # then look at {table} with any SQLite tool")


def sums_match_transactions(connection: apsw.Connection) -> Iterator[Finding]:
    """Every sum by account, currency and type is that of its transactions, to the last decimal."""
    summed = {
        (a, c, t): (Decimal(amount), count)
        for a, c, t, amount, count in connection.execute(
            "SELECT account_id, currency, type, decimal_sum(amount), count(*) FROM transactions GROUP BY account_id, currency, type"
        )
    }
    stored = {
        (a, c, t): (Decimal(amount), n) for a, c, t, amount, n in connection.execute("SELECT account_id, currency, type, amount, count FROM transaction_totals")
    }
    for key in sorted({*summed, *stored}):
        expected, found = summed.get(key, (ZERO, 0)), stored.get(key, (ZERO, 0))
        if expected != found:
            yield Finding("sums match transactions", " ".join(key), _pair(expected), _pair(found), f"jarvis transactions --account {key[0]}")


def balances_are_explained(connection: apsw.Connection) -> Iterator[Finding]:
    """available + reserved = Σ transactions, for every account and currency."""
    explained: dict[tuple[str, str], Decimal] = {}
    for account_id, currency, amount in connection.execute("SELECT account_id, currency, decimal_sum(amount) FROM transactions GROUP BY account_id, currency"):
        explained[account_id, currency] = Decimal(amount)
    stored = {(a, c): EXACT.add(Decimal(f), Decimal(r)) for a, c, f, r in connection.execute("SELECT account_id, currency, available, reserved FROM balances")}
    for key in sorted({*explained, *stored}):
        expected, found = explained.get(key, ZERO), stored.get(key, ZERO)
        if expected != found:
            yield Finding("balances are explained", " ".join(key), canonical(expected), canonical(found), f"jarvis transactions --account {key[0]}")


def reserved_is_explained(connection: apsw.Connection) -> Iterator[Finding]:
    """reserved = Σ over open orders + Σ adjustments by hand."""
    explained: dict[tuple[str, str], Decimal] = {}
    sources = (
        "SELECT account_id, reserved_currency, reserved FROM orders WHERE reserved_currency IS NOT NULL",
        "SELECT e.account_id, e.currency, e.reserved FROM entries e JOIN facts f USING (fact_no) WHERE f.state = 0 AND e.reserved <> '0'",
    )
    for sql in sources:
        for account_id, currency, amount in connection.execute(sql):
            explained[account_id, currency] = EXACT.add(explained.get((account_id, currency), ZERO), Decimal(amount))
    stored = {(a, c): Decimal(r) for a, c, r in connection.execute("SELECT account_id, currency, reserved FROM balances")}
    for key in sorted({*explained, *stored}):
        expected, found = explained.get(key, ZERO), stored.get(key, ZERO)
        if expected != found:
            yield Finding("reserved is explained", " ".join(key), canonical(expected), canonical(found), f"jarvis orders --account {key[0]} --status pending")


def orders_match_their_facts(connection: apsw.Connection) -> Iterator[Finding]:
    """Every order is what its live facts make of it, and every live fact of an order has one."""
    # Both streams come in the order of the identity, so one pass over each compares them.
    derived = facts.facts_by_order(connection)
    stored = orders.all_states(connection)
    left, right = next(derived, None), next(stored, None)
    while left is not None or right is not None:
        key = min(side[0] for side in (left, right) if side is not None)
        expected, found = None, None
        if left is not None and left[0] == key:
            expected, left = OrderState.derive(left[1]), next(derived, None)
        if right is not None and right[0] == key:
            found, right = right[1], next(stored, None)
        if expected != (found.state if found else None) or (found and expected and expected.reserved() != (found.reserved, found.reserved_currency)):
            where, look = f"order {key[0]} of {key[1]}", f"jarvis orders --account {key[1]}"
            yield Finding("orders match their facts", where, _order(expected), _order(found and found.state), look)


def every_fact_has_its_content(connection: apsw.Connection) -> Iterator[Finding]:
    """One content row per identity that is not erased, in the table of its kind, and the digest of that content."""
    for kind, table in _CONTENT.items():
        sql = f"SELECT f.record_id, f.account_id FROM facts f LEFT JOIN {table} t USING (fact_no) WHERE f.kind = ? AND f.state <> 2 AND t.fact_no IS NULL"
        for record_id, account_id in connection.execute(sql, (kind,)):
            yield Finding("every fact has its content", f"{kind} {record_id} of {account_id}", f"a row in {table}", "none", "jarvis db check")
    for fact in facts.recorded_facts(connection):
        digest = connection.execute("SELECT digest FROM facts WHERE record_id = ? AND account_id = ? AND kind = ?", (fact[1], fact[0], fact.kind)).get
        if digest != fact.digest:
            expected = "no identity" if digest is None else digest.hex()[:16]
            yield Finding(
                "every fact has its content", f"{fact.kind} {fact[1]} of {fact[0]}", f"digest {expected}", f"digest {fact.digest.hex()[:16]}", "jarvis db check"
            )


def movements_match_their_facts(connection: apsw.Connection) -> Iterator[Finding]:
    """No transaction without a fact of its account; a voided fact is reversed leg by leg, a live one is not."""
    orphans = (
        "SELECT t.transaction_no, t.account_id FROM transactions t LEFT JOIN facts f ON f.fact_no = t.fact_no "
        "WHERE f.fact_no IS NULL OR f.account_id <> t.account_id OR f.state = 2"
    )
    for number, account_id in connection.execute(orphans):
        yield Finding(
            "movements match their facts", f"transaction {number} of {account_id}", "a recorded fact", "none", f"jarvis transactions --account {account_id}"
        )
    unbalanced = (
        "SELECT f.kind, f.record_id, f.account_id, f.state, sum(t.leg < 8), sum(t.leg >= 8) FROM transactions t JOIN facts f ON f.fact_no = t.fact_no "
        "WHERE f.state = 1 OR t.leg >= 8 GROUP BY t.fact_no HAVING f.state <> 1 OR sum(t.leg < 8) <> sum(t.leg >= 8)"
    )
    for kind, record_id, account_id, state, legs, reversals in connection.execute(unbalanced):
        expected = f"{legs if state == 1 else 0} reversals"
        yield Finding(
            "movements match their facts", f"{kind} {record_id} of {account_id}", expected, f"{reversals}", f"jarvis transactions --account {account_id}"
        )


_CONTENT = {
    "fill": "fills", "deposit": "flows", "withdrawal": "flows", "order": "order_events", "metrics": "equity_snapshots", "void": "voids",
    "transaction": "entries", "adjustment": "entries",
}  # fmt: skip

CHECKS: tuple[Check, ...] = (
    file_is_sound, references_hold, sums_match_transactions, balances_are_explained, reserved_is_explained, orders_match_their_facts,
    every_fact_has_its_content, movements_match_their_facts,
)  # fmt: skip


def _pair(sum_and_count: tuple[Decimal, int]) -> str:
    return f"{canonical(sum_and_count[0])} in {sum_and_count[1]}"


def _order(state: OrderState | None) -> str:
    return "no order" if state is None else f"{state.status}, {canonical(state.filled)} of {'?' if state.quantity is None else canonical(state.quantity)}"
