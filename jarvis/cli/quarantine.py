"""Quarantine: list, show, replay, discard, export."""

from __future__ import annotations

import base64
import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Json, parse_time
from jarvis.cli.output import print_json, print_rows, printable
from jarvis.cli.times import short
from jarvis.reading.oddities import QUARANTINED, quarantined
from jarvis_client.contract import instants
from jarvis_client.contract.instants import to_instant
from jarvis_client.contract.outcome import Reason
from persistence.repositories.quarantine import STATES, Filter, Quarantined, SQLiteQuarantineRepository
from workers.replay import replay as try_again

Numbers = Annotated[list[int] | None, typer.Argument(metavar="NUMBER", help="These records; without any, all that the filters let through.")]
Kind = Annotated[str | None, typer.Option(help="Only this kind, such as fill.")]
ForReason = Annotated[str | None, typer.Option("--for", metavar="REASON", help="Only held for this reason, such as conflict or malformed.")]
Account = Annotated[str | None, typer.Option("--account", "-a", help="Only of this account.")]
From = Annotated[str | None, typer.Option("--from", metavar="DATE|TIME", help="Received from then on.")]
To = Annotated[str | None, typer.Option("--to", metavar="DATE|TIME", help="Received up to then.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen, change nothing.")]

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
    as_json: Json = False,
) -> None:
    """List what is held, with its reason. Times are UTC; --json has everything exactly."""
    wanted = _filter(None, kind, reason, account, start, end, None if state == "all" else state)
    repository = _repository()
    found = list(repository.stream(wanted, limit))
    if as_json:
        rows = [dict(zip(QUARANTINED, quarantined(q), strict=True)) for q in found]
        print_json([{**row, "received_at": row["received_at"].isoformat(timespec="seconds")} for row in rows])
    else:
        now = instants.now()
        shown = [
            (
                q.quarantine_no,
                short(to_instant(q.received_at), now),
                q.reason if q.state == "held" else f"{q.reason}, {q.state}",
                _named(q),
                _shortened(q.detail),
            )
            for q in found
        ]
        print_rows("Quarantine", ("number", "received", "reason", "record", "detail"), shown, right=("number",), whole=("received",))
    if len(found) == limit and (more := len(repository.numbers(wanted)) - limit) > 0:
        say(f"and {more:,} more: give a higher --limit")


def show(number: Annotated[int, typer.Argument(metavar="NUMBER")], as_json: Json = False) -> None:
    """Show one record whole: why it is held, what arrived, and for a conflict what is recorded."""
    repository = _repository()
    held = repository.find(number)
    if held is None:
        raise typer.BadParameter(f"there is no record {number}; `jarvis quarantine list --state all` shows the numbers", param_hint="NUMBER")
    recorded = repository.recorded_version(held)
    version = None if recorded is None else {k: None if v is None else str(v) for k, v in recorded._asdict().items()}
    if as_json:
        print_json({**_plain(held), "recorded": version})
        return
    for name, value in _plain(held).items():
        if name not in ("raw", "raw_base64") and value is not None:
            print(f"{name.replace('_', ' '):<14} {printable(str(value))}")
    print(f"{'arrived':<14} {printable(held.raw.decode('utf-8', 'backslashreplace'))}")
    if version is not None:
        print(f"{'recorded':<14} {json.dumps({k: v for k, v in version.items() if v is not None}, ensure_ascii=False)}")


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
        f"{'would replay' if dry_run else 'replayed'} {len(chosen):,}: {counts['applied']:,} applied, {counts['duplicate']:,} duplicates, "
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
    """Decide that held records will never be applied. They stay readable, with the reason."""
    if not because.strip():
        raise typer.BadParameter("say why: the reason is kept with each record", param_hint="--reason")
    if not (numbers or kind or reason or account or start or end or every):
        raise typer.BadParameter("name numbers or a filter, or say --all", param_hint="NUMBER")
    repository = _repository()
    chosen = _chosen(repository, _filter(numbers, kind, reason, account, start, end))
    if not dry_run:
        chosen = [n for n in chosen if repository.resolve(n, "discarded", because, instants.now())]
    say(f"{'would discard' if dry_run else 'discarded'} {len(chosen):,} records")


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
        say(f"wrote {count:,} records to {output}")


def _named(held: Quarantined) -> str:
    """What is known of the record: its kind, its id, its account."""
    words = [word for word in (held.kind, held.record_id) if word]
    return " ".join([*words, *([f"of {held.account_id}"] if held.account_id else [])])


def _shortened(detail: str) -> str:
    return detail if len(detail) <= SHOWN_OF_DETAIL else f"{detail[: SHOWN_OF_DETAIL - 1]}…"


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
        "account_id": held.account_id, "record_id": held.record_id, "received_at": held.received_at.isoformat(), "deliveries": held.deliveries,
        "resolution": held.resolution, "resolved_at": held.resolved_at and held.resolved_at.isoformat(), **raw,
    }  # fmt: skip
