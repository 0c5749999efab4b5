"""A line on the terminal for what takes its time: the stage, how far it is, and how long it will still be."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, ProgressColumn, SpinnerColumn, Task, TaskProgressColumn, TextColumn, TransferSpeedColumn
from rich.progress import Progress as Line
from rich.table import Column
from rich.text import Text

from persistence.domain.progress import Progress, silent
from persistence.domain.showing import lasting

_BAR_COLUMNS = 16


class _TimeColumn(ProgressColumn):
    """How long it has taken from the beginning, and what is left of this stage: `12 s, 40 s left`."""

    def __init__(self) -> None:
        super().__init__()
        self._started = time.monotonic()

    def render(self, task: Task) -> Text:
        left = "" if task.finished or task.time_remaining is None else f", {lasting(round(task.time_remaining))} left"
        return Text(f"{lasting(round(time.monotonic() - self._started))}{left}")


@contextmanager
def doing(what: str, *, wanted: bool = True, in_bytes: bool = False) -> Iterator[Progress]:
    """Show on a terminal how far an operation is, for the length of a block, which tells it.

    Silent on a pipe, on a terminal that cannot move its cursor, and where it is not `wanted`, as with --json. `in_bytes`: what is
    counted is bytes, so how many and how fast are worth a look.
    """
    if not (wanted and sys.stderr.isatty()) or os.environ.get("TERM") == "dumb":
        yield silent
        return
    counted = (DownloadColumn(), TransferSpeedColumn()) if in_bytes else (TaskProgressColumn(),)
    stage = TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"))
    # Bold and dim alone: the colours that Rich has for these are not to be read on every terminal.
    console = Console(stderr=True, no_color=True)
    with Line(SpinnerColumn(), stage, BarColumn(_BAR_COLUMNS), *counted, _TimeColumn(), console=console, transient=True, expand=True) as line:
        yield _Drawn(line, what)


class _Drawn:
    """Draws what it is told. A stage that begins anew is timed anew."""

    def __init__(self, line: Line, what: str) -> None:
        self._line = line
        self._task = line.add_task(what, total=None)
        self._done = 0

    def __call__(self, stage: str, done: int, of: int, /) -> None:
        if done < self._done or not of:
            self._line.reset(self._task, total=of or None)
        self._done = done
        self._line.update(self._task, description=stage, completed=done, total=of or None)
