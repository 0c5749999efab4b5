from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from books import deposit, fill, statuses
from parts import a_further_migration

from jarvis_client.contract.errors import BooksError, HeldElsewhere
from persistence.books import housekeeping
from persistence.books.ledger import Ledger
from persistence.copies import backups
from persistence.database import DatabaseManager
from persistence.domain import Invalid, Unavailable, WrongDatabase
from persistence.engine.sqlite import migrations
from persistence.engine.sqlite.connect import SQLiteConnection
from persistence.engine.sqlite.host import refuse_network_file_system, refuse_unsafe_sqlite
from persistence.engine.sqlite.pages import damaged_pages
from persistence.files import locked_file
from persistence.proof.books_checks import check_books
from persistence.repositories import SQLiteAccountRepository
from scheduler.verification import check_schema

pytestmark = pytest.mark.on_disk


def pragmas(database: DatabaseManager) -> dict[str, object]:
    with database.get_connection() as connection:
        return {n: connection.pragma(n) for n in ("journal_mode", "synchronous", "foreign_keys", "trusted_schema", "mmap_size", "cell_size_check")}


def test_connections_are_durable_and_careful(database):
    assert pragmas(database) == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0, "mmap_size": 0, "cell_size_check": 1}


def test_without_wal_the_books_are_as_durable(tmp_path):
    database = DatabaseManager(tmp_path / "b.db", wal_mode=False)
    database.initialize()
    assert pragmas(database)["journal_mode"] == "delete"
    assert pragmas(database)["synchronous"] == 3
    Ledger(database).post([deposit()])
    assert check_books(database) == []
    database.close()


def test_files_are_for_their_owner_alone(tmp_path):
    database = DatabaseManager(tmp_path / "new" / "b.db")
    database.initialize()
    Ledger(database).post([deposit()])
    assert [oct((tmp_path / "new" / n).stat().st_mode & 0o777) for n in ("b.db", "b.db-wal", "")] == ["0o600", "0o600", "0o700"]
    database.close()


def test_a_transaction_is_all_or_nothing(database):
    with pytest.raises(RuntimeError), database.transaction() as connection:
        connection.execute("INSERT INTO accounts (account_id, name) VALUES ('a', 'a')")
        raise RuntimeError
    assert database.execute_query("SELECT * FROM accounts") == []


def test_nested_transactions_are_one_commit_and_fail_alone(database):
    with database.transaction() as outer:
        outer.execute("INSERT INTO accounts (account_id, name) VALUES ('a', 'a')")
        with pytest.raises(RuntimeError), database.transaction() as inner:
            inner.execute("INSERT INTO accounts (account_id, name) VALUES ('b', 'b')")
            raise RuntimeError
        SQLiteAccountRepository(database).deactivate("a")
    assert [tuple(r) for r in database.execute_query("SELECT account_id, is_active FROM accounts")] == [("a", 0)]


def test_rows_are_read_by_position_or_name(database):
    assert database.execute_many("INSERT INTO accounts (account_id, name) VALUES (?, ?)", [("a", "x"), ("b", "y")]) == 2
    [first, _] = database.execute_query("SELECT account_id, name AS n FROM accounts WHERE name >= ? ORDER BY 1", ("x",))
    assert (first[0], first["n"], first.asdict()) == ("a", "x", {"account_id": "a", "n": "x"})
    assert database.execute_update("UPDATE accounts SET name = :n", {"n": "z"}) == 2


def test_created_and_updated_instants_keep_themselves(database):
    database.execute_update("INSERT INTO accounts (account_id, name) VALUES ('a', 'x')")
    [before] = database.execute_query("SELECT created_at, updated_at FROM accounts")
    database.execute_update("UPDATE accounts SET name = 'y'")
    [after] = database.execute_query("SELECT created_at, updated_at FROM accounts")
    assert before["created_at"] == after["created_at"]
    assert after["updated_at"] >= before["updated_at"]


def test_five_threads_read_and_write_at_once(database):
    barrier, failures = threading.Barrier(5), []

    def work(number: int) -> None:
        try:
            with database.get_connection() as connection:
                barrier.wait(5)  # all five hold a connection at the same time
                connection.execute("SELECT count(*) FROM facts").fetchall()
            for n in range(20):
                Ledger(database).post([deposit(f"{number}-{n}")])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert SQLiteAccountRepository(database).find_by_id("acc").balance.total("USDT").amount == 100_000


def test_a_sixth_waits_for_a_connection(tmp_path):
    database = DatabaseManager(tmp_path / "b.db", max_connections=1)
    database.initialize()
    got = threading.Event()

    def second() -> None:
        with database.get_connection():
            got.set()

    with database.get_connection():
        waiter = threading.Thread(target=second)
        waiter.start()
        assert not got.wait(0.1)
    assert got.wait(5)
    waiter.join()
    database.close()


def test_transactions_can_not_be_edited_behind_the_books(database, ledger):
    ledger.post([deposit()])
    with pytest.raises(Exception, match="never updated"):
        database.execute_update("UPDATE transactions SET amount = '1'")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: sqlite3.connect(p).execute("CREATE TABLE mine (x)").connection.close(), "another program"),
        (lambda p: p.write_bytes(b"no database at all, but long enough to be looked at" * 50), "no SQLite database"),
    ],
)
def test_a_foreign_file_is_refused_and_left_as_it_is(tmp_path, make, said):
    path = tmp_path / "foreign.db"
    make(path)
    before = path.read_bytes()
    with pytest.raises(WrongDatabase, match=said):
        DatabaseManager(path).initialize()
    assert path.read_bytes() == before


def test_a_newer_database_is_refused_with_both_versions(database):
    with database.transaction() as connection:
        connection.pragma("user_version", 99)
    with pytest.raises(WrongDatabase, match="schema version 99, this program knows up to"):
        DatabaseManager(database.path).initialize()


def test_a_missing_or_empty_database_says_how_to_make_one(tmp_path):
    with pytest.raises(Unavailable, match="jarvis db init"):
        DatabaseManager(tmp_path / "none.db").execute_query("SELECT 1")
    (tmp_path / "empty.db").touch()
    with pytest.raises(WrongDatabase, match="not initialised"):
        DatabaseManager(tmp_path / "empty.db").execute_query("SELECT 1")


def test_two_processes_may_initialise_at_once(tmp_path):
    managers = [DatabaseManager(tmp_path / "b.db") for _ in range(4)]
    threads = [threading.Thread(target=m.initialize) for m in managers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {m.execute_query("PRAGMA user_version")[0][0] for m in managers} == {migrations.newest_version()}


def test_a_lock_on_the_journal_mode_that_sqlite_does_not_wait_for_is_waited_for(tmp_path, monkeypatch):
    pragma, refused = SQLiteConnection.pragma, []

    def locked_at_first(self: SQLiteConnection, name: str, *value: object) -> object:
        if name == "journal_mode" and value and len(refused) < 3:
            refused.append(value)
            raise apsw.BusyError("database is locked")
        return pragma(self, name, *value)

    monkeypatch.setattr(SQLiteConnection, "pragma", locked_at_first)
    with closing(DatabaseManager(tmp_path / "b.db")) as database:
        database.initialize()
        assert database.execute_query("PRAGMA journal_mode")[0][0] == "wal"
    assert len(refused) == 3


def test_a_backup_can_be_restored_and_what_came_after_is_gone(database, ledger, tmp_path):
    ledger.post([deposit(1)])
    database.backup(tmp_path / "copies" / "b.db")
    ledger.post([deposit(2)])

    database.restore(tmp_path / "copies" / "b.db")

    assert database.execute_query("SELECT record_id FROM facts")[0][0] == "d1"
    assert check_books(database) == []
    assert [p.name for p in (tmp_path / "copies").iterdir()] == ["b.db"]
    ledger.post([deposit(3)])


def test_a_damaged_or_missing_backup_is_refused_before_anything_is_touched(database, ledger, tmp_path):
    ledger.post([deposit(1)])
    database.backup(tmp_path / "b.db")
    damaged = bytearray((tmp_path / "b.db").read_bytes())
    damaged[4096:8192] = os.urandom(4096)
    (tmp_path / "b.db").write_bytes(damaged)

    for bad in (tmp_path / "b.db", tmp_path / "none.db"):
        with pytest.raises(WrongDatabase):
            database.restore(bad)
    with pytest.raises(Invalid, match="the database itself"):
        database.backup(database.path)
    assert check_books(database) == []


@pytest.mark.parametrize(("version", "safe"), [("3.40.1", False), ("3.51.2", False), ("3.44.6", True), ("3.50.7", True), ("3.51.3", True), ("3.54.1", True)])
def test_a_sqlite_that_can_lose_rows_is_refused(version, safe):
    if safe:
        refuse_unsafe_sqlite(version)
    else:
        with pytest.raises(WrongDatabase, match="WAL-reset"):
            refuse_unsafe_sqlite(version)


def test_a_lock_names_its_holder(tmp_path):
    with locked_file(tmp_path / "l", "the first"), pytest.raises(HeldElsewhere, match="held by the first"), locked_file(tmp_path / "l", "the second"):
        pass
    with locked_file(tmp_path / "l", "the third"):
        pass


def test_statistics_and_clean_up_never_touch_facts(database, ledger):
    ledger.post([deposit()])
    report = housekeeping.record_statistics(database, 1)
    assert (report.rows["facts"], report.first_fact_at) == (1, "2026-01-01T00:00:00.000000Z")
    day = 86_400_000_000
    assert housekeeping.clean_up(database, 1 + 91 * day) == {"job_runs": 0, "statistics_reports": 0}, "the newest stay, however old they look"
    for n in range(housekeeping.KEPT_ALWAYS):
        housekeeping.record_statistics(database, 2 + n)
    assert housekeeping.clean_up(database, 1 + 91 * day) == {"job_runs": 0, "statistics_reports": 1}
    assert housekeeping.statistics(database).rows["facts"] == 1
    housekeeping.checkpoint(database)


def test_any_sqlite_tool_can_read_the_views(database, ledger):
    ledger.post([deposit(), deposit(2)])
    with database.get_connection() as connection:
        connection.wal_checkpoint()
    reader = sqlite3.connect(f"file:{database.path}?mode=ro", uri=True)
    for view in ("v_transactions", "v_fills", "v_orders", "v_balances", "v_daily_performance"):
        reader.execute(f"SELECT * FROM {view}").fetchall()
    assert reader.execute("SELECT transaction_id, occurred_at, amount FROM v_transactions LIMIT 1").fetchone() == (
        "deposit:acc:d1:amount", "2026-01-01T00:00:00.000000Z", "1000",
    )  # fmt: skip
    reader.close()


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("SELECT * FROM transactions WHERE account_id = 'a' ORDER BY occurred_at DESC LIMIT 100", "transactions_by_time"),
        (
            "SELECT * FROM transactions WHERE account_id = 'a' AND type = 'deposit' AND type <> 'trade_in' AND type <> 'trade_out' AND type <> 'fee' AND type <> 'rebate'",
            "transactions_rare",
        ),
        ("SELECT * FROM facts WHERE record_id = 'x'", "facts_identity"),
        ("SELECT * FROM orders WHERE order_id = 'x'", "orders_by_id"),
        ("SELECT * FROM orders WHERE account_id = 'a' ORDER BY created_at DESC", "orders_by_time"),
        (
            "SELECT * FROM orders WHERE account_id = 'a' AND status <> 'filled' AND status <> 'cancelled' AND status <> 'rejected' AND status <> 'expired'",
            "orders_open",
        ),
        ("SELECT * FROM fills WHERE order_id = 'x' AND account_id = 'a'", "fills_by_order"),
        ("SELECT * FROM fills WHERE account_id = 'a' AND executed_at >= 5", "fills_by_time"),
        ("SELECT * FROM voids WHERE account_id = 'a' AND target_id = 'x' AND target_kind = 'fill' AND target_fact_no IS NULL", "voids_waiting"),
    ],
)
def test_each_index_serves_its_query(database, sql, index):
    plan = " ".join(row[3] for row in database.execute_query(f"EXPLAIN QUERY PLAN {sql}"))
    assert index in plan


def test_backups_expire_by_age_but_never_the_newest_seven(tmp_path):
    database = DatabaseManager(tmp_path / "b.db")
    database.initialize()
    day = 86_400_000_000
    start = 1_767_225_600_000_000
    for n in range(10):
        backups.create(database, tmp_path / "copies", start + n * day)
    (tmp_path / "copies" / "notes.txt").write_text("mine")

    assert backups.prune(tmp_path / "copies", start + 20 * day, 30) == []
    assert [b.taken_at.day for b in backups.prune(tmp_path / "copies", start + 99 * day, 30)] == [1, 2], "two a run, the oldest first"
    assert [b.taken_at.day for b in backups.prune(tmp_path / "copies", start + 99 * day, 30)] == [3]
    assert backups.prune(tmp_path / "copies", start + 99 * day, 30) == []
    assert len(list((tmp_path / "copies").glob("[!.]*"))) == 15, "seven with their manifests, and what is none of ours"
    database.close()


def test_integrity_checks_find_what_was_tampered_with(database, ledger):
    ledger.post([deposit(), fill(1)])
    assert check_books(database) == []
    tampering = {
        "balances are explained": "UPDATE balances SET available = '1'",
        "sums match transactions": "UPDATE transaction_totals SET amount = '1' WHERE type = 'deposit'",
        "orders match their facts": "UPDATE orders SET filled = '7'",
        "every fact has its content": "UPDATE fills SET price = '101'",
        "movements match their facts": "INSERT INTO transactions (transaction_no, account_id, occurred_at, type, currency, kind, amount) VALUES (999999, 'acc', 1, 'fee', 'USDT', 'currency', '-1')",
        "reserved is explained": "UPDATE balances SET reserved = '1' WHERE currency = 'BTC'",
    }  # fmt: skip
    for check, sql in tampering.items():
        with pytest.raises(ZeroDivisionError), database.transaction() as connection:
            connection.execute(sql)
            assert check in {f.check for f in check_books(database)}
            1 / 0  # noqa: B018
    assert check_books(database) == []


def test_a_network_file_system_is_refused_with_what_to_do(tmp_path):
    mounts = f"20 1 8:1 / / rw - ext4 /dev/sda rw\n30 20 0:50 / {tmp_path} rw - nfs4 server:/x rw"
    with pytest.raises(WrongDatabase, match="nfs4, a network file system"):
        refuse_network_file_system(tmp_path / "data", mounts)
    refuse_network_file_system(Path("/somewhere"), mounts)
    refuse_network_file_system(tmp_path / "data", mounts + f"\n31 30 8:2 / {tmp_path}/data rw - ext4 /dev/sdb rw")


def test_a_database_that_is_moved_while_it_is_open_acknowledges_nothing(tmp_path):
    manager = DatabaseManager(tmp_path / "data" / "b.db")
    manager.initialize()
    ledger = Ledger(manager)
    ledger.post([deposit(1)])
    (tmp_path / "data").rename(tmp_path / "elsewhere")

    with pytest.raises(Unavailable, match="does not exist"):
        ledger.post([deposit(2)])

    (tmp_path / "elsewhere").rename(tmp_path / "data")
    assert statuses(ledger.post([deposit(1), deposit(2)])) == ["duplicate", "applied"]
    manager.close()


def test_a_commit_into_a_file_that_was_just_moved_away_is_not_acknowledged(tmp_path):
    manager = DatabaseManager(tmp_path / "data" / "b.db")
    manager.initialize()
    with pytest.raises(Unavailable, match="moved, replaced or deleted"), manager.transaction() as connection:
        connection.execute("INSERT INTO accounts (account_id, name) VALUES ('a', 'a')")
        (tmp_path / "data").rename(tmp_path / "elsewhere")
    manager.close()


def test_paths_in_a_folder_that_cannot_be_made_say_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="could not create"):
        DatabaseManager(Path(tmp_path / "file" / "b.db")).initialize()


@pytest.fixture
def older(tmp_path) -> Path:
    """Books of the present schema, which is the older one to a program that carries one more migration."""
    with closing(DatabaseManager(tmp_path / "b.db")) as database:
        database.initialize()
        Ledger(database).post([deposit(1), fill(1), deposit(1, amount="7"), deposit(2, producer="p", sequence=1)])
    return tmp_path / "b.db"


def test_a_database_of_an_older_schema_is_upgraded_with_its_data_after_a_proved_backup(older):
    with a_further_migration() as version, closing(DatabaseManager(older)) as upgraded:
        upgraded.initialize()

        assert upgraded.execute_query("PRAGMA user_version")[0][0] == version
        assert upgraded.execute_query("SELECT count(*) FROM remarks")[0][0] == 0
        assert check_books(upgraded) == []
        assert list(check_schema(upgraded)) == [], "it is that of a new database"
        assert damaged_pages(str(older)) == []
        [kept] = backups.present(older.parent / "backups")
        assert (kept.proved, kept.schema_version) == (True, version - 1)
        backups.verify(kept)
        assert statuses(Ledger(upgraded).post([deposit(1), deposit(3)])) == ["duplicate", "applied"]


def test_a_backup_of_an_older_schema_can_be_restored(older):
    with closing(DatabaseManager(older)) as database:
        database.backup(older.parent / "kept.db")
    with a_further_migration() as version, closing(DatabaseManager(older)) as upgraded:
        upgraded.initialize()
        Ledger(upgraded).post([deposit("later")])
        upgraded.restore(older.parent / "kept.db")
        assert upgraded.execute_query("PRAGMA user_version")[0][0] == version
        assert upgraded.execute_query("SELECT count(*) FROM facts")[0][0] == 3


def test_an_older_schema_is_said_to_be_one(older):
    with a_further_migration() as version, pytest.raises(WrongDatabase, match=f"has schema version {version - 1}, this program works with {version}"):
        DatabaseManager(older).execute_query("SELECT 1")


def test_a_link_to_the_database_is_the_database(tmp_path):
    (tmp_path / "real").mkdir()
    DatabaseManager(tmp_path / "real" / "b.db").initialize()
    (tmp_path / "link.db").symlink_to(tmp_path / "real" / "b.db")
    linked = DatabaseManager(tmp_path / "link.db")
    Ledger(linked).post([deposit()])
    assert linked.wal_bytes() > 0
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("link")] == ["link.db"], "log, marks and locks lie beside the file itself"
    linked.close()


def test_a_migration_that_fails_leaves_the_older_database_as_it_was(older):
    broken = a_further_migration("CREATE TABLE half (x); SELECT no_such_function();")
    with broken, pytest.raises(BooksError, match="no_such_function"):
        DatabaseManager(older).initialize()

    reader = sqlite3.connect(older)
    assert reader.execute("PRAGMA user_version").fetchone() == (migrations.newest_version(),)
    assert reader.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone() == (0,)
    assert reader.execute("SELECT count(*) FROM facts").fetchone() == (3,)
    reader.close()
