"""What is said to the readers of a job on Flink, and of them, through a group's offsets."""

from __future__ import annotations

import pytest
from kafka import TopicPartition

from pipelines import schemas
from pipelines.errors import Superseded
from pipelines.kafka import clients, stopping
from pipelines.kafka.stopping import Progress, Sent
from pipelines.settings import Settings


def test_the_latest_job_is_the_one(kafka: Settings) -> None:
    """One that was overtaken while it was sent says nothing any more: `khabar stop` tells the
    later one."""
    assert stopping.current(kafka) is None
    stopping.sent(kafka, Sent(2, 1))
    with pytest.raises(Superseded):
        stopping.sent(kafka, Sent(1, 4))
    stopping.tell(kafka, 1)  # a writer that was fenced; what was sent last stays known
    assert stopping.current(kafka) == Sent(2, 1)


def test_drained(kafka: Settings) -> None:
    """A job is done when each reader of its generation has ended, and all that it read is
    committed; readers of an older one do not count."""
    place = TopicPartition(kafka.topic(schemas.RAW), 0)
    readers = clients.consumer(kafka, group_id=stopping.group_of(kafka))
    stopping.sent(kafka, Sent(2, 1))
    with Progress(kafka, Sent(2, 1)) as progress:
        assert not progress.told()
        stopping.tell(kafka, 2)
        assert progress.told()
        stopping.acknowledge(readers, place, 1, 0)
        assert not progress.drained()
        stopping.acknowledge(readers, place, 2, 7)
        assert not progress.drained()  # seven were read, none is committed
        stopping.acknowledge(readers, place, 2, 0)
        assert progress.drained()
        assert not progress.has_grown()
    readers.close()
