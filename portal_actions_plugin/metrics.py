"""Metrics for Prometheus: needs the extra ``metrics``. A scrape asks the database, so every process says the same."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.upkeep import measures
from portal_actions_plugin.upkeep.measures import METRICS, Kind, Reading

try:
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
    from prometheus_client.registry import Collector as _Collector
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        f"portal_actions_plugin.metrics needs {_error.name}: pip install 'portal-actions-plugin[metrics]'",
        name=_error.name,
    ) from None

log = logging.getLogger(__name__)

Family = GaugeMetricFamily | CounterMetricFamily | HistogramMetricFamily

_FAMILIES: Mapping[Kind, type[GaugeMetricFamily | CounterMetricFamily]] = {
    Kind.GAUGE: GaugeMetricFamily,
    Kind.COUNTER: CounterMetricFamily,
}


class Collector(_Collector):
    """What a registry of prometheus_client asks at each scrape. It never raises, and registering it asks nothing."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def describe(self) -> Iterable[Family]:
        """Say what there is, without values."""
        return [_family(Reading(metric)) for metric in METRICS]

    def collect(self) -> Iterable[Family]:
        """Read all values; ``portal_actions_up 0`` alone when the database does not answer."""
        return [_family(reading) for reading in self._read()]

    def _read(self) -> Sequence[Reading]:
        try:
            with self._app.app_context():
                return measures.read()
        except SQLAlchemyError as error:
            log.warning("the database gives no metrics (what to do: flask actions doctor): %s", error)
        except Exception:
            log.exception("the metrics cannot be read")  # the host's own metrics are on the same page
        return measures.DOWN


def collector(app: Flask) -> Collector:
    """The metrics of an app, to be registered: ``REGISTRY.register(collector(app))``."""
    return Collector(app)


def exposition(app: Flask) -> str:
    """The metrics of an app as the text that Prometheus and node_exporter read."""
    registry = CollectorRegistry()
    registry.register(collector(app))
    return generate_latest(registry).decode()


def _family(reading: Reading) -> Family:
    metric = reading.metric
    if metric.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(metric.name, metric.about, labels=metric.labels)
        for labels, found in reading.histograms.items():
            histogram.add_metric(labels, found.buckets, found.seconds)
        return histogram
    family = _FAMILIES[metric.kind](metric.name, metric.about, labels=metric.labels)
    for labels, value in sorted(reading.values.items()):
        family.add_metric(labels, value)
    return family
