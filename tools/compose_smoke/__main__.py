"""Builds the image, brings up docker-compose.yml, and sees that it recovers without hands:

    python -m tools.compose_smoke [--data FOLDER] [--only-image | --only-flink]

`make compose-smoke` calls it. It takes the Docker daemon that answers; where there is none it
starts one of its own and stops it at the end. Official images that cannot be pulled are replaced by
stand-ins: docs/compose.md says of what, and what that leaves unproved. With --data the daemon of
our own keeps its images there, and the next run builds on them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import yaml

from tests.kafka.corpus import articles
from tools.compose_smoke import stand_ins
from tools.compose_smoke.docker import Failed, daemon
from tools.compose_smoke.image import WORKER, build, examine, try_worker
from tools.compose_smoke.stack import IMAGE, Stack

ROOT = Path(__file__).parents[2]
BASE = "python:3.13-slim"
# A target, not a limit: a busy machine takes longer.
FIRST_ARTICLE_S = 60.0
# What Docker may take to start a container again, and the pipeline to be back.
BACK_S = 120.0
# `run` waits a minute for what is away before it ends with 75.
GIVES_UP_S = 100.0
AWAY_S = 15.0
ARTICLES, RATE = 1000, 80.0
# On Flink: of the raw topic, and what may pass until the job is back, workers and all.
PARTITIONS = 4
AGAIN_S = 420.0
TASK_MANAGERS = ("flink-taskmanager-1", "flink-taskmanager-2")
POOLS = ("flink-workers-1", "flink-workers-2")
NODES = ("flink-node-1", "flink-node-2")

Trial = Callable[[Stack], None]


def main() -> None:
    """Exit code 0 when all was as it should be, 1 when not, 2 when nothing could be tried."""
    parser = argparse.ArgumentParser(prog="python -m tools.compose_smoke")
    parser.add_argument("--data", type=Path, help="folder for the images of a daemon of our own")
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--only-image", action="store_true", help="build it and say what it holds")
    parts.add_argument("--only-flink", action="store_true", help="try the profile flink alone")
    arguments = parser.parse_args()
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    images = [services["kafka"]["image"], services["registry"]["image"]]
    if not arguments.only_image:
        images += [services["flink-jobmanager"]["image"], services["flink-jobserver"]["image"]]
    ready = False
    try:
        with (
            tempfile.TemporaryDirectory(prefix="khabar-smoke-") as folder,
            daemon(arguments.data or Path(folder)) as docker,
        ):
            ready = True
            made = stand_ins.provide(docker, BASE, images, say)
            try:
                say(f"stand-ins: {', '.join(made) or 'none, all images are official'}")
                build(docker, ROOT, say)
                if not arguments.only_flink:
                    examine(docker, BASE, BASE in made, say)
                    try_worker(docker, say)
                if not arguments.only_image:
                    if not arguments.only_flink:
                        try_stack(Stack(docker), PIPELINE, BACK_S, FIRST_ARTICLE_S)
                    docker.environment["PARTITIONS"] = str(PARTITIONS)
                    flink = Stack(docker, "flink-run", "producer", profile="flink")
                    try_stack(flink, ON_FLINK, AGAIN_S)
            finally:
                if made and not docker.private:
                    # Nobody should take them for official ones; ours hold what they hold.
                    docker.fails("image", "rm", "--force", IMAGE, WORKER, *made)
    except Failed as failed:
        say(f"FAILED: {failed}")
        sys.exit(1 if ready else 2)
    say("all was as it should be")


def say(line: str) -> None:
    """At once, also into a file."""
    print(line, flush=True)


def try_stack(
    stack: Stack, trials: Iterable[Trial], up_s: float, target_s: float | None = None
) -> None:
    """Up, through all kinds of trouble, and down."""
    if stack.left():
        raise Failed(
            "Something of an earlier run is there: docker compose --project-name khabar-smoke "
            "down --volumes"
        )
    try:
        say(f"docker compose up; {load()}")
        stack.up()
        first = stack.await_articles(up_s)
        say(f"  first article after {first:.1f} s; {load()}")
        if target_s is not None:
            late = " NOT REACHED" * (first > target_s)
            say(f"  target: {target_s:.0f} s{late}")
        for trial in trials:
            began = time.monotonic()
            say(f"{trial.__name__.replace('_', ' ')}: {trial.__doc__}")
            trial(stack)
            say(f"  passed after {time.monotonic() - began:.0f} s")
    except BaseException:
        say(stack.logs())
        raise
    finally:
        stack.down()
        if left := stack.left():
            raise Failed(f"down left something behind: {left}")


def services_are_as_written(stack: Stack) -> None:
    """Health, users, ports, limits, and stories in the log of `tail`."""
    setup = stack.container("setup")["State"]
    expect("setup's end", (setup["Status"], setup["ExitCode"]), ("exited", 0))
    look_at(stack, healthy=("kafka", "registry", "khabar"), others=("producer", "tail"))
    stack.wait("a story in the log of tail", lambda: "story" in stack.said("tail"), 30)


def look_at(stack: Stack, healthy: tuple[str, ...], others: tuple[str, ...]) -> None:
    """Whether these run, within what the file allows them."""
    for service in healthy:
        stack.wait(f"health of {service}", partial(is_healthy, stack, service), BACK_S)
    for service in (*healthy, *others):
        container = stack.container(service)
        expect(f"{service} runs", container["State"]["Status"], "running")
        expect(
            f"{service}'s policy", container["HostConfig"]["RestartPolicy"]["Name"], "on-failure"
        )
        expect(f"{service} has a limit", container["HostConfig"]["Memory"] > 0, True)
        ports = container["NetworkSettings"]["Ports"].values()
        hosts = {binding["HostIp"] for bindings in ports for binding in bindings or ()}
        expect(f"{service}'s ports", hosts - {"127.0.0.1"}, set())
        user = stack.docker("exec", stack.id(service), "id", "-u").strip()
        expect(f"{service} runs as root", user == "0", False)
        say(f"  {service}: {memory(stack, service)}")


def pipeline_killed(stack: Stack) -> None:
    """kill -9, twice, while articles come in: nothing is lost, nothing is doubled."""
    sender = threading.Thread(target=stack.send, args=(articles(ARTICLES), RATE))
    sender.start()
    for _ in range(2):
        time.sleep(4)
        took = recovers(stack, "khabar", lambda: stack.kill("khabar"))
        say(f"  runs again after {took:.1f} s")
    sender.join()
    stack.stop("producer")
    say(f"  {stack.check()} messages, each ended once, as in a run that nobody disturbs")
    stack.start("producer")


def brokers_killed(stack: Stack) -> None:
    """kill -9 of Kafka, then of the registry, in mid-stream: Docker starts them again."""
    for service in ("kafka", "registry"):
        since = time.time()
        took = recovers(stack, service, partial(stack.kill, service))
        stack.settle(BACK_S)
        say(
            f"  {service} runs again after {took:.1f} s, new articles after "
            f"{time.time() - since:.1f} s; exit codes of khabar: {stack.died('khabar', since)}"
        )


def away_in_mid_stream(stack: Stack) -> None:
    """The registry, then Kafka, is stopped for a while in mid-stream."""
    for service in ("registry", "kafka"):
        since = time.time()
        stack.stop(service)
        if service == "registry":
            stack.settle(BACK_S)
            say("  without the registry articles go on")
        time.sleep(AWAY_S)
        stack.start(service)
        again = time.time()
        stack.settle(BACK_S)
        say(
            f"  {service} away for {again - since:.0f} s, new articles {time.time() - again:.1f} s "
            f"later; exit codes of khabar: {stack.died('khabar', since)}"
        )


def away_at_start(stack: Stack) -> None:
    """The pipeline is started while Kafka, then the registry, is away for more than a minute."""
    for service in ("kafka", "registry"):
        stack.stop("khabar")
        stack.stop(service)
        since = time.time()
        stack.start("khabar")
        stack.wait("exit code 75", partial(gave_up, stack, since), GIVES_UP_S)
        stack.start(service)
        again = time.time()
        stack.settle(BACK_S)
        say(
            f"  {service} away for {again - since:.0f} s, new articles {time.time() - again:.1f} s "
            f"later; exit codes of khabar: {stack.died('khabar', since)}"
        )


def told_to_stop(stack: Stack) -> None:
    """SIGTERM: each ends by itself, soon, with 0; then every message is looked at once more."""
    # A new one: messages that the old one could not send in time are told at its end, with 75.
    stack.stop("producer")
    stack.start("producer")
    stack.settle(BACK_S)
    for service in ("producer", "tail"):
        took = stack.stop(service)
        code = stack.container(service)["State"]["ExitCode"]
        say(f"  {service} ended after {took:.1f} s with {code}")
        expect(f"{service}'s exit code", code, 0)
    say(f"  {stack.check()} messages, each ended once, as in a run that nobody disturbs")
    took = stack.stop("khabar")
    code = stack.container("khabar")["State"]["ExitCode"]
    say(f"  khabar ended after {took:.1f} s with {code}")
    expect("khabar's exit code", code, 0)


def cluster_is_as_written(stack: Stack) -> None:
    """Health, users, ports, limits; the job is on both task managers, in workers of both pools."""
    healthy = ("flink-jobmanager", "flink-jobserver", *TASK_MANAGERS, *POOLS)
    look_at(stack, healthy, others=("flink-run", "producer", *NODES))
    expect("slots", stack.flink("/overview")["slots-total"], 4)
    (job,) = running(stack)
    tasks = stack.flink(f"/jobs/{job}")["vertices"]
    used = {
        task["taskmanager-id"]
        for each in tasks
        for task in stack.flink(f"/jobs/{job}/vertices/{each['id']}")["subtasks"]
    }
    expect("task managers of the job", len(used), len(TASK_MANAGERS))
    for pool in POOLS:
        # One is what they are forked from.
        forked = stack.docker("top", stack.id(pool)).count("multiprocessing.forkserver")
        expect(f"{pool} has workers", forked > 1, True)


def task_managers_killed(stack: Stack) -> None:
    """kill -9 of a task manager, of a pool, then of both of a node: nothing is lost or doubled."""
    sender = threading.Thread(target=stack.send, args=(articles(ARTICLES), RATE / 4))
    sender.start()
    first, second = TASK_MANAGERS
    for struck in ((first,), POOLS[1:], (second, POOLS[1])):
        time.sleep(4)
        since = time.time()
        for service in struck:
            took = recovers(stack, service, partial(stack.kill, service))
            say(f"  {service} runs again after {took:.1f} s")
        stack.settle(AGAIN_S)
        say(f"  new articles after {time.time() - since:.1f} s")
    sender.join()
    expect("jobs sent", jobs_sent(stack), 1)
    checked(stack)


def masters_killed(stack: Stack) -> None:
    """kill -9 of the job server, then of the job manager: the job is sent again, and runs once."""
    for service in ("flink-jobserver", "flink-jobmanager"):
        since, sent = time.time(), jobs_sent(stack)
        took = recovers(stack, service, partial(stack.kill, service))
        say(f"  {service} runs again after {took:.1f} s")
        stack.wait("another job", partial(sent_again, stack, sent), AGAIN_S)
        again = time.time()
        stack.settle(AGAIN_S)
        stack.wait("the end of older jobs", lambda: len(running(stack)) == 1, AGAIN_S)
        say(
            f"  sent again after {again - since:.1f} s, new articles and one job after "
            f"{time.time() - since:.1f} s"
        )
    checked(stack)


def kafka_killed(stack: Stack) -> None:
    """kill -9 of Kafka: it comes back, and so does the job."""
    since = time.time()
    took = recovers(stack, "kafka", lambda: stack.kill("kafka"))
    stack.settle(AGAIN_S)
    say(f"  kafka runs again after {took:.1f} s, new articles after {time.time() - since:.1f} s")


def from_flink_and_back(stack: Stack) -> None:
    """`khabar run` in one process takes over from the job, and a job from it: each ends with 0."""
    for old, new, start in (
        ("flink-run", "khabar", stack.add),
        ("khabar", "flink-run", stack.start),
    ):
        since = time.time()
        start(new)
        stack.wait(f"the end of {old}", partial(has_ended, stack, old), AGAIN_S)
        expect(f"{old}'s exit code", stack.container(old)["State"]["ExitCode"], 0)
        stack.settle(AGAIN_S)
        say(f"  {new} took over from {old} after {time.time() - since:.1f} s")
    stack.wait("the end of older jobs", lambda: len(running(stack)) == 1, BACK_S)
    checked(stack)


def job_told_to_stop(stack: Stack) -> None:
    """`khabar stop` in mid-stream: what was read is committed, flink-run ends with 0."""
    stack.once("khabar", "stop", "--job-endpoint", "flink-jobserver:8099")
    stack.wait("the end of flink-run", lambda: not runs(stack, "flink-run"), BACK_S)
    expect("flink-run's exit code", stack.container("flink-run")["State"]["ExitCode"], 0)
    stack.wait("the end of the job", lambda: not running(stack), BACK_S)
    there = stack.offsets()[1]
    stack.start("flink-run")
    stack.settle(AGAIN_S)
    say(f"  ended at {there} messages; sent again, it went on")
    checked(stack)


def checked(stack: Stack) -> None:
    """Looks at every message, with no new ones meanwhile."""
    stack.stop("producer")
    say(f"  {stack.check()} messages, each ended once, as in a run that nobody disturbs")
    stack.start("producer")


def jobs_sent(stack: Stack) -> int:
    """How many jobs flink-run has sent so far."""
    return stack.said("flink-run").count("sent job")


def sent_again(stack: Stack, sent: int) -> bool:
    """Whether flink-run has sent more jobs than these."""
    return jobs_sent(stack) > sent


def running(stack: Stack) -> list[str]:
    """The jobs that Flink has and that have not ended."""
    ended = ("FINISHED", "CANCELED", "FAILED")
    jobs = stack.flink("/jobs/overview")["jobs"]
    return [job["jid"] for job in jobs if job["state"] not in ended]


def recovers(stack: Stack, service: str, strike: Callable[[], None]) -> float:
    """Seconds until another process of the service runs; Docker alone starts it."""
    before = stack.container(service)["State"]["Pid"]
    strike()
    began = time.monotonic()
    stack.wait(f"another {service}", lambda: runs(stack, service) not in (0, before), BACK_S)
    return time.monotonic() - began


def runs(stack: Stack, service: str) -> int:
    """Its process, 0 when it does not run."""
    state = stack.container(service)["State"]
    return int(state["Pid"]) if state["Running"] else 0


def is_healthy(stack: Stack, service: str) -> bool:
    """Whether its health check passes."""
    return stack.health(service) == "healthy"


def has_ended(stack: Stack, service: str) -> bool:
    """Whether no process of it runs."""
    return not runs(stack, service)


def gave_up(stack: Stack, since: float) -> bool:
    """Whether the pipeline has ended since then because something was away."""
    return 75 in stack.died("khabar", since)


PIPELINE = (
    services_are_as_written,
    pipeline_killed,
    brokers_killed,
    away_in_mid_stream,
    away_at_start,
    told_to_stop,
)
ON_FLINK = (
    cluster_is_as_written,
    task_managers_killed,
    masters_killed,
    kafka_killed,
    from_flink_and_back,
    job_told_to_stop,
)


def load() -> str:
    """What else the machine does: the times depend on it."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"


def memory(stack: Stack, service: str) -> str:
    """What it takes of its limit."""
    return stack.docker("stats", "--no-stream", "--format={{.MemUsage}}", stack.id(service)).strip()


def expect(what: str, found: object, wanted: object) -> None:
    """Raises Failed when they differ."""
    if found != wanted:
        raise Failed(f"{what} should be {wanted} and is {found}")


if __name__ == "__main__":
    main()
