"""Accounts and what they hold."""

from __future__ import annotations

from typing import Any

from jarvis_client.contract.decimals import canonical
from jarvis_client.contract.instants import to_instant, to_text
from persistence.domain.account import Account


def account(a: Account) -> dict[str, Any]:
    """An account with all that it holds."""
    return {
        "account_id": a.account_id, "name": a.name, "is_active": a.is_active, "opened_at": a.opened_at and to_text(to_instant(a.opened_at)),
        "balances": {
            str(c): {
                "available": canonical(a.balance.available(c).amount), "reserved": canonical(a.balance.reserved(c).amount),
                "total": canonical(a.balance.total(c).amount),
            }
            for c in a.balance.currencies
        },
        "contracts": {code: {"total": canonical(held)} for code, held in a.contracts.items()},
    }  # fmt: skip


def balances(a: Account) -> list[dict[str, Any]]:
    """A row for each currency, then one for each contract, of which nothing is reserved."""
    held = account(a)
    of_currencies = [{"currency": code, "kind": "currency", **figures} for code, figures in held["balances"].items()]
    return of_currencies + [{"currency": code, "kind": "contract", "available": None, "reserved": None, **f} for code, f in held["contracts"].items()]
