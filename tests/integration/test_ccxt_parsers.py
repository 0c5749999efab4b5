"""ccxt's own parsers, on documents in the form that the exchanges' references give: they make the structures that other tests use.

Nothing here talks to an exchange. A new ccxt that reads a document otherwise fails here first.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

CASES = sorted((Path(__file__).parents[1] / "data" / "ccxt").glob("*.json"))


def parsed(exchange, parser: str, raw: dict[str, Any]) -> dict[str, Any]:
    if parser == "parse_transaction" and exchange.id == "kraken":
        return exchange.parse_transactions([raw], None, None, None, {"type": raw["type"]})[0]  # as its fetch_deposits does
    return getattr(exchange, parser)(raw)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what ccxt imports warns of its own
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_ccxts_parsers_make_the_structures_that_are_recorded(path):
    import ccxt  # hundreds of modules, which nobody needs who runs the quick tests

    case = json.loads(path.read_text())
    exchange = getattr(ccxt, case["exchange"])()
    markets = [exchange.parse_market(raw) if "instId" in raw else exchange.safe_market_structure(raw) for raw in case["raw_markets"]]
    exchange.set_markets(markets)

    for call in case["calls"]:
        structure = json.loads(json.dumps(parsed(exchange, call["parser"], call["raw"])))
        structure.pop("info")
        assert structure == call["structure"]
    for market, kept in zip(markets, case["markets"], strict=True):
        assert {name: market[name] for name in kept if name != "info"} == {name: value for name, value in kept.items() if name != "info"}
        assert {name: market["info"][name] for name in kept.get("info", {})} == kept.get("info", {})
