"""ccxt's unified structures as records: what `fetch_my_trades`, `fetch_orders`, `fetch_deposits` … return, as plain dictionaries to publish.

    from jarvis_client.ccxt import fill_from_ccxt

    for trade in exchange.fetch_my_trades("BTC/USDT:USDT"):
        market = exchange.market(trade["symbol"])
        publisher.publish_fill(fill_from_ccxt(trade, market, account_id="main", exchange=exchange.id))

fills.py       fill_from_ccxt, fees_from_ccxt (for a fill that was published before its fee was known)
orders.py      order_from_ccxt: the steps of an order's life
transfers.py   deposit_from_ccxt, withdrawal_from_ccxt
incomes.py     funding_from_ccxt, ledger_from_ccxt: either way, so they return the kind and the record
rates.py       rate_from_ccxt
telling.py     records_from_ccxt: any of these structures, told apart by their fields
markets.py     what is traded, and the size of a contract       venues.py   what exchanges do differently behind one structure
structures.py  numbers, times and texts of a structure

ccxt itself is not needed: a structure is a dictionary, whichever language's ccxt wrote it. `info` is never read, a market's aside, and
never goes along. Money is not guessed: what ccxt leaves out, or what can be read in two ways, raises `Invalid`, which says what to put where.
"""

from jarvis_client.ccxt.fills import fees_from_ccxt, fill_from_ccxt
from jarvis_client.ccxt.incomes import funding_from_ccxt, ledger_from_ccxt
from jarvis_client.ccxt.orders import order_from_ccxt
from jarvis_client.ccxt.rates import rate_from_ccxt
from jarvis_client.ccxt.structures import NothingToRecord
from jarvis_client.ccxt.telling import Told, records_from_ccxt
from jarvis_client.ccxt.transfers import deposit_from_ccxt, withdrawal_from_ccxt

__all__ = [
    "NothingToRecord",
    "Told",
    "deposit_from_ccxt",
    "fees_from_ccxt",
    "fill_from_ccxt",
    "funding_from_ccxt",
    "ledger_from_ccxt",
    "order_from_ccxt",
    "rate_from_ccxt",
    "records_from_ccxt",
    "withdrawal_from_ccxt",
]
