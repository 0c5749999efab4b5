"""Many writers on one PostgreSQL: whatever meets whatever, the books are those of one writer alone."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from books import NEW_YEAR, SECOND, books, deposit, ended, fee, fill, placed, rate, snapshot, unexplained, void
from postgres import Books

from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.proof import chain
from persistence.proof.books_checks import check_books
from persistence.proof.chain_checks import check_chain
from persistence.server import ServerDatabase
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.options import RollupPlan
from scheduler.rollup_checks import check_rollups

pytestmark = pytest.mark.slow

ACCOUNTS = ("a", "b", "c")
DAY = 86_400 * SECOND
LATER = NEW_YEAR + 20 * DAY


@pytest.fixture
def server(postgres_books: Books, tmp_path: Path) -> Iterator[Callable[[], ServerDatabase]]:
    """Opens the same books once more, as a process of its own would."""
    opened: list[ServerDatabase] = []

    def another() -> ServerDatabase:
        opened.append(ServerDatabase(postgres_books.url, durable=False, folder=tmp_path / "server", busy_timeout_ms=20_000))
        return opened[-1]

    another().initialize()
    yield another
    for database in opened:
        database.close()


def stream(seed: int) -> list[Any]:
    """Facts of three accounts by two producers: orders that share fills, voids before and after what they name, fees, rates, everything twice."""
    chance = random.Random(seed)
    found: list[Any] = []
    for n in range(120):
        account, at = ACCOUNTS[n % 3], NEW_YEAR + (n % 12) * DAY + n * SECOND
        of = {"account_id": account, "occurred_at": at, "producer": "p", "sequence": n}
        found += [
            fill(
                n,
                account_id=account,
                order_id=f"o{n // 6}",
                executed_at=at,
                side=chance.choice(("buy", "sell")),
                price=str(90 + n % 20),
                producer="q",
                sequence=n,
            ),
            deposit(n, **of),
        ]
        if n % 6 == 0:
            found.append(placed(n, account_id=account, order_id=f"o{n // 6}", occurred_at=at))
        if n % 7 == 0:
            found.append(void(n, "fill", f"f{n}", account_id=account, occurred_at=at))
        if n % 11 == 0:
            found.append(ended(n, account_id=account, order_id=f"o{n // 6}", occurred_at=at))
            found.append(fee(n, account_id=account, fill_id=f"f{n}", occurred_at=at))
        if n % 5 == 0:
            found.append(rate(n, observed_at=at))
            found.append(snapshot(n, account_id=account, observed_at=at + 1))
    found *= 2
    chance.shuffle(found)
    return found


def in_batches(facts: list[Any], size: int) -> list[list[Any]]:
    return [facts[n : n + size] for n in range(0, len(facts), size)]


def at_once(*works: Callable[[], None]) -> None:
    """Run all of it side by side, and raise what any of it raised."""
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for failure in failures:
        raise failure


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_many_writers_record_beside_rollups_and_seals_is_what_one_alone_records(server, tmp_path, seed):
    facts, plan = stream(seed), RollupPlan()

    def writes(share: list[list[Any]]) -> Callable[[], None]:
        ledger = Ledger(server())
        return lambda: [ledger.post(batch) for batch in share] and None

    def rolls_and_seals() -> None:
        database = server()
        for _ in range(6):
            roll_up_accounts(database, plan, LATER)
            chain.seal(database, LATER)

    batches = in_batches(facts, 9)
    at_once(*(writes(batches[n::4]) for n in range(4)), rolls_and_seals)

    together = server()
    roll_up_accounts(together, plan, LATER)
    chain.seal(together, LATER)
    with closing(DatabaseManager(tmp_path / "alone.db", durable=False)) as alone:
        alone.initialize()
        Ledger(alone).post(facts)
        roll_up_accounts(alone, plan, LATER)
        assert books(together) == books(alone)
    assert unexplained(together) == []
    assert check_books(together) == []
    assert list(check_rollups(together, plan)) == []
    with together.snapshot() as connection:
        assert list(check_chain(connection)) == []
        assert connection.execute("SELECT count(*) FROM quarantine").get == 0
    # What is copied out is the same again.
    with together.copied(tmp_path) as copy:
        assert check_books(copy) == []
        assert books(copy) == books(together)
