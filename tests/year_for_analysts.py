"""Two months of two accounts whose figures are worked out here, from the numbers that the records are made of and from nothing else."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from books import deposit, ended, fill, placed, rate, snapshot, void, withdrawal

from jarvis_client.contract.decimals import EXACT

FIRST = datetime(2025, 12, 1, tzinfo=UTC)
DAYS = 60
LAST = (FIRST + timedelta(days=DAYS - 1)).date()
DAY = 86_400_000_000


def micros(day: int, seconds: int = 0) -> int:
    """An instant of a day of the history, in microseconds UTC."""
    return int((FIRST + timedelta(days=day, seconds=seconds)).timestamp()) * 1_000_000


def date_of(day: int) -> str:
    return (FIRST + timedelta(days=day)).date().isoformat()


@dataclass
class Fill:
    """One execution, with what was paid for it in USD and how long its order had waited."""

    day: int
    at: int
    coin: str
    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    fee_usd: Decimal
    liquidity: str
    tag: str
    limit: Decimal
    waited: int

    @property
    def notional(self) -> Decimal:
        return EXACT.multiply(self.quantity, self.price)


@dataclass
class History:
    """The records, and what they come to."""

    records: list[Any] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    #: Of each day: what is held in units, what the account is worth, capital in and out.
    held: list[dict[str, Decimal]] = field(default_factory=list)
    prices: list[dict[str, Decimal]] = field(default_factory=list)
    values: list[Decimal] = field(default_factory=list)
    flows: dict[int, tuple[int, int]] = field(default_factory=lambda: {0: (106_000, 0), 40: (5_000, 0), 50: (0, 3_000)})
    desk: list[Decimal] = field(default_factory=list)
    #: instrument, net profit, opened, closed
    trades: list[tuple[str, Decimal, int, int, int]] = field(default_factory=list)
    lots: dict[str, list[tuple[int, Decimal, Decimal]]] = field(default_factory=lambda: defaultdict(list))

    def returns(self, values: list[Decimal], flows: dict[int, tuple[int, int]]) -> list[float]:
        """(close + out) / (close before + in) - 1."""
        found = []
        for day, value in enumerate(values):
            came, went = flows.get(day, (0, 0))
            before = values[day - 1] if day else Decimal(0)
            found.append(float(EXACT.add(value, Decimal(went))) / float(EXACT.add(before, Decimal(came))) - 1)
        return found

    @property
    def main_returns(self) -> list[float]:
        return self.returns(self.values, self.flows)

    @property
    def desk_returns(self) -> list[float]:
        return self.returns(self.desk, {0: (10_000, 0), 30: (0, 1_000)})


def history(seed: int = 16) -> History:
    """The same history for the same seed."""
    chance, made = random.Random(seed), History()
    say = made.records.append
    say(deposit("usdt", account_id="main", amount="100000", occurred_at=micros(0, 10)))
    say(deposit("bnb", account_id="main", currency="BNB", amount="10", usd_rate="600", occurred_at=micros(0, 11)))
    say(deposit("more", account_id="main", amount="5000", occurred_at=micros(40, 10)))
    say(deposit("earn", account_id="main", amount="12.5", category="interest", occurred_at=micros(20, 10)))
    say(deposit("bogus", account_id="main", amount="777", occurred_at=micros(21, 10)))
    say(void(1, "deposit", "dbogus", account_id="main", occurred_at=micros(21, 20)))
    say(withdrawal("out", account_id="main", amount="3000", occurred_at=micros(50, 80_000)))
    say(deposit("desk", account_id="desk", amount="10000", occurred_at=micros(0, 10)))
    say(withdrawal("desk", account_id="desk", amount="1000", occurred_at=micros(30, 10)))
    held: dict[str, Decimal] = defaultdict(Decimal, USDT=Decimal(100_000), BNB=Decimal(10))
    made.lots["BNB"].append((micros(0, 11), Decimal(10), Decimal(600)))
    price = {"BTC": Decimal(90_000), "ETH": Decimal(3_000), "SOL": Decimal(100), "BNB": Decimal(600)}
    opened: dict[str, tuple[int, int, Decimal]] = {}
    worth = Decimal(10_000)
    for day in range(DAYS):
        price["BNB"] = EXACT.add(Decimal(600), Decimal(day))
        say(rate(day, currency="BNB", usd_rate=str(price["BNB"]), observed_at=micros(day, 5), source="desk"))
        for n, coin in enumerate(("BTC", "ETH", *(["SOL"] * (day == 3)))):
            if coin != "SOL":
                price[coin] = EXACT.add(price[coin], Decimal(chance.randint(-300, 310)) if coin == "BTC" else Decimal(chance.randint(-1_000, 1_050)).scaleb(-2))
            _trade(made, chance, held, price, opened, (day, 36_000 + 3_600 * n), coin)
        held["USDT"] = EXACT.add(held["USDT"], {20: Decimal("12.5"), 40: Decimal(5_000), 50: Decimal(-3_000)}.get(day, Decimal(0)))
        made.held.append(dict(held))
        made.prices.append(dict(price))
        total = held["USDT"]
        for coin, usd in price.items():
            total = EXACT.add(total, EXACT.multiply(held[coin], usd))
        made.values.append(total)
        for seconds in (43_200, 86_000):
            worth = EXACT.add(worth, Decimal(chance.randint(-9_000, 10_000)).scaleb(-2))
            if (day, seconds) == (30, 43_200):
                worth = EXACT.subtract(worth, Decimal(1_000))
            say(
                snapshot(
                    day * 2 + (seconds > 50_000),
                    snapshot_id=f"s{day}-{seconds}",
                    account_id="desk",
                    total_value_usd=str(worth),
                    observed_at=micros(day, seconds),
                )
            )
        made.desk.append(worth)
    for n in range(3):
        order = {"account_id": "main", "order_id": f"x{n}", "quantity": "0.1", "price": "1000", "symbol": "ETH/USDT", "reserve": True}
        say(placed(f"x{n}", **order, occurred_at=micros(5 + n)))
        if n:
            say(ended(f"x{n}", account_id="main", order_id=f"x{n}", occurred_at=micros(6 + n)))
    return made


def _trade(
    made: History, chance: random.Random, held: dict[str, Decimal], price: dict[str, Decimal], opened: dict[str, tuple[int, int, Decimal]],
    when: tuple[int, int], coin: str,
) -> None:  # fmt: skip
    """One order of a coin and its fill: bought, or half or all of it sold."""
    number, day, at = len(made.fills), when[0], micros(*when)
    sells = coin != "SOL" and held[coin] > 0 and chance.random() < 0.55 and day < DAYS - 2
    if sells:
        quantity = held[coin] if chance.random() < 0.6 else EXACT.divide(held[coin], Decimal(2))
    else:
        quantity = Decimal(10) if coin == "SOL" else Decimal(chance.randint(1, 40)).scaleb(-3 if coin == "BTC" else -1)
    in_bnb = number % 5 == 0
    cash = EXACT.multiply(quantity, price[coin])
    fee = Decimal("0.002") if in_bnb else EXACT.multiply(cash, Decimal("0.001"))
    waited, step = chance.randint(1, 3_000), chance.randint(0, 20)
    one = Fill(
        day, at, coin, "sell" if sells else "buy", quantity, price[coin], fee, "BNB" if in_bnb else "USDT",
        EXACT.multiply(fee, price["BNB"]) if in_bnb else fee, chance.choice(("maker", "taker")), chance.choice(("trend", "mean")),
        EXACT.subtract(price[coin], Decimal(step)) if sells else EXACT.add(price[coin], Decimal(step)), waited,
    )  # fmt: skip
    order = {"account_id": "main", "order_id": f"o{number}", "symbol": f"{coin}/USDT", "side": one.side}
    made.records.append(placed(number, **order, quantity=str(quantity), price=str(one.limit), occurred_at=at - waited * 1_000_000))
    made.records.append(
        fill(
            number,
            **order,
            quantity=str(quantity),
            price=str(one.price),
            fee=str(fee),
            fee_currency=one.fee_currency,
            executed_at=at,
            liquidity=one.liquidity,
            extra=json.dumps({"tag": one.tag}),
        )
    )
    made.fills.append(one)
    sign = Decimal(-1 if sells else 1)
    held[coin] = EXACT.add(held[coin], EXACT.multiply(sign, quantity))
    held["USDT"] = EXACT.subtract(held["USDT"], EXACT.multiply(sign, cash))
    held[one.fee_currency] = EXACT.subtract(held[one.fee_currency], fee)
    _lots(made.lots, coin, at, EXACT.multiply(sign, quantity), one.price)
    if in_bnb:
        _lots(made.lots, "BNB", at, EXACT.minus(fee), price["BNB"])
    since, count, profit = opened.get(coin, (at, 0, Decimal(0)))
    profit = EXACT.subtract(EXACT.subtract(profit, EXACT.multiply(sign, cash)), one.fee_usd)
    opened[coin] = since, count + 1, profit
    if held[coin] == 0:
        made.trades.append((f"{coin}/USDT", profit, since, at, count + 1))
        del opened[coin]


def _lots(lots: dict[str, list[tuple[int, Decimal, Decimal]]], coin: str, at: int, change: Decimal, price: Decimal) -> None:
    """First in, first out."""
    if change > 0:
        lots[coin].append((at, change, price))
        return
    wanted = EXACT.minus(change)
    while wanted:
        since, there, cost = lots[coin][0]
        taken = min(there, wanted)
        wanted = EXACT.subtract(wanted, taken)
        if taken == there:
            del lots[coin][0]
        else:
            lots[coin][0] = since, EXACT.subtract(there, taken), cost
