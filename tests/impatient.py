"""`jarvis` with watchdogs that wait seconds instead of a minute: `python -m impatient SECONDS COMMAND …`."""

from __future__ import annotations

import sys

from jarvis import processes, supervisor
from jarvis.cli import main
from persistence.domain import stillness
from scheduler import daemon
from workers import app

if __name__ == "__main__":
    seconds = float(sys.argv.pop(1))
    # A look at a broker that does not answer takes two.
    stillness.LONGEST_LOOK_SECONDS = 3.0
    daemon.SILENT_SECONDS = app.HANGS_AFTER_SECONDS = processes.BROKER_SILENCE_SECONDS = supervisor.SILENT_SECONDS = seconds
    main()
