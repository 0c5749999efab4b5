"""`jarvis messages`, as people run it."""

from __future__ import annotations

import json

import pytest
from command import run

from jarvis_client.contract.routes import ROUTES
from workers.examples import SHORT
from workers.schemas import json_schemas

DEPOSIT = json.dumps({"type": "deposit", **SHORT["deposit"]})
BAD = json.dumps({"type": "deposit", **SHORT["deposit"], "amount": "-1"})


@pytest.mark.parametrize("options", [[], ["--all-fields"]], ids=["short", "all fields"])
@pytest.mark.parametrize("kind", ROUTES)
def test_an_example_passes_the_check_and_ends_in_the_books(kind, options, tmp_path):
    printed = run("messages", "example", kind, *options, folder=tmp_path)
    assert printed.returncode == 0
    checked = run("messages", "validate", "-", folder=tmp_path, stdin=printed.stdout)
    assert (checked.returncode, checked.stdout.count(": applied: ")) == (0, printed.stdout.count("\n")), checked.stdout
    assert not (tmp_path / "data").exists(), "no books are needed, and none are made"
    run("db", "init", folder=tmp_path)
    imported = run("import", "-", folder=tmp_path, stdin=printed.stdout)
    assert (imported.returncode, "0 quarantined" in imported.stderr) == (0, True), imported.stderr


@pytest.mark.parametrize("kind", [*ROUTES, "job"])
def test_a_schema_is_printed_as_it_is_published(kind, tmp_path):
    assert json.loads(run("messages", "schema", kind, folder=tmp_path).stdout) == json_schemas()[kind]


def test_each_line_is_told_and_a_refusal_sets_the_exit_code(tmp_path):
    done = run("messages", "validate", "-", folder=tmp_path, stdin=f"{DEPOSIT}\n\n{DEPOSIT}\n{BAD}\n")
    assert done.stdout.splitlines() == [
        "line 1: applied: deposit d-1 of main: +100 USDT (external)",
        "line 3: duplicate: deposit d-1 of main: line 1 says the same",
        "line 4: refused: deposit: amount: it is -1; it must be above zero",
    ]
    assert (done.returncode, done.stderr) == (1, "3 records: 1 would be applied, 1 duplicate, 1 refused\n")
    only = run("messages", "validate", "-", "--problems", folder=tmp_path, stdin=f"{DEPOSIT}\n{BAD}\n")
    assert only.stdout == "line 2: refused: deposit: amount: it is -1; it must be above zero\n"


def test_as_json_each_line_is_an_object(tmp_path):
    (tmp_path / "records").write_text(f"{DEPOSIT}\n{BAD}\n")
    done = run("messages", "validate", "records", "--json", folder=tmp_path)
    found = json.loads(done.stdout)
    assert [(f["line"], f["outcome"], f["reason"], f["kind"], f["account_id"], f["id"]) for f in found] == [
        (1, "applied", "", "deposit", "main", "d-1"), (2, "refused", "malformed", "deposit", "main", "d-1"),
    ]  # fmt: skip
    assert done.returncode == 1


def test_what_a_symbol_means_is_read_from_the_settings(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "workers.yaml").write_text("symbols:\n  pairs: {XBTUSD: XBT/USD}\n")
    fill = json.dumps({"type": "fill", **SHORT["fill"], "symbol": "XBTUSD"})
    assert "XBTUSD is XBT/USD" in run("messages", "validate", "-", folder=tmp_path, stdin=fill).stdout


@pytest.mark.parametrize("command", ["example", "schema"])
def test_a_kind_that_there_is_not_is_wrong_usage_and_the_others_are_named(command, tmp_path):
    done = run("messages", command, "trade", folder=tmp_path, COLUMNS="200")
    assert (done.returncode, "there are fill, fee" in done.stderr) == (2, True), done.stderr
