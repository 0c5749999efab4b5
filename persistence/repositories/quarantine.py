"""Quarantine: records that can never be applied, whole, until somebody decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jarvis_client.contract.choice import Choice
from jarvis_client.contract.instants import to_datetime, to_instant
from persistence.books import events, facts
from persistence.books.quarantine import storable
from persistence.domain.entries import AnyFact
from persistence.engine.contract import Database
from persistence.repositories.asked import limit_of


class QuarantineState(Choice):
    HELD = "held"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


STATES = tuple(str(state) for state in QuarantineState)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One record. `raw` is what arrived, byte for byte; `deliveries` counts how often; `resolution` says what became of it."""

    quarantine_no: int
    raw: bytes
    reason: str
    detail: str
    kind: str | None
    account_id: str | None
    record_id: str | None
    fact_no: int | None
    received_at: datetime
    deliveries: int
    state: str
    resolution: str | None
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are meant; what is None does not matter. `numbers` names them one by one."""

    numbers: Sequence[int] | None = None
    state: str | None = "held"
    kind: str | None = None
    reason: str | None = None
    account_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    after: int | None = None
    """Only records with a higher number: those of the next page."""

    def where(self) -> tuple[str, tuple[Any, ...]]:
        terms: list[str] = []
        params: list[Any] = []
        state = None if self.state is None else str(QuarantineState(self.state))
        for column, value in (("state", state), ("kind", self.kind), ("reason", self.reason), ("account_id", self.account_id)):
            if value is not None:
                terms.append(f"{column} = ?")
                params.append(value)
        for term, moment in (("received_at >= ?", self.start), ("received_at < ?", self.end)):
            if moment is not None:
                terms.append(term)
                params.append(to_instant(moment))
        if self.after is not None:
            terms.append("quarantine_no > ?")
            params.append(self.after)
        if self.numbers is not None:
            terms.append(f"quarantine_no IN ({', '.join('?' * len(self.numbers)) or 'NULL'})")
            params += self.numbers
        return " AND ".join(terms) or "TRUE", tuple(params)


_COLUMNS = "quarantine_no, raw, reason, detail, kind, account_id, record_id, fact_no, received_at, deliveries, state, resolution, resolved_at"


class SQLiteQuarantineRepository:
    """What is in quarantine, the oldest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, state: str = "held") -> int:
        return int(self._database.execute_query("SELECT count(*) FROM quarantine WHERE state = ?", (str(QuarantineState(state)),))[0][0])

    def held_by_reason(self) -> dict[str, int]:
        """How many records wait for a decision, by why."""
        sql = "SELECT reason, count(*) FROM quarantine WHERE state = 'held' GROUP BY reason ORDER BY reason"
        return {row[0]: row[1] for row in self._database.execute_query(sql)}

    def held_span(self) -> tuple[int, int] | None:
        """When the oldest and the newest of those arrived that wait for a decision, as instants; None where none does."""
        [row] = self._database.execute_query("SELECT min(received_at), max(received_at) FROM quarantine WHERE state = 'held'")
        return None if row[0] is None else (int(row[0]), int(row[1]))

    def numbers(self, wanted: Filter) -> list[int]:
        """The numbers of all records meant, taken at once: what arrives later is not among them."""
        where, params = wanted.where()
        return [row[0] for row in self._database.execute_query(f"SELECT quarantine_no FROM quarantine WHERE {where} ORDER BY quarantine_no", params)]

    def find(self, number: int) -> Quarantined | None:
        return next(iter(self.stream(Filter(numbers=[number], state=None))), None)

    def stream(self, wanted: Filter | None = None, limit: int | None = None) -> Iterator[Quarantined]:
        where, params = (wanted or Filter()).where()
        with self._database.get_connection() as connection:
            sql = f"SELECT {_COLUMNS} FROM quarantine WHERE {where} ORDER BY quarantine_no LIMIT ?"
            for row in connection.stream(sql, (*params, limit_of(limit))):
                yield _entity(row)

    def recorded_version(self, held: Quarantined) -> AnyFact | None:
        """The recorded fact that a conflict is in conflict with; None for other reasons, or where it went with its account."""
        if held.fact_no is None:
            return None
        with self._database.get_connection() as connection:
            return facts.recorded_fact(connection, held.fact_no)

    def resolve(self, number: int, state: str, resolution: str, now: int) -> bool:
        """Say what became of a held record; False where somebody else has done so already. `held` keeps it, with a remark."""
        state, said = str(QuarantineState(state)), storable(resolution)
        before = self.find(number)
        if before is not None and (before.state, before.resolution) == (state, said):
            return True  # nothing new to say
        sql = "UPDATE quarantine SET state = ?, resolution = ?, resolved_at = ? WHERE quarantine_no = ? AND state = 'held'"
        with self._database.transaction() as connection:
            if not self._database.execute_update(sql, (state, said, now, number)):
                return False
            events.record(connection, events.QUARANTINE_DECIDED, now, {"quarantine_no": number, "state": state, "resolution": said})
            return True


def _entity(row: Sequence[Any]) -> Quarantined:
    number, raw, reason, detail, kind, account_id, record_id, fact_no, received, deliveries, state, resolution, resolved = row
    return Quarantined(
        number, raw, reason, detail, kind, account_id, record_id, fact_no, to_datetime(received), deliveries, state, resolution,
        None if resolved is None else to_datetime(resolved),
    )  # fmt: skip
