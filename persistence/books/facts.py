"""The rows of recorded facts: their identities, and one table per kind of content.

Everything the ledger writes per fact is an insert of ready tuples; a fill's texts are made once and serve its digest and its row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from heapq import merge
from operator import itemgetter
from typing import Any, NamedTuple

from jarvis_client.contract.decimals import canonical
from jarvis_client.contract.facts import BalanceReport, Deposit, EquitySnapshot, Fee, Fill, OrderEvent, Rate, Void, Withdrawal
from jarvis_client.contract.facts.base import read_values
from jarvis_client.contract.instants import to_instant
from persistence.books.order_of_facts import oldest_first
from persistence.domain.entries import Adjustment, AnyFact, ManualTransaction
from persistence.engine.contract import Connection

LIVE, VOIDED, ERASED = 0, 1, 2

Identity = tuple[str, str, str]  # record id, account, kind: the order of the index

INSERT_IDENTITY = (
    "INSERT INTO facts (fact_no, kind, account_id, record_id, sort_key, occurred_at, sequence, producer, digest, recorded_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (record_id, account_id, kind) DO NOTHING"
)


class Known(NamedTuple):
    """What the books hold under an identity."""

    fact_no: int
    digest: bytes
    sequence: int | None
    producer: str | None
    state: int
    recorded: str
    """The kind, for messages."""


class Content(NamedTuple):
    """Where the content of some kinds of facts is kept. `told_apart_by` names the column that says the kind, where there are two."""

    table: str
    kinds: dict[str, type[Any]]
    told_apart_by: str = ""
    #: Fields of the fact that no column keeps, because the table says them otherwise.
    left_out: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the fact's own fields, in their order; producer and sequence stand with its identity."""
        [cls, *_] = self.kinds.values()
        return tuple(name for name in cls._fields[:-2] if name not in self.left_out)

    @property
    def insert(self) -> str:
        names = ["fact_no", *self.columns, *filter(None, (self.told_apart_by,))]
        return f"INSERT INTO {self.table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"

    def row(self, fact_no: int, fact: AnyFact) -> tuple[Any, ...]:
        values = (fact_no, *(_stored(value) for name, value in zip(fact._fields[:-2], fact, strict=False) if name not in self.left_out))
        return (*values, fact.kind) if self.told_apart_by else values

    @property
    def selected(self) -> str:
        """The columns that `read` takes."""
        said = f"c.{self.told_apart_by}" if self.told_apart_by else f"'{next(iter(self.kinds))}'"
        return f"{said}, {', '.join(f'c.{name}' for name in self.columns)}, f.producer, f.sequence"

    @property
    def source(self) -> str:
        return f"{self.table} c JOIN facts f USING (fact_no)"

    def read(self, row: Sequence[Any]) -> AnyFact:
        kind, *values = row
        cls = self.kinds[kind]
        return cls._make(read_values(cls, values))  # type: ignore[no-any-return]


FILLS = Content("fills", {"fill": Fill})
FLOWS = Content("flows", {"deposit": Deposit, "withdrawal": Withdrawal}, "direction")
FEES = Content("fees", {"fee": Fee})
EVENTS = Content("order_events", {"order": OrderEvent})
SNAPSHOTS = Content("equity_snapshots", {"metrics": EquitySnapshot})
RATES = Content("rates", {"rate": Rate}, left_out=("account_id",))
REPORTS = Content("balance_reports", {"balance": BalanceReport})
VOIDS = Content("voids", {"void": Void})
ENTRIES = Content("entries", {"transaction": ManualTransaction, "adjustment": Adjustment}, "kind")

CONTENTS = (FILLS, FLOWS, FEES, EVENTS, SNAPSHOTS, RATES, REPORTS, VOIDS, ENTRIES)
#: Where the content of each kind is kept.
CONTENT_OF = {kind: content for content in CONTENTS for kind in content.kinds}
#: Kinds that follow the order of their kind's table alone need no reading: the statement of each, made once.
INSERTS = {kind: content.insert for kind, content in CONTENT_OF.items()}


def find_known(connection: Connection, identities: Sequence[Identity]) -> dict[Identity, Known]:
    """What is recorded under each of these identities; missing ones are left out."""
    rows = connection.lookup(
        "SELECT record_id, account_id, kind, fact_no, digest, sequence, producer, state FROM facts WHERE record_id = ? AND account_id = ? AND kind = ?",
        identities,
    )
    return {(record_id, account_id, kind): Known._make((*known, kind)) for record_id, account_id, kind, *known in rows}


def facts_of_order(connection: Connection, order_id: str, account_id: str) -> list[Fill | OrderEvent]:
    """The live facts of an account under an order id: of every order that has it."""
    return facts_of_orders(connection, [(order_id, account_id)]).get((order_id, account_id), [])


def facts_of_orders(connection: Connection, ids: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[Fill | OrderEvent]]:
    """The same of many (order id, account)."""
    found: dict[tuple[str, str], list[Any]] = {}
    for content in (FILLS, EVENTS):
        sql = f"SELECT {content.selected} FROM {content.source} WHERE c.order_id = ? AND c.account_id = ? AND f.state = 0"
        for row in connection.lookup(sql, ids):
            fact: Any = content.read(row)
            found.setdefault((fact.order_id, fact.account_id), []).append(fact)
    return found


def order_of_fact(connection: Connection, kind: str, fact_no: int) -> tuple[str, str] | None:
    """(order id, account) of a fill or an order event; None of a fill without an order."""
    if kind not in ("fill", "order"):
        return None
    row = connection.execute(f"SELECT order_id, account_id FROM {CONTENT_OF[kind].table} WHERE fact_no = ?", (fact_no,)).get
    return None if row is None or row[0] is None else (row[0], row[1])


class Recorded(NamedTuple):
    """A fact as its content row tells it, and what its identity says."""

    fact_no: int
    identity: Identity
    digest: bytes
    state: int
    fact: AnyFact


#: What a row of a fact begins with, before its content says its kind.
_HEAD = "f.fact_no, f.record_id, f.account_id, f.kind, f.digest, f.state"
#: Where its number and its state stand.
NUMBER, STATE = 0, 5


def rows_of(connection: Connection, content: Content, after: int = 0) -> Iterator[tuple[Any, ...]]:
    """The rows of the facts of a table, in the order of their numbers; `recorded` reads them."""
    return iter(connection.stream(f"SELECT {_HEAD}, {content.selected} FROM {content.source} WHERE c.fact_no > ? ORDER BY c.fact_no", (after,)))


def rows_of_numbers(connection: Connection, content: Content, numbers: Sequence[tuple[int]]) -> Sequence[tuple[Any, ...]]:
    """The same of the facts of these numbers, in no order."""
    return connection.lookup(f"SELECT {_HEAD}, {content.selected} FROM {content.source} WHERE c.fact_no = ?", numbers)


def rows_by_number(connection: Connection, after: int = 0) -> Iterator[tuple[Any, ...]]:
    """The row of every fact that has content, of all kinds, in the order of their numbers; `recorded` and `proved_texts` read them."""
    return merge(*(rows_of(connection, content, after) for content in CONTENTS), key=itemgetter(NUMBER))


def recorded(row: Sequence[Any]) -> Recorded:
    """The fact of such a row."""
    number, record_id, account_id, kind, digest, state, *values = row
    return Recorded(number, (record_id, account_id, kind), digest, state, _with_account(CONTENT_OF[values[0]], values, account_id))


def proved_texts(row: Sequence[Any]) -> tuple[Any, ...] | None:
    """The texts of a fill (`Fill.texts`) that such a row holds, where they have the digest of its identity: what costs a third of making the
    fact. None where only the fact itself can tell."""
    _, record_id, account_id, kind, digest, _, said, *values = row
    texts = tuple(values[:-2])
    # An empty text has the digest of none at all, but is no number.
    if said != Fill.kind or kind != said or "" in texts or texts[:2] != (account_id, record_id):
        return None
    return texts if sha256(Fill.content_of(texts).encode("utf-8", "surrogatepass")).digest() == digest else None


def _with_account(content: Content, values: Sequence[Any], account_id: str) -> AnyFact:
    """A fact from its row; of no account where its table keeps none."""
    kind, *fields = values
    return content.read((kind, account_id, *fields) if content.left_out else values)


def numbers_of(connection: Connection, kinds: Sequence[str], account_id: str | None, start: datetime | None, end: datetime | None) -> Iterator[int]:
    """The numbers of the facts of some kinds in [start, end), and of their voids, in the order of facts. Erased ones have no content.

    A void belongs to the period of its target, and to its own where the target has not come.
    """
    placeholders = ", ".join("?" * len(kinds))
    where = "" if account_id is None else "AND f.account_id = ? "
    bounds = (("{} >= ? ", start), ("{} < ? ", end))
    own = "".join(f"AND {term.format('f.occurred_at')}" for term, moment in bounds if moment is not None)
    targets = "".join(f"AND {term.format('coalesce(t.occurred_at, f.occurred_at)')}" for term, moment in bounds if moment is not None)
    params = (*kinds, *(() if account_id is None else (account_id,)), *(to_instant(moment) for _, moment in bounds if moment is not None))
    columns = "f.fact_no, f.occurred_at, f.sequence, f.producer, f.sort_key"
    sql = (
        f"SELECT {columns} FROM facts f WHERE f.state <> 2 AND f.kind IN ({placeholders}) {where}{own}UNION ALL "
        f"SELECT {columns} FROM voids v JOIN facts f USING (fact_no) LEFT JOIN facts t ON t.fact_no = v.target_fact_no "
        f"WHERE v.target_kind IN ({placeholders}) {where}{targets}"
    )
    for (number,) in connection.stream(f"SELECT f.fact_no FROM ({sql}) AS f ORDER BY {oldest_first('f.occurred_at')}", params * 2):
        yield int(number)


def recorded_fact(connection: Connection, fact_no: int) -> AnyFact | None:
    """The fact of that number; None where it was erased with its account."""
    kind = connection.execute("SELECT kind FROM facts WHERE fact_no = ?", (fact_no,)).get
    if kind is None:
        return None
    content = CONTENT_OF[kind]
    row = connection.execute(f"SELECT {content.selected}, f.account_id FROM {content.source} WHERE f.fact_no = ?", (fact_no,)).get
    return None if row is None else _with_account(content, row[:-1], row[-1])


def erase(connection: Connection, account_id: str) -> int:
    """Turn the identities of an account's facts into tombstones; their content goes with the account. Returns how many."""
    numbers = " UNION ALL ".join(f"SELECT fact_no FROM {content.table} WHERE account_id = ?1" for content in CONTENTS if not content.left_out)
    erased = connection.changed(f"UPDATE facts SET state = 2 WHERE fact_no IN ({numbers})", (account_id,))
    connection.execute("DELETE FROM voids WHERE account_id = ?", (account_id,))
    return erased


def _stored(value: Any) -> Any:
    if type(value) is Decimal:
        return canonical(value)
    return int(value) if type(value) is bool else value


def write_all(connection: Connection, rows: Iterable[tuple[str, list[tuple[Any, ...]]]]) -> None:
    """Insert rows, statement by statement."""
    for sql, bindings in rows:
        connection.insert_many(sql, bindings)
