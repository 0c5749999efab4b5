"""`jarvis import`: records straight into the books."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from enum import StrEnum
from functools import partial
from typing import Annotated, BinaryIO, NoReturn

import typer

from jarvis.cli import ccxt_options as ccxt
from jarvis.cli import csv_options as csv
from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.import_preview import print_passed_over, print_preview, tell_refusals
from jarvis.cli.lines import lines_of, opened
from jarvis.cli.output import doing, print_rows
from jarvis.importing.ccxt import checked_structures
from jarvis.importing.preview import preview
from jarvis.importing.profile import Profile
from jarvis.importing.reading import Checked, checked, that_fit_file
from jarvis_client.contract import instants
from persistence.books.ledger import Ledger
from persistence.imports import ImportCounts, import_lines
from persistence.proof.chain import seal
from workers.app import tune_interpreter
from workers.messages import item_of_line

#: Problems of a file that are told; there is no use in reading more of them before the first ones are mended.
TOLD_PROBLEMS = 20


class Format(StrEnum):
    NDJSON = "ndjson"
    CSV = "csv"
    CCXT = "ccxt"


def register(app: typer.Typer) -> None:
    app.command("import")(import_)


def _list_profiles(wanted: bool) -> None:
    if not wanted:
        return
    own = CONTEXT.settings.imports.profiles
    rows = [(name, found.title, "settings" if name in own else "shipped") for name, found in csv.all_profiles(own).items()]
    print_rows("Profiles", ["name", "file", "from"], rows, whole=["name", "from"])
    raise typer.Exit


def import_(
    source: Annotated[str, typer.Argument(metavar="FILE|-", help="The file, gzipped or plain; - reads standard input.")],
    form: Annotated[
        Format | None, typer.Option("--format", help="What FILE is: a record a line (the default), rows with headings, or ccxt's structures.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be recorded, and record nothing.")] = False,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Exit 0 although something was quarantined.")] = False,
    profile: csv.ProfileName = None,
    kind: csv.Kind = None,
    mapped: csv.Map = None,
    constants: csv.Set = None,
    account: csv.AccountId = None,
    zone: csv.Zone = None,
    fold: csv.Folded = None,
    comma: csv.Comma = None,
    time_format: csv.TimeFormat = None,
    exchange: ccxt.Exchange = None,
    markets: ccxt.Markets = None,
    fee_included: ccxt.FeeIncluded = None,
    funding: ccxt.Funding = None,
    profiles: Annotated[
        bool, typer.Option("--profiles", callback=_list_profiles, is_eager=True, help="List the profiles and exit.", rich_help_panel="CSV files")
    ] = False,
) -> None:
    """Record a file straight into the books, without a broker. Importing the same file again changes nothing.

    NDJSON, one record a line: what is malformed or breaks a rule goes to quarantine, the rest is recorded, and the exit code is 1.

    CSV: --profile, or --kind and --map, says what the columns mean. The file is read whole first: if one row cannot be read, nothing is recorded.

    ccxt: trades, orders, transactions, funding, ledger entries and tickers, as its fetch_… methods return them. Read whole first, too.

    Exit code 2: the file was not taken, and nothing was recorded.
    """
    tune_interpreter()
    told = [profile, kind, mapped, constants, zone, fold, comma, time_format]
    asked = [exchange, markets, fee_included, funding]
    if form is None and (profile is not None or mapped):
        form = Format.CSV
    if form is not Format.CSV and any(option is not None and option != [] for option in told):
        raise typer.BadParameter("--profile, --kind, --map, --set and the like say what the columns of a CSV file mean; add --format csv")
    if form is not Format.CCXT and any(option is not None for option in asked):
        raise typer.BadParameter("--exchange, --markets and the like say what ccxt's structures mean; add --format ccxt")
    if form not in (Format.CSV, Format.CCXT):
        if account is not None:
            raise typer.BadParameter(
                "records name their accounts themselves; add --format csv or --format ccxt if FILE holds rows or structures", param_hint="--account"
            )
        with lines_of(source) as (lines, progress):
            quarantined = _take(lines, progress, dry_run=dry_run)
        if quarantined and not keep_going:
            raise typer.Exit(Exit.FINDINGS)
        return
    read: Callable[[BinaryIO], AbstractContextManager[Checked]]
    if form is Format.CCXT:
        item_of = partial(item_of_line, conventions=CONTEXT.settings.conventions)
        whose = ccxt.told_of(account, exchange, fee_included, funding)
        read = partial(checked_structures, told=whose, markets=ccxt.markets_in(markets), item_of=item_of)
    else:
        known = csv.all_profiles(CONTEXT.settings.imports.profiles)
        if profile is not None:
            chosen = csv.named_profile(profile, known, mapped=bool(mapped or kind or time_format))
        elif mapped:
            chosen = csv.mapped_profile(kind, mapped, time_format or [])
        else:
            _refuse_unmapped(source, known)
        read = partial(checked, profile=chosen, told=csv.told_of(constants or [], account, zone, fold, comma, chosen), others=known)
    with opened(source) as file, ExitStack() as stack:
        with doing("reading the file"):
            found = stack.enter_context(read(file))
        if found.problems and not dry_run:
            _tell_problems(found)
            raise typer.Exit(Exit.USAGE)
        quarantined = _take(found.lines, lambda _: None, dry_run=dry_run)
        print_passed_over(found.passed_over, doing="would pass over" if dry_run else "passed over", things=found.things)
        if found.problems:
            _tell_problems(found)
        if found.problems or (quarantined and not keep_going):
            raise typer.Exit(Exit.FINDINGS)


def _refuse_unmapped(source: str, known: Mapping[str, Profile]) -> NoReturn:
    with opened(source) as file:
        fitting = that_fit_file(known, file)
    hint = f"--profile {' or '.join(fitting)} fits this file" if fitting else "--profile NAME (--profiles lists them), or --kind and --map FIELD=COLUMN"
    raise typer.BadParameter(f"a CSV file needs to be told what its columns mean: {hint}")


def _tell_problems(found: Checked) -> None:
    for sentence in found.told(TOLD_PROBLEMS):
        say(sentence)
    so_far = f" up to {found.unit} {found.gave_up_at}, where reading was given up" if found.gave_up_at else ""
    say(f"{found.refused:,} of {found.rows:,} {found.things} cannot be read{so_far}; nothing was recorded")


def _take(lines: Iterable[bytes], progress: Callable[[int], None], *, dry_run: bool) -> int:
    """Record lines, or show what they would do. Returns how many were, or would be, quarantined."""
    item_of = partial(item_of_line, conventions=CONTEXT.settings.conventions)
    if dry_run:
        found = preview(lines, item_of)
        print_preview(found)
        tell_refusals(found)
        return len(found.refused)
    database = CONTEXT.database()
    database.initialize()
    counts = import_lines(Ledger(database), lines, item_of, progress)
    seal(database, instants.now())
    database.close()
    _tell(counts)
    return counts.quarantined


def _tell(counts: ImportCounts) -> None:
    for problem in counts.problems:
        say(f"quarantined: {problem}")
    if counts.quarantined > len(counts.problems):
        say(f"… and {counts.quarantined - len(counts.problems):,} more: jarvis quarantine list")
    say(f"imported {counts.lines:,} records: {counts.applied:,} applied, {counts.duplicate:,} duplicates, {counts.quarantined:,} quarantined")
