"""Funding and other entries of an account's ledger: what `fetch_funding_history` and `fetch_ledger` return."""

from __future__ import annotations

from decimal import Decimal

from jarvis_client.ccxt.markets import pair_of
from jarvis_client.ccxt.structures import (
    KindAndRecord,
    NothingToRecord,
    Record,
    Structure,
    Unsaid,
    moment,
    needed,
    needed_instant,
    needed_text,
    number,
    text,
    written,
)
from jarvis_client.ccxt.venues import FUNDING_CODE_IS_QUOTE, POSITIVE_FUNDING, Positive
from jarvis_client.contract.decimals import EXACT, ZERO
from jarvis_client.contract.errors import Invalid
from jarvis_client.fields import Category

#: Entries whose money other structures state, with what belongs to it.
_ELSEWHERE = {
    "trade": "they are in fetch_my_trades",
    "fee": "fees are in fetch_my_trades",
    "transaction": "they are in fetch_deposits and fetch_withdrawals",
    "deposit": "they are in fetch_deposits",
    "withdrawal": "they are in fetch_withdrawals",
    "funding": "they are in fetch_funding_history",
}
_CATEGORIES: dict[str, Category] = {"transfer": "transfer", "rebate": "bonus", "cashback": "bonus", "referral": "bonus", "airdrop": "bonus"}


def funding_from_ccxt(payment: Structure, *, account_id: str, exchange: str, positive: Positive | None = None) -> KindAndRecord:
    """A funding payment: ("deposit", record) where it was received, ("withdrawal", record) where it was paid, for `publisher.publish(*pair)`.

    `positive` says what a positive amount means. It is known of binance, bingx, bitget, bybit ("paid"), gate, hyperliquid, okx and woo, and
    has to be said of others. It counts in the trade that is open in its contract, and is paid in what that contract is settled in.
    """
    symbol, amount = needed_text(payment, "symbol", "a funding payment"), needed(payment, "amount", "a funding payment")
    at = needed_instant(payment, f"a funding payment of {symbol}")
    quote, settle = pair_of(symbol)
    if settle is None:
        raise Invalid(f"{symbol} is no contract, and pays no funding; call load_markets() before you fetch, so that the symbol is BASE/QUOTE:SETTLE")
    code = text(payment, "code")
    if code not in (None, settle) and not (exchange in FUNDING_CODE_IS_QUOTE and code == quote):
        raise Invalid(f"funding of {symbol} is in {code}, but the contract is settled in {settle}; put the one that was paid into code, or into the symbol")
    positive = positive or POSITIVE_FUNDING.get(exchange)
    if positive is None:
        question = f"funding of {symbol} is {written(amount)}: was that received or paid? Of {exchange} it is not known"
        raise Unsaid(question, "positive", 'say positive="received" or "paid"')
    if not amount:
        raise NothingToRecord("funding of 0")
    own = text(payment, "id")
    flow_id = f"{exchange}:{symbol}:funding:{at // 1_000}" + (f":{own}" if own else "")
    return _either_way(
        (amount > ZERO) == (positive == "received"), flow_id, amount.copy_abs(), account_id,
        {"currency": settle, "category": "funding", "symbol": symbol, "occurred_at": moment(at)},
    )  # fmt: skip


def ledger_from_ccxt(entry: Structure, *, account_id: str, exchange: str, category: Category | None = None) -> KindAndRecord:
    """An entry of the ledger that no other structure states: ("deposit", record) or ("withdrawal", record), for `publisher.publish(*pair)`.

    Transfers, rebates, cashback, referrals and airdrops have a category; of other types (`margin`, say) it has to be said. Raises
    `NothingToRecord` for trades, their fees, and transactions: recorded from here, too, they would count twice.
    """
    what = f"the ledger's entry {entry.get('id') or 'without an id'}"
    kind, status = text(entry, "type"), text(entry, "status")
    if category is None and kind in _ELSEWHERE:
        raise NothingToRecord(f"entries of the type {kind} in the ledger: {_ELSEWHERE[kind]}")
    if status not in (None, "ok"):
        raise NothingToRecord(f"entries of the ledger that are {status}: only those that are ok have moved money")
    category = category or _CATEGORIES.get(kind or "")
    if category is None:
        raise Unsaid(f"{what} has the type {kind!r:.40}: what is it?", "category", "say category=… (funding, interest, bonus, other …)")
    direction = text(entry, "direction")
    if direction not in ("in", "out"):
        raise Invalid(f"the direction of {what} is {direction!r:.40}; put in or out there")
    amount, currency = needed(entry, "amount", what).copy_abs(), needed_text(entry, "currency", what)
    if not amount:
        raise NothingToRecord("entries of 0 in the ledger")
    flow: Record = {"currency": currency, "category": category, "occurred_at": moment(needed_instant(entry, what))}
    return _either_way(
        direction == "in", f"{exchange}:ledger:{needed_text(entry, 'id', what)}", amount, account_id, flow | _fee(entry, amount, direction, currency, what)
    )


def _either_way(received: bool, flow_id: str, amount: Decimal, account_id: str, flow: Record) -> KindAndRecord:
    kind = "deposit" if received else "withdrawal"
    return kind, {f"{kind}_id": flow_id, "account_id": account_id, "amount": written(amount), **flow}


def _fee(entry: Structure, amount: Decimal, direction: str, currency: str, what: str) -> Record:
    """The fee that left besides the amount: what `before` and `after` of the entry say. Raises `Invalid` where they do not."""
    fee = entry.get("fee") or {}
    cost = number(fee, "cost")
    if not cost:
        return {}
    paid_in = text(fee, "currency") or currency
    before, after = number(entry, "before"), number(entry, "after")
    moved = None if before is None or after is None else EXACT.subtract(after, before)
    signed = amount if direction == "in" else amount.copy_negate()
    if paid_in == currency and moved == signed:
        return {}
    if paid_in != currency or moved == EXACT.subtract(signed, cost):
        return {"fee": written(cost), "fee_currency": paid_in}
    raise Invalid(
        f"{what} is {written(amount)} {currency} with a fee of {written(cost)}: nothing says whether the fee left besides; "
        "put the balance into before and after, or remove the fee"
    )
