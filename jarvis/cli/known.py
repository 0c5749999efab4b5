"""One rule for every command: what is named has to be there, and what is not is told apart from what is empty."""

from __future__ import annotations

import typer

from jarvis.cli.context import CONTEXT
from persistence.domain.showing import did_you_mean
from persistence.repositories import SQLiteAccountRepository
from persistence.repositories.rollups import SQLiteRollupRepository


def known_account(account: str, named: str = "ACCOUNT") -> None:
    """Raises `BadParameter` (exit code 2) for an account that the books do not have; `named` is the argument or option that named it."""
    database = CONTEXT.database()
    if not SQLiteAccountRepository(database).exists(account):
        meant = did_you_mean(account, SQLiteRollupRepository(database).account_ids())
        raise typer.BadParameter(f"account {account} does not exist; {meant}", param_hint=named)
