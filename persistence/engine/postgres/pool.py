"""A pool of connections to one server. One that broke is not used again; why none can be made is said."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg import pq
from psycopg_pool import ConnectionPool as DriversPool
from psycopg_pool import PoolTimeout

from jarvis_client.contract.errors import Unavailable
from persistence.engine.postgres.address import parameters_of
from persistence.engine.postgres.connect import PostgresConnection
from persistence.engine.postgres.errors import said_by, translated

# What it tells of every try, our own errors say once.
logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)


class ConnectionPool:
    """At most `size` connections at a time. Thread-safe. `look_at` checks the first one, before anybody uses it.

    `settings` are made anew by each BEGIN: behind PgBouncer the next commit may run on another connection of the server.
    """

    def __init__(self, url: str, place: str, size: int, patience_seconds: float, settings: str, look_at: Callable[[PostgresConnection], None]) -> None:
        self._parameters = parameters_of(url)
        self._place = place
        self._size = size
        self._patience = patience_seconds
        self._settings = settings
        self._look_at = look_at
        self._looked_at = False
        self._pool: DriversPool[PostgresConnection] | None = None
        self._lock = threading.Lock()

    @contextmanager
    def connected(self, begin: str, *, looked_at: bool = True) -> Iterator[PostgresConnection]:
        """A connection on which `begin` was run, for the length of a block. Whatever the block leaves open is rolled back."""
        pool, begin = self._opened(), self._with_settings(begin)
        # Asked once: another thread that looks meanwhile has begun nothing on this connection.
        looks = looked_at and not self._looked_at
        with translated(f"reach {self._place}"):
            connection = self._begun(pool, "SELECT 1" if looks else begin)
        try:
            if looks:
                with translated(f"open {self._place}"):
                    self._look_at(connection)
                    connection.run(begin, ())
                self._looked_at = True
            if begin.startswith("BEGIN") and connection.info.transaction_status != pq.TransactionStatus.INTRANS:
                raise Unavailable(f"{self._place}: no commit was begun, so each statement would be one of its own; nothing was recorded")
            yield connection
        finally:
            with suppress(psycopg.Error):
                if connection.info.transaction_status != pq.TransactionStatus.IDLE:
                    connection.run("ROLLBACK", ())
            pool.putconn(connection)

    def forget(self) -> None:
        """Look at the books again before the next use."""
        self._looked_at = False

    def close(self) -> None:
        with self._lock:
            pool, self._pool, self._looked_at = self._pool, None, False
        if pool is not None:
            pool.close()

    def _opened(self) -> DriversPool[PostgresConnection]:
        with self._lock:
            if self._pool is None:
                self._pool = DriversPool(
                    kwargs=self._parameters | {"autocommit": True}, connection_class=PostgresConnection, min_size=0, max_size=self._size,
                    timeout=self._patience, configure=self._prepare, open=True, num_workers=1, name="books",
                )  # fmt: skip
            return self._pool

    def _with_settings(self, begin: str) -> str:
        """In the same round trip, and before whatever waits."""
        first, semicolon, rest = begin.partition(";")
        return f"{first}; {self._settings}{semicolon}{rest}" if begin.startswith("BEGIN") else begin

    def _prepare(self, connection: PostgresConnection) -> None:
        """Statements are prepared on the server's own connection alone: PgBouncer, which names another process, may hand it to somebody else."""
        if connection.run("SELECT pg_backend_pid()", ()).get != connection.info.backend_pid:
            connection.prepare_threshold = None

    def _begun(self, pool: DriversPool[PostgresConnection], begin: str) -> PostgresConnection:
        """A connection of the pool on which the first statement went well: those that the server closed meanwhile show by it."""
        for _ in range(self._size + 1):
            try:
                connection = pool.getconn()
            except PoolTimeout as error:
                raise self._reason() from error
            try:
                connection.run(begin, ())
                return connection
            except BaseException as error:
                pool.putconn(connection)
                if not isinstance(error, psycopg.OperationalError) or not connection.closed:
                    raise
        raise Unavailable(f"{self._place} closes every connection; the same call may succeed later")

    def _reason(self) -> Exception:
        """Why no connection came: what the server says to a new one, or that all are in use."""
        try:
            PostgresConnection.connect(**self._parameters).close()
        except psycopg.OperationalError as error:
            return Unavailable(f"{self._place} cannot be reached: {said_by(error)}; check that the server runs, and database.url")
        return Unavailable(
            f"all {self._size} connections are in use, and none came back within {self._patience:.0f} s; close a stream or raise max_connections"
        )


__all__ = ["ConnectionPool"]
