"""Real parts that tests are made of: a broker server, a database for a block, waiting for an event."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from jarvis.embedded_broker import server_binary
from persistence.database import DatabaseManager
from persistence.engine.migrations import Migration
from persistence.engine.sqlite import migrations

TAPE = Path(__file__).parent / "data" / "xrpeth_tape.ndjson.gz"


def tape_records() -> list[tuple[str, dict[str, Any]]]:
    """(kind, record) of every line of the tape."""
    with gzip.open(TAPE) as lines:
        records = [json.loads(line) for line in lines]
    return [(record.pop("type"), record) for record in records]


class BrokerServer:
    """A real Valkey server that a test may kill and start again over the same files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "s"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder), "--appendonly", "yes", "--appendfsync", "always"]
        self._process = subprocess.Popen([server_binary(), *arguments, "--save", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, "the test's server answers")

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket))

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


#: Between two looks for an event, at least; one that costs more is taken less often, so that waiting leaves the processor to what is waited for.
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.01, 0.5


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait for an event; fail with its name. Three times as long as a busy machine was seen to take: who waits in vain has time."""
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if condition():
            return
        now = time.monotonic()
        if now > deadline:
            pytest.fail(f"waited {seconds:g} s in vain until {what}")
        time.sleep(min(max(PAUSE_SECONDS, 4 * (now - began)), LONGEST_PAUSE_SECONDS))


@contextmanager
def closing(manager: DatabaseManager) -> Iterator[DatabaseManager]:
    manager.initialize()
    try:
        yield manager
    finally:
        manager.close()


@contextmanager
def a_further_migration(sql: str = "ALTER TABLE accounts ADD COLUMN remark TEXT; CREATE TABLE remarks (remark TEXT) STRICT;") -> Iterator[int]:
    """A program that carries one more migration than this one. Gives the version of its schema."""
    carried = (*migrations.migrations(), Migration(migrations.newest_version() + 1, "of a test", sql))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "migrations", lambda: carried)
        yield carried[-1].version
