"""One form for every log line, ours and the libraries': readable on a terminal, JSON elsewhere, always on stderr."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

import structlog

from jarvis_client.contract.showing import hide_passwords


class _Legible(structlog.dev.ConsoleRenderer):
    """Bold, dim and red alone: as legible on white as on black."""

    @classmethod
    def get_default_column_styles(cls, colors: bool, force_colors: bool = False) -> structlog.dev.ColumnStyles:
        if not colors:
            return super().get_default_column_styles(colors, force_colors)
        bold, dim, red = "\x1b[1m", "\x1b[2m", "\x1b[31m"
        return structlog.dev.ColumnStyles(
            reset="\x1b[0m", bright=bold, level_critical=red, level_exception=red, level_error=red, level_warn=bold, level_info="", level_debug=dim,
            level_notset="", timestamp=dim, logger_name=dim, kv_key=dim, kv_value="",
        )  # fmt: skip

    @staticmethod
    def get_default_level_styles(colors: bool = True) -> dict[str, str]:
        styles = _Legible.get_default_column_styles(colors)
        named = {name: getattr(styles, f"level_{name}") for name in ("critical", "exception", "error", "warn", "info", "debug", "notset")}
        return {**named, "warning": styles.level_warn}


def configure_logging(level: str = "info", form: str = "auto", clock: Callable[[datetime], str] = str) -> None:
    """Send structlog's and the standard library's lines through one handler.

    `form`: auto, console or json. `clock`: how a console line says its moment; JSON has it exactly, in UTC.
    """
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        _stamped_by(clock) if console else structlog.processors.TimeStamper("iso"),
        structlog.processors.StackInfoRenderer(),
    ]
    rendering: list[Any] = (
        # A plain trace: the other kind prints local variables, a password among them.
        [hide_secrets, _Legible(colors=_has_styles(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback)]
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


def _has_styles() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _stamped_by(clock: Callable[[datetime], str]) -> Callable[..., MutableMapping[str, Any]]:
    def stamped(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["timestamp"] = clock(datetime.now(UTC))
        return event

    return stamped


def hide_secrets(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """No URL of a line shows a password, whatever library wrote it."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = hide_passwords(value)
    return event


def _hide_in_line(_logger: object, _name: str, line: Any) -> str:
    """What stood in lists and mappings, and in the trace of an error, is text by now."""
    return hide_passwords(line)
