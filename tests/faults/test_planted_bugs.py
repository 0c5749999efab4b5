"""Mistakes planted one by one: each is caught by a check that passes without it."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from books import NEW_YEAR, deposit, fill

from jarvis_client.contract.errors import BooksError
from jarvis_client.contract.outcome import Refusal
from persistence.books import movements, quarantine
from persistence.books.ledger import Ledger
from persistence.copies import backups, retention
from persistence.database import DatabaseManager
from persistence.domain.errors import Damaged, LostCommits
from persistence.engine.sqlite import database as engine
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.proof.books_checks import check_books
from workers.batching import BatchWriter, Submission

pytestmark = pytest.mark.on_disk


def a_backup_holds_what_was_committed(books: DatabaseManager, folder: Path) -> None:
    """Its last commit is still in the WAL."""
    Ledger(books).post([deposit("last")])
    made = backups.create(books, folder / "backups", NEW_YEAR)
    backups.verify(made)
    with backups.opened(made, folder) as plain:
        copy = DatabaseManager(plain, wal_mode=False)
        assert copy.execute_query("SELECT count(*) FROM facts")[0][0] == books.execute_query("SELECT count(*) FROM facts")[0][0]
        copy.close()


def a_clock_that_jumps_costs_no_proved_backup(_books: DatabaseManager, _folder: Path) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    kept = [SimpleNamespace(taken_at=start + timedelta(days=n), proved=True, reach=(n,)) for n in range(20)]
    assert len(retention.expired(kept, start + timedelta(days=20 + 35), 30)) <= 2
    assert retention.expired(kept[:7], start + timedelta(days=999), 30) == []


def sums_are_exact(books: DatabaseManager, _folder: Path) -> None:
    ledger = Ledger(books)
    for n in range(30):
        ledger.post([deposit(n, amount="0.1"), deposit(f"x{n}", amount="1000000000000000.01")])
    assert check_books(books) == []


def a_writer_that_hangs_is_told(_books: DatabaseManager, _folder: Path) -> None:
    now = [0.0]
    writer = BatchWriter(SimpleNamespace(post=lambda items, raw_of=None: []), lambda deliveries: None, lambda deliveries: None, clock=lambda: now[0])
    writer.submit(Submission([deposit()], object(), lambda n: b""))
    for _ in range(100):
        now[0] += 1
        still = writer.still_for()
    assert still > 60


def what_can_not_be_applied_is_kept(books: DatabaseManager, _folder: Path) -> None:
    outcomes = Ledger(books).post([Refusal(b"bad", "malformed", "no")])
    assert [o.status for o in outcomes] == ["quarantined"]
    assert [bytes(row[0]) for row in books.execute_query("SELECT raw FROM quarantine")] == [b"bad"]


def a_lost_log_is_refused(books: DatabaseManager, folder: Path) -> None:
    Ledger(books).post([deposit("in the log")])
    (folder / "crash").mkdir()
    for suffix in ("", "-mark"):
        shutil.copy(f"{books.path}{suffix}", folder / "crash" / f"b.db{suffix}")
    crashed = DatabaseManager(folder / "crash" / "b.db")
    with pytest.raises((LostCommits, Damaged)):
        crashed.initialize()


def a_flipped_bit_is_no_answer(books: DatabaseManager, _folder: Path) -> None:
    Ledger(books).post([fill(n, order_id=f"o{n}") for n in range(100)])
    [page] = books.execute_query("SELECT pageno FROM dbstat WHERE name = 'fills' AND pagetype = 'leaf' LIMIT 1")[0]
    books.close()
    content = bytearray(Path(books.path).read_bytes())
    content[content.index(b"BTC/USDT", (page - 1) * 4096)] ^= 1
    Path(books.path).write_bytes(content)
    with pytest.raises(Damaged):
        DatabaseManager(books.path).execute_query("SELECT * FROM fills NOT INDEXED")


def a_backup_that_is_not_what_was_copied_is_none(books: DatabaseManager, folder: Path) -> None:
    wrong = SQLiteDatabase.copy_with

    def damaging(self, target, observe):
        seen = wrong(self, target, observe)
        other = DatabaseManager(target, wal_mode=False)
        other.execute_update("UPDATE accounts SET name = 'another'")
        other.close()
        return seen

    SQLiteDatabase.copy_with = damaging
    try:
        with pytest.raises(BooksError):
            backups.create(books, folder / "backups", NEW_YEAR)
    finally:
        SQLiteDatabase.copy_with = wrong


def copied_as_a_file(connection, target, *, check=True):
    shutil.copy(connection.filename, target)


def floating(a, b):
    return Decimal(float(a) + float(b))


#: name → (the check, what the mistake patches)
BUGS = {
    "backup by file copy": (a_backup_holds_what_was_committed, [(engine, "copy_to", copied_as_a_file)]),
    "retention by age alone": (a_clock_that_jumps_costs_no_proved_backup, [(retention, "KEPT_AT_LEAST", 0), (retention, "REMOVED_AT_MOST", 10**6)]),
    "money in floats": (sums_are_exact, [(movements, "_add", floating)]),
    "a watchdog that is not tied to progress": (a_writer_that_hangs_is_told, [(BatchWriter, "still_for", lambda self: 0.0)]),
    "dead letters that are dropped": (what_can_not_be_applied_is_kept, [(quarantine, "hold", lambda *a: True)]),
    "no mark of what was durable": (a_lost_log_is_refused, [(engine, "refuse_lost_commits", lambda *a: None)]),
    "pages without checksums": (a_flipped_bit_is_no_answer, [(SQLiteDatabase, "_reserve", 0)]),
    "a proof that does not look": (a_backup_that_is_not_what_was_copied_is_none, [(backups, "prove", lambda path, manifest, scratch, progress: path)]),
}


@pytest.mark.parametrize("bug", BUGS)
def test_each_is_caught(bug, tmp_path):
    check, patches = BUGS[bug]

    def fresh(name: str) -> DatabaseManager:
        (tmp_path / name).mkdir()
        manager = DatabaseManager(tmp_path / name / "books.db")
        manager.initialize()
        Ledger(manager).post([deposit("first")])
        return manager

    sound = fresh("sound")
    check(sound, tmp_path / "sound")
    sound.close()
    with pytest.MonkeyPatch.context() as patch:
        for owner, name, wrong in patches:
            patch.setattr(owner, name, wrong)
        planted = fresh("planted")
        with pytest.raises((AssertionError, BooksError, pytest.fail.Exception)):
            check(planted, tmp_path / "planted")
        planted.close()
