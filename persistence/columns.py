"""The names of exports, and what their columns hold: the same name holds the same in every table. Settings know exports by this alone, so
that reading them loads no books."""

from __future__ import annotations

from typing import Literal

#: Everything that can be exported: read from the books, or computed.
READ = (
    "transactions", "fills", "deposits", "orders", "metrics", "rates", "balances", "performance", "trades", "equity", "returns", "flows", "snapshots",
)  # fmt: skip
COMPUTED = ("lots", "positions", "disposals")
#: What belongs to no account.
OF_NO_ACCOUNT = ("rates",)
FORMATS = ("csv", "json", "ndjson", "parquet")

Kind = Literal["text", "amount", "instant", "date", "integer", "number", "flag"]

_NAMES: dict[Kind, str] = {
    "amount": "amount amount_usd available average_cost_usd average_price books_value_usd cash cost cost_usd fee fee_usd_rate fees_usd filled gain_usd "
    "inflow_usd multiplier order_price order_quantity outflow_usd peak pnl_daily pnl_total pnl_usd price proceeds_usd quantity quote_quantity "
    "quote_usd_rate reserved total total_value_usd unrealised_usd usd usd_rate value_usd worth_usd",
    "instant": "close_at closed_at created_at executed_at observed_at occurred_at opened_at since updated_at",
    "date": "date",
    "integer": "days_held fills fills_count sequence trades trades_count",
    "number": "daily_return drawdown max_drawdown profit_factor sharpe_ratio sortino_ratio win_rate",
    "flag": "estimated inverse is_close is_contract is_reversal is_voided",
}
_KINDS = {name: kind for kind, names in _NAMES.items() for name in names.split()}


def kind_of(column: str) -> Kind:
    """What a column holds: exact decimals are `amount`, floats `number`; whatever is not known by its name is text."""
    return _KINDS.get(column, "text")


__all__ = ["COMPUTED", "FORMATS", "OF_NO_ACCOUNT", "READ", "Kind", "kind_of"]
