"""`khabar explain` and `khabar story` on a real Kafka: found in as few records as possible, never
what was not committed, and never another message's text.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kafka import TopicPartition

from pipelines import schemas
from pipelines.errors import UsageError
from pipelines.explain import Text, explain, identity, story
from pipelines.kafka import clients, topics
from pipelines.kafka.find import Finder
from pipelines.kafka.tail import Tailed
from pipelines.producers import samples
from pipelines.settings import Settings
from tests.kafka.corpus import articles
from tests.kafka.harness import caught_up, command, read, send


@contextmanager
def administration(settings: Settings) -> Iterator[Any]:
    admin = clients.admin(settings)
    try:
        yield admin
    finally:
        admin.close()


def decisions(settings: Settings) -> list[Tailed]:
    """Everything that was decided, in order, by reading all of it."""
    found = [*read(settings, schemas.ARTICLES), *read(settings, schemas.DUPLICATES)]
    return sorted(found, key=lambda each: value(each)["sequence"])


def value(message: Tailed) -> dict[str, Any]:
    assert message.record is not None
    return message.record


def is_copy(record: dict[str, Any]) -> bool:
    return record["verdict"] == "duplicate" and record["matched"] != record["article_id"]


def is_revision(record: dict[str, Any]) -> bool:
    return record["verdict"] == "revision"


def is_update(record: dict[str, Any]) -> bool:
    return record["rule"] == "news"


def one(settings: Settings, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    return next(record for record in map(value, decisions(settings)) if wanted(record))


@pytest.fixture
def sampled(new_job: Callable[..., Settings]) -> Settings:
    """A job that has decided the samples."""
    settings = new_job()
    send([sample.value for sample in samples.read()], settings)
    caught_up(settings)
    return settings


def test_commands(sampled: Settings) -> None:
    """The two commands answer for a copy, a revision, an update and their stories, for people and
    for programs; what is not there is exit code 2 and one paragraph."""
    copy, revision = one(sampled, is_copy), one(sampled, is_revision)
    done = command(sampled, "explain", copy["url"])
    assert done.returncode == 0, done.stderr
    for words in (copy["title"], copy["rule"], copy["matched"], "held against", "[+", "[-"):
        assert words in done.stdout
    done = command(sampled, "explain", revision["article_id"], "--json")
    told = json.loads(done.stdout)
    assert told["decision"]["value"]["verdict"] == "revision"
    assert told["against"]["value"]["revision"] == revision["supersedes"]
    assert told["text"]["new_words"] > 0
    assert told["against_text"]["parts"]["body"]

    update = one(sampled, is_update)
    done = command(sampled, "explain", update["article_id"])
    for words in ("new to its story", "64 make an update", f"news {update['news']:.1f}"):
        assert words in " ".join(done.stdout.split())  # lines end where the terminal does
    told = json.loads(command(sampled, "explain", update["article_id"], "--json").stdout)
    assert told["news"]["most_new"] in update["body"]
    life = json.loads(command(sampled, "story", update["story_id"], "--json").stdout)
    said = [each["news"] for each in life["decisions"]]
    assert told["news"] in said

    done = command(sampled, "story", revision["article_id"])
    assert done.returncode == 0, done.stderr
    for words in ("new  ", "revision  ", "held back: ", " words: "):
        assert words in done.stdout
    done = command(sampled, "story", revision["story_id"], "--json")
    life = [each["value"]["sequence"] for each in json.loads(done.stdout)["decisions"]]
    everything = map(value, decisions(sampled))
    assert life == [v["sequence"] for v in everything if v["story_id"] == revision["story_id"]]

    done = command(sampled, "explain", "0" * 32)
    assert done.returncode == 2
    assert sampled.topic(schemas.DUPLICATES) in done.stderr
    assert "\n\n" not in done.stderr.strip()
    assert "Traceback" not in done.stderr
    assert command(sampled, "story", "not-an-id").returncode == 2


def test_lost_text(sampled: Settings) -> None:
    """A copy whose raw message was deleted is explained without its text, and that is said. When
    the raw topic is another one by now, no text of its messages is shown as the article's."""
    copies = [v for v in map(value, decisions(sampled)) if is_copy(v)]
    first, last = copies[0], copies[-1]
    raw = sampled.topic(schemas.RAW)

    def text(record: dict[str, Any]) -> Text:
        with Finder(sampled) as finder:
            found = explain(finder, record["article_id"])
        assert value(found.decided) == record
        assert (found.marked is None) == (found.text.parts is None)
        return found.text

    with administration(sampled) as admin:
        assert text(first).parts is not None
        admin.delete_records({TopicPartition(raw, 0): first["origin"]["offset"] + 1})
        assert text(first).parts is None
        assert "it has expired" in text(first).note
        assert text(last).parts is not None
        admin.delete_topics([raw])
        assert "there is no" in text(first).note
    topics.create(sampled)
    send(articles(copies[-2]["origin"]["offset"] + 1, seed=41), sampled)
    assert text(first).parts is text(last).parts is None
    assert "another message stands there now" in text(first).note
    assert "the topic is not the one that it was" in text(last).note


def test_all_of_it_in_three_partitions(new_job: Callable[..., Settings]) -> None:
    """Over three partitions, what is found of every article and every story is what reading all of
    the topics finds; a story's own partition is enough for its life."""
    settings = new_job(3)
    send(articles(300, seed=42), settings)
    caught_up(settings)
    everything = decisions(settings)
    by_article, by_story = defaultdict(list), defaultdict(list)
    for message in everything:
        by_article[value(message)["article_id"]].insert(0, message)
        by_story[value(message)["story_id"]].append(message)
    records = [value(message) for message in everything]
    copies = [record for record in records if record["verdict"] == "duplicate"]
    later = [record for record in records if record["verdict"] not in ("duplicate", "new")]
    assert copies
    assert later
    for record in (*copies[:6], *later[:6]):
        with Finder(settings) as finder:
            found = explain(finder, record["article_id"])
            assert found.decisions == by_article[record["article_id"]]
            assert (found.marked is not None) == bool(value(found.decided)["matched"])
            before = finder.read
            life = story(finder, record["article_id"])
            assert life.decisions == by_story[life.story_id]
            # One search through all, one through the story's own partition.
            assert finder.read - before < 2 * len(everything)


def test_partitions_added_later(sampled: Settings) -> None:
    """Stories from before the topics had more partitions are found where they were written."""
    everything = decisions(sampled)
    with administration(sampled) as admin:
        admin.create_partitions(
            {sampled.topic(kind): 3 for kind in (schemas.ARTICLES, schemas.DUPLICATES)}
        )
    copies = [v for v in map(value, everything) if is_copy(v)]
    for record in copies[:6]:
        with Finder(sampled) as finder:
            found = explain(finder, record["article_id"])
            assert found.against is not None
            assert value(found.against)["article_id"] == record["matched"]
            life = story(finder, record["story_id"]).decisions
        assert life == [m for m in everything if value(m)["story_id"] == record["story_id"]]


def test_only_what_was_committed(sampled: Settings) -> None:
    """A decision in a transaction that was taken back is not found."""
    copy = next(m for m in decisions(sampled) if is_copy(value(m)))
    forged = (copy.value or b"").replace(
        value(copy)["article_id"].encode(), identity("https://taken-back.example/1").encode()
    )
    producer = clients.producer(sampled, transactional_id=f"{sampled.group}-taken-back")
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(copy.topic, forged, copy.key).get(timeout=20)
    producer.abort_transaction()
    with Finder(sampled) as finder:
        with pytest.raises(UsageError, match="No decision"):
            explain(finder, identity("https://taken-back.example/1"))
        assert finder.read == len(decisions(sampled))
    producer.begin_transaction()
    producer.send(copy.topic, forged, copy.key).get(timeout=20)
    producer.commit_transaction()
    producer.close()
    with Finder(sampled) as finder:
        found = explain(finder, identity("https://taken-back.example/1"))
    assert "another message" in found.text.note
