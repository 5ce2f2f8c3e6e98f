"""Reads Khabar's topics with confluent-kafka's Avro deserializer, and keeps what counts in SQLite.

pip install "confluent-kafka[avro,schemaregistry]"
"""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from shared import Store, options


def main() -> None:
    given = options("Reads Khabar's topics with confluent-kafka and its Avro deserializer.")
    store = Store(given.store)
    decode = AvroDeserializer(SchemaRegistryClient({"url": given.registry_url}))
    consumer = Consumer(
        {
            "bootstrap.servers": given.bootstrap_servers,
            "group.id": given.group,
            # Without it, records come too that a killed run wrote and never committed. It is this
            # library's default, and no other's.
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.partition.eof": given.until_caught_up,
        }
    )
    consumer.subscribe(given.topic)
    ended: set[tuple[str, int]] = set()
    while True:
        taken = 0
        for message in consumer.consume(500, timeout=0.5):
            place, error = (message.topic(), message.partition()), message.error()
            if error is None:
                context = SerializationContext(message.topic(), MessageField.VALUE)
                store.take(message.topic(), decode(message.value(), context))
                taken += 1
                ended.discard(place)
            elif error.code() == KafkaError._PARTITION_EOF:
                ended.add(place)
            else:
                raise KafkaException(error)
        if taken:
            store.commit()
            # After the work: what a crash repeats, the store takes twice.
            consumer.commit(asynchronous=False)
        elif given.until_caught_up and ended and ended >= places(consumer.assignment()):
            break
    consumer.close()
    for line in store.lines():
        print(line)


def places(partitions: list[TopicPartition]) -> set[tuple[str, int]]:
    return {(partition.topic, partition.partition) for partition in partitions}


if __name__ == "__main__":
    main()
