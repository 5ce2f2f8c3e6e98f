"""The sample corpus is well formed and holds the kinds of message that it promises."""

import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

SAMPLES = Path(__file__).parent.parent / "samples" / "articles.jsonl"
VERDICTS = {"new", "duplicate", "update", "revision", "correction", "dead-letter"}
REASONS = {
    "invalid-json",
    "invalid-utf-8",
    "not-an-object",
    "empty",
    "nul",
    "surrogate",
    "null-value",
    "too-deep",
}


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    with SAMPLES.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def text(message: dict[str, Any]) -> str:
    return "\n".join(value for value in message.values() if isinstance(value, str))


def test_fields(lines):
    """Every line has a unique key, a note, an expectation, and one message or raw bytes."""
    assert len({line["key"] for line in lines}) == len(lines)
    for line in lines:
        assert line["note"].strip()
        assert line["expect"]["verdict"] in VERDICTS
        assert ("message" in line) != ("raw_base64" in line), line["key"]
        assert ("raw_base64" in line) == (line["expect"]["verdict"] == "dead-letter")


def test_expectations_refer_to_earlier_lines(lines):
    """What a line repeats or revises came before it, and its story is that line's story."""
    stories: dict[str, str] = {}
    for line in lines:
        expect = line["expect"]
        if expect["verdict"] == "dead-letter":
            assert expect["reason"] in REASONS
            continue
        opens = expect["verdict"] == "new"
        assert expect["story"] == (line["key"] if opens else stories[expect["of"]]), line["key"]
        assert not opens or expect["of"] is None
        if "later_of" in expect:
            assert expect["later_of"] in stories, line["key"]
        stories[line["key"]] = expect["story"]


def test_named_entities_stand_in_the_text(lines):
    """Every name that must be found, or must not, is in the message as it is written there."""
    for line in lines:
        expect = line["expect"]
        for name in expect.get("entities", []) + expect.get("not_entities", []):
            assert name in text(line["message"]), (line["key"], name)
        assert set(expect.get("entities_missed", [])) <= set(expect.get("entities", []))
        assert set(expect.get("entities_wrong", [])) <= set(expect.get("not_entities", []))


def test_addresses_are_invented(lines):
    """No message leads to a real host."""
    for line in lines:
        message = line.get("message", {})
        url = message.get("url") or message.get("link")
        if url:
            assert (urlsplit(url).hostname or "").endswith(".example"), line["key"]


def test_breadth(lines):
    """At least 60 articles of six outlets over five days, and every reason for a dead letter."""
    messages = [line["message"] for line in lines if "message" in line]
    outlets = Counter(message.get("source") or message.get("outlet") for message in messages)
    days = {message["published_at"][:10] for message in messages if "published_at" in message}
    assert len(messages) >= 60
    assert len([outlet for outlet, count in outlets.items() if count >= 5]) >= 6
    assert len({day for day in days if day.startswith("2025-03")}) >= 5
    expected = [line["expect"] for line in lines]
    assert {e["reason"] for e in expected if e["verdict"] == "dead-letter"} == REASONS
    assert {"ar", "fa", "ckb", "ur", "en"} <= {e.get("language") for e in expected}
    copies = Counter(e["story"] for e in expected if e["verdict"] == "duplicate")
    assert len([story for story, count in copies.items() if count >= 2]) >= 5


def test_styles(lines):
    """The spellings, characters and page furniture that the cleaner has to cope with occur."""
    joined = "\n".join(text(line["message"]) for line in lines if "message" in line)
    for sign in ("\r\n", "\u00a0", "\u200f", "\u200b", "\u202b", "ـــ", "ﷺ", "ﺍﻟﻤﻮﺻﻞ", "<p>"):
        assert sign in joined, ascii(sign)
    for words in (
        "مسئول",
        "سوريا",
        "سورية",
        "طباعة",
        "+ الخط -",
        "المصدر:",
        "المساهمون:",
        "1446هـ",
    ):
        assert words in joined, words
    for digits in ("٤٠", "40", "١٤٨"):
        assert digits in joined, digits


def test_raw_bytes_decode(lines):
    """The broken messages are bytes, or no value at all."""
    for line in lines:
        raw = line.get("raw_base64")
        if raw is not None:
            assert base64.b64decode(raw, validate=True)
