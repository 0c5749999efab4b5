"""One account's rollup: what is new, what has to be redone, what changed.

Everything is computed in one snapshot outside any write transaction and committed per account; where the account moved
meanwhile its mark stays, and another pass takes what came. A long history is read in passes of some thousand fills, so that no
snapshot lives long and a rebuild that was interrupted goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date as Date

from jarvis_client.contract.instants import MOST_AHEAD, start_of_day
from persistence.books.account_history import AccountBooks
from persistence.domain.rollup import FIGURE_COLUMNS, DirtyMark, Figures, NewFact, Progress, Revision
from persistence.engine.contract import Database
from persistence.repositories.rollups import Changes, SQLiteRollupRepository
from scheduler.rollup.days import ONE_DAY, day_of, last_closed_day
from scheduler.rollup.meeting import Late
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
    asked = _Asked(start, rebuild, overwrite_by_hand)
    while finishing < PASSES_AFTER_LATE_FACTS:
        with repository.reading(account_id) as books:
            work = _Pass(books, options, until, now, asked, progress).compute()
        if work is None:
            break
        if not repository.commit(account_id, work.changes, work.generation):
            continue
        rolled.through = work.changes.progress.rolled_to
        rolled.added += work.added
        rolled.revised += len(work.changes.revisions)
        rolled.kept_by_hand += work.kept_by_hand
        finished = work.changes.progress.stale_from is None and work.changes.progress.rolled_to >= until
        finishing += finished
        asked = _Asked(overwrite_by_hand=overwrite_by_hand, continuing=True, late=[] if finished else work.late, cause="late facts" if finished else work.cause)
    rolled.withheld = [(w.date, w.reason) for w in repository.withheld(account_id)]
    return rolled


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a pass is asked for beyond what is due, and what the one before it was about."""

    start: Date | None = None
    rebuild: bool = False
    overwrite_by_hand: bool = False
    continuing: bool = False
    late: Sequence[NewFact] = ()
    cause: str = "late facts"


class _Pass:
    """What one pass computes. Made for it, used once."""

    def __init__(self, books: AccountBooks, options: RollupOptions, until: Date, now: int, asked: _Asked, progress: Callable[[Date], None]) -> None:
        self._books = books
        self._options = options
        self._until = until
        self._now = now
        self._asked = asked
        self._progress = progress
        self.generation: int | None = None
        self.late: list[NewFact] = []
        self.cause = ""
        #: Rate records that came since the last rollup: (currency, first, last instant).
        self._rates: list[tuple[str, int, int]] = []
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
        whole = known is None or self._asked.rebuild or known.options_digest != self._options.digest
        # A clock that was ahead may have left days that are not over: they go, and come again once they are.
        over = max(self._until, last_closed_day(self._now + MOST_AHEAD, zone))
        ahead = known is not None and known.rolled_to > over
        if known is not None:
            known = _cut_back(known, over) if ahead else known
            self._until = max(self._until, known.rolled_to)
        if beginning > self._until and not ahead:
            return None
        if whole:
            self._books.floor = Date.max
        snapshots_from = self._snapshots_from()
        self._find_what_came(mark, known)
        first, reach = self._restart(mark, known, whole, beginning)
        touched = None if whole else self._touched(snapshots_from, known)
        if known is not None and first is None and touched is None:
            if known.rolled_to < self._until:
                first = known.rolled_to + ONE_DAY
            elif mark.dirty_since is None and not self._rates and not ahead:
                return None
        self.cause = "the clock was ahead" if ahead and first is None else self.cause
        dropped = None if known is None or not (whole or ahead) else (beginning if whole else Date.min, self._until)
        return self._work(mark, known, whole, beginning, snapshots_from, first, reach, touched, dropped)

    def _work(
        self, mark: DirtyMark, known: Progress | None, whole: bool, beginning: Date, snapshots_from: Date | None, first: Date | None, reach: Late | None,
        touched: Touched | None, only_days: tuple[Date, Date] | None,
    ) -> _Pass | None:  # fmt: skip
        rolled_to = beginning - ONE_DAY if known is None else min(known.rolled_to, self._until)
        usd_like = tuple(sorted(self._options.usd_like))
        progress = Progress(self._options.digest, snapshots_from, rolled_to, None, *self._seen(), (self.generation or 0) + 1, usd_like)
        self.changes = changes = Changes(progress, self._now, mark)
        changes.only_days = only_days
        replay = Replay(self._books, self._options, changes, first or self._until + ONE_DAY, progress=self._progress)
        if first is not None:
            last = self._end_of_pass(first)
            read_to = replay.run(last, reach)
            if read_to == last and not replay.met and known is not None and last < rolled_to:
                changes.progress = progress._replace(stale_from=last + ONE_DAY)
            changes.progress = changes.progress._replace(rolled_to=max(rolled_to, read_to))
            if whole:
                changes.replaced_days = Date.min, Date.max  # in another zone it was of other days
            elif first > rolled_to:
                changes.replaced_days = None  # nothing is stored there
            touched = touched or Touched(first, read_to)
            touched.first, touched.last = min(touched.first, first), max(touched.last, read_to)
            touched.shifted = replay.shifted
            touched.anew = touched.anew or whole
        if touched is not None:
            until = replay.last if changes.progress.stale_from is not None else changes.progress.rolled_to
            RowBuilder(self._books, self._options, replay, changes, snapshots_from).build(touched, max(until, touched.last) if not touched.anew else until)
        self._compare_figures()
        return None if known is not None and self._is_idle(mark, known) else self

    def _seen(self) -> tuple[int, int]:
        """The newest numbers of the account's facts, and of rates, that this pass looks at."""
        return self._books.newest_fact_no(), self._books.newest_rate_no()

    def _snapshots_from(self) -> Date | None:
        """From which day rows are valued by snapshots; None for never."""
        if self._options.valuation == "books":
            return None
        if self._options.valuation == "snapshots":
            return Date.min
        first = self._books.first_snapshot_at()
        day = None if first is None else day_of(first, self._options.zone)
        return None if day is None or day > self._until else day

    def _find_what_came(self, mark: DirtyMark, known: Progress | None) -> None:
        if known is None:
            return
        end = start_of_day(known.rolled_to + ONE_DAY, self._options.zone)
        if mark.dirty_since is not None and mark.dirty_since < end:
            self.late = self._books.new_facts(mark.dirty_since, end, known.seen_fact_no)
        self._rates = [(currency, least, min(most, end - 1)) for currency, least, most in self._books.rates_since(known.seen_rate_no) if least < end]

    def _restart(self, mark: DirtyMark, known: Progress | None, whole: bool, beginning: Date) -> tuple[Date | None, Late | None]:
        """From which day facts have to be read anew, if at all, and what came there where nothing else asks for it."""
        zone = self._options.zone
        if known is None:
            self.cause = "first rollup"
            return beginning, None
        if whole:
            self.cause = "rebuild" if self._asked.rebuild else "options changed"
            return beginning, None
        forced: list[tuple[Date, str]] = []
        if known.stale_from is not None:
            forced.append((known.stale_from, self._asked.cause if self._asked.continuing else "rebuild"))
        if self._asked.overwrite_by_hand and not self._asked.continuing and (oldest := self._books.oldest_by_hand()) is not None:
            forced.append((max(oldest, beginning), "rows saved by hand are replaced"))
        if self._asked.start is not None and self._asked.start <= known.rolled_to:
            forced.append((max(self._asked.start, beginning), "asked for"))
        if mark.recheck_since is not None and mark.recheck_since < start_of_day(known.rolled_to + ONE_DAY, zone):
            forced.append((day_of(mark.recheck_since, zone), "records changed in place"))
        came = [day_of(f.instant, zone) for f in self.late if f.kind != "metrics"]
        rates = [(day_of(least, zone), day_of(most, zone)) for _, least, most in self._rates]
        starts = [*forced, *((day, "late facts") for day in came), *((max(day, beginning), "late rates") for day, _ in rates)]
        if not starts:
            self.cause = "late facts"
            return None, None
        first, self.cause = min(starts)
        self.late = [*self.late, *(f for f in self._asked.late if f not in self.late)]
        if forced:
            return first, None
        return first, Late(max([*came, *(day for _, day in rates)]), {currency: most for currency, _, most in self._rates})

    def _touched(self, snapshots_from: Date | None, known: Progress | None) -> Touched | None:
        """Rows that may differ though no fact behind them is read anew."""
        if known is None:
            return None
        days = {day_of(f.instant, self._options.zone) for f in self.late if f.kind == "metrics"}
        days = {day for day in days if snapshots_from is not None and snapshots_from <= day <= known.rolled_to}
        if snapshots_from != known.snapshots_from:
            change = min(d for d in (snapshots_from, known.snapshots_from) if d is not None)
            if change <= known.rolled_to:
                self.cause = self.cause or "snapshots begin on another day"
                return Touched(change, known.rolled_to, days, anew=True)
        return Touched(known.rolled_to + ONE_DAY, known.rolled_to, days) if days else None

    def _end_of_pass(self, first: Date) -> Date:
        instant = self._books.fill_instant_after(start_of_day(first, self._options.zone), FILLS_A_PASS)
        if instant is None:
            return self._until
        return min(self._until, max(first, day_of(instant, self._options.zone) - ONE_DAY))

    # -- what the rows say against what they said ----------------------------------------------------------------------

    def _compare_figures(self) -> None:
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
        by_hand = {d for d, (source, _) in stored.items() if source == "manual" and not self._asked.overwrite_by_hand}
        gone = [d for d in changes.removed_rows if d in stored and stored[d][0] == "rollup" and d not in changes.figures]
        differing = {d: f for d, f in changes.figures.items() if d not in by_hand and stored.get(d) != ("rollup", f)}
        self.kept_by_hand = sum(d in by_hand for d in changes.figures)
        known = self._books.progress()
        for day, figures in differing.items():
            before = stored[day][1] if day in stored else None
            if before is not None or (known is not None and day <= known.rolled_to):
                changes.revisions.append(self._revision(day, before, figures))
            self.added += before is None
        changes.revisions += [self._revision(day, stored[day][1], None) for day in gone]
        changes.figures, changes.removed_figures = differing, gone

    def _revision(self, day: Date, before: Figures | None, after: Figures | None) -> Revision:
        zone = self._options.zone
        causes = [f for f in self.late if day_of(f.instant, zone) <= day]
        named = [{"kind": f"void of {f.kind}" if f.voided else f.kind, "id": f.record_id, "instant": f.instant} for f in causes[:FACTS_NAMED]]
        if len(causes) > FACTS_NAMED:
            named.append({"more": len(causes) - FACTS_NAMED})
        return Revision(self._books.account_id, day, self._now, _named(before), _named(after), "late facts" if causes else self.cause, named)

    def _is_idle(self, mark: DirtyMark, known: Progress) -> bool:
        """Whether there is nothing to commit: a quiet account costs no fsync."""
        c = self.changes
        same = mark.dirty_since is None and mark.recheck_since is None and not self._rates and known.stale_from is None and not self._asked.rebuild
        return same and not (c.figures or c.rows or c.removed_rows or c.closes or c.rates or c.withheld or c.trades or c.oddities or c.only_days)


def _cut_back(known: Progress, over: Date) -> Progress:
    """The progress as it would be had the rollup ended with the day `over`."""
    return known._replace(rolled_to=over, stale_from=None if known.stale_from is None or known.stale_from > over else known.stale_from)


def _named(figures: Figures | None) -> dict[str, object] | None:
    return None if figures is None else dict(zip(FIGURE_COLUMNS, figures, strict=True))
