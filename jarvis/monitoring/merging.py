"""Several sources of figures in one exposition: the registry of a process, made here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class _Merged(Collector):
    """Each family once, with the samples of all who tell of it. Of two with the same labels the first counts: the format allows no second."""

    def __init__(self, sources: Iterable[Collector]) -> None:
        self._sources = list(sources)

    def describe(self) -> Iterator[Metric]:
        """Nothing: to be registered must not mean to be read."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        told: set[tuple[str, frozenset[tuple[str, str]]]] = set()
        for source in self._sources:
            for family in source.collect():
                merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    key = sample.name, frozenset(sample.labels.items())
                    if key not in told:
                        told.add(key)
                        merged.samples.append(sample)
        return iter([family for _, family in sorted(families.items()) if family.samples])


def registry_of(sources: Iterable[Collector]) -> CollectorRegistry:
    """The registry of this process. It is handed on; the one that the library keeps for everybody stays empty of ours."""
    registry = CollectorRegistry()
    registry.register(_Merged(sources))
    return registry


def exposition(registry: CollectorRegistry, accept: str = "") -> tuple[str, bytes]:
    """The content type that `Accept` asks for, OpenMetrics or Prometheus' text, and the figures in it."""
    encode, content_type = choose_encoder(accept)
    return content_type, encode(registry)


def plain_text(registry: CollectorRegistry) -> str:
    """The figures in Prometheus' text form, which files and supervisors read."""
    return generate_latest(registry).decode()
