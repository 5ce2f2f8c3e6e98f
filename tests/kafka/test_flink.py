"""The same graph as a job on a real Flink: nothing lost, nothing twice, whatever is killed."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.request import urlopen

import psutil
import pytest

from pipelines import schemas
from pipelines.kafka import clients
from pipelines.kafka.stopping import Progress, Sent
from pipelines.local import Flink, Services
from pipelines.producers.produce import produce
from pipelines.settings import Settings
from tests.conftest import _job
from tests.kafka.corpus import articles
from tests.kafka.harness import (
    REPOSITORY,
    check_all_topics,
    command,
    environment,
    found,
    read,
    workers,
)

pytestmark = pytest.mark.slow


@dataclass
class Cluster:
    services: Services
    flink: Flink

    def arguments(self) -> list[str]:
        at = self.flink.addresses
        return [
            "run",
            "--runner=FlinkRunner",
            f"--job_endpoint={at.job_endpoint}",
            f"--artifact_endpoint={at.artifact_endpoint}",
            f"--environment_config={at.workers}",
            *([f"--flink_master={at.master}"] if at.master else []),
        ]


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    with Services() as services:
        yield services


@pytest.fixture(scope="module")
def cluster(services: Services) -> Iterator[Cluster]:
    with Flink() as flink:
        yield Cluster(services, flink)


@pytest.fixture
def settings(cluster: Cluster) -> Iterator[Settings]:
    yield _job(cluster.services, 4)
    # A Flink inside the job server keeps a job that was cancelled, and its workers: they would slow
    # down what comes next.
    cluster.flink.restart_server()


@contextmanager
def submitted(cluster: Cluster, settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """`khabar run` on Flink, as a process; the job outlives it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines", *cluster.arguments()],
        cwd=REPOSITORY,
        env=environment(settings),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def send(count: int, settings: Settings, seed: int = 0) -> None:
    produce(((f"{n}".encode(), each) for n, each in enumerate(articles(count, seed))), settings)


def seen(settings: Settings, partitions: int = 4) -> int:
    """How many messages are committed: what else counts them reads all of the topics."""
    with Progress(settings, Sent(0, partitions)) as progress:
        return progress.counts()[0]


def await_seen(settings: Settings, count: int, timeout_s: float = 480, partitions: int = 4) -> None:
    deadline = time.monotonic() + timeout_s
    while (now := seen(settings, partitions)) < count:
        assert time.monotonic() < deadline, f"{now} of {count} came out"
        time.sleep(1.0)


def generations(settings: Settings) -> list[int]:
    """Those of the starts, in their order."""
    records = [m.record for m in read(settings, schemas.INDEX) if m.record]
    return [each["generation"] for each in records if each["kind"] == "start"]


def await_generation(settings: Settings, generation: int, timeout_s: float = 240) -> None:
    deadline = time.monotonic() + timeout_s
    while generation not in generations(settings):
        assert time.monotonic() < deadline, f"generation {generation} did not start"
        time.sleep(1.0)


def test_an_unknown_option(cluster: Cluster, settings: Settings) -> None:
    """An option that neither Beam nor the job server has is named, and nothing is sent."""
    done = command(settings, *cluster.arguments(), "--paralelism=4")
    assert done.returncode == 2
    assert "--paralelism" in done.stderr
    assert read(settings, schemas.INDEX) == []


def test_caught_up(cluster: Cluster, settings: Settings) -> None:
    """--until-caught-up ends when everything is committed, on four partitions and two workers; a
    second job finds nothing to do."""
    send(2_000, settings)
    for _ in range(2):
        done = command(settings, *cluster.arguments(), "--until-caught-up", timeout_s=600)
        assert done.returncode == 0, done.stderr
        check_all_topics(settings)
        assert seen(settings) == 2_000


def test_killed_again_and_again(cluster: Cluster, settings: Settings) -> None:
    """A worker is killed, and the job server with Flink in it, at varied moments of 20,000
    articles; the job goes on by itself in the one case, and is sent again in the other."""
    count, rounds = 20_000, 10
    send(count, settings)
    chance = random.Random(7)
    for number in range(rounds):
        with submitted(cluster, settings) as process:
            await_seen(settings, min(count, seen(settings) + 300))
            time.sleep(chance.uniform(0, 3))
            if number % 2:
                killed = workers(cluster.flink)
                assert killed
                for worker in killed:
                    worker.kill()
                await_seen(settings, min(count, seen(settings) + 300))
            assert process.poll() is None
        cluster.flink.restart_server()
        found(settings)  # nothing twice, at any time
    done = command(settings, *cluster.arguments(), "--until-caught-up", timeout_s=900)
    assert done.returncode == 0, done.stderr
    check_all_topics(settings)
    assert generations(settings) == list(range(1, rounds + 2))


def test_an_exception_in_a_stage(cluster: Cluster, settings: Settings) -> None:
    """A stage that raises (a schema is asked for, and the registry is away) holds the job up until
    the cause is gone; then it goes on by itself."""
    send(200, settings)
    with submitted(cluster, settings) as process:
        await_seen(settings, 200)
        cluster.services.kill_registry()
        framed = b"\0" + (4711).to_bytes(4, "big") + b"what no schema describes"
        produce([(b"k", framed)], settings)
        send(200, settings, seed=2)
        time.sleep(5)
        cluster.services.restart_registry()
        await_seen(settings, 401)
        assert process.poll() is None
        stop(cluster, settings)
        assert process.wait(180) == 0
    check_all_topics(settings)
    assert ("dead-letter", "unknown-schema") in found(settings).values()


def partitions_by_worker(flink: Flink) -> list[int]:
    """How many elements each subtask of the reading step was given, as Flink's REST tells it."""
    jobs = f"http://{flink.addresses.master}/jobs"
    with urlopen(jobs) as answer:
        (job,) = [each["id"] for each in json.load(answer)["jobs"] if each["status"] == "RUNNING"]
    with urlopen(f"{jobs}/{job}") as answer:
        (step,) = [each["id"] for each in json.load(answer)["vertices"] if "Decode" in each["name"]]
    with urlopen(f"{jobs}/{job}/vertices/{step}") as answer:
        return [each["metrics"]["read-records"] for each in json.load(answer)["subtasks"]]


def await_partitions_by_worker(flink: Flink, timeout_s: float = 90) -> list[int]:
    """The same, once all four are counted: Flink gathers its metrics every ten seconds."""
    deadline = time.monotonic() + timeout_s
    while sum(found := partitions_by_worker(flink)) < 4 and time.monotonic() < deadline:
        time.sleep(1.0)
    return found


def test_a_task_manager_is_killed(services: Services) -> None:
    """On two task managers of one slot each: one is killed and replaced again and again, the job
    server is killed while the job lives on, until the one that is sent next takes its slots, the
    job manager with the job; then all of it is gone, and another cluster takes the index from its
    topic."""
    count, settings = 20_000, _job(services, 4)
    send(count, settings)
    chance = random.Random(8)
    with Flink(task_managers=2) as flink:
        cluster = Cluster(services, flink)
        with submitted(cluster, settings) as process:
            await_seen(settings, 1_000)
            assert await_partitions_by_worker(flink) == [2, 2]
            for number in range(4):
                await_seen(settings, seen(settings) + 1_000)
                flink.kill_task_manager(number % 2)
                time.sleep(chance.uniform(0, 8))
                flink.start_task_manager(number % 2)
                found(settings)  # nothing twice, at any time
            await_seen(settings, seen(settings) + 1_000)
            assert process.poll() is None
            flink.kill_server()
            assert process.wait(60) == 75
        await_seen(settings, seen(settings) + 1_000)
        flink.restart_server()
        with submitted(cluster, settings):
            await_generation(settings, 2)
            await_seen(settings, seen(settings) + 1_000)
            flink.restart_job_manager()
        with submitted(cluster, settings):
            await_generation(settings, 3)
            await_seen(settings, seen(settings) + 1_000)
    with Flink(task_managers=2) as flink:
        cluster = Cluster(services, flink)
        done = command(settings, *cluster.arguments(), "--until-caught-up", timeout_s=900)
        assert done.returncode == 0, done.stderr
    check_all_topics(settings)
    assert generations(settings) == [1, 2, 3, 4]


def test_a_zombie(cluster: Cluster, settings: Settings) -> None:
    """A job whose workers stand still while a newer one writes is fenced when they go on: it writes
    nothing more, though Flink restarts it, and the newer one is not disturbed."""
    send(2_000, settings)
    with submitted(cluster, settings) as old:
        await_seen(settings, 300)
        stopped = workers(cluster.flink)
        assert stopped
        for worker in stopped:
            worker.suspend()
        try:
            with submitted(cluster, settings) as new:
                await_generation(settings, 2)
                await_seen(settings, seen(settings) + 500)
                for worker in stopped:
                    worker.resume()
                assert old.wait(240) == 0
                await_seen(settings, 2_000)
                send(500, settings, seed=3)
                await_seen(settings, 2_500)
                assert new.poll() is None
                stop(cluster, settings)
                assert new.wait(180) == 0
        finally:
            for worker in stopped:
                with suppress(psutil.Error):
                    worker.resume()
    check_all_topics(settings)
    written = [m.record["generation"] for m in read(settings, schemas.INDEX) if m.record]
    assert written == sorted(written)
    assert generations(settings) == [1, 2]


def stop(cluster: Cluster, settings: Settings) -> None:
    done = command(settings, "stop", "--job-endpoint", cluster.flink.addresses.job_endpoint)
    assert done.returncode == 0, done.stderr
    assert "all that was read is committed" in done.stderr


def test_stop(cluster: Cluster, settings: Settings) -> None:
    """`khabar stop` in mid-stream commits what was read and ends the job; the next goes on."""
    send(3_000, settings)
    with submitted(cluster, settings) as process:
        await_seen(settings, 300)
        stop(cluster, settings)
        assert process.wait(180) == 0
    stop(cluster, settings)  # once more: it is harmless, for the next job too
    there = seen(settings)
    time.sleep(3)
    assert seen(settings) == there
    done = command(settings, *cluster.arguments(), "--until-caught-up", timeout_s=600)
    assert done.returncode == 0, done.stderr
    check_all_topics(settings)


def test_a_second_job_takes_over(cluster: Cluster, settings: Settings) -> None:
    """A job that is sent while one runs takes over: the older one ends, writes nothing more, and
    does not come back."""
    send(3_000, settings)
    with submitted(cluster, settings) as old:
        await_seen(settings, 300)
        with submitted(cluster, settings) as new:
            assert old.wait(240) == 0
            await_seen(settings, 3_000)
            send(500, settings, seed=3)
            await_seen(settings, 3_500)
            assert new.poll() is None
            stop(cluster, settings)
            assert new.wait(180) == 0
    check_all_topics(settings)
    written = [m.record["generation"] for m in read(settings, schemas.INDEX) if m.record]
    assert written == sorted(written)
    assert set(written) == {1, 2}


def test_partitions_are_added(cluster: Cluster, settings: Settings) -> None:
    """Partitions that the topic gets while a job runs: the command sends a job that reads them, and
    `khabar stop` waits for no reader that there never was."""
    send(300, settings)
    with submitted(cluster, settings) as process:
        await_seen(settings, 300)
        admin = clients.admin(settings)
        admin.create_partitions({settings.topic(schemas.RAW): 6})
        admin.close()
        await_generation(settings, 2)
        send(1_000, settings, seed=5)
        await_seen(settings, 1_300, partitions=6)
        assert process.poll() is None
        stop(cluster, settings)
        assert process.wait(180) == 0
    check_all_topics(settings)
    assert len({place[0] for place in found(settings)}) == 6


def test_poison(cluster: Cluster, settings: Settings) -> None:
    """Bytes that are no article are dead letters; the job runs on without a restart."""
    produce([(None, b"\xff\x00"), (None, None), (None, b"{" * 200_000)], settings)
    send(100, settings)
    done = command(settings, *cluster.arguments(), "--until-caught-up", timeout_s=600)
    assert done.returncode == 0, done.stderr
    check_all_topics(settings)
    reasons = {each[1] for each in found(settings).values() if each[0] == "dead-letter"}
    assert reasons >= {"invalid-utf-8", "null-value"}
