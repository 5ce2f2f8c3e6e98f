"""Reads a topic as other programs do: committed records only, values through the registry."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import fastavro
from kafka import TopicPartition
from kafka.errors import KafkaError

from pipelines.errors import Outage, UsageError
from pipelines.kafka import clients
from pipelines.kafka.registry import Registry
from pipelines.settings import Settings

_HEADER = struct.Struct(">bI")
_POLL_MS = 200
_ANSWER_MS = 20_000


@dataclass(frozen=True)
class Tailed:
    """One message: `record` is its decoded value, None where the value is not framed Avro."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    record: dict[str, Any] | None


def tail(
    settings: Settings,
    topics: list[str],
    *,
    from_start: bool = True,
    since: int = 0,
    wanted: Callable[[bytes], bool] = lambda value: True,
    until_caught_up: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Tailed]:
    """The topics' messages, as they come, until `stopped`, or up to the ends seen at the start.

    From the start means from Kafka's time `since` on, in milliseconds since 1970. Only messages
    whose value `wanted` takes are decoded and given.

    Raises UsageError for a topic that does not exist, Outage when Kafka or the registry is away.
    """
    registry = Registry(settings.registry_url)
    known: dict[int, Any] = {}
    try:
        consumer = clients.consumer(settings, auto_offset_reset="earliest", fetch_max_wait_ms=100)
    except KafkaError as error:
        raise clients.failure(settings, error) from None
    try:
        partitions = []
        for topic in topics:
            numbers = consumer.partitions_for_topic(topic)
            if not numbers:
                raise UsageError(f"The topic {topic} does not exist. `khabar topics` makes it.")
            partitions += [TopicPartition(topic, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions, timeout_ms=_ANSWER_MS)
        starts = consumer.beginning_offsets(partitions, timeout_ms=_ANSWER_MS)
        if since > 0:
            at = consumer.offsets_for_times(dict.fromkeys(partitions, since), timeout_ms=_ANSWER_MS)
            starts = {p: ends[p] if at.get(p) is None else at[p].offset for p in partitions}
        for partition in partitions:
            consumer.seek(partition, (starts if from_start else ends)[partition])
        heard = time.monotonic()
        while not stopped():
            polled = consumer.poll(_POLL_MS)
            for batch in polled.values():
                for message in batch:
                    # By the record's time, too: Kafka's index of times gives a place, not a border.
                    if message.timestamp >= since and wanted(message.value or b""):
                        yield decoded(message, registry, known)
            if until_caught_up:
                if all(consumer.position(p) >= end for p, end in ends.items()):
                    return
                if polled:
                    heard = time.monotonic()
                elif time.monotonic() - heard > _ANSWER_MS / 1000:
                    raise Outage(f"Kafka at {settings.bootstrap_servers} does not answer.")
    except KafkaError as error:
        raise clients.failure(settings, error) from None
    finally:
        consumer.close()


def decoded(message: Any, registry: Registry, known: dict[int, Any]) -> Tailed:
    """A message of Kafka's client with its value decoded; `known` keeps the schemas by id."""
    value, record = message.value, None
    if value and len(value) > _HEADER.size and value[0] == 0:
        _, schema_id = _HEADER.unpack_from(value)
        if schema_id not in known:
            known[schema_id] = registry.schema(schema_id)
        if known[schema_id] is not None:
            stream = BytesIO(value)
            stream.seek(_HEADER.size)
            try:
                record = fastavro.schemaless_reader(stream, known[schema_id], None)
            except (EOFError, IndexError, KeyError, ValueError, OverflowError, TypeError):
                record = None  # a dead letter's bytes may look like a frame
    return Tailed(
        message.topic,
        message.partition,
        message.offset,
        message.timestamp,
        message.key,
        value,
        list(message.headers or ()),
        record,
    )
