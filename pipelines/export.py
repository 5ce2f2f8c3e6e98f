"""`khabar export`: a topic's records as one file for analysts, JSON Lines or Parquet.

What was removed on request is left out. The file appears when it is whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import schemas
from pipelines.errors import UsageError
from pipelines.kafka.dead_letters import parsed
from pipelines.kafka.tail import Tailed, tail
from pipelines.settings import Settings
from pipelines.show import as_plain
from pipelines.stages.entry import REMOVED
from pipelines.terminal import escaped

KINDS = (schemas.ARTICLES, schemas.DUPLICATES, schemas.ENTITIES, schemas.DEAD_LETTERS)
FORMATS = ("jsonl", "parquet")
# Records of a row group, and bytes of their values: both bound the memory that is taken.
_GROUP, _GROUP_BYTES = 10_000, 64 * 1024 * 1024
# How Avro writes the rule of a removal: a length, then the word.
_REMOVED = bytes([2 * len(REMOVED)]) + REMOVED.encode()
# Where a record stood, in columns of their own.
_PLACE = (("kafka_partition", pa.int32()), ("kafka_offset", pa.int64()))
_TYPES = {
    "string": pa.string(),
    "bytes": pa.binary(),
    "int": pa.int32(),
    "long": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
}


def export(
    settings: Settings,
    kind: str,
    form: str,
    out: Path,
    *,
    since: int = 0,
    until: int | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> int:
    """Writes what stands on the topic of this kind now, with Kafka's time from `since` on and
    before `until` (milliseconds); returns how many records that were.

    Raises UsageError when the file cannot be written, Outage when Kafka or the registry is away.
    """
    part = out.with_name(f"{out.name}.part")
    rows = _counted(_rows(settings, kind, since, until), progress)
    try:
        with ExitStack() as cleaning:
            cleaning.callback(_remove, part)
            count = (_parquet if form == "parquet" else _jsonl)(rows, kind, part)
            part.replace(out)
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error.strerror or error}. What was written of it is "
            "deleted; give another --out."
        ) from None
    return count


def _rows(
    settings: Settings, kind: str, since: int, until: int | None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The records that may be given away, oldest first, each with the bytes that it took."""
    removed = _removed(settings) if kind != schemas.DEAD_LETTERS else {}
    for message in tail(settings, [settings.topic(kind)], since=since, until_caught_up=True):
        if until is not None and message.timestamp >= until:
            continue
        record = _dead_letter(message) if kind == schemas.DEAD_LETTERS else message.record
        if record is None:  # somebody else's message: it is no record of ours
            continue
        notice = record.get("removed") or record.get("verdict") == "removal"
        if notice or message.timestamp <= removed.get(record.get("article_id", ""), -1):
            continue
        place = {"kafka_partition": message.partition, "kafka_offset": message.offset}
        yield len(message.value or b""), {**place, **record}


def _removed(settings: Settings) -> dict[str, int]:
    """Kafka's time of the latest removal of each article that was removed."""
    found: dict[str, int] = {}
    articles = settings.topic(schemas.ARTICLES)
    for message in tail(
        settings, [articles], until_caught_up=True, wanted=lambda value: _REMOVED in value
    ):
        record = message.record
        if record is not None and record.get("verdict") == "removal":
            found[record["article_id"]] = max(
                message.timestamp, found.get(record["article_id"], -1)
            )
    return found


def _dead_letter(message: Tailed) -> dict[str, Any]:
    """A dead letter as a record of `news.dead-letters.avsc`."""
    letter = parsed(message)
    topic, place, timestamp = letter.failed_at
    partition, _, offset = place.partition(":")
    return {
        "stage": letter.stage,
        "reason": letter.reason,
        "detail": letter.detail,
        "topic": topic,
        "partition": _number(partition),
        "offset": _number(offset),
        "timestamp": datetime.fromtimestamp(_number(timestamp) / 1000, UTC),
        "version": letter.version,
        "key": message.key,
        "value": message.value,
        "headers": [{"key": name, "value": value} for name, value in letter.own],
    }


def _number(text: str) -> int:
    return int(text) if text.lstrip("-").isdecimal() and len(text) < 19 else -1


def _counted(
    rows: Iterable[tuple[int, dict[str, Any]]], progress: Callable[[int], None]
) -> Iterator[tuple[int, dict[str, Any]]]:
    for count, row in enumerate(rows, 1):
        progress(count)
        yield row


def _jsonl(rows: Iterable[tuple[int, dict[str, Any]]], kind: str, part: Path) -> int:
    count = 0
    with part.open("w", encoding="utf-8") as file:
        for _, row in rows:
            file.write(escaped(json.dumps(as_plain(row), ensure_ascii=False)) + "\n")
            count += 1
    return count


def _parquet(rows: Iterable[tuple[int, dict[str, Any]]], kind: str, part: Path) -> int:
    count, rows = 0, iter(rows)
    schema = arrow_schema(kind)
    with pq.ParquetWriter(part, schema, compression="zstd") as writer:
        while group := list(_group(rows)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count


def _group(rows: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    size = 0
    for taken, row in islice(rows, _GROUP):
        yield row
        size += taken
        if size >= _GROUP_BYTES:
            return


def arrow_schema(kind: str) -> pa.Schema:
    """The columns of the records of this kind: those of its Avro schema, and where they stood."""
    named: dict[str, pa.DataType] = {}
    schema = json.loads(schemas.text(kind))
    fields = [pa.field(name, place, nullable=False) for name, place in _PLACE]
    for field in schema["fields"]:
        described = {"doc": field["doc"]}
        column = pa.field(field["name"], _arrow(field["type"], named), metadata=described)
        fields.append(column)
    return pa.schema(fields, metadata={"doc": schema["doc"]})


def _arrow(avro: Any, named: dict[str, pa.DataType]) -> pa.DataType:
    """The Arrow type of an Avro type; `named` holds the records and enums seen so far."""
    if isinstance(avro, list):  # null and one other
        return _arrow(avro[1], named)
    if isinstance(avro, str):
        return named[avro] if avro in named else _TYPES[avro]
    kind = avro["type"]
    if kind == "record":
        inner = [pa.field(each["name"], _arrow(each["type"], named)) for each in avro["fields"]]
        named[avro["name"]] = pa.struct(inner)
        return named[avro["name"]]
    if kind == "enum":
        named[avro["name"]] = pa.string()
        return named[avro["name"]]
    if kind == "array":
        return pa.list_(_arrow(avro["items"], named))
    if kind == "map":
        return pa.map_(pa.string(), _arrow(avro["values"], named))
    if avro.get("logicalType") == "timestamp-millis":
        return pa.timestamp("ms", tz="UTC")
    return _arrow(kind, named)


def _remove(part: Path) -> None:
    with suppress(FileNotFoundError):
        part.unlink()
