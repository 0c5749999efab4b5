"""Backups that prove themselves, and coming back from them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from books import NEW_YEAR, books, deposit, fill, snapshot

from jarvis.restoring import restore_books
from jarvis.settings import Settings
from jarvis_client.contract.errors import BooksError, HeldElsewhere, Invalid, Unavailable
from jarvis_client.contract.instants import to_instant
from jarvis_client.contract.outcome import Refusal
from persistence.books.ledger import Ledger
from persistence.copies import backups, manifest
from persistence.copies.backup_checks import chain_holds
from persistence.copies.choosing import choose
from persistence.copies.restoring import restore_copy
from persistence.database import DatabaseManager
from persistence.domain.errors import WrongDatabase
from persistence.domain.finding import Finding
from persistence.files import locked_file, locked_folder
from persistence.proof.books_checks import check_books
from scheduler.drill import DrillFailed, restore_drill
from scheduler.jobs import back_up, roll_up_accounts
from scheduler.rollup.options import RollupPlan
from scheduler.verification import Depth, verify

pytestmark = pytest.mark.on_disk

SECOND = 1_000_000
DAY = 86_400 * SECOND


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "backups"


def test_a_backup_says_what_it_holds_and_is_what_it_says(database, ledger, folder):
    ledger.post([deposit(), *(fill(n, order_id=f"o{n}") for n in range(50))])
    made = backups.create(database, folder, NEW_YEAR)
    assert made.path.name == "jarvis-20260101T000000Z-schema0001.db.zst"
    assert (made.manifest["tables"]["fills"]["rows"], made.manifest["newest_fact_no"]) == (50, 51)
    assert made.path.stat().st_mode & 0o777 == 0o600
    [found] = backups.present(folder)
    assert found == made
    backups.verify(found)
    assert sorted(p.name for p in folder.glob("[!.]*")) == [made.path.name, made.path.name + ".manifest.json"]


def test_a_plain_backup_is_any_sqlite_tool_s_to_read(database, ledger, folder):
    ledger.post([deposit()])
    made = backups.create(database, folder, NEW_YEAR, compress=False)
    backups.verify(made)
    with closing(DatabaseManager(made.path, wal_mode=False)) as copy:
        assert books(copy) == books(database)


def test_a_backup_is_taken_while_others_write_and_holds_one_moment(database, ledger, folder):
    ended = threading.Event()

    def write():
        number = 0
        while not ended.is_set():
            ledger.post([deposit(number), fill(number, order_id=f"o{number}")])
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = [backups.create(database, folder, NEW_YEAR + n * SECOND) for n in range(3)]
    finally:
        ended.set()
        writer.join()
    rows = [b.manifest["tables"]["facts"]["rows"] for b in made]
    assert rows == sorted(rows)
    assert all(n % 2 == 0 for n in rows), "never half a commit"


@pytest.mark.parametrize("compress", [True, False])
def test_a_flipped_bit_anywhere_in_a_backup_or_its_manifest_is_found(database, ledger, folder, compress):
    ledger.post([deposit(), *(fill(n, order_id=f"o{n}") for n in range(20))])
    made = backups.create(database, folder, NEW_YEAR, compress=compress)
    chance = random.Random(3)
    for path in (made.path, manifest.manifest_path(made.path)):
        whole = path.read_bytes()
        for _ in range(150):
            damaged = bytearray(whole)
            at = chance.randrange(len(whole))
            damaged[at] ^= 1 << chance.randrange(8)
            path.write_bytes(damaged)
            with pytest.raises(WrongDatabase):
                backups.verify(backups.present(folder)[0])
        path.write_bytes(whole)
    backups.verify(backups.present(folder)[0])


def test_a_copy_that_is_not_what_was_copied_is_kept_aside_and_counts_for_nothing(database, ledger, folder, monkeypatch):
    ledger.post([deposit()])
    monkeypatch.setattr(backups, "_write", lambda source, target, compress: target.write_bytes(b"torn"))
    with pytest.raises(backups.BackupFailed, match="kept as"):
        backups.create(database, folder, NEW_YEAR)
    assert backups.present(folder) == []
    assert [p.name for p in folder.glob("[!.]*")] == ["failed-jarvis-20260101T000000Z-schema0001.db.zst"]
    monkeypatch.undo()
    (folder / ".jarvis-of-a-killed-run.partial").write_bytes(b"half")
    backups.create(database, folder, NEW_YEAR)
    assert not list(folder.glob(".jarvis-*")), "what a killed run left is gone"


def test_what_there_was_no_time_to_compare_is_held_against_the_chain(database, ledger, folder, monkeypatch):
    """A snapshot keeps the WAL from being emptied, so a large book's is let go before all of it was digested."""
    ledger.post([deposit(), *(fill(n, order_id=f"o{n}") for n in range(2_000))])
    monkeypatch.setattr(backups, "SNAPSHOT_SECONDS", -1.0)
    made = backups.create(database, folder, NEW_YEAR)
    assert "fills" in made.manifest["held_against_chain"]
    assert made.manifest["tables"]["fills"]["rows"] == 2_000
    backups.verify(backups.present(folder)[0])

    def copied_wrong(self, target, observe):
        seen = copy_with(self, target, observe)
        with closing(DatabaseManager(target, wal_mode=False)) as copy:
            copy.execute_update("UPDATE facts SET recorded_at = 7 WHERE fact_no = 3")
        return seen

    copy_with = DatabaseManager.copy_with
    monkeypatch.setattr(DatabaseManager, "copy_with", copied_wrong)
    with pytest.raises(backups.BackupFailed, match="fact 3 "):
        backups.create(database, folder, NEW_YEAR + SECOND)


def test_books_that_do_not_add_up_are_no_backup(database, ledger, folder):
    ledger.post([deposit()])
    with database.transaction() as connection:
        connection.execute("UPDATE balances SET available = '7'")
    with pytest.raises(backups.BackupFailed, match="do not add up"):
        backups.create(database, folder, NEW_YEAR)


def test_the_daily_job_takes_one_and_drops_what_expired(database, ledger, folder):
    ledger.post([deposit()])
    now = [NEW_YEAR]
    job = back_up(folder, 30, clock=lambda: now[0])
    for day in range(12):
        now[0] = NEW_YEAR + day * DAY
        job(database, 0)
    assert len(backups.present(folder)) == 12
    now[0] = NEW_YEAR + 60 * DAY
    done = job(database, 0)
    assert done["removed"] == ["jarvis-20260101T000000Z-schema0001.db.zst", "jarvis-20260102T000000Z-schema0001.db.zst"]
    assert not list(folder.glob("*20260101*")), "its manifest went with it"
    again = job(database, 0)
    assert again["backup"] == "jarvis-20260302T000001Z-schema0001.db.zst", "a run that is repeated has a name of its own"


# -- coming back ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path):
    return Settings(database={"path": tmp_path / "books.db", "backup": {"path": tmp_path / "backups"}})


NOW = datetime(2026, 2, 1, tzinfo=UTC)


def test_a_restore_keeps_the_present_books_aside_and_writes_out_what_came_later(database, ledger, folder, settings):
    ledger.post([deposit(), fill()])
    before = books(database)
    made = backups.create(database, folder, NEW_YEAR)
    ledger.post([deposit(2), fill(2, order_id="o2")])
    after = books(database)
    database.close()

    done = restore_books(settings, made, NOW, stop=False)

    with closing(DatabaseManager(settings.database.path)) as restored, closing(DatabaseManager(done.aside)) as aside:
        assert (books(restored), books(aside)) == (before, after)
        lines = [json.loads(line) for line in done.later.read_text().splitlines()]
        assert sorted(line["type"] for line in lines) == ["deposit", "fill"]
        from workers.messages import item_of_line

        Ledger(restored).post([item_of_line(line, n) for n, line in enumerate(done.later.read_bytes().splitlines(), 1)])
        assert books(restored) == after


def test_after_going_back_and_forth_what_a_backup_lacks_is_still_written_out(database, ledger, folder, settings):
    """By identity: the numbers of two histories that parted mean different records."""
    ledger.post([deposit("common")])
    first = backups.create(database, folder, NEW_YEAR)
    ledger.post([deposit("a2"), deposit("a3")])
    second = backups.create(database, folder, NEW_YEAR + 1_000_000)
    database.close()
    restore_books(settings, first, NOW, stop=False)
    Ledger(database).post([deposit("b2")])
    database.close()

    done = restore_books(settings, second, NOW + timedelta(seconds=1), stop=False)

    assert [json.loads(line)["deposit_id"] for line in done.later.read_text().splitlines()] == ["db2"]


def test_a_restore_waits_for_nobody_and_touches_nothing_while_somebody_works(database, ledger, folder, settings):
    ledger.post([deposit()])
    made = backups.create(database, folder, NEW_YEAR)
    with locked_file(Path(database.path).parent / "worker-worker.lock", "worker 'worker'"), pytest.raises(HeldElsewhere, match="--stop"):
        restore_books(settings, made, NOW, stop=False)
    assert not list(Path(database.path).parent.glob("*.before-restore-*"))


def test_a_damaged_backup_is_refused_before_anything_is_touched(database, ledger, folder, settings):
    ledger.post([deposit()])
    made = backups.create(database, folder, NEW_YEAR)
    raw = bytearray(made.path.read_bytes())
    raw[len(raw) // 2] ^= 1
    made.path.write_bytes(raw)
    before = books(database)
    with pytest.raises(WrongDatabase, match="damaged"):
        restore_books(settings, made, NOW, stop=False)
    assert books(database) == before
    assert not list(Path(database.path).parent.glob("*.before-restore-*"))


def test_a_present_database_that_cannot_be_read_holds_no_restore_up(database, ledger, folder, settings):
    ledger.post([deposit()])
    before = books(database)
    made = backups.create(database, folder, NEW_YEAR)
    database.close()
    settings.database.path.write_bytes(b"not a database" * 1000)
    done = restore_books(settings, made, NOW, stop=False)
    assert (done.later, bool(done.problem), done.aside.read_bytes()[:3]) == (None, True, b"not")
    with closing(DatabaseManager(settings.database.path)) as restored:
        assert books(restored) == before


def test_the_log_of_a_database_that_is_gone_is_not_applied_to_the_restored_one(database, ledger, folder, settings):
    ledger.post([deposit(1)])
    made = backups.create(database, folder, NEW_YEAR)
    program = "import os, sys; from persistence.books.ledger import Ledger; from persistence.database import DatabaseManager; from books import deposit\n"
    program += "Ledger(DatabaseManager(sys.argv[1])).post([deposit(2)]); os._exit(9)"
    database.close()
    subprocess.run([sys.executable, "-c", program, database.path], env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}, check=False)
    assert Path(f"{database.path}-wal").stat().st_size
    Path(database.path).unlink()
    with pytest.raises(Invalid, match="-wal exists already"):
        restore_copy(made, Path(database.path))
    done = restore_books(settings, made, datetime.now(UTC), stop=False)
    assert "-wal" in done.problem
    with closing(DatabaseManager(settings.database.path)) as restored:
        assert restored.execute_query("SELECT record_id FROM facts") == [("d1",)]
        assert check_books(restored) == []


def around(database: DatabaseManager, now: int, folder: Path, *, full: bool = False) -> list[Finding]:
    """What verification says of what surrounds the books."""
    return verify(database, RollupPlan(), now, folder, depth=Depth.FULL if full else Depth.QUICK)


def chain_findings(database: DatabaseManager, folder: Path) -> list[str]:
    return [f"{f.check}: {f.where}: {f.found}" for f in chain_holds(database, folder)]


def test_going_back_and_back_again_leaves_no_contradiction(database, ledger, folder, settings):
    """Through an epoch that was itself left behind, twice within a second, and with an attempt that failed in between."""
    made = []
    for n in range(3):
        ledger.post([deposit(n)])
        made.append(backups.create(database, folder, NEW_YEAR + n * SECOND))
    now = datetime.now(UTC)

    def restore(backup):
        database.close()
        restore_books(settings, backup, now, stop=False)
        assert chain_findings(database, folder) == []

    restore(made[1])
    ledger.post([deposit(7)])
    made.append(backups.create(database, folder, NEW_YEAR + 9 * SECOND))
    restore(made[0])
    restore(made[3])
    restore(made[2])
    assert len(list(folder.parent.glob("*.before-restore-*"))) >= 4


def test_a_restore_does_not_fail_for_its_note(database, ledger, folder, settings, monkeypatch):
    ledger.post([deposit(1)])
    made = backups.create(database, folder, NEW_YEAR)
    ledger.post([deposit(2)])
    later = backups.create(database, folder, NEW_YEAR + SECOND)
    database.close()

    def read_only(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("persistence.files.fsync_folder", read_only)
    done = restore_books(settings, made, datetime.now(UTC), stop=False)
    [note] = [n for n in done.missing_notes if not n.stem.endswith("-0")]
    for left in folder.glob("went-back*"):
        left.unlink()
    assert chain_findings(database, folder) == [f"the chain holds: block {later.manifest['chain']['block_no']}: no such block"]
    monkeypatch.undo()
    _, _, epoch, block_no = note.stem.split("-")
    note.write_text(json.dumps({"epoch": epoch, "block_no": int(block_no)}))
    assert chain_findings(database, folder) == [], "what was said to be put there helps"


@pytest.mark.parametrize("kept", [0, 10, 1_000, -5])
def test_a_backup_that_was_cut_short_is_none_even_without_its_manifest(database, ledger, folder, settings, kept):
    ledger.post([deposit(n) for n in range(300)])
    made = backups.create(database, folder, NEW_YEAR)
    manifest.manifest_path(made.path).unlink()
    made.path.write_bytes(made.path.read_bytes()[:kept])
    [found] = backups.present(folder)
    with pytest.raises(WrongDatabase, match="does not decompress"):
        restore_books(settings, found, datetime.now(UTC), stop=False, unproved=True)


def test_an_empty_file_is_no_backup_either(folder, settings):
    folder.mkdir(parents=True)
    (folder / "jarvis-20260101T000000Z-schema0001.db").write_bytes(b"")
    [found] = backups.present(folder)
    with pytest.raises(WrongDatabase, match="holds no books"):
        restore_books(settings, found, datetime.now(UTC), stop=False, unproved=True)


def test_what_was_quarantined_after_the_backup_is_told(database, ledger, folder, settings):
    ledger.post([deposit(1)])
    made = backups.create(database, folder, NEW_YEAR)
    ledger.post([Refusal(b"raw", "malformed", "no JSON")])
    database.close()
    assert restore_books(settings, made, datetime.now(UTC), stop=False).quarantined == 1


def test_a_backup_without_a_readable_manifest_is_restored_only_on_purpose_and_looked_at_even_then(database, ledger, folder, settings):
    ledger.post([deposit(1)])
    made = backups.create(database, folder, NEW_YEAR, compress=False)
    manifest.manifest_path(made.path).write_text("{}")
    [found] = backups.present(folder)
    database.close()
    with pytest.raises(WrongDatabase, match="--unproved"):
        restore_books(settings, found, datetime.now(UTC), stop=False)
    restore_books(settings, found, datetime.now(UTC), stop=False, unproved=True)
    with closing(DatabaseManager(made.path, wal_mode=False)) as copy:
        copy.execute_update("UPDATE balances SET available = '9'")
    with pytest.raises(WrongDatabase, match="do not add up"):
        restore_books(settings, found, datetime.now(UTC) + timedelta(seconds=2), stop=False, unproved=True)


def test_a_backup_of_other_books_does_not_replace_these(database, ledger, folder, settings, tmp_path):
    ledger.post([deposit(1)])
    with closing(DatabaseManager(tmp_path / "other.db")) as other:
        other.initialize()
        Ledger(other).post([deposit(1)])
        made = backups.create(other, folder, NEW_YEAR)
    database.close()
    with pytest.raises(WrongDatabase, match="a backup of other books"):
        restore_books(settings, made, datetime.now(UTC), stop=False)
    manifest.manifest_path(made.path).unlink()
    [unproved] = backups.present(folder)
    with pytest.raises(WrongDatabase, match="a backup of other books"):
        restore_books(settings, unproved, datetime.now(UTC), stop=False, unproved=True)


def test_one_backup_is_taken_at_a_time(database, ledger, folder):
    ledger.post([deposit(1)])
    folder.mkdir()
    with locked_folder(folder, "a test"), pytest.raises(HeldElsewhere, match="another backup is being taken"):
        backups.create(database, folder, NEW_YEAR)
    backups.create(database, folder, NEW_YEAR)


def test_backups_of_one_second_are_named_by_the_next_free_ones(database, ledger, folder):
    ledger.post([deposit(1)])
    taken = [to_instant(backups.create(database, folder, NEW_YEAR + 7, compress=compress).taken_at) for compress in (True, True, False)]
    assert taken == [NEW_YEAR, NEW_YEAR + SECOND, NEW_YEAR + 2 * SECOND]


def test_nothing_goes_while_the_newest_one_failed_its_proof(database, ledger, folder):
    ledger.post([deposit(1)])
    for day in range(12):
        backups.create(database, folder, NEW_YEAR + day * DAY)
    now = NEW_YEAR + 100 * DAY
    assert len(backups.prune(folder, now, 30, dry_run=True)) == 2
    failed = folder / "failed-jarvis-20260401T000000Z-schema0001.db.zst"
    failed.write_bytes(b"torn")
    assert backups.prune(folder, now, 30) == []
    assert "it failed its proof" in {f.found for f in around(database, now, folder)}
    failed.unlink()
    assert len(backups.prune(folder, now, 30)) == 2


def test_what_lies_oddly_in_the_folder_is_a_finding_and_stops_nothing(database, ledger, folder):
    ledger.post([deposit(1)])
    gone, odd, kept = (backups.create(database, folder, NEW_YEAR + n * SECOND) for n in range(3))
    gone.path.unlink()
    (folder / "jarvis-20261399T000000Z-schema0001.db.zst").write_bytes(b"the 99th of a month")
    manifest.write_manifest(odd.path, {"format": manifest.FORMAT, "file": odd.path.name, "tables": []})
    assert [(b.path, b.proved) for b in backups.present(folder)] == [(kept.path, True), (odd.path, False)]
    (folder / "jarvis-20260601T000000Z-schema0001.db").symlink_to(folder / "nothing")
    told = {f.where: f.check for f in around(database, NEW_YEAR + 60 * SECOND, folder)}
    assert told.items() >= {str(odd.path): "backups are proved", str(manifest.manifest_path(gone.path)): "backups have their files"}.items()
    not_a_folder = folder / "file"
    not_a_folder.write_text("")
    with pytest.raises(Unavailable, match=r"could not read .*check the folder"):
        backups.present(not_a_folder)


def test_the_right_backup_is_found_by_its_time(database, folder):
    Ledger(database, clock=lambda: NEW_YEAR - 1).post([deposit()])
    for day in range(3):
        backups.create(database, folder, NEW_YEAR + day * DAY)
    now = NEW_YEAR + 9 * DAY
    assert choose(folder, now).backup.taken_at.day == 3
    assert choose(folder, now, at=datetime(2026, 1, 2, 12, tzinfo=UTC)).backup.taken_at.day == 2
    with pytest.raises(Invalid, match="no proved backup from 2025"):
        choose(folder, now, at=datetime(2025, 1, 1, tzinfo=UTC))
    assert issubclass(backups.BackupFailed, BooksError)


# -- the drill, and what surrounds the books ---------------------------------------------------------------------------------


def rolled_up(database, ledger):
    ledger.post([deposit(), *(snapshot(observed_at=NEW_YEAR + n * DAY + 5, snapshot_id=f"m{n}", total_value_usd=1000 + n) for n in range(4))])
    roll_up_accounts(database, RollupPlan(), NEW_YEAR + 10 * DAY)


def test_the_drill_brings_the_newest_backup_back_and_rebuilds_it(database, ledger, folder):
    with pytest.raises(DrillFailed, match="no proved backup"):
        restore_drill(folder, RollupPlan(), NEW_YEAR)
    rolled_up(database, ledger)
    backups.create(database, folder, NEW_YEAR + 10 * DAY)
    assert restore_drill(folder, RollupPlan(), NEW_YEAR + 11 * DAY)["rows"] == 4
    with database.transaction() as connection:
        connection.execute("UPDATE performance_metrics SET pnl_daily = '7' WHERE date = '2026-01-02'")
    backups.create(database, folder, NEW_YEAR + 11 * DAY)
    with pytest.raises(DrillFailed, match="other rows, the first: row 2026-01-02"):
        restore_drill(folder, RollupPlan(), NEW_YEAR + 12 * DAY)
    assert not list(folder.glob(".restoring*")), "the scratch place is gone"


def test_books_that_are_a_day_old_need_no_backup_yet(database, folder):
    now = NEW_YEAR + 10 * DAY
    Ledger(database, clock=lambda: now - DAY).post([deposit(1)])
    assert around(database, now, folder, full=False) == []


def test_what_surrounds_the_books_is_checked(database, ledger, folder):
    now = NEW_YEAR + 10 * DAY

    def checks(full=False):
        return sorted({f.check for f in around(database, now, folder, full=full)})

    assert checks() == [], "an empty database needs no backup"
    book = Ledger(database, clock=lambda: now - 9 * DAY)
    book.post([deposit(1, producer="p", sequence=1), deposit(3, producer="p", sequence=3), deposit(1, amount=7)])
    assert checks() == ["backups are recent", "every number of a producer arrived", "quarantine is looked after"]
    made = backups.create(database, folder, now - DAY)
    assert "backups are recent" not in checks()
    raw = bytearray(made.path.read_bytes())
    raw[-9] ^= 1
    made.path.write_bytes(raw)
    assert "backups are sound" not in checks()
    assert "backups are sound" in checks(full=True)
    manifest.manifest_path(made.path).write_text("{}")
    assert {"backups are proved", "backups are recent"} <= set(checks())
    Ledger(database, clock=lambda: now + DAY).post([deposit(9)])
    assert "the clock is sane" in checks()
