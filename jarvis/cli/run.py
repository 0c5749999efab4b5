"""`jarvis broker|worker|scheduler run`: the lines of the Procfile."""

from __future__ import annotations

from typing import Annotated

import typer

from jarvis.cli.context import CONTEXT
from jarvis.limits import raise_file_limit
from jarvis.processes import leave, run_broker, run_scheduler, run_worker
from jarvis.supervisor import WorkerPool


def register(app: typer.Typer) -> None:
    for name, command, says in (
        ("broker", broker_run, "The embedded broker."),
        ("worker", worker_run, "The worker, which records what arrives."),
        ("scheduler", scheduler_run, "The scheduler, which runs what comes round."),
    ):
        group = typer.Typer(help=says, no_args_is_help=True)
        group.command("run")(command)
        group.callback()(lambda: None)
        app.add_typer(group, name=name)


def broker_run() -> None:
    """Run the embedded broker in the foreground; only waits where broker.url names a Redis."""
    raise_file_limit()
    run_broker(CONTEXT.settings)
    leave()


def worker_run(
    processes: Annotated[int | None, typer.Option(help="So many worker processes over one database (default: worker.processes).", min=1, max=16)] = None,
) -> None:
    """Run the worker in the foreground, or several side by side."""
    raise_file_limit()
    settings = CONTEXT.settings
    if processes is not None:
        settings = settings.model_copy(update={"worker": settings.worker.model_copy(update={"processes": processes})})
    if settings.worker.processes > 1:
        WorkerPool(settings, CONTEXT.config).run()
    else:
        run_worker(settings)
    leave()


def scheduler_run() -> None:
    """Run the scheduler in the foreground."""
    raise_file_limit()
    run_scheduler(CONTEXT.settings, CONTEXT.config)
    leave()
