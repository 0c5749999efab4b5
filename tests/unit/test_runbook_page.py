"""The runbook has an entry for every alarm, and a row for every event that the log may hold at level warning or above."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from parsing import nodes_of

from jarvis.status.alarms import ALARMS, Severity
from jarvis_client.contract import broker_faults
from jarvis_client.contract.broker_faults import Fault
from persistence.domain.strays import StrayKind

HOUSE = Path(__file__).parents[2]
PAGE = (HOUSE / "docs" / "runbook.md").read_text()
PHRASES = [phrase for row in re.findall(r"^\|([^|]+)\|", PAGE, re.MULTILINE) for phrase in re.findall(r"`([^`]*(?:`[^`|]*` [^`|]*)?)`", row)]
LOUD = {"warning", "error", "exception", "critical"}
FAULTS = [fault for _, fault in broker_faults.CATALOGUE] + [fault for fault in vars(broker_faults).values() if isinstance(fault, Fault)]


def said(node: ast.expr) -> str:
    """An event as far as the source says it; what differs is `…`."""
    if isinstance(node, ast.Constant):
        return re.sub(r"%\w", "…", node.value)
    parts = node.values if isinstance(node, ast.JoinedStr) else []
    return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in parts)


def events() -> set[str]:
    found = set()
    for path in (p for room in ("jarvis", "workers", "scheduler", "persistence", "clients/python") for p in (HOUSE / room).rglob("*.py")):
        for node in nodes_of(path):
            named = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)
            if named and node.func.value.id == "log" and node.func.attr in LOUD:
                found.add(said(node.args[0]))
    return found


def has_a_row(event: str) -> bool:
    """Whether some phrase of the runbook is the event, or a part of it that is long enough to be known by."""
    return any(all(part in event for part in phrase.split("…")) and (len(phrase) >= 12 or phrase == event) for phrase in PHRASES)


@pytest.mark.parametrize("alarm", ALARMS, ids=lambda alarm: alarm.name)
def test_every_alarm_has_an_entry_that_says_how_grave_it_is(alarm):
    entry = PAGE.partition(f"### {alarm.name}\n")[2].partition("\n### ")[0]
    assert entry.strip().startswith("Critical." if alarm.severity is Severity.CRITICAL else "Warning.")
    assert "jarvis " in entry, "it says what to type"


def test_every_event_of_the_log_has_a_row():
    found = sorted(event for event in events() if event.strip("…"))
    without = [event for event in found if not has_a_row(event)]
    assert found
    assert not without, f"docs/runbook.md has no row for {without}: say what each means and what to do"


@pytest.mark.parametrize("said", [*StrayKind, *dict.fromkeys(f"broker {fault.predicate}" for fault in FAULTS)])
def test_what_is_put_together_for_the_log_has_a_row(said):
    assert has_a_row(said) or said.removeprefix("broker ") in PHRASES
