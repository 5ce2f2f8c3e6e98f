"""Exactly once on one machine, with a real broker and real kills."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

import pytest
from kafka import TopicPartition

from pipelines import schemas
from pipelines.kafka import clients
from pipelines.settings import Settings
from tests.kafka.corpus import articles
from tests.kafka.harness import (
    caught_up,
    check_all_topics,
    expected,
    found,
    khabar,
    read,
    send,
)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def committed(settings: Settings, partition: int = 0) -> int:
    consumer = clients.consumer(settings, group_id=settings.group)
    try:
        offset = consumer.committed(TopicPartition(settings.topic(schemas.RAW), partition))
        return offset or 0
    finally:
        consumer.close()


def kill_at_random(settings: Settings, kills: int, count: int, seed: int) -> None:
    """Starts and kills runs, each after a random share of the articles was committed."""
    chance = random.Random(seed)
    marks = sorted(chance.randrange(count) for _ in range(kills))
    for mark in marks:
        with khabar(settings) as process:
            wait_for(lambda mark=mark: committed(settings) >= mark, 240)
            time.sleep(chance.random() * 0.6)  # anywhere in a bundle, a commit, a restore
            process.kill()
            process.wait()


def test_two_kills_lose_and_double_nothing(kafka: Settings) -> None:
    """A run that is killed twice (SIGKILL) publishes each article once, with the verdicts of an
    uninterrupted run."""
    send(articles(500), kafka)
    kill_at_random(kafka, 2, 400, seed=3)
    caught_up(kafka)
    check_all_topics(kafka)


def test_kills_with_several_partitions(new_job) -> None:
    """With three partitions nothing is lost or doubled either, and the verdicts are those of one
    uninterrupted go over the messages in the order that `sequence` shows."""
    settings = new_job(partitions=3)
    send(articles(400, seed=41), settings)
    with khabar(settings) as process:
        wait_for(lambda: any(committed(settings, partition) > 30 for partition in range(3)))
        process.kill()
        process.wait()
    caught_up(settings)
    there = found(settings)
    sequences = {
        (record["origin"]["partition"], record["origin"]["offset"]): record["sequence"]
        for kind in (schemas.ARTICLES, schemas.DUPLICATES)
        for record in (message.record for message in read(settings, kind))
        if record is not None
    }
    assert sorted(sequences.values()) == list(range(1, len(sequences) + 1))
    # Dead letters have no sequence, and decide nothing.
    assert there == expected(settings, lambda place: sequences.get(place, 0))


@pytest.mark.slow
def test_ten_kills_over_20000_articles_lose_and_double_nothing(kafka: Settings) -> None:
    """Ten SIGKILLs at random moments over 20,000 articles: every output topic is as after an
    uninterrupted run."""
    send(articles(20_000, seed=2), kafka)
    kill_at_random(kafka, 10, 19_000, seed=4)
    caught_up(kafka, 600)
    check_all_topics(kafka)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_signal_ends_within_two_seconds_and_commits(kafka: Settings, number: int) -> None:
    """SIGTERM and SIGINT end a busy run with exit code 0 within 2 s; a next run goes on without
    loss."""
    send(articles(600, seed=number), kafka)
    with khabar(kafka) as process:
        wait_for(lambda: committed(kafka) > 50)
        began = time.monotonic()
        process.send_signal(number)
        process.wait(30)
        seconds = time.monotonic() - began
        assert process.returncode == 0
    # What was delivered is committed: offsets and outputs name the same messages.
    assert sorted(found(kafka)) == [(0, offset) for offset in range(committed(kafka))]
    assert seconds < 2
    caught_up(kafka)
    check_all_topics(kafka)


def test_caught_up_on_an_empty_topic(kafka: Settings) -> None:
    """`--until-caught-up` ends by itself where there is nothing to read."""
    assert "in 0," in caught_up(kafka)


def test_caught_up_behind_transaction_markers(kafka: Settings) -> None:
    """`--until-caught-up` ends although the topic's last offsets are a commit marker and an
    aborted message that no reader sees."""
    producer = clients.producer(kafka, transactional_id=f"{kafka.group}-feed")
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(kafka.topic(schemas.RAW), next(articles(1)))
    producer.commit_transaction()
    producer.begin_transaction()
    producer.send(kafka.topic(schemas.RAW), b"never committed")
    producer.flush()
    producer.abort_transaction()
    producer.close()
    assert "in 1," in caught_up(kafka)
    assert "in 0," in caught_up(kafka)


def test_a_second_instance_takes_over_for_good(kafka: Settings) -> None:
    """The first of two instances says that another took over and ends with 0, so a supervisor that
    restarts on failure leaves the second alone."""
    send(articles(200, seed=5), kafka)
    with khabar(kafka) as first:
        wait_for(lambda: committed(kafka) >= 200)
        with khabar(kafka) as second:
            wait_for(lambda: len(starts(kafka)) == 2)
            send(articles(200, seed=6), kafka)
            _, said = first.communicate(timeout=30)
            assert first.returncode == 0, said
            assert "has taken over" in said
            wait_for(lambda: committed(kafka) >= 400)
            assert second.poll() is None
    check_all_topics(kafka)


def starts(settings: Settings) -> list[int]:
    """The generations of the writers that have begun."""
    return [
        m.record["generation"]
        for m in read(settings, schemas.INDEX)
        if m.record and m.record["kind"] == "start"
    ]


def test_at_least_once_loses_nothing_and_keeps_stories(kafka: Settings) -> None:
    """Without transactions a killed run may repeat records, but loses none, and a repeated record
    is the same decision again."""
    settings = Settings.of(vars(kafka) | {"delivery": "at-least-once"})
    send(articles(500, seed=7), settings)
    kill_at_random(settings, 2, 400, seed=8)
    caught_up(settings)
    decisions: dict[int, set[tuple[str, str, int]]] = {}
    for kind in (schemas.ARTICLES, schemas.DUPLICATES):
        for message in read(settings, kind):
            record = message.record
            assert record is not None
            decisions.setdefault(record["origin"]["offset"], set()).add(
                (record["verdict"], record["story_id"], record["sequence"])
            )
    dead = {int(dict(m.headers)["khabar-offset"]) for m in read(settings, schemas.DEAD_LETTERS)}
    assert decisions.keys() | dead == set(range(500))
    assert all(len(of_one) == 1 for of_one in decisions.values())


def test_at_least_once_ends_when_another_takes_over(kafka: Settings) -> None:
    """Where no transaction fences, the older writer sees the newer one's start and ends with 0."""
    settings = Settings.of(vars(kafka) | {"delivery": "at-least-once"})
    with khabar(settings) as first:
        wait_for(lambda: len(starts(settings)) == 1)
        with khabar(settings):
            wait_for(lambda: len(starts(settings)) == 2)
            send(articles(50, seed=9), settings)
            _, said = first.communicate(timeout=30)
            assert first.returncode == 0, said
            assert "has taken over" in said
