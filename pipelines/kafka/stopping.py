"""How a job that several workers read for is told to end, and how its end is known: through offsets
of a consumer group of its own, which are no places in a topic. At the index topic the offset is the
latest generation that is to end, and its metadata what was sent last, by `Sent`. At a partition of
the raw topic each reader that has ended says up to where it has read, and as metadata for which
generation.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from pipelines import schemas
from pipelines.errors import Outage, Superseded
from pipelines.kafka import clients
from pipelines.settings import Settings

# Seconds that readers and writer may take for their last bundles.
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Sent:
    """A job of several workers: its generation, and how many partitions it reads, from 0 on."""

    generation: int
    partitions: int

    def __str__(self) -> str:
        return f"{self.generation} {self.partitions}"


def group_of(settings: Settings) -> str:
    """The group whose offsets these are."""
    return f"{settings.group}.stop"


def told(consumer: Any, settings: Settings) -> int:
    """The latest generation that is to end, -1 before the first job; `consumer` is of the group."""
    generation = consumer.committed(_order(settings), timeout_ms=clients.ANSWER_MS)
    return -1 if generation is None else int(generation)


def acknowledge(consumer: Any, place: TopicPartition, generation: int, read: int) -> None:
    """Says that this generation's reader of this partition has read up to this offset, and ends."""
    done = {place: OffsetAndMetadata(read, str(generation), -1)}
    consumer.commit(done, timeout_ms=clients.ANSWER_MS)


def sent(settings: Settings, job: Sent) -> None:
    """Says that this job is the one now: all earlier ones are to end.

    Raises Outage, and Superseded where a later one has said so already.
    """
    with _watching(settings) as (stops, _):
        found = _sent(stops, settings)
        if found is not None and found.generation > job.generation:
            raise Superseded(
                f"Another instance of group {settings.group} has taken over; this one ends."
            )
        _commit(stops, settings, job.generation - 1, job)


def tell(settings: Settings, generation: int) -> None:
    """Tells the readers of this generation and of earlier ones to end. Raises Outage."""
    with _watching(settings) as (stops, _):
        if told(stops, settings) < generation:
            _commit(stops, settings, generation, _sent(stops, settings))


def current(settings: Settings) -> Sent | None:
    """The job that was sent last, None when none was. Raises Outage."""
    with _watching(settings) as (stops, _):
        return _sent(stops, settings)


def _order(settings: Settings) -> TopicPartition:
    return TopicPartition(settings.topic(schemas.INDEX), 0)


def _sent(stops: Any, settings: Settings) -> Sent | None:
    order = stops.committed(_order(settings), metadata=True, timeout_ms=clients.ANSWER_MS)
    return Sent(*map(int, order.metadata.split())) if order and order.metadata else None


def _commit(stops: Any, settings: Settings, generation: int, sent: Sent | None) -> None:
    order = {_order(settings): OffsetAndMetadata(generation, str(sent or ""), -1)}
    stops.commit(order, timeout_ms=clients.ANSWER_MS)


class Progress:
    """How far a job of several workers is, asked again and again. Opens in a `with`."""

    def __init__(self, settings: Settings, job: Sent) -> None:
        self._settings = settings
        self._job = job
        self._topic = settings.topic(schemas.RAW)
        self._places = [TopicPartition(self._topic, number) for number in range(job.partitions)]

    def __enter__(self) -> Progress:
        self._watching = _watching(self._settings)
        self._stops, self._written = self._watching.__enter__()
        # Kafka's client renews what it knows of topics that it was told of.
        self._written.assign(self._places)
        return self

    def __exit__(self, *error: Any) -> None:
        self._watching.__exit__(*error)

    def counts(self) -> tuple[int, int]:
        """The sum of the committed offsets, and of what lies between them and the ends."""
        with _guard(self._settings):
            ends = self._written.end_offsets(self._places, timeout_ms=clients.ANSWER_MS)
            done = self._committed()
            return sum(done.values()), sum(max(0, ends[each] - done[each]) for each in done)

    def has_grown(self) -> bool:
        """Whether the topic has partitions that the job does not read; seen within a minute."""
        with _guard(self._settings):
            there = self._written.partitions_for_topic(self._topic) or ()
            return len(there) > len(self._places)

    def told(self) -> bool:
        """Whether the job is to end."""
        with _guard(self._settings):
            return told(self._stops, self._settings) >= self._job.generation

    def drained(self) -> bool:
        """Whether every reader has ended, and all that they had read is committed."""
        with _guard(self._settings):
            ended = self._ended()
            if len(ended) < len(self._places):
                return False
            done = self._committed()
            return all(done[place] >= read for place, read in ended.items())

    def _ended(self) -> Mapping[TopicPartition, int]:
        found = {
            place: self._stops.committed(place, metadata=True, timeout_ms=clients.ANSWER_MS)
            for place in self._places
        }
        wanted = str(self._job.generation)
        return {p: each.offset for p, each in found.items() if each and each.metadata == wanted}

    def _committed(self) -> Mapping[TopicPartition, int]:
        return {
            place: self._written.committed(place, timeout_ms=clients.ANSWER_MS) or 0
            for place in self._places
        }


def await_drained(settings: Settings, job: Sent) -> None:
    """Returns when this job has committed all that it will. Raises Outage when that takes longer
    than PATIENCE_S.
    """
    deadline = time.monotonic() + PATIENCE_S
    with Progress(settings, job) as progress:
        while not progress.drained():
            if time.monotonic() > deadline:
                raise Outage(
                    f"The readers of group {settings.group} did not end within {PATIENCE_S:.0f} s. "
                    "If its job still runs, cancel it in Flink: nothing is lost, the next one goes "
                    "on at the last commit."
                )
            time.sleep(0.2)


@contextmanager
def _watching(settings: Settings) -> Iterator[tuple[Any, Any]]:
    """Consumers of the stopping group and of the job's own."""
    with _guard(settings):
        stops = clients.consumer(settings, group_id=group_of(settings))
        written = clients.consumer(
            settings, group_id=settings.group, metadata_max_age_ms=clients.METADATA_MS
        )
        try:
            yield stops, written
        finally:
            stops.close()
            written.close()


@contextmanager
def _guard(settings: Settings) -> Iterator[None]:
    try:
        yield
    except KafkaError as error:
        raise clients.failure(settings, error) from None
