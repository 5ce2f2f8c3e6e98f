"""`khabar forget`: asks the pipeline to have an article deleted wherever its records went.

The request goes through the raw topic, so that the one writer tells readers of it, in its order,
exactly once, and remembers it as long as the window lasts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipelines import schemas
from pipelines.errors import UsageError
from pipelines.kafka.find import Finder
from pipelines.kafka.tail import Tailed
from pipelines.producers.produce import send
from pipelines.records import Message, Removal
from pipelines.settings import Settings
from pipelines.stages.removal import HEADER, HEADER_VALUE, REASON_CHARACTERS, request
from pipelines.stages.urls import canonical_url


@dataclass(frozen=True)
class Forgotten:
    """What was asked for: `published` records and `entities` stand on our topics."""

    article_id: str
    published: int
    entities: int


def forget(finder: Finder, settings: Settings, article_id: str, reason: str) -> Forgotten:
    """Sends the request to remove this article; all that the articles topic still holds of it is
    read for that.

    Raises UsageError for a reason that cannot be told, Outage when Kafka is away.
    """
    reason = " ".join(reason.split())
    if not reason or len(reason) > REASON_CHARACTERS or not reason.isprintable():
        raise UsageError(
            f"--reason takes a sentence of 1 to {REASON_CHARACTERS} printable characters: readers "
            "of the topics see it. Name no person and nothing of the text in it."
        )
    published = _published(finder, settings, article_id)
    removal = removal_of(published, reason)
    value = request(article_id, removal)
    message = Message(
        settings.topic(schemas.RAW), _key(published, article_id), value, ((HEADER, HEADER_VALUE),)
    )
    send([message], settings)
    return Forgotten(article_id, len(published), len(removal.entities))


def removal_of(published: Iterable[Tailed], reason: str) -> Removal:
    """The removal of an article of which these records were published, oldest first."""
    records = [each.record for each in published if each.record]
    if not records:
        return Removal(reason)
    entities = {
        entity["entity_id"]: entity["type"] for record in records for entity in record["entities"]
    }
    newest = records[-1]
    revision = max(record["revision"] for record in records)
    return Removal(reason, newest["story_id"], revision, tuple(entities.items()))


def _published(finder: Finder, settings: Settings, article_id: str) -> list[Tailed]:
    """The records of the article on the articles topic, but for earlier removals, oldest first."""
    wanted = article_id.encode()
    found = [
        message
        for step in finder.newest_first(
            [settings.topic(schemas.ARTICLES)], lambda value: wanted in value
        )
        for message in step
        if message.record
        and message.record.get("article_id") == article_id
        and message.record["verdict"] != "removal"
    ]
    return sorted(found, key=lambda each: (each.record or {})["sequence"])


def _key(published: list[Tailed], article_id: str) -> bytes:
    """The key of the article's own messages, so that the request comes behind them."""
    urls = [canonical_url(each.record["url"] or "") for each in published if each.record]
    return next((url for url in reversed(urls) if url), article_id).encode("utf-8", "replace")
