"""A pause is no hang: processes that are stopped for longer than their watchdogs wait go on afterwards, all of them or any one alone.
And processes that are told to stop end within seconds, also while Redis is away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from parts import wait_until

from jarvis_client import Publisher
from persistence.database import DatabaseManager
from persistence.repositories.job_runs import SQLiteJobRunRepository

TESTS = Path(__file__).parents[1]
#: What the watchdogs wait, and for how long everything is stopped: longer than the longest look.
LIMIT, PAUSE = 2.0, 3.5
SETTINGS = {"JARVIS_SCHEDULER__TICK_SECONDS": "0.2", "JARVIS_DATABASE__BACKUP__ENABLED": "false"}


class Daemon:
    """Broker, worker and scheduler as processes of their own, each watching itself, with nobody above them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ, **SETTINGS, "PYTHONPATH": str(TESTS), "JARVIS_DATABASE__PATH": str(folder / "b.db"), "JARVIS_LOGGING__FORMAT": "json",
        }  # fmt: skip
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str) -> None:
        command = [sys.executable, "-m", "impatient", str(LIMIT), *arguments]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(command, env=self.environment, cwd=self.folder, stderr=log)

    def wait_for(self, name: str, text: str) -> None:
        wait_until(lambda: text in self.said(name), f"{name} says {text!r}", 30)

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def close(self) -> None:
        for name in ("scheduler", "worker", "up", "broker"):
            if name in self.processes:
                self.processes[name].send_signal(signal.SIGCONT)
                self.processes[name].terminate()
                self.processes[name].wait(30)


@pytest.fixture
def daemon(short_folder):
    daemon = Daemon(short_folder)
    yield daemon
    daemon.close()


def publish(daemon: Daemon, number: int) -> None:
    publisher = Publisher(json.loads((daemon.folder / "broker.json").read_text())["url"])
    publisher.publish_deposit({"deposit_id": f"d{number}", "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": 1_767_225_600_000_000})
    publisher.request_job("seal")


def all_at_work(daemon: Daemon, books: DatabaseManager, number: int) -> None:
    """Whatever is published now is recorded, and what is asked for is done."""
    publish(daemon, number)
    done = SQLiteJobRunRepository(books)
    wait_until(lambda: books.execute_query("SELECT count(*) FROM facts")[0][0] == number, "the deposit is recorded", 30)
    wait_until(lambda: sum(r.state == "succeeded" and r.request_id is not None for r in done.history("seal", 100)) == number, "the job is done", 30)


def test_processes_that_were_paused_go_on_all_together_and_each_alone(daemon):
    # given: the three at work
    for name in ("broker", "worker", "scheduler"):
        daemon.start(name, name, "run")
    for name in daemon.processes:
        daemon.wait_for(name, f"{name} started")
    books = DatabaseManager(daemon.folder / "b.db")
    [server] = children_of(daemon.processes["broker"].pid)
    pids = {name: process.pid for name, process in daemon.processes.items()}
    all_at_work(daemon, books, 1)
    # when: all are stopped for longer than their watchdogs wait; then the server alone, while its watcher looks on
    for stopped in ([*pids.values(), server], [server]):
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(PAUSE)
        if stopped == [server]:
            daemon.wait_for("broker", "the embedded broker is stopped")
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        # then: the same processes go on
        all_at_work(daemon, books, 2 if len(stopped) > 1 else 3)
    assert {name: process.poll() for name, process in daemon.processes.items()} == dict.fromkeys(pids)
    assert children_of(daemon.processes["broker"].pid) == [server]
    books.close()


def children_of(pid: int) -> list[int]:
    return sorted(int(n) for tasks in Path(f"/proc/{pid}/task").iterdir() for n in (tasks / "children").read_text().split())


@pytest.mark.slow
def test_a_supervisor_waits_for_a_child_that_was_stopped(daemon):
    daemon.start("up", "up")
    daemon.wait_for("up", "worker started")
    books = DatabaseManager(daemon.folder / "b.db")
    all_at_work(daemon, books, 1)
    children = children_of(daemon.processes["up"].pid)
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    daemon.wait_for("up", "process is stopped, waiting for it")
    for pid in children:
        os.kill(pid, signal.SIGCONT)
    all_at_work(daemon, books, 2)
    assert children_of(daemon.processes["up"].pid) == children, "nobody was started anew"
    books.close()


@pytest.mark.parametrize("away", ["gone", "silent"])
def test_a_worker_ends_within_seconds_of_sigterm_while_redis_is_away(daemon, broker_server, away):
    daemon.environment["JARVIS_BROKER__URL"] = broker_server.url
    daemon.start("worker", "worker", "run")
    daemon.wait_for("worker", "worker started")
    publisher = Publisher(broker_server.url)
    publisher.publish_deposit({"deposit_id": "d1", "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": 1_767_225_600_000_000})
    books = DatabaseManager(daemon.folder / "b.db")
    wait_until(lambda: books.execute_query("SELECT 1 FROM facts"), "the deposit is recorded")
    books.close()
    if away == "gone":
        broker_server.kill()
        daemon.wait_for("worker", "broker not reachable")
    else:
        broker_server._process.send_signal(signal.SIGSTOP)
    asked = time.monotonic()
    daemon.processes["worker"].terminate()
    assert daemon.processes["worker"].wait(20) == 0
    assert time.monotonic() - asked < 8, "the client alone would wait for ten"
    broker_server._process.send_signal(signal.SIGCONT)
    if away == "gone":
        broker_server.start()


HOLDS_ITS_END = "import threading, time\nfrom jarvis.processes import end_within\nthreading.Thread(target=time.sleep, args=(60,)).start()\nend_within(0.2)\n"


def test_a_thread_that_does_not_let_go_keeps_no_process_from_its_end():
    ended = subprocess.run([sys.executable, "-c", HOLDS_ITS_END], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "most recent call first" in ended.stderr, "it says where each thread stands"
