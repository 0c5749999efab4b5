"""The fields of records that a row can fill, by what their cells hold.

By what a cell holds, which is not always what a record holds: `flow`, `second_fee`. A test holds them against the contract's forms.
"""

from __future__ import annotations

from collections.abc import Collection

#: Deposit or withdrawal, by the sign of its amount.
FLOW = "flow"
#: The id of a record, whatever its kind calls it.
ID = "id"
#: What a fill cost besides its fee, such as a tax: in the record, both stand in `fees`.
SECOND_FEE, SECOND_FEE_CURRENCY = "second_fee", "second_fee_currency"

_CONTRACT = ("base", "quote", "settle", "contract", "inverse", "multiplier")
_OF_A_FLOW = ("currency", "amount", "occurred_at", "category", "usd_rate", "fee", "fee_currency", "description", "reference", "symbol")
_FIELDS: dict[str, tuple[str, ...]] = {
    "fill": (
        "fill_id", "account_id", "order_id", "symbol", "side", "quantity", "price", "executed_at", "fee", "fee_currency", "quote_quantity", *_CONTRACT,
        "quote_usd_rate", "fee_usd_rate", "liquidity", "order_type", "order_quantity", "order_price", SECOND_FEE, SECOND_FEE_CURRENCY,
    ),
    "fee": ("fee_id", "account_id", "fill_id", "currency", "amount", "occurred_at", "usd_rate"),
    "deposit": ("deposit_id", "account_id", *_OF_A_FLOW),
    "withdrawal": ("withdrawal_id", "account_id", *_OF_A_FLOW),
    "order": (
        "event_id", "account_id", "order_id", "status", "occurred_at", "symbol", "side", "order_type", "quantity", "price", "cost", "closes_position",
        "reserve", *_CONTRACT,
    ),
    "metrics": (
        "snapshot_id", "account_id", "total_value_usd", "observed_at", "date", "pnl_daily", "pnl_total", "sharpe_ratio", "sortino_ratio", "max_drawdown",
        "win_rate", "profit_factor",
    ),
    "balance": ("account_id", "currency", "total", "observed_at"),
    "rate": ("currency", "usd_rate", "observed_at", "source"),
    FLOW: (ID, "account_id", *_OF_A_FLOW),
}  # fmt: skip
KINDS = tuple(_FIELDS)
#: The field of a record's own id, for the kinds that need one.
ID_FIELDS = {"fill": "fill_id", "fee": "fee_id", "deposit": "deposit_id", "withdrawal": "withdrawal_id", "order": "event_id"}

#: What a row has to fill: one of each group.
_REQUIRED: dict[str, tuple[tuple[str, ...], ...]] = {
    "fill": (("account_id",), ("symbol", "base"), ("quantity",), ("price", "quote_quantity"), ("executed_at",)),
    "fee": (("account_id",), ("fill_id",), ("currency",), ("amount",), ("occurred_at",)),
    **dict.fromkeys(("deposit", "withdrawal", FLOW), (("account_id",), ("amount",), ("occurred_at",))),
    "order": (("account_id",), ("order_id",), ("status",), ("occurred_at",)),
    "metrics": (("account_id",), ("total_value_usd",), ("observed_at", "date")),
    "balance": (("account_id",), ("total",), ("observed_at",)),
    "rate": (("currency",), ("usd_rate",), ("observed_at",)),
}

NUMBERS = frozenset((
    "quantity", "price", "quote_quantity", "multiplier", "fee", "quote_usd_rate", "fee_usd_rate", "usd_rate", "order_quantity", "order_price", "amount",
    "cost", "total", "total_value_usd", "pnl_daily", "pnl_total", "sharpe_ratio", "sortino_ratio", "max_drawdown", "win_rate", "profit_factor",
    SECOND_FEE,
))  # fmt: skip
CODES = frozenset(("currency", "fee_currency", "base", "quote", "settle", SECOND_FEE_CURRENCY))
TIMES = frozenset(("executed_at", "occurred_at", "observed_at"))
FLAGS = frozenset(("contract", "inverse", "closes_position", "reserve"))
#: Fields that take a few words only, in any case.
WORDS: dict[str, tuple[str, ...]] = {
    "side": ("buy", "sell"),
    "liquidity": ("maker", "taker"),
    "status": ("placed", "amended", "cancelled", "rejected", "expired", "filled", "canceled", "open", "new"),
    "category": ("external", "transfer", "funding", "interest", "dividend", "bonus", "fee", "split", "loan", "rename", "other"),
}

#: The field that says what a number is counted in, where the code stands with the number.
CODE_OF = {
    "quantity": "base", "order_quantity": "base", "price": "quote", "order_price": "quote", "quote_quantity": "quote", "cost": "quote",
    "fee": "fee_currency", SECOND_FEE: SECOND_FEE_CURRENCY, "amount": "currency", "total": "currency",
}  # fmt: skip


def fields_of(kind: str) -> tuple[str, ...]:
    """What a row of a kind may fill; `id` is another name of its own id."""
    return (*_FIELDS[kind], ID) if kind in ID_FIELDS else _FIELDS[kind]


def needs_id(kind: str) -> bool:
    return kind in ID_FIELDS or kind == FLOW


def missing(kind: str, filled: Collection[str]) -> list[str]:
    """What a record of the kind still needs; alternatives are written a|b."""
    return ["|".join(group) for group in _REQUIRED[kind] if not {*group} & {*filled}]
