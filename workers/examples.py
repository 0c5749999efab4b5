"""A valid record of every kind: as little as it takes, and with every field that there is."""

from __future__ import annotations

from typing import Any

Example = dict[str, Any]

_AT = "2026-11-22T10:15:30.123456Z"
_LATER = "2026-11-22T10:20:00Z"
_NUMBERED: Example = {"producer": "engine-1", "sequence": 1}

_FILL: Example = {
    "fill_id": "binance:BTCUSDT:43", "account_id": "main", "symbol": "BTC/USDT", "side": "buy", "quantity": "0.015", "price": "63990.5",
    "executed_at": _AT,
}  # fmt: skip
_FLOW: Example = {"account_id": "main", "currency": "USDT", "amount": "100", "occurred_at": _AT}
_FLOW_IN_FULL: Example = {
    **_FLOW, **_NUMBERED, "category": "funding", "symbol": "BTC/USDT:USDT", "usd_rate": "1", "fee": "0.01", "fee_currency": "USDT",
    "description": "a note for people", "reference": "0x5e1f",
}  # fmt: skip
_ORDER: Example = {
    "event_id": "o-1:placed", "order_id": "o-1", "account_id": "main", "status": "placed", "occurred_at": _AT, "symbol": "BTC/USDT", "side": "buy",
    "order_type": "limit", "quantity": "0.03", "price": "64000",
}  # fmt: skip
#: What an order is asked for in another way than by quantity and price.
_MARKET: Example = {name: value for name, value in _ORDER.items() if name not in ("quantity", "price")} | {"order_type": "market"}
_CONTRACT: Example = {"base": "BTC", "quote": "USDT", "settle": "USDT", "contract": True, "inverse": False, "multiplier": "0.01"}
_METRICS: Example = {"account_id": "main", "observed_at": _AT, "total_value_usd": "10012.34"}
_REPORTED: Example = {
    "pnl_daily": "12.34", "pnl_total": "12.34", "sharpe_ratio": "1.5", "sortino_ratio": "1.2", "max_drawdown": "-0.15", "win_rate": "0.6",
    "profit_factor": "2.5", "trades_count": 5,
}  # fmt: skip
_FEE: Example = {"fee_id": "x-1", "account_id": "main", "fill_id": "binance:BTCUSDT:43", "currency": "BNB", "amount": "0.0012", "occurred_at": _LATER}
_RATE: Example = {"currency": "BTC", "usd_rate": "64000", "observed_at": _AT}
_BALANCE: Example = {"account_id": "main", "currency": "USDT", "total": "10012.34", "observed_at": _AT}
_VOID: Example = {"void_id": "v-1", "account_id": "main", "kind": "withdrawal", "id": "w-1", "reason": "typed twice", "occurred_at": _LATER}

#: The record of every kind with what it cannot do without.
SHORT: dict[str, Example] = {
    "fill": _FILL, "fee": _FEE, "deposit": {"deposit_id": "d-1", **_FLOW}, "withdrawal": {"withdrawal_id": "w-1", **_FLOW}, "order": _ORDER,
    "metrics": _METRICS, "balance": _BALANCE, "rate": _RATE, "void": _VOID,
}  # fmt: skip

#: Records of every kind that have all its fields between them: those that exclude one another stand in different ones.
FULL: dict[str, list[Example]] = {
    "fill": [
        {
            **_FILL, **_NUMBERED, "order_id": "o-1", "quote_quantity": "959.86", "fee": "0.00001", "fee_currency": "BTC", "fee_usd_rate": "63990.5",
            "quote_usd_rate": "1", "liquidity": "taker", "order_type": "limit", "order_quantity": "0.03", "order_price": "64000",
        },
        {
            **_FILL, **_CONTRACT, "fill_id": "binance:BTCUSDT-PERP:7", "symbol": "BTCUSDT-PERP", "quantity": "2",
            "fees": [{"currency": "USDT", "amount": "0.5"}, {"currency": "BNB", "amount": "0.0012", "usd_rate": "600"}],
        },
    ],
    "fee": [{**_FEE, **_NUMBERED, "usd_rate": "600"}],
    "deposit": [{"deposit_id": "d-1", **_FLOW_IN_FULL}],
    "withdrawal": [{"withdrawal_id": "w-1", **_FLOW_IN_FULL}],
    "order": [
        {**_ORDER, **_NUMBERED, "reserve": True},
        {**_ORDER, **_CONTRACT, "event_id": "o-2:placed", "order_id": "o-2", "symbol": "BTCUSDT-PERP", "quantity": "2"},
        {**_MARKET, "event_id": "o-3:placed", "order_id": "o-3", "cost": "500"},
        {**_MARKET, "event_id": "o-4:placed", "order_id": "o-4", "side": "sell", "closes_position": True},
    ],
    "metrics": [{**_METRICS, **_NUMBERED, **_REPORTED, "snapshot_id": "s-1"}, {"account_id": "main", "date": "2026-11-22", "total_value_usd": "10012.34"}],
    "balance": [{**_BALANCE, **_NUMBERED}],
    "rate": [{**_RATE, **_NUMBERED, "source": "binance"}],
    "void": [{**_VOID, **_NUMBERED}],
}  # fmt: skip
