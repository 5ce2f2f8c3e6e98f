"""A thin transform for each stage: `clean.py`, `clean()`, `Clean` and the label "Clean" are one.

As little logic as possible lives here: an envelope with a failure passes untouched, a StageError
becomes a failure, anything else ends the pipeline. Envelopes go from stage to stage in batches.
"""

from __future__ import annotations

import pickle
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from time import perf_counter
from typing import Any

import apache_beam as beam
from apache_beam import coders

from pipelines.records import (
    Article,
    Envelope,
    Message,
    RawMessage,
    StageError,
    without_offsets,
)
from pipelines.stages.camel import Camel
from pipelines.stages.clean import clean
from pipelines.stages.decide import Index, decide
from pipelines.stages.decode import SchemaLookup, decode
from pipelines.stages.encode import Topics, encode
from pipelines.stages.entities import entities
from pipelines.stages.fingerprint import fingerprint
from pipelines.stages.gazetteer import Gazetteer
from pipelines.stages.normalize import normalize
from pipelines.stages.recognizer import Backend, Recognizer
from pipelines.stages.times import OutletZones

# Messages at most in a batch, and bytes of their values; one message may have more. A stage that
# takes 64 articles one after the other has its code and its tables in the processor's caches for
# 63 of them, which saves a third of the time; 256 save hardly more.
BATCH_SIZE = 64
BATCH_BYTES = 1024 * 1024


# What became of a message: ("verdict", the verdict) or ("dead-letter", stage, reason). All of them
# words of ours, none of them the article's.
Fact = tuple[str, ...]

# Seconds that each stage has taken in this process, by its name.
stage_seconds: defaultdict[str, float] = defaultdict(float)


class Batch(list[Any]):
    """Raw messages, envelopes or messages, as they go from stage to stage. Encode's own say in
    `facts` how often what was decided: the messages do not show it any more.
    """

    facts: Mapping[Fact, int] = {}


class _BatchCoder(coders.Coder):
    """Pickles a batch, where one must leave the process. Beam's own coder would do it within the
    process as well, to tell how large the batches are: a twentieth of all time.
    """

    def encode(self, value: Batch) -> bytes:
        return pickle.dumps(value)

    def decode(self, encoded: bytes) -> Batch:
        batch: Batch = pickle.loads(encoded)
        return batch

    def estimate_size(self, value: Batch) -> int:
        """In messages or envelopes: for Beam's metrics alone, which nobody here reads."""
        return len(value)

    def is_deterministic(self) -> bool:
        return False

    def to_type_hint(self) -> type:
        return Batch


coders.registry.register_coder(Batch, _BatchCoder)


def batches(messages: Iterable[RawMessage]) -> Iterator[Batch]:
    """The messages in batches, in their order."""
    batch, size = Batch(), 0
    for raw in messages:
        batch.append(raw)
        size += len(raw.value or b"")
        if len(batch) >= BATCH_SIZE or size >= BATCH_BYTES:
            yield batch
            batch, size = Batch(), 0
    if batch:
        yield batch


class _Step(beam.DoFn):
    """Takes a whole batch through `_run`, and adds up how long that took."""

    name: str

    def process(self, batch: Batch) -> Iterable[Batch]:
        began = perf_counter()
        done = self._run(batch)
        stage_seconds[self.name] += perf_counter() - began
        return (done,)

    def _run(self, batch: Batch) -> Batch:
        raise NotImplementedError


class _Stage(_Step):
    """Runs a function of an article over the envelopes that hold one."""

    def __init__(self, name: str, function: Callable[[Article], Article]) -> None:
        self.name = name
        self._function = function

    def _run(self, batch: Batch) -> Batch:
        return Batch(self._after(envelope) for envelope in batch)

    def _after(self, envelope: Envelope) -> Envelope:
        if envelope.article is None or envelope.article.removal:
            return envelope
        try:
            return envelope.with_article(self._function(envelope.article))
        except StageError as error:
            return envelope.failed(self.name, error)


class Decode(beam.PTransform):
    """Raw messages to envelopes, both in batches."""

    def __init__(self, schema_by_id: SchemaLookup, max_bytes: int) -> None:
        super().__init__()
        self._schema_by_id = schema_by_id
        self._max_bytes = max_bytes

    def expand(self, raw: beam.PCollection) -> beam.PCollection:
        return raw | beam.ParDo(_Decode(self._schema_by_id, self._max_bytes))


class _Decode(_Step):
    name = "decode"

    def __init__(self, schema_by_id: SchemaLookup, max_bytes: int) -> None:
        self._schema_by_id = schema_by_id
        self._max_bytes = max_bytes

    def _run(self, batch: Batch) -> Batch:
        return Batch(self._envelope(raw) for raw in batch)

    def _envelope(self, raw: RawMessage) -> Envelope:
        envelope = Envelope(raw)
        try:
            article = decode(raw, self._schema_by_id, max_bytes=self._max_bytes)
        except StageError as error:
            return envelope.failed("decode", error)
        return envelope.with_article(article)


class Clean(beam.PTransform):
    """Raw text to the display layer and its parts; times without a zone are their outlet's."""

    def __init__(self, outlet_zones: OutletZones) -> None:
        super().__init__()
        self._outlet_zones = outlet_zones

    def expand(self, envelopes: beam.PCollection) -> beam.PCollection:
        stage = _Stage("clean", partial(clean, outlet_zones=self._outlet_zones))
        return envelopes | beam.ParDo(stage)


class Normalize(beam.PTransform):
    """Display layer to match layer and content hash."""

    def expand(self, envelopes: beam.PCollection) -> beam.PCollection:
        return envelopes | beam.ParDo(_Stage("normalize", normalize))


class Fingerprint(beam.PTransform):
    """Match layer to keys and signature."""

    def expand(self, envelopes: beam.PCollection) -> beam.PCollection:
        return envelopes | beam.ParDo(_Stage("fingerprint", fingerprint))


class Decide(beam.PTransform):
    """Fingerprint to verdict, by the job's one index, in the order of arrival."""

    def __init__(self, job: str) -> None:
        super().__init__()
        self._job = job

    def expand(self, envelopes: beam.PCollection) -> beam.PCollection:
        return envelopes | beam.ParDo(_Decide(self._job))


class _Decide(_Step):
    name = "decide"

    def __init__(self, job: str) -> None:
        self._job = job

    def _run(self, batch: Batch) -> Batch:
        with _lock:
            index = _indexes[self._job]
            return Batch(self._after(envelope, index) for envelope in batch)

    def _after(self, envelope: Envelope, index: Index) -> Envelope:
        if envelope.article is None:
            return envelope
        return envelope.with_article(decide(envelope.article, envelope.raw.origin, index))


class Entities(beam.PTransform):
    """Display and match layer to entities; `ner` names the backend, `none` skips."""

    def __init__(self, ner: str) -> None:
        super().__init__()
        self._ner = ner

    def expand(self, envelopes: beam.PCollection) -> beam.PCollection:
        if self._ner == "none":
            return envelopes
        return envelopes | beam.ParDo(_Entities(self._ner))


class _Entities(_Step):
    name = "entities"

    def __init__(self, ner: str) -> None:
        self._ner = ner

    def setup(self) -> None:
        known, backend = gazetteer(), backend_of(self._ner)
        self._stage = _Stage(self.name, lambda article: entities(article, known, backend))

    def _run(self, batch: Batch) -> Batch:
        with _lock:  # the backend is the process's one
            return self._stage._run(batch)


class WithoutOffsets(beam.PTransform):
    """Leaves out of envelopes, in batches, what no stage behind Entities reads."""

    def expand(self, envelopes: beam.PCollection) -> beam.PCollection:
        return envelopes | beam.ParDo(_Stage("without_offsets", without_offsets))


class Encode(beam.PTransform):
    """Envelopes to messages, both in batches."""

    def __init__(self, topics: Topics) -> None:
        super().__init__()
        self._topics = topics

    def expand(self, envelopes: beam.PCollection) -> beam.PCollection:
        return envelopes | beam.ParDo(_Encode(self._topics))


class _Encode(_Step):
    name = "encode"

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    def _run(self, batch: Batch) -> Batch:
        messages, facts = Batch(), Counter[Fact]()
        for envelope in batch:
            encoded, messages_of_it = self._messages(envelope)
            messages.extend(messages_of_it)
            facts[_fact(encoded)] += 1
        messages.facts = facts
        return messages

    def _messages(self, envelope: Envelope) -> tuple[Envelope, list[Message]]:
        """The messages of the envelope, and the envelope as they tell it."""
        try:
            return envelope, encode(envelope, self._topics)
        except StageError as error:
            failed = envelope.failed(self.name, error)
            return failed, encode(failed, self._topics)


def _fact(envelope: Envelope) -> Fact:
    if envelope.article is not None:
        return "verdict", envelope.article.decision.verdict
    assert envelope.failure is not None, "an envelope holds an article or a failure"
    return "dead-letter", envelope.failure.stage, envelope.failure.reason


@cache
def gazetteer() -> Gazetteer:
    """The packaged tables, read once in a process.

    Raises ValueError or KeyError for a table that is not as its header says.
    """
    return Gazetteer.load()


@cache
def backend_of(ner: str) -> Backend:
    """The recognizer that the setting `ner` names, one in a process.

    Raises ModelError when its model cannot be read.
    """
    return Camel() if ner == "camel" else Recognizer()


# One index a job in this process: a runner may make several instances of a DoFn, and an index with
# two lives would call one story new twice.
_indexes: dict[str, Index] = {}
_lock = threading.Lock()


def use_index(job: str, index: Index) -> None:
    """Makes `index` the state of the job of this name in this process."""
    with _lock:
        _indexes[job] = index


def forget_index(job: str) -> None:
    """Drops the job's state."""
    with _lock:
        _indexes.pop(job, None)


__all__ = [
    "Batch",
    "Clean",
    "Decide",
    "Decode",
    "Encode",
    "Entities",
    "Fact",
    "Fingerprint",
    "Normalize",
    "WithoutOffsets",
    "backend_of",
    "batches",
    "forget_index",
    "gazetteer",
    "stage_seconds",
    "use_index",
]
