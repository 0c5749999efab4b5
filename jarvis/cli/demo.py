"""`jarvis demo`: a month of trading to watch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jarvis.cli.context import CONTEXT
from jarvis.demo import run_demo
from jarvis.limits import raise_file_limit


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    fills: Annotated[int, typer.Option(help="How many fills the month has.", min=1, max=1_000_000)] = 3_000,
    seed: Annotated[int, typer.Option(help="The same seed trades the same month.")] = 7,
    into_running: Annotated[bool, typer.Option("--into-running", help="Publish into the daemon of this folder's settings: real books!")] = False,
    keep: Annotated[Path | None, typer.Option(help="Keep the demo's books in this (new or empty) folder.")] = None,
) -> None:
    """Watch it work: a simulated engine trades a month through the broker into a temporary daemon, then the books are shown."""
    raise_file_limit()
    run_demo(CONTEXT.settings if into_running else None, CONTEXT.config, fills=fills, seed=seed, keep=keep)
