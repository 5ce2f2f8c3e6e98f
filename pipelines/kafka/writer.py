"""The one writer behind the shuffle, where workers share the work before it: it takes envelopes of
all partitions, drops what was committed before, and commits each bundle as the local sink does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.coders import VarIntCoder
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

from pipelines.errors import Superseded
from pipelines.kafka import stopping
from pipelines.kafka.transaction import Job, drop, held, hold, holds
from pipelines.settings import Settings
from pipelines.transforms import Batch


class OneWriter(beam.PTransform):
    """Batches of envelopes through one key, so that one worker at a time gets all of them; what
    was committed before is left out. The job of this generation is held there.
    """

    def __init__(self, settings: Settings, schema_ids: Mapping[str, int], generation: int) -> None:
        super().__init__()
        self._writer = _OneWriter(settings, dict(schema_ids), generation)

    def expand(self, envelopes: beam.PCollection) -> beam.PCollection:
        return (
            envelopes
            | beam.Map(_keyed).with_output_types(tuple[int, Batch])
            | beam.ParDo(self._writer).with_output_types(Batch)
        )


def _keyed(batch: Batch) -> tuple[int, Batch]:
    return 0, batch


class _OneWriter(beam.DoFn):
    # A runner shuffles by key only what has state.
    STATE = ReadModifyWriteStateSpec("none", VarIntCoder())

    def __init__(self, settings: Settings, schema_ids: dict[str, int], generation: int) -> None:
        self._settings = settings
        self._schema_ids = schema_ids
        self._generation = generation

    def start_bundle(self) -> None:
        with _lock:
            group = self._settings.group
            # A bundle that was broken off has left decisions in memory that no one committed.
            if holds(group) and held(group).is_clean(self._generation):
                return
            drop(group)
            job = Job(self._settings, self._schema_ids)
            try:
                job.open_writer(self._generation)
            except Superseded:
                # Else the runner would try again for good.
                stopping.tell(self._settings, self._generation)
                raise
            hold(job)

    def process(
        self,
        element: tuple[int, Batch],
        state: Any = beam.DoFn.StateParam(STATE),  # noqa: B008 - Beam's way
    ) -> Iterable[Batch]:
        return (held(self._settings.group).take(element[1]),)


_lock = threading.Lock()
