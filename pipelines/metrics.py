"""What a run counts, in the form of Prometheus. A job counts for itself; all of this happens when
somebody asks.

Labels are words of ours (verdicts, stages, reasons) and names of topics: nothing of an article.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import get_args

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from pipelines import __version__, schemas
from pipelines.health import Health
from pipelines.kafka import topics
from pipelines.kafka.transaction import COMMIT_BOUNDS, Job, Totals
from pipelines.records import Verdict
from pipelines.settings import Settings
from pipelines.stages.arabic.layers import PROFILE
from pipelines.stages.decide import STATE_VERSION
from pipelines.stages.entities import entities_version
from pipelines.stages.fingerprint import FINGERPRINT_VERSION
from pipelines.transforms import stage_seconds


class Metrics(Collector):
    """The metrics of one run: of its job, once there is one, and whether it is ready."""

    def __init__(self, settings: Settings, health: Health) -> None:
        self._settings = settings
        self._health = health
        self._build = {
            "version": __version__,
            "python": platform.python_version(),
            "state": STATE_VERSION,
            "fingerprint": FINGERPRINT_VERSION,
            "profile": PROFILE,
            "entities": entities_version(settings.ner),
        }

    def collect(self) -> Iterator[Metric]:
        """All of them: a counter that has counted nothing is 0, so that its first step is seen."""
        yield InfoMetricFamily("khabar_build", "Versions of what runs.", self._build)
        yield GaugeMetricFamily(
            "khabar_ready", "1 when /readyz answers 200.", float(not self._health.not_ready())
        )
        job = self._health.job
        yield from self._totals(job.totals if job else Totals())
        seconds = CounterMetricFamily(
            "khabar_stage_seconds", "Seconds that each stage has taken.", labels=["stage"]
        )
        for stage, taken in dict(stage_seconds).items():
            seconds.add_metric([stage], taken)
        yield seconds
        if job is not None:
            yield from self._state(job)

    def _totals(self, totals: Totals) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "khabar_messages_read", "Messages of the raw topic in committed bundles.", totals.read
        )
        written = CounterMetricFamily(
            "khabar_records_written", "Messages committed, by topic.", labels=["topic"]
        )
        for kind in topics.OUTPUTS:
            name = self._settings.topic(kind)
            written.add_metric([name], totals.written[name])
        yield written
        verdicts = CounterMetricFamily(
            "khabar_verdicts", "Decisions committed, by verdict.", labels=["verdict"]
        )
        dead = CounterMetricFamily(
            "khabar_dead_letters",
            "Dead letters committed, by the stage that refused them and its reason.",
            labels=["stage", "reason"],
        )
        counted = {("verdict", verdict): 0 for verdict in get_args(Verdict)} | totals.facts
        for (kind, *labels), count in counted.items():
            (verdicts if kind == "verdict" else dead).add_metric(labels, count)
        yield verdicts
        yield dead
        commits = sum(totals.took)
        yield CounterMetricFamily("khabar_commits", "Bundles committed.", commits)
        upto, buckets = 0, []
        for bound, count in zip((*map(str, COMMIT_BOUNDS), "+Inf"), totals.took, strict=True):
            upto += count
            buckets.append((bound, upto))
        yield HistogramMetricFamily(
            "khabar_commit_seconds",
            "Seconds that commits took.",
            buckets=buckets,
            sum_value=totals.seconds,
        )

    def _state(self, job: Job) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "khabar_last_commit_timestamp_seconds",
            "When the last commit was, the start's own counted, in seconds since 1970.",
            job.totals.at,
        )
        lag = GaugeMetricFamily(
            "khabar_lag",
            "Offsets between the last commit and a partition's end, looked up every 2 s.",
            labels=["topic", "partition"],
        )
        for partition, behind in sorted(job.lags.items()):
            lag.add_metric([self._settings.topic(schemas.RAW), str(partition)], behind)
        yield lag
        yield GaugeMetricFamily(
            "khabar_generation", "Which start of its group this is.", job.generation
        )
        index = job.index
        yield GaugeMetricFamily("khabar_index_stories", "Living stories.", len(index))
        yield GaugeMetricFamily(
            "khabar_index_max_stories",
            "Stories that are remembered at most.",
            self._settings.max_stories,
        )
        yield GaugeMetricFamily(
            "khabar_index_bytes", "Bytes of the index in memory.", index.memory_bytes()
        )
        yield CounterMetricFamily(
            "khabar_index_pushed_out",
            "Stories that left before their time, for want of room.",
            index.pushed_out,
        )


def registry_of(metrics: Metrics) -> CollectorRegistry:
    """What is served: ours, and what Linux says of the process."""
    registry = CollectorRegistry()
    registry.register(metrics)
    ProcessCollector(registry=registry)
    return registry
