"""The old JSON files in the books: every form they may have, what is refused, and what happens when it is done twice, or killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from books import deposit, unexplained
from command import run
from parts import wait_until

from jarvis.migration import layout
from jarvis.migration.entities import Facts
from jarvis.migration.moving import record, rehearse
from jarvis.migration.plan import TradesFrom, plan_of
from jarvis.migration.values import Reading
from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS
from persistence.database import DatabaseManager
from persistence.proof.books_checks import check_books
from persistence.repositories import SQLiteAccountRepository, SQLiteOrderRepository, SQLiteTransactionRepository

DAY = "2026-01-0{}T10:00:00Z"
ACCOUNT = {
    "account_id": "acc_001", "name": "Main Trading Account", "is_active": True, "created_at": DAY.format(1),
    "balance": {"available": {"USDT": 5490.0, "BTC": 0.1}, "reserved": {}},
}  # fmt: skip
DEPOSIT = {
    "transaction_id": "tx1", "account_id": "acc_001", "transaction_type": "DEPOSIT", "amount": {"amount": 10000.0, "currency": "USDT"},
    "description": "Initial deposit", "timestamp": DAY.format(1),
}  # fmt: skip
FILLED = {
    "order_id": "ord_001", "account_id": "acc_001", "symbol": "BTCUSDT", "side": "BUY", "order_type": "LIMIT", "quantity": 0.1, "price": 45000.0,
    "status": "FILLED", "executed_price": 45100.0, "created_at": DAY.format(2), "executed_at": DAY.format(3), "strategy": "grid",
}  # fmt: skip
CANCELLED = {**FILLED, "order_id": "ord_002", "status": "cancelled", "executed_price": None, "executed_at": None}
METRICS = {"account_id": "acc_001", "date": "2026-01-03", "total_value_usd": 9990.0, "pnl_daily": -10.0, "sharpe_ratio": None, "trades_count": 1}
TRADE_OUT = {"id": "t2", "account_id": "acc_001", "type": "trade_out", "amount": "4510", "currency": "USDT", "timestamp": DAY.format(3)}
TRADE_IN = {"id": "t3", "account_id": "acc_001", "type": "trade_in", "amount": "0.1", "currency": "BTC", "timestamp": DAY.format(3)}


def without(entity: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in entity.items() if name not in names}


def camel(entity: Any) -> Any:
    if isinstance(entity, dict):
        return {(n if n.isupper() else n.split("_")[0] + "".join(w.title() for w in n.split("_")[1:])): camel(v) for n, v in entity.items()}
    return [camel(v) for v in entity] if isinstance(entity, list) else entity


def written(folder: Path, files: dict[str, Any]) -> Path:
    for name, content in files.items():
        path = folder / "old" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder / "old"


FILES = {"accounts.json": [ACCOUNT], "transactions.json": [DEPOSIT], "orders.json": [FILLED, CANCELLED], "performance_metrics.json": [METRICS]}

#: The same account in every form that a folder may have.
FOLDERS: dict[str, dict[str, Any]] = {
    "a file of each kind, with lists": FILES,
    "names in camel case": {name: camel(content) for name, content in FILES.items()},
    "mappings by id": {
        "accounts.json": {"acc_001": without(ACCOUNT, "account_id")}, "transactions.json": {"tx1": without(DEPOSIT, "transaction_id")},
        "orders.json": {o["order_id"]: without(o, "order_id") for o in (FILLED, CANCELLED)},
        "metrics.json": {"acc_001": {"2026-01-03": without(METRICS, "account_id", "date")}},
    },
    "lists by account": {
        "accounts.json": {"accounts": [ACCOUNT], "version": 3}, "transactions.json": {"acc_001": [without(DEPOSIT, "account_id")]},
        "orders.json": {"acc_001": [without(o, "account_id") for o in (FILLED, CANCELLED)]}, "performance.json": {"acc_001": [without(METRICS, "account_id")]},
    },
    "one file": {"state.json": {"accounts": [ACCOUNT], "transactions": [DEPOSIT], "orders": [FILLED, CANCELLED], "performance_metrics": [METRICS]}},
    "everything inside the account": {
        "accounts/acc_001.json": {
            **without(ACCOUNT, "account_id"), "transactions": [without(DEPOSIT, "account_id")], "orders": [without(o, "account_id") for o in (FILLED, CANCELLED)],
            "metrics": [without(METRICS, "account_id")],
        }
    },
    "a folder of each kind, a file of each entity": {
        "accounts/acc_001.json": ACCOUNT, "transactions/tx1.json": DEPOSIT, "orders/1.json": FILLED, "orders/2.json": CANCELLED, "metrics/2026-01-03.json": METRICS,
    },
    "a folder of each account": {
        "accounts/acc_001/account.json": without(ACCOUNT, "account_id"), "accounts/acc_001/transactions.json": [without(DEPOSIT, "account_id")],
        "accounts/acc_001/orders.json": [without(o, "account_id") for o in (FILLED, CANCELLED)],
        "accounts/acc_001/metrics.json": [without(METRICS, "account_id")],
    },
    "files named after the account": {
        "account_acc_001.json": without(ACCOUNT, "account_id"), "transactions_acc_001.json": [without(DEPOSIT, "account_id")],
        "acc_001_orders.json": {"orders": [without(o, "account_id") for o in (FILLED, CANCELLED)]}, "performance_metrics_acc_001.json": [without(METRICS, "account_id")],
    },
    "a line for each": {
        "accounts.jsonl": json.dumps(ACCOUNT), "transactions.ndjson": json.dumps(DEPOSIT), "orders.jsonl": f"{json.dumps(FILLED)}\n\n{json.dumps(CANCELLED)}\n",
        "metrics.jsonl": json.dumps(METRICS),
    },
    "balances apart, by account and currency": {
        **FILES, "accounts.json": [without(ACCOUNT, "balance")], "balances.json": {"acc_001": {"USDT": {"available": "5490", "reserved": "0"}, "BTC": "0.1"}},
    },
    "balances apart, a row each": {
        **FILES, "accounts.json": [without(ACCOUNT, "balance")],
        "balances.json": [{"account_id": "acc_001", "currency": c, "available": a, "reserved": 0} for c, a in (("USDT", 5490), ("BTC", "0.1"))],
    },
    "balances as money": {
        **FILES, "accounts.json": [{**ACCOUNT, "balance": {"available": [{"amount": 5490.0, "currency": "USDT"}, {"amount": 0.1, "currency": {"code": "BTC"}}]}}],
    },
    "words of enums": {
        **FILES, "transactions.json": [{**DEPOSIT, "transaction_type": "TransactionType.DEPOSIT", "amount": "10000.0 USDT"}],
        "orders.json": [{**o, "side": "OrderSide.BUY", "order_type": {"value": "limit"}, "status": f"OrderStatus.{o['status']}".upper()} for o in (FILLED, CANCELLED)],
    },
    "trades in transactions as well": {**FILES, "transactions.json": [DEPOSIT, TRADE_OUT, TRADE_IN]},
    "everything twice": {**FILES, "accounts.json": [{**ACCOUNT, "transactions": [DEPOSIT], "orders": [FILLED]}]},
}  # fmt: skip


def plan_for(folder: Path, *, zone=None, epoch=None, trades_from=TradesFrom.AUTO, **types: str):
    return plan_of(layout.read(folder), Facts(Reading(zone, epoch, types), DEFAULT_CONVENTIONS), trades_from)


@pytest.mark.parametrize("form", FOLDERS)
def test_a_folder_ends_in_the_same_books_whatever_its_form(form, tmp_path, database):
    plan = plan_for(written(tmp_path, FOLDERS[form]))

    assert plan.problems == []
    assert rehearse(plan).agrees
    moved = record(database, plan)

    assert moved.agrees, [check for check in moved.checks if not check.agrees]
    account = SQLiteAccountRepository(database).find_by_id("acc_001")
    assert (account.name, account.is_active) == ("Main Trading Account", True)
    assert {str(c): account.balance.total(c).amount for c in account.balance.currencies} == {"USDT": Decimal(5490), "BTC": Decimal("0.1")}
    orders = {o.order_id: o for o in SQLiteOrderRepository(database).find_by_account("acc_001")}
    assert {name: str(order.status) for name, order in orders.items()} == {"ord_001": "filled", "ord_002": "cancelled"}
    assert orders["ord_001"].average_price == Decimal(45100)
    assert str(next(SQLiteTransactionRepository(database).stream("acc_001")).transaction_type) == "deposit"
    assert [(c.figure, c.source) for c in moved.checks][2:] == [
        ("transactions", "3" if "trades" in form else "1"), ("orders cancelled", "1"), ("orders filled", "1"), ("metrics", "1"),
    ]  # fmt: skip
    assert check_books(database) == []
    assert unexplained(database) == []


def test_what_the_contract_has_no_place_for_is_kept_with_the_record(tmp_path, database):
    record(database, plan_for(written(tmp_path, FILES)))
    [row] = database.execute_query("SELECT extra FROM order_events WHERE order_id = 'ord_001' AND status = 'placed'")
    assert json.loads(row["extra"]) == {"old": {"strategy": "grid"}}


def test_doing_it_again_changes_nothing(tmp_path, database):
    plan = plan_for(written(tmp_path, FILES))
    first = record(database, plan)
    again = record(database, plan_for(tmp_path / "old"))
    assert (first.applied, first.duplicate, again.applied, again.duplicate) == (6, 0, 0, 6)
    assert again.agrees


#: One thing that is wrong, and what is said of it.
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("a time without an offset", {"transactions.json": [{**DEPOSIT, "timestamp": "2026-01-01T10:00:00"}]}, "has no offset; say the zone of such times"),
    ("a number as a time", {"transactions.json": [{**DEPOSIT, "timestamp": 1767261600}]}, "say its unit: --epoch"),
    ("a type that nobody knows", {"transactions.json": [{**DEPOSIT, "transaction_type": "BUY"}]}, "--type BUY=TYPE"),
    ("no account", {"transactions.json": [without(DEPOSIT, "account_id")]}, "account_id is missing"),
    ("no currency", {"transactions.json": [{**DEPOSIT, "amount": 5}]}, "without a currency"),
    ("a filled order without a price", {"orders.json": [{**FILLED, "order_type": "market", "price": None, "executed_price": None}]}, "says at which price"),
    ("a symbol that can be read in two ways", {"orders.json": [{**FILLED, "symbol": "XBTUSD"}]}, "XBTUSD"),
    ("a status that nobody knows", {"orders.json": [{**FILLED, "status": "zombie"}]}, "status is 'zombie'"),
    ("one transaction, two contents", {"transactions.json": [DEPOSIT, {**DEPOSIT, "description": "other"}]}, "stands in the folder twice, and they differ"),
    ("two balances", {"balances.json": {"acc_001": {"USDT": 1}}}, "holds 1 USDT here and 5490 elsewhere"),
    ("no JSON", {"orders.json": "{"}, "orders.json is no JSON"),
    ("no object", {"orders.json": [5]}, "orders.json, number 1 is 5"),
]


@pytest.mark.parametrize(("changes", "said"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_what_is_wrong_is_named_with_its_place(changes, said, tmp_path):
    problems = plan_for(written(tmp_path, {**FILES, **changes})).problems
    assert len(problems) == 1, problems
    assert said in problems[0]
    assert next(iter(changes)) in problems[0]


def test_times_and_types_are_read_as_they_were_told(tmp_path, database):
    rows = [{**DEPOSIT, "timestamp": 1767261600.5}, {**DEPOSIT, "transaction_id": "tx2", "transaction_type": "BONUS_CREDIT", "timestamp": "2026-01-02"}]
    plan = plan_for(written(tmp_path, {"transactions.json": rows}), zone=ZoneInfo("Europe/Berlin"), epoch="seconds", bonus_credit="bonus")
    assert plan.problems == []
    record(database, plan)
    found = [(t.occurred_at.isoformat(), str(t.transaction_type)) for t in SQLiteTransactionRepository(database).stream("acc_001")]
    assert found == [("2026-01-01T10:00:00.500000+00:00", "deposit"), ("2026-01-01T23:00:00+00:00", "bonus")]


def test_what_open_orders_reserve_is_reserved_where_the_source_says_exactly_that(tmp_path, database):
    placed = {**CANCELLED, "status": "pending", "price": 40000.0}
    account = {**ACCOUNT, "balance": {"available": {"USDT": 6000.0}, "reserved": {"USDT": 4000.0}}}
    plan = plan_for(written(tmp_path, {"accounts.json": [account], "transactions.json": [DEPOSIT], "orders.json": [placed]}))
    assert record(database, plan).agrees
    balance = SQLiteAccountRepository(database).find_by_id("acc_001").balance
    assert (balance.available("USDT").amount, balance.reserved("USDT").amount) == (Decimal(6000), Decimal(4000))


def test_what_no_open_order_explains_is_told_and_available(tmp_path, database):
    account = {**ACCOUNT, "balance": {"available": {"USDT": 6000.0}, "reserved": {"USDT": 4000.0}}}
    plan = plan_for(written(tmp_path, {"accounts.json": [account], "transactions.json": [DEPOSIT]}))
    assert record(database, plan).agrees
    assert plan.remarks == ["acc_001: 4000 USDT are reserved, and its open orders would reserve nothing: all of it counts as available"]


def test_trades_that_transactions_tell_otherwise_count_as_the_transactions_tell_them(tmp_path, database):
    account = {**ACCOUNT, "balance": {"USDT": 5480, "BTC": 0.1}}
    plan = plan_for(written(tmp_path, {**FILES, "accounts.json": [account], "transactions.json": [DEPOSIT, {**TRADE_OUT, "amount": "4520"}, TRADE_IN]}))
    moved = record(database, plan)
    assert moved.agrees, moved.checks
    assert "do not say the same as its transactions of trades" in plan.remarks[0]
    [order] = [o for o in SQLiteOrderRepository(database).find_by_account("acc_001") if o.order_id == "ord_001"]
    assert (str(order.status), order.filled_quantity) == ("filled", 0)


def test_accounts_are_opened_named_and_closed_as_the_source_has_them_even_without_a_record(tmp_path, database):
    empty = {"account_id": "acc_002", "name": "Old one", "is_active": False, "created_at": DAY.format(1), "balance": {}}
    assert record(database, plan_for(written(tmp_path, {**FILES, "accounts.json": [ACCOUNT, empty]}))).agrees
    accounts = {a.account_id: a for a in SQLiteAccountRepository(database).find_all()}
    assert {name: (a.name, a.is_active) for name, a in accounts.items()} == {"acc_001": ("Main Trading Account", True), "acc_002": ("Old one", False)}
    assert accounts["acc_002"].opened_at.isoformat() == "2026-01-01T10:00:00+00:00"


def test_a_record_that_the_books_have_with_other_content_is_told_and_stays_as_it_is(tmp_path, database, ledger):
    ledger.post([deposit("x", deposit_id="tx1", account_id="acc_001", amount="7")])
    moved = record(database, plan_for(written(tmp_path, FILES)))
    assert not moved.agrees
    assert len(moved.refused) == 1
    assert moved.refused[0].startswith("deposit tx1 of acc_001: ")
    assert database.execute_query("SELECT count(*) AS n FROM quarantine")[0]["n"] == 0, "who ran the import was told"


def test_the_rounding_of_binary_fractions_is_no_difference(tmp_path, database):
    rows = [{**DEPOSIT, "transaction_id": f"tx{n}", "amount": 0.1, "currency": "USDT"} for n in range(3)]
    account = {**ACCOUNT, "balance": {"USDT": sum([0.1] * 3)}}
    moved = record(database, plan_for(written(tmp_path, {"accounts.json": [account], "transactions.json": rows})))
    assert (moved.checks[0].source, moved.checks[0].books, moved.agrees) == ("0.30000000000000004", "0.3", True)


def test_rows_without_ids_are_told_apart_and_the_same_again(tmp_path, database):
    twins = [without(DEPOSIT, "transaction_id")] * 2
    account = {**ACCOUNT, "balance": {"USDT": 20000}}
    folder = written(tmp_path, {"accounts.json": [account], "transactions.json": twins})
    assert record(database, plan_for(folder)).agrees
    assert record(database, plan_for(folder)).duplicate == 2


# -- the command -----------------------------------------------------------------------------------------------------------


def books_of(folder: Path) -> DatabaseManager:
    manager = DatabaseManager(folder / "data" / "jarvis_trading.db")
    manager.initialize()
    return manager


def test_a_balance_that_nothing_explains_is_refused_with_both_figures_and_nothing_is_recorded(tmp_path):
    written(tmp_path, {**FILES, "accounts.json": [{**ACCOUNT, "balance": {"USDT": 5500, "BTC": 0.1}}]})
    run("db", "init", folder=tmp_path)
    refused = run("import-json", "old", "--archive", folder=tmp_path)
    assert refused.returncode == 4
    assert "acc_001: balance USDT: the source says 5500, its records make 5490" in refused.stderr
    assert (tmp_path / "old").is_dir()
    with books_of(tmp_path) as books:
        assert SQLiteAccountRepository(books).find_all() == []


def test_the_difference_is_recorded_before_the_first_record_where_that_is_asked_for_and_the_folder_is_archived_at_last(tmp_path):
    written(tmp_path, {**FILES, "accounts.json": [{**ACCOUNT, "balance": {"USDT": 5500, "BTC": 0.1}}], "config.json": {"theme": "dark"}})
    run("db", "init", folder=tmp_path)

    shown = run("import-json", "old", "--opening-balances", "--dry-run", folder=tmp_path)
    assert (shown.returncode, "acc_001: +10 USDT (external) before its first record" in shown.stderr) == (0, True), shown.stderr
    assert "note: not read" in shown.stderr
    assert "config.json" in shown.stderr
    done = run("import-json", "old", "--opening-balances", "--archive", folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "old").exists()
    [archived] = tmp_path.glob("old.archived-*")
    assert json.loads((archived / "config.json").read_text()) == {"theme": "dark"}
    with books_of(tmp_path) as books:
        first = next(SQLiteTransactionRepository(books).stream("acc_001"))
        assert (first.transaction_id, first.occurred_at.isoformat()) == ("deposit:acc_001:opening:USDT:amount", "2026-01-01T09:59:59.999999+00:00")
        assert check_books(books) == []


def test_a_dry_run_needs_no_books_and_makes_none(tmp_path):
    written(tmp_path, FILES)
    shown = run("import-json", "old", "--dry-run", "--json", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert {check["agrees"] for check in json.loads(shown.stdout)["checks"]} == {True}
    assert not (tmp_path / "data").exists()


def test_what_is_wrong_is_an_object_for_programs_as_well(tmp_path):
    written(tmp_path, {"transactions.json": [{**DEPOSIT, "timestamp": 5}]})
    done = run("import-json", "old", "--json", folder=tmp_path)
    assert done.returncode == 4
    assert json.loads(done.stdout)["problems"] == [
        "transactions.json, number 1: timestamp is the number 5; say its unit: --epoch seconds, milliseconds or microseconds"
    ]


#: A dozen commits.
ROWS = 12_000


def test_a_kill_in_the_middle_loses_and_doubles_nothing(tmp_path):
    rows = [{**DEPOSIT, "transaction_id": f"tx{n}", "amount": "1", "currency": "USDT"} for n in range(ROWS)]
    written(tmp_path, {"accounts.json": [{**ACCOUNT, "balance": {"USDT": ROWS}}], "transactions.json": rows})
    run("db", "init", folder=tmp_path)
    process = subprocess.Popen([sys.executable, "-m", "jarvis", "import-json", "old", "--archive"], cwd=tmp_path, stderr=subprocess.PIPE)

    def recorded() -> int:
        return int(watcher.execute_query("SELECT count(*) AS n FROM facts")[0]["n"])

    with books_of(tmp_path) as watcher:
        wait_until(lambda: recorded() or process.poll() is not None, "something is recorded", seconds=90)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert 0 < recorded() < ROWS
    assert (tmp_path / "old").is_dir(), "it is archived only once everything is recorded"

    again = run("import-json", "old", "--archive", folder=tmp_path)

    assert again.returncode == 0, again.stderr
    with books_of(tmp_path) as books:
        assert SQLiteTransactionRepository(books).count("acc_001") == ROWS
        assert SQLiteAccountRepository(books).find_by_id("acc_001").balance.total("USDT").amount == Decimal(ROWS)
        assert check_books(books) == []


def test_the_guide_shows_what_the_command_prints(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text()
    command, *shown = page.partition("```console\n$ ")[2].partition("```")[0].splitlines()
    written(tmp_path, FILES)
    done = run(*command.split()[1:], folder=tmp_path)
    assert [line.rstrip() for line in (done.stdout + done.stderr).splitlines()] == shown
