"""Bad input: each message ends in exactly one place, none stops the stream, no byte is lost."""

from __future__ import annotations

import json
import random
import struct
from io import BytesIO

import fastavro
import pytest

from pipelines import schemas
from pipelines.kafka import clients
from pipelines.kafka.registry import Registry
from pipelines.run import schema_ids
from pipelines.settings import Settings
from tests.kafka.harness import caught_up, read

Hostile = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]

ARTICLE = {"url": "https://a.example/1", "title": "عنوان", "body": "نص " * 30}


def framed(schema_id: int, kind: str, record: dict[str, object]) -> bytes:
    stream = BytesIO()
    stream.write(struct.pack(">bI", 0, schema_id))
    fastavro.schemaless_writer(stream, schemas.parsed(kind), record)
    return stream.getvalue()


def hostile(chance: random.Random, number: int, raw_id: int, articles_id: int) -> Hostile:
    """A message that some feed might send, made from the kind that `number` picks."""
    article = ARTICLE | {"url": f"https://a.example/{number}"}
    text = json.dumps(article, ensure_ascii=False).encode()
    avro = framed(raw_id, schemas.RAW, article)
    values: list[bytes | None] = [
        chance.randbytes(chance.randrange(1, 400)),
        text[: chance.randrange(1, len(text))],
        avro[: chance.randrange(1, len(avro))],
        avro + b"trailing",
        struct.pack(">bI", 0, 987654) + b"unknown schema",
        struct.pack(">bI", 0, articles_id) + chance.randbytes(200),
        b"[" * 100_000,
        b'{"body":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"title": "\\ud83d half of a pair"}',
        json.dumps({"title": "a\0b"}).encode(),
        json.dumps(
            {"title": "\u202e\u2066 ltr \u2069\u202c", "body": "\x1b[31m" + "نص " * 9}
        ).encode(),
        json.dumps({"title": {"ar": "عنوان"}}).encode(),
        json.dumps({"title": 5, "body": True}).encode(),
        json.dumps(article | {"published_at": "9999-12-31T23:59:59Z"}).encode(),
        json.dumps(article | {"published_at": "0001-01-01T00:00:00+14:00"}).encode(),
        json.dumps(article | {"published_at": ["2025"], "author": {"a": [1]}}).encode(),
        json.dumps({"url": "https://a.example/", "author": "x"}).encode(),
        json.dumps({"title": " \u200b\u202e ", "body": "\u00a0"}).encode(),
        b"",
        b"null",
        b"\xff\xfe" + "نص".encode("utf-16-le"),
        b"\xef\xbb\xbf" + text,
        b'{"title": 1e999, "body": ' + b"9" * 5000 + b"}",
        avro,
        text,
        None,
    ]
    key = chance.choice([b"key", b"\xff\x00", b""])
    headers = [("trace", chance.randbytes(4)), ("khabar-stage", b"forged"), ("trace", b"")]
    return key, values[number % len(values)], headers if chance.random() < 0.5 else []


@pytest.fixture
def sent(kafka: Settings) -> list[Hostile]:
    chance = random.Random(11)
    ids = schema_ids(kafka)
    messages = [hostile(chance, n, ids[schemas.RAW], ids[schemas.ARTICLES]) for n in range(1994)]
    large = json.dumps({"title": "كبير", "body": "س" * 2_600_000}, ensure_ascii=False).encode()
    messages += [(b"large", large, [])] * 6
    producer = clients.producer(kafka)
    for key, value, headers in messages:
        producer.send(kafka.topic(schemas.RAW), value, key, headers=headers)
    producer.flush()
    producer.close()
    return messages


def test_2000_hostile_messages_end_in_one_place_each(kafka: Settings, sent: list[Hostile]) -> None:
    """Of 2,000 hostile messages each ends on exactly one output topic; dead letters carry key,
    value and headers byte for byte, and a reason that fits."""
    caught_up(kafka)
    places: list[int] = []
    for kind in (schemas.ARTICLES, schemas.DUPLICATES):
        places += [m.record["origin"]["offset"] for m in read(kafka, kind) if m.record]
    reasons = {}
    for message in read(kafka, schemas.DEAD_LETTERS):
        own = message.headers[:-8]
        facts = dict(message.headers[-8:])
        offset = int(facts["khabar-offset"])
        places.append(offset)
        assert (message.key, message.value, own) == sent[offset]
        reasons[offset] = facts["khabar-reason"].decode()
        assert facts["khabar-detail"]
    assert sorted(places) == list(range(len(sent)))
    kinds = 26
    of_kind = {n: {reasons.get(o) for o in range(n, 1994, kinds)} for n in range(kinds)}
    assert of_kind[3] == {"invalid-avro"}
    assert of_kind[4] == {"unknown-schema"}
    assert of_kind[6] == of_kind[7] == {"too-deep"}
    assert of_kind[8] == {"surrogate"}
    assert of_kind[9] == {"nul"}
    assert of_kind[11] == of_kind[12] == {"wrong-type"}
    assert of_kind[16] == of_kind[17] == of_kind[18] == {"empty"}
    assert of_kind[19] == {"not-an-object"}
    assert of_kind[20] == {"invalid-utf-8"}
    assert of_kind[22] == {"invalid-json"}
    assert of_kind[25] == {"null-value"}
    assert {reasons[o] for o in range(1994, 2000)} == {"too-large"}
    for fine in (10, 13, 14, 15, 21, 23, 24):
        assert of_kind[fine] == {None}


def test_avro_in_is_read_through_the_registry(kafka: Settings) -> None:
    """A framed message written with another registered schema than ours is read by that schema."""
    schema = {
        "type": "record",
        "name": "Feed",
        "fields": [
            {"name": "headline", "type": "string"},
            {"name": "link", "type": "string"},
            {"name": "score", "type": "double"},
        ],
    }
    schema_id = Registry(kafka.registry_url).register(
        f"{kafka.topic_prefix}-feed", json.dumps(schema)
    )
    stream = BytesIO(struct.pack(">bI", 0, schema_id))
    stream.seek(5)
    fastavro.schemaless_writer(
        stream, schema, {"headline": "عنوان", "link": "https://f.example/1", "score": 0.5}
    )
    producer = clients.producer(kafka)
    producer.send(kafka.topic(schemas.RAW), stream.getvalue())
    producer.flush()
    producer.close()
    caught_up(kafka)
    (message,) = read(kafka, schemas.ARTICLES)
    assert message.record is not None
    assert message.record["title"] == "عنوان"
    assert message.record["url"] == "https://f.example/1"
    assert message.record["extra"] == {"score": "0.5"}
