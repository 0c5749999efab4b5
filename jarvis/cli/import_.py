"""`jarvis import`: records straight into the books."""

from __future__ import annotations

import os
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
from jarvis.importing.preview import Preview, preview
from jarvis.importing.profile import Profile
from jarvis.importing.reading import Checked, checked, that_fit_file
from jarvis_client.contract import instants
from jarvis_client.contract.outcome import Refusal
from persistence.books.ledger import Ledger
from persistence.domain.entries import AnyFact
from persistence.domain.showing import count_of
from persistence.imports import ImportCounts, import_lines
from persistence.proof.chain import seal
from workers.app import tune_interpreter
from workers.messages import item_of_line

#: Reads a file whole, and calls its second argument now and then, for progress.
Read = Callable[[BinaryIO, Callable[[], None]], AbstractContextManager[Checked]]

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
    decimal: csv.DecimalMark = None,
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
    told = [profile, kind, mapped, constants, zone, fold, decimal, time_format]
    asked = [exchange, markets, fee_included, funding]
    if form is None and (profile is not None or mapped):
        form = Format.CSV
    if form is not Format.CSV and any(option is not None and option != [] for option in told):
        raise typer.BadParameter("--profile, --kind, --map, --set and the like say what the columns of a CSV file mean; add --format csv")
    if form is not Format.CCXT and any(option is not None for option in asked):
        raise typer.BadParameter("--exchange, --markets and the like say what ccxt's structures mean; add --format ccxt")
    if form is Format.CCXT:
        structures = partial(checked_structures, ccxt.told_of(account, exchange, fee_included, funding), ccxt.markets_in(markets), _item_of())
        is_whole = _take_whole(source, structures, dry_run=dry_run)
    elif form is not Format.CSV:
        if account is not None:
            problem = "records name their accounts themselves; add --format csv or --format ccxt if FILE holds rows or structures"
            raise typer.BadParameter(problem, param_hint="--account")
        with lines_of(source) as (lines, progress):
            taken = _take(lines, progress, dry_run=dry_run)
        is_whole = not _tell(taken)
    else:
        known = csv.all_profiles(CONTEXT.settings.imports.profiles)
        if profile is not None:
            chosen = csv.named_profile(profile, known, mapped=bool(mapped or kind or time_format))
        elif mapped:
            chosen = csv.mapped_profile(kind, mapped, time_format or [])
        else:
            _refuse_unmapped(source, known)
        said = csv.told_of(constants or [], account, zone, fold, decimal, chosen)
        is_whole = _take_whole(source, lambda file, progress: checked(file, chosen, said, known, progress), dry_run=dry_run)
    if not is_whole and not keep_going:
        raise typer.Exit(Exit.FINDINGS)


def _take_whole(source: str, read: Read, *, dry_run: bool) -> bool:
    """Record the rows or structures of a file, or show what they would do. Returns whether none is for quarantine; one that cannot be
    read ends the command."""
    with ExitStack() as stack:
        with opened(source) as (file, reading):
            found = stack.enter_context(read(file, reading))
        if found.problems and not dry_run:
            _tell_problems(found)
            raise typer.Exit(Exit.USAGE)
        with doing("recording", wanted=not dry_run, in_bytes=True) as recording:
            size = os.fstat(found.lines.fileno()).st_size
            taken = _take(found.lines, lambda: recording("recording", found.lines.tell(), size), dry_run=dry_run)
        quarantined = _tell(taken)
        print_passed_over(found.passed_over, doing="would pass over" if dry_run else "passed over", thing=found.thing)
        if found.problems:
            _tell_problems(found)
            raise typer.Exit(Exit.FINDINGS)
        return not quarantined


def _refuse_unmapped(source: str, known: Mapping[str, Profile]) -> NoReturn:
    with opened(source) as (file, _):
        fitting = that_fit_file(known, file)
    hint = f"--profile {' or '.join(fitting)} fits this file" if fitting else "--profile NAME (--profiles lists them), or --kind and --map FIELD=COLUMN"
    raise typer.BadParameter(f"a CSV file needs to be told what its columns mean: {hint}")


def _tell_problems(found: Checked) -> None:
    for sentence in found.told(TOLD_PROBLEMS):
        say(sentence)
    so_far = f" up to {found.unit} {found.gave_up_at}, where reading was given up" if found.gave_up_at else ""
    say(f"{found.refused:,} of {count_of(found.thing, found.rows)} cannot be read{so_far}; nothing was recorded")


def _item_of() -> Callable[[bytes, int], AnyFact | Refusal]:
    return partial(item_of_line, conventions=CONTEXT.settings.conventions)


def _take(lines: Iterable[bytes], progress: Callable[[], None], *, dry_run: bool) -> ImportCounts | Preview:
    """Record lines, or look at what they would do."""
    item_of = _item_of()
    if dry_run:
        return preview(lines, item_of)
    database = CONTEXT.database()
    database.initialize()
    counts = import_lines(Ledger(database), lines, item_of, progress)
    seal(database, instants.now())
    database.close()
    return counts


def _tell(taken: ImportCounts | Preview) -> int:
    """Say what became of the lines, or would. Returns how many are for quarantine."""
    if isinstance(taken, Preview):
        print_preview(taken)
        tell_refusals(taken)
        return len(taken.refused)
    for problem in taken.problems:
        say(f"quarantined: {problem}")
    if taken.quarantined > len(taken.problems):
        say(f"and {taken.quarantined - len(taken.problems):,} more: `jarvis quarantine list`")
    became = f"{taken.applied:,} applied, {count_of('duplicate', taken.duplicate)}, {taken.quarantined:,} quarantined"
    say(f"imported {count_of('record', taken.lines)}: {became}")
    return taken.quarantined
