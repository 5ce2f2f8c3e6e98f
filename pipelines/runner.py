"""The in-process Beam runner, chosen explicitly, with its one leak closed, and bundles of its and
of other runners' workers that end at once.

Beam's DirectRunner first looks for Prism, over the network when it can, and ends every job after
300 s there; the in-process FnApiRunner is what "on one machine" means here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pipeline import Pipeline
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, fn_runner
from apache_beam.runners.worker import statesampler


@contextmanager
def in_process_pipeline(options: PipelineOptions | None = None) -> Iterator[Pipeline]:
    """A pipeline that runs to its end, in this process, when the block is left."""
    quiet_beam()
    with (
        metrics_do_not_nest(),
        steps_are_not_timed(),
        Pipeline(FnApiRunner(), options or PipelineOptions([])) as pipeline,
    ):
        yield pipeline


@contextmanager
def metrics_do_not_nest() -> Iterator[None]:
    """Keeps the runner's metrics flat: about 40 KB a bundle are lost without it.

    Each bundle's metrics are merged by a generator over the generator of the bundle before, and
    none is ever drained. A list in their place ends the chain. `tests/test_runner.py` fails when
    Beam no longer needs this.
    """
    lazy = fn_runner.consolidate_monitoring_infos

    def drained(*args: Any, **kwargs: Any) -> list[Any]:
        return list(lazy(*args, **kwargs))

    fn_runner.consolidate_monitoring_infos = drained
    try:
        yield
    finally:
        fn_runner.consolidate_monitoring_infos = lazy


class _Untimed(statesampler.StateSampler):  # type: ignore[misc] # Beam's are untyped
    def start(self) -> None:
        self.tracked_thread = threading.current_thread()
        statesampler.set_current_tracker(self)
        self.started = True

    def stop(self) -> None:
        statesampler.set_current_tracker(None)
        self.finished = True


@contextmanager
def steps_are_not_timed() -> Iterator[None]:
    """Has workers of this process not sample which step they are in, as Beam without its compiled
    modules does not.

    The sampler is a thread for each bundle, and the bundle's end waits until it wakes up: it sleeps
    for a fifth of the time that the bundle has taken so far, up to 200 ms. Nobody reads its times.
    """
    timed = statesampler.StateSampler
    statesampler.StateSampler = _Untimed
    try:
        yield
    finally:
        statesampler.StateSampler = timed


def quiet_beam() -> None:
    """Beam repeats every error at several levels with its internals; ours are told once."""
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
