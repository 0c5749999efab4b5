"""A consistent copy of a database, taken while others write, in one step."""

from __future__ import annotations

import os

from persistence.engine.sqlite.connect import SQLiteConnection, connect
from persistence.engine.sqlite.errors import reachable, translated
from persistence.engine.sqlite.pages import refuse_damaged
from persistence.files import fsync_folder, make_file, remove


def copy_to(connection: SQLiteConnection, target: str, *, check: bool = True) -> None:
    """Write the database behind a connection to a file, fsynced, put in place whole or not at all.

    Raises `Unavailable` where it cannot be written, and with `check` `WrongDatabase` where the copy is damaged.
    """
    partial = f"{target}.partial"
    with reachable(f"write {partial}"), translated(f"write {partial}", reading=connection.db_filename("main")):
        remove(partial)
        os.close(make_file(partial))
        copy = connect(partial)
        try:
            # Pages get their checksums as they are written, once the file says that it has any.
            copy.reserve_bytes("main", connection.reserve_bytes("main"))
            copy.execute("CREATE TABLE beginning (x)")
            # One step: a copy in several starts over with every commit of another connection, so it never ends.
            with copy.backup("main", connection, "main") as copying:
                copying.step()
            copy.pragma("journal_mode", "delete")
            if check:
                refuse_damaged(copy, partial)
        finally:
            copy.close()
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, target)
        fsync_folder(os.path.dirname(os.path.abspath(target)))


__all__ = ["copy_to"]
