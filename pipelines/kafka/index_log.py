"""The index topic: the writer's decisions in order, and marks that say who writes since when."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from pipelines import schemas
from pipelines.errors import Stopped, UsageError
from pipelines.kafka import clients
from pipelines.kafka.registry import Registry
from pipelines.records import Message
from pipelines.settings import Settings
from pipelines.stages import encode
from pipelines.stages.decide import STATE_VERSION, Index

_UNREADABLE = "unreadable"
_AT_ONCE = 10_000  # decisions that are taken in together
_TWO_LONGS = rb"(?:[\x80-\xff]*[\0-\x7f]){2}(?=.)"  # and something behind them


def new_index(settings: Settings) -> Index:
    """An empty index with the settings' bounds."""
    return Index(settings.window_ms, settings.max_stories)


class IndexLog:
    """What has been read of the index topic so far: `end` is the next offset, `generation` the
    highest one seen, `index` the state that the decisions up to there make.
    """

    def __init__(self, settings: Settings, schema_ids: Mapping[str, int]) -> None:
        self.end = 0
        self.generation = 0
        self.index = new_index(settings)
        self._settings = settings
        self._schema_id = schema_ids[schemas.INDEX]
        self._topic = settings.topic(schemas.INDEX)
        self._group = ""
        self._foreign: set[str] = set()
        self._schemas: dict[int, Any] = {self._schema_id: schemas.parsed(schemas.INDEX)}

    def catch_up(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Takes in what was committed since the last call. Raises Stopped, and KafkaError."""
        states: list[bytes] = []
        usual = self._usual()
        for value in self._values(self.end, stopped):
            before = usual.match(value)
            if before:
                states.append(value[before.end() :])
                if len(states) == _AT_ONCE:
                    self.index.restore(*states)
                    states.clear()
                continue
            self.index.restore(*states)
            states.clear()
            self._take_in(self._entry(value))
            usual = self._usual()
        self.index.restore(*states)

    def require_usable(self) -> None:
        """Raises UsageError for a state that another version or another group has made."""
        if self._foreign:
            raise UsageError(
                f"{self._topic} holds entries of another version ({', '.join(self._foreign)}) than "
                f"{STATE_VERSION}: stories could not be compared with them. `khabar index rebuild` "
                "makes it anew and keeps what was published."
            )
        if self._group not in ("", self._settings.group):
            raise UsageError(
                f"{self._topic} is written by the group {self._group}: two groups would mix their "
                f"stories. Give --group={self._group}, or another --topic-prefix; "
                "`khabar index rebuild` hands it over to another group for good."
            )

    def entries(
        self, start: int, stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[dict[str, Any]]:
        """The committed entries from offset `start` on, oldest first; `end` moves along."""
        return map(self._entry, self._values(start, stopped))

    def _values(self, start: int, stopped: Callable[[], bool]) -> Iterator[bytes]:
        partition = TopicPartition(self._topic, 0)
        consumer = clients.consumer(self._settings, auto_offset_reset="earliest")
        try:
            consumer.assign([partition])
            first = consumer.beginning_offsets([partition], timeout_ms=clients.ANSWER_MS)
            end = consumer.end_offsets([partition], timeout_ms=clients.ANSWER_MS)[partition]
            consumer.seek(partition, max(start, first[partition]))
            heard = time.monotonic()
            while (consumer.position(partition, timeout_ms=clients.ANSWER_MS) or 0) < end:
                if stopped():
                    raise Stopped
                for batch in consumer.poll(timeout_ms=200).values():
                    heard = time.monotonic()
                    for record in batch:
                        yield record.value
                if time.monotonic() - heard > clients.ANSWER_S:
                    raise KafkaTimeoutError("the index topic does not answer")
            self.end = max(self.end, end)
        finally:
            consumer.close()

    def message(self, entry: Mapping[str, Any], key: bytes = b"") -> Message:
        """`entry` as a message of the topic; `key` is the article's id."""
        value = encode.frame(self._schema_id, schemas.INDEX, entry)
        return Message(self._topic, key, value)

    def mark(self, kind: str, generation: int, sequence: int = 0) -> Message:
        """A `start` or a `reset`: who writes from here on, and behind which sequence."""
        return self.message(
            {
                "kind": kind,
                "generation": generation,
                "state_version": STATE_VERSION,
                "group": self._settings.group,
                "sequence": sequence,
                "state": b"",  # fastavro does not take a schema's own default for bytes
            }
        )

    def _take_in(self, entry: Mapping[str, Any]) -> None:
        generation = entry["generation"]
        if entry["kind"] == "reset":
            self.index = new_index(self._settings)
            self._foreign.clear()
        if entry["kind"] != "decision":
            self._group = entry["group"]
            self.index.last_sequence = max(self.index.last_sequence, entry["sequence"])
        # Without transactions a writer that was replaced may still write: it is not heard.
        elif generation >= self.generation:
            if entry["state_version"] == STATE_VERSION:
                self.index.restore(entry["state"])
            else:
                self._foreign.add(entry["state_version"])
        self.generation = max(self.generation, generation)

    def _usual(self) -> re.Pattern[bytes]:
        """What stands before the state in nearly all values: decisions of one generation and
        version, all alike but for the sequence and the state's length, two Avro longs.
        """
        decision = {"kind": "decision", "generation": self.generation, "sequence": 0, "state": b""}
        value = self.message({**decision, "state_version": STATE_VERSION, "group": ""}).value or b""
        return re.compile(re.escape(value[: -len(b"\0\0")]) + _TWO_LONGS, re.DOTALL)

    def _entry(self, value: bytes) -> dict[str, Any]:
        """The entry in a message, which an older version or another registry may have written."""
        schema_id = encode.framed_id(value)
        if schema_id not in self._schemas:
            self._schemas[schema_id] = Registry(self._settings.registry_url).schema(schema_id)
        if self._schemas[schema_id] is None:
            return _unreadable()
        try:
            entry = encode.unframe(value, self._schemas[schema_id])
            return {"group": "", "sequence": 0} | entry if "kind" in entry else _unreadable()
        except encode.UNFRAME_ERRORS:
            return _unreadable()


def _unreadable() -> dict[str, Any]:
    return {"kind": "decision", "generation": 0, "state_version": _UNREADABLE}
