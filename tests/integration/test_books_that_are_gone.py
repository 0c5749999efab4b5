"""A database file that is gone: what speaks of it, and what a process that still has it open does."""

from __future__ import annotations

import shutil
import threading
from contextlib import closing
from pathlib import Path

import pytest
from books import NEW_YEAR, deposit

from jarvis_client.contract.errors import Invalid, Unavailable
from persistence.books.ledger import Ledger
from persistence.copies import backups
from persistence.database import DatabaseManager
from persistence.domain.errors import BooksGone, DatabaseDeleted, OtherBooks
from persistence.engine.sqlite import rescue
from persistence.engine.sqlite.host import disk_not_mounted


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path


@pytest.fixture
def opened(folder):
    with closing(DatabaseManager(folder / "b.db", durable=False)) as manager:
        manager.initialize()
        Ledger(manager).post([deposit(1), deposit(2)])
        yield manager


def facts_in(path: Path) -> int:
    with closing(DatabaseManager(path, wal_mode=False)) as database:
        return int(database.execute_query("SELECT count(*) FROM facts")[0][0])


def delete(folder: Path) -> None:
    for path in folder.glob("b.db*"):
        path.unlink()


def keep_backup(database: DatabaseManager, folder: Path) -> None:
    backups.create(database, folder, NEW_YEAR)
    database.close()
    delete(Path(database.path).parent)


def keep_before_restore(database: DatabaseManager, folder: Path) -> None:
    database.close()
    Path(database.path).rename(f"{database.path}.before-restore-20260101T000000Z")
    for suffix in ("-wal", "-shm", "-mark"):
        Path(f"{database.path}{suffix}").unlink(missing_ok=True)


def keep_mark(database: DatabaseManager, folder: Path) -> None:
    database.close()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{database.path}{suffix}").unlink(missing_ok=True)


def keep_log(database: DatabaseManager, folder: Path) -> None:
    log = Path(f"{database.path}-wal").read_bytes()
    database.close()
    delete(folder)
    Path(f"{database.path}-wal").write_bytes(log)


def keep_marked_place(database: DatabaseManager, folder: Path) -> None:
    made = backups.create(database, folder / "usb", NEW_YEAR)
    for path in (made.path, Path(f"{made.path}.manifest.json")):
        path.unlink()
    database.close()
    delete(folder)


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        (keep_mark, r"b\.db-mark notes commit 2, record 2, made durable at 20"), (keep_log, r"b\.db-wal of [\d.]+ kB"),
        (keep_before_restore, r"b\.db\.before-restore-20260101T000000Z"), (lambda d, f: keep_backup(d, f / "backups"), r"1 proved backups of the books \w{32}.* 2 facts"),
        (lambda d, f: keep_backup(d, f / "usb"), "usb, the newest from 2026-01-01T00:00:00Z"), (keep_marked_place, "usb is marked as the place for backups of the books"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("left_empty", [False, True], ids=["gone", "emptied"])
def test_each_sign_alone_keeps_empty_books_from_taking_the_place(folder, keep, said, left_empty):
    database = DatabaseManager(folder / "b.db", durable=False)
    database.initialize()
    Ledger(database).post([deposit(1)])
    Ledger(database).post([deposit(2)])
    keep(database, folder)
    if left_empty:
        (folder / "b.db").touch()
    again = DatabaseManager(folder / "b.db", second_folder=folder / "usb")

    with pytest.raises(BooksGone, match=rf"(?s){said}.*jarvis restore --latest.*jarvis db init --anew"):
        again.initialize()
    if not left_empty:
        with pytest.raises(Unavailable, match=rf"(?s){said}.*jarvis restore --latest"):
            again.execute_query("SELECT 1")
    assert (folder / "b.db").exists() == left_empty
    again.start_anew()
    assert again.execute_query("SELECT count(*) FROM facts")[0][0] == 0
    again.close()


def test_where_nothing_was_recorded_nothing_is_missed(folder):
    for _ in range(2):
        with closing(DatabaseManager(folder / "b.db")) as database:
            database.initialize()
        delete(folder)


def test_books_that_are_there_are_not_started_anew(opened):
    with pytest.raises(Invalid, match="only where none are"):
        opened.start_anew()
    assert facts_in(Path(opened.path)) == 2


def test_a_disk_of_fstab_that_is_not_mounted_is_named(tmp_path):
    table = f"# comment\nUUID=1 / ext4 defaults 0 1\nUUID=2 {tmp_path}/with\\040blank ext4 defaults 0 2\nUUID=3 none swap sw 0 0\n"
    mounts = "20 1 8:1 / / rw - ext4 /dev/sda rw\n"
    assert disk_not_mounted(tmp_path / "with blank" / "data", table, mounts) == tmp_path / "with blank"
    assert disk_not_mounted(tmp_path / "with blank" / "data", table, f"{mounts}30 20 8:2 / {tmp_path}/with\\040blank rw - ext4 /dev/sdb rw\n") is None
    assert disk_not_mounted(tmp_path / "else", table, mounts) is None
    assert disk_not_mounted(tmp_path / "with blank", table, "") is None, "a system that does not tell is not asked"


@pytest.mark.parametrize("wal_mode", [True, False], ids=["write-ahead log", "rollback journal"])
def test_a_deleted_file_is_copied_whole_before_it_is_let_go(folder, wal_mode):
    with closing(DatabaseManager(folder / "b.db", wal_mode=wal_mode, durable=False)) as database:
        database.initialize()
        Ledger(database).post([deposit(n) for n in range(500)])
        delete(folder)
        with pytest.raises(DatabaseDeleted, match=r"everything that was committed is kept in .*rescued-.*\.db"):
            Ledger(database).post([deposit("later")])
        with pytest.raises(DatabaseDeleted):
            database.execute_query("SELECT 1")
    [rescued] = (folder / "backups").glob("[!.]*")
    assert (facts_in(rescued), rescued.stat().st_mode & 0o777) == (500, 0o600)


def test_whoever_only_closes_it_copies_it_too_and_a_copy_that_holds_as_much_is_not_doubled(folder, opened):
    with closing(DatabaseManager(opened.path)) as other:
        other.execute_query("SELECT 1")
        delete(folder)
    opened.close()
    [rescued] = (folder / "backups").glob("[!.]*")
    assert facts_in(rescued) == 2


def test_a_commit_on_its_way_into_a_deleted_file_is_not_acknowledged_and_its_connection_is_kept(folder, opened):
    with pytest.raises(Unavailable, match="moved, replaced or deleted"), opened.transaction() as connection:
        connection.execute("INSERT INTO accounts (account_id, name) VALUES ('a', 'a')")
        delete(folder)
    with pytest.raises(DatabaseDeleted):
        opened.refuse_if_replaced()
    [rescued] = (folder / "backups").glob("[!.]*")
    assert facts_in(rescued) == 2


@pytest.mark.parametrize("gone", ["backups", "."])
def test_where_the_backup_folder_is_gone_the_copy_goes_to_the_nearest_place(tmp_path, gone):
    folder = tmp_path / "data"
    with closing(DatabaseManager(folder / "b.db", durable=False)) as database:
        database.initialize()
        Ledger(database).post([deposit(1)])
        delete(folder)
        shutil.rmtree(folder / gone, ignore_errors=True)
        with pytest.raises(DatabaseDeleted):
            database.refuse_if_replaced()
    [rescued] = (tmp_path if gone == "." else folder).glob("rescued-*.db")
    assert facts_in(rescued) == 1


def test_a_copy_that_cannot_be_written_is_tried_again_and_nothing_is_let_go(folder, opened, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rescue, "copy_to", full)
    delete(folder)
    for _ in range(2):
        with pytest.raises(Unavailable, match="No space left on device.*do not end it"):
            opened.refuse_if_replaced()
    monkeypatch.undo()
    with pytest.raises(DatabaseDeleted):
        opened.refuse_if_replaced()
    [rescued] = (folder / "backups").glob("[!.]*")
    assert facts_in(rescued) == 2


def test_a_rescued_copy_that_was_put_back_is_gone_on_with(folder, opened):
    delete(folder)
    with pytest.raises(DatabaseDeleted):
        opened.refuse_if_replaced()
    [rescued] = (folder / "backups").glob("[!.]*")
    with closing(DatabaseManager(opened.path)) as another:
        another.restore(rescued)
    assert [o.status for o in Ledger(opened).post([deposit(2), deposit(3)])] == ["duplicate", "applied"]


def test_a_restore_of_the_same_books_is_gone_on_with(folder, opened):
    made = backups.create(opened, folder / "backups", NEW_YEAR)
    Ledger(opened).post([deposit(3)])
    with closing(DatabaseManager(opened.path)) as another:
        another.restore(made.path)
    opened.refuse_if_replaced()
    assert [o.status for o in Ledger(opened).post([deposit(2), deposit(3)])] == ["duplicate", "applied"]
    assert not list(folder.rglob("rescued-*"))


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "while every connection is in use"])
def test_books_of_another_id_are_never_gone_on_with(folder, opened, busy):
    with closing(DatabaseManager(folder / "other.db")) as other:
        other.initialize()
        other.checkpoint(truncate=True)

    def replace() -> None:
        Path(opened.path).rename(folder / "aside.db")
        for suffix in ("-wal", "-shm"):
            Path(f"{opened.path}{suffix}").unlink(missing_ok=True)
        (folder / "other.db").rename(opened.path)

    refused: list[BaseException] = []

    def post() -> None:
        try:
            Ledger(opened).post([deposit(3)])
        except BaseException as error:
            refused.append(error)

    if busy:
        with opened.get_connection() as connection:
            connection.execute("SELECT 1").fetchall()
            replace()
            poster = threading.Thread(target=post)
            poster.start()
            poster.join()
    else:
        replace()
        post()
    assert [type(error) for error in refused] == [OtherBooks]
    with pytest.raises(OtherBooks):
        backups.create(opened, folder / "backups", NEW_YEAR)
    with pytest.raises(OtherBooks):
        opened.refuse_if_replaced()
    assert not list((folder / "backups").glob("[!.]*"))
