"""Exports of venues, each ending in the right books; balances were worked out by hand from the files under tests/data/exports."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest

from jarvis.importing.preview import preview
from jarvis.importing.profile import Profile
from jarvis.importing.reading import checked
from jarvis.importing.rows import Told
from jarvis.importing.shipped import shipped, shipped_names
from jarvis_client.contract.errors import Invalid
from persistence.books.ledger import Ledger
from persistence.imports import import_lines
from persistence.proof.books_checks import check_books
from persistence.repositories import SQLiteAccountRepository, SQLiteOrderRepository
from workers.messages import item_of_line

EXPORTS = Path(__file__).parents[1] / "data" / "exports"


def taken(database, content: bytes, profile: Profile, **told):
    """(applied, duplicates, quarantined) of a file that has no problem."""
    constants = {"account_id": "acc"} | told.pop("constants", {})
    with checked(io.BytesIO(content), profile, Told(constants, **told)) as found:
        assert dict(found.problems) == {}
        counts = import_lines(Ledger(database), found.lines, item_of_line)
    return counts.applied, counts.duplicate, counts.quarantined


def problems(content: bytes, profile: Profile, **told):
    with checked(io.BytesIO(content), profile, Told({"account_id": "acc"} | told.pop("constants", {}), **told)) as found:
        return list(found.told(50))


def held(database, account_id="acc"):
    account = SQLiteAccountRepository(database).find_by_id(account_id)
    amounts = {str(c): str(account.balance.total(c).amount) for c in account.balance.currencies}
    return amounts | {code: f"{quantity} contracts" for code, quantity in account.contracts.items()}


#: What each sample leaves in empty books: records, balances.
BOOKS = {
    # 0.5 + 0.5 - 0.25; -2 × 1,000 + 525 - 0.525 - 51; 100 - 0.05
    "binance-spot-trades": (4, {"ETH": "0.75", "USDT": "-1526.525", "BNB": "-0.0008", "1INCH": "99.95"}),
    "binance-spot-trades-old": (2, {"BNB": "5.9925", "BTC": "-0.04", "TUSD": "121.878"}),
    "binance-deposits": (1, {"USDT": "100"}),
    "binance-withdrawals": (1, {"HNT": "-12.123"}),
    # 5,000 + 0.25 + 0.25 - 100 - 0.75 + 12.5 - 0.5 - 500
    "binance-transactions": (9, {"USDT": "4411.75", "BTC": "0.002"}),
    # -200 - 0.32 - 9.99992 - 0.026 + 100 - 0.16; the margin trade moves nothing
    "kraken-trades": (4, {"DOT": "3.75", "EUR": "-110.50592", "BTC": "0.0010703", "XTZ": "100", "USD": "-300.78"}),
    # 500 - 50 - 0.75; 0.5 - 0.1 - 0.00015; 0.001 - 0.0002; -0.125 + 25 - 6.5
    "kraken-ledgers": (9, {"EUR": "449.25", "DOT": "0.0125", "BTC": "0.39985", "ETH": "0.0008", "USD": "18.375", "ADA": "40"}),
    # 1,000 - 240 - 10 + 65 - 0.5; 0.02 - 0.005 - 0.01; 0.07 + 0.001
    "coinbase-transactions": (7, {"EUR": "814.5", "ADA": "150", "BTC": "0.005", "ETH": "0.071"}),
    # -201.33788449 5 + 14.878898125, as the file's own totals
    "coinbase-fills": (2, {"XLM": "1651", "EUR": "-186.45898637"}),
    "bybit-spot-trades": (2, {"BTC": "0.02995", "USDT": "-2891.96"}),
    # the file's own wallet balance
    "bybit-unified-log": (7, {"USDT": "784.2435", "ETH": "-0.00062"}),
    "bybit-deposits-withdrawals": (2, {"USDT": "199.5"}),
    # -1,855 - 1 - 820.5 - 0.35 + 920 - 1.02 - 1,090 - 2 - 350 - 1.4; -70 - 1 - 0.35 of stamp duty
    "ib-flex-trades": (7, {"VOD": "100", "GBP": "-71.35", "AAPL": "6", "BRK.B": "2", "EUR": "1000", "USD": "-3201.27", "AAPL  240119C00190000": "0 contracts"}),
    "ib-flex-cash": (6, {"USD": "9512.04"}),
}


def sample(name: str) -> bytes:
    return (EXPORTS / f"{name}.csv").read_bytes()


@pytest.mark.parametrize("name", shipped_names())
def test_an_export_ends_in_the_right_books_and_twice_is_once(database, name):
    records, balances = BOOKS[name]
    # Binance's newer files leave the zone to the name of the file.
    told = {"zone": "UTC"} if name == "binance-deposits" else {}
    assert taken(database, sample(name), shipped(name), **told) == (records, 0, 0)
    assert held(database) == balances
    assert check_books(database) == []
    assert taken(database, sample(name), shipped(name), **told) == (0, records, 0)


@pytest.mark.parametrize("name", shipped_names())
def test_the_preview_says_what_the_books_will_say(name):
    told = Told({"account_id": "acc"}, zone="UTC" if name == "binance-deposits" else None)
    with checked(io.BytesIO(sample(name)), shipped(name), told) as found:
        shown = preview(found.lines, item_of_line)
    records, balances = BOOKS[name]
    assert (sum(shown.kinds.values()), shown.refused, shown.repeated) == (records, [], 0)
    assert {code: f"{total.net.normalize():f}" for (_, code, _), total in shown.totals.items()} == {
        c: b.removesuffix(" contracts") for c, b in balances.items()
    }


def test_fills_of_one_order_make_its_order(database):
    taken(database, sample("kraken-trades"), shipped("kraken-trades"))
    [order] = [o for o in SQLiteOrderRepository(database).find_by_account("acc") if o.order_id == "OXBT01"]
    assert (str(order.symbol), str(order.average_price)) == ("BTC/EUR", "9343.100065402223675604970569")


def rewritten(content: bytes, *, delimiter=",", columns=None, backwards=False, encoding="utf-8", ends="\n", quoted=False) -> bytes:
    """The same table as another program would write it."""
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=ends, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL)
    places = [rows[0].index(c) for c in columns] if columns else range(len(rows[0]))
    writer.writerows([row[p] for p in places] for row in [rows[0], *(rows[:0:-1] if backwards else rows[1:])])
    return out.getvalue().encode(encoding)


@pytest.mark.parametrize(
    "how",
    [
        {"backwards": True}, {"delimiter": ";", "ends": "\r\n"}, {"delimiter": "\t", "encoding": "utf-16"}, {"encoding": "utf-16-le"}, {"encoding": "utf-16-be"},
        {"encoding": "utf-8-sig", "quoted": True}, {"columns": ["Fee", "Amount", "Executed", "Price", "Side", "Pair", "Date(UTC)"], "delimiter": "|"},
    ],
    ids=str,
)  # fmt: skip
def test_rows_without_ids_are_the_same_however_the_file_is_written(database, how):
    profile = shipped("binance-spot-trades")
    taken(database, sample("binance-spot-trades"), profile)
    assert taken(database, rewritten(sample("binance-spot-trades"), **how), profile) == (0, 4, 0)


def test_a_file_that_excel_saved_again_has_the_same_rows(database):
    profile = shipped("binance-spot-trades-old")
    taken(database, sample("binance-spot-trades-old"), profile)
    again = b"Date(UTC);Market;Type;Price;Amount;Total;Fee;Fee Coin\r\n2019-05-01 08:15:30;BNBBTC;BUY;0,0040;10,00;0,04000;0,0075;BNB\r\n"
    assert taken(database, again, shipped("binance-spot-trades-old"), decimal=",") == (0, 1, 0)


def test_a_venue_that_writes_times_otherwise_writes_the_same_rows(database):
    old = sample("binance-spot-trades")
    new = old.replace(b"Date(UTC)", b"Time").replace(b"2024-03", b"24-03")
    taken(database, old, shipped("binance-spot-trades"))
    assert taken(database, new, shipped("binance-spot-trades"), zone="UTC") == (0, 4, 0)


def test_the_same_rows_under_another_zone_are_conflicts_and_not_counted_twice(database):
    content = sample("binance-deposits")
    assert taken(database, content, shipped("binance-deposits"), zone="UTC") == (1, 0, 0)
    assert taken(database, content, shipped("binance-deposits"), zone="+01:00") == (0, 0, 1)
    assert held(database) == {"USDT": "100"}


TRADES = Profile.model_validate({
    "zone": "UTC",
    "rows": [{"kind": "fill", "fields": {"executed_at": "Time", "symbol": "Pair", "side": "Side", "price": "Price", "quantity": "Size"}}],
})  # fmt: skip
HEAD = "Time,Pair,Side,Price,Size,Note\n"
ROW = "2024-03-01 10:00:00,ETH/USDT,buy,2000,0.5,{}\n"
OTHER = "2024-03-02 10:00:00,ETH/USDT,sell,2100,0.5,\n"


def test_a_longer_export_of_the_same_months_adds_what_is_new(database):
    assert taken(database, (HEAD + ROW.format("")).encode(), TRADES) == (1, 0, 0)
    assert taken(database, (HEAD + OTHER + ROW.format("")).encode(), TRADES) == (1, 1, 0)


def test_true_twins_stay_two_and_a_third_is_one_more(database):
    assert taken(database, (HEAD + ROW.format("") * 2).encode(), TRADES) == (2, 0, 0)
    assert taken(database, (HEAD + OTHER + ROW.format("") * 3).encode(), TRADES) == (2, 2, 0)
    assert held(database) == {"ETH": "1", "USDT": "-1950"}


def test_rows_that_differ_in_a_column_that_nobody_maps_are_no_twins(database):
    assert taken(database, (HEAD + ROW.format("a") + ROW.format("b")).encode(), TRADES) == (2, 0, 0)
    assert taken(database, (HEAD + ROW.format("b")).encode(), TRADES) == (0, 1, 0)


def test_a_window_that_begins_between_twins_takes_the_second_for_the_first(database):
    """The limit that the guide names: the file alone does not say that a row has a twin before it."""
    assert taken(database, (HEAD + ROW.format("")).encode(), TRADES) == (1, 0, 0)
    assert taken(database, (HEAD + ROW.format("") + OTHER).encode(), TRADES) == (1, 1, 0)


def test_a_note_over_several_lines_and_a_repeated_heading_keep_the_numbers_of_lines_right(database):
    content = HEAD + '2024-03-01 10:00:00,ETH/USDT,buy,2000,0.5,"first\nsecond\n"\n\n' + HEAD + ROW.format("").replace("2000", "twice")
    assert problems(content.encode(), TRADES) == ["line 7: Price: it is 'twice'; it must be a number"]
    with checked(io.BytesIO((content + OTHER.replace("0.5", "0")).replace("twice", "2000").encode()), TRADES, Told({"account_id": "acc"})) as found:
        shown = preview(found.lines, item_of_line)
    assert shown.refused[0].startswith("line 8: fill: quantity: it is 0; it must be above zero")
    assert found.passed_over == {"the headings again": 1}


def test_a_gzipped_file_that_is_cut_off_is_refused():
    packed = gzip.compress((HEAD + OTHER * 5_000).encode())
    with pytest.raises(Invalid, match="damaged"), checked(gzip.open(io.BytesIO(packed[:-20])), TRADES, Told({"account_id": "acc"})):
        pass


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no rows"), (b"\n\n", "holds no rows"), (b"PK\x03\x04rest", "Excel workbook"), (b"Time,Pair,Side,Price,Size\n\xfc\n", "not UTF-8"),
        (HEAD.encode() + b'"open quote,1\n', "line 2: is no CSV"), (b"When,Pair,Side,Prise,Size\n", r"no column 'Time', 'Price' \(did you mean 'Prise'\?\)"),
        (b"Time,Pair,Side,Price,Size,Size\n", "'Size' stands 2 times"),
    ],
)  # fmt: skip
def test_what_is_no_table_of_these_columns_is_refused_whole(content, said):
    with pytest.raises(Invalid, match=said):
        problems(content, TRADES)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("2024-03-01 10:00:00,ETH/USDT,buy,2000", "it has 4 cells where there are 6 headings"), ("2024-03-01 10:00:00,ETH/USDT,Kauf,2000,1,", "must be buy or sell"),
        ("01.03.2024,ETH/USDT,buy,2000,1,", "a time is written"), ("2024-03-01 10:00:00,ETH/USDT,buy,2000,1BTC,", "the amounts are in BTC"),
        ("2024-03-01 10:00:00,ETH/USDT,buy,2000,-1,", "the side is buy; which is right"), ("2024-03-01 10:00:00,ETH/USDT,buy,2000 EUR,1 ETH,", "the amounts are in ETH and EUR"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_read_is_a_problem_with_its_line(row, said):
    [problem] = problems((HEAD + ROW.format("") + row + "\n").encode(), TRADES)
    assert problem.startswith("line 3: ")
    assert said in problem


def test_all_rows_of_an_hour_that_clocks_showed_twice_are_named_until_it_is_told_which(database):
    berlin = TRADES.model_copy(update={"zone": "Europe/Berlin"})
    night = HEAD + "".join(f"2025-10-26 {hour},ETH/USDT,buy,2000,0.5,\n" for hour in ("01:59:59", "02:00:00", "02:30:00", "02:59:59", "03:00:00"))
    [problem] = problems(night.encode(), berlin)
    assert problem.startswith("lines 3–5: Time: it is a local time that clocks of Europe/Berlin showed twice; say --fold first")
    taken(database, night.encode(), berlin, fold="second")
    times = [row["executed_at"] for row in database.execute_query("SELECT executed_at FROM fills ORDER BY executed_at")]
    assert [(at - times[0]) // 1_000_000 for at in times] == [0, 3_601, 5_401, 7_200, 7_201]


def test_a_row_that_no_rule_fits_is_never_passed_over():
    content = sample("kraken-ledgers") + b'"LNEW01","Q","2026-01-01 00:00:00","hybridearn","bonus","currency","USDC",1,0,1\n'
    [problem] = problems(content, shipped("kraken-ledgers"))
    assert problem.startswith("line 16: no rule of the profile fits a row with txid 'LNEW01', type 'hybridearn', subtype 'bonus'")


@pytest.mark.parametrize(
    ("pair", "size", "price", "instrument"),
    [("XBTUSD", "1XBT", "5", "XBT/USD"), ("BNBUSD", "1", "5 USD", "BNB/USD"), ("BTC_USDT", "1 BTC", "5", "BTC/USDT"), ("1INCHUSDT", "51INCH", "1", "1INCH/USDT"),
     ("BTC/USDT:USDT", "2 BTC", "5", "BTC/USDT:USDT")],
)  # fmt: skip
def test_what_an_amount_is_in_cuts_the_pair(pair, size, price, instrument):
    table = f"{HEAD}2024-03-01 10:00:00,{pair},buy,{price},{size},\n"
    with checked(io.BytesIO(table.encode()), TRADES, Told({"account_id": "acc"})) as found:
        assert dict(found.problems) == {}
        [(_, fact)] = preview(found.lines, item_of_line).first
    assert fact.instrument == instrument


def test_an_id_that_is_mapped_and_empty_is_a_problem():
    content = sample("kraken-trades").replace(b'"TXBT01-AAAAA-000002"', b'""')
    assert problems(content, shipped("kraken-trades")) == [
        "line 3: txid: it is empty, and it is the id of the record; a row without one needs a rule of its own"
    ]


def test_a_conversion_whose_second_half_is_a_row_too_is_refused_and_not_counted_twice():
    other_half = b'61cf7890,2022-03-05 10:00:00 UTC,Convert,ETH,0.07,EUR,"1","1","1","0",Converted 0.005 BTC to 0.07 ETH\n'
    [problem] = problems(sample("coinbase-transactions") + other_half, shipped("coinbase-transactions"))
    assert "it says BTC where another column of the row says ETH" in problem


def test_cash_without_a_price_is_exact_and_the_price_describes_it(database):
    profile = Profile.model_validate(
        {"rows": [{"kind": "fill", "fields": {"executed_at": "T", "base": "B", "quote": "Q", "quantity": "N", "quote_quantity": "C"}}]}
    )
    assert taken(database, b"T,B,Q,N,C\n2024-03-01T10:00:00Z,ETH,EUR,-3,10\n", profile) == (1, 0, 0)
    assert held(database) == {"ETH": "-3", "EUR": "10"}
    [row] = database.execute_query("SELECT side, price FROM fills")
    assert (row["side"], row["price"]) == ("sell", "3.333333333333333333333333333")


@pytest.mark.parametrize(
    ("kind", "fields", "row", "content"),
    [
        ("order", {"order_id": "1", "status": "2", "occurred_at": "3", "symbol": "4", "side": "5", "order_type": "6", "quantity": "7", "price": "8"},
         "o1,Placed,2024-03-01T10:00:00Z,BTC/USDT,BUY,LIMIT,2,100", {"status": "placed", "side": "buy", "order_type": "limit", "quantity": "2"}),
        ("metrics", {"total_value_usd": "1", "date": "2"}, '"12,345.67",2024-03-01,,,,,,', {"total_value_usd": "12345.67"}),
        ("balance", {"total": "1", "currency": "2", "observed_at": "3"}, "1.50,BTC,2024-03-01T10:00:00Z,,,,,", {"total": "1.5", "currency": "BTC"}),
        ("rate", {"currency": "1", "usd_rate": "2", "observed_at": "3"}, "BTC,60000.5,2024-03-01T10:00:00Z,,,,,", {"usd_rate": "60000.5"}),
        ("fee", {"fill_id": "1", "currency": "2", "amount": "3", "occurred_at": "4"}, "f1,BNB,0.01,2024-03-01T10:00:00Z,,,,", {"amount": "0.01"}),
    ],
)  # fmt: skip
def test_every_kind_of_record_may_come_from_rows(kind, fields, row, content):
    profile = Profile.model_validate({"rows": [{"kind": kind, "fields": fields}]})
    constants = {} if kind == "rate" else {"account_id": "acc"}
    table = f"1,2,3,4,5,6,7,8\n{row}\n"
    with checked(io.BytesIO(table.encode()), profile, Told(constants)) as found:
        assert dict(found.problems) == {}
        [(_, fact)] = preview(found.lines, item_of_line).first
    assert {name: value for name, value in fact.record().items() if name in content} == content


def test_a_file_of_nothing_but_mistakes_is_given_up_early():
    rows = "".join(f"{n},ETH/USDT,buy,2000,0.5,\n" for n in range(5_000))
    with checked(io.BytesIO((HEAD + rows).encode()), TRADES, Told({"account_id": "acc"})) as found:
        assert (found.rows, found.refused, found.gave_up_at, found.records) == (1_000, 1_000, 1_001, 0)
        told = list(found.told(3))
    assert told[3] == "and 997 rows more with other problems"


def test_what_no_column_and_no_constant_says_is_told_before_any_row():
    with pytest.raises(Invalid, match=r"a fill needs account_id.*--account ID"), checked(io.BytesIO(HEAD.encode()), TRADES, Told()):
        pass
