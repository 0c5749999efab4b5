"""Connections to a server that are lost: before a commit nothing was recorded, over a commit the identities tell."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from books import deposit, fill, statuses
from postgres import Books

from jarvis_client.contract.errors import Unavailable
from persistence.books.ledger import Ledger
from persistence.domain.errors import CommitUnknown
from persistence.engine.postgres.connect import PostgresConnection
from persistence.server import ServerDatabase

pytestmark = pytest.mark.slow


@pytest.fixture
def server(postgres_books: Books) -> Iterator[ServerDatabase]:
    with ServerDatabase(postgres_books.url, durable=False) as database:
        yield database


def cut(connection: PostgresConnection) -> None:
    with pytest.raises(psycopg.OperationalError):
        connection.run("SELECT pg_terminate_backend(pg_backend_pid())", ())


def test_what_a_lost_connection_was_about_to_record_is_not_recorded(server):
    with pytest.raises(Unavailable), server.transaction() as connection:
        connection.execute("INSERT INTO accounts (account_id, name) VALUES ('a', 'a')")
        cut(connection)
        connection.execute("SELECT 1")
    assert server.execute_query("SELECT count(*) FROM accounts")[0][0] == 0


def test_connections_that_were_cut_while_nobody_used_them_are_not_noticed(server):
    with server.get_connection() as one, server.transaction() as other:
        pids = [c.run("SELECT pg_backend_pid()", ()).get for c in (one, other)]
    with server.transaction() as connection:
        for pid in pids:
            if pid != connection.info.backend_pid:
                connection.run("SELECT pg_terminate_backend($1)", (pid,))
    assert statuses(Ledger(server).post([deposit(1)])) == ["applied"]
    assert server.execute_query("SELECT count(*) FROM facts")[0][0] == 1


@pytest.mark.parametrize("arrived", [True, False])
def test_a_commit_whose_answer_is_lost_is_settled_by_posting_again(server, monkeypatch, arrived):
    run = PostgresConnection.run

    def losing(self: PostgresConnection, text: str, bound):
        if text != "COMMIT":
            return run(self, text, bound)
        monkeypatch.undo()
        if arrived:
            run(self, text, bound)
        self.close()
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(PostgresConnection, "run", losing)
    with pytest.raises(CommitUnknown):
        Ledger(server).post([deposit(1), fill(1)])

    assert statuses(Ledger(server).post([deposit(1), fill(1)])) == ["duplicate" if arrived else "applied"] * 2
    assert server.execute_query("SELECT count(*) FROM facts")[0][0] == 2
