"""`jarvis`: the command. One file per group; each command is thin, the work lies in the packages behind it.

Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 done with findings, 2 wrong usage, 3 could not be done,
4 refused.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from jarvis import __version__
from jarvis.cli import (
    accounts,
    backup,
    chain,
    config,
    database,
    demo,
    export,
    gaps,
    import_,
    jobs,
    orders,
    performance,
    publish,
    quarantine,
    rebuild,
    restore,
    rollup,
    run,
    statement,
    transactions,
    up,
    verify,
)
from jarvis.cli.common import CHOSEN, EXIT_CODES_HELP, Exit, exit_code_of, say, sentence_of
from jarvis.limits import remedy_of


class Front(TyperGroup):
    """The command group; a reader of our output that has gone (`jarvis export … | head`) is no error."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # What is still buffered has nowhere to go either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return None


app = typer.Typer(
    cls=Front,
    name="jarvis",
    help="Keeps the books of a trading engine: fills, deposits and metrics from Redis, exactly once, in SQLite.",
    epilog=EXIT_CODES_HELP,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"jarvis {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    config: Annotated[
        Path, typer.Option("--config", envvar="JARVIS_CONFIG", metavar="DIR", help="Folder with database.yaml, workers.yaml and scheduler.yaml.")
    ] = Path("config"),
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    CHOSEN.config = config


for part in (
    up, demo, run, publish, import_, accounts, transactions, orders, export, performance, statement, rollup, jobs, backup, restore, verify, rebuild, chain,
    database, gaps, config, quarantine,
):  # fmt: skip
    part.register(app)


def main() -> None:
    """The console script. Turns every error of ours into a sentence and an exit code."""
    try:
        app()
    except Exception as error:
        remedy = remedy_of(error)
        code = Exit.FAILED if remedy else exit_code_of(error)
        if code is None:
            raise
        say(f"jarvis: {remedy or sentence_of(error)}")
        sys.exit(code)
