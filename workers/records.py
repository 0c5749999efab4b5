"""The records of the contract: one model per kind, each turned into the fact that it states.

The JSON Schema of each is checked in under `docs/schemas/`.
"""

from __future__ import annotations

from abc import abstractmethod
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from jarvis_client.contract.conventions import Conventions, cash_of
from jarvis_client.contract.decimals import EXACT, ONE, ZERO
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.facts import VOIDABLE, BalanceReport, Charge, Deposit, EquitySnapshot, Fee, Fill, OrderEvent, Rate, Void, Withdrawal
from jarvis_client.contract.facts.fill import MOST_FEES, charges
from jarvis_client.contract.facts.flow import symbol_of
from jarvis_client.contract.json_values import canonical_json
from jarvis_client.contract.near_misses import refuse_near_misses
from persistence.domain.entries import AnyFact
from workers import conditions as rules
from workers.fields import CategoryName, Code, Day, Id, Moment, Number, Positive, RateCode, RateSource, Side, StatusName, Text, UsdRate, Word


class Record(BaseModel):
    """What every record may carry. Unknown fields are kept with it; those that look like its own are refused."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    kind: ClassVar[str]
    id_field: ClassVar[str]

    producer: Annotated[Id | None, Field(description="who publishes, for noticing gaps")] = None
    sequence: Annotated[StrictInt | None, Field(ge=0, le=2**63 - 1, description="+1 per record of that producer")] = None

    @abstractmethod
    def fact(self, conventions: Conventions) -> AnyFact:
        """The fact that the record states, its defaults filled in by the conventions. Raises `Invalid`."""

    def _unknown(self) -> str | None:
        if not self.__pydantic_extra__:
            return None
        refuse_near_misses(self.kind, tuple(self.__pydantic_extra__), type(self).names())
        text = canonical_json(self.__pydantic_extra__)
        text.encode()  # a lone surrogate is no text: better refused here than by the store
        return text

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The fields of the record, as they are written."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())


class AccountRecord(Record):
    """A record of an account."""

    account_id: Annotated[Id, Field(description="opened by the first record that names it")]


class ChargeRecord(BaseModel):
    """One of several fees of a fill."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, json_schema_extra=rules.CHARGE)

    currency: Annotated[Code, Field(description="of amount, by its code")]
    amount: Annotated[Number, Field(description="negative is a rebate")]
    usd_rate: Annotated[UsdRate | None, Field(description="USD per unit at this instant")] = None

    def charge(self) -> Charge:
        return Charge(self.currency, self.amount, _rate(self.usd_rate, self.currency, "fees.usd_rate"))


CHARGE_SCHEMA = ChargeRecord.model_json_schema()


class FillRecord(AccountRecord):
    """One execution. `quote_quantity` is the venue's own cash amount (default quantity × price × multiplier)."""

    model_config = ConfigDict(json_schema_extra=rules.FILL)
    kind: ClassVar[str] = "fill"
    id_field: ClassVar[str] = "fill_id"

    fill_id: Annotated[Id, Field(description="unique over all symbols of the account: venue:symbol:trade_id")]
    symbol: Annotated[Id, Field(description="BTC/USDT, BTC-USDT or BTCUSDT; a contract as BTC/USDT:USDT")]
    side: Annotated[Side, Field(description="whether base was bought or sold")]
    quantity: Annotated[Positive, Field(description="of base; of contracts, their number")]
    price: Annotated[Number, Field(description="of one unit of base, in quote")]
    executed_at: Annotated[Moment, Field(description="when it was executed")]
    order_id: Annotated[Id | None, Field(description="left out where there was no order")] = None
    fee: Annotated[Number | None, Field(description="negative is a rebate; null: not known yet, a fee record will say it")] = ZERO
    fee_currency: Annotated[Code | None, Field(description="default: the currency of the cash")] = None
    fees: Annotated[
        list[ChargeRecord] | tuple[()] | None,
        Field(max_length=MOST_FEES, description="instead of fee: several; null or empty: not known yet"),
        WithJsonSchema({"anyOf": [{"type": "array", "maxItems": MOST_FEES, "items": CHARGE_SCHEMA}, {"type": "null"}]}),
    ] = ()
    quote_quantity: Annotated[Number | None, Field(description="has the sign of price; required for inverse and quanto contracts")] = None
    base: Annotated[Code | None, Field(description="what is traded, where the symbol does not say it")] = None
    quote: Annotated[Code | None, Field(description="what the price is in, where the symbol does not say it")] = None
    settle: Annotated[Code | None, Field(description="the currency of a contract's cash")] = None
    contract: Annotated[StrictBool | None, Field(description="true where only this says that it is a contract")] = None
    inverse: Annotated[StrictBool | None, Field(description="the contract is counted in quote and settled in its base")] = None
    multiplier: Annotated[Positive | None, Field(description="the size of a contract; default 1")] = None
    quote_usd_rate: Annotated[UsdRate | None, Field(description="USD per unit of the cash's currency at this instant")] = None
    fee_usd_rate: Annotated[UsdRate | None, Field(description="USD per unit of the fee currency at this instant")] = None
    liquidity: Annotated[Literal["maker", "taker"] | None, Field(description="whether the order stood in the book or met one that did")] = None
    order_type: Annotated[Word | None, Field(description="market, limit …; in any case")] = None
    order_quantity: Annotated[Positive | None, Field(description="the quantity of its order, where nobody publishes orders")] = None
    order_price: Annotated[Number | None, Field(description="the price of its order, where nobody publishes orders")] = None

    def fact(self, conventions: Conventions) -> Fill:
        # The fields as they stand in the model's own dictionary, in the order they are declared in: this runs for every fill.
        (
            producer, sequence, account_id, fill_id, symbol, side, quantity, price, (instant, given), order_id, fee, fee_currency, fees, cash, base, quote,
            settle, contract, inverse, multiplier, quote_rate, fee_rate, liquidity, order_type, order_quantity, order_price,
        ) = self.__dict__.values()  # fmt: skip
        if multiplier is None or multiplier == ONE:
            multiplier = ONE
        key = (symbol, base, quote, settle, contract, inverse, multiplier is not ONE)
        instrument = conventions.known.get(key) or conventions.instrument(*key)
        name, base, quote, settle, inverse = instrument
        plain = cash is None and settle is None
        cash = EXACT.multiply(quantity, price) if plain else cash_of(instrument, quantity, price, multiplier, cash)
        currency = settle or quote
        more = None
        if fees == ():
            fee_currency = fee_currency or currency
        else:
            (fee_currency, fee, fee_rate), more = self._several(fee_currency or currency)
        if quote_rate is not None:
            _rate(quote_rate, currency, "quote_usd_rate")
        if fee_rate is not None:
            _rate(fee_rate, fee_currency, "fee_usd_rate")
        return Fill._make((
            account_id, fill_id, order_id, symbol, side, quantity, price, cash, multiplier, base, quote, settle, inverse, name, fee, fee_currency, fee_rate,
            more, instant, quote_rate, liquidity, order_type and order_type.lower(), order_quantity, order_price,
            self._unknown() if self.__pydantic_extra__ else None, given, producer, sequence,
        ))  # fmt: skip

    def _several(self, fee_currency: str) -> tuple[tuple[str, Decimal | None, Decimal | None], str | None]:
        """The first fee, and the others; null or an empty list beside a fee is none."""
        has_fee = "fee" in self.model_fields_set and self.fee is not None
        if not self.fees:
            return (fee_currency, self.fee if has_fee else None, self.fee_usd_rate), None
        if has_fee or self.fee_currency is not None or self.fee_usd_rate is not None:
            raise Invalid("fee and fees are both given; give one of them, each of fees with its own currency and usd_rate")
        return charges([given.charge() for given in self.fees])


class _FlowRecord(AccountRecord):
    model_config = ConfigDict(json_schema_extra=rules.FLOW)

    currency: Annotated[Code, Field(description="of amount, by its code")]
    amount: Annotated[Positive, Field(description="above zero in both directions: the kind of record says which")]
    occurred_at: Annotated[Moment, Field(description="when it came or went")]
    category: Annotated[
        CategoryName | None,
        Field(description="external (the default) and transfer are flows; split, loan and rename neither flow nor profit; the rest is profit or loss"),
    ] = None
    usd_rate: Annotated[UsdRate | None, Field(description="USD per unit at this instant")] = None
    fee: Annotated[Number | None, Field(description="what the venue took besides the amount; negative is a rebate")] = None
    fee_currency: Annotated[Code | None, Field(description="default: currency")] = None
    description: Annotated[Text | None, Field(description="a note for people")] = None
    reference: Annotated[Text | None, Field(description="the venue's own, such as the hash of a transaction; both halves of a rename have the same")] = None
    symbol: Annotated[Id | None, Field(description="the instrument in whose open trade funding, interest or other profit counts, in any notation")] = None

    def _values(self, flow_id: str) -> tuple[Any, ...]:
        fee = self.fee or None
        return (
            self.account_id, flow_id, self.currency, self.amount, self.category or "external", self.occurred_at.instant,
            _rate(self.usd_rate, self.currency, "usd_rate"), fee, (self.fee_currency or self.currency) if fee else None, self.description or None,
            self.reference or None, symbol_of(self.symbol, self.category or "external"), self._unknown(), self.occurred_at.given, self.producer, self.sequence,
        )  # fmt: skip


class DepositRecord(_FlowRecord):
    """Money that came to the account."""

    kind: ClassVar[str] = "deposit"
    id_field: ClassVar[str] = "deposit_id"
    deposit_id: Annotated[Id, Field(description="unique over the deposits of the account")]

    def fact(self, conventions: Conventions) -> Deposit:
        return Deposit._make(self._values(self.deposit_id))


class WithdrawalRecord(_FlowRecord):
    """Money that left the account."""

    kind: ClassVar[str] = "withdrawal"
    id_field: ClassVar[str] = "withdrawal_id"
    withdrawal_id: Annotated[Id, Field(description="unique over the withdrawals of the account")]

    def fact(self, conventions: Conventions) -> Withdrawal:
        return Withdrawal._make(self._values(self.withdrawal_id))


class FeeRecord(AccountRecord):
    """A further fee of a fill, for one that was not known when it was published."""

    model_config = ConfigDict(json_schema_extra=rules.FEE)
    kind: ClassVar[str] = "fee"
    id_field: ClassVar[str] = "fee_id"

    fee_id: Annotated[Id, Field(description="unique over the fee records of the account")]
    fill_id: Annotated[Id, Field(description="the fill that it belongs to, whichever comes first")]
    currency: Annotated[Code, Field(description="of amount, by its code")]
    amount: Annotated[Number, Field(description="negative is a rebate")]
    occurred_at: Annotated[Moment, Field(description="when it was taken")]
    usd_rate: Annotated[UsdRate | None, Field(description="USD per unit at this instant")] = None

    def fact(self, conventions: Conventions) -> Fee:
        return Fee._make((
            self.account_id, self.fee_id, self.fill_id, self.currency, self.amount, self.occurred_at.instant,
            _rate(self.usd_rate, self.currency, "usd_rate"), self._unknown(), self.occurred_at.given, self.producer, self.sequence,
        ))  # fmt: skip


class OrderRecord(AccountRecord):
    """A step in an order's life that is no execution."""

    model_config = ConfigDict(json_schema_extra=rules.ORDER)
    kind: ClassVar[str] = "order"
    id_field: ClassVar[str] = "event_id"

    event_id: Annotated[Id, Field(description="of this step, unique over the account: o-1:placed")]
    order_id: Annotated[Id, Field(description="of the order, as its fills name it")]
    status: Annotated[StatusName, Field(description="canceled, open and new are taken as cancelled and placed")]
    occurred_at: Annotated[Moment, Field(description="when it happened")]
    symbol: Annotated[Id | None, Field(description="required with placed; with others, only the orders that it names")] = None
    side: Annotated[Side | None, Field(description="required with placed; with others, only the orders of that side")] = None
    order_type: Annotated[Word | None, Field(description="required with placed")] = None
    quantity: Annotated[Positive | None, Field(description="required with placed, unless cost or closes_position says it")] = None
    price: Annotated[Number | None, Field(description="required with a limit order")] = None
    cost: Annotated[Positive | None, Field(description="of a market order, in quote, instead of quantity")] = None
    closes_position: Annotated[StrictBool | None, Field(description="its quantity is what is filled")] = None
    reserve: Annotated[StrictBool | None, Field(description="set the order's cost aside in the balance while it is open; spot only")] = None
    base: Annotated[Code | None, Field(description="what is traded, where the symbol does not say it")] = None
    quote: Annotated[Code | None, Field(description="what the price is in, where the symbol does not say it")] = None
    settle: Annotated[Code | None, Field(description="the currency of a contract's cash")] = None
    contract: Annotated[StrictBool | None, Field(description="true where only this says that it is a contract")] = None
    inverse: Annotated[StrictBool | None, Field(description="the contract is counted in quote and settled in its base")] = None
    multiplier: Annotated[Positive | None, Field(description="the size of a contract; default 1")] = None

    def fact(self, conventions: Conventions) -> OrderEvent:
        made = OrderEvent(
            event_id=self.event_id, order_id=self.order_id, account_id=self.account_id, status=self.status, occurred_at=self.occurred_at.moment,
            symbol=self.symbol, side=self.side, order_type=self.order_type, quantity=self.quantity, price=self.price, cost=self.cost,
            closes_position=bool(self.closes_position), reserve=bool(self.reserve), base=self.base, quote=self.quote, settle=self.settle,
            contract=self.contract, inverse=self.inverse, multiplier=ONE if self.multiplier is None else self.multiplier, extra=self._unknown(),
            producer=self.producer, sequence=self.sequence, conventions=conventions,
        )  # fmt: skip
        return made._replace(given_time=self.occurred_at.given) if self.occurred_at.given else made


Reported = Annotated[Number | None, Field(description="as the engine computed it; kept as reported, beside what the rollup computes")]


class MetricsRecord(AccountRecord):
    """The account's worth at an instant, and any figures the engine computed itself (kept as reported)."""

    model_config = ConfigDict(json_schema_extra=rules.METRICS)
    kind: ClassVar[str] = "metrics"
    id_field: ClassVar[str] = "snapshot_id"

    snapshot_id: Annotated[Id | None, Field(description="default: the instant, or the date")] = None
    total_value_usd: Annotated[Number, Field(description="everything that the account holds, in USD")]
    observed_at: Annotated[Moment | None, Field(description="when it was worth that")] = None
    date: Annotated[Day | None, Field(description="instead of observed_at: the last microsecond of that day in the account's zone")] = None
    pnl_daily: Reported = None
    pnl_total: Reported = None
    sharpe_ratio: Reported = None
    sortino_ratio: Reported = None
    max_drawdown: Reported = None
    win_rate: Reported = None
    profit_factor: Reported = None
    trades_count: Annotated[StrictInt | None, Field(ge=0, lt=10**31, description="as the engine counted them; kept as reported")] = None

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if (self.observed_at is None) == (self.date is None):
            raise PydanticCustomError("time", "give exactly one of observed_at and date")
        return self

    def fact(self, conventions: Conventions) -> EquitySnapshot:
        figures = {name: getattr(self, name) for name in _REPORTED if getattr(self, name) is not None}
        made = EquitySnapshot(
            account_id=self.account_id, total_value_usd=self.total_value_usd, observed_at=self.observed_at and self.observed_at.moment,
            date=self.date, snapshot_id=self.snapshot_id, reported=canonical_json(figures) if figures else None, extra=self._unknown(),
            producer=self.producer, sequence=self.sequence, conventions=conventions,
        )  # fmt: skip
        return made._replace(given_time=self.observed_at.given) if self.observed_at and self.observed_at.given else made


_REPORTED = ("pnl_daily", "pnl_total", "sharpe_ratio", "sortino_ratio", "max_drawdown", "win_rate", "profit_factor", "trades_count")


class RateRecord(Record):
    """What one unit of a currency was worth in USD at an instant. Of no account; its id is CURRENCY:SOURCE:MICROSECONDS."""

    model_config = ConfigDict(json_schema_extra=rules.RATE)
    kind: ClassVar[str] = "rate"
    id_field: ClassVar[str] = ""

    currency: Annotated[RateCode, Field(description="without a colon")]
    usd_rate: Annotated[UsdRate, Field(description="USD per unit; 0: worthless")]
    observed_at: Annotated[Moment, Field(description="when it was worth that")]
    source: Annotated[RateSource | None, Field(description="who says so; without a colon")] = None

    @model_validator(mode="after")
    def _of_no_account(self) -> Self:
        if "account_id" in (self.__pydantic_extra__ or {}):
            raise PydanticCustomError("rate", "a rate is of no account; leave account_id out")
        return self

    def fact(self, conventions: Conventions) -> Rate:
        made = Rate(
            currency=self.currency, usd_rate=self.usd_rate, observed_at=self.observed_at.moment, source=self.source, extra=self._unknown(),
            producer=self.producer, sequence=self.sequence,
        )  # fmt: skip
        return made._replace(given_time=self.observed_at.given) if self.observed_at.given else made


class BalanceRecord(AccountRecord):
    """What the venue says the account holds of a currency, or of a contract. It books nothing; its id is CURRENCY:MICROSECONDS."""

    kind: ClassVar[str] = "balance"
    id_field: ClassVar[str] = ""

    currency: Annotated[Id, Field(description="a currency, or a contract's symbol")]
    total: Annotated[Number, Field(description="as the venue says it, to its own digits")]
    observed_at: Annotated[Moment, Field(description="when the account held it")]

    def fact(self, conventions: Conventions) -> BalanceReport:
        made = BalanceReport(
            account_id=self.account_id, currency=self.currency, total=self.total, observed_at=self.observed_at.moment, extra=self._unknown(),
            producer=self.producer, sequence=self.sequence,
        )  # fmt: skip
        return made._replace(given_time=self.observed_at.given) if self.observed_at.given else made


class VoidRecord(Record):
    """The record of that identity counts as never having been. May arrive before it. The void of a rate leaves account_id out."""

    model_config = ConfigDict(json_schema_extra=rules.VOID)
    # `kind` names the target on the wire, so the model's own kind has to hide behind another name.
    id_field: ClassVar[str] = "void_id"

    account_id: Annotated[Id | None, Field(description="left out for a rate, required for every other kind")] = None
    void_id: Annotated[Id, Field(description="unique over the voids of the account")]
    target_kind: Annotated[str, Field(alias="kind", description="of the record that never was", json_schema_extra={"enum": list(VOIDABLE)})]
    id: Annotated[Id, Field(description="its own id: that of the fill, the deposit …")]
    reason: Annotated[Text, Field(description="for people: why")]
    occurred_at: Annotated[Moment, Field(description="when it was found")]

    @model_validator(mode="after")
    def _of_an_account(self) -> Self:
        if self.target_kind != "rate" and self.account_id is None:
            raise PydanticCustomError("void", "account_id is missing; only the void of a rate leaves it out")
        return self

    def fact(self, conventions: Conventions) -> Void:
        made = Void(
            void_id=self.void_id, account_id=self.account_id, kind=self.target_kind, id=self.id, reason=self.reason,
            occurred_at=self.occurred_at.moment, extra=self._unknown(), producer=self.producer, sequence=self.sequence,
        )  # fmt: skip
        return made._replace(given_time=self.occurred_at.given) if self.occurred_at.given else made


VoidRecord.kind = "void"


def _rate(rate: Decimal | None, currency: str, name: str) -> Decimal | None:
    if rate is not None and currency == "USD" and rate != ONE:
        raise Invalid(f"{name} is {rate:f}; a dollar is worth one dollar: leave it out, or name the other currency")
    return rate


#: The records of the contract by their kind (the "type" of the NDJSON form).
RECORDS: dict[str, type[Record]] = {
    model.kind: model
    for model in (
        FillRecord, FeeRecord, DepositRecord, WithdrawalRecord, OrderRecord, MetricsRecord, BalanceRecord, RateRecord, VoidRecord,
    )
}  # fmt: skip
