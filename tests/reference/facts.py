"""Records in their wire form become facts: identity, voids, instruments, amounts, and the order of facts (meaning.md, 1, 2, 3, 5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from reference.numbers import ONE

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000
#: 5: the order of kinds at one instant, sequence and producer.
KINDS = ("rate", "deposit", "fill", "fee", "withdrawal", "order", "metrics", "balance", "void")
#: 1: the closed list of quotes that are known beside the configured ones.
KNOWN_QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "PYUSD", "RLUSD", "USDE", "USD", "DAI", "EUR", "GBP")
CCXT = re.compile(r"([^/:]+)/([^/:]+):([^/:-]+)(?:-([0-9]+))?(?:-([0-9.]+)-([CP]))?")


class Refused(ValueError):
    """The record can be read in two ways, or in none."""


@dataclass(frozen=True)
class Instrument:
    """1: (base, quote) for spot, the symbol for a contract. `asset` is the code and kind that its base leg moves (2)."""

    name: str
    asset: tuple[str, str]
    quote: str

    @property
    def contract(self) -> bool:
        return self.asset[1] == "contract"


@dataclass
class Fee:
    currency: str
    amount: Fraction
    rate: Fraction | None = None


@dataclass
class Fact:
    kind: str
    account: str | None
    id: str
    instant: int
    record: Mapping[str, object]
    arrived: int
    sequence: int = -1
    producer: str = ""
    #: What the record says a currency is worth (7), in the order of its fields.
    said: list[tuple[str, Fraction]] = field(default_factory=list)
    fees: list[Fee] = field(default_factory=list)

    @property
    def key(self) -> tuple[object, ...]:
        """5: (instant, sequence or -1, producer or "", kind, id)."""
        return (self.instant, self.sequence, self.producer, KINDS.index(self.kind), natural(self.id))

    def own_rate(self, currency: str) -> Fraction | None:
        return next((rate for code, rate in reversed(self.said) if code == currency), None)

    @property
    def day(self) -> int:
        return self.instant // DAY


@dataclass
class Fill(Fact):
    instrument: Instrument = None  # type: ignore[assignment]
    symbol: str = ""
    sign: int = 1
    quantity: Fraction = ONE
    price: Fraction = ONE
    multiplier: Fraction = ONE
    inverse: bool = False
    quanto: bool = False
    #: What came in, in `instrument.quote`; negative: what went out.
    cash: Fraction = ONE
    fee_known: bool = True
    #: 3: fee records of this fill.
    later_fees: list[tuple[Fee, Fraction | None]] = field(default_factory=list)


@dataclass
class Flow(Fact):
    """A deposit (sign 1) or a withdrawal (sign -1)."""

    sign: int = 1
    currency: str = ""
    amount: Fraction = ONE
    category: str = "external"
    symbol: str | None = None
    reference: str | None = None
    #: 8.5: the other half of a rename.
    partner: Flow | None = None


@dataclass
class FeeRecord(Fact):
    fill_id: str = ""


def natural(text: str) -> tuple[object, ...]:
    """5: runs of ASCII digits by value before text by code point; equal ones by the whole text."""
    runs = re.findall(r"[0-9]+|[^0-9]+", text)
    return (tuple((0, int(run), "") if run[0] in "0123456789" else (1, 0, run) for run in runs), text)


def instant_of(value: object) -> int:
    if isinstance(value, int):
        return value
    text = str(value)
    leap = re.search(r"T\d\d:\d\d:60", text)  # 3: the last microsecond of that minute
    if leap:
        text = re.sub(r":60(\.\d+)?", ":59.999999", text, count=1)
    read = datetime.fromisoformat(text)
    if read.tzinfo is None:
        raise Refused(f"{text}: a naive time")
    return (read - EPOCH) // timedelta(microseconds=1)


def number(value: object) -> Fraction:
    try:
        read = Decimal(repr(value) if isinstance(value, float) else str(value))
    except InvalidOperation:
        raise Refused(f"{value!r} is no number") from None
    if not read.is_finite() or -int(read.normalize().as_tuple().exponent) > 60:  # 3: up to 60 places
        raise Refused(f"{value!r} is no number")
    return Fraction(read)


def optional(record: Mapping[str, object], name: str) -> Fraction | None:
    value = record.get(name)
    return None if value is None else number(value)


def text_or_none(record: Mapping[str, object], name: str) -> str | None:
    value = record.get(name)
    return None if value is None else str(value)


def spot_pair(symbol: str, quotes: Sequence[str]) -> tuple[str, str]:
    """1: base and quote as cut from a symbol."""
    for separator in "/-":
        base, found, quote = symbol.partition(separator)
        if found and quote in quotes and re.fullmatch(r"[A-Za-z0-9$]+", base) and symbol != symbol.lower() and base != quote:
            return base, quote
    fitting = [q for q in {*quotes, *KNOWN_QUOTES} if symbol.endswith(q) and re.fullmatch(r"[A-Z0-9$]{2,}", symbol.removesuffix(q))]
    if len(fitting) == 1 and fitting[0] in quotes:
        return symbol.removesuffix(fitting[0]), fitting[0]
    raise Refused(f"{symbol}: give base and quote" if not fitting else f"{symbol} can be read with each of {sorted(fitting)}")


def terms_of(record: Mapping[str, object], quotes: Sequence[str]) -> tuple[Instrument, Fraction, bool, bool]:
    """Instrument, multiplier, inverse, quanto (1 and 2)."""
    symbol = str(record["symbol"])
    multiplier = optional(record, "multiplier")
    form = CCXT.fullmatch(symbol)
    said_inverse = record.get("inverse")
    contract = bool(form or record.get("contract") or record.get("settle") or said_inverse or (multiplier is not None and multiplier != 1))
    base, quote = text_or_none(record, "base"), text_or_none(record, "quote")
    if base is None or quote is None:
        base, quote = (form[1], form[2]) if form else spot_pair(symbol, quotes)
    if base == quote:
        raise Refused(f"base and quote are both {base}")
    if not contract:
        return Instrument(f"{base}/{quote}", (base, "currency"), quote), ONE, False, False
    settle = text_or_none(record, "settle") or (form[3] if form else None)
    inverse = bool(said_inverse) if said_inverse is not None else bool(form and not form[5] and settle == base)
    settle = settle or (base if inverse else quote)
    quanto = settle not in (base, quote)
    return Instrument(symbol, (symbol, "contract"), settle), multiplier or ONE, inverse, quanto


def fees_of(record: Mapping[str, object], default: str) -> tuple[list[Fee], bool]:
    """3: fee and fee_currency, or up to five fees; null alone is not known yet."""
    single, several = record.get("fee"), record.get("fees")
    if isinstance(several, list) and not several:
        several = None
    if single is not None and several is not None:
        raise Refused("fee and fees: not both")
    if several is not None:
        if not isinstance(several, list) or len(several) > 5 or any(not isinstance(f, dict) or "amount" not in f or "currency" not in f for f in several):
            raise Refused("fees: up to five of {currency, amount, usd_rate}")
        return [Fee(str(f["currency"]), number(f["amount"]), optional(f, "usd_rate")) for f in several], True
    if single is not None:
        return [Fee(text_or_none(record, "fee_currency") or default, number(single), optional(record, "fee_usd_rate"))], True
    return [], not ("fee" in record or "fees" in record)


def fill_of(record: Mapping[str, object], common: dict[str, object], quotes: Sequence[str]) -> Fill:
    instrument, multiplier, inverse, quanto = terms_of(record, quotes)
    quantity, price = number(record["quantity"]), number(record["price"])
    given = optional(record, "quote_quantity")
    if given is None and (inverse or quanto):
        raise Refused("quote_quantity: the venue's own amount is needed for an inverse or quanto contract")
    if given is not None and given * price < 0:
        raise Refused("quote_quantity has the sign of price")
    sign = {"buy": 1, "sell": -1}[str(record["side"])]
    gross = quantity * price * multiplier if given is None else given
    fees, known = fees_of(record, instrument.quote)
    said = [(instrument.quote, rate)] if (rate := optional(record, "quote_usd_rate")) is not None else []
    said += [(fee.currency, fee.rate) for fee in fees if fee.rate is not None]
    return Fill(
        **common, said=said, fees=fees, instrument=instrument, symbol=str(record["symbol"]), sign=sign, quantity=quantity, price=price, multiplier=multiplier,
        inverse=inverse, quanto=quanto, cash=gross * sign * (1 if inverse else -1), fee_known=known,
    )  # fmt: skip


def flow_of(record: Mapping[str, object], common: dict[str, object], sign: int) -> Flow:
    currency = str(record["currency"])
    fees, _ = fees_of(record, currency)
    said = [(currency, rate)] if (rate := optional(record, "usd_rate")) is not None else []
    said += [(fee.currency, fee.rate) for fee in fees if fee.rate is not None]
    return Flow(
        **common, said=said, fees=fees, sign=sign, currency=currency, amount=number(record["amount"]), category=text_or_none(record, "category") or "external",
        symbol=text_or_none(record, "symbol"), reference=text_or_none(record, "reference"),
    )  # fmt: skip


def fact_of(record: Mapping[str, object], arrived: int, quotes: Sequence[str]) -> Fact:
    kind = str(record["type"])
    when = {"fill": "executed_at", "rate": "observed_at", "metrics": "observed_at", "balance": "observed_at"}.get(kind, "occurred_at")
    dated = kind == "metrics" and record.get("observed_at") is None  # the last microsecond of that day
    instant = instant_of(f"{record['date']}T00:00:00Z") + DAY - 1 if dated else instant_of(record[when])
    if kind in ("rate", "balance"):
        source = f":{text_or_none(record, 'source') or ''}" if kind == "rate" else ""
        name = f"{record['currency']}{source}:{instant}"
    elif kind == "metrics":
        name = text_or_none(record, "snapshot_id") or text_or_none(record, "date") or str(instant)
    else:
        name = str(record["event_id" if kind == "order" else f"{kind}_id"])
    sequence = record.get("sequence")
    common: dict[str, object] = {
        "kind": kind, "account": text_or_none(record, "account_id"), "id": name, "instant": instant, "record": record, "arrived": arrived,
        "sequence": -1 if sequence is None else int(str(sequence)), "producer": text_or_none(record, "producer") or "",
    }  # fmt: skip
    if kind == "fill":
        return fill_of(record, common, quotes)
    if kind in ("deposit", "withdrawal"):
        return flow_of(record, common, 1 if kind == "deposit" else -1)
    if kind == "fee":
        fee = Fee(str(record["currency"]), number(record["amount"]), optional(record, "usd_rate"))
        return FeeRecord(**common, fees=[fee], said=[(fee.currency, fee.rate)] if fee.rate is not None else [], fill_id=str(record["fill_id"]))
    if kind == "rate":
        return Fact(**common, said=[(str(record["currency"]), number(record["usd_rate"]))])
    if kind == "metrics":
        number(record["total_value_usd"])  # not a number: refused
    return Fact(**common)


def facts_of(records: Iterable[Mapping[str, object]], quotes: Sequence[str]) -> tuple[list[Fact], list[str]]:
    """The facts that count, in the order of facts, with rate records among them; and what was refused.

    One identity counts once, with the content that came first and the smallest (sequence, producer) of its deliveries. What a void names counts as never having been,
    and with a fill its fee records (3).
    """
    kept: dict[tuple[str, str | None, str], Fact] = {}
    refused = []
    for arrived, record in enumerate(records):
        try:
            fact = fact_of(record, arrived, quotes)
        except (Refused, KeyError) as error:
            refused.append(str(error))
            continue
        first = kept.setdefault((fact.kind, fact.account, fact.id), fact)
        smaller = min((first.sequence, first.producer), (fact.sequence, fact.producer))
        first.sequence, first.producer = smaller
    voided = {(str(f.record["kind"]), f.account, str(f.record["id"])) for f in kept.values() if f.kind == "void"}
    facts = [f for identity, f in kept.items() if identity not in voided and f.kind != "void"]
    facts = [f for f in facts if not (isinstance(f, FeeRecord) and ("fill", f.account, f.fill_id) in voided)]
    fills = {(f.account, f.id): f for f in facts if isinstance(f, Fill)}
    facts.sort(key=lambda f: f.key)
    for fact in facts:
        if isinstance(fact, FeeRecord) and (fact.account, fact.fill_id) in fills:
            fills[fact.account, fact.fill_id].later_fees.append((fact.fees[0], fact.fees[0].rate))
    pair_renames(facts)
    return facts, refused


def pair_renames(facts: Sequence[Fact]) -> None:
    """8.5: a withdrawal and a deposit of category rename with one reference and one instant."""
    halves = [f for f in facts if isinstance(f, Flow) and f.category == "rename"]
    for out in (f for f in halves if f.sign < 0 and f.reference is not None):
        for into in halves:
            same = (into.account, into.instant, into.reference) == (out.account, out.instant, out.reference)
            if into.sign > 0 and into.partner is None and same and into.currency != out.currency:
                into.partner, out.partner = out, into
                break
