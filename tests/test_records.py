from __future__ import annotations

import copyreg
import dataclasses
import pickle

import numpy as np
import pytest

from pipelines import records
from pipelines.offsets import OffsetMap
from pipelines.records import (
    Article,
    Decision,
    Display,
    Entity,
    Envelope,
    Failure,
    Mention,
    Message,
    Origin,
    Passage,
    RawMessage,
    StageError,
    Time,
)

RAW = RawMessage(Origin("news.raw", 0, 7, 1), b"k", b"v", (("a", None), ("b", b"")))
ARTICLE = Article(
    article_id="a" * 32,
    published=Time(1, "x", "given", 1.0),
    extra={"k": "v"},
    display=Display(title=Passage("نص", "raw_title", OffsetMap(np.arange(2, dtype=np.int32)))),
    decision=Decision("update", related=(records.Related("b" * 32, "update_of", 0.5, 0.5),)),
    entities=(Entity("loc:x", "LOC", "س", ("س",), (Mention("raw_body", 0, 1, "س"),), 0.5),),
)


KINDS = [
    kind
    for kind in vars(records).values()
    if dataclasses.is_dataclass(kind) and kind.__module__ == records.__name__
]


def test_values_do_not_change():
    """Every record is frozen: a stage makes a new one, it never changes what another holds."""
    assert len(KINDS) >= 15
    for kind in KINDS:
        assert kind.__dataclass_params__.frozen, kind
        assert "__slots__" in vars(kind), kind


def test_every_kind_is_pickled_by_its_values():
    """No record falls back to the slow way in which dataclasses are pickled."""
    for kind in (OffsetMap, *KINDS):
        assert kind in copyreg.dispatch_table, kind


@pytest.mark.parametrize(
    "value",
    [
        Envelope(RAW, ARTICLE),
        Envelope(RAW, None, Failure("decode", "empty", "nothing")),
        Message("news.articles", None, b"v", (("a", b"1"),)),
    ],
)
def test_what_travels_can_be_pickled(value):
    """A runner may hand an envelope from one process to another: it comes out as it went in."""
    other = pickle.loads(pickle.dumps(value))
    # Offset maps hold arrays, which do not compare to one truth value.
    assert repr(other) == repr(value)


def test_without_offsets():
    """None of the six maps that lead back to the raw text is left; all else is as it was."""
    there, gone = OffsetMap.identity(2), OffsetMap.empty()
    assert repr(records.without_offsets(mapped(there))) == repr(mapped(gone)) != repr(mapped(there))


def mapped(offsets: OffsetMap) -> Article:
    """The article with these maps."""
    return dataclasses.replace(
        ARTICLE,
        display=Display(*(Passage("نص", "raw_body", offsets) for _ in range(3))),
        match=records.Match("نص", "نص", "نص", offsets, offsets, offsets, "hash"),
    )


def test_envelope():
    """An envelope takes a stage's article, or its failure in the article's place; not both."""
    envelope = Envelope(RAW)
    with_article = envelope.with_article(ARTICLE)
    assert (with_article.raw, with_article.article) == (RAW, ARTICLE)
    failed = with_article.failed("clean", StageError("empty", "nothing is left"))
    assert failed == Envelope(RAW, None, Failure("clean", "empty", "nothing is left"))
    assert envelope == Envelope(RAW)


def test_stage_error():
    """A StageError has its reason for programs and its detail for people."""
    error = StageError("too-large", "5 bytes; at most 3 are taken")
    assert (error.reason, error.detail) == ("too-large", "5 bytes; at most 3 are taken")
    assert str(error) == "too-large: 5 bytes; at most 3 are taken"
