"""A status as people read it: one sentence that says it all, what is wrong and what to do, then part by part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jarvis.cli.output import printable
from jarvis.status.alarms import Raised, Severity
from jarvis.status.model import Status
from jarvis.status.words import Row, in_a_line, lasting_for, parts

#: Red and bold are legible on a dark terminal and on a light one.
_LOUD, _HEAD = "bold red", "bold"
#: Alarms that are written out; the rest are counted.
MOST_ALARMS = 8
MOST_PROCESSES = 8


def screen(status: Status, alarms: Sequence[Raised], hint: str = "") -> RenderableType:
    """The whole of it. `hint` says what else can be done with it, such as ending it."""
    first = printable(in_a_line(status, ()) if not alarms else in_a_line(status, alarms).partition(":")[0])
    head = Text(first, style=_LOUD if any(alarm.severity is Severity.CRITICAL for alarm in alarms) else _HEAD)
    head.append(f"   jarvis {status.version} on {status.host}{f'   {hint}' if hint else ''}", style="not bold default")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=_HEAD, no_wrap=True)
    grid.add_column(overflow="fold")
    for name, body in parts(status):
        grid.add_row(name, _body(name, body))
    return Group(head, *_alarms(alarms, status.taken_at), Text(), grid)


def _alarms(alarms: Sequence[Raised], now: int) -> Iterator[RenderableType]:
    for alarm in alarms[:MOST_ALARMS]:
        lasts = "" if alarm.since is None else f" ({lasting_for(now - alarm.since)})"
        loud = alarm.severity is Severity.CRITICAL
        yield _marked(Text("✗ " if loud else "! ", style=_LOUD if loud else _HEAD), f"{alarm.says}{lasts}")
        yield _marked(Text("  → "), alarm.remedy)
    if len(alarms) > MOST_ALARMS:
        yield Text(f"  and {len(alarms) - MOST_ALARMS:,} more: `jarvis status --json` has them all")


def _marked(mark: Text, text: str) -> Table:
    """A sentence behind a mark, under which its further lines do not run."""
    line = Table.grid()
    line.add_column(no_wrap=True)
    line.add_column(overflow="fold")
    line.add_row(mark, Text(printable(text)))
    return line


def _body(name: str, said: list[str] | list[Row]) -> RenderableType:
    """Lines as they are, rows as a table."""
    rows = [row for row in said if isinstance(row, Row)]
    if not rows:
        return Text(printable("\n".join(str(line) for line in said)))
    shown = rows[:MOST_PROCESSES] if name == "processes" else rows
    table = Table.grid(padding=(0, 2))
    for _ in rows[0].cells[1:]:
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in shown:
        table.add_row(*(Text(printable(cell), style=_LOUD if row.loud and at == row.state_at else "") for at, cell in enumerate(row.cells)))
    if len(rows) > len(shown):
        table.add_row(f"and {len(rows) - len(shown):,} more")
    return table
