"""The given cases (records with what the books must say) put to the reference: tests/data/cases, in the form of acceptance/meaning_cases.py."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from reference.facts import instant_of
from reference.reckon import Result, reckon
from reference.replay import Options

CASES = Path(__file__).parents[1] / "data" / "cases"


def options_of(case: dict) -> Options:
    rollup = case.get("config", {}).get("scheduler.yaml", {}).get("rollup", {})
    found: dict[str, object] = {"now": instant_of("2030-01-01T00:00:00Z")}
    for name, value in rollup.items():
        found[name] = Fraction(str(value)) if name.startswith(("dust", "opening", "min_base")) else value
    return Options(**found)  # type: ignore[arg-type]


def differences(case: dict) -> list[str]:
    """What the reference says otherwise than the case expects."""
    expect, found = case["expect"], []
    records = [*case.get("records", []), *case.get("late", [])]
    names = sorted({r["account_id"] for r in records if r.get("account_id")})
    results = {name: reckon(records, name, options_of(case)) for name in names}
    for name, result in results.items():
        found += [f"{name}: {text}" for text in result.broken]
        if expect.get("no_notes"):
            found += [f"{name}: a note {note}" for note in result.notes]
    if results and len(next(iter(results.values())).refused) != expect.get("quarantined", 0):
        found.append(f"refused {next(iter(results.values())).refused}")
    for name in names:
        for section, compare in (("balances", balances), ("trades", trades), ("performance", performance), ("lots", lots)):
            if name in expect.get(section, {}):
                found += [f"{name}: {text}" for text in compare(results[name], expect[section][name])]
    return found


def same(got: Fraction | int | None, want: object, tolerance: Fraction = Fraction(0)) -> bool:
    if got is None or want is None:
        return got is None and want is None
    wanted = want if isinstance(want, Fraction) else Fraction(Decimal(str(want)))
    return abs(got - wanted) <= tolerance * max(1, abs(wanted))


def balances(result: Result, want: dict) -> list[str]:
    got = {code: amount for (code, _), amount in result.balances.items()}
    return [f"{code} {got.get(code, 0)}, expected {want.get(code, 0)}" for code in {*got, *want} if not same(got.get(code, 0), want.get(code, "0"))]


def trades(result: Result, want: dict) -> list[str]:
    last = result.rows[-1]
    got = {"count": last.trades_count, "win_rate": last.win_rate, "profit_factor": last.profit_factor}
    return [f"{key} {got[key]}, expected {value}" for key, value in want.items() if not same(got[key], value, Fraction(1, 10**9))]


def performance(result: Result, want: list) -> list[str]:
    rows = {row.date: row for row in result.rows}
    found = []
    for expected in want:
        row = rows.get(expected["date"])
        if expected.get("absent"):
            found += [f"a row of {row.date}"] if row else []
        elif row is None:
            found.append(f"no row of {expected['date']}, only {sorted(rows)}")
        else:
            keys = [key for key in expected if key != "date"]
            found += [
                f"{row.date} {key} {getattr(row, key)}, expected {expected[key]}"
                for key in keys
                if not same(getattr(row, key), expected[key], Fraction(key == "max_drawdown", 10**12))
            ]
    return found


def lots(result: Result, want: list) -> list[str]:
    sums: dict[str, list[Fraction]] = {}
    for lot in want:
        total = sums.setdefault(lot["currency"], [Fraction(0), Fraction(0)])
        total[0] += Fraction(lot["quantity"])
        total[1] += Fraction(lot["cost_usd"])
    found = []
    for code, (quantity, cost) in sums.items():
        held = result.lots.get(code, [])
        got = sum((lot.quantity for lot in held), Fraction(0)), sum((lot.cost or Fraction(0) for lot in held), Fraction(0))
        if not same(got[0], quantity) or abs(got[1] - cost) > abs(cost) / 10**20:
            found.append(f"lots of {code}: {got}, expected {quantity} at {cost}")
    return found


def load(path: Path) -> dict:
    return json.loads(path.read_text())
