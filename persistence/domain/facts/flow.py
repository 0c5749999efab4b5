"""Deposits and withdrawals."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, NamedTuple, Self

from persistence.domain.conventions import DEFAULT_CONVENTIONS, Conventions, Moment, code, identifier, instant_of, positive, rate, text_or_empty
from persistence.domain.facts.base import SEPARATOR, Category, Fact
from persistence.domain.money import Number, canonical


class _FlowFields(NamedTuple):
    account_id: str
    flow_id: str
    currency: str
    amount: Decimal
    category: str
    occurred_at: int
    usd_rate: Decimal | None
    description: str | None
    reference: str | None
    extra: str | None
    given_time: str | None
    producer: str | None
    sequence: int | None


class _Flow(_FlowFields, Fact):
    """Money that came to an account or left it; the amount is always positive, the kind says which way."""

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
        description: str | None = None,
        reference: str | None = None,
        extra: str | None = None,
        producer: str | None = None,
        sequence: int | None = None,
        conventions: Conventions = DEFAULT_CONVENTIONS,
    ) -> Self:
        currency = code(currency, "currency")
        return cls._make((
            identifier(account_id, "account_id"), identifier(flow_id, f"{cls.kind}_id"), currency, positive(amount, "amount"),
            str(Category(category)), instant_of(occurred_at), rate(usd_rate, currency, conventions, "usd_rate"),
            description or None, reference or None, extra, None, producer, sequence,
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
            text_or_empty(self.usd_rate), self.description or "", self.reference or "", self.extra or "",
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
