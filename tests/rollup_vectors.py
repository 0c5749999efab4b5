"""Reference vectors of the rollup: messages in, one expected row per observed day out. Ratios come from empyrical on flow-adjusted
returns, money and trades from exact fractions."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import date as Date
from decimal import Decimal
from pathlib import Path
from typing import Any

from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.forms import fact_of
from jarvis_client.contract.outcome import Refusal
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.domain.rollup import FIGURE_COLUMNS
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.account import Rolled, roll_up
from scheduler.rollup.options import RollupOptions

FOLDER = Path(__file__).parent / "data" / "rollup"
ACCOUNT = "acc_vector"
MONEY = ("total_value_usd", "pnl_daily", "pnl_total")
FAR_FUTURE = 1_798_761_600_000_000


def vector(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text())


def names() -> list[str]:
    return sorted(p.stem for p in FOLDER.glob("[0-9]*.json"))


def options_of(config: dict[str, Any], **changes: Any) -> RollupOptions:
    known = {f.name for f in fields(RollupOptions)}
    values = {k: Decimal(v) if k in ("min_base_usd", "dust_notional_usd") else v for k, v in config.items() if k in known}
    return RollupOptions(**{**values, **changes})


def record_of(kind: str, message: dict[str, Any], instruments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """(kind, record) of a vector's message in the form of the contract."""
    common = {"account_id": ACCOUNT, "producer": kind, "sequence": message["seq"]}
    if kind == "snapshot":
        return "metrics", {**common, "snapshot_id": message["id"], "observed_at": message["ts"], "total_value_usd": message["total_value_usd"]}
    if kind == "flow":
        amount = message["amount_usd"]
        name = "withdrawal" if amount.startswith("-") else "deposit"
        return name, {**common, f"{name}_id": message["id"], "currency": "USD", "amount": amount.lstrip("-"), "occurred_at": message["ts"]}
    instrument = instruments[message["instrument"]]
    record = {
        **common, "fill_id": message["id"], "order_id": f"o-{message['id']}", "symbol": message["instrument"], "side": message["side"],
        "quantity": message["qty"], "price": message["price"], "executed_at": message["ts"], "base": instrument["base"], "quote": instrument["quote"],
    }  # fmt: skip
    for ours, theirs in (("fee", "fee"), ("fee_currency", "fee_ccy"), ("fee_usd_rate", "fee_usd_rate"), ("quote_usd_rate", "quote_usd")):
        if message.get(theirs) is not None:
            record[ours] = message[theirs]
    if instrument.get("multiplier"):
        record["multiplier"] = instrument["multiplier"]
    return "fill", record


def facts_of(doc: dict[str, Any]) -> list[Any]:
    """Every message of a vector; what is no number is refused on the way, as on the wire."""
    messages = doc["input"]
    found: list[Any] = []
    for kind, key in (("snapshot", "snapshots"), ("flow", "flows"), ("fill", "fills")):
        found += [item(kind, message, messages["instruments"]) for message in messages[key]]
    return found


def item(kind: str, message: dict[str, Any], instruments: dict[str, Any]) -> Any:
    name, record = record_of(kind, message, instruments)
    try:
        return fact_of(name, record)
    except MalformedRecord as error:
        return Refusal(json.dumps(record).encode(), "malformed", str(error))


def rolled(database: DatabaseManager, items: list[Any], options: RollupOptions) -> Rolled:
    Ledger(database).post(items)
    return roll_up(database, ACCOUNT, options, Date(2026, 6, 1), now=FAR_FUTURE)


def rows(database: DatabaseManager) -> list[dict[str, Any]]:
    with SQLiteRollupRepository(database).reading(ACCOUNT) as books:
        figures = books.figures_from(Date(1970, 1, 1))
    return [{"date": d.isoformat(), **dict(zip(FIGURE_COLUMNS, f, strict=True))} for d, (_, f) in sorted(figures.items())]


def differences(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> list[str]:
    """What differs: money and counts exactly, ratios by 1e-9 of their size, drawdown by 1e-12."""
    if [r["date"] for r in found] != [e["date"] for e in expected]:
        return [f"dates {[r['date'] for r in found]} instead of {[e['date'] for e in expected]}"]
    wrong = []
    for row, want in zip(found, expected, strict=True):
        for name in FIGURE_COLUMNS:
            got, expect = row[name], want[name]
            if got is None or expect is None:
                same = got is expect
            elif name in MONEY:
                same = Decimal(got) == Decimal(expect)
            elif name == "trades_count":
                same = got == expect
            else:
                same = abs(got - expect) <= (1e-12 if name == "max_drawdown" else 1e-9 * max(abs(expect), 1e-3))
            if not same:
                wrong.append(f"{row['date']} {name}: {got} instead of {expect}")
    return wrong
