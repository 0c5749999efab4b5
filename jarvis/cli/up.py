"""`jarvis up`: everything of one data folder in the foreground."""

from __future__ import annotations

import typer

from jarvis.cli.context import CONTEXT
from jarvis.cli.options import TakeOver
from jarvis.limits import raise_file_limit
from jarvis.streams import heed_no_reader
from jarvis.supervisor import Supervisor


def register(app: typer.Typer) -> None:
    app.command()(up)


def up(take_over: TakeOver = False) -> None:
    """Run everything in the foreground: the embedded broker (unless broker.url is set), the worker and the scheduler.

    Ctrl-C or SIGTERM drains and stops; a second one forces. Data lies in the folder of database.path.
    """
    heed_no_reader()
    raise_file_limit()
    Supervisor(CONTEXT.settings, CONTEXT.named_config, take_over=take_over).run()
