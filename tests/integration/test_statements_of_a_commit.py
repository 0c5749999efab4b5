"""Many rows and keys go to SQLite in few statements, and arrive as if each had come by itself."""

from __future__ import annotations

from contextlib import closing

import apsw
import pytest

from jarvis_client.contract.forms import fact_of
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.engine.sqlite.connect import KEYS_PER_STATEMENT, ROWS_PER_STATEMENT, connect

SIZES = sorted({0, 1, 2, 3, *(size + off for size in (*ROWS_PER_STATEMENT, *KEYS_PER_STATEMENT) for off in (-1, 0, 1)), 199 + 40, 867})


@pytest.fixture
def connection():
    with closing(connect(":memory:")) as made:
        made.execute("CREATE TABLE t (a INTEGER, b TEXT, c TEXT, UNIQUE (a, b))")
        yield made


@pytest.mark.parametrize("count", SIZES)
def test_rows_arrive_whole_and_in_their_order_whatever_their_number(connection, count):
    rows = [(n, f"b{n}", None if n % 3 else "c") for n in range(count)]
    assert connection.insert_many("INSERT INTO t (a, b, c) VALUES (?, ?, ?)", rows) == count
    assert connection.execute("SELECT a, b, c FROM t ORDER BY rowid").fetchall() == rows


@pytest.mark.parametrize("count", SIZES)
def test_keys_are_found_once_each_whatever_their_number(connection, count):
    rows = [(n, f"b{n}", "c") for n in range(1_000)]
    connection.insert_many("INSERT INTO t (a, b, c) VALUES (?, ?, ?)", rows)
    keys = [(n, f"b{n}") for n in range(0, 2 * count, 2)]  # those from 1,000 on are not there
    found = connection.lookup("SELECT a, b, c FROM t WHERE a = ? AND b = ?", keys)
    assert sorted(found) == [row for row in rows if row[0] % 2 == 0 and row[0] < 2 * count]


def test_rows_that_are_there_already_are_not_counted(connection):
    rows = [(n, "b", "c") for n in range(300)]
    connection.insert_many("INSERT INTO t (a, b, c) VALUES (?, ?, ?)", rows[100:150])
    assert connection.insert_many("INSERT INTO t (a, b, c) VALUES (?, ?, ?) ON CONFLICT (a, b) DO NOTHING", rows) == 250


def fill(n):
    record = {"fill_id": f"v:{n}", "account_id": "a", "order_id": f"o{n}", "symbol": "BTC/USDT", "side": "buy", "quantity": "1", "price": "2", "fee": "0.1"}
    return fact_of("fill", {**record, "executed_at": 1_767_225_600_000_000 + n})


@pytest.mark.parametrize("count", [1, 10, 867, 1_000])
def test_a_commit_takes_few_statements_whatever_the_size_of_its_batch(tmp_path, count):
    """Each is a moment at which a thread that decodes may take the interpreter from the writer; 867 fills once took 298."""
    begun = []
    with DatabaseManager(tmp_path / "books.db") as database:
        ledger = Ledger(database)
        ledger.post([fill(0)])
        with database.get_connection(writing=True) as connection:
            connection.trace_v2(apsw.SQLITE_TRACE_STMT, begun.append, id="begun")
        ledger.post([fill(n) for n in range(1, count + 1)])
    assert 10 < len(begun) < 90
