"""Any structure of ccxt's, told apart by its fields: for files that hold what was fetched."""

from __future__ import annotations

from dataclasses import dataclass

from jarvis_client.ccxt.fills import fill_from_ccxt
from jarvis_client.ccxt.incomes import funding_from_ccxt, ledger_from_ccxt
from jarvis_client.ccxt.orders import order_from_ccxt
from jarvis_client.ccxt.rates import rate_from_ccxt
from jarvis_client.ccxt.structures import KindAndRecord, Structure
from jarvis_client.ccxt.transfers import deposit_from_ccxt, withdrawal_from_ccxt
from jarvis_client.ccxt.venues import Positive
from jarvis_client.contract.errors import Invalid


@dataclass(frozen=True, slots=True)
class Told:
    """What structures do not say of themselves: the account, the exchange by its id, and what the functions of each kind ask for."""

    account_id: str
    exchange: str
    fee_included: bool | None = None
    positive_funding: Positive | None = None


#: What a structure is, by fields that only it has. The first that is there tells.
_TOLD_BY = (
    ("direction", "entry of the ledger"),
    ("takerOrMaker", "trade"),
    ("remaining", "order"),
    ("filled", "order"),
    ("txid", "transaction"),
    ("code", "funding payment"),
    ("last", "ticker"),
)


def records_from_ccxt(structure: Structure, market: Structure | None, told: Told) -> list[KindAndRecord]:
    """The records of a trade, an order, a transaction, a funding payment, an entry of the ledger or a ticker.

    Raises `NothingToRecord` where it states none, and `Invalid` for other structures and for what the functions of each kind refuse.
    """
    account, exchange = told.account_id, told.exchange
    match what_it_is(structure):
        case "trade":
            return [("fill", fill_from_ccxt(structure, market, account_id=account, exchange=exchange))]
        case "order":
            return [("order", step) for step in order_from_ccxt(structure, market, account_id=account, exchange=exchange)]
        case "transaction":
            if structure.get("type") == "deposit":
                return [("deposit", deposit_from_ccxt(structure, account_id=account, exchange=exchange, fee_included=told.fee_included))]
            if structure.get("type") == "withdrawal":
                return [("withdrawal", withdrawal_from_ccxt(structure, account_id=account, exchange=exchange, fee_included=told.fee_included))]
            raise Invalid(f"the transaction {structure.get('id')} has the type {structure.get('type')!r:.40}; put deposit or withdrawal there")
        case "funding payment":
            return [funding_from_ccxt(structure, account_id=account, exchange=exchange, positive=told.positive_funding)]
        case "ticker":
            return [("rate", rate_from_ccxt(structure, exchange=exchange))]
        case _:
            return [ledger_from_ccxt(structure, account_id=account, exchange=exchange)]


def what_it_is(structure: Structure) -> str:
    """The name of a structure. Raises `Invalid` for one that states nothing to record."""
    found = next((name for field, name in _TOLD_BY if field in structure), None)
    if found is None:
        fields = ", ".join(sorted(str(field) for field in structure)[:8]) or "none"
        raise Invalid(f"no trade, order, transaction, funding payment, ledger entry or ticker of ccxt's; its fields: {fields}")
    return found
