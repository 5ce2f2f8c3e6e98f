"""The golden records of `tests/golden/samples.jsonl` as the schemas take them, to be written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines import schemas

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
