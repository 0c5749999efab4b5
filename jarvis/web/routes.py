"""Every path: what may be asked, what is answered, by which function. The server and its description are made of this table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jarvis.web import asking, books, figures, shapes, standing, status_shapes
from jarvis.web.desk import Reading

ROOT = "/api/v1"


class Route(NamedTuple):
    """One path below `ROOT`. `over_a_moment`: everything it reads is of one moment; what asks the broker, too, has several."""

    path: str
    says: str
    asked: type[asking.Asked]
    answer: Any
    by: Callable[[Reading, Any], Any]
    over_a_moment: bool = True


ROUTES = (
    Route("/accounts", "Accounts and what they hold.", asking.Accounts, shapes.page_of(shapes.Account), books.accounts),
    Route("/balances", "What an account holds of each currency and contract.", asking.PagedOfAccount, shapes.page_of(shapes.Balance), books.balances),
    Route("/orders", "An account's orders, the newest first.", asking.Orders, shapes.page_of(shapes.Order), books.orders),
    Route("/orders/open", "An account's open orders, the newest first.", asking.OpenOrders, shapes.page_of(shapes.Order), books.open_orders),
    Route("/positions", "An account's open positions.", asking.Standing, shapes.page_of(shapes.Position), figures.positions),
    Route("/lots", "An account's open lots.", asking.Standing, shapes.page_of(shapes.Lot), figures.lots),
    Route("/transactions", "An account's transactions, the newest first.", asking.Transactions, shapes.page_of(shapes.Transaction), books.transactions),
    Route("/performance", "An account's daily rows, the oldest first.", asking.Rows, shapes.PerformancePage, figures.performance),
    Route("/performance/summary", "The figures of a period as a whole.", asking.Summary, shapes.PeriodSummary, figures.performance_summary),
    Route("/statement", "The statement of a period, currency by currency.", asking.Statement, shapes.Statement, figures.statement),
    Route("/quarantine", "Records that could not be applied, the oldest first.", asking.Quarantine, shapes.page_of(shapes.Quarantined), books.quarantine),
    Route("/quarantine/summary", "How many records wait for a decision, and why.", asking.Asked, shapes.QuarantineSummary, books.quarantine_summary),
    Route("/gaps", "Sequence numbers that never arrived.", asking.Gaps, shapes.page_of(shapes.Gap), books.gaps),
    Route("/notes", "What was recorded and is odd, as far as somebody has looked.", asking.Notes, shapes.page_of(shapes.Note), books.notes),
    Route("/jobs", "The scheduler's jobs, and how each stands.", asking.Paged, shapes.page_of(status_shapes.Job), standing.jobs),
    Route("/backlog", "What waits in the broker.", asking.Asked, status_shapes.Backlog, standing.backlog, over_a_moment=False),
    Route("/status", "How the daemon stands, and what is wrong.", asking.Asked, status_shapes.Status, standing.status, over_a_moment=False),
)
