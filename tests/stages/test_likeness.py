from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.stages.fingerprint import (
    FILTER_BITS,
    SIGNATURE,
    fingerprint_text,
    signature_weight,
)
from pipelines.stages.likeness import (
    CONTAINMENT,
    JACCARD,
    LEAD,
    LEAST,
    NEXT_TO_NOTHING,
    SENTENCE,
    TITLE,
    Likeness,
    holds,
    likeness,
    novelty,
)
from pipelines.stages.weights import RARE, vocabulary


def words(count: int, seed: int = 1) -> list[str]:
    rng = random.Random(seed)
    return [
        "".join(rng.choices("ابتثجحخدرسشصعفقكلمنهوي", k=rng.randint(4, 8))) for _ in range(count)
    ]


def text(count: int, seed: int = 1) -> str:
    return " ".join(words(count, seed))


def signatures(*texts: str | tuple[str, str]) -> np.ndarray:
    """What is kept of texts, or of texts and their titles."""
    found = [fingerprint_text(*([each] if isinstance(each, str) else each)) for each in texts]
    return np.frombuffer(b"".join(each.signature for each in found), dtype=SIGNATURE)


def against(own: str, other: str, title: str = "", other_title: str = "") -> Likeness:
    (found,) = likeness(fingerprint_text(own, title), signatures((other, other_title)))
    return found


def told(body: str) -> np.ndarray:
    return signatures(body)["filter"]


def mistaken(filters: np.ndarray) -> float:
    """The share of other words that filters seem to have."""
    shares = [(np.unpackbits(each).sum() / FILTER_BITS) ** 2 for each in filters]
    return 1 - float(np.prod([1 - share for share in shares]))


def test_the_parts_of_likeness_add_up_to_one():
    """So that two equal texts under one title, which says what the text says, have likeness 1."""
    assert pytest.approx(1) == JACCARD + CONTAINMENT + LEAD + TITLE
    found = against(text(80), text(80), text(5), text(5))
    assert found.likeness == pytest.approx(1, abs=0.001)
    assert found.jaccard == found.containment == pytest.approx(1, abs=0.001)


@pytest.mark.parametrize(("own_title", "title"), [("", ""), ("عنوان الخبر", ""), ("", "عنوان")])
def test_without_two_titles_the_text_counts_alone(own_title, title):
    """A missing title takes nothing from two equal texts."""
    found = against(text(80), text(80), own_title, title)
    assert found.likeness == pytest.approx(1, abs=0.001)


def test_another_title_counts_little():
    """It takes at most a tenth from two equal texts: all of it where either title says what the
    other article does not.
    """
    for own, other in ((9, 8), (1, 8), (9, 1)):
        found = against(text(80), text(80), text(6, own), text(6, other))
        assert found.likeness == pytest.approx(1 - TITLE, abs=0.04)


def test_two_texts_without_a_common_word():
    """Their likeness is next to 0: what a filter shows by mistake is taken off."""
    own = fingerprint_text(text(150))
    found = likeness(own, signatures(*(text(150, seed) for seed in range(2, 40))))
    for part in range(3):
        scores = [each[part] for each in found]
        assert sum(scores) / len(scores) < 0.03
        assert max(scores) < 0.12


@given(st.integers(30, 250), st.integers(30, 250), st.integers(0, 250), st.integers(0, 1 << 30))
@settings(max_examples=60)
def test_jaccard_and_containment_are_those_of_the_words(one, other, common, seed):
    """Estimated within a tenth, and for short texts against long ones within a fifth, though only
    a filter is kept of one of the texts.
    """
    both = words(min(common, one, other), seed)
    a = {*both, *words(one - len(both), seed + 1)}
    b = {*both, *words(other - len(both), seed + 2)}
    own = fingerprint_text(" ".join(a))
    (held,) = signatures(" ".join(b))
    (found,) = likeness(own, signatures(" ".join(b)))
    assert found.jaccard == pytest.approx(len(a & b) / len(a | b), abs=0.1)
    contained = len(a & b) / min(len(a), len(b))
    assert found.containment == pytest.approx(contained, abs=0.2)
    assert found.shorter == (signature_weight(own) < held["weight"])
    assert 0 <= found.likeness <= 1


def test_each_word_counts_by_its_weight():
    """Words that every text has make no two texts alike, and names do."""
    common = ["كان", "بعد", "الذي", "خلال", "هذا", "بين"] * 8
    names, others = words(40), words(40, 2)
    of_names = against(" ".join(names), " ".join([*names, *common]))
    of_common = against(" ".join([*names, *common]), " ".join([*others, *common]))
    assert of_names.jaccard > 0.9
    assert of_common.jaccard < 0.15


def test_words_count_once():
    """However often a text says them."""
    once, often = against(text(60), text(60)), against(f"{text(60)} {text(60)}", text(60))
    assert once.jaccard == often.jaccard == pytest.approx(1, abs=0.001)


def test_a_common_beginning_counts():
    """Of two texts with the same words in common, the one that begins alike is more alike."""
    own, rest = words(60), words(60, 2)
    first, last = (
        against(" ".join([*own, *rest]), " ".join(other))
        for other in ([*own, *words(60, 3)], [*words(60, 3), *own])
    )
    assert first.likeness == pytest.approx(last.likeness + LEAD / (1 - TITLE), abs=0.02)


def test_a_longer_text_holds_a_shorter_one():
    """Containment is 1 for both, and `shorter` says which one says less."""
    part, whole = text(60), f"{text(200, 2)} {text(60)}"
    for own, other, shorter in ((part, whole, True), (whole, part, False)):
        found = against(own, other)
        assert found.containment > 0.9
        assert found.shorter == shorter
        assert found.jaccard < 0.4


def test_something_left_out():
    """What the other text has more, in rare words; what the article adds does not matter."""
    assert against(f"{text(60)} زاءده", text(60)).left_out == pytest.approx(0, abs=0.1)
    assert against(text(60), f"{text(60)} ناقصه").left_out == pytest.approx(1, abs=0.1)


def test_a_full_filter_says_nothing():
    """A text of thousands of words seems to have every word: nobody's text is alike, or part of
    it for certain. That of a usual article is certain.
    """
    found = against(text(50, 2), text(9000))
    assert found[:3] == (0, 0, 0)
    assert not found.certain
    assert against(text(50, 2), text(150)).certain


def test_each_text_is_judged_by_itself():
    """Against many at once is as against one after the other, in their order; but for those that
    can be nothing to it.
    """
    others = [text(60), text(60, 2), " ".join([*words(40), *words(30, 3)]), text(25)]
    at_once = likeness(fingerprint_text(text(60)), signatures(*others))
    alone = [against(text(60), other) for other in others]
    expected = [each if each.containment >= LEAST else NEXT_TO_NOTHING for each in alone]
    assert at_once == expected
    assert NEXT_TO_NOTHING in expected


@pytest.mark.parametrize("own", [20, 50, 9000])
@pytest.mark.parametrize("other", [20, 50, 9000])
def test_scores_are_numbers_between_0_and_1(own, other):
    """For texts of any length, those as well of which every bit of the filter is set."""
    body = text(own)
    found = against(body, text(other), "ان في", "في من")
    share, news = novelty(fingerprint_text(body), told(text(other)))
    for part in (*found[:3], share):
        assert 0 <= part <= 1
    assert 0 <= news <= RARE * SENTENCE


# --- novelty ---


def test_a_text_tells_nothing_new_of_itself():
    """Nor in another order of words."""
    body = words(80)
    for again in (body, body[::-1]):
        assert novelty(fingerprint_text(" ".join(again)), told(" ".join(body))) == (0.0, 0.0)


def test_nothing_was_told():
    """Of an unknown story all is new, and 21 rare words in a row are 105 nats of news."""
    nothing = np.zeros((1, FILTER_BITS // 8), dtype=np.uint8)
    assert novelty(fingerprint_text(text(80)), nothing) == (1.0, RARE * SENTENCE)


def test_news_are_counted_where_they_are_densest():
    """The share is that of all words, the news those of the densest 21 in a row, wherever; both
    are made up for new words that seem to be known.
    """
    old, new = words(180), words(20, 2)
    spread = [word for at in range(20) for word in (*old[9 * at : 9 * at + 9], new[at])]
    for body, densest in (
        ([*old, *new], 20),
        ([*new, *old], 20),
        ([*old[:90], *new, *old[90:]], 20),
        ([*old[:80], *new[:10], *old[80:160], *new[10:], *old[160:]], 10),
        (spread, 3),
    ):
        share, news = novelty(fingerprint_text(" ".join(body)), told(" ".join(old)))
        seen = holds(told(" ".join(old)), vocabulary().words(" ".join(new)).tokens).sum()
        known = 1 - mistaken(told(" ".join(old)))
        assert share == pytest.approx((20 - seen) / 200 / known, abs=0.001)
        most = min(RARE * densest / known, RARE * SENTENCE)
        assert RARE * (densest - seen) <= news <= most + 1 / 32


def test_words_that_weigh_nothing_are_no_news():
    """Neither new ones of them nor the first of their kind."""
    body = text(60)
    assert novelty(fingerprint_text(f"{body} في من علي ان"), told(body)) == (0.0, 0.0)


def test_a_word_counts_each_time_it_is_said():
    """In the share as in the news: both are of the text as it stands."""
    body = text(98)
    own = fingerprint_text(f"{body} غشمشمون غشمشمون")
    known = 1 - mistaken(told(body))
    assert novelty(own, told(body)) == (pytest.approx(0.02 / known), pytest.approx(10 / known))


@given(st.integers(20, 200), st.integers(20, 200), st.integers(0, 1 << 30))
@settings(max_examples=40)
def test_what_was_told_stays_told(one, other, seed):
    """Words of one of a story's texts are known, however many more texts there are."""
    tokens = vocabulary().words(text(one, seed)).tokens
    less, more = told(text(other, seed)), told(text(other, seed + 1))
    together = holds(np.concatenate((less, more)), tokens)
    assert (together >= holds(less, tokens)).all()
    assert (together == holds(less, tokens) | holds(more, tokens)).all()


def test_a_story_told_often_still_has_news():
    """Thirty texts are told: of a report with a new paragraph as much is new as of the first."""
    many = np.concatenate([told(text(60, seed)) for seed in range(30)])
    own = fingerprint_text(f"{text(60, 5)} {text(60, 99)}")
    once, often = novelty(own, told(text(60, 5))), novelty(own, many)
    assert once == (pytest.approx(0.5, abs=0.03), pytest.approx(105, abs=1))
    assert often == (pytest.approx(0.5, abs=0.15), pytest.approx(105, abs=15))
