"""Several hosts write to one PostgreSQL: every race that was found, staged by row locks and not by time, and what each does without its fix.

Two hosts are two databases over one schema. The first has a commit under way, the second does something meanwhile, until it has ended
or waits for the first; then the first ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import date
from typing import Any, NamedTuple

import psycopg
import pytest
from books import NEW_YEAR, books, deposit, exported, fill, placed, rate, snapshot, statuses, void
from parts import wait_until

from jarvis_client.contract.errors import Unavailable
from jarvis_client.contract.outcome import Outcome, Reason, Refusal
from persistence.books.account_history import AccountBooks
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.domain.errors import CommitUnknown, Overtaken
from persistence.engine.postgres import database as engine
from persistence.engine.postgres.connect import DIALECT, PostgresConnection
from persistence.engine.postgres.pool import ConnectionPool
from persistence.proof import chain
from persistence.proof.books_checks import voids_count
from persistence.proof.chain_checks import check_chain
from persistence.repositories.job_runs import SQLiteJobRunRepository
from persistence.server import ServerDatabase
from scheduler.rollup.account import roll_up
from scheduler.rollup.options import RollupOptions

pytestmark = pytest.mark.slow

DAY = 86_400_000_000
LATER = NEW_YEAR + 40 * DAY
UNTIL = date(2026, 1, 5)


class Hosts:
    """Two hosts, and somebody who sees who waits."""

    def __init__(self, url: str, ended: ExitStack) -> None:
        self.url = url
        self.first, self.second = (ended.enter_context(closing(ServerDatabase(url, busy_timeout_ms=20_000))) for _ in range(2))
        self._watching = ended.enter_context(psycopg.connect(url, autocommit=True))

    def deadlocks(self) -> int:
        return self._asked("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")

    def waiting(self) -> int:
        return self._asked("SELECT count(*) FROM pg_stat_activity WHERE usename = current_user AND wait_event_type = 'Lock'")

    def meanwhile(self, act: Callable[[], Any]) -> Future[Any]:
        """Something of another host, which has ended or waits when this returns."""
        done: Future[Any] = Future()
        before = self.waiting()

        def run() -> None:
            try:
                done.set_result(act())
            except BaseException as error:
                done.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        wait_until(lambda: done.done() or self.waiting() > before, "it has ended or waits")
        return done

    def _asked(self, sql: str) -> int:
        found = self._watching.execute(sql).fetchone()
        assert found is not None
        return int(found[0])


@pytest.fixture
def hosts(postgres_books) -> Iterator[Hosts]:
    with ExitStack() as ended:
        with closing(ServerDatabase(postgres_books.url)) as database:
            database.initialize()
        yield Hosts(postgres_books.url, ended)


def post(database: ServerDatabase, *facts: Any) -> list[str]:
    return statuses(Ledger(database).post(list(facts), lambda i: f"raw {facts[i]}".encode()))


@contextmanager
def under_way(database: ServerDatabase, *facts: Any) -> Iterator[None]:
    """A commit of these facts that ends with the block."""
    with database.transaction():
        assert post(database, *facts) == ["applied"] * len(facts)
        yield


def figures(database: ServerDatabase, *, rebuild: bool = False) -> str:
    roll_up(database, "acc", RollupOptions(), UNTIL, now=LATER, rebuild=rebuild)
    return exported(database, "performance")


# -- the races: each says what is wrong in the end, nothing where all is right ------------------------------------------


def a_void_meets_its_target(hosts: Hosts) -> list[str]:
    post(hosts.first, deposit(1))
    with under_way(hosts.first, deposit(2, amount="77")):
        voided = hosts.meanwhile(lambda: post(hosts.second, void(1, "deposit", "d2")))
    voided.result(20)
    with hosts.first.snapshot() as connection:
        wrong = [finding.check for finding in voids_count(connection)]
    [(available,)] = hosts.first.execute_query("SELECT available FROM balances WHERE currency = 'USDT'")
    return wrong + ([] if available == "1000" else [f"balance {available}"])


def a_void_meets_its_target_in_a_new_account(hosts: Hosts) -> list[str]:
    with under_way(hosts.first, deposit(2, amount="77")):
        voided = hosts.meanwhile(lambda: post(hosts.second, void(1, "deposit", "d2")))
    voided.result(20)
    found = hosts.first.execute_query("SELECT available FROM balances WHERE currency = 'USDT'")
    return [] if found == [("0",)] else [f"balance {found}"]


def two_fills_of_one_order(hosts: Hosts) -> list[str]:
    post(hosts.first, deposit(1), placed(1, quantity="3"))
    with under_way(hosts.first, fill(1, quantity="1")):
        second = hosts.meanwhile(lambda: post(hosts.second, fill(2, quantity="2")))
    second.result(20)
    found = hosts.first.execute_query("SELECT status, filled FROM orders")
    return [] if found == [("filled", "3")] else [f"order {found}"]


def a_deposit_commits_after_a_higher_number(hosts: Hosts) -> list[str]:
    post(hosts.first, deposit(1), snapshot(1, total_value_usd="1000", observed_at=NEW_YEAR + DAY // 2))
    post(hosts.first, snapshot(2, total_value_usd="1500", observed_at=NEW_YEAR + DAY + DAY // 2))
    with under_way(hosts.first, deposit(2, amount="400", occurred_at=NEW_YEAR + DAY)):
        post(hosts.second, deposit(3, account_id="other"))
        rolled = hosts.meanwhile(lambda: figures(hosts.second))
    rolled.result(20)
    after, anew = figures(hosts.first), figures(hosts.first, rebuild=True)
    return [] if after == anew else ["a deposit was never rolled up"]


def a_rate_commits_after_a_higher_number(hosts: Hosts) -> list[str]:
    post(hosts.first, deposit(1, currency="BTC", amount="1"), rate(1, usd_rate="50000", observed_at=NEW_YEAR))
    figures(hosts.first)
    with under_way(hosts.first, rate(2, usd_rate="60000", observed_at=NEW_YEAR + DAY // 2)):
        another = hosts.meanwhile(lambda: post(hosts.second, rate(3, usd_rate="70000", observed_at=NEW_YEAR + 2 * DAY)))
        rolled = hosts.meanwhile(lambda: figures(hosts.second))
    another.result(20), rolled.result(20)
    after, anew = figures(hosts.first), figures(hosts.first, rebuild=True)
    return [] if after == anew else ["a rate was never looked at"]


def the_chain_is_sealed_over_an_open_commit(hosts: Hosts) -> list[str]:
    with under_way(hosts.first, deposit(1)):
        post(hosts.second, deposit(1, account_id="other"))
        sealed = hosts.meanwhile(lambda: chain.seal(hosts.second, LATER))
    sealed.result(20)
    chain.seal(hosts.first, LATER)
    with hosts.first.snapshot() as connection:
        wrong = [f"{finding.expected}, {finding.found}" for finding in check_chain(connection)]
        sealed_to = chain.newest(connection).facts_to
    numbers = [n for (n,) in hosts.first.execute_query("SELECT fact_no FROM facts ORDER BY fact_no")]
    return wrong + ([] if sealed_to == numbers[-1] else [f"sealed to {sealed_to} of {numbers}"])


def two_schedulers_claim_one_job(hosts: Hosts) -> list[str]:
    with hosts.first.transaction():
        one = SQLiteJobRunRepository(hosts.first).claim("backup", NEW_YEAR, "a", LATER)
        other = hosts.meanwhile(lambda: SQLiteJobRunRepository(hosts.second).claim("backup", NEW_YEAR + DAY, "b", LATER))
    return [] if [one, other.result(20)] == [True, False] else ["a job runs twice"]


def two_requests_of_one_job(hosts: Hosts) -> list[str]:
    with hosts.first.transaction():
        SQLiteJobRunRepository(hosts.first).request("backup", NEW_YEAR)
        other = hosts.meanwhile(lambda: SQLiteJobRunRepository(hosts.second).request("backup", NEW_YEAR))
    try:
        other.result(20)
    except Overtaken as error:
        return [str(error)]
    return [] if hosts.first.execute_query("SELECT count(*) FROM job_runs") == [(2,)] else ["a request is gone"]


def two_hosts_note_numbers_of_one_producer(hosts: Hosts) -> list[str]:
    post(hosts.first, deposit(1, producer="engine", sequence=1))
    with under_way(hosts.first, deposit(2, account_id="other", producer="engine", sequence=3)):
        others = hosts.meanwhile(lambda: post(hosts.second, deposit(3, account_id="third", producer="engine", sequence=2)))
    others.result(20)
    gaps = hosts.first.execute_query("SELECT first, last FROM gaps ORDER BY first")
    return [f"{gap} is missing, and arrived" for gap in gaps]


class Race(NamedTuple):
    run: Callable[[Hosts], list[str]]
    #: Takes away what keeps it right.
    without_fix: Callable[[pytest.MonkeyPatch], None]


def _no_rows_held(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PostgresConnection, "dialect", DIALECT._replace(held=""))


def _watermark_of_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AccountBooks, "newest_fact_no", lambda self: int(self._connection.execute("SELECT coalesce(max(fact_no), 0) FROM facts").get))


def _nothing_held(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PostgresConnection, "hold", lambda self, name: None)


def _seal_beside_others(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(engine, "BEGIN_ALONE", engine.BEGIN)


RACES = {
    "a void meets its target": Race(a_void_meets_its_target, _no_rows_held),
    "two fills of one order": Race(two_fills_of_one_order, _no_rows_held),
    "a deposit commits after a higher number": Race(a_deposit_commits_after_a_higher_number, _watermark_of_all),
    "a rate commits after a higher number": Race(a_rate_commits_after_a_higher_number, _nothing_held),
    "the chain is sealed over an open commit": Race(the_chain_is_sealed_over_an_open_commit, _seal_beside_others),
    "two schedulers claim one job": Race(two_schedulers_claim_one_job, _nothing_held),
    "two requests of one job": Race(two_requests_of_one_job, _nothing_held),
    "two hosts note numbers of one producer": Race(two_hosts_note_numbers_of_one_producer, _no_rows_held),
}


@pytest.mark.parametrize("name", RACES)
def test_the_race_ends_right(hosts, name):
    assert RACES[name].run(hosts) == []


@pytest.mark.parametrize("name", RACES)
def test_without_its_fix_the_race_would_end_wrong(hosts, name, monkeypatch):
    RACES[name].without_fix(monkeypatch)
    assert RACES[name].run(hosts) != []


# -- races that leave nothing wrong, because the batch runs again --------------------------------------------------------


def refused(text: str) -> Refusal:
    return Refusal(text.encode(), Reason.MALFORMED, text)


def test_batches_that_name_accounts_in_opposite_order_wait_for_each_other_and_never_in_a_circle(hosts):
    post(hosts.first, deposit(1, account_id="a"), deposit(1, account_id="b"))
    before = hosts.deadlocks()
    with under_way(hosts.first, deposit(2, account_id="a")):
        one = hosts.meanwhile(lambda: post(hosts.second, deposit(3, account_id="a"), deposit(3, account_id="b")))
        other = hosts.meanwhile(lambda: post(hosts.second, deposit(4, account_id="b"), deposit(4, account_id="a")))
    assert one.result(20) == other.result(20) == ["applied"] * 2
    assert hosts.deadlocks() == before


def test_batches_that_note_producers_in_opposite_order_never_wait_in_a_circle(hosts):
    before = hosts.deadlocks()
    for database, names in ((hosts.first, "xy"), (hosts.second, "yx")):
        post(database, *[deposit(f"{names}{n}", account_id=names, producer=n, sequence=1) for n in names])
    with under_way(hosts.first, deposit(1, account_id="xy", producer="x", sequence=2), deposit(2, account_id="xy", producer="y", sequence=2)):
        facts = deposit(3, account_id="yx", producer="y", sequence=3), deposit(4, account_id="yx", producer="x", sequence=3)
        other = hosts.meanwhile(lambda: post(hosts.second, *facts))
    assert other.result(20) == ["applied"] * 2
    assert hosts.deadlocks() == before


def test_the_same_refused_bytes_on_two_hosts_are_held_once_and_counted_twice(hosts):
    with hosts.first.transaction():
        Ledger(hosts.first).post([refused("{")])
        other = hosts.meanwhile(lambda: Ledger(hosts.second).post([refused("{")]))
    assert other.result(20) == [Outcome("duplicate", "malformed", "{")]
    assert hosts.first.execute_query("SELECT deliveries FROM quarantine") == [(2,)]


def test_refusals_in_opposite_order_may_meet_in_a_circle_and_all_of_them_are_held(hosts):
    with hosts.first.transaction():
        Ledger(hosts.first).post([refused("one")])
        other = hosts.meanwhile(lambda: Ledger(hosts.second).post([deposit(1), refused("two"), refused("one")]))
        # The server ends one of the two. Where it is the second, that one posts again; where it is this, the operator's next try does.
        with suppress(Overtaken):
            Ledger(hosts.first).post([refused("two")])
    assert statuses(other.result(20))[0] == "applied"
    Ledger(hosts.first).post([refused("one"), refused("two")])
    assert {n for (n,) in hosts.first.execute_query("SELECT count(*) FROM quarantine")} == {2}


def test_the_same_fact_on_two_hosts_is_applied_once(hosts):
    with under_way(hosts.first, deposit(1)):
        other = hosts.meanwhile(lambda: post(hosts.second, deposit(1), deposit(2)))
    assert other.result(20) == ["duplicate", "applied"]


def test_a_fact_that_another_host_records_otherwise_is_a_conflict_as_ever(hosts):
    with under_way(hosts.first, deposit(1)):
        other = hosts.meanwhile(lambda: post(hosts.second, deposit(1, amount="999")))
    assert other.result(20) == ["quarantined"]


def test_one_identity_of_two_accounts_on_two_hosts_is_told_apart(hosts):
    with under_way(hosts.first, deposit(1)):
        other = hosts.meanwhile(lambda: post(hosts.second, deposit(1, account_id="other")))
    with closing(DatabaseManager(":memory:")) as alone:
        alone.initialize()
        post(alone, deposit(1))
        assert other.result(20) == post(alone, deposit(1, account_id="other"))


def test_good_facts_are_never_refused_because_another_host_was_faster(hosts, monkeypatch):
    """Numbers that two commits may both take: what a sequence is there against. Even so nothing but the number is wrong."""

    def highest(self: PostgresConnection, count: int) -> range:
        first = int(self.execute("SELECT coalesce(max(fact_no), 0) + 1 FROM facts").get)
        return range(first, first + count)

    monkeypatch.setattr(PostgresConnection, "fact_numbers", highest)
    with under_way(hosts.first, deposit(1)):
        other = hosts.meanwhile(lambda: post(hosts.second, deposit(1, account_id="other"), fill(1, account_id="other")))
    assert other.result(20) == ["applied"] * 2
    assert hosts.first.execute_query("SELECT count(*) FROM quarantine") == [(0,)]


def test_commits_of_different_accounts_do_not_wait_for_each_other(hosts):
    post(hosts.first, deposit(1), deposit(1, account_id="other"))
    with under_way(hosts.first, deposit(2)):
        assert hosts.meanwhile(lambda: post(hosts.second, deposit(2, account_id="other"))).done()


@pytest.mark.parametrize("reading", [False, True], ids=["a commit", "a snapshot"])
def test_who_opens_the_books_while_another_thread_does_has_a_commit_of_its_own(hosts, monkeypatch, reading):
    """Each statement was a commit of its own once, where the other thread had looked at the books in between."""
    begun = ConnectionPool._begun

    def overtaken_by_another_thread(self: ConnectionPool, *how: Any) -> PostgresConnection:
        connection = begun(self, *how)
        self._looked_at = True
        return connection

    monkeypatch.setattr(ConnectionPool, "_begun", overtaken_by_another_thread)
    with hosts.first.snapshot() if reading else hosts.first.transaction() as connection:
        assert connection.execute("SELECT now()").get == connection.execute("SELECT now()").get, "the instant of one transaction"
    if not reading:
        with pytest.raises(ZeroDivisionError), hosts.second.transaction():
            Ledger(hosts.second).post([deposit(1)])
            raise ZeroDivisionError
        assert hosts.first.execute_query("SELECT count(*) FROM facts") == [(0,)]


@pytest.mark.parametrize("arrived", [True, False], ids=["the answer was lost", "COMMIT was lost"])
def test_a_lost_commit_is_settled_by_posting_again(hosts, monkeypatch, arrived):
    run, lost = PostgresConnection.run, []

    def losing(self: PostgresConnection, text: str, bound: Any) -> Any:
        if text == "COMMIT" and not lost:
            lost.append(run(self, text, bound) if arrived else None)
            self.close()
        return run(self, text, bound)

    monkeypatch.setattr(PostgresConnection, "run", losing)
    facts = [deposit(1), fill(1), void(1, "fill", "f1")]
    with pytest.raises(CommitUnknown):
        post(hosts.first, *facts)
    assert post(hosts.first, *facts) == (["duplicate"] if arrived else ["applied"]) * 3
    with closing(DatabaseManager(":memory:")) as undisturbed:
        undisturbed.initialize()
        post(undisturbed, *facts)
        assert books(hosts.first) == books(undisturbed)


def test_a_connection_that_is_cut_over_a_commit_leaves_nothing_half_done(hosts):
    with pytest.raises((CommitUnknown, Unavailable)), under_way(hosts.first, deposit(1)), psycopg.connect(hosts.url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND state = 'idle in transaction'")
    assert post(hosts.first, deposit(1)) == ["applied"]
