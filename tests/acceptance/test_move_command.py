"""`jarvis db move` as an operator types it: what it says, what it refuses, and what is there afterwards."""

from __future__ import annotations

import json
from contextlib import closing

import command
import pytest
from books import books, deposit, fill

from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.files import locked_file
from persistence.proof import chain
from persistence.server import ServerDatabase

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(short_folder, monkeypatch):
    monkeypatch.setenv("JARVIS_DATABASE__PATH", "books.db")
    with closing(DatabaseManager(short_folder / "books.db")) as database:
        database.initialize()
        Ledger(database).post([deposit(1), fill(1), fill(2)])
        chain.seal(database, 1_800_000_000_000_000)
    return short_folder


def test_it_says_what_went_over_and_what_to_do_next(folder, postgres_books):
    done = command.run("db", "move", "--to", postgres_books.url, folder=folder)
    assert done.returncode == 0, done.stderr
    with closing(ServerDatabase(postgres_books.url)) as moved, closing(DatabaseManager(folder / "books.db")) as old:
        assert books(moved) == books(old)
        with moved.get_connection() as connection:
            assert str(chain.head(connection)) in done.stderr
    assert "3 records in" in done.stderr
    assert "database.url" in done.stderr
    assert not done.stdout


def test_a_url_with_a_password_comes_from_a_file_and_is_never_shown(folder, postgres_books):
    (folder / "url").write_text(postgres_books.url.replace("@", ":secret@") + "\n")
    done = command.run("db", "move", "--to-file", "url", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["facts"] == 3
    assert "secret" not in done.stdout + done.stderr


def test_into_a_new_file_it_is_a_copy_with_its_own_name_in_the_end(folder):
    done = command.run("db", "move", "--to", "elsewhere/new.db", folder=folder)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (folder / "elsewhere").iterdir()) == ["new.db"]
    verified = command.run("verify", "--json", folder=folder, JARVIS_DATABASE__PATH="elsewhere/new.db", JARVIS_DATABASE__BACKUP__ENABLED="false")
    assert json.loads(verified.stdout) == [], verified.stdout


@pytest.mark.parametrize(
    ("to", "said"),
    [
        (["--to", "books.db"], "exists already"),
        (["--to", "mysql://host/books"], "no place for books"),
        (["--to", "postgresql://nobody@127.0.0.1:1/books"], "cannot be reached"),
        (["--to", "postgresql://h/%zz"], "no URL of PostgreSQL"),
        (["--to-file", "nowhere"], "No such file"),
        ([], "give one of"),
        (["--to", "a", "--to-file", "b"], "give one of"),
    ],
)
def test_a_place_that_cannot_be_is_told_with_the_way_out(folder, to, said):
    done = command.run("db", "move", *to, folder=folder)
    assert done.returncode not in (0, 1)
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_books_that_somebody_works_on_are_not_moved(folder, postgres_books):
    with locked_file(folder / "worker-worker.lock", "a worker"):
        done = command.run("db", "move", "--to", postgres_books.url, folder=folder)
    assert done.returncode != 0
    assert "worker-worker.lock" in done.stderr
