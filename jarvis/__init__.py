"""The front door: the command people type. The only place that reads `config/`.

settings.py         config files and environment, checked as a whole; settings_sources.py where each value stood
logging.py          one form for every log line
opening.py          the books, broker.py the broker, scheduling.py the scheduler that the settings mean; hours.py, locks.py
embedded_broker.py  the Valkey server that comes along when no Redis is named
processes.py        `jarvis broker|worker|scheduler run`: signals, health, drain
supervisor.py       `jarvis up`: broker, worker and scheduler as one; stopped.py: who hangs, and who was stopped
status/             how the daemon stands, and what is wrong by it
monitoring/         what processes tell machines of themselves: /metrics, /healthz, /readyz
reading/            what is read back, as `--json` prints it; web/ the server of `jarvis serve`, which answers the same
restoring.py        coming back from a backup while nobody else holds the books
doctor/             `jarvis doctor`: is everything around the books right?
demo.py             a simulated engine
recipes/            what `jarvis deploy` writes for systemd, a container, a Redis
cli/                one file per verb that people type
"""

__version__ = "0.1.0"
