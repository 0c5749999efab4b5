"""`jarvis worker run`: a line of the Procfile."""

from __future__ import annotations

from typing import Annotated

import typer

from jarvis.cli.context import CONTEXT
from jarvis.cli.options import TakeOver
from jarvis.limits import raise_file_limit
from jarvis.processes import leave
from jarvis.processes.worker import run_worker
from jarvis.streams import heed_no_reader
from jarvis.supervisor import WorkerPool

group = typer.Typer(help="The worker, which records what arrives.", no_args_is_help=True)
group.callback()(lambda: None)


def register(app: typer.Typer) -> None:
    app.add_typer(group, name="worker")


@group.command("run")
def worker_run(
    processes: Annotated[int | None, typer.Option(help="So many worker processes over one database (default: worker.processes).", min=1, max=16)] = None,
    take_over: TakeOver = False,
) -> None:
    """Run the worker in the foreground, or several side by side."""
    heed_no_reader()
    raise_file_limit()
    settings = CONTEXT.settings
    if processes is not None:
        settings = settings.model_copy(update={"worker": settings.worker.model_copy(update={"processes": processes})})
    if settings.worker.processes > 1:
        WorkerPool(settings, CONTEXT.named_config, take_over=take_over).run()
    else:
        run_worker(settings, take_over=take_over)
    leave()
