"""The pipeline with a real broker on this machine: rates, latency, idle cost, memory.

`python -m benchmarks.kafka [edges] [whole] [latency] [idle] [watched] [sizes] [memory]`; all but
`memory` by default, which takes 20 minutes. `whole` and `sizes` need the development data
(KHABAR_SHARED).
"""

from __future__ import annotations

import json
import lzma
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from unittest.mock import patch

import psutil
from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from pipelines import schemas, serve
from pipelines.graph import Plan, build
from pipelines.health import Health
from pipelines.kafka import clients, sink, topics
from pipelines.kafka.sink import Write
from pipelines.kafka.source import Read
from pipelines.kafka.tail import tail
from pipelines.kafka.transaction import Job, held, hold
from pipelines.local import Services
from pipelines.local.processes import free_port
from pipelines.producers import samples
from pipelines.producers.produce import produce
from pipelines.records import Envelope, Message, Origin, RawMessage
from pipelines.run import register, schema_ids
from pipelines.runner import in_process_pipeline
from pipelines.serve import served
from pipelines.settings import Settings
from pipelines.stages import encode
from pipelines.stages.decode import MAX_BYTES, decode
from pipelines.transforms import Batch, Decode, Encode, _Encode, _fact, _Step

SHARED = Path(os.environ.get("KHABAR_SHARED") or Path(__file__).parents[2] / "shared")
ROUNDS = 5


def settings(services: Services, name: str) -> Settings:
    made = Settings.of({"topic_prefix": name, "group": name, **vars(services.addresses)})
    topics.create(made)
    register(made)
    return made


def no_registry(schema_id: int) -> None:
    return None


def edges(services: Services, count: int = 10_000) -> None:
    """read → decode → encode → write at 5 KB: through Beam, and in a plain loop."""
    body = "قال المسؤول إن الأمر في غاية الأهمية. " * 70
    article = {"url": "https://a.example/{}", "title": "عنوان", "body": body}
    value = json.dumps(article, ensure_ascii=False)
    print(f"edges: {count} articles of {len(value.encode())} bytes, exactly once")
    ratios = []
    for turn in range(ROUNDS):
        made = settings(services, f"edges{turn}")
        produce(((None, value.replace("{}", str(n)).encode()) for n in range(count)), made)
        ids = schema_ids(made)
        ours = _through_beam(made, ids, count)
        plain = _plain_loop(made, ids, f"plain{turn}", count)
        ratios.append(ours / plain)
        print(f"  through Beam {ours:.0f}/s, plain loop {plain:.0f}/s, ratio {ours / plain:.2f}")
    print(f"  ratio, median of {ROUNDS}: {statistics.median(ratios):.2f}")


def _through_beam(made: Settings, ids: dict[str, int], count: int) -> float:
    job = Job(made, ids, until_caught_up=True)
    job.open()
    hold(job)
    plan = encode.Topics(made.topic_prefix, ids, job.generation)
    began = time.monotonic()
    with in_process_pipeline() as pipeline:
        (
            pipeline
            | "Read" >> Read(made.group)
            | "Decode" >> Decode(no_registry, MAX_BYTES)
            | "Encode" >> Encode(plan)
            | "Write" >> Write(made.group)
        )
    seconds = time.monotonic() - began
    assert job.written[made.topic(schemas.ARTICLES)] == count
    job.close()
    return count / seconds


def _plain_loop(made: Settings, ids: dict[str, int], group: str, count: int) -> float:
    consumer = clients.consumer(made, group_id=group)
    partition = TopicPartition(made.topic(schemas.RAW), 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    # As the job sets its own producer, so that the difference is Beam's and ours.
    producer = clients.producer(
        made, transactional_id=group, linger_ms=made.bundle_max_ms, batch_size=1_000_000
    )
    producer.init_transactions()
    plan = encode.Topics(made.topic_prefix, ids)
    done, bundle_began = 0, 0.0
    began = time.monotonic()
    while done < count:
        for batch in consumer.poll(100).values():
            for record in batch:
                if not bundle_began:
                    producer.begin_transaction()
                    bundle_began = time.monotonic()
                place = Origin(record.topic, record.partition, record.offset, record.timestamp)
                raw = RawMessage(place, record.key, record.value, tuple(record.headers))
                for message in encode.encode(Envelope(raw, decode(raw, no_registry)), plan):
                    _send(producer, message)
                done += 1
                if done == count or (time.monotonic() - bundle_began) * 1000 > made.bundle_max_ms:
                    offset = OffsetAndMetadata(record.offset + 1, "", -1)
                    # Without it the client would send each message by itself from then on.
                    producer.flush()
                    producer.send_offsets_to_transaction({partition: offset}, group)
                    producer.commit_transaction()
                    bundle_began = 0.0
    seconds = time.monotonic() - began
    consumer.close()
    producer.close()
    return count / seconds


def _send(producer: object, message: Message) -> None:
    producer.send(message.topic, message.value, message.key, headers=list(message.headers))


@contextmanager
def running(made: Settings, *arguments: str) -> Iterator[subprocess.Popen]:
    """`khabar run` as a process of its own."""
    environment = dict(os.environ) | {
        f"KHABAR_{f.name.upper()}": str(getattr(made, f.name))
        for f in fields(made)
        if getattr(made, f.name) != ""
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines", "run", *arguments],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def whole(services: Services) -> None:
    """The whole pipeline over the Saudi articles, pinned to one core."""
    path = SHARED / "data" / "news" / "saudinewsnet-dev.jsonl.xz"
    if not path.exists():
        print("whole: no development data here; skipped")
        return
    made = settings(services, "whole")
    with lzma.open(path, "rb") as stream:
        values = stream.read().splitlines()
    produce(((None, value) for value in values), made)
    with running(made, "--until-caught-up") as process:
        pinned = psutil.Process(process.pid)
        pinned.cpu_affinity([0])
        reader = tail(made, [made.topic(schemas.INDEX)])
        next(reader)  # the writer's start: imports and restoring lie behind it
        began, cpu = time.monotonic(), _cpu(pinned)
        while process.poll() is None:
            used, ended = _cpu(pinned) or cpu, time.monotonic()
            time.sleep(0.2)
        wall, used = ended - began, used - cpu
    print(
        f"whole: {len(values)} articles on one core: {len(values) / wall:.0f}/s, "
        f"{used / len(values) * 1e3:.2f} ms of CPU each"
    )


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return times.user + times.system


def latency(services: Services, rate: int = 100, seconds: int = 60) -> None:
    """From produce to visible for a `read_committed` reader, at a steady rate."""
    made = settings(services, "latency")
    visible: list[float] = []
    total = rate * seconds
    ended = threading.Event()

    sent: dict[str, float] = {}

    def values() -> Iterator[tuple[None, bytes]]:
        began = time.monotonic()
        for number, value in enumerate(varied(total)):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            sent[f"https://a.example/{number}"] = time.monotonic()
            yield None, value

    def watch() -> None:
        outputs = [made.topic(schemas.ARTICLES), made.topic(schemas.DUPLICATES)]
        for message in tail(made, outputs, stopped=ended.is_set):
            visible.append((time.monotonic() - sent[message.record["url"]]) * 1000)
            if len(visible) == total:
                return

    with running(made):
        next(tail(made, [made.topic(schemas.INDEX)]))
        watcher = threading.Thread(target=watch)
        watcher.start()
        time.sleep(2)
        produce(values(), made)
        watcher.join(20)
        ended.set()
    ordered = sorted(visible[rate * 2 :])  # the first two seconds warm up
    print(
        f"latency: {len(visible)} of {total} at {rate}/s: p50 {share_of(ordered, 0.5):.0f} ms, "
        f"p99 {share_of(ordered, 0.99):.0f} ms, max {ordered[-1]:.0f} ms"
    )


def share_of(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def varied(count: int, least_bytes: int = 0) -> Iterator[bytes]:
    """Articles of a usual length, or of so many bytes of text at least, made from the samples; many
    are copies of earlier ones.
    """
    bodies = [
        json.loads(s.value).get("body", "")
        for s in samples.read()
        if s.value and s.expect["verdict"] == "new"
    ]
    for number in range(count):
        parts: list[str] = []
        while len(parts) < 2 or sum(len(part.encode()) for part in parts) < least_bytes:
            k = 7 * len(parts)
            parts.append(f"{number * 31 + k} {bodies[(number + k) % len(bodies)]}")
        article = {
            "url": f"https://a.example/{number}",
            "title": f"خبر {number}",
            "body": "\n\n".join(parts),
        }
        yield json.dumps(article, ensure_ascii=False).encode()


def watched(services: Services, count: int = 20_000) -> None:
    """What metrics and health cost the whole graph: one bundle with them and one without, in turn.

    With: stages timed, decisions counted, the registry looked at each 5 s, and somebody who asks
    for metrics and health as often, three times as often as Prometheus does by default. CPU time
    of this process counts, and bundles are short, for minutes differ by more than what is sought.
    """
    made = settings(services, "watched")
    made = Settings.of(vars(made) | {"metrics_port": free_port(), "bundle_max_ms": 200})
    produce(((None, value) for value in varied(count)), made)
    ids = schema_ids(made)
    job, health = Job(made, ids, until_caught_up=True), Health()
    job.open()
    hold(job)
    health.reading(job)
    plan = Plan(made.group, encode.Topics(made.topic_prefix, ids, job.generation), no_registry)
    with (
        served(made, health, print),
        _asking(made) as asker,
        _in_turn(asker) as bundles,
        in_process_pipeline() as pipeline,
    ):
        build(pipeline | "Read" >> Read(made.group), plan) | "Write" >> Write(made.group)
    assert job.totals.read == count
    job.close()
    # The first ones warm up; two in a row make a pair, so that a slow minute counts for both.
    pairs = list(zip(bundles[20::2], bundles[21::2], strict=False))
    both = [pair if pair[0][0] else pair[::-1] for pair in pairs]
    chance = random.Random(1)
    again = sorted(_ratio(chance.choices(both, k=len(both))) for _ in range(2_000))
    each = sum(cpu for _, cpu, _ in bundles) / count
    print(
        f"watched: {count} articles, {each * 1e3:.2f} ms of CPU each; with against without, over "
        f"{len(both)} pairs of bundles: {_ratio(both):.3f} "
        f"(95 of 100 drawings lie from {again[50]:.3f} to {again[-51]:.3f})"
    )
    _cost_itself(made, list(varied(64)), each)


Bundle = tuple[bool, float, int]  # with?, seconds of CPU, articles


def _ratio(pairs: list[tuple[Bundle, Bundle]]) -> float:
    """CPU time for each article with, against without."""
    with_it, without = (
        sum(pair[side][1] for pair in pairs) / sum(pair[side][2] for pair in pairs)
        for side in (0, 1)
    )
    return with_it / without


@contextmanager
def _asking(made: Settings) -> Iterator[subprocess.Popen]:
    """A process that asks for metrics and health for each line that it reads, and says when it has
    the answers.
    """
    address = f"http://{made.metrics_host}:{made.metrics_port}"
    code = (
        "import sys, urllib.request as r\n"
        "for line in sys.stdin:\n"
        f"    r.urlopen('{address}/metrics').read(); r.urlopen('{address}/healthz').read()\n"
        "    print(flush=True)"
    )
    asker = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    try:
        yield asker
    finally:
        assert asker.poll() is None, "who asks has ended"
        asker.kill()
        asker.wait()


@contextmanager
def _in_turn(asker: subprocess.Popen) -> Iterator[list[Bundle]]:
    """Switches counting on and off from bundle to bundle, and gives the bundles."""
    bundles: list[Bundle] = []
    on, began, asked = True, time.process_time(), 0.0
    timed, counted, commit = _Step.process, _Encode._run, Job.commit
    written, look = sink._Write.process, serve._registry_away

    def process(self: _Step, batch: Batch) -> tuple[Batch]:
        return timed(self, batch) if on else (self._run(batch),)

    def run(self: _Encode, batch: Batch) -> Batch:
        if on:
            return counted(self, batch)
        return Batch(message for envelope in batch for message in self._messages(envelope)[1])

    def write(self: sink._Write, batch: Batch) -> None:
        if on:
            written(self, batch)
        else:
            job = held(self._group)
            for message in batch:
                job.write(message)

    def commit_and_turn(self: Job) -> None:
        nonlocal on, began, asked
        articles = self._bundle_records
        commit(self)
        if articles:
            now = time.process_time()
            bundles.append((on, now - began, articles))
            on, began = not on, time.process_time()
            if on and time.monotonic() - asked >= 5:
                asker.stdin.write(b"\n")
                asked = time.monotonic()

    with (
        patch.object(_Step, "process", process),
        patch.object(_Encode, "_run", run),
        patch.object(sink._Write, "process", write),
        patch.object(Job, "commit", commit_and_turn),
        patch.object(serve, "_registry_away", lambda made: look(made) if on else ""),
    ):
        yield bundles


def _cost_itself(made: Settings, values: list[bytes], article_s: float) -> None:
    """The same by itself, each part alone."""
    health = Health()
    job = Job(made, dict.fromkeys(topics.KINDS, 1))
    job.turned = time.monotonic()
    health.reading(job)
    looks = 100
    with served(made, health, print), _asking(made) as asker:
        for turn in range(looks + 10):
            if turn == 10:
                began = time.process_time()
            asker.stdin.write(b"\n")
            asker.stdout.read(1)
        asked = (time.process_time() - began) / looks
    began = time.process_time()
    for _ in range(looks):
        assert not serve._registry_away(made)
    look = (time.process_time() - began) / looks
    batch = Batch(
        Envelope(raw, decode(raw, no_registry))
        for number, value in enumerate(values)
        for raw in [RawMessage(Origin("raw", 0, number, number), None, value)]
    )

    class Nothing(_Step):
        name = "nothing"

        def _run(self, batch: Batch) -> Batch:
            return batch

    step, turns = Nothing(), 2_000
    began = time.process_time()
    for _ in range(turns):
        for _ in range(8):  # seven stages and the sink
            step.process(batch)
        facts = Counter()
        for envelope in batch:
            facts[_fact(envelope)] += 1
        job.note(facts)
    counting = (time.process_time() - began) / turns / len(batch)
    print(
        f"  by themselves: clocks and counters {counting * 1e6:.2f} µs an article "
        f"({counting / article_s:.3%}), asked for metrics and health {asked * 1e3:.2f} ms "
        f"({asked / 5:.3%} of a core, each 5 s), a look at the registry {look * 1e3:.2f} ms "
        f"({look / serve.REGISTRY_S:.3%})"
    )


def sizes(services: Services, count: int = 3_000) -> None:
    """Bytes of keys and values in each topic, for each article that comes in."""
    path = SHARED / "data" / "news" / "saudinewsnet-dev.jsonl.xz"
    if not path.exists():
        print("sizes: no development data here; skipped")
        return
    made = settings(services, "sizes")
    with lzma.open(path, "rb") as stream:
        values = stream.read().splitlines()[:count]
    produce(((None, value) for value in values), made)
    with running(made, "--until-caught-up") as process:
        process.wait()
    parts = []
    for kind in topics.KINDS:
        there = list(tail(made, [made.topic(kind)], until_caught_up=True))
        size = sum(len(message.key or b"") + len(message.value or b"") for message in there)
        parts.append(f"{kind} {size / count:,.0f} in {len(there) / count:.2f} messages")
    print(f"sizes: bytes for each of {count} articles: {', '.join(parts)}")


def idle(services: Services, seconds: int = 30) -> None:
    """What waiting costs."""
    made = settings(services, "idle")
    with running(made) as process:
        next(tail(made, [made.topic(schemas.INDEX)]))
        time.sleep(3)
        watched = psutil.Process(process.pid)
        before = _cpu(watched)
        time.sleep(seconds)
        share = (_cpu(watched) - before) / seconds
        print(f"idle: {share:.1%} of a core, {watched.memory_info().rss / 1e6:.0f} MB")


def memory(services: Services, minutes: int = 10) -> None:
    """Memory over ten minutes idle and ten busy, each minute; the index's growth apart."""
    made = settings(services, "memory")
    with running(made) as process:
        next(tail(made, [made.topic(schemas.INDEX)]))
        watched = psutil.Process(process.pid)
        values = list(varied(400))
        for name in ("idle", "busy"):
            sizes = []
            for _ in range(minutes):
                until = time.monotonic() + 60
                while time.monotonic() < until:
                    if name == "busy":  # the same articles again: the index does not grow
                        produce(((None, v) for v in values), made, rate=100)
                    else:
                        time.sleep(1)
                sizes.append(watched.memory_info().rss / 1e6)
                print(f"memory, {name}: {sizes[-1]:.1f} MB", flush=True)
            print(f"memory, {name}: grew by {sizes[-1] - sizes[1]:.1f} MB from minute 2 on")


MEASURES = {
    "edges": edges,
    "whole": whole,
    "latency": latency,
    "idle": idle,
    "watched": watched,
    "sizes": sizes,
    "memory": memory,
}

if __name__ == "__main__":
    chosen = sys.argv[1:] or [name for name in MEASURES if name != "memory"]
    with Services() as services:
        for name in chosen:
            MEASURES[name](services)
