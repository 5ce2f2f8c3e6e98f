"""What a job on Flink is sent with, and what is refused before anything is sent."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import grpc
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from pipelines.errors import Outage, UsageError
from pipelines.flink import Seen, cancel, check, options_of, watch
from pipelines.run import run
from pipelines.settings import Settings

ENDPOINT = "--job_endpoint=127.0.0.1:1"


def flags(*given: str) -> set[str]:
    """All that the job server gets, those included that Beam's Python does not know."""
    return set(options_of([ENDPOINT, *given])._flags)


def test_what_a_job_cannot_do_without():
    """Checkpoints, a bundle's end before each, restarts, and a name of its own are set unasked."""
    assert flags() >= {
        "--checkpointing_interval=2000",
        "--finish_bundle_before_checkpointing",
        "--number_of_execution_retries=1000000",
        "--streaming",
    }
    portable = options_of([ENDPOINT]).view_as(PortableOptions)
    assert (portable.environment_type, portable.job_endpoint) == ("EXTERNAL", "127.0.0.1:1")


def test_what_is_given_counts():
    """An option of the user's takes the place of ours."""
    assert "--parallelism=7" in flags("--parallelism=7")
    assert "--parallelism=2" not in flags("--parallelism=7")


@pytest.mark.parametrize(
    "option",
    [
        "--load_balance_bundles",
        "--load_balance_bundles=true",
        "--finish_bundle_before_checkpointing=false",
        "--checkpointing_interval=0",
        "--checkpointing_interval=-1",
        "--streaming=false",
    ],
)
def test_what_would_lose_or_double_is_refused(option):
    """The error names the option and says what it would do."""
    with pytest.raises(UsageError, match="is refused") as raised:
        options_of([ENDPOINT, option])
    assert option.split("=")[0] in str(raised.value)


def test_a_bounded_job():
    """A job over files gets what every job needs, a few retries, and nothing of streams."""
    bounded = set(options_of([ENDPOINT], bounded=True)._flags)
    assert bounded == {
        ENDPOINT,
        "--environment_type=EXTERNAL",
        "--environment_config=127.0.0.1:50000",
        "--execution_retry_delay=1000",
        "--number_of_execution_retries=3",
        "--parallelism=2",
        "--sdk_worker_parallelism=4",
        "--runner=PortableRunner",
        "--experiments=disable_logging_submission_environment",
    }
    with pytest.raises(UsageError, match="--streaming=true is refused"):
        options_of([ENDPOINT, "--streaming"], bounded=True)


def test_a_word_that_is_no_option():
    """A value apart from its option would be taken for one: it is refused."""
    with pytest.raises(UsageError, match="--name=value"):
        options_of([ENDPOINT, "--parallelism", "4"])


def test_nothing_there():
    """A job server that does not answer is an outage that says how to start one."""
    with pytest.raises(Outage, match="khabar up --flink"):
        check(PipelineOptions([ENDPOINT]))


JOBS = [
    ("a", "khabar-g-1", -1),
    ("b", "khabar-g-2", -1),
    ("c", "khabar-g-3", -1),
    ("d", "khabar-g-1", 17),
    ("e", "khabar-g-x-1", -1),
    ("f", "khabar-gg-1", -1),
    ("g", "other", -1),
]


class JobServer(beam_job_api_pb2_grpc.JobServiceServicer):
    """Knows JOBS, and notes which are cancelled."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    def GetJobs(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        states = beam_job_api_pb2.JobState
        return beam_job_api_pb2.GetJobsResponse(
            job_info=[
                beam_job_api_pb2.JobInfo(
                    job_id=jid, job_name=name, state=states.RUNNING if end < 0 else states.DONE
                )
                for jid, name, end in JOBS
            ]
        )

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802 - as above
        self.cancelled.append(request.job_id)
        return beam_job_api_pb2.CancelJobResponse()


@pytest.fixture
def job_server() -> Iterator[tuple[str, JobServer]]:
    server, jobs = grpc.server(ThreadPoolExecutor(1)), JobServer()
    beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(jobs, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", jobs
    server.stop(None)


def test_jobs_that_are_not_wanted_are_cancelled(job_server):
    """By the job server and in Flink: those of the group up to the generation that still run, and
    no others."""
    cancelled: list[str] = []

    class Flink(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            known = [{"jid": jid, "name": name, "end-time": end} for jid, name, end in JOBS]
            self.wfile.write(json.dumps({"jobs": known}).encode())

        def do_PATCH(self) -> None:
            cancelled.append(self.path)
            self.send_response(202)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Says nothing."""

    endpoint, jobs = job_server
    with HTTPServer(("127.0.0.1", 0), Flink) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cancel(endpoint, f"127.0.0.1:{server.server_port}", "g", 2)
        server.shutdown()
    assert jobs.cancelled == ["a", "b"]
    assert cancelled == ["/jobs/a?mode=cancel", "/jobs/b?mode=cancel"]


def test_flink_is_away(job_server):
    """The error names the address and the option; without one Flink is not asked."""
    endpoint, _ = job_server
    with pytest.raises(Outage, match=r"127\.0\.0\.1:1 .*--flink_master"):
        cancel(endpoint, "127.0.0.1:1", "g", 2)
    cancel(endpoint, "", "g", 2)


class Looked:
    """In place of a job and of its progress."""

    def __init__(self, state: str, *, told: bool, drained: bool, grown: bool) -> None:
        self.state = state
        self._told, self._drained, self._grown = told, drained, grown

    def counts(self) -> tuple[int, int]:
        return 7, 0

    def told(self) -> bool:
        return self._told

    def drained(self) -> bool:
        return self._drained

    def has_grown(self) -> bool:
        return self._grown


def looked_at(state: str = "RUNNING", told=False, drained=False, grown=False, caught_up=False):
    job: Any = Looked(state, told=told, drained=drained, grown=grown)
    return watch(job, job, lambda line: None, threading.Event(), until_caught_up=caught_up)


def test_why_a_job_is_no_longer_watched():
    """It has ended or done all that it was to do; one that failed is an outage, unless it was told
    to end, for then somebody has cancelled it."""
    assert looked_at("CANCELLED") is Seen.ENDED
    assert looked_at(told=True, drained=True) is Seen.ENDED
    assert looked_at(caught_up=True, drained=True) is Seen.ENDED
    assert looked_at("FAILED", told=True) is Seen.ENDED
    assert looked_at(grown=True) is Seen.GROWN
    with pytest.raises(Outage, match="failed"):
        looked_at("FAILED")


def listening(host: str) -> socket.socket:
    """Takes connections and answers nothing."""
    return socket.create_server((host, 0))


def test_workers_beside_a_job_server_that_is_here():
    """A pool that should be on this machine, as the job server is, is asked for."""
    with listening("127.0.0.1") as server:
        endpoint = f"--job_endpoint=127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(Outage, match="pool of workers"):
            check(options_of([endpoint, "--environment_config=localhost:1"]))


def test_workers_beside_task_managers_elsewhere(monkeypatch):
    """A loopback address means each task manager's own, where the job server is elsewhere."""
    monkeypatch.setattr("pipelines.flink._ANSWER_S", 0.2)
    name = socket.gethostname()
    with listening(socket.gethostbyname(name)) as server:
        endpoint = f"--job_endpoint={name}:{server.getsockname()[1]}"
        with pytest.raises(Outage, match=r"job server .* does not answer"):
            check(options_of([endpoint, "--environment_config=localhost:1"]))


def test_at_least_once_is_refused():
    """There is one way to deliver on Flink."""
    settings = Settings.of({"delivery": "at-least-once"})
    with pytest.raises(UsageError, match="exactly-once"):
        run(settings, beam_arguments=["--runner=FlinkRunner", ENDPOINT])


def test_metrics_are_refused():
    """There is no port for them on Flink: asked for one, the command says what to do."""
    settings = Settings.of({"metrics_port": 9464})
    with pytest.raises(UsageError, match=r"scaling\.md"):
        run(settings, beam_arguments=["--runner=FlinkRunner", ENDPOINT])
