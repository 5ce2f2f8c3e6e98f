"""A job and its state: who may write, from where it reads, and what a standstill is taken for."""

from __future__ import annotations

import json
import signal
import time

import pytest
from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from pipelines import schemas
from pipelines.errors import Outage, Superseded, UsageError
from pipelines.kafka import clients, transaction
from pipelines.kafka.registry import Registry
from pipelines.kafka.transaction import Job
from pipelines.run import schema_ids
from pipelines.settings import Settings
from tests.kafka.corpus import articles
from tests.kafka.harness import caught_up, khabar, read, send


def opened(settings: Settings) -> Job:
    job = Job(settings, schema_ids(settings), warn=lambda line: None)
    job.open()
    return job


def waited(job: Job, times: int) -> None:
    """Lets the job wait for messages, which do not come."""
    for _ in range(times):
        assert job.next_batch() is None


def test_a_standstill_is_an_outage_and_no_takeover(kafka: Settings, monkeypatch) -> None:
    """A process that stood still until Kafka gave its transaction up (a laptop that slept) is to be
    started again: it must not look as if another instance had taken over."""
    monkeypatch.setattr(transaction, "_TRANSACTION_MS", 2000)
    monkeypatch.setattr(transaction, "_SUCCESSOR_S", 1.0)
    send(articles(2), kafka)
    job = opened(kafka)
    assert job.next_batch() is not None
    message = job._log.mark("start", 0)  # any message will do
    job.write(message)
    job._producer.flush()
    # Kafka looks for transactions that are too old every ten seconds.
    time.sleep(14)
    with pytest.raises(Outage, match="stood still"):
        job.commit()
    job.close()
    assert len(read(kafka, schemas.INDEX)) == 1


def test_who_cannot_use_the_state_leaves_the_writer_be(kafka: Settings, monkeypatch) -> None:
    """A start of another version is refused before it fences anybody: the running job goes on."""
    send(articles(3), kafka)
    caught_up(kafka)
    job = opened(kafka)
    monkeypatch.setattr("pipelines.kafka.index_log.STATE_VERSION", "another")
    with pytest.raises(UsageError):
        opened(kafka)
    monkeypatch.undo()
    send(articles(1, seed=5), kafka)
    assert job.next_batch() is not None
    job.commit()
    job.close()


def test_a_zombie_of_flink_leaves_the_writer_be(kafka: Settings) -> None:
    """A writer that Flink starts again after a later job was sent ends before it fences anybody:
    the later one goes on."""
    opened(kafka).close()
    job = opened(kafka)
    zombie = Job(kafka, schema_ids(kafka), warn=lambda line: None)
    with pytest.raises(Superseded):
        zombie.open_writer(1)
    zombie.close()
    send(articles(1, seed=5), kafka)
    assert job.next_batch() is not None
    job.commit()
    job.close()


def test_two_groups_on_one_index_are_refused(kafka: Settings) -> None:
    """A second group on the same topics would mix its stories into the first one's: it is refused,
    and told whose they are."""
    opened(kafka).close()
    other = Settings.of(vars(kafka) | {"group": "other"})
    with pytest.raises(UsageError, match=f"is written by the group {kafka.group}"):
        opened(other)


def test_offsets_beyond_the_end_are_refused(kafka: Settings) -> None:
    """When the group has read further than the topic goes, the run says so and reads nothing."""
    consumer = clients.consumer(kafka, group_id=kafka.group)
    place = TopicPartition(kafka.topic(schemas.RAW), 0)
    consumer.assign([place])
    consumer.commit({place: OffsetAndMetadata(100, "", -1)})
    consumer.close()
    with pytest.raises(UsageError, match="ends at offset 0, and group"):
        opened(kafka)


def test_an_idle_at_least_once_writer_sees_its_successor(kafka: Settings) -> None:
    """Without transactions an idle writer looks at the index every few seconds, and ends when
    another has started."""
    settings = Settings.of(vars(kafka) | {"delivery": "at-least-once"})
    first, second = opened(settings), opened(settings)
    with pytest.raises(Superseded):
        waited(first, 10)
    assert second.next_batch() is None
    first.close()
    second.close()


def test_a_replaced_writer_is_not_heard(kafka: Settings) -> None:
    """Decisions that a replaced at-least-once writer still sends count for nothing at a restart."""
    settings = Settings.of(vars(kafka) | {"delivery": "at-least-once"})
    send(articles(1), settings)
    caught_up(settings)
    (entry,) = [m.record for m in read(settings, schemas.INDEX) if m.record["state"]]
    job = opened(settings)
    state, other = entry["state"], b"\xff" * 16  # another article of its own story
    changed = other + state[16:32] + other + state[48:64] + (9).to_bytes(8, "little") + state[72:]
    late = dict(entry) | {"state": changed, "sequence": 9}
    job._send(job._log.message(late | {"generation": 1}))
    job._producer.flush()
    job.close()
    again = opened(settings)
    assert again.index.known("f" * 32) is None
    assert again.index.known(state[:16].hex()) is not None
    assert again.index.last_sequence == 1
    again.close()


@pytest.mark.parametrize("after_s", [0.8, 2.0, 4.0])
def test_a_signal_at_any_moment_of_the_start_ends_with_0(kafka: Settings, after_s: float) -> None:
    """SIGTERM during imports, the wait for Kafka or the restore ends with exit code 0 too."""
    with khabar(kafka) as process:
        time.sleep(after_s)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said


def test_new_partitions_are_read(kafka: Settings, monkeypatch) -> None:
    """Partitions added to the raw topic are read from their beginning, without a restart."""
    monkeypatch.setattr(transaction, "WATCH_S", 0.2)
    monkeypatch.setattr(transaction, "METADATA_MS", 500)
    job = opened(kafka)
    admin = clients.admin(kafka)
    admin.create_partitions({kafka.topic(schemas.RAW): 3})
    admin.close()
    time.sleep(1)
    producer = clients.producer(kafka)
    for partition in range(3):
        producer.send(kafka.topic(schemas.RAW), b"{}", partition=partition).get(10)
    producer.close()
    seen = set()
    deadline = time.monotonic() + 20
    while len(seen) < 3 and time.monotonic() < deadline:
        if batch := job.next_batch():
            seen.update(message.origin.partition for message in batch)
        else:
            job._positions.clear()
            job._bundle_records = 0
    job.close()
    assert seen == {0, 1, 2}


def test_a_schema_that_refers_to_others_is_unknown(kafka: Settings) -> None:
    """A framed message of a schema that we cannot put together is a dead letter, and no bug."""
    registry = Registry(kafka.registry_url)
    inner = {"type": "record", "name": "Inner", "namespace": "n", "fields": []}
    registry.register(f"{kafka.topic_prefix}-inner", json.dumps(inner))
    outer = {
        "type": "record",
        "name": "Outer",
        "namespace": "n",
        "fields": [{"name": "inner", "type": "n.Inner"}],
    }
    answer = registry._call(
        "POST",
        f"/subjects/{kafka.topic_prefix}-outer/versions",
        {
            "schema": json.dumps(outer),
            "references": [
                {"name": "n.Inner", "subject": f"{kafka.topic_prefix}-inner", "version": 1}
            ],
        },
    )
    send([b"\0" + int(answer["id"]).to_bytes(4, "big") + b"x", *articles(3)], kafka)
    caught_up(kafka)
    (dead,) = [m for m in read(kafka, schemas.DEAD_LETTERS) if m.offset == 0]
    assert dict(dead.headers)["khabar-reason"] == b"unknown-schema"


def test_a_compressed_message_larger_than_any_topic_takes(kafka: Settings) -> None:
    """A message that is small only while compressed does not stop the stream: its dead letter has
    no value, says how many bytes it had, and where it is."""
    producer = clients.producer(kafka, compression_type="gzip", max_request_size=40_000_000)
    producer.send(kafka.topic(schemas.RAW), b"[" * 30_000_000, b"key").get(30)
    producer.close()
    caught_up(kafka)
    (dead,) = read(kafka, schemas.DEAD_LETTERS)
    headers = dict(dead.headers)
    assert (dead.key, dead.value) == (b"key", None)
    assert headers["khabar-reason"] == b"too-large"
    assert headers["khabar-value-bytes"] == b"30000000"
