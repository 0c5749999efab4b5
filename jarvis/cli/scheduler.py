"""`jarvis scheduler run`: a line of the Procfile."""

from __future__ import annotations

import typer

from jarvis.cli.context import CONTEXT
from jarvis.limits import raise_file_limit
from jarvis.processes import leave
from jarvis.processes.scheduler import run_scheduler
from jarvis.streams import heed_no_reader

group = typer.Typer(help="The scheduler, which runs what comes round.", no_args_is_help=True)
group.callback()(lambda: None)


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="scheduler")


@group.command("run")
def scheduler_run() -> None:
    """Run the scheduler in the foreground."""
    heed_no_reader()
    raise_file_limit()
    run_scheduler(CONTEXT.settings, CONTEXT.config)
    leave()
