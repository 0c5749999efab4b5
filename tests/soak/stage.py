"""What faults are staged on: a broker, a worker and, where a fault asks for it, a scheduler, kept running by a supervisor of the harness's own."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import apsw
import redis
from parts import BrokerServer

from persistence.database import DatabaseManager
from soak.clock import Clock

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Fault:
    inject: Callable[[Stage], None]
    #: How often in the short form and in the long one, and the pause between two.
    short: int
    long: int
    pause: float = 0.3
    #: About how long one injection and the way back take, so that the stream lasts as long as the faults.
    takes: float = 1.0
    #: What is run in the place of `jarvis`.
    module: str = "jarvis"
    #: Whether a scheduler runs beside the worker, with daily jobs; and whether their clock can be moved.
    scheduler: bool = False
    clock: bool = False
    #: Staged by `make test-all` only: it takes long by its nature, or `make test` has the like of it (a process dies, the broker dies, the disk is full).
    slow: bool = False


class Stage:
    """A broker, a worker and perhaps a scheduler under a supervisor of the harness's own (start it again when it ends), a stream, and
    one fault. A fault that finds something wrong says so in `problems`."""

    def __init__(self, seed: int, module: str = "jarvis", *, scheduler: bool = False, clock: bool = False) -> None:
        self.chance = random.Random(seed)
        self.folder = Path(tempfile.mkdtemp(prefix="js-"))
        (self.folder / "redis").mkdir()
        self.server = BrokerServer(self.folder / "redis")
        self.server.start()
        self.path = self.folder / "books.db"
        DatabaseManager(self.path).initialize()
        self.clock = Clock(self.folder)
        self.problems: list[str] = []
        self.ended = threading.Event()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.starts: dict[str, int] = {}
        self._stopped: set[str] = set()
        self._down: set[str] = set()
        self._module = module
        self._environment = {
            **os.environ, "JARVIS_DATABASE__PATH": str(self.path), "JARVIS_BROKER__URL": self.server.url, "PYTHONPATH": str(TESTS),
            "JARVIS_SCHEDULER__TICK_SECONDS": "0.2", "JARVIS_DATABASE__BACKUP__PATH": str(self.folder / "backups"),
            **(self.clock.environment if clock else {}),
        }  # fmt: skip
        self.locks = 0
        self.days = 0
        self._keepers = [threading.Thread(target=self._keep_running, args=(name,), daemon=True) for name in ("worker", *(("scheduler",) if scheduler else ()))]
        for keeper in self._keepers:
            keeper.start()

    def _keep_running(self, name: str) -> None:
        with (self.folder / f"log-{name}").open("ab") as log:
            while not self.ended.is_set() and name not in self._stopped:
                command = [sys.executable, "-m", *self._module.split(), name, "run"]
                self.processes[name] = subprocess.Popen(command, env=self._environment, cwd=self.folder, stderr=log, start_new_session=True)
                self.starts[name] = self.starts.get(name, 0) + 1
                self.processes[name].wait()
                self.ended.wait(0.05)
                while name in self._down and not self.ended.is_set():
                    self.ended.wait(0.05)

    @property
    def worker(self) -> subprocess.Popen[bytes] | None:
        return self.processes.get("worker")

    def runs(self) -> list[tuple[str, int, str]]:
        """(job, slot, state) of the runs of the timetable, those by a clock that was ahead left out."""
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(30_000)
            sql = "SELECT job, scheduled_for, state FROM job_runs WHERE request_id IS NULL AND NOT ahead"
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def recorded(self) -> int:
        # A connection of its own for every look: this process also kills and locks. It waits: a worker that was just started
        # again recovers the WAL alone, and a look refused is no record lost.
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(30_000)
            # An id without its payload is no record: the broker took the one and refused the other.
            held = "SELECT count(*) FROM quarantine WHERE reason <> 'no payload'"
            return int(connection.execute(f"SELECT (SELECT count(*) FROM facts) + ({held})").get)
        finally:
            connection.close()

    def left_in_redis(self) -> int:
        with suppress(redis.RedisError), self.server.client() as client:
            return len([k for k in client.keys("dramatiq:*") if not k.startswith((b"dramatiq:__heartbeats__", b"dramatiq:__alive__", b"dramatiq:__jarvis__."))])
        return -1

    def last_words(self, name: str) -> str:
        """What it logged above information, the newest last."""
        said = (self.folder / f"log-{name}").read_text().splitlines()
        return " | ".join([line for line in said if '"level": "info"' not in line and '"level": "debug"' not in line][-5:])

    def signal_worker(self, number: int) -> None:
        self.signal("worker", number)

    def signal(self, name: str, number: int) -> None:
        """To the worker, the scheduler or the broker's server."""
        process = self.server._process if name == "broker" else self.processes.get(name)
        if process is not None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)

    @contextmanager
    def down(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        """The process, once it runs; it is not started again before the block ends."""
        while (self.folder / f"log-{name}").read_bytes().count(f'"{name} started"'.encode()) < self.starts[name]:
            time.sleep(0.05)
        process = self.processes[name]
        self._down.add(name)
        try:
            yield process
        finally:
            process.wait(40)
            self._down.discard(name)

    def jarvis(self, *arguments: str) -> None:
        """A command of the operator's; one that fails is a problem."""
        command = [sys.executable, "-m", "jarvis", *arguments]
        ended = subprocess.run(command, env=self._environment, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
        if ended.returncode:
            self.problems.append(f"jarvis {' '.join(arguments)} ended with {ended.returncode}: {ended.stderr.strip()}")

    def stop(self, name: str) -> None:
        """A process, for good."""
        self._stopped.add(name)
        self.signal(name, signal.SIGTERM)
        self.processes[name].wait(40)

    def close(self) -> None:
        self.ended.set()
        for number in (signal.SIGCONT, signal.SIGTERM):
            for name in self.processes:
                self.signal(name, number)
        for keeper in self._keepers:
            keeper.join(40)
        with suppress(Exception):
            self.server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
