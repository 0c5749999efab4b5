"""Schema migrations: `schema/NNNN_name.sql`, each applied once, forward only, in one transaction."""

from __future__ import annotations

import secrets

import apsw

from persistence.domain.errors import WrongDatabase
from persistence.engine.migrations import Migration, carried_in, refuse_newer

#: Marks a SQLite file as ours ("JARV" in ASCII): SQLite keeps it in the header, `file` shows it.
APPLICATION_ID = 0x4A415256


def migrations() -> tuple[Migration, ...]:
    """Every migration this program carries, in order."""
    return carried_in("persistence.engine.sqlite")


def newest_version() -> int:
    return migrations()[-1].version


def schema_version(connection: apsw.Connection, path: str) -> int:
    """The version of the database behind a connection; 0 for an empty one.

    Raises `WrongDatabase` for a file that is not ours or newer than this program; nothing is written to it.
    """
    application = connection.pragma("application_id")
    version = int(connection.pragma("user_version"))
    if application != APPLICATION_ID:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema LIMIT 5")]
        if application or version or tables:
            raise WrongDatabase(
                f"{path} is a SQLite database of another program (application id {application:#x}, tables {', '.join(tables) or 'none'}); "
                "it was left untouched: name another file in database.path"
            )
        return 0
    refuse_newer(version, newest_version(), path)
    return version


def refuse_older(connection: apsw.Connection, path: str) -> None:
    """Raises `WrongDatabase` for any schema but the newest."""
    version = schema_version(connection, path)
    if version == 0:
        raise WrongDatabase(f"{path} is not initialised; run `jarvis db init`, or call DatabaseManager.initialize()")
    if version != newest_version():
        raise WrongDatabase(
            f"{path} has schema version {version}, this program works with {newest_version()}; "
            "`jarvis db init`, or any start of the worker, takes a proved backup and brings it up to date"
        )


def schema_texts(connection: apsw.Connection) -> dict[str, str]:
    """The SQL of every table, index, view and trigger, by kind and name."""
    rows = connection.execute("SELECT type || ' ' || name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'").fetchall()
    # Litestream keeps tables of its own in the database that it follows.
    rows = [(name, sql) for name, sql in rows if not str(name).startswith("table _litestream_")]
    return {str(name): str(sql) for name, sql in rows}


def name_the_book(connection: apsw.Connection) -> None:
    """Give new books their id and their first epoch."""
    connection.execute("INSERT INTO book (one, book_id, epoch, commit_no) VALUES (1, ?, ?, 0)", (secrets.token_hex(16), secrets.token_hex(8)))


def migrate(connection: apsw.Connection, version: int) -> list[Migration]:
    """Apply what is missing after `version`, each migration in one transaction. Returns what was applied."""
    applied = []
    for migration in migrations():
        if migration.version <= version:
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Two processes may start at once: whoever comes second finds the work done.
            if int(connection.pragma("user_version")) < migration.version:
                connection.execute(migration.sql)
                if migration.version == 1:
                    name_the_book(connection)
                connection.pragma("application_id", APPLICATION_ID)
                connection.pragma("user_version", migration.version)
                applied.append(migration)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return applied
