"""The graph as a job on Flink, on this machine: rates with one worker and with two against a run in
one process, the writer alone against a plain loop, latency, the time until a job that was sent
again writes, and a backfill against `khabar process` in one process.

`python -m benchmarks.flink [workers] [writer] [latency] [backfill]`, all of them without a name;
they share this machine's cores with Kafka and Flink.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path

import apache_beam as beam
from kafka import TopicPartition

from benchmarks.kafka import no_registry, share_of, varied
from pipelines import flink, schemas
from pipelines.graph import Plan, decided
from pipelines.kafka import clients, topics
from pipelines.kafka.sink import Write
from pipelines.kafka.stopping import Progress, Sent
from pipelines.kafka.tail import tail
from pipelines.kafka.transaction import Job
from pipelines.kafka.writer import OneWriter
from pipelines.local import Flink, Services
from pipelines.producers.produce import produce
from pipelines.records import Envelope, Origin, RawMessage, without_offsets
from pipelines.run import Lookup, register, schema_ids
from pipelines.settings import SETTINGS, Settings
from pipelines.stages.clean import clean
from pipelines.stages.decide import decide
from pipelines.stages.decode import decode
from pipelines.stages.encode import Topics, encode
from pipelines.stages.entities import entities, entities_version
from pipelines.stages.fingerprint import fingerprint
from pipelines.stages.gazetteer import Gazetteer
from pipelines.stages.normalize import normalize
from pipelines.stages.recognizer import Recognizer
from pipelines.transforms import BATCH_SIZE, Batch

COUNT, PARTITIONS, FILES = 6_000, 4, 8
# Articles a second, and seconds of them that count, behind those in which Java and the workers warm
# up: a job runs for weeks.
RATE, SECONDS, WARM_UP_S = 100, 60, 30
# Seconds that one part may take.
PATIENCE_S = 600.0


def on_flink(running: Flink, workers: int = 0) -> list[str]:
    """The options of a job with so many workers, each a process; without a number, the defaults."""
    at = running.addresses
    number = [f"--parallelism={workers}", f"--sdk_worker_parallelism={workers}"] if workers else []
    return [
        "--runner=FlinkRunner",
        f"--job_endpoint={at.job_endpoint}",
        f"--artifact_endpoint={at.artifact_endpoint}",
        f"--environment_config={at.workers}",
        *number,
    ]


@contextmanager
def command(made: Settings, *arguments: str) -> Iterator[subprocess.Popen]:
    environment = dict(os.environ) | {
        s.variable: str(getattr(made, s.name)) for s in SETTINGS if getattr(made, s.name) != ""
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines", *arguments], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def job(services: Services, name: str) -> Settings:
    values = {"topic_prefix": name, "group": name, **vars(services.addresses)}
    made = Settings.of(values)
    topics.create(made, PARTITIONS)
    register(made)
    return made


def watched(made: Settings) -> float:
    """Articles a second, from the first commit that is seen to that of the last article."""
    deadline, first, began = time.monotonic() + PATIENCE_S, 0, 0.0
    with Progress(made, Sent(0, PARTITIONS)) as progress:
        while time.monotonic() < deadline:
            done, now = progress.counts()[0], time.monotonic()
            if done >= COUNT:
                return (done - first) / (now - began)
            if done and not first:
                first, began = done, now
            time.sleep(0.05)
    raise SystemExit(f"{made.group}: not done within {PATIENCE_S:.0f} s")


def rate(services: Services, name: str, workers: int = 0) -> float:
    """Of so many workers on a Flink of their own, without them of one process."""
    made = job(services, name)
    produce(((b"%d" % n, value) for n, value in enumerate(varied(COUNT))), made)
    with ExitStack() as stack:
        arguments = on_flink(stack.enter_context(Flink()), workers) if workers else []
        with command(made, "run", *arguments, "--until-caught-up") as process:
            found = watched(made)
            process.wait(120)
    return found


def workers(services: Services) -> None:
    """One process, then one worker and two on Flink."""
    one = rate(services, "one-process")
    print(f"one process: {one:.0f} articles/s", flush=True)
    single = rate(services, "one-worker", 1)
    print(f"Flink, one worker: {single:.0f} articles/s, {single / one:.2f} of one process")
    two = rate(services, "two-workers", 2)
    print(
        f"Flink, two workers: {two:.0f} articles/s, {two / single:.2f} times one worker, on "
        f"{os.cpu_count()} cores for workers, Flink and Kafka together",
        flush=True,
    )


def writer(services: Services) -> None:
    """What decides, encodes and commits, alone: as a plain loop, then on Flink behind a shuffle."""
    with tempfile.TemporaryDirectory() as folder:
        made = job(services, "plain-writer")
        files = prepare(made, Path(folder))
        plain = plain_writer(made, files)
        print(f"plain loop: {plain:.0f} articles/s", flush=True)
        made = job(services, "flink-writer")
        files = prepare(made, Path(folder))
        with Flink() as running:
            there = flink_writer(made, running, files)
        print(f"Flink: {there:.0f} articles/s, {there / plain:.2f} of the plain loop", flush=True)


def prepare(made: Settings, folder: Path) -> list[str]:
    """Sends articles of 5 KB, reads them, and takes them through all stages that need no other
    article; a file of batches for each partition.
    """
    values = list(varied(COUNT, 5_000))
    produce(((b"%d" % n, value) for n, value in enumerate(values)), made)
    known, backend = Gazetteer.load(), Recognizer()
    files = [folder / f"{made.group}-{number}" for number in range(PARTITIONS)]
    found: dict[int, list[Envelope]] = {number: [] for number in range(PARTITIONS)}
    consumer = clients.consumer(made, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(made.topic(schemas.RAW), n) for n in found])
    for record in islice(consumer, COUNT):
        place = Origin(record.topic, record.partition, record.offset, record.timestamp)
        raw = RawMessage(place, record.key, record.value, ())
        article = fingerprint(normalize(clean(decode(raw, no_registry))))
        named = without_offsets(entities(article, known, backend))
        found[record.partition].append(Envelope(raw).with_article(named))
    consumer.close()
    for number, envelopes in found.items():
        with files[number].open("wb") as stream:
            for start in range(0, len(envelopes), BATCH_SIZE):
                pickle.dump(Batch(envelopes[start : start + BATCH_SIZE]), stream)
    size = sum(map(len, values)) / COUNT
    print(f"{COUNT} prepared articles of {size / 1000:.1f} KB", flush=True)
    return [str(file) for file in files]


def load(file: str) -> Iterator[Batch]:
    """The batches of a file."""
    with Path(file).open("rb") as stream:
        while stream.peek(1):
            yield pickle.load(stream)


def opened(made: Settings) -> tuple[Job, Topics]:
    ids = schema_ids(made)
    begun = Job(made, ids)
    begun.open()
    names = Topics(made.topic_prefix, ids, begun.generation, entities_version(made.ner))
    return begun, names


def plain_writer(made: Settings, files: list[str]) -> float:
    """A commit each half second, as in one process."""
    begun, names = opened(made)
    began = committed = time.perf_counter()
    for batch in (batch for file in files for batch in load(file)):
        for envelope in begun.take(batch):
            article = decide(envelope.article, envelope.raw.origin, begun.index)
            for message in encode(envelope.with_article(article), names):
                begun.write(message)
        if time.perf_counter() - committed > made.bundle_max_ms / 1000:
            begun.commit()
            committed = time.perf_counter()
    begun.commit()
    seconds = time.perf_counter() - began
    begun.close()
    return COUNT / seconds


class _Load(beam.DoFn):
    def process(self, file: str) -> Iterator[Batch]:
        return load(file)


def flink_writer(made: Settings, running: Flink, files: list[str]) -> float:
    begun, names = opened(made)
    begun.close()
    plan = Plan(made.group, names, Lookup(made.registry_url))
    arguments = on_flink(running, 2)[1:]
    pipeline = flink.pipeline_of(flink.options_of(arguments), flink.job_name(made.group, 1))
    envelopes = (
        pipeline
        | beam.Create(files)
        | beam.Reshuffle()
        | beam.ParDo(_Load()).with_output_types(Batch)
        | OneWriter(made, schema_ids(made), begun.generation)
    )
    decided(envelopes, plan) | Write(made.group)
    result = pipeline.run()
    rate = watched(made)
    result.cancel()
    return rate


def latency(services: Services) -> None:
    with Flink() as running:
        _latency(services, running)


def _latency(services: Services, running: Flink) -> None:
    """From produce to visible, then the time until a job that is sent again writes."""
    made = job(services, "flink-latency")
    sent: dict[str, float] = {}
    visible: list[float] = []
    total = RATE * (WARM_UP_S + SECONDS)
    outputs = [made.topic(schemas.ARTICLES), made.topic(schemas.DUPLICATES)]

    def values() -> Iterator[tuple[bytes, bytes]]:
        began = time.monotonic()
        for number, value in enumerate(varied(total)):
            time.sleep(max(0.0, began + number / RATE - time.monotonic()))
            sent[f"https://a.example/{number}"] = time.monotonic()
            yield b"%d" % number, value

    def watch() -> None:
        for message in tail(made, outputs):
            url = message.record["url"]
            if url in sent:
                visible.append((time.monotonic() - sent[url]) * 1000)
            if len(visible) == total:
                return

    with command(made, "run", *on_flink(running)):
        # The job runs when the first article has come through.
        produce([(b"first", b'{"url": "https://first.example/1", "title": "x"}')], made)
        next(tail(made, outputs))
        watcher = threading.Thread(target=watch)
        watcher.start()
        time.sleep(2)
        produce(values(), made)
        watcher.join(60)
    ordered = sorted(visible[RATE * WARM_UP_S :])
    print(
        f"latency at {RATE}/s after {WARM_UP_S} s: {len(visible)} of {total} seen: "
        f"p50 {share_of(ordered, 0.5):.0f} ms, p99 {share_of(ordered, 0.99):.0f} ms, "
        f"max {ordered[-1]:.0f} ms",
        flush=True,
    )
    began = time.monotonic()
    running.kill_server()
    produce([(b"again", b'{"url": "https://first.example/2", "title": "y"}')], made)
    running.restart_server()
    answered = time.monotonic() - began
    with command(made, "run", *on_flink(running)):
        for message in tail(made, outputs):
            if message.record["url"] == "https://first.example/2":
                break
    print(
        f"kill -9 of the job server: first new record after {time.monotonic() - began:.1f} s, "
        f"{answered:.1f} s of them until a new one answered",
        flush=True,
    )


def backfill(services: Services) -> None:
    """An archive of files, in one process and with two workers."""
    with tempfile.TemporaryDirectory() as folder:
        archive, values = Path(folder, "archive"), list(varied(COUNT))
        archive.mkdir()
        for number in range(FILES):
            lines = values[number * COUNT // FILES : (number + 1) * COUNT // FILES]
            (archive / f"{number}.jsonl").write_bytes(b"\n".join(lines))

        def seconds(out: str, *options: str) -> float:
            arguments = "process", str(archive), f"--out={folder}/{out}", "--order=published"
            began = time.monotonic()
            with command(job(services, out), *arguments, *options) as process:
                if process.wait(PATIENCE_S):
                    raise SystemExit(f"{out}: ended with {process.returncode}")
            return time.monotonic() - began

        here = seconds("backfill-here")
        with Flink() as running:
            there = seconds("backfill-there", *on_flink(running, 2))
    print(
        f"{COUNT} articles in {FILES} files: {here:.0f} s in one process, {there:.0f} s with two "
        f"workers, {here / there:.2f} times as fast",
        flush=True,
    )


def main() -> None:
    parts = {"workers": workers, "writer": writer, "latency": latency, "backfill": backfill}
    # What has run on a Flink slows down what comes next: workers of a job that was cancelled stay.
    with Services() as services:
        for name in sys.argv[1:] or parts:
            parts[name](services)


if __name__ == "__main__":
    main()
