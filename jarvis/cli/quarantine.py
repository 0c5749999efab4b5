"""Quarantine: list, show, replay, discard, export."""

from __future__ import annotations

import base64
import json
import sys
from contextlib import nullcontext
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any

import typer

from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Json, Wide, parse_time
from jarvis.cli.output import print_json, print_rows, print_values
from jarvis.cli.times import at, moment_of
from jarvis.reading.oddities import QUARANTINED, differences, quarantined
from jarvis_client.contract import instants
from jarvis_client.contract.instants import to_instant, to_text
from jarvis_client.contract.outcome import Reason
from persistence.domain.differing import exactly
from persistence.domain.showing import count_of
from persistence.repositories.quarantine import STATES, Filter, Quarantined, SQLiteQuarantineRepository
from workers.replay import replay as try_again

Numbers = Annotated[list[int] | None, typer.Argument(metavar="NUMBER", help="These records; without any, all that the filters let through.")]
Kind = Annotated[str | None, typer.Option(help="Only this kind, such as fill.")]
ForReason = Annotated[str | None, typer.Option("--for", metavar="REASON", help="Only held for this reason, such as conflict or malformed.")]
Account = Annotated[str | None, typer.Option("--account", "-a", help="Only of this account.")]
From = Annotated[str | None, typer.Option("--from", metavar="DATE|TIME", help="Received from then on.")]
To = Annotated[str | None, typer.Option("--to", metavar="DATE|TIME", help="Received up to then.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen, change nothing.")]

NOTHING_DIFFERS = "what arrived reads as the recorded version by today's rules: `jarvis quarantine replay` settles it"
#: Of a detail in a listing; `show` has it whole.
SHOWN_OF_DETAIL = 120


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Records that could not be applied: look, mend, try again.", no_args_is_help=True)
    for name, command in (("list", list_), ("show", show), ("replay", replay), ("discard", discard), ("export", export)):
        group.command(name)(command)
    app.add_typer(group, name="quarantine")


def list_(
    kind: Kind = None,
    reason: ForReason = None,
    account: Account = None,
    start: From = None,
    end: To = None,
    state: Annotated[str, typer.Option(help="held, replayed, discarded or all.")] = "held",
    limit: Annotated[int, typer.Option("--limit", "-n", help="At most this many, the oldest first.", min=1)] = 50,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List what is held, with its reason."""
    wanted = _filter(None, kind, reason, account, start, end, None if state == "all" else state)
    repository = _repository()
    found = list(repository.stream(wanted, limit))
    if as_json:
        print_rows("Quarantine", QUARANTINED, map(quarantined, found), as_json=True)
    else:
        rows = [
            (
                q.quarantine_no,
                at(to_instant(q.received_at)),
                q.reason if q.state == "held" else f"{q.reason}, {q.state}",
                _named(q),
                q.detail if wide else _shortened(q.detail),
            )
            for q in found
        ]
        print_rows(
            "Quarantine", ("number", "received", "reason", "record", "detail"), rows, right=("number",), whole=("received",), below=("record", "detail"),
            timed=True, wide=wide, none=_nothing(state, wanted),
        )  # fmt: skip
    if len(found) == limit and (more := len(repository.numbers(wanted)) - limit) > 0:
        say(f"and {more:,} more: give a higher --limit")


def show(number: Annotated[int, typer.Argument(metavar="NUMBER")], as_json: Json = False) -> None:
    """Show one record whole: why it is held, what arrived, and for a conflict what is recorded."""
    repository = _repository()
    held = repository.find(number)
    if held is None:
        raise typer.BadParameter(f"there is no record {number}; `jarvis quarantine list --state all` shows the numbers", param_hint="NUMBER")
    recorded = repository.recorded_version(held)
    if as_json:
        print_json({**_plain(held), "recorded": None if recorded is None else exactly(recorded)})
        return
    told = {**_plain(held), "received_at": moment_of(to_instant(held.received_at)), "resolved_at": held.resolved_at and moment_of(to_instant(held.resolved_at))}
    print_values([
        *((name, str(value)) for name, value in told.items() if name not in ("raw", "raw_base64") and value is not None),
        ("arrived", held.raw.decode("utf-8", "backslashreplace")),
    ])  # fmt: skip
    if recorded is not None:
        print()
        print_rows("What differs", ("field", "arrived", "recorded"), differences(held, recorded, CONTEXT.settings.conventions), none=NOTHING_DIFFERS)


def replay(
    numbers: Numbers = None,
    kind: Kind = None,
    reason: ForReason = None,
    account: Account = None,
    start: From = None,
    end: To = None,
    dry_run: DryRun = False,
) -> None:
    """Try held records again by today's rules. Safe to repeat; exit code 1 where some still cannot be applied."""
    repository = _repository()
    chosen = _chosen(repository, _filter(numbers, kind, reason, account, start, end))
    counts = {"applied": 0, "duplicate": 0, "quarantined": 0}
    for result in try_again(CONTEXT.database(), chosen, conventions=CONTEXT.settings.conventions, dry_run=dry_run):
        counts[result.outcome.status] += 1
        if not result.recorded:
            say(f"{result.quarantine_no}: still {result.outcome.reason}: {result.outcome.detail}")
    say(
        f"{'would replay' if dry_run else 'replayed'} {len(chosen):,}: {counts['applied']:,} applied, {count_of('duplicate', counts['duplicate'])}, "
        f"{counts['quarantined']:,} still held"
    )
    if counts["quarantined"]:
        raise typer.Exit(Exit.FINDINGS)


def discard(
    because: Annotated[str, typer.Option("--reason", help="Why; it is kept with every record.")],
    numbers: Numbers = None,
    kind: Kind = None,
    reason: ForReason = None,
    account: Account = None,
    start: From = None,
    end: To = None,
    every: Annotated[bool, typer.Option("--all", help="All that is held, where no number and no filter is given.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Give held records up for good. They stay readable, with the reason."""
    if not because.strip():
        raise typer.BadParameter("say why: the reason is kept with each record", param_hint="--reason")
    if not (numbers or kind or reason or account or start or end or every):
        raise typer.BadParameter("name numbers or a filter, or say --all", param_hint="NUMBER")
    repository = _repository()
    chosen = _chosen(repository, _filter(numbers, kind, reason, account, start, end))
    if not dry_run:
        chosen = [n for n in chosen if repository.resolve(n, "discarded", because, instants.now())]
    say(f"{'would discard' if dry_run else 'discarded'} {count_of('record', len(chosen))}")


def export(
    kind: Kind = None,
    reason: ForReason = None,
    account: Account = None,
    start: From = None,
    end: To = None,
    state: Annotated[str, typer.Option(help="held, replayed, discarded or all.")] = "held",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file instead of stdout.")] = None,
) -> None:
    """Export records as NDJSON, each with its reason and what arrived (`raw`, or `raw_base64` where it is no text)."""
    wanted = _filter(None, kind, reason, account, start, end, None if state == "all" else state)
    with output.open("w", encoding="utf-8") if output else _stdout() as out:
        count = 0
        for held in _repository().stream(wanted):
            out.write(json.dumps(_plain(held), ensure_ascii=False) + "\n")
            count += 1
    if output:
        say(f"wrote {count_of('record', count)} to {output}")


def _nothing(state: str, wanted: Filter) -> str:
    """What is said where the list is empty."""
    said = "nothing is held in quarantine" if state == "held" else "quarantine is empty" if state == "all" else f"nothing in quarantine was {state}"
    return said + (" that the filters let through" if wanted != Filter(state=wanted.state) else "")


def _named(held: Quarantined) -> str:
    """What is known of the record: its kind, its id, its account."""
    words = [word for word in (held.kind, held.record_id) if word]
    return " ".join([*words, *([f"of {held.account_id}"] if held.account_id else [])])


def _shortened(detail: str) -> str:
    return shorten(detail, SHOWN_OF_DETAIL, placeholder=" …")


def _chosen(repository: SQLiteQuarantineRepository, wanted: Filter) -> list[int]:
    """What is held of the records meant. Says why of each that was named and is not."""
    chosen = repository.numbers(wanted)
    for number in sorted({*(wanted.numbers or ())} - {*chosen}):
        found = repository.find(number)
        said = "there is no such record" if found is None else "another account, kind, reason or time" if found.state == "held" else f"{found.state} already"
        say(f"{number}: {said}; `jarvis quarantine list --state all` shows the numbers")
    return chosen


def _repository() -> SQLiteQuarantineRepository:
    return SQLiteQuarantineRepository(CONTEXT.database())


def _stdout() -> Any:
    return nullcontext(sys.stdout)


def _filter(
    numbers: list[int] | None, kind: str | None, reason: str | None, account: str | None, start: str | None, end: str | None, state: str | None = "held"
) -> Filter:
    for name, value, known in (("--for", reason, tuple(map(str, Reason))), ("--state", state, STATES)):
        if value is not None and value not in known:
            raise typer.BadParameter(f"{value!r} is none; there are {', '.join(known)}", param_hint=name)
    if numbers and max(numbers) >= 2**63:
        raise typer.BadParameter(f"{max(numbers)} is no number of a record", param_hint="NUMBER")
    return Filter(numbers or None, state, kind, reason, account, parse_time(start, "--from"), parse_time(end, "--to", end=True))


def _plain(held: Quarantined) -> dict[str, Any]:
    try:
        raw = {"raw": held.raw.decode("utf-8")}
    except UnicodeDecodeError:
        raw = {"raw_base64": base64.b64encode(held.raw).decode()}
    return {
        "number": held.quarantine_no, "state": held.state, "reason": held.reason, "detail": held.detail, "kind": held.kind,
        "account_id": held.account_id, "record_id": held.record_id, "received_at": to_text(to_instant(held.received_at)), "deliveries": held.deliveries,
        "resolution": held.resolution, "resolved_at": held.resolved_at and to_text(to_instant(held.resolved_at)), **raw,
    }  # fmt: skip
