"""`jarvis import --format csv`, as people use it: what it shows, what it refuses, its exit codes."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path

import command
import pytest

from jarvis.importing.shipped import shipped_names

HOUSE = Path(__file__).parents[2]
EXPORTS = HOUSE / "tests" / "data" / "exports"
#: As a spreadsheet of somebody in Berlin.
OWN = "Datum;Coin;Art;Menge;Gebühr\n26.10.2025 01:30:00;BTC;Kauf;0,5;0,001\n27.10.2025 12:00:00;BTC;Verkauf;1.000,25;\n"
OWN_PROFILE = """
imports:
  profiles:
    mine:
      title: my own list
      zone: Europe/Berlin
      times: "%d.%m.%Y %H:%M:%S"
      decimal: ","
      fields: {occurred_at: Datum, currency: Coin, amount: Menge, fee: Gebühr}
      rows:
        - when: {Art: Kauf}
          kind: deposit
        - when: {Art: Verkauf}
          kind: withdrawal
"""
MAPPED = (
    "--kind",
    "deposit",
    "--map",
    "amount=Menge",
    "--map",
    "currency=Coin",
    "--map",
    "occurred_at=Datum",
    "--time-format",
    "%d.%m.%Y %H:%M:%S",
    "-a",
    "main",
)


@pytest.fixture
def run(short_folder):
    (short_folder / "own.csv").write_text(OWN)
    return command.Jarvis(short_folder)


def said(done) -> str:
    """What a command told people, without the frame around it."""
    return " ".join(done.stderr.replace("│", " ").split())


def balances(run) -> dict[str, str]:
    [account] = json.loads(run("accounts", "--json").stdout)
    return {code: balance["total"] for code, balance in account["balances"].items()}


def test_a_dry_run_shows_records_and_totals_and_leaves_no_books(run):
    shown = run("import", str(EXPORTS / "kraken-trades.csv"), "--format", "csv", "--profile", "kraken-trades", "-a", "kr", "--dry-run")
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert "2 fill 2021-05-11 18:55:10 buy 6.25 DOT/EUR at 32, fee 0.32 EUR" in lines
    assert "EUR 100 209.99992 0.506 -110.50592" in lines
    assert "would record: 4 fills" in lines
    assert "would pass over 1 row: a margin trade moves no coins" in shown.stderr
    assert not (run.folder / "data").exists(), "nothing is opened"


def test_a_dry_run_exits_1_where_something_would_be_refused(run):
    table = "Menge,Coin,Datum\n1,BTC,2024-03-01T10:00:00Z\n0,BTC,2024-03-01T10:00:00Z\n2,BTC,yesterday\n"
    shown = run("import", "-", *MAPPED[:-4], "-a", "main", "--dry-run", code=1, stdin=table)
    assert "would record: 1 deposit" in shown.stdout
    assert "would be quarantined: line 3: deposit: amount: it is 0; it must be above zero" in shown.stderr
    assert "line 4: Datum: it is 'yesterday'" in shown.stderr
    repeated = "Id,Menge,Coin,Datum\na,1,BTC,2024-03-01T10:00:00Z\na,2,BTC,2024-03-01T10:00:00Z\na,1,BTC,2024-03-01T10:00:00Z\n"
    shown = run("import", "-", *MAPPED[:-4], "-a", "main", "--map", "id=Id", "--dry-run", code=1, stdin=repeated)
    assert "would be quarantined: line 3: the deposit 'a' of line 2 again, with other content" in shown.stderr
    assert "would count as duplicates: 1" in shown.stdout


def test_a_profile_of_the_settings_takes_a_file_of_ones_own(run):
    (run.folder / "config").mkdir()
    (run.folder / "config" / "workers.yaml").write_text(OWN_PROFILE)
    listed = run("import", "--profiles").stdout
    assert [line.split() for line in listed.splitlines() if line.startswith("mine")] == [["mine", "my", "own", "list", "settings"]]
    assert "kraken-trades" in listed
    done = run("import", "own.csv", "--profile", "mine", "-a", "main")
    assert "imported 2 records: 2 applied, 0 duplicates, 0 quarantined" in done.stderr
    assert balances(run) == {"BTC": "-999.751"}
    (run.folder / "own.csv.gz").write_bytes(gzip.compress(OWN.encode("utf-16")))
    assert "0 applied, 2 duplicates" in run("import", "own.csv.gz", "--profile", "mine", "-a", "main").stderr


def test_columns_are_mapped_on_the_command_line(run):
    done = run("import", "own.csv", "--format", "csv", *MAPPED, "--zone", "Europe/Berlin", "--decimal", "comma", "--set", "category=transfer")
    assert "imported 2 records: 2 applied" in done.stderr
    rows = json.loads(run("transactions", "-a", "main", "--json").stdout)
    assert [(row["type"], row["amount"], row["occurred_at"][:19]) for row in rows] == [
        ("transfer", "1000.25", "2025-10-27T11:00:00"), ("transfer", "0.5", "2025-10-25T23:30:00"),
    ]  # fmt: skip


def test_a_file_with_a_row_that_cannot_be_read_records_nothing(run):
    done = run("import", "own.csv", "--format", "csv", *MAPPED, "--zone", "Europe/Berlin", code=2)
    assert "line 2: Menge: it is '0,5'; it must be a number; say --decimal comma" in done.stderr
    assert "2 of 2 rows cannot be read; nothing was recorded" in done.stderr
    assert not (run.folder / "data").exists()


def test_a_row_that_breaks_a_rule_of_the_books_is_quarantined_alone_with_its_line(run):
    table = "Menge,Coin,Datum\n1,BTC,2024-03-01T10:00:00Z\n0,BTC,2024-03-01T10:00:00Z\n"
    done = run("import", "-", *MAPPED[:-4], "-a", "main", code=1, stdin=table)
    assert "quarantined: line 3: deposit: amount: it is 0" in done.stderr
    assert "1 applied, 0 duplicates, 1 quarantined" in done.stderr
    run("import", "-", *MAPPED[:-4], "-a", "main", "--keep-going", stdin=table)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("own.csv",), "looks like CSV; `jarvis import --format csv` takes it"), (("own.csv", "--format", "csv"), "needs to be told what its columns mean: --profile NAME"),
        ((str(EXPORTS / "bybit-spot-trades.csv"), "--format", "csv"), "--profile bybit-spot-trades fits this file"),
        ((str(EXPORTS / "kraken-ledgers.csv"), "--profile", "kraken-trades"), "The profile kraken-ledgers fits it"),
        (("own.csv", "--profile", "kraken-tades"), "did you mean kraken-trades?"), (("own.csv", "--profile", "kraken-trades", "--kind", "fill"), "copy it into imports.profiles"),
        (("own.csv", "--map", "amount=Menge"), "--map needs to know what each row is"), (("own.csv", "--kind", "fil", "--map", "price=x"), "did you mean fill?"),
        (("own.csv", "--kind", "deposit", "--map", "amout=Menge"), "did you mean amount?"), (("own.csv", "--kind", "deposit", "--map", "amount"), "no FIELD=COLUMN"),
        (("own.csv", "--kind", "deposit", "--map", "amount=Meng", "--map", "occurred_at=Datum", "-a", "m"), "did you mean 'Menge'?"),
        (("own.csv", "--kind", "deposit", "--map", "amount=Menge", "--map", "amount=Art"), "amount is given twice"),
        (("own.csv", "--kind", "deposit", "--map", "amount=Menge"), "a deposit needs account_id, occurred_at"),
        (("own.csv", *MAPPED, "--set", "currrency=BTC"), "did you mean currency?"), (("own.csv", *MAPPED, "--set", "deposit_id=1"), "rows without one get ids"),
        (("own.csv", *MAPPED, "--zone", "Berlin"), "unknown time zone 'Berlin'"), (("own.csv", *MAPPED[:-3], "yesterday", "-a", "m"), "no form of a time"),
        (("own.csv", "--format", "ndjson", "--zone", "UTC"), "add --format csv"), (("own.csv", "-a", "main"), "add --format csv"), (("none.csv", "--format", "csv"), "is no file"),
    ],
)  # fmt: skip
def test_wrong_usage_is_exit_code_2_with_what_helps(run, arguments, told):
    assert told in said(run("import", *arguments, code=2))
    assert not (run.folder / "data").exists()


def test_a_csv_that_nobody_called_one_is_refused_and_called_csv(run):
    """Every venue has a button for it; as lines of records each would be quarantined."""
    (run.folder / "trades.csv").write_bytes(
        base64.b64decode("RGF0ZShVVEMpLFBhaXIsU2lkZSxQcmljZSxFeGVjdXRlZAoyMDI0LTAzLTAxIDEwOjAwOjAwLEVUSFVTRFQsQlVZLDIwMDAsMC4xRVRICg==")
    )
    assert "CSV" in run("import", "trades.csv", code=2).stderr
    mapped = [f"--map={pair}" for pair in ("symbol=Pair", "side=Side", "price=Price", "quantity=Executed", "executed_at=Date(UTC)")]
    assert "1 applied" in run("import", "trades.csv", "--kind", "fill", *mapped, "-a", "main").stderr
    assert balances(run) == {"ETH": "0.1", "USDT": "-200"}


@pytest.mark.parametrize("name", ["kraken-ledgers", "coinbase-transactions", "bybit-unified-log"])
def test_the_preview_fits_a_terminal_of_eighty_columns(run, name):
    lines = command.listed_on_terminal(run.folder, "import", str(EXPORTS / f"{name}.csv"), "--profile", name, "-a", "main", "--dry-run")
    end = next(n for n, line in enumerate(lines) if line.startswith("would record"))
    assert any(line.startswith("Totals of account main") for line in lines[:end])
    assert max(map(len, lines[:end])) <= 80


def test_the_profile_of_the_guide_takes_the_file_of_the_guide(run):
    page = (HOUSE / "docs" / "importing.md").read_text()
    (run.folder / "config").mkdir()
    (run.folder / "config" / "workers.yaml").write_text(re.search(r"```yaml settings\n(.*?)```", page, re.DOTALL)[1])
    (run.folder / "list.csv").write_text(re.search(r"```csv my-broker\n(.*?)```", page, re.DOTALL)[1])
    done = run("import", "list.csv", "--profile", "my-broker", "-a", "main")
    assert "3 applied, 0 duplicates, 0 quarantined" in done.stderr
    assert "passed over 1 row: between my own two pots" in done.stderr
    assert balances(run) == {"BTC": "0.01", "EUR": "148.62"}


def test_the_guide_names_every_shipped_profile():
    page = (HOUSE / "docs" / "importing.md").read_text()
    assert [name for name in shipped_names() if f"`{name}`" not in page] == []


def test_a_file_of_records_has_a_dry_run_as_well(run):
    record = {"type": "deposit", "deposit_id": "d1", "account_id": "acc", "currency": "USDT", "amount": "100.50", "occurred_at": "2026-01-01T00:00:00Z"}
    shown = run("import", "-", "--dry-run", code=1, stdin=f"{json.dumps(record)}\nnonsense\n")
    assert "would record: 1 deposit" in shown.stdout
    assert "would be quarantined: line 2: not JSON" in shown.stderr
    assert not (run.folder / "data").exists()
