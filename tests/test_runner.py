"""The in-process runner: chosen explicitly, and with its leak closed."""

from __future__ import annotations

import gc
import threading
from types import GeneratorType
from typing import Any

import apache_beam as beam
import pytest
from apache_beam import coders
from apache_beam.io.unbounded_source import (
    CheckpointMark,
    ReadFromUnboundedSource,
    UnboundedReader,
    UnboundedSource,
)
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, fn_runner
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp

from pipelines.runner import in_process_pipeline, metrics_do_not_nest, quiet_beam

BUNDLES = 20


class _Mark(CheckpointMark):
    pass


class _Numbers(UnboundedSource):
    """BUNDLES numbers, each in a bundle of its own."""

    def split(self, desired_num_splits: int, options: Any = None) -> list[UnboundedSource]:
        return [self]

    def create_reader(self, options: Any, checkpoint_mark: Any) -> UnboundedReader:
        return _Reader()

    def get_checkpoint_mark_coder(self) -> coders.Coder:
        return coders.PickleCoder()


class _Reader(UnboundedReader):
    given = 0  # of all readers: a bundle may get a new one

    def __init__(self) -> None:
        self._current: int | None = None

    def start(self) -> bool:
        return self.advance()

    def advance(self) -> bool:
        ends_bundle = self._current is not None or _Reader.given == BUNDLES
        self._current = None if ends_bundle else _Reader.given
        _Reader.given += not ends_bundle
        return not ends_bundle

    def get_current(self) -> int:
        assert self._current is not None
        return self._current

    def get_current_timestamp(self) -> Timestamp:
        return Timestamp(0)

    def get_watermark(self) -> Timestamp:
        done = self._current is None and _Reader.given == BUNDLES
        return MAX_TIMESTAMP if done else MIN_TIMESTAMP

    def get_checkpoint_mark(self) -> CheckpointMark:
        return _Mark()


def generators_kept() -> int:
    """Runs BUNDLES bundles; returns how many undrained generators of metrics their result keeps."""
    quiet_beam()
    _Reader.given = 0
    pipeline = beam.Pipeline(FnApiRunner(), PipelineOptions([]))
    pipeline | "Read" >> ReadFromUnboundedSource(_Numbers(), poll_interval=0)
    result = pipeline.run()
    gc.collect()
    kept = [
        thing
        for thing in gc.get_objects()
        if isinstance(thing, GeneratorType) and thing.gi_code.co_name == "consolidate"
    ]
    assert _Reader.given == BUNDLES
    assert result is not None
    return len(kept)


def test_beam_still_nests_its_metrics():
    """Without our patch each bundle leaves a generator over the one before; with it, none does.

    When the first half fails, Beam no longer needs `metrics_do_not_nest`: remove it.
    """
    assert generators_kept() >= BUNDLES - 1
    with metrics_do_not_nest():
        assert generators_kept() == 0


def test_patch_ends_with_the_block():
    """Beam's own function is back in its place afterwards, after an error too."""
    lazy = fn_runner.consolidate_monitoring_infos
    with metrics_do_not_nest():
        assert fn_runner.consolidate_monitoring_infos is not lazy
    assert fn_runner.consolidate_monitoring_infos is lazy
    with pytest.raises(KeyError), metrics_do_not_nest():
        raise KeyError
    assert fn_runner.consolidate_monitoring_infos is lazy


def test_beam_still_times_steps():
    """Beam has a thread that samples what each bundle does, and the bundle's end waits for it; in
    our pipelines it does not run.

    When the first half fails, Beam no longer needs `steps_are_not_timed`: remove it.
    """
    sampled: list[int] = []
    _seen["here"] = sampled
    with beam.Pipeline(FnApiRunner(), PipelineOptions([])) as pipeline:
        pipeline | beam.Create([1]) | beam.Map(lambda _: _note(samplers()))
    with in_process_pipeline() as pipeline:
        pipeline | beam.Create([1]) | beam.Map(lambda _: _note(samplers()))
    assert sampled == [1, 0]


def samplers() -> int:
    """How many of Beam's samplers run in this process."""
    targets = [getattr(thread, "_target", None) for thread in threading.enumerate()]
    return [getattr(target, "__qualname__", "") for target in targets].count("StateSampler.run")


def test_pipeline_runs_in_this_process():
    """The pipeline has run to its end, in this very process, when the block is left."""
    seen: list[int] = []
    _seen["here"] = seen
    with in_process_pipeline() as pipeline:
        assert type(pipeline.runner) is FnApiRunner
        pipeline | beam.Create([1, 2, 3]) | beam.Map(lambda number: _note(number))
    assert sorted(seen) == [1, 2, 3]


def test_error_in_a_step_leaves_the_block():
    """What a step raises ends the pipeline, with its message."""

    def fail(number: int) -> int:
        raise ValueError(f"number {number} is bad")

    with pytest.raises(Exception, match="number 1 is bad"), in_process_pipeline() as pipeline:
        pipeline | beam.Create([1]) | beam.Map(fail)


# Steps are pickled; what they share with a test waits here.
_seen: dict[str, list[int]] = {}


def _note(number: int) -> None:
    _seen["here"].append(number)
