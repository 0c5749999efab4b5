"""What the processes below a supervisor have told of themselves, as series of the supervisor's own exposition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from jarvis.monitoring.series import counter, gauge


class Told(Protocol):
    """The part of a supervised child that is read here."""

    #: How often it ended and was started again.
    ended: int

    @property
    def pid(self) -> int | None: ...

    @property
    def figures(self) -> str:
        """Its own exposition, as it was last told; empty while it does not run."""

    @property
    def trouble(self) -> str | None:
        """Why it is not ready."""


class ChildrenSeries(Collector):
    """Each child's exposition as it is: its samples carry its name already."""

    def __init__(self, children: Callable[[], Mapping[str, Told]]) -> None:
        self._children = children
        self._read: dict[str, tuple[str, list[Metric]]] = {}

    def collect(self) -> Iterator[Metric]:
        children = dict(self._children())
        yield gauge("jarvis_child_up", "1 while a process below the supervisor runs.", ("process",), [((n,), c.pid is not None) for n, c in children.items()])
        yield counter(
            "jarvis_child_restarts_total",
            "How often a process below the supervisor ended by itself.",
            ("process",),
            [((n,), c.ended) for n, c in children.items()],
        )
        # What one that is silent said of itself before holds no longer; of two samples the first counts.
        troubled = [((name, _kind(name)), 0.0) for name, child in children.items() if child.trouble is not None and child.figures]
        yield gauge("jarvis_ready", "1 while the process is ready, as /readyz says.", ("process", "kind"), troubled)
        for name, child in children.items():
            yield from self._families(name, child.figures)

    def _families(self, name: str, text: str) -> list[Metric]:
        """Read once for each telling, however often it is scraped."""
        last = self._read.get(name)
        if last is None or last[0] != text:
            last = self._read[name] = text, list(text_string_to_metric_families(text))
        return last[1]


def _kind(name: str) -> str:
    """All but these two are workers, under names of their own."""
    return name if name in ("broker", "scheduler") else "worker"
