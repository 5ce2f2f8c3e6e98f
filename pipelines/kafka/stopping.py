"""How a job that several workers read for is told to end, and how its end is known: through offsets
of a consumer group of its own, which are no places in a topic. At the index topic the offset is the
latest generation that is to end, and its metadata the one that was sent last. At a partition of the
raw topic each reader that has ended says up to where it has read, and as metadata for which
generation.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from pipelines import schemas
from pipelines.errors import Outage
from pipelines.kafka import clients
from pipelines.settings import Settings

# Seconds that readers and writer may take for their last bundles.
PATIENCE_S = 60.0


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


def sent(settings: Settings, generation: int) -> None:
    """Says that the job of this generation is the one now: all earlier ones are to end."""
    with _watching(settings) as (stops, _, _places):
        _commit(stops, settings, generation - 1, str(generation))


def tell(settings: Settings, generation: int) -> None:
    """Tells the readers of this generation and of earlier ones to end. Raises Outage."""
    with _watching(settings) as (stops, _, _places):
        if told(stops, settings) < generation:
            _commit(stops, settings, generation, _sent(stops, settings))


def current(settings: Settings) -> int:
    """The generation of the job that was sent last, 0 when none was. Raises Outage."""
    with _watching(settings) as (stops, _, _places):
        return int(_sent(stops, settings) or 0)


def _order(settings: Settings) -> TopicPartition:
    return TopicPartition(settings.topic(schemas.INDEX), 0)


def _sent(stops: Any, settings: Settings) -> str:
    order = stops.committed(_order(settings), metadata=True, timeout_ms=clients.ANSWER_MS)
    return str(order.metadata) if order else ""


def _commit(stops: Any, settings: Settings, generation: int, sent: str) -> None:
    order = {_order(settings): OffsetAndMetadata(generation, sent, -1)}
    stops.commit(order, timeout_ms=clients.ANSWER_MS)


class Progress:
    """How far a job of several workers is, asked again and again. Opens in a `with`."""

    def __init__(self, settings: Settings, generation: int) -> None:
        self._settings = settings
        self.generation = generation

    def __enter__(self) -> Progress:
        self._watching = _watching(self._settings)
        self._stops, self._written, self._places = self._watching.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._watching.__exit__(*error)

    def counts(self) -> tuple[int, int]:
        """The sum of the committed offsets, and of what lies between them and the ends."""
        with _guard(self._settings):
            ends = self._written.end_offsets(self._places, timeout_ms=clients.ANSWER_MS)
            done = self._committed()
            return sum(done.values()), sum(max(0, ends[each] - done[each]) for each in done)

    def told(self) -> bool:
        """Whether the job is to end."""
        with _guard(self._settings):
            return told(self._stops, self._settings) >= self.generation

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
        wanted = str(self.generation)
        return {p: each.offset for p, each in found.items() if each and each.metadata == wanted}

    def _committed(self) -> Mapping[TopicPartition, int]:
        return {
            place: self._written.committed(place, timeout_ms=clients.ANSWER_MS) or 0
            for place in self._places
        }


def await_drained(settings: Settings, generation: int) -> None:
    """Returns when the job of this generation has committed all that it will. Raises Outage when
    that takes longer than PATIENCE_S.
    """
    deadline = time.monotonic() + PATIENCE_S
    with Progress(settings, generation) as progress:
        while not progress.drained():
            if time.monotonic() > deadline:
                raise Outage(
                    f"The readers of group {settings.group} did not end within {PATIENCE_S:.0f} s. "
                    "If its job still runs, cancel it in Flink: nothing is lost, the next one goes "
                    "on at the last commit."
                )
            time.sleep(0.2)


@contextmanager
def _watching(settings: Settings) -> Iterator[tuple[Any, Any, list[TopicPartition]]]:
    """Consumers of the stopping group and of the job's own, and the raw topic's partitions."""
    topic = settings.topic(schemas.RAW)
    with _guard(settings):
        stops = clients.consumer(settings, group_id=group_of(settings))
        written = clients.consumer(settings, group_id=settings.group)
        try:
            numbers = sorted(stops.partitions_for_topic(topic) or ())
            yield stops, written, [TopicPartition(topic, number) for number in numbers]
        finally:
            stops.close()
            written.close()


@contextmanager
def _guard(settings: Settings) -> Iterator[None]:
    try:
        yield
    except KafkaError as error:
        raise clients.failure(settings, error) from None
