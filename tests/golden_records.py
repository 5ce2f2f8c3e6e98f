"""The golden records of `tests/golden/samples.jsonl` as the schemas take them, to be written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines import schemas
from pipelines.records import Envelope, Message, Origin, RawMessage, Removal
from pipelines.stages.clean import clean
from pipelines.stages.decide import Index, decide
from pipelines.stages.decode import decode
from pipelines.stages.encode import Topics, encode
from pipelines.stages.fingerprint import fingerprint
from pipelines.stages.normalize import normalize
from pipelines.stages.removal import HEADER, HEADER_VALUE, request

GOLDEN = Path(__file__).parent / "golden" / "samples.jsonl"
# What the file leaves out: which version wrote a record.
MADE: dict[str, Any] = {
    "versions": {"khabar": "0.0.0", "fingerprint": "golden/0", "entities": "golden"},
    "profile": "golden/0",
    "version": "0.0.0",
}

Record = dict[str, Any]


def golden() -> Iterator[tuple[str, Record]]:
    """Each golden record with its kind, in the file's order, as `json.loads` gives it."""
    for line in GOLDEN.read_text(encoding="utf-8").splitlines():
        yield from json.loads(line).items()


def writable(kind: str, record: Record) -> Record:
    """A golden record in full, in the types that fastavro writes."""
    restored: Record = _restored(json.loads(schemas.text(kind)), record)
    return restored


def removal(article: Record, plan: Topics) -> list[Message]:
    """What the pipeline writes when a golden article is removed, and comes again later."""
    named = tuple((entity["entity_id"], entity["type"]) for entity in article["entities"])
    asked = Removal("asked for", article["story_id"], article["revision"], named)
    again = {"url": article["url"], "title": "عنوان آخر", "body": "نص آخر"}
    sent = [
        (request(article["article_id"], asked), ((HEADER, HEADER_VALUE),)),
        (json.dumps(again).encode(), ()),
    ]
    index, written = Index(), []
    for offset, (value, headers) in enumerate(sent):
        origin = Origin("samples", 0, offset, 1_741_000_000_000)
        raw = RawMessage(origin, None, value, headers)
        decoded = fingerprint(normalize(clean(decode(raw, lambda _: None))))
        assert decoded.article_id == article["article_id"]
        written += encode(Envelope(raw, decide(decoded, origin, index)), plan)
    return written


def _restored(schema: Any, value: Any) -> Any:
    if isinstance(schema, list):
        return None if value is None else _restored(schema[-1], value)
    if schema == "bytes":
        return bytes.fromhex(value)
    if isinstance(schema, str):
        return value
    if schema["type"] == "record":
        return {
            field["name"]: _restored(field["type"], _value(field, value))
            for field in schema["fields"]
        }
    if schema["type"] == "array":
        return [_restored(schema["items"], item) for item in value]
    if schema.get("logicalType") == "timestamp-millis":
        return datetime.fromisoformat(value)
    return value


def _value(field: Record, record: Record) -> Any:
    name = field["name"]
    if name in record:
        return record[name]
    return MADE[name] if name in MADE else field["default"]
