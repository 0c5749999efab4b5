"""Facts: what arrives and is recorded. Immutable, compared by identity and content, never edited.

*Identity* is kind + account + the record's own id, for ever. *Content* is every field with its defaults filled in, in one canonical form,
`producer` and `sequence` left out; `digest` is its SHA-256. Same identity and content: a duplicate. Same identity, other content: a conflict.

The canonical form, to the byte: the kind, the account, the id, then the fields in the order of `content`, joined by
U+001F, in UTF-8. Numbers are canonical decimals (`1.5`), instants integer microseconds, what is absent is empty, unknown
fields are one JSON object (keys sorted, no spaces). No field can contain U+001F itself.

Facts are tuples because a worker makes tens of thousands a second: the constructors check and complete what a person
passes; `_make` takes what the wire contract has checked already.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from datetime import date as Date
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, Self, get_type_hints

from persistence.domain import instants
from persistence.domain.conventions import DEFAULT_CONVENTIONS, Conventions, Moment, base_and_quote, code, identifier, instant_of, positive, rate, text_or_empty
from persistence.domain.errors import Invalid
from persistence.domain.money import EXACT, ONE, Number, canonical, exact

SEPARATOR = "\x1f"


class OrderSide(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """The usual ones; the books take any other name an engine uses."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TAKE_PROFIT = "take_profit"
    TRAILING_STOP = "trailing_stop"


class Category(StrEnum):
    """Why money came or went. Only `external` and `transfer` are flows of capital; the rest is profit or loss."""

    EXTERNAL = "external"
    TRANSFER = "transfer"
    FUNDING = "funding"
    INTEREST = "interest"
    DIVIDEND = "dividend"
    BONUS = "bonus"
    FEE = "fee"
    OTHER = "other"


class EventStatus(StrEnum):
    PLACED = "placed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Fact:
    """What every fact has in common. `instant` is when it happened (microseconds UTC), never when it arrived."""

    __slots__ = ()

    kind: ClassVar[str]
    account_id: str
    producer: str | None
    sequence: int | None

    @property
    @abstractmethod
    def record_id(self) -> str:
        """The record's own id."""

    @property
    @abstractmethod
    def instant(self) -> int:
        """When it happened, in microseconds UTC."""

    @property
    def identity(self) -> tuple[str, str, str]:
        return self.kind, self.account_id, self.record_id

    @property
    def place(self) -> tuple[int, int, str, str]:
        """Where the fact stands in the order of facts: total, and independent of arrival."""
        return self.instant, -1 if self.sequence is None else self.sequence, self.producer or "", self.record_id

    @abstractmethod
    def content(self) -> str:
        """The canonical form."""

    def record(self) -> dict[str, Any]:
        """The fact in the NDJSON form of the contract, from which the same fact can be made again."""
        fields: dict[str, Any] = {}
        for name, value in self._asdict().items():  # type: ignore[attr-defined]
            if value is not None and name not in ("extra", "reported", "given_time"):
                fields[self._WIRE_NAMES.get(name, name)] = canonical(value) if isinstance(value, Decimal) else value
        if finer := getattr(self, "given_time", None):
            fields[next(name for name in ("executed_at", "observed_at", "occurred_at") if name in fields)] = finer
        for text in filter(None, (getattr(self, "reported", None), getattr(self, "extra", None))):
            fields |= json.loads(text)
        return {"type": self.kind, **fields}

    #: Fields that the contract calls by another name.
    _WIRE_NAMES: ClassVar[dict[str, str]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and other processes get the checked values as they are, not through the constructor for people; a number
        # travels as its text, which takes a third of the time.
        return _restored, (type(self), *(str(v) if type(v) is Decimal else v for v in self))  # type: ignore[attr-defined]

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.content().encode()).digest()


def _restored(cls: type[AnyFact], *values: Any) -> AnyFact:
    fields = list(values)
    for i in _numbers(cls):  # type: ignore[arg-type]  # a class is hashable
        if fields[i] is not None:
            fields[i] = Decimal(fields[i])
    return cls._make(fields)


@lru_cache
def _numbers(cls: Any) -> tuple[int, ...]:
    hints = get_type_hints(cls)
    return tuple(i for i, name in enumerate(cls._fields) if hints[name] in (Decimal, Decimal | None))


class _FillFields(NamedTuple):
    account_id: str
    fill_id: str
    order_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    quote_quantity: Decimal
    multiplier: Decimal
    base: str
    quote: str
    fee: Decimal
    fee_currency: str
    executed_at: int
    quote_usd_rate: Decimal | None
    fee_usd_rate: Decimal | None
    liquidity: str | None
    order_type: str | None
    order_quantity: Decimal | None
    order_price: Decimal | None
    extra: str | None
    given_time: str | None
    producer: str | None
    sequence: int | None


class Fill(_FillFields, Fact):
    """One execution. `quote_quantity` is its cash: the venue's own amount where given, else quantity × price × multiplier."""

    __slots__ = ()
    kind = "fill"

    def __new__(
        cls,
        *,
        fill_id: str,
        account_id: str,
        order_id: str,
        symbol: str,
        side: OrderSide | str,
        quantity: Number,
        price: Number,
        executed_at: Moment,
        fee: Number = 0,
        fee_currency: str | None = None,
        quote_quantity: Number | None = None,
        multiplier: Number = 1,
        base: str | None = None,
        quote: str | None = None,
        quote_usd_rate: Number | None = None,
        fee_usd_rate: Number | None = None,
        liquidity: str | None = None,
        order_type: OrderType | str | None = None,
        order_quantity: Number | None = None,
        order_price: Number | None = None,
        extra: str | None = None,
        producer: str | None = None,
        sequence: int | None = None,
        conventions: Conventions = DEFAULT_CONVENTIONS,
    ) -> Self:
        base, quote = base_and_quote(symbol, base, quote, conventions)
        quantity, price = positive(quantity, "quantity"), exact(price, "price")
        multiplier = positive(multiplier, "multiplier")
        cash = EXACT.multiply(EXACT.multiply(quantity, price), multiplier) if quote_quantity is None else exact(quote_quantity, "quote_quantity")
        fee_currency = code(fee_currency, "fee_currency") if fee_currency else quote
        return cls._make((
            identifier(account_id, "account_id"), identifier(fill_id, "fill_id"), identifier(order_id, "order_id"), identifier(symbol, "symbol"),
            str(OrderSide(side)), quantity, price, cash, multiplier, base, quote, exact(fee, "fee"), fee_currency, instant_of(executed_at),
            rate(quote_usd_rate, quote, conventions, "quote_usd_rate"), rate(fee_usd_rate, fee_currency, conventions, "fee_usd_rate"),
            liquidity or None, str(order_type) if order_type else None,
            None if order_quantity is None else positive(order_quantity, "order_quantity"),
            None if order_price is None else exact(order_price, "order_price"),
            extra, None, producer, sequence,
        ))  # fmt: skip

    @property
    def record_id(self) -> str:
        return self.fill_id

    @property
    def instant(self) -> int:
        return self.executed_at

    def texts(self) -> tuple[Any, ...]:
        """The fields with every number in its canonical text, producer and sequence left out: the row of the fill."""
        (
            account_id, fill_id, order_id, symbol, side, quantity, price, cash, multiplier, base, quote, fee, fee_currency, executed_at,
            quote_rate, fee_rate, liquidity, order_type, order_quantity, order_price, extra, given_time, _, _,
        ) = self  # fmt: skip
        return (
            account_id, fill_id, order_id, symbol, side, canonical(quantity), canonical(price), canonical(cash), canonical(multiplier), base,
            quote, canonical(fee), fee_currency, executed_at, quote_rate and canonical(quote_rate), fee_rate and canonical(fee_rate), liquidity,
            order_type, order_quantity and canonical(order_quantity), None if order_price is None else canonical(order_price), extra, given_time,
        )  # fmt: skip

    @staticmethod
    def content_of(texts: tuple[Any, ...]) -> str:
        """The canonical form, from `texts`."""
        return SEPARATOR.join((
            "fill", *texts[:13], str(texts[13]), texts[14] or "", texts[15] or "", texts[16] or "", texts[17] or "", texts[18] or "",
            texts[19] or "", texts[20] or "",
        ))  # fmt: skip

    def content(self) -> str:
        return self.content_of(self.texts())


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


class _OrderEventFields(NamedTuple):
    account_id: str
    event_id: str
    order_id: str
    status: str
    occurred_at: int
    symbol: str | None
    side: str | None
    order_type: str | None
    quantity: Decimal | None
    price: Decimal | None
    reserve: bool
    base: str | None
    quote: str | None
    multiplier: Decimal
    extra: str | None
    given_time: str | None
    producer: str | None
    sequence: int | None


class OrderEvent(_OrderEventFields, Fact):
    """A step in an order's life that is no execution: placed, cancelled, rejected or expired."""

    __slots__ = ()
    kind = "order"

    def __new__(
        cls,
        *,
        event_id: str,
        order_id: str,
        account_id: str,
        status: EventStatus | str,
        occurred_at: Moment,
        symbol: str | None = None,
        side: OrderSide | str | None = None,
        order_type: OrderType | str | None = None,
        quantity: Number | None = None,
        price: Number | None = None,
        reserve: bool = False,
        base: str | None = None,
        quote: str | None = None,
        multiplier: Number = 1,
        extra: str | None = None,
        producer: str | None = None,
        sequence: int | None = None,
        conventions: Conventions = DEFAULT_CONVENTIONS,
    ) -> Self:
        status = str(EventStatus(status))
        if status == EventStatus.PLACED:
            missing = [n for n, v in (("symbol", symbol), ("side", side), ("order_type", order_type), ("quantity", quantity)) if v is None]
            if missing or symbol is None:
                raise Invalid(f"a placed order needs {', '.join(missing)}")
            if order_type == OrderType.LIMIT and price is None:
                raise Invalid("a limit order needs its price")
            pair = conventions.split(symbol)
            base, quote = base or (pair and pair[0]), quote or (pair and pair[1])
            base, quote = base and code(base, "base"), quote and code(quote, "quote")
            if reserve and not (base and quote):
                base_and_quote(symbol, base, quote, conventions)
            if reserve and side == OrderSide.BUY and price is None:
                raise Invalid(f"reserve is refused for a {order_type} buy without a price: its cost is unknown; leave reserve out")
        else:
            symbol = side = order_type = quantity = price = base = quote = None
            reserve, multiplier = False, ONE
        return cls._make((
            identifier(account_id, "account_id"), identifier(event_id, "event_id"), identifier(order_id, "order_id"), status, instant_of(occurred_at),
            None if symbol is None else identifier(symbol, "symbol"), None if side is None else str(OrderSide(side)),
            None if order_type is None else str(order_type), None if quantity is None else positive(quantity, "quantity"),
            None if price is None else exact(price, "price"), bool(reserve), base, quote, positive(multiplier, "multiplier"),
            extra, None, producer, sequence,
        ))  # fmt: skip

    @property
    def record_id(self) -> str:
        return self.event_id

    @property
    def instant(self) -> int:
        return self.occurred_at

    def content(self) -> str:
        return SEPARATOR.join((
            "order", self.account_id, self.event_id, self.order_id, self.status, str(self.occurred_at), self.symbol or "", self.side or "",
            self.order_type or "", text_or_empty(self.quantity), text_or_empty(self.price), "1" if self.reserve else "", self.base or "",
            self.quote or "", canonical(self.multiplier), self.extra or "",
        ))  # fmt: skip


class _SnapshotFields(NamedTuple):
    account_id: str
    snapshot_id: str
    observed_at: int
    date: str | None
    total_value_usd: Decimal
    reported: str | None
    extra: str | None
    given_time: str | None
    producer: str | None
    sequence: int | None


class EquitySnapshot(_SnapshotFields, Fact):
    """What an account was worth at an instant, in USD, as the engine saw it. `reported` is JSON of figures it computed itself."""

    __slots__ = ()
    kind = "metrics"

    def __new__(
        cls,
        *,
        account_id: str,
        total_value_usd: Number,
        observed_at: Moment | None = None,
        date: Date | None = None,
        snapshot_id: str | None = None,
        reported: str | None = None,
        extra: str | None = None,
        producer: str | None = None,
        sequence: int | None = None,
        conventions: Conventions = DEFAULT_CONVENTIONS,
    ) -> Self:
        if (observed_at is None) == (date is None):
            raise Invalid("a snapshot needs exactly one of observed_at and date")
        if date is not None:
            instant, default_id = instants.end_of_day(date, conventions.zone_of(account_id)), date.isoformat()
        else:
            assert observed_at is not None
            instant = instant_of(observed_at)
            default_id = instants.to_text(instant)
        return cls._make((
            identifier(account_id, "account_id"), identifier(snapshot_id or default_id, "snapshot_id"), instant,
            None if date is None else date.isoformat(), exact(total_value_usd, "total_value_usd"), reported, extra, None, producer, sequence,
        ))  # fmt: skip

    @property
    def record_id(self) -> str:
        return self.snapshot_id

    @property
    def instant(self) -> int:
        return self.observed_at

    def record(self) -> dict[str, Any]:
        found = super().record()
        if self.date is not None:
            # The contract takes one of the two, and the date is what was said.
            del found["observed_at"]
        return found

    def content(self) -> str:
        # A date is content, the instant it stands for is not: that depends on the account's zone, which is a setting.
        return SEPARATOR.join((
            "metrics", self.account_id, self.snapshot_id, self.date or str(self.observed_at), canonical(self.total_value_usd),
            self.reported or "", self.extra or "",
        ))  # fmt: skip


#: What a void may name. A void itself is not among them: publish the record again under a new id instead.
VOIDABLE = ("fill", "deposit", "withdrawal", "order", "metrics", "transaction", "adjustment")


class _VoidFields(NamedTuple):
    account_id: str
    void_id: str
    target_kind: str
    target_id: str
    reason: str
    occurred_at: int
    extra: str | None
    given_time: str | None
    producer: str | None
    sequence: int | None


class Void(_VoidFields, Fact):
    """The record of this identity counts as never having been, whether it came already or comes later."""

    __slots__ = ()
    kind = "void"
    _WIRE_NAMES: ClassVar = {"target_kind": "kind", "target_id": "id"}

    def __new__(
        cls,
        *,
        void_id: str,
        account_id: str,
        kind: str,
        id: str,
        reason: str,
        occurred_at: Moment,
        extra: str | None = None,
        producer: str | None = None,
        sequence: int | None = None,
    ) -> Self:
        if kind not in VOIDABLE:
            raise Invalid(f"a void cannot name the kind {kind!r}; it can name {', '.join(VOIDABLE)}")
        return cls._make((
            identifier(account_id, "account_id"), identifier(void_id, "void_id"), kind, identifier(id, "id"), reason, instant_of(occurred_at),
            extra, None, producer, sequence,
        ))  # fmt: skip

    @property
    def record_id(self) -> str:
        return self.void_id

    @property
    def instant(self) -> int:
        return self.occurred_at

    def content(self) -> str:
        return SEPARATOR.join((
            "void", self.account_id, self.void_id, self.target_kind, self.target_id, self.reason, str(self.occurred_at), self.extra or "",
        ))  # fmt: skip


class _EntryFields(NamedTuple):
    account_id: str
    entry_id: str
    type: str
    currency: str
    amount: Decimal
    reserved: Decimal
    description: str | None
    reference: str | None
    occurred_at: int
    producer: str | None
    sequence: int | None


class _Entry(_EntryFields, Fact):
    """What somebody saved by hand, recorded as a fact so that a rebuild keeps it. `amount` is signed as the books move."""

    __slots__ = ()

    @property
    def record_id(self) -> str:
        return self.entry_id

    @property
    def instant(self) -> int:
        return self.occurred_at

    def content(self) -> str:
        return SEPARATOR.join((
            self.kind, self.account_id, self.entry_id, self.type, self.currency, canonical(self.amount), canonical(self.reserved),
            self.description or "", self.reference or "", str(self.occurred_at),
        ))  # fmt: skip


class ManualTransaction(_Entry):
    """A transaction saved through its repository."""

    __slots__ = ()
    kind = "transaction"


class Adjustment(_Entry):
    """A balance that was changed by hand: `amount` moves its total, `reserved` what of it is set aside."""

    __slots__ = ()
    kind = "adjustment"


AnyFact = Fill | Deposit | Withdrawal | OrderEvent | EquitySnapshot | Void | ManualTransaction | Adjustment
