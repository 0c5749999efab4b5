"""What each job does. Every one can be repeated harmlessly, and called by hand too."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date as Date
from pathlib import Path
from typing import Any

from jarvis_client.contract import instants
from jarvis_client.contract.errors import BooksError, Invalid, Unavailable
from jarvis_client.contract.instants import to_text
from persistence.books import housekeeping
from persistence.books.book import book_id
from persistence.copies import backups
from persistence.copies.places import claim
from persistence.copies.second_place import SecondPlace, carry
from persistence.engine.contract import LiveBooks
from persistence.proof import chain
from persistence.repositories import SQLiteQuarantineRepository
from persistence.repositories.job_runs import SQLiteJobRunRepository
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler import verification
from scheduler.drill import restore_drill
from scheduler.findings import Findings
from scheduler.notes import look_for_notes
from scheduler.rollup.account import Rolled, roll_up
from scheduler.rollup.days import last_closed_day
from scheduler.rollup.options import RollupPlan

FIRST_BACKUP_SECONDS = 20.0

#: (database, the instant of the slot, arguments of a request) → what the table of runs keeps as the result.
Job = Callable[..., Any]


def checkpoint(database: LiveBooks, slot: int) -> Any:
    """Where a reader keeps some of the log back, the result has a warning, and since when at least."""
    frames, moved = housekeeping.checkpoint(database)
    told = {"wal_frames": frames, "moved": moved}
    if moved >= frames:
        return told
    before = next((r for r in SQLiteJobRunRepository(database).history("checkpoint", 10) if r.state == "succeeded"), None)
    since = json.loads(before.result or "{}").get("held_since") if before is not None else None
    since = since or to_text(slot)
    said = f"a reader has held its snapshot since {since} at the latest, so {frames - moved} frames stay in the write-ahead log; end it: `lsof {database.path}`"
    return {**told, "held_since": since, "warning": f"{said} names it"}


def statistics(database: LiveBooks, slot: int) -> Any:
    report = housekeeping.record_statistics(database, slot)
    return {"file_bytes": report.file_bytes, "facts": report.rows["facts"]}


def clean_up(database: LiveBooks, slot: int) -> Any:
    return housekeeping.clean_up(database, slot)


def back_up(
    folder: Path,
    retention_days: int,
    *,
    keep_weekly: int = 0,
    keep_monthly: int = 0,
    compress: bool = True,
    elsewhere: SecondPlace | None = None,
    clock: Callable[[], int] = instants.now,
) -> Job:
    """The daily backup into a folder, proved before it counts; old ones go only once a new one stands."""

    def run(database: LiveBooks, _slot: int) -> Any:
        # Named by when it is taken: the slot may be long past.
        now = clock()
        made = backups.create(database, folder, now, compress=compress)
        if elsewhere is not None and elsewhere.folder is not None:
            claim(database, elsewhere.folder)
        gone = backups.prune(folder, now, retention_days, book=made.book, keep_weekly=keep_weekly, keep_monthly=keep_monthly)
        told = {"backup": made.path.name, "bytes": made.size, "removed": [b.path.name for b in gone], "chain": chain_of(made)}
        if elsewhere is not None and (copied := carry(made, elsewhere, now)) is not None:
            told["copy"] = str(copied)
        return told

    return run


def chain_of(backup: backups.Backup) -> str | None:
    """The head of the chain that a backup's manifest keeps, BLOCK:HASH."""
    head = (backup.manifest or {}).get("chain")
    return f"{head['block_no']}:{head['hash']}" if head else None


def roll_up_zone(plan: RollupPlan, zone: str | None = None, clock: Callable[[], int] = instants.now) -> Job:
    """The nightly rollup of the accounts whose day ends by this zone (None: of all), up to the day that had ended at the slot in
    each one's own."""

    def run(
        database: LiveBooks,
        slot: int,
        account_id: str | None = None,
        date: str | None = None,
        start: str | None = None,
        end: str | None = None,
        rebuild: bool = False,
    ) -> Any:
        chosen = [account_id] if account_id is not None else SQLiteRollupRepository(database).account_ids()
        if account_id is None and zone is not None:
            chosen = [a for a in chosen if plan.of(a).day_zone == zone]
        first, last = _day(date or start), _day(date or end)
        # The slot's own minute is its grace.
        done = roll_up_accounts(database, replace(plan, grace_microseconds=0), clock(), chosen, as_of=slot, start=first, until=last, rebuild=rebuild)
        return {
            "accounts": len(done), "added": sum(r.added for r in done), "revised": sum(r.revised for r in done),
            "withheld": sum(len(r.withheld) for r in done),
        }  # fmt: skip

    return run


def _day(text: str | None) -> Date | None:
    try:
        return None if text is None else Date.fromisoformat(text)
    except ValueError:
        raise Invalid(f"{text!r} is no date; write it as 2026-11-22") from None


def drill(folder: Path, plan: RollupPlan) -> Job:
    """Restore the backup that reaches furthest into a scratch folder and rebuild its rows. A success means that a restore has been proved."""

    def run(database: LiveBooks, slot: int) -> Any:
        with database.get_connection() as connection:
            book = book_id(connection)
        # A fresh installation takes its first backup at the same time.
        deadline = time.monotonic() + FIRST_BACKUP_SECONDS
        while not any(b.is_of(book) for b in backups.present(folder)) and time.monotonic() < deadline:
            time.sleep(0.5)
        return restore_drill(folder, plan, slot, book)

    return run


def verify(plan: RollupPlan, backup_folder: Path | None = None, clock: Callable[[], int] = instants.now) -> Job:
    """Every check of the books, of what was derived from them and of what surrounds them. A finding fails the run."""

    def run(database: LiveBooks, _slot: int) -> Any:
        # Through connections that refuse nothing, so that everything is told.
        with closing(database.looking_too()) as looking:
            findings = verification.verify(looking, plan, clock(), backup_folder)
            looked = look_for_notes(looking, plan, clock())
            held = SQLiteQuarantineRepository(looking).held_by_reason()
        findings += looked.findings
        notes = Counter(note.check for note in looked.notes)
        if findings:
            first = findings[0]
            raise Findings(f"{len(findings)} findings, the first: {first.check}, {first.where}: expected {first.expected}, found {first.found}; {first.look}")
        return {"findings": 0, "notes": sum(notes.values()), "notes_by_check": dict(notes), "quarantine_held": held}

    return run


def seal(database: LiveBooks, slot: int) -> Any:
    head = chain.seal(database, slot)
    return {"head": str(head)}


def roll_up_accounts(
    database: LiveBooks,
    plan: RollupPlan,
    now: int,
    account_ids: Sequence[str] | None = None,
    *,
    as_of: int | None = None,
    start: Date | None = None,
    until: Date | None = None,
    rebuild: bool = False,
    overwrite_by_hand: bool = False,
    progress: Callable[[str, Date, float], None] = lambda account_id, day, share: None,
) -> list[Rolled]:
    """Roll up accounts (all of them without `account_ids`) to the last day that had ended in each one's zone at `as_of` (now where it
    is not given), or to `until`.

    Raises `Invalid` for an account that does not exist, or a day that has not ended.
    """
    known = SQLiteRollupRepository(database).account_ids()
    if account_ids is not None and (missing := [a for a in account_ids if a not in known]):
        raise Invalid(f"account {missing[0]} does not exist; `jarvis accounts` lists those that do")
    chosen = known if account_ids is None else account_ids
    moment = now if as_of is None else as_of
    closed = {a: last_closed_day(moment, plan.of(a).zone, plan.grace_microseconds) for a in chosen}
    if until is not None and closed and until > max(closed.values()):
        zone = plan.of(max(closed, key=lambda a: closed[a])).day_zone
        raise Invalid(f"{until} has not ended in {zone} (with {plan.grace_microseconds // 60_000_000} minutes of grace); {max(closed.values())} has")
    done, failed = [], {}
    for number, account_id in enumerate(chosen):
        last = closed[account_id] if until is None else min(until, closed[account_id])
        first_told: list[Date] = []

        def told(day: Date, account_id: str = account_id, number: int = number, last: Date = last, first: list[Date] = first_told) -> None:
            first.append(day)
            share = (day - first[0]).days / max((last - first[0]).days, 1)
            progress(account_id, day, (number + share) / len(chosen))

        how = {"start": start, "rebuild": rebuild, "overwrite_by_hand": overwrite_by_hand, "progress": told}
        try:
            done.append(roll_up(database, account_id, plan.of(account_id), last, now=now, **how))  # type: ignore[arg-type]
        except Unavailable:
            raise
        except Exception as error:  # one account's damage must not keep the others' rows from them
            failed[account_id] = f"{type(error).__name__}: {error}"
    if failed:
        said = "; ".join(f"{a}: {why}" for a, why in list(failed.items())[:5])
        raise RollupFailed(f"{len(failed)} of {len(chosen)} accounts could not be rolled up, the others were: {said}; try `jarvis rollup --rebuild` for them")
    return done


class RollupFailed(BooksError):
    """Some accounts could not be rolled up; the others were."""


#: Those that need nothing but the database.
JOBS: dict[str, Job] = {"checkpoint": checkpoint, "seal": seal, "statistics": statistics, "clean_up": clean_up}
