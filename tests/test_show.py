"""A record of a topic, for people and for programs."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.kafka.tail import Tailed
from pipelines.records import Failure, Origin, RawMessage
from pipelines.show import _RULES, as_object, as_text, why
from pipelines.stages import encode
from pipelines.stages.entry import RULES

EVIL = "عنوان\x1b[2J\u202egnp.exe\u2066\n\r\x9b31m<b>[red]" + "\ud800"
ENTITY: dict[str, Any] = {
    "entity_id": "loc:ye/mukalla",
    "type": "LOC",
    "name": "المكلا",
    "aliases": ["المُكلّا"],
    "mentions": [{"field": "raw_body", "start": 0, "end": 6, "text": "المكلا"}],
    "count": 3,
    "salience": 0.5,
    "country": "YE",
    "latitude": 14.54,
    "longitude": 0.0,
    "score": None,
}
ARTICLE: dict[str, Any] = {
    "article_id": "a1" * 16,
    "revision": 1,
    "story_id": "b2" * 16,
    "verdict": "new",
    "rule": "no-match",
    "matched": None,
    "jaccard": None,
    "containment": None,
    "likeness": None,
    "novelty": None,
    "news": None,
    "related": [],
    "source": "صدى الساحل",
    "outlet": "",
    "title": "سيول شرق المكلا",
    "standfirst": "",
    "body": "قطعت سيول الطريق.\n\nفقرة ثانية",
    "language": "ar",
    "agency": "وكالة نخلة",
    "dateline": "عدن",
    "published_at": datetime(2025, 3, 3, 4, 55, tzinfo=UTC),
    "entities": [{**ENTITY, "name": "اليمن", "count": 1}, ENTITY],
}
DUPLICATE = {
    **{name: ARTICLE[name] for name in ("article_id", "revision", "source", "title", "outlet")},
    "story_id": "c3" * 16,
    "verdict": "duplicate",
    "matched": "d4" * 16,
    "jaccard": 0.62,
    "containment": 0.9,
    "likeness": 0.7149,
    "novelty": 0.2,
    "news": 31.75,
    "rule": "likeness",
    "published_at": None,
}
OF_ARTICLE = {"article_id": "a1" * 16, "story_id": "b2" * 16, "source": "صدى الساحل"}
INDEX: dict[str, Any] = {
    "kind": "decision",
    "generation": 4,
    "state_version": "2 w5k12",
    "group": "",
    "sequence": 17,
    "state": b"\x00\x01",
}


def tailed(
    kind: str, record: dict[str, Any] | None = None, value: bytes | None = b"\0", **more: Any
) -> Tailed:
    given = {"key": b"key", "headers": [], **more}
    return Tailed(
        f"news.{kind}", 0, 7, 1_741_000_000_000, given["key"], value, given["headers"], record
    )


def dead_letter(value: bytes | None, detail: str = "it is not JSON", **more: Any) -> Tailed:
    raw = RawMessage(Origin("news.raw", 2, 99, 5), more.get("key"), value, more.get("headers", ()))
    topics = encode.Topics("news", {})
    message = encode.dead_letter(raw, Failure("decode", "invalid-json", detail), topics)
    return tailed(
        "dead-letters", value=message.value, key=message.key, headers=list(message.headers)
    )


def test_article() -> None:
    """An article shows what a reader asks first: title, outlet, time, place, text and names."""
    text = as_text(tailed("articles", ARTICLE))
    for part in (
        "new",
        "سيول شرق المكلا",
        "صدى الساحل",
        "2025-03-03 04:55 UTC",
        "ar",
        "agency ⁨وكالة نخلة⁩",
        "from ⁨عدن⁩",
        "قطعت سيول الطريق.",
        "LOC ⁨المكلا⁩ ×3, LOC ⁨اليمن⁩ ×1",
        "story " + "b2" * 16,
        "news.articles 0:7",
    ):
        assert part in text
    assert "فقرة ثانية" not in text


def test_duplicate() -> None:
    """An article that was held back shows what it was held against, and by which measures."""
    text = as_text(tailed("duplicates", DUPLICATE))
    assert text.startswith("held back ⁨سيول شرق المكلا⁩")
    assert "nearly the same text, likeness 0.71\n  held against " + "d4" * 16 in text
    assert "story " + "c3" * 16 in text


def test_update() -> None:
    """An update shows by how much news it is one, once what it updates, and what it contains."""
    update: dict[str, Any] = {
        "verdict": "update",
        "rule": "news",
        "matched": "d4" * 16,
        "likeness": 0.7,
    }
    update["related"] = [
        {"relation": "update_of", "article_id": "d4" * 16},
        {"relation": "contains", "article_id": "e5" * 16},
    ]
    text = as_text(tailed("articles", {**ARTICLE, **update, "news": 71.5}))
    assert "update of" not in text
    assert "contains " + "e5" * 16 in text
    assert text.startswith("update ")
    assert "the same story with news in it, likeness 0.70, news 71.5\n" in text


def test_every_rule_has_words() -> None:
    """No rule is shown by its name alone, and there are words for no other."""
    assert set(_RULES) == set(RULES)
    for rule in RULES:
        assert why({"rule": rule}) == _RULES[rule][0]


def test_entity_and_index() -> None:
    """An entity shows where it lies, on the meridian too; an index entry is told apart."""
    text = as_text(tailed("entities", {**ENTITY, **OF_ARTICLE}))
    assert "LOC  ⁨المكلا⁩ ×3" in text
    assert "14.54, 0.00" in text
    text = as_text(tailed("index", INDEX))
    assert text.startswith(
        "decision: sequence 17, generation 4\n  state version 2 w5k12, 2 bytes\n"
    )
    assert as_text(tailed("index", {**INDEX, "kind": "start"})).startswith("start: sequence 17")


def test_dead_letter() -> None:
    """A dead letter shows stage, reason, detail, size, and where it came from."""
    text = as_text(dead_letter(b'{"title": "x', key=b"k"))
    for part in ("invalid-json", "decode", "it is not JSON", "12 bytes", '{"title": "x', "2⁩:⁨99"):
        assert part in text
    assert "no value" in as_text(dead_letter(None))


def test_dead_letter_tells_its_own_facts() -> None:
    """A message that brings headers with our names does not change what is told of it."""
    lie = dead_letter(b"x", headers=(("khabar-reason", b"all-well"),))
    assert "invalid-json" in as_text(lie)
    assert "all-well" not in as_text(lie)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ('{"headline": "خبر", "link": "http://a.example/1"}'.encode(), "خبر"),
        (b"[1", "[1"),
        (b"[" * 100_000, "[[["),
        (b'"text"', "text"),
        (None, "no value"),
    ],
)
def test_raw(value: bytes | None, shown: str) -> None:
    """A raw message shows its title under any accepted name, else the beginning of its bytes."""
    assert shown in as_text(tailed("raw", value=value))


def test_foreign_record() -> None:
    """A record that is none of ours is shown as it is."""
    assert '"x": 1' in as_text(tailed("articles", {"x": 1}))
    assert '"x": 1' in as_text(tailed("else", {"x": 1}))
    assert "hello" in as_text(tailed("articles", None, b"hello"))


def evil(record: dict[str, Any]) -> dict[str, Any]:
    """`record` with every text made hostile, ids and enums too."""
    return {
        name: EVIL
        if isinstance(value, str) and name not in ("kind",)
        else [evil(v) if isinstance(v, dict) else EVIL for v in value]
        if isinstance(value, list)
        else value
        for name, value in record.items()
    }


@pytest.mark.parametrize(
    "message",
    [
        tailed("articles", evil({**ARTICLE, "matched": "x", "title": "عنوان"})),
        tailed("articles", {**ARTICLE, "title": "ع" * 2**20, "body": EVIL * 10_000}),
        tailed("duplicates", evil(DUPLICATE)),
        tailed("entities", evil({**ENTITY, **OF_ARTICLE})),
        tailed("index", evil(INDEX)),
        tailed("else", evil(ARTICLE)),
        tailed("raw", value=json.dumps({"title": EVIL, "source": EVIL, "url": EVIL}).encode()),
        tailed("raw", value=EVIL.encode("utf-8", "surrogatepass")),
        dead_letter(EVIL.encode("utf-8", "surrogatepass") * 1000, EVIL, key=b"\x1b[2J\xff"),
    ],
)
def test_hostile_text_stays_in_its_box(message: Tailed) -> None:
    """No control reaches the terminal, isolates are closed on their line, lines stay short."""
    text = as_text(message, 100)
    assert text.encode()
    assert not set(text) & set("\x1b\x9b\r\u202e\u2066")
    for line in text.split("\n"):
        assert line.count("\u2068") == line.count("\u2069")
        assert len(line) < 400
    assert len(text.split("\n")) < 20


def test_object() -> None:
    """Programs get JSON: times in ISO 8601, bytes in Base64 under a name that says so."""
    made = as_object(
        tailed(
            "index",
            {**INDEX, "published_at": ARTICLE["published_at"], "nan": float("nan")},
            key=b"\xff",
            headers=[("a", b"text"), ("b", b"\xfe"), ("c", None)],
        )
    )
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert made["key_base64"] == base64.b64encode(b"\xff").decode()
    assert made["headers"] == [
        {"name": "a", "value": "text"},
        {"name": "b", "value_base64": "/g=="},
        {"name": "c", "value": None},
    ]
    assert made["value"]["published_at"] == "2025-03-03T04:55:00Z"
    assert made["value"]["state_base64"] == "AAE="
    assert made["value"]["nan"] is None
    assert (made["topic"], made["partition"], made["offset"]) == ("news.index", 0, 7)


@given(st.binary() | st.none(), st.binary() | st.none())
def test_any_bytes(key: bytes | None, value: bytes | None) -> None:
    """Any bytes can be shown, and come back from the object exactly."""
    message = tailed("dead-letters", value=value, key=key)
    as_text(message).encode()
    made = json.loads(json.dumps(as_object(message)))
    for name, original in (("key", key), ("value", value)):
        if name in made:
            assert original == (None if made[name] is None else made[name].encode())
        else:
            assert original == base64.b64decode(made[f"{name}_base64"])
