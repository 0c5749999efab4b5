"""What exchanges do differently behind ccxt's one structure, where money depends on it. Read in ccxt 4.5.90 and the exchanges' references.

An exchange that no table names is not guessed at: the caller has to say.
"""

from __future__ import annotations

from typing import Literal

Positive = Literal["received", "paid"]

#: Amounts of its contracts are in units of what they are counted in, though the market states a contract's size.
COUNTS_IN_UNITS = frozenset({"deribit"})

#: A contract of theirs is ctVal × ctMult, of which ccxt's `contractSize` is the first factor. Options have another second one than 1.
SIZE_HAS_A_FACTOR = frozenset({"okx", "okxus", "myokx"})

#: What a positive amount of `fetch_funding_history` says.
POSITIVE_FUNDING: dict[str, Positive] = {
    "binance": "received",
    "binancecoinm": "received",
    "binanceusdm": "received",
    "bingx": "received",
    "bitget": "received",
    "bybit": "paid",  # execFee, which is positive where it costs
    "gate": "received",
    "hyperliquid": "received",
    "okx": "received",
    "woo": "received",
}

#: The parser writes the quote where an inverse contract pays funding in its base.
FUNDING_CODE_IS_QUOTE = frozenset({"bybit"})

#: `amount` of a withdrawal is what arrives; the fee leaves the account besides.
WITHDRAWAL_FEE_IS_APART = frozenset({"coinbase", "kraken", "okx"})
