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
    for command in (verify, gaps):
        app.command(rich_help_panel="Look after")(command)
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
    from scheduler.checks import ROLLUP_CHECKS, check_rollups

    database = CONTEXT.database()
    findings = [*check_books(database), *check_rollups(database, CONTEXT.settings.rollup_plan)]
    if as_json:
        print_json([asdict(f) for f in findings])
    else:
        for f in findings:
            print(f"{f.check}: {f.where}: expected {f.expected}, found {f.found}  ({f.look})")
        say(f"{len(findings)} findings" if findings else f"{len(CHECKS) + ROLLUP_CHECKS} checks, no findings: the books add up")
    if findings:
        raise typer.Exit(Exit.FINDINGS)


def verify(
    quick: Annotated[bool, typer.Option("--quick", help="Only what can be told without reading history: gaps, quarantine, clock, backups at hand.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Read every backup back, too.")] = False,
    as_json: Json = False,
) -> None:
    """Check everything: the file, the books, what rollups derived, gaps, quarantine, backups.

    Exits 0 where all is well, 1 with findings (expected, found, where, how to look further), 3 where it could not be checked.
    """
    from persistence.domain import instants
    from persistence.domain.errors import BooksError
    from persistence.integrity import check_books
    from scheduler.checks import check_operation, check_rollups

    if quick and full:
        raise typer.BadParameter("give one of --quick and --full", param_hint="--quick")
    settings, database = CONTEXT.settings, CONTEXT.database()
    chosen = settings.database.backup
    folder = chosen.path if chosen.enabled and chosen.daily_backup else None
    try:
        findings = check_operation(database, instants.now(), folder, full=full)
        if not quick:
            findings = [*check_books(database), *check_rollups(database, settings.rollup_plan), *findings]
    except BooksError as error:
        say(f"could not be checked: {error}")
        raise typer.Exit(Exit.FAILED) from error
    if as_json:
        print_json([asdict(f) for f in findings])
    for f in () if as_json else findings:
        print(f"{f.check}: {f.where}: expected {f.expected}, found {f.found}  ({f.look})")
    say(f"{len(findings)} findings" if findings else "no findings")
    if findings:
        raise typer.Exit(Exit.FINDINGS)


def gaps(producer: Annotated[str | None, typer.Option(help="Only this producer.")] = None, as_json: Json = False) -> None:
    """List the sequence numbers that a producer used and that never arrived. Exit code 1 where there are any."""
    from persistence.repositories import SQLiteGapRepository

    found = SQLiteGapRepository(CONTEXT.database()).find_open(producer)
    columns = ("producer", "first", "last", "missing", "noticed_at")
    rows = [(g.producer, g.first, g.last, g.missing, g.noticed_at.isoformat(timespec="seconds")) for g in found]
    print_rows("Gaps", columns, rows, right=("first", "last", "missing"), as_json=as_json)
    if found:
        raise typer.Exit(Exit.FINDINGS)


def config_show() -> None:
    """Print the effective settings as YAML, secrets hidden."""
    import yaml

    print(yaml.safe_dump(CONTEXT.settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True), end="")
