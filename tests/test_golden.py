"""The whole graph over the samples: what a person expects of each message, and golden records.

`python -m tests.test_golden` writes the golden records anew, for a change that is meant; the
difference is then read by a person before it is committed.
"""

from __future__ import annotations

import json
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import fastavro
import pytest

from pipelines.process import WRITTEN, process
from pipelines.producers import samples
from pipelines.producers.files import FileMessage
from pipelines.settings import Settings
from tests.test_process import check_spans

GOLDEN = Path(__file__).parent / "golden" / "samples.jsonl"
# These say which version wrote a record, not what it found.
VERSIONS = ("versions", "profile", "version")

Record = dict[str, Any]


def run_graph() -> dict[str, list[Record]]:
    """All output records of the graph over the samples, by kind."""
    messages = [
        FileMessage("samples", number, sample.message_key, sample.value)
        for number, sample in enumerate(samples.read())
    ]
    with tempfile.TemporaryDirectory() as folder:
        process(messages, Path(folder), Settings.of({}))
        found = {}
        for kind in WRITTEN:
            with (Path(folder) / f"{kind}.avro").open("rb") as stream:
                found[kind] = list(fastavro.reader(stream))
    return found


@pytest.fixture(scope="module")
def output() -> dict[str, list[Record]]:
    return run_graph()


@pytest.fixture(scope="module")
def by_key(output) -> dict[str, Record]:
    """The one record that each sample became, by the sample's key."""
    places: dict[int, Record] = {}
    for kind in ("articles", "duplicates", "dead-letters"):
        for record in output[kind]:
            offset = record["offset"] if kind == "dead-letters" else record["origin"]["offset"]
            assert offset not in places, "a message became two records"
            places[offset] = record
    return {sample.key: places.pop(n) for n, sample in enumerate(samples.read())}


def test_each_message_is_decided_as_a_person_expects(by_key) -> None:
    """Verdict, story, the article it repeats or revises, language and dead-letter reason of every
    sample are what the corpus says, exactly; but for verdict and story of the misses listed."""
    for sample in samples.read():
        record, expect = by_key[sample.key], sample.expect
        if expect["verdict"] == "dead-letter":
            assert (record["reason"], record["value"]) == (expect["reason"], sample.value)
            continue
        if "language" in record:
            assert record["language"] == expect["language"], sample.key
        as_expected = (
            record["verdict"] == expect["verdict"]
            and record["story_id"] == by_key[expect["story"]]["article_id"]
        )
        assert as_expected != ("known_miss" in expect), sample.key
        if expect["of"] is not None and as_expected:
            assert record["matched"] == by_key[expect["of"]]["article_id"], sample.key


def test_each_published_article_has_the_entities_a_person_expects(by_key) -> None:
    """The names that a person listed are found with exact offsets, apart from those listed as
    missed; the common words listed are no entities, apart from those listed as wrong."""
    for sample in samples.read():
        record, expect = by_key[sample.key], sample.expect
        if "entities" not in record:
            continue
        check_spans(record)
        texts = {mention["text"] for entity in record["entities"] for mention in entity["mentions"]}
        missed, wrong = expect.get("entities_missed", []), expect.get("entities_wrong", [])
        assert set(expect["entities"]) - texts == set(missed), sample.key
        assert set(expect.get("not_entities", [])) & texts == set(wrong), sample.key


def test_records_are_the_golden_ones(output) -> None:
    """Every field of every output record is as in the golden file."""
    golden = GOLDEN.read_text(encoding="utf-8").rstrip("\n").split("\n")
    lines = list(as_lines(output))
    for number, (line, wanted) in enumerate(zip(lines, golden, strict=False), 1):
        assert json.loads(line) == json.loads(wanted), f"line {number} of {GOLDEN.name}"
    assert len(lines) == len(golden)


def as_lines(output: dict[str, list[Record]]) -> list[str]:
    return [
        json.dumps({kind: plain(record)}, ensure_ascii=False, sort_keys=True)
        for kind in WRITTEN
        for record in output[kind]
    ]


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items() if name not in VERSIONS}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return value[:40].hex()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float):
        return round(value, 6)
    return value


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text("\n".join(as_lines(run_graph())) + "\n", encoding="utf-8")
