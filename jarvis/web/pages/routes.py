"""Every page: its path, what may be asked, by which function and in which template it is shown. The server is made of this table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jarvis.web.asking import Asked
from jarvis.web.desk import Reading
from jarvis.web.pages import account, asking, daemon, movements, waiting


class Page(NamedTuple):
    """One page. `refresh`: seconds after which it looks again while it is seen, 0 for never; `leads`: whether every page leads to it.
    `over_a_moment`: everything it reads is of one moment of the books; what asks the broker, too, has several."""

    path: str
    title: str
    template: str
    asked: type[Asked]
    by: Callable[[Reading, Any], dict[str, Any]]
    refresh: int
    leads: bool = True
    over_a_moment: bool = True


PAGES = (
    Page("/", "Overview", "overview.html", Asked, daemon.overview, 5, over_a_moment=False),
    Page("/queues", "Queues", "queues.html", Asked, daemon.queues, 5, over_a_moment=False),
    Page("/quarantine", "Quarantine", "quarantine.html", asking.Quarantine, waiting.quarantine, 15),
    Page("/quarantine/record", "Record in quarantine", "record.html", asking.Record, waiting.record, 0, leads=False),
    Page("/notes", "Notes", "notes.html", asking.Notes, waiting.notes, 30),
    Page("/gaps", "Gaps", "gaps.html", Asked, waiting.gaps, 30),
    Page("/jobs", "Jobs", "jobs.html", asking.Jobs, daemon.jobs, 10),
    Page("/backups", "Backups", "backups.html", Asked, daemon.copies, 60),
    Page("/accounts", "Accounts", "accounts.html", asking.Listed, movements.accounts, 30),
    Page("/account", "Account", "account.html", asking.Account, account.account, 60, leads=False),
    Page("/account/trades", "Trades, fees and exposure", "trades.html", asking.Account, account.trades, 0, leads=False),
    Page("/transactions", "Transactions", "transactions.html", asking.Transactions, movements.transactions, 15),
    Page("/orders", "Orders", "orders.html", asking.Orders, movements.orders, 15),
)
#: Those that every page leads to.
LEADING = [(page.path, page.title) for page in PAGES if page.leads]
