"""`khabar run` where one machine is not enough: the graph as a job on Flink, by Beam's portable
runner. Workers share what needs no other article; one writer decides and commits.
"""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.request import Request, urlopen

import grpc
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

RUNNERS = ("FlinkRunner", "PortableRunner")
# Milliseconds between two checkpoints: a job that fails begins again at the last one.
CHECKPOINT_MS = 2_000
# Milliseconds after which a bundle, which is a transaction, ends.
_BUNDLE_MS = 100
# What a job is run with unless told otherwise. Without a bundle's end before each checkpoint a job
# reads nothing; without restarts it ends at the first broker that is slow.
_DEFAULTS: Mapping[str, str] = {
    "environment_type": "EXTERNAL",
    "environment_config": "127.0.0.1:50000",
    "checkpointing_interval": str(CHECKPOINT_MS),
    "finish_bundle_before_checkpointing": "true",
    "max_bundle_time_mills": str(_BUNDLE_MS),
    "number_of_execution_retries": "1000000",
    "execution_retry_delay": "1000",
    "parallelism": "2",
    # Processes of each pool: Python has the stages of one process take turns.
    "sdk_worker_parallelism": "2",
    # Else it lists what is installed here, by pip, which an image may be without.
    "experiments": "disable_logging_submission_environment",
}
# What would lose articles or decide them twice, and why.
_REFUSED: Mapping[str, tuple[Callable[[str], bool], str]] = {
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
}
# Seconds between two looks at a job, and between two lines of progress.
_LOOK_S, _LINE_S = 0.5, 5.0
# Seconds that the job server may take for an answer.
_ANSWER_S = 20.0
# Seconds that older jobs have to end by themselves once a new one is sent.
_OLDER_S = 30.0
_ENDED = (PipelineState.DONE, PipelineState.CANCELLED, PipelineState.DRAINED)


def job_name(group: str, generation: int) -> str:
    """The name of a group's job of this generation."""
    return f"khabar-{group}-{generation}"


def _generation(name: str, group: str) -> int | None:
    found = re.fullmatch(rf"khabar-{re.escape(group)}-(\d+)", name)
    return int(found[1]) if found else None


def options_of(arguments: Sequence[str]) -> PipelineOptions:
    """Beam's options for a job: what is given, and what it cannot do without.

    Raises UsageError for what is refused or missing.
    """
    given: dict[str, str] = {}
    for argument in arguments:
        if not argument.startswith("--"):
            raise UsageError(f"{argument!r} is no option: write Beam's as --name=value.")
        name, _, value = argument.removeprefix("--").partition("=")
        given[name] = value or "true"
    for name, (refused, why) in _REFUSED.items():
        if name in given and refused(given[name]):
            raise UsageError(f"--{name}={given[name]} is refused: {why}. Leave it out.")
    if "job_endpoint" not in given:
        raise UsageError(
            "A job on Flink needs --job_endpoint=HOST:PORT, that of Beam's job server. "
            "`khabar up --flink` starts one on this machine and prints what to type."
        )
    wanted = {**_DEFAULTS, **given, "runner": "PortableRunner"}
    # A flag of Beam's takes no value; those that only the job server knows do.
    flags = [
        f"--{name}" if value == "true" else f"--{name}={value}"
        for name, value in wanted.items()
        if value != "false"
    ]
    return PipelineOptions([*flags, "--streaming"])


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
    the one that this job writes. Up to `ends`, or without end.
    """
    options.view_as(GoogleCloudOptions).job_name = job_name(job.settings.group, job.generation)
    pipeline = Pipeline(options=options)
    raw = pipeline | "Read" >> ReadPartitions(job.settings, job.starts, job.generation, ends)
    writer = OneWriter(job.settings, schema_ids, job.generation)
    messages = build_shared(raw, plan, writer)
    messages | "Write" >> Write(job.settings.group)
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    try:
        return pipeline.run()
    except Exception as error:
        raise Outage(
            f"The job server did not take the job ({_last_line(error)}). Its own log says more; "
            "the next try goes on at the last commit."
        ) from error


def watch(
    result: PipelineResult,
    progress: Progress,
    say: Callable[[str], None],
    stop: threading.Event,
    end: Callable[[int], None],
    *,
    until_caught_up: bool,
) -> None:
    """Looks at the job until it ends, and cancels it when it was told to end and has committed
    everything, or with `until_caught_up` is there; returns before that when `stop` is set. `end`
    gets the generation up to which jobs are no longer wanted.

    Raises Outage when the job has failed.
    """
    told, (before, _), at = time.monotonic(), progress.counts(), time.monotonic()
    older: float | None = at + _OLDER_S
    while not stop.is_set():
        if older is not None and time.monotonic() >= older:
            end(progress.generation - 1)
            older = None
        try:
            state = result.state
        except grpc.RpcError as error:
            raise Outage(
                f"Beam's job server no longer answers ({error.code().name}). If Flink lives on, so "
                "does the job; else send it again, and it goes on at the last commit."
            ) from None
        if state in _ENDED:
            end(progress.generation)
            say("the job has ended")
            return
        if state == PipelineState.FAILED:
            raise Outage("The job has failed, see Flink's log. Send it again to go on.")
        if (until_caught_up or progress.told()) and progress.drained():
            result.cancel()
            end(progress.generation)
            say(f"the job has ended: committed up to {progress.counts()[0]}")
            return
        if time.monotonic() - told >= _LINE_S:
            (done, left), now = progress.counts(), time.monotonic()
            say(f"in {done}, lag {left}, {(done - before) / (now - at):.0f}/s")
            told, before, at = now, done, now
        stop.wait(_LOOK_S)
    say("the job goes on without this command: `khabar stop` ends it")


def end_in_flink(options: PipelineOptions, group: str, generation: int) -> str:
    """Cancels the group's jobs up to this generation in the Flink of --flink_master, if that is
    given; returns why it could not. The job server is not enough: it lets go of a job on a cluster
    that it cancels, and of every job when it is started again, and they keep their slots.
    """
    master = options.view_as(FlinkRunnerOptions).flink_master
    if master.startswith("["):
        return ""
    url = master if "://" in master else f"http://{master}"
    try:
        with urlopen(f"{url}/jobs/overview", timeout=_ANSWER_S) as answer:
            jobs = json.load(answer)["jobs"]
        for job in jobs:
            found = _generation(job["name"], group)
            if job["end-time"] < 0 and found is not None and found <= generation:
                request = Request(f"{url}/jobs/{job['jid']}?mode=cancel", method="PATCH")
                urlopen(request, timeout=_ANSWER_S).close()
    except (OSError, ValueError, KeyError) as error:
        return f"Flink at {master} did not end older jobs ({error}): the next run tries it again"
    return ""


def cancel(job_endpoint: str, group: str) -> None:
    """Cancels the jobs of this group that the job server knows to run.

    Raises Outage when it does not answer.
    """
    with grpc.insecure_channel(job_endpoint) as channel:
        server = beam_job_api_pb2_grpc.JobServiceStub(channel)
        try:
            jobs = server.GetJobs(beam_job_api_pb2.GetJobsRequest(), timeout=_ANSWER_S).job_info
            for job in jobs:
                running = job.state == beam_job_api_pb2.JobState.RUNNING
                if running and _generation(job.job_name, group) is not None:
                    request = beam_job_api_pb2.CancelJobRequest(job_id=job.job_id)
                    server.Cancel(request, timeout=_ANSWER_S)
        except grpc.RpcError as error:
            raise _silent(job_endpoint, error) from None


def _last_line(error: Exception) -> str:
    lines: list[Any] = [line for line in str(error).splitlines() if line.strip()]
    return str(lines[-1].strip()) if lines else type(error).__name__
