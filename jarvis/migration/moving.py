"""Rehearse a plan in books in memory, then record it, and read back each time what the books hold of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from jarvis.errors import Refused
from jarvis.migration.figures import Check, checks, differences
from jarvis.migration.plan import Plan
from jarvis_client.contract.decimals import canonical
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.facts import Deposit, Withdrawal
from jarvis_client.contract.instants import to_datetime, to_instant
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.domain.account import Account
from persistence.domain.entries import AnyFact
from persistence.domain.progress import Progress, silent
from persistence.engine.contract import Database
from persistence.engine.sqlite.pool import IN_MEMORY
from persistence.files import fsync_folder
from persistence.imports import LINES_PER_COMMIT
from persistence.repositories import SQLiteAccountRepository

#: The id of what an account held before its first record begins so.
OPENING = "opening"


@dataclass(slots=True)
class Moved:
    """What became of the facts, and what the books hold of them."""

    applied: int = 0
    duplicate: int = 0
    refused: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        return not self.refused and all(check.agrees for check in self.checks)


def rehearse(plan: Plan, progress: Progress = silent, *, opening_balances: bool = False) -> Moved:
    """Record the plan in books in memory. With `opening_balances` it takes up what accounts held before their first record."""
    with DatabaseManager(IN_MEMORY) as books:
        moved = record(books, plan, progress, "rehearsing")
        if opening_balances and (rest := differences(books, plan)):
            plan.openings = [_opening(plan, *key, amount) for key, amount in rest.items()]
            moved = record(books, plan, progress, "rehearsing")
    return moved


def record(database: Database, plan: Plan, progress: Progress = silent, stage: str = "recording") -> Moved:
    """Record accounts and facts, some thousands a commit, and read back what the books hold of them. Again, it changes nothing.

    Raises `Unavailable` where the store cannot take more now: what was recorded stays, and the same call goes on after it.
    """
    moved, facts, accounts, ledger = Moved(), plan.everything, SQLiteAccountRepository(database), Ledger(database)
    accounts.save_many(Account(a.account_id, a.name, opened_at=a.opened_at) for a in plan.accounts.values())
    for start in range(0, len(facts), LINES_PER_COMMIT):
        batch = facts[start : start + LINES_PER_COMMIT]
        # A refusal is told here and now; in quarantine it would be found by somebody who knows nothing of it.
        for fact, outcome in zip(batch, ledger.post(batch, keep_refusals=False), strict=True):
            moved.applied += outcome.status == "applied"
            moved.duplicate += outcome.status == "duplicate"
            if outcome.status == "quarantined":
                moved.refused.append(f"{fact.kind} {fact.record_id} of {fact.account_id}: {outcome.detail}")
        progress(stage, start + len(batch), len(facts))
    for account in plan.accounts.values():
        if not account.is_active:
            accounts.deactivate(account.account_id)
    moved.checks = checks(database, plan)
    return moved


def archive(folder: Path, now: datetime) -> Path:
    """Move the source aside, in one step. Returns its new name. Raises `Refused` where that is taken."""
    source = folder.absolute()
    target = source.with_name(f"{source.name}.archived-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}")
    if target.exists():
        raise Refused(f"{target} is there already; everything is recorded, move {folder} away yourself")
    os.rename(source, target)
    fsync_folder(target.parent)
    return target


def _opening(plan: Plan, account_id: str, currency: str, amount: Decimal) -> AnyFact:
    """What an account held of a currency before its first record, as a deposit, or a withdrawal where it owed."""
    account = plan.accounts[account_id]
    instants = [fact.instant for fact in plan.facts if fact.account_id == account_id]
    if account.opened_at is not None:
        instants.append(to_instant(account.opened_at))
    if not instants:
        raise Invalid(f"{account_id} holds {canonical(amount)} {currency} and has no record and no created_at: give the account a created_at in its file")
    said: dict[str, Any] = {
        "account_id": account_id, "currency": currency, "amount": abs(amount), "occurred_at": to_datetime(min(instants) - 1),
        "description": "held before the first record of the JSON files",
    }  # fmt: skip
    record_id = f"{OPENING}:{currency}"
    return Deposit(deposit_id=record_id, **said) if amount > 0 else Withdrawal(withdrawal_id=record_id, **said)


__all__ = ["Moved", "archive", "record", "rehearse"]
