"""Entities as people hold them: saved at every start, shared by threads, set to whatever the language lets them be set to."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from books import deposit

from persistence.domain import (
    Account,
    Balance,
    BooksError,
    Conflict,
    Currency,
    InsufficientFunds,
    Invalid,
    Money,
    Order,
    OrderSide,
    OrderStatus,
    OrderType,
    PerformanceMetrics,
    Transaction,
    TransactionType,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)


def usdt(amount: object) -> Money:
    return Money(amount, Currency.USDT)  # type: ignore[arg-type]


# -- an account that a program opens at every start --------------------------------------------------------------------


def start(engine, amount: object = "10000.0", name: str = "Main", **changes) -> Account:
    """What a bot runs when it starts."""
    account = Account("acc", name, Balance(), **changes)
    account.balance.add_available(usdt(amount))
    engine.accounts.save(account)
    return account


def test_the_same_opening_at_every_start_counts_once(engine):
    for _ in range(3):
        start(engine)
    assert engine.accounts.find_by_id("acc").balance.total("USDT") == usdt(10000)
    [opening] = engine.accounts.get_transaction_history("acc")
    assert opening.transaction_id == "adjustment:acc:opening:USDT:amount"
    assert engine.transactions.find_by_id(opening.transaction_id) == opening


def test_a_new_entity_takes_over_what_is_stored(engine):
    start(engine)
    engine.ledger.post([deposit(amount="500")])
    engine.accounts.deactivate("acc")

    again = start(engine, name="Other")

    stored = engine.accounts.find_by_id("acc")
    assert (stored.name, stored.is_active, str(stored.balance)) == ("Main", False, "10500 USDT")
    assert (again.name, again.is_active, str(again.balance), again.created_at) == ("Main", False, "10500 USDT", stored.created_at)
    again.balance.add_available(usdt(1))
    engine.accounts.save(again)
    assert str(engine.accounts.find_by_id("acc").balance) == "10501 USDT", "from here it is an entity like any that was loaded"


def test_other_opening_balances_are_a_conflict_with_the_remedy(engine):
    start(engine)
    with pytest.raises(Conflict, match=r"account acc .* opened with 10000 USDT, .* says 20000 USDT; load it with find_by_id\('acc'\)"):
        start(engine, 20000)
    with pytest.raises(Conflict, match="says 1 BTC, 10000 USDT"):
        account = Account("acc")
        account.balance.add_available(usdt(10000))
        account.balance.add_available(Money(1, "BTC"))
        engine.accounts.save(account)
    with pytest.raises(Conflict, match=r"says 10000 USDT \(10 reserved\)"):
        account = Account("acc")
        account.balance.add_available(usdt(10000))
        account.balance.reserve(usdt(10))
        engine.accounts.save(account)
    assert str(engine.accounts.find_by_id("acc").balance) == "10000 USDT"


def test_an_account_that_a_message_opened_was_opened_with_nothing_by_hand(engine):
    engine.ledger.post([deposit(amount="500")])
    with pytest.raises(Conflict, match="opened with nothing, .* says 10000 USDT"):
        start(engine)
    assert str(engine.accounts.find_by_id("acc").balance) == "500 USDT"


def test_an_entity_without_a_balance_says_nothing_of_it_and_may_name_the_account(engine):
    engine.ledger.post([deposit(amount="500")])
    engine.accounts.save(Account("acc", "Main"))
    engine.accounts.save(Account("acc", "Other"))
    engine.accounts.save(Account("acc"))
    stored = engine.accounts.find_by_id("acc")
    assert (stored.name, str(stored.balance)) == ("Main", "500 USDT")


def test_deposits_of_a_new_entity_count_once_by_their_ids_or_not_at_all(engine):
    first = Transaction(TransactionType.DEPOSIT, usdt(100), transaction_id="first", occurred_at=AT)
    for _ in range(2):
        account = Account("acc")
        account.record(first)
        engine.accounts.save(account)
    assert str(engine.accounts.find_by_id("acc").balance) == "100 USDT"

    account = Account("acc")
    account.deposit(usdt(100))
    with pytest.raises(Conflict, match=r"without transaction .*; load it with find_by_id"):
        engine.accounts.save(account)
    account = Account("acc")
    account.record(Transaction(TransactionType.DEPOSIT, usdt(999), transaction_id="first", occurred_at=AT))
    with pytest.raises(Conflict):
        engine.accounts.save(account)
    assert str(engine.accounts.find_by_id("acc").balance) == "100 USDT"


def test_an_account_that_was_deleted_is_opened_anew_however_often(engine):
    for amount in (100, 200, 300):
        start(engine, amount)
        assert str(engine.accounts.find_by_id("acc").balance) == f"{amount} USDT"
        assert engine.accounts.delete("acc")


def test_changes_of_a_loaded_account_are_booked_each_time(engine):
    start(engine, 100)
    for _ in range(2):
        loaded = engine.accounts.find_by_id("acc")
        loaded.balance.add_available(usdt(100))
        engine.accounts.save(loaded)
    assert str(engine.accounts.find_by_id("acc").balance) == "300 USDT"


def test_a_new_entity_whose_save_came_to_nothing_is_as_it_was(engine, unit_of_work):
    start(engine, 100)
    engine.ledger.post([deposit(amount="500")])
    again = Account("acc", "Other")
    again.balance.add_available(usdt(100))
    with pytest.raises(ZeroDivisionError), unit_of_work():
        engine.accounts.save(again)
        1 / 0  # noqa: B018
    assert (again.name, str(again.balance), again.saved_state) == ("Other", "100 USDT", None)
    engine.accounts.save(again)
    assert (again.name, str(again.balance)) == ("Main", "600 USDT")


# -- entities that threads share ---------------------------------------------------------------------------------------


def at_once(count: int, work: Callable[[int], None]) -> None:
    barrier, failures = threading.Barrier(count), []

    def run(number: int) -> None:
        barrier.wait(10)
        try:
            work(number)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("loaded", [False, True])
def test_an_account_that_threads_share_loses_and_doubles_nothing(engine, loaded):
    account = Account("acc")
    if loaded:
        engine.accounts.save(account)
        account = engine.accounts.find_by_id("acc")

    def work(_: int) -> None:
        for n in range(15):
            account.deposit(usdt(1), f"{n}")
            account.balance.add_available(Money(1, "BTC"))
            engine.accounts.save(account)

    at_once(4, work)
    engine.accounts.save(account)
    stored = engine.accounts.find_by_id("acc")
    assert str(stored.balance) == str(account.balance) == "60 BTC, 60 USDT"
    assert len(engine.transactions.find_by_type("acc", "deposit")) == 60
    assert engine.transactions.get_sum_by_type("acc", "adjustment", "USDT") == usdt(0)
    assert account.pending == []


def test_what_comes_while_an_account_is_saved_stays_unsaved(engine, unit_of_work):
    account = Account("acc")
    account.deposit(usdt(1))
    read = account.unsaved()
    account.deposit(usdt(2))
    account.balance.reserve(usdt(1))
    account.count_as_saved(read)
    assert ([t.amount for t in account.pending], account.balance.changes()) == ([usdt(2)], {Currency.USDT: (2, 1)})
    account.count_as_unsaved(read)
    assert ([t.amount for t in account.pending], account.balance.changes()) == ([usdt(1), usdt(2)], {Currency.USDT: (3, 1)})


def test_an_order_that_threads_share_is_executed_to_its_quantity(engine):
    order = Order("o1", "acc", "BTC/USDT", "buy", "limit", 40, 100)
    engine.orders.save(order)

    def work(_: int) -> None:
        for _ in range(10):
            order.execute(100, 1)
            engine.orders.save(order)

    at_once(4, work)
    engine.orders.save(order)
    stored = engine.orders.find_by_id("o1")
    assert (stored.status, stored.fills_count, stored.filled_quantity) == (OrderStatus.FILLED, 40, 40)
    assert len(engine.orders.get_fills("acc", "o1")) == 40
    assert str(engine.accounts.find_by_id("acc").balance) == "40 BTC, -4000 USDT"


def test_an_order_is_never_executed_beyond_its_quantity_by_two_at_once():
    order = Order("o1", "acc", "BTC/USDT", "buy", "limit", 20, 100)
    refused = []

    def work(_: int) -> None:
        for _ in range(10):
            try:
                order.execute(100, 1)
            except Invalid as error:
                refused.append(error)

    at_once(4, work)
    assert (order.filled_quantity, order.fills_count, len(refused)) == (20, 20, 20)


def test_money_that_threads_take_is_there_only_once():
    balance, refused = Balance(), []
    balance.add_available(usdt(20))

    def work(_: int) -> None:
        for _ in range(10):
            try:
                balance.subtract_available(usdt(1))
            except InsufficientFunds as error:
                refused.append(error)

    at_once(4, work)
    assert (str(balance), len(refused)) == ("empty", 20)


# -- words beside enumerations -----------------------------------------------------------------------------------------


def test_words_are_taken_whatever_their_case(engine):
    for transaction_type in (TransactionType.DEPOSIT, "deposit", "DEPOSIT", " Deposit "):
        engine.transactions.save(Transaction(transaction_type, usdt(100)), "acc")
    assert engine.transactions.get_sum_by_type("acc", "DEPOSIT", "USDT") == usdt(400)
    assert len(engine.transactions.find_by_type("acc", "Deposit")) == 4

    order = Order("o1", "acc", "BTC/USDT", "BUY", "LIMIT", 1, 100)
    assert (order.side, order.order_type) == (OrderSide.BUY, OrderType.LIMIT)
    engine.orders.save(order)
    order.status = "CANCELED"
    order.side = "Buy"
    engine.orders.save(order)
    assert [o.order_id for o in engine.orders.find_by_status("acc", "CANCELLED")] == ["o1"]
    assert engine.orders.find_by_id("o1", side="BUY").status == OrderStatus.CANCELLED


@pytest.mark.parametrize(
    "ask",
    [
        lambda e: e.transactions.find_by_type("acc", "junk"),
        lambda e: e.transactions.find_by_type("acc", None),
        lambda e: e.transactions.get_sum_by_type("acc", "junk", "USDT"),
        lambda e: e.orders.find_by_status("acc", "junk"),
        lambda e: e.orders.find_by_id("o1", side="junk"),
        lambda e: e.orders.get_fills("acc", "o1", side="junk"),
        lambda e: e.orders.exists("o1", side="junk"),
        lambda e: e.orders.delete("o1", side="junk"),
        lambda _: Transaction("junk", usdt(1)),
        lambda _: Order("o", "acc", "BTC/USDT", "junk", "limit", 1, 1),
    ],
)
def test_a_word_that_is_none_of_them_is_refused_and_they_are_named(engine, ask):
    with pytest.raises(Invalid, match="is no (transaction type|order status|order side); there are"):
        ask(engine)


@pytest.mark.parametrize("code", ["US DT", "", " USDT", "USD\tT", "x" * 33, "\ud800", "U\0", 5])
def test_a_currency_that_can_not_exist_is_refused_by_every_question(engine, code):
    for ask in (
        lambda: engine.transactions.get_sum_by_type("acc", "deposit", code), lambda: engine.transactions.get_sum_by_currency("acc", code),
        lambda: engine.transactions.find_by_currency("acc", code), lambda: Money(1, code), lambda: Balance().available(code),
    ):  # fmt: skip
        with pytest.raises(Invalid, match="no currency code"):
            ask()


# -- values that the language takes and the books do not ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Transaction("deposit", 100.0), "amount is 100.0; it must be Money"),
        (lambda: Transaction("deposit", usdt(1), occurred_at=datetime(2026, 1, 1)), "no offset"),
        (lambda: Transaction("deposit", usdt(1), occurred_at=date(2026, 1, 1)), "no instant"),
        (lambda: Transaction("deposit", usdt(1), occurred_at="2026-01-01"), "no instant"),
        (lambda: Account("acc", 5), "name of account acc is 5; it must be text"),
        (lambda: Account("acc", "x", {"USDT": 1}), "must be a Balance"),
        (lambda: Account(5), "account_id is 5"),
        (lambda: Account("acc").deposit(5), "must be Money"),
        (lambda: Account("acc").deposit(usdt(1), occurred_at=datetime(2026, 1, 1)), "no offset"),
        (lambda: Order("o", "acc", "BTC/USDT", "buy", 5, 1, 1), "order_type is 5"),
        (lambda: Order("o", "acc", "BTC/USDT", "buy", "limit", float("nan"), 1), "quantity is nan"),
        (lambda: Order("o", "acc", "BTC/USDT", "buy", "limit", 1, 1).execute(1, executed_at=datetime(2026, 1, 1)), "no offset"),
        (lambda: Order("o", "acc", "BTC/USDT", "buy", "limit", 1, 1).cancel(datetime(2026, 1, 1)), "no offset"),
        (lambda: PerformanceMetrics("acc", datetime(2026, 1, 1), 1), "give a date"),
        (lambda: PerformanceMetrics("acc", "1st of May", 1), "2026-01-31"),
        (lambda: PerformanceMetrics("acc", date(2026, 1, 1), 1, trades_count=5.5), "trades_count is 5.5; a count is a whole number"),
        (lambda: PerformanceMetrics("acc", date(2026, 1, 1), 1, trades_count=-1), "never below zero"),
        (lambda: PerformanceMetrics("acc", date(2026, 1, 1), 1, trades_count=2**63), "whole number"),
        (lambda: PerformanceMetrics("acc", date(2026, 1, 1), 1, sharpe_ratio=10**400), "a float can hold"),
        (lambda: PerformanceMetrics("acc", date(2026, 1, 1), 1, sharpe_ratio="high"), "a float can hold"),
        (lambda: PerformanceMetrics(5, date(2026, 1, 1), 1), "account_id is 5"),
        (lambda: Money(10**50, "USDT"), "digits"),
    ],
)  # fmt: skip
def test_what_no_entity_can_be_is_refused_where_it_is_made(make, said):
    with pytest.raises(Invalid, match=said):
        make()


def test_a_field_that_is_set_later_means_what_it_would_have_meant_at_first(engine):
    order = Order("o1", "acc", "BTC/USDT", "buy", "limit", 1, 100)
    order.quantity, order.price = 2.5, "100"
    order.execute(100, "0.5")
    engine.orders.save(order)
    assert engine.orders.find_by_id("o1").remaining_quantity == Decimal(2)

    metrics = PerformanceMetrics("acc", "2026-01-01", 1)
    metrics.trades_count, metrics.date, metrics.pnl_daily = 3, "2026-01-02", 2.5
    engine.performance.save(metrics)
    assert engine.performance.find_by_date("acc", date(2026, 1, 2)).pnl_daily == Decimal("2.5")
    for name, wrong in (("trades_count", 5.5), ("date", AT), ("win_rate", 7), ("source", "a\0b")):
        metrics = PerformanceMetrics("acc", "2026-01-01", 1)
        setattr(metrics, name, wrong)
        with pytest.raises(Invalid, match=name):
            engine.performance.save(metrics)


@pytest.mark.parametrize("wrong", ["half \ud800", "nul \0"])
def test_texts_that_no_store_can_keep_are_refused_with_their_field(engine, wrong):
    account = Account("acc")
    account.balance.add_available(usdt(1))
    for save, field in (
        (lambda: engine.transactions.save(Transaction("deposit", usdt(1), wrong), "acc"), "description"),
        (lambda: engine.transactions.save(Transaction("deposit", usdt(1), reference=wrong), "acc"), "reference"),
        (lambda: engine.transactions.save(Transaction("deposit", usdt(1), transaction_id=wrong), "acc"), "transaction_id"),
        (lambda: engine.transactions.save(Transaction("deposit", usdt(1)), wrong), "account_id"),
        (lambda: engine.accounts.save(Account("acc", wrong)), "name"),
        (lambda: engine.accounts.save(account, reason=wrong), "reason"),
        (lambda: engine.orders.save(Order(wrong, "acc", "BTC/USDT", "buy", "limit", 1, 1)), "order_id"),
        (lambda: engine.orders.save(Order("o", wrong, "BTC/USDT", "buy", "limit", 1, 1)), "account_id"),
        (lambda: engine.orders.save(Order("o", "acc", wrong, "buy", "limit", 1, 1)), "symbol"),
        (lambda: engine.performance.save(PerformanceMetrics(wrong, "2026-01-01", 1)), "account_id"),
    ):
        with pytest.raises(Invalid, match=field):
            save()
    assert engine.accounts.find_all() == []


@pytest.mark.parametrize("limit", [1.5, -1, 10**20, "5", True, Decimal(5)])
def test_a_limit_is_a_whole_number_not_below_zero(engine, limit):
    for ask in (
        lambda: engine.transactions.find_all(limit), lambda: engine.transactions.find_by_account("acc", limit),
        lambda: engine.transactions.find_by_type("acc", "deposit", limit),
        lambda: engine.transactions.find_by_period("acc", AT, AT, limit), lambda: engine.accounts.get_transaction_history("acc", limit),
        lambda: engine.orders.find_all(limit), lambda: engine.orders.find_by_account("acc", limit), lambda: engine.orders.find_by_status("acc", "filled", limit),
        lambda: engine.orders.find_by_symbol("acc", "BTC/USDT", limit), lambda: engine.orders.get_filled_orders("acc", limit),
    ):  # fmt: skip
        with pytest.raises(Invalid, match="limit is .*; give a whole number from 0"):
            ask()
    with pytest.raises(Invalid, match="days is .*; give a whole number from 1"):
        engine.performance.get_average_metrics("acc", limit)


def test_limits_at_their_ends(engine):
    engine.ledger.post([deposit(1), deposit(2)])
    assert [len(engine.transactions.find_all(limit)) for limit in (0, 1, 2**62, None)] == [0, 1, 2, 2]
    engine.performance.save(PerformanceMetrics("acc", "2026-01-01", 7))
    assert engine.performance.get_average_metrics("acc", 10**9)["total_value_usd"] == 7
    with pytest.raises(Invalid, match="days is 0"):
        engine.performance.get_average_metrics("acc", 0)


@pytest.mark.parametrize("wrong", [date(2026, 1, 1), datetime(2026, 1, 1), "2026-01-01", "yesterday", 5])
def test_a_period_is_between_two_datetimes_with_an_offset(engine, wrong):
    for ask in (
        lambda: engine.transactions.find_by_period("acc", wrong, AT), lambda: engine.transactions.find_by_period("acc", AT, wrong),
        lambda: list(engine.transactions.stream("acc", wrong)), lambda: list(engine.orders.stream("acc", AT, wrong)),
        lambda: engine.orders.get_statistics("acc", wrong),
    ):  # fmt: skip
        with pytest.raises(Invalid, match="offset"):
            ask()


def test_a_day_is_a_date_or_its_text(engine):
    engine.performance.save(PerformanceMetrics("acc", "2026-01-01", 7))
    for day in (date(2026, 1, 1), "2026-01-01"):
        assert engine.performance.exists("acc", day)
        assert engine.performance.find_by_id(("acc", day)).date == date(2026, 1, 1)
        assert len(engine.performance.find_range("acc", day, day)) == 1
    for wrong in (AT, "1.1.2026", 5, None):
        for ask in (
            lambda wrong=wrong: engine.performance.find_by_date("acc", wrong), lambda wrong=wrong: engine.performance.exists("acc", wrong),
            lambda wrong=wrong: engine.performance.delete("acc", wrong), lambda wrong=wrong: engine.performance.find_by_id(("acc", wrong)),
        ):  # fmt: skip
            with pytest.raises(Invalid, match="date is"):
                ask()
    for wrong in ("acc", ("acc",), ("acc", "2026-01-01", 3), None):
        with pytest.raises(Invalid, match=r"the account and the day: find_by_id\(\(account_id, date\)\)"):
            engine.performance.find_by_id(wrong)
    with pytest.raises(Invalid, match="start is"):
        engine.performance.find_range("acc", AT, AT)
    assert engine.performance.delete("acc", "2026-01-01")


#: What any parameter of any method may be given by mistake.
JUNK = [
    None,
    5,
    2.5,
    10**30,
    float("nan"),
    "",
    "a\0b",
    "\ud800",
    b"x",
    object(),
    [],
    {},
    (),
    AT,
    datetime(2026, 1, 1),
    date(2026, 1, 1),
    Decimal("NaN"),
    usdt(1),
]
METHODS = {
    "accounts": {"find_by_id", "find_by_name", "activate", "deactivate", "delete", "exists", "get_transaction_history"},
    "transactions": {
        "find_by_id", "find_all", "exists", "delete", "find_by_account", "find_by_type", "find_by_currency", "find_by_period", "stream", "count",
        "get_sum_by_type", "get_sum_by_currency", "get_sums",
    },
    "orders": {
        "find_by_id", "find_all", "find_by_account", "exists", "delete", "get_pending_orders", "get_filled_orders", "find_by_status", "find_by_symbol",
        "get_fills", "get_statistics", "stream",
    },
    "performance": {
        "find_by_id", "find_by_date", "find_range", "find_all", "stream", "delete", "exists", "get_best_day", "get_worst_day", "get_total_pnl",
        "get_average_metrics",
    },
}  # fmt: skip
GOOD = {
    "account_id": "nobody", "transaction_id": "t", "order_id": "o", "metrics_id": ("nobody", "2026-01-01"), "name": "n", "transaction_type": "deposit",
    "currency": "USDT", "status": "filled", "symbol": "BTC/USDT", "side": "buy", "date": "2026-01-01", "start": AT, "end": AT, "limit": 5, "days": 5,
}  # fmt: skip
DAYS = {"start": "2026-01-01", "end": "2026-01-02"}


@pytest.mark.parametrize(("repository", "method"), [(r, m) for r, methods in METHODS.items() for m in sorted(methods)])
def test_no_question_ends_in_an_error_of_the_driver_or_of_the_language(engine, repository, method):
    ask = getattr(getattr(engine, repository), method)
    names = list(inspect.signature(ask).parameters)
    good = GOOD | (DAYS if repository == "performance" else {})
    for name in names:
        for junk in JUNK:
            try:
                answer = ask(**{n: good[n] for n in names} | {name: junk})
                if method == "stream":
                    list(answer)
            except BooksError:
                continue
