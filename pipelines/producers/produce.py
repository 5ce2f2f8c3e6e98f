"""Sends messages to the raw topic, at a pace if wanted, and knows that each has arrived."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from kafka.errors import KafkaError

from pipelines import schemas
from pipelines.errors import Outage, UsageError
from pipelines.kafka import clients
from pipelines.records import Message
from pipelines.settings import Settings

# Messages under way before the oldest is waited for: bounds memory when Kafka is slow.
_UNDER_WAY = 1000
_ANSWER_S = 30.0


def produce(
    messages: Iterable[tuple[bytes | None, bytes | None]], settings: Settings, **how: Any
) -> int:
    """Sends key and value pairs to the raw topic as `send` does, with its arguments."""
    topic = settings.topic(schemas.RAW)
    return send((Message(topic, key, value) for key, value in messages), settings, **how)


def send(
    messages: Iterable[Message],
    settings: Settings,
    *,
    rate: float | None = None,
    sent: Callable[[int], None] = lambda count: None,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Sends messages, `rate` a second when given; returns how many Kafka has taken. A header
    without a value gets an empty one, for the client takes no other.

    Raises Outage when Kafka does not take one, UsageError for one that is larger than it takes.
    """
    try:
        producer = clients.producer(settings)
    except KafkaError as error:
        raise clients.failure(settings, error) from None
    count, topic = 0, settings.topic(schemas.RAW)
    under_way: deque[Any] = deque()
    began = time.monotonic()
    try:
        for message in messages:
            if rate:
                time.sleep(max(0.0, began + count / rate - time.monotonic()))
            if stopped():
                break
            key = b"" if message.key is None is message.value else message.key
            headers = [(name, value or b"") for name, value in message.headers]
            topic = message.topic
            under_way.append(producer.send(topic, message.value, key, headers=headers))
            count += 1
            sent(count)
            # One that failed is told at once: at a slow pace the next thousand may take an hour.
            while len(under_way) > _UNDER_WAY or (under_way and under_way[0].is_done):
                under_way.popleft().get(timeout=_ANSWER_S)
        producer.flush(timeout=_ANSWER_S)
        for future in under_way:
            future.get(timeout=_ANSWER_S)
        return count
    except KafkaError as error:
        if type(error).__name__ == "MessageSizeTooLargeError":
            raise UsageError(
                f"Message {count + 1} is larger than {topic} takes: {error}."
            ) from None
        raise Outage(
            f"Kafka did not take message {count} for {topic} ({type(error).__name__}: {error}). "
            "What it took stays; sending again is harmless, for copies are recognised."
        ) from None
    finally:
        producer.close(timeout=1.0)
