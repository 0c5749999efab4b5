"""`jarvis worker run`: one worker, watched while it records and drained when it is told to stop."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from pathlib import Path

from jarvis import processes
from jarvis.broker import broker_url
from jarvis.embedded_broker import loads
from jarvis.locks import worker_lock
from jarvis.monitoring.monitor import Monitor
from jarvis.monitoring.pipe import SupervisorPipe
from jarvis.monitoring.worker_series import WorkerSeries
from jarvis.predecessors import wait_for_predecessor
from jarvis.processes import DRAIN_SECONDS, LOOK_SECONDS, StopSignal, Unhealthy, end_within, say_alive
from jarvis.settings import Settings
from jarvis.systemd import StatusLine
from jarvis.watching import BooksWatch, WalWatch
from jarvis_client.contract.errors import Unavailable
from persistence.holders import note_going
from workers.app import RecorderWorker, create_worker, tune_interpreter


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
        threads=settings.worker.threads, second_reader=settings.worker.second_reader, batch_max_records=batch.max_records, batch_linger_ms=batch.linger_ms,
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


def _wait_for_broker(settings: Settings, stop: StopSignal) -> str | None:
    """Under a Procfile all lines start at once, so the embedded broker may need a moment."""
    deadline = time.monotonic() + processes.BROKER_SILENCE_SECONDS
    while True:
        try:
            return broker_url(settings)
        except Unavailable:
            if loads(settings.data_folder, settings.broker.socket_folder):
                deadline = time.monotonic() + processes.BROKER_SILENCE_SECONDS
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
