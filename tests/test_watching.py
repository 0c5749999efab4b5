"""What is said of figures in four places is the same: the processes, docs/operating.md, the alert rules and the dashboard."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from watched import every_source

from jarvis.monitoring.merging import registry_of
from jarvis.settings_monitoring import Thresholds
from jarvis.status.alarms import ALARMS

HOUSE = Path(__file__).parents[1]
RULES = {rule["alert"]: rule for group in yaml.safe_load((HOUSE / "deploy/prometheus/alerts.yml").read_text())["groups"] for rule in group["rules"]}
DASHBOARD = json.loads((HOUSE / "deploy/grafana/jarvis.json").read_text())
QUERIES = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    return list(registry_of(every_source(tmp_path_factory.mktemp("figures"))).collect())


def name_of(family):
    return f"{family.name}_total" if family.type == "counter" else family.name


def described():
    """The rows of the table in docs/operating.md: name, type, labels, meaning."""
    page = (HOUSE / "docs/operating.md").read_text()
    section = page[page.index("\n## Watching it\n") :].split("\n## ", 2)[1]
    rows = re.findall(r"^\| `((?:jarvis|dramatiq|process)_\w+)` \| (\w+) \| (.*?) \| (.*) \|$", section, re.MULTILINE)
    return {name: (kind, tuple(re.findall(r"`(\w+)`", labels)), says) for name, kind, labels, says in rows}


def test_the_page_describes_every_series_as_it_is_told(families):
    told = {}
    for family in families:
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        told[name_of(family)] = family.type, tuple(sorted(labels)), family.documentation.rstrip(".")
    assert described() == told


def test_series_are_named_as_the_field_names_them(families):
    for family in families:
        name = name_of(family)
        assert not re.search(r"_(ms|milliseconds|minutes|hours|days|kb|mb|percent)(_|$)", name), f"{name}: base units are seconds and bytes"
        assert family.type != "counter" or name.endswith("_total"), f"{name} counts, so it ends with _total"
        assert "job" not in {label for sample in family.samples for label in sample.labels}, f"{name}: `job` is what Prometheus calls the target"
        assert family.documentation.endswith("."), f"{name} is explained in a sentence"


def series_in(query):
    """The names of series that a PromQL query reads."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', query)
    return set(re.findall(r"\b(?:jarvis|dramatiq|process)_\w+\b", re.sub(r"\{[^}]*\}|\b(?:by|on|without)\s*\([^)]*\)", "", bare)))


def labels_in(query):
    """(name, its labels) for each selector."""
    return [(name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", labels))) for name, labels in re.findall(r"\b((?:jarvis|dramatiq|process)_\w+)\{([^}]*)\}", query)]


@pytest.mark.parametrize(("where", "query"), [*QUERIES, *((name, rule["expr"]) for name, rule in RULES.items())])
def test_a_query_reads_what_the_daemon_tells(where, query, families):
    known = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    assert series_in(query) or re.search(r"\bup\b", query), f"{where} reads nothing of ours"
    assert not series_in(query) - known.keys(), f"{where} asks for what is not told"
    for name, labels in labels_in(query):
        assert labels <= known[name] | {"job"}, f"{where}: {name} has no {labels - known[name]}"


def test_the_reader_of_queries_sees_what_is_wrong_with_one():
    assert series_in('sum by (jarvis_x) (rate(jarvis_a_total{name="jarvis_b"}[5m])) / jarvis_c') == {"jarvis_a_total", "jarvis_c"}
    assert labels_in('jarvis_a{b="c", d!~"e=f"}') == [("jarvis_a", {"b", "d", "e"})]


def test_every_alarm_has_a_rule_and_every_rule_an_alarm():
    assert {*RULES} == {alarm.name for alarm in ALARMS} | {"JarvisAbsent"}


@pytest.mark.parametrize("alarm", ALARMS, ids=lambda alarm: alarm.name)
def test_a_rule_says_what_its_alarm_says(alarm):
    rule = RULES[alarm.name]
    assert rule["labels"] == {"severity": str(alarm.severity)}
    assert rule["annotations"]["summary"] == f"{alarm.means[0].upper()}{alarm.means[1:]}."
    assert rule["annotations"]["description"].endswith(f"Remedy: {alarm.remedy}{'' if alarm.remedy.endswith('?') else '.'}")


@pytest.mark.parametrize("name", RULES)
def test_a_rule_leads_to_its_entry_of_the_runbook(name):
    assert RULES[name]["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"


LIMITS = Thresholds()


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("JarvisQueueWaits", f"> {LIMITS.oldest_message_seconds:g}"),
        ("JarvisJobMissed", f"> {LIMITS.job_late_minutes:g} * 60"),
        ("JarvisBackupStale", f"> {LIMITS.backup_age_hours:g} * 3600"),
        ("JarvisCopyStale", f"> {LIMITS.copy_age_hours:g} * 3600"),
        ("JarvisVerificationStale", f"> {LIMITS.verification_age_hours:g} * 3600"),
        ("JarvisDrillStale", f"> {LIMITS.drill_age_days:g} * 86400"),
        ("JarvisQuarantineHeld", f"> {LIMITS.quarantine_held}"),
        ("JarvisGaps", f"> {LIMITS.gaps}"),
        ("JarvisDiskLow", "< 1e9"),
        ("JarvisDiskLow", f"< {LIMITS.disk_free_percent / 100:g}"),
        ("JarvisLogLong", "> 256e6"),
    ],
)
def test_a_rule_has_the_limit_that_the_settings_have_by_default(name, part):
    assert part in RULES[name]["expr"]
    assert (LIMITS.disk_free_bytes, LIMITS.log_bytes) == (10**9, 256 * 10**6)


@pytest.mark.parametrize(("name", "seconds"), [("JarvisBrokerAway", LIMITS.broker_away_seconds), ("JarvisWorkerNotReady", LIMITS.not_ready_seconds)])
def test_a_rule_waits_as_long_as_its_alarm(name, seconds):
    assert RULES[name]["for"] == f"{seconds / 60:g}m"


def test_panels_have_places_of_their_own_and_ids_of_their_own():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, f"{panel['title']} lies over another"
        taken |= cells
