"""Listings are read on a terminal of eighty columns: each record can be told, its time and numbers are in one piece."""

from __future__ import annotations

import json
import re

import command

GOOD = {"type": "deposit", "account_id": "main-account", "currency": "USDT", "occurred_at": "2026-03-01T00:00:00Z"}
PLACED = {
    "type": "order", "account_id": "main-account", "status": "placed", "symbol": "BTC/USDT", "side": "sell", "order_type": "limit",
    "quantity": "1.25", "price": "104250.5", "occurred_at": "2026-03-01T00:00:00Z",
}  # fmt: skip
TIME = r"2026-03-01 \d\d:\d\d:\d\d"


def imported(folder, *records, code=0):
    done = command.run("import", "-", folder=folder, stdin="\n".join(map(json.dumps, records)))
    assert done.returncode == code, done.stderr


def test_what_is_held_can_be_read(short_folder):
    same = {**GOOD, "deposit_id": "binance:BTCUSDT:d-1", "amount": "1"}
    imported(short_folder, same, {**same, "amount": "2"}, {**GOOD, "deposit_id": "d-2", "amount": "-1"}, code=1)
    shown = command.listed_on_terminal(short_folder, "quarantine", "list")
    assert max(map(len, shown)) <= 80
    assert len(shown) < 24, "on one screen"
    words = " ".join(" ".join(shown).split())
    numbered = [found[1] for line in shown if (found := re.match(r" *(\d) +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line))]
    assert numbered == ["1", "2"], "when each came stands in one piece"
    for word in ("conflict", "malformed", "deposit", "binance:BTCUSDT:d-1", "d-2", "main-account"):
        assert all(part in words for part in word.split()), word
    [told] = json.loads(command.run("quarantine", "list", "--for", "malformed", "--json", folder=short_folder).stdout)
    assert (told["number"], told["state"], told["kind"], told["account_id"], told["record_id"], told["deliveries"]) == (
        2, "held", "deposit", "main-account", "d-2", 1,
    )  # fmt: skip
    assert "discarded" not in words
    assert command.run("quarantine", "discard", "2", "--reason", "x", folder=short_folder).returncode == 0
    assert "discarded" in command.run("quarantine", "list", "--state", "all", folder=short_folder).stdout


def test_orders_can_be_read(short_folder):
    fill = {
        "type": "fill", "fill_id": "f1", "account_id": "main-account", "order_id": "9223372036854", "symbol": "BTC/USDT", "side": "sell", "quantity": "0.5",
        "price": "104251.25", "executed_at": "2026-03-01T00:00:01Z",
    }  # fmt: skip
    events = [{**PLACED, "event_id": f"e{n}", "order_id": f"922337203685{n}"} for n in range(4, 8)]
    imported(short_folder, *events, fill)
    shown = command.listed_on_terminal(short_folder, "orders", "--account", "main-account")
    assert max(map(len, shown)) <= 80
    assert len(shown) < 24, "on one screen"
    words = " ".join(" ".join(shown).split())
    assert len(re.findall(TIME, words)) == 4, "when it was placed stands in one piece"
    [line] = [line for line in shown if "104251.25" in line]
    assert "104250.5" in line
    assert "0.5 of 1.25" in line
    assert "9223372036854" in words
    for word in ("sell BTC/USDT", "partially filled", "pending"):
        assert all(part in words for part in word.split()), word
    exact = json.loads(command.run("orders", "--account", "main-account", "--status", "partially_filled", "--json", folder=short_folder).stdout)
    assert [(o["created_at"], o["side"], o["quantity"], o["filled"]) for o in exact] == [("2026-03-01T00:00:00.000000Z", "sell", "1.25", "0.5")]


def test_transactions_can_be_read(short_folder):
    imported(short_folder, *({**GOOD, "deposit_id": f"binance:d-{n}", "amount": "1250.75"} for n in range(3)))
    shown = command.listed_on_terminal(short_folder, "transactions", "--account", "main-account")
    assert max(map(len, shown)) <= 80
    assert sum(bool(re.match(rf"{TIME} +deposit +1250\.75  USDT$", line)) for line in shown) == 3, "time, type and amount stand in one line"
    exact = json.loads(command.run("transactions", "--account", "main-account", "--json", folder=short_folder).stdout)
    assert {t["occurred_at"] for t in exact} == {"2026-03-01T00:00:00.000000Z"}


def test_a_listing_that_is_as_long_as_it_may_be_says_that_there_may_be_more(short_folder):
    imported(short_folder, *({**GOOD, "deposit_id": f"d{n}", "amount": "1"} for n in range(3)))
    for limit, told in (("2", True), ("4", False)):
        listed = command.run("transactions", "--account", "main-account", "--limit", limit, folder=short_folder)
        assert ("the newest 2 are listed; --limit lists more" in listed.stderr) == told
