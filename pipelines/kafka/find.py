"""Finds records that no key leads to: newest first, in steps that go back in time, so that what is
recent is found soon and one question never reads more than the topics hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError
from kafka.partitioner.default import murmur2

from pipelines.errors import Outage, UsageError
from pipelines.kafka import clients
from pipelines.kafka.registry import Registry
from pipelines.kafka.tail import Tailed, decoded
from pipelines.settings import Settings

Offsets = dict[TopicPartition, int]

# The first step goes back ten minutes, each later one six times as far as all before it: a week is
# reached in five.
_FIRST_STEP_MS = 600_000
_FARTHER = 6
_POLL_MS = 200
_POLL_RECORDS = 1_000
# Bytes that Kafka sends of a partition at a time. A step ends somewhere in them.
_FETCH_BYTES = 4 * 1024 * 1024


class Finder:
    """A `read_committed` reader for one question; `read` counts the messages it has looked at.

    `progress` hears that count. Opens in a `with`; raises Outage when Kafka or the registry is
    away, UsageError when they refuse us.
    """

    def __init__(
        self, settings: Settings, progress: Callable[[int], None] = lambda count: None
    ) -> None:
        self.settings = settings
        self.registry = Registry(settings.registry_url)
        self.read = 0
        self._progress = progress
        self._schemas: dict[int, Any] = {}
        self._consumer: Any = None

    def __enter__(self) -> Finder:
        try:
            self._consumer = clients.consumer(
                self.settings, fetch_max_wait_ms=100, max_partition_fetch_bytes=_FETCH_BYTES
            )
        except KafkaError as error:
            raise clients.failure(self.settings, error) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._consumer.close()

    def newest_first(
        self,
        topics: list[str],
        wanted: Callable[[bytes], bool],
        key: bytes | None = None,
    ) -> Iterator[list[Tailed]]:
        """For each step back in time the messages whose value `wanted` takes.

        Whoever has enough stops asking; the steps end at the topics' beginnings. With `key` only
        the partitions are read that Kafka's usual partitioner gives to it.
        """
        try:
            partitions = [tp for topic in topics for tp in self._partitions(topic, key)]
            first = self._consumer.beginning_offsets(partitions, timeout_ms=clients.ANSWER_MS)
            ends = self._consumer.end_offsets(partitions, timeout_ms=clients.ANSWER_MS)
            now, back = time.time_ns() // 1_000_000, _FIRST_STEP_MS
            while any(first[tp] < ends[tp] for tp in partitions):
                starts = self._offsets_at(now - back, first, ends)
                yield [
                    decoded(message, self.registry, self._schemas)
                    for message in self._between(starts, ends)
                    if wanted(message.value or b"")
                ]
                ends, back = starts, back * _FARTHER
        except KafkaError as error:
            raise clients.failure(self.settings, error) from None

    def message(self, topic: str, partition: int, offset: int) -> Tailed | str:
        """The message at this place, or in words why there is none any more."""
        place = TopicPartition(topic, partition)
        try:
            if partition not in (self._consumer.partitions_for_topic(topic) or ()):
                return f"there is no {topic} partition {partition} on this Kafka"
            ends = self._consumer.end_offsets([place], timeout_ms=clients.ANSWER_MS)
            first = self._consumer.beginning_offsets([place], timeout_ms=clients.ANSWER_MS)
            if offset < first[place]:
                return (
                    f"it has expired: {topic} partition {partition} begins at offset "
                    f"{first[place]} today"
                )
            if offset >= ends[place]:
                return (
                    f"{topic} partition {partition} ends at offset {ends[place]} today: the topic "
                    "is not the one that it was"
                )
            for message in self._between({place: offset}, {place: offset + 1}):
                return decoded(message, self.registry, self._schemas)
        except KafkaError as error:
            raise clients.failure(self.settings, error) from None
        return f"no message stands there any more ({topic} was compacted, perhaps)"

    def _partitions(self, topic: str, key: bytes | None) -> list[TopicPartition]:
        numbers = sorted(self._consumer.partitions_for_topic(topic) or ())
        if not numbers:
            raise UsageError(f"The topic {topic} does not exist. `khabar topics` makes it.")
        if key is not None:  # as the default partitioner of Java's and kafka-python's producers
            numbers = [numbers[(murmur2(key) & 0x7FFFFFFF) % len(numbers)]]
        return [TopicPartition(topic, number) for number in numbers]

    def _offsets_at(self, timestamp: int, first: Offsets, ends: Offsets) -> Offsets:
        """Where each partition stood at this time, in milliseconds since 1970, but not behind
        `ends`.
        """
        if timestamp <= 0:
            return first
        found: Mapping[TopicPartition, Any] = self._consumer.offsets_for_times(
            dict.fromkeys(ends, timestamp), timeout_ms=clients.ANSWER_MS
        )
        return {
            tp: end if found.get(tp) is None else min(end, max(first[tp], found[tp].offset))
            for tp, end in ends.items()
        }

    def _between(self, starts: Offsets, ends: Offsets) -> Iterator[Any]:
        """What stands from `starts` up to `ends`, which are no farther than the topics' own."""
        left = [tp for tp in starts if starts[tp] < ends[tp]]
        if not left:
            return
        self._consumer.assign(left)
        self._consumer.resume(*left)
        for tp in left:
            self._consumer.seek(tp, starts[tp])
        heard = time.monotonic()
        while left:
            polled = self._consumer.poll(_POLL_MS, max_records=_POLL_RECORDS)
            for tp, batch in polled.items():
                for message in batch:
                    if message.offset < ends[tp]:
                        self.read += 1
                        yield message
            self._progress(self.read)
            # Positions, not messages: transaction markers take offsets too.
            for tp in [tp for tp in left if self._consumer.position(tp) >= ends[tp]]:
                left.remove(tp)
                self._consumer.pause(tp)
            if polled:
                heard = time.monotonic()
            elif time.monotonic() - heard > clients.ANSWER_S:
                raise Outage(f"Kafka at {self.settings.bootstrap_servers} does not answer.")
