"""Metrics, readiness and logs of a real run: they say what the topics say, nothing of an article,
and what is wrong while something is.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import get_args

import pytest
from kafka.errors import KafkaTimeoutError
from prometheus_client.parser import text_string_to_metric_families

from pipelines import schemas
from pipelines.errors import Outage
from pipelines.kafka import clients, topics
from pipelines.kafka.transaction import Job
from pipelines.local import LocalError, Services
from pipelines.local.processes import free_port
from pipelines.records import Message, Verdict
from pipelines.run import register, schema_ids
from pipelines.settings import Settings
from tests.kafka.corpus import articles
from tests.kafka.harness import (
    Supervisor,
    asked,
    check_all_topics,
    khabar,
    read,
    send,
    wait_until_reading,
)
from tests.kafka.test_delivery import committed, wait_for
from tests.kafka.test_hostile import hostile
from tests.test_metrics import LABELS

Samples = dict[str, float]


def watched(settings: Settings, **values: object) -> Settings:
    """The same job with metrics at a free port."""
    return Settings.of(vars(settings) | {"metrics_port": free_port()} | values)


def scraped(settings: Settings) -> Samples:
    """Each sample by its name and the values of its labels, in the order of the labels' names."""
    code, text = asked(settings, "/metrics")
    assert code == 200, text
    return {
        " ".join(
            (sample.name, *(value for _, value in sorted(sample.labels.items())))
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def ready(settings: Settings) -> bool:
    return asked(settings, "/readyz")[0] == 200


def not_ready(settings: Settings, why: str) -> bool:
    """Whether the run answers that it is not ready, and names this as the reason."""
    code, text = asked(settings, "/readyz")
    return code == 503 and why in text and text.count("\n") == 1


def counted(settings: Settings) -> Counter[str]:
    """What a `read_committed` reader counts, by the names of the metrics."""
    there: Counter[str] = Counter()
    for kind in topics.OUTPUTS:
        messages = read(settings, kind)
        name = f"khabar_records_written_total {settings.topic(kind)}"
        there[name] = len(messages)
        for message in messages:
            if kind in (schemas.ARTICLES, schemas.DUPLICATES):
                assert message.record is not None
                there[f"khabar_verdicts_total {message.record['verdict']}"] += 1
            if kind == schemas.DEAD_LETTERS:
                facts = {name: value.decode() for name, value in message.headers[-8:]}
                there[
                    f"khabar_dead_letters_total {facts['khabar-reason']} {facts['khabar-stage']}"
                ] += 1
            if kind == schemas.INDEX and message.record and message.record["kind"] != "decision":
                there[name] -= 1  # marks of starts are the job's own, no bundle's
    return there


def of_counters(samples: Samples) -> Samples:
    """Those of the samples that `counted` has, without the zeros."""
    names = ("khabar_records_written_total", "khabar_verdicts_total", "khabar_dead_letters_total")
    return {name: value for name, value in samples.items() if name.startswith(names) and value}


def without_zeros(samples: Samples) -> Samples:
    return {name: value for name, value in samples.items() if value}


def test_metrics_are_what_a_reader_counts(new_job) -> None:
    """Counters of records by topic, of verdicts, and of dead letters by stage and reason are what a
    `read_committed` reader counts; lag is 0 when all is read, and the index has as many stories as
    were opened."""
    settings = watched(new_job(partitions=2))
    send(articles(400, seed=31), settings)
    with khabar(settings) as process:
        wait_until_reading(process)
        wait_for(lambda: scraped(settings)["khabar_messages_read_total"] == 400)
        for partition in range(2):
            lag = f"khabar_lag {partition} {settings.topic('raw')}"
            wait_for(lambda lag=lag: scraped(settings)[lag] == 0)
        samples = scraped(settings)
    there = counted(settings)
    assert of_counters(samples) == without_zeros(there)
    assert there["khabar_dead_letters_total empty decode"]
    assert samples["khabar_generation"] == 1
    assert samples["khabar_index_stories"] == there["khabar_verdicts_total new"]
    assert samples["khabar_index_bytes"] > 0
    assert samples["khabar_commit_seconds_count"] == samples["khabar_commits_total"] > 0


@pytest.mark.slow
def test_metrics_after_a_kill_count_the_rest(kafka: Settings) -> None:
    """After a SIGKILL in mid-stream the next run counts from zero, and what it counts is what a
    `read_committed` reader finds beyond what was there at the death."""
    settings = watched(kafka)
    send(articles(2000, seed=32), settings)
    with khabar(settings) as process:
        wait_for(lambda: committed(settings) > 50)
        process.kill()
        process.wait()
    at_death = counted(settings)
    assert 0 < committed(settings) < 2000
    with khabar(settings) as process:
        wait_for(lambda: committed(settings) == 2000)
        wait_for(lambda: scraped(settings)[f"khabar_lag 0 {settings.topic('raw')}"] == 0)
        samples = scraped(settings)
    rest = counted(settings)
    rest.subtract(at_death)
    assert of_counters(samples) == without_zeros(rest)
    assert samples["khabar_generation"] == 2


def test_only_what_is_committed_counts(kafka: Settings) -> None:
    """A bundle counts when it is committed and not before, and one that Kafka refused never."""
    send(articles(2), kafka)
    job = Job(kafka, schema_ids(kafka), warn=lambda line: None)
    job.open()
    batch = job.next_batch()
    assert batch is not None
    job.write(Message(kafka.topic(schemas.ARTICLES), b"k", b"v"))
    job.note({("verdict", "new"): 1, ("dead-letter", "decode", "empty"): 1})
    assert (job.totals.read, job.totals.written, job.totals.facts) == (0, Counter(), Counter())
    job.commit()
    assert job.totals.read == len(batch) == 2
    assert job.totals.written == {kafka.topic(schemas.ARTICLES): 1}
    assert job.totals.facts == {("verdict", "new"): 1, ("dead-letter", "decode", "empty"): 1}
    before = job.totals
    send(articles(1), kafka)
    wait_for(lambda: job.next_batch() is not None)
    job.write(Message(kafka.topic(schemas.ARTICLES), b"k", b"v"))
    job.note({("verdict", "new"): 1})

    class Refused:
        def get(self, timeout: float) -> None:
            raise KafkaTimeoutError("delivery timed out")

    job._sent.append(Refused())
    with pytest.raises(Outage):
        job.commit()
    job.close()
    assert job.totals is before


SCRIPT, OVERRIDE = "<script>alert('xmarkerx')</script>", "\u202exmarkerx\u2066\x1b[31m\u2028\r\n"


def marked(seed: int) -> list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]]:
    """Messages that carry a marker in every place that a sender fills, as text that could do harm
    where it is shown; those of `test_hostile` among them.
    """
    chance = random.Random(seed)
    values = [*(f"{SCRIPT} {n} " * 9 for n in range(3)), OVERRIDE * 20, "ا" * 500_000 + "xmarkerx"]
    fields = ("url", "id", "source", "title", "author", "language", "published_at", "xmarkerx")
    messages = []
    for number, text in enumerate(values):
        whole = {"url": f"https://xmarkerx.example/{number}", "title": text, "body": "نص " * 40}
        for field in fields:
            article = whole | {field: text if len(text) < 1000 or field == "title" else "xmarkerx"}
            for value in (
                json.dumps(article, ensure_ascii=False).encode(),
                json.dumps(article).encode()[:-5],  # broken
                json.dumps({field: [text]}).encode(),  # of a wrong type
                b"\0\0\0\0\x63" + text.encode()[:200],  # a schema that nobody has
            ):
                headers = [("xmarkerx", text.encode()[:1000])]
                messages.append((b"xmarkerx" + text.encode()[:1000], value, headers))
    messages += [hostile(chance, number, 99_999, 99_998) for number in range(52)]
    messages.append((None, json.dumps({"title": "xmarkerx" * 150_000}).encode(), []))  # too large
    return messages


@pytest.mark.parametrize("form", ["json", pytest.param("plain", marks=pytest.mark.slow)])
def test_no_text_of_an_article_gets_out(kafka: Settings, form: str) -> None:
    """Script tags, bidi overrides, escapes, newlines and titles of a megabyte, in every field, key
    and header, leave no trace in logs of either form nor in metrics: every line is one JSON object
    or one of ours, and every label a word of ours."""
    settings = watched(kafka, log_format=form)
    messages = marked(7)
    producer = clients.producer(settings)
    for key, value, headers in messages:
        producer.send(settings.topic(schemas.RAW), value, key, headers=headers)
    producer.flush()
    producer.close()
    with khabar(settings) as process:
        wait_for(lambda: asked(settings, "/readyz")[0] == 200)
        wait_for(lambda: scraped(settings)["khabar_messages_read_total"] == len(messages))
        code, metrics = asked(settings, "/metrics")
        process.terminate()
        out, said = process.communicate(timeout=20)
    assert (code, process.returncode, out) == (200, 0, "")
    there = counted(settings)
    assert there["khabar_verdicts_total new"]
    assert there[f"khabar_records_written_total {settings.topic('dead-letters')}"] > 100
    for text in (metrics, said, out):
        assert "xmarkerx" not in text
        assert "<script" not in text
        assert all(each.isprintable() or each == "\n" for each in text)
    lines = said.splitlines()
    assert len(lines) >= 2
    if form == "json":
        told = [json.loads(line) for line in lines]
        assert all({"time", "level", "message"} <= line.keys() for line in told)
        assert told[-1]["in"] == len(messages)
    else:
        ours = ("reading ", "in ", "stopped: in ", "not ready: ", "ready again")
        assert all(line.startswith(ours) for line in lines), lines
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if family.name.startswith("khabar"):
                for label, value in sample.labels.items():
                    assert LABELS[label].fullmatch(value), (label, value)
    assert set(get_args(Verdict)) == {
        name.split()[1] for name in scraped_names(metrics, "khabar_verdicts_total")
    }


def scraped_names(text: str, name: str) -> Iterator[str]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name:
                yield " ".join((name, *sample.labels.values()))


@pytest.mark.slow
def test_the_registry_goes_and_comes_back(own_kafka) -> None:
    """Without the registry a reading run is not ready and says why, in its answer and in one line;
    JSON goes on meanwhile; with the registry back it is ready by itself and says so."""
    services, settings = own_kafka.services, watched(own_kafka.settings)
    with khabar(settings) as process:
        wait_for(lambda: ready(settings))
        services.kill_registry()
        wait_for(lambda: not_ready(settings, "The schema registry at "))
        assert scraped(settings)["khabar_ready"] == 0
        assert asked(settings, "/healthz")[0] == 200
        send(articles(30, seed=33), settings)
        wait_for(lambda: committed(settings) == 30)
        services.restart_registry()
        wait_for(lambda: ready(settings))
        process.terminate()
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    changes = [line for line in said.splitlines() if "ready" in line]
    assert [line.partition(":")[0] for line in changes] == ["not ready", "ready again"]
    assert "schema registry" in changes[0]


@pytest.mark.slow
def test_the_registry_away_needs_no_hands(own_kafka) -> None:
    """The registry away at the start, and again when a message needs a schema that only it knows:
    both times the run is not ready, says so and ends with 75; restarted on failure alone it reads
    on when the registry is back, and nothing is lost."""
    services, settings = own_kafka.services, watched(own_kafka.settings)
    services.kill_registry()
    send(articles(30, seed=34), settings)
    with Supervisor(settings) as supervisor:
        wait_for(lambda: not_ready(settings, "The schema registry at "))
        wait_for(lambda: supervisor.exits == [75], 120)
        services.restart_registry()
        wait_for(lambda: ready(settings), 120)
        wait_for(lambda: committed(settings) == 30)
        services.kill_registry()
        send([b"\0\0\0\0\x63unknown"], settings)
        wait_for(lambda: len(supervisor.exits) == 2, 120)
        services.restart_registry()
        wait_for(lambda: ready(settings), 120)
        wait_for(lambda: committed(settings) == 31)
    assert set(supervisor.exits) == {75}
    assert any("Waiting up to 60 s" in line for line in supervisor.said)
    check_all_topics(settings)


@pytest.mark.slow
def test_kafka_away_needs_no_hands(own_kafka) -> None:
    """Kafka away at the start for longer than a start waits, and killed in mid-stream: not ready
    with Kafka's name as the reason, exit code 75 with a line, and, restarted on failure alone, all
    is there once when Kafka is back."""
    services, settings = own_kafka.services, watched(own_kafka.settings)
    send(articles(900, seed=35), settings)
    services.kill_kafka()
    with Supervisor(settings) as supervisor:
        wait_for(lambda: not_ready(settings, "Kafka at "))
        assert asked(settings, "/healthz")[0] == 200
        assert scraped(settings)["khabar_ready"] == 0
        wait_for(lambda: supervisor.exits == [75], 120)
        services.restart_kafka()
        wait_for(lambda: committed(settings) > 50, 120)
        services.kill_kafka()
        wait_for(lambda: not_ready(settings, "Kafka at "))
        wait_for(lambda: len(supervisor.exits) == 2, 120)
        services.restart_kafka()
        wait_for(lambda: ready(settings), 120)
        wait_for(lambda: committed(settings) == 900, 120)
    assert set(supervisor.exits) == {75}
    assert sum(line.startswith("khabar: Kafka at ") for line in supervisor.said) == 2
    check_all_topics(settings)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 160 MB that nobody else fills: a tmpfs, which root alone may mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no small disk can be mounted here, which takes root on Linux: {error}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """A file that leaves no byte on the disk."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(1 << 16))
    assert os.statvfs(disk).f_bavail == 0
    return ballast


@pytest.mark.slow
def test_a_full_disk_needs_no_hands(small_disk: Path) -> None:
    """When Kafka's disk runs full in mid-stream, and when it is full at the start, the run is not
    ready and ends with 75; with room again and Kafka started it reads on by itself, restarted on
    failure alone, and all is there once."""
    data = small_disk / "data"
    with Services(data=data) as services:
        settings = watched(
            Settings.of({"topic_prefix": "full", "group": "full", **vars(services.addresses)})
        )
        topics.create(settings)
        register(settings)
        send(articles(2500, seed=36), settings)
        with Supervisor(settings) as supervisor:
            wait_for(lambda: committed(settings) > 50, 120)
            ballast = fill(small_disk)
            wait_for(lambda: not_ready(settings, "Kafka at "), 120)
            wait_for(lambda: supervisor.exits == [75], 120)
            with pytest.raises(LocalError):  # no room: Kafka does not start
                services.restart_kafka()
            wait_for(lambda: not_ready(settings, "Kafka at "), 120)
            wait_for(lambda: supervisor.exits == [75, 75], 120)
            ballast.unlink()
            services.restart_kafka()
            wait_for(lambda: ready(settings), 120)
            wait_for(lambda: committed(settings) == 2500, 240)
        assert set(supervisor.exits) == {75}
        check_all_topics(settings)
