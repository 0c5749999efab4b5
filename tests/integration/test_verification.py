"""Verification, quick and full; the rebuild; what is recovered from a damaged file."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from books import deposit, ended, fill, placed, snapshot, statuses, void
from hypothesis import given, settings
from hypothesis import strategies as st
from searching import of, searched

from jarvis_client.contract import instants
from jarvis_client.contract.errors import Unavailable
from persistence.books.ledger import Ledger
from persistence.copies import backups, manifest
from persistence.copies.second_place import SecondPlace, carry
from persistence.database import DatabaseManager
from persistence.domain import Currency, Money
from persistence.domain.errors import Damaged
from persistence.engine.sqlite.salvage import readable, salvage
from persistence.proof import chain
from persistence.proof.books_checks import check_books
from persistence.proof.since_last_time import last_verified
from persistence.repositories import SQLiteAccountRepository
from scheduler import rebuild
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.options import RollupOptions, RollupPlan
from scheduler.verification import Depth, check_rebuild, verify

PLAN = RollupPlan(RollupOptions())
DAY = 86_400_000_000
#: An hour ahead of when this is read, since a run takes minutes until a test begins.
NOW = instants.now() + 3_600_000_000


def told(database: DatabaseManager, depth: Depth = Depth.USUAL, folder: Path | None = None) -> set[str]:
    return {f.check for f in verify(database, PLAN, NOW, folder, depth=depth)}


@pytest.fixture
def kept(database, ledger):
    """Books of every kind of record, rolled up, verified."""
    ledger.post([deposit(1), placed(), fill(1, producer="p", sequence=1), fill(2, order_id="o2"), ended(1, order_id="o9"), snapshot(1), snapshot(2)])
    ledger.post([void(1, "fill", "f2"), deposit(2, account_id="other", currency="USD"), placed(2, order_id="o5", reserve=True)])
    account = SQLiteAccountRepository(database).find_by_id("acc")
    account.balance.add_available(Money("7.5", Currency("USDT")))
    SQLiteAccountRepository(database).save(account)
    roll_up_accounts(database, PLAN, NOW)
    chain.seal(database, NOW)
    assert told(database) == set()
    return database


@pytest.mark.parametrize("depth", Depth)
def test_sound_books_have_no_findings(kept, tmp_path, depth):
    backups.create(kept, tmp_path / "backups", NOW - DAY)
    assert told(kept, depth, tmp_path / "backups") == set()


#: What somebody may have done to the file, who tells of it, and whether a rebuild mends it.
DAMAGE = [
    ("UPDATE balances SET available = '1'", "balances are explained", True),
    ("UPDATE balances SET reserved = '9' WHERE currency = 'USDT'", "reserved is explained", True),
    ("UPDATE orders SET filled = '7' WHERE order_id = 'o1'", "orders match their facts", True),
    ("DELETE FROM orders WHERE order_id = 'o1'", "orders match their facts", True),
    ("UPDATE transaction_totals SET amount = '1' WHERE type = 'deposit'", "sums match transactions", True),
    ("DELETE FROM transactions WHERE transaction_no & 15 = 3", "transactions follow from their facts", True),
    ("UPDATE facts SET state = 0 WHERE state = 1", "voids count", True),
    ("DELETE FROM fills WHERE fill_id = 'f1'", "every fact has its content", False),
    ("UPDATE fills SET price = '101' WHERE fill_id = 'f1'", "every fact has its content", False),
    ("UPDATE facts SET recorded_at = 5 WHERE fact_no = 2", "the chain holds", False),
    ("UPDATE rollup_rows SET pnl_total = '1'", "rows follow from what stands behind them", True),
    ("UPDATE performance_metrics SET pnl_daily = '1'", "rows follow from what stands behind them", True),
    ("DROP TRIGGER transactions_immutable", "the schema is this program's", False),
    ("CREATE TRIGGER evil AFTER INSERT ON facts BEGIN SELECT 1; END", "the schema is this program's", False),
]


@pytest.mark.parametrize(("sql", "check", "mends"), DAMAGE, ids=[d[0][:50] for d in DAMAGE])
def test_what_is_wrong_is_found_and_a_rebuild_mends_what_is_derived(kept, sql, check, mends):
    kept.execute_update(sql)
    assert check in told(kept)
    assert told(kept, Depth.FULL)
    if mends:
        with kept.copied(Path(kept.path).parent) as copy:
            assert check_rebuild(copy, PLAN, NOW)
        rebuild.replace(kept, PLAN, NOW)
        assert told(kept, Depth.FULL) == set()


def test_a_rebuild_makes_a_broken_index_anew(kept, ledger):
    def schema(sql: str, rows: list = ()) -> list:
        with kept.get_connection(writing=True) as connection:
            connection.pragma("writable_schema", True)
            found = [row for params in rows or [()] for row in connection.execute(sql, params).fetchall()]
        kept.close()
        return found

    index = schema("SELECT * FROM sqlite_schema WHERE name = 'fills_by_time'")
    schema("DELETE FROM sqlite_schema WHERE name = 'fills_by_time'")
    ledger.post([fill(3, order_id="o3")])
    schema("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", index)
    assert "file is sound" in told(kept)
    assert any("fills_by_time" in f.found for f in rebuild.replace(kept, PLAN, NOW))
    assert told(kept, Depth.FULL) == set()


@pytest.mark.parametrize(
    ("sql", "check"),
    [
        ("UPDATE transaction_totals SET count = count + 1 WHERE type = 'deposit'", "sums match transactions"),
        ("UPDATE balances SET available = '1'", "balances are explained"),
        ("UPDATE orders SET filled = '7' WHERE order_id = 'new'", "orders match their facts"),
        ("UPDATE fills SET price = '101' WHERE fill_id = 'fnew'", "every fact has its content"),
        ("DELETE FROM transactions WHERE transaction_no >> 4 = (SELECT max(fact_no) FROM fills)", "transactions follow from their facts"),
    ],
)
def test_a_quick_one_finds_what_is_wrong_in_what_came_since(kept, ledger, sql, check):
    ledger.post([fill("new", order_id="new"), void(9, "fill", "f1"), deposit("new")])
    assert told(kept, Depth.QUICK) == set()
    kept.execute_update(sql)
    assert check in told(kept, Depth.QUICK)


def test_a_quick_one_does_not_read_what_was_verified(kept):
    [before] = {f.facts_to for f in [last_verified(kept.get_connection().__enter__())]}
    assert before == kept.execute_query("SELECT max(fact_no) FROM facts")[0][0]
    kept.execute_update("UPDATE fills SET price = '101' WHERE fill_id = 'f1'")
    assert told(kept, Depth.QUICK) == set(), "an old row is the daily verification's to find"
    assert told(kept) != set()


@searched
@given(st.lists(st.sampled_from(["fill", "void", "deposit", "verify", "delete", "by hand", "again"]), max_size=12), st.randoms(use_true_random=False))
@settings(max_examples=of(14, 40))
def test_quick_and_full_agree_that_nothing_is_wrong(tmp_path_factory, steps, chance):
    database = DatabaseManager(tmp_path_factory.mktemp("b") / "b.db")
    database.initialize()
    ledger, accounts = Ledger(database), SQLiteAccountRepository(database)
    for n, step in enumerate(steps):
        match step:
            case "fill":
                ledger.post([fill(n, order_id=f"o{n % 3}", sequence=n, producer="p")])
            case "void":
                ledger.post([void(n, "fill", f"f{chance.randrange(12)}")])
            case "deposit":
                ledger.post([deposit(n)])
            case "again":
                ledger.post([fill(chance.randrange(12), order_id="o0")])
            case "delete":
                accounts.delete("acc")
            case "by hand":
                account = accounts.find_by_id("acc")
                if account is not None:
                    account.balance.add_available(Money("1", Currency("USDT")))
                    accounts.save(account)
            case "verify":
                found = verify(database, PLAN, NOW, None)
                assert [f for f in found if "quarantine" not in f.check and "producer" not in f.check] == []
    for depth in Depth:
        found = [f for f in verify(database, PLAN, NOW, None, depth=depth) if "quarantine" not in f.check and "producer" not in f.check]
        assert found == [], depth
    database.close()


def test_backups_that_are_damaged_or_old_are_findings(kept, tmp_path):
    made = backups.create(kept, tmp_path / "backups", NOW - 3 * DAY)
    assert told(kept, Depth.USUAL, tmp_path / "backups") == {"backups are recent"}
    content = bytearray(made.path.read_bytes())
    content[len(content) // 2] ^= 1
    made.path.write_bytes(content)
    assert told(kept, Depth.FULL, tmp_path / "backups") == {"backups are recent", "backups are sound"}


def test_a_chain_forged_whole_is_told_by_the_backups_and_the_row_named(kept, tmp_path):
    backups.create(kept, tmp_path / "backups", NOW - DAY // 2)
    with kept.transaction() as connection:
        connection.execute("DROP TRIGGER transactions_immutable")
        connection.execute("UPDATE facts SET recorded_at = 7 WHERE fact_no = 3")
        connection.execute("DELETE FROM chain_blocks")
    chain.seal(kept, NOW)
    found = verify(kept, PLAN, NOW, tmp_path / "backups")
    assert found[0].where.startswith("fact 3 (fill f1 of acc")
    assert "sealed anew" in found[0].found


def test_after_going_back_the_newer_backups_of_that_time_are_no_contradiction(kept, ledger, tmp_path):
    from persistence.copies.going_back import take_back_on_purpose

    backups.create(kept, tmp_path / "backups", NOW - DAY)
    ledger.post([deposit("later")])
    backups.create(kept, tmp_path / "backups", NOW - DAY // 2)
    kept.close()
    with backups.opened(backups.present(tmp_path / "backups")[-1], tmp_path) as plain:
        take_back_on_purpose(plain, NOW, tmp_path / "backups")
        plain.replace(kept.path)
    Ledger(kept).post([deposit("otherwise")])
    chain.seal(kept, NOW)
    assert told(kept, Depth.USUAL, tmp_path / "backups") == set()


NEVER_RESTORED = (
    "INSERT INTO chain_events (kind, happened_at, content) SELECT 'restored from a backup', 1, json_object('epoch', epoch, 'block_no', 0) FROM book; "
    "UPDATE book SET epoch = 'aaaabbbbccccdddd'"
)
FORGED = {
    "another book": ("UPDATE book SET book_id = '00112233445566778899aabbccddeeff'", "backups belong to these books"),
    "a restore that never was": (NEVER_RESTORED, "the chain holds"),
}


@pytest.mark.parametrize("forgery", FORGED)
def test_no_row_of_the_database_alone_excuses_the_heads_in_the_backups(kept, tmp_path, forgery):
    backups.create(kept, tmp_path / "backups", NOW)
    sql, check = FORGED[forgery]
    with kept.transaction() as connection:
        connection.execute("UPDATE facts SET recorded_at = 5 WHERE fact_no = 2; DELETE FROM chain_blocks; " + sql)
    chain.seal(kept, NOW)
    assert check in told(kept, folder=tmp_path / "backups")


def test_a_rebuild_makes_what_breaks_a_rule_of_the_schema_anew(kept):
    with kept.get_connection(writing=True) as connection:
        connection.pragma("ignore_check_constraints", True)
        connection.execute("UPDATE balances SET available = 'x' WHERE currency = 'USDT'")
        connection.pragma("ignore_check_constraints", False)
    assert "file is sound" in told(kept)
    rebuild.replace(kept, PLAN, NOW)
    assert told(kept, Depth.FULL) == set()


def test_tables_of_litestream_are_no_finding(kept):
    kept.execute_update("CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)")
    assert told(kept) == set()


def test_a_rebuild_from_facts_that_cannot_be_read_changes_nothing_and_says_so(kept):
    kept.execute_update("UPDATE fills SET symbol = CAST(x'ff' AS TEXT) WHERE fill_id = 'f1'")
    before = kept.execute_query("SELECT * FROM orders")
    with pytest.raises(Damaged, match=r"cannot be derived from.*nothing was changed"):
        rebuild.replace(kept, PLAN, NOW)
    assert kept.execute_query("SELECT * FROM orders") == before
    with kept.copied(Path(kept.path).parent) as copy:
        assert [f.expected for f in check_rebuild(copy, PLAN, NOW)] == ["facts that can be derived from"]


def test_the_second_place_is_read_back_by_a_full_verification(kept, tmp_path):
    made = backups.create(kept, tmp_path / "backups", NOW)
    copied = carry(made, SecondPlace(tmp_path / "second", None), NOW)
    assert verify(kept, PLAN, NOW, tmp_path / "backups", depth=Depth.FULL, second_folder=tmp_path / "second") == []
    aside = copied.rename(tmp_path / "aside")
    [missing] = [f for f in verify(kept, PLAN, NOW, tmp_path / "backups", depth=Depth.FULL, second_folder=tmp_path / "second") if "files" in f.check]
    assert missing.where == str(manifest.manifest_path(copied))
    aside.rename(copied)
    copied.write_bytes(copied.read_bytes()[:-1])
    [found] = verify(kept, PLAN, NOW, tmp_path / "backups", depth=Depth.FULL, second_folder=tmp_path / "second")
    assert found.where == str(copied)


def test_what_can_be_read_of_a_damaged_file_is_recovered_and_the_rest_named(kept, ledger, tmp_path):
    for n in range(5):
        ledger.post([fill(f"{n}-{i}", order_id=f"o{n}-{i}") for i in range(1_000)])
    pages = kept.execute_query("SELECT pageno FROM dbstat WHERE name = 'fills' AND pagetype = 'leaf'")
    kept.close()
    content = bytearray(Path(kept.path).read_bytes())
    for (page,) in pages[40:42]:
        content[(page - 1) * 4096 : page * 4096] = bytes(range(256)) * 16
    (tmp_path / "damaged.db").write_bytes(content)

    [lost] = [t for t in readable(tmp_path / "damaged.db") if t.lost]
    assert lost.name == "fills"
    found = {t.name: t for t in salvage(tmp_path / "damaged.db", tmp_path / "new.db")}
    assert found["facts"].read == kept.execute_query("SELECT count(*) FROM facts")[0][0]
    assert 4_500 < found["fills"].read < 5_002
    assert "rows between number" in found["fills"].lost[0]
    recovered = DatabaseManager(tmp_path / "new.db")
    recovered.initialize()
    missing = [f for f in check_books(recovered) if f.check == "every fact has its content"]
    assert missing, "what is missing shows by its identity"
    assert {f.check for f in check_books(recovered)} <= {"every fact has its content", "orders match their facts"}
    recovered.close()


def test_salvaging_sound_books_loses_nothing(kept, tmp_path):
    kept.close()
    found = salvage(Path(kept.path), tmp_path / "new.db")
    assert not [t for t in found if t.lost or t.refused]
    recovered = DatabaseManager(tmp_path / "new.db")
    recovered.initialize()
    assert told(recovered, Depth.FULL) == set()
    assert statuses(Ledger(recovered).post([deposit(1)])) == ["duplicate"]
    recovered.close()


def test_books_with_missing_commits_are_not_written_to(kept):
    """A note of what was verified would be a commit, and the next look would miss nothing."""
    stands, _, _ = kept.durability()
    kept.marks.write(stands._replace(commit_no=stands.commit_no + 1))
    looking = DatabaseManager(kept.path, refuse_loss=False)
    for _ in range(2):
        assert told(looking) == {"no commit is missing"}
    assert looking.durability()[0] == stands
    looking.close()


def test_findings_are_told_where_nothing_can_be_noted(kept, monkeypatch):
    def full(*_):
        raise Unavailable("the disk is full")

    monkeypatch.setattr("scheduler.verification.since_last_time.remember", full)
    assert told(kept) == set()


def test_verification_is_remembered_only_without_findings(kept):
    at = kept.execute_query("SELECT verified_at FROM verifications")[0][0]
    assert at == NOW
    kept.execute_update("UPDATE balances SET available = '1'")
    verify(kept, PLAN, NOW + int(timedelta(days=1).total_seconds()) * 1_000_000, None)
    assert kept.execute_query("SELECT verified_at FROM verifications")[0][0] == at


def test_a_backup_that_is_damaged_can_not_keep_a_forged_chain_from_being_told(kept, tmp_path):
    made = backups.create(kept, tmp_path / "backups", NOW - DAY // 2)
    with kept.transaction() as connection:
        connection.execute("UPDATE facts SET recorded_at = 7 WHERE fact_no = 3")
        connection.execute("DELETE FROM chain_blocks")
    chain.seal(kept, NOW)
    made.path.write_bytes(made.path.read_bytes()[:100])
    assert "the chain holds" in told(kept, Depth.USUAL, tmp_path / "backups")
