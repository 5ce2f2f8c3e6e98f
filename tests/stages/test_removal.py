"""Removal: what a request is, what the writer makes of it, and what readers get."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import schemas
from pipelines.records import Article, Envelope, Origin, RawMessage, Removal, StageError
from pipelines.stages.decode import decode
from pipelines.stages.encode import Topics, encode, unframe
from pipelines.stages.removal import HEADER, HEADER_VALUE, REASON_CHARACTERS, request
from tests.stages.test_decide import (
    DAY,
    HOUR,
    NOON,
    Writer,
    article,
    article_id,
    edited,
    restored,
    text,
)

TOPICS = Topics("test", {kind: n for n, kind in enumerate(("articles", "duplicates", "entities",
    "index"), 1)}, 3)  # fmt: skip
A = article_id("a")
ASKED = Removal("asked for by the publisher", A, 1, (("loc:ps/gaza", "LOC"), ("per:x", "PER")))


def message(value: bytes, *headers: tuple[str, bytes | None]) -> RawMessage:
    return RawMessage(Origin("test.raw", 0, 7, NOON), b"key", value, headers)


def taken(value: bytes) -> Article:
    return decode(message(value, (HEADER, HEADER_VALUE)), lambda _: None)


def removal_of(name: str, at: int, asked: Removal = ASKED) -> Article:
    return replace(taken(request(article_id(name), asked)), ingested_at=at)


def records(decided: Article) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for each in encode(Envelope(message(b""), decided), TOPICS):
        kind = each.topic.removeprefix("test.")
        found.setdefault(kind, []).append(
            unframe(each.value or b"", schemas.parsed(kind)) | {"key": each.key}
        )
    return found


# --- the request ---


@given(st.text(min_size=1, max_size=50).filter(lambda text: "\0" not in text), st.integers(0, 99))
def test_a_request_is_read_as_it_was_made(reason, revision):
    """What `request` writes, Decode reads, whatever the reason's letters."""
    try:
        reason.encode()
    except UnicodeEncodeError:
        return
    asked = replace(ASKED, reason=reason, revision=revision)
    found = taken(request(A, asked))
    assert (found.article_id, found.removal, found.ingested_at) == (A, asked, NOON)


def test_no_article_is_a_request():
    """Without the header the same value is no request, so that no text of any feed can be one."""
    with pytest.raises(StageError) as raised:
        decode(message(request(A, ASKED)), lambda _: None)
    assert raised.value.reason == "empty"


BROKEN: dict[str, Any] = {
    "article_id": "no id",
    "reason": "",
    "story_id": 7,
    "revision": -1,
    "entities": [{"entity_id": "loc:x", "type": "PLANET"}],
}


@pytest.mark.parametrize("field", BROKEN)
@pytest.mark.parametrize("how", ["wrong", "missing"])
def test_a_request_that_names_nothing_is_a_dead_letter(field, how):
    """Each field must be there and be what a record can hold."""
    fields = json.loads(request(A, ASKED))
    if how == "wrong":
        fields[field] = BROKEN[field]
    else:
        del fields[field]
    with pytest.raises(StageError) as raised:
        taken(json.dumps(fields).encode())
    assert raised.value.reason == "invalid-removal"


@pytest.mark.parametrize(
    "value", [b"", b"\xff", b"[]", b"7", b"{" * 50_000, b'{"article_id": "%s"}' % (b"a" * 32)]
)
def test_a_broken_request_is_a_dead_letter(value):
    """Whatever the bytes, the stream goes on."""
    with pytest.raises(StageError) as raised:
        taken(value)
    assert raised.value.reason == "invalid-removal"


def test_a_reason_has_an_end():
    """A reason that would fill readers' screens is refused."""
    with pytest.raises(StageError):
        taken(request(A, replace(ASKED, reason="x" * (REASON_CHARACTERS + 1))))


# --- the decision ---


def test_a_removed_article_is_held_back():
    """After the removal no text of this article is published, changed or not; it takes a place in
    the order of decisions."""
    writer = Writer()
    writer(article("a", text()))
    removed = writer(removal_of("a", NOON + HOUR)).decision
    assert (removed.verdict, removed.rule, removed.sequence) == ("removal", "removed", 2)
    assert (removed.story_id, removed.revision) == (A, 1)
    for number, body in enumerate((text(), edited(text(), 1), text(seed=9))):
        held = writer(article("a", body, NOON + 2 * HOUR)).decision
        assert (held.verdict, held.rule, held.matched) == ("duplicate", "removed", A)
        assert held.sequence == 3 + number


def test_others_are_decided_as_before():
    """A copy from elsewhere stays a copy, and an article of its own is new."""
    writer = Writer()
    writer(article("a", text()))
    writer(removal_of("a", NOON + HOUR))
    copy = writer(article("b", edited(text(), 1), NOON + 2 * HOUR)).decision
    assert (copy.verdict, copy.matched, copy.story_id) == ("duplicate", A, A)
    assert writer(article("c", text(seed=2), NOON + 2 * HOUR)).decision.verdict == "new"


def test_what_is_held_back_hides_nobody():
    """A new text of a removed article, which no reader may see, makes no copy of another's."""
    writer = Writer()
    writer(article("a", text()))
    writer(removal_of("a", NOON + HOUR))
    writer(article("a", text(seed=2), NOON + HOUR))
    assert writer(article("b", text(seed=2), NOON + 2 * HOUR)).decision.verdict == "new"


def test_the_removal_lasts_a_window():
    """It counts from the removal, not from the article; each try begins it anew; then the article
    is new."""
    writer = Writer(window_ms=7 * DAY)
    writer(article("a", text()))
    writer(removal_of("a", NOON + 6 * DAY))
    assert writer(article("a", text(), NOON + 12 * DAY)).decision.rule == "removed"
    assert writer(article("a", text(), NOON + 18 * DAY)).decision.rule == "removed"
    assert writer(article("a", text(), NOON + 26 * DAY)).decision.verdict == "new"


def test_many_tries_do_not_end_it():
    """More messages than the index keeps of one article change nothing."""
    writer = Writer()
    writer(article("a", text()))
    writer(removal_of("a", NOON))
    for number in range(40):
        assert writer(article("a", text(seed=number), NOON)).decision.rule == "removed"


def test_an_unknown_article_can_be_removed():
    """Asked for before anything came: its story is its own, and what comes is held back."""
    writer = Writer()
    removed = writer(removal_of("a", NOON, Removal("a court's order"))).decision
    assert (removed.verdict, removed.story_id, removed.revision) == ("removal", A, 0)
    assert writer(article("a", text(), NOON)).decision.rule == "removed"


def test_a_restored_index_remembers():
    """A restart after the removal goes on as if there had been none."""
    writer = Writer()
    writer(article("a", text()))
    writer(article("b", edited(text(), 1)))
    writer(removal_of("a", NOON))
    writer(article("a", text(seed=5), NOON))
    again = Writer(restored(writer.entries))
    again.offset = writer.offset
    for one in (article("a", text(seed=6)), article("c", edited(text(), 1)), removal_of("b", NOON)):
        assert again(one).decision == writer(one).decision
    assert again.entries == writer.entries[-3:]


def test_a_request_that_comes_again_is_decided_once():
    """A redelivered request gets its decision again, and changes nothing."""
    writer = Writer()
    writer(article("a", text()))
    first = writer(removal_of("a", NOON), offset=9)
    again = writer(removal_of("a", NOON), offset=9)
    assert again.decision == first.decision
    assert writer.index.last_sequence == 2


# --- what readers get ---


def test_messages_of_a_removal():
    """A notice under the story's key, one under the key of each entity, and an index entry; none
    of them has any text."""
    writer = Writer()
    writer(article("a", text()))
    found = records(writer(removal_of("a", NOON + HOUR)))
    assert {kind: len(each) for kind, each in found.items()} == {
        "articles": 1,
        "entities": 2,
        "index": 1,
    }
    (notice,) = found["articles"]
    assert (notice["verdict"], notice["article_id"], notice["key"]) == ("removal", A, A.encode())
    assert notice["removal_reason"] == ASKED.reason
    assert not any(notice[name] for name in ("title", "body", "raw_title", "raw_body", "entities"))
    for entity, (entity_id, kind) in zip(found["entities"], ASKED.entities, strict=True):
        assert (entity["removed"], entity["entity_id"], entity["type"]) == (True, entity_id, kind)
        assert (entity["key"], entity["article_id"]) == (entity_id.encode(), A)
        assert not any(entity[name] for name in ("name", "aliases", "mentions", "count"))


def test_what_is_held_back_says_nothing():
    """The record of a held-back message of a removed article has neither title nor address."""
    writer = Writer()
    writer(article("a", text()))
    writer(removal_of("a", NOON + HOUR))
    one = article("a", text(seed=3), NOON + HOUR, title="عنوان")
    held = writer(replace(one, url="https://a.example/1", source="المثال", raw_title="عنوان"))
    (record,) = records(held)["duplicates"]
    assert not any(record[name] for name in ("title", "url", "source", "outlet", "published_at"))
    assert (record["article_id"], record["rule"]) == (A, "removed")
