"""What `khabar tail` leaves out, and what it does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipelines.filters import Filter
from pipelines.kafka.tail import Tailed

ARTICLE: dict[str, Any] = {
    "article_id": "a1" * 16,
    "story_id": "b2" * 16,
    "source": "صدى الوادي",
    "outlet": "الأيّام",
    "agency": "وكالة نخلة",
    "entities": [{"entity_id": "loc:eg/cairo", "name": "القاهرة", "aliases": ["القاهره"]}],
}
ENTITY: dict[str, Any] = {
    "entity_id": "loc:eg/cairo",
    "name": "القاهرة",
    "aliases": ["القاهره"],
    "article_id": "a1" * 16,
    "story_id": "b2" * 16,
    "source": "صدى الوادي",
}


def tailed(record: dict[str, Any] | None, value: bytes = b"") -> Tailed:
    return Tailed("news.articles", 0, 1, 2, None, value, [], record)


@pytest.mark.parametrize("record", [ARTICLE, ENTITY])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"story": "b2" * 16},
        {"story": "a1" * 16},
        {"entity": "القَاهِره"},
        {"entity": "loc:eg/cairo"},
        {"source": "صدي الوادى"},
        {"story": "b2" * 16, "entity": "القاهرة", "source": "صدى الوادي"},
    ],
)
def test_taken(record, given):
    """Everything when nothing is asked; names count in all their spellings, ids as they are."""
    assert Filter(**given).takes(tailed(record))


@pytest.mark.parametrize("record", [ARTICLE, ENTITY])
@pytest.mark.parametrize(
    "given",
    [
        {"story": "c3" * 16},
        {"entity": "قاهر"},
        {"entity": "loc:eg"},
        {"source": "صدى"},
        {"story": "b2" * 16, "entity": "دمشق"},
    ],
)
def test_left_out(record, given):
    """A part of a name is another name, and one thing that does not fit is enough."""
    assert not Filter(**given).takes(tailed(record))


@pytest.mark.parametrize("source", ["الأيام", "وكالة نخلة"])
def test_who_published_it(source):
    """An outlet or an agency that the text names is a source as well."""
    assert Filter(source=source).takes(tailed(ARTICLE))


def test_raw_articles():
    """JSON that came in has sources under all names of the field; what is none, none."""
    raw = json.dumps({"publisher": "صدى الوادي", "title": "x"}).encode()
    assert Filter(source="صدى الوادي").takes(tailed(None, raw))
    for value in (b"", b"[]", b"\xff", b'{"source": 7, "entities": 3}', b"{" * 9999):
        assert not Filter(source="صدى الوادي").takes(tailed(None, value))
        assert not Filter(entity="x").takes(tailed(None, value))
