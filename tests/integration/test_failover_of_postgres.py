"""A server dies under writers and its synchronous standby takes over: what was acknowledged is there, once."""

from __future__ import annotations

import threading
from contextlib import closing

import psycopg
import pytest
from books import books, deposit, statuses
from parts import wait_until
from postgres import standby_of

from jarvis_client.contract.errors import Unavailable
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.server import ServerDatabase

pytestmark = pytest.mark.slow


class Writer:
    """Posts one deposit after the other, each again until it is acknowledged; as a worker does with its messages."""

    def __init__(self, url: str, name: str) -> None:
        self.acknowledged: list[str] = []
        self.again = 0
        self._url, self._name = url, name
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def _write(self) -> None:
        with closing(ServerDatabase(self._url, 1)) as database:
            ledger = Ledger(database)
            while not self._ended.is_set():
                name = f"{self._name}{len(self.acknowledged)}"
                try:
                    assert statuses(ledger.post([deposit(name, account_id=self._name)]))[0] in ("applied", "duplicate")
                    self.acknowledged.append(name)
                except Unavailable:
                    self.again += 1
                    self._ended.wait(0.05)

    def has_gone_on_by(self, count: int) -> bool:
        assert self._thread.is_alive()
        return len(self.acknowledged) >= count

    def end(self) -> None:
        self._ended.set()
        self._thread.join(30)


def test_a_standby_that_is_promoted_has_what_was_acknowledged_and_writers_go_on(postgres_server):
    with standby_of(postgres_server) as standby:
        with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
        both = f"host={postgres_server.folder},{standby.folder}&port={postgres_server.port},{standby.port}"
        url = f"postgresql://postgres@/postgres?{both}&target_session_attrs=read-write"
        with closing(ServerDatabase(url)) as database:
            database.initialize()
        writers = [Writer(url, name) for name in ("a", "b")]
        wait_until(lambda: all(writer.has_gone_on_by(20) for writer in writers), "both have written")

        postgres_server.kill()
        with psycopg.connect(standby.url(), autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")
        before = [len(writer.acknowledged) for writer in writers]
        wait_until(lambda: all(w.has_gone_on_by(n + 20) for w, n in zip(writers, before, strict=True)), "both go on at the standby", 60)
        for writer in writers:
            writer.end()

        with closing(ServerDatabase(url)) as found, closing(DatabaseManager(":memory:")) as expected:
            expected.initialize()
            Ledger(expected).post([deposit(name, account_id=writer._name) for writer in writers for name in writer.acknowledged])
            assert all(writer.again for writer in writers)
            assert books(found) == books(expected)
