"""The source: a Beam UnboundedSource whose reader hands out the job's batches by bundles."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
from apache_beam import coders
from apache_beam.io.unbounded_source import (
    CheckpointMark,
    ReadFromUnboundedSource,
    UnboundedReader,
    UnboundedSource,
)
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp

from pipelines.kafka.transaction import Job, held
from pipelines.transforms import Batch


class Read(beam.PTransform):
    """The messages of the raw topic, in batches. The sink commits the offsets, never a finalizer:
    Beam only logs what a finalizer raises.
    """

    def __init__(self, group: str) -> None:
        super().__init__()
        self._group = group

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        # The reader itself waits, so an idle source is asked again at once; and it ends a bundle,
        # so Beam's own limits stand above it.
        read = ReadFromUnboundedSource(_Source(self._group), poll_interval=0)
        return begin | read.with_output_types(Batch)


class _Mark(CheckpointMark):
    """Nothing to keep: where reading stands is the job's."""


class _Source(UnboundedSource):
    def __init__(self, group: str) -> None:
        self._group = group

    def split(self, desired_num_splits: int, options: Any = None) -> list[_Source]:
        return [self]

    def create_reader(self, options: Any, checkpoint_mark: CheckpointMark | None) -> _Reader:
        return _Reader(held(self._group))

    def get_checkpoint_mark_coder(self) -> coders.Coder:
        return coders.PickleCoder()


class _Reader(UnboundedReader):
    """A False from `advance` ends the bundle; the sink then commits it."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._batch: Batch | None = None

    def start(self) -> bool:
        return self.advance()

    def advance(self) -> bool:
        self._batch = self._job.next_batch()
        return self._batch is not None

    def get_current(self) -> Batch:
        assert self._batch is not None, "there is a current batch after advance() is True"
        return self._batch

    def get_current_timestamp(self) -> Timestamp:
        return Timestamp(micros=self.get_current()[0].origin.timestamp * 1000)

    def get_watermark(self) -> Timestamp:
        # No stage asks for event time: the index keeps its own. MAX ends the pipeline.
        if self._batch is None and self._job.finished:
            return MAX_TIMESTAMP
        return MIN_TIMESTAMP

    def get_checkpoint_mark(self) -> CheckpointMark:
        return _Mark()
