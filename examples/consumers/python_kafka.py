"""Reads Khabar's topics with kafka-python and fastavro, and keeps what counts in SQLite.

pip install "kafka-python[crc32c]" fastavro requests
"""

from __future__ import annotations

import json
import struct
from io import BytesIO
from typing import Any

import fastavro
import requests
from kafka import KafkaConsumer
from shared import Store, options


class Decoder:
    """Avro in the Confluent wire format: a zero byte, the schema's id, the value."""

    def __init__(self, registry_url: str) -> None:
        self._url = registry_url
        self._schemas: dict[int, Any] = {}

    def __call__(self, value: bytes) -> dict[str, Any]:
        magic, schema_id = struct.unpack_from(">bI", value)
        if magic != 0:
            raise ValueError("not in the Confluent wire format")
        if schema_id not in self._schemas:
            answer = requests.get(f"{self._url}/schemas/ids/{schema_id}", timeout=10)
            answer.raise_for_status()
            schema = json.loads(answer.json()["schema"])
            self._schemas[schema_id] = fastavro.parse_schema(schema, named_schemas={})
        stream = BytesIO(value)
        stream.seek(5)
        return fastavro.schemaless_reader(stream, self._schemas[schema_id], None)


def caught_up(consumer: KafkaConsumer) -> bool:
    partitions = consumer.assignment()
    ends = consumer.end_offsets(partitions)
    return bool(ends) and all(consumer.position(p) >= end for p, end in ends.items())


def main() -> None:
    given = options("Reads Khabar's topics with kafka-python and fastavro.")
    store, decode = Store(given.store), Decoder(given.registry_url)
    consumer = KafkaConsumer(
        *given.topic,
        bootstrap_servers=given.bootstrap_servers,
        group_id=given.group,
        # Without it, records come too that a killed run wrote and never committed.
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    while True:
        polled = consumer.poll(timeout_ms=500)
        for messages in polled.values():
            for message in messages:
                store.take(message.topic, decode(message.value))
        if polled:
            store.commit()
            consumer.commit()  # after the work: what a crash repeats, the store takes twice
        elif given.until_caught_up and caught_up(consumer):
            break
    consumer.close()
    for line in store.lines():
        print(line)


if __name__ == "__main__":
    main()
