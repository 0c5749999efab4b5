"""What a run says of itself: in its log line, in its result, and to whoever asked by message."""

from __future__ import annotations

import subprocess
import sys

import pytest
from books import deposit
from structlog.testing import capture_logs

from jarvis_client.contract.errors import Invalid
from persistence.repositories.job_runs import SQLiteJobRunRepository
from scheduler.daemon import Scheduler
from scheduler.jobs import checkpoint
from scheduler.timetable import Entry

NOW = 1_795_608_000_000_000
READER = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN'); print(c.execute('SELECT * FROM facts').fetchone(), flush=True); input()"


def done(database, job, name="work", *, hint=lambda: None, every="0 3 * * *"):
    """Tick once; what was logged, and the newest run."""
    scheduler = Scheduler(database, {name: Entry(name, every, "")}, jobs={name: job}, clock=lambda: NOW, hint=hint)
    with capture_logs() as logged:
        scheduler.tick()
        for thread, _ in scheduler._running.values():
            thread.join(10)
    return logged, SQLiteJobRunRepository(database).history(name, 1)[0]


@pytest.mark.parametrize(("error", "again"), [(OSError("no space"), 30), (Invalid("account nobody does not exist"), None)])
def test_the_line_of_a_failure_says_in_how_many_seconds_it_is_tried_again_or_null(database, error, again):
    def work(_, slot):
        raise error

    [line], run = done(database, work)
    assert (line["event"], line["again_in_seconds"], "hint" in line) == ("job failed", again, False)
    assert run.retry_at == (None if again is None else NOW + 30_000_000)


def test_the_line_of_a_failure_has_the_hint_that_settings_changed_meanwhile(database):
    def work(_, slot):
        raise OSError("no space")

    [line], _ = done(database, work, hint=lambda: "database.yaml changed")
    assert line["hint"] == "database.yaml changed"


def test_a_checkpoint_that_a_reader_holds_back_says_so_and_since_when(database, ledger):
    ledger.post([deposit()])
    # In a process of its own: two SQLite libraries in one do not see each other's locks.
    with subprocess.Popen([sys.executable, "-c", READER, database.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        reader.stdout.readline()
        ledger.post([deposit(2)])
        [line], run = done(database, checkpoint, "checkpoint")
        assert (line["log_level"], line["event"]) == ("warning", "job done, with a warning")
        assert "a reader has held its snapshot since 2026-11-25T03:00:00.000000Z at the latest" in run.result
        held = checkpoint(database, NOW)
        assert held["held_since"] == "2026-11-25T03:00:00.000000Z", "since the first that was held back"
        assert held["moved"] < held["wal_frames"]
        reader.communicate(b"\n")
    free = checkpoint(database, NOW)
    assert free["moved"] == free["wal_frames"]
    assert set(free) == {"wal_frames", "moved"}
