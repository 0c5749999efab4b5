"""`jarvis`: the command. One file per verb that people type; each is thin, the work lies in the packages behind it.

Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 done with findings, 2 wrong usage, 3 could not be done,
4 refused.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, NamedTuple

import typer
from typer.main import get_group

from jarvis import __version__
from jarvis.cli.common import CHOSEN, EXIT_CODES_HELP, Exit, exit_code_of, say, sentence_of
from jarvis.cli.help import Command, Group, dress, use_our_styles
from jarvis.cli.times import check_zone
from jarvis.errors import EMPTY_CONFIG, SettingsError
from jarvis.limits import remedy_of
from jarvis.streams import open_standard_streams, reader_has_left
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.showing import hide_passwords


class Listed(NamedTuple):
    """A command or a group as `jarvis --help` lists it, and the module that has it."""

    name: str
    module: str
    panel: str
    says: str


#: In the order they are listed. tests/test_house.py holds each line equal to the first one of the command itself.
COMMANDS = {
    listed.name: listed
    for listed in (
        Listed("up", "up", "Run", "Run everything in the foreground: the embedded broker (unless broker.url is set), the worker and the scheduler."),
        Listed(
            "demo", "demo", "Run", "Watch it work: a simulated engine trades a month through the broker into a temporary daemon, then the books are shown."
        ),
        Listed("broker", "broker", "Run", "The embedded broker."),
        Listed("worker", "worker", "Run", "The worker, which records what arrives."),
        Listed("scheduler", "scheduler", "Run", "The scheduler, which runs what comes round."),
        Listed(
            "serve", "serve", "Run",
            "Answer over HTTP what the books hold: accounts, orders, performance, status … as JSON. It reads, and never writes.",
        ),
        Listed(
            "web", "web", "Run",
            "Show the books and the daemon in a browser: status, quarantine, jobs, accounts with their pictures. It reads, and never writes.",
        ),
        Listed("publish", "publish", "Feed", "Publish NDJSON records through the broker."),
        Listed(
            "import", "import_", "Feed", "Record a file straight into the books, without a broker. Importing the same file again changes nothing."
        ),
        Listed(
            "import-json", "import_json", "Feed",
            "Bring accounts, balances, transactions, orders and metrics of an engine's JSON files into the books, verified against them.",
        ),
        Listed(
            "messages", "messages", "Feed", "Records and their rules: check a file, see an example, print a schema. Needs no broker and no books."
        ),
        Listed("transactions", "transactions", "Books", "List an account's transactions, the newest first."),
        Listed("orders", "orders", "Books", "List an account's orders, the newest first."),
        Listed(
            "lots", "lots", "Books",
            "List an account's open lots: what is held of each asset, its cost without fees, since when, and what it would gain if it were sold.",
        ),
        Listed(
            "positions", "positions", "Books",
            "List an account's open positions: what its own fills hold or owe of each instrument, at which average price, since when.",
        ),
        Listed(
            "disposals", "disposals", "Books",
            "List what was taken of an account's assets: as what (sale, spent, fee, withdrawal …), when, from which lots, with proceeds, cost and gain.",
        ),
        Listed(
            "rates", "rates", "Books",
            "List what is known of currencies in USD: from where (rate records, accounts' own, prices of fills), since when, and what waits for a rate.",
        ),
        Listed("export", "export", "Books", "Export exact figures in a fixed order: the same facts give the same bytes, whatever order they came in."),
        Listed("accounts", "accounts", "Books", "Accounts: list them and what they hold; close, open or delete one."),
        Listed(
            "statement", "statement", "Performance",
            "Show the statement of a period: per currency what there was, what moved, what there is, and that nothing is unexplained.",
        ),
        Listed("rollup", "rollup", "Performance", "Bring the daily rows of figures up to date, here and now; what is up to date stays as it is."),
        Listed("performance", "performance", "Performance", "Daily figures: rows, where they come from, how they changed."),
        Listed(
            "report", "report", "Performance", "Write an account's report: one page to look at, to print, to send. It needs no network and runs no script."
        ),
        Listed(
            "status", "status", "Look after",
            "Show how it stands: what is wrong and what to do, processes, queues, records, jobs, backups, disks. Works while everything is stopped, too.",
        ),
        Listed(
            "restore", "restore", "Look after",
            "Bring the books back from a backup. It is verified before anything is touched, and the present database is kept aside.",
        ),
        Listed(
            "doctor", "doctor", "Look after",
            "Look at everything around the books, and change nothing: system, settings, folders, limits, clock, broker, secrets, units.",
        ),
        Listed(
            "verify", "verify", "Look after",
            "Check everything: the file and its pages, the books, the hash chain, what rollups derived, gaps, quarantine, backups.",
        ),
        Listed(
            "rebuild", "rebuild", "Look after",
            "Derive balances, orders and daily figures from the recorded facts alone and compare; without --check, put them in place, after a backup.",
        ),
        Listed("notes", "notes", "Look after", "Notes: what was recorded and is odd; accept one."),
        Listed("gaps", "gaps", "Look after", "List a producer's sequence numbers that never arrived (exit code 1 where there are any); `accept` settles some."),
        Listed("alerts", "alerts", "Look after", "Alarms, and who is told of them: list them, try the ways out."),
        Listed("jobs", "jobs", "Look after", "The scheduler's jobs: what there is, what ran, running one, pausing one."),
        Listed("backup", "backup", "Look after", "Backups: copies that were restored and compared before they count."),
        Listed("chain", "chain", "Look after", "The hash chain over everything recorded."),
        Listed("db", "database", "Look after", "The books where they are kept: a file, or a server."),
        Listed("deploy", "deploy", "Look after", "Write the files that a deployment needs, made to fit, and say which steps remain."),
        Listed("config", "config", "Look after", "The settings."),
        Listed("quarantine", "quarantine", "Look after", "Records that could not be applied: look, mend, try again."),
    )
}  # fmt: skip


#: What runs until it is told to stop, whoever reads what it says.
DAEMONS = {"up", "broker", "worker", "scheduler", "serve", "web"}


class Front(Group):
    """The command group. It lists every command without loading one, and loads the one that is invoked or asked for help."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for listed in COMMANDS.values():
            self.add_command(Command(listed.name, help=listed.says, rich_help_panel=listed.panel))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, self.load(name) if name and command else None, rest

    def load(self, name: str) -> Any:
        """The command itself, with its parameters and the commands below it."""
        part = typer.Typer(rich_markup_mode=self.rich_markup_mode)
        import_module(f"jarvis.cli.{COMMANDS[name].module}").register(part)
        return get_group(dress(part)).commands[name]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except Exception:
            use_our_styles()
            raise

    def invoke(self, ctx: Any) -> Any:
        """A reader of our output that has gone (`jarvis export … | head`) is no error, save for what runs on without one."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            if ctx.invoked_subcommand in DAEMONS or not reader_has_left():
                raise
            # What is still buffered has nowhere to go either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return None
        except Exception:
            use_our_styles()
            raise


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


def _zone(name: str) -> str:
    try:
        check_zone(name)
    except Invalid as error:
        raise typer.BadParameter(str(error), param_hint="--time-zone") from None
    return name


@app.callback()
def _options(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            envvar="JARVIS_CONFIG",
            metavar="DIR",
            help="Folder with the settings: database.yaml, workers.yaml, scheduler.yaml, monitoring.yaml.",
            show_default="config",
        ),
    ] = None,
    time_zone: Annotated[
        str,
        typer.Option(
            "--time-zone",
            envvar="JARVIS_TIME_ZONE",
            metavar="ZONE",
            callback=_zone,
            help="The zone of the times you are shown, such as Europe/Berlin, or local. JSON and CSV have UTC.",
        ),
    ] = "UTC",
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    CHOSEN.named = config is not None
    CHOSEN.config = config or CHOSEN.config
    # For the processes that this one starts, too.
    CHOSEN.time_zone = os.environ["JARVIS_TIME_ZONE"] = time_zone
    if os.environ.get("JARVIS_CONFIG") == "" and not CHOSEN.named:
        raise SettingsError([EMPTY_CONFIG])


def _show_trace(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The trace of a defect, on stderr, without the passwords of its URLs."""
    print(hide_passwords("".join(traceback.format_exception(kind, error, trace))), file=sys.stderr, end="", flush=True)


def main() -> None:
    """The console script. Turns every error of ours into a sentence and an exit code."""
    open_standard_streams()
    sys.excepthook = _show_trace
    threading.excepthook = lambda ended: _show_trace(ended.exc_type, ended.exc_value or ended.exc_type(), ended.exc_traceback)
    try:
        app()
    except Exception as error:
        remedy = remedy_of(error)
        code = Exit.FAILED if remedy else exit_code_of(error)
        if code is None:
            raise
        say(hide_passwords(f"jarvis: {remedy or sentence_of(error)}"))
        sys.exit(code)
