"""The long-running processes behind `jarvis broker|worker|scheduler run`: signals, health, drain."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import NoReturn

import structlog

from jarvis.alerts.wiring import create_notifier
from jarvis.broker import broker_url
from jarvis.embedded_broker import LAUNCHER_LOCK, EmbeddedBroker, loads
from jarvis.locks import scheduler_lock, worker_lock
from jarvis.monitoring.monitor import Monitor
from jarvis.monitoring.pipe import SupervisorPipe
from jarvis.monitoring.status_series import StatusSeries
from jarvis.monitoring.worker_series import WorkerSeries
from jarvis.opening import open_database
from jarvis.predecessors import wait_for_predecessor
from jarvis.scheduling import create_scheduler
from jarvis.settings import Settings
from jarvis.status.gathering import Watcher
from jarvis.stopped import is_stopped
from jarvis.systemd import StatusLine, notify
from jarvis.watching import BooksWatch
from jarvis_client.contract import instants
from jarvis_client.contract.errors import Unavailable
from persistence.domain.stillness import Stillness
from persistence.engine.contract import LiveBooks
from persistence.files import locked_file
from persistence.holders import note_going
from workers.app import RecorderWorker, create_worker, tune_interpreter

log = structlog.get_logger("jarvis")

#: How often a process looks at itself and at whether its supervisor still lives.
LOOK_SECONDS = 0.5
#: Time to drain before what is left goes back to its queue; systemd's TimeoutStopSec has to be longer.
DRAIN_SECONDS = 25.0
#: What is left once all is drained is the end of the interpreter: a moment, unless a thread inside some library does not let go.
EXIT_SECONDS = 15.0

#: A busy disk may hold the broker up for seconds; one that is silent for longer is started anew.
BROKER_SILENCE_SECONDS = 15.0


#: One line a minute is loud enough.
WAL_WARNING_SECONDS = 60.0


class Unhealthy(Unavailable):
    """The process cannot go on and should be started anew."""


def end_within(seconds: float = EXIT_SECONDS) -> None:
    """From here on nothing is left to be done: should the interpreter not come to its end, say where each thread stands and end without it."""
    faulthandler.dump_traceback_later(seconds, exit=True)


def leave() -> NoReturn:
    """End well, at once: all is drained and closed. To take the interpreter apart costs a quarter of a second of a core, for which a
    starved machine was seen to need half a minute."""
    logging.shutdown()
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(0)


class StopSignal:
    """SIGTERM or SIGINT ask for a drain; a second one ends the process at once."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._supervisor = int(os.environ.get("JARVIS_SUPERVISOR", "0"))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def wait(self, seconds: float) -> bool:
        """True once it is time to stop: asked to, or the supervisor is gone."""
        if self._asked.wait(seconds):
            return True
        if self._supervisor and os.getppid() != self._supervisor:
            log.warning("the supervisor is gone, draining")
            return True
        return False

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._asked.is_set():
            os._exit(128 + number)
        self._asked.set()


def say_alive(pipe: SupervisorPipe) -> None:
    """Tell whoever watches, systemd or our own supervisor, that the main loop goes round."""
    notify("WATCHDOG=1")
    pipe.tell({})


def run_broker(settings: Settings) -> None:
    """The embedded broker in the foreground; where a URL is set, only wait, so that a Procfile's line may stay."""
    stop, pipe = StopSignal(), SupervisorPipe.of_environment()
    if settings.broker.url is not None:
        log.info("a broker is configured, so no embedded one is needed; idling")
        notify("READY=1")
        while not stop.wait(LOOK_SECONDS):
            say_alive(pipe)
        return
    broker = EmbeddedBroker(settings.data_folder, settings.broker.socket_folder)
    lock = broker.folder / LAUNCHER_LOCK
    if not wait_for_predecessor([lock], stop.wait):
        return
    with Monitor(settings.monitoring, "broker", "broker", pipe=pipe) as monitor, broker.running() as url:
        log.info("broker started", url=url)
        notify("READY=1")
        silence, answers = Stillness(), 0
        while not stop.wait(LOOK_SECONDS):
            say_alive(pipe)
            if not broker.runs:
                raise Unhealthy(f"the embedded broker ended; its log is {broker.log}")
            answers += (answered := broker.alive)
            monitor.look(None if answered else f"the embedded broker does not answer; its log is {broker.log}")
            if silence.seconds(answers) <= BROKER_SILENCE_SECONDS:
                continue
            if broker.pid is None or not is_stopped(broker.pid):
                raise Unhealthy(f"the embedded broker does not answer; its log is {broker.log}")
            log.warning("the embedded broker is stopped, waiting for it; `kill -CONT` sets it going again", pid=broker.pid)
            silence.forgive()
        notify("STOPPING=1")
        note_going(lock)
    log.info("broker stopped")
    end_within()


def run_worker(settings: Settings, *, take_over: bool = False) -> None:
    """One worker until it is told to stop. Raises `Unhealthy` where it should be started anew."""
    stop = StopSignal()
    lock = worker_lock(settings, settings.worker.name)
    if not wait_for_predecessor([lock], stop.wait):
        return
    url = _wait_for_broker(settings, stop)
    if url is None:
        return
    batch, performance = settings.worker.batch, settings.database.performance
    worker = create_worker(
        settings.database.place, url, lock_folder=settings.data_folder, worker_name=settings.worker.name, namespace=settings.broker.namespace,
        threads=settings.worker.threads, batch_max_records=batch.max_records, batch_linger_ms=batch.linger_ms,
        max_in_flight=settings.worker.max_in_flight, wal_mode=performance.wal_mode, max_connections=performance.max_connections,
        conventions=settings.conventions, checkpoints=performance.checkpoints == "jarvis", backup_folder=settings.database.backup.path,
        second_folder=settings.database.backup.second.path, take_over=take_over,
    )  # fmt: skip
    tune_interpreter()
    pipe = SupervisorPipe.of_environment()
    with Monitor(settings.monitoring, settings.worker.name, "worker", [WorkerSeries(worker, settings.worker.name)], pipe=pipe) as monitor:
        _record(worker, lock, stop, pipe, monitor)


def _record(worker: RecorderWorker, lock: Path, stop: StopSignal, pipe: SupervisorPipe, monitor: Monitor) -> None:
    worker.start()
    ended = threading.Event()
    reporter = threading.Thread(target=_report_forever, args=(worker, pipe, ended), name="reporter", daemon=True)
    reporter.start()
    # Ready means that the books are open; whether the broker is reached is said beside it, and may change at any time.
    line = StatusLine()
    line.tell(worker.broker.reachability.says(), "READY=1")
    wal = WalWatch(worker.database)
    try:
        with BooksWatch(worker.database) as books:
            while not stop.wait(LOOK_SECONDS):
                books.look()
                worker.refuse_to_go_on()
                if (problem := worker.problem()) is not None:
                    raise Unhealthy(f"{problem}; exiting so that a fresh process takes over")
                say_alive(pipe)
                not_ready = worker.not_ready()
                monitor.look(None if not_ready is None else not_ready[0])
                line.tell(worker.broker.reachability.says())
                wal.look()
                worker.gap_lines.look()
    finally:
        line.tell("draining", "STOPPING=1")
        note_going(lock)
        monitor.look("draining")
        worker.stop(DRAIN_SECONDS)
        ended.set()
        reporter.join(1.0)
        end_within()


class WalWatch:
    """Keeps the write-ahead log short, and warns while a reader of another program does not let us."""

    def __init__(self, database: LiveBooks) -> None:
        self._database = database
        self._warned = 0.0

    def look(self) -> None:
        size = self._database.keep_wal_short()
        if size and time.monotonic() - self._warned > WAL_WARNING_SECONDS:
            self._warned = time.monotonic()
            log.warning(
                "the write-ahead log cannot be emptied: a reader has held its snapshot for long; end it (lsof on the database names it)",
                wal_bytes=size, database=self._database.path,
            )  # fmt: skip


def run_scheduler(settings: Settings, config: Path) -> None:
    """The scheduler until it is told to stop. Raises `Unhealthy` when it has ceased to tick."""
    stop, pipe = StopSignal(), SupervisorPipe.of_environment()
    lock = scheduler_lock(settings)
    if not wait_for_predecessor([lock], stop.wait):
        return
    database = open_database(settings)
    # Without the database of the jobs: whoever holds a file that was deleted holds its last copy, and a watcher should not. One each,
    # because a look that takes long for one of them must not hold up the other.
    watcher, for_figures = Watcher(settings), Watcher(settings)
    notifier = create_notifier(settings, lambda: watcher.look(instants.now()))
    figures = [StatusSeries(lambda: for_figures.look(instants.now()), settings.monitoring.thresholds)]
    with ExitStack() as held:
        held.enter_context(locked_file(lock, "scheduler"))
        # Figures come after it: what is not there yet would be told as unreadable.
        database.initialize()
        monitor = held.enter_context(Monitor(settings.monitoring, "scheduler", "scheduler", figures, pipe=pipe))
        daemon = create_scheduler(settings, database, config)
        daemon.start()
        notify("READY=1")
        wal = WalWatch(database)
        try:
            with BooksWatch(database) as books, notifier or nullcontext():
                while not stop.wait(LOOK_SECONDS):
                    books.look()
                    if (still := daemon.look()) > daemon.patience_seconds:
                        raise Unhealthy(f"the scheduler has not ticked for {still:.0f} s; exiting so that a fresh process takes over")
                    say_alive(pipe)
                    monitor.look(None if still < daemon.patience_seconds / 2 else f"it has not ticked for {still:.0f} s")
                    wal.look()
        finally:
            notify("STOPPING=1")
            note_going(lock)
            monitor.look("draining")
            daemon.stop(DRAIN_SECONDS)
            database.close()
            end_within()


def _wait_for_broker(settings: Settings, stop: StopSignal) -> str | None:
    """Under a Procfile all lines start at once, so the embedded broker may need a moment."""
    deadline = time.monotonic() + BROKER_SILENCE_SECONDS
    while True:
        try:
            return broker_url(settings)
        except Unavailable:
            if loads(settings.data_folder, settings.broker.socket_folder):
                deadline = time.monotonic() + BROKER_SILENCE_SECONDS
            if time.monotonic() > deadline:
                raise
            if stop.wait(0.1):
                return None


def _report_forever(worker: RecorderWorker, pipe: SupervisorPipe, ended: threading.Event) -> None:
    """Tell the supervisor how things are; nothing where there is none. On a thread of its own: asking a stalled Redis for its backlog
    takes long."""
    while pipe.connected:
        last = ended.is_set()
        # What a process says last is what the summary of `jarvis up` is made of, so for that it waits a moment.
        pipe.tell({"status": asdict(worker.status(ask_broker=not last))}, wait_seconds=1.0 if last else 0.0)
        if last:
            return
        ended.wait(LOOK_SECONDS)
