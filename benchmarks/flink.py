"""The graph as a job on Flink, on this machine: rates with one worker and with two against a run in
one process, latency, and the time until a job that was sent again writes.

`python -m benchmarks.flink`; all parts share this machine's cores, Kafka and Flink among them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.kafka import _share, _varied
from pipelines import schemas
from pipelines.kafka import topics
from pipelines.kafka.tail import tail
from pipelines.local import Flink, Services
from pipelines.producers.produce import produce
from pipelines.run import register
from pipelines.settings import SETTINGS, Settings

COUNT, PARTITIONS = 6_000, 4
RATE, SECONDS = 100, 60


def on_flink(flink: Flink, workers: int) -> list[str]:
    at = flink.addresses
    return [
        "--runner=FlinkRunner",
        f"--job_endpoint={at.job_endpoint}",
        f"--artifact_endpoint={at.artifact_endpoint}",
        f"--environment_config={at.workers}",
        f"--parallelism={workers}",
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


def rate(services: Services, name: str, arguments: list[str]) -> float:
    """Articles a second, from the first record that is visible to the last."""
    made = job(services, name)
    produce(((b"%d" % n, value) for n, value in enumerate(_varied(COUNT))), made)
    outputs = [made.topic(schemas.ARTICLES), made.topic(schemas.DUPLICATES)]
    seen, first = 0, 0.0
    with command(made, "run", *arguments, "--until-caught-up") as process:
        for _ in tail(made, outputs):
            seen += 1
            first = first or time.monotonic()
            if seen == COUNT:
                break
        seconds = time.monotonic() - first
        process.wait(120)
    return COUNT / seconds


def latency(services: Services, flink: Flink) -> None:
    """From produce to visible, then the time until a job that is sent again writes."""
    made = job(services, "flink-latency")
    sent: dict[str, float] = {}
    visible: list[float] = []
    total = RATE * SECONDS
    outputs = [made.topic(schemas.ARTICLES), made.topic(schemas.DUPLICATES)]

    def values() -> Iterator[tuple[bytes, bytes]]:
        began = time.monotonic()
        for number, value in enumerate(_varied(total)):
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

    with command(made, "run", *on_flink(flink, 2)):
        # The job runs when the first article has come through.
        produce([(b"first", b'{"url": "https://first.example/1", "title": "x"}')], made)
        next(tail(made, outputs))
        watcher = threading.Thread(target=watch)
        watcher.start()
        time.sleep(2)
        produce(values(), made)
        watcher.join(60)
    ordered = sorted(visible[RATE * 2 :])
    print(
        f"latency at {RATE}/s: {len(visible)} of {total}: p50 {_share(ordered, 0.5):.0f} ms, "
        f"p99 {_share(ordered, 0.99):.0f} ms, max {ordered[-1]:.0f} ms"
    )
    flink.restart_server()
    produce([(b"again", b'{"url": "https://first.example/2", "title": "y"}')], made)
    began = time.monotonic()
    with command(made, "run", *on_flink(flink, 2)):
        for message in tail(made, outputs):
            if message.record["url"] == "https://first.example/2":
                break
    print(f"sent again after kill -9: first new record after {time.monotonic() - began:.1f} s")


def main() -> None:
    print(f"{os.cpu_count()} cores for workers, Flink and Kafka together")
    with Services() as services, Flink() as flink:
        for name, arguments in (
            ("one process", []),
            ("Flink, one worker", on_flink(flink, 1)),
            ("Flink, two workers", on_flink(flink, 2)),
        ):
            found = rate(services, name.replace(" ", "-").replace(",", ""), arguments)
            print(f"{name}: {found:.0f} articles/s", flush=True)
        latency(services, flink)


if __name__ == "__main__":
    main()
