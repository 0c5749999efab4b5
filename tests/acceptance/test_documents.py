"""What the documents show is run."""

from __future__ import annotations

import re
from pathlib import Path

from parts import wait_until

from jarvis.settings import load_settings
from persistence.proof.books_checks import check_books
from persistence.repositories import SQLiteAccountRepository
from workers.app import create_worker
from workers.messages import item_of_line

HOUSE = Path(__file__).parents[2]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (HOUSE / page).read_text(), re.DOTALL)


def test_the_guide_of_the_library_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, block in enumerate(blocks("docs/persistence.md", "python")):
        exec(compile(block, f"docs/persistence.md, example {number}", "exec"), names)
    assert capsys.readouterr().out.startswith("Account: Main Trading Account, Balance: 10000 USDT\n")


def test_publishing_as_the_documents_show_it_ends_in_the_books(broker_server, tmp_path):
    for page in ("README.md", "docs/publishing.md"):
        for block in blocks(page, "python"):
            exec(block.replace('"unix:///path/to/data/broker/valkey.sock"', "URL"), {"URL": broker_server.url})
    with create_worker(tmp_path / "books.db", broker_server.url) as worker:
        wait_until(lambda: worker.writer.counts.messages >= 19, "everything is recorded")
        assert (worker.writer.counts.applied, worker.writer.counts.quarantined) == (1009, 0)
        balance = SQLiteAccountRepository(worker.database).find_by_id("main").balance
        assert str(balance.total("BTC").amount) == "-0.97001", "0.015 + 0.015 bought, 1 sold, 0.00001 paid as a fee"


def test_the_examples_of_contracts_fees_and_rates_mean_what_the_guide_says(database, ledger):
    lines = [line for block in blocks("docs/publishing.md", "json example") for line in block.splitlines()]
    outcomes = ledger.post([item_of_line(line.encode(), number) for number, line in enumerate(lines, 1)])
    assert [o.detail for o in outcomes if o.status == "quarantined"] == []
    assert [o.status for o in outcomes].count("duplicate") == 1, "the same fill from websocket and REST"

    def held(account_id):
        account = SQLiteAccountRepository(database).find_by_id(account_id)
        amounts = {str(c): str(account.balance.total(c).amount) for c in account.balance.currencies}
        return amounts | {code: f"{quantity} contracts" for code, quantity in account.contracts.items()}

    assert held("perp") == {"USDT": "19.65", "BTC/USDT:USDT": "0 contracts"}
    assert held("inverse") == {"BTC": "0.4", "BTC/USD:BTC": "0 contracts"}
    assert held("option") == {"BTC": "-0.15", "BTC/USD:BTC-260327-90000-C": "0 contracts"}
    assert held("fees") == {"BNB": "-0.002", "ETH": "0.5", "USDT": "-960.8"}
    assert check_books(database) == []


def test_the_notations_of_the_guide_are_settings(tmp_path):
    [text] = blocks("docs/publishing.md", "yaml settings")
    (tmp_path / "workers.yaml").write_text(text)
    instrument = load_settings(tmp_path).conventions.instrument("PF_XBTUSD")
    assert (instrument.base, instrument.quote, instrument.settle) == ("BTC", "USD", "USD")


def test_every_view_is_in_the_guide_of_sql(database):
    page = (HOUSE / "docs" / "sql.md").read_text()
    views = {name for (name,) in database.execute_query("SELECT name FROM sqlite_schema WHERE type = 'view'")}
    assert {name for name in views if f"| `{name}` |" in page} == views
    examples = "".join(blocks("docs/sql.md", "sql"))
    assert {name for name in views if name in examples} == views


def test_the_settings_in_the_guide_are_those_of_the_house(tmp_path):
    [text] = blocks("docs/persistence.md", "yaml")
    (tmp_path / "database.yaml").write_text(text)
    assert load_settings(tmp_path).database == load_settings(HOUSE / "config").database
