"""What the documents show is run."""

from __future__ import annotations

import re
from pathlib import Path

from books import deposit, fill
from parts import wait_until

from persistence.repositories import SQLiteAccountRepository
from workers.app import create_worker

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


def test_every_query_for_analysts_runs(database, ledger):
    ledger.post([deposit(account_id="main"), fill(1, account_id="main")])
    [page] = blocks("docs/sql.md", "sql")
    queries = [q for q in page.split(";") if q.strip()]
    assert len(queries) >= 6
    results = [database.execute_query(q) for q in queries]
    assert results[0][0]["currency"] == "USDT"
    assert results[3] == []


def test_the_settings_in_the_guide_are_those_of_the_house(tmp_path):
    from jarvis.settings import load_settings

    [text] = blocks("docs/persistence.md", "yaml")
    (tmp_path / "database.yaml").write_text(text)
    assert load_settings(tmp_path).database == load_settings(HOUSE / "config").database
