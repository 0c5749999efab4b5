"""`jarvis demo`: a month of trading to watch, and what it leaves in the books."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from jarvis.cli.common import say
from jarvis.cli.context import CONTEXT
from jarvis.cli.curve import labelled
from jarvis.cli.output import print_rows, shown_percent
from jarvis.cli.report import write
from jarvis.cli.times import at
from jarvis.demo import ACCOUNT, run_demo
from jarvis.limits import raise_file_limit
from jarvis.report.figures import report_of
from jarvis.settings import Settings
from jarvis_client.contract import instants
from jarvis_client.contract.decimals import canonical
from jarvis_client.contract.instants import to_instant
from persistence.domain.showing import count_of
from persistence.engine.contract import LiveBooks
from persistence.repositories import SQLiteAccountRepository, SQLiteOrderRepository, SQLitePerformanceRepository, SQLiteTransactionRepository
from scheduler.jobs import roll_up_accounts
from scheduler.notes import look_for_notes

#: The newest orders and transactions that are shown, and the last days.
LATEST, LAST_DAYS = 8, 5


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    fills: Annotated[int, typer.Option(help="How many fills the month has.", min=1, max=1_000_000)] = 3_000,
    seed: Annotated[int, typer.Option(help="The same seed trades the same month.")] = 7,
    into_running: Annotated[bool, typer.Option("--into-running", help="Publish into the daemon of this folder's settings: real books!")] = False,
    keep: Annotated[Path | None, typer.Option(help="Keep the demo's books in this (new or empty) folder.")] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the month's report into this file, too: a page for a browser.")] = None,
) -> None:
    """Watch it work: a simulated engine trades a month through the broker into a temporary daemon, then the books are shown."""
    raise_file_limit()

    def show(database: LiveBooks, settings: Settings) -> None:
        _show_books(database)
        _show_performance(database, settings)
        if report is not None:
            notes = look_for_notes(database, settings.rollup_plan, instants.now()).notes
            found = report_of(database, ACCOUNT, settings.rollup_plan.of(ACCOUNT), (None, None), "BTC", notes=notes)
            assert found is not None
            write(found, report)
            say(f"wrote {report}: open it in a browser")

    run_demo(CONTEXT.settings if into_running else None, CONTEXT.config, show, fills=fills, seed=seed, keep=keep)


def _show_books(database: LiveBooks) -> None:
    """Balances, order statistics and the last transactions of the demo's account."""
    account = SQLiteAccountRepository(database).find_by_id(ACCOUNT)
    assert account is not None
    balance, orders, transactions = account.balance, SQLiteOrderRepository(database), SQLiteTransactionRepository(database)
    heads = ("currency", "available", "reserved", "total")
    held = [(c, *(canonical(m.amount) for m in (balance.available(c), balance.reserved(c), balance.total(c)))) for c in balance.currencies]
    print_rows("Balances", heads, held, right=heads[1:])
    print()
    latest = [
        (
            order.created_at and at(to_instant(order.created_at)), f"{order.side} {order.symbol}", str(order.status).replace("_", " "),
            f"{canonical(order.filled_quantity)} of {canonical(order.quantity or Decimal(0))}",
            "" if order.average_price is None else f"{order.average_price:.8g}",
        )
        for order in orders.find_by_account(ACCOUNT, LATEST)
    ]  # fmt: skip
    print_rows("Latest orders", ("placed", "what", "status", "filled", "average"), latest, right=("average",), whole=("placed",), timed=True)
    print()
    moved = [
        (at(to_instant(t.occurred_at)), str(t.transaction_type), canonical(t.movement.amount), str(t.movement.currency), t.transaction_id.rpartition(":")[0])
        for t in transactions.find_by_account(ACCOUNT, LATEST)
    ]
    columns = ("at", "type", "amount", "currency", "of")
    print_rows("Latest transactions", columns, moved, right=("amount",), whole=("at",), below=("of",), timed=True)
    print()
    statistics = orders.get_statistics(ACCOUNT)
    told = [count_of(noun, number) for noun, number in (("transaction", transactions.count(ACCOUNT)), ("fill", statistics.fills), ("order", statistics.orders))]
    print(f"{told[0]} from {told[1]} of {told[2]}")


def _show_performance(database: LiveBooks, settings: Settings) -> None:
    """Roll the month up, here and now, and show its equity curve and last rows."""
    roll_up_accounts(database, settings.rollup_plan, instants.now(), [ACCOUNT])
    rows = SQLitePerformanceRepository(database).find_all(ACCOUNT)
    columns = ("date", "value_usd", "day", "total", "sharpe", "max_drawdown", "win_rate", "trades")
    shown = [
        (
            row.date, f"{row.total_value_usd:,.2f}", _profit(row.pnl_daily), _profit(row.pnl_total),
            "" if row.sharpe_ratio is None else f"{row.sharpe_ratio:.2f}", shown_percent(row.max_drawdown, signed=False, places=1),
            shown_percent(row.win_rate, signed=False, places=1), row.trades_count,
        )
        for row in rows[-LAST_DAYS:]
    ]  # fmt: skip
    print()
    print_rows("Performance", columns, shown, right=columns[1:])
    print(f"\n{labelled([float(row.total_value_usd) for row in rows], f'equity, {rows[0].date} to {rows[-1].date}')}")


def _profit(usd: Decimal | None) -> str:
    return "withheld" if usd is None else f"{usd:+,.2f}"
