"""Verification: one list of checks, each with the depths it belongs to. Long ones read a copy, so that nobody's log is held back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from shutil import disk_usage
from typing import NamedTuple

from jarvis_client.contract.errors import BooksError, Unavailable
from persistence.beside import beside, is_worth_it
from persistence.copies import backups
from persistence.copies.backup_checks import backups_are_sound, chain_holds, files_are_private, protected, there_is_room
from persistence.domain.errors import Damaged, WrongDatabase
from persistence.domain.finding import SHOWN, Finding
from persistence.domain.progress import Progress, silent
from persistence.engine.contract import Database
from persistence.engine.sqlite.connect import SQLiteConnection
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.engine.sqlite.migrations import schema_texts
from persistence.engine.sqlite.pages import damaged_pages, owners_of
from persistence.proof import books_checks, rebuild, since_last_time, surroundings
from persistence.proof.books_checks import guarded
from persistence.proof.chain_checks import Anchor
from persistence.proof.content_checks import content_and_movements_follow
from persistence.proof.order_checks import orders_match_their_facts
from persistence.proof.remedies import RESTORE
from persistence.proof.told_checks import TOLD_CHECKS
from scheduler.rollup.options import RollupPlan
from scheduler.rollup_checks import check_rollups, compare_rows


class Depth(StrEnum):
    """How far a verification looks.

    quick    what came since the last one without findings, and what surrounds the books
    usual    all of the books, their pages and their chain: the daily job
    full     a rebuild compared with what is stored, and every backup read back, too
    """

    QUICK = "quick"
    USUAL = "usual"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a verification looks at: the books themselves, and a copy of one moment of them that may be read at leisure."""

    live: Database
    copy: Database
    plan: RollupPlan
    now: int
    depth: Depth
    backup_folder: Path | None = None
    second_folder: Path | None = None
    heads: Sequence[Anchor] = ()


class Check(NamedTuple):
    """One check: at which depths it runs, and whether it is about the books themselves. A quick verification builds on those."""

    name: str
    depths: tuple[Depth, ...]
    find: Callable[[Scope], Iterable[Finding]]
    of_the_books: bool = True


def check_pages(database: Database) -> Iterator[Finding]:
    """Every page of the file is what was written to it; where one is not, its table or index is named. Reads pages before it opens the file; those of
    a server are its own matter."""
    if not isinstance(database, SQLiteDatabase):
        return
    pages = damaged_pages(database.path, wal_is_in_use=database.wal_bytes() > 0)[:SHOWN]
    owners: dict[int, str] = {}
    if pages:
        with suppress(BooksError), database.get_connection() as connection:
            owners = owners_of(connection, pages)
    for number in pages:
        where = f"page {number} of {database.path} ({owners.get(number, 'the header, or a table that it leads to')})"
        yield Finding("pages match their checksums", where, "what was written", "something else", RESTORE)
    with suppress(WrongDatabase):  # a file that cannot be opened is a finding of its own
        if not database.has_checksums():
            yield Finding("pages carry checksums", database.path, "checksums", "none", "stop everything that uses it, then jarvis db init")


def check_opens(database: Database) -> list[Finding]:
    """The file can be opened as a database: without that nothing else can be looked at. Raises `WrongDatabase` for a file that is missing,
    or a sound one of another program."""
    try:
        with database.get_connection() as connection:
            if isinstance(database, SQLiteDatabase):
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            connection.execute("SELECT book_id FROM book").fetchall()
    except WrongDatabase as error:
        if not isinstance(error, Damaged) and not (Path(database.path).is_file() and damaged_pages(database.path)):
            raise
        return [Finding("the file can be opened", database.path, "a database of ours", str(error).partition(";")[0], RESTORE)]
    return []


def check_schema(database: SQLiteDatabase) -> Iterator[Finding]:
    """Tables, indexes, views and triggers are those of this program: without its trigger a table no longer refuses changes."""
    with closing(SQLiteDatabase(":memory:")) as fresh:
        fresh.open_up()
        with fresh.get_connection() as ours, database.get_connection() as theirs:
            expected, found = schema_texts(ours), schema_texts(theirs)
    differing = [name for name in sorted({*expected, *found}) if expected.get(name) != found.get(name)]
    for name in differing[:SHOWN]:
        said = ("as it was made", "changed") if name in found and name in expected else ("there", "missing") if name in expected else ("nothing", "an addition")
        yield Finding("the schema is this program's", name, *said, RESTORE)


def check_rebuild(copy: SQLiteDatabase, plan: RollupPlan, now: int, progress: Progress = silent) -> Iterator[Finding]:
    """What is stored is what the facts alone make: transactions, sums, balances, orders, rows of figures."""
    with copy.copied(Path(copy.path).parent) as again:
        try:
            rebuild.rebuild(again, now, progress)
        except Damaged as error:
            yield Finding(rebuild.NAME, "books", "facts that can be derived from", str(error), RESTORE)
            return
        again.close()
        yield from islice(rebuild.differences(copy, again.path), SHOWN)
        yield from compare_rows(copy, again, plan, now)


def _in_snapshot(find: Callable[[SQLiteConnection], Iterable[Finding]]) -> Callable[[Scope], Iterator[Finding]]:
    def found(scope: Scope) -> Iterator[Finding]:
        with scope.copy.snapshot() as connection:
            yield from find(connection)  # type: ignore[arg-type]  # those of a file look at copies alone

    return found


def _file(scope: Scope) -> SQLiteDatabase:
    """The copy, which is a SQLite file wherever the books are kept."""
    assert isinstance(scope.copy, SQLiteDatabase)
    return scope.copy


def _since_last_time(scope: Scope) -> Iterator[Finding]:
    with scope.live.snapshot() as connection:
        yield from since_last_time.check_since(connection, since_last_time.last_verified(connection))


def _backups(scope: Scope) -> Iterator[Finding]:
    if scope.backup_folder is not None:
        yield from there_is_room(scope.live, scope.backup_folder)
        yield from backups_are_sound(scope.backup_folder, scope.now, protected(scope.live), read_back=scope.depth is Depth.FULL)


def _second_place(scope: Scope) -> Iterable[Finding]:
    return backups_are_sound(scope.second_folder, scope.now, protected(scope.live), read_back=True) if scope.second_folder is not None else ()


def _found(check: Check, scope: Scope) -> Iterator[Finding]:
    """What a check finds, whatever it meets."""

    def lazily() -> Iterator[Finding]:
        yield from check.find(scope)

    return guarded(check.name, lazily())


ALWAYS, THOROUGH = tuple(Depth), (Depth.USUAL, Depth.FULL)

#: The chain and what every fact holds: `jarvis verify --chain`.
CHAIN_CHECKS = (
    Check("the chain holds", THOROUGH, lambda s: chain_holds(_file(s), s.backup_folder, s.heads)),
    *(
        Check(check.__name__.replace("_", " "), THOROUGH, _in_snapshot(check))
        for check in (books_checks.every_fact_has_its_content, content_and_movements_follow, books_checks.movements_match_their_facts)
    ),
)

#: Every check there is, in the order in which findings are told.
CHECKS: tuple[Check, ...] = (
    Check("what came since the last verification", (Depth.QUICK,), _since_last_time),
    Check("pages match their checksums", THOROUGH, lambda s: check_pages(s.live)),
    *(
        Check(check.__name__.replace("_", " "), THOROUGH, _in_snapshot(check))
        for check in (*books_checks.FILE_CHECKS, *books_checks.CHECKS, *TOLD_CHECKS) if check.__name__.replace("_", " ") not in {c.name for c in CHAIN_CHECKS}
    ),
    *CHAIN_CHECKS,
    Check("the schema is this program's", THOROUGH, lambda s: check_schema(_file(s))),
    Check("rows follow from the facts", THOROUGH, lambda s: check_rollups(s.copy, s.plan)),
    Check(rebuild.NAME, (Depth.FULL,), lambda s: check_rebuild(_file(s), s.plan, s.now)),
    Check("no commit is missing", ALWAYS, lambda s: surroundings.no_commit_is_missing(s.live)),
    Check("every number of a producer arrived", ALWAYS, _in_snapshot(surroundings.every_number_arrived), of_the_books=False),
    Check("quarantine is looked after", ALWAYS, lambda s: _in_snapshot(lambda c: surroundings.quarantine_is_looked_after(c, s.now))(s), of_the_books=False),
    Check("the clock is sane", ALWAYS, lambda s: _in_snapshot(lambda c: surroundings.clock_is_sane(c, s.now))(s), of_the_books=False),
    Check("files are for their owner alone", ALWAYS, lambda s: files_are_private(s.live, s.backup_folder), of_the_books=False),
    Check("backups are sound", ALWAYS, _backups, of_the_books=False),
    Check("the second place is sound", (Depth.FULL,), _second_place, of_the_books=False),
)  # fmt: skip


def _names(checks: Iterable[books_checks.Check]) -> frozenset[str]:
    return frozenset(check.__name__.replace("_", " ") for check in checks)


#: What takes half of the time and reads the copy alone, by name. A rebuild takes about as long as reading one backup back and all other checks.
BESIDE = {Depth.USUAL: _names(books_checks.HALF), Depth.FULL: _names((orders_match_their_facts,)) | {rebuild.NAME}}


def verify(
    database: Database,
    plan: RollupPlan,
    now: int,
    backup_folder: Path | None,
    *,
    depth: Depth = Depth.USUAL,
    heads: Sequence[Anchor] = (),
    second_folder: Path | None = None,
    progress: Progress = silent,
) -> list[Finding]:
    """Everything that is not as it should be. `database` is best opened without refusing anything, so that all of it is told.

    `heads`: heads of the chain that were kept elsewhere, besides those in the manifests of backups. `second_folder`: the second place
    of backups. Raises `Unavailable` where it could not be checked. Where nothing in the books themselves is wrong this is remembered,
    for the next quick verification.
    """

    def scope(copy: Database) -> Scope:
        return Scope(database, copy, plan, now, depth, backup_folder, second_folder, heads)

    if depth is Depth.QUICK:
        return check_opens(database) or [f for check in CHECKS if depth in check.depths for f in _found(check, scope(database))]
    if unopened := check_opens(database):
        return [*guarded("pages match their checksums", check_pages(database)), *unopened]
    progress("copying the books", 0, 0)
    due = [check for check in CHECKS if depth in check.depths]
    with _apart(database) as copy:
        found = _found_by_two(due, scope(copy), progress)
        if not any(found[check.name] for check in due if check.of_the_books):
            # What cannot be noted now is looked at again by the next quick one.
            with suppress(BooksError):
                since_last_time.remember(database, copy, now)
    return [finding for check in due for finding in found[check.name]]


def verify_chain(
    database: Database, plan: RollupPlan, now: int, backup_folder: Path | None, heads: Sequence[Anchor] = (), progress: Progress = silent
) -> list[Finding]:
    """The chain alone, and that what each fact holds and moved is what its identity says."""
    progress("copying the books", 0, 0)
    with _apart(database) as copy:
        scope = Scope(database, copy, plan, now, Depth.USUAL, backup_folder, None, heads)
        found = _found_by_two(CHAIN_CHECKS, scope, progress)
    return [finding for check in CHAIN_CHECKS for finding in found[check.name]]


def _found_by_two(checks: Sequence[Check], scope: Scope, progress: Progress) -> dict[str, list[Finding]]:
    """What checks find, by their names. Where there is a copy for it to read, a second process makes some of them, if that is sooner."""
    is_apart = scope.copy is not scope.live
    there = frozenset(check.name for check in checks if is_apart and check.name in BESIDE[scope.depth])
    here = [check for check in checks if check.name not in there]
    with beside(_found_in, scope.copy.path, there, scope.plan, scope.now, worth=is_apart and is_worth_it(scope.copy.path)) as theirs:
        found = {}
        for number, check in enumerate(here):
            progress(check.name, number, len(here))
            found[check.name] = list(_found(check, scope))
        if there:
            progress("waiting for the checks beside these", len(here), len(here))
        return found | theirs()


def _found_in(path: str, names: frozenset[str], plan: RollupPlan, now: int) -> dict[str, list[Finding]]:
    with closing(SQLiteDatabase.looking(path, wal_mode=False)) as copy:
        scope = Scope(copy, copy, plan, now, Depth.FULL)
        return {check.name: list(_found(check, scope)) for check in CHECKS if check.name in names}


@contextmanager
def _apart(database: Database) -> Iterator[Database]:
    """A copy to read at leisure; where there is no room for one, the books themselves."""
    folder = database.folder.absolute()
    if not isinstance(database, SQLiteDatabase):
        with database.copied(folder) as copy:  # what the checks read is a file
            yield copy
        return
    if disk_usage(folder).free < backups.room_needed(database):
        # What is left belongs to those who write.
        yield database
        return
    entered = False
    try:
        with database.copied(folder) as copy:
            entered = True
            yield copy
    except (Unavailable, WrongDatabase):
        # No room for it, or a page that cannot be copied.
        if entered:
            raise
        yield database


__all__ = ["CHECKS", "RESTORE", "Check", "Depth", "check_opens", "check_pages", "check_rebuild", "verify", "verify_chain"]
