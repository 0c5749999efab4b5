"""Accounts that no page was drawn for: one day, nothing but losses, amounts without end, names of every script."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from books import NEW_YEAR, SECOND, deposit, fill, snapshot, withdrawal

from jarvis_client.contract.decimals import EXACT, SHOWN

DAY, HOUR = 86_400 * SECOND, 3_600 * SECOND
DAYS = 60
FORTY = "a-strategy-with-a-name-of-forty-letters!"
SCRIPT = "<script>console.error('ran')</script><img src=/asked-for onerror=alert(1)>\"'&amp;"


def _trading(name: str, *, scale: str = "1", instruments: Sequence[str] = ("BTC/USDT",), losing: bool = False) -> list[Any]:
    """Two months of an account of about a thousand times the scale: two fills a day, capital now and then."""
    chance, unit = random.Random(name), Decimal(scale)
    value = EXACT.multiply(unit, Decimal(1_000))
    facts: list[Any] = [deposit("first", account_id=name, amount=value, usd_rate=1, occurred_at=NEW_YEAR + HOUR)]
    for day in range(DAYS):
        at = NEW_YEAR + day * DAY
        value = SHOWN.multiply(value, Decimal(10_000 + (-chance.randrange(10, 300) if losing else chance.randrange(-250, 255))).scaleb(-4, SHOWN))
        value = value.quantize(EXACT.scaleb(unit, -3), context=SHOWN)
        facts.append(snapshot(day, account_id=name, snapshot_id=f"s{day}", total_value_usd=value, observed_at=at + 23 * HOUR))
        if day % 9 == 5:
            came, amount = day % 2, EXACT.multiply(unit, Decimal(90))
            facts.append((deposit if came else withdrawal)(day, account_id=name, amount=amount, usd_rate=1, occurred_at=at + 23 * HOUR + 1))
            value = EXACT.add(value, amount if came else -amount)
        for turn, side in enumerate(("buy", "sell")):
            base, _, quote = instruments[day % len(instruments)].rpartition("/")
            facts.append(fill(
                f"{day}-{turn}", account_id=name, order_id=f"{day}-{turn}", symbol=f"{base}/{quote}", base=base, quote=quote, side=side, quantity=unit,
                price=100 - turn if losing else chance.randrange(90, 111), fee=EXACT.scaleb(unit, -2), fee_currency="USDT", quote_usd_rate=1,
                executed_at=at + (turn + 2) * HOUR,
            ))  # fmt: skip
    return facts


def _values(name: str, *values: int) -> list[Any]:
    closes = [snapshot(n, account_id=name, snapshot_id=f"s{n}", total_value_usd=v, observed_at=NEW_YEAR + n * DAY + 2 * HOUR) for n, v in enumerate(values)]
    return [deposit("first", account_id=name, amount=100), *closes]


def _one_trade() -> list[Any]:
    turns = [fill(side, account_id="one-trade", order_id=side, side=side, quote_usd_rate=1, executed_at=NEW_YEAR + HOUR) for side in ("buy", "sell")]
    return [*_values("one-trade", 100, 105, 105), *turns]


def odd_accounts() -> dict[str, list[Any]]:
    """The facts of each account, by its name."""
    return {
        "one-day": _values("one-day", 100), "one-trade": _one_trade(), "ruined": _values("ruined", 100, 50, 0, -30, -40), "losing": _trading("losing", losing=True),
        "huge": _trading("huge", scale="1e15"), "tiny": _trading("tiny", scale="1e-18"),
        FORTY: _trading(FORTY, instruments=[f"COIN-OF-THIRTY-TWO-CHARACTERS-{n:02}/USDT" for n in range(9)]),
        "حساب التداول الرئيسي": _trading("حساب التداول الرئيسي", instruments=["عملة/USDT", "בטקוין/USDT"]),
        "主要取引口座・東京": _trading("主要取引口座・東京", instruments=["比特币/USDT", "비트코인/USDT"]),
        SCRIPT: _trading(SCRIPT, instruments=["=cmd|'calc'!A1/USDT", "<b>bold</b>{{7*7}}/USDT"]),
    }  # fmt: skip


__all__ = ["DAY", "DAYS", "FORTY", "SCRIPT", "odd_accounts"]
