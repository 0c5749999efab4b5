"""A real tape of 12,477 trades, by every way in: always the same books, exactly."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import command
import pytest
import redis
from books import books, unexplained
from parts import TAPE, closing, tape_records, wait_until

from jarvis.embedded_broker import running_broker
from jarvis_client import Publisher
from jarvis_client.contract.forms import fact_of
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.domain import Currency, TransactionType
from persistence.proof.books_checks import check_books
from persistence.repositories import SQLiteAccountRepository, SQLiteTransactionRepository

RECORDS = 12_479


def assert_exact(database: DatabaseManager) -> None:
    """The figures that the venue's own tape adds up to."""
    transactions = SQLiteTransactionRepository(database)
    balance = SQLiteAccountRepository(database).find_by_id("acc_tape").balance
    assert transactions.count("acc_tape") == 37_433
    assert balance.total(Currency.XRP).amount == 5_867_601
    assert balance.total(Currency.ETH).amount == Decimal("3691.96857368211")
    assert transactions.get_sum_by_type("acc_tape", TransactionType.FEE, Currency.ETH).amount == Decimal("8.18256026789")
    assert unexplained(database) == []


def jarvis(folder: Path, *arguments: str, check: int = 0) -> subprocess.CompletedProcess[str]:
    return command.Jarvis(folder, JARVIS_DATABASE__PATH=str(folder / "books.db"))(*arguments, code=check)


@contextmanager
def up(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`jarvis up` over a folder, as an operator runs it; drained at the end."""
    environment = {**os.environ, "JARVIS_DATABASE__PATH": str(folder / "books.db")}
    daemon = subprocess.Popen([sys.executable, "-m", "jarvis", "up"], env=environment, cwd=folder, stderr=(folder / "log").open("wb"))
    try:
        wait_until(lambda: "recording" in (folder / "log").read_text(), "jarvis up says that it records", 30)
        yield daemon
    finally:
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60) == 0, (folder / "log").read_text()[-3000:]


def kill_a_worker(folder: Path) -> None:
    """SIGKILL whichever worker runs over the folder; one that was killed before may just be coming back."""
    found: list[int] = []
    wait_until(lambda: found.extend(worker_pids(folder)) or found, "a worker runs")
    os.kill(found[0], signal.SIGKILL)


def worker_pids(folder: Path) -> Iterator[int]:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if b"worker" in arguments and b"jarvis" in arguments and str(folder).encode() in environment:
            yield int(pid)


def recorded(database: DatabaseManager) -> int:
    return database.execute_query("SELECT coalesce(max(fact_no), 0) FROM facts")[0][0]


def nothing_is_left_in(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        return not [k for k in client.keys("dramatiq:*") if not k.startswith((b"dramatiq:__heartbeats__", b"dramatiq:__alive__", b"dramatiq:__jarvis__."))]


def test_imported_it_gives_the_exact_figures_and_again_only_duplicates(tmp_path):
    first = jarvis(tmp_path, "import", str(TAPE))
    assert "12,479 applied, 0 duplicates, 0 quarantined" in first.stderr
    again = jarvis(tmp_path, "import", str(TAPE))
    assert "0 applied, 12,479 duplicates, 0 quarantined" in again.stderr
    with closing(DatabaseManager(tmp_path / "books.db")) as database:
        assert_exact(database)
    assert "no findings" in jarvis(tmp_path, "db", "check").stderr


def test_shuffled_it_gives_byte_identical_exports(tmp_path):
    facts = [fact_of(kind, record) for kind, record in tape_records()]
    shuffled = facts + random.Random(1).choices(facts, k=500)
    random.Random(2).shuffle(shuffled)

    with closing(DatabaseManager(tmp_path / "a.db")) as straight, closing(DatabaseManager(tmp_path / "b.db")) as mixed:
        Ledger(straight).post(facts)
        for n in range(0, len(shuffled), 777):
            Ledger(mixed).post(shuffled[n : n + 777])
        assert_exact(mixed)
        assert books(straight) == books(mixed)


def test_published_to_a_running_daemon_it_gives_the_same_figures_and_leaves_nothing_in_redis(short_folder):
    with up(short_folder), closing(DatabaseManager(short_folder / "books.db")) as database:
        published = jarvis(short_folder, "publish", str(TAPE))
        assert "published 12,479 records" in published.stderr
        wait_until(lambda: recorded(database) >= RECORDS, "all of it is recorded", 60)
        assert_exact(database)
        wait_until(lambda: nothing_is_left_in(running_broker(short_folder)), "Redis holds nothing")

        second = jarvis(short_folder, "up", check=4)
        assert "held by `jarvis up`, since" in second.stderr
    assert check_database(short_folder) == []
    assert "12,479 applied" in (short_folder / "log").read_text()


@pytest.mark.on_disk
def test_a_worker_killed_in_the_middle_of_it_loses_and_doubles_nothing(short_folder):
    with up(short_folder), closing(DatabaseManager(short_folder / "books.db")) as database:
        url = running_broker(short_folder)
        Publisher(url).publish_many(tape_records())
        for part in (500, 6_000):
            wait_until(lambda part=part: recorded(database) >= part, f"{part} are recorded", 60)
            kill_a_worker(short_folder)

        wait_until(lambda: recorded(database) >= RECORDS, "its successor has recorded the rest", 60)
        wait_until(lambda: nothing_is_left_in(url), "Redis holds nothing")
        assert_exact(database)
    assert check_database(short_folder) == []


def check_database(folder: Path) -> list:
    with closing(DatabaseManager(folder / "books.db")) as database:
        return check_books(database)


@pytest.mark.on_disk
@pytest.mark.slow
def test_a_broker_killed_in_the_middle_of_it_comes_back_with_all_that_it_accepted(short_folder):
    with up(short_folder), closing(DatabaseManager(short_folder / "books.db")) as database:
        url = running_broker(short_folder)
        records = tape_records()
        Publisher(url).publish_many(records[:8_000])
        wait_until(lambda: recorded(database) >= 1_000, "some are recorded", 60)
        with redis.Redis.from_url(url) as client:
            os.kill(client.info("server")["process_id"], signal.SIGKILL)
        wait_until(lambda: running_broker(short_folder) is None, "it is gone")
        wait_until(lambda: running_broker(short_folder) is not None, "it is back", 60)
        Publisher(url).publish_many(records[8_000:])
        wait_until(lambda: recorded(database) >= RECORDS, "all of it is recorded", 60)
        assert_exact(database)


@pytest.mark.on_disk
def test_two_worker_processes_on_one_database_give_the_same_books(short_folder, monkeypatch):
    monkeypatch.setenv("JARVIS_WORKER__PROCESSES", "2")
    with up(short_folder), closing(DatabaseManager(short_folder / "books.db")) as database:
        url = running_broker(short_folder)
        Publisher(url).publish_many(tape_records())
        wait_until(lambda: recorded(database) >= 1_000, "some are recorded", 60)
        kill_a_worker(short_folder)
        wait_until(lambda: recorded(database) >= RECORDS, "all of it is recorded", 60)
        wait_until(lambda: nothing_is_left_in(url), "Redis holds nothing")
        assert_exact(database)
    assert sorted(p.name for p in short_folder.glob("worker-*.lock")) == ["worker-worker-1.lock", "worker-worker-2.lock"]
    assert check_database(short_folder) == []
