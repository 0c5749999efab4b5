"""How the fields of a record depend on one another, as far as JSON Schema can say it.

The checks themselves stand in `jarvis_client.contract.facts`; this says the same to engines, before they publish. What it cannot say
only the worker tells: what two fields have in common (`base` and `quote` alike), and what the settings decide (what a symbol means).
`tests/unit/test_schemas.py` holds both against one table, and lists what only the worker tells.
"""

from __future__ import annotations

from jarvis_client.contract.facts.base import EventStatus
from jarvis_client.contract.facts.flow import OF_A_TRADE
from jarvis_client.contract.forms import STATUSES
from workers.schema_words import (
    FALSE,
    FILLED_LIST,
    NEGATIVE,
    ONE,
    POSITIVE,
    TRUE,
    ZERO,
    Schema,
    a_dollar_is_one,
    any_of,
    both,
    has,
    lacks,
    one_of,
    when,
)

_CODE = "[A-Za-z0-9$]+"
_CONTRACT = {"type": "string", "pattern": rf"^{_CODE}/{_CODE}:{_CODE}(-[0-9]{{6,8}}(-[0-9]+(\.[0-9]+)?-[CP])?)?$"}
#: Quoted in USD and settled in something else: inverse or quanto. Of other quotes a pattern cannot tell whether two codes differ.
_COIN_SETTLED = {"type": "string", "pattern": f"^{_CODE}/USD:{_CODE}(-[0-9]{{6,8}})?$", "not": {"pattern": "^[^:]*:USD(-|$)"}}
_NO_CONTRACT_SYMBOL = {"properties": {"symbol": {"not": _CONTRACT}}}
_NO_CONTRACT = both(lacks("settle", inverse=FALSE, multiplier=ONE), _NO_CONTRACT_SYMBOL)
_NEVER_FALSELY = when("contract: false, and nothing says that it is one", has(contract=FALSE), _NO_CONTRACT)

CHARGE: list[Schema] = [a_dollar_is_one("usd_rate", "currency")]
FEE = CHARGE
FLOW: list[Schema] = [
    a_dollar_is_one("usd_rate", "currency"),
    when("only funding, interest and other belong to an instrument", has("symbol"), has(category={"enum": sorted(OF_A_TRADE)})),
]

FILL: list[Schema] = [
    when("fee or fees", has(fees=FILLED_LIST), lacks("fee", "fee_currency", "fee_usd_rate")),
    when("the cash of an inverse contract is the venue's own amount", has(inverse=TRUE), has("quote_quantity")),
    when(
        "so it is for one that is quoted in USD and settled in a coin",
        both(has(symbol=_COIN_SETTLED), lacks("base", "quote", "settle", inverse=TRUE)),
        has("quote_quantity"),
    ),
    when("quote_quantity has the sign of price", has(price=POSITIVE), lacks(quote_quantity=POSITIVE)),
    when("quote_quantity has the sign of price", has(price=NEGATIVE), lacks(quote_quantity=NEGATIVE)),
    when("quote_quantity has the sign of price", has(price=ZERO), lacks(quote_quantity=ZERO)),
    _NEVER_FALSELY,
    a_dollar_is_one("quote_usd_rate", "settle"),
    when("the cash of a spot fill is in quote", both(lacks("settle", inverse=FALSE), _NO_CONTRACT_SYMBOL), a_dollar_is_one("quote_usd_rate", "quote")),
    a_dollar_is_one("fee_usd_rate", "fee_currency"),
]

_PLACED = [word for word in STATUSES.words if EventStatus(word) == EventStatus.PLACED]
_MARKET = {"type": "string", "pattern": "^[Mm][Aa][Rr][Kk][Ee][Tt]$"}
_LIMIT = {"type": "string", "pattern": "^[Ll][Ii][Mm][Ii][Tt]$"}

ORDER: list[Schema] = [
    when(
        "what was asked for",
        has(status={"enum": _PLACED}),
        both(
            has("symbol", "side", "order_type"),
            any_of(has("quantity"), has("cost"), has(closes_position=TRUE)),
            when("only a market order is placed by its cost", has("cost"), both(has(order_type=_MARKET), lacks("quantity"))),
            when("a limit order has a price", has(order_type=_LIMIT), has("price")),
            _NEVER_FALSELY,
            when("the margin of a contract is unknown", has(reserve=TRUE), both(lacks(contract=FALSE), _NO_CONTRACT)),
            when("what a purchase will cost is known", has(reserve=TRUE, side={"const": "buy"}), any_of(has("price"), has("cost"))),
        ),
    ),
    when("what is amended", has(status={"const": "amended"}), any_of(has("quantity"), has("price"), has("cost"))),
]

METRICS: list[Schema] = [one_of(has("observed_at"), has("date"))]

RATE: list[Schema] = [
    a_dollar_is_one("usd_rate", "currency"),
    {"$comment": "a rate is of no account", "not": {"properties": {"account_id": True}, "required": ["account_id"]}},
]

VOID: list[Schema] = [when("only a rate is of no account", has(kind={"const": "rate"}), lacks("account_id"), has("account_id"))]

JOB: list[Schema] = [when("only a rollup takes arguments", has(job={"not": {"const": "rollup"}}), lacks("account_id", "date", "from", "to", rebuild=FALSE))]

#: The rules of each kind of record that has any.
OF_KIND = {
    "fill": FILL, "fee": FEE, "deposit": FLOW, "withdrawal": FLOW, "order": ORDER, "metrics": METRICS, "rate": RATE, "void": VOID,
}  # fmt: skip
