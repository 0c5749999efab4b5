"""Children that end, that hang, and the broker that is gone."""

from __future__ import annotations

import os
import signal
import sys
import time

from parts import wait_until

from jarvis import supervisor
from jarvis.embedded_broker import EmbeddedBroker
from jarvis.supervisor import Child

SPEAKS_THEN_HANGS = (
    "import os, time, sys; from pathlib import Path; starts = Path(sys.argv[1]); starts.write_text(starts.read_text() + 'x' if starts.exists() else 'x')\n"
    "while True:\n"
    "    if len(starts.read_text()) > 1 or time.monotonic() < float(sys.argv[2]): os.write(int(os.environ['JARVIS_STATUS_FD']), b'{}\\n')\n"
    "    time.sleep(0.05)\n"
)


def test_a_child_that_hangs_is_killed_and_started_again(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "SILENT_SECONDS", 1.0)
    starts = tmp_path / "starts"
    child = Child("worker", [sys.executable, "-c", SPEAKS_THEN_HANGS, str(starts), str(time.monotonic() + 2)], dict(os.environ), None)
    child.start()

    def started_again() -> bool:
        child.look_after()
        return starts.exists() and len(starts.read_text()) == 2

    wait_until(started_again, "the one that hung is replaced")
    until = time.monotonic() + 2
    while time.monotonic() < until:
        child.look_after()
        time.sleep(0.05)
    assert len(starts.read_text()) == 2, "one that speaks stays"
    child.ask_to_stop()
    child.wait(time.monotonic() + 5)


def test_a_broker_whose_process_ended_is_not_waited_for(short_folder):
    broker = EmbeddedBroker(short_folder)
    with broker.running():
        assert broker.runs
        os.kill(broker.pid, signal.SIGKILL)
        wait_until(lambda: not broker.runs, "its end is noticed", seconds=2)
