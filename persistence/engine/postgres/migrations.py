"""Schema migrations: `schema/NNNN_name.sql`, the same numbers as SQLite's, each applied once, forward only, in one transaction."""

from __future__ import annotations

import secrets

from persistence.domain.errors import WrongDatabase
from persistence.engine.migrations import Migration, carried_in, refuse_newer
from persistence.engine.postgres.connect import PostgresConnection

#: The oldest server that has what the schema uses.
OLDEST_SERVER = 140_000
#: Several processes may start at once: one brings the schema up to date, the others wait for it.
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('jarvis schema ' || current_schema(), 0))"


def migrations() -> tuple[Migration, ...]:
    """Every migration this program carries, in order."""
    return carried_in("persistence.engine.postgres")


def newest_version() -> int:
    return migrations()[-1].version


def refuse_unfit_server(connection: PostgresConnection, place: str) -> None:
    """Raises `WrongDatabase` for a server or a database that cannot hold the books as they are."""
    if connection.info.server_version < OLDEST_SERVER:
        raise WrongDatabase(f"{place} runs PostgreSQL {connection.info.server_version // 10_000}; the books need 14 or newer")
    encoding, schema = connection.run("SELECT current_setting('server_encoding'), current_schema()", ()).get
    if encoding != "UTF8":
        raise WrongDatabase(f"the database {place} is encoded in {encoding}; create one in UTF8: createdb --encoding=UTF8 --template=template0")
    if schema is None:
        raise WrongDatabase(f"the search_path of {place} names no schema that exists; create it, or name another one for the user of database.url")


def refuse_undurable(connection: PostgresConnection, place: str) -> None:
    """Raises `WrongDatabase` where the server says that a commit is done before it is on its disk."""
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        if connection.run("SELECT current_setting($1)", (name,)).get == "off":
            raise WrongDatabase(f"{name} is off at {place}, so a crash loses what was acknowledged; turn it on, for the server or for the user of database.url")


def schema_version(connection: PostgresConnection, place: str) -> int:
    """The version of the books at a place; 0 where there are none.

    Raises `WrongDatabase` for a schema with other tables, or newer than this program; nothing is written to it.
    """
    if connection.run("SELECT to_regclass(quote_ident(current_schema()) || '.schema_versions') IS NULL", ()).get:
        tables = [name for (name,) in connection.run("SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1 LIMIT 5", ())]
        if tables:
            raise WrongDatabase(
                f"{place} holds tables of another program ({', '.join(tables)}); it was left untouched: name an empty database or schema in database.url"
            )
        return 0
    version = int(connection.run("SELECT coalesce(max(version), 0) FROM schema_versions", ()).get)
    refuse_newer(version, newest_version(), place)
    return version


def refuse_older(connection: PostgresConnection, place: str) -> None:
    """Raises `WrongDatabase` for any schema but the newest."""
    version = schema_version(connection, place)
    if version == 0:
        raise WrongDatabase(f"{place} is not initialised; run `jarvis db init`")
    if version != newest_version():
        raise WrongDatabase(
            f"{place} has schema version {version}, this program works with {newest_version()}; "
            "`jarvis db init`, or any start of the worker, brings it up to date"
        )


def migrate(connection: PostgresConnection, place: str, now: int) -> None:
    """Apply what is missing, all of it in one transaction."""
    with connection.transaction():
        connection.run(_ONE_AT_A_TIME, ())
        version = schema_version(connection, place)
        for migration in migrations():
            if migration.version <= version:
                continue
            connection.run(migration.sql, ())
            connection.run("INSERT INTO schema_versions (version, applied_at) VALUES ($1, $2)", (migration.version, now))
            if migration.version == 1:
                named = (secrets.token_hex(16), secrets.token_hex(8))
                connection.run("INSERT INTO book (one, book_id, epoch, commit_no) VALUES (1, $1, $2, 0)", named)
    connection.types.clear()


__all__ = ["migrate", "newest_version", "refuse_older", "refuse_undurable", "refuse_unfit_server", "schema_version"]
