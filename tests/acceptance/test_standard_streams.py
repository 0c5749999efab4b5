"""Daemons whose standard error is closed, on a full disk, or left by its reader go on recording."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from parts import wait_until

from jarvis.embedded_broker import EmbeddedBroker, running_broker
from jarvis_client import Publisher
from persistence.database import DatabaseManager

DEPOSIT = {"deposit_id": "d1", "account_id": "acc", "currency": "USDT", "amount": "5", "occurred_at": 1_767_225_600_000_000}
#: How a shell lays standard error, for a command in its place.
BAD = {"closed": "{} 2>&-", "full": "{} 2>/dev/full", "left by its reader": "{} 2>&1 | head -n 1"}


@contextmanager
def daemon(command: str, folder: Path, form: str, **environment: str):
    """A command of ours below a shell. Gives its process number, and sees to its end."""
    numbered = f"sh -c 'echo $$ > {folder}/pid; exec {sys.executable} -m jarvis {command}'"
    shell = subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", BAD[form].format(numbered)], cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "JARVIS_DATABASE__PATH": str(folder / "b.db"), **environment},
    )  # fmt: skip
    try:
        wait_until(lambda: (folder / "pid").exists() and (folder / "pid").read_text().strip(), "the shell has started it")
        yield shell, int((folder / "pid").read_text())
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
        assert shell.stdout is not None
        shell.stdout.close()


def recorded(folder: Path) -> int:
    database = DatabaseManager(folder / "b.db")
    try:
        return len(database.execute_query("SELECT 1 FROM facts"))
    finally:
        database.close()


@pytest.fixture
def folder(short_folder: Path) -> Path:
    """With books in it, so that a test may look into them before the daemon does."""
    database = DatabaseManager(short_folder / "b.db")
    database.initialize()
    database.close()
    return short_folder


@pytest.mark.parametrize("form", BAD)
def test_up_records_whatever_becomes_of_its_standard_error(folder, form):
    with daemon("up", folder, form) as (shell, pid):
        wait_until(lambda: (folder / "worker-worker.lock").exists() and running_broker(folder), "the worker is there")
        Publisher(EmbeddedBroker(folder).url).publish_deposit(DEPOSIT)
        wait_until(lambda: recorded(folder) == 1, "the deposit is in the books")
        os.kill(pid, signal.SIGTERM)
        assert shell.wait(40) == 0


@pytest.mark.parametrize("form", BAD)
@pytest.mark.parametrize("command", ["worker run", "scheduler run", "broker run"])
def test_each_daemon_runs_on_until_it_is_told_to_stop(folder, broker_server, command, form):
    url = {} if command == "broker run" else {"JARVIS_BROKER__URL": broker_server.url}
    lock = {"worker run": "worker-worker.lock", "scheduler run": "scheduler.lock", "broker run": "broker.json"}[command]
    with daemon(command, folder, form, JARVIS_LOGGING__LEVEL="debug", **url) as (shell, pid):
        wait_until(lambda: (folder / lock).exists(), "it runs")
        if command == "worker run":
            Publisher(broker_server.url).publish_deposit(DEPOSIT)
            wait_until(lambda: recorded(folder) == 1, "the deposit is in the books")
        assert shell.poll() is None
        os.kill(pid, signal.SIGTERM)
        assert shell.wait(40) == 0


def test_a_reader_that_reads_no_more_holds_up_no_record(folder, broker_server):
    reading, writing = os.pipe()
    environment = {**os.environ, "JARVIS_DATABASE__PATH": str(folder / "b.db"), "JARVIS_BROKER__URL": broker_server.url}
    # Full to the brim before it starts, and nobody reads.
    os.set_blocking(writing, False)
    while True:
        try:
            os.write(writing, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(writing, True)
    worker = subprocess.Popen([sys.executable, "-m", "jarvis", "worker", "run"], env=environment, cwd=folder, stderr=writing)
    try:
        Publisher(broker_server.url).publish_deposit(DEPOSIT)
        wait_until(lambda: recorded(folder) == 1, "the deposit is in the books")
    finally:
        worker.terminate()
        assert worker.wait(40) == 0
        os.close(reading)
        os.close(writing)


def test_what_is_opened_after_a_closed_standard_error_is_not_written_into(folder):
    """The lowest number that is free goes to the next file that is opened: that must not be the database."""
    program = (
        "import os, sys; from jarvis.streams import open_standard_streams as o; o(); f = open('file', 'w'); print('stray', file=sys.stderr); os.write(2, b'x')"
    )
    done = subprocess.run(["sh", "-c", 'exec "$@" 2>&- 0<&-', "sh", sys.executable, "-c", program], cwd=folder, check=False)
    assert done.returncode == 0
    assert (folder / "file").read_text() == ""


def test_a_listing_whose_reader_has_left_ends_quietly(folder):
    """`jarvis … | head` is no error, as before."""
    command = f"{sys.executable} -m jarvis config show | true"
    environment = {**os.environ, "JARVIS_DATABASE__PATH": str(folder / "b.db")}
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
