"""`jarvis status` as people and health checks use it: a daemon at work, a stopped one, a machine that has only the broker's URL."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import weakref

import command
import pytest
from parts import wait_until

from jarvis.cli.status import _keys
from jarvis_client import Publisher

DEPOSIT = {"deposit_id": "d1", "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": "2026-01-01T00:00:00Z"}


@pytest.fixture
def run(short_folder):
    status = command.Jarvis(short_folder, "status")
    return lambda *arguments, **asked: status(*arguments, **asked).stdout


@pytest.fixture
def up(short_folder):
    """A whole daemon, all of whose jobs have run."""
    with (short_folder / "up.log").open("wb") as log:
        daemon = subprocess.Popen([sys.executable, "-m", "jarvis", "up"], cwd=short_folder, stderr=log)
    yield daemon
    daemon.terminate()
    daemon.wait(60)


def all_is_well(run) -> bool:
    found = json.loads(run("--json"))
    return not found["alarms"] and all(job["last_success_at"] for job in found["jobs"] or [{"last_success_at": None, "enabled": True}] if job["enabled"])


def test_a_daemon_at_work_fits_on_one_screen_and_is_well(run, up, short_folder):
    wait_until(lambda: all_is_well(run), "every job has run and all is well", 60)
    Publisher(json.loads((short_folder / "data" / "broker.json").read_text())["url"]).publish_deposit(DEPOSIT)
    wait_until(lambda: json.loads(run("--json"))["processes"][2]["counts"]["applied"] == 1, "the worker says that it has recorded it")
    shown = command.listed_on_terminal(short_folder, "status")
    assert shown[0].startswith("all is well: 1 record in the last hour, nothing waits")
    assert len(shown) < 40
    assert max(map(len, shown)) <= 80
    words = " ".join(" ".join(shown).split())
    for said in (
        r"jarvis up running up", r"broker running up", r"worker running up \d+ (s|min), 1 recorded since, nothing in hand", r"scheduler running up",
        r"broker embedded, valkey [\d.]+, answers in [\d.]+ ms, in use for", "queues nothing waits", "records 1 in all, 1 in the last hour",
        r"durable [\d.]+ m?s after it was published", "quarantine nothing held", "gaps none", "notes none open", r"backup done \d+ (s|min) ago next in",
        r"backups data/backups: 1 proved, [\d.]+ kB, the newest \d+ (s|min) ago", r"verified \d+ (s|min) ago, no findings; restore rehearsed \d+",
        r"storage \d+ kB, log [\d.]+ k?B: .*jarvis_trading.db", "free on its disk",
    ):  # fmt: skip
        assert re.search(said, words), f"{said} is not in: {words}"
    assert run("--check").startswith("all is well")
    # exact in JSON, in UTC
    found = json.loads(run("--json"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", found["records"]["last_commit_at"])
    assert {process["version"] for process in found["processes"]} == {found["version"]}
    # when: it is stopped
    up.send_signal(signal.SIGTERM)
    assert up.wait(60) == 0
    before = {path.name: path.stat().st_mtime_ns for path in (short_folder / "data").iterdir() if not path.name.endswith(("-shm", "-wal"))}
    stopped = run("--check", code=1)
    assert stopped.startswith("3 alarms: the embedded broker cannot be used: not running; no worker is running")
    shown = run()
    assert re.search(r"worker +stopped +last heard of \d+ s ago", shown)
    assert "1 in all" in shown
    assert {path.name: path.stat().st_mtime_ns for path in (short_folder / "data").iterdir() if not path.name.endswith(("-shm", "-wal"))} == before


def test_what_is_wrong_stands_first_with_what_to_do(run, short_folder):
    (short_folder / "bad.ndjson").write_text('{"type": "trade"}\n' + json.dumps({"type": "deposit", **DEPOSIT}) + "\n")
    command.run("import", "bad.ndjson", folder=short_folder)
    shown = run(COLUMNS="80").splitlines()
    assert re.match(r"3 alarms, 1 warning   jarvis \S+ on ", shown[0])
    at = shown.index(next(line for line in shown if line.startswith("! quarantine holds 1: 1 unknown kind")))
    assert shown[at + 1] == "  → `jarvis quarantine list`"
    assert all(line == line.rstrip() and len(line) <= 80 for line in shown)
    # thresholds of the settings decide
    assert "quarantine" not in run("--check", code=1, JARVIS_MONITORING__THRESHOLDS__QUARANTINE_HELD="1")


def test_from_another_machine_the_broker_tells_what_it_knows(run, short_folder, broker_server):
    Publisher(broker_server.url).publish_deposit(DEPOSIT)
    shown = run(JARVIS_BROKER__URL=broker_server.url)
    assert "as its broker knows it" in shown
    assert re.search(r"queues +deposits: 1 waiting, 0 in hand, the oldest published \d+ s ago", shown)
    assert "jobs" not in shown
    assert run("--check", "--broker-only", code=1, JARVIS_BROKER__URL=broker_server.url) == "1 alarm: no worker is running, so nothing is recorded\n"
    assert not (short_folder / "data").exists()
    broker_server.kill()
    gone = run("--check", code=3, JARVIS_BROKER__URL=broker_server.url)
    assert "cannot be used: not reachable" in gone
    broker_server.start()


def test_books_that_are_gone_are_no_other_machine(run, short_folder, broker_server):
    (short_folder / "data").mkdir()
    (short_folder / "data" / "scheduler.lock").touch()
    assert "the books cannot be read" in run("--check", code=1, JARVIS_BROKER__URL=broker_server.url)


def test_the_password_of_a_broker_is_not_shown(run):
    for arguments in ([], ["--json"], ["--broker-only"]):
        shown = run(*arguments, JARVIS_BROKER__URL="redis://user:hunter2@127.0.0.1:1/0")
        assert "127.0.0.1:1" in shown
        assert "hunter2" not in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--strict",), "give that, too"), (("--check", "--json"), "give one of them"), (("--watch",), "needs a terminal"),
        (("--watch", "--every", "0"), "0.2"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(short_folder, arguments, said):
    done = command.run("status", *arguments, folder=short_folder)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_a_ctrl_c_that_comes_while_python_clears_an_object_away_ends_watching_too():
    class Thing:
        pass

    def interrupt(_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)  # within this call Python raises it, and drops it with a note

    before = signal.getsignal(signal.SIGINT)
    with _keys() as pressed:
        thing = Thing()
        reference = weakref.ref(thing, interrupt)
        del thing
        pressed(0)
        pytest.fail(f"it goes on, though {reference} was interrupted")
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("ends", [b"q", b"\x03"])
def test_watching_goes_on_in_place_until_it_is_ended(short_folder, ends):
    pid, terminal = pty.fork()
    if not pid:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        os.chdir(short_folder)
        os.execve(
            sys.executable, [sys.executable, "-m", "jarvis", "status", "--watch", "--every", "0.2"],
            {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")} | {"TERM": "xterm"},
        )  # fmt: skip
    before = termios.tcgetattr(terminal)
    shown = b""

    def looks(count: int) -> bool:
        nonlocal shown
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 65_536)
        return shown.count(b"no worker is running") >= count

    wait_until(lambda: looks(1), "it shows how it stands", 30)
    (short_folder / "data").mkdir()
    wait_until(lambda: looks(3), "it looks again")
    os.write(terminal, ends)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            shown += os.read(terminal, 65_536)
        except OSError:
            break
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert termios.tcgetattr(terminal)[3] == before[3], "the terminal is as it was"
    os.close(terminal)
    assert b"\x1b[?1049h" in shown, "on a screen of its own"
    assert shown.rstrip().endswith((b"\x1b[?25h", b"\x1b[?1049l")), "which it leaves as it was"
    assert b"q ends" in shown
    assert b"Traceback" not in shown
