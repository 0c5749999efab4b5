"""The wire contract: what a trading engine publishes, checked and turned into facts.

Each model is one record of the contract; its JSON Schema is checked in under `docs/schemas/`. A record that breaks a rule raises
`MalformedRecord`, whose message names the field, the value, the rule and the remedy. The envelope is Dramatiq's own.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from datetime import date as Date
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StrictBool, StrictInt, ValidationError, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from persistence.domain.conventions import DEFAULT_CONVENTIONS, EARLIEST, LATEST, Conventions, base_and_quote, instant_of
from persistence.domain.errors import Invalid
from persistence.domain.facts import VOIDABLE, AnyFact, Deposit, EquitySnapshot, Fill, OrderEvent, Void, Withdrawal
from persistence.domain.instants import EPOCH, MICROSECOND
from persistence.domain.jobs import JobRequest
from persistence.domain.money import EXACT, ONE, ZERO, canonical, exact
from persistence.domain.outcome import Reason, Refusal
from workers.wire import MalformedRecord, canonical_json, decode_json

#: Larger messages are quarantined unread: a batch of 1,000 records takes a third of it.
MAX_MESSAGE_BYTES = 1024 * 1024
MAX_BATCH_RECORDS = 1_000


# -- the types of fields --------------------------------------------------------------------------------------------------

_SHORT_DECIMAL = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?", re.ASCII)
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.(\d{1,40}))?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
#: What `str.isprintable` says, in the dialect of the validator, which checks it without calling Python.
_PRINTABLE = r"^(?: |[^\p{C}\p{Z}])+$"
_NUMBER_SCHEMA = {"type": ["string", "number"], "pattern": r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?$", "examples": ["0.015"]}
_TIME_SCHEMA = {
    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer", "minimum": EARLIEST, "exclusiveMaximum": LATEST}],
    "description": "RFC 3339 with an offset, or integer microseconds since 1970",
}


def _number(value: Any) -> Decimal:
    # Nearly all numbers are short plain strings, which need none of the careful checks.
    if type(value) is str and _SHORT_DECIMAL.fullmatch(value):
        return Decimal(value)
    try:
        return exact(value, "it")
    except Invalid as error:
        raise PydanticCustomError("number", "{reason}", {"reason": str(error)}) from None


def _positive(value: Any) -> Decimal:
    number = _number(value)
    if number <= ZERO:
        raise PydanticCustomError("positive", "it is {value}; it must be above zero", {"value": canonical(number)})
    return number


class Time(NamedTuple):
    """An instant, and its text where that is finer than a microsecond."""

    instant: int
    given: str | None


def _time(value: Any) -> Time:
    try:
        if type(value) is str:
            match = _RFC_3339.fullmatch(value)
            if match is None:
                raise Invalid(f"it is {value!r:.60}; a time is RFC 3339 with an offset, such as 2026-11-22T10:15:30.123456Z, or integer microseconds")
            fraction = match[1]
            instant = (datetime.fromisoformat(value if value[-1] != "z" else value.upper()) - EPOCH) // MICROSECOND
            if not 0 <= instant < LATEST:
                raise Invalid(f"it is {value}; times from 1970 to 2100 are taken")
            return Time(instant, value if fraction is not None and len(fraction) > 6 and fraction[6:].strip("0") else None)
        return Time(instant_of(value), None)
    except ValueError as error:  # Invalid is one
        raise PydanticCustomError("time", "{reason}", {"reason": str(error)}) from None


def _date(value: Any) -> Date:
    try:
        if type(value) is not str or len(value) != 10:
            raise ValueError
        day = Date.fromisoformat(value)
        if not 1970 <= day.year < 2100:
            raise ValueError
        return day
    except ValueError:
        raise PydanticCustomError("date", "it is {value}; a date is YYYY-MM-DD between 1970 and 2100", {"value": repr(value)[:60]}) from None


Number = Annotated[Decimal, PlainValidator(_number), WithJsonSchema(_NUMBER_SCHEMA)]
Positive = Annotated[Decimal, PlainValidator(_positive), WithJsonSchema({**_NUMBER_SCHEMA, "description": "above zero"})]
Moment = Annotated[Time, PlainValidator(_time), WithJsonSchema(_TIME_SCHEMA)]
Day = Annotated[Date, PlainValidator(_date), WithJsonSchema({"type": "string", "format": "date"})]


def _text_schema(longest: int, pattern: str) -> WithJsonSchema:
    """What the schema says of a text, in the part of regular expressions that every language shares."""
    return WithJsonSchema({"type": "string", "minLength": 1 if pattern.endswith("+$") else 0, "maxLength": longest, "pattern": pattern})


Id = Annotated[str, Field(min_length=1, max_length=128, pattern=_PRINTABLE), _text_schema(128, r"^[^\u0000-\u001f\u007f-\u009f]+$")]
Code = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[^\p{C}\p{Z}]+$"), _text_schema(32, r"^[^\s\u0000-\u001f\u007f-\u009f]+$")]
Word = Annotated[str, Field(min_length=1, max_length=64, pattern=_PRINTABLE), _text_schema(64, r"^[^\u0000-\u001f\u007f-\u009f]+$")]
Text = Annotated[str, Field(max_length=2_000, pattern=r"^[^\x00-\x08\x0b-\x1f]*$"), _text_schema(2_000, r"^[^\u0000-\u0008\u000b-\u001f]*$")]

Side = Literal["buy", "sell"]
CategoryName = Literal["external", "transfer", "funding", "interest", "dividend", "bonus", "fee", "other"]


# -- the records ----------------------------------------------------------------------------------------------------------


class Record(BaseModel):
    """What every record may carry. Unknown fields are kept with it."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    kind: ClassVar[str]
    id_field: ClassVar[str]

    account_id: Id
    producer: Annotated[Id | None, Field(description="who publishes, for noticing gaps")] = None
    sequence: Annotated[StrictInt | None, Field(ge=0, le=2**63 - 1, description="+1 per record of that producer")] = None

    @abstractmethod
    def fact(self, conventions: Conventions) -> AnyFact:
        """The fact that the record states, its defaults filled in by the conventions. Raises `Invalid`."""

    def _unknown(self) -> str | None:
        if not self.__pydantic_extra__:
            return None
        text = canonical_json(self.__pydantic_extra__)
        text.encode()  # a lone surrogate is no text: better refused here than by the store
        return text


class FillRecord(Record):
    """One execution. `quote_quantity` is the venue's own cash amount (default quantity × price × multiplier)."""

    kind: ClassVar[str] = "fill"
    id_field: ClassVar[str] = "fill_id"

    fill_id: Annotated[Id, Field(description="unique over all symbols of the account: venue:symbol:trade_id")]
    order_id: Id
    symbol: Annotated[Id, Field(description="BTCUSDT, BTC/USDT or BTC-USDT")]
    side: Side
    quantity: Positive
    price: Number
    executed_at: Moment
    fee: Annotated[Number, Field(description="negative is a rebate")] = ZERO
    fee_currency: Annotated[Code | None, Field(description="default: the quote currency")] = None
    quote_quantity: Number | None = None
    base: Code | None = None
    quote: Code | None = None
    multiplier: Positive = ONE
    quote_usd_rate: Annotated[Positive | None, Field(description="USD per unit of quote at this instant; 1 for USD-like currencies")] = None
    fee_usd_rate: Annotated[Positive | None, Field(description="USD per unit of the fee currency at this instant")] = None
    liquidity: Literal["maker", "taker"] | None = None
    order_type: Word | None = None
    order_quantity: Positive | None = None
    order_price: Number | None = None

    def fact(self, conventions: Conventions) -> Fill:
        # The fields as they stand in the model's own dictionary, in the order they are declared in: this runs for every fill.
        (
            account_id, producer, sequence, fill_id, order_id, symbol, side, quantity, price, (instant, given), fee, fee_currency, cash, base, quote,
            multiplier, quote_rate, fee_rate, liquidity, order_type, order_quantity, order_price,
        ) = self.__dict__.values()  # fmt: skip
        base, quote = base_and_quote(symbol, base, quote, conventions)
        if cash is None:
            cash = EXACT.multiply(quantity, price)
            if multiplier is not ONE:
                cash = EXACT.multiply(cash, multiplier)
        if fee_currency is None:
            fee_currency = quote
        dollars = conventions.usd_like
        return Fill._make((
            account_id, fill_id, order_id, symbol, side, quantity, price, cash, multiplier, base, quote, fee, fee_currency, instant,
            ONE if quote_rate is None and quote in dollars else quote_rate, ONE if fee_rate is None and fee_currency in dollars else fee_rate,
            liquidity, order_type, order_quantity, order_price, self._unknown() if self.__pydantic_extra__ else None, given, producer, sequence,
        ))  # fmt: skip


class _FlowRecord(Record):
    currency: Code
    amount: Positive
    occurred_at: Moment
    category: Annotated[CategoryName, Field(description="only external and transfer are flows, the rest is profit or loss")] = "external"
    usd_rate: Annotated[Positive | None, Field(description="USD per unit at this instant")] = None
    description: Text | None = None
    reference: Text | None = None

    def _values(self, flow_id: str, conventions: Conventions) -> tuple[Any, ...]:
        return (
            self.account_id, flow_id, self.currency, self.amount, self.category, self.occurred_at.instant,
            self.usd_rate or conventions.usd_rate(self.currency), self.description or None, self.reference or None, self._unknown(), self.occurred_at.given,
            self.producer, self.sequence,
        )  # fmt: skip


class DepositRecord(_FlowRecord):
    """Money that came to the account."""

    kind: ClassVar[str] = "deposit"
    id_field: ClassVar[str] = "deposit_id"
    deposit_id: Id

    def fact(self, conventions: Conventions) -> Deposit:
        return Deposit._make(self._values(self.deposit_id, conventions))


class WithdrawalRecord(_FlowRecord):
    """Money that left the account."""

    kind: ClassVar[str] = "withdrawal"
    id_field: ClassVar[str] = "withdrawal_id"
    withdrawal_id: Id

    def fact(self, conventions: Conventions) -> Withdrawal:
        return Withdrawal._make(self._values(self.withdrawal_id, conventions))


class OrderRecord(Record):
    """A step in an order's life that is no execution."""

    kind: ClassVar[str] = "order"
    id_field: ClassVar[str] = "event_id"

    event_id: Id
    order_id: Id
    status: Literal["placed", "cancelled", "rejected", "expired"]
    occurred_at: Moment
    symbol: Annotated[Id | None, Field(description="required with placed")] = None
    side: Annotated[Side | None, Field(description="required with placed")] = None
    order_type: Annotated[Word | None, Field(description="required with placed")] = None
    quantity: Annotated[Positive | None, Field(description="required with placed")] = None
    price: Annotated[Number | None, Field(description="required with a limit order")] = None
    reserve: Annotated[StrictBool, Field(description="set the order's cost aside in the balance while it is open")] = False
    base: Code | None = None
    quote: Code | None = None
    multiplier: Positive = ONE

    def fact(self, conventions: Conventions) -> OrderEvent:
        made = OrderEvent(
            event_id=self.event_id, order_id=self.order_id, account_id=self.account_id, status=self.status, occurred_at=self.occurred_at.instant,
            symbol=self.symbol, side=self.side, order_type=self.order_type, quantity=self.quantity, price=self.price, reserve=self.reserve,
            base=self.base, quote=self.quote, multiplier=self.multiplier, extra=self._unknown(), producer=self.producer, sequence=self.sequence,
            conventions=conventions,
        )  # fmt: skip
        return made._replace(given_time=self.occurred_at.given) if self.occurred_at.given else made


class MetricsRecord(Record):
    """The account's worth at an instant, and any figures the engine computed itself (kept as reported)."""

    kind: ClassVar[str] = "metrics"
    id_field: ClassVar[str] = "snapshot_id"

    snapshot_id: Annotated[Id | None, Field(description="default: the instant, or the date")] = None
    total_value_usd: Number
    observed_at: Moment | None = None
    date: Annotated[Day | None, Field(description="instead of observed_at: the last microsecond of that day in the account's zone")] = None
    pnl_daily: Number | None = None
    pnl_total: Number | None = None
    sharpe_ratio: Number | None = None
    sortino_ratio: Number | None = None
    max_drawdown: Number | None = None
    win_rate: Number | None = None
    profit_factor: Number | None = None
    trades_count: Annotated[StrictInt | None, Field(ge=0)] = None

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if (self.observed_at is None) == (self.date is None):
            raise PydanticCustomError("time", "give exactly one of observed_at and date")
        return self

    def fact(self, conventions: Conventions) -> EquitySnapshot:
        figures = {name: getattr(self, name) for name in _REPORTED if getattr(self, name) is not None}
        made = EquitySnapshot(
            account_id=self.account_id, total_value_usd=self.total_value_usd, observed_at=self.observed_at and self.observed_at.instant,
            date=self.date, snapshot_id=self.snapshot_id, reported=canonical_json(figures) if figures else None, extra=self._unknown(),
            producer=self.producer, sequence=self.sequence, conventions=conventions,
        )  # fmt: skip
        return made._replace(given_time=self.observed_at.given) if self.observed_at and self.observed_at.given else made


_REPORTED = ("pnl_daily", "pnl_total", "sharpe_ratio", "sortino_ratio", "max_drawdown", "win_rate", "profit_factor", "trades_count")


class VoidRecord(Record):
    """The record of that identity counts as never having been. May arrive before it."""

    # `kind` names the target on the wire, so the model's own kind has to hide behind another name.
    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)
    id_field: ClassVar[str] = "void_id"

    void_id: Id
    target_kind: Annotated[str, Field(alias="kind", json_schema_extra={"enum": list(VOIDABLE)})]
    id: Id
    reason: Text
    occurred_at: Moment

    def fact(self, conventions: Conventions) -> Void:
        made = Void(
            void_id=self.void_id, account_id=self.account_id, kind=self.target_kind, id=self.id, reason=self.reason,
            occurred_at=self.occurred_at.instant, extra=self._unknown(), producer=self.producer, sequence=self.sequence,
        )  # fmt: skip
        return made._replace(given_time=self.occurred_at.given) if self.occurred_at.given else made


VoidRecord.kind = "void"


class JobRecord(BaseModel):
    """A run of a job, filed in the table of runs for the scheduler. The dates and the account are for the rollup alone."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=True)

    job: Literal["rollup", "checkpoint", "seal", "statistics", "backup", "verification", "restore_drill", "clean_up"]
    request_id: Annotated[Id | None, Field(description="the same id again is the same run; default: the message's id")] = None
    account_id: Annotated[Id | None, Field(description="only this account")] = None
    date: Annotated[Day | None, Field(description="read this day anew")] = None
    start: Annotated[Day | None, Field(alias="from", description="read everything from this day on anew")] = None
    end: Annotated[Day | None, Field(alias="to", description="up to this day")] = None
    rebuild: Annotated[StrictBool, Field(description="derive everything anew from the recorded facts")] = False
    producer: Id | None = None
    sequence: Annotated[StrictInt | None, Field(ge=0, le=2**63 - 1)] = None

    @model_validator(mode="after")
    def _only_for_rollups(self) -> Self:
        if self.job != "rollup" and self._arguments():
            raise PydanticCustomError("job", "{job} takes no arguments; account_id, date, from, to and rebuild are for rollup", {"job": self.job})
        return self

    def _arguments(self) -> dict[str, Any]:
        given = {"account_id": self.account_id, "date": self.date, "start": self.start, "end": self.end, "rebuild": self.rebuild}
        return {name: value.isoformat() if isinstance(value, Date) else value for name, value in given.items() if value}

    def request(self, message_id: str) -> JobRequest:
        return JobRequest(self.request_id or message_id, self.job, json.dumps(self._arguments(), sort_keys=True), self.producer, self.sequence)


#: The records of the contract by their kind (the "type" of the NDJSON form).
RECORDS: dict[str, type[Record]] = {
    model.kind: model for model in (FillRecord, DepositRecord, WithdrawalRecord, OrderRecord, MetricsRecord, VoidRecord)
}  # fmt: skip


class Route(NamedTuple):
    queue: str
    actor: str


#: Where each kind travels.
ROUTES: dict[str, Route] = {
    "fill": Route("fills", "record_fill"),
    "deposit": Route("deposits", "record_deposit"),
    "withdrawal": Route("deposits", "record_withdrawal"),
    "order": Route("orders", "record_order"),
    "metrics": Route("metrics", "record_metrics"),
    "void": Route("corrections", "record_void"),
}
QUEUES = tuple(dict.fromkeys(route.queue for route in ROUTES.values()))
JOBS_ROUTE = Route("jobs", "request_job")


# -- from the wire to facts -----------------------------------------------------------------------------------------------


def fact_of(kind: str, record: Any, conventions: Conventions = DEFAULT_CONVENTIONS) -> AnyFact:
    """The fact that a decoded record states. Raises `MalformedRecord`."""
    model = RECORDS.get(kind)
    if model is None:
        raise MalformedRecord(f"the kind {str(kind)!r:.60} is unknown; there are {', '.join(RECORDS)}")
    if type(record) is not dict:
        raise MalformedRecord(f"a {kind} must be a JSON object, not {type(record).__name__}")
    try:
        return model.__pydantic_validator__.validate_python(record).fact(conventions)  # type: ignore[no-any-return]
    except ValidationError as error:
        raise MalformedRecord(_explain(kind, error)) from None
    except (Invalid, ValueError, OverflowError, RecursionError) as error:
        raise MalformedRecord(f"{kind}: {error}") from None


_TEXT_RULES = {
    **dict.fromkeys(("currency", "fee_currency", "base", "quote"), '1 to 32 printable characters without spaces, such as "USDT"'),
    **dict.fromkeys(("description", "reference", "reason"), "at most 2,000 characters without control characters"),
    "order_type": "1 to 64 printable characters",
}


def _explain(kind: str, error: ValidationError) -> str:
    parts = []
    for problem in error.errors(include_url=False)[:5]:
        name = ".".join(str(p) for p in problem["loc"]) or kind
        said = problem["msg"]
        match problem["type"]:
            case "missing":
                said = "is missing"
            case "string_pattern_mismatch" | "string_too_long" | "string_too_short" | "string_type" | "string_unicode":
                said = f"is {_shown(problem.get('input'))}; it must be {_TEXT_RULES.get(name, '1 to 128 printable characters')}"
            case "extra_forbidden":
                said = f"is no field of it; there are {', '.join(f.alias or n for n, f in JobRecord.model_fields.items())}"
            case "literal_error":
                said = f"is {_shown(problem.get('input'))}; it must be {problem['ctx']['expected']}"
        parts.append(f"{name}: {said}")
    return f"{kind}: {'; '.join(parts)}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def job_of(record: Any, message_id: str) -> JobRequest:
    """The run that a decoded job record asks for. Raises `MalformedRecord`."""
    try:
        return JobRecord.model_validate(record, by_alias=True).request(message_id)
    except ValidationError as error:
        raise MalformedRecord(_explain("job", error)) from None


def item_of_line(line: bytes, number: int, conventions: Conventions = DEFAULT_CONVENTIONS) -> AnyFact | Refusal:
    """What one line of the NDJSON form states: a fact, or why it cannot be applied (with the number of its line)."""
    record: Any = None
    kind = ""
    try:
        kind, record = kind_and_record(line)
        return fact_of(kind, record, conventions)
    except MalformedRecord as error:
        return refusal(line, kind, record, f"line {number}: {error}")


def kind_and_record(line: bytes) -> tuple[str, dict[str, Any]]:
    """The type and the record of an NDJSON line, unchecked. Raises `MalformedRecord` where it is none."""
    if len(line) > MAX_MESSAGE_BYTES:
        raise MalformedRecord(f"a line of {len(line)} bytes; at most {MAX_MESSAGE_BYTES} are taken")
    record = decode_json(line)
    if type(record) is not dict or type(record.get("type")) is not str:
        raise MalformedRecord(f'not a record: a line is a JSON object with a "type", one of {", ".join(RECORDS)}')
    return record.pop("type"), record


def refusal(raw: bytes, kind: str, record: Any, detail: str) -> Refusal:
    """A refused record with whatever can be read of its identity, for filters."""
    fields = record if type(record) is dict else {}
    id_field = RECORDS[kind].id_field if kind in RECORDS else ""

    def text(name: str) -> str | None:
        value = fields.get(name)
        return value if type(value) is str and 1 <= len(value) <= 128 and value.isprintable() else None

    sequence = fields.get("sequence")
    number = sequence if type(sequence) is int and 0 <= sequence < 2**63 else None
    known_kind = kind if kind and kind.isprintable() and len(kind) <= 64 else None
    reason = Reason.UNKNOWN_KIND if known_kind and kind not in RECORDS and kind != "job" else Reason.MALFORMED
    return Refusal(raw, str(reason), detail, known_kind, text("account_id"), text(id_field), text("producer"), number)


# -- schemas --------------------------------------------------------------------------------------------------------------


def json_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every record, by kind."""
    found = {}
    models: list[tuple[str, type[BaseModel]]] = [*RECORDS.items(), ("job", JobRecord)]
    for kind, model in models:
        schema = model.model_json_schema()
        found[kind] = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": kind, **{k: v for k, v in schema.items() if k != "title"}}
    return found
