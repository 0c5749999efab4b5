"""A whole folder as accounts and facts, with what the source says of itself beside it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from jarvis.migration.entities import TRADES, Facts, OldOrder
from jarvis.migration.layout import ACCOUNTS, BALANCES, METRICS, ORDERS, TRANSACTIONS, Entity, Folder
from jarvis.migration.values import currency_of, money_of, plain, time_of, word_of
from jarvis_client.contract.conventions import identifier
from jarvis_client.contract.decimals import EXACT, ZERO, canonical
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.facts import OrderEvent
from persistence.books.movements import transactions_of
from persistence.domain.entries import AnyFact, ManualTransaction
from persistence.domain.order import OrderStatus

_INACTIVE = ("inactive", "closed", "disabled", "deactivated", "false")


class TradesFrom(StrEnum):
    """Where the money of trades stands in the source: in transactions of its own, or in the orders that were filled."""

    AUTO = "auto"
    TRANSACTIONS = "transactions"
    ORDERS = "orders"


@dataclass(slots=True)
class OldAccount:
    """An account as the source has it. `totals` holds what it says the account owns, None where it says nothing."""

    account_id: str
    name: str = ""
    is_active: bool = True
    opened_at: datetime | None = None
    totals: dict[str, Decimal] | None = None
    reserved: dict[str, Decimal] = field(default_factory=dict)
    transactions: int = 0
    metrics: int = 0
    #: By the status that the books will show.
    orders: Counter[str] = field(default_factory=Counter)
    trades_from: TradesFrom = TradesFrom.ORDERS
    #: Of its transactions, those that its filled orders say too.
    from_orders: int = 0


@dataclass(slots=True)
class Plan:
    """What is to be recorded, and what is to be found in the books then."""

    #: Of accounts without transactions of their own for trades.
    trades_from: TradesFrom
    accounts: dict[str, OldAccount] = field(default_factory=dict)
    facts: list[AnyFact] = field(default_factory=list)
    #: What accounts held before their first record, where that is to be recorded.
    openings: list[AnyFact] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    #: Entities that the source holds twice, word for word.
    repeated: int = 0
    _known: dict[tuple[str, str, str], bytes] = field(default_factory=dict)

    @property
    def everything(self) -> list[AnyFact]:
        return [*self.openings, *self.facts]

    def add(self, found: list[AnyFact]) -> bool:
        """Take the facts of one entity; False where the source held it before. Raises `Invalid` where it held it with other content."""
        first = found[0]
        known = self._known.get(first.identity)
        if known is not None and known != first.digest:
            raise Invalid(f"{first.kind} {first.record_id} of {first.account_id} stands in the folder twice, and they differ: keep the right one")
        if known is not None:
            self.repeated += 1
            return False
        self._known[first.identity] = first.digest
        self.facts += found
        return True

    def account(self, account_id: str) -> OldAccount:
        if account_id not in self.accounts:
            self.accounts[account_id] = OldAccount(identifier(account_id, "account_id"), trades_from=self.trades_from)
        return self.accounts[account_id]


def plan_of(folder: Folder, facts: Facts, trades_from: TradesFrom = TradesFrom.AUTO) -> Plan:
    """The plan for a folder. What is wrong with an entity is told among its problems, all of it at once."""
    plan = Plan(TradesFrom.ORDERS if trades_from == TradesFrom.AUTO else trades_from, problems=list(folder.problems))
    if folder.passed_over:
        plan.remarks.append(f"not read, its name says nothing of accounts, balances, transactions, orders or metrics: {', '.join(folder.passed_over)}")
    entities = folder.entities

    def each(kind: str, take: Callable[[Entity], None]) -> None:
        for entity in entities[kind]:
            try:
                take(entity)
            except Invalid as error:
                plan.problems.append(f"{entity.where}: {error}")

    each(ACCOUNTS, lambda entity: _account(plan, facts, entity))
    each(BALANCES, lambda entity: _balance(plan.account(facts.account_of(entity)), entity))
    traded: set[str] = set()
    each(TRANSACTIONS, lambda entity: _transaction(plan, facts, entity, traded))
    orders: dict[str, list[OldOrder]] = defaultdict(list)
    each(ORDERS, lambda entity: orders[plan.account(facts.account_of(entity)).account_id].append(facts.order(entity)))
    each(METRICS, lambda entity: _metrics(plan, facts, entity))
    for account in plan.accounts.values():
        if trades_from == TradesFrom.AUTO and account.account_id in traded:
            _choose(plan, account, orders[account.account_id])
        _orders(plan, account, orders[account.account_id])
        _set_aside(plan, account, orders[account.account_id])
    if plan.repeated:
        plan.remarks.append(f"{plan.repeated:,} transactions, orders or metrics stand in the folder twice, word for word; each counts once")
    return plan


def _account(plan: Plan, facts: Facts, entity: Entity) -> None:
    account_id = entity.get("accountid", "id")
    if account_id is None:
        raise Invalid("account_id is missing")
    account = plan.account(str(account_id))
    account.name = str(entity.get("name", "accountname") or "")
    active, created = entity.get("isactive", "active", "status"), entity.get("openedat", "createdat", "created")
    account.is_active = active is None or word_of(active) not in _INACTIVE
    account.opened_at = None if created is None else time_of(created, "created_at", facts.reading)
    _balance(account, entity)


def _balance(account: OldAccount, entity: Entity) -> None:
    """What an entity says that the account holds: below `balance`, or in fields of its own."""
    found = entity.get("balance", "balances")
    if found is None:
        own = {name: entity.fields[name] for name in ("available", "reserved", "total", "currency", "free", "locked") if name in entity.fields}
        if not own:
            return
        found = own
    totals: dict[str, Decimal] = {}
    reserved: dict[str, Decimal] = {}
    for currency, available, held in _holdings(found):
        totals[currency] = EXACT.add(totals.get(currency, ZERO), EXACT.add(available, held))
        reserved[currency] = EXACT.add(reserved.get(currency, ZERO), held)
    account.totals = {} if account.totals is None else account.totals
    for currency, total in totals.items():
        if account.totals.setdefault(currency, total) != total:
            said, other = canonical(total), canonical(account.totals[currency])
            raise Invalid(f"{account.account_id} holds {said} {currency} here and {other} elsewhere in the folder: keep the right one")
    account.reserved |= {currency: amount for currency, amount in reserved.items() if amount}


def _holdings(found: Any, currency: str | None = None) -> list[tuple[str, Decimal, Decimal]]:
    """(currency, available, reserved) of whatever form a balance has."""
    if isinstance(found, list):
        return [holding for part in found for holding in _holdings(part)]
    if not isinstance(found, dict):
        amount, code = money_of(found, currency, "balance")
        return [(code, amount, ZERO)]
    parts = {plain(name): value for name, value in found.items()}
    currency = currency_of(parts["currency"]) if "currency" in parts else currency
    free, held = parts.get("available", parts.get("free")), parts.get("reserved", parts.get("locked"))
    if currency is not None:
        if free is None and held is None:
            total = parts.get("total", parts.get("amount", parts.get("balance")))
            return [(currency, money_of(total, currency, f"balance of {currency}")[0], ZERO)]
        amounts = [ZERO if value is None else money_of(value, currency, f"balance of {currency}")[0] for value in (free, held)]
        return [(currency, amounts[0], amounts[1])]
    if isinstance(free, dict | list) or isinstance(held, dict | list):
        return [*_each(free), *((code, ZERO, amount) for code, amount, _ in _each(held))]
    return [holding for code, value in found.items() if plain(code) != "total" for holding in _holdings(value, currency_of(code))]


def _each(found: Any) -> list[tuple[str, Decimal, Decimal]]:
    return [] if found is None else _holdings(found)


def _transaction(plan: Plan, facts: Facts, entity: Entity, traded: set[str]) -> None:
    fact, kind = facts.transaction(entity)
    plan.account(fact.account_id).transactions += plan.add([fact])
    if kind in TRADES:
        traded.add(fact.account_id)


def _choose(plan: Plan, account: OldAccount, orders: list[OldOrder]) -> None:
    """Where both transactions and orders have an account's trades: from the orders if they say exactly the same, and know more; else from
    the transactions, which then have no fills."""
    legs = [fact for fact in plan.facts if isinstance(fact, ManualTransaction) and fact.account_id == account.account_id and fact.type in TRADES]
    fills = [order.fill for order in orders if order.fill is not None]
    made = Counter((row.type, row.currency, Decimal(row.amount)) for fill in fills for row in transactions_of(0, fill) if row.type in TRADES)
    if made == Counter((leg.type, leg.currency, leg.amount) for leg in legs):
        same = {id(leg) for leg in legs}
        plan.facts = [fact for fact in plan.facts if id(fact) not in same]
        account.from_orders = len(legs)
        plan.remarks.append(f"{account.account_id}: its {len(legs):,} transactions of trades say what its filled orders say; they are recorded as fills")
        return
    account.trades_from = TradesFrom.TRANSACTIONS
    if fills:
        plan.remarks.append(
            f"{account.account_id}: its filled orders do not say the same as its transactions of trades, which count; these orders are recorded without fills"
        )


def _orders(plan: Plan, account: OldAccount, orders: list[OldOrder]) -> None:
    from_orders = account.trades_from == TradesFrom.ORDERS
    for order in orders:
        try:
            if plan.add(order.with_fill if from_orders else order.without_fill):
                # Without its fills an order is pending until it has ended.
                is_partial = order.status == OrderStatus.PARTIALLY_FILLED
                account.orders[str(OrderStatus.PENDING if is_partial and not from_orders else order.status)] += 1
        except Invalid as error:
            plan.problems.append(f"{order.where}: {error}")


def _metrics(plan: Plan, facts: Facts, entity: Entity) -> None:
    fact = facts.metrics(entity)
    plan.account(fact.account_id).metrics += plan.add([fact])


def _set_aside(plan: Plan, account: OldAccount, orders: list[OldOrder]) -> None:
    """Open orders set aside what the source says is reserved, where that is exactly what they would."""
    if not account.reserved:
        return
    aside: dict[str, Decimal] = {}
    reserving: set[int] = set()
    for order in orders:
        if (own := order.sets_aside) is not None:
            aside[own[0]] = EXACT.add(aside.get(own[0], ZERO), own[1])
            reserving.add(id(order.placed))
    if aside == account.reserved:
        plan.facts = [fact._replace(reserve=True) if isinstance(fact, OrderEvent) and id(fact) in reserving else fact for fact in plan.facts]
        return
    said = ", ".join(f"{canonical(amount)} {currency}" for currency, amount in sorted(account.reserved.items()))
    would = ", ".join(f"{canonical(amount)} {currency}" for currency, amount in sorted(aside.items())) or "nothing"
    plan.remarks.append(f"{account.account_id}: {said} are reserved, and its open orders would reserve {would}: all of it counts as available")
