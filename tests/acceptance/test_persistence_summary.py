"""The document this system was asked for by, from top to bottom in one process, with the import paths of our house."""

from __future__ import annotations

import csv
import json
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from persistence.database import DatabaseManager
from persistence.domain.account import Account, Balance, Currency, Money
from persistence.domain.order import Order, OrderSide, OrderStatus, OrderType
from persistence.domain.performance import PerformanceMetrics
from persistence.domain.transaction import Transaction, TransactionType
from persistence.proof.books_checks import check_books
from persistence.repositories import (
    SQLiteAccountRepository,
    SQLiteOrderRepository,
    SQLitePerformanceRepository,
    SQLiteTransactionRepository,
)


def test_every_example_of_the_summary_runs_in_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    # -- Initialize Database
    db = DatabaseManager("data/jarvis_trading.db")
    db.initialize()

    # -- Account Management
    repo = SQLiteAccountRepository(db)
    account = Account(account_id="acc_001", name="Main Trading Account", balance=Balance())
    money = Money(10000.0, Currency.USDT)
    account.balance.add_available(money)
    repo.save(account)
    found = repo.find_by_id("acc_001")
    assert found is not None
    assert (found.name, found.balance.available(Currency.USDT)) == ("Main Trading Account", money)
    assert f"Account: {found.name}, Balance: {found.balance}" == "Account: Main Trading Account, Balance: 10000 USDT"
    assert [a.account_id for a in repo.find_all()] == ["acc_001"]
    assert [a.account_id for a in repo.find_all_active()] == ["acc_001"]
    assert repo.delete("acc_001") is True
    assert repo.find_by_id("acc_001") is None

    # -- Transaction Audit Trail (the account was just deleted: an explicit save opens it anew)
    transactions = SQLiteTransactionRepository(db)
    tx = Transaction(transaction_type=TransactionType.DEPOSIT, amount=Money(100.0, Currency.USDT), description="Initial deposit")
    transactions.save(tx, "acc_001")
    assert transactions.find_by_account("acc_001", limit=100) == [tx]
    assert transactions.find_by_type("acc_001", TransactionType.DEPOSIT) == [tx]
    assert transactions.get_sum_by_type("acc_001", TransactionType.DEPOSIT, Currency.USDT) == Money(100, Currency.USDT)
    transactions.export_to_csv("acc_001", "transactions.csv")
    transactions.export_to_json("acc_001", "transactions.json")
    assert [row["amount"] for row in csv.DictReader(Path("transactions.csv").open())] == ["100"]
    assert json.loads(Path("transactions.json").read_text())[0]["description"] == "Initial deposit"

    # -- Paper Trading Orders
    orders = SQLiteOrderRepository(db)
    order = Order(
        order_id="ord_001", account_id="acc_001", symbol="BTCUSDT", side=OrderSide.BUY, order_type=OrderType.LIMIT, quantity=1.5, price=45000.0
    )  # fmt: skip
    orders.save(order)
    assert [o.order_id for o in orders.get_pending_orders("acc_001")] == ["ord_001"]
    order.execute(executed_price=45100.0)
    orders.save(order)
    assert orders.get_pending_orders("acc_001") == []
    filled = orders.get_filled_orders("acc_001")
    assert [(o.order_id, o.status, o.executed_price, o.filled_quantity) for o in filled] == [("ord_001", OrderStatus.FILLED, 45100, Decimal("1.5"))]
    assert [o.order_id for o in orders.find_by_status("acc_001", OrderStatus.FILLED)] == ["ord_001"]
    assert [o.order_id for o in orders.find_by_symbol("acc_001", "BTCUSDT")] == ["ord_001"]

    # -- Performance Analytics
    performance = SQLitePerformanceRepository(db)
    today = date.today()
    metrics = PerformanceMetrics(
        account_id="acc_001", date=today, total_value_usd=15000.0, pnl_daily=500.0, pnl_total=2000.0, sharpe_ratio=1.5, sortino_ratio=1.2,
        max_drawdown=-0.15, win_rate=0.60, profit_factor=2.5, trades_count=5,
    )  # fmt: skip
    performance.save(metrics)
    saved = performance.find_by_date("acc_001", today)
    assert saved is not None
    assert (saved.total_value_usd, saved.sharpe_ratio, saved.source) == (15000, 1.5, "manual")
    assert len(performance.find_range("acc_001", today - timedelta(days=30), today)) == 1
    assert performance.get_best_day("acc_001").date == today
    assert performance.get_worst_day("acc_001").date == today
    assert performance.get_total_pnl("acc_001") == 2000
    assert performance.get_average_metrics("acc_001", days=30)["win_rate"] == 0.60
    performance.export_to_csv("acc_001", "performance.csv")
    assert next(csv.DictReader(Path("performance.csv").open()))["pnl_daily"] == "500"

    # -- Automatic Transaction Handling, Manual Connection
    with db.transaction() as conn:
        cursor = conn.cursor()
        cursor.execute("INSERT INTO accounts (account_id, name) VALUES (?, ?)", ("acc_sql", "by SQL"))
    with db.get_connection() as conn:
        cursor = conn.cursor()
        cursor.execute("SELECT * FROM accounts")
        assert len(cursor.fetchall()) == 2

    # The fill that the execution implied moved the balance, and everything is explained.
    balance = repo.find_by_id("acc_001").balance
    assert balance.total(Currency.BTC) == Money("1.5", Currency.BTC)
    assert balance.total(Currency.USDT) == Money(100 - Decimal("1.5") * 45100, Currency.USDT)
    assert check_books(db) == []
    db.close()
