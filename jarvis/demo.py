"""A simulated engine: a seeded random walk over a few symbols, traded for a month through the broker."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

from rich.console import Console

from jarvis.broker import broker_url, publisher_of
from jarvis.embedded_broker import running_broker
from jarvis.opening import open_database
from jarvis.settings import Settings, SettingsError, load_settings
from jarvis_client.contract.address import without_password
from jarvis_client.contract.decimals import canonical
from jarvis_client.contract.errors import Unavailable
from jarvis_client.contract.instants import to_instant, to_text
from persistence.domain.showing import count_of
from persistence.engine.contract import LiveBooks

ACCOUNT = "demo"
#: Symbol, first price, price step, quantity step, hourly volatility.
MARKETS = (
    ("BTC/USDT", 64_000.0, "0.01", "0.00001", 0.006),
    ("ETH/USDT", 3_100.0, "0.01", "0.0001", 0.008),
    ("SOL/ETH", 0.05, "0.000001", "0.001", 0.011),
)
DAYS = 30
PATIENCE_SECONDS = 120.0

Message = tuple[str, dict[str, Any]]


def month_of_trading(fills: int, seed: int, end: datetime) -> Iterator[Message]:
    """(kind, record) in the order of time: orders placed and partly filled or cancelled, fees in three currencies, deposits,
    withdrawals, hourly equity. The same seed and end give the same records."""
    chance = random.Random(seed)
    start = end - timedelta(days=DAYS)
    run = f"{seed}-{start:%Y%m%d}"
    prices = {symbol: first for symbol, first, *_ in MARKETS}
    holdings = {"USDT": 60_000.0, "ETH": 6.0, "BTC": 0.3, "SOL": 0.0, "BNB": 3.0}
    yield "deposit", _flow("deposit", run, 0, "USDT", "60000", start)
    yield "deposit", _flow("deposit", run, 1, "ETH", "6", start, usd_rate=_text(prices["ETH/USDT"], "0.01"))
    yield "deposit", _flow("deposit", run, 2, "BTC", "0.3", start, usd_rate=_text(prices["BTC/USDT"], "0.01"))
    yield "deposit", _flow("deposit", run, 3, "BNB", "3", start, usd_rate="580")
    hours = DAYS * 24
    made = orders = 0
    for hour in range(hours):
        at = start + timedelta(hours=hour)
        for symbol, *_, volatility in MARKETS:
            prices[symbol] *= 2.718281828 ** chance.gauss(0, volatility)
        due = fills * (hour + 1) // hours
        while made < due:
            orders += 1
            for kind, record in _order(chance, run, orders, due - made, prices, holdings, at):
                made += kind == "fill"
                yield kind, record
        if hour % 240 == 200:
            amount = _text(chance.uniform(500, 5_000), "0.01")
            holdings["USDT"] -= float(amount)
            yield "withdrawal", _flow("withdrawal", run, hour, "USDT", amount, at + timedelta(minutes=58))
        if hour % 168 == 160:
            amount = _text(chance.uniform(1_000, 4_000), "0.01")
            holdings["USDT"] += float(amount)
            yield "deposit", _flow("deposit", run, hour, "USDT", amount, at + timedelta(minutes=58))
        ether = prices["ETH/USDT"]
        worth = (
            holdings["USDT"] + holdings["BTC"] * prices["BTC/USDT"] + (holdings["ETH"] + holdings["SOL"] * prices["SOL/ETH"]) * ether + holdings["BNB"] * 580
        )
        yield "metrics", {"account_id": ACCOUNT, "observed_at": _time(at + timedelta(minutes=59)), "total_value_usd": _text(worth, "0.01")}


def _order(chance: random.Random, run: str, number: int, left: int, prices: dict[str, float], holdings: dict[str, float], at: datetime) -> Iterator[Message]:
    symbol, _, price_step, quantity_step, _ = chance.choice(MARKETS)
    base, quote = symbol.split("/")
    price = prices[symbol]
    budget = max(holdings[quote], 0.0) * chance.uniform(0.005, 0.03)
    side = "buy" if chance.random() < 0.5 and budget > 0 else "sell"
    size = budget / price if side == "buy" else max(holdings[base], 0.0) * chance.uniform(0.01, 0.08)
    quantity = max(Decimal(_text(size, quantity_step)), Decimal(quantity_step) * 4)
    placed_at = at + timedelta(seconds=chance.randrange(3_000))
    order_id = f"{run}-o{number}"
    common = {"account_id": ACCOUNT, "order_id": order_id}
    yield "order", {
        **common, "event_id": f"{order_id}-placed", "status": "placed", "occurred_at": _time(placed_at), "symbol": symbol, "side": side,
        "order_type": "limit", "quantity": str(quantity), "price": _text(price, price_step), "reserve": True,
    }  # fmt: skip
    parts = min(left, chance.choice((1, 1, 2, 3)))
    whole = chance.random() < 0.85
    remaining = quantity
    for part in range(parts):
        share = remaining if whole and part == parts - 1 else (remaining / (parts - part)).quantize(Decimal(quantity_step), ROUND_HALF_EVEN)
        share = share if whole else min(share, (quantity / 2).quantize(Decimal(quantity_step)))
        if share <= 0 or share > remaining:
            break
        remaining -= share
        executed = Decimal(_text(price * (1 + chance.gauss(0, 0.0002)), price_step))
        fee_currency = chance.choice((quote, quote, base, "BNB"))
        cash = share * executed
        rate = {"USDT": 1.0, "ETH": prices["ETH/USDT"], "BTC": prices["BTC/USDT"]}.get(quote, 1.0)
        fee = {quote: cash * Decimal("0.001"), base: share * Decimal("0.001")}.get(
            fee_currency, Decimal(_text(float(cash) * rate * 0.00075 / 580, "0.00000001"))
        )
        direction = 1 if side == "buy" else -1
        holdings[base] += direction * float(share)
        holdings[quote] -= direction * float(cash)
        holdings[fee_currency] -= float(fee)
        yield "fill", {
            **common, "fill_id": f"demo:{symbol}:{run}-{number}-{part}", "symbol": symbol, "side": side, "quantity": str(share), "price": str(executed),
            "fee": canonical(fee), "fee_currency": fee_currency, "executed_at": _time(placed_at + timedelta(seconds=1 + part * 20)),
            "quote_usd_rate": _text(rate, "0.01"), "liquidity": chance.choice(("maker", "taker")),
            **({"fee_usd_rate": "580"} if fee_currency == "BNB" else {}),
        }  # fmt: skip
    if remaining > 0:
        cancelled = {**common, "event_id": f"{order_id}-cancelled", "status": "cancelled", "occurred_at": _time(placed_at + timedelta(minutes=8))}
        yield "order", cancelled


def _flow(kind: str, run: str, number: int, currency: str, amount: str, at: datetime, **more: str) -> dict[str, Any]:
    return {f"{kind}_id": f"{run}-{kind}-{number}", "account_id": ACCOUNT, "currency": currency, "amount": amount, "occurred_at": _time(at), **more}


def _text(number: float, step: str) -> str:
    return format(Decimal(number).quantize(Decimal(step), ROUND_HALF_EVEN), "f")


def _time(moment: datetime) -> str:
    return to_text(to_instant(moment))


# -- the show -------------------------------------------------------------------------------------------------------------


def run_demo(into: Settings | None, config: Path, show: Callable[[LiveBooks, Settings], None], *, fills: int, seed: int, keep: Path | None) -> None:
    """Publish a month and `show` the books. Raises `Unavailable` where the daemon does not record it in time."""
    console = Console(stderr=True)
    with _daemon(into, config, keep) as settings:
        url, database = broker_url(settings), open_database(settings)
        end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        records = list(month_of_trading(fills, seed, end))
        before = _recorded(database)
        console.print(
            f"publishing {count_of('record', len(records))} of a month of paper trading (seed {seed}) to {without_password(url)}",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )
        started = time.perf_counter()
        publisher_of(settings, url).publish_many(records)
        published = time.perf_counter() - started
        _wait_until_recorded(database, before, len(records), again=into is not None)
        took = time.perf_counter() - started
        console.print(f"published in {published:.1f} s, every record durable after {took:.1f} s ({len(records) / took:,.0f} a second)", highlight=False)
        show(database, settings)
        database.close()
    if keep:
        console.print(f"the books are in {keep}: JARVIS_DATABASE__PATH={keep}/jarvis.db jarvis accounts", soft_wrap=True, highlight=False)
    elif into is None:
        console.print("the demo's daemon and books are gone; `jarvis up` starts yours", highlight=False)


@contextmanager
def _daemon(into: Settings | None, config: Path, keep: Path | None) -> Iterator[Settings]:
    """The daemon to publish to: the running one, or one of the demo's own over a folder of its own."""
    if into is not None:
        yield into
        return
    with tempfile.TemporaryDirectory(prefix="jarvis-demo-") as scratch:
        folder = keep.absolute() if keep else Path(scratch)
        if keep and folder.exists() and any(folder.iterdir()):
            raise SettingsError([f"{keep} is not empty; the demo never writes into existing books: name a new folder"])
        environment = {k: v for k, v in os.environ.items() if not k.startswith("JARVIS_")}
        environment |= {"JARVIS_DATABASE__PATH": str(folder / "jarvis.db"), "JARVIS_DATABASE__BACKUP__ENABLED": "false"}
        environment |= {"JARVIS_DATABASE__BACKUP__PATH": str(folder / "backups"), "JARVIS_LOGGING__LEVEL": "warning"}
        empty = Path(scratch) / "no-config"
        empty.mkdir()
        with open(Path(scratch) / "daemon.log", "wb") as log:
            # -P: the working directory may hold packages named as ours are.
            daemon = subprocess.Popen([sys.executable, "-P", "-m", "jarvis", "--config", str(empty), "up"], env=environment, stderr=log, start_new_session=True)
        try:
            deadline = time.monotonic() + 30
            while running_broker(folder) is None or not (folder / "worker-worker.lock").exists():
                if daemon.poll() is not None or time.monotonic() > deadline:
                    raise Unavailable(f"the demo's daemon did not start: {(Path(scratch) / 'daemon.log').read_text(errors='replace')[-2000:]}")
                time.sleep(0.02)
            # The demo's own folder, whatever config/ says.
            settings = load_settings(empty)
            yield settings.model_copy(update={"database": settings.database.model_copy(update={"path": folder / "jarvis.db"})})
        finally:
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(45)
            except subprocess.TimeoutExpired:
                daemon.kill()


def _recorded(database: LiveBooks) -> int:
    return int(database.execute_query("SELECT coalesce(max(fact_no), 0) FROM facts")[0][0])


def _wait_until_recorded(database: LiveBooks, before: int, records: int, *, again: bool) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    # Published into a running daemon for the second time, everything is a duplicate and nothing grows.
    sql = "SELECT count(*) FROM facts WHERE account_id = ?" if again else None
    while True:
        done = int(database.execute_query(sql, (ACCOUNT,))[0][0]) if sql else _recorded(database) - before
        if done >= records:
            return
        if time.monotonic() > deadline:
            raise Unavailable(f"only {done:,} of {count_of('record', records)} were recorded in {PATIENCE_SECONDS:.0f} s; is the worker running?")
        time.sleep(0.05)
