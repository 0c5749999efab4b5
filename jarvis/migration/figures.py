"""What the source says against what books hold, figure by figure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from jarvis.migration.plan import OldAccount, Plan
from jarvis_client.contract.decimals import EXACT, ZERO, canonical
from jarvis_client.contract.facts import Deposit, EquitySnapshot, Fill, OrderEvent, Withdrawal
from persistence.domain.entries import AnyFact, ManualTransaction
from persistence.engine.contract import Database
from persistence.readback import Recorded, recorded
from persistence.repositories import SQLiteOrderRepository

#: Of all that was moved: sums of binary fractions, as the old files hold, are wrong by less.
ROUNDING = Decimal("1e-12")


class Check(NamedTuple):
    """One figure of an account. `agrees` is true up to the rounding of the old numbers."""

    account: str
    figure: str
    source: str
    books: str
    agrees: bool


def checks(database: Database, plan: Plan) -> list[Check]:
    """Every figure of the source beside what the books hold of the plan's facts."""
    found = recorded(database, plan.everything)
    volumes = _volumes(plan.everything)
    rows: list[Check] = []
    for account in plan.accounts.values():
        rows += _balances(account, found, volumes)
        openings = sum(fact.account_id == account.account_id for fact in plan.openings)
        rows += _counts(account, found, _order_statuses(database, account, plan.facts), openings)
    for kind, account_id, record_id in found.absent[:10]:
        rows.append(Check(account_id, f"{kind} {record_id}", "as planned", "absent, voided or with other content", False))
    return rows


def differences(database: Database, plan: Plan) -> dict[tuple[str, str], Decimal]:
    """By (account, currency), what the source's balance has that the plan's facts do not explain; rounding of its numbers left out."""
    found, volumes = recorded(database, plan.everything), _volumes(plan.everything)
    said = {(a.account_id, currency): total for a in plan.accounts.values() if a.totals is not None for currency, total in a.totals.items()}
    keys = {*said, *(key for key in found.moved if plan.accounts[key[0]].totals is not None)}
    rest = {key: EXACT.subtract(said.get(key, ZERO), found.moved.get(key, ZERO)) for key in sorted(keys)}
    return {key: amount for key, amount in rest.items() if not _is_rounding(amount, volumes[key])}


def _balances(account: OldAccount, found: Recorded, volumes: dict[tuple[str, str], Decimal]) -> list[Check]:
    if account.totals is None:
        return []
    held = {currency: amount for (account_id, currency), amount in found.moved.items() if account_id == account.account_id}
    rows = []
    for currency in sorted({*account.totals, *held}):
        source, books = account.totals.get(currency, ZERO), held.get(currency, ZERO)
        agrees = _is_rounding(EXACT.subtract(source, books), volumes[account.account_id, currency])
        rows.append(Check(account.account_id, f"balance {currency}", canonical(source), canonical(books), agrees))
    return rows


def _counts(account: OldAccount, found: Recorded, statuses: Counter[str], openings: int) -> list[Check]:
    name = account.account_id
    money = sum(found.kinds[name, kind] for kind in (Deposit.kind, Withdrawal.kind, ManualTransaction.kind))
    rows = [_count(name, "transactions", account.transactions, money - openings + account.from_orders)]
    rows += [_count(name, f"orders {status}", account.orders[status], statuses[status]) for status in sorted({*account.orders, *statuses})]
    rows.append(_count(name, "metrics", account.metrics, found.kinds[name, EquitySnapshot.kind]))
    return [row for row in rows if row.source != "0" or row.books != "0"]


def _count(account_id: str, figure: str, source: int, books: int) -> Check:
    return Check(account_id, figure, f"{source:,}", f"{books:,}", source == books)


def _order_statuses(database: Database, account: OldAccount, facts: Iterable[AnyFact]) -> Counter[str]:
    ours = {fact.order_id for fact in facts if isinstance(fact, OrderEvent) and fact.account_id == account.account_id}
    orders = SQLiteOrderRepository(database).find_by_account(account.account_id, limit=None) if ours else []
    return Counter(str(order.status) for order in orders if order.order_id in ours)


def _is_rounding(difference: Decimal, volume: Decimal) -> bool:
    return abs(difference) <= EXACT.multiply(volume, ROUNDING)


def _volumes(facts: Iterable[AnyFact]) -> dict[tuple[str, str], Decimal]:
    """What was moved in all, by (account, currency), whichever way."""
    found: dict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    for fact in facts:
        moved: list[tuple[str, Decimal]] = []
        if isinstance(fact, Deposit | Withdrawal | ManualTransaction):
            moved = [(fact.currency, fact.amount)]
        elif isinstance(fact, Fill):
            moved = [(fact.base, fact.quantity), (fact.traded.cash_currency, fact.quote_quantity), *((c.currency, c.amount) for c in fact.charges)]
        for currency, amount in moved:
            found[fact.account_id, currency] = EXACT.add(found[fact.account_id, currency], abs(amount))
    return found
