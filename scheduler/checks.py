"""Checks of what rollups derived, and of what surrounds the books. A finding says what was expected, what was found, where, and which command shows more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date as Date
from itertools import islice
from pathlib import Path
from shutil import disk_usage

from persistence import backups
from persistence.database import LONG_WAL_BYTES, DatabaseManager
from persistence.domain.errors import BooksError
from persistence.domain.finding import Finding
from persistence.domain.instants import end_of_day, start_of_day, to_instant, to_text
from persistence.domain.money import EXACT, ZERO, canonical
from persistence.domain.rollup import RollupRow
from persistence.integrity import SHOWN
from persistence.repositories.gaps import SQLiteGapRepository
from persistence.repositories.rollups import AccountBooks, SQLiteRollupRepository
from scheduler.rollup.days import ONE_DAY, day_of
from scheduler.rollup.options import RollupPlan
from scheduler.rollup.ratios import TradeSums
from scheduler.rollup.rows import carried_on, figures_of, series_of_row, totals_of_row

#: How many checks there are below.
ROLLUP_CHECKS = 3


def check_rollups(database: DatabaseManager, plan: RollupPlan) -> list[Finding]:
    """Check every account's derived rows, each account in one snapshot."""
    repository = SQLiteRollupRepository(database)
    findings = [
        Finding("every observed day has its row", f"{w.account_id} {w.date}", "a row", w.reason, f"jarvis performance explain {w.account_id} {w.date}")
        for w in repository.withheld()[:SHOWN]
    ]
    for account_id in repository.account_ids():
        with repository.reading(account_id) as books:
            for check in (statements_close, rows_follow):
                try:
                    findings += islice(check(books, plan), SHOWN)
                except (ArithmeticError, ValueError, TypeError) as error:
                    look = f"jarvis rollup --account {account_id} --rebuild"
                    findings.append(Finding("derived rows can be read", account_id, "readable rows", f"{type(error).__name__}: {error}", look))
    return findings


#: A backup older than this is no protection any more; a record that waits longer in quarantine has been forgotten.
OLDEST_BACKUP_DAYS = 2
LONGEST_QUARANTINE_DAYS = 7
NO_COMMIT_MISSING = "no commit is missing"
_DAY = 86_400_000_000


def check_operation(database: DatabaseManager, now: int, backup_folder: Path | None, *, full: bool = False) -> list[Finding]:
    """Check what surrounds the books: gaps, quarantine, the clock, backups (each against its manifest where `full`)."""
    found = [
        Finding("every number of a producer arrived", g.producer, "no gap", f"{g.first} to {g.last} missing", f"jarvis gaps --producer {g.producer}")
        for g in SQLiteGapRepository(database).find_open()[:SHOWN]
    ]
    oldest = database.execute_query("SELECT min(received_at), count(*) FROM quarantine WHERE state = 'held'")[0]
    if oldest[0] is not None and oldest[0] < now - LONGEST_QUARANTINE_DAYS * _DAY:
        said = f"{oldest[1]} held, the oldest since {to_text(oldest[0])}"
        found.append(
            Finding("quarantine is looked after", "quarantine", f"nothing held for over {LONGEST_QUARANTINE_DAYS} days", said, "jarvis quarantine list")
        )
    newest = database.execute_query("SELECT recorded_at FROM facts ORDER BY fact_no DESC LIMIT 1")
    if newest and newest[0][0] > now + 5 * 60_000_000:
        found.append(Finding("the clock is sane", "facts", f"nothing recorded after {to_text(now)}", to_text(newest[0][0]), "date -u"))
    found += _marks(database)
    found += _modes(database, backup_folder)
    if backup_folder is not None and backup_folder.exists() and (free := disk_usage(backup_folder).free) < (needed := backups.room_needed(database)):
        found.append(Finding("there is room for a backup", str(backup_folder), f"{needed:,} bytes", f"{free:,} are free", f"df -h {backup_folder}"))
    if backup_folder is not None and newest:
        found += check_backups(backup_folder, now, full)
    return found


def _marks(database: DatabaseManager) -> list[Finding]:
    """Whether the books reach as far as what was made durable, and their WAL is not held back."""
    found = []
    look = 'jarvis db check; docs/operating.md, "Commits are missing"'
    stands, noted, damaged = database.standing()
    if noted is not None and noted.is_beyond(stands):
        expected, said = (f"commit {m.commit_no:,}, record {m.fact_no:,}" for m in (noted, stands))
        found.append(Finding(NO_COMMIT_MISSING, "books", expected, said, look))
    if damaged:
        found.append(Finding("the marks can be read", database.marks.path, "marks of commits", f"{damaged} that are none", "jarvis db check"))
    if (size := database.wal_bytes()) >= LONG_WAL_BYTES:
        expected = f"less than {LONG_WAL_BYTES:,} bytes"
        found.append(Finding("the WAL is short", f"{database.path}-wal", expected, f"{size:,} bytes", "lsof on the database: who reads for so long?"))
    return found


def _modes(database: DatabaseManager, backup_folder: Path | None) -> list[Finding]:
    """Whether anybody but their owner may open the files, those of the backups included, or change what lies in their folders."""
    paths = [path for path in (Path(f"{database.path}{suffix}") for suffix in ("", "-wal", "-shm", "-mark")) if path.exists()]
    folders = [folder for folder in (Path(database.path).absolute().parent, backup_folder) if folder is not None and folder.is_dir()]
    paths += sorted(backup_folder.glob("jarvis-*")) if backup_folder in folders and backup_folder is not None else []
    modes = _modes_of(paths)
    found = [Finding("files are for their owner alone", str(path), "mode 600", f"mode {mode:o}", f"chmod 600 {path}") for path, mode in modes if mode & 0o077]
    modes = _modes_of(folders)
    found += [Finding("folders are for their owner alone", str(p), "mode 700", f"mode {mode:o}", f"chmod 700 {p}") for p, mode in modes if mode & 0o022]
    return found[:SHOWN]


def _modes_of(paths: Iterable[Path]) -> list[tuple[Path, int]]:
    found = []
    for path in paths:
        with suppress(OSError):  # gone since, or a link to nothing
            found.append((path, path.stat().st_mode & 0o777))
    return found


def check_backups(folder: Path, now: int, full: bool) -> list[Finding]:
    """What is wrong with the backups of a folder; with `full` each is read back."""
    present = backups.present(folder)
    proved = [b for b in present if b.proved]
    found = [
        Finding("backups are proved", str(b.path), "a sound manifest", "none", "jarvis backup verify") for b in present if not b.proved
    ]  # fmt: skip
    found += [
        Finding("backups have their files", str(path), "the file that it describes", "none", "jarvis backup list") for path in backups.manifests_alone(folder)
    ]
    if (failed := backups.newest_failed(folder)) is not None and not (proved and proved[0].taken_at >= failed[0]):
        found.append(Finding("backups are proved", str(failed[1]), "a sound one after it", "it failed its proof", "jarvis jobs history backup"))
    if not proved or to_instant(proved[0].taken_at) < now - OLDEST_BACKUP_DAYS * _DAY:
        said = f"the newest is from {proved[0].taken_at:%Y-%m-%d %H:%M}" if proved else "none"
        found.append(Finding("backups are recent", str(folder), f"a proved one of the last {OLDEST_BACKUP_DAYS} days", said, "jarvis jobs history backup"))
    for backup in proved if full else ():
        try:
            backups.verify(backup)
        except (BooksError, OSError) as error:
            found.append(Finding("backups are sound", str(backup.path), "what its manifest says", str(error), "jarvis backup verify"))
    return found


def rows_follow(books: AccountBooks, plan: RollupPlan) -> Iterator[Finding]:
    """Each row is its close, flows and trades taken on from the row before, and the figures say what the row says."""
    options, progress = plan.of(books.account_id), books.progress()
    if progress is None or progress.stale_from is not None or progress.options_digest != options.digest:
        return
    name = "rows follow from what stands behind them"
    figures = books.figures_from(Date.min)
    previous: RollupRow | None = None
    trades = books.trades(None, progress.rolled_to)
    waiting = next(trades, None)
    for row in books.rows_from(Date.min):
        where, look = (
            f"{books.account_id} {row.date}",
            f"jarvis performance explain {books.account_id} {row.date}; jarvis rollup --account {books.account_id} --rebuild",
        )
        sums = TradeSums()
        while waiting is not None and waiting[0] <= row.date:
            sums = sums.with_trade(waiting[1].pnl or ZERO)
            waiting = next(trades, None)
        expected = carried_on(previous, row, sums, options)
        if expected != row:
            wrong = next(n for n, a, b in zip(RollupRow._fields, expected, row, strict=True) if a != b)
            yield Finding(name, where, f"{wrong} {getattr(expected, wrong)}", str(getattr(row, wrong)), look)
        close = row.value if row.close_fact_no is None else books.snapshot_value(row.close_fact_no)
        if close != row.value:
            yield Finding(name, where, f"a close of {close}", str(row.value), look)
        source, stored = figures.get(row.date, ("rollup", None))
        if source == "rollup":
            said = figures_of(row, series_of_row(row), totals_of_row(row), options)
            # In a window the ratios are those of its returns; the money is the row's own.
            count = 3 if options.window_days is not None else len(said)
            if stored is None or stored[:count] != said[:count]:
                yield Finding(name, where, f"figures {said[:count]}", "none" if stored is None else str(stored[:count]), look)
        previous = row


def statements_close(books: AccountBooks, plan: RollupPlan) -> Iterator[Finding]:
    """What each day's movements add up to is what was held at its end, and the last of it, with what moved since, is the balance."""
    options, progress, mark = plan.of(books.account_id), books.progress(), books.mark()
    if progress is None or mark is None or progress.stale_from is not None or progress.options_digest != options.digest:
        return  # the next rollup reads everything anew
    marks = [i for i in (mark.dirty_since, mark.recheck_since) if i is not None]
    last = progress.rolled_to
    if marks:
        last = min(last, day_of(min(marks), options.zone) - ONE_DAY)
    for currency in books.currencies():
        held = None
        for day, moved, closing in books.closes(currency, last):
            found = books.movements(start_of_day(day, options.zone), end_of_day(day, options.zone) + 1).get(currency)
            where, look = f"{books.account_id} {currency} {day}", f"jarvis statement {books.account_id} --date {day}"
            if found is None or found != moved:
                yield Finding("statements close", where, f"movements of {canonical(moved)}", "none" if found is None else canonical(found), look)
            elif held is not None and EXACT.add(held, moved) != closing:
                yield Finding("statements close", where, f"a closing of {canonical(EXACT.add(held, moved))}", canonical(closing), look)
            held = closing
        after = books.moved_since(currency, end_of_day(last, options.zone) + 1)
        expected = EXACT.add(books.closing_before(currency, last + ONE_DAY), after)
        if expected != (balance := books.balance(currency)):
            where = f"{books.account_id} {currency}"
            yield Finding("statements close", where, f"a balance of {canonical(expected)}", canonical(balance), f"jarvis statement {books.account_id}")
