"""The reader of a job on Flink, bundle by bundle; test_flink.py beside it has a real one ask."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaError

from pipelines import schemas
from pipelines.kafka import clients, partitions, stopping
from pipelines.kafka.partitions import _Place, _Read
from pipelines.kafka.stopping import Progress, Sent
from pipelines.producers.produce import produce
from pipelines.settings import Settings

GENERATION = 3


@dataclass
class Timer:
    """What a reader has set: the offsets to go on from."""

    offsets: list[int] = field(default_factory=list)

    def set(self, when: object, dynamic_timer_tag: str) -> None:
        self.offsets.append(int(dynamic_timer_tag))


@dataclass
class Reader:
    settings: Settings
    start: int = 0
    end: int = sys.maxsize

    def read(self, offset: int) -> tuple[list[int], list[int]]:
        """The offsets that one bundle from here on gives, and those of the timers it sets."""
        timer, place = Timer(), _Place(0, self.start, self.end)
        read = _Read(self.settings, GENERATION).read
        found = [m.origin.offset for b in read(place.encoded(), str(offset), timer) for m in b]
        return found, timer.offsets

    def read_until(self, offset: int, end: int) -> list[int]:
        """Those of as many bundles as it takes; a first poll may be too early."""
        found: list[int] = []
        deadline = time.monotonic() + 60
        while offset < end:
            assert time.monotonic() < deadline, f"{found} came"
            more, timers = self.read(offset)
            found += more
            if not timers:
                break
            (offset,) = timers
        return found


def send(settings: Settings, count: int) -> None:
    produce(((b"%d" % number, b"{}") for number in range(count)), settings)


@pytest.fixture
def settings(kafka: Settings) -> Iterator[Settings]:
    send(kafka, 10)
    yield kafka
    for reader in partitions._readers.values():  # a worker's live as long as it does
        reader._consumer.close()
    partitions._readers.clear()


def ended(settings: Settings) -> bool:
    """Whether the reader has said that it ends, and all that it had read is committed: here nothing
    is, so that holds only for one that has read nothing."""
    with Progress(settings, Sent(GENERATION, 1)) as progress:
        return progress.drained()


def told(settings: Settings) -> int | None:
    """Up to where the reader has said that it has read."""
    consumer = clients.consumer(settings, group_id=stopping.group_of(settings))
    found = consumer.committed(TopicPartition(settings.topic(schemas.RAW), 0))
    consumer.close()
    return None if found is None else int(found)


def test_goes_on_where_its_timer_says(settings: Settings) -> None:
    """Each bundle begins where the one before ended, and sets one timer with the next offset."""
    assert Reader(settings).read_until(0, 10) == list(range(10))
    assert Reader(settings).read(10) == ([], [10])
    send(settings, 3)
    assert Reader(settings).read_until(10, 13) == [10, 11, 12]


def test_a_bundle_that_was_broken_off(settings: Settings) -> None:
    """Asked for an offset that it has passed, it reads from there again."""
    assert Reader(settings).read_until(0, 10) == list(range(10))
    assert Reader(settings).read_until(4, 10) == list(range(4, 10))


def test_a_poll_that_fails(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was fetched when Kafka failed in mid-poll is read again, though its consumer went on."""
    assert Reader(settings).read_until(0, 10) == list(range(10))
    send(settings, 5)
    (reader,) = partitions._readers.values()

    position = reader._consumer.position

    def failing(*arguments: object, **options: object) -> int:
        found = position(*arguments, **options)
        if found > 10:
            raise KafkaError
        return int(found)

    with monkeypatch.context() as patched:
        patched.setattr(reader._consumer, "position", failing)
        with pytest.raises(KafkaError):
            Reader(settings).read_until(10, 15)
    assert Reader(settings).read_until(10, 15) == [10, 11, 12, 13, 14]


def test_an_end(settings: Settings) -> None:
    """Nothing at or behind the end is handed out, however much is there; no timer is set then, and
    the end is told."""
    reader = Reader(settings, end=7)
    assert reader.read_until(0, 7) == list(range(7))
    assert reader.read(7) == ([], [])
    assert not ended(settings)  # seven were read, and none is committed
    assert told(settings) == 7


def test_told_to_stop(settings: Settings) -> None:
    """A reader that has read nothing says so, and sets no timer."""
    stopping.sent(settings, Sent(GENERATION, 1))
    stopping.tell(settings, GENERATION)
    assert Reader(settings, start=4).read(4) == ([], [])
    assert ended(settings)


def test_marks_of_transactions(settings: Settings) -> None:
    """What a transaction leaves in a partition is no message: reading goes on behind it, and the
    offset that is told at the end is that behind the last message."""
    writer = clients.producer(settings, transactional_id=f"{settings.group}-marks")
    writer.init_transactions()
    for _ in range(2):
        writer.begin_transaction()
        writer.send(settings.topic(schemas.RAW), value=b"{}")
        writer.commit_transaction()
    writer.close()
    # 10 and 12 are messages, 11 and 13 marks.
    reader = Reader(settings, end=14)
    assert reader.read_until(0, 14) == [*range(10), 10, 12]
    assert told(settings) == 13


def test_what_kafka_has_deleted(settings: Settings) -> None:
    """A job that goes back to what retention has deleted meanwhile reads on with what is there."""
    place = TopicPartition(settings.topic(schemas.RAW), 0)
    admin = clients.admin(settings)
    admin.delete_records({place: 6})
    assert Reader(settings).read_until(3, 10) == [6, 7, 8, 9]
    assert Reader(settings).read_until(0, 10) == [6, 7, 8, 9]
    admin.delete_records({place: 10})
    admin.close()
    assert Reader(settings, end=10).read(8) == ([], [])
    assert told(settings) == 8
