"""Decode: from a message's bytes, JSON or Confluent-framed Avro, to an article. Forgiving."""

from __future__ import annotations

import hashlib
import json
import struct
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from io import BytesIO
from typing import Any

import fastavro

from pipelines.records import Article, RawMessage, StageError, Time, changed
from pipelines.stages.arabic.layers import refuse_piles
from pipelines.stages.removal import HEADER, removal
from pipelines.stages.times import parse_time
from pipelines.stages.urls import canonical_url

MAX_BYTES = 1024 * 1024  # bytes of a message's value; the longest of 15,042 articles has 79 KB

# Schema by id, as the registry knows it; None when it knows none of that id.
SchemaLookup = Callable[[int], Any]

# Other names of the fields, as RSS readers, crawlers and news APIs use them; the first one present
# and not blank counts.
FIELD_NAMES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "guid", "_id", "article_id", "articleId"),
    "url": ("url", "link", "href", "permalink", "canonical_url"),
    "source": ("source", "outlet", "publisher", "site", "feed", "source_name"),
    "title": ("title", "headline", "name"),
    "body": ("body", "text", "content", "article_body", "articleBody", "full_text", "description"),
    "author": ("author", "creator", "byline", "authors"),
    "published_at": (
        "published_at",
        "published",
        "date",
        "pubDate",
        "pub_date",
        "publishedAt",
        "publish_date",
        "datePublished",
    ),
    "fetched_at": ("fetched_at", "fetchedAt", "crawled_at", "scraped_at", "retrieved_at"),
    "language": ("language", "lang", "inLanguage"),
}
# Levels of JSON. The parser's own limit differs between versions of Python: about 1,000 to 10,000.
_DEEPEST = 100
# The parts that later stages fill: to make them anew takes longer than all else in an article.
_BLANK = Article("")
_CONFLUENT_MAGIC = 0
_CONFLUENT_HEADER = struct.Struct(">bI")  # magic byte, schema id


def decode(raw: RawMessage, schema_by_id: SchemaLookup, *, max_bytes: int = MAX_BYTES) -> Article:
    """The article that `raw` carries.

    Raises StageError: `null-value`, `too-large`, `invalid-avro`, `unknown-schema`,
    `recursive-schema`, `invalid-utf-8`, `invalid-json`, `too-deep`, `not-an-object`, `wrong-type`,
    `surrogate`, `nul`, `marks`, `empty`, `invalid-removal`. What
    `schema_by_id` raises, an outage, passes through.
    """
    if any(name == HEADER for name, _ in raw.headers):
        return removal(raw)
    fields = _fields(raw.value, schema_by_id, max_bytes)
    taken: dict[str, str] = {}
    extra = dict(fields)
    for field, names in FIELD_NAMES.items():
        for name in filter(fields.__contains__, names):
            text = _text(fields[name], field)
            if text is not None and text.strip():
                taken[field] = text
                del extra[name]
                break
    kept = {name: _as_text(value) for name, value in extra.items() if value is not None}
    for name, text in (*taken.items(), *kept.items()):
        _refuse_unwritable(name, text)
    for name in kept:
        _refuse_unwritable("a field's name", name)
    for name, text in taken.items():
        refuse_piles(name, text)

    title, body = taken.get("title", ""), taken.get("body", "")
    if not _says_something(title) and not _says_something(body):
        raise StageError("empty", "the message has neither a title nor a body")
    published = parse_time(taken.get("published_at", ""))
    url, source, id_ = taken.get("url", ""), taken.get("source", ""), taken.get("id", "")
    return changed(
        _BLANK,
        article_id=article_id(url, source, id_, title, body),
        id=id_,
        url=url,
        source=source,
        raw_title=title,
        raw_body=body,
        author=taken.get("author", ""),
        published=published,
        fetched=parse_time(taken["fetched_at"]) if "fetched_at" in taken else Time(),
        ingested_at=max(0, raw.origin.timestamp),  # -1: a message of before Kafka 0.10
        language=taken.get("language", ""),
        extra=kept,
    )


def article_id(url: str, source: str, id_: str, title: str, body: str) -> str:
    """The first 128 bits, in hex, of SHA-256 over what identifies the article.

    That is its canonical URL; else its source and id; else its source and its NFC text.
    """
    canonical = canonical_url(url) if url else None
    parts: tuple[str, ...]
    if canonical is not None:
        parts = ("url", canonical)
    elif id_:
        parts = ("id", source, id_)
    else:
        parts = (
            "text",
            source,
            unicodedata.normalize("NFC", title),
            unicodedata.normalize("NFC", body),
        )
    # NUL parts the fields; it cannot stand in them.
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _fields(value: bytes | None, schema_by_id: SchemaLookup, max_bytes: int) -> dict[str, Any]:
    if value is None:
        raise StageError("null-value", "the message has no value")
    if len(value) > max_bytes:
        raise StageError(
            "too-large", f"the message has {len(value)} bytes; at most {max_bytes} are taken"
        )
    if not value:
        raise StageError("empty", "the message's value has no bytes")
    fields = _avro(value, schema_by_id) if value[0] == _CONFLUENT_MAGIC else _json(value)
    if not isinstance(fields, dict):
        raise StageError(
            "not-an-object", f"the message is a {type(fields).__name__}, not an object"
        )
    return fields


def _json(value: bytes) -> Any:
    try:
        text = value.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StageError(
            "invalid-utf-8", f"byte {error.start} is not UTF-8: {error.reason}"
        ) from None
    try:
        fields = json.loads(text)
    except RecursionError:
        raise StageError("too-deep", "the JSON nests too deeply") from None
    except ValueError as error:
        raise StageError("invalid-json", str(error)) from None
    level = [fields]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return fields
    raise StageError("too-deep", "the JSON nests too deeply")


def _inside(value: Any) -> Iterable[Any]:
    """The values one level down in a JSON value."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _avro(value: bytes, schema_by_id: SchemaLookup) -> Any:
    if len(value) <= _CONFLUENT_HEADER.size:
        raise StageError("invalid-avro", "the message ends within the Confluent header")
    _, schema_id = _CONFLUENT_HEADER.unpack_from(value)
    schema = schema_by_id(schema_id)
    if schema is None:
        raise StageError("unknown-schema", f"the registry knows no schema with id {schema_id}")
    if _refers_to_itself(schema):
        raise StageError(
            "recursive-schema",
            f"schema {schema_id} refers to itself; its values could nest forever",
        )
    stream = BytesIO(value)
    stream.seek(_CONFLUENT_HEADER.size)
    try:
        fields = fastavro.schemaless_reader(stream, schema, None)
    # fastavro reports truncated and foreign bytes by whichever error they run into.
    except (EOFError, IndexError, KeyError, ValueError, OverflowError, TypeError) as error:
        raise StageError("invalid-avro", f"{type(error).__name__}: {error}") from None
    if stream.tell() != len(value):
        trailing = len(value) - stream.tell()
        raise StageError("invalid-avro", f"{trailing} bytes are left after the record")
    return fields


def _refers_to_itself(schema: Any, inside: tuple[str, ...] = ()) -> bool:
    """Whether a record of this schema can hold one of its own kind.

    fastavro 1.13 then overruns the stack on a value that nests deeply enough, and the process ends.
    """
    if isinstance(schema, str):
        return schema in inside
    if isinstance(schema, list):
        return any(_refers_to_itself(branch, inside) for branch in schema)
    if "fields" in schema:
        inside = (*inside, schema["name"])
        return any(_refers_to_itself(field["type"], inside) for field in schema["fields"])
    inner = [schema[key] for key in ("type", "items", "values") if key in schema]
    return any(_refers_to_itself(part, inside) for part in inner)


def _text(value: Any, field: str) -> str | None:
    """`value` as the field's text; None when it is none, refused where that counts."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, date):  # an Avro date or timestamp
        return value.isoformat()
    if field in ("title", "body"):
        raise StageError("wrong-type", f"{field} is a {type(value).__name__}, not a text")
    return None


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _refuse_unwritable(name: str, text: str) -> None:
    """Refuses what Avro or a database behind a topic could not store."""
    if "\0" in text:
        raise StageError("nul", f"{name} has a NUL character at {text.index(chr(0))}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise StageError(
                "surrogate", f"{name} has half of a surrogate pair at {error.start}"
            ) from None


def _says_something(text: str) -> bool:
    """Whether there is a letter, digit or sign to see: invisible characters alone say nothing."""
    return any(unicodedata.category(c)[0] not in "CZ" for c in text)
