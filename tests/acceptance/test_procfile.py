"""The Procfile, run by honcho as people do while they develop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import command
import pytest
from parts import wait_until

from persistence.files import is_locked

pytestmark = pytest.mark.slow

HOUSE = Path(__file__).parents[2]
DEPOSIT = {"type": "deposit", "deposit_id": "d1", "account_id": "acc", "currency": "USDT", "amount": "5", "occurred_at": "2026-01-01T00:00:00Z"}


def test_honcho_runs_the_three_lines_and_a_ctrl_c_drains_them(short_folder):
    # Settings that nobody else reads, so that no port is shared with another test.
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "JARVIS_MONITORING__LISTEN": ""}
    started = [sys.executable, "-m", "honcho", "-f", str(HOUSE / "Procfile"), "start"]
    honcho = subprocess.Popen(started, cwd=short_folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        wait_until(lambda: (short_folder / "data" / "broker.json").exists(), "the embedded broker is announced")
        command.run("publish", "-", folder=short_folder, stdin=json.dumps(DEPOSIT))
        wait_until(lambda: (short_folder / "data" / "scheduler.lock").exists(), "the scheduler is up")

        def recorded() -> bool:
            return "d1" in command.run("export", "deposits", "--account", "acc", "--format", "ndjson", folder=short_folder).stdout

        wait_until(recorded, "the deposit is recorded")
    finally:
        # A Ctrl-C in a terminal reaches them all.
        os.killpg(honcho.pid, signal.SIGINT)
        said, _ = honcho.communicate(timeout=60)
    assert honcho.returncode in (0, 130), said
    for line in ("worker stopped", "broker stopped"):
        assert line in said
    assert "everything_acknowledged=True" in said or '"everything_acknowledged": true' in said
    assert not [lock.name for lock in (short_folder / "data").rglob("*.lock") if is_locked(lock)]
