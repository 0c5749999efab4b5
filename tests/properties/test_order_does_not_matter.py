"""The same facts give the same books, whatever order, batches and processes they came in."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from books import NEW_YEAR, SECOND, balance_report, books, deposit, ended, exported, fee, fill, placed, rate, snapshot, unexplained, void, withdrawal
from hypothesis import given, settings
from hypothesis import strategies as st
from parts import closing
from searching import of, searched

from persistence import exports
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.proof.books_checks import check_books
from persistence.repositories import SQLiteAccountRepository
from workers.messages import item_of_line

instants = st.integers(0, 6).map(lambda n: NEW_YEAR + n * SECOND)
numbers = st.sampled_from(["1", "0.5", "3", "0.000000000000000001", "420000000000000"])
prices = st.sampled_from(["100", "0.00000123", "-5", "64250.1"])
orders = st.sampled_from(["o1", "o2"])
accounts = st.sampled_from(["acc", "other"])
fees = st.one_of(
    st.fixed_dictionaries({"fee": st.sampled_from([None, "0", "0.1", "-0.02"]), "fee_currency": st.sampled_from([None, "BNB", "BTC"])}),
    st.lists(st.fixed_dictionaries({"currency": st.sampled_from(["BNB", "BTC", "USDT"]), "amount": st.sampled_from(["0", "0.1", "-0.02"])}), min_size=1, max_size=5)
    .map(lambda several: {"fee": None, "fees": several}),
)  # fmt: skip
places = st.fixed_dictionaries({"producer": st.sampled_from([None, "p", "q"]), "sequence": st.sampled_from([None, 0, 1, 2])})


@st.composite
def facts(draw: st.DrawFn) -> list[Any]:
    """A set of facts without conflicting contents: each id is given its content by its position."""
    found: list[Any] = []
    for n in range(draw(st.integers(1, 10))):
        kind = draw(
            st.sampled_from(["fill", "fill", "fill", "contract", "deposit", "withdrawal", "placed", "amended", "ended", "snapshot", "fee", "rate", "balance"])
        )
        common = {"account_id": draw(accounts), **draw(places)}
        match kind:
            case "fill":
                found.append(
                    fill(
                        n, order_id=draw(orders), side=draw(st.sampled_from(["buy", "sell"])), quantity=draw(numbers), price=draw(prices),
                        **draw(fees),
                        multiplier=draw(st.sampled_from([1, 1, 10])), order_quantity=draw(st.sampled_from([None, None, "5", "7"])),
                        symbol=draw(st.sampled_from(["BTC/USDT", "BTC/USDT", "ETH-BTC"])), executed_at=draw(instants), **common,
                    )
                )  # fmt: skip
            case "contract":
                cash = draw(st.sampled_from([None, "0.3"]))
                found.append(
                    fill(
                        n, order_id=draw(orders | st.none()), side=draw(st.sampled_from(["buy", "sell"])), quantity=draw(numbers), price="64250.1", fee=None,
                        symbol=draw(st.sampled_from(["BTC/USDT:USDT", "BTC"])) if cash is None else "BTC/USD:BTC", quote_quantity=cash, base="BTC",
                        quote="USDT" if cash is None else "USD", contract=True, executed_at=draw(instants), **common,
                    )
                )  # fmt: skip
            case "fee":
                target = draw(st.integers(0, n + 1))
                found.append(fee(n, fill_id=f"f{target}", amount=draw(st.sampled_from(["0.3", "-0.1"])), occurred_at=draw(instants), **common))
            case "rate":
                common.pop("account_id")
                found.append(rate(n, usd_rate=draw(numbers), **common))
            case "balance":
                found.append(balance_report(n, total=draw(numbers), **common))
            case "amended":
                terms = {draw(st.sampled_from(["quantity", "price"])): draw(numbers), "side": draw(st.sampled_from([None, "buy"]))}
                found.append(ended(n, "amended", order_id=draw(orders), occurred_at=draw(instants), **terms, **common))
            case "deposit":
                category = draw(st.sampled_from(["external", "funding", "fee", "transfer"]))
                found.append(
                    deposit(n, amount=draw(numbers), occurred_at=draw(instants), category=category, fee=draw(st.sampled_from([None, "0.5"])), **common)
                )
            case "withdrawal":
                found.append(withdrawal(n, amount=draw(numbers), occurred_at=draw(instants), **common))
            case "placed":
                common |= {"side": draw(st.sampled_from(["buy", "sell"])), "reserve": draw(st.booleans())}
                found.append(placed(n, order_id=draw(orders), quantity=draw(numbers), occurred_at=draw(instants), **common))
            case "ended":
                found.append(ended(n, draw(st.sampled_from(["cancelled", "rejected", "expired"])), order_id=draw(orders), occurred_at=draw(instants), **common))
            case "snapshot":
                found.append(snapshot(n, **common))
    for n in range(draw(st.integers(0, 3))):
        target = draw(st.sampled_from(found))
        if target.kind != "void":
            found.append(void(n, target.kind, target.record_id, account_id=target.account_id, occurred_at=draw(instants), **draw(places)))
    # Further deliveries of some, perhaps by another producer: the smaller (sequence, producer) counts.
    found += [f._replace(**draw(places)) for f in draw(st.lists(st.sampled_from(found), max_size=4))]
    return found


def recorded(another: Any, batches: list[list[Any]]) -> dict[str, str]:
    with another() as database:
        ledger = Ledger(database)
        for batch in batches:
            ledger.post(batch)
            assert unexplained(database) == [], "the books add up after every commit"
        assert check_books(database) == []
        return books(database)


@searched
@pytest.mark.every_engine
@settings(max_examples=of(60, 200))
@given(facts(), st.randoms(use_true_random=False), st.integers(1, 5))
def test_any_order_any_batches_and_any_duplicates_give_the_books_of_the_sorted_set(another: Any, found: list[Any], random: Any, batches: int) -> None:
    in_order = recorded(another, [sorted(found, key=lambda f: (f.place, f.kind, f.account_id))])

    shuffled = found + random.choices(found, k=random.randrange(4))
    random.shuffle(shuffled)
    cuts = sorted(random.randrange(len(shuffled) + 1) for _ in range(batches - 1))
    split = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]

    assert recorded(another, split) == in_order


@searched
@pytest.mark.every_engine
@settings(max_examples=of(20, 60))
@given(facts())
def test_what_is_exported_as_records_makes_the_same_books_again(another: Any, found: list[Any]) -> None:
    with another() as database:
        Ledger(database).post(found)
        ids = [account.account_id for account in SQLiteAccountRepository(database).find_all()]
        named = [(name, account_id) for name, table in exports.TABLES.items() if table.kinds for account_id in (ids if table.account_column else [None])]
        lines = [line for name, account_id in named for line in exported(database, name, account_id, "ndjson").splitlines()]
        expected = books(database)

    assert recorded(another, [[item_of_line(line.encode(), number) for number, line in enumerate(lines, 1)]]) == expected


def _post(path: str, part: list[Any]) -> None:
    database = DatabaseManager(path)
    for n in range(0, len(part), 7):
        Ledger(database).post(part[n : n + 7])
    database.close()


def test_processes_that_write_side_by_side_give_the_books_of_one(tmp_path: Path) -> None:
    # given: facts that meet in the same orders and balances, and one void whose target another process records
    found: list[Any] = [deposit(n, currency=c, occurred_at=NEW_YEAR + n) for n, c in enumerate(["USDT", "BTC", "BNB"])]
    found += [fill(n, order_id=f"o{n % 5}", side="sell" if n % 3 else "buy", executed_at=NEW_YEAR + n * SECOND, order_quantity="90") for n in range(200)]
    found += [placed(n, order_id=f"o{n}", reserve=True, quantity="90", occurred_at=NEW_YEAR + n) for n in range(3)]
    found += [void(1, "fill", "f7"), void(2, "fill", "f7"), ended(1, order_id="o4")]
    with closing(DatabaseManager(tmp_path / "one.db")) as one:
        Ledger(one).post(found)
        expected = books(one)

    # when: three processes record overlapping parts at once
    path = str(tmp_path / "many.db")
    with closing(DatabaseManager(path)):
        pass
    spawn = multiprocessing.get_context("spawn")
    parts = [found[0::2], found[1::2][::-1], found[::3]]
    processes = [spawn.Process(target=_post, args=(path, part)) for part in parts]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    # then
    assert [p.exitcode for p in processes] == [0, 0, 0]
    with closing(DatabaseManager(path)) as many:
        assert books(many) == expected
        assert check_books(many) == []
