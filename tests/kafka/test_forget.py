"""Removal on a real Kafka: from the request to what readers, our own commands among them, see."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines import schemas
from pipelines.explain import identity
from pipelines.kafka.tail import Tailed
from pipelines.producers import samples
from pipelines.producers.produce import produce
from pipelines.settings import Settings
from tests.kafka.harness import caught_up, command, expected, found, read, send

REASON = "asked for by the publisher"
# Long enough to be found wherever it stands.
BODY = "قال السكان إن سيولا جرفت جسر الوادي القديم شرق المكلا وقطعت الطريق إلى الميناء منذ الفجر. "
SECOND = "وأوضح المهندس فارس العولقي أن الجسر المؤقت يفتح مساء الأحد أمام الشاحنات الصغيرة وحدها. "
URL = "https://wadi.example/news/7"


def message(body: str, title: str = "سيول شرق المكلا", url: str = URL) -> bytes:
    fields = {"url": url, "title": title, "body": body, "source": "صدى الوادي"}
    return json.dumps(fields, ensure_ascii=False).encode()


def records(settings: Settings, kind: str) -> list[dict[str, Any]]:
    return [each.record for each in read(settings, kind) if each.record]


@pytest.fixture
def removed(new_job: Callable[..., Settings]) -> Settings:
    """A job that published two revisions of an article, a copy of it and others, and then was asked
    to remove it."""
    settings = new_job(partitions=2)
    produce([(b"k", message(BODY * 3)), (b"k", message(BODY * 3 + SECOND * 3))], settings)
    send([message(BODY * 3, "خبر منقول", "https://copy.example/1")], settings)
    send([sample.value for sample in list(samples.read())[:10]], settings)
    caught_up(settings)
    done = command(settings, "forget", URL, "--reason", REASON)
    assert done.returncode == 0, done.stderr
    assert f"{2} published records" in done.stderr
    caught_up(settings)
    return settings


def test_readers_are_told(removed: Settings) -> None:
    """One notice under the article's story, one for each entity of any revision, in the partitions
    where the entities stand; all topics are as an uninterrupted run makes them."""
    article = identity(URL)
    (notice,) = [each for each in read(removed, schemas.ARTICLES) if is_notice(each)]
    assert notice.record
    published = [
        each
        for each in records(removed, schemas.ARTICLES)
        if each["article_id"] == article and each["verdict"] != "removal"
    ]
    assert {each["revision"] for each in published} == {1, 2}
    assert notice.record["article_id"] == article
    assert notice.record["revision"] == 2
    assert notice.record["story_id"] == published[-1]["story_id"]
    assert notice.record["removal_reason"] == REASON
    entities = [each for each in read(removed, schemas.ENTITIES) if each.record]
    theirs = [e for e in entities if e.record and e.record["article_id"] == article]
    told = {e.record["entity_id"]: e for e in theirs if e.record and e.record["removed"]}
    before = {e.record["entity_id"]: e for e in theirs if e.record and not e.record["removed"]}
    assert told.keys() == before.keys()
    assert before.keys() == {e["entity_id"] for p in published for e in p["entities"]}
    assert len(before) > 1
    for entity_id, each in told.items():
        assert each.partition == before[entity_id].partition
        assert each.offset > before[entity_id].offset
    there = found(removed)
    # Two partitions leave the order open: `sequence` says which it was.
    wanted = expected(removed, lambda place: there[place][4] if len(there[place]) > 2 else 0)
    assert there == wanted


def is_notice(message: Tailed) -> bool:
    return bool(message.record and message.record["verdict"] == "removal")


@pytest.mark.slow
def test_it_is_not_published_again(removed: Settings) -> None:
    """The article comes again, changed and unchanged, over a restart and a rebuilt index: it is
    held back, without its title and address."""
    produce([(b"k", message(BODY * 3)), (b"k", message(SECOND * 4))], removed)
    caught_up(removed)
    assert command(removed, "index", "rebuild").returncode == 0
    produce([(b"k", message(SECOND * 5))], removed)
    caught_up(removed)
    held = [e for e in records(removed, schemas.DUPLICATES) if e["rule"] == "removed"]
    assert len(held) == 3
    for record in held:
        assert record["article_id"] == identity(URL)
        assert not any(record[name] for name in ("title", "url", "source"))
    verdicts = Counter(
        each["verdict"]
        for each in records(removed, schemas.ARTICLES)
        if each["article_id"] == identity(URL)
    )
    assert verdicts == {"new": 1, "revision": 1, "removal": 1}


@pytest.mark.parametrize("topic", ["articles", "duplicates", "entities"])
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_exports_leave_it_out(removed: Settings, tmp_path: Path, topic: str, form: str) -> None:
    """No export has a word of it; everything else is there."""
    out = tmp_path / "out"
    done = command(removed, "export", topic, "--format", form, "--out", str(out))
    assert done.returncode == 0, done.stderr
    if form == "jsonl":
        rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    else:
        import pyarrow.parquet as pq

        rows = pq.read_table(out).to_pylist()
    wanted = [r for r in records(removed, topic) if r["article_id"] != identity(URL)]
    assert len(rows) == len(wanted)
    assert Counter(row["article_id"] for row in rows) == Counter(r["article_id"] for r in wanted)
    assert not any(row["article_id"] == identity(URL) for row in rows)


def test_our_commands_show_none_of_it(removed: Settings) -> None:
    """`explain` and `story` say that it was removed and why, and give no text of it, though the
    topics still hold it; nor beside the copy that was held against it."""
    shown = []
    for words in (["explain", URL], ["story", URL, "--all"], ["explain", "copy.example/1"]):
        for arguments in (words, [*words, "--json"]):
            done = command(removed, *arguments)
            assert done.returncode == 0, done.stderr
            shown.append(done.stdout)
    assert REASON in shown[0]
    assert "removed on request" in shown[0]
    for text in shown[:4]:
        for word in ("سيول", "جرفت", "العولقي"):
            assert word not in text
    # The copy's own text is its own; the other side is not shown.
    told = json.loads(shown[5])
    assert told["decision"]["value"]["matched"] == identity(URL)
    assert told["against_text"]["parts"] is None
    assert "removed on request" in told["against_text"]["note"]
    assert told["against"]["value"]["title"] == ""


def test_what_nobody_published(kafka: Settings) -> None:
    """A request for an article that no topic names says so, and holds it back when it comes."""
    done = command(kafka, "forget", URL, "--reason", REASON)
    assert done.returncode == 0
    assert "Nothing of it was published" in done.stderr
    send([message(BODY * 3)], kafka)
    caught_up(kafka)
    (record,) = records(kafka, schemas.DUPLICATES)
    assert record["rule"] == "removed"
    (notice,) = records(kafka, schemas.ARTICLES)
    assert (notice["verdict"], notice["revision"]) == ("removal", 0)


@pytest.mark.parametrize("reason", ["", " ", "x" * 501, "a\x1b[2Jb", "a\u202eb"])
def test_a_reason_that_cannot_be_told(kafka: Settings, reason: str) -> None:
    """An empty, endless or hostile reason is exit code 2, and nothing is sent."""
    done = command(kafka, "forget", URL, "--reason", reason)
    assert done.returncode == 2
    assert "--reason takes" in done.stderr
    assert read(kafka, schemas.RAW) == []
