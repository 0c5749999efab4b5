"""The wiring of the worker process, and the only place where it is wired."""

from __future__ import annotations

import gc
import platform
import sys
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import dramatiq
import redis
import structlog

from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.domain.conventions import DEFAULT_CONVENTIONS, Conventions
from persistence.files import locked_file
from workers.batching import BatchWriter, Counts
from workers.broker import LedgerBroker, without_password
from workers.intake import Intake, declare_actors

log = structlog.get_logger("worker")

#: The writer of a busy worker moves every few milliseconds; one that has not for this long while work waits hangs.
HANGS_AFTER_SECONDS = 60.0
#: A stop waits no longer for a broker that is gone or does not say a word.
SILENT_BROKER_SECONDS = 2.0


def tune_interpreter() -> None:
    """Settings of the interpreter for a process that decodes and writes all day.

    The collector looks at young objects every 100,000 instead of every 700: records come and go by the thousand and hold no
    cycles (10 to 15 % of the time of a batch). Threads hand over the interpreter's lock after 0.5 ms instead of 5: the writer asks
    for it between two steps of SQLite while others decode.
    """
    gc.set_threshold(100_000, 50, 50)
    sys.setswitchinterval(0.0005)


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """What a worker says of itself. `backlog` counts the messages that wait in Redis (None while it is unreachable)."""

    counts: Counts
    in_flight: int
    backlog: int | None
    ready: bool
    problem: str | None


class RecorderWorker:
    """One worker process: consumers, actors and the writer around one database. Used as a context manager, or start/stop."""

    def __init__(self, database: DatabaseManager, broker: LedgerBroker, writer: BatchWriter, threads: int, lock: tuple[Path, str]) -> None:
        self.database = database
        self.broker = broker
        self.writer = writer
        self._lock = lock
        self._held = ExitStack()
        self._worker = dramatiq.Worker(broker, worker_threads=threads, worker_timeout=250)
        self._started = False

    def start(self) -> None:
        """Open the books and begin to fetch. Raises `Unavailable` where another worker has this name."""
        self._held.enter_context(locked_file(*self._lock))
        try:
            self.broker.refuse_namesakes()
        except BaseException:
            self._held.close()
            raise
        self.database.initialize()
        self.writer.start()
        self.broker.start()
        self._worker.start()
        self._started = True
        url = self.broker.client.connection_pool.connection_kwargs
        log.info("worker started", worker=self.broker.broker_id, database=self.database.path, broker=url.get("path") or url.get("host"))

    def stop(self, timeout: float = 25.0) -> None:
        """Drain: stop fetching, commit what is held, acknowledge, return the rest to its queue."""
        if not self._started:
            return
        self._started = False
        deadline = time.monotonic() + timeout
        returned = self.broker.returned
        self.broker.stop_fetching()
        # A broker that is away gets a moment instead of all that is left: what is not acknowledged is delivered again.
        for_broker = deadline
        if not self._broker_answers():
            self.broker.reachable = False
            for_broker = min(deadline, time.monotonic() + SILENT_BROKER_SECONDS)
        while self.broker.unsubmitted and self.writer.ready and time.monotonic() < deadline:
            time.sleep(0.01)
        # Dramatiq spends this budget twice, on its workers and on its consumers.
        self._worker.stop(timeout=int(_rest(for_broker, share=0.2) * 1000))
        self.writer.stop(_rest(deadline, share=0.6))
        settled = self.broker.wait_until_settled(_rest(for_broker, share=0.5))
        self.broker.close(_rest(for_broker))
        self.database.close()
        self._held.close()
        counts = self.writer.counts
        log.info(
            "worker stopped", messages=counts.messages, applied=counts.applied, duplicates=counts.duplicate, quarantined=counts.quarantined,
            commits=counts.commits, returned=self.broker.returned - returned,
            everything_acknowledged=settled and self.broker.returned == returned and self.broker.reachable,
        )  # fmt: skip

    def _broker_answers(self) -> bool:
        """Whether it says anything within a moment, be it that we may not ask. On a thread of its own: the client waits for longer."""
        asked, heard = threading.Event(), threading.Event()

        def ask() -> None:
            with suppress(redis.ConnectionError, redis.TimeoutError):
                with suppress(redis.ResponseError):
                    self.broker.client.ping()
                heard.set()
            asked.set()

        threading.Thread(target=ask, name="ask-broker", daemon=True).start()
        return asked.wait(SILENT_BROKER_SECONDS) and heard.is_set()

    def status(self, *, ask_broker: bool = True) -> WorkerStatus:
        backlog: int | None = None
        if ask_broker:
            with suppress(redis.RedisError):
                backlog = sum(self.broker.queue_lengths().values())
        ready = self.writer.ready and self.broker.reachable and self._started
        return WorkerStatus(self.writer.counts, self.broker.in_flight, backlog, ready, self.problem())

    def problem(self) -> str | None:
        """Why this process should be replaced; None while it is well."""
        if not self._started:
            return None
        if not self.writer.alive:
            return "the writer thread is dead"
        if not self.broker.threads_alive:
            return "a broker thread is dead"
        dead = [t.name for t in (*self._worker.workers, *self._worker.consumers.values()) if not t.is_alive()]
        if dead:
            return f"threads are dead: {', '.join(dead)}"
        still = self.writer.still_for()
        if self.writer.ready and still > HANGS_AFTER_SECONDS:
            return f"the writer has not moved for {still:.0f} s while work waits"
        return None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def _rest(deadline: float, share: float = 1.0) -> float:
    """A share of the seconds that are left, and a moment even where none are."""
    return max(0.5, (deadline - time.monotonic()) * share)


def create_worker(
    database_path: str | Path,
    broker_url: str,
    *,
    lock_folder: str | Path | None = None,
    worker_name: str = "worker",
    namespace: str = "dramatiq",
    threads: int = 1,
    batch_max_records: int = 1_000,
    batch_linger_ms: float = 20.0,
    max_in_flight: int = 4_000,
    wal_mode: bool = True,
    max_connections: int = 5,
    checkpoints: bool = True,
    backup_folder: str | Path | None = None,
    conventions: Conventions = DEFAULT_CONVENTIONS,
) -> RecorderWorker:
    """A worker from plain values, ready to start."""
    database = DatabaseManager(database_path, max_connections, wal_mode=wal_mode, checkpoints=checkpoints, backup_folder=backup_folder)
    folder = Path(lock_folder) if lock_folder is not None else Path(database_path).absolute().parent
    home = f"{platform.node()}:{folder.resolve()}"
    broker = LedgerBroker(broker_url, namespace=namespace, worker_name=worker_name, home=home, max_in_flight=max_in_flight)
    writer = BatchWriter(
        Ledger(database), broker.settle, broker.give_back, max_records=batch_max_records, linger_ms=batch_linger_ms,
        expecting=broker.expecting,
    )  # fmt: skip
    intake = Intake(broker, writer, conventions)
    broker.on_malformed = intake.refuse
    declare_actors(broker, intake)
    lock = folder / f"worker-{worker_name}.lock", f"worker {worker_name!r} on {without_password(broker_url)}"
    return RecorderWorker(database, broker, writer, threads, lock)
