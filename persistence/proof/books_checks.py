"""Checks of the books: small, named, each returning findings. A finding says what was expected, what was found, where, and
which command shows more. Checks read one consistent snapshot and change nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from decimal import Decimal
from functools import reduce
from itertools import islice

from jarvis_client.contract.decimals import EXACT, ZERO, canonical
from persistence.beside import beside, is_worth_it
from persistence.books import facts, movements
from persistence.domain.finding import SHOWN, Finding
from persistence.domain.progress import Progress, silent
from persistence.engine.contract import Connection, Database
from persistence.engine.sqlite.connect import SQLiteConnection
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.engine.sqlite.pages import file_is_sound, references_hold
from persistence.engine.sqlite.pool import IN_MEMORY
from persistence.proof.content_checks import content_and_movements_follow
from persistence.proof.order_checks import orders_match_their_facts
from persistence.proof.remedies import RESTORE

#: Rows of transactions that are added up at a time.
ROWS_AT_ONCE = 10_000

Check = Callable[[Connection], Iterator[Finding]]
FileCheck = Callable[[SQLiteConnection], Iterator[Finding]]


def check_books(database: Database, progress: Progress = silent) -> list[Finding]:
    """Run every check, each on one snapshot. An empty list means that the file is sound and the books add up. Where no file of ours holds them,
    the server looks after its own.

    Of a large file a second process makes half of them: it sees what is committed.
    """
    if not isinstance(database, SQLiteDatabase):
        return run_checks(database, CHECKS, progress)
    if database.path == IN_MEMORY or not is_worth_it(database.path):
        return run_checks(database, (*FILE_CHECKS, *CHECKS), progress)
    with half_of_checks(database.path, wal_mode=database.wal_mode) as theirs:
        return run_checks(database, (*FILE_CHECKS, *OTHER_HALF), progress) + theirs()


def run_checks(database: Database, checks: Sequence[Check] | Sequence[FileCheck], progress: Progress = silent) -> list[Finding]:
    """Run some checks on one snapshot."""
    findings: list[Finding] = []
    with database.snapshot() as connection:
        for number, check in enumerate(checks):
            progress("checking the books", number, len(checks))
            findings += guarded(check.__name__.replace("_", " "), check(connection))  # type: ignore[arg-type]  # checks of a file are of its own engine
    progress("checking the books", len(checks), len(checks))
    return findings


def half_of_checks(path: str, *, wal_mode: bool = False, worth: bool = True) -> AbstractContextManager[Callable[[], list[Finding]]]:
    """The checks that take half of the time, `HALF`, run by a second process on a file that it opens itself, where that is sooner."""
    return beside(_run_half, path, wal_mode, worth=worth and is_worth_it(path))


def _run_half(path: str, wal_mode: bool) -> list[Finding]:
    with closing(SQLiteDatabase.looking(path, wal_mode=wal_mode)) as database:
        return run_checks(database, HALF)


def guarded(name: str, found: Iterable[Finding]) -> Iterator[Finding]:
    """At most `SHOWN` findings of a check. If the check itself fails on rows it cannot read, that failure is a finding."""
    try:
        yield from islice(found, SHOWN)
    except Exception as error:  # rows that cannot be read are what it looks for
        yield Finding(name, "books", "rows that can be read", _told(error), RESTORE)


def _told(error: Exception) -> str:
    """What a check failed with, without the remedy: the finding has its own."""
    return f"{type(error).__name__}: {str(error).partition(';')[0]}"[:300]


def quarantine_is_whole(connection: Connection) -> Iterator[Finding]:
    """What is held is byte for byte what arrived."""
    for number, raw, digest in connection.stream("SELECT quarantine_no, raw, raw_digest FROM quarantine"):
        if hashlib.sha256(raw).digest() != digest:
            found = hashlib.sha256(raw).hexdigest()[:16]
            yield Finding(
                "quarantine is whole", f"quarantined record {number}", f"digest {digest.hex()[:16]}", f"digest {found}", f"jarvis quarantine show {number}"
            )


def sums_match_transactions(connection: Connection) -> Iterator[Finding]:
    """Every sum by account, currency and type is that of its transactions, to the last decimal."""
    summed = _summed(connection)
    sql = "SELECT account_id, currency, kind, type, amount, count FROM transaction_totals"
    stored = {(a, c, k, t): (Decimal(amount), n) for a, c, k, t, amount, n in connection.execute(sql)}
    for key in sorted({*summed, *stored}):
        expected, found = summed.get(key, (ZERO, 0)), stored.get(key, (ZERO, 0))
        if expected != found:
            yield Finding("sums match transactions", " ".join(key), _pair(expected), _pair(found), f"jarvis transactions --account {key[0]}")


def _summed(connection: Connection) -> dict[movements.Cell, tuple[Decimal, int]]:
    """The sum and the number of all transactions by account, currency, kind and type. Added up here: the store would sort them all first, in
    memory."""
    found: dict[str, tuple[Decimal, int]] = {}
    # One text comes into Python in half the time of four.
    key = connection.dialect.array("account_id", "currency", "kind", "type")
    rows = iter(connection.stream(f"SELECT {key}, amount FROM transactions"))
    while group := list(islice(rows, ROWS_AT_ONCE)):
        amounts: defaultdict[str, list[str]] = defaultdict(list)
        for cell, amount in group:
            amounts[cell].append(amount)
        for cell, of_it in amounts.items():
            total, count = found.get(cell, (ZERO, 0))
            found[cell] = reduce(EXACT.add, map(Decimal, of_it), total), count + len(of_it)
    return {tuple(json.loads(cell)): summed for cell, summed in found.items()}


def balances_are_explained(connection: Connection) -> Iterator[Finding]:
    """available + reserved = Σ transactions, for every account and currency: from the sums that are kept, each of which is compared with its
    transactions by the check above."""
    sums = "SELECT account_id, currency, kind, decimal_sum(amount) FROM transaction_totals GROUP BY account_id, currency, kind"
    explained = {(a, c, k): Decimal(amount) for a, c, k, amount in connection.execute(sums)}
    sql = "SELECT account_id, currency, kind, available, reserved FROM balances"
    stored = {(a, c, k): EXACT.add(Decimal(free), Decimal(held)) for a, c, k, free, held in connection.execute(sql)}
    for key in sorted({*explained, *stored}):
        expected, found = explained.get(key, ZERO), stored.get(key, ZERO)
        if expected != found:
            yield Finding("balances are explained", " ".join(key), canonical(expected), canonical(found), f"jarvis transactions --account {key[0]}")


def reserved_is_explained(connection: Connection) -> Iterator[Finding]:
    """reserved = Σ over open orders + Σ adjustments by hand."""
    explained: dict[tuple[str, str], Decimal] = {}
    sources = (
        "SELECT account_id, reserved_currency, reserved FROM orders WHERE reserved_currency IS NOT NULL",
        "SELECT e.account_id, e.currency, e.reserved FROM entries e JOIN facts f USING (fact_no) WHERE f.state = 0 AND e.reserved <> '0'",
    )
    for sql in sources:
        for account_id, currency, amount in connection.execute(sql):
            explained[account_id, currency] = EXACT.add(explained.get((account_id, currency), ZERO), Decimal(amount))
    stored = {(a, c): Decimal(r) for a, c, r in connection.execute("SELECT account_id, currency, reserved FROM balances WHERE kind = 'currency'")}
    for key in sorted({*explained, *stored}):
        expected, found = explained.get(key, ZERO), stored.get(key, ZERO)
        if expected != found:
            yield Finding("reserved is explained", " ".join(key), canonical(expected), canonical(found), f"jarvis orders --account {key[0]} --status pending")


def every_fact_has_its_content(connection: Connection) -> Iterator[Finding]:
    """One content row per identity that is not erased, in the table of its kind."""
    where = " ".join(f"WHEN '{key}' THEN NOT EXISTS (SELECT 1 FROM {content.table} t WHERE t.fact_no = f.fact_no)" for key, content in facts.CONTENT_OF.items())
    sql = f"SELECT f.kind, f.record_id, f.account_id FROM facts f WHERE f.state <> 2 AND CASE f.kind {where} END"
    for kind, record_id, account_id in connection.execute(sql):
        yield Finding("every fact has its content", f"{kind} {record_id} of {account_id}", f"a row in {facts.CONTENT_OF[kind].table}", "none", RESTORE)


def movements_match_their_facts(connection: Connection) -> Iterator[Finding]:
    """No transaction without a recorded fact of its account."""
    orphans = (
        "SELECT t.transaction_no, t.account_id FROM transactions t LEFT JOIN facts f ON f.fact_no = t.fact_no "
        "WHERE f.fact_no IS NULL OR f.account_id <> t.account_id OR f.state = 2"
    )
    for number, account_id in connection.execute(orphans):
        yield Finding(
            "movements match their facts", f"transaction {number} of {account_id}", "a recorded fact", "none", f"jarvis transactions --account {account_id}"
        )


def voids_count(connection: Connection) -> Iterator[Finding]:
    """A fact is voided where a void names it, a later fee also where one names its fill; and only there."""
    sql = (
        "SELECT f.kind, f.record_id, f.account_id, f.state FROM facts f WHERE f.state < 2 AND f.state <> CASE WHEN "
        "EXISTS (SELECT 1 FROM voids v WHERE v.account_id = f.account_id AND v.target_id = f.record_id AND v.target_kind = f.kind) "
        "OR EXISTS (SELECT 1 FROM fees e JOIN voids v ON v.account_id = e.account_id AND v.target_id = e.fill_id AND v.target_kind = 'fill' "
        "WHERE e.fact_no = f.fact_no) THEN 1 ELSE 0 END"
    )
    for kind, record_id, account_id, state in connection.execute(sql):
        expected, found = ("live", "voided") if state else ("voided", "live")
        yield Finding("voids count", f"{kind} {record_id} of {account_id}", expected, found, "jarvis rebuild --check")


#: Checks of the engine's own: that tables, indexes and references fit. Where the live books are kept by another one, a copy is checked.
FILE_CHECKS: tuple[FileCheck, ...] = (file_is_sound, references_hold)
CHECKS: tuple[Check, ...] = (
    sums_match_transactions, balances_are_explained, reserved_is_explained, orders_match_their_facts,
    every_fact_has_its_content, content_and_movements_follow, movements_match_their_facts, voids_count,
    quarantine_is_whole,
)  # fmt: skip
#: Those that take half of the time, where a file is looked through as well, and the others.
HALF: tuple[Check, ...] = (content_and_movements_follow, sums_match_transactions, orders_match_their_facts)
OTHER_HALF: tuple[Check, ...] = tuple(check for check in CHECKS if check not in HALF)


def _pair(sum_and_count: tuple[Decimal, int]) -> str:
    return f"{canonical(sum_and_count[0])} in {sum_and_count[1]}"
