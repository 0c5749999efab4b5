"""What all commands share: settings, exit codes, output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import date as Date
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jarvis.logging import configure_logging
from jarvis.settings import Settings, SettingsError, exposed_secrets, load_settings
from persistence.database import DatabaseManager
from persistence.domain.errors import BooksError, HeldElsewhere, Immutable, Invalid, WrongDatabase
from persistence.domain.finding import Finding


class Exit(IntEnum):
    """What a script can rely on."""

    DONE = 0
    FINDINGS = 1
    USAGE = 2
    FAILED = 3
    REFUSED = 4


EXIT_CODES_HELP = "Exit codes: 0 done · 1 done with findings · 2 wrong usage · 3 could not be done · 4 refused"


def exit_code_of(error: Exception) -> Exit | None:
    """The exit code of an error that has a sentence for people; None for a defect, which should show its trace."""
    match error:
        case SettingsError() | Invalid():
            return Exit.USAGE
        case WrongDatabase() | HeldElsewhere() | Immutable():
            return Exit.REFUSED
        case BooksError() | OSError():
            return Exit.FAILED
    # By its module: importing the client takes longer than most commands do.
    if type(error).__module__.partition(".")[0] == "redis":
        return Exit.FAILED
    return None


def sentence_of(error: Exception) -> str:
    """What is said of an error that has an exit code: errors of ours are sentences already."""
    if type(error).__module__.partition(".")[0] == "redis":
        if "OOM" in str(error):
            return f"the broker is full: {error}; let the workers catch up, or raise its maxmemory"
        return f"the broker does not answer: {error}; is it running, and is broker.url the right one?"
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror}; check the path, its owner and mode, the free space and `ulimit -f`"
    return str(error)


@dataclass
class Context:
    """The settings of this invocation, read when a command needs them."""

    config: Path = field(default_factory=lambda: Path("config"))

    @cached_property
    def settings(self) -> Settings:
        settings = load_settings(self.config)
        configure_logging(settings.logging.level, settings.logging.format)
        for warning in exposed_secrets(self.config, settings):
            say(f"warning: {warning}")
        return settings

    def database(self, *, looking: bool = False) -> DatabaseManager:
        """The books, which have to exist already. `looking` as in `open_database`."""
        from jarvis.opening import open_database

        return open_database(self.settings, looking=looking)


CONTEXT = Context()


def say(text: str) -> None:
    """A line for people, on stderr."""
    print(text, file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """A text from outside, with what a terminal would act on (control characters, marks that turn the direction) written out."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_rows(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = (), as_json: bool = False) -> None:
    """A listing: a table for people, or JSON objects with the same columns."""
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    shown = [[("" if v is None else str(v)) for v in row] for row in rows]
    if not shown:
        say(f"no {title.lower()}")
        return
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name.replace("_", " "), justify="right" if name in right else "left", overflow="fold", no_wrap=name in right)
    for row in shown:
        table.add_row(*(Text(printable(cell)) for cell in row))
    # Piped output keeps its columns whole instead of folding them at 80.
    width = None if sys.stdout.isatty() else 240
    Console(width=width).print(table)


def tell_findings(findings: Sequence[Finding], clean: str, *, as_json: bool) -> None:
    """Print findings, one a line or as JSON; exits 1 where there are any."""
    if as_json:
        print_json([asdict(f) for f in findings])
    for f in () if as_json else findings:
        print(f"{f.check}: {f.where}: expected {f.expected}, found {f.found}  ({f.look})")
    say(f"{len(findings)} finding{'s' * (len(findings) != 1)}" if findings else clean)
    if findings:
        raise typer.Exit(Exit.FINDINGS)


def parse_date(text: str | None, name: str) -> Date | None:
    if text is None:
        return None
    try:
        if len(text) != 10:
            raise ValueError
        return Date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date; write it as 2026-11-22", param_hint=name) from None


def parse_time(text: str | None, name: str, *, end: bool = False) -> datetime | None:
    """A date (its start in UTC; as an end, that of the next day) or an RFC 3339 time."""
    if text is None:
        return None
    try:
        if len(text) == 10:
            day = datetime.fromisoformat(text).replace(tzinfo=UTC)
            return day + timedelta(days=1) if end else day
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a date (2026-11-22) nor a time (2026-11-22T10:15:30Z)", param_hint=name) from None
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no offset; write {text}Z for UTC", param_hint=name)
    return moment
