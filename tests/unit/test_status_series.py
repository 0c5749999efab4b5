"""A status as series: each figure where it belongs, and looked at no more often than needed."""

from __future__ import annotations

import threading

import pytest
from parts import wait_until
from structlog.testing import capture_logs
from watched import DAY, OF_PROCESSES, a_status, figure, figures, wrong

from jarvis.monitoring.merging import exposition, plain_text, registry_of
from jarvis.monitoring.status_series import CACHE_SECONDS, PARTS, StatusSeries
from jarvis.settings_monitoring import Thresholds
from jarvis.status.alarms import ALARMS
from jarvis.status.model import Queue, Status

NOW = 1_795_600_000_000_000


def text_of(status, thresholds=None):
    return plain_text(registry_of([StatusSeries(lambda: status, thresholds or Thresholds())]))


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("jarvis_status_timestamp_seconds", {}, NOW / 1e6),
        ("jarvis_process_up", {"process": "worker", "kind": "worker"}, 1),
        ("jarvis_broker_up", {"process": "scheduler"}, 1),
        ("jarvis_broker_round_trip_seconds", {}, 0.001),
        ("jarvis_queue_messages", {"queue": "fills", "state": "waiting"}, 7),
        ("jarvis_queue_messages", {"queue": "fills", "state": "held"}, 2),
        ("jarvis_queue_oldest_message_age_seconds", {"queue": "fills"}, 3),
        ("jarvis_queue_oldest_message_age_seconds", {"queue": "orders"}, 0),
        ("jarvis_books_records", {}, 1_000),
        ("jarvis_books_last_commit_timestamp_seconds", {}, NOW / 1e6 - 1),
        ("jarvis_quarantine_held_records", {"reason": "conflict"}, 0),
        ("jarvis_gap_missing_records", {}, 0),
        ("jarvis_notes", {}, 3),
        ("jarvis_strays", {"kind": "broker_emptied"}, 0),
        ("jarvis_job_last_success_timestamp_seconds", {"name": "backup"}, NOW / 1e6 - 3_600),
        ("jarvis_job_last_duration_seconds", {"name": "backup"}, 1.5),
        ("jarvis_job_next_run_timestamp_seconds", {"name": "backup"}, NOW / 1e6 + 3_600),
        ("jarvis_job_failed", {"name": "backup"}, 0),
        ("jarvis_job_late_seconds", {"name": "backup"}, 0),
        ("jarvis_backup_newest_timestamp_seconds", {"copy": "first", "place": "data/backups"}, NOW / 1e6 - 3_600),
        ("jarvis_backup_newest_timestamp_seconds", {"copy": "second", "place": "/mnt/other"}, NOW / 1e6 - 3_600),
        ("jarvis_verification_findings", {}, 0),
        ("jarvis_restore_drill_timestamp_seconds", {}, (NOW - DAY) / 1e6),
        ("jarvis_database_bytes", {}, 50_000_000),
        ("jarvis_database_log_bytes", {}, 1_000_000),
        ("jarvis_disk_free_bytes", {"folder": "data/backups"}, 50_000_000_000),
        ("jarvis_disk_total_bytes", {"folder": "data"}, 100_000_000_000),
    ],
)
def test_a_figure_of_the_status_is_told(name, labels, expected):
    assert figure(text_of(a_status(NOW)), name, **labels) == pytest.approx(expected)


def alarms_in(text):
    return {dict(labels)["name"] for (name, labels), value in figures(text).items() if name == "jarvis_alarm" and value}


@pytest.mark.parametrize("name", sorted({alarm.name for alarm in ALARMS} - OF_PROCESSES))
def test_an_alarm_is_told_while_it_holds(name):
    assert alarms_in(text_of(a_status(NOW))) == set()
    assert name in alarms_in(text_of(a_status(NOW, **wrong(name, NOW))))


def test_alarms_hold_by_the_limits_of_the_settings():
    status = a_status(NOW, **wrong("JarvisGaps", NOW))
    assert alarms_in(text_of(status, Thresholds(gaps=4))) == set()


def test_a_status_of_which_nothing_could_be_read_says_so_and_no_more():
    empty = Status(taken_at=NOW, version="1.0", host="host", folder="data", namespace="dramatiq", unread=dict.fromkeys(PARTS, "it is down"))
    text = text_of(empty)
    assert [figure(text, "jarvis_status_unread", part=part) for part in PARTS] == [1] * len(PARTS)
    assert alarms_in(text) == {"JarvisBooksUnreadable"}
    assert {name for name, _ in figures(text)} == {"jarvis_status_timestamp_seconds", "jarvis_status_unread", "jarvis_alarm", "jarvis_status_failures_total"}


def test_names_that_others_chose_neither_break_the_form_nor_fill_the_page():
    queues = tuple(Queue(name=f'q{n}"\\\n# TYPE', waiting=n, held=0) for n in range(500))
    text = text_of(a_status(NOW, queues=queues))
    assert figure(text, "jarvis_queue_messages", queue='q3"\\\n# TYPE', state="waiting") == 3
    assert sum(name == "jarvis_queue_oldest_message_age_seconds" for name, _ in figures(text)) == 50


def test_no_label_names_an_account_a_symbol_or_a_producer():
    labels = {label for _, labels in figures(text_of(a_status(NOW))) for label, _ in labels}
    assert labels <= {"part", "name", "severity", "process", "kind", "queue", "state", "reason", "copy", "place", "folder"}


def test_a_reader_gets_openmetrics_where_it_asks_for_them():
    registry = registry_of([StatusSeries(lambda: a_status(NOW), Thresholds())])
    content_type, body = exposition(registry, "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    assert exposition(registry)[0].startswith("text/plain")


class Source:
    """Counts how often it is asked; may be held up, or fail."""

    def __init__(self):
        self.asked, self.gate, self.error = 0, threading.Event(), None
        self.gate.set()

    def __call__(self):
        self.asked += 1
        self.gate.wait(10)
        if self.error is not None:
            raise self.error
        return a_status(NOW, notes=self.asked)


def test_however_many_scrape_the_daemon_is_looked_at_once_in_a_while():
    source, clock = Source(), [0.0]
    registry = registry_of([StatusSeries(source, Thresholds(), clock=lambda: clock[0])])
    for _ in range(50):
        plain_text(registry)
    assert source.asked == 1
    clock[0] += CACHE_SECONDS
    assert figure(plain_text(registry), "jarvis_notes") == 2


def test_while_one_looks_the_others_are_told_what_was_there_before():
    source, clock = Source(), [0.0]
    registry = registry_of([StatusSeries(source, Thresholds(), clock=lambda: clock[0])])
    plain_text(registry)
    source.gate.clear()
    clock[0] += CACHE_SECONDS
    slow = threading.Thread(target=plain_text, args=(registry,))
    slow.start()
    wait_until(lambda: source.asked == 2, "the second look is under way")
    assert figure(plain_text(registry), "jarvis_notes") == 1
    source.gate.set()
    slow.join()
    assert figure(plain_text(registry), "jarvis_notes") == 2


def test_a_status_that_cannot_be_gathered_is_counted_told_once_and_tried_again():
    source, clock = Source(), [0.0]
    source.error = OSError("the disk is gone")
    registry = registry_of([StatusSeries(source, Thresholds(), clock=lambda: clock[0])])
    with capture_logs() as logs:
        for _ in range(3):
            text = plain_text(registry)
            clock[0] += CACHE_SECONDS
    assert figure(text, "jarvis_status_failures_total", process="scheduler") == 3
    assert [line["error"] for line in logs] == ["OSError: the disk is gone"]
    source.error = None
    assert figure(plain_text(registry), "jarvis_notes") == 4
