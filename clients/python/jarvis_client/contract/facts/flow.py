"""Deposits and withdrawals, and fees that come after their fill."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, NamedTuple, Self

from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS, Conventions, Moment, code, identifier, instant_of, positive, text_or_empty, usd_rate
from jarvis_client.contract.decimals import Number, canonical, exact
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.facts.base import SEPARATOR, Category, Fact

#: Categories whose money may belong to the trade of an instrument.
OF_A_TRADE = frozenset({Category.FUNDING, Category.INTEREST, Category.OTHER})


class _FlowFields(NamedTuple):
    account_id: str
    flow_id: str
    currency: str
    amount: Decimal
    category: str
    occurred_at: int
    usd_rate: Decimal | None
    fee: Decimal | None
    fee_currency: str | None
    description: str | None
    reference: str | None
    symbol: str | None
    extra: str | None
    given_time: str | None
    producer: str | None
    sequence: int | None


class _Flow(_FlowFields, Fact):
    """Money that came to an account or left it; the amount is always positive, the kind says which way. `fee` is taken besides.
    `symbol` says in which instrument's trade funding, interest or other profit counts."""

    __slots__ = ()

    @classmethod
    def _checked(
        cls,
        flow_id: str,
        account_id: str,
        currency: str,
        amount: Number,
        occurred_at: Moment,
        category: Category | str = Category.EXTERNAL,
        usd_rate: Number | None = None,
        fee: Number | None = None,
        fee_currency: str | None = None,
        description: str | None = None,
        reference: str | None = None,
        symbol: str | None = None,
        extra: str | None = None,
        producer: str | None = None,
        sequence: int | None = None,
        conventions: Conventions = DEFAULT_CONVENTIONS,
    ) -> Self:
        currency = code(currency, "currency")
        return cls._make((
            identifier(account_id, "account_id"), identifier(flow_id, f"{cls.kind}_id"), currency, positive(amount, "amount"),
            str(Category(category)), instant_of(occurred_at), rate_of(usd_rate, currency), *fee_of(fee, fee_currency, currency),
            description or None, reference or None, symbol_of(symbol, category), extra, None, producer, sequence,
        ))  # fmt: skip

    @property
    def record_id(self) -> str:
        return self.flow_id

    @property
    def instant(self) -> int:
        return self.occurred_at

    def content(self) -> str:
        return SEPARATOR.join((
            self.kind, self.account_id, self.flow_id, self.currency, canonical(self.amount), self.category, str(self.occurred_at),
            text_or_empty(self.usd_rate), text_or_empty(self.fee), self.fee_currency or "", self.description or "", self.reference or "",
            self.symbol or "", self.extra or "",
        ))  # fmt: skip


class Deposit(_Flow):
    __slots__ = ()
    kind = "deposit"
    _WIRE_NAMES: ClassVar = {"flow_id": "deposit_id"}

    def __new__(cls, *, deposit_id: str, account_id: str, currency: str, amount: Number, occurred_at: Moment, **optional: Any) -> Self:
        return cls._checked(deposit_id, account_id, currency, amount, occurred_at, **optional)

    @property
    def deposit_id(self) -> str:
        return self.flow_id


class Withdrawal(_Flow):
    __slots__ = ()
    kind = "withdrawal"
    _WIRE_NAMES: ClassVar = {"flow_id": "withdrawal_id"}

    def __new__(cls, *, withdrawal_id: str, account_id: str, currency: str, amount: Number, occurred_at: Moment, **optional: Any) -> Self:
        return cls._checked(withdrawal_id, account_id, currency, amount, occurred_at, **optional)

    @property
    def withdrawal_id(self) -> str:
        return self.flow_id


class _FeeFields(NamedTuple):
    account_id: str
    fee_id: str
    fill_id: str
    currency: str
    amount: Decimal
    occurred_at: int
    usd_rate: Decimal | None
    extra: str | None
    given_time: str | None
    producer: str | None
    sequence: int | None


class Fee(_FeeFields, Fact):
    """A further fee of a fill, part of its trade; negative is a rebate. It may come before its fill, and counts without it, too."""

    __slots__ = ()
    kind = "fee"

    def __new__(
        cls,
        *,
        fee_id: str,
        account_id: str,
        fill_id: str,
        currency: str,
        amount: Number,
        occurred_at: Moment,
        usd_rate: Number | None = None,
        extra: str | None = None,
        producer: str | None = None,
        sequence: int | None = None,
    ) -> Self:
        currency = code(currency, "currency")
        return cls._make((
            identifier(account_id, "account_id"), identifier(fee_id, "fee_id"), identifier(fill_id, "fill_id"), currency, exact(amount, "amount"),
            instant_of(occurred_at), rate_of(usd_rate, currency), extra, None, producer, sequence,
        ))  # fmt: skip

    @property
    def record_id(self) -> str:
        return self.fee_id

    @property
    def instant(self) -> int:
        return self.occurred_at

    def content(self) -> str:
        return SEPARATOR.join((
            "fee", self.account_id, self.fee_id, self.fill_id, self.currency, canonical(self.amount), str(self.occurred_at),
            text_or_empty(self.usd_rate), self.extra or "",
        ))  # fmt: skip


def fee_of(fee: Number | None, fee_currency: str | None, currency: str) -> tuple[Decimal | None, str | None]:
    """The fee of a deposit or withdrawal and its currency, by default that of the amount; (None, None) where none is given."""
    if fee is None or not (amount := exact(fee, "fee")):
        return None, None
    return amount, code(fee_currency, "fee_currency") if fee_currency else currency


def symbol_of(symbol: str | None, category: Category | str) -> str | None:
    """The symbol of a flow that is part of a trade. Raises `Invalid` for one of another category."""
    if not symbol:
        return None
    if Category(category) not in OF_A_TRADE:
        raise Invalid(
            f"symbol is {symbol!r:.60}, but the category is {category}: only {', '.join(sorted(OF_A_TRADE))} belong to an instrument; leave the symbol out"
        )
    return identifier(symbol, "symbol")


def flow_kind(category: str, code: str) -> str:
    """What a flow moves: a contract where only a contract is written so, else a currency."""
    return "contract" if category in (Category.SPLIT, Category.RENAME) and any(c in code for c in "/: ") else "currency"


def rate_of(given: Number | None, currency: str) -> Decimal | None:
    return usd_rate(given, currency, "usd_rate")
