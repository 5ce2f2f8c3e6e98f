"""The source where workers share the reading: one element for each partition of the raw topic, each
read on from its own offset. Nothing is committed here: the one writer does that.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam import coders
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import TimerSpec, on_timer
from apache_beam.utils.timestamp import Duration, Timestamp
from kafka import TopicPartition

from pipelines import schemas
from pipelines.kafka import clients, stopping
from pipelines.kafka.spread import salted
from pipelines.records import Origin, RawMessage
from pipelines.settings import Settings
from pipelines.transforms import Batch, batches

_log = logging.getLogger(__name__)

# Milliseconds that a reader waits for a first message: the worker's other partitions wait with it.
_POLL_MS = 10
# Milliseconds after which Kafka answers although nothing has come, and seconds until a partition
# that was read to its end is looked at again: a bundle for each article costs more than it saves.
_FETCH_MS, _IDLE_S = 100, 0.1
# A bundle ends when no more messages are there at once, or after so many seconds, or messages, so
# that the runner can make a checkpoint.
_BUNDLE_S, _BUNDLE_RECORDS = 0.5, 2_000
# Seconds until a source that is at its end is asked again.
_NEVER_S = 24 * 3600
# Seconds between two looks whether the job is to stop.
_STOP_S = 1.0


class ReadPartitions(beam.PTransform):
    """The messages of the partitions in `starts`, from these offsets on, in batches of one
    partition each; up to `ends` where they are given, else until the job of this generation is told
    to stop. So many `workers`, the job's parallelism, share the partitions.
    """

    def __init__(
        self,
        settings: Settings,
        starts: Mapping[int, int],
        generation: int,
        ends: Mapping[int, int] | None = None,
        workers: int = 1,
    ) -> None:
        super().__init__()
        self._read = _Read(settings, generation)
        places = [
            _Place(number, start, sys.maxsize if ends is None else ends[number])
            for number, start in starts.items()
        ]
        self._elements = salted([place.encoded() for place in places], workers)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        return (
            begin
            | beam.Impulse()
            | "Start" >> beam.ParDo(_Start(self._elements)).with_output_types(tuple[bytes, int])
            | "Read" >> beam.ParDo(self._read).with_output_types(Batch)
        )


class _Place(NamedTuple):
    """What is to be read of a partition: from `start` on, and below `end`."""

    partition: int
    start: int
    end: int

    def encoded(self) -> bytes:
        return b"%d %d %d" % self

    @classmethod
    def of(cls, element: bytes) -> _Place:
        """Out of an element; what follows only spreads it."""
        return cls(*map(int, element.split()[:3]))


class _Whole(RestrictionProvider):
    """One step, and one that is never done."""

    def initial_restriction(self, element: bytes) -> OffsetRange:
        return OffsetRange(0, 2)

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: bytes, restriction: OffsetRange) -> int:
        return 1

    def restriction_coder(self) -> coders.Coder:
        return coders.PickleCoder()


_WHOLE = _Whole()


class _Start(beam.DoFn):
    """Gives the elements once, and has no end: behind a source that has ended Flink's runner lets
    no timer fire.
    """

    def __init__(self, elements: Sequence[bytes]) -> None:
        self._elements = elements

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: bytes,
        tracker: Any = beam.DoFn.RestrictionParam(_WHOLE),  # noqa: B008 - Beam's way
    ) -> Iterator[tuple[bytes, int]]:
        if tracker.current_restriction().start == 0 and tracker.try_claim(0):
            yield from ((element, 0) for element in self._elements)
        tracker.defer_remainder(Duration(seconds=_NEVER_S))


class _Read(beam.DoFn):
    """Reads when its timer fires, whose tag says from which offset on, and sets the next one: so
    the runner keeps one timer for each partition, and its checkpoints hold the offsets. A
    splittable DoFn would be Beam's usual way; its Flink runner keeps a trace of each time that one
    is put off, for good (issue 27648 there).
    """

    NEXT = TimerSpec("next", TimeDomain.REAL_TIME)

    def __init__(self, settings: Settings, generation: int) -> None:
        self._settings = settings
        self._generation = generation

    def process(
        self,
        element: tuple[bytes, int],
        following: Any = beam.DoFn.TimerParam(NEXT),  # noqa: B008 - Beam's way
    ) -> None:
        _set(following, _Place.of(element[0]).start)

    @on_timer(NEXT)
    def read(
        self,
        key: Any = beam.DoFn.KeyParam,
        tag: Any = beam.DoFn.DynamicTimerTagParam,
        following: Any = beam.DoFn.TimerParam(NEXT),  # noqa: B008 - Beam's way
    ) -> Iterator[Batch]:
        place, start = _Place.of(key), int(tag)
        reader = _reader(self._settings, place.partition)
        with reader.lock:
            reader.go_to(start)
            deadline, count = time.monotonic() + _BUNDLE_S, 0
            while reader.at < place.end and not reader.stopped(self._generation):
                before = count
                for batch in batches(reader.poll(0 if count else _POLL_MS, place.end)):
                    count += len(batch)
                    yield batch
                is_full = count >= _BUNDLE_RECORDS or time.monotonic() >= deadline
                if is_full or count == before:
                    _set(following, reader.read, 0 if is_full else _IDLE_S)
                    return
            # Behind a record of this job, never behind a mark of Kafka's.
            reader.ended(self._generation, reader.read if reader.read > place.start else 0)


def _set(timer: Any, offset: int, wait_s: float = 0) -> None:
    timer.set(Timestamp.of(time.time() + wait_s), dynamic_timer_tag=str(offset))


class _Reader:
    """A consumer of one partition, which goes on from bundle to bundle. `read` is the offset behind
    the last message that was handed out; `at` may be farther, behind marks of Kafka's.
    """

    def __init__(self, settings: Settings, partition: int) -> None:
        self.lock = threading.Lock()
        self.read = self.at = -1
        self._partition = TopicPartition(settings.topic(schemas.RAW), partition)
        self._looked = 0.0
        self._settings = settings
        self._consumer = clients.consumer(
            settings, group_id=stopping.group_of(settings), fetch_max_wait_ms=_FETCH_MS
        )
        self._consumer.assign([self._partition])

    def go_to(self, offset: int) -> None:
        """Has the next poll read from here on, or from where Kafka still has something."""
        if self.read == offset:
            return
        found = self._consumer.beginning_offsets([self._partition], timeout_ms=clients.ANSWER_MS)
        self.at = max(offset, found[self._partition])
        if self.at > offset:
            _log.warning(
                "%s: Kafka has deleted what lay from %d to %d", self._partition, offset, self.at
            )
        self._consumer.seek(self._partition, self.at)
        # What is told at the end must be an offset that the writer commits.
        self.read = offset

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

    def poll(self, timeout_ms: int, end: int) -> list[RawMessage]:
        """The messages that are there, below `end`."""
        # The consumer may have gone on before something is raised here: the next bundle must seek.
        before, self.read = self.read, -1
        messages = [
            RawMessage(
                Origin(record.topic, record.partition, record.offset, record.timestamp),
                record.key,
                record.value,
                tuple(record.headers or ()),
            )
            for found in self._consumer.poll(timeout_ms, max_records=512).values()
            for record in found
            if record.offset < end
        ]
        position = self._consumer.position(self._partition, timeout_ms=1000)
        self.read = messages[-1].origin.offset + 1 if messages else before
        self.at = self.read if position is None else position
        return messages


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
