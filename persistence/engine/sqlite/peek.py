"""The books as they lie on the disk, read without leaving a trace: no file is made, grows or goes, and nothing is moved out of the log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import apsw

from jarvis_client.contract.errors import Unavailable
from persistence.engine.sqlite import migrations
from persistence.engine.sqlite.connect import SQLiteConnection, connect
from persistence.engine.sqlite.errors import reachable, translated


@contextmanager
def peeked(path: str | Path) -> Iterator[SQLiteConnection]:
    """A connection that sees the books of one moment. Their log is read where there is one.

    Raises `WrongDatabase` for a file that is not ours, newer than this program or damaged, `Unavailable` where it is not there or cannot be read.
    """
    real = Path(os.path.realpath(path))
    with reachable(f"read {path}"):
        if not real.exists():
            raise Unavailable(f"{path} does not exist; run `jarvis db init`, or check database.path and the folder it names")
        name = f"file:{quote(str(real))}?{_how(real)}"
    with translated(f"read {path}"), closing(connect(name, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)) as connection:
        # Who leaves last would otherwise empty the log.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.execute("BEGIN")
        migrations.schema_version(connection, str(path))
        yield connection


#: In the header of a file that has a write-ahead log.
_LOGGED = 2


def _how(path: Path) -> str:
    with open(path, "rb") as file:
        header = file.read(20)
    if header[18:20] != bytes((_LOGGED, _LOGGED)):
        # Its journal is of no reader's making, and its locks have to be heeded.
        return "mode=ro"
    log, index = (Path(f"{path}{suffix}") for suffix in ("-wal", "-shm"))
    if index.exists():
        # The log's index is that of whoever has the file open; where nobody has, one of our own is kept in memory.
        return "mode=ro&readonly_shm=1"
    if log.exists() and log.stat().st_size:
        raise Unavailable(f"{path} has a log without an index, which cannot be read without making one; the next start makes it")
    # Nobody has it open, and opening it otherwise would make both files.
    return "mode=ro&immutable=1"
