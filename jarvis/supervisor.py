"""`jarvis up`: broker, worker and scheduler as processes of their own under one supervisor.

A process that ends by itself is started again, with growing pauses while it keeps ending. A stop asks worker and scheduler to
drain first and takes the broker down last.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from rich.console import Console
from rich.live import Live
from rich.text import Text

from jarvis.broker import broker_url
from jarvis.embedded_broker import LAUNCHER_LOCK, running_broker
from jarvis.errors import Refused
from jarvis.locks import scheduler_lock, supervisor_lock, worker_lock, worker_names
from jarvis.monitoring.children import ChildrenSeries
from jarvis.monitoring.monitor import Monitor
from jarvis.monitoring.pipe import VARIABLE
from jarvis.opening import open_database
from jarvis.predecessors import wait_for_predecessor
from jarvis.processes import BROKER_SILENCE_SECONDS, DRAIN_SECONDS, StopSignal
from jarvis.settings import Settings
from jarvis.stopped import is_stopped
from jarvis.systemd import StatusLine, notify
from jarvis_client.contract.address import without_password
from jarvis_client.contract.errors import Unavailable
from jarvis_client.primaries import connect
from persistence.beside import cores
from persistence.books.book import book_id
from persistence.domain.showing import count_of
from persistence.domain.stillness import Stillness
from persistence.files import locked_file
from persistence.holders import note_going
from workers.broker import SOCKET_SECONDS
from workers.ownership import NamespaceBooks, place_of

log = structlog.get_logger("supervisor")

LONGEST_PAUSE_SECONDS = 30.0
#: A process that lived this long was well; its next end starts with a short pause again.
WELL_AFTER_SECONDS = 60.0
REFUSED = 4
#: A process that has said nothing for this long hangs: it says something twice a second.
SILENT_SECONDS = 60.0

#: One that has said nothing for this long, because it was stopped or is starved, is not ready.
QUIET_SECONDS = 10.0

#: A broker that came up after so many tries would have come up sooner.
BROKER_STARTS = 4

_COUNTS = ("messages", "applied", "duplicate", "quarantined")


class Child:
    """One supervised process."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], show: Callable[[str], None] | None) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._show = show
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._pause = 0.5
        self._again_at = 0.0
        self.status: dict[str, Any] = {}
        self.figures = ""
        #: Why it is not ready; None once it is.
        self.not_ready: str | None = "it has not said that it is ready yet"
        self.ended = 0
        #: When it was last heard of; None before its first word: a start may take a migration and its backup.
        self._heard: float | None = None
        self._silence, self._silent = Stillness(), 0.0

    def start(self) -> None:
        reading, writing = os.pipe()
        self._process = subprocess.Popen(
            self._command, env={**self._environment, VARIABLE: str(writing)}, pass_fds=(writing,), stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE if self._show else None,
            # A Ctrl-C reaches the supervisor alone; it decides who stops when.
            start_new_session=True,
        )  # fmt: skip
        os.close(writing)
        self._heard = None
        self._started = time.monotonic()
        threading.Thread(target=self._follow, args=(reading, self._process), daemon=True).start()
        if self._show:
            threading.Thread(target=self._relay, args=(self._process,), daemon=True).start()

    def look_after(self) -> None:
        """Start it again if it has ended. Raises `Refused` where it does not want to run at all."""
        process = self._process
        if process is None:
            if time.monotonic() >= self._again_at:
                self.start()
            return
        code = process.poll()
        if code is None:
            self._end_if_hanging(process)
            return
        self._process = None
        self.figures, self.not_ready = "", f"it ended with exit code {code} and is started again"
        self.ended += 1
        if code == REFUSED:
            raise Refused(f"{self.name} refuses to run; its last lines say why")
        lived = time.monotonic() - self._started
        self._pause = 0.5 if lived > WELL_AFTER_SECONDS else min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        self._again_at = time.monotonic() + self._pause
        log.warning("process ended, starting it again", process=self.name, exit_code=code, after_seconds=round(lived, 1), in_seconds=self._pause)

    def _end_if_hanging(self, process: subprocess.Popen[bytes]) -> None:
        silent = self._silence.seconds(self._heard)
        self._silent = 0.0 if self._heard is None else silent
        if self._heard is None or silent <= SILENT_SECONDS:
            return
        if is_stopped(process.pid):
            log.warning("process is stopped, waiting for it; `kill -CONT` sets it going again", process=self.name, pid=process.pid)
            self._silence.forgive()
            return
        log.error("process hangs, killing it; what it held comes again", process=self.name, silent_seconds=round(silent))
        process.kill()
        self._heard = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def trouble(self) -> str | None:
        """Why it is not ready, as it says itself or as is seen from here; None while it is."""
        if self._process is not None and self._silent > QUIET_SECONDS:
            return f"it has said nothing for {self._silent:.0f} s"
        return self.not_ready

    def ask_to_stop(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def wait(self, deadline: float) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.error("process did not drain in time, killing it; what it held comes again", process=self.name)
            self._process.kill()
            self._process.wait()

    def _follow(self, reading: int, process: subprocess.Popen[bytes]) -> None:
        with open(reading, "rb") as lines:
            for line in lines:
                with suppress(ValueError):
                    said = json.loads(line)
                    if not said:
                        self._heard = time.monotonic()
                    self.status = said.get("status", self.status)
                    # What is still read of one that has ended says nothing of the next.
                    if self._process is process:
                        self.figures = said.get("figures", self.figures)
                        self.not_ready = said.get("not_ready", self.not_ready)

    def _relay(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        assert self._show is not None
        for line in process.stderr:
            self._show(line.decode(errors="replace").rstrip("\n"))


class Supervisor:
    """Everything of one data folder, from start to drained."""

    monitored_as = "up"

    def __init__(self, settings: Settings, config: Path | None, *, take_over: bool = False) -> None:
        """`take_over`: the messages on the broker go to these books from now on, whosever they were."""
        self._take_over = take_over
        self._settings = settings
        self._config = config
        self._console = Console(stderr=True)
        self._children: dict[str, Child] = {}
        self._monitor = Monitor(settings.monitoring, self.monitored_as, "supervisor", [ChildrenSeries(lambda: self._children)])

    def run(self) -> None:
        """Until a signal. Raises `HeldElsewhere` where another supervisor has the data folder."""
        stop = StopSignal()
        lock = supervisor_lock(self._settings)
        if not wait_for_predecessor([lock], stop.wait):
            return
        with locked_file(lock, f"`jarvis up`, since {datetime.now().astimezone():%Y-%m-%d %H:%M:%S}"), self._monitor:
            # What a supervisor that was killed has left behind drains first; so does its broker, which would be taken for ours.
            if not wait_for_predecessor(self._locks(), stop.wait):
                return
            books = self._open_books()
            try:
                if self._settings.broker.url is None:
                    self._start("broker")
                    if not self._wait_for_embedded_broker(stop):
                        return
                self._take_over_for(books)
                self._start_workers()
                self._start("scheduler")
                self._say_what_runs()
                notify("READY=1")
                self._watch(stop)
            finally:
                notify("STOPPING=1")
                note_going(lock)
                self._stop()

    def _locks(self) -> list[Path]:
        """Those of the processes that this one starts."""
        settings = self._settings
        broker = [settings.data_folder / "broker" / LAUNCHER_LOCK] if settings.broker.url is None else []
        return [*broker, *(worker_lock(settings, name) for name in worker_names(settings)), scheduler_lock(settings)]

    def _open_books(self) -> str:
        """Create the books, or bring them up to date, before any process is started. Returns their id."""
        with closing(open_database(self._settings)) as database:
            database.initialize()
            with database.get_connection() as connection:
                return book_id(connection)

    def _take_over_for(self, books: str) -> None:
        if self._take_over:
            namespace = self._settings.broker.namespace
            with connect(broker_url(self._settings), namespace, socket_timeout=SOCKET_SECONDS, socket_connect_timeout=5) as client:
                NamespaceBooks(client, namespace, place_of(self._settings.data_folder)).take_over(books)

    def _start_workers(self) -> None:
        names = worker_names(self._settings)
        # Workers that share the cores have none to spare for a second process each.
        second = self._settings.worker.second_reader and cores() >= 2 * len(names)
        for name in names:
            self._start(name, JARVIS_WORKER__NAME=name, JARVIS_WORKER__PROCESSES="1", JARVIS_WORKER__SECOND_READER=str(second).lower())

    def _start(self, name: str, **environment_of_its_own: str) -> None:
        terminal = self._console.is_terminal
        environment = {**os.environ, "JARVIS_SUPERVISOR": str(os.getpid()), **environment_of_its_own}
        if terminal:
            environment.setdefault("JARVIS_LOGGING__FORMAT", "console")
        show = (lambda line: self._console.print(Text.from_ansi(line))) if terminal else None
        group = "worker" if environment_of_its_own else name
        chosen = [] if self._config is None else ["--config", str(self._config)]
        # -P: `-m` would look into the working directory first, where an engine may have a workers/ or a scheduler/ of its own.
        command = [sys.executable, "-P", "-m", "jarvis", *chosen, group, "run"]
        self._children[name] = Child(name, command, environment, show)
        self._children[name].start()

    def _wait_for_embedded_broker(self, stop: StopSignal) -> bool:
        """False where we are asked to stop before it is there. However long it loads a backlog, only its launcher's ends are failures."""
        launcher, told = self._children["broker"], time.monotonic()
        while running_broker(self._settings.data_folder) is None:
            launcher.look_after()
            if launcher.ended >= BROKER_STARTS:
                raise Unavailable("the embedded broker did not come up; its lines above say why")
            if time.monotonic() - told > BROKER_SILENCE_SECONDS:
                told = time.monotonic()
                log.warning("the embedded broker is not up yet, waiting for it", process=launcher.pid)
            if stop.wait(0.02):
                return False
        return True

    def _say_what_runs(self) -> None:
        url = without_password(broker_url(self._settings))
        config = "" if self._config is None else f" --config {self._config}"
        self._say("jarvis is recording: broker, worker and scheduler are up")
        self._say(f"  database  {self._settings.database.path.absolute()}")
        self._say(f"  broker    {url}")
        if (served := self._monitor.address) is not None:
            self._say(f"  watch it  jarvis{config} status, http://{served}/metrics, /healthz, /readyz")
        self._say(f"  feed it   jarvis{config} publish FILE.ndjson    (or publish to the broker from your engine: docs/publishing.md)")
        self._say("  stop      Ctrl-C drains and stops; a second one forces")

    def _say(self, text: str) -> None:
        """A line as it is: paths may hold what would be markup."""
        if self._console.is_terminal:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def _watch(self, stop: StopSignal) -> None:
        line = StatusLine()
        live = Live(console=self._console, refresh_per_second=4, transient=True) if self._console.is_terminal else None
        if live:
            live.start()
        try:
            while not stop.wait(0.25):
                for child in self._children.values():
                    child.look_after()
                self._monitor.look_at_all({name: trouble for name, child in self._children.items() if (trouble := child.trouble) is not None})
                self._reap_strangers()
                notify("WATCHDOG=1")
                line.tell(self._in_one_line())
                if live:
                    live.update(self._status_line())
        finally:
            if live:
                live.stop()

    def _reap_strangers(self) -> None:
        """Bury what others left to us: as the first process of a container we inherit every orphan."""
        if os.getpid() != 1:
            return
        ours = {child.pid for child in self._children.values()}
        with suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None and ended.si_pid not in ours:
                os.waitpid(ended.si_pid, 0)

    def _in_one_line(self) -> str:
        """How the workers are, for `systemctl status`."""
        status = self._workers_status()
        return (
            "starting" if status is None else status["problem"] or status["broker"] or ("recording" if status["ready"] else "commits fail and are tried again")
        )

    def _status_line(self) -> Text:
        status = self._workers_status()
        if status is None:
            return Text("starting …", style="dim")
        counts = status["counts"]
        backlog = status["backlog"]
        line = Text.assemble(
            ("● " if status["ready"] else "○ ", "bold" if status["ready"] else "bold red"), f"{counts['messages']:,} in · {counts['applied']:,} applied · ",
            f"{count_of('duplicate', counts['duplicate'])} · ", (f"{counts['quarantined']:,} quarantined", "bold" if counts["quarantined"] else ""),
            f" · backlog {'?' if backlog is None else format(backlog + status['in_flight'], ',')}",
        )  # fmt: skip
        if not status["ready"]:
            line.append(
                " · not ready: " + (status["problem"] or ("commits fail and are tried again" if status["broker"] is None else status["broker"])), "bold red"
            )
        return line

    def _workers_status(self) -> dict[str, Any] | None:
        """What all workers say together; None until the first has spoken."""
        said = [child.status for name, child in self._children.items() if name not in ("broker", "scheduler") and child.status]
        if not said:
            return None
        backlogs = [status["backlog"] for status in said]
        return {
            "counts": {name: sum(status["counts"][name] for status in said) for name in _COUNTS},
            "in_flight": sum(status["in_flight"] for status in said),
            "backlog": None if None in backlogs else max(backlogs),
            "ready": all(status["ready"] for status in said),
            "problem": next((status["problem"] for status in said if status["problem"]), None),
            "broker": next((status["broker"] for status in said if not status["broker"].startswith("reading")), None),
        }

    def _stop(self) -> None:
        """Worker and scheduler drain side by side; the broker goes last, when nobody needs it."""
        self._monitor.look_at_all({self.monitored_as: "draining"})
        self._console.print("draining …", style="dim") if self._console.is_terminal else None
        deadline = time.monotonic() + DRAIN_SECONDS + 10
        draining = [child for name, child in self._children.items() if name != "broker"]
        for child in draining:
            child.ask_to_stop()
        for child in draining:
            child.wait(deadline)
        if "broker" in self._children:
            self._children["broker"].ask_to_stop()
            self._children["broker"].wait(time.monotonic() + 15)
        status = self._workers_status()
        if status is not None:
            messages, applied, duplicate, quarantined = (status["counts"][name] for name in _COUNTS)
            said = f"{count_of('message', messages)}, {applied:,} applied, {count_of('duplicate', duplicate)}, {quarantined:,} quarantined"
            print(f"stopped: {said}", file=sys.stderr, flush=True)


class WorkerPool(Supervisor):
    """Several worker processes and nothing else: `jarvis worker run --processes N`."""

    monitored_as = "workers"

    def run(self) -> None:
        stop = StopSignal()
        if not wait_for_predecessor(self._locks(), stop.wait):
            return
        books = self._open_books()
        with self._monitor:
            try:
                self._take_over_for(books)
                self._start_workers()
                notify("READY=1")
                self._watch(stop)
            finally:
                notify("STOPPING=1")
                self._stop()

    def _locks(self) -> list[Path]:
        return [worker_lock(self._settings, name) for name in worker_names(self._settings)]
