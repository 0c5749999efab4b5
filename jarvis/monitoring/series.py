"""The few forms of a series, so that what has figures to tell says each in one line."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from workers.figures import Histogram

Samples = Iterable[tuple[tuple[str, ...], float]]


def gauge(name: str, says: str, labels: tuple[str, ...], samples: Samples) -> Metric:
    """What goes up and down. `samples`: the labels' values, and the figure."""
    family = GaugeMetricFamily(name, says, labels=labels)
    for values, figure in samples:
        family.add_metric(values, figure)
    return family


def counter(name: str, says: str, labels: tuple[str, ...], samples: Samples) -> Metric:
    """What only grows, from the start of a process on; the name ends with `_total`."""
    family = CounterMetricFamily(name, says, labels=labels)
    for values, figure in samples:
        family.add_metric(values, figure)
    return family


def histogram(name: str, says: str, process: str, told: Histogram, unit: float = 1.0) -> Metric:
    """`unit`: what one of the histogram's own integers is worth."""
    family = HistogramMetricFamily(name, says, labels=("process",))
    running, buckets = 0, []
    for bound, count in zip([*told.bounds, None], told.counts, strict=True):
        running += count
        buckets.append(("+Inf" if bound is None else f"{bound * unit:g}", running))
    family.add_metric((process,), buckets, told.sum * unit)
    return family


def seconds(instant: int | None) -> float:
    """An instant of ours as a Unix time in seconds; 0 for what never happened, so that its age is past every limit."""
    return 0.0 if instant is None else instant / 1_000_000
