"""What every process tells of itself: what it runs, whether it is ready, what it uses."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

import jarvis
from jarvis.monitoring.health import Health
from jarvis.monitoring.series import gauge
from persistence.engine.sqlite.connect import sqlite_version


class ProcessSeries(Collector):
    """`kind`: worker, scheduler, broker or supervisor. The names that begin with `process_` are those of every Prometheus client."""

    def __init__(self, health: Health, kind: str) -> None:
        self._health = health
        self._kind = kind
        self._used = ProcessCollector(registry=None)

    def collect(self) -> Iterator[Metric]:
        process = self._health.process
        yield gauge(
            "jarvis_build_info", "1; the labels say what runs.", ("process", "version", "python", "sqlite"),
            [((process, jarvis.__version__, platform.python_version(), sqlite_version()), 1)],
        )  # fmt: skip
        yield gauge("jarvis_ready", "1 while the process is ready, as /readyz says.", ("process", "kind"), [((process, self._kind), self._health.ready)])
        for family in self._used.collect():
            family.samples = [sample._replace(labels={**sample.labels, "process": process}) for sample in family.samples]
            yield family
