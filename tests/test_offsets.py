"""Offset maps against the plain lists of spans that they stand for."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.offsets import OffsetMap
from pipelines.records import Article, Envelope
from pipelines.stages.clean import clean
from pipelines.stages.decide import Index, decide
from pipelines.stages.encode import encode
from pipelines.stages.entities import entities
from pipelines.stages.fingerprint import fingerprint
from pipelines.stages.gazetteer import Gazetteer
from pipelines.stages.normalize import normalize
from tests.stages.test_encode import ORIGIN, RAW, TOPICS

Spans = list[tuple[int, int]]


def spans(offsets: OffsetMap) -> Spans:
    return [offsets.span(at, at + 1) for at in range(len(offsets))]


def bytes_of(offsets: OffsetMap) -> int:
    return offsets.starts.nbytes + (0 if offsets.widths is None else offsets.widths.nbytes)


@st.composite
def edits(draw: st.DrawFn, length: int) -> list[tuple[int, int, int]]:
    """Edits of a source of `length` characters."""
    cuts = sorted(draw(st.sets(st.integers(0, length), max_size=8)))
    sizes = draw(st.lists(st.integers(0, 3), min_size=len(cuts), max_size=len(cuts)))
    pairs = list(zip(cuts, cuts[1:], sizes, strict=False))
    return [edit for edit in pairs if draw(st.booleans())]


def edited(length: int, changes: list[tuple[int, int, int]]) -> Spans:
    """What `of_edits` must give, one character at a time."""
    found: Spans = []
    at = 0
    for start, end, size in [*changes, (length, length, 0)]:
        found += [(each, each + 1) for each in range(at, start)]
        found += [(start, end)] * size
        at = end
    return found


lengths = st.one_of(st.integers(0, 12), st.integers(0, 400))


@given(st.data(), lengths)
def test_edits(data: st.DataObject, length: int) -> None:
    """Characters that were not edited stand for themselves, new ones for all that they replaced."""
    changes = data.draw(edits(length))
    assert spans(OffsetMap.of_edits(length, changes)) == edited(length, changes)


@given(st.data(), lengths)
def test_maps_compose(data: st.DataObject, length: int) -> None:
    """A map behind another leads each character through both."""
    outer = OffsetMap.of_edits(length, data.draw(edits(length)))
    inner = OffsetMap.of_edits(len(outer), data.draw(edits(len(outer))))
    assert spans(inner.then(outer)) == [outer.span(*span) for span in spans(inner)]


@given(st.data(), lengths, st.integers(0, 1000))
def test_pieces(data: st.DataObject, length: int, by: int) -> None:
    """Slices joined again are the map; a shifted map leads as far as it was shifted."""
    whole = OffsetMap.of_edits(length, data.draw(edits(length)))
    cut = data.draw(st.integers(0, len(whole)))
    pieces = [whole.slice(0, cut), OffsetMap.identity(1), whole.slice(cut, len(whole))]
    assert spans(OffsetMap.joined(pieces)) == [*spans(whole)[:cut], (0, 1), *spans(whole)[cut:]]
    assert spans(whole.shift(by)) == [(start + by, end + by) for start, end in spans(whole)]


def test_memory() -> None:
    """A character costs four bytes; five in a text in which some stand for up to 255 others."""
    assert bytes_of(OffsetMap.identity(1000)) == 4000
    assert bytes_of(OffsetMap.of_edits(1000, [(0, 255, 1)])) == 5 * 746
    assert bytes_of(OffsetMap.of_edits(1000, [(0, 900, 0)])) == 400
    assert OffsetMap.of_edits(1000, [(0, 256, 1)]).span(0, 1) == (0, 256)


def test_no_map_outlives_its_article() -> None:
    """Once an article is encoded, neither its messages nor the index hold a map."""
    index, gazetteer = Index(), Gazetteer.load()
    body = "<p>وصل الوفد إلى <b>دمشق</b>&nbsp;صباح اليوم قادماً من بغداد.</p>" * 9
    before = live_maps()
    article = normalize(clean(Article("a" * 32, raw_title="زيارة &amp; لقاء", raw_body=body)))
    article = entities(decide(fingerprint(article), ORIGIN, index), gazetteer)
    messages = tuple(encode(Envelope(RAW, article), TOPICS))
    assert len(messages) > 3
    assert live_maps() >= before + 4
    del article
    assert live_maps() == before


def live_maps() -> int:
    gc.collect()
    return sum(isinstance(each, OffsetMap) for each in gc.get_objects())


def test_a_span_outside_the_text() -> None:
    """A span outside the derived text, or an empty one, is an error."""
    for start, end in ((-1, 1), (0, 3), (1, 1)):
        with pytest.raises(IndexError):
            OffsetMap.identity(2).span(start, end)
