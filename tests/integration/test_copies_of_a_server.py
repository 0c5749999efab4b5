"""Backups of books that a server keeps are SQLite files, and go back into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from books import NEW_YEAR, SECOND, books, deposit, fill, placed, rate, snapshot, statuses, void
from postgres import Books

from jarvis_client.contract.errors import Invalid, Unavailable
from persistence.books.ledger import Ledger
from persistence.copies import backups
from persistence.copies.server_restoring import bring_back_to_server
from persistence.domain.errors import OtherBooks, TookTooLong, WrongDatabase
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.opening import of_a_file, open_to_read
from persistence.proof import chain
from persistence.proof.books_checks import check_books
from persistence.proof.chain_checks import check_chain
from persistence.server import ServerDatabase
from scheduler.rebuild import replace_on_server
from scheduler.rollup.options import RollupPlan
from scheduler.verification import Depth, verify

pytestmark = pytest.mark.slow

NOW = NEW_YEAR + 3_600 * SECOND


@pytest.fixture
def server(postgres_books: Books, tmp_path: Path) -> Iterator[ServerDatabase]:
    with ServerDatabase(postgres_books.url, durable=False, folder=tmp_path / "server", clock=lambda: NOW) as database:
        Ledger(database).post([deposit(1), *(fill(n) for n in range(90)), void(1, "fill", "f2"), placed(1, order_id="o9"), rate(1), snapshot(1)])
        yield database


def brought_back(server: ServerDatabase, backup: backups.Backup, scratch: Path):
    with backups.opened(backup, scratch) as plain:
        return bring_back_to_server(server, plain, NOW, source=backup, later_folder=server.folder)


def test_a_backup_is_proved_and_goes_back_with_what_came_later_set_aside(server, tmp_path):
    backup = backups.create(server, server.backup_folder, NOW)
    assert backup.proved
    before = books(server)
    Ledger(server).post([fill("later"), deposit("later", amount="7")])

    done = brought_back(server, backup, tmp_path)

    assert books(server) == before
    assert done.compared
    [later] = server.folder.glob("after-*.ndjson")
    assert later.read_text().count("later") == 2
    with closing(SQLiteDatabase.copy_of(done.aside)) as aside:
        assert check_books(aside) == []
        assert aside.execute_query("SELECT count(*) FROM facts WHERE record_id LIKE '%later'")[0][0] == 2
    # Recording goes on behind the numbers that came back, and the chain with it.
    assert statuses(Ledger(server).post([fill("later"), fill(1)])) == ["applied", "duplicate"]
    chain.seal(server, NOW)
    with server.snapshot() as connection:
        assert list(check_chain(connection)) == []


def test_every_depth_of_a_verification_finds_nothing(server):
    backups.create(server, server.backup_folder, NOW)
    for depth in (Depth.USUAL, Depth.FULL, Depth.QUICK):
        assert verify(server, RollupPlan(), NOW, server.backup_folder, depth=depth) == []


def test_a_copy_that_was_changed_behind_our_back_is_found(server):
    server.execute_update("UPDATE balances SET available = '1' WHERE currency = 'USDT'")
    assert [f.check for f in verify(server, RollupPlan(), NOW, None)][:1] == ["balances are explained"]


def test_a_backup_of_other_books_is_refused(server, tmp_path):
    with closing(SQLiteDatabase(tmp_path / "other.db", durable=False)) as other:
        other.open_up()
        Ledger(other).post([fill(1)])
        backup = backups.create(other, tmp_path / "theirs", NOW)
    before = books(server)
    with pytest.raises(WrongDatabase, match="other books"):
        brought_back(server, backup, tmp_path)
    assert books(server) == before


def test_tables_that_litestream_left_in_a_file_stay_there(server, tmp_path):
    with closing(SQLiteDatabase(tmp_path / "followed.db", durable=False)) as followed:
        followed.open_up()
        followed.execute_update("CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)")
        Ledger(followed).post([deposit(1)])
        before = books(followed)
    server.replaced_from(tmp_path / "followed.db")
    assert books(server) == before


def test_whoever_has_the_former_books_open_does_not_go_on_with_others(server, postgres_books, tmp_path):
    with closing(SQLiteDatabase(tmp_path / "other.db", durable=False)) as other:
        other.open_up()
    with closing(ServerDatabase(postgres_books.url, durable=False)) as watching:
        watching.refuse_if_replaced()
        server.replaced_from(tmp_path / "other.db")
        with pytest.raises(OtherBooks, match="Nothing was written"):
            watching.refuse_if_replaced()


def test_what_only_a_file_can_be_asked_for_is_refused_with_what_to_do_instead(server):
    with pytest.raises(Invalid, match=r"salvage is about a SQLite file.*: ask its administrator"):
        of_a_file(server, "salvage", "ask its administrator")


def test_a_rebuild_mends_what_the_facts_do_not_make(server):
    before = books(server)
    server.execute_update("UPDATE balances SET available = '1' WHERE currency = 'USDT'")
    server.execute_update("UPDATE orders SET filled = '999'")
    server.execute_update("DELETE FROM transactions WHERE transaction_no = (SELECT min(transaction_no) FROM transactions)")
    server.execute_update("UPDATE facts SET state = 0 WHERE state = 1")

    found = replace_on_server(server, RollupPlan(), NOW)

    assert {f.where.split()[0] for f in found} == {"balances", "orders", "transactions", "facts"}
    assert books(server) == before
    assert check_books(server) == []
    assert replace_on_server(server, RollupPlan(), NOW) == []


def test_a_rebuild_changes_nothing_where_somebody_records_meanwhile(server):
    server.execute_update("UPDATE balances SET available = '1' WHERE currency = 'USDT'")
    before = books(server)["acc balances"]
    with pytest.raises(Unavailable, match="stop the workers of every host"):
        replace_on_server(server, RollupPlan(), NOW, lambda: Ledger(server).post([rate(2)]) and None)
    assert books(server)["acc balances"] == before


def test_who_only_reads_books_of_a_server_cannot_write(server, postgres_books, tmp_path):
    with closing(open_to_read(postgres_books.url, 2, tmp_path)) as reading:
        with reading.moment(5.0) as connection:
            assert connection.execute("SELECT count(*) FROM fills").get == 90
        with pytest.raises(Invalid, match="for reading"), reading.moment(5.0) as connection:
            connection.execute("DELETE FROM fills")
        with pytest.raises(TookTooLong), reading.moment(0.05) as connection:
            connection.execute("SELECT pg_sleep(5)")
        with pytest.raises(Unavailable, match="for reading alone"), reading.transaction():
            pass
