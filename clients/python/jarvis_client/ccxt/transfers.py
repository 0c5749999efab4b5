"""Transactions as deposits and withdrawals: what `fetch_deposits`, `fetch_withdrawals` and `fetch_deposits_withdrawals` return."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

from jarvis_client.ccxt.structures import NothingToRecord, Record, Structure, Unsaid, moment, needed, needed_instant, needed_text, number, text, written
from jarvis_client.ccxt.venues import WITHDRAWAL_FEE_IS_APART
from jarvis_client.contract.decimals import EXACT
from jarvis_client.contract.errors import Invalid
from jarvis_client.fields import Category, DepositFields, WithdrawalFields


def deposit_from_ccxt(
    transaction: Structure, *, account_id: str, exchange: str, category: Category | None = None, fee_included: bool | None = None
) -> DepositFields:
    """The deposit of a transaction that is `ok`. `category` is `external` where it is left out; of `internal` ones it may be `transfer`.

    `fee_included` has to be said where the exchange took a fee: True if `amount` came and the fee was taken from it, False if `amount` is
    what was left. Raises `NothingToRecord` for one that is pending, failed or canceled, `Invalid` where it does not say what it is.
    """
    what = _what(transaction, "deposit")
    record, amount = _flow(transaction, "deposit", account_id, exchange, category, what), needed(transaction, "amount", what)
    fee, currency = _fee(transaction, record["currency"], what)
    if fee and currency == record["currency"] and fee_included is None:
        question = "is the fee still in the amount, or is the amount what was left?"
        raise _unsaid(f"{what} is {written(amount)} with a fee of {written(fee)} {currency}: {question}")
    if fee and (fee_included or currency != record["currency"]):
        record |= {"fee": written(fee), "fee_currency": currency}
    return cast(DepositFields, record | {"amount": written(amount)})


def withdrawal_from_ccxt(
    transaction: Structure, *, account_id: str, exchange: str, category: Category | None = None, fee_included: bool | None = None
) -> WithdrawalFields:
    """The withdrawal of a transaction that is `ok`, as `deposit_from_ccxt`.

    `fee_included`: True if the account lost `amount` in all and the fee is part of it, False if the fee left besides. Exchanges differ, and
    ccxt does not say; it is known of coinbase, kraken and okx (False), and has to be said of others where there is a fee.
    """
    what = _what(transaction, "withdrawal")
    record, amount = _flow(transaction, "withdrawal", account_id, exchange, category, what), needed(transaction, "amount", what)
    fee, currency = _fee(transaction, record["currency"], what)
    if fee and currency == record["currency"]:
        included = False if fee_included is None and exchange in WITHDRAWAL_FEE_IS_APART else fee_included
        if included is None:
            question = f"did {written(amount)} leave the account, or {written(EXACT.add(amount, fee))}?"
            raise _unsaid(f"{what} is {written(amount)} with a fee of {written(fee)} {currency}: {question}")
        if included:
            amount = EXACT.subtract(amount, fee)
    if fee:
        record |= {"fee": written(fee), "fee_currency": currency}
    return cast(WithdrawalFields, record | {"amount": written(amount)})


def _flow(transaction: Structure, kind: str, account_id: str, exchange: str, category: Category | None, what: str) -> Record:
    if (said := text(transaction, "type")) not in (None, kind):
        raise Invalid(f"{what} has the type {said!r:.40}; give a {kind}")
    status = text(transaction, "status")
    if status is None:
        raise Invalid(f"{what} has no status; put ok there once the money has moved")
    if status != "ok":
        raise NothingToRecord(f"{kind}s that are {status}: only those that are ok have moved money")
    own = text(transaction, "id") or text(transaction, "txid")
    if own is None:
        raise Invalid(f"{what} has neither id nor txid; put one there, or two of them cannot be told apart")
    record: Record = {
        f"{kind}_id": f"{exchange}:{own}",
        "account_id": account_id,
        "currency": needed_text(transaction, "currency", what),
        "occurred_at": moment(needed_instant(transaction, what)),
    }
    if category is not None:
        record["category"] = category
    if (reference := text(transaction, "txid")) is not None:
        record["reference"] = reference
    return record


def _fee(transaction: Structure, currency: str, what: str) -> tuple[Decimal | None, str]:
    fee = transaction.get("fee") or {}
    cost, paid_in = number(fee, "cost"), text(fee, "currency")
    if cost and paid_in is None:
        raise Invalid(f"the fee of {what} is {written(cost)} of an unknown currency; put it into the fee's currency")
    return cost or None, paid_in or currency


def _unsaid(question: str) -> Unsaid:
    return Unsaid(question, "fee_included", "say fee_included=True or fee_included=False")


def _what(transaction: Structure, kind: str) -> str:
    return f"the {kind} {transaction.get('id') or transaction.get('txid') or 'without an id'}"
