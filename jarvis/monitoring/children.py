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
        for name, child in children.items():
            yield from self._families(name, child.figures)

    def _families(self, name: str, text: str) -> list[Metric]:
        """Read once for each telling, however often it is scraped."""
        last = self._read.get(name)
        if last is None or last[0] != text:
            last = self._read[name] = text, list(text_string_to_metric_families(text))
        return last[1]
