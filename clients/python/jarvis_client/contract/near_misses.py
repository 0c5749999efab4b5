"""Unknown fields that look like ours: refused with "did you mean", so that no money hides in a field that nobody reads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from jarvis_client.contract.errors import Invalid

#: A name of fewer letters is close to too many others.
LEAST_LETTERS = 5

_FEE = dict.fromkeys(
    ("commission", "commissionamount", "commissions", "feeamount", "feecost", "feepaid", "feequantity", "execfee", "fillfee", "tradefee", "fillfees"), "fee"
)
_FEE_CURRENCY = dict.fromkeys(
    ("commissionasset", "commissioncurrency", "commissioncoin", "feeasset", "feecoin", "feeccy", "feetoken", "feecurr", "execfeecurrency"), "fee_currency"
)
_QUANTITY = dict.fromkeys(
    ("qty", "size", "amount", "executedqty", "execqty", "fillqty", "fillsize", "lastqty", "filledqty", "baseqty", "contracts"), "quantity"
)
_PRICE = dict.fromkeys(("px", "fillprice", "fillpx", "execprice", "executionprice", "tradeprice", "lastprice", "avgprice", "averageprice"), "price")
_CONTRACT = {
    **dict.fromkeys(("contractsize", "contractmultiplier", "contractvalue", "ctval", "lotsize"), "multiplier"),
    **dict.fromkeys(
        ("settlecurrency", "settlecoin", "settleasset", "settleccy", "settlementcurrency", "margincoin", "marginasset", "margincurrency"), "settle"
    ),
    "isinverse": "inverse",
}
_FLOW = {
    **_FEE, **_FEE_CURRENCY,
    **dict.fromkeys(("networkfee", "transactionfee", "txfee", "withdrawalfee", "withdrawfee", "depositfee", "gasfee", "fees"), "fee"),
    **dict.fromkeys(("qty", "quantity", "size"), "amount"),
    **dict.fromkeys(("usdprice", "exchangerate", "fxrate", "priceusd", "rateusd"), "usd_rate"),
    **dict.fromkeys(("asset", "coin", "ccy"), "currency"),
}  # fmt: skip

#: Names that engines use for money that we have a place for, by kind of record: without case, `_` and `-`.
OTHER_NAMES: dict[str, dict[str, str]] = {
    "fill": {
        **_FEE, **_FEE_CURRENCY, **_QUANTITY, **_PRICE, **_CONTRACT,
        **dict.fromkeys(
            ("cost", "quoteqty", "quoteamount", "quotevolume", "cumquote", "cummulativequoteqty", "proceeds", "cash", "cashamount"), "quote_quantity"
        ),
        **dict.fromkeys(("usdrate", "exchangerate", "fxrate", "quoteusdprice"), "quote_usd_rate"),
    },
    "fee": {
        **dict.fromkeys(("cost", "fee", "commission", "feeamount", "feecost", "qty"), "amount"),
        **dict.fromkeys(("asset", "coin", "ccy", "commissionasset", "feecurrency", "feeasset"), "currency"),
        **dict.fromkeys(("tradeid", "executionid"), "fill_id"),
        **dict.fromkeys(("feeusdrate", "exchangerate", "fxrate"), "usd_rate"),
    },
    "deposit": _FLOW,
    "withdrawal": _FLOW,
    "order": {
        **_CONTRACT,
        **dict.fromkeys(("qty", "size", "amount", "origqty", "orderqty"), "quantity"),
        **dict.fromkeys(("px", "limitprice", "orderprice"), "price"),
        **dict.fromkeys(("quoteorderqty", "quoteqty", "quoteamount"), "cost"),
    },
    "metrics": dict.fromkeys(("equity", "totalvalue", "totalequity", "nav", "networth", "totalusd", "valueusd", "balanceusd"), "total_value_usd"),
    "rate": {
        **dict.fromkeys(("rate", "price", "usdprice", "priceusd", "exchangerate", "fxrate", "value"), "usd_rate"),
        **dict.fromkeys(("asset", "coin", "ccy"), "currency"),
    },
    "balance": {**dict.fromkeys(("balance", "amount", "qty", "totalbalance"), "total"), **dict.fromkeys(("asset", "coin", "ccy"), "currency")},
}  # fmt: skip

#: Money that a kind has no place for, and which record has.
ELSEWHERE = {
    "order": dict.fromkeys(("fee", "fees", *_FEE, *_FEE_CURRENCY, "feecurrency"), "an order has no fee: give it with the fill, or as a fee record"),
}


def refuse_near_misses(kind: str, unknown: Sequence[str], known: Sequence[str]) -> None:
    """Raises `Invalid`, naming each unknown field that is close to a field of the record or another name for one."""
    said = [f"{name!r:.60} is no field of this record: {meant}" for name in unknown if (meant := meant_by(kind, name, tuple(known))) is not None]
    if said:
        raise Invalid("; ".join(said[:5]))


def other_spellings(kind: str, known: Sequence[str]) -> dict[str, list[str]]:
    """The names that are refused without a doubt, by the field that is meant: without case, `_` and `-`. One letter off is not among them."""
    found = {"these themselves": [_plain(field) for field in known]}
    for name, meant in OTHER_NAMES.get(kind, {}).items():
        found.setdefault(meant, []).append(name)
    for name, where in ELSEWHERE.get(kind, {}).items():
        found.setdefault(where, []).append(name)
    return found


@lru_cache(maxsize=4_096)
def meant_by(kind: str, name: str, known: tuple[str, ...]) -> str | None:
    """What an unknown field is likely to mean, as the end of a sentence; None for one that looks like none of ours."""
    plain = _plain(name)
    elsewhere = ELSEWHERE.get(kind, {}).get(plain)
    if elsewhere is not None:
        return elsewhere
    meant = OTHER_NAMES.get(kind, {}).get(plain) or next((field for field in known if _is_close(plain, _plain(field))), None)
    return None if meant is None else f"did you mean {meant}?"


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")


def _is_close(name: str, field: str) -> bool:
    """True if two names are equal, or one letter was added, dropped, changed or swapped with its neighbour."""
    if name == field:
        return True
    if min(len(name), len(field)) < LEAST_LETTERS - 1 or max(len(name), len(field)) < LEAST_LETTERS or abs(len(name) - len(field)) > 1:
        return False
    if len(field) < LEAST_LETTERS:
        return False
    start = next((i for i, (a, b) in enumerate(zip(name, field, strict=False)) if a != b), min(len(name), len(field)))
    rest, others = name[start:], field[start:]
    swapped = len(rest) > 1 and len(others) > 1 and rest[0] == others[1] and rest[1] == others[0] and rest[2:] == others[2:]
    return swapped or rest[1:] == others[1:] or rest[1:] == others or rest == others[1:]


__all__ = ["OTHER_NAMES", "meant_by", "other_spellings", "refuse_near_misses"]
