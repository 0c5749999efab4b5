"""Which backup is meant: the one of these books that reaches furthest, by what it holds. Names and clocks decide nothing alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from jarvis_client.contract.errors import BooksError, Invalid
from jarvis_client.contract.instants import to_datetime, to_instant
from persistence.books.book import book_id_and_epoch, short
from persistence.copies import backups
from persistence.copies.backups import Backup
from persistence.domain.errors import WrongDatabase
from persistence.domain.showing import count_of
from persistence.engine.contract import Database
from persistence.engine.sqlite.durable_mark import DurableMarkFile

#: Names shown of those that were passed over for the same reason.
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Choice:
    """The backup that was chosen, and in a sentence each what was passed over, or is odd about it."""

    backup: Backup
    remarks: list[str]


def present_books(database: Database) -> tuple[str, str] | None:
    """Id and epoch of the books that stand there; None where there are none that can be read."""
    with suppress(BooksError), closing(database.looking_too()) as looking, looking.get_connection() as connection:
        return book_id_and_epoch(connection)
    return None


def choose(folder: Path, now: int, *, book: str | None = None, at: datetime | None = None, beside: str | Path | None = None) -> Choice:
    """The proved backup of these books that reaches furthest; with `at` of those that hold nothing from after that time.

    `book`: whose, by its id or the beginning of it. Without it there has to be one alone that has backups; `beside`: where the database
    was, whose mark helps to say which. Raises `Invalid` where there is no such backup, `WrongDatabase` where only other books have
    some, or several have and nothing says which.
    """
    at = None if at is None else at.astimezone(UTC)
    if at is not None and to_instant(at) > now:
        raise Invalid(f"{at:%Y-%m-%d %H:%M:%S} UTC lies in the future, it is {to_datetime(now):%Y-%m-%d %H:%M:%S} UTC; --latest is the newest there is")
    there = backups.present(folder)
    proved = [b for b in there if b.proved]
    chosen = _whose(folder, proved, book, beside)
    ours = [b for b in proved if b.book == chosen]
    fit = [b for b in ours if at is None or _holds_nothing_after(b, to_instant(at))]
    if not fit:
        _refuse(folder, ours, [b for b in proved if b.book != chosen], book, at)
    best = max(fit, key=lambda b: (b.reach, not b.is_ahead(now), b.taken_at))
    return Choice(best, _remarks(best, there, now, at))


def last_taken(folder: Path, book: str, now: int) -> int | None:
    """When the last proved backup of these books was taken, apart from those that a clock dated ahead."""
    return max((to_instant(b.taken_at) for b in backups.present(folder) if b.is_of(book) and not b.is_ahead(now)), default=None)


def _holds_nothing_after(backup: Backup, at: int) -> bool:
    return to_instant(backup.taken_at) <= at and (backup.recorded_until is None or backup.recorded_until <= at)


def _whose(folder: Path, proved: Sequence[Backup], book: str | None, beside: str | Path | None) -> str | None:
    """The id of the books that are meant; None where no proved backup says any."""
    books = sorted({str(b.book) for b in proved})
    if book is not None:
        meant = [b for b in books if b.startswith(book.lower())]
        if len(meant) > 1:
            raise Invalid(f"{book!r} is the beginning of {' and of '.join(meant)}; give more of it")
        return meant[0] if meant else book
    if len(books) <= 1:
        return next(iter(books), None)
    marked: set[str] = set()
    if beside is not None:
        with suppress(BooksError):
            epochs = {mark.epoch for mark in DurableMarkFile(beside).read()[0]}
            marked = {str(b.book) for b in proved if (b.manifest or {})["chain"]["epoch"] in epochs}
    listed = [
        f"  books {short(b)}: {summary([x for x in proved if x.book == b])}{f' (the mark beside {beside} is theirs)' if b in marked else ''}" for b in books
    ]
    raise WrongDatabase(
        f"{folder} holds backups of {len(books)} books, and no database says whose are meant:\n" + "\n".join(listed) +
        f"\nsay which: `jarvis restore FILE`, or `--books {short(min(marked) if len(marked) == 1 else books[0])}`"
    )  # fmt: skip


def summary(of_one_book: Sequence[Backup]) -> str:
    best = max(of_one_book, key=lambda b: b.reach)
    reach = f"({count_of('record', best.reach.fact_no)}, taken {best.taken_at:%Y-%m-%dT%H:%M:%SZ})"
    return f"{count_of('backup', len(of_one_book))}, of which {best.path.name} reaches furthest {reach}"


def _refuse(folder: Path, ours: Sequence[Backup], foreign: Sequence[Backup], book: str | None, at: datetime | None) -> NoReturn:
    when = "" if at is None else f" from {at:%Y-%m-%d %H:%M:%S} UTC or before"
    if ours:
        first = min(ours, key=lambda b: b.reach)
        raise Invalid(f"{folder} holds no proved backup{when}; the first one was taken {first.taken_at:%Y-%m-%dT%H:%M:%SZ}: {first.path.name}")
    if foreign:
        raise WrongDatabase(
            f"{folder} holds no proved backup{when} of these books ({short(book or '')}), only {_of_others(foreign)}. To bring those back, move the database "
            "with its -wal and -mark away first, or restore with --to into a new file"
        )
    raise Invalid(f"{folder} holds no proved backup{when}; `jarvis backup list` shows what there is")


def _of_others(foreign: Sequence[Backup]) -> str:
    counts = Counter(str(b.book) for b in foreign)
    return ", ".join(f"{n} of books {short(book)}" for book, n in sorted(counts.items()))


def _remarks(best: Backup, there: Sequence[Backup], now: int, at: datetime | None) -> list[str]:
    """What somebody who goes by names and times would have taken instead, and why it was not."""
    remarks = []
    if best.is_ahead(now):
        remarks.append(f"{best.path.name} reaches furthest, though the clock was ahead when it was taken")
    if foreign := [b for b in there if b.proved and b.book != best.book]:
        remarks.append(f"passed over, of other books: {_of_others(foreign)}")
    later = [b for b in there if b.taken_at > best.taken_at and (at is None or b.taken_at <= at or b.is_ahead(now))]
    ahead, behind = ([b for b in later if b.is_of(best.book) and b.is_ahead(now) is wanted] for wanted in (True, False))
    for reason, passed in (
        ("taken by a clock that was ahead, reaching less far", ahead),
        ("later by its clock, reaching less far" if at is None else "holding what was recorded later", behind),
        ("without a sound manifest, so nothing says what it holds", [b for b in later if not b.proved]),
    ):
        if passed:
            more = f" and {len(passed) - SHOWN} more" if len(passed) > SHOWN else ""
            remarks.append(f"passed over, {reason}: {', '.join(b.path.name for b in passed[:SHOWN])}{more}")
    return remarks


__all__ = ["Choice", "choose", "last_taken", "present_books", "summary"]
