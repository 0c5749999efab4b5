"""Verification: every check there is, over a copy where reading takes long, so that nobody's WAL is held back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import fields
from datetime import date as Date
from enum import StrEnum
from itertools import islice
from pathlib import Path
from shutil import disk_usage

from persistence import backups, chain, going_back, rebuilding, verified
from persistence.chain_checks import Anchor, check_chain, first_difference
from persistence.database import DatabaseManager
from persistence.domain.errors import BooksError, Unavailable
from persistence.domain.finding import Finding
from persistence.domain.performance import PerformanceMetrics
from persistence.integrity import (
    SHOWN,
    check_books,
    content_and_movements_follow,
    damaged_pages,
    every_fact_has_its_content,
    guarded,
    movements_match_their_facts,
)  # fmt: skip
from persistence.migrations import schema_texts
from persistence.repositories import SQLitePerformanceRepository
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.checks import NO_COMMIT_MISSING, check_backups, check_operation, check_rollups
from scheduler.rollup.account import roll_up
from scheduler.rollup.options import RollupPlan


class Depth(StrEnum):
    """How far a verification looks.

    quick    what came since the last one without findings, and what surrounds the books
    usual    all of the books, their pages and their chain: the daily job
    full     a rebuild compared with what is stored, and every backup read back, too
    """

    QUICK = "quick"
    USUAL = "usual"
    FULL = "full"


def verify(
    database: DatabaseManager,
    plan: RollupPlan,
    now: int,
    backup_folder: Path | None,
    *,
    depth: Depth = Depth.USUAL,
    heads: Sequence[Anchor] = (),
    second_folder: Path | None = None,
) -> list[Finding]:
    """Everything that is not as it should be. `database` is best opened without refusing anything, so that all of it is told.

    `heads`: those of the chain that were kept elsewhere, besides the ones in the manifests of backups. `second_folder`: the second place
    of backups, read back too where `depth` is full. Raises `Unavailable` where it
    could not be checked. Where nothing in the books themselves is wrong this is remembered, for the next quick one.
    """
    around = check_operation(database, now, backup_folder, full=depth is Depth.FULL)
    if depth is Depth.QUICK:
        with database.snapshot() as connection:
            return [*around, *guarded("what came since", verified.check_since(connection, verified.last_verified(connection)))]
    if depth is Depth.FULL and second_folder is not None:
        around += check_backups(second_folder, now, full=True)
    findings = check_pages(database)
    with _apart(database) as copy:
        findings += check_books(copy)
        findings += check_whole_chain(copy, backup_folder, heads)
        findings += check_schema(copy)
        findings += check_rollups(copy, plan)
        if depth is Depth.FULL:
            findings += check_rebuild(copy, plan, now)
        if not findings and not any(f.check == NO_COMMIT_MISSING for f in around):
            # What cannot be noted now is looked at again by the next quick one.
            with suppress(BooksError):
                verified.remember(database, copy, now)
    return [*findings, *around]


def check_pages(database: DatabaseManager) -> list[Finding]:
    """Pages of the file that are not what was written to it."""
    unprotected = [] if database.has_checksums() else [
        Finding("pages carry checksums", database.path, "checksums", "none", "stop everything that uses it, then jarvis db init")
    ]  # fmt: skip
    return unprotected + [
        Finding("pages match their checksums", f"page {number} of {database.path}", "what was written", "something else", "jarvis db salvage NEW-FILE")
        for number in damaged_pages(database)[:SHOWN]
    ]


def check_schema(database: DatabaseManager) -> list[Finding]:
    """Tables, indexes, views and triggers that are not those of this program: a trigger that is gone no longer keeps rows from being changed."""
    with closing(DatabaseManager(":memory:")) as fresh:
        fresh.initialize()
        with fresh.get_connection() as ours, database.get_connection() as theirs:
            expected, found = schema_texts(ours), schema_texts(theirs)
    return [
        Finding("the schema is this program's", name, *(("as it was made", "changed") if name in found and name in expected else
        ("there", "missing") if name in expected else ("nothing", "somebody added it")), "jarvis db check")
        for name in sorted({*expected, *found}) if expected.get(name) != found.get(name)
    ][:SHOWN]  # fmt: skip


def check_whole_chain(database: DatabaseManager, backup_folder: Path | None, heads: Sequence[Anchor] = ()) -> list[Finding]:
    """The chain against the rows, the heads in the backups' manifests and those that are given; where one differs, the first row is
    looked for in the backup itself."""
    kept = {str(b.path): b for b in backups.present(backup_folder)} if backup_folder is not None else {}
    gone_back = going_back.noted(backup_folder) if backup_folder is not None else set()
    with database.snapshot() as connection:
        left, book_id = chain.epochs_left(connection), chain.book_id(connection)
        anchors, unknown = [*heads], list[Finding]()
        for where, backup in kept.items():
            head = (backup.manifest or {}).get("chain")
            if head is None:
                continue
            epoch, block_no = head["epoch"], head["block_no"]
            if epoch not in left and any(epoch == e for e, _ in gone_back):
                continue  # of books that were replaced
            if head["book"] != book_id or epoch not in left:
                expected, found_there = (f"books {book_id}", head["book"]) if head["book"] != book_id else (f"an epoch of {', '.join(left)}", epoch)
                unknown.append(Finding("backups belong to these books", where, expected, found_there, "jarvis backup list; jarvis chain events"))
            elif block_no <= left[epoch] or (epoch, left[epoch]) not in gone_back:
                # After going back to an older backup, or going on without what was lost, the later heads of that time belong to no chain.
                anchors.append(Anchor(block_no, bytes.fromhex(head["hash"]), where))
        found = [*guarded("the chain holds", check_chain(connection, anchors)), *unknown[:SHOWN]]
        for where in {f.expected.rpartition("kept in ")[2] for f in found if "kept in" in f.expected} & set(kept):
            # A backup that is damaged itself can not tell the row; that it is damaged is told elsewhere.
            with suppress(BooksError), backups.opened(kept[where], kept[where].path.parent) as plain, closing(DatabaseManager(plain, wal_mode=False)) as theirs:
                with theirs.get_connection() as other:
                    row = first_difference(connection, other)
                found = [row, *found] if row else found
    return found


def check_chain_and_rows(database: DatabaseManager, backup_folder: Path | None, heads: Sequence[Anchor] = ()) -> list[Finding]:
    """The chain alone, and that what each fact holds and moved is what its identity says."""
    with _apart(database) as copy:
        found = check_whole_chain(copy, backup_folder, heads)
        with copy.snapshot() as connection:
            for check in (every_fact_has_its_content, content_and_movements_follow, movements_match_their_facts):
                found += guarded(check.__name__.replace("_", " "), check(connection))
    return found


def check_rebuild(copy: DatabaseManager, plan: RollupPlan, now: int) -> list[Finding]:
    """What is stored against what the facts alone make: transactions, sums, balances, orders, rows of figures."""
    folder = Path(copy.path).parent
    with copy.copied(folder) as again:
        try:
            rebuilding.rebuild(again, now)
        except rebuilding.UNREADABLE as error:
            return [Finding(rebuilding.NAME, "books", "facts that can be derived from", str(error), "jarvis verify --chain")]
        again.close()
        found = list(islice(rebuilding.differences(copy, again.path), SHOWN))
        return [*found, *compare_rows(copy, again, plan, now)]


def compare_rows(stored: DatabaseManager, scratch: DatabaseManager, plan: RollupPlan, now: int) -> list[Finding]:
    """Every account's rows as they are stored, against those that a rebuild in a scratch copy derives."""
    found = []
    repository, performance = SQLiteRollupRepository(stored), SQLitePerformanceRepository(stored)
    for account_id in repository.account_ids():
        with repository.reading(account_id) as books:
            progress, mark = books.progress(), books.mark()
            rows = {r.date: r for r in books.rows_from(Date.min)}
        options = plan.of(account_id)
        settled = mark is not None and mark.dirty_since is None and mark.recheck_since is None
        if progress is None or not settled or progress.stale_from is not None or progress.options_digest != options.digest:
            continue  # its rows are due for a change
        before = _derived_rows(performance, account_id)
        roll_up(scratch, account_id, options, progress.rolled_to, now=now, rebuild=True)
        after = _derived_rows(SQLitePerformanceRepository(scratch), account_id)
        with SQLiteRollupRepository(scratch).reading(account_id) as books:
            states = {r.date: r for r in books.rows_from(Date.min)}
        for day in sorted(d for d in {*rows, *states} if rows.get(d) != states.get(d) and before.get(d) == after.get(d)):
            look = f"jarvis rollup --account {account_id} --rebuild"
            found.append(Finding(rebuilding.NAME, f"state of {day} of {account_id}", str(states.get(day)), str(rows.get(day)), look))
        for day in sorted({*before, *after}):
            if before.get(day) != after.get(day):
                look = f"jarvis performance explain {account_id} {day}; jarvis rollup --account {account_id} --rebuild"
                found.append(Finding(rebuilding.NAME, f"row {day} of {account_id}", *_differing(after.get(day), before.get(day)), look))
    return found


def _differing(expected: PerformanceMetrics | None, found: PerformanceMetrics | None) -> tuple[str, str]:
    """The figures of two rows that are not the same."""
    if expected is None or found is None:
        return ("a row", "none") if found is None else ("none", "a row")
    names = [f.name for f in fields(expected) if getattr(expected, f.name) != getattr(found, f.name)]
    said = [", ".join(f"{n} {getattr(row, n)}" for n in names) for row in (expected, found)]
    return said[0], said[1]


def _derived_rows(repository: SQLitePerformanceRepository, account_id: str) -> dict[Date, PerformanceMetrics]:
    rows = {r.date: r for r in repository.find_all(account_id) if r.source == "rollup"}
    for row in rows.values():
        row.created_at = row.updated_at = None
    return rows


@contextmanager
def _apart(database: DatabaseManager) -> Iterator[DatabaseManager]:
    """A copy to read at leisure; where there is no room for one, the books themselves."""
    folder = Path(database.path).absolute().parent
    if disk_usage(folder).free < backups.room_needed(database):
        # What is left belongs to those who write.
        yield database
        return
    entered = False
    try:
        with database.copied(folder) as copy:
            entered = True
            yield copy
    except Unavailable:
        if entered:
            raise
        yield database


__all__ = ["Depth", "check_pages", "check_rebuild", "check_whole_chain", "compare_rows", "verify"]
