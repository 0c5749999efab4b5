"""The front door: the command people type. The only place that reads `config/`.

settings.py         config files and environment, checked as a whole
logging.py          one form for every log line
embedded_broker.py  the Valkey server that comes along when no Redis is named
supervisor.py       `jarvis up`: broker, worker and scheduler as one
demo.py             a simulated engine
cli/                one file per group of commands
"""

__version__ = "0.1.0"
