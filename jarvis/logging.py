"""One form for every log line, ours and the libraries': readable on a terminal, JSON elsewhere, always on stderr."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from jarvis_client.contract.showing import hide_passwords


def configure_logging(level: str = "info", form: str = "auto") -> None:
    """Send structlog's and the standard library's lines through one handler. `form`: auto, console or json."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper("%H:%M:%S" if console else "iso", utc=not console),
        structlog.processors.StackInfoRenderer(),
    ]
    rendering: list[Any] = (
        # A plain trace: the other kind prints local variables, a password among them.
        [hide_secrets, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback)]
        if console
        else [structlog.processors.format_exc_info, hide_secrets, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering, _hide_in_line]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Their routine lines come per message or per tick; ours come per commit or per run.
    for name in ("dramatiq", "apscheduler"):
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def hide_secrets(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """No URL of a line shows a password, whatever library wrote it."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = hide_passwords(value)
    return event


def _hide_in_line(_logger: object, _name: str, line: Any) -> str:
    """What stood in lists and mappings, and in the trace of an error, is text by now."""
    return hide_passwords(line)
