"""A worker's figures as series: what it recorded, how long that took, how it stands with its broker."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from jarvis.monitoring.series import counter, gauge, histogram, seconds
from jarvis_client.contract.outcome import Reason
from jarvis_client.contract.routes import JOBS_ROUTE, ROUTES
from workers.app import RecorderWorker
from workers.envelope import KIND_OF_ACTOR
from workers.figures import OUTCOMES

_KINDS = tuple(KIND_OF_ACTOR.values())
_MICROSECOND = 1e-6


class WorkerSeries(Collector):
    """Reads what the worker counts anyway. Every combination of labels that is known beforehand is there from the start at 0: of a series
    that begins with its first event no rate can tell of that event."""

    def __init__(self, worker: RecorderWorker, process: str) -> None:
        self._worker = worker
        self._process = process

    def collect(self) -> Iterator[Metric]:
        yield from self._recorded()
        yield from self._broker()

    def _recorded(self) -> Iterator[Metric]:
        process, writer = self._process, self._worker.writer
        figures = writer.figures
        with figures.lock:
            records = dict.fromkeys(((kind, outcome) for kind in _KINDS for outcome in OUTCOMES), 0) | figures.records()
            reasons = dict.fromkeys(map(str, Reason), 0) | figures.quarantine_reasons()
            messages = dict.fromkeys(((route.queue, route.actor) for route in (*ROUTES.values(), JOBS_ROUTE)), 0) | figures.messages
            yield counter(
                "jarvis_records_total", "Records by what became of them, once that was durable.", ("process", "outcome", "kind"),
                [((process, outcome, kind), count) for (kind, outcome), count in records.items()],
            )  # fmt: skip
            yield counter(
                "jarvis_quarantined_records_total", "Records that went to quarantine, by reason.", ("process", "reason"),
                [((process, reason), count) for reason, count in reasons.items()],
            )  # fmt: skip
            yield counter(
                "dramatiq_messages_total", "Messages whose records are durable (Dramatiq's own name).", ("process", "queue_name", "actor_name"),
                [((process, *route), count) for route, count in messages.items()],
            )  # fmt: skip
            yield histogram("jarvis_batch_records", "Records of one commit.", process, figures.batch_records)
            yield histogram(
                "jarvis_commit_seconds", "Time that a commit took, from its first statement until it was durable.", process, figures.commit, _MICROSECOND
            )
            yield histogram(
                "jarvis_publish_to_durable_seconds", "From publishing a message, by its publisher's clock, until its records were durable.",
                process, figures.publish_to_durable, _MICROSECOND,
            )  # fmt: skip
            yield histogram(
                "jarvis_event_to_durable_seconds", "From when an applied record says it happened until it was durable.",
                process, figures.event_to_durable, _MICROSECOND,
            )  # fmt: skip
            retries, last = figures.retries, figures.last_commit_at
        own = ("process",)
        yield counter("jarvis_commit_retries_total", "Commits that failed and were tried again.", own, [((process,), retries)])
        yield gauge("jarvis_commits_failing", "1 while commits fail and are tried again.", own, [((process,), not writer.ready)])
        yield gauge("jarvis_last_commit_timestamp_seconds", "When the last commit became durable; 0 before the first.", own, [((process,), seconds(last))])

    def _broker(self) -> Iterator[Metric]:
        process, broker = self._process, self._worker.broker
        queues, traffic, labels = sorted(broker.queues), broker.traffic, ("process", "queue")
        yield gauge("jarvis_broker_up", "1 while the broker can be reached and used.", ("process",), [((process,), broker.reachable)])
        yield gauge(
            "jarvis_messages_in_flight", "Messages fetched and not yet acknowledged.", labels,
            [((process, queue), len(broker.held.get(queue, ()))) for queue in queues],
        )  # fmt: skip
        for name, says, counts in (
            ("jarvis_fetches_total", "Looks into a queue.", traffic.fetches),
            ("jarvis_fetched_messages_total", "Messages that looks into a queue brought.", traffic.messages_fetched),
            ("jarvis_reclaimed_messages_total", "Messages that a lost worker or a lost reply held, put back into their queue.", traffic.messages_reclaimed),
        ):
            yield counter(name, says, labels, [((process, queue), counts[queue]) for queue in queues])
        yield counter("jarvis_returned_messages_total", "Messages given back uncommitted, such as by a stop.", ("process",), [((process,), broker.returned)])
