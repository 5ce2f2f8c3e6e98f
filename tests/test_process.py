"""`khabar process` over real articles: the user's five seeds and eleven days of Saudi news."""

from __future__ import annotations

import json
import lzma
from collections import Counter
from pathlib import Path
from typing import Any

import fastavro
import pytest

from pipelines.errors import UsageError
from pipelines.process import WRITTEN, process
from pipelines.producers import files
from pipelines.settings import SETTINGS, Settings

DEFAULTS = Settings.of({})


def records(folder: Path, kind: str) -> list[dict[str, Any]]:
    with (folder / f"{kind}.avro").open("rb") as stream:
        return [record for record in fastavro.reader(stream) if isinstance(record, dict)]


def check_spans(article: dict[str, Any]) -> None:
    """Every mention is its raw span, and furniture lies inside the raw text."""
    for entity in article["entities"]:
        assert entity["count"] == len(entity["mentions"]) > 0
        for mention in entity["mentions"]:
            raw = article[mention["field"]]
            assert raw[mention["start"] : mention["end"]] == mention["text"] != ""
    for span in article["furniture"]:
        assert 0 <= span["start"] < span["end"] <= len(article[span["field"]])


def test_the_five_seeds(shared: Path, tmp_path: Path) -> None:
    """The five seed articles come out as five new stories with exact entity offsets, and no dead
    letter."""
    counts = process(files.read(files.find([str(shared / "seeds")])), tmp_path, DEFAULTS)
    assert counts["read"] == counts["articles"] == 5
    assert counts["dead-letters"] == 0
    articles = records(tmp_path, "articles")
    for article in articles:
        check_spans(article)
        assert article["verdict"] == "new"
        assert article["language"] == "ar"
        assert article["source"] == "seeds"
        assert article["title"] or article["standfirst"]
    towns = [e for a in articles for e in a["entities"] if e["entity_id"] == "loc:sy/abu-kamal"]
    assert len(towns) == 5, "the town of all five articles is one entity"
    assert counts["entities"] == sum(len(a["entities"]) for a in articles)
    assert len(records(tmp_path, "entities")) == counts["entities"]


@pytest.mark.slow
def test_all_saudi_articles(shared: Path, tmp_path: Path) -> None:
    """Of 15,042 real articles only those with neither title nor body are dead letters, and every
    mention's offsets are exact."""
    path = shared / "news" / "saudinewsnet-dev.jsonl.xz"
    counts = process(files.read([path]), tmp_path, DEFAULTS)
    assert counts["read"] == 15_042
    dead = records(tmp_path, "dead-letters")
    assert Counter(letter["reason"] for letter in dead) == {"empty": 39}
    with lzma.open(path, "rb") as stream:
        lines = stream.read().splitlines()
    assert all(letter["value"] == lines[letter["offset"]] for letter in dead)
    articles, duplicates = records(tmp_path, "articles"), records(tmp_path, "duplicates")
    offsets = [r["origin"]["offset"] for r in articles + duplicates] + [d["offset"] for d in dead]
    assert sorted(offsets) == list(range(15_042))
    for article in articles:
        check_spans(article)
    assert [a["sequence"] for a in articles] == sorted(a["sequence"] for a in articles)


@pytest.mark.slow
@pytest.mark.parametrize("word", ["غزة ", "واس\n", "<b>a"])
def test_the_largest_message_taken_fits_on_a_topic(tmp_path: Path, word: str) -> None:
    """A message of the most bytes that can be let in, nothing but names, furniture or tags, makes
    records that a topic takes: an article that was decided never becomes a dead letter."""
    most = next(s.at_most for s in SETTINGS if s.name == "max_message_bytes")
    assert most is not None
    room = most - len(b'{"body":""}') - 10
    escaped = json.dumps(word, ensure_ascii=False)[1:-1]
    value = f'{{"body":"{escaped * (room // len(escaped.encode()))}"}}'.encode()
    message = files.FileMessage("f", 0, None, value)
    counts = process([message], tmp_path, Settings.of({"max_message_bytes": most}))
    assert (counts["articles"], counts["dead-letters"]) == (1, 0)


def test_published_order_decides_by_time(tmp_path: Path) -> None:
    """With `--order=published` the earlier of two copies opens the story, wherever it stands."""
    body = "وقال رئيس البلدية إن أعمال الصيانة ستبدأ الأسبوع المقبل في الأحياء الشرقية. " * 6
    lines = [
        f'{{"url": "https://a.example/{n}", "body": "{body}", "published_at": "{when}"}}'.encode()
        for n, when in ((1, "2025-03-04T00:00:00Z"), (2, "2025-03-03T00:00:00Z"))
    ]
    messages = [files.FileMessage("f", n, None, line) for n, line in enumerate(lines)]
    for published_order, first in ((False, "1"), (True, "2")):
        out = tmp_path / first
        process(messages, out, DEFAULTS, published_order=published_order)
        (article,) = records(out, "articles")
        assert article["url"].endswith(first)
        assert len(records(out, "duplicates")) == 1


def test_a_dead_letter_keeps_the_line(tmp_path: Path) -> None:
    """A broken line is a dead letter with its bytes, its file and its number; the rest goes on."""
    lines = [b'{"title": "\xd8\xa3"}', b'{"title": ', b'{"title": "\xd8\xa8"}']
    messages = [files.FileMessage("feed.jsonl", n, b"k", line) for n, line in enumerate(lines)]
    counts = process(messages, tmp_path, DEFAULTS)
    assert counts["articles"] == 2
    (dead,) = records(tmp_path, "dead-letters")
    assert (dead["reason"], dead["topic"], dead["offset"]) == ("invalid-json", "feed.jsonl", 1)
    assert (dead["key"], dead["value"]) == (b"k", lines[1])


def test_files_of_several_blocks(tmp_path: Path) -> None:
    """Articles that fill more than one block of an Avro file are all there, once, and in order."""
    lines = [
        json.dumps({"id": str(n), "title": f"خبر رقم {n}", "body": f"كلمة{n} " * 500}).encode()
        for n in range(12)
    ]
    process(
        [files.FileMessage("f", n, None, line) for n, line in enumerate(lines)], tmp_path, DEFAULTS
    )
    with (tmp_path / "articles.avro").open("rb") as stream:
        titles = [[each["raw_title"] for each in block] for block in fastavro.block_reader(stream)]
    assert len(titles) > 1
    assert [each for block in titles for each in block] == [f"خبر رقم {n}" for n in range(12)]


def test_nothing_half_done_is_left(tmp_path: Path) -> None:
    """When reading fails half way, no output file appears under its name."""

    def messages():
        yield files.FileMessage("f", 0, None, b'{"title": "a"}')
        raise UsageError("cut short")

    with pytest.raises(Exception, match="cut short"):
        process(messages(), tmp_path, DEFAULTS)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    """An output path that is a file gives one paragraph that names it."""
    (tmp_path / "taken").touch()
    with pytest.raises(UsageError, match="taken"):
        process([], tmp_path / "taken", DEFAULTS)


def test_without_entities(tmp_path: Path) -> None:
    """`--ner=none` leaves entities empty, and says so in the versions."""
    message = files.FileMessage("f", 0, None, '{"title": "زار الوفد دمشق وبغداد"}'.encode())
    process([message], tmp_path, Settings.of({"ner": "none"}))
    (article,) = records(tmp_path, "articles")
    assert article["entities"] == []
    assert article["versions"]["entities"] == ""
    assert sorted(p.stem for p in tmp_path.iterdir()) == sorted(WRITTEN)
