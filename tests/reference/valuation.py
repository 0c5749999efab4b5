"""What an account is worth at an instant, from its books (meaning.md, 2, 7 and 8.4)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from reference.numbers import ZERO, plus, rounded

if TYPE_CHECKING:
    from reference.replay import Account


@dataclass
class Contract:
    """2: what the contract's newest fill says, and what one contract is worth in `settle` at its price."""

    settle: str
    unit: Fraction


@dataclass
class Debt:
    """8.5: what was borrowed and not repaid, at the value at which it was taken."""

    quantity: Fraction = ZERO
    value: Fraction | None = ZERO


def in_usd(account: Account, currency: str, amount: Fraction, instant: int) -> Fraction | None:
    if not amount:
        return ZERO
    rate = account.rates.at(currency, instant)
    return None if rate is None else rounded(amount * rate)


def contracts_worth(account: Account, instant: int) -> list[Fraction | None]:
    """2: quantity × what one is worth at its last price × rate(settle)."""
    found: list[Fraction | None] = []
    for (code, kind), amount in account.balances.items():
        if kind == "contract" and amount:
            contract = account.contracts.get(code)
            found.append(None if contract is None else in_usd(account, contract.settle, amount * contract.unit, instant))
    return found


def value(account: Account, instant: int) -> Fraction | None:
    """7: every balance at its rate, contracts at their last price, less what is owed (8.5); None for want of a rate."""
    amounts = contracts_worth(account, instant)
    amounts += [in_usd(account, asset[0], account.total(asset), instant) for asset in account.assets() if asset[1] == "currency"]
    amounts += [in_usd(account, code, -debt.quantity, instant) for code, debt in account.debts.items()]
    return plus(*amounts)


def lacking(account: Account, instant: int) -> set[str]:
    """Currencies of which a value needs a rate and has none."""
    needed = {code for (code, kind) in account.assets() if kind == "currency" and account.total((code, kind))}
    needed |= {code for code, debt in account.debts.items() if debt.quantity}
    needed |= {
        account.contracts[code].settle for (code, kind), amount in account.balances.items() if kind == "contract" and amount and code in account.contracts
    }
    return {code for code in needed if account.rates.at(code, instant) is None}


def realised(account: Account) -> Fraction | None:
    return plus(account.contract_gains, *(d.gain for d in account.disposals()))


def unrealised(account: Account, instant: int) -> Fraction | None:
    """Lots less their cost, open contracts with their cash, and debts as they were taken less what they are now."""
    amounts = contracts_worth(account, instant)
    amounts += [in_usd(account, settle, account.positions.set_aside(settle), instant) for settle in account.settles()]
    for currency, lots in account.lots.items():
        amounts += [in_usd(account, currency, lots.quantity, instant), None if lots.cost is None else -lots.cost]
    for code, debt in account.debts.items():
        amounts += [debt.value, in_usd(account, code, -debt.quantity, instant)]
    return plus(*amounts)


def told_pnl(account: Account, instant: int) -> Fraction | None:
    """8.4: Σ realised + Σ unrealised - fees + income."""
    return plus(realised(account), unrealised(account, instant), None if account.fees is None else -account.fees, account.income)
