"""The bare driver: the very rows that `Ledger.post` leaves, written by `executemany` of ready-made parameters."""

from __future__ import annotations

from typing import Any

from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.domain.ready import ReadyFill

from .common import COMMIT, fill_facts, fresh_books, seconds

TABLES = ("facts", "fills", "transactions", "orders")


def ready_made(facts: list[Any]) -> list[dict[str, list[tuple[Any, ...]]]]:
    """Per commit of 1,000 fills, the rows of each table; read back from books that the ledger wrote."""
    commits = []
    with fresh_books() as database:
        ledger = Ledger(database)
        for n in range(0, len(facts), COMMIT):
            ledger.post(facts[n : n + COMMIT])
            low, high = n + 1, n + COMMIT
            rows: dict[str, list[tuple[Any, ...]]] = {}
            for table, key, scale in (("facts", "fact_no", 1), ("fills", "fact_no", 1), ("transactions", "transaction_no", 16), ("orders", "order_no", 1)):
                columns = columns_of(database, table)
                bound = (low * scale, high * scale + scale - 1)
                rows[table] = [tuple(r) for r in database.execute_query(f"SELECT {columns} FROM {table} WHERE {key} BETWEEN ? AND ? ORDER BY {key}", bound)]
            for table in ("transaction_totals", "balances", "accounts"):
                rows[table] = [tuple(r) for r in database.execute_query(f"SELECT * FROM {table}")]
            commits.append(rows)
    return commits


def columns_of(database: DatabaseManager, table: str) -> str:
    return ", ".join(r["name"] for r in database.execute_query(f"SELECT name FROM pragma_table_xinfo('{table}') WHERE hidden = 0"))


def write(database: DatabaseManager, commits: list[dict[str, list[tuple[Any, ...]]]]) -> None:
    statements = {}
    for table in (*TABLES, "transaction_totals", "balances", "accounts"):
        columns = columns_of(database, table)
        marks = ", ".join("?" * (columns.count(",") + 1))
        verb = "INSERT" if table in TABLES else "REPLACE"
        statements[table] = f"{verb} INTO {table} ({columns}) VALUES ({marks})"
    for table, sql in statements.items():
        if table == "accounts":
            names = columns_of(database, table).split(", ")
            sets = ", ".join(f"{n} = excluded.{n}" for n in names[1:])
            statements[table] = f"{sql.replace('REPLACE', 'INSERT')} ON CONFLICT DO UPDATE SET {sets}"
    for rows in commits:
        with database.transaction() as connection:
            for table in ("accounts", *TABLES, "transaction_totals", "balances"):
                connection.executemany(statements[table], rows[table])


def compare(count: int = 20_000, rounds: int = 3) -> dict[str, float]:
    """Microseconds a fill of each, the best of interleaved rounds: `Ledger.post` of fills, and of fills that their reader has made ready, as it
    is in a worker with a backlog and in an import."""
    facts = fill_facts(count)
    commits, ready = ready_made(facts), [ReadyFill.of(fact) for fact in facts]
    best = {"bare driver": float("inf"), "Ledger.post": float("inf"), "made ready": float("inf")}
    for _ in range(rounds):
        with fresh_books() as database:
            best["bare driver"] = min(best["bare driver"], seconds(lambda database=database: write(database, commits)))
        for name, batch in (("Ledger.post", facts), ("made ready", ready)):
            with fresh_books() as database:
                ledger = Ledger(database)
                best[name] = min(best[name], seconds(lambda ledger=ledger, batch=batch: [ledger.post(batch[n : n + COMMIT]) for n in range(0, count, COMMIT)]))
    return {name: taken / count * 1e6 for name, taken in best.items()}


if __name__ == "__main__":
    found = compare()
    print({name: round(value, 1) for name, value in found.items()}, {name: round(found["bare driver"] / value, 2) for name, value in found.items()})
