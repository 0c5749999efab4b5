"""What the next rollup builds upon, and the digest by which a change of it shows.

The digest of an account is the sum of the digests of its rows, so a rollup's commit moves it by the rows that it writes: a day costs
that day. Whoever writes such a row outside `followed` leaves a digest that does not fit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from persistence.engine.contract import Connection

#: What follows from the facts of a day alone, and from what was left before it, by account and date.
REPLAYED = ("trades", "asset_closes", "lots", "currency_rates", "contract_values", "flow_values", "rollup_oddities")
#: What the daily rollup derives, by account and date.
DERIVED = ("rollup_rows", "withheld_days", "withheld_currencies", *REPLAYED)
#: What the digest covers: how far an account is rolled up under which options, too.
COVERED = (*DERIVED, "rollup_accounts")

_WITH_REALS = {"rollup_rows"}
_SIZE = 32
_MODULUS = 1 << (8 * _SIZE)


@contextmanager
def followed(connection: Connection, account_id: str, *, anew: bool = False) -> Iterator[None]:
    """The block's changes of derived rows of an account count in its digest; it is part of a commit.

    `anew`: everything is about to be derived from the facts again, so the digest starts from the rows as they are.
    """
    with connection.row_changes(COVERED) as changes:
        yield
    if anew:
        _keep(connection, account_id, digest_of_rows(connection, account_id))
        return
    moved = sum(_number(table, new) - _number(table, old) for table, old, new in changes)
    before = connection.execute("SELECT digest FROM derived_digests WHERE account_id = ?", (account_id,)).get
    digest = ((0 if before is None else int.from_bytes(before, "big")) + moved) % _MODULUS
    _keep(connection, account_id, digest.to_bytes(_SIZE, "big"))


def stored_digest(connection: Connection, account_id: str) -> bytes:
    """What the commits of rollups made of it; that of no rows before the first."""
    found = connection.execute("SELECT digest FROM derived_digests WHERE account_id = ?", (account_id,)).get
    return bytes(_SIZE) if found is None else bytes(found)


def digest_of_rows(connection: Connection, account_id: str, tables: Sequence[str] = COVERED) -> bytes:
    """The same from the rows that there are."""
    total = 0
    for table in tables:
        for row in connection.execute(f"SELECT * FROM {table} WHERE account_id = ?", (account_id,)):
            total += _number(table, row)
    return (total % _MODULUS).to_bytes(_SIZE, "big")


def _keep(connection: Connection, account_id: str, digest: bytes) -> None:
    sql = "INSERT INTO derived_digests (account_id, digest) VALUES (?, ?) ON CONFLICT (account_id) DO UPDATE SET digest = excluded.digest"
    connection.execute(sql, (account_id, digest))


def _number(table: str, row: tuple[Any, ...] | None) -> int:
    if row is None:
        return 0
    if table in _WITH_REALS:
        # A whole number reads the same, whether the engine hands it out as it was given or as it is stored.
        row = tuple(int(v) if type(v) is float and v.is_integer() else v for v in row)
    return int.from_bytes(hashlib.sha256(repr((table, row)).encode("utf-8", "surrogatepass")).digest(), "big")
