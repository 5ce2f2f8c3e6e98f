"""A pool of Beam's workers, for task managers of Flink to start theirs from. Each is forked from a
process that has loaded everything (`loaded`), so it starts at once, and shares what it only reads.

    python -m pipelines.pool HOST:PORT
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.runners.worker.sdk_worker import SdkHarness

from pipelines.runner import steps_are_not_timed

# Seconds that a worker may take to end; its bundle is broken off, and the job does it again.
_END_S = 10.0

_forks = get_context("forkserver")


class _Pool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):  # type: ignore[misc] # no types
    """Beam's protocol: the runner names workers, and where they get their work."""

    def __init__(self) -> None:
        self._workers: dict[str, Any] = {}

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        place = request.control_endpoint.url, request.worker_id
        worker = _forks.Process(target=_work, args=place, daemon=True)
        worker.start()
        self._workers[request.worker_id] = worker
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        worker = self._workers.pop(request.worker_id, None)
        if worker is not None and worker.is_alive():
            worker.terminate()
            worker.join(_END_S)
            worker.kill()
        return beam_fn_api_pb2.StopWorkerResponse()


def _work(control: str, worker_id: str) -> None:
    threading.Thread(target=_end_with_pool, daemon=True).start()
    # What a bundle gives need not be sent before its end: the runner passes it on then.
    harness = SdkHarness(
        control, worker_id=worker_id, state_cache_size=0, data_buffer_time_limit_ms=-1
    )
    with steps_are_not_timed():
        harness.run()


def _end_with_pool() -> None:
    pool = parent_process()
    assert pool is not None
    wait([pool.sentinel])
    os._exit(1)


def _check() -> None:
    sys.exit("pipelines.loaded" not in sys.modules)


def main(address: str) -> None:
    """Serves until it is ended; nobody is answered before all is loaded."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    _forks.set_forkserver_preload(["pipelines.loaded"])
    first = _forks.Process(target=_check)
    first.start()
    first.join()
    if first.exitcode:
        sys.exit("What workers need cannot be loaded: python -m pipelines.loaded says why.")
    # Two pools at one address would share the calls, and neither know the other's workers.
    server = grpc.server(ThreadPoolExecutor(max_workers=16), options=[("grpc.so_reuseport", 0)])
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(_Pool(), server)
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Say where to listen: python -m pipelines.pool HOST:PORT")
    main(sys.argv[1])
