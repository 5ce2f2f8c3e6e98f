"""The pool that task managers start workers from; tests/kafka/test_flink.py has jobs on it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import psutil
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

from pipelines.local.processes import free_port

pytestmark = pytest.mark.slow


class Pool:
    def __init__(self, process: subprocess.Popen[bytes], address: str, runner: str) -> None:
        self.process = process
        self._runner = runner
        self._pool = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(
            grpc.insecure_channel(address)
        )

    def start(self, name: str) -> None:
        request = beam_fn_api_pb2.StartWorkerRequest(worker_id=name)
        request.control_endpoint.url = self._runner
        answer = self._pool.StartWorker(request, wait_for_ready=True, timeout=60)
        assert not answer.error

    def stop(self, name: str) -> None:
        request = beam_fn_api_pb2.StopWorkerRequest(worker_id=name)
        assert not self._pool.StopWorker(request, timeout=60).error

    def workers(self) -> list[psutil.Process]:
        helpers = psutil.Process(self.process.pid).children()
        return [worker for helper in helpers for worker in helper.children()]


@contextmanager
def silent_runner() -> Iterator[str]:
    """An address that takes connections and says nothing: whoever works for it waits."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def pool() -> Iterator[Pool]:
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen([sys.executable, "-m", "pipelines.pool", address])
    try:
        with silent_runner() as runner:
            yield Pool(process, address, runner)
    finally:
        process.kill()
        process.wait()


def test_workers_come_and_go(pool: Pool) -> None:
    """A worker is a process of its own, runs until it is stopped, and no other one ends with it.
    They share what the pool has loaded."""
    pool.start("a")
    pool.start("b")
    first, second = sorted(pool.workers(), key=lambda worker: worker.create_time())
    memory = first.memory_full_info()
    assert memory.rss > 150_000_000 > 2 * memory.uss
    pool.stop("a")
    assert not first.is_running()
    assert second.is_running()
    pool.stop("never was")


def test_a_killed_pool(pool: Pool) -> None:
    """kill -9 of the pool ends its workers: nobody could stop them any more."""
    pool.start("a")
    (worker,) = pool.workers()
    pool.process.kill()
    # One that gets no answer from its runner ends by itself, after 60 s.
    _, alive = psutil.wait_procs([worker], timeout=10)
    assert not alive
