"""The source where workers share the reading: one element for each partition of the raw topic, each
read on from its own offset. Nothing is committed here: the one writer does that.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam import coders
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.utils.timestamp import Duration
from kafka import TopicPartition

from pipelines import schemas
from pipelines.kafka import clients, stopping
from pipelines.records import Origin, RawMessage
from pipelines.settings import Settings
from pipelines.transforms import Batch, batches

_POLL_MS = 100
# A bundle ends after so many seconds, or messages, so that the runner can make a checkpoint.
_BUNDLE_S, _BUNDLE_RECORDS = 0.2, 2_000
# Seconds between two looks whether the job is to stop.
_STOP_S = 1.0


class ReadPartitions(beam.PTransform):
    """The messages of the partitions in `starts`, from these offsets on, in batches of one
    partition each; up to `ends` where they are given, else until the job of this generation is told
    to stop.
    """

    def __init__(
        self,
        settings: Settings,
        starts: Mapping[int, int],
        generation: int,
        ends: Mapping[int, int] | None = None,
    ) -> None:
        super().__init__()
        self._read = _Read(settings, generation)
        self._elements = [
            (number, start, sys.maxsize if ends is None else ends[number])
            for number, start in starts.items()
        ]

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        return (
            begin
            | beam.Create(self._elements)
            | beam.Reshuffle()
            | beam.ParDo(self._read).with_output_types(Batch)
        )


class _Provider(RestrictionProvider):
    """Offsets that are still to be read."""

    def initial_restriction(self, element: tuple[int, int, int]) -> OffsetRange:
        _, start, end = element
        return OffsetRange(start, max(start, end))

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: Any, restriction: OffsetRange) -> int:
        return 1

    def restriction_coder(self) -> coders.Coder:
        return coders.PickleCoder()


_PROVIDER = _Provider()


class _Read(beam.DoFn):
    def __init__(self, settings: Settings, generation: int) -> None:
        self._settings = settings
        self._generation = generation

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: tuple[int, int, int],
        tracker: Any = beam.DoFn.RestrictionParam(_PROVIDER),  # noqa: B008 - Beam's way
    ) -> Iterator[Batch]:
        restriction = tracker.current_restriction()
        reader = _reader(self._settings, element[0])
        with reader.lock:
            reader.go_to(restriction.start)
            # Behind a record of this job, never behind a mark of Kafka's.
            read = restriction.start if restriction.start > element[1] else 0
            if reader.stopped(self._generation):
                reader.ended(self._generation, read)
                tracker.try_claim(restriction.stop)
                return
            deadline, count = time.monotonic() + _BUNDLE_S, 0
            while True:
                for batch in batches(reader.poll()):
                    last = batch[-1].origin.offset
                    if not tracker.try_claim(last):
                        return
                    read, count = last + 1, count + len(batch)
                    yield batch
                if reader.at >= restriction.stop:
                    reader.ended(self._generation, read)
                    tracker.try_claim(restriction.stop)
                    return
                if not count or count >= _BUNDLE_RECORDS or time.monotonic() >= deadline:
                    tracker.defer_remainder(Duration(seconds=0))
                    return


class _Reader:
    """A consumer of one partition, which goes on from bundle to bundle."""

    def __init__(self, settings: Settings, partition: int) -> None:
        self.lock = threading.Lock()
        self.at = -1
        self._partition = TopicPartition(settings.topic(schemas.RAW), partition)
        self._looked = 0.0
        self._settings = settings
        self._consumer = clients.consumer(
            settings, group_id=stopping.group_of(settings), fetch_max_wait_ms=_POLL_MS
        )
        self._consumer.assign([self._partition])

    def go_to(self, offset: int) -> None:
        if self.at != offset:
            self._consumer.seek(self._partition, offset)
            self.at = offset

    def stopped(self, generation: int) -> bool:
        """Whether the job of this generation is told to end."""
        now = time.monotonic()
        if now - self._looked < _STOP_S:
            return False
        self._looked = now
        return stopping.told(self._consumer, self._settings) >= generation

    def ended(self, generation: int, read: int) -> None:
        """Says that this job has read up to this offset, and no farther."""
        stopping.acknowledge(self._consumer, self._partition, generation, read)

    def poll(self) -> Iterable[RawMessage]:
        for found in self._consumer.poll(_POLL_MS, max_records=512).values():
            for record in found:
                yield RawMessage(
                    Origin(record.topic, record.partition, record.offset, record.timestamp),
                    record.key,
                    record.value,
                    tuple(record.headers or ()),
                )
        position = self._consumer.position(self._partition, timeout_ms=1000)
        self.at = self.at if position is None else position


# Workers make a DoFn anew for each bundle; a consumer must not be.
_readers: dict[tuple[str, str, str, int], _Reader] = {}
_lock = threading.Lock()


def _reader(settings: Settings, partition: int) -> _Reader:
    topic = settings.topic(schemas.RAW)
    key = (settings.bootstrap_servers, settings.group, topic, partition)
    with _lock:
        if key not in _readers:
            _readers[key] = _Reader(settings, partition)
        return _readers[key]
