"""Tampering, by somebody who can write to the file: each kind is found and the first row named."""

from __future__ import annotations

import json
import random
from datetime import date as Date
from pathlib import Path

import pytest
from books import NEW_YEAR, deposit, fill, placed, snapshot, statuses, void
from hypothesis import given
from hypothesis import strategies as st

from jarvis_client.contract.outcome import Refusal
from persistence.books import events
from persistence.database import DatabaseManager
from persistence.domain import PerformanceMetrics, texts
from persistence.proof import chain
from persistence.proof.chain_checks import Anchor, check_chain, first_difference
from persistence.repositories import SQLiteAccountRepository, SQLitePerformanceRepository
from persistence.repositories.quarantine import SQLiteQuarantineRepository


@pytest.fixture
def sealed(database, ledger):
    """Books of a few hundred records of every kind, sealed."""
    ledger.post([deposit(n) for n in range(3)] + [placed(), snapshot(), fill(0)])
    ledger.post([fill(n, order_id=f"o{n}") for n in range(1, 200)])
    ledger.post(
        [
            fill("fine")._replace(given_time="2026-01-01T00:00:00.000000001Z"),
            void(1, "fill", "f5"),
            Refusal(b"raw", "malformed", "no JSON"),
            deposit(9, account_id='ünïcode "quoted" \\ 💶'),
        ]
    )
    chain.seal(database, NEW_YEAR)
    return database


def findings(database: DatabaseManager, *anchors: Anchor) -> list[str]:
    with database.get_connection() as connection:
        return [f"{f.where}: {f.found}" for f in check_chain(connection, anchors)]


def head_of(database: DatabaseManager) -> chain.Head:
    with database.get_connection() as connection:
        return chain.head(connection)


def unsealed(database: DatabaseManager) -> int:
    """Facts that wait for the next block."""
    return database.execute_query("SELECT count(*) FROM facts WHERE fact_no > ?", (head_of(database).facts_to,))[0][0]


def tamper(database: DatabaseManager, sql: str) -> None:
    """What somebody with write access does: no trigger of ours stops them."""
    with database.transaction() as connection:
        for name in ("transactions_immutable", "chain_events_immutable", "chain_blocks_immutable"):
            connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        connection.pragma("defer_foreign_keys", True)
        connection.execute(sql)


def test_untouched_it_holds(sealed):
    assert findings(sealed) == []
    assert unsealed(sealed) == 0


def test_sealing_again_adds_only_what_came_since(sealed, ledger):
    head = head_of(sealed)
    assert chain.seal(sealed, NEW_YEAR + 1) == head
    ledger.post([deposit("new")])
    assert unsealed(sealed) == 1
    assert chain.seal(sealed, NEW_YEAR + 2).block_no == head.block_no + 1
    assert findings(sealed, Anchor(head.block_no, head.hash, "elsewhere")) == []


TAMPERING = {
    "UPDATE transactions SET amount = '101' WHERE transaction_no = 10 * 16 + 1": "fact 10 (fill f4 of acc, with its transactions): changed",
    "UPDATE facts SET occurred_at = occurred_at + 1 WHERE fact_no = 20": "fact 20 (fill f14 of acc, with its transactions): changed",
    "UPDATE facts SET digest = zeroblob(32) WHERE fact_no = 21": "fact 21 (fill f15 of acc, with its transactions): changed",
    "UPDATE facts SET sequence = 5 WHERE fact_no = 22": "fact 22 (fill f16 of acc, with its transactions): changed",
    "DELETE FROM transactions WHERE transaction_no = 30 * 16 + 2": "fact 30 (fill f24 of acc, with its transactions): changed",
    "INSERT INTO transactions (transaction_no, account_id, occurred_at, type, currency, kind, amount) VALUES (40 * 16 + 4, 'acc', 1, 'fee', 'USDT', 'currency', '-1')": (
        "fact 40 (fill f34 of acc, with its transactions): changed"
    ),
    "UPDATE fills SET given_time = '2026-01-01T00:00:00.000000002Z' WHERE fill_id = 'ffine'": "fact 206 (fill ffine of acc, with its transactions): changed",
    "UPDATE fills SET given_time = '2026-01-01T00:00:00.000000002Z' WHERE fact_no = 23": "fact 23 (fill f17 of acc, with its transactions): changed",
    "UPDATE quarantine SET detail = 'nothing'": "quarantined record 1: changed",
    "DELETE FROM quarantine": "quarantined record 1: removed",
    'INSERT INTO chain_events (kind, happened_at, content) VALUES (\'place changed\', 1, \'{"fact_no":7,"before":[null,null],"after":[3,null]}\')': (
        "fact 7 (fill f1 of acc, with its transactions): [3, None]"
    ),
}


@pytest.mark.parametrize("sql", TAMPERING, ids=lambda sql: " ".join(sql.split()[:4]))
def test_what_was_changed_is_named(sealed, sql):
    tamper(sealed, sql)
    assert TAMPERING[sql] in findings(sealed)


def test_a_fact_that_is_removed_whole_or_slipped_in_is_named(sealed):
    for table in ("transactions", "fills", "facts"):
        tamper(sealed, f"DELETE FROM {table} WHERE fact_no = 50")
    assert findings(sealed)[0] == "fact 50: removed"


def test_a_hundred_changes_of_anything_are_a_hundred_findings(sealed):
    chance = random.Random(5)
    columns = [
        ("facts", "fact_no", ("kind", "account_id", "record_id", "occurred_at", "sequence", "producer", "digest", "recorded_at")),
        ("transactions", "transaction_no", ("account_id", "occurred_at", "type", "currency", "amount", "description", "reference")),
    ]
    for _ in range(100):
        table, key, names = chance.choice(columns)
        column = chance.choice(names)
        [number] = chance.choice(sealed.execute_query(f"SELECT {key} FROM {table} WHERE {key} < 16 * 1000"))
        if table == "transactions" and number & 8:
            continue  # reversals follow from what they reverse: another check
        value = {"digest": "randomblob(32)", "kind": "'withdrawal'", "amount": "'0.5'"}.get(column, "7")
        with pytest.raises(ZeroDivisionError), sealed.transaction() as connection:
            connection.pragma("defer_foreign_keys", True)
            connection.execute("DROP TRIGGER transactions_immutable")
            connection.execute(f"UPDATE {table} SET {column} = {value} WHERE {key} = {number}")
            fact = number if table == "facts" else number >> 4
            assert any(f.where.startswith(f"fact {fact} ") for f in check_chain(connection)), (table, column, number)
            1 / 0  # noqa: B018


def test_a_forged_chain_does_not_end_with_the_head_that_was_kept(sealed, tmp_path):
    head = head_of(sealed)
    sealed.backup(tmp_path / "kept.db")
    tamper(sealed, "UPDATE transactions SET amount = '999' WHERE transaction_no = 60 * 16 + 1")
    tamper(sealed, "DELETE FROM chain_blocks")
    chain.seal(sealed, NEW_YEAR)
    assert findings(sealed) == [], "in itself it is sound"

    [said] = findings(sealed, Anchor(head.block_no, head.hash, "a manifest"))
    assert "block 1" in said
    with sealed.get_connection() as ours, DatabaseManager(tmp_path / "kept.db").get_connection() as theirs:
        assert first_difference(ours, theirs).where == "fact 60 (fill f54 of acc, with its transactions)"


def test_a_chain_that_was_cut_short_is_missing_its_head(sealed, ledger):
    ledger.post([deposit("last")])
    head = chain.seal(sealed, NEW_YEAR)
    tamper(sealed, f"DELETE FROM chain_blocks WHERE block_no = {head.block_no}")
    assert findings(sealed, Anchor(head.block_no, head.hash, "kept")) == [f"block {head.block_no}: no such block"]


def test_an_earlier_place_of_a_fact_is_told_by_an_event(sealed, ledger):
    assert statuses(ledger.post([deposit(1, producer="p", sequence=-5)])) == ["duplicate"]
    assert sealed.execute_query("SELECT sequence FROM facts WHERE record_id = 'd1'")[0][0] == -5
    assert findings(sealed) == []
    chain.seal(sealed, NEW_YEAR)
    assert findings(sealed) == []
    tamper(sealed, "UPDATE facts SET sequence = -9 WHERE record_id = 'd1'")
    assert any("[-9, 'p']" in f for f in findings(sealed))


def test_a_deleted_account_leaves_tombstones_and_the_chain_says_so(sealed, ledger):
    repository = SQLiteAccountRepository(sealed)
    ledger.post([deposit("unsealed")])
    repository.delete("acc")
    assert findings(sealed) == []
    [event] = [c for _, c in events.of_kind(sealed.get_connection().__enter__(), events.ACCOUNT_DELETED)]
    assert event == {"account_id": "acc", "facts": 208}
    tamper(sealed, "UPDATE facts SET digest = zeroblob(32) WHERE fact_no = 3")
    assert findings(sealed) == ["fact 3 (deposit d2 of acc, with its transactions): changed"]


def test_what_is_saved_by_hand_after_a_deletion_is_sealed_anew(database, ledger):
    from persistence.domain import Currency, Money, Transaction, TransactionType
    from persistence.repositories import SQLiteTransactionRepository

    transaction = Transaction(TransactionType.DEPOSIT, Money("5", Currency("USDT")), "by hand")
    repository = SQLiteTransactionRepository(database)
    repository.save(transaction, "acc")
    SQLiteAccountRepository(database).delete("acc")
    repository.save(transaction, "acc")
    chain.seal(database, NEW_YEAR)
    assert findings(database) == []
    assert database.execute_query("SELECT count(*) FROM transactions")[0][0] == 1


def test_what_is_saved_by_hand_again_is_no_finding_before_it_is_sealed_either(database, ledger):
    from persistence.domain import Currency, Money, Transaction, TransactionType
    from persistence.proof import since_last_time
    from persistence.repositories import SQLiteTransactionRepository

    transaction = Transaction(TransactionType.DEPOSIT, Money("5", Currency("USDT")), "by hand")
    repository = SQLiteTransactionRepository(database)
    repository.save(transaction, "acc")
    ledger.post([deposit(account_id="other")])
    SQLiteAccountRepository(database).delete("acc")
    since_last_time.remember(database, database, NEW_YEAR)
    repository.save(transaction, "acc")
    assert findings(database) == []
    with database.snapshot() as connection:
        assert list(since_last_time.check_since(connection, since_last_time.last_verified(connection))) == []


def test_what_was_decided_and_what_was_deleted_stays_so(sealed):
    SQLiteQuarantineRepository(sealed).resolve(1, "discarded", "a test", NEW_YEAR)
    SQLiteAccountRepository(sealed).delete("acc")
    assert findings(sealed) == []
    tamper(sealed, "UPDATE quarantine SET state = 'held', resolution = NULL")
    tamper(sealed, "DELETE FROM account_tombstones")
    assert findings(sealed) == ["quarantined record 1: held, None", "account acc: none"]


def forge_anew(database: DatabaseManager) -> None:
    """Another amount of a deposit, with its digest, and an event as if it had been saved by hand after a deletion."""
    from persistence.books import facts

    with database.transaction() as connection:
        connection.execute("DROP TRIGGER transactions_immutable")
        connection.execute("UPDATE flows SET amount = '9' WHERE fact_no = 1")
        connection.execute("UPDATE transactions SET amount = '9' WHERE transaction_no = 16")
        connection.execute("UPDATE facts SET digest = ? WHERE fact_no = 1", (facts.recorded_fact(connection, 1).digest,))
        events.record(connection, events.RECORDED_ANEW, NEW_YEAR, {"fact_no": 1})


@pytest.mark.parametrize("seal", [False, True], ids=["not sealed yet", "sealed"])
@pytest.mark.parametrize("deletion", [False, True], ids=["without a deletion", "with a forged deletion"])
def test_an_event_alone_makes_no_record_new(sealed, seal, deletion):
    head = head_of(sealed)
    if deletion:
        with sealed.transaction() as connection:
            events.record(connection, events.ACCOUNT_DELETED, NEW_YEAR, {"account_id": "acc", "facts": 1})
        chain.seal(sealed, NEW_YEAR + 1)
    forge_anew(sealed)
    if seal:
        chain.seal(sealed, NEW_YEAR + 1)
    assert any(f.startswith("fact 1 (deposit d0 of acc") for f in findings(sealed, Anchor(head.block_no, head.hash, "kept")))


def test_a_fact_that_is_erased_behind_the_chain_is_named(sealed):
    [number] = sealed.execute_query("SELECT fact_no FROM facts WHERE kind = 'metrics'")[0]
    tamper(sealed, f"DELETE FROM equity_snapshots WHERE fact_no = {number}")
    tamper(sealed, f"UPDATE facts SET state = 2 WHERE fact_no = {number}")
    assert [f for f in findings(sealed) if f.startswith(f"fact {number} ") and "no event tells" in f]


def test_a_head_that_is_given_counts_beside_those_of_backups(sealed):
    head = head_of(sealed)
    bad, good = Anchor(head.block_no, bytes(32), "--head"), Anchor(head.block_no, head.hash, "a manifest")
    assert len(findings(sealed, bad, good)) == 1
    assert len(findings(sealed, Anchor(0, bytes(32), "--head"))) == 1, "the beginning is a head, too"


def test_performance_rows_saved_by_hand_are_events(database):
    repository = SQLitePerformanceRepository(database)
    row = PerformanceMetrics(account_id="a", date=Date(2026, 1, 1), total_value_usd="1", pnl_daily="0", pnl_total="0")
    repository.save(row)
    chain.seal(database, NEW_YEAR)
    assert findings(database) == []
    tamper(database, "UPDATE performance_metrics SET pnl_total = '1000000'")
    assert findings(database) == ["performance row 2026-01-01 of a: other figures"]


def test_the_document_s_vectors_hold(database, ledger):
    """docs/chain.md: another program can check the chain from the document alone."""
    vectors = json.loads((Path(__file__).parents[2] / "docs" / "chain-vectors.json").read_text())
    import hashlib

    for vector in vectors["texts"]:
        assert hashlib.sha256(vector["text"].encode()).hexdigest() == vector["sha256"]
        assert texts.canonical_text(json.loads(vector["text"])) == vector["text"]
    block = vectors["block"]
    made = chain.Block(*block["header"], bytes.fromhex(block["entries"]), b"")
    beginning = hashlib.sha256(b"jarvis chain 1\n" + vectors["book_id"].encode()).digest()
    assert beginning.hex() == vectors["beginning"]
    assert made.hash_after(beginning).hex() == block["hash"]


@given(st.lists(st.one_of(st.none(), st.integers(-(2**60), 2**60), st.text(st.characters(codec="utf-8", exclude_characters="\x00"))), max_size=6))
def test_sqlite_and_python_write_the_same_json(values):
    import apsw

    marks = ", ".join("?" * len(values))
    assert apsw.Connection(":memory:").execute(f"SELECT json_array({marks})", values).get == texts.canonical_text(values)
