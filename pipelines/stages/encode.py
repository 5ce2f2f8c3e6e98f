"""Encode: from an envelope to the messages that leave, strictly as the schemas say.

A published article gives one message on the articles topic and one for each entity; one held back
gives one on the duplicates topic; a removal gives what undoes the former; all give one on the index
topic. A failure gives a dead letter.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import fastavro

from pipelines import __version__, schemas
from pipelines.records import (
    Article,
    DateMention,
    Entity,
    Envelope,
    Failure,
    Match,
    Message,
    Origin,
    RawMessage,
    Removal,
    StageError,
)
from pipelines.stages.arabic.layers import PROFILE
from pipelines.stages.decide import STATE_VERSION
from pipelines.stages.entry import REMOVED
from pipelines.stages.fingerprint import FINGERPRINT_VERSION

# Bytes of a message with its headers: what brokers and topics are set to take.
MAX_BYTES = 16 * 1024 * 1024
_SLACK = 64 * 1024  # bytes left for key, headers and the batch around a record
_DETAIL_CHARACTERS = 500

# What an entity's own record says of its article.
_OF_ARTICLE = ("article_id", "revision", "story_id", "source", "url", "published_at", "versions")

# What fastavro raises for a value that was not written with the schema.
UNFRAME_ERRORS = (EOFError, IndexError, KeyError, ValueError, OverflowError, TypeError)

_CONFLUENT_HEADER = struct.Struct(">bI")  # magic byte, schema id


@dataclass(frozen=True)
class Topics:
    """Where the messages go: `prefix` names the topics, `schema_ids` the registry's id by kind."""

    prefix: str
    schema_ids: Mapping[str, int]
    generation: int = 0
    entities_version: str = ""

    def name(self, kind: str) -> str:
        return f"{self.prefix}.{kind}"


def encode(envelope: Envelope, topics: Topics) -> list[Message]:
    """The messages that `envelope` becomes.

    Raises StageError `too-large` when a message would exceed MAX_BYTES.
    """
    if envelope.article is None:
        assert envelope.failure is not None, "an envelope holds an article or a failure"
        return [dead_letter(envelope.raw, envelope.failure, topics)]
    article, origin = envelope.article, envelope.raw.origin
    story_key = article.decision.story_id.encode()
    article_key = article.article_id.encode()
    index = index_record(article, topics.generation)
    if article.decision.verdict == "duplicate":
        duplicate = duplicate_record(article, origin, topics.entities_version)
        return [
            _message(topics, schemas.DUPLICATES, story_key, duplicate),
            _message(topics, schemas.INDEX, article_key, index),
        ]
    record = article_record(article, origin, topics.entities_version)
    messages = [_message(topics, schemas.ARTICLES, story_key, record)]
    entities = removed_entities(record, article.removal) if article.removal else None
    for entity in entities or entity_records(record):
        key = entity["entity_id"].encode()
        messages.append(_message(topics, schemas.ENTITIES, key, entity))
    messages.append(_message(topics, schemas.INDEX, article_key, index))
    return messages


def dead_letter(raw: RawMessage, failure: Failure, topics: Topics) -> Message:
    """`raw` untouched, with the facts of its failure as headers behind its own."""
    origin = raw.origin
    facts = {
        "khabar-stage": failure.stage,
        "khabar-reason": failure.reason,
        "khabar-detail": failure.detail[:_DETAIL_CHARACTERS],
        "khabar-topic": origin.topic,
        "khabar-partition": str(origin.partition),
        "khabar-offset": str(origin.offset),
        "khabar-timestamp": str(origin.timestamp),
        "khabar-version": __version__,
    }
    # The Kafka client takes no null header value: it becomes empty and is named.
    nulls = [name for name, value in raw.headers if value is None]
    if nulls:
        facts["khabar-null-headers"] = ",".join(nulls)
    key, value = raw.key, raw.value
    if value is not None and len(value) > MAX_BYTES:
        # Sent compressed, it passed a limit that it does not pass alone: it stays in its topic.
        facts["khabar-value-bytes"] = str(len(value))
        value = None
    if key is None and value is None:  # nor a message with neither key nor value
        key = b""
        facts["khabar-null-key"] = "true"
    return Message(
        topics.name(schemas.DEAD_LETTERS),
        key,
        value,
        tuple((name, b"" if value is None else value) for name, value in raw.headers)
        + tuple((name, value.encode("utf-8", "replace")) for name, value in facts.items()),
    )


def article_record(article: Article, origin: Origin, entities_version: str) -> dict[str, Any]:
    """The record of a published article: schema `news.articles.avsc`."""
    display, decision, published = article.display, article.decision, article.published
    compared = decision.matched != ""
    return {
        **_identity(article),
        "verdict": decision.verdict,
        "rule": decision.rule,
        "matched": decision.matched or None,
        "jaccard": decision.jaccard if compared else None,
        "containment": decision.containment if compared else None,
        "likeness": decision.likeness if compared else None,
        "novelty": decision.novelty if compared else None,
        "news": decision.news if compared else None,
        "cues": list(display.cues),
        "related": [
            {
                "article_id": other.article_id,
                "relation": other.relation,
                "jaccard": other.jaccard,
                "containment": other.containment,
            }
            for other in decision.related
        ],
        "supersedes": decision.supersedes,
        "removal_reason": article.removal.reason if article.removal else None,
        "source": article.source,
        "outlet": display.outlet,
        "url": article.url or None,
        "title": display.title.text,
        "standfirst": display.standfirst.text,
        "body": display.body.text,
        "language": display.language,
        "author": article.author,
        "byline": display.byline,
        "agency": display.agency,
        "dateline": display.dateline,
        "captions": list(display.captions),
        "published_at": published.utc,
        "published_at_text": published.text,
        "published_at_zone": published.zone,
        "published_at_confidence": published.confidence,
        "published_at_relative": published.relative,
        "fetched_at": article.fetched.utc,
        "ingested_at": article.ingested_at,
        "raw_title": article.raw_title,
        "raw_body": article.raw_body,
        "furniture": [
            {"kind": span.kind, "field": span.field, "start": span.start, "end": span.end}
            for span in display.furniture
        ],
        "dates": [_date(mention) for mention in article.dates],
        "entities": [_entity(entity) for entity in article.entities],
        "extra": dict(article.extra),
        "profile": PROFILE,
        "versions": _versions(entities_version),
        "origin": _origin(origin),
    }


def duplicate_record(article: Article, origin: Origin, entities_version: str) -> dict[str, Any]:
    """The record of an article that was held back: schema `news.duplicates.avsc`."""
    decision = article.decision
    if decision.rule == REMOVED:
        article = Article(
            article.article_id,
            match=Match(content_hash=article.match.content_hash),
            ingested_at=article.ingested_at,
            decision=decision,
        )
    return {
        **_identity(article),
        "verdict": decision.verdict,
        "matched": decision.matched,
        "jaccard": decision.jaccard,
        "containment": decision.containment,
        "likeness": decision.likeness,
        "novelty": decision.novelty,
        "news": decision.news,
        "rule": decision.rule,
        "source": article.source,
        "outlet": article.display.outlet,
        "url": article.url or None,
        "title": article.display.title.text,
        "published_at": article.published.utc,
        "ingested_at": article.ingested_at,
        "profile": PROFILE,
        "versions": _versions(entities_version),
        "origin": _origin(origin),
    }


def index_record(article: Article, generation: int) -> dict[str, Any]:
    """The record of a decision for the next start: schema `news.index.avsc`."""
    return {
        "kind": "decision",
        "generation": generation,
        "state_version": STATE_VERSION,
        "sequence": article.decision.sequence,
        "state": article.entry,
    }


def entity_records(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The records of the entities in a published article's `record`: `news.entities.avsc`."""
    article = {name: record[name] for name in _OF_ARTICLE}
    return [{**entity, **article, "removed": False} for entity in record["entities"]]


def removed_entities(record: Mapping[str, Any], removal: Removal) -> list[dict[str, Any]]:
    """The records that take back the entities of a removed article: `news.entities.avsc`."""
    blank = {"name": "", "aliases": [], "mentions": [], "count": 0, "salience": 0.0}
    article = {name: record[name] for name in _OF_ARTICLE} | {"removed": True}
    return [
        {"entity_id": entity_id, "type": kind, **blank, **article}
        for entity_id, kind in removal.entities
    ]


def frame(schema_id: int, kind: str, record: Mapping[str, Any]) -> bytes:
    """`record` in the Confluent wire format: a zero byte, the schema's id, the Avro value."""
    stream = BytesIO()
    stream.write(_CONFLUENT_HEADER.pack(0, schema_id))
    # Strict: fastavro otherwise drops what the schema does not name. It makes 5 of 5.7 either way.
    fastavro.schemaless_writer(stream, schemas.parsed(kind), record, strict_allow_default=True)
    return stream.getvalue()


def framed_id(value: bytes) -> int:
    """The registry's id of the schema that a framed value was written with."""
    schema_id: int = _CONFLUENT_HEADER.unpack_from(value)[1]
    return schema_id


def unframe(value: bytes, schema: Any) -> dict[str, Any]:
    """The record in a framed value; `schema` is the one it was written with."""
    stream = BytesIO(value)
    stream.seek(_CONFLUENT_HEADER.size)
    record: dict[str, Any] = fastavro.schemaless_reader(stream, schema, None)
    return record


def payload(value: bytes) -> bytes:
    """The record in a framed value as Avro encodes it, without what says of which schema it is."""
    return value[_CONFLUENT_HEADER.size :]


def _message(topics: Topics, kind: str, key: bytes, record: Mapping[str, Any]) -> Message:
    value = frame(topics.schema_ids[kind], kind, record)
    if len(value) > MAX_BYTES - _SLACK:
        raise StageError(
            "too-large",
            f"the record for {topics.name(kind)} has {len(value)} bytes; "
            f"at most {MAX_BYTES - _SLACK} fit in a message",
        )
    return Message(topics.name(kind), key, value)


def _identity(article: Article) -> dict[str, Any]:
    decision = article.decision
    return {
        "article_id": article.article_id,
        "revision": decision.revision,
        "content_hash": article.match.content_hash,
        "story_id": decision.story_id,
        "sequence": decision.sequence,
    }


def _entity(entity: Entity) -> dict[str, Any]:
    return {
        "entity_id": entity.entity_id,
        "type": entity.type,
        "name": entity.name,
        "aliases": list(entity.aliases),
        "mentions": [
            {
                "field": mention.field,
                "start": mention.start,
                "end": mention.end,
                "text": mention.text,
            }
            for mention in entity.mentions
        ],
        "count": len(entity.mentions),
        "salience": entity.salience,
        "country": entity.country,
        "latitude": entity.latitude,
        "longitude": entity.longitude,
        "score": entity.score,
    }


def _date(mention: DateMention) -> dict[str, Any]:
    return {
        "field": mention.field,
        "start": mention.start,
        "end": mention.end,
        "text": mention.text,
        "date": mention.date,
        "calendar": mention.calendar,
        "relative": mention.relative,
        "confidence": mention.confidence,
    }


def _versions(entities_version: str) -> dict[str, str]:
    return {
        "khabar": __version__,
        "fingerprint": FINGERPRINT_VERSION,
        "entities": entities_version,
    }


def _origin(origin: Origin) -> dict[str, Any]:
    return {"topic": origin.topic, "partition": origin.partition, "offset": origin.offset}
