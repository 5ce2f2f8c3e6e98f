from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.records import Article, Match
from pipelines.stages.fingerprint import (
    KEYS,
    MIN_WORDS,
    PERMUTATIONS,
    fingerprint,
    fingerprint_text,
)


def words(count: int, seed: int = 1) -> list[str]:
    rng = random.Random(seed)
    return [
        "".join(rng.choices("ابتثجحخدرسشصعفقكلمنهوي", k=rng.randint(2, 8))) for _ in range(count)
    ]


def shingles(text: list[str]) -> set[tuple[str, ...]]:
    return {tuple(text[at : at + 3]) for at in range(len(text) - 2)}


def estimate(one: bytes, other: bytes) -> float:
    equal = np.mean(np.frombuffer(one, np.uint8) == np.frombuffer(other, np.uint8))
    return float((equal - 1 / 256) / (1 - 1 / 256))


def test_has_the_shape_that_the_index_expects():
    """Keys are at most 12 distinct 8-byte numbers, ascending; the sketch has 256 bytes."""
    found = fingerprint_text(" ".join(words(100)))
    keys = np.frombuffer(found.keys, dtype="<u8")
    assert len(keys) == KEYS
    assert (keys[1:] > keys[:-1]).all()
    assert len(found.sketch) == PERMUTATIONS
    assert (found.words, found.shingles) == (100, 98)


def test_a_repeated_shingle_counts_once():
    """`shingles` is the number of distinct word 3-grams, and keys are distinct as well."""
    found = fingerprint_text("قال المتحدث " * 20)
    assert (found.words, found.shingles, len(found.keys) // 8) == (40, 2, 2)


@pytest.mark.parametrize("count", [0, 1, MIN_WORDS - 1])
def test_a_short_text_has_no_fingerprint(count):
    """Fewer than 20 words: neither keys nor sketch, so that only an exact copy matches."""
    found = fingerprint_text(" ".join(words(count)))
    assert (found.keys, found.sketch, found.words, found.shingles) == (b"", b"", count, 0)


def test_twenty_words_are_enough():
    """The bound is below 20 words, not at 20."""
    assert fingerprint_text(" ".join(words(MIN_WORDS))).sketch


def test_the_title_stays_out():
    """The same text under another headline has the same fingerprint."""
    body = " ".join(words(50))
    one = Article("", match=Match(title="عنوان", body=body))
    other = Article("", match=Match(title="عنوان اخر", body=body))
    assert fingerprint(one).fingerprint == fingerprint(other).fingerprint


def test_the_standfirst_belongs_to_the_text():
    """Where the first paragraph was cut off does not count."""
    text = words(50)
    whole = Article("", match=Match(body=" ".join(text)))
    cut = Article("", match=Match(standfirst=" ".join(text[:9]), body=" ".join(text[9:])))
    assert fingerprint(whole).fingerprint == fingerprint(cut).fingerprint


def test_a_title_without_a_body_is_a_short_text():
    """However long the title."""
    found = fingerprint(Article("", match=Match(title=" ".join(words(30))))).fingerprint
    assert (found.keys, found.sketch, found.words) == (b"", b"", 30)


@given(st.lists(st.sampled_from([" ", "\n", "  ", "\t\n "]), min_size=31, max_size=31))
@settings(max_examples=30)
def test_spacing_does_not_count(gaps):
    """The same words make the same fingerprint, however they are spaced and broken into lines."""
    text = words(30)
    spaced = "".join(gap + word for gap, word in zip(gaps, text, strict=False)) + gaps[-1]
    assert fingerprint_text(spaced) == fingerprint_text(" ".join(text))


def test_a_key_does_not_depend_on_where_its_words_stand():
    """A text with a paragraph put before it shares the keys that the paragraph did not displace."""
    text = words(400)
    longer = words(40, seed=2) + text
    one, other = (
        np.frombuffer(fingerprint_text(" ".join(each)).keys, "<u8") for each in (text, longer)
    )
    shared = np.intersect1d(one, other)
    assert len(shared) >= 8
    assert (one[one <= other[-1]] == shared).all()


def test_the_order_of_words_counts():
    """The same words backwards share no key."""
    text = words(50)
    one, other = (
        np.frombuffer(fingerprint_text(" ".join(each)).keys, "<u8") for each in (text, text[::-1])
    )
    assert not np.intersect1d(one, other).size


def test_numbers_count():
    """Two texts that differ in their numbers alone differ in their sketches."""
    template = words(60)
    one = fingerprint_text(" ".join([*template[:30], "45", *template[30:]]))
    other = fingerprint_text(" ".join([*template[:30], "46", *template[30:]]))
    assert one.sketch != other.sketch


@given(st.integers(25, 400), st.floats(0, 0.2), st.integers(0, 1 << 30))
@settings(max_examples=60, deadline=None)
def test_the_sketch_estimates_the_similarity(count, share, seed):
    """Within five standard errors of the true Jaccard similarity, whatever the length."""
    rng = random.Random(seed)
    one = words(count, seed)
    other = [f"{word}ا" if rng.random() < share else word for word in one]
    a, b = shingles(one), shingles(other)
    true = len(a & b) / len(a | b)
    found = estimate(
        fingerprint_text(" ".join(one)).sketch, fingerprint_text(" ".join(other)).sketch
    )
    assert abs(found - true) <= 5 * (max(true * (1 - true), 1 / 256) / PERMUTATIONS) ** 0.5


def test_the_estimate_has_no_bias():
    """Over 100 pairs the mean error is below one percent: collisions of one byte are taken off."""
    errors = []
    for seed in range(100):
        rng = random.Random(seed)
        one = words(120, seed)
        other = [f"{word}ا" if rng.random() < 0.15 else word for word in one]
        a, b = shingles(one), shingles(other)
        found = estimate(
            fingerprint_text(" ".join(one)).sketch, fingerprint_text(" ".join(other)).sketch
        )
        errors.append(found - len(a & b) / len(a | b))
    assert abs(np.mean(errors)) < 0.01


@given(st.text(max_size=400))
def test_any_text_has_a_fingerprint(text):
    """No text makes it fail, and the same text gives the same bytes."""
    once = fingerprint_text(text.encode("utf-8", "ignore").decode())
    assert once == fingerprint_text(text.encode("utf-8", "ignore").decode())
    assert len(once.sketch) in (0, PERMUTATIONS)


def test_stays_the_same_across_processes_and_versions():
    """The bytes are part of the stored state: they may change only with FINGERPRINT_VERSION."""
    code = (
        "from pipelines.stages.fingerprint import fingerprint_text as f;"
        "p = f(' '.join(f'كلمه {n}' for n in range(40)));"
        "print(p.keys.hex()[:32], p.sketch.hex()[:32])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert found == ["3890ba2a45d53b00ffa8cc98fd6f6606", "9c49e9630d79e2de7358d7510380b349"]
