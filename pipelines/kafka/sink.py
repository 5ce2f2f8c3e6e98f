"""The sink: hands every message to the job, and commits where a bundle ends."""

from __future__ import annotations

from time import perf_counter

import apache_beam as beam

from pipelines.kafka.transaction import held
from pipelines.transforms import Batch, stage_seconds


class Write(beam.PTransform):
    """Writes batches; what a bundle read and wrote is committed together, in `finish_bundle`."""

    def __init__(self, group: str) -> None:
        super().__init__()
        self._group = group

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        return batches | beam.ParDo(_Write(self._group))


class _Write(beam.DoFn):
    def __init__(self, group: str) -> None:
        self._group = group

    def process(self, batch: Batch) -> None:
        job, began = held(self._group), perf_counter()
        for message in batch:
            job.write(message)
        job.note(batch.facts)
        stage_seconds["write"] += perf_counter() - began

    def finish_bundle(self) -> None:
        held(self._group).commit()
