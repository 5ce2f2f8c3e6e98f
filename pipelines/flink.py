"""Where one machine is not enough: the graph as a job on Flink, by Beam's portable runner. For
`khabar run` workers share what needs no other article, and one writer decides and commits.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from typing import Any

import grpc
import requests  # noqa: TID251 - Flink's REST
from apache_beam import Pipeline
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
)
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
from apache_beam.runners.runner import PipelineResult, PipelineState

from pipelines.errors import Outage, UsageError
from pipelines.graph import Plan, build_shared
from pipelines.kafka.partitions import ReadPartitions
from pipelines.kafka.sink import Write
from pipelines.kafka.stopping import Progress
from pipelines.kafka.transaction import Job
from pipelines.kafka.writer import OneWriter
from pipelines.runner import quiet_beam

RUNNERS = ("FlinkRunner", "PortableRunner")
# Milliseconds between two checkpoints: a job that fails begins again at the last one.
CHECKPOINT_MS = 2_000
# Milliseconds after which a bundle ends, which is a transaction. What has come while one was
# committed is in the next, so that under load they are longer.
_BUNDLE_MS = 50
# What a job is run with unless told otherwise.
_OF_EVERY: Mapping[str, str] = {
    "environment_type": "EXTERNAL",
    "environment_config": "127.0.0.1:50000",
    "execution_retry_delay": "1000",
    "parallelism": "2",
    # Processes of each pool: Python has the stages of one process take turns.
    "sdk_worker_parallelism": "4",
    # Else it lists what is installed here, by pip, which an image may be without.
    "experiments": "disable_logging_submission_environment",
}
# Without a bundle's end before each checkpoint a job reads nothing; without restarts it ends at the
# first broker that is slow.
_OF_STREAMS: Mapping[str, str] = {
    "streaming": "true",
    "checkpointing_interval": str(CHECKPOINT_MS),
    "finish_bundle_before_checkpointing": "true",
    "max_bundle_time_mills": str(_BUNDLE_MS),
    "number_of_execution_retries": "1000000",
}
# A worker that is killed is replaced; what fails each time is a bug, and is told.
_OF_BOUNDED: Mapping[str, str] = {"number_of_execution_retries": "3"}
# What would lose articles or decide them twice, and why.
_Refused = Mapping[str, tuple[Callable[[str], bool], str]]
_REFUSED: _Refused = {
    "load_balance_bundles": (
        lambda value: value.lower() != "false",
        "the index would have two lives, and one story would be new twice",
    ),
    "finish_bundle_before_checkpointing": (
        lambda value: value.lower() == "false",
        "without it the job reads nothing",
    ),
    "checkpointing_interval": (
        lambda value: not value.isdecimal() or not int(value),
        "without checkpoints a job that fails begins again where it was sent",
    ),
    "streaming": (lambda value: value.lower() == "false", "a job over topics has no end"),
}
_REFUSED_BOUNDED: _Refused = {
    "streaming": (lambda value: value.lower() != "false", "a job over files has an end"),
}
# Seconds between two looks at a job, and between two lines of progress.
_LOOK_S, _LINE_S = 0.5, 5.0
# Seconds that the job server may take for an answer.
_ANSWER_S = 20.0
_ENDED = (PipelineState.DONE, PipelineState.CANCELLED, PipelineState.DRAINED)


def job_name(group: str, generation: int) -> str:
    """The name of a group's job of this generation."""
    return f"khabar-{group}-{generation}"


def options_of(arguments: Sequence[str], *, bounded: bool = False) -> PipelineOptions:
    """Beam's options for a job: what is given, and what it cannot do without. A `bounded` one has
    an end and no checkpoints.

    Raises UsageError for what is refused or missing.
    """
    given: dict[str, str] = {}
    for argument in arguments:
        if not argument.startswith("--"):
            raise UsageError(f"{argument!r} is no option: write Beam's as --name=value.")
        name, _, value = argument.removeprefix("--").partition("=")
        given[name] = value or "true"
    for name, (refused, why) in (_REFUSED_BOUNDED if bounded else _REFUSED).items():
        if name in given and refused(given[name]):
            raise UsageError(f"--{name}={given[name]} is refused: {why}. Leave it out.")
    if "job_endpoint" not in given:
        raise UsageError(
            "A job on Flink needs --job_endpoint=HOST:PORT, that of Beam's job server. "
            "`khabar up --flink` starts one on this machine and prints what to type."
        )
    defaults = {**_OF_EVERY, **(_OF_BOUNDED if bounded else _OF_STREAMS)}
    wanted = {**defaults, **given, "runner": "PortableRunner"}
    # A flag of Beam's takes no value; those that only the job server knows do.
    flags = [
        f"--{name}" if value == "true" else f"--{name}={value}"
        for name, value in wanted.items()
        if value != "false"
    ]
    return PipelineOptions(flags)


def check(options: PipelineOptions) -> None:
    """Raises Outage when nothing listens at the job server's or the workers' address, as far as
    that can be seen from here, UsageError for an option that neither Beam nor the job server has.
    """
    portable = options.view_as(PortableOptions)
    workers = portable.environment_config
    if _is_loopback(workers) and not _is_loopback(portable.job_endpoint):
        workers = None  # those beside each task manager, which is on another machine
    for what, address, hint in (
        ("Beam's job server", portable.job_endpoint, "--job_endpoint"),
        ("its store of artifacts", portable.artifact_endpoint, "--artifact_endpoint"),
        ("the pool of workers", workers, "--environment_config"),
    ):
        if not address:  # the job server itself says where its artifacts go
            continue
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except (OSError, ValueError) as error:
            raise Outage(
                f"Nothing answers at {address}, where {what} should be ({error}). Start it, or "
                f"give its address with {hint}. `khabar up --flink` starts all of it here."
            ) from None
    _refuse_unknown(options, portable.job_endpoint)


def _is_loopback(address: str | None) -> bool:
    host = (address or "").rpartition(":")[0]
    return host in ("localhost", "[::1]") or host.startswith("127.")


def _refuse_unknown(options: PipelineOptions, job_endpoint: str) -> None:
    known = options.get_all_options(display_warnings=False).keys()
    every = options.get_all_options(retain_unknown_options=True, display_warnings=False).keys()
    with grpc.insecure_channel(job_endpoint) as channel:
        server = beam_job_api_pb2_grpc.JobServiceStub(channel)
        request = beam_job_api_pb2.DescribePipelineOptionsRequest()
        try:
            described = server.DescribePipelineOptions(request, timeout=_ANSWER_S).options
        except grpc.RpcError as error:
            raise _silent(job_endpoint, error) from None
    unknown = every - known - {option.name for option in described}
    if unknown:
        names = ", ".join(f"--{name}" for name in sorted(unknown))
        raise UsageError(
            f"Neither Khabar, Beam nor its job server has an option {names}. docs/scaling.md lists "
            "those that matter."
        )


def _silent(job_endpoint: str, error: grpc.RpcError) -> Outage:
    return Outage(
        f"Beam's job server at {job_endpoint} does not answer ({error.code().name}). Is it what "
        "listens there?"
    )


def submit(
    job: Job,
    plan: Plan,
    schema_ids: Mapping[str, int],
    options: PipelineOptions,
    ends: Mapping[int, int] | None,
) -> PipelineResult:
    """Sends the job, which goes on where `job`, opened and closed again, stood: its generation is
    the one that this job writes. Up to `ends`, or without end. An older one, whose writer is fenced
    by now, makes room for it.

    Raises Outage when the job server or Flink does not take it.
    """
    group, generation = job.settings.group, job.generation
    end(options, group, generation - 1)
    pipeline = pipeline_of(options, job_name(group, generation))
    workers = max(1, options.view_as(FlinkRunnerOptions).parallelism)
    raw = pipeline | "Read" >> ReadPartitions(
        job.settings, job.starts, job.generation, ends, workers
    )
    writer = OneWriter(job.settings, schema_ids, job.generation)
    messages = build_shared(raw, plan, writer)
    messages | "Write" >> Write(job.settings.group)
    return send(pipeline, "The next try goes on at the last commit.")


def pipeline_of(options: PipelineOptions, name: str) -> Pipeline:
    """A pipeline that becomes a job of this name."""
    options.view_as(GoogleCloudOptions).job_name = name
    return Pipeline(options=options)


def send(pipeline: Pipeline, again: str) -> PipelineResult:
    """Sends what the pipeline's options say whereto. Raises Outage when the job server does not
    take it; `again` is the sentence that says what a next try finds.
    """
    quiet_beam()
    try:
        return pipeline.run()
    except Exception as error:
        raise Outage(
            f"The job server did not take the job ({_last_line(error)}). Its own log says more. "
            f"{again}"
        ) from error


def await_end(result: PipelineResult, look: Callable[[], None], again: str) -> None:
    """Returns when a bounded job is done, and calls `look` now and then until it is. Whoever breaks
    this off (Ctrl-C) ends the job.

    Raises Outage when it has failed, was cancelled or is lost; `again` as for `send`.
    """
    try:
        while (state := result.state) != PipelineState.DONE:
            if state in (*_ENDED, PipelineState.FAILED):
                raise Outage(f"The job has ended as {state}, see Flink's log. {again}")
            look()
            time.sleep(_LOOK_S)
    except grpc.RpcError as error:
        raise Outage(
            f"Beam's job server no longer answers ({error.code().name}). {again}"
        ) from None
    except KeyboardInterrupt:
        with suppress(grpc.RpcError):
            result.cancel()
        raise


class Seen(Enum):
    """Why `watch` has returned."""

    ENDED = "the job has ended, or has done all that it was to do"
    LEFT = "the job goes on, and nobody looks at it any more"
    GROWN = "the job goes on, and the topic has partitions that it does not read"


def watch(
    result: PipelineResult,
    progress: Progress,
    say: Callable[[str], None],
    stop: threading.Event,
    *,
    until_caught_up: bool,
) -> Seen:
    """Looks at the job until it has ended, until it was told to end, or with `until_caught_up` is
    there, and has committed everything, until its topic grows, or until `stop` is set.

    Raises Outage when the job has failed.
    """
    told, (before, _), at = time.monotonic(), progress.counts(), time.monotonic()
    while not stop.is_set():
        try:
            state = result.state
        except grpc.RpcError as error:
            raise Outage(
                f"Beam's job server no longer answers ({error.code().name}). If Flink lives on, so "
                "does the job; else send it again, and it goes on at the last commit."
            ) from None
        # Beam calls a job failed that was cancelled in Flink itself, for a later one.
        if state in _ENDED or (state == PipelineState.FAILED and progress.told()):
            say("the job has ended")
            return Seen.ENDED
        if state == PipelineState.FAILED:
            raise Outage("The job has failed, see Flink's log. Send it again to go on.")
        if (until_caught_up or progress.told()) and progress.drained():
            say(f"the job has ended: committed up to {progress.counts()[0]}")
            return Seen.ENDED
        if not until_caught_up and progress.has_grown():
            return Seen.GROWN
        if time.monotonic() - told >= _LINE_S:
            (done, left), now = progress.counts(), time.monotonic()
            say(f"in {done}, lag {left}, {(done - before) / (now - at):.0f}/s")
            told, before, at = now, done, now
        stop.wait(_LOOK_S)
    say("the job goes on without this command: `khabar stop` ends it")
    return Seen.LEFT


def end(options: PipelineOptions, group: str, generation: int) -> None:
    """`cancel`, by the addresses that a job's options give."""
    endpoint = options.view_as(PortableOptions).job_endpoint
    master = options.view_as(FlinkRunnerOptions).flink_master
    cancel(endpoint, "" if master.startswith("[") else master, group, generation)


def cancel(job_endpoint: str, flink_master: str, group: str, generation: int) -> None:
    """Cancels the group's jobs up to this generation, by the job server, and with the address of
    Flink's REST in Flink itself. The job server is not enough for a cluster: it lets go of a job
    that it cancels, and of every job when it is started again, and they keep their slots.

    Raises Outage when one of the two does not answer.
    """

    def is_meant(name: str) -> bool:
        found = re.fullmatch(rf"khabar-{re.escape(group)}-(\d+)", name)
        return found is not None and int(found[1]) <= generation

    with grpc.insecure_channel(job_endpoint) as channel:
        server = beam_job_api_pb2_grpc.JobServiceStub(channel)
        try:
            jobs = server.GetJobs(beam_job_api_pb2.GetJobsRequest(), timeout=_ANSWER_S).job_info
            for job in jobs:
                if job.state == beam_job_api_pb2.JobState.RUNNING and is_meant(job.job_name):
                    request = beam_job_api_pb2.CancelJobRequest(job_id=job.job_id)
                    server.Cancel(request, timeout=_ANSWER_S)
        except grpc.RpcError as error:
            raise _silent(job_endpoint, error) from None
    if flink_master:
        _cancel_in_flink(flink_master, is_meant)


def _cancel_in_flink(flink_master: str, is_meant: Callable[[str], bool]) -> None:
    url = flink_master if "://" in flink_master else f"http://{flink_master}"
    with requests.Session() as session:
        session.trust_env = False  # a proxy is for what lies outside, and Flink does not
        try:
            overview = session.get(f"{url}/jobs/overview", timeout=_ANSWER_S)
            overview.raise_for_status()
            for job in overview.json()["jobs"]:
                if is_meant(job["name"]) and job["end-time"] < 0:
                    session.patch(f"{url}/jobs/{job['jid']}?mode=cancel", timeout=_ANSWER_S)
        except (requests.RequestException, ValueError, KeyError) as error:
            raise Outage(
                f"Flink's REST does not answer at {flink_master} ({type(error).__name__}). Give "
                "the job manager's HOST:PORT with --flink_master, or leave that out."
            ) from None


def _last_line(error: Exception) -> str:
    lines: list[Any] = [line for line in str(error).splitlines() if line.strip()]
    return str(lines[-1].strip()) if lines else type(error).__name__
