"""Books that are moved to PostgreSQL and back are the same books: every row, every export, the head of the chain. The source stays as it is."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
from books import NEW_YEAR, SECOND, balance_report, books, deposit, ended, fee, fill, placed, rate, snapshot, statuses, void, withdrawal

from jarvis_client.contract.errors import Invalid, Unavailable
from persistence.books.ledger import Ledger
from persistence.copies.moving import move
from persistence.database import DatabaseManager
from persistence.domain.errors import WrongDatabase
from persistence.engine import carrying
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.proof import chain
from persistence.proof.chain_checks import check_chain
from persistence.server import ServerDatabase
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.options import RollupPlan

pytestmark = pytest.mark.slow

DAY = 86_400 * SECOND
LATER = NEW_YEAR + 9 * DAY
HISTORY = [
    deposit(1, producer="engine", sequence=1), deposit(2, currency="BTC", amount="0.000000000000000001", usd_rate="50000"), placed(1), fill(1, producer="engine", sequence=5),
    fill(2, quantity="0.25", price="101.5", executed_at=NEW_YEAR + DAY), fee(1), void(1, "fill", "f2"), withdrawal(1), ended(1), rate(1), snapshot(1),
    fill(3, account_id="ällt", order_id="z", symbol="BTC/USDT:USDT", executed_at=NEW_YEAR + 2 * DAY), deposit(3, account_id="ällt", extra='{"text":"tab\\t\\"quote\\" \\\\ 🙂"}'),
    void(2, "fill", "never came"), balance_report(1), fill(1, price="777"),
]  # fmt: skip


@pytest.fixture
def source(tmp_path):
    """Something of everything, rolled up and sealed, and a little after that."""
    with closing(DatabaseManager(tmp_path / "books.db", durable=False)) as database:
        database.initialize()
        ledger = Ledger(database)
        assert statuses(ledger.post(HISTORY, lambda i: b"raw %d" % i)).count("quarantined") == 1
        roll_up_accounts(database, RollupPlan(), LATER)
        chain.seal(database, LATER)
        assert statuses(ledger.post([deposit(9), void(9, "deposit", "d1")])) == ["applied"] * 2
        yield database


@pytest.fixture
def target(postgres_books):
    with closing(ServerDatabase(postgres_books.url, half_moved=True)) as database:
        database.initialize()
        yield database


def again(url: str) -> ServerDatabase:
    """The books as any program opens them."""
    return closing(ServerDatabase(url))


def contents(database) -> dict[str, list[tuple]]:
    with database.snapshot() as connection:
        return {table.name: [row for rows in carrying.rows_of(connection, table) for row in map(tuple, rows)] for table in carrying.tables()}


def shown(database) -> dict[str, list[tuple]]:
    """Every view, ordered by all that it shows."""
    with database.snapshot() as connection:
        with closing(SQLiteDatabase(":memory:")) as fresh:
            fresh.open_up()
            views = [name for (name,) in fresh.execute_query("SELECT name FROM sqlite_schema WHERE type = 'view'")]
        return {view: sorted((tuple(row) for row in connection.execute(f"SELECT * FROM {view}")), key=repr) for view in views}


class Cut(Exception):
    """The move ends in the midst."""


def cut_after(times: int):
    left = iter(range(times))

    def progress(_stage, _done, _of):
        if next(left, None) is None:
            raise Cut

    return progress


def test_there_and_back_they_are_the_same_books(source, target, postgres_books, tmp_path):
    there = move(source, target)
    with closing(SQLiteDatabase(tmp_path / "back.db")) as back:
        back.open_up()
        with again(postgres_books.url) as moved:
            move(moved, back)
    with again(postgres_books.url) as moved, closing(DatabaseManager(tmp_path / "back.db")) as back:
        assert books(moved) == books(source) == books(back)
        ours, theirs, returned = contents(source), contents(moved), contents(back)
        assert sum(bool(rows) for rows in ours.values()) > 20, [name for name, rows in ours.items() if not rows]
        assert theirs == ours
        assert {**returned, "book": None} == {**ours, "book": None}
        assert returned["book"][0][1:3] == ours["book"][0][1:3]
        for database in (source, moved, back):
            with database.snapshot() as connection:
                assert chain.head(connection) == there.head
                assert list(check_chain(connection)) == []


def test_every_view_shows_the_same_on_both_engines(source, target, postgres_books):
    move(source, target)
    with again(postgres_books.url) as moved:
        ours, theirs = shown(source), shown(moved)
    assert sum(bool(rows) for rows in ours.values()) > 10
    for view, rows in ours.items():
        assert [list(map(_alike, row)) for row in theirs[view]] == [list(map(_alike, row)) for row in rows], view


def _alike(value):
    """PostgreSQL has truth values of its own."""
    return int(value) if isinstance(value, bool) else value


def test_what_comes_after_the_move_is_recorded_as_if_there_had_been_none(source, target, postgres_books):
    move(source, target)
    further = [fill(20), deposit(21), fill(1)]
    with again(postgres_books.url) as moved:
        assert statuses(Ledger(moved).post(further)) == statuses(Ledger(source).post(further)) == ["applied", "applied", "duplicate"]
        for database in (source, moved):
            roll_up_accounts(database, RollupPlan(), LATER)
            chain.seal(database, LATER)
        assert books(moved) == books(source)


def test_a_move_that_was_cut_off_goes_on_where_it_was(source, target, postgres_books, monkeypatch):
    monkeypatch.setattr(carrying, "ROWS", 3)
    with pytest.raises(Cut):
        move(source, target, cut_after(12))
    with again(postgres_books.url) as moved, pytest.raises(WrongDatabase, match="half moved"):
        moved.initialize()

    moved = move(source, target)

    assert 30 < moved.were_there < moved.rows
    with again(postgres_books.url) as database:
        assert contents(database) == contents(source)


def test_a_cut_off_move_begins_anew_where_the_books_went_on_meanwhile(source, target, postgres_books):
    with pytest.raises(Cut):
        move(source, target, cut_after(8))
    Ledger(source).post([deposit(77)])

    assert move(source, target).were_there == 0
    with again(postgres_books.url) as database:
        assert contents(database) == contents(source)


def test_books_that_are_written_to_meanwhile_are_not_moved(source, target):
    def meanwhile(stage, _done, _of):
        if stage.startswith("reading back"):
            # Of another thread, because this one reads its own moment.
            writer = Thread(target=Ledger(source).post, args=([deposit(78)],))
            writer.start()
            writer.join()

    with pytest.raises(Unavailable, match="stop every worker"):
        move(source, target, meanwhile)
    assert move(source, target).were_there == 0


def test_what_was_read_back_otherwise_is_told_and_not_gone_on_with(source, target):
    def spoil(stage, _done, _of):
        if stage.startswith("reading back"):
            with closing(ServerDatabase(target._url, half_moved=True)) as other:
                other.execute_update("UPDATE fills SET price = '1' WHERE fill_id = 'f1'")

    with pytest.raises(WrongDatabase, match="fills"):
        move(source, target, spoil)
    assert move(source, target).were_there == 0


def test_a_database_that_holds_anything_is_refused_and_left_alone(source, target):
    Ledger(target).post([deposit(1)])
    before = contents(target)
    with pytest.raises(Invalid, match="holds something already"):
        move(source, target)
    assert contents(target) == before


def test_the_source_is_only_read(source, target):
    before = contents(source)
    files = {path.name: path.read_bytes() for path in Path(source.path).parent.glob("books.db")}
    move(source, target)
    assert contents(source) == before
    assert {name: (Path(source.path).parent / name).read_bytes() for name in files} == files
