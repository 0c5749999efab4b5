"""A daemon that was killed is started again at once, whatever of it still runs."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from parts import wait_until

from jarvis.embedded_broker import EmbeddedBroker, running_broker
from jarvis_client import Publisher
from persistence.files import is_locked
from persistence.holders import Process, holder_of

DEPOSIT = {"deposit_id": "d1", "account_id": "acc", "currency": "USDT", "amount": "5", "occurred_at": 1_767_225_600_000_000}


@contextmanager
def up(folder: Path, log: str, *before: str, **variables: str):
    """`jarvis up` over a folder with a log of its own; whatever is left of it is ended at the end."""
    environment = {**os.environ, "JARVIS_DATABASE__PATH": str(folder / "b.db"), **variables}
    with (folder / log).open("wb") as stderr:
        daemon = subprocess.Popen([*before, sys.executable, "-m", "jarvis", "up"], env=environment, cwd=folder, stderr=stderr)
    try:
        yield daemon
    finally:
        if before:
            daemon.kill()  # the namespace ends with it, and everything in there
        elif daemon.poll() is None:
            daemon.terminate()
        daemon.wait(60)
        for lock in [*folder.glob("*.lock"), *folder.glob("broker/*.lock")]:
            wait_until(lambda lock=lock: not is_locked(lock), f"nobody holds {lock.name}", 40)


def said(folder: Path, log: str) -> str:
    return (folder / log).read_text()


def recorded(folder: Path) -> int:
    with closing(sqlite3.connect(f"file:{folder}/b.db?mode=ro", uri=True)) as books:
        return books.execute("SELECT count(*) FROM facts").fetchone()[0]


def test_up_waits_for_what_a_killed_one_left_draining(short_folder, broker_server):
    with up(short_folder, "first", JARVIS_BROKER__URL=broker_server.url) as first:
        wait_until(lambda: "is recording" in said(short_folder, "first"), "it records")
        wait_until(lambda: "worker started" in said(short_folder, "first"), "the worker is there")
        # Somebody holds the books, so that the worker has a message in hand and cannot end before.
        with closing(sqlite3.connect(short_folder / "b.db", isolation_level=None)) as holding:
            holding.execute("BEGIN IMMEDIATE")
            Publisher(broker_server.url).publish_deposit(DEPOSIT)
            first.kill()
            first.wait()
            with up(short_folder, "second", JARVIS_BROKER__URL=broker_server.url) as second:
                wait_until(lambda: "a predecessor still drains" in said(short_folder, "second"), "the second waits")
                assert second.poll() is None
                holding.execute("ROLLBACK")
                wait_until(lambda: "is recording" in said(short_folder, "second"), "it records", 40)
                wait_until(lambda: recorded(short_folder) == 1, "the deposit is in the books")
                assert second.poll() is None
                second.terminate()
                assert second.wait(60) == 0


def test_up_starts_at_once_after_it_was_killed_with_its_own_broker(short_folder):
    url = EmbeddedBroker(short_folder).url
    with up(short_folder, "first") as first:
        wait_until(lambda: "is recording" in said(short_folder, "first"), "it records", 40)
        Publisher(url).publish_deposit(DEPOSIT)
        wait_until(lambda: recorded(short_folder) == 1, "the deposit is in the books")
        first.kill()
        first.wait()
        with up(short_folder, "second") as second:
            wait_until(lambda: "is recording" in said(short_folder, "second"), "it records again", 40)
            Publisher(url).publish_deposit({**DEPOSIT, "deposit_id": "d2"})
            wait_until(lambda: recorded(short_folder) == 2, "the next one, too")
            second.terminate()
            assert second.wait(60) == 0


def test_up_beside_a_worker_that_was_started_by_hand_says_so_at_once(short_folder, broker_server):
    environment = {**os.environ, "JARVIS_DATABASE__PATH": str(short_folder / "b.db"), "JARVIS_BROKER__URL": broker_server.url}
    worker = subprocess.Popen([sys.executable, "-m", "jarvis", "worker", "run"], env=environment, cwd=short_folder, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: is_locked(short_folder / "worker-worker.lock"), "it runs")
        began = time.monotonic()
        done = subprocess.run([sys.executable, "-m", "jarvis", "up"], env=environment, cwd=short_folder, capture_output=True, text=True, check=False)
        assert done.returncode == 4
        assert re.search(rf"worker-worker.lock is held by worker 'worker' on .*, process {worker.pid}; stop it first", done.stderr)
        assert time.monotonic() - began < 25
    finally:
        worker.terminate()
        assert worker.wait(40) == 0


def test_a_stop_while_the_broker_comes_up_is_no_failure(short_folder):
    with up(short_folder, "log") as daemon:
        wait_until(lambda: is_locked(short_folder / "jarvis.lock"), "it starts")
        daemon.terminate()
        assert daemon.wait(60) == 0


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a pid namespace here")
def test_as_the_first_process_of_a_container_it_buries_the_dead_and_restarts_the_server(short_folder):
    with up(short_folder, "log", "unshare", "--pid", "--fork", "--mount-proc", "--kill-child") as outer:
        wait_until(lambda: "is recording" in said(short_folder, "log"), "it records")
        [inner] = children(outer.pid)
        launcher = holder_of(short_folder / "broker" / "broker.lock").process
        server = holder_of(short_folder / "broker" / "server.lock").process
        # Its successor goes on with the server, which nobody but the first process can bury.
        launcher.signal(signal.SIGKILL)
        wait_until(lambda: "broker started" in said(short_folder, "log").partition("process ended")[2], "the launcher is replaced")
        assert server.alive
        server.signal(signal.SIGKILL)
        began = time.monotonic()
        wait_until(
            lambda: running_broker(short_folder) and (p := holder_of(short_folder / "broker" / "server.lock").process) and p != server, "a server is back"
        )
        assert time.monotonic() - began < 25
        assert [pid for pid in children(inner) if Process.of(pid) is None] == [], "no zombie is left"
        os.kill(inner, signal.SIGTERM)
        assert outer.wait(60) == 0


def children(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_restore_stop_drains_a_whole_daemon(short_folder):
    with up(short_folder, "log") as daemon:
        wait_until(lambda: "is recording" in said(short_folder, "log"), "it records")
        environment = {**os.environ, "JARVIS_DATABASE__PATH": str(short_folder / "b.db"), "JARVIS_DATABASE__BACKUP__PATH": str(short_folder / "backups")}
        for command in (["backup", "create"], ["restore", "--latest", "--stop"]):
            done = subprocess.run([sys.executable, "-m", "jarvis", *command], env=environment, cwd=short_folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        assert daemon.wait(20) == 0
