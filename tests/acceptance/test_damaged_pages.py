"""A page of each kind is overwritten: what looks for damage survives it, names the table, and sends nobody to itself."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import apsw
import pytest
from books import NEW_YEAR, deposit, fill
from command import run

from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.proof import chain

PAGE = 4096


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """Books with pages of every kind: tables and indexes of two levels, overflow, free pages."""
    path = tmp_path_factory.mktemp("sound") / "books.db"
    with DatabaseManager(path, durable=False) as database:
        ledger = Ledger(database)
        for n in range(4):
            ledger.post([deposit(f"{n}-{i}", description="x" * 9_000 if i == 0 else None, occurred_at=NEW_YEAR + i) for i in range(100)])
            ledger.post([fill(f"{n}-{i}", order_id=f"o{n}-{i}") for i in range(100)])
        chain.seal(database, NEW_YEAR)
        database.execute_update("CREATE TABLE junk (a BLOB)")
        database.execute_update("INSERT INTO junk VALUES (zeroblob(30000))")
        database.execute_update("DROP TABLE junk")
    return path


def page_of(path: Path, name: str, kind: str) -> int:
    """The number of a page of this kind; of several the last."""
    with path.open("rb") as file:
        header = file.read(100)
    if kind == "free":
        return int.from_bytes(header[32:36], "big")
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    number = connection.execute("SELECT max(pageno) FROM dbstat WHERE name = ? AND pagetype = ?", (name, kind)).get
    connection.close()
    return number


KINDS = {
    "the header": ("sqlite_schema", "header", "the header"),
    "the schema": ("sqlite_schema", "leaf", "table sqlite_schema"),
    "an interior page of a table": ("facts", "internal", "table facts"),
    "a leaf of a table": ("fills", "leaf", "table fills"),
    "a leaf of accounts": ("accounts", "leaf", "table accounts"),
    "an interior page of an index": ("facts_identity", "internal", "index facts_identity of facts"),
    "a leaf of an index": ("facts_identity", "leaf", "index facts_identity of facts"),
    "an overflow page": ("transactions", "overflow", "table transactions"),
    "a free page": ("", "free", "free"),
}


@pytest.mark.parametrize("noise", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["a few bytes", "all of it"])
@pytest.mark.parametrize(("name", "kind", "told"), KINDS.values(), ids=KINDS)
def test_the_page_is_named_and_everything_of_last_resort_survives_it(sound, tmp_path, name, kind, told, noise):
    books = tmp_path / "data" / "jarvis_trading.db"
    books.parent.mkdir()
    shutil.copy(sound, books)
    page = 1 if kind == "header" else page_of(books, name, kind)
    with books.open("r+b") as file:
        file.seek((page - 1) * PAGE + (20 if noise and page == 1 else 100 if page == 1 else 0))
        file.write(random.Random(5).randbytes(2_000 if noise else 12))
    environment = {"JARVIS_DATABASE__PATH": str(books), "JARVIS_DATABASE__BACKUP__ENABLED": "false"}

    for command in (("db", "check"), ("verify",)):
        done = run(*command, "--json", folder=tmp_path, **environment)
        assert done.returncode == 1, (command, done.stdout, done.stderr)
        [finding] = [f for f in json.loads(done.stdout) if f["check"] == "pages match their checksums"]
        assert finding["where"].startswith(f"page {page} of ")
        assert told in finding["where"] or "not followed to their end" in finding["where"] or "the header, or a table" in finding["where"]
        assert all("db check" not in f["look"] for f in json.loads(done.stdout))
    done = run("db", "salvage", "new.db", folder=tmp_path, **environment)
    assert done.returncode in (0, 1), done.stderr
    again = run("db", "check", folder=tmp_path, **{**environment, "JARVIS_DATABASE__PATH": str(tmp_path / "new.db")})
    assert "checksums" not in again.stdout
    assert "Traceback" not in again.stderr


def test_a_damaged_log_is_told_with_the_commits_that_are_missing(tmp_path):
    books = tmp_path / "jarvis_trading.db"
    (tmp_path / "kept").mkdir()
    with DatabaseManager(books, durable=False) as database:
        ledger = Ledger(database)
        database.checkpoint(truncate=True)
        for n in range(5):
            ledger.post([deposit(n)])
        for file in tmp_path.glob("jarvis_trading.db*"):
            shutil.copy(file, tmp_path / "kept" / file.name)
    with (tmp_path / "kept" / "jarvis_trading.db-wal").open("r+b") as file:
        file.seek(3 * PAGE)
        file.write(b"\xff" * 100)
    environment = {"JARVIS_DATABASE__PATH": str(tmp_path / "kept" / "jarvis_trading.db"), "JARVIS_DATABASE__BACKUP__ENABLED": "false"}
    for command in (("db", "check"), ("verify",)):
        done = run(*command, folder=tmp_path, **environment)
        assert done.returncode == 1, (done.stdout, done.stderr)
        assert "no commit is missing: books: expected commit" in done.stdout
        assert "jarvis db accept-loss, or jarvis restore --latest" in done.stdout
