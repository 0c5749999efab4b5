"""An old entity as the facts that it states. Their identities come from the old ids, so that the same entity is the same fact again."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from jarvis.migration.layout import Entity
from jarvis.migration.values import Reading, currency_of, kept, money_of, time_of, word_of
from jarvis_client.contract.conventions import Conventions
from jarvis_client.contract.decimals import EXACT, canonical, exact
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.facts import Fill, OrderEvent
from jarvis_client.contract.forms import fact_of
from jarvis_client.contract.instants import day_of, to_instant
from persistence.domain.entries import AnyFact
from persistence.domain.money import Currency, Money
from persistence.domain.order import OrderStatus
from persistence.domain.transaction import DEBITS, Transaction, TransactionType
from persistence.repositories.transactions import manual_fact

_PLACED = ("createdat", "placedat", "submittedat", "timestamp")
_DONE = ("executedat", "filledat", "closedat", "cancelledat", "canceledat", "updatedat")
_TIMES = ("occurredat", "timestamp", "executedat", "time", "datetime", "date", "createdat")
#: Other words for the types of transactions; `--type OLD=NEW` adds more. What a `buy` moved, only its engine knows.
_TYPE_WORDS = {"withdraw": "withdrawal", "commission": "fee", "trading_fee": "fee", "funding_fee": "funding", "transfer_in": "transfer"}
#: Types that stand for a trade: their money is one leg of it.
TRADES = frozenset({TransactionType.TRADE_IN, TransactionType.TRADE_OUT})
#: Types that are records of their own by hand, because no deposit or withdrawal says the same.
_BY_HAND = TRADES | {TransactionType.ADJUSTMENT, TransactionType.RENAME, TransactionType.REBATE}

_STATUS_WORDS = {"open": "pending", "new": "pending", "placed": "pending", "active": "pending", "partial": "partially_filled", "executed": "filled",
                 "closed": "filled", "completed": "filled"}  # fmt: skip
_FIGURES = ("pnl_daily", "pnl_total", "sharpe_ratio", "sortino_ratio", "max_drawdown", "win_rate", "profit_factor", "trades_count")


@dataclass(frozen=True, slots=True)
class OldOrder:
    """An order of the source. `fill` is what was executed of it, None where it has no price; `ended` how it ended."""

    where: str
    placed: AnyFact
    fill: AnyFact | None
    ended: AnyFact | None
    status: OrderStatus
    was_executed: bool

    @property
    def with_fill(self) -> list[AnyFact]:
        """Its facts, where its money stands in it. Raises `Invalid` for one that was executed at no price."""
        if self.was_executed and self.fill is None:
            raise Invalid(f"order {self.placed.record_id.removesuffix(':placed')} is {self.status}, and neither executed_price nor price says at which price")
        # A fill of the whole quantity says that it is filled.
        ended = None if self.status == OrderStatus.FILLED else self.ended
        return [fact for fact in (self.placed, self.fill, ended) if fact is not None]

    @property
    def without_fill(self) -> list[AnyFact]:
        """Its facts, where transactions have its money."""
        return [fact for fact in (self.placed, self.ended) if fact is not None]

    @property
    def sets_aside(self) -> tuple[str, Decimal] | None:
        """What it would set aside while it is open, and of which currency; None for nothing, or where that cannot be told."""
        event = self.placed
        if not self.status.is_open or not isinstance(event, OrderEvent) or event.settle is not None or event.quantity is None:
            return None
        rest = EXACT.subtract(event.quantity, self.fill.quantity) if isinstance(self.fill, Fill) else event.quantity
        if event.side == "sell":
            return str(event.base), rest
        return None if event.price is None else (str(event.quote), EXACT.multiply(rest, event.price))


@dataclass(slots=True)
class Facts:
    """Makes facts of entities, by one way of reading them."""

    reading: Reading
    conventions: Conventions
    #: Entities without an id are told apart by what they say and how many of an account said it before.
    _twins: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def account_of(self, entity: Entity) -> str:
        account = entity.get("accountid", "account")
        if account is None:
            raise Invalid("account_id is missing, and the name of the file names no account either")
        return str(account)

    def transaction(self, entity: Entity) -> tuple[AnyFact, TransactionType]:
        """A transaction as a deposit or a withdrawal of its category; one leg of a trade, or an adjustment, as saved by hand."""
        account_id, kind = self.account_of(entity), self._type(entity)
        amount, currency = money_of(entity.get("amount", "money", "value"), entity.get("currency", "asset"), "amount")
        record_id = self._id(entity, account_id, "transactionid", "id", "txid")
        moment = self._time(entity, *_TIMES)
        description, reference = entity.get("description", "note", "memo"), entity.get("reference", "referenceid", "orderid", "relatedorderid")
        if not amount:
            raise Invalid(f"amount is 0 {currency}; what moves nothing is no transaction: take it out of the file")
        if kind in _BY_HAND:
            money = Money(amount if kind.two_way else abs(amount), Currency(currency))
            made = Transaction(kind, money, str(description or ""), record_id, moment, None if reference is None else str(reference))
            return manual_fact(made, account_id), kind
        if kind == TransactionType.DEPOSIT and amount < 0:
            raise Invalid(f"a deposit of {canonical(amount)} {currency}: money that goes is a withdrawal; write it as one")
        came = kind not in DEBITS and amount > 0
        direction = "deposit" if came else "withdrawal"
        record = {
            f"{direction}_id": record_id, "account_id": account_id, "currency": currency, "amount": canonical(abs(amount)),
            "occurred_at": to_instant(moment), "category": "external" if kind in (TransactionType.DEPOSIT, TransactionType.WITHDRAWAL) else str(kind),
            "description": description, "reference": None if reference is None else str(reference), **self._rest(entity),
        }  # fmt: skip
        return self._fact(direction, record), kind

    def metrics(self, entity: Entity) -> AnyFact:
        """A day's figures as a snapshot, its ratios as reported."""
        account_id, day = self.account_of(entity), entity.get("date", "day")
        if day is None:
            raise Invalid("date is missing")
        record = {"account_id": account_id, "date": day_of(str(day)[:10]).isoformat(), "total_value_usd": _number(entity.get("totalvalueusd", "totalvalue"))}
        for name in _FIGURES:
            value = entity.get(name.replace("_", ""))
            record |= {} if value is None else {name: value if name == "trades_count" else _number(value)}
        entity.get("id", "createdat", "updatedat")
        return self._fact("metrics", {**record, **self._rest(entity)})

    def order(self, entity: Entity) -> OldOrder:
        """An order as its events, and one fill of what was executed of it."""
        account_id = self.account_of(entity)
        order_id, status = self._id(entity, account_id, "orderid", "id"), self._status(entity)
        placed_at = self._time(entity, *_PLACED, *_DONE)
        done_at = max(placed_at, self._time(entity, *_DONE, *_PLACED))
        common = {"account_id": account_id, "order_id": order_id}
        traded = {"symbol": entity.get("symbol", "pair", "market"), "side": word_of(entity.get("side"))}
        quantity, price = _number(entity.get("quantity", "qty", "amount", "size")), _number(entity.get("price", "limitprice"))
        executed = _number(entity.get("executedquantity", "filledquantity", "executedqty", "filledqty", "filled"))
        executed_price = _number(entity.get("executedprice", "averageprice", "avgprice", "filledprice", "fillprice", "averagefillprice")) or price
        paid = _fee(entity.get("fee", "fees", "commission"), entity.get("feecurrency", "commissionasset"))
        terms = {**traded, "order_type": word_of(entity.get("ordertype", "type") or "market"), "quantity": quantity, "price": price}
        placed = {**common, **terms, "event_id": f"{order_id}:placed", "status": "placed", "occurred_at": to_instant(placed_at), **self._rest(entity)}
        if executed is None or not Decimal(executed):
            executed = quantity if status == OrderStatus.FILLED else None
        fill = None
        if executed is not None and executed_price is not None:
            done = {**common, **traded, "fill_id": f"{order_id}:filled", "quantity": executed, "price": executed_price, "executed_at": to_instant(done_at)}
            fill = self._fact("fill", {**done, **paid})
        ended = None
        if not status.is_open:
            told = {"old": {"executed_quantity": executed, "executed_price": executed_price}} if status == OrderStatus.FILLED else {}
            ended = self._fact("order", {**common, "event_id": f"{order_id}:{status}", "status": str(status), "occurred_at": to_instant(done_at), **told})
        return OldOrder(entity.where, self._fact("order", placed), fill, ended, status, executed is not None)

    def _type(self, entity: Entity) -> TransactionType:
        word = word_of(entity.get("transactiontype", "type", "kind"))
        told = self.reading.types.get(word, _TYPE_WORDS.get(word, word))
        try:
            return TransactionType(told)
        except Invalid:
            known = ", ".join(TransactionType)
            raise Invalid(f"the type is {word or 'missing'!r}; say what it means: --type {(word or 'OLD').upper()}=TYPE, one of {known}") from None

    def _status(self, entity: Entity) -> OrderStatus:
        word = word_of(entity.get("status", "state") or "")
        try:
            return OrderStatus(_STATUS_WORDS.get(word, word))
        except Invalid:
            raise Invalid(f"status is {word or 'missing'!r}; there are {', '.join(OrderStatus)}") from None

    def _time(self, entity: Entity, *names: str) -> datetime:
        value = entity.get(*names)
        if value is None:
            raise Invalid("it has no time: none of timestamp, occurred_at, created_at and executed_at is there")
        return time_of(value, next(entity.names.get(name, name) for name in names if entity.fields.get(name) is value), self.reading)

    def _id(self, entity: Entity, account_id: str, *names: str) -> str:
        given = entity.get(*names)
        if given is not None:
            return str(given)
        text = json.dumps(kept(entity.fields), sort_keys=True, ensure_ascii=False)
        self._twins[account_id, text] += 1
        return f"json:{hashlib.sha256(text.encode()).hexdigest()[:24]}:{self._twins[account_id, text]}"

    def _rest(self, entity: Entity) -> dict[str, Any]:
        """Fields that the contract has no place for, kept together under one name, so that none is taken for a misspelt one of ours."""
        rest = entity.rest()
        return {"old": kept(rest)} if rest else {}

    def _fact(self, kind: str, record: dict[str, Any]) -> AnyFact:
        return fact_of(kind, {name: value for name, value in record.items() if value is not None}, self.conventions)


def _number(value: Any) -> str | None:
    """A number of the source as its text; money counts by its amount."""
    if isinstance(value, dict):
        value = {name.casefold(): part for name, part in value.items()}.get("amount")
    return None if value is None else canonical(exact(value, "a number"))


def _fee(value: Any, currency: Any) -> dict[str, Any]:
    """The fee of an order as that of its fill."""
    if value is None:
        return {}
    if isinstance(value, dict):
        amount, code = money_of(value, currency, "fee")
        return {"fee": canonical(amount), "fee_currency": code}
    return {"fee": _number(value), "fee_currency": None if currency is None else currency_of(currency)}
