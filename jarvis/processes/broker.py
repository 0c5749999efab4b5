"""`jarvis broker run`: the embedded broker in the foreground."""

from __future__ import annotations

import structlog

from jarvis import processes
from jarvis.embedded_broker import LAUNCHER_LOCK, EmbeddedBroker
from jarvis.monitoring.monitor import Monitor
from jarvis.monitoring.pipe import SupervisorPipe
from jarvis.predecessors import wait_for_predecessor
from jarvis.processes import LOOK_SECONDS, StopSignal, Unhealthy, end_within, say_alive
from jarvis.settings import Settings
from jarvis.stopped import is_stopped
from jarvis.systemd import notify
from persistence.domain.stillness import Stillness
from persistence.holders import note_going

log = structlog.get_logger("jarvis")


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
            if silence.seconds(answers) <= processes.BROKER_SILENCE_SECONDS:
                continue
            if broker.pid is None or not is_stopped(broker.pid):
                raise Unhealthy(f"the embedded broker does not answer; its log is {broker.log}")
            log.warning("the embedded broker is stopped, waiting for it; `kill -CONT` sets it going again", pid=broker.pid)
            silence.forgive()
        notify("STOPPING=1")
        note_going(lock)
    log.info("broker stopped")
    end_within()
