"""The forms of the contract: the fields of each kind of record, and the fact that it states."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS, Conventions, cash_of
from jarvis_client.contract.decimals import EXACT, ONE, ZERO
from jarvis_client.contract.errors import Invalid, MalformedRecord
from jarvis_client.contract.facts import VOIDABLE, BalanceReport, Charge, Deposit, EquitySnapshot, Fee, Fill, OrderEvent, Rate, StatedFact, Void, Withdrawal
from jarvis_client.contract.facts.base import Category, EventStatus, OrderSide
from jarvis_client.contract.facts.fill import MOST_FEES, charges
from jarvis_client.contract.facts.flow import symbol_of
from jarvis_client.contract.form import REQUIRED, Field, Form, Nested, problems_of
from jarvis_client.contract.json_values import canonical_json
from jarvis_client.contract.showing import shown
from jarvis_client.contract.values import OneOf, Time, count, currency, day, flag, identity, not_negative, number, positive, sequence, text, time, word

SIDES = OneOf(*OrderSide)
STATUSES = OneOf(*EventStatus, "canceled", "open", "new")
CATEGORIES = OneOf(*Category)
LIQUIDITIES = OneOf("maker", "taker")

# -- fields that several kinds have -------------------------------------------------------------------------------------------

_PRODUCED = (
    Field("producer", identity, "who publishes, for noticing gaps"),
    Field("sequence", sequence, "+1 per record of that producer"),
)
_OF_AN_ACCOUNT = (*_PRODUCED, Field("account_id", identity, "opened by the first record that names it", REQUIRED))
_INSTRUMENT = (
    Field("base", currency, "what is traded, where the symbol does not say it"),
    Field("quote", currency, "what the price is in, where the symbol does not say it"),
    Field("settle", currency, "the currency of a contract's cash"),
    Field("contract", flag, "true where only this says that it is a contract"),
    Field("inverse", flag, "the contract is counted in quote and settled in its base"),
    Field("multiplier", positive, "the size of a contract; default 1"),
)


def _rate(rate: Decimal | None, code: str, name: str) -> Decimal | None:
    if rate is not None and code == "USD" and rate != ONE:
        raise Invalid(f"{name} is {rate:f}; a dollar is worth one dollar: leave it out, or name the other currency")
    return rate


def _timed(fact: Any, at: Time) -> Any:
    """A fact of a constructor, with the finer text of its time."""
    return fact._replace(given_time=at.given) if at.given else fact


# -- fills ----------------------------------------------------------------------------------------------------------------

CHARGE_SAYS = "One of several fees of a fill."
CHARGE_FIELDS = (
    Field("currency", currency, "of amount, by its code", REQUIRED),
    Field("amount", number, "negative is a rebate", REQUIRED),
    Field("usd_rate", not_negative, "USD per unit at this instant"),
)
#: What a fill says of its fees where it says nothing: no fee, and no list of them.
_NO_FEE = Decimal(0)
_NO_FEES: tuple[Charge, ...] = ()


def fees_of(value: Any) -> list[Charge]:
    """The fees of a list; an empty one says that they are not known yet. Raises `Invalid`."""
    if not isinstance(value, list | tuple):
        raise Invalid(f"is {shown(value)}; it must be a list of objects with currency and amount")
    if len(value) > MOST_FEES:
        raise Invalid(f"holds {len(value)} fees; at most {MOST_FEES} are taken: publish the others as fee records")
    return [_charge(given, n) for n, given in enumerate(value)]


def _charge(given: Any, n: int) -> Charge:
    if not isinstance(given, dict):
        raise Nested([(f".{n}", f"is {shown(given)}; it must be an object with currency and amount")])
    known = [field.name for field in CHARGE_FIELDS]
    problems = [problem for field in CHARGE_FIELDS for problem in problems_of(field, given)]
    problems += [(f"{name!s:.60}", f"is no field of it; there are {', '.join(known)}") for name in given if name not in known]
    if problems:
        raise Nested([(f".{n}.{name}", said) for name, said in problems])
    rate = given.get("usd_rate")
    return Charge(given["currency"], number(given["amount"]), None if rate is None else not_negative(rate))


def _fill(values: list[Any], extra: str | None, conventions: Conventions) -> Fill:
    (
        producer, number_of_record, account_id, fill_id, symbol, side, quantity, price, (instant, given), order_id, fee, fee_currency, fees, cash,
        base, quote, settle, contract, inverse, multiplier, quote_rate, fee_rate, liquidity, order_type, order_quantity, order_price,
    ) = values  # fmt: skip
    if multiplier is None or multiplier == ONE:
        multiplier = ONE
    key = (symbol, base, quote, settle, contract, inverse, multiplier is not ONE)
    instrument = conventions.known.get(key) or conventions.instrument(*key)
    name, base, quote, settle, inverse = instrument
    cash = EXACT.multiply(quantity, price) if cash is None and settle is None else cash_of(instrument, quantity, price, multiplier, cash)
    code = settle or quote
    more = None
    if fees is _NO_FEES:
        fee_currency = fee_currency or code
        if fee is _NO_FEE:
            fee = ZERO
    elif not fees:
        # Null or an empty list beside a fee is none.
        fee_currency, fee = fee_currency or code, None if fee is _NO_FEE else fee
    else:
        if (fee is not _NO_FEE and fee is not None) or fee_currency is not None or fee_rate is not None:
            raise Invalid("fee and fees are both given; give one of them, each of fees with its own currency and usd_rate")
        for charge in fees:
            _rate(charge.usd_rate, charge.currency, "fees.usd_rate")
        (fee_currency, fee, fee_rate), more = charges(fees)
    if quote_rate is not None:
        _rate(quote_rate, code, "quote_usd_rate")
    if fee_rate is not None:
        _rate(fee_rate, fee_currency, "fee_usd_rate")
    return Fill._make((
        account_id, fill_id, order_id, symbol, side, quantity, price, cash, multiplier, base, quote, settle, inverse, name, fee, fee_currency, fee_rate,
        more, instant, quote_rate, liquidity, order_type and order_type.lower(), order_quantity, order_price, extra, given, producer, number_of_record,
    ))  # fmt: skip


FILL = Form(
    "fill",
    "fill_id",
    "One execution. `quote_quantity` is the venue's own cash amount (default quantity × price × multiplier).",
    (
        *_OF_AN_ACCOUNT,
        Field("fill_id", identity, "unique over all symbols of the account: venue:symbol:trade_id", REQUIRED),
        Field("symbol", identity, "BTC/USDT, BTC-USDT or BTCUSDT; a contract as BTC/USDT:USDT", REQUIRED),
        Field("side", SIDES.read, "whether base was bought or sold", REQUIRED),
        Field("quantity", positive, "of base; of contracts, their number", REQUIRED),
        Field("price", number, "of one unit of base, in quote", REQUIRED),
        Field("executed_at", time, "when it was executed", REQUIRED),
        Field("order_id", identity, "left out where there was no order"),
        Field("fee", number, "negative is a rebate; null: not known yet, a fee record will say it", _NO_FEE),
        Field("fee_currency", currency, "default: the currency of the cash"),
        Field("fees", fees_of, "instead of fee: several; null or empty: not known yet", _NO_FEES, []),
        Field("quote_quantity", number, "has the sign of price; required for inverse and quanto contracts"),
        *_INSTRUMENT,
        Field("quote_usd_rate", not_negative, "USD per unit of the cash's currency at this instant"),
        Field("fee_usd_rate", not_negative, "USD per unit of the fee currency at this instant"),
        Field("liquidity", LIQUIDITIES.read, "whether the order stood in the book or met one that did"),
        Field("order_type", word, "market, limit …; in any case"),
        Field("order_quantity", positive, "the quantity of its order, where nobody publishes orders"),
        Field("order_price", number, "the price of its order, where nobody publishes orders"),
    ),
    _fill,
)


def _fee(values: list[Any], extra: str | None, conventions: Conventions) -> Fee:
    producer, number_of_record, account_id, fee_id, fill_id, code, amount, at, rate = values
    return Fee._make((account_id, fee_id, fill_id, code, amount, at.instant, _rate(rate, code, "usd_rate"), extra, at.given, producer, number_of_record))


FEE = Form(
    "fee",
    "fee_id",
    "A further fee of a fill, for one that was not known when it was published.",
    (
        *_OF_AN_ACCOUNT,
        Field("fee_id", identity, "unique over the fee records of the account", REQUIRED),
        Field("fill_id", identity, "the fill that it belongs to, whichever comes first", REQUIRED),
        Field("currency", currency, "of amount, by its code", REQUIRED),
        Field("amount", number, "negative is a rebate", REQUIRED),
        Field("occurred_at", time, "when it was taken", REQUIRED),
        Field("usd_rate", not_negative, "USD per unit at this instant"),
    ),
    _fee,
)

# -- money that comes and goes --------------------------------------------------------------------------------------------

_FLOW = (
    *_OF_AN_ACCOUNT,
    Field("currency", currency, "of amount, by its code", REQUIRED),
    Field("amount", positive, "above zero in both directions: the kind of record says which", REQUIRED),
    Field("occurred_at", time, "when it came or went", REQUIRED),
    Field(
        "category",
        CATEGORIES.read,
        "external (the default) and transfer are flows; split, loan and rename neither flow nor profit; the rest is profit or loss",
    ),
    Field("usd_rate", not_negative, "USD per unit at this instant"),
    Field("fee", number, "what the venue took besides the amount; negative is a rebate"),
    Field("fee_currency", currency, "default: currency"),
    Field("description", text, "a note for people"),
    Field("reference", text, "the venue's own, such as the hash of a transaction; both halves of a rename have the same"),
    Field("symbol", identity, "the instrument in whose open trade funding, interest or other profit counts, in any notation"),
)


def _flow(values: list[Any], extra: str | None) -> tuple[Any, ...]:
    (
        producer, number_of_record, account_id, code, amount, at, category, rate, fee, fee_currency, description, reference, symbol, flow_id,
    ) = values  # fmt: skip
    category, fee = category or "external", fee or None
    return (
        account_id, flow_id, code, amount, category, at.instant, _rate(rate, code, "usd_rate"), fee, (fee_currency or code) if fee else None,
        description or None, reference or None, symbol_of(symbol, category), extra, at.given, producer, number_of_record,
    )  # fmt: skip


def _deposit(values: list[Any], extra: str | None, conventions: Conventions) -> Deposit:
    return Deposit._make(_flow(values, extra))


def _withdrawal(values: list[Any], extra: str | None, conventions: Conventions) -> Withdrawal:
    return Withdrawal._make(_flow(values, extra))


DEPOSIT = Form(
    "deposit",
    "deposit_id",
    "Money that came to the account.",
    (*_FLOW, Field("deposit_id", identity, "unique over the deposits of the account", REQUIRED)),
    _deposit,
)
WITHDRAWAL = Form(
    "withdrawal",
    "withdrawal_id",
    "Money that left the account.",
    (*_FLOW, Field("withdrawal_id", identity, "unique over the withdrawals of the account", REQUIRED)),
    _withdrawal,
)

# -- orders ---------------------------------------------------------------------------------------------------------------


def _order(values: list[Any], extra: str | None, conventions: Conventions) -> OrderEvent:
    (
        producer, number_of_record, account_id, event_id, order_id, status, at, symbol, side, order_type, quantity, price, cost, closes_position,
        reserve, base, quote, settle, contract, inverse, multiplier,
    ) = values  # fmt: skip
    made = OrderEvent(
        event_id=event_id, order_id=order_id, account_id=account_id, status=status, occurred_at=at.moment, symbol=symbol, side=side, order_type=order_type,
        quantity=quantity, price=price, cost=cost, closes_position=bool(closes_position), reserve=bool(reserve), base=base, quote=quote, settle=settle,
        contract=contract, inverse=inverse, multiplier=ONE if multiplier is None else multiplier, extra=extra, producer=producer,
        sequence=number_of_record, conventions=conventions,
    )  # fmt: skip
    return _timed(made, at)  # type: ignore[no-any-return]


ORDER = Form(
    "order",
    "event_id",
    "A step in an order's life that is no execution.",
    (
        *_OF_AN_ACCOUNT,
        Field("event_id", identity, "of this step, unique over the account: o-1:placed", REQUIRED),
        Field("order_id", identity, "of the order, as its fills name it", REQUIRED),
        Field("status", STATUSES.read, "canceled, open and new are taken as cancelled and placed", REQUIRED),
        Field("occurred_at", time, "when it happened", REQUIRED),
        Field("symbol", identity, "required with placed; with others, only the orders that it names"),
        Field("side", SIDES.read, "required with placed; with others, only the orders of that side"),
        Field("order_type", word, "required with placed"),
        Field("quantity", positive, "required with placed, unless cost or closes_position says it"),
        Field("price", number, "required with a limit order"),
        Field("cost", positive, "of a market order, in quote, instead of quantity"),
        Field("closes_position", flag, "its quantity is what is filled"),
        Field("reserve", flag, "set the order's cost aside in the balance while it is open; spot only"),
        *_INSTRUMENT,
    ),
    _order,
)

# -- what is observed -----------------------------------------------------------------------------------------------------

_REPORTED = ("pnl_daily", "pnl_total", "sharpe_ratio", "sortino_ratio", "max_drawdown", "win_rate", "profit_factor")


def _metrics(values: list[Any], extra: str | None, conventions: Conventions) -> EquitySnapshot:
    producer, number_of_record, account_id, snapshot_id, total, at, date, *figures = values
    if (at is None) == (date is None):
        raise Invalid("give exactly one of observed_at and date")
    reported = {name: figure for name, figure in zip((*_REPORTED, "trades_count"), figures, strict=True) if figure is not None}
    made = EquitySnapshot(
        account_id=account_id, total_value_usd=total, observed_at=at and at.moment, date=date, snapshot_id=snapshot_id,
        reported=canonical_json(reported) if reported else None, extra=extra, producer=producer, sequence=number_of_record, conventions=conventions,
    )  # fmt: skip
    return made if at is None else _timed(made, at)


METRICS = Form(
    "metrics",
    "snapshot_id",
    "The account's worth at an instant, and any figures the engine computed itself (kept as reported).",
    (
        *_OF_AN_ACCOUNT,
        Field("snapshot_id", identity, "default: the instant, or the date"),
        Field("total_value_usd", number, "everything that the account holds, in USD", REQUIRED),
        Field("observed_at", time, "when it was worth that"),
        Field("date", day, "instead of observed_at: the last microsecond of that day in the account's zone"),
        *(Field(name, number, "as the engine computed it; kept as reported, beside what the rollup computes") for name in _REPORTED),
        Field("trades_count", count, "as the engine counted them; kept as reported"),
    ),
    _metrics,
)


def _balance(values: list[Any], extra: str | None, conventions: Conventions) -> BalanceReport:
    producer, number_of_record, account_id, code, total, at = values
    made = BalanceReport(
        account_id=account_id, currency=code, total=total, observed_at=at.moment, extra=extra, producer=producer, sequence=number_of_record
    )  # fmt: skip
    return _timed(made, at)  # type: ignore[no-any-return]


BALANCE = Form(
    "balance",
    "",
    "What the venue says the account holds of a currency, or of a contract. It books nothing; its id is CURRENCY:MICROSECONDS.",
    (
        *_OF_AN_ACCOUNT,
        Field("currency", identity, "a currency, or a contract's symbol", REQUIRED),
        Field("total", number, "as the venue says it, to its own digits", REQUIRED),
        Field("observed_at", time, "when the account held it", REQUIRED),
    ),
    _balance,
)


def _rate_of(values: list[Any], extra: str | None, conventions: Conventions) -> Rate:
    producer, number_of_record, code, rate, at, source = values
    made = Rate(currency=code, usd_rate=rate, observed_at=at.moment, source=source, extra=extra, producer=producer, sequence=number_of_record)
    return _timed(made, at)  # type: ignore[no-any-return]


RATE = Form(
    "rate",
    "",
    "What one unit of a currency was worth in USD at an instant. Of no account; its id is CURRENCY:SOURCE:MICROSECONDS.",
    (
        *_PRODUCED,
        Field("currency", currency, "without a colon", REQUIRED),
        Field("usd_rate", not_negative, "USD per unit; 0: worthless", REQUIRED),
        Field("observed_at", time, "when it was worth that", REQUIRED),
        Field("source", identity, "who says so; without a colon"),
    ),
    _rate_of,
    {"account_id": "a rate is of no account; leave account_id out"},
)

# -- voids ----------------------------------------------------------------------------------------------------------------


def _void(values: list[Any], extra: str | None, conventions: Conventions) -> Void:
    producer, number_of_record, account_id, void_id, kind, target_id, reason, at = values
    if kind != "rate" and account_id is None:
        raise Invalid("account_id is missing; only the void of a rate leaves it out")
    made = Void(
        void_id=void_id, account_id=account_id, kind=kind, id=target_id, reason=reason, occurred_at=at.moment, extra=extra, producer=producer,
        sequence=number_of_record,
    )  # fmt: skip
    return _timed(made, at)  # type: ignore[no-any-return]


VOID = Form(
    "void",
    "void_id",
    "The record of that identity counts as never having been. May arrive before it. The void of a rate leaves account_id out.",
    (
        *_PRODUCED,
        Field("account_id", identity, "left out for a rate, required for every other kind"),
        Field("void_id", identity, "unique over the voids of the account", REQUIRED),
        Field("kind", OneOf(*VOIDABLE).read, "of the record that never was", REQUIRED),
        Field("id", identity, "its own id: that of the fill, the deposit …", REQUIRED),
        Field("reason", text, "for people: why", REQUIRED),
        Field("occurred_at", time, "when it was found", REQUIRED),
    ),
    _void,
)

#: By kind (the "type" of the NDJSON form).
FORMS: dict[str, Form[Any]] = {form.kind: form for form in (FILL, FEE, DEPOSIT, WITHDRAWAL, ORDER, METRICS, BALANCE, RATE, VOID)}


def fact_of(kind: str, record: Any, conventions: Conventions = DEFAULT_CONVENTIONS) -> StatedFact:
    """The fact that a decoded record states. Raises `MalformedRecord`."""
    form = FORMS.get(kind)
    if form is None:
        raise MalformedRecord(f"the kind {str(kind)!r:.60} is unknown; there are {', '.join(FORMS)}")
    return form.fact(record, conventions)  # type: ignore[no-any-return]
