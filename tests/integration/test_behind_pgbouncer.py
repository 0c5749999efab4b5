"""Behind PgBouncer in transaction mode, where nothing of a connection outlives a commit, the books are the same."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest
from books import books, deposit, fill, placed, statuses, void
from postgres.bouncer import bouncer_before

from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.proof import chain
from persistence.server import ServerDatabase
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.options import RollupPlan

pytestmark = pytest.mark.slow

LATER = 1_775_000_000_000_000
WRITERS, BATCHES = 4, 8


@pytest.fixture
def through(postgres_books, short_folder):
    short_folder.chmod(0o755)
    with bouncer_before(postgres_books.url, short_folder, 2) as url:
        yield url


def batch(writer: int, number: int) -> list:
    name = f"{writer}-{number}"
    return [
        deposit(name, account_id=f"a{writer % 2}"), placed(name, order_id=name, account_id=f"a{writer % 2}", quantity="1"),
        fill(name, order_id=name, account_id=f"a{writer % 2}", producer=f"p{writer}", sequence=number), void(name, "deposit", f"d{name}", account_id=f"a{writer % 2}"),
    ]  # fmt: skip


def test_several_writers_share_two_connections_and_leave_the_books_of_one(through, postgres_books):
    with closing(ServerDatabase(through)) as first:
        first.initialize()
    failed: list[BaseException] = []

    def write(writer: int) -> None:
        try:
            with closing(ServerDatabase(through, 1, busy_timeout_ms=30_000)) as database:
                for number in range(BATCHES):
                    assert statuses(Ledger(database).post(batch(writer, number))) == ["applied"] * 4
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed

    with closing(ServerDatabase(through)) as behind, closing(ServerDatabase(postgres_books.url)) as direct, closing(DatabaseManager(":memory:")) as alone:
        alone.initialize()
        for writer in range(WRITERS):
            for number in range(BATCHES):
                Ledger(alone).post(batch(writer, number))
        for database in (behind, alone):
            roll_up_accounts(database, RollupPlan(), LATER)
        chain.seal(behind, LATER)
        assert books(behind) == books(direct) == books(alone)


def test_nothing_that_a_commit_set_stays_for_who_has_the_connection_next(through):
    with closing(ServerDatabase(through, 1, busy_timeout_ms=1_234)) as one, closing(ServerDatabase(through, 1, busy_timeout_ms=4_321)) as other:
        one.initialize()
        for _ in range(6):
            for database, patience in ((one, "1234ms"), (other, "4321ms")):
                with database.transaction() as connection:
                    assert connection.execute("SELECT current_setting('lock_timeout')").get == patience
