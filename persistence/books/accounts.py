"""The rows of accounts and balances: opened by facts, marked for the rollup, moved in the commit that moves money."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from jarvis_client.contract.decimals import EXACT, ZERO, canonical
from persistence.books import events
from persistence.engine.contract import Connection

#: What is held by who records rates, which are of no account.
RATES = "rates"


def hold(connection: Connection, account_ids: Iterable[str]) -> None:
    """Let nobody else change these accounts, new ones included, before this commit has ended: for who reads first what it saves by hand."""
    # What is no id is refused by who saves it, by its field.
    ids = sorted({account_id for account_id in account_ids if isinstance(account_id, str) and account_id.isprintable()})
    for account_id in ids:
        connection.hold(f"account {account_id}")
    _hold_rows(connection, ids)


def _hold_rows(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Which of these accounts there are, each held, in the order of their ids: nobody waits for somebody who waits for him."""
    holding = connection.dialect.holding("account_id")
    sql = f"SELECT account_id FROM accounts WHERE account_id = ?{holding}"
    return {account_id for (account_id,) in connection.lookup(sql, [(account_id,) for account_id in ids])}


def open_unknown(connection: Connection, account_ids: Iterable[str], now: int, *, reopen: bool) -> set[str]:
    """Hold the accounts, and open those that are new; `mark_dirty` says since when. Returns those that were deleted, unless `reopen`."""
    ids = sorted(account_ids)
    if ids and not ids[0]:
        connection.hold(RATES)
        del ids[0]
    known = _hold_rows(connection, ids)
    unknown = [(account_id,) for account_id in ids if account_id not in known]
    if not unknown:
        return set()
    deleted = {account_id for (account_id,) in connection.lookup("SELECT account_id FROM account_tombstones WHERE account_id = ?", unknown)}
    if reopen:
        for account_id in sorted(deleted):
            lift_tombstone(connection, account_id, now)
        deleted = set()
    opened = [(account_id, account_id, now, now) for (account_id,) in unknown if account_id not in deleted]
    sql = "INSERT INTO accounts (account_id, name, created_at, updated_at) VALUES (?, ?, ?, ?) ON CONFLICT (account_id) DO NOTHING"
    if connection.insert_many(sql, opened) < len(opened):
        # Somebody else has opened one meanwhile.
        _hold_rows(connection, [account_id for account_id, *_ in opened])
    return deleted


def lift_tombstone(connection: Connection, account_id: str, now: int) -> None:
    """Take the tombstone of a deleted account away, if there is one."""
    if connection.execute("DELETE FROM account_tombstones WHERE account_id = ? RETURNING 1", (account_id,)).get is not None:
        events.record(connection, events.ACCOUNT_REOPENED, now, {"account_id": account_id})


def mark_dirty(connection: Connection, least: dict[str, int], newest: int) -> None:
    """Leave the least instant that changed, for the rollup, which clears the mark only if no further commit came meanwhile; and the
    `newest` number that this commit has recorded, 0 for none: in an account numbers grow from one commit to the next.

    The same instant may be the account's earliest.
    """
    connection.executemany(
        "UPDATE accounts SET dirty_since = CASE WHEN dirty_since < ?1 THEN dirty_since ELSE ?1 END, dirty_count = dirty_count + 1, "
        "opened_at = CASE WHEN opened_at < ?1 THEN opened_at ELSE ?1 END, last_fact_no = CASE WHEN last_fact_no < ?3 THEN ?3 ELSE last_fact_no END "
        "WHERE account_id = ?2",
        [(instant, account_id, newest) for account_id, instant in least.items()],
    )


def mark_recheck(connection: Connection, least: dict[str, int]) -> None:
    """Leave the least instant at which something recorded changed in place."""
    connection.executemany(
        "UPDATE accounts SET recheck_since = CASE WHEN recheck_since < ?1 THEN recheck_since ELSE ?1 END, recheck_count = recheck_count + 1 "
        "WHERE account_id = ?2",
        [(instant, account_id) for account_id, instant in least.items()],
    )


class BalanceChange(NamedTuple):
    """What one commit does to a balance. `total` is what it moves by, `reserved` what is set aside of it."""

    account_id: str
    currency: str
    kind: str
    total: Decimal
    reserved: Decimal


def move_balances(connection: Connection, changes: Sequence[BalanceChange], now: int) -> None:
    """Apply changes of balances, each read and written in this commit."""
    sql = "SELECT account_id, currency, kind, available, reserved FROM balances WHERE account_id = ? AND currency = ? AND kind = ?"
    stored = {(a, c, k): (Decimal(free), Decimal(held)) for a, c, k, free, held in connection.lookup(sql, [change[:3] for change in changes])}
    rows = []
    for account_id, currency, kind, total, reserved in changes:
        available, held = stored.get((account_id, currency, kind), (ZERO, ZERO))
        held = EXACT.add(held, reserved)
        available = EXACT.subtract(EXACT.add(available, total), reserved)
        if not available and not held and not _ever_moved(connection, account_id, currency, kind):
            # This balance existed only because an order set money aside, and no order does now: delete the row.
            connection.execute("DELETE FROM balances WHERE account_id = ? AND currency = ? AND kind = ?", (account_id, currency, kind))
            continue
        rows.append((account_id, currency, kind, canonical(available), canonical(held), now))
    connection.executemany(
        "INSERT INTO balances (account_id, currency, kind, available, reserved, updated_at) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (account_id, currency, kind) DO UPDATE SET available = excluded.available, reserved = excluded.reserved, "
        "updated_at = excluded.updated_at",
        rows,
    )


def _ever_moved(connection: Connection, account_id: str, currency: str, kind: str) -> bool:
    sql = "SELECT 1 FROM transaction_totals WHERE account_id = ? AND currency = ? AND kind = ? LIMIT 1"
    return connection.execute(sql, (account_id, currency, kind)).get is not None
