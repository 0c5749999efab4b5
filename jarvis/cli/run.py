"""Running: up, demo, and the lines of the Procfile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jarvis.cli.common import CONTEXT
from jarvis.limits import raise_file_limit


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Run")(up)
    app.command(rich_help_panel="Run")(demo)
    for name, command, says in (
        ("broker", broker_run, "The embedded broker."),
        ("worker", worker_run, "The worker, which records what arrives."),
        ("scheduler", scheduler_run, "The scheduler, which runs what comes round."),
    ):
        group = typer.Typer(help=says, no_args_is_help=True)
        group.command("run")(command)
        group.callback()(lambda: None)
        app.add_typer(group, name=name, rich_help_panel="Run")


def up() -> None:
    """Run everything in the foreground: the embedded broker (unless broker.url is set), the worker and the scheduler.

    Ctrl-C or SIGTERM drains and stops; a second one forces. Data lies in the folder of database.path.
    """
    from jarvis.supervisor import Supervisor

    raise_file_limit()
    Supervisor(CONTEXT.settings, CONTEXT.config).run()


def demo(
    fills: Annotated[int, typer.Option(help="How many fills the month has.", min=1, max=1_000_000)] = 3_000,
    seed: Annotated[int, typer.Option(help="The same seed trades the same month.")] = 7,
    into_running: Annotated[bool, typer.Option("--into-running", help="Publish into the daemon of this folder's settings: real books!")] = False,
    keep: Annotated[Path | None, typer.Option(help="Keep the demo's books in this (new or empty) folder.")] = None,
) -> None:
    """Watch it work: a simulated engine trades a month through the broker into a temporary daemon, then the books are shown."""
    from jarvis.demo import run_demo

    raise_file_limit()
    run_demo(CONTEXT.settings if into_running else None, CONTEXT.config, fills=fills, seed=seed, keep=keep)


def broker_run() -> None:
    """Run the embedded broker in the foreground; only waits where broker.url names a Redis."""
    from jarvis.processes import run_broker

    raise_file_limit()
    run_broker(CONTEXT.settings)


def worker_run(
    processes: Annotated[int | None, typer.Option(help="So many worker processes over one database (default: worker.processes).", min=1, max=16)] = None,
) -> None:
    """Run the worker in the foreground, or several side by side."""
    raise_file_limit()
    settings = CONTEXT.settings
    if processes is not None:
        settings = settings.model_copy(update={"worker": settings.worker.model_copy(update={"processes": processes})})
    if settings.worker.processes > 1:
        from jarvis.supervisor import WorkerPool

        WorkerPool(settings, CONTEXT.config).run()
    else:
        from jarvis.processes import run_worker

        run_worker(settings)


def scheduler_run() -> None:
    """Run the scheduler in the foreground."""
    from jarvis.processes import run_scheduler

    raise_file_limit()
    run_scheduler(CONTEXT.settings)
