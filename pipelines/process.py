"""The graph over files, without Kafka: the same stages, the same records, written as Avro files."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import apache_beam as beam
from fastavro.write import Writer

from pipelines import schemas
from pipelines.errors import UsageError
from pipelines.graph import Plan, build
from pipelines.outlets import outlet_zones
from pipelines.producers.files import FileMessage
from pipelines.records import Message, Origin, RawMessage, StageError, changed
from pipelines.rehearsal import Say, rehearse
from pipelines.runner import in_process_pipeline
from pipelines.settings import Settings
from pipelines.stages import encode
from pipelines.stages.decide import Index
from pipelines.stages.decode import decode
from pipelines.stages.entities import entities_version
from pipelines.stages.gazetteer import DATA
from pipelines.stages.recognizer import ModelError
from pipelines.stages.times import in_zone, zone_of
from pipelines.transforms import Batch, batches, forget_index, use_index

_JOB = "process"
_PREFIX = "news"
WRITTEN = (schemas.ARTICLES, schemas.DUPLICATES, schemas.ENTITIES, schemas.DEAD_LETTERS)
_FACT = "khabar-"
_CLOCK_TOLERANCE_MS = 3600 * 1000
# Of encoded records, after which a block of a file is full: about fastavro's own measure.
_BLOCK_BYTES = 16_000


def process(
    messages: Iterable[FileMessage],
    out: Path,
    settings: Settings,
    *,
    published_order: bool = False,
    progress: Callable[[Counter[str]], None] = lambda counts: None,
    say: Say = lambda text: None,
) -> Counter[str]:
    """Runs the graph over `messages` and writes `articles.avro duplicates.avro entities.avro
    dead-letters.avro` into `out`; returns the number of messages `read` and of records by kind.

    The window's state starts empty. `published_order` sorts by publication time first, which takes
    the messages into memory; those without a time keep their place behind the one before them.
    What Kafka's timestamp is to `run`, the latest publication time so far is here.
    Raises UsageError when `out` cannot be written, or the outlets' zones or the recognizer's model
    not read.
    """
    prepare(settings.ner, say)
    plan = plan_of(settings)
    raw = batches(arriving(messages, plan, published_order=published_order))
    return write_files(raw, build, plan, out, settings, progress=progress)


def plan_of(settings: Settings) -> Plan:
    """What the graph must know to run over files. Raises UsageError for the outlets' zones."""
    zones = outlet_zones(settings)
    ids = {kind: number for number, kind in enumerate((*WRITTEN, schemas.INDEX))}
    topics = encode.Topics(_PREFIX, ids, entities_version=entities_version(settings.ner))
    return Plan(_JOB, topics, _no_registry, settings.max_message_bytes, settings.ner, zones)


def write_files(
    batches: Iterator[Batch],
    graph: Callable[[beam.PCollection, Plan], beam.PCollection],
    plan: Plan,
    out: Path,
    settings: Settings,
    *,
    progress: Callable[[Counter[str]], None] = lambda counts: None,
) -> Counter[str]:
    """Runs `graph`, in this process, over what it takes, and writes the messages that it gives;
    returns and raises what `process` does.
    """
    with ExitStack() as stack:
        sink = stack.enter_context(_AvroFiles(out, progress))
        _edges[_JOB] = (batches, sink)
        stack.callback(_edges.clear)
        use_index(_JOB, Index(settings.window_ms, settings.max_stories))
        stack.callback(forget_index, _JOB)
        try:
            with in_process_pipeline() as pipeline:
                begin = pipeline | "Begin" >> beam.Impulse()
                written = graph(begin | "Read" >> beam.ParDo(_Read(_JOB)), plan)
                written | "Write" >> beam.ParDo(_Write(_JOB))
        except UsageError as error:
            # Beam adds its own words to what a file's reader says.
            raise UsageError(str(error).partition(" [while running")[0]) from None
        return sink.counts


def prepare(ner: str, say: Say) -> None:
    """Makes the stages ready for the first article. Raises UsageError when the tables of names or
    the recognizer that `ner` names cannot be used.
    """
    gc.disable()  # nearly all that is made here stays: to look through it takes half of the time
    try:
        rehearse(ner, say)
    except ModelError as error:
        raise UsageError(str(error)) from None
    except (ValueError, KeyError, OSError) as error:
        raise UsageError(
            f"the tables of names in {DATA} cannot be read: {error}. Install Khabar anew, or mend "
            "the row that is named."
        ) from None
    finally:
        gc.enable()


def arriving(
    messages: Iterable[FileMessage], plan: Plan, *, published_order: bool
) -> Iterator[RawMessage]:
    """The messages with the time that a broker would have given them, had it read along: the
    latest publication time so far. `published_order` sorts by publication time first.
    """
    raw = dated(messages, plan)
    if published_order:
        raw = iter(sorted(raw, key=lambda message: message.origin.timestamp))
    latest = 0
    for message in raw:
        latest = max(latest, message.origin.timestamp)
        yield _at(message, latest)


def dated(messages: Iterable[FileMessage], plan: Plan, before: int = 0) -> Iterator[RawMessage]:
    """Each message with its publication time, in milliseconds since 1970 UTC, as the timestamp of
    its origin; without one, with that of the message before it. The first ones have `before`.

    So that no wrong clock moves the window, a time in the future counts as none.
    """
    latest_credible = (time.time_ns() // 1_000_000) + _CLOCK_TOLERANCE_MS
    for message in messages:
        raw = RawMessage(Origin(message.file, 0, message.number, 0), message.key, message.value)
        try:
            article = decode(raw, plan.schema_by_id, max_bytes=plan.max_bytes)
        except StageError:
            published = None  # the graph says what is wrong with it
        else:
            published = in_zone(article.published, zone_of(plan.outlet_zones, article.source)).utc
        if published is not None and published <= latest_credible:
            before = published
        yield _at(raw, before)


def _at(raw: RawMessage, timestamp: int) -> RawMessage:
    return changed(raw, origin=changed(raw.origin, timestamp=timestamp))


def _no_registry(schema_id: int) -> None:
    """Files carry JSON; framed Avro in one becomes a dead letter `unknown-schema`."""


# A pipeline is pickled before it runs; a generator and open files are not, so they wait here.
_edges: dict[str, tuple[Iterator[Batch], _AvroFiles]] = {}


class _Read(beam.DoFn):
    def __init__(self, job: str) -> None:
        self._job = job

    def process(self, begin: bytes) -> Iterator[Batch]:
        batches, sink = _edges[self._job]
        for batch in batches:
            sink.counts["read"] += len(batch)
            yield batch


class _Write(beam.DoFn):
    def __init__(self, job: str) -> None:
        self._job = job

    def process(self, batch: Batch) -> None:
        for message in batch:
            _edges[self._job][1].write(message)


class _Block:
    """Records that are encoded already, as `fastavro` takes them from another file."""

    def __init__(self) -> None:
        self.bytes_, self.num_records = BytesIO(), 0

    def add(self, record: bytes) -> None:
        self.bytes_.write(record)
        self.num_records += 1


class _AvroFiles:
    """The four files; each appears under its name when all is done, and not before."""

    def __init__(self, out: Path, progress: Callable[[Counter[str]], None]) -> None:
        self.counts: Counter[str] = Counter({"read": 0} | dict.fromkeys(WRITTEN, 0))
        self._out = out
        self._progress = progress
        self._streams: dict[str, IO[bytes]] = {}
        self._writers: dict[str, Any] = {}
        self._blocks = {kind: _Block() for kind in WRITTEN}
        self._kinds = {f"{_PREFIX}.{kind}": kind for kind in WRITTEN}

    def __enter__(self) -> _AvroFiles:
        try:
            self._out.mkdir(parents=True, exist_ok=True)
            for kind in WRITTEN:
                self._streams[kind] = self._partial(kind).open("wb")
        except OSError as error:
            self._drop()
            raise unwritable(self._out, error) from None
        for kind, stream in self._streams.items():
            self._writers[kind] = Writer(stream, schemas.parsed(kind), codec="deflate")
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if error is not None:
            self._drop()
            return
        for name, stream in self._streams.items():
            self._write_block(name)
            self._writers[name].flush()
            stream.close()
            self._partial(name).replace(self._out / f"{name}.avro")

    def _drop(self) -> None:
        for name, stream in self._streams.items():
            stream.close()
            self._partial(name).unlink()

    def write(self, message: Message) -> None:
        kind = self._kinds.get(message.topic)
        if kind is None:  # the index: without a next start there is no state to keep
            return
        if kind == schemas.DEAD_LETTERS:
            self._writers[kind].write(dead_letter_record(message))
        else:
            assert message.value is not None, "only the index has messages without a value"
            self._blocks[kind].add(encode.payload(message.value))
            if self._blocks[kind].bytes_.tell() >= _BLOCK_BYTES:
                self._write_block(kind)
        self.counts[kind] += 1
        self._progress(self.counts)

    def _write_block(self, kind: str) -> None:
        block = self._blocks[kind]
        if block.num_records:
            self._writers[kind].write_block(block)
            self._blocks[kind] = _Block()

    def _partial(self, kind: str) -> Path:
        return self._out / f"{kind}.avro.partial"


def unwritable(out: Path, error: OSError) -> UsageError:
    """What is said of a folder that cannot be written."""
    return UsageError(f"{out} cannot be written: {error.strerror}. Give another folder with --out.")


def dead_letter_record(message: Message) -> dict[str, Any]:
    """A dead letter as a record: the facts out of its headers, the message's own beside them."""
    facts = {name: value or b"" for name, value in message.headers if name.startswith(_FACT)}
    own = [(name, value) for name, value in message.headers if not name.startswith(_FACT)]
    nulls = facts.get("khabar-null-headers", b"").decode().split(",")

    def fact(name: str) -> str:
        return facts[_FACT + name].decode()

    return {
        "stage": fact("stage"),
        "reason": fact("reason"),
        "detail": fact("detail"),
        "topic": fact("topic"),
        "partition": int(fact("partition")),
        "offset": int(fact("offset")),
        "timestamp": int(fact("timestamp")),
        "version": fact("version"),
        "key": None if "khabar-null-key" in facts else message.key,
        "value": message.value,
        "headers": [
            {"key": name, "value": None if name in nulls and not value else value}
            for name, value in own
        ],
    }
