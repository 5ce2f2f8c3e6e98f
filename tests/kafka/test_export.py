"""`khabar export` and the filters of `khabar tail` on a real Kafka: whole, exact, harmless."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import schemas
from pipelines.export import KINDS, arrow_schema
from pipelines.producers import samples
from pipelines.settings import Settings
from pipelines.show import as_plain
from tests.kafka.harness import caught_up, command, read, send

EVIL = "<script>alert(1)</script>\x1b[2J\u202egnp\u2028" + "ط" * 300_000


@pytest.fixture(scope="module")
def sampled(services: Any) -> Settings:
    """A job that has decided the samples, a hostile article and bytes that are none."""
    from tests.conftest import _job

    settings = _job(services, 2, topic_prefix="exported", group="exported")
    hostile = {"id": "evil", "title": EVIL, "body": EVIL, "source": EVIL, EVIL[:30]: "x"}
    values = [sample.value for sample in samples.read()]
    send([*values, json.dumps(hostile).encode(), b"\xff\x00"], settings)
    caught_up(settings)
    return settings


def records(settings: Settings, kind: str) -> list[dict[str, Any]]:
    found = []
    for message in read(settings, kind):
        assert message.record
        place = {"kafka_partition": message.partition, "kafka_offset": message.offset}
        found.append({**place, **message.record})
    return found


def place(row: dict[str, Any]) -> tuple[int, int]:
    return row["kafka_partition"], row["kafka_offset"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != schemas.DEAD_LETTERS])
def test_every_record_is_there(sampled: Settings, tmp_path: Path, kind: str) -> None:
    """Both formats hold each record of the topic with every field and value, hostile ones too."""
    wanted = sorted(records(sampled, kind), key=place)
    out = tmp_path / "out.jsonl"
    done = command(sampled, "export", kind, "--out", str(out))
    assert done.returncode == 0, done.stderr
    text = out.read_text(encoding="utf-8")
    assert not {"\x1b", "\u202e", "\u2028"} & set(text)
    rows = [json.loads(line) for line in text.split("\n")[:-1]]
    assert sorted(rows, key=place) == [json.loads(json.dumps(as_plain(each))) for each in wanted]

    done = command(sampled, "export", kind, "--format", "parquet", "--out", str(out))
    assert done.returncode == 0, done.stderr
    table = pq.read_table(out)
    assert table.schema.names == arrow_schema(kind).names
    found = sorted(map(plain, table.to_pylist()), key=place)
    assert found == [plain(each) for each in wanted]
    assert not list(tmp_path.glob("*.part"))


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row in which maps are mappings: Arrow gives them as pairs."""
    extra = row.get("extra")
    return {**row, "extra": dict(extra)} if extra is not None else row


def test_dead_letters(sampled: Settings, tmp_path: Path) -> None:
    """Their bytes are whole, and the facts of the headers are columns."""
    out = tmp_path / "letters.parquet"
    done = command(sampled, "export", "dead-letters", "--format", "parquet", "--out", str(out))
    assert done.returncode == 0, done.stderr
    rows = pq.read_table(out).to_pylist()
    letters = {(m.partition, m.offset): m for m in read(sampled, schemas.DEAD_LETTERS)}
    assert {place(row) for row in rows} == letters.keys()
    assert b"\xff\x00" in [row["value"] for row in rows]
    for row in rows:
        facts = dict(letters[place(row)].headers)
        assert row["reason"].encode() == facts["khabar-reason"]
        assert row["offset"] == int(facts["khabar-offset"])
        time = datetime.fromtimestamp(int(facts["khabar-timestamp"]) / 1000, UTC)
        assert row["timestamp"] == time


def test_times(sampled: Settings, tmp_path: Path) -> None:
    """--since and --until part the topic in two, by Kafka's time of the records."""
    times = sorted(message.timestamp for message in read(sampled, schemas.ENTITIES))
    middle = times[len(times) // 2]
    border = datetime.fromtimestamp(middle / 1000, UTC).isoformat()
    counts = []
    for arguments in (("--since", border), ("--until", border)):
        out = tmp_path / "out"
        assert command(sampled, "export", "entities", "--out", str(out), *arguments).returncode == 0
        counts.append(len(out.read_text(encoding="utf-8").split("\n")) - 1)
    assert counts == [sum(t >= middle for t in times), sum(t < middle for t in times)]
    assert min(counts) > 0

    arguments = ("tail", "entities", "--json", "--until-caught-up", "--since", border)
    assert len(command(sampled, *arguments).stdout.splitlines()) == counts[0]


def test_a_file_that_cannot_be_written(sampled: Settings, tmp_path: Path) -> None:
    """Exit code 2, one paragraph, and nothing left behind; an older file stays."""
    done = command(sampled, "export", "articles", "--out", str(tmp_path / "none" / "x"))
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert list(tmp_path.iterdir()) == []


FILTERS: list[tuple[str, str, Callable[[dict[str, Any]], Any]]] = [
    ("--story", "story_id", lambda record: record["story_id"]),
    ("--source", "source", lambda record: record["source"]),
    ("--entity", "entities", lambda record: record["entities"] and record["entities"][0]["name"]),
]


@pytest.mark.parametrize(("option", "field", "value"), FILTERS)
def test_filters(
    sampled: Settings, option: str, field: str, value: Callable[[dict[str, Any]], Any]
) -> None:
    """Each filter gives the records that have what is asked for, and no other."""
    articles = records(sampled, schemas.ARTICLES)
    wanted = next(value(record) for record in articles if value(record))
    arguments = ("tail", "articles", "--json", "--until-caught-up", option, wanted)
    done = command(sampled, *arguments)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line)["value"] for line in done.stdout.splitlines()]
    assert 0 < len(found) < len(articles)
    if option == "--entity":
        having = [r for r in articles if any(e["name"] == wanted for e in r["entities"])]
        assert {r["article_id"] for r in having} <= {r["article_id"] for r in found}
        for record in found:
            names = [n for e in record["entities"] for n in (e["name"], *e["aliases"])]
            assert wanted in names
    else:
        assert len(found) == sum(record[field] == wanted for record in articles)


def test_columns_are_typed() -> None:
    """Times are times in UTC, texts are texts, spans are lists of structs, in every kind."""
    schema = arrow_schema(schemas.ARTICLES)
    assert schema.field("published_at").type == pa.timestamp("ms", tz="UTC")
    assert schema.field("verdict").type == pa.string()
    assert schema.field("extra").type == pa.map_(pa.string(), pa.string())
    assert (
        schema.field("entities")
        .type.value_type.field("mentions")
        .type.value_type.field("start")
        .type
        == pa.int32()
    )
    for kind in KINDS:
        assert len(arrow_schema(kind)) == len(json.loads(schemas.text(kind))["fields"]) + 2
