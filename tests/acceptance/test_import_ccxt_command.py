"""`jarvis import --format ccxt`: files of what was fetched."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from command import run
from parts import wait_until

from jarvis_client import Publisher
from persistence.repositories import SQLiteAccountRepository, SQLiteOrderRepository
from workers.app import create_worker

HOUSE = Path(__file__).parents[2]
OF_MINE = ("--format", "ccxt", "--account", "main", "--exchange")


def case(name: str):
    return json.loads((HOUSE / "tests" / "data" / "ccxt" / f"{name}.json").read_text())


def structures(name: str):
    return [call["structure"] for call in case(name)["calls"]]


@pytest.fixture
def files(tmp_path):
    """A folder with what was fetched of some exchanges."""
    for name in ("binance-spot", "bybit-inverse", "kraken-spot"):
        (tmp_path / f"{name}.json").write_text(json.dumps(structures(name), indent=1))
        (tmp_path / f"{name}.ndjson").write_text("\n\n".join(map(json.dumps, structures(name))))
    (tmp_path / "markets.json").write_text(json.dumps({market["symbol"]: market for market in case("bybit-inverse")["markets"]}))
    return tmp_path


def balances(folder: Path) -> dict[str, str]:
    [account] = json.loads(run("accounts", "--json", folder=folder).stdout)
    return {code: balance["total"] for code, balance in account["balances"].items()}


def test_an_array_and_lines_are_the_same_records(files):
    first = run("import", "binance-spot.json", *OF_MINE, "binance", "--fee-apart", folder=files)
    again = run("import", "binance-spot.ndjson", *OF_MINE, "binance", "--fee-apart", folder=files)

    assert (first.returncode, again.returncode) == (0, 0)
    assert "10 applied" in first.stderr + first.stdout
    assert "10 duplicates" in again.stderr + again.stdout
    assert balances(files) == {"BNB": "-0.04", "BTC": "0.1998", "USDT": "32187.81998"}


def test_contracts_take_their_sizes_from_the_markets(files):
    without = run("import", "bybit-inverse.json", *OF_MINE, "bybit", folder=files)
    assert without.returncode == 2
    assert "entries 1, 3: BTC/USD:BTC is a contract, whose size stands in its market; add --markets FILE" in without.stderr
    assert not list(files.glob("data/*.db")), "nothing was recorded"

    assert run("import", "bybit-inverse.json", *OF_MINE, "bybit", "--markets", "markets.json", folder=files).returncode == 0
    assert balances(files) == {"BTC": "-0.010064"}


def test_what_states_nothing_is_passed_over_with_its_reason(files):
    done = run("import", "kraken-spot.ndjson", *OF_MINE, "kraken", "--dry-run", folder=files)

    assert done.returncode == 0
    assert "would pass over 1 structure: withdrawals that are pending" in done.stderr
    assert "would record: 2 deposits, 1 fill, 1 withdrawal" in done.stdout


@pytest.mark.parametrize("form", [(*OF_MINE, "binance"), ("--profile", "kraken-trades", "--account", "main")])
def test_a_file_that_is_cut_off_says_so_and_records_nothing(files, form):
    (files / "cut.gz").write_bytes(gzip.compress((files / "binance-spot.json").read_bytes())[:300])
    done = run("import", "cut.gz", *form, folder=files)
    assert done.returncode not in (0, None)
    assert "cut.gz is damaged: Compressed file ended before the end-of-stream marker was reached; nothing was recorded" in done.stderr
    assert not list(files.glob("data/*.db"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("binance-spot.json",), "--format ccxt` if ccxt wrote it"),
        (("binance-spot.ndjson",), "looks like ccxt's structures; `jarvis import --format ccxt` takes it"),
        (("binance-spot.json", "--format", "ccxt"), "say --account"),
        (("binance-spot.json", "--format", "ccxt", "--account", "main"), "say --exchange"),
        (("binance-spot.json", "--exchange", "binance"), "add --format ccxt"),
        (("binance-spot.json", *OF_MINE, "binance"), "add --fee-included or --fee-apart"),
        (("binance-spot.json", *OF_MINE, "binance", "--zone", "UTC"), "of a CSV file mean; add --format csv"),
        (("binance-spot.json", *OF_MINE, "binance", "--markets", "binance-spot.json"), "without a symbol"),
        (("markets.json", *OF_MINE, "bybit"), "line 1: no trade, order, transaction, funding payment, ledger entry or ticker of ccxt's"),
        (("-", *OF_MINE, "bybit"), "begins with 'id,symbol'"),
    ],
)
def test_a_file_that_is_not_understood_records_nothing_and_says_what_helps(files, arguments, told):
    done = run("import", *arguments, folder=files, stdin="id,symbol\n1,BTC/USDT\n", COLUMNS="400")
    assert done.returncode == 2
    assert told in re.sub(r"\s+", " ", done.stderr.replace("│", " "))
    assert not list(files.glob("data/*.db"))


class Exchange:
    """What ccxt's exchange answers."""

    id = "binanceusdm"

    def __init__(self) -> None:
        self._case = case("binance-linear")

    def load_markets(self):
        self._markets = {market["symbol"]: market for market in self._case["markets"]}

    def market(self, symbol):
        return self._markets[symbol]

    def _fetched(self, parser):
        return [call["structure"] for call in self._case["calls"] if call["parser"] == parser]

    def fetch_my_trades(self, symbol):
        return self._fetched("parse_trade")

    def fetch_orders(self, symbol):
        return self._fetched("parse_order")

    def fetch_funding_history(self, symbol):
        return self._fetched("parse_income")


def test_the_guides_lines_for_ccxt_end_in_the_books(broker_server, tmp_path):
    [block] = re.findall(r"```python ccxt\n(.*?)```", (HOUSE / "docs" / "publishing.md").read_text(), re.DOTALL)
    exec(block, {"exchange": Exchange(), "publisher": Publisher(broker_server.url)})

    with create_worker(tmp_path / "books.db", broker_server.url) as worker:
        wait_until(lambda: worker.writer.counts.messages >= 5, "everything is recorded")
        assert (worker.writer.counts.applied, worker.writer.counts.quarantined) == (5, 0)
        assert str(SQLiteAccountRepository(worker.database).find_by_id("main").balance.total("USDT").amount) == "194.745"
        statuses = {order.order_id: order.status.value for order in SQLiteOrderRepository(worker.database).find_by_account("main")}
        assert statuses["13809777875"] == "filled"
