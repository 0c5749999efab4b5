"""`jarvis scheduler run`: the scheduler, and the looks that alarms and figures come from."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from pathlib import Path

from jarvis.alerts.wiring import create_notifier
from jarvis.locks import scheduler_lock
from jarvis.monitoring.monitor import Monitor
from jarvis.monitoring.pipe import SupervisorPipe
from jarvis.monitoring.status_series import StatusSeries
from jarvis.opening import open_database
from jarvis.predecessors import wait_for_predecessor
from jarvis.processes import DRAIN_SECONDS, LOOK_SECONDS, StopSignal, Unhealthy, end_within, say_alive
from jarvis.scheduling import create_scheduler
from jarvis.settings import Settings
from jarvis.status.gathering import Watcher
from jarvis.systemd import notify
from jarvis.watching import BooksWatch, WalWatch
from jarvis_client.contract import instants
from persistence.files import locked_file
from persistence.holders import note_going


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
