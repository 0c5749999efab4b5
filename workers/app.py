"""The wiring of the worker process, and the only place where it is wired."""

from __future__ import annotations

import gc
import os
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

from jarvis_client.contract import instants
from jarvis_client.contract.address import WORKERS_CONNECTIONS, read_address, refuse_namespace, without_password
from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS, Conventions
from jarvis_client.contract.errors import Invalid
from persistence.beside import cores
from persistence.books.book import book_id
from persistence.books.ledger import Ledger
from persistence.domain.errors import OtherBooks
from persistence.engine.contract import LiveBooks
from persistence.files import locked_file
from persistence.opening import open_books
from persistence.program import program_version
from persistence.repositories.gaps import SQLiteGapRepository
from persistence.repositories.strays import SQLiteStrayRepository
from workers.batching import BatchWriter, Counts
from workers.broker import LedgerBroker
from workers.broker_server import refuse_old_server
from workers.delivery import Delivery
from workers.envelope import KIND_OF_ACTOR, published_at
from workers.gap_lines import GapLines
from workers.heartbeat import home_of
from workers.intake import Intake, declare_actors
from workers.ownership import NamespaceBooks, place_of
from workers.pace import HOUR, MINUTE
from workers.second_reader import SecondReader
from workers.strays import Strays
from workers.word import Word, keep_word, path_of_word

log = structlog.get_logger("worker")

#: The writer of a busy worker moves every few milliseconds; one that has not for this long while work waits hangs.
HANGS_AFTER_SECONDS = 60.0
#: How often a worker's word is written to its file at most: while the broker is away, every thread that asks for it beats.
WORD_SECONDS = 1.0
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
    #: What it reads from, or since when and why it does not.
    broker: str


class RecorderWorker:
    """One worker process: consumers, actors and the writer around one database. Used as a context manager, or start/stop."""

    def __init__(
        self,
        database: LiveBooks,
        broker: LedgerBroker,
        writer: BatchWriter,
        strays: Strays,
        gap_lines: GapLines,
        threads: int,
        lock: tuple[Path, str],
        *,
        take_over: bool = False,
    ) -> None:
        self.database = database
        #: Why this process must not go on, and would not by being started anew.
        self.refusal: OtherBooks | None = None
        self._namespace_books = NamespaceBooks(broker.client, broker.namespace, place_of(lock[0].parent))
        self._take_over = take_over
        self._book_id = ""
        self.broker = broker
        self.writer = writer
        self.strays = strays
        self.gap_lines = gap_lines
        self._lock = lock
        self._held = ExitStack()
        self._worker = dramatiq.Worker(broker, worker_threads=threads, worker_timeout=250)
        self._started = False
        self._state = "starting"
        self._started_at = instants.now()
        self._lag: tuple[object, float | None] | None = None
        self._word_kept = float("-inf")
        broker.heartbeat.word = self.word

    def start(self) -> None:
        """Open the books and begin to fetch.

        Raises `HeldElsewhere` where another worker has this name or another program's worker is at work on our queues, `OtherBooks` where the
        messages go to other books, `Invalid` where the broker is too old. Returns though the broker may be away: what arrives later is
        recorded then.
        """
        self._held.enter_context(locked_file(*self._lock))
        try:
            try:
                refuse_old_server(self.broker.client)
            except (redis.ConnectionError, redis.TimeoutError) as error:
                self.broker.seen(False, error)
            self.broker.heartbeat.home = home_of(self._lock[0].parent)
            self.database.initialize()
            with self.database.get_connection() as connection:
                self._book_id = book_id(connection)
            self.strays.recognise()
            self.broker.heartbeat.refuse_namesakes()
            if self._take_over:
                self._namespace_books.take_over(self._book_id)
            with suppress(redis.RedisError):  # asked again before the first fetch
                self._namespace_books.claim(self._book_id)
                self.strays.refuse_other_programs()
        except BaseException:
            self.database.close()
            self._held.close()
            raise
        self.broker.before_fetching = self._may_fetch
        self.writer.start()
        self.broker.start()
        self._worker.start()
        self.strays.start()
        self._started, self._state = True, "running"
        log.info("worker started", worker=self.broker.broker_id, database=self.database.path, broker=self.broker.reachability.place)

    def _may_fetch(self) -> bool:
        try:
            self._namespace_books.claim(self._book_id)
        except OtherBooks as error:
            self.refusal = error
            return False
        return True

    def stop(self, timeout: float = 25.0) -> None:
        """Drain: stop fetching, commit what is held, acknowledge, return the rest to its queue."""
        if not self._started:
            return
        self._started, self._state = False, "draining"
        deadline = time.monotonic() + timeout
        returned = self.broker.returned
        self.broker.stop_fetching()
        self.strays.stop()
        # A broker that is away gets a moment instead of all that is left: what is not acknowledged is delivered again.
        for_broker = deadline
        if not self._broker_answers():
            if self.broker.reachable:
                self.broker.seen(False, redis.TimeoutError("no answer within a moment"), of="stop")
            for_broker = min(deadline, time.monotonic() + SILENT_BROKER_SECONDS)
        while self.broker.unsubmitted and self.writer.ready and time.monotonic() < deadline:
            time.sleep(0.01)
        # Dramatiq spends this budget twice, on its workers and on its consumers.
        self._worker.stop(timeout=int(_rest(for_broker, share=0.2) * 1000))
        self.writer.stop(_rest(deadline, share=0.6))
        settled = self.broker.wait_until_settled(_rest(for_broker, share=0.5))
        self._state = "stopped"
        self.broker.close(_rest(for_broker))
        keep_word(self._path_of_word, self.word())
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
        ready = self._started and self.not_ready() is None
        return WorkerStatus(self.writer.counts, self.broker.in_flight, backlog, ready, self.problem(), self.broker.reachability.says())

    def not_ready(self) -> tuple[str, int | None] | None:
        """Why this worker records nothing, or not all of what there is, and since when; None where it is as it should be."""
        if (refused := self.broker.heartbeat.refused) is not None:
            return str(refused), None
        if (failing := self.writer.failing) is not None:
            return f"commits fail and are tried again: {failing.error}", failing.since
        if not self.broker.reachable:
            standing = self.broker.reachability.standing()
            return standing.problem or "the broker is not reachable", standing.since
        if self.broker.misused:
            return f"the broker holds a key of the wrong type for {', '.join(self.broker.misused.queues)}; its log line says which", self.broker.misused.since
        return None

    def word(self) -> Word:
        """What this worker says of itself. It goes to a file, too, for whoever asks while the broker is away."""
        found = self.not_ready() if self._state == "running" else ("it is starting", self._started_at) if self._state == "starting" else None
        problem, since = found or (None, None)
        counts, newest, pace = self.writer.counts, self.writer.newest, self.writer.pace
        standing, home = self.broker.reachability.standing(), self.broker.heartbeat.home
        word = Word(
            name=self.broker.broker_id.removeprefix("jarvis-"), home=home.partition(" ")[0], place=place_of(self._lock[0].parent), pid=os.getpid(),
            version=program_version(), state="not ready" if problem is not None else self._state, said_at=instants.now(), started_at=self._started_at,
            problem=problem, not_ready_since=since, in_flight=self.broker.in_flight, messages=counts.messages, applied=counts.applied,
            duplicates=counts.duplicate, quarantined=counts.quarantined, last_commit_at=None if newest is None else newest[1], lag_seconds=self._lag_of(newest),
            last_minute=pace.last(MINUTE), last_hour=pace.last(HOUR), broker_reachable=standing.reachable, broker_since=standing.since,
        )  # fmt: skip
        if time.monotonic() - self._word_kept >= WORD_SECONDS:
            self._word_kept = time.monotonic()
            keep_word(self._path_of_word, word)
        return word

    @property
    def _path_of_word(self) -> Path:
        return path_of_word(self._lock[0].parent, self.broker.broker_id.removeprefix("jarvis-"))

    def _lag_of(self, newest: tuple[object, int] | None) -> float | None:
        """Seconds from publishing to durable, read once of each: its message may be long."""
        if newest is None:
            return None
        if self._lag is None or self._lag[0] is not newest:
            delivery, durable_at = newest
            published = published_at(delivery.payload) if isinstance(delivery, Delivery) else None
            self._lag = newest, None if published is None else max(0.0, (durable_at - published) / 1_000_000)
        return self._lag[1]

    def refuse_to_go_on(self) -> None:
        """Raises what this process must end for, and would end for again if it were started anew: `OtherBooks` where the messages go to other
        books, `HeldElsewhere` where a worker of this name is at work from elsewhere. While Redis was away both may have started."""
        if self.refusal is not None:
            raise self.refusal
        if self._started and self.broker.heartbeat.refused is not None:
            raise self.broker.heartbeat.refused

    def problem(self) -> str | None:
        """Why this process should be replaced; None while it is well."""
        if not self._started:
            return None
        if self.refusal is not None:
            return str(self.refusal)
        if not self.writer.alive:
            return "the writer thread is dead"
        if not self.broker.threads_alive:
            return "a broker thread is dead"
        if not self.strays.alive:
            return "the thread that looks for strays is dead"
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
    second_reader: bool = True,
    batch_max_records: int = 1_000,
    batch_linger_ms: float = 20.0,
    max_in_flight: int = 4_000,
    wal_mode: bool = True,
    max_connections: int = 5,
    checkpoints: bool = True,
    backup_folder: str | Path | None = None,
    second_folder: str | Path | None = None,
    take_over: bool = False,
    conventions: Conventions = DEFAULT_CONVENTIONS,
) -> RecorderWorker:
    """A worker from plain values, ready to start. `database_path`: a file, or the URL of a PostgreSQL server. `take_over`: the namespace's
    messages go to these books from now on, whosever they were. `second_reader`: a second process may read
    messages while there is a backlog, where there is a core for it.

    Raises `Invalid` where the URL cannot be used, or not with this namespace.
    """
    try:
        address = read_address(broker_url, connections=WORKERS_CONNECTIONS)
    except Invalid as error:
        raise Invalid(f"the broker's url {error}") from None
    try:
        refuse_namespace(address, namespace)
    except Invalid as error:
        raise Invalid(f"the namespace {error}") from None
    database = open_books(
        database_path, max_connections, wal_mode=wal_mode, checkpoints=checkpoints, folder=lock_folder, backup_folder=backup_folder,
        second_folder=second_folder,
    )  # fmt: skip
    folder = Path(lock_folder) if lock_folder is not None else database.folder.absolute()
    broker = LedgerBroker(broker_url, namespace=namespace, worker_name=worker_name, max_in_flight=max_in_flight)
    gap_lines = GapLines(SQLiteGapRepository(database))
    writer = BatchWriter(
        Ledger(database, gaps_opened=gap_lines.opened), broker.settle, broker.give_back, max_records=batch_max_records, linger_ms=batch_linger_ms,
        tell=broker.answering.tell, expecting=broker.expecting,
    )  # fmt: skip
    intake = Intake(broker, writer, conventions)
    if second_reader and cores() > 1:
        broker.decoding.second_reader = SecondReader(conventions, KIND_OF_ACTOR)
    broker.on_malformed = intake.refuse
    declare_actors(broker, intake)
    lock = folder / f"worker-{worker_name}.lock", f"worker {worker_name!r} on {without_password(broker_url)}"
    strays = Strays(broker, SQLiteStrayRepository(database), intake.recordable)
    return RecorderWorker(database, broker, writer, strays, gap_lines, threads, lock, take_over=take_over)
