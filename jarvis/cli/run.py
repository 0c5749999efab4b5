"""`jarvis worker|scheduler run`: lines of the Procfile."""

from __future__ import annotations

from typing import Annotated

import typer

from jarvis.cli.context import CONTEXT
from jarvis.cli.options import TakeOver
from jarvis.limits import raise_file_limit
from jarvis.processes import leave, run_scheduler, run_worker
from jarvis.streams import heed_no_reader
from jarvis.supervisor import WorkerPool


def register(app: typer.Typer) -> None:
    for name, command, says in (
        ("worker", worker_run, "The worker, which records what arrives."),
        ("scheduler", scheduler_run, "The scheduler, which runs what comes round."),
    ):
        group = typer.Typer(help=says, no_args_is_help=True)
        group.command("run")(command)
        group.callback()(lambda: None)
        app.add_typer(group, name=name)


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


def scheduler_run() -> None:
    """Run the scheduler in the foreground."""
    heed_no_reader()
    raise_file_limit()
    run_scheduler(CONTEXT.settings, CONTEXT.config)
    leave()
