"""Faults staged on a running daemon, and what its scheduler tells of them: real processes, a real broker, a real hook."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alarms import messages_in
from parts import BrokerServer, wait_until

from jarvis.alerts.memory import NAME
from jarvis_client import Publisher

pytestmark = pytest.mark.slow

#: In a record that is refused, and in no message.
ACCOUNT, SYMBOL, AMOUNT = "acct-of-a-client", "XRPETH", "123456.789"


class Daemon:
    """Worker and scheduler over one folder; the scheduler looks five times a second."""

    def __init__(self, folder: Path, broker: BrokerServer) -> None:
        self.folder, self.broker = folder, broker
        self.sent = folder / "sent.ndjson"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "config").mkdir()
        self.configure()

    def configure(self, **alerts: Any) -> None:
        settings = {
            "monitoring": {"listen": None, "thresholds": {"broker_away_seconds": 0, "not_ready_seconds": 0, "disk_free_bytes": 0, "disk_free_percent": 0}},
            "alerts": {"look_seconds": 0.2, "command": f"sh -c 'cat >> {self.sent}'", **alerts},
        }
        (self.folder / "config" / "monitoring.yaml").write_text(json.dumps(settings))
        (self.folder / "config" / "monitoring.yaml").chmod(0o600)

    def start(self, name: str) -> None:
        environment = {
            **os.environ, "JARVIS_BROKER__URL": self.broker.url, "JARVIS_DATABASE__BACKUP__ENABLED": "false", "JARVIS_LOGGING__FORMAT": "json",
            "JARVIS_SCHEDULER__TICK_SECONDS": "0.2",
        }  # fmt: skip
        with (self.folder / f"{name}.log").open("ab") as log:
            before = log.tell()
            self._processes[name] = subprocess.Popen([sys.executable, "-m", "jarvis", name, "run"], env=environment, cwd=self.folder, stderr=log)
        said = {"worker": "worker started", "scheduler": "alarms are told"}[name]
        wait_until(lambda: said in (self.folder / f"{name}.log").read_text()[before:], f"the {name} has started", 30)

    def stop(self, name: str) -> float:
        """Seconds that it took to drain."""
        begun = time.monotonic()
        process = self._processes.pop(name)
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0, (self.folder / f"{name}.log").read_text()
        return time.monotonic() - begun

    def close(self) -> None:
        for name in [*self._processes]:
            self.stop(name)

    def told(self) -> list[tuple[str, str]]:
        """Kind and name of every alarm of every message."""
        return [(alarm["kind"], alarm["name"]) for message in messages_in(self.sent) for alarm in message["alarms"]]

    def tells(self, kind: str, name: str) -> None:
        wait_until(lambda: (kind, name) in self.told(), f"{name} is told as {kind}; so far {self.told()}", 40)


@pytest.fixture
def daemon(short_folder, broker_server) -> Iterator[Daemon]:
    daemon = Daemon(short_folder, broker_server)
    yield daemon
    daemon.close()


def test_each_fault_is_told_and_is_over_when_it_is_mended(daemon, broker_server):
    # given: a worker and a scheduler at work, and nothing wrong
    daemon.start("worker")
    daemon.start("scheduler")
    # when: the worker is stopped
    daemon.stop("worker")
    daemon.tells("raised", "JarvisNoWorker")
    daemon.start("worker")
    daemon.tells("over", "JarvisNoWorker")
    # when: a record is refused, and a number of an engine is missing
    deposit = {"deposit_id": "d1", "account_id": ACCOUNT, "currency": "USDT", "amount": "1", "occurred_at": 1_767_225_600_000_000}
    Publisher(broker_server.url, producer="engine-1").publish_deposit(deposit)
    later = Publisher(broker_server.url, producer="engine-1", sequence=5)
    later.publish_deposit({**deposit, "amount": AMOUNT, "currency": SYMBOL})
    later.publish_deposit({**deposit, "deposit_id": "d2"})
    daemon.tells("raised", "JarvisQuarantineHeld")
    daemon.tells("raised", "JarvisGaps")
    # when: the broker goes away and comes back
    broker_server.kill()
    daemon.tells("raised", "JarvisBrokerAway")
    broker_server.start()
    daemon.tells("over", "JarvisBrokerAway")
    # then: nothing of the record has left, and a restart neither repeats nor forgets
    told = daemon.told()
    for word in (ACCOUNT, SYMBOL, AMOUNT):
        assert word not in daemon.sent.read_text()
        assert word not in (daemon.folder / "data" / NAME).read_text()
    assert daemon.stop("scheduler") < 15
    daemon.start("scheduler")
    daemon.stop("worker")
    wait_until(lambda: len(daemon.told()) > len(told), "it looks again", 40)
    assert [name for _, name in daemon.told()[len(told) :]] == ["JarvisNoWorker"]


def test_a_hook_that_hangs_delays_neither_ticks_nor_the_end(daemon):
    started = daemon.folder / "started"
    daemon.configure(command=f"sh -c 'echo >> {started}; exec sleep 60'")
    daemon.start("scheduler")
    wait_until(started.exists, "the hook runs, for there is no worker", 40)
    ask = [sys.executable, "-m", "jarvis", "jobs", "run", "seal", "--wait"]
    done = subprocess.run(ask, cwd=daemon.folder, env={**os.environ, "JARVIS_BROKER__URL": daemon.broker.url}, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert daemon.stop("scheduler") < 15
