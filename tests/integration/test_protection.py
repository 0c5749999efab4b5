"""What the disk, a crash and other programs can do to the file, and that it is noticed before anybody relies on it."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from books import deposit, fill, statuses

from jarvis_client.contract.errors import Unavailable
from jarvis_client.contract.outcome import Refusal
from persistence.books.ledger import Ledger
from persistence.copies.going_back import accept_loss
from persistence.database import DatabaseManager
from persistence.domain.errors import Damaged, LostCommits
from persistence.engine.sqlite.pages import damaged_pages
from persistence.engine.sqlite.wal import LONG_WAL_BYTES
from persistence.proof.books_checks import check_books

pytestmark = pytest.mark.on_disk


def crashed(database: DatabaseManager, folder: Path) -> Path:
    """The files as a `kill -9` leaves them: copied while they are open."""
    folder.mkdir()
    for suffix in ("", "-wal", "-mark"):
        shutil.copy(f"{database.path}{suffix}", folder / f"books.db{suffix}")
    return folder / "books.db"


def another_program(path, sql: str) -> str:
    """What a SQLite of another make does with the file, in a process of its own: two in one would break each other's locks."""
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(*c.execute(sys.argv[2]).fetchone()); c.commit(); c.close()"
    return subprocess.run([sys.executable, "-c", code, str(path), sql], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def crash(database, ledger, tmp_path):
    """Books of 30 commits, all of them still in the WAL, and a way to make crash images of them."""
    database.initialize()
    for n in range(30):
        ledger.post([deposit(n), fill(n, order_id=f"o{n}")])
    images = iter(range(10_000))
    return lambda: crashed(database, tmp_path / f"crash-{next(images)}")


def opened(path: Path) -> int:
    """How many facts the books hold, once they were opened."""
    manager = DatabaseManager(path)
    try:
        manager.initialize()
        return manager.execute_query("SELECT count(*) FROM facts")[0][0]
    finally:
        manager.close()


def test_after_a_crash_everything_that_was_committed_is_there(crash):
    assert opened(crash()) == 60


def test_a_flipped_bit_in_the_wal_is_noticed_at_the_start(crash):
    chance = random.Random(3)
    noticed, harmless = 0, 0
    for _ in range(60):
        path = crash()
        wal = bytearray(Path(f"{path}-wal").read_bytes())
        wal[chance.randrange(len(wal))] ^= 1 << chance.randrange(8)
        Path(f"{path}-wal").write_bytes(wal)
        try:
            assert opened(path) == 60, "less than was committed, and nobody noticed"
            harmless += 1
        except (LostCommits, Damaged):
            noticed += 1
        shutil.rmtree(path.parent)
    assert noticed > 50, f"{harmless} flips changed nothing: that many cannot be"


def cut_short(wal: Path) -> None:
    wal.write_bytes(wal.read_bytes()[: wal.stat().st_size * 2 // 3])


@pytest.mark.parametrize("damage", [Path.unlink, lambda wal: wal.write_bytes(b""), cut_short], ids=["removed", "emptied", "cut short"])
def test_a_wal_that_is_missing_is_refused_with_the_range_and_the_way_back(crash, damage):
    path = crash()
    damage(Path(f"{path}-wal"))
    with pytest.raises((LostCommits, Damaged)) as refused:
        opened(path)
    if refused.type is LostCommits:
        assert "commits are missing" in str(refused.value)
        assert "publish again" in str(refused.value)


def test_a_wal_of_yesterday_is_refused(crash, ledger):
    yesterday = crash()
    for n in range(100, 110):
        ledger.post([deposit(n)])
    today = crash()
    shutil.copy(f"{yesterday}-wal", f"{today}-wal")
    with pytest.raises(LostCommits, match="10 commits are missing, 10 records"):
        opened(today)


def test_a_loss_that_is_accepted_lets_the_books_go_on(crash, ledger):
    yesterday = crash()
    ledger.post([deposit("lost")])
    today = crash()
    shutil.copy(f"{yesterday}-wal", f"{today}-wal")

    manager = DatabaseManager(today, refuse_loss=False)
    said = accept_loss(manager)
    manager.close()

    assert (said.first_commit, said.last_commit) == (32, 32) or said.last_commit == said.first_commit
    manager = DatabaseManager(today)
    manager.initialize()
    assert statuses(Ledger(manager).post([deposit("lost"), deposit(1)])) == ["applied", "duplicate"]
    assert check_books(manager) == []
    manager.close()


def test_an_older_copy_put_in_the_place_of_the_books_is_refused(database, ledger, tmp_path):
    ledger.post([deposit(1)])
    database.close()
    shutil.copy(database.path, tmp_path / "old.db")
    ledger.post([deposit(2)])
    database.close()
    shutil.copy(tmp_path / "old.db", database.path)
    with pytest.raises(LostCommits):
        DatabaseManager(database.path).initialize()


def test_a_restore_renews_the_epoch_so_that_going_back_is_no_loss(database, ledger, tmp_path):
    ledger.post([deposit(1)])
    database.backup(tmp_path / "copy.db")
    ledger.post([deposit(2)])
    database.restore(tmp_path / "copy.db")
    database.close()
    assert opened(Path(database.path)) == 1


def test_several_writers_keep_one_bound(database, tmp_path):
    managers = [DatabaseManager(database.path) for _ in range(3)]
    for n in range(30):
        Ledger(managers[n % 3]).post([deposit(n)])
    found, noted, _ = database.durability()
    assert (noted.commit_no, noted.fact_no) == (found.commit_no, 30)
    for manager in managers:
        manager.close()


def test_a_damaged_mark_is_told_from_none(database, ledger):
    ledger.post([deposit(1)])
    content = bytearray(Path(database.marks.path).read_bytes())
    content[next(i for i, b in enumerate(content) if b)] ^= 4
    Path(database.marks.path).write_bytes(content)
    assert database.marks.read() == ([], 1)


def test_every_flipped_bit_of_every_page_is_found_before_its_data_is_used(database, ledger):
    ledger.post([deposit(n) for n in range(40)] + [fill(n, order_id=f"o{n}") for n in range(200)])
    database.close()
    sound = Path(database.path).read_bytes()
    chance = random.Random(11)
    pages = len(sound) // 4096
    missed = []
    with open(database.path, "r+b") as file:
        looking = DatabaseManager(database.path, verify_pages=False)
        for n in range(2_000):
            # Every page is hit, and every part of it, the checksum itself and unused space included.
            at = n % pages * 4096 + chance.randrange(4096)
            file.seek(at)
            file.write(bytes([sound[at] ^ 1 << chance.randrange(8)]))
            file.flush()
            if damaged_pages(looking.path) != [at // 4096 + 1]:
                missed.append(at)
            file.seek(at)
            file.write(sound[at : at + 1])
            file.flush()
        looking.close()
    assert missed == []


def test_a_damaged_page_is_an_error_with_a_remedy_and_never_an_answer(database, ledger):
    ledger.post([deposit(n) for n in range(300)])
    [root] = database.execute_query("SELECT rootpage FROM sqlite_schema WHERE name = 'facts'")[0]
    database.close()
    with open(database.path, "r+b") as file:
        file.seek((root - 1) * 4096 + 2000)
        byte = file.read(1)
        file.seek((root - 1) * 4096 + 2000)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(Damaged, match="does not match its checksum"):
        DatabaseManager(database.path).execute_query("SELECT count(*), sum(occurred_at) FROM facts NOT INDEXED")


def test_another_program_that_closes_the_database_last_after_a_crash_does_no_harm(crash):
    path = crash()
    # Closing, it moves the WAL into the file, without the checksums of the pages.
    assert another_program(path, "SELECT count(*) FROM facts") == "60"
    assert not Path(f"{path}-wal").exists()

    manager = DatabaseManager(path)
    manager.initialize()
    assert statuses(Ledger(manager).post([deposit(1), deposit("new")])) == ["duplicate", "applied"]
    assert damaged_pages(manager.path) == []
    manager.close()


def test_what_another_program_wrote_into_the_file_is_refused(database, ledger):
    ledger.post([deposit(n) for n in range(10)])
    database.close()
    another_program(database.path, "UPDATE balances SET available = '1' RETURNING 1")
    with pytest.raises(Damaged, match="checksum"):
        again = DatabaseManager(database.path)
        again.initialize()
        again.execute_query("SELECT * FROM balances")


def test_one_process_checkpoints_at_a_time_and_the_others_leave_it(database, ledger):
    other = DatabaseManager(database.path, checkpoint_pages=1)
    with database.marks.locked(wait_seconds=0) as got:
        assert got
        for n in range(5):
            Ledger(other).post([deposit(n)])
        assert other.checkpoint() is None
        assert Path(f"{database.path}-wal").stat().st_size > 5 * 4096
    frames, moved = other.checkpoint()
    assert frames == moved
    other.close()


def test_where_checkpoints_are_left_to_litestream_nobody_here_takes_any(tmp_path):
    manager = DatabaseManager(tmp_path / "b.db", checkpoints=False, checkpoint_pages=1)
    manager.initialize()
    for n in range(20):
        Ledger(manager).post([deposit(n)])
    before = (tmp_path / "b.db").stat().st_mtime_ns, Path(f"{manager.path}-wal").stat().st_size
    assert manager.checkpoint() is None
    manager.close()
    assert ((tmp_path / "b.db").stat().st_mtime_ns, Path(f"{manager.path}-wal").stat().st_size) == before

    ours = DatabaseManager(tmp_path / "b.db")
    ours.initialize()  # back to our own: every page gets its checksum
    assert len(ours.execute_query("SELECT * FROM facts")) == 20
    ours.close()
    assert damaged_pages(ours.path) == []
    assert (tmp_path / "b.db").read_bytes()[20] == 8


def test_the_wal_grows_only_as_long_as_a_reader_holds_it(database, ledger):
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN'); print(c.execute('SELECT count(*) FROM facts').fetchone(), flush=True); input()"
    reader = subprocess.Popen([sys.executable, "-c", code, database.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    reader.stdout.readline()
    n = 0
    while Path(f"{database.path}-wal").stat().st_size < LONG_WAL_BYTES:
        ledger.post([Refusal(b"%d" % n * 500_000, "malformed", "more than fits in any record")])
        n += 1
    assert database.keep_wal_short() >= LONG_WAL_BYTES, "the alarm"
    reader.communicate("\n")
    assert database.keep_wal_short() == 0
    assert Path(f"{database.path}-wal").stat().st_size == 0


def test_a_failed_commit_is_unknown_and_the_connection_is_never_used_again(database, ledger, monkeypatch):
    ledger.post([deposit(1)])
    with database.get_connection() as before:
        pass
    with pytest.raises(Exception, match="reopening"), database.transaction() as connection:
        connection.execute("INSERT INTO accounts (account_id, name) VALUES ('x', 'x')")
        connection.set_commit_hook(lambda: True)
    with database.get_connection() as after:
        assert after is not before
    assert statuses(ledger.post([deposit(1), deposit(2)])) == ["duplicate", "applied"]


def test_a_copy_of_pages_that_are_still_in_the_wal_has_their_checksums(database, ledger, tmp_path):
    """More pages than the copy's cache holds, so that they are written before the first page is."""
    for n in range(12):
        ledger.post([fill(f"{n}-{i}", order_id=f"o{n}-{i}") for i in range(1_000)])
    database.backup(tmp_path / "copy.db")
    copy = DatabaseManager(tmp_path / "copy.db")
    assert damaged_pages(copy.path) == []
    assert len(copy.execute_query("SELECT fact_no FROM facts")) == 12_000
    copy.close()


def test_a_transaction_that_was_under_way_when_the_file_was_replaced_is_not_acknowledged(database, ledger):
    """Though another thread has opened the new file meanwhile."""
    ledger.post([deposit(1)])
    database.checkpoint(truncate=True)
    inside, on, said = threading.Event(), threading.Event(), []

    def slow() -> None:
        try:
            with database.transaction():
                ledger.post([deposit("slow")])
                inside.set()
                on.wait(10)
            said.append("acknowledged")
        except Unavailable as error:
            said.append(str(error))

    thread = threading.Thread(target=slow)
    thread.start()
    assert inside.wait(10)
    path = Path(database.path)
    shutil.copy(path, f"{path}.copy")
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").rename(f"{path}.moved{suffix}")
    Path(f"{path}.copy").rename(path)
    assert database.execute_query("SELECT count(*) FROM facts")[0][0] == 1
    on.set()
    thread.join()
    assert "moved, replaced or deleted" in said[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_mark_that_root_makes_belongs_to_the_owner_of_the_database(database, ledger):
    ledger.post([deposit(1)])
    database.close()
    Path(database.marks.path).unlink()
    os.chown(database.path, 65534, 65534)
    ledger.post([deposit(2)])
    assert Path(database.marks.path).stat().st_uid == 65534


def test_the_verification_job_leaves_the_log_to_litestream_too(tmp_path):
    from scheduler.jobs import verify
    from scheduler.rollup.options import RollupOptions, RollupPlan

    manager = DatabaseManager(tmp_path / "b.db", checkpoints=False)
    manager.initialize()
    Ledger(manager).post([deposit(1)])
    before = manager.wal_bytes()
    assert verify(RollupPlan(RollupOptions()))(manager, 0)["findings"] == 0
    assert manager.wal_bytes() >= before > 0
    manager.close()


def test_pages_that_litestream_moved_while_we_had_them_open_are_read(tmp_path):
    """The file still says that pages have checksums: the first start after the change of the setting found somebody at work."""
    ours = DatabaseManager(tmp_path / "b.db")
    ours.initialize()
    Ledger(ours).post([fill(n, order_id=f"o{n}") for n in range(200)])
    left = DatabaseManager(tmp_path / "b.db", checkpoints=False)
    Ledger(left).post([deposit(1)])
    ours._wrote = False
    ours.close()
    left.close()
    another_program(tmp_path / "b.db", "SELECT count(*) FROM facts")
    assert statuses(Ledger(left).post([deposit(2)])) == ["applied"]
    left.close()
