"""Random histories of one account, of all kinds of facts, in the wire form.

    history(seed, steps=40, kinds=..., rates=True)     records in the order of their instants
    arrived(records, seed)                             the same, shuffled and partly doubled: late arrivals
    histories(...)                                     a Hypothesis strategy of the first

A walk that knows roughly what the account holds, so that what is rare by chance is common here: sales of exactly what is there, or a touch more or less; several facts at one
instant; splits and renames of what is held; a coin bought in one pair and sold in another.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, localcontext

from hypothesis import strategies as st

ACCOUNT = "acc"
START = datetime(2024, 3, 1, tzinfo=UTC)
KINDS = (
    "spot", "contract", "fees", "fee_records", "flows", "own_transfers", "income", "attributed", "loans", "splits", "renames", "rates", "depeg", "voids", "snapshots", "zero_prices",
)  # fmt: skip
#: Base, quote, price in quote at the start.
PAIRS = (
    ("BTC", "USDT", "40000"), ("BTC", "EUR", "36000"), ("ETH", "BTC", "0.05"), ("ETH", "USDT", "2000"), ("ETH", "EUR", "1800"), ("XBT", "USDT", "40000"), ("XBT", "EUR", "36000"),
    ("BNB", "USDT", "300"), ("USDC", "USDT", "1"), ("USD", "TRY", "32"), ("EUR", "USDT", "1.1"), ("DOGE", "USDT", "0.08"),
)  # fmt: skip
WORTH = {"BTC": "40000", "ETH": "2000", "XBT": "40000", "BNB": "300", "EUR": "1.1", "TRY": "0.03125", "DOGE": "0.08", "USDT": "1", "USDC": "1", "USD": "1"}
COINS = ("BTC", "ETH", "XBT", "BNB", "DOGE")
#: Symbol, base, quote, settle, what one contract is worth in quote.
CONTRACTS = (("BTC/USDT:USDT", "linear", "40000"), ("BTC/USD:BTC", "inverse", "40000"), ("ETH/USD:BTC", "quanto", "2000"), ("EUR/USDT:USDT", "linear", "1.1"))


class Walk:
    def __init__(self, seed: int, kinds: Sequence[str]) -> None:
        self.random = random.Random(seed)
        self.kinds = kinds
        self.records: list[dict[str, object]] = []
        self.now = START
        self.held: dict[str, Decimal] = {}
        self.bought: dict[str, Decimal] = {}
        self.number = 0

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def step(self) -> None:
        if not self.chance(0.25):  # else: at the same instant as the one before
            self.now += self.random.choice([timedelta(seconds=7), timedelta(minutes=11), timedelta(hours=3), timedelta(hours=15), timedelta(days=2)])
        kind = self.random.choice(
            [k for k in ("spot",) * 8 + ("contract",) * 3 + ("flows",) * 3 + KINDS if k in self.kinds and k not in ("fees", "zero_prices", "depeg")]
        )
        acts: dict[str, Callable[[], None]] = {
            "spot": self.spot, "contract": self.contract, "fee_records": self.fee_record, "flows": self.flow, "own_transfers": self.own_transfer, "income": self.income,
            "attributed": self.attributed, "loans": self.loan, "splits": self.split, "renames": self.rename, "rates": self.rate, "voids": self.void, "snapshots": self.snapshot,
        }  # fmt: skip
        acts[kind]()

    def add(self, type_: str, **fields: object) -> dict[str, object]:
        self.number += 1
        own = {"rate": None, "metrics": None, "order": "event_id"}.get(type_, f"{type_}_id")
        when = "executed_at" if type_ == "fill" else "observed_at" if type_ in ("rate", "metrics") else "occurred_at"
        record = {"type": type_, **({own: f"r{self.number}"} if own else {}), **({} if type_ == "rate" else {"account_id": ACCOUNT}), **fields}
        record.setdefault(when, self.now.isoformat())
        if type_ == "fill" and self.chance(0.1):
            record["sequence"], record["producer"] = self.random.randint(0, 20), self.random.choice(["one", "two"])
        self.records.append(record)
        return record

    def hold(self, code: str, amount: Decimal) -> None:
        self.held[code] = self.held.get(code, Decimal(0)) + amount

    def near(self, text: str) -> Decimal:
        """A price within a fifth of it, of four digits."""
        return Decimal(f"{Decimal(text) * self.random.randint(80, 120) / 100:.3e}")

    def size(self, worth: Decimal) -> Decimal:
        """Of some hundred dollars, of two digits; as often as not the same as before."""
        return Decimal(f"{Decimal(self.random.choice([50, 100, 100, 200, 500, 1000, 1000, 3000])) / worth:.1e}")

    def spot(self) -> None:
        base, quote, text = self.random.choice(PAIRS)
        price = Decimal(0) if "zero_prices" in self.kinds and base in COINS and self.chance(0.04) else self.near(text)
        side = self.random.choice(["buy", "sell"])
        instrument = f"{base}/{quote}"
        known = {"own": self.bought.get(instrument, Decimal(0)), "all": self.held.get(base, Decimal(0))}[self.random.choice(["own", "all"])]
        quantity = self.size(Decimal(WORTH[base]))
        if known and self.chance(0.6):
            side = "sell" if known > 0 else "buy"
            quantity = abs(known) * Decimal(self.random.choice(["1", "1", "1", "0.999", "1.001", "0.5", "1.5", "2"]))
        sign = 1 if side == "buy" else -1
        fields: dict[str, object] = {
            "symbol": self.random.choice([instrument, f"{base}-{quote}"]),
            "side": side,
            "quantity": str(quantity),
            "price": str(price),
        }
        if self.chance(0.1):
            cash = (quantity * price).quantize(Decimal("1e-8"))
            fields["quote_quantity"] = str(cash)
        if quote not in ("USD", "USDT") and self.chance(0.1):
            fields["quote_usd_rate"] = str(self.near(WORTH[quote]))
        self.fee(fields, base, quote, quantity, quantity * price)
        self.add("fill", order_id=f"o{self.number}", **fields)
        self.hold(base, sign * quantity)
        self.hold(quote, -sign * Decimal(str(fields.get("quote_quantity", quantity * price))))
        self.bought[instrument] = self.bought.get(instrument, Decimal(0)) + sign * quantity
        for fee in self.fees_in(fields, quote):
            self.hold(*fee)
            if fee[0] == base:
                self.bought[instrument] += fee[1]

    def fees_in(self, fields: dict[str, object], default: str) -> list[tuple[str, Decimal]]:
        single = [{"currency": fields.get("fee_currency", default), "amount": fields["fee"]}] if fields.get("fee") is not None else []
        several = fields.get("fees") or single
        return [(str(f["currency"]), -Decimal(str(f["amount"]))) for f in several]  # type: ignore[attr-defined]

    def fee(self, fields: dict[str, object], base: str, quote: str, quantity: Decimal, cash: Decimal) -> None:
        if "fees" not in self.kinds:
            return
        choice = self.random.choice(["none", "none", "quote", "base", "bnb", "list", "unknown", "rebate"])
        share = Decimal("0.001")
        if choice in ("quote", "rebate"):
            fields["fee"] = str(abs(cash) * share * (1 if choice == "quote" else -1))
        elif choice == "base" and base:
            fields.update(fee=str(quantity * share), fee_currency=base)
        elif choice == "bnb":
            fields.update(fee="0.004", fee_currency="BNB", **({"fee_usd_rate": str(self.near("300"))} if self.chance(0.3) else {}))
        elif choice == "list":
            fields["fees"] = [
                {"currency": quote, "amount": "0.1"},
                {"currency": "BNB", "amount": "0.002"},
                *([{"currency": "ETH", "amount": "0.0003", "usd_rate": "2010"}] if self.chance(0.5) else []),
            ]
        elif choice == "unknown":
            fields["fee"] = None

    def contract(self) -> None:
        symbol, form, text = self.random.choice(CONTRACTS)
        price = self.near(text)
        known = self.bought.get(symbol, Decimal(0))
        side = self.random.choice(["buy", "sell"])
        quantity = Decimal(self.random.choice([1, 2, 3, 10])) * (100 if form == "inverse" else 1)
        if known and self.chance(0.6):
            side = "sell" if known > 0 else "buy"
            quantity = abs(known) * Decimal(self.random.choice(["1", "1", "2", "0.5"]))
        fields: dict[str, object] = {"symbol": symbol, "side": side, "quantity": str(quantity), "price": str(price)}
        if form == "inverse":
            fields["quote_quantity"] = str((quantity / price).quantize(Decimal("1e-8")))
        elif form == "quanto":
            fields["quote_quantity"] = str((quantity * price / 10**7).quantize(Decimal("1e-8")))
        elif text == "40000":
            fields["multiplier"] = "0.01"
        settle = symbol.rpartition(":")[2]
        self.fee(fields, "", settle, quantity, Decimal("0.01") if settle == "BTC" else quantity)
        self.add("fill", order_id=f"o{self.number}", **fields)
        self.bought[symbol] = known + (quantity if side == "buy" else -quantity)
        for fee in self.fees_in(fields, settle):
            self.hold(*fee)

    def fee_record(self) -> None:
        fills = [r for r in self.records if r["type"] == "fill"]
        fill = self.random.choice(fills)["fill_id"] if fills and not self.chance(0.05) else "nowhere"
        currency, amount = self.random.choice([("USDT", "0.3"), ("BNB", "0.003"), ("BTC", "0.00001"), ("ETH", "0.0002"), ("USDT", "-0.05")])
        self.add("fee", fill_id=fill, currency=currency, amount=amount, **self.carried(currency, 0.2))
        self.hold(currency, -Decimal(amount))

    def carried(self, currency: str, share: float) -> dict[str, object]:
        return {"usd_rate": str(self.near(WORTH[currency]))} if currency not in ("USD", "USDT") and self.chance(share) else {}

    def move(self, direction: str, currency: str, amount: Decimal, **fields: object) -> dict[str, object]:
        self.hold(currency, amount if direction == "deposit" else -amount)
        return self.add(direction, currency=currency, amount=str(amount), **fields)

    def flow(self) -> None:
        currency = self.random.choice(list(WORTH))
        direction = self.random.choice(["deposit", "deposit", "withdrawal"])
        held = self.held.get(currency, Decimal(0))
        amount = held if direction == "withdrawal" and held > 0 and self.chance(0.3) else self.size(Decimal(WORTH[currency]))
        fee: dict[str, object] = {"fee": str(amount / 1000)} if self.chance(0.2) else {}
        if fee:
            self.hold(currency, -amount / 1000)
        self.move(direction, currency, amount, category=self.random.choice(["external", "external", "transfer"]), **fee, **self.carried(currency, 0.3))

    def own_transfer(self) -> None:
        currency = self.random.choice(["USDT", "BTC", "EUR"])
        amount = self.size(Decimal(WORTH[currency]))
        for direction in ("withdrawal", "deposit"):
            self.move(direction, currency, amount, category="transfer", reference=f"t{self.number}")

    def income(self) -> None:
        currency = self.random.choice(list(WORTH))
        amount = self.size(Decimal(WORTH[currency]) * 100)
        self.move(
            self.random.choice(["deposit", "withdrawal"]),
            currency,
            amount,
            category=self.random.choice(["funding", "interest", "dividend", "bonus", "fee", "other"]),
        )

    def attributed(self) -> None:
        symbols = [str(r["symbol"]) for r in self.records if r["type"] == "fill"] or ["BTC/USDT:USDT"]
        symbol = self.random.choice([*symbols, *(s.replace("-", "").replace("/", "") for s in symbols if ":" not in s)])
        currency = self.random.choice(["USDT", "BTC", "BNB"])
        amount = self.size(Decimal(WORTH[currency]) * 100)
        self.move(self.random.choice(["deposit", "withdrawal"]), currency, amount, category=self.random.choice(["funding", "interest", "other"]), symbol=symbol)

    def loan(self) -> None:
        currency = self.random.choice(["BTC", "ETH", "USDT"])
        self.move(self.random.choice(["deposit", "withdrawal"]), currency, self.size(Decimal(WORTH[currency])), category="loan", **self.carried(currency, 0.3))

    def split(self) -> None:
        coin = self.random.choice(COINS)
        held = self.held.get(coin, Decimal(0)) or (Decimal(1) if self.chance(0.2) else Decimal(0))
        change = held * Decimal(self.random.choice(["1", "9", "0.5", "-0.5", "-0.9"]))
        if change:
            self.move("deposit" if change > 0 else "withdrawal", coin, abs(change), category="split")
            for instrument in (i for i in self.bought if i.startswith(f"{coin}/") and ":" not in i):
                self.bought[instrument] *= 1 + change / held

    def rename(self) -> None:
        held = self.held.get("XBT", Decimal(0))
        if held > 0:
            share, ratio = Decimal(self.random.choice(["1", "1", "1", "0.5"])), Decimal(self.random.choice(["1", "1", "1000"]))
            reference: dict[str, object] = {"reference": f"n{self.number}"}
            self.move("withdrawal", "XBT", held * share, category="rename", **reference)
            if not self.chance(0.1):  # else half of one
                self.move("deposit", "BTC", held * share * ratio, category="rename", **reference)
            for instrument in ("XBT/USDT", "XBT/EUR"):
                self.bought[instrument] = self.bought.get(instrument, Decimal(0)) * (1 - share)

    def rate(self) -> None:
        codes = ["BTC", "ETH", "EUR", "BNB", "TRY", "XBT", "DOGE", *(["USDC"] if "depeg" in self.kinds else [])]
        currency = self.random.choice(codes)
        self.add("rate", currency=currency, usd_rate=str(self.near(WORTH[currency])), source=self.random.choice(["ecb", "kraken", "me"]))

    def void(self) -> None:
        targets = [r for r in self.records if r["type"] in ("fill", "deposit", "withdrawal", "fee")]
        if targets:
            target = self.random.choice(targets[-12:])
            kind = str(target["type"])
            self.add("void", kind=kind, id=target[f"{kind}_id"], reason="wrong")

    def snapshot(self) -> None:
        self.add("metrics", snapshot_id=f"m{self.number}", total_value_usd=str(self.random.randint(500, 20000)))


def history(seed: int, steps: int = 40, kinds: Sequence[str] = KINDS, rates: bool = True) -> list[dict[str, object]]:
    """`rates`: one of each currency is said before everything else, so that nothing is withheld."""
    walk = Walk(seed, kinds)
    if rates:
        for currency in ("BTC", "ETH", "XBT", "BNB", "EUR", "TRY", "DOGE"):
            walk.add("rate", currency=currency, usd_rate=WORTH[currency])
    walk.now += timedelta(hours=1)
    rich = walk.chance(0.5)  # else it is soon below zero in something
    walk.move("deposit", "USDT", Decimal(50000 if rich else 2000))
    for currency, amount in (("EUR", "20000"), ("BTC", "0.5"), ("BNB", "3")) if rich else ():
        walk.move("deposit", currency, Decimal(amount))
    with localcontext(Context()):  # its sizes and prices are rounded
        for _ in range(steps):
            walk.step()
    return walk.records


def arrived(records: Sequence[dict[str, object]], seed: int) -> list[dict[str, object]]:
    """In another order, some of them twice; of the two the one with the smaller (sequence, producer) counts, so they are the same."""
    shuffler = random.Random(seed)
    found = [*records, *shuffler.sample(list(records), len(records) // 10)]
    shuffler.shuffle(found)
    return found


def histories(steps: int = 40, kinds: Sequence[str] = KINDS, rates: bool = True) -> st.SearchStrategy[list[dict[str, object]]]:
    return st.builds(history, st.integers(0, 2**32 - 1), st.integers(1, steps), st.just(kinds), st.just(rates))
