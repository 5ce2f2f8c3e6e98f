from __future__ import annotations

import struct
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import fastavro
import pytest

from pipelines import __version__, schemas
from pipelines.process import dead_letter_record
from pipelines.records import (
    Article,
    DateMention,
    Decision,
    Display,
    Entity,
    Envelope,
    Failure,
    Fingerprint,
    Furniture,
    Match,
    Mention,
    Origin,
    Passage,
    RawMessage,
    Related,
    StageError,
    Time,
    Verdict,
)
from pipelines.stages.decide import STATE_VERSION
from pipelines.stages.encode import MAX_BYTES, Topics, encode, frame, unframe

NOON = 1_741_176_000_000
KINDS = ("articles", "duplicates", "entities", "index", "raw")
TOPICS = Topics("test", {kind: 70_000 + i for i, kind in enumerate(KINDS)}, 3, "gazetteer/1")
ORIGIN = Origin("test.raw", 2, 7, NOON)
RAW = RawMessage(ORIGIN, b"key", b"{}", (("trace", b"1"),))

CAIRO = Entity(
    "loc:cairo",
    "LOC",
    "القاهرة",
    ("القاهره", "القاهرة"),
    (Mention("raw_title", 0, 7, "القاهرة"), Mention("raw_body", 5, 12, "القاهره")),
    0.75,
    "EG",
    30.05,
    31.25,
    0.5,
)
FULL = Article(
    article_id="a" * 32,
    id="7",
    url="https://khabar.example/7",
    source="المثال",
    raw_title="القاهرة: عنوان",
    raw_body="نص 1 القاهره \U0001f4f0",
    author="فلانة",
    published=Time(NOON, "ظهرا", "outlet", 0.75, 120, relative=True),
    fetched=Time(NOON + 1000, "x", "given", 1.0),
    ingested_at=NOON + 2000,
    language="ar",
    extra={"section": "رأي", "tags": "[1]"},
    display=Display(
        title=Passage("القاهرة: عنوان", "raw_title"),
        standfirst=Passage("مقدمة"),
        body=Passage("نص"),
        furniture=(Furniture("date", "raw_body", 3, 4),),
        outlet="outlet",
        byline="byline",
        agency="agency",
        dateline="dateline",
        captions=("صورة",),
        cues=("urgent",),
        language="ar",
    ),
    match=Match(title="القاهره عنوان", body="نص", content_hash="c" * 32),
    dates=(DateMention("raw_body", 3, 4, "1", "2015-07", "hijri", True, 0.9),),
    fingerprint=Fingerprint(b"k" * 16, b"s" * 170, 40),
    decision=Decision(
        verdict="update",
        story_id="b" * 32,
        revision=2,
        sequence=9,
        rule="news",
        matched="d" * 32,
        jaccard=0.5,
        containment=0.75,
        likeness=0.625,
        novelty=0.25,
        news=70.5,
        supersedes=1,
        related=(Related("d" * 32, "update_of", 0.5, 0.75),),
        event_time=NOON,
        place=3,
    ),
    entry=b"an entry \x00\xff",
    entities=(CAIRO, replace(CAIRO, entity_id="per:x", type="PER", country=None, score=None)),
)
BARE = Article(article_id="a" * 32, raw_title="عنوان")


def utc(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def published(article: Article) -> dict[str, list[dict[str, Any]]]:
    """The records of `article` by topic."""
    found: dict[str, list[dict[str, Any]]] = {}
    for message in encode(Envelope(RAW, article), TOPICS):
        kind = message.topic.removeprefix("test.")
        assert message.value is not None
        assert message.value[:5] == struct.pack(">bI", 0, TOPICS.schema_ids[kind])
        found.setdefault(kind, []).append(unframe(message.value, schemas.parsed(kind)))
    return found


def test_messages_of_a_published_article():
    """An article gives its record, one for each entity in order, and the index entry last."""
    messages = encode(Envelope(RAW, FULL), TOPICS)
    assert [(m.topic, m.key) for m in messages] == [
        ("test.articles", b"b" * 32),
        ("test.entities", b"loc:cairo"),
        ("test.entities", b"per:x"),
        ("test.index", b"a" * 32),
    ]


def test_article_record():
    """Everything that the stages found stands in the record, times in UTC."""
    record = published(FULL)["articles"][0]
    assert record == {
        "article_id": "a" * 32,
        "revision": 2,
        "content_hash": "c" * 32,
        "story_id": "b" * 32,
        "sequence": 9,
        "verdict": "update",
        "rule": "news",
        "matched": "d" * 32,
        "jaccard": 0.5,
        "containment": 0.75,
        "likeness": 0.625,
        "novelty": 0.25,
        "news": 70.5,
        "cues": ["urgent"],
        "related": [
            {
                "article_id": "d" * 32,
                "relation": "update_of",
                "jaccard": 0.5,
                "containment": 0.75,
            }
        ],
        "supersedes": 1,
        "removal_reason": None,
        "source": "المثال",
        "outlet": "outlet",
        "url": "https://khabar.example/7",
        "title": "القاهرة: عنوان",
        "standfirst": "مقدمة",
        "body": "نص",
        "language": "ar",
        "author": "فلانة",
        "byline": "byline",
        "agency": "agency",
        "dateline": "dateline",
        "captions": ["صورة"],
        "published_at": utc(NOON),
        "published_at_text": "ظهرا",
        "published_at_zone": "outlet",
        "published_at_confidence": 0.75,
        "published_at_relative": True,
        "fetched_at": utc(NOON + 1000),
        "ingested_at": utc(NOON + 2000),
        "raw_title": "القاهرة: عنوان",
        "raw_body": "نص 1 القاهره \U0001f4f0",
        "furniture": [{"kind": "date", "field": "raw_body", "start": 3, "end": 4}],
        "dates": [
            {
                "field": "raw_body",
                "start": 3,
                "end": 4,
                "text": "1",
                "date": "2015-07",
                "calendar": "hijri",
                "relative": True,
                "confidence": 0.9,
            }
        ],
        "entities": record["entities"],
        "extra": {"section": "رأي", "tags": "[1]"},
        "profile": record["profile"],
        "versions": record["versions"],
        "origin": {"topic": "test.raw", "partition": 2, "offset": 7},
    }
    assert record["versions"]["khabar"] == __version__
    assert record["versions"]["entities"] == "gazetteer/1"
    assert record["profile"]


def test_entity_record():
    """An entity's own record is the one in the article, with what identifies the article."""
    records = published(FULL)
    entity = records["entities"][0]
    inside = records["articles"][0]["entities"][0]
    assert inside == {
        "entity_id": "loc:cairo",
        "type": "LOC",
        "name": "القاهرة",
        "aliases": ["القاهره", "القاهرة"],
        "mentions": [
            {"field": "raw_title", "start": 0, "end": 7, "text": "القاهرة"},
            {"field": "raw_body", "start": 5, "end": 12, "text": "القاهره"},
        ],
        "count": 2,
        "salience": 0.75,
        "country": "EG",
        "latitude": 30.05,
        "longitude": 31.25,
        "score": 0.5,
    }
    assert {key: entity[key] for key in inside} == inside
    assert {key: entity[key] for key in entity.keys() - inside.keys()} == {
        "article_id": "a" * 32,
        "revision": 2,
        "story_id": "b" * 32,
        "source": "المثال",
        "url": "https://khabar.example/7",
        "published_at": utc(NOON),
        "removed": False,
        "versions": records["articles"][0]["versions"],
    }


def test_bare_article():
    """What was not found is null or empty: no score without another article, no URL, no time."""
    record = published(BARE)["articles"][0]
    scores = ("jaccard", "containment", "likeness", "novelty", "news")
    for name in ("matched", *scores, "supersedes", "url"):
        assert record[name] is None, name
    assert record["published_at"] is record["fetched_at"] is None
    assert record["entities"] == record["related"] == []


def test_held_back():
    """A duplicate gives no article and no entities: only why it was held back, and the index."""
    decision = replace(FULL.decision, verdict="duplicate", supersedes=None)
    messages = encode(Envelope(RAW, replace(FULL, decision=decision)), TOPICS)
    assert [(m.topic, m.key) for m in messages] == [
        ("test.duplicates", b"b" * 32),
        ("test.index", b"a" * 32),
    ]
    record = unframe(messages[0].value or b"", schemas.parsed("duplicates"))
    names = ("verdict", "matched", "rule", "title", "revision", "likeness", "novelty", "news")
    assert {key: record[key] for key in names} == {
        "verdict": "duplicate",
        "matched": "d" * 32,
        "rule": "news",
        "likeness": 0.625,
        "novelty": 0.25,
        "news": 70.5,
        "title": "القاهرة: عنوان",
        "revision": 2,
    }
    assert record["published_at"] == utc(NOON)


def test_index_entry():
    """The index gets the decision as the writer packed it, its sequence, the version of the state
    and the writer's generation.
    """
    assert published(FULL)["index"][0] == {
        "kind": "decision",
        "generation": 3,
        "state_version": STATE_VERSION,
        "group": "",
        "sequence": 9,
        "state": FULL.entry,
    }


@pytest.mark.parametrize("verdict", get_args(Verdict))
def test_every_verdict_has_a_place(verdict):
    """Each verdict is one that the schema of its topic knows."""
    article = replace(FULL, decision=replace(FULL.decision, verdict=verdict))
    kind = "duplicates" if verdict == "duplicate" else "articles"
    records = published(article)
    assert records[kind][0]["verdict"] == verdict
    assert len(records["index"]) == 1
    assert ("articles" in records) != ("duplicates" in records)


# --- strictness ---


def test_frame_is_strict():
    """A field that the schema does not name, a missing one, and a wrong type are bugs: they raise.

    fastavro alone would drop the first without a word.
    """
    good = {"id": "7", "title": "عنوان"}
    assert unframe(frame(1, "raw", good), schemas.parsed("raw"))["title"] == "عنوان"
    with pytest.raises(ValueError, match="unknown"):
        frame(1, "raw", {**good, "unknown": 1})
    with pytest.raises(ValueError, match="missing from the record"):
        frame(1, "index", {"kind": "decision"})
    with pytest.raises((TypeError, ValueError)):
        frame(1, "raw", {"title": 7})


def test_records_validate_strictly():
    """Every record is valid by its schema, field by field, with nothing the schema lacks."""
    held_back = replace(FULL, decision=replace(FULL.decision, verdict="duplicate"))
    for article in (FULL, BARE, held_back):
        for kind, records in published(article).items():
            for record in records:
                assert fastavro.validate(record, schemas.parsed(kind), strict=True)


@pytest.mark.parametrize(
    "article",
    [
        replace(FULL, raw_body="x" * MAX_BYTES),
        replace(FULL, entities=(replace(CAIRO, name="x" * MAX_BYTES),)),
    ],
)
def test_too_large(article):
    """A record that no topic would take is the record's fault, not an outage."""
    with pytest.raises(StageError) as caught:
        encode(Envelope(RAW, article), TOPICS)
    assert caught.value.reason == "too-large"
    assert str(MAX_BYTES - 64 * 1024) in caught.value.detail


# --- dead letters ---


def dead(raw: RawMessage, detail: str = "a detail") -> Any:
    (message,) = encode(Envelope(raw).failed("decode", StageError("invalid-json", detail)), TOPICS)
    return message


def test_dead_letter():
    """Key, bytes and headers are the message's own; the facts of the failure follow them."""
    raw = RawMessage(ORIGIN, b"k\xff", b"\x00\xffnot json", (("a", b"\xff"), ("a", b"2")))
    message = dead(raw)
    assert (message.topic, message.key, message.value) == (
        "test.dead-letters",
        b"k\xff",
        b"\x00\xffnot json",
    )
    assert message.headers == (
        ("a", b"\xff"),
        ("a", b"2"),
        ("khabar-stage", b"decode"),
        ("khabar-reason", b"invalid-json"),
        ("khabar-detail", b"a detail"),
        ("khabar-topic", b"test.raw"),
        ("khabar-partition", b"2"),
        ("khabar-offset", b"7"),
        ("khabar-timestamp", str(NOON).encode()),
        ("khabar-version", __version__.encode()),
    )


def test_dead_letter_of_nulls():
    """Null key, value and headers are told from empty ones, though Kafka's client cannot."""
    nothing = RawMessage(ORIGIN, None, None, (("a", None), ("b", b""), ("c", None)))
    message = dead(nothing)
    facts = dict(message.headers)
    assert (message.key, message.value) == (b"", None)
    assert (facts["a"], facts["b"], facts["c"]) == (b"", b"", b"")
    assert facts["khabar-null-headers"] == b"a,c"
    assert facts["khabar-null-key"] == b"true"

    keyless = dead(RawMessage(ORIGIN, None, b"x"))
    assert keyless.key is None
    assert "khabar-null-key" not in dict(keyless.headers)
    assert "khabar-null-headers" not in dict(keyless.headers)


@pytest.mark.parametrize(
    "raw",
    [
        RawMessage(ORIGIN, None, None, (("a", None), ("b", b""), ("b", b"\xff"))),
        RawMessage(ORIGIN, b"", b"", ()),
        RawMessage(ORIGIN, b"k", None, ()),
        RawMessage(ORIGIN, None, b"\x00" * 10, (("trace", b"1"),)),
    ],
)
def test_dead_letter_can_be_restored(raw):
    """The record made of a dead letter holds the message exactly as it came."""
    record = dead_letter_record(dead(raw))
    assert (record["key"], record["value"]) == (raw.key, raw.value)
    assert tuple((h["key"], h["value"]) for h in record["headers"]) == raw.headers
    assert (record["stage"], record["reason"], record["offset"]) == ("decode", "invalid-json", 7)
    assert fastavro.validate(record, schemas.parsed("dead-letters"), strict=True)


def test_dead_letter_again():
    """A dead letter that was sent again and failed again tells of its last failure."""
    first = dead(RAW)
    second = dead(RawMessage(ORIGIN, first.key, first.value, first.headers), "the second time")
    record = dead_letter_record(second)
    assert record["detail"] == "the second time"
    assert record["headers"] == [{"key": "trace", "value": b"1"}]


def test_detail_that_is_long_or_strange():
    """A detail is cut at 500 characters, and half a surrogate pair in it breaks nothing."""
    assert dict(dead(RAW, "ق" * 5000).headers)["khabar-detail"] == ("ق" * 500).encode()
    assert dict(dead(RAW, "a\ud800b").headers)["khabar-detail"] == b"a?b"


def test_failure_names_its_stage():
    """An envelope that failed holds no article any more, only stage, reason and detail."""
    envelope = Envelope(RAW, FULL).failed("clean", StageError("empty", "nothing is left"))
    assert envelope == Envelope(RAW, None, Failure("clean", "empty", "nothing is left"))
