"""The long-running processes behind `jarvis broker|worker|scheduler run`: here what they share, signals and the end; each in its own module.

So each loads what it needs itself: a worker neither the scheduler's jobs nor its alarms, a scheduler no actors.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import NoReturn

import structlog

from jarvis.monitoring.pipe import SupervisorPipe
from jarvis.systemd import notify
from jarvis_client.contract.errors import Unavailable

log = structlog.get_logger("jarvis")

#: How often a process looks at itself and at whether its supervisor still lives.
LOOK_SECONDS = 0.5
#: Time to drain before what is left goes back to its queue; systemd's TimeoutStopSec has to be longer.
DRAIN_SECONDS = 25.0
#: What is left once all is drained is the end of the interpreter: a moment, unless a thread inside some library does not let go.
EXIT_SECONDS = 15.0
#: A busy disk may hold the broker up for seconds; one that is silent for longer is started anew.
BROKER_SILENCE_SECONDS = 15.0


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
