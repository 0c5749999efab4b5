"""Looking after it: the database, quarantine, settings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from jarvis.cli.common import CONTEXT, Exit, print_json, print_rows, say

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


def register(app: typer.Typer) -> None:
    database = typer.Typer(help="The database file.", no_args_is_help=True)
    database.command("init")(db_init)
    database.command("stats")(db_stats)
    database.command("check")(db_check)
    app.add_typer(database, name="db", rich_help_panel="Look after")
    quarantine = typer.Typer(help="Records that could not be applied.", no_args_is_help=True)
    quarantine.command("list")(quarantine_list)
    quarantine.callback()(lambda: None)
    app.add_typer(quarantine, name="quarantine", rich_help_panel="Look after")
    config = typer.Typer(help="The settings.", no_args_is_help=True)
    config.command("show")(config_show)
    config.callback()(lambda: None)
    app.add_typer(config, name="config", rich_help_panel="Look after")


def db_init() -> None:
    """Create the database, or bring its schema up to date."""
    database = CONTEXT.database()
    database.initialize()
    database.close()
    say(f"{CONTEXT.settings.database.path} is ready")


def db_stats(as_json: Json = False) -> None:
    """Show rows, sizes, first and last times."""
    from persistence.maintenance import statistics

    report = asdict(statistics(CONTEXT.database()))
    if as_json:
        print_json(report)
        return
    rows = report.pop("rows")
    print_rows("Database", ("what", "value"), [(name.replace("_", " "), value) for name, value in report.items()])
    print_rows("Rows", ("table", "rows"), [(name, f"{count:,}") for name, count in rows.items()], right=("rows",))


def db_check(as_json: Json = False) -> None:
    """Check that the file is sound and the books add up. Exit code 1 with findings."""
    from persistence.integrity import CHECKS, check_books

    findings = check_books(CONTEXT.database())
    if as_json:
        print_json([asdict(f) for f in findings])
    else:
        for f in findings:
            print(f"{f.check}: {f.where}: expected {f.expected}, found {f.found}  ({f.look})")
        say(f"{len(findings)} findings" if findings else f"{len(CHECKS)} checks, no findings: the books add up")
    if findings:
        raise typer.Exit(Exit.FINDINGS)


def quarantine_list(
    limit: Annotated[int, typer.Option("--limit", "-n", help="At most this many, the oldest first.", min=1)] = 50,
    as_json: Json = False,
) -> None:
    """List what is held, with its reason."""
    from persistence.repositories import SQLiteQuarantineRepository

    found = list(SQLiteQuarantineRepository(CONTEXT.database()).stream(limit=limit))
    columns = ("number", "received_at", "kind", "account_id", "record_id", "reason", "deliveries", "detail")
    rows = [(q.quarantine_no, q.received_at.isoformat(timespec="seconds"), q.kind, q.account_id, q.record_id, q.reason, q.deliveries, q.detail) for q in found]
    print_rows("Quarantine", columns, rows, right=("number", "deliveries"), as_json=as_json)


def config_show() -> None:
    """Print the effective settings as YAML, secrets hidden."""
    import yaml

    print(yaml.safe_dump(CONTEXT.settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True), end="")
