"""Places where the page can be read in two ways, worked out by hand: what the reference takes (the numbers are those of reference/__init__.py)."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from reference import Options, Result, reckon


@dataclass
class Books:
    """A line for a record; each an hour after the one before, unless `at` says the hour."""

    records: list[dict[str, object]] = field(default_factory=list)
    hour: int = 0

    def add(self, type_: str, when: str, at: int | None, fields: dict[str, object]) -> Books:
        self.hour = self.hour + 1 if at is None else at
        name = {} if type_ in ("rate", "metrics") else {f"{type_}_id": f"{len(self.records)}"}
        account = {} if type_ == "rate" else {"account_id": "a"}
        self.records.append({"type": type_, **name, **account, when: f"2024-03-{1 + self.hour // 24:02}T{self.hour % 24:02}:00:00Z", **fields})
        return self

    def fill(self, symbol: str, side: str, quantity: str, price: str, at: int | None = None, **more: object) -> Books:
        return self.add("fill", "executed_at", at, {"symbol": symbol, "side": side, "quantity": quantity, "price": price, **more})

    def deposit(self, amount: str, currency: str, at: int | None = None, **more: object) -> Books:
        return self.add("deposit", "occurred_at", at, {"amount": amount, "currency": currency, **more})

    def withdrawal(self, amount: str, currency: str, at: int | None = None, **more: object) -> Books:
        return self.add("withdrawal", "occurred_at", at, {"amount": amount, "currency": currency, **more})

    def fee(self, fill: int, amount: str, currency: str, at: int | None = None, **more: object) -> Books:
        return self.add("fee", "occurred_at", at, {"fill_id": str(fill), "amount": amount, "currency": currency, **more})

    def rate(self, currency: str, usd: str, at: int | None = None) -> Books:
        return self.add("rate", "observed_at", at, {"currency": currency, "usd_rate": usd})

    def reckon(self, **options: object) -> Result:
        result = reckon(self.records, "a", Options(**options))  # type: ignore[arg-type]
        assert result.refused == []
        assert result.broken == []
        return result


def open_of(result: Result) -> dict[str, Fraction]:
    return {p.instrument: p.quantity for p in result.positions}


def test_1_the_rate_of_an_instant_is_that_of_all_its_facts():
    books = Books().fill("ETH/USDT", "buy", "1", "2000", fee="0.01", fee_currency="BNB").fill("BNB/USDT", "buy", "1", "300", at=1)
    assert books.reckon().fees == 3


def test_2_an_amount_is_worth_what_its_own_record_says():
    books = Books().deposit("1", "BTC", at=1, usd_rate="40000").deposit("1", "BTC", at=1, usd_rate="41000")
    assert books.reckon().rows[0].inflow == 81000
    assert books.reckon(own_rate_first=False).rows[0].inflow == 82000


def test_5_a_rate_of_the_very_instant_of_a_split_is_of_after_it():
    books = Books().deposit("1", "NVDA", usd_rate="1000").rate("NVDA", "100", at=5).deposit("9", "NVDA", at=5, category="split")
    assert books.reckon().value == 1000
    assert Books().deposit("1", "NVDA", usd_rate="1000").deposit("9", "NVDA", category="split").reckon().value == 1000


def test_7_a_residue_before_a_short_costs_nothing():
    books = (
        Books()
        .fill("ETH/USDT", "buy", "1", "2000")
        .fill("ETH/USDT", "sell", "0.9999", "2000")
        .fill("ETH/USDT", "sell", "1", "2000")
        .fill("ETH/USDT", "buy", "0.9999", "1900")
    )
    trades = books.reckon().trades
    assert [(t.direction, t.size, t.pnl) for t in trades] == [("long", 1, Fraction("-0.2")), ("short", Fraction("0.9999"), 2000 - Fraction("0.9999") * 1900)]


def test_8_1_a_sale_through_another_pair_sells_holdings_and_shrinks_the_long_at_its_average():
    result = Books().fill("BTC/USDT", "buy", "2", "40000").deposit("1", "BTC", usd_rate="41000").fill("BTC/EUR", "sell", "2", "36000").reckon()
    assert open_of(result) == {"BTC/USDT": 1}
    assert result.positions[0].average_price == 40000
    assert result.trades == []


def test_9_a_purchase_covers_what_is_owed_and_shorts_shrink_by_what_is_no_longer_owed():
    books = Books().withdrawal("2", "BTC").fill("BTC/EUR", "sell", "1", "36000").fill("BTC/USDT", "buy", "2.5", "40000")
    assert open_of(books.reckon()) == {"BTC/EUR": Fraction(-1, 2)}
    assert open_of(books.fill("BTC/USDT", "buy", "1.5", "40000").reckon()) == {"BTC/USDT": 1}


def test_11_a_position_that_a_withdrawal_ends_is_no_trade_whatever_was_sold_of_it():
    books = (
        Books()
        .fill("ETH/USDT", "buy", "2", "2000")
        .fill("ETH/USDT", "sell", "1", "2100")
        .withdrawal("1", "ETH")
        .fill("ETH/USDT", "buy", "1", "2000")
        .fill("ETH/USDT", "sell", "1", "2010")
    )
    assert [t.pnl for t in books.reckon().trades] == [10]


def test_12_a_fee_in_the_base_does_not_raise_the_average():
    result = Books().fill("ETH/USDT", "buy", "1", "3000", fee="0.001", fee_currency="ETH").reckon()
    assert [(p.quantity, p.average_price) for p in result.positions] == [(Fraction("0.999"), 3000)]
    assert [(lot.quantity, lot.cost) for lot in result.lots["ETH"]] == [(Fraction("0.999"), 2997)]


def test_13_an_oversale_by_dust_closes_and_is_filled_first():
    books = (
        Books()
        .fill("ETH/USDT", "buy", "1", "2000")
        .fill("ETH/USDT", "sell", "1.0001", "2100")
        .fill("ETH/USDT", "buy", "1", "2000")
        .fill("ETH/USDT", "sell", "0.9999", "2100")
    )
    trades = books.reckon().trades
    assert [(t.size, t.pnl) for t in trades] == [(1, Fraction("1.0001") * 2100 - 2000), (Fraction("0.9999"), Fraction("0.9999") * 2100 - 2000)]


def test_15_a_fee_record_in_the_base_costs_the_trade_what_a_fee_in_the_base_does():
    later = Books().fill("ETH/USDT", "buy", "1", "3000", fee=None).fee(0, "0.001", "ETH").fill("ETH/USDT", "sell", "0.999", "3100").reckon()
    at_once = Books().fill("ETH/USDT", "buy", "1", "3000", fee="0.001", fee_currency="ETH").fill("ETH/USDT", "sell", "0.999", "3100").reckon()
    assert [t.pnl for t in later.trades] == [t.pnl for t in at_once.trades] == [Fraction("96.9")]


def test_18_what_is_taken_beyond_the_lots_is_realised_when_it_is_covered():
    result = Books().fill("ETH/USDT", "sell", "1", "2000").fill("ETH/USDT", "buy", "1", "1900").reckon()
    assert [(d.by, d.proceeds, d.cost, d.gain, d.at > d.taken) for d in result.disposals if d.currency == "ETH"] == [("sale", 2000, 1900, 100, True)]


def test_19_the_cash_of_a_contract_enters_when_its_trade_closes():
    books = Books().deposit("1", "BTC", usd_rate="10000").fill("BTC/USD:BTC", "buy", "100000", "10000", quote_quantity="10")
    assert books.reckon().lots["BTC"][0].quantity == 1
    result = books.rate("BTC", "12500").fill("BTC/USD:BTC", "sell", "100000", "12500", quote_quantity="8").reckon(cost_basis="fifo")
    assert [(lot.quantity, lot.cost, lot.by) for lot in result.lots["BTC"]] == [(1, 10000, "deposit"), (2, 25000, "contract")]
    assert result.realised == 25000


def test_21_a_short_and_a_debt_split_too():
    short = Books().fill("NVDA", "sell", "1", "1000", base="NVDA", quote="USD").withdrawal("9", "NVDA", category="split").reckon()
    assert [(p.quantity, p.average_price) for p in short.positions] == [(-10, 100)]
    owed = Books().deposit("2", "NVDA", category="loan", usd_rate="1000").deposit("18", "NVDA", category="split").reckon()
    assert (owed.value, owed.unrealised) == (0, 0)


def test_21_a_split_of_a_contract_scales_its_price():
    result = Books().fill("X-PERP", "buy", "10", "50", base="X", quote="USD", contract=True).deposit("10", "X-PERP", category="split").reckon()
    assert [(p.quantity, p.average_price) for p in result.positions] == [(20, 25)]
    assert (result.balances["X-PERP", "contract"], result.value) == (20, 0)


def test_22_a_rename_takes_the_trade_with_it_and_merges():
    books = (
        Books()
        .deposit("9", "USDT")
        .fill("XBT/USDT", "buy", "1", "40000")
        .fill("BTC/USDT", "buy", "1", "42000")
        .withdrawal("1", "XBT", at=10, category="rename", reference="r")
    )
    result = books.deposit("1", "BTC", at=10, category="rename", reference="r").fill("BTC/USDT", "sell", "2", "43000").reckon()
    assert [(t.instrument, t.opened_at, t.pnl, t.fills, t.size) for t in result.trades] == [("BTC/USDT", 1709258400000000, 4000, ["2", "1", "5"], 2)]
    assert result.notes == []


def test_22_half_of_a_holding_renamed_goes_at_its_average_cost():
    books = Books().fill("XBT/USDT", "buy", "2", "40000", fee="8").withdrawal("1", "XBT", at=10, category="rename", reference="r")
    result = books.deposit("1000", "mBTC", at=10, category="rename", reference="r").reckon()
    assert [(p.instrument, p.quantity, p.average_price) for p in result.positions] == [("XBT/USDT", 1, 40000), ("mBTC/USDT", 1000, 40)]
    assert [(code, lot.quantity, lot.cost) for code, lots in result.lots.items() for lot in lots if code != "USDT"] == [
        ("XBT", 1, 40000),
        ("mBTC", 1000, 40000),
    ]
    assert result.value == -8


def test_23_loans_are_repaid_at_their_average_value_and_beyond_the_debt_it_is_a_flow():
    books = (
        Books()
        .deposit("1", "BTC", category="loan", usd_rate="20000")
        .deposit("1", "BTC", category="loan", usd_rate="30000")
        .withdrawal("1", "BTC", category="loan", usd_rate="26000")
    )
    assert books.reckon(cost_basis="wac").realised == 0
    assert books.reckon(cost_basis="fifo").realised == 5000
    result = books.withdrawal("3", "BTC", category="loan", usd_rate="26000").reckon()
    assert result.rows[0].outflow == 52000
    assert [note["check"] for note in result.notes] == ["loan repaid beyond the debt", "balance below zero"]


def test_24_funding_counts_in_the_contract_of_that_very_symbol():
    spot = (
        Books()
        .fill("BTC/USDT", "buy", "1", "40000")
        .withdrawal("8", "USDT", category="funding", symbol="BTCUSDT")
        .fill("BTC/USDT", "sell", "1", "40000")
        .reckon()
    )
    assert [t.pnl for t in spot.trades] == [-8]
    both = Books().deposit("8", "USDT").fill("BTC/USDT", "buy", "1", "40000").fill("BTCUSDT", "buy", "1", "40000", base="BTC", quote="USDT", contract=True)
    both = both.fill("BTCUSDT", "sell", "1", "40000", base="BTC", quote="USDT", contract=True).withdrawal("8", "USDT", category="funding", symbol="BTCUSDT")
    result = both.fill("BTC/USDT", "sell", "1", "40000").reckon()
    assert [t.pnl for t in result.trades] == [0, 0]
    assert [note["check"] for note in result.notes] == ["funding without an open trade"]


def test_28_a_flow_without_a_rate_withholds_its_figures_and_all_later_totals():
    books = Books().deposit("10", "CHF", at=1).rate("CHF", "1.1", at=2).deposit("1", "USD", at=30)
    first, second = books.reckon().rows
    assert (first.total_value_usd, first.inflow, first.pnl_daily, first.pnl_total, first.daily_return) == (11, None, None, None, None)
    assert (second.pnl_daily, second.pnl_total, second.daily_return) == (0, None, 0)


def test_7_a_sale_beyond_what_is_held_opens_a_short_of_the_rest_with_its_share_of_cash_and_fees():
    books = Books().deposit("1", "ETH", usd_rate="2100").fill("ETH/USDT", "sell", "1.5", "2100", fee="3").fill("ETH/USDT", "buy", "0.5", "2000", fee="1")
    assert [(t.direction, t.size, t.pnl, t.fees, t.fills) for t in books.reckon().trades] == [("short", Fraction(1, 2), 48, 2, ["1", "2"])]


def test_7_what_was_said_counts_over_what_was_told_at_one_instant_and_the_market_goes_on_speaking():
    books = Books().fill("ETH/USDT", "buy", "1", "2000", at=1).rate("ETH", "2100", at=1)
    assert books.reckon().value == 100
    assert books.fill("ETH/USDT", "buy", "1", "2200").reckon().value == 200
    assert Books().deposit("1", "ETH", at=1, usd_rate="2000").rate("ETH", "2100", at=1).reckon().value == 2000


def test_20_lots_that_were_renamed_are_the_older_ones_where_they_were_bought_earlier():
    books = Books().deposit("1", "XBT", usd_rate="30000").deposit("1", "BTC", usd_rate="40000").withdrawal("1", "XBT", at=10, category="rename", reference="r")
    result = books.deposit("1", "BTC", at=10, category="rename", reference="r").withdrawal("1", "BTC", usd_rate="45000").reckon(cost_basis="fifo")
    assert [(d.cost, d.gain, d.proceeds) for d in result.disposals] == [(30000, 15000, 45000)]
    assert [(lot.quantity, lot.cost) for lot in result.lots["BTC"]] == [(1, 40000)]


def test_37_a_contract_that_is_renamed_goes_on_as_one_trade():
    books = Books().fill("X-PERP", "buy", "10", "50", base="X", quote="USD", contract=True).withdrawal("10", "X-PERP", at=10, category="rename", reference="r")
    books = books.deposit("100", "Y-PERP", at=10, category="rename", reference="r")
    assert books.reckon().value == 0
    result = books.fill("Y-PERP", "sell", "100", "6", base="Y", quote="USD", contract=True).reckon()
    assert [(t.instrument, t.pnl, t.size, t.fills) for t in result.trades] == [("Y-PERP", 100, 100, ["0", "3"])]
    assert (result.balances, result.realised) == ({("USD", "currency"): 100}, 100)


def test_33_borrowed_coins_bought_back_are_a_long_until_they_are_repaid():
    books = Books().deposit("1", "BTC", category="loan", usd_rate="20000").fill("BTC/USDT", "sell", "1", "20000").fill("BTC/USDT", "buy", "1", "15000")
    assert open_of(books.reckon()) == {"BTC/USDT": 1}
    result = books.withdrawal("1", "BTC", category="loan", usd_rate="15000").reckon()
    assert (open_of(result), result.trades, result.realised) == ({}, [], 5000)


def test_6_a_rate_is_missing_only_of_what_is_held():
    books = Books().deposit("10", "CHF").withdrawal("10", "CHF", at=26).deposit("5", "SEK", at=50).rate("SEK", "0.1", at=51)
    result = books.reckon()
    assert [(row.date, row.total_value_usd, row.inflow) for row in result.rows] == [("2024-03-02", 0, None), ("2024-03-03", Fraction(1, 2), None)]
    noted = {str(note["subject"]): note["withholds"] for note in result.notes}
    assert noted == {"CHF": ["flow", "row"], "SEK": ["flow"]}
