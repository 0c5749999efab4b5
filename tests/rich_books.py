"""Books that have something of everything a listing can show, with ids as long as venues give them."""

from __future__ import annotations

import decimal
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import command

from jarvis.demo import month_of_trading
from jarvis_client.contract import instants
from jarvis_client.contract.decimals import SHOWN
from persistence.database import DatabaseManager
from persistence.repositories.job_runs import SQLiteJobRunRepository

#: What trades longest, has the longest ids and days of its own zone.
MAIN = "main-account"
#: Never reports what it is worth, and holds what nobody knows the worth of.
BOOKS_ONLY = "books-only"
SECOND = 1_000_000

SETTINGS = {
    "rollup": {"accounts": {MAIN: {"timezone": "America/New_York", "cost_basis": "fifo"}, BOOKS_ONLY: {"timezone": "Asia/Kolkata"}}},
}


def make(folder: Path) -> None:
    """Books in `folder`, with their settings: three accounts in three zones, quarantine, a gap, notes, failed jobs, backups."""
    (folder / "config").mkdir()
    (folder / "config" / "scheduler.yaml").write_text(json.dumps(SETTINGS))
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with decimal.localcontext(SHOWN):
        demo = [{"type": kind, **record} for kind, record in month_of_trading(200, 7, midnight)]
    _import(folder, [*demo, *_of_main(midnight), *_of_books_only(midnight), *_numbered(midnight)])
    _import(folder, _refused(midnight), code=1)
    for arguments in (
        ("rollup",),
        ("backup", "create"),
        ("jobs", "run", "checkpoint", "--here"),
        ("jobs", "run", "seal", "--here"),
        ("jobs", "pause", "backup"),
    ):
        done = command.run(*arguments, folder=folder)
        assert done.returncode == 0, done.stderr
    _fail_jobs(folder)


def _import(folder: Path, records: list[dict[str, Any] | str], code: int = 0) -> None:
    lines = [r if isinstance(r, str) else json.dumps(r) for r in records]
    done = command.run("import", "-", folder=folder, stdin="\n".join(lines))
    assert done.returncode == code, done.stderr


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _of_main(end: datetime) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = [
        {"type": "deposit", "deposit_id": "binance:spot:main-account:USDT:0001", "account_id": MAIN, "currency": "USDT", "amount": "2500000", "occurred_at": _text(end - timedelta(days=40))},
        {"type": "rate", "currency": "EUR", "usd_rate": "1.0825", "observed_at": _text(end - timedelta(days=40)), "source": "european-central-bank"},
        {"type": "deposit", "deposit_id": "sepa:DE89370400440532013000:2026-11", "account_id": MAIN, "currency": "EUR", "amount": "125000.5", "occurred_at": _text(end - timedelta(days=39))},
    ]  # fmt: skip
    symbols = ("BTC/USDT", "1000SATS/USDT", "BTC/USDT:USDT")
    for n in range(24):
        at = end - timedelta(days=30 - n, hours=3)
        symbol = symbols[n % 3]
        order = {"account_id": MAIN, "order_id": f"9223372036854775{n:03}", "symbol": symbol}
        side, price = ("buy", "64250.125") if n % 2 == 0 else ("sell", "65110.5")
        records += [
            {"type": "order", **order, "event_id": f"binance:placed:{n}", "status": "placed", "side": side, "order_type": "limit", "quantity": "0.5", "price": price, "occurred_at": _text(at)},
            {"type": "fill", **order, "fill_id": f"binance:BTCUSDT:{4_100_000_000 + n}", "side": side, "quantity": "0.25", "price": price, "fee": "8.031265", "fee_currency": "USDT", "executed_at": _text(at + timedelta(seconds=2))},
        ]  # fmt: skip
        if n % 4 == 0:
            records.append({"type": "order", "account_id": MAIN, "order_id": order["order_id"], "event_id": f"binance:cancel:{n}", "status": "cancelled", "occurred_at": _text(at + timedelta(minutes=5))})  # fmt: skip
    records.append({"type": "withdrawal", "withdrawal_id": "binance:withdrawal:0xfe12ab34cd56", "account_id": MAIN, "currency": "USDT", "amount": "120000", "occurred_at": _text(end - timedelta(days=4))})  # fmt: skip
    return records


def _of_books_only(end: datetime) -> list[dict[str, Any]]:
    common = {"type": "deposit", "account_id": BOOKS_ONLY}
    return [
        {**common, "deposit_id": "b-1", "currency": "USD", "amount": "50000", "occurred_at": _text(end - timedelta(days=200))},
        {**common, "deposit_id": "b-2", "currency": "XYZ", "amount": "1200", "occurred_at": _text(end - timedelta(days=3))},
    ]


def _numbered(end: datetime) -> list[dict[str, Any]]:
    common = {"type": "deposit", "account_id": MAIN, "currency": "USDT", "amount": "1", "producer": "engine-frankfurt-01"}
    return [{**common, "deposit_id": f"n-{n}", "sequence": n, "occurred_at": _text(end - timedelta(days=2))} for n in (1, 2, 17, 40_000)]


def _refused(end: datetime) -> list[dict[str, Any] | str]:
    deposit = {"type": "deposit", "account_id": MAIN, "currency": "USDT", "occurred_at": _text(end - timedelta(days=1))}
    return [
        {**deposit, "deposit_id": "n-1", "amount": "2", "note": "typed by hand", "occurred_at": _text(end - timedelta(days=2))},
        {**deposit, "deposit_id": "binance:deposit:00000000000000000001", "amount": "-1"},
        {**deposit, "deposit_id": "d-3", "amount": "1", "currency": "us dollars"},
        '{"type": "fill"',
    ]


def _fail_jobs(folder: Path) -> None:
    database = DatabaseManager(folder / "data" / "jarvis_trading.db")
    database.initialize()
    runs, now = SQLiteJobRunRepository(database), instants.now()
    failures = (
        ("statistics", "OSError: no space left on device: data/jarvis_trading.db-wal", 600),
        ("restore_drill", "CommandFailed: `age -d -i /etc/jarvis/backup.key` ended with 1: no identity matched any of the recipients", None),
    )
    for job, error, again in failures:
        slot = runs.request(job, now - 5 * SECOND, request_id=f"0c5f6a7e-{job}").scheduled_for
        assert runs.claim(job, slot, "worker-host:4711", now - 5 * SECOND)
        runs.fail(job, slot, "worker-host:4711", now - 3 * SECOND, error, None if again is None else now + again * SECOND)
    database.close()
