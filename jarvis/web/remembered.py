"""Fees of months, remembered: they are summed over every fill, of which a busy account has a hundred thousand a month."""

from __future__ import annotations

from threading import Lock

from persistence.repositories.report import FeesOfInstrument, ReportBooks

#: Months of all accounts together; the one that was longest not asked for gives way.
MOST = 1_000


class RememberedFees:
    """Knows the fees of a month until a rollup runs, or something comes that is of that month."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], list[FeesOfInstrument]] = {}
        self._lock = Lock()

    def of(self, books: ReportBooks, start: int, end: int) -> list[FeesOfInstrument]:
        """The fees of the fills in [start, end), instants: `ReportBooks.fees`."""
        mark, progress = books.mark(), books.progress()
        changed = None if mark is None else min((at for at in (mark.dirty_since, mark.recheck_since) if at is not None), default=None)
        if progress is None or (changed is not None and changed < end):
            return books.fees(start, end)
        key = (books.account_id, start, end, progress.generation, progress.options_digest)
        with self._lock:
            found = self._known.pop(key, None)
            if found is not None:
                self._known[key] = found
        if found is None:
            found = books.fees(start, end)
            with self._lock:
                self._known[key] = found
                while len(self._known) > MOST:
                    del self._known[next(iter(self._known))]
        return found


__all__ = ["RememberedFees"]
