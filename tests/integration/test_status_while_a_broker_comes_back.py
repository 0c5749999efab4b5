"""Whoever looks again and again knows since when the broker is gone or back, and lets a worker that has yet to notice do so."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from standing import settings_of

from jarvis.settings_monitoring import Thresholds
from jarvis.status.alarms import raised
from jarvis.status.gathering import Watcher
from jarvis.status.model import Process, State

SECOND = 1_000_000


def test_a_watcher_says_since_when_it_sees_the_broker_gone_or_back(broker_server, short_folder):
    with closing(Watcher(settings_of(short_folder, broker_server.url))) as watcher:

        def seen(second):
            found = watcher.look(second * SECOND).broker
            return found.reachable, found.since and found.since // SECOND

        assert [seen(100), seen(101)] == [(True, None), (True, None)], "it did not see it come"
        broker_server.kill()
        assert [seen(102), seen(103)] == [(False, 102), (False, 102)]
        broker_server.start()
        assert [seen(104), seen(105)] == [(True, 104), (True, 104)]


def test_a_worker_has_time_to_notice_that_the_broker_is_back_however_small_the_threshold(broker_server, short_folder):
    at_once = Thresholds(broker_away_seconds=0, not_ready_seconds=0)
    with closing(Watcher(settings_of(short_folder, broker_server.url))) as watcher:

        def names(second):
            still = Process(name="w", kind="worker", state=State.NOT_READY, problem="the broker is not reachable", not_ready_since=99 * SECOND)
            status = replace(watcher.look(second * SECOND), processes=(still,))
            return {alarm.name for alarm in raised(status, at_once)} & {"JarvisBrokerAway", "JarvisWorkerNotReady"}

        assert names(100) == {"JarvisWorkerNotReady"}, "nobody saw the broker come"
        broker_server.kill()
        assert names(101) == {"JarvisBrokerAway"}
        broker_server.start()
        assert names(200) == names(229) == set()
        assert names(230) == {"JarvisWorkerNotReady"}
