"""Kafka or the registry away: nothing is lost, the run says so and ends with 75."""

from __future__ import annotations

import time

import pytest
from kafka.errors import KafkaTimeoutError

from pipelines import schemas
from pipelines.errors import Outage
from pipelines.kafka.transaction import Job
from pipelines.records import Message
from pipelines.run import schema_ids
from pipelines.settings import Settings
from tests.kafka.corpus import articles
from tests.kafka.harness import (
    caught_up,
    check_all_topics,
    khabar,
    read,
    send,
    wait_until_reading,
)
from tests.kafka.test_delivery import committed, wait_for


@pytest.mark.slow
def test_a_broker_killed_in_mid_stream(own_kafka) -> None:
    """When Kafka is killed, the run ends with exit code 75 and one line; with Kafka back, the next
    run goes on, and nothing is missing or doubled."""
    services, settings = own_kafka.services, own_kafka.settings
    send(articles(800, seed=21), settings)
    with khabar(settings) as process:
        wait_for(lambda: committed(settings) > 50)
        services.kill_kafka()
        _, said = process.communicate(timeout=90)
    assert process.returncode == 75, said
    # Which of the client's calls meets the silence first is chance, and so is its own wording.
    last = said.splitlines()[-1]
    assert last.startswith(f"khabar: Kafka at {settings.bootstrap_servers} ")
    assert "Nothing is lost" in last
    services.restart_kafka()
    caught_up(settings)
    check_all_topics(settings)


@pytest.mark.slow
def test_an_idle_run_notices_that_kafka_is_gone(own_kafka) -> None:
    """A run that has nothing to read sees within a minute that Kafka is away, and ends with 75."""
    with khabar(own_kafka.settings) as process:
        wait_until_reading(process)
        own_kafka.services.kill_kafka()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 75, said


def test_a_short_outage_is_sat_out(own_kafka) -> None:
    """Kafka restarted within seconds does not end an idle run, and it reads on."""
    services, settings = own_kafka.services, own_kafka.settings
    with khabar(settings) as process:
        wait_until_reading(process)
        services.kill_kafka()
        services.restart_kafka()
        send(articles(50, seed=22), settings)
        wait_for(lambda: committed(settings) >= 50)
        assert process.poll() is None
    check_all_topics(settings)


@pytest.mark.slow
def test_the_registry_away_in_mid_stream(own_kafka) -> None:
    """JSON goes on without the registry, which is asked only for schemas it has not told yet; a
    framed message of an unknown one ends the run with 75, and comes through when it is back."""
    services, settings = own_kafka.services, own_kafka.settings
    with khabar(settings) as process:
        wait_until_reading(process)
        services.kill_registry()
        send(articles(30, seed=23), settings)
        wait_for(lambda: committed(settings) >= 30)
        send([b"\0\0\0\0\x63unknown"], settings)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 75, said
    assert "registry" in said.splitlines()[-1]
    services.restart_registry()
    caught_up(settings)
    (dead,) = [m for m in read(settings, schemas.DEAD_LETTERS) if m.value and m.value[0] == 0]
    assert dict(dead.headers)["khabar-reason"] == b"unknown-schema"


def test_a_batch_that_kafka_refused_is_never_committed(kafka: Settings) -> None:
    """A message that was not acknowledged keeps its whole bundle from being committed: the client
    itself would commit the rest."""
    send(articles(1), kafka)
    job = Job(kafka, schema_ids(kafka), warn=lambda line: None)
    job.open()
    assert job.next_batch() is not None
    job.write(Message(kafka.topic(schemas.ARTICLES), b"k", b"v"))

    class Refused:
        def get(self, timeout: float) -> None:
            raise KafkaTimeoutError("delivery timed out")

    job._sent.append(Refused())
    with pytest.raises(Outage):
        job.commit()
    job.close()
    assert read(kafka, schemas.ARTICLES) == []
    assert committed(kafka) == 0


@pytest.mark.slow
def test_at_start_the_run_waits_for_kafka(own_kafka) -> None:
    """A run started while Kafka is away waits for it, says so, and then runs."""
    services, settings = own_kafka.services, own_kafka.settings
    services.kill_kafka()
    with khabar(settings, "--until-caught-up") as process:
        time.sleep(8)
        assert process.poll() is None
        services.restart_kafka()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Waiting up to 60 s" in said
