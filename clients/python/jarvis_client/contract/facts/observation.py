"""What somebody observed and the books do not book: rates of currencies, and balances as a venue reports them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, NamedTuple, Self

from jarvis_client.contract.conventions import Moment, code, identifier, instant_of, usd_rate
from jarvis_client.contract.decimals import Number, canonical, exact
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.facts.base import SEPARATOR, Fact


class _RateFields(NamedTuple):
    account_id: str
    rate_id: str
    currency: str
    usd_rate: Decimal
    observed_at: int
    source: str | None
    extra: str | None
    given_time: str | None
    producer: str | None
    sequence: int | None


class Rate(_RateFields, Fact):
    """What one unit of a currency was worth in USD at an instant, as `source` said; 0 says worthless. Of no account.

    Its id is CURRENCY:SOURCE:MICROSECONDS, so that the same source says one rate at an instant.
    """

    __slots__ = ()
    kind = "rate"
    _NOT_ON_THE_WIRE: ClassVar = (*Fact._NOT_ON_THE_WIRE, "account_id", "rate_id")

    def __new__(
        cls,
        *,
        currency: str,
        usd_rate: Number,
        observed_at: Moment,
        source: str | None = None,
        extra: str | None = None,
        producer: str | None = None,
        sequence: int | None = None,
    ) -> Self:
        currency, source = _without_colon(code(currency, "currency"), "currency"), source or None
        if source is not None:
            _without_colon(identifier(source, "source"), "source")
        instant = instant_of(observed_at)
        rate_id = identifier(f"{currency}:{source or ''}:{instant}", "the id CURRENCY:SOURCE:MICROSECONDS")
        return cls._make(("", rate_id, currency, _rate(usd_rate, currency), instant, source, extra, None, producer, sequence))

    @property
    def record_id(self) -> str:
        return self.rate_id

    @property
    def instant(self) -> int:
        return self.observed_at

    def content(self) -> str:
        return SEPARATOR.join(("rate", self.rate_id, self.currency, canonical(self.usd_rate), str(self.observed_at), self.source or "", self.extra or ""))


class _BalanceFields(NamedTuple):
    account_id: str
    report_id: str
    currency: str
    total: Decimal
    observed_at: int
    extra: str | None
    given_time: str | None
    producer: str | None
    sequence: int | None


class BalanceReport(_BalanceFields, Fact):
    """What a venue says an account holds of a currency, or of a contract by its symbol. It books nothing.

    Its id is CURRENCY:MICROSECONDS.
    """

    __slots__ = ()
    kind = "balance"
    _NOT_ON_THE_WIRE: ClassVar = (*Fact._NOT_ON_THE_WIRE, "report_id")

    def __new__(
        cls,
        *,
        account_id: str,
        currency: str,
        total: Number,
        observed_at: Moment,
        extra: str | None = None,
        producer: str | None = None,
        sequence: int | None = None,
    ) -> Self:
        instant = instant_of(observed_at)
        currency = identifier(currency, "currency")
        report_id = f"{currency}:{instant}"
        return cls._make((identifier(account_id, "account_id"), report_id, currency, exact(total, "total"), instant, extra, None, producer, sequence))

    @property
    def record_id(self) -> str:
        return self.report_id

    @property
    def instant(self) -> int:
        return self.observed_at

    def content(self) -> str:
        return SEPARATOR.join((
            "balance", self.account_id, self.report_id, self.currency, canonical(self.total), str(self.observed_at), self.extra or "",
        ))  # fmt: skip


def _rate(given: Any, currency: str) -> Decimal:
    number = usd_rate(given, currency, "usd_rate")
    if number is None:
        raise Invalid("usd_rate is missing; a rate says what one unit is worth in USD")
    return number


def _without_colon(text: str, name: str) -> str:
    if ":" in text:
        raise Invalid(f"{name} is {text!r:.60}; no colon is possible, because the id of a rate is CURRENCY:SOURCE:MICROSECONDS")
    return text
