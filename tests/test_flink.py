"""What a job on Flink is sent with, and what is refused before anything is sent."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.runners.runner import PipelineState

from pipelines.errors import Outage, UsageError
from pipelines.flink import check, end_in_flink, options_of, watch
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
    ],
)
def test_what_would_lose_or_double_is_refused(option):
    """The error names the option and says what it would do."""
    with pytest.raises(UsageError, match="is refused") as raised:
        options_of([ENDPOINT, option])
    assert option.split("=")[0] in str(raised.value)


def test_a_word_that_is_no_option():
    """A value apart from its option would be taken for one: it is refused."""
    with pytest.raises(UsageError, match="--name=value"):
        options_of([ENDPOINT, "--parallelism", "4"])


def test_nothing_there():
    """A job server that does not answer is an outage that says how to start one."""
    with pytest.raises(Outage, match="khabar up --flink"):
        check(PipelineOptions([ENDPOINT]))


def test_older_jobs_end_in_flink():
    """Those of the group up to the generation that still run, and no others."""
    jobs = [
        ("a", "khabar-g-1", -1),
        ("b", "khabar-g-2", -1),
        ("c", "khabar-g-3", -1),
        ("d", "khabar-g-1", 17),
        ("e", "khabar-g-x-1", -1),
        ("f", "khabar-gg-1", -1),
        ("g", "other", -1),
    ]
    cancelled: list[str] = []

    class Flink(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            known = [{"jid": jid, "name": name, "end-time": end} for jid, name, end in jobs]
            self.wfile.write(json.dumps({"jobs": known}).encode())

        def do_PATCH(self) -> None:
            cancelled.append(self.path)
            self.send_response(202)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Flink) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = options_of([ENDPOINT, f"--flink_master=127.0.0.1:{server.server_port}"])
        assert not end_in_flink(options, "g", 2)
        server.shutdown()
    assert cancelled == ["/jobs/a?mode=cancel", "/jobs/b?mode=cancel"]


def test_flink_away_or_not_named():
    """Older jobs stay, and that is said; without an address of Flink nothing is asked."""
    assert "127.0.0.1:1" in end_in_flink(
        options_of([ENDPOINT, "--flink_master=127.0.0.1:1"]), "g", 1
    )
    assert not end_in_flink(options_of([ENDPOINT]), "g", 1)


class Looked:
    """In place of a job and of its progress: all is committed, and the job is told to end at once
    or at the third look.
    """

    generation = 3
    state = PipelineState.RUNNING

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.cancelled = False

    def counts(self) -> tuple[int, int]:
        return 7, 0

    def told(self) -> bool:
        self.looks -= 1
        return self.looks < 0

    def drained(self) -> bool:
        return True

    def cancel(self) -> None:
        self.cancelled = True


@pytest.mark.parametrize(("looks", "ended"), [(0, [3]), (2, [2, 3])])
def test_what_a_watched_job_ends(monkeypatch, looks, ended):
    """Older jobs, once they had time to end by themselves; itself when all that it was to do is
    committed.
    """
    monkeypatch.setattr("pipelines.flink._LOOK_S", 0.01)
    monkeypatch.setattr("pipelines.flink._OLDER_S", 0.005)
    found: list[int] = []
    job: Any = Looked(looks)
    watch(job, job, lambda line: None, threading.Event(), found.append, until_caught_up=False)
    assert job.cancelled
    assert found == ended


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
