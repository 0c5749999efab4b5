"""Checks that two processes share find what one alone does; and long operations tell how far they are."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from books import deposit, fill, placed, snapshot, void

from jarvis_client.contract import instants
from persistence import beside
from persistence.copies import backups
from persistence.copies.restoring import restore_copy
from persistence.domain.errors import WrongDatabase
from persistence.engine.sqlite.salvage import salvage
from persistence.proof import chain
from persistence.proof.books_checks import check_books
from scheduler import rebuild
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.options import RollupOptions, RollupPlan
from scheduler.verification import Depth, check_rebuild, verify, verify_chain

PLAN = RollupPlan(RollupOptions())
#: An hour ahead of when this is read, since a run takes minutes until a test begins.
NOW = instants.now() + 3_600_000_000
DAY = 86_400_000_000


@pytest.fixture
def kept(database, ledger):
    ledger.post([deposit(), placed(), fill(1), fill(2, order_id="o2"), fill(3, order_id="o2"), snapshot(1), void(1, "fill", "f1")])
    roll_up_accounts(database, PLAN, NOW)
    chain.seal(database, NOW)
    return database


@pytest.fixture
def by_two(monkeypatch) -> Callable[[], int]:
    """From the call on every file is worth a second process; returns how many were started since."""
    count = [0]
    companion = beside.Companion

    def counted():
        count[0] += 1
        return companion()

    def begin() -> int:
        monkeypatch.setattr(beside, "WORTH_BYTES", 0)
        monkeypatch.setattr(beside, "cores", lambda: 2)
        monkeypatch.setattr(beside, "Companion", counted)
        return count[0]

    return begin


DAMAGE = [
    "UPDATE transaction_totals SET amount = '1' WHERE type = 'deposit'",
    "DELETE FROM transactions WHERE transaction_no & 15 = 3",
    "UPDATE orders SET cash = '7' WHERE order_id = 'o2'",
    "DELETE FROM fills WHERE fill_id = 'f2'",
    "UPDATE fills SET price = '101' WHERE fill_id = 'f2'",
    "UPDATE fills SET fee_usd_rate = '' WHERE fill_id = 'f2'",
    "UPDATE fills SET instrument = 'ETH/USDT' WHERE fill_id = 'f3'",
    "UPDATE facts SET digest = zeroblob(32) WHERE kind = 'fill'",
    "UPDATE facts SET record_id = 'another' WHERE record_id = 'f2'",
]


#: Some of it in `make test`: a process beside this one is started for each.
@pytest.mark.parametrize("sql", [sql if n % 4 == 0 else pytest.param(sql, marks=pytest.mark.slow) for n, sql in enumerate(DAMAGE)])
def test_two_find_what_one_finds(kept, by_two, tmp_path, sql):
    kept.execute_update(sql)

    def found() -> list:
        return [sorted(map(str, of)) for of in (*(verify(kept, PLAN, NOW, None, depth=depth) for depth in (Depth.USUAL, Depth.FULL)), check_books(kept))]

    alone = found()
    by_two()
    assert found() == alone
    assert all(alone)
    assert by_two() == 3


def test_a_number_that_is_written_in_another_way_is_the_same_number(kept):
    kept.execute_update("UPDATE fills SET fee = '0.10' WHERE fill_id = 'f2'")
    assert (check_books(kept), verify(kept, PLAN, NOW, None, depth=Depth.FULL)) == ([], [])


def test_what_the_second_process_finds_in_a_copy_fails_the_proof_of_a_backup(kept, by_two, tmp_path):
    by_two()
    sound = backups.create(kept, tmp_path / "backups", NOW - DAY)
    backups.verify(sound)
    kept.execute_update("DELETE FROM transactions WHERE transaction_no & 15 = 3")
    with pytest.raises(backups.BackupFailed, match="transactions follow from their facts"):
        backups.create(kept, tmp_path / "backups", NOW)
    damaged = next((tmp_path / "backups").glob("failed-*"))
    with pytest.raises(WrongDatabase, match="do not add up"):
        restore_copy(backups.identified(damaged), tmp_path / "restored.db", unproved=True)
    assert by_two() == 4


def test_a_rebuild_is_derived_by_the_second_process_while_the_books_are_kept(kept, by_two):
    by_two()
    kept.execute_update("UPDATE orders SET cash = '7' WHERE order_id = 'o2'")
    seen = []
    findings = rebuild.replace(kept, PLAN, NOW, lambda: seen.append(kept.execute_query("SELECT cash FROM orders WHERE order_id = 'o2'")[0][0]))
    assert (seen, [f.expected for f in findings]) == (["7"], ["cash 200"])
    assert kept.execute_query("SELECT cash FROM orders WHERE order_id = 'o2'")[0][0] == "200"
    assert by_two() == 1


def test_a_row_that_is_there_twice_is_there_once_after_a_rebuild(kept):
    columns = ", ".join(row[1] for row in kept.execute_query("SELECT * FROM pragma_table_info('orders')") if row[1] != "order_no")
    kept.execute_update(f"INSERT INTO orders ({columns}) SELECT {columns} FROM orders WHERE order_id = 'o2'")
    assert rebuild.replace(kept, PLAN, NOW) == [], "the two are the same"
    assert kept.execute_query("SELECT count(*) FROM orders WHERE order_id = 'o2'")[0][0] == 1


class Told:
    """Progress as it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int]] = []

    def __call__(self, stage: str, done: int, of: int) -> None:
        assert threading.current_thread() is threading.main_thread(), "who draws is not called from elsewhere"
        assert 0 <= done <= of or of == 0, (stage, done, of)
        self.calls.append((stage, done, of))

    def stages(self) -> list[str]:
        return list(dict.fromkeys(stage for stage, _, _ in self.calls))


def test_long_operations_tell_the_stage_they_are_at_and_how_far_it_is(kept, tmp_path):
    made = Told()
    backup = backups.create(kept, tmp_path / "backups", NOW - DAY, progress=made)
    assert made.stages()[0] == "copying the books"
    assert made.calls[-1][0] == "checking the books"
    restored, verified, chained, derived, rebuilt, salvaged = Told(), Told(), Told(), Told(), Told(), Told()
    restore_copy(backup, tmp_path / "restored.db", progress=restored)
    assert ("reading the backup back", backup.size, backup.size) in restored.calls
    verify(kept, PLAN, NOW, tmp_path / "backups", depth=Depth.FULL, progress=verified)
    assert {"pages match their checksums", "the chain holds", "backups are sound"} <= set(verified.stages())
    verify_chain(kept, PLAN, NOW, None, progress=chained)
    assert "the chain holds" in chained.stages()
    rebuild.replace(kept, PLAN, NOW, progress=rebuilt)
    assert rebuilt.stages()[-1] == "rolling up"
    with kept.copied(tmp_path) as copy:
        assert list(check_rebuild(copy, PLAN, NOW, derived)) == []
    assert derived.calls[-1] == ("deriving from the facts", 7, 7)
    salvage(Path(kept.path), tmp_path / "salvaged.db", salvaged)
    assert salvaged.stages()[0] == "reading table book"
    for told in (made, restored, verified, chained, rebuilt, salvaged):
        counts = [(stage, done) for stage, done, of in told.calls if of]
        assert counts == sorted(counts, key=lambda c: (told.stages().index(c[0]), c[1])), "no stage goes back"
