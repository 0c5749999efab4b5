"""The faults: each injects once, and returns when the cause is gone. A further one joins by a function and a line of `FAULTS`."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import apsw
import redis
from parts import closing

from persistence.database import DatabaseManager
from soak.stage import Fault, Stage


def nothing(stage: Stage) -> None:
    time.sleep(0.2)


def kill_worker(stage: Stage) -> None:
    stage.signal_worker(signal.SIGKILL)


def terminate_worker(stage: Stage) -> None:
    if stage.worker is not None:
        with suppress(ProcessLookupError):
            os.killpg(stage.worker.pid, signal.SIGTERM)


def stop_worker_beyond_its_heartbeat(stage: Stage) -> None:
    stage.signal_worker(signal.SIGSTOP)
    time.sleep(11)
    stage.signal_worker(signal.SIGCONT)


def kill_broker(stage: Stage) -> None:
    stage.server.kill()
    time.sleep(stage.chance.uniform(0, 0.5))
    stage.server.start()


def stall_broker_beyond_the_timeout(stage: Stage) -> None:
    assert stage.server._process is not None
    stage.server._process.send_signal(signal.SIGSTOP)
    time.sleep(11)
    stage.server._process.send_signal(signal.SIGCONT)


def reset_connections(stage: Stage) -> None:
    with suppress(redis.RedisError), stage.server.client() as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def fill_broker(stage: Stage) -> None:
    with suppress(redis.RedisError), stage.server.client() as client:
        client.config_set("maxmemory", "1mb")
        time.sleep(1)
        client.config_set("maxmemory", "0")


def make_broker_read_only(stage: Stage) -> None:
    with suppress(redis.RedisError), stage.server.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        time.sleep(1)
        client.execute_command("REPLICAOF", "NO", "ONE")


def lock_database(stage: Stage) -> None:
    """Mostly for seconds; every fifth time for a minute."""
    stage.locks += 1
    connection = apsw.Connection(str(stage.path))
    connection.set_busy_timeout(10_000)
    connection.execute("BEGIN IMMEDIATE")
    time.sleep(60 if stage.locks % 5 == 0 else stage.chance.uniform(1, 7))
    connection.execute("ROLLBACK")
    connection.close()


def forbid_larger_files(stage: Stage) -> None:
    """A full disk, as the worker sees it: no file may grow for a while."""
    if stage.worker is None:
        return
    with suppress(ProcessLookupError, PermissionError, ValueError):
        _, hard = resource.prlimit(stage.worker.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(stage.worker.pid, resource.RLIMIT_FSIZE, (4096, hard))
        time.sleep(1.5)
        resource.prlimit(stage.worker.pid, resource.RLIMIT_FSIZE, (hard, hard))


def step_clock(stage: Stage) -> None:
    """Days forward, then back, for the worker's wall clock."""
    for days in (35, -2, 0):
        stage.clock.ahead(days)
        time.sleep(0.7)


DAILY = ("rollup", "statistics", "backup", "verification", "clean_up")
_DAY = 86_400


def jump_a_year(stage: Stage) -> None:
    """A year forth and back, once with the scheduler living through it and once with it killed there; after each a day passes, and has
    its runs."""
    for killed in (False, True):
        stage.clock.ahead(stage.days + 365)
        time.sleep(stage.chance.uniform(1, 3))
        if killed:
            stage.signal("scheduler", signal.SIGKILL)
        stage.clock.ahead(stage.days)
        stage.days += 1
        stage.clock.ahead(stage.days)
        # Sooner than a watchdog would have it started anew.
        missing = wait_for(lambda: [job for job in DAILY if not _ran(stage, job)], 45)
        if missing:
            stage.problems.append(f"after a clock that was a year ahead, day {stage.days} has no run of {', '.join(missing)}")


def _ran(stage: Stage, job: str) -> bool:
    """Whether the job ran for its newest slot, which is less than a day old, whatever the hour."""
    now = int(time.time()) + stage.days * _DAY
    return any(name == job and now - _DAY < slot // 1_000_000 <= now and state in ("succeeded", "failed") for name, slot, state in stage.runs())


def wait_for(missing: Callable[[], list[str]], seconds: float) -> list[str]:
    """What is still missing after so many seconds."""
    deadline = time.monotonic() + seconds
    while (still := missing()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return still


#: What the watchdogs wait in a stage of pauses, and how long a pause takes: longer than any look of theirs. A disk that many share may
#: keep a commit waiting for two seconds.
WATCHDOG_SECONDS, PAUSED_SECONDS = 4.0, 6.0


def pause_each_and_all(stage: Stage) -> None:
    """SIGSTOP for longer than the watchdogs wait: of worker, scheduler and broker alone, then of all; nobody may be started anew."""
    wait_for(lambda: [] if len(stage.processes) == 2 else ["processes"], 20)
    before = dict(stage.starts)
    for stopped in (("worker",), ("scheduler",), ("broker",), ("worker", "scheduler", "broker")):
        for name in stopped:
            stage.signal(name, signal.SIGSTOP)
        time.sleep(PAUSED_SECONDS)
        for name in stopped:
            stage.signal(name, signal.SIGCONT)
        time.sleep(WATCHDOG_SECONDS)
    stage.problems += [
        f"{name} was taken for dead after a pause: {stage.last_words(name)}" for name, count in stage.starts.items() if count != before.get(name)
    ]


def delete_database(stage: Stage) -> None:
    """The file and all beside it, under a running worker; then what its operator does: restore what it rescued."""
    rescued = set(stage.folder.rglob("rescued-*.db"))
    with stage.down("worker") as process:
        _remove(stage.path, "", "-wal", "-shm", "-mark")
        if process.wait(30) != 4:
            stage.problems.append(f"a worker whose file was deleted ended with {process.returncode}")
        copies = set(stage.folder.rglob("rescued-*.db")) - rescued
        if len(copies) != 1:
            stage.problems.append(f"{len(copies)} copies of a deleted file")
        for copy in copies:
            stage.jarvis("restore", str(copy), "--unproved")


def exchange_database(stage: Stage) -> None:
    """Other books in the place of these, under a running worker; then the right ones are put back."""
    aside = stage.folder / "aside"
    aside.mkdir()
    with closing(DatabaseManager(stage.folder / "other.db")) as other:
        other.initialize()
    with stage.down("worker") as process:
        for path in stage.folder.glob("books.db*"):
            path.rename(aside / path.name)
        (stage.folder / "other.db").rename(stage.path)
        if process.wait(30) != 4:
            stage.problems.append(f"a worker over other books ended with {process.returncode}")
        if stage.recorded():
            stage.problems.append("something was recorded in other books")
        for path in stage.folder.glob("books.db*"):
            path.unlink()
        for path in aside.iterdir():
            path.rename(stage.folder / path.name)
    aside.rmdir()
    _remove(stage.folder / "other.db", "-wal", "-shm", "-mark")


def _remove(path: Path, *suffixes: str) -> None:
    for suffix in suffixes:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def spoil_keys(stage: Stage) -> None:
    """A queue, its payloads and what the worker holds of it, each a string for a while and then what it was."""
    for name in ("fills", "fills.msgs", "__acks__.jarvis-worker.fills"):
        key = f"dramatiq:{name}"
        with stage.server.client() as client:
            with suppress(redis.ResponseError):
                client.rename(key, "aside")
            client.set(key, "spoiled")
            time.sleep(stage.chance.uniform(0.5, 1.5))
            client.delete(key)
            with suppress(redis.ResponseError):
                client.rename("aside", key)


FAULTS: dict[str, Fault] = {
    "none": Fault(nothing, 1, 1, slow=True),
    "SIGKILL of the worker": Fault(kill_worker, 6, 200, 0.7),
    "SIGTERM to its group": Fault(terminate_worker, 3, 40, 1.2, slow=True),
    "SIGSTOP beyond the heartbeat": Fault(stop_worker_beyond_its_heartbeat, 1, 5, 1.0, 11.0, slow=True),
    "SIGKILL of the broker": Fault(kill_broker, 3, 40, 0.8),
    "broker stalls beyond the timeout": Fault(stall_broker_beyond_the_timeout, 1, 5, 1.0, 11.0, slow=True),
    "SIGSTOP of each process and of all": Fault(pause_each_and_all, 1, 5, 1.0, 42.0, module=f"impatient {WATCHDOG_SECONDS}", scheduler=True, slow=True),
    "connection resets": Fault(reset_connections, 6, 100, slow=True),
    "broker out of memory": Fault(fill_broker, 2, 15, slow=True),
    "broker read-only": Fault(make_broker_read_only, 1, 15, slow=True),
    "database locked by another": Fault(lock_database, 1, 10, 0.3, 4.0, slow=True),
    "clock steps forward and back": Fault(step_clock, 1, 5, 0.3, 2.0, clock=True, slow=True),
    "the database file is deleted": Fault(delete_database, 1, 10, 1.0, 4.0, slow=True),
    "other books in its place": Fault(exchange_database, 1, 10, 1.0, 4.0, slow=True),
    "keys of the wrong type": Fault(spoil_keys, 1, 10, 1.0, 4.0, slow=True),
    "clock jumps a year forth and back": Fault(jump_a_year, 1, 5, 1.0, 10.0, scheduler=True, clock=True, slow=True),
    "no file may grow (full disk)": Fault(forbid_larger_files, 1, 15, 0.3, 2.0),
}
