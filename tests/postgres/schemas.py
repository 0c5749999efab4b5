"""A role and its schema for each test, in one database: cheap to make, gone without a trace, and blind to each other."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from postgres.server import PASSWORD

#: Orders texts as a dictionary does, so that an order which the books do not name themselves shows.
LIKE_A_DICTIONARY = "TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C.UTF-8'"


class Books(NamedTuple):
    """Where a test has its books: a role's own schema, which its connections find without being told."""

    url: str
    schema: str


class Schemas:
    """The database of a run. `url` is a role's that may create roles and databases."""

    def __init__(self, url: str, database: str) -> None:
        self._url = url
        self.database = database
        self._numbers = itertools.count(1)

    def create(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            name = sql.Identifier(self.database)
            try:
                connection.execute(sql.SQL("CREATE DATABASE {} " + LIKE_A_DICTIONARY).format(name))
            except psycopg.Error:  # built without ICU, or older than 15
                connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(name))

    def drop(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(self.database)))
            left = connection.execute("SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", [f"{self.database}_"]).fetchall()
            for (role,) in left:
                connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))

    def admin(self) -> psycopg.Connection:
        """A connection of the role that may everything, to this database."""
        return psycopg.connect(self.url_of_admin, autocommit=True)

    @property
    def url_of_admin(self) -> str:
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{self.database}"))

    @contextmanager
    def books(self) -> Iterator[Books]:
        """An empty schema for a block. `"$user"` is first in every connection's search path, so the role's own is where it looks."""
        name = f"{self.database}_{os.getpid()}_{next(self._numbers)}"
        role = sql.Identifier(name)
        with self.admin() as connection:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, PASSWORD))
            connection.execute(sql.SQL("GRANT {} TO current_user").format(role))
            connection.execute(sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}").format(role, role))
        try:
            yield Books(self._url_of(name), name)
        finally:
            with self.admin() as connection:
                connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [name])
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(role))
                connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
                connection.execute(sql.SQL("DROP ROLE {}").format(role))

    def _url_of(self, role: str) -> str:
        parts = urlsplit(self._url)
        place = parts.netloc.rpartition("@")[2]
        password = f":{PASSWORD.replace(' ', '%20')}" if place else ""
        return urlunsplit(parts._replace(netloc=f"{role}{password}@{place}", path=f"/{self.database}"))
