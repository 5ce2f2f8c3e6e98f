"""`khabar run`: wait for Kafka and the registry, take over the group, run the graph until told to
stop. What the exit codes and guarantees of the command rest on is in `kafka/transaction.py`.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions

from pipelines import flink, schemas
from pipelines.errors import Outage, Stopped, UsageError
from pipelines.graph import Plan, build
from pipelines.health import Health
from pipelines.kafka import stopping, topics
from pipelines.kafka.registry import Incompatible, Registry
from pipelines.kafka.sink import Write
from pipelines.kafka.source import Read
from pipelines.kafka.transaction import Job, hold
from pipelines.logs import Line, Say, warning
from pipelines.outlets import outlet_zones
from pipelines.process import prepare
from pipelines.runner import in_process_pipeline
from pipelines.settings import Settings
from pipelines.stages.encode import Topics
from pipelines.stages.entities import entities_version
from pipelines.stages.index import STORY_BYTES

# Seconds that Kafka and the registry may take to appear at start.
WAIT_S = 60.0
# Seconds between two lines of progress.
LINE_S = 5.0
# Seconds for which a schema that the registry does not have is not asked for again.
_MISSING_S = 5.0
# Kinds whose values are Avro in the registry; dead letters are the original bytes.
REGISTERED = (
    schemas.RAW,
    schemas.ARTICLES,
    schemas.DUPLICATES,
    schemas.ENTITIES,
    schemas.INDEX,
)

# What means the in-process runner.
_RUNNERS = (None, "DirectRunner", "FnApiRunner", "BundleBasedDirectRunner")


def run(
    settings: Settings,
    *,
    until_caught_up: bool = False,
    say: Say = print,
    beam_arguments: Sequence[str] = (),
    started: Callable[[Job], None] = lambda job: None,
    stop: threading.Event | None = None,
) -> None:
    """Runs until `stop` is set, until caught up, or until another instance takes over.

    `started` gets the job when reading begins. Raises Outage, UsageError or Superseded; nothing is
    committed then that was not committed before.
    """
    if _runner(beam_arguments) in flink.RUNNERS:
        _run_shared(settings, beam_arguments, say, stop or threading.Event(), until_caught_up)
        return
    options = _beam_options(beam_arguments)
    zones = outlet_zones(settings)
    health = Health()
    with _served(settings, health, say):
        health.starting("loading tables and models")
        prepare(settings.ner, say)
        stop = stop or threading.Event()
        try:
            ids = ready(settings, say, stop, health)
        except Stopped:
            say("stopped before anything was read")
            return
        job = Job(settings, ids, until_caught_up=until_caught_up, warn=warning(say), stop=stop)
        try:
            health.starting(f"restoring the index from {settings.topic(schemas.INDEX)}")
            job.open()
            say(_reading(job))
            health.reading(job)
            _run_opened(job, ids, zones, options, say, started)
        except Stopped:
            say("stopped before anything was read")
        finally:
            job.close()


def _served(settings: Settings, health: Health, say: Say) -> AbstractContextManager[None]:
    if not settings.metrics_port:
        return nullcontext()
    from pipelines.serve import served  # what serves is loaded by those who ask for it

    return served(settings, health, say)


def _reading(job: Job) -> Line:
    settings, stories, held = job.settings, len(job.index), job.index.memory_bytes()
    return Line(
        f"reading {settings.topic(schemas.RAW)} as group {settings.group}, generation "
        f"{job.generation}, {settings.delivery}; {stories} stories in the window, "
        f"{held / 1e6:.1f} MB of at most "
        f"{settings.max_stories * STORY_BYTES / 1e6:,.0f} MB (--max-stories)",
        group=settings.group,
        generation=job.generation,
        delivery=settings.delivery,
        stories=stories,
        index_bytes=held,
    )


def _beam_options(arguments: Sequence[str]) -> PipelineOptions:
    """Beam's options out of what Khabar does not know.

    Raises UsageError for an option that Beam does not know either, and for a runner that the
    guarantees were not proved on.
    """
    options = PipelineOptions(list(arguments))
    known = options.get_all_options(display_warnings=False)
    every = options.get_all_options(retain_unknown_options=True)
    unknown = [f"--{name.replace('_', '-')}" for name in every.keys() - known.keys()]
    unknown += [
        word
        for before, word in zip(("", *arguments), arguments, strict=False)
        if not word.startswith("-") and (not before.startswith("--") or "=" in before)
    ]
    if unknown:
        raise UsageError(
            f"Neither Khabar nor Beam has an option {', '.join(sorted(unknown))}. "
            "`khabar run --help` lists ours."
        )
    runner = options.view_as(StandardOptions).runner
    if runner not in _RUNNERS:
        raise UsageError(
            f"--runner={runner} is not supported: its guarantees were not proved. Leave --runner "
            "out, or give FlinkRunner."
        )
    if options.view_as(DirectOptions).direct_num_workers != 1:
        raise UsageError("--direct_num_workers must be 1: with more the runner loses articles.")
    return options


def _run_opened(
    job: Job,
    ids: Mapping[str, int],
    zones: Mapping[str, str],
    options: PipelineOptions,
    say: Say,
    started: Callable[[Job], None],
) -> None:
    settings = job.settings
    hold(job)
    plan = _plan(job, ids, zones)
    # What was made so far lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    with _lines(job, say):
        started(job)
        try:
            with in_process_pipeline(options) as pipeline:
                raw = pipeline | "Read" >> Read(settings.group)
                build(raw, plan) | "Write" >> Write(settings.group)
        except Exception:
            # Beam wraps what a stage raises; the job knows what it was.
            if job.failure is not None:
                raise job.failure from None
            raise


def _plan(job: Job, ids: Mapping[str, int], zones: Mapping[str, str]) -> Plan:
    settings = job.settings
    return Plan(
        settings.group,
        Topics(settings.topic_prefix, ids, job.generation, entities_version(settings.ner)),
        Lookup(settings.registry_url),
        settings.max_message_bytes,
        settings.ner,
        zones,
    )


def _runner(arguments: Sequence[str]) -> str | None:
    runner: str | None = PipelineOptions(list(arguments)).view_as(StandardOptions).runner
    return runner


def _run_shared(
    settings: Settings,
    arguments: Sequence[str],
    say: Say,
    stop: threading.Event,
    until_caught_up: bool,
) -> None:
    """Sends the job to Flink and looks at it; a stop leaves it running."""
    if settings.delivery != "exactly-once":
        raise UsageError("On Flink --delivery is exactly-once: leave it out.")
    if settings.metrics_port:
        raise UsageError(
            "--metrics-port is that of a run in one process: leave it out. docs/scaling.md says "
            "how a job on Flink is watched."
        )
    options = flink.options_of(arguments)
    flink.check(options)
    zones = outlet_zones(settings)
    try:
        while _send(settings, options, zones, say, stop, until_caught_up):
            say("the topic has more partitions than the job reads: it is sent again")
    except Stopped:
        say("stopped before anything was sent")


def _send(
    settings: Settings,
    options: PipelineOptions,
    zones: Mapping[str, str],
    say: Say,
    stop: threading.Event,
    until_caught_up: bool,
) -> bool:
    """Sends one job and looks at it; whether another is wanted, for the topic has grown."""
    ids = ready(settings, say, stop)
    job = Job(settings, ids, until_caught_up=until_caught_up, warn=warning(say), stop=stop)
    try:
        job.open()
    finally:
        job.close()
    # What an older job still reads would be dropped, and its writer fenced: let it end by itself.
    sent = stopping.Sent(job.generation, len(job.starts))
    stopping.sent(settings, sent)
    ends = job.ends if until_caught_up else None
    result = flink.submit(job, _plan(job, ids, zones), ids, options, ends)
    say(f"sent job {flink.job_name(settings.group, job.generation)}")
    with stopping.Progress(settings, sent) as progress:
        seen = flink.watch(result, progress, say, stop, until_caught_up=until_caught_up)
    if seen is flink.Seen.ENDED:
        flink.end(options, settings.group, job.generation)
    return seen is flink.Seen.GROWN


def ready(
    settings: Settings, say: Say, stop: threading.Event, health: Health | None = None
) -> dict[str, int]:
    """Waits up to WAIT_S for Kafka and the registry; returns the schemas' ids by kind. `health`
    hears for what.

    Raises Outage when one of them stays away, UsageError when topics or schemas are missing,
    Stopped when `stop` is set.
    """
    deadline = time.monotonic() + WAIT_S
    said = False
    health = health or Health()
    health.starting("asking Kafka and the registry")
    while not stop.is_set():
        try:
            topics.require(settings)
            return schema_ids(settings)
        except Outage as outage:
            if time.monotonic() >= deadline:
                raise
            health.starting(str(outage))
            if not said:
                say(Line(f"{outage} Waiting up to {WAIT_S:.0f} s.", "warning"))
                said = True
            stop.wait(1.0)
    raise Stopped


def subject(settings: Settings, kind: str) -> str:
    """The registry's name for the values of this kind of topic."""
    return f"{settings.topic(kind)}-value"


def schema_ids(settings: Settings) -> dict[str, int]:
    """The registry's ids of our schemas; raises UsageError for one that is not registered."""
    registry = Registry(settings.registry_url)
    ids = {}
    for kind in REGISTERED:
        found = registry.find(subject(settings, kind), schemas.text(kind))
        if found is None:
            raise UsageError(
                f"The registry does not have this version's schema under "
                f"{subject(settings, kind)}: `khabar schemas` registers it."
            )
        ids[kind] = found
    return ids


def register(settings: Settings) -> dict[str, int]:
    """Registers our schemas; returns their ids by subject.

    Raises UsageError for a schema that readers of the registered one could not follow.
    """
    registry = Registry(settings.registry_url)

    def one(kind: str) -> int:
        name = subject(settings, kind)
        try:
            return registry.register(name, schemas.text(kind))
        except Incompatible as error:
            raise UsageError(
                f"The registry refuses the schema of {name}: {error}. `khabar schemas check` "
                "compares them; schemas/README.md says how a schema may change."
            ) from None

    with ThreadPoolExecutor(len(REGISTERED)) as pool:
        ids = list(pool.map(one, REGISTERED))
    return {
        subject(settings, kind): schema_id for kind, schema_id in zip(REGISTERED, ids, strict=True)
    }


def check_schemas(settings: Settings) -> list[str]:
    """A line for each schema: registered, new, or a compatible change.

    Raises UsageError that names what is incompatible.
    """
    registry = Registry(settings.registry_url)
    lines, refused = [], []
    for kind in REGISTERED:
        name, schema = subject(settings, kind), schemas.text(kind)
        if registry.find(name, schema) is not None:
            lines.append(f"{name}: registered")
            continue
        problems = registry.incompatibilities(name, schema)
        if problems:
            refused.append(f"{name} ({'; '.join(problems)})")
        else:
            lines.append(f"{name}: {'new' if problems is None else 'a compatible change'}")
    if refused:
        raise UsageError(
            f"Readers could not follow a change of {', '.join(refused)}. Give every new field a "
            "default, and neither remove nor retype one: schemas/README.md."
        )
    return lines


class Lookup:
    """Schemas by id, each asked for once; pickled without what it has learned.

    One that the registry does not have may be registered a moment later: it is asked for again
    after _MISSING_S.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._known: dict[int, Any] = {}
        self._missing: dict[int, float] = {}

    def __call__(self, schema_id: int) -> Any:
        if schema_id in self._known:
            return self._known[schema_id]
        if time.monotonic() - self._missing.get(schema_id, -_MISSING_S) < _MISSING_S:
            return None
        found = Registry(self._url).schema(schema_id)
        if found is None:
            self._missing[schema_id] = time.monotonic()
        else:
            self._known[schema_id] = found
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {"_url": self._url, "_known": {}, "_missing": {}}


@contextmanager
def _lines(job: Job, say: Say) -> Iterator[None]:
    """A line of progress every LINE_S while something happens, and one at the end."""
    done = threading.Event()
    began = time.monotonic()

    def tell() -> None:
        read, then = job.read, time.monotonic()
        while not done.wait(LINE_S):
            now = time.monotonic()
            if job.read != read or job.lag:
                say(_line(job, (job.read - read) / (now - then)))
            read, then = job.read, now

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        seconds = time.monotonic() - began
        say(_line(job, job.read / seconds if seconds else 0.0, "stopped: "))


def _line(job: Job, rate: float, before: str = "") -> Line:
    written = {kind: job.written[job.settings.topic(kind)] for kind in topics.OUTPUTS}
    read, lag, stories, pushed_out = job.read, job.lag, len(job.index), job.index.pushed_out
    fields: dict[str, Any] = {
        "in": read,
        "articles": written["articles"],
        "duplicates": written["duplicates"],
        "entities": written["entities"],
        "dead_letters": written["dead-letters"],
        "lag": lag,
        "rate": round(rate, 1),
        "stories": stories,
        "pushed_out": pushed_out,
    }
    return Line(
        f"{before}in {read}, articles {written['articles']}, duplicates {written['duplicates']}, "
        f"entities {written['entities']}, dead letters {written['dead-letters']}, "
        f"lag {lag}, {rate:.0f}/s, stories {stories}"
        + (f", {pushed_out} pushed out before their time" * bool(pushed_out)),
        **fields,
    )
