"""Notes: what was recorded and is odd, where nothing is damaged. Checks of what is noted are lists of small functions.

A check that depends on recorded facts is told of every fact once, when it is new, and names its suspects: facts, orders, currencies. Only
suspects are looked at again, so looking costs what is new and what is odd, however long the history. A check of what stands now (balances,
days without a row) has no suspects and looks at all of it.

One note stands for everything that a check finds odd of one account and subject. Accepting it settles what it named: an event of the chain
keeps how far it went, and whatever goes further is a new note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import NamedTuple

from jarvis_client.contract.decimals import canonical
from jarvis_client.contract.errors import BooksError, Invalid
from persistence.books import events
from persistence.domain.finding import Finding, Note
from persistence.engine.contract import Connection, Database

#: Facts looked through in one snapshot: a tenth of a second, so that no log is held back.
FACTS_AT_ONCE = 50_000
#: Records that a note names.
NAMED = 5


class Terms(NamedTuple):
    """What an operator chose that decides what is odd, by account."""

    usd_like: Callable[[str], frozenset[str]]
    dust_usd: Callable[[str], Decimal]


class Suspect(NamedTuple):
    """What a check looks at again: a fact, or an order or a currency by its name (then `fact_no` is 0)."""

    account_id: str
    name: str
    fact_no: int


class Oddity(NamedTuple):
    """One thing that is odd. `extent` is how far it goes: the number of a fact where what comes later counts anew, else a size that may
    grow. `suspect` is what a check with suspects found it by."""

    account_id: str
    subject: str
    extent: Decimal | int
    found: str
    record: str | None = None
    suspect: Suspect | None = None


class Slice(NamedTuple):
    """Facts that are new to the checks: those after one number, up to another."""

    connection: Connection
    after: int
    to: int


class Look(NamedTuple):
    """What a check may use: one snapshot, the clock, what the operator chose. `name` is the check's own."""

    connection: Connection
    now: int
    terms: Terms
    name: str

    def suspects(self) -> list[Suspect]:
        sql = "SELECT account_id, name, fact_no FROM note_suspects WHERE check_name = ? ORDER BY account_id, name, fact_no"
        return [Suspect(*row) for row in self.connection.execute(sql, (self.name,))]


class NoteCheck(NamedTuple):
    """A check: what is as it should be, what settles it, what is odd; and of facts that are new, what may be.

    `find` yields what is odd now. Without `suspects` it looks at everything. `keeps_suspects`: those that are not odd stay suspects, too,
    of several with one name the newest.
    """

    name: str
    expected: str
    settled_by: str
    find: Callable[[Look], Iterable[Oddity]]
    suspects: Callable[[Slice], Iterable[Suspect]] | None = None
    keeps_suspects: bool = False


class Looked(NamedTuple):
    """The notes there are, and what could not be looked at."""

    notes: list[Note]
    findings: list[Finding]


_Key = tuple[str, str, str]  # check, account, subject
OPEN, ACCEPTED, OVER = "open", "accepted", "over"


def look(database: Database, checks: Sequence[NoteCheck], terms: Terms, now: int, *, anew: bool = False, known: bool = False) -> Looked:
    """Look at what came since last time and at all suspects (`anew`: at every fact again; `known`: at the suspects of before alone). Returns
    every open note, numbered."""
    # Books that cannot be written to are told of all the same, by what was found before.
    with suppress(BooksError):
        if not known:
            _look_for_suspects(database, checks, anew=anew)
    findings: list[Finding] = []
    odd: dict[_Key, list[Oddity]] = {}
    cleared: list[tuple[str, Suspect]] = []
    with database.snapshot() as connection:
        for check in checks:
            seen = Look(connection, now, terms, check.name)
            try:
                found = list(check.find(seen))
                cleared += [(check.name, suspect) for suspect in _cleared(check, seen, found)]
            except Exception as error:  # rows that cannot be read
                look_at = "jarvis restore --latest, or jarvis db salvage NEW-FILE"
                findings.append(Finding(check.name, "notes", "rows that can be read", f"{type(error).__name__}: {error}"[:300], look_at))
                continue
            for oddity in found:
                odd.setdefault((check.name, oddity.account_id, oddity.subject), []).append(oddity)
        book = _NoteBook(connection, {f.check for f in findings})
    open_notes = [
        (key, beyond) for key, found in odd.items() if (beyond := [o for o in found if o.extent > book.accepted.get(key, _NOTHING)])
    ]  # fmt: skip
    numbers = book.numbers
    with suppress(BooksError):
        numbers = book.write(database, dict(open_notes), set(odd), cleared, now)
    by_name = {check.name: check for check in checks}
    return Looked([_note(by_name[key[0]], key, numbers.get(key), beyond) for key, beyond in open_notes], findings)


def accept(database: Database, number: int, reason: str) -> None:
    """Settle what a note named, for good. Raises `Invalid` where there is no such note, or it is settled already."""
    with database.transaction() as connection:
        row = connection.execute("SELECT state, check_name, account_id, subject, extent FROM notes WHERE number = ?", (number,)).get
        if row is None:
            raise Invalid(f"there is no note {number}; `jarvis notes` lists those that are open")
        state, check, account_id, subject, extent = row
        if state != OPEN:
            raise Invalid(f"note {number} is {state} already; `jarvis notes` lists those that are open")
        content = {"number": number, "check": check, "account_id": account_id, "subject": subject, "extent": extent, "reason": reason}
        events.record(connection, events.NOTE_ACCEPTED, connection.now, content)
        connection.execute("UPDATE notes SET state = ? WHERE number = ?", (ACCEPTED, number))


def count_open(database: Database) -> dict[str, int]:
    """How many notes were open when somebody last looked, by check: it costs nothing to ask."""
    sql = "SELECT check_name, count(*) FROM notes WHERE state = ? GROUP BY check_name ORDER BY check_name"
    return {row[0]: row[1] for row in database.execute_query(sql, (OPEN,))}


def _cleared(check: NoteCheck, seen: Look, found: Sequence[Oddity]) -> list[Suspect]:
    """Suspects that need not be looked at again."""
    if check.suspects is None:
        return []
    suspects = seen.suspects()
    kept = set({s[:2]: s for s in suspects}.values()) if check.keeps_suspects else {o.suspect for o in found}
    return [suspect for suspect in suspects if suspect not in kept]


#: Everything goes beyond it.
_NOTHING = Decimal("-Infinity")


def _look_for_suspects(database: Database, checks: Sequence[NoteCheck], *, anew: bool) -> None:
    """Have every fact that is new looked at, slice by slice, each in a snapshot of its own."""
    reached = (0, 0) if anew else None
    with database.transaction(alone=True) as connection:
        # A commit that is still under way might bring lower numbers than have been looked at.
        newest: int = connection.execute("SELECT coalesce(max(fact_no), 0) FROM facts").get
        newest_event: int = connection.execute("SELECT coalesce(max(event_no), 0) FROM chain_events").get
    while True:
        with database.snapshot() as connection:
            facts_to, events_to = reached or connection.execute("SELECT facts_to, events_to FROM note_marks").get or (0, 0)
            to = min(newest, facts_to + FACTS_AT_ONCE)
            slices = [Slice(connection, facts_to, to)] if to > facts_to else []
            # A fact that was recorded anew keeps its old number.
            again = {content["fact_no"] for _, content in events.of_kind(connection, events.RECORDED_ANEW, events_to)} if newest_event > events_to else set()
            slices += [Slice(connection, number - 1, number) for number in sorted(again) if number <= facts_to]
            if not slices:
                return
            found = [
                (check.name, *suspect) for check in checks if check.suspects is not None for new in slices for suspect in check.suspects(new)
            ]  # fmt: skip
        with database.transaction() as connection:
            connection.executemany(
                "INSERT INTO note_suspects (check_name, account_id, name, fact_no) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (check_name, account_id, name, fact_no) DO NOTHING",
                found,
            )
            connection.execute(
                "INSERT INTO note_marks (one, facts_to, events_to) VALUES (1, ?1, ?2) ON CONFLICT (one) DO UPDATE SET "
                "facts_to = CASE WHEN note_marks.facts_to > ?1 THEN note_marks.facts_to ELSE ?1 END, "
                "events_to = CASE WHEN note_marks.events_to > ?2 THEN note_marks.events_to ELSE ?2 END",
                (to, newest_event),
            )
        reached = (to, newest_event)


class _NoteBook:
    """The notes that were told before, as a snapshot shows them."""

    def __init__(self, connection: Connection, unread: set[str]) -> None:
        over: set[int] = set()
        self._open: dict[_Key, tuple[int, str, int]] = {}
        self._accepted: dict[int, _Key] = {}
        #: Checks that could not look: their notes stay as they are.
        self._unread = unread
        sql = "SELECT number, check_name, account_id, subject, state, extent, count FROM notes ORDER BY number"
        for number, check, account_id, subject, state, extent, count in connection.execute(sql):
            key = (check, account_id, subject)
            if state == OPEN:
                self._open[key] = number, extent, count
            elif state == ACCEPTED:
                self._accepted[number] = key
            else:
                over.add(number)
        #: How far what was accepted goes. What was over once counts anew.
        self.accepted: dict[_Key, Decimal] = {}
        self._newest_accepted = 0
        for _, said in events.of_kind(connection, events.NOTE_ACCEPTED):
            key = (said["check"], said["account_id"], said["subject"])
            self._newest_accepted = max(self._newest_accepted, said["number"])
            if said["number"] not in over:
                self.accepted[key] = max(self.accepted.get(key, _NOTHING), Decimal(said["extent"]))

    @property
    def numbers(self) -> dict[_Key, int]:
        """The numbers of the notes that are open."""
        return {key: row[0] for key, row in self._open.items()}

    def write(
        self, database: Database, open_notes: dict[_Key, list[Oddity]], odd: set[_Key], cleared: Sequence[tuple[str, Suspect]], now: int
    ) -> dict[_Key, int]:
        """Keep what is open now, by number; nothing is written where nothing changed. Returns the numbers."""
        numbers = self.numbers
        over = [row[0] for key, row in self._open.items() if key not in open_notes and key[0] not in self._unread]
        over += [number for number, key in self._accepted.items() if key not in odd and key[0] not in self._unread]
        new, moved = [], []
        for key, beyond in open_notes.items():
            extent, count = canonical(Decimal(max(o.extent for o in beyond))), len(beyond)
            if key not in self._open:
                new.append((key, extent, count))
            elif self._open[key][1:] != (extent, count):
                moved.append((extent, count, self._open[key][0]))
        if not (new or moved or over or cleared):
            return numbers
        with database.transaction() as connection:
            connection.executemany(f"UPDATE notes SET state = '{OVER}' WHERE number = ?", [(number,) for number in over])
            connection.executemany("UPDATE notes SET extent = ?, count = ? WHERE number = ?", moved)
            sql = "DELETE FROM note_suspects WHERE check_name = ? AND account_id = ? AND name = ? AND fact_no = ?"
            connection.executemany(sql, [(check, *suspect) for check, suspect in cleared])
            number = max(self._newest_accepted, connection.execute("SELECT coalesce(max(number), 0) FROM notes").get)
            # Somebody else may have looked at the same time.
            known = {tuple(row): n for n, *row in connection.execute(f"SELECT number, check_name, account_id, subject FROM notes WHERE state = '{OPEN}'")}
            for key, extent, count in new:
                if key in known:
                    numbers[key] = known[key]
                    continue
                numbers[key] = number = number + 1
                connection.execute(
                    "INSERT INTO notes (number, check_name, account_id, subject, state, extent, count, noted_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (number, *key, OPEN, extent, count, now),
                )
        return numbers


def _note(check: NoteCheck, key: _Key, number: int | None, odd: Sequence[Oddity]) -> Note:
    _, account_id, subject = key
    # The first records of a set; of a size that grows, the worst says it all.
    records = tuple(o.record for o in odd if o.record is not None)[:NAMED]
    more = f", and {len(odd) - 1:,} more" if len(odd) > 1 else ""
    where = f"{account_id} {subject}".strip() + (f" ({', '.join(records)})" if records else "")
    return Note(number, check.name, account_id, subject, len(odd), records, where, check.expected, f"{odd[0].found}{more}", check.settled_by)


__all__ = ["Look", "Looked", "NoteCheck", "Oddity", "Slice", "Suspect", "Terms", "accept", "count_open", "look"]
