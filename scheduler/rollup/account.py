"""One account's rollup: what is new, what has to be redone, what changed.

Everything is computed in one snapshot outside any write transaction and committed per account; where the account moved
meanwhile its mark stays, and another pass takes what came. A long history is read in passes of some thousand fills, so that no
snapshot lives long and a rebuild that was interrupted goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date as Date

from persistence.books.account_history import AccountBooks
from persistence.domain.instants import MOST_AHEAD, start_of_day
from persistence.domain.rollup import FIGURE_COLUMNS, DirtyMark, Figures, NewFact, Progress, Revision
from persistence.engine.contract import Database
from persistence.repositories.rollups import Changes, SQLiteRollupRepository
from scheduler.rollup.days import ONE_DAY, day_of, last_closed_day
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.replay import Replay
from scheduler.rollup.rows import RowBuilder, Touched

#: Fills of one pass: a second's work, so that the snapshot it reads holds nobody up, and a commit of a tenth of one.
FILLS_A_PASS = 40_000
#: Late facts that a revision names; beyond, only how many there were.
FACTS_NAMED = 50
#: An account that is written to all the time would keep a rollup going for ever; after so many passes the rest waits for the next run.
PASSES_AFTER_LATE_FACTS = 5


@dataclass(slots=True)
class Rolled:
    """What a rollup did to an account. `withheld` are days that could not have a row, with the reason."""

    account_id: str
    through: Date | None = None
    added: int = 0
    revised: int = 0
    kept_by_hand: int = 0
    withheld: list[tuple[Date, str]] = field(default_factory=list)


def roll_up(
    database: Database,
    account_id: str,
    options: RollupOptions,
    until: Date,
    *,
    now: int,
    start: Date | None = None,
    rebuild: bool = False,
    overwrite_by_hand: bool = False,
    progress: Callable[[Date], None] = lambda _: None,
) -> Rolled:
    """Bring an account's rows up to the day `until`, included, which has to have ended.

    `start` reads everything from that day on anew, `rebuild` everything there is; otherwise what came since the last rollup
    decides. Rows saved by hand stay as they are, unless `overwrite_by_hand`. Raises `Unavailable` where the store fails.
    """
    repository = SQLiteRollupRepository(database)
    rolled = Rolled(account_id)
    finishing = 0
    continuing = False
    while finishing < PASSES_AFTER_LATE_FACTS:
        with repository.reading(account_id) as books:
            work = _Pass(books, options, until, now, start, rebuild, overwrite_by_hand, progress, continuing).compute()
        if work is None:
            break
        if not repository.commit(account_id, work.changes, work.generation):
            continue
        start, rebuild, continuing = None, False, True
        rolled.through = work.changes.progress.rolled_to
        rolled.added += work.added
        rolled.revised += len(work.changes.revisions)
        rolled.kept_by_hand += work.kept_by_hand
        finishing += work.changes.progress.stale_from is None and work.changes.progress.rolled_to >= until
    rolled.withheld = [(w.date, w.reason) for w in repository.withheld(account_id)]
    return rolled


class _Pass:
    """What one pass computes. Made for it, used once."""

    def __init__(
        self,
        books: AccountBooks,
        options: RollupOptions,
        until: Date,
        now: int,
        start: Date | None,
        rebuild: bool,
        overwrite_by_hand: bool,
        progress: Callable[[Date], None],
        continuing: bool,
    ) -> None:
        self._books = books
        self._options = options
        self._until = until
        self._now = now
        self._start = start
        self._rebuild = rebuild
        self._overwrite_by_hand = overwrite_by_hand
        self._progress = progress
        self._continuing = continuing
        self.generation: int | None = None
        #: The least instant of rate records that came since the last rollup.
        self._rates_since: int | None = None
        self.added = 0
        self.kept_by_hand = 0
        self.changes: Changes

    def compute(self) -> _Pass | None:
        """None where there is nothing to do."""
        mark, known = self._books.mark(), self._books.progress()
        if mark is None or mark.opened_at is None:
            return None
        self.generation = known.generation if known else None
        zone = self._options.zone
        beginning = day_of(mark.opened_at, zone)
        valuation = self._valuation()
        whole = known is None or self._rebuild or known.options_digest != self._options.digest or known.valuation != valuation
        # A clock that was ahead may have left days that are not over: they go, and come again once they are.
        over = max(self._until, last_closed_day(self._now + MOST_AHEAD, zone))
        ahead = known is not None and known.rolled_to > over
        if known is not None:
            known = _cut_back(known, over) if ahead else known
            self._until = max(self._until, known.rolled_to)
        if beginning > self._until and not ahead:
            return None
        if whole:
            self._books.floor = beginning
        late = self._late_facts(mark, known)
        self._rates_since = None if known is None else self._books.rates_since(known.seen_fact_no)
        first, cause = self._restart(mark, known, valuation, late, beginning)
        anew = first is not None
        if first is None:
            assert known is not None
            cause = "the clock was ahead" if ahead else cause
            if not ahead and not late and known.rolled_to == self._until and mark.dirty_since is None and self._rates_since is None:
                return None
            first = known.rolled_to + ONE_DAY
        last = self._end_of_pass(first)
        before = min(known.rolled_to, self._until) if known is not None else last
        stale_from = last + ONE_DAY if last < before else None
        rolled_to = max(last, before)
        seen = self._books.newest_fact_no()
        estimates = known is not None and known.estimates and first > beginning
        self.changes = Changes(
            Progress(self._options.digest, valuation, rolled_to, stale_from, seen, estimates, None, (self.generation or 0) + 1),
            self._now, mark
        )  # fmt: skip
        if known is not None and (whole or ahead):
            self.changes.only_days = beginning if whole else Date.min, self._until
        replay = Replay(self._books, self._options, self.changes, self._progress)
        if not anew and late:
            assert known is not None
            replay.late(late, known.rolled_to)
        if first <= last:
            replay.everything(first, last, stored_beyond=anew and known is not None)
        self._build_rows(replay, [] if anew else late, first, last, valuation, known, anew=anew)
        self._compare_figures(late, cause)
        if known is not None and not anew and not ahead and self._is_idle(mark):
            return None
        return self

    def _valuation(self) -> str:
        if self._options.valuation != "auto":
            return self._options.valuation
        return "snapshots" if self._books.has_snapshot() else "books"

    def _late_facts(self, mark: DirtyMark, known: Progress | None) -> list[NewFact]:
        if known is None or mark.dirty_since is None:
            return []
        end = start_of_day(known.rolled_to + ONE_DAY, self._options.zone)
        return self._books.new_facts(mark.dirty_since, end, known.seen_fact_no, self._options.usd_like) if mark.dirty_since < end else []

    def _restart(self, mark: DirtyMark, known: Progress | None, valuation: str, late: Sequence[NewFact], beginning: Date) -> tuple[Date | None, str]:
        """From which day everything has to be read anew, if at all, and why."""
        zone = self._options.zone
        if known is None:
            return beginning, "first rollup"
        if self._rebuild:
            return beginning, "rebuild"
        if known.options_digest != self._options.digest:
            return beginning, "options changed"
        if known.valuation != valuation:
            return beginning, "the account has snapshots now" if valuation == "snapshots" else "the account has no snapshot any more"
        candidates: list[tuple[Date, str]] = []
        if known.stale_from is not None:
            candidates.append((known.stale_from, "rebuild"))
        if self._overwrite_by_hand and not self._continuing and (oldest := self._books.oldest_by_hand()) is not None:
            candidates.append((max(oldest, beginning), "rows saved by hand are replaced"))
        if self._start is not None and self._start <= known.rolled_to:
            candidates.append((max(self._start, beginning), "asked for"))
        if mark.recheck_since is not None and mark.recheck_since < start_of_day(known.rolled_to + ONE_DAY, zone):
            candidates.append((day_of(mark.recheck_since, zone), "records changed in place"))
        if valuation == "books" and known.withheld_from is not None and mark.dirty_since is not None and not self._continuing:
            candidates.append((known.withheld_from, "a rate was missing"))
        if self._rates_since is not None:
            if self._rates_since < start_of_day(known.rolled_to + ONE_DAY, zone):
                candidates.append((max(day_of(self._rates_since, zone), beginning), "late rates"))
            if known.withheld_from is not None:
                candidates.append((known.withheld_from, "a rate was missing"))
        if late and (candidates or known.estimates or valuation == "books" or any(f.needs_rate for f in late)):
            # What a late record tells of rates may bear on everything after it.
            candidates.append((day_of(min(f.instant for f in late), zone), "late facts"))
        return min(candidates, default=(None, "late facts"))

    def _end_of_pass(self, first: Date) -> Date:
        instant = self._books.fill_instant_after(start_of_day(first, self._options.zone), FILLS_A_PASS)
        if instant is None:
            return self._until
        return min(self._until, max(first, day_of(instant, self._options.zone) - ONE_DAY))

    def _build_rows(self, replay: Replay, late: list[NewFact], first: Date, last: Date, valuation: str, known: Progress | None, *, anew: bool) -> None:
        withheld_from = known.withheld_from if known is not None else None
        if valuation == "books" and withheld_from is not None and withheld_from < first:
            # The earlier passes of this run found it missing; the next run begins there.
            self.changes.progress = self.changes.progress._replace(withheld_from=withheld_from, estimates=True)
            self.changes.withheld_range = self.changes.replaced_rows = (first, last) if first <= last else None
            return
        # Rows that waited for a rate are tried again whenever something came.
        start = first if withheld_from is None else min(first, withheld_from)
        self.changes.withheld_range = (start, last) if start <= last else None
        rows = RowBuilder(self._books, self._options, replay, self.changes, valuation)
        stopped = rows.build(Touched.by(late, replay, self._options, start, last, anew=anew))
        self.changes.progress = self.changes.progress._replace(withheld_from=stopped, estimates=self.changes.progress.estimates or replay.estimates)

    # -- what the rows say against what they said ----------------------------------------------------------------------

    def _compare_figures(self, late: list[NewFact], cause: str) -> None:
        """Keep of the figures only those that differ from the stored ones, and note what was revised."""
        changes = self.changes
        days = [*changes.figures, *changes.removed_rows]
        if not days and changes.only_days is None and changes.replaced_rows is None:
            return
        replaced = changes.replaced_rows
        earliest = min([*days, *([] if replaced is None else [replaced[0]])], default=Date.min)
        stored = self._books.figures_from(Date.min if changes.only_days is not None else earliest)
        if replaced is not None:
            changes.removed_rows += sorted(d for d in stored if replaced[0] <= d <= replaced[1] and d not in changes.figures)
        if changes.only_days is not None:
            outside = {d for d in stored if not changes.only_days[0] <= d <= changes.only_days[1]}
            changes.removed_rows += sorted(outside - set(changes.removed_rows))
        by_hand = {d for d, (source, _) in stored.items() if source == "manual" and not self._overwrite_by_hand}
        gone = [d for d in changes.removed_rows if d in stored and stored[d][0] == "rollup" and d not in changes.figures]
        differing = {d: f for d, f in changes.figures.items() if d not in by_hand and stored.get(d) != ("rollup", f)}
        self.kept_by_hand = sum(d in by_hand for d in changes.figures)
        known = self._books.progress()
        for day, figures in differing.items():
            before = stored[day][1] if day in stored else None
            if before is not None or (known is not None and day <= known.rolled_to and known.withheld_from is None):
                changes.revisions.append(self._revision(day, before, figures, late, cause))
            self.added += before is None
        changes.revisions += [self._revision(day, stored[day][1], None, late, cause) for day in gone]
        changes.figures, changes.removed_figures = differing, gone

    def _revision(self, day: Date, before: Figures | None, after: Figures | None, late: list[NewFact], cause: str) -> Revision:
        zone = self._options.zone
        causes = [f for f in late if day_of(f.instant, zone) <= day]
        named = [{"kind": f"void of {f.kind}" if f.voided else f.kind, "id": f.record_id, "instant": f.instant} for f in causes[:FACTS_NAMED]]
        if len(causes) > FACTS_NAMED:
            named.append({"more": len(causes) - FACTS_NAMED})
        return Revision(self._books.account_id, day, self._now, _named(before), _named(after), "late facts" if causes else cause, named)

    def _is_idle(self, mark: DirtyMark) -> bool:
        """Whether there is nothing to commit: a quiet account costs no fsync."""
        c = self.changes
        return mark.dirty_since is None and mark.recheck_since is None and self._rates_since is None and not (
            c.figures or c.rows or c.removed_rows or c.positions or c.closes or c.rates or c.withheld or c.trades
        )  # fmt: skip


def _cut_back(known: Progress, over: Date) -> Progress:
    """The progress as it would be had the rollup ended with the day `over`."""
    stale, withheld = (None if day is None or day > over else day for day in (known.stale_from, known.withheld_from))
    return known._replace(rolled_to=over, stale_from=stale, withheld_from=withheld)


def _named(figures: Figures | None) -> dict[str, object] | None:
    return None if figures is None else dict(zip(FIGURE_COLUMNS, figures, strict=True))
