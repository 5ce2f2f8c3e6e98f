from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
import unicodedata
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import schemas
from pipelines.errors import Outage
from pipelines.records import Article, Origin, RawMessage, StageError
from pipelines.stages.decode import FIELD_NAMES, article_id, decode

OTHER_SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Other",
        "fields": [
            {"name": "headline", "type": "string"},
            {"name": "date", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "price", "type": "double"},
            {"name": "tags", "type": {"type": "array", "items": "string"}},
            {"name": "thumbnail", "type": "bytes"},
        ],
    }
)
RECURSIVE_SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Nested",
        "fields": [{"name": "inner", "type": ["null", "Nested"]}],
    }
)
SCHEMAS = {
    1: schemas.parsed("raw"),
    2: OTHER_SCHEMA,
    3: RECURSIVE_SCHEMA,
    4: fastavro.parse_schema({"type": "string"}),
}


def message(value: bytes | None) -> RawMessage:
    return RawMessage(Origin("news.raw", 0, 7, 1_741_176_000_000), None, value)


def read(value: bytes | None, **options: Any) -> Article:
    return decode(message(value), SCHEMAS.get, **options)


def read_json(**fields: Any) -> Article:
    return read(json.dumps(fields, ensure_ascii=False).encode())


def decoded(article: Article) -> dict[str, Any]:
    """What Decode fills."""
    later = {"display", "match", "fingerprint", "decision", "entities"}
    return {
        field.name: getattr(article, field.name)
        for field in dataclasses.fields(article)
        if field.name not in later
    }


def reason_of(value: bytes | None, **options: Any) -> str:
    with pytest.raises(StageError) as caught:
        read(value, **options)
    assert caught.value.detail
    return caught.value.reason


def framed(schema_id: int, record: Any) -> bytes:
    stream = BytesIO()
    stream.write(struct.pack(">bI", 0, schema_id))
    fastavro.schemaless_writer(stream, SCHEMAS[schema_id], record)
    return stream.getvalue()


# --- JSON ---


def test_all_fields():
    """Each field has its place; times are read; nothing is left over."""
    article = read_json(
        id="7",
        url="https://khabar.example/7",
        source="المثال",
        title="عنوان",
        body="نص\nالخبر",
        author="فلانة",
        published_at="2025-03-05T12:00:00Z",
        fetched_at="2025-03-05T13:00:00+01:00",
        language="ar",
    )
    assert (article.id, article.url, article.source) == ("7", "https://khabar.example/7", "المثال")
    assert (article.raw_title, article.raw_body) == ("عنوان", "نص\nالخبر")
    assert (article.author, article.language) == ("فلانة", "ar")
    assert article.published.utc == article.fetched.utc == article.ingested_at == 1_741_176_000_000
    assert article.published.text == "2025-03-05T12:00:00Z"
    assert article.extra == {}


@pytest.mark.parametrize(
    ("field", "name"),
    [(field, name) for field, names in FIELD_NAMES.items() for name in names],
)
def test_other_names(field, name):
    """Every other name of a field counts as the field, and is not kept twice."""
    value = {"url": "https://a.example/1", "published_at": "2025-03-05"}.get(field, "نص")
    other = "body" if field == "title" else "title"
    article = read_json(**{other: "كلام", name: value})
    places = {
        "title": article.raw_title,
        "body": article.raw_body,
        "published_at": article.published.text,
        "fetched_at": article.fetched.text,
    }
    assert (places[field] if field in places else getattr(article, field)) == value
    assert name not in article.extra


def test_first_name_that_is_not_blank_counts():
    """The field's own name comes first, a blank one gives way, the others are kept."""
    article = read_json(title=" ", headline="الأول", name="الثاني", body="نص", text="آخر")
    assert (article.raw_title, article.raw_body) == ("الأول", "نص")
    assert article.extra == {"title": " ", "name": "الثاني", "text": "آخر"}


def test_unknown_fields_are_kept():
    """What has no place is kept: text as it was, the rest as JSON, null not at all."""
    article = read_json(title="عنوان", section="رأي", tags=["أ", 1], views=3, paid=True, no=None)
    assert article.extra == {
        "section": "رأي",
        "tags": '["أ", 1]',
        "views": "3",
        "paid": "true",
    }


def test_raw_text_is_untouched():
    """Spaces, harakat, bidi controls and line ends of title and body stay as they came."""
    title, body = " \u200fعُنْوان\u202a ", "سطر\r\n\r\nآخر\t\u00a0ـــ"
    article = read_json(title=title, body=body)
    assert (article.raw_title, article.raw_body) == (title, body)


def test_numbers_and_wrong_types():
    """A number is taken as text; another type is kept where it does no harm."""
    article = read_json(id=7, title=2025, url=["https://a.example"], author={"name": "فلان"})
    assert (article.id, article.raw_title, article.url, article.author) == ("7", "2025", "", "")
    assert article.extra == {"url": '["https://a.example"]', "author": '{"name": "فلان"}'}


def test_byte_order_mark_and_escapes():
    """A UTF-8 byte-order mark is passed over, and a surrogate pair in escapes is one character."""
    article = read(b'\xef\xbb\xbf{"title": "\\ud83d\\udcf0 \\u062e"}')
    assert article.raw_title == "\U0001f4f0 خ"


def test_time_that_is_none():
    """A time that cannot be read does not make the message bad; its words are kept."""
    article = read_json(title="عنوان", date="Mon, 01 Jan 99999999999999999999 00:00:00 +0000")
    assert article.published.utc is None
    assert article.published.text.startswith("Mon")


def test_message_without_timestamp():
    """Kafka's -1 for "no timestamp" becomes 0, which every schema can hold."""
    raw = RawMessage(Origin("news.raw", 0, 0, -1), None, b'{"title": "x"}')
    assert decode(raw, SCHEMAS.get).ingested_at == 0


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "null-value"),
        (b"", "empty"),
        (b"{}", "empty"),
        (b'{"url": "https://a.example/1"}', "empty"),
        (b'{"title": "  ", "body": "\\n"}', "empty"),
        ('{"title": "\u200f\u200b", "body": "\ufeff"}'.encode(), "empty"),
        (b'{"title": null, "body": null}', "empty"),
        (b"not json", "invalid-json"),
        (b'{"title": "x"', "invalid-json"),
        (b'{"title": "x"} {"title": "y"}', "invalid-json"),
        (b'{"title": "a\nb"}', "invalid-json"),
        (b'{"title": ' + b"9" * 5000 + b"}", "invalid-json"),
        (b'{"title": "\xff"}', "invalid-utf-8"),
        ('{"title": "x"}'.encode("utf-16"), "invalid-utf-8"),
        (b"\x1f\x8b\x08\x00gzip", "invalid-utf-8"),
        (b'["title"]', "not-an-object"),
        (b"null", "not-an-object"),
        (b"3", "not-an-object"),
        (b'{"title": ["x"]}', "wrong-type"),
        (b'{"title": "x", "body": {"html": "y"}}', "wrong-type"),
        (b'{"title": true}', "wrong-type"),
        (b"[" * 100_000, "too-deep"),
        (b'{"title": "x", "a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", "too-deep"),
        (b'{"title": "\\ud800"}', "surrogate"),
        (b'{"title": "x", "note": "\\udfff"}', "surrogate"),
        (b'{"title": "x", "\\ud800": "y"}', "surrogate"),
        (b'{"title": "a\\u0000b"}', "nul"),
        (b'{"title": "x", "note": "\\u0000"}', "nul"),
        (b'{"title": "x", "\\u0000": "y"}', "nul"),
        (('{"title": "\u0301' + "\u0316\u0301" * 250 + '"}').encode(), "marks"),
        (('{"title": "x", "body": "\u064b' + "\ufe7c\u200d\u0640" * 200 + '"}').encode(), "marks"),
    ],
)
def test_bad_messages(value, reason):
    """Each kind of bad message has its own reason."""
    assert reason_of(value) == reason


def test_depth():
    """A message of 100 levels is taken and one of 101 is not, in every version of Python."""

    def nested(levels: int) -> bytes:
        inner = levels - 1  # the message itself is the first
        return b'{"title": "x", "a": ' + b"[" * inner + b"]" * inner + b"}"

    assert read(nested(100)).extra["a"] == "[" * 99 + "]" * 99
    assert reason_of(nested(101)) == "too-deep"


def test_too_large():
    """A message of exactly the limit is taken; a byte more, or 5 MB, is not."""
    value = json.dumps({"title": "x", "body": "y" * 1000}).encode()
    assert read(value, max_bytes=len(value)).raw_title == "x"
    assert reason_of(value, max_bytes=len(value) - 1) == "too-large"
    assert reason_of(json.dumps({"body": "y" * 5_000_000}).encode()) == "too-large"


def test_long_arabic_text_of_one_mebibyte():
    """The largest message that is taken is read whole."""
    body = "خبر طويل جدا " * 44_000
    value = json.dumps({"body": body}, ensure_ascii=False).encode()
    assert 900_000 < len(value) <= 1024 * 1024
    assert read(value).raw_body == body


# --- Avro ---


def test_avro_of_our_schema():
    """A framed record of news.raw gives the same article as the JSON of its fields."""
    fields = {
        "id": "7",
        "url": "https://khabar.example/7",
        "source": "المثال",
        "title": "عنوان",
        "body": "نص",
        "author": None,
        "published_at": "2025-03-05",
        "fetched_at": None,
        "language": "ar",
    }
    assert decoded(read(framed(1, fields))) == decoded(read_json(**fields))


def test_avro_of_another_schema():
    """Another registered schema does as well: timestamps are times, bytes and lists are kept."""
    record = {
        "headline": "عنوان",
        "date": datetime(2025, 3, 5, 12, tzinfo=UTC),
        "price": 1.5,
        "tags": ["أ", "ب"],
        "thumbnail": b"\x00\xff",
    }
    article = read(framed(2, record))
    assert article.raw_title == "عنوان"
    assert (article.published.utc, article.published.zone) == (1_741_176_000_000, "given")
    assert article.extra == {
        "price": "1.5",
        "tags": '["أ", "ب"]',
        "thumbnail": "\"b'\\\\x00\\\\xff'\"",
    }


def test_bad_avro():
    """Truncated, prolonged, foreign and unknown Avro each say what they are."""
    good = framed(1, {"title": "عنوان"})
    for length in range(1, len(good)):
        assert reason_of(good[:length]) == "invalid-avro"
    assert reason_of(good + b"\0") == "invalid-avro"
    assert reason_of(b"\0\0\0\0\x09" + good[5:]) == "unknown-schema"
    assert reason_of(b"\0" * 20) == "unknown-schema"
    assert reason_of(b"\0\0\0\0\x01\x01\x01") == "invalid-avro"
    assert reason_of(framed(4, "text")) == "not-an-object"


def test_avro_that_nests_forever():
    """A schema that refers to itself is refused: fastavro would overrun the stack."""
    assert reason_of(b"\0\0\0\0\x03" + b"\x02" * 1_000_000 + b"\0") == "recursive-schema"


def test_registry_that_is_away():
    """An outage while a schema is looked up is no fault of the message: it is not a StageError."""

    def away(schema_id: int) -> None:
        raise Outage("the registry is away")

    with pytest.raises(Outage):
        decode(message(framed(1, {"title": "x"})), away)


# --- identity ---


def test_identity():
    """The canonical URL counts first, then source and id, then source and text."""
    by_url = article_id("https://www.a.example/1?utm_source=x", "s", "7", "t", "b")
    assert by_url == article_id("http://a.example/1", "other", "8", "other", "other")
    by_id = article_id("", "s", "7", "t", "b")
    assert by_id == article_id("https://a.example/", "s", "7", "other", "other")
    assert by_id != article_id("", "other", "7", "t", "b")
    by_text = article_id("", "s", "", "t", "b")
    assert by_text == article_id("not a url", "s", "", "t", "b")
    assert len({by_url, by_id, by_text}) == 3
    assert article_id("", "s", "", "tb", "") != by_text


def test_identity_of_decomposed_text():
    """The same text composed and decomposed is one article."""
    text = "أخبار اليوم آخر ساعة"
    decomposed = unicodedata.normalize("NFD", text)
    assert decomposed != text
    assert article_id("", "s", "", text, text) == article_id("", "s", "", decomposed, decomposed)


def test_identity_stays():
    """The id is the first 128 bits of SHA-256, and the same in every version."""
    digest = hashlib.sha256(b"url\0a.example/1").hexdigest()
    assert article_id("https://a.example/1", "", "", "", "") == digest[:32]
    assert digest.startswith("a9e0554c066e364522ab0d6168e275bb")


# --- anything ---

json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from([name for names in FIELD_NAMES.values() for name in names]) | st.text()


def one_of_two(value: bytes) -> None:
    try:
        article = read(value)
    except StageError:
        return
    assert len(article.article_id) == 32
    assert article.raw_title.strip() or article.raw_body.strip()


@given(st.binary() | st.binary().map(lambda tail: b"\0\0\0\0" + tail))
def test_any_bytes(value):
    """Any bytes give an article or a StageError, never anything else."""
    one_of_two(value)


@given(st.dictionaries(names, json_values, max_size=6))
def test_any_json(fields):
    """So does any JSON object, with lone surrogates, NUL, infinite and odd values in any field."""
    one_of_two(json.dumps(fields).encode())


@given(st.sampled_from([1, 2]), st.data())
def test_any_damage_to_avro(schema_id, data):
    """So does a framed record with bytes changed, cut out or put in."""
    record = {
        1: {"title": "عنوان", "body": "نص"},
        2: {
            "headline": "عنوان",
            "date": datetime(2025, 3, 5, tzinfo=UTC),
            "price": 1.5,
            "tags": ["أ"],
            "thumbnail": b"12",
        },
    }[schema_id]
    value = framed(schema_id, record)
    start = data.draw(st.integers(5, len(value)))
    end = data.draw(st.integers(start, len(value)))
    one_of_two(value[:start] + data.draw(st.binary(max_size=12)) + value[end:])
