"""An engine may have packages of the names that ours have: every command works in its folder."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest
from parts import wait_until

#: What engines call their packages, too.
NAMESAKES = ("workers", "scheduler", "persistence", "config", "jarvis_client", "redis", "typer")
DEPOSIT = '{"type": "deposit", "deposit_id": "%d", "account_id": "main", "currency": "USDT", "amount": "1", "occurred_at": "2026-01-01T00:00:00Z"}\n'


@pytest.fixture
def engine(short_folder: Path) -> Path:
    """The folder of an engine whose packages end the process that imports them."""
    for name in NAMESAKES:
        (short_folder / name).mkdir()
        (short_folder / name / "__init__.py").write_text(f"raise SystemExit('{name} of the engine was imported')\n")
    return short_folder


def run(engine: Path, *arguments: str, given: str = "") -> str:
    command = [sys.executable, "-m", "jarvis", *arguments]
    done = subprocess.run(command, cwd=engine, input=given, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def recorded(engine: Path) -> int:
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{engine}/data/jarvis_trading.db?mode=ro", uri=True)) as books:
        return int(books.execute("SELECT count(*) FROM facts").fetchone()[0])
    return 0


@pytest.mark.slow
def test_every_part_of_the_daemon_runs_in_the_folder_of_such_an_engine(engine):
    with (engine / "said").open("w") as said:
        up = subprocess.Popen([sys.executable, "-m", "jarvis", "up"], cwd=engine, stdout=said, stderr=said, start_new_session=True)
    try:
        wait_until(lambda: "jarvis is recording" in (engine / "said").read_text() or up.poll() is not None, "it runs", 60)
        run(engine, "publish", "-", given=DEPOSIT % 1)
        wait_until(lambda: recorded(engine) == 1, "the record is in the books")
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(60)
    assert "of the engine was imported" not in (engine / "said").read_text()


def test_so_does_a_command_with_a_process_of_its_own(engine):
    """A long import is read ahead by another process."""
    assert "6,000" in run(engine, "import", "-", given="".join(DEPOSIT % n for n in range(6_000)))
    assert recorded(engine) == 6_000
