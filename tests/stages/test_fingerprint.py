from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.records import Article, Match
from pipelines.stages.fingerprint import (
    FILTER_BITS,
    FILTER_BYTES,
    KEY_WORDS,
    KEYS,
    LEAD,
    LEAD_WORDS,
    MIN_WORDS,
    SIGNATURE,
    TITLE,
    filter_bit,
    fingerprint,
    fingerprint_text,
    short_token,
    signature_weight,
)
from pipelines.stages.normalize import content_hash
from pipelines.stages.weights import RARE, UNITS, vocabulary

RARE_UNITS = RARE * UNITS


def words(count: int, seed: int = 1) -> list[str]:
    rng = random.Random(seed)
    return [
        "".join(rng.choices("ابتثجحخدرسشصعفقكلمنهوي", k=rng.randint(4, 8))) for _ in range(count)
    ]


def text(count: int, seed: int = 1) -> str:
    return " ".join(words(count, seed))


def keys_of(body: str) -> np.ndarray:
    return np.frombuffer(fingerprint_text(body).keys, dtype="<u8")


def signature_of(body: str, title: str = "") -> np.void:
    return np.frombuffer(fingerprint_text(body, title).signature, dtype=SIGNATURE)[0]


def titled(title: str = "", standfirst: str = "", body: str = "") -> Article:
    match = Match(title, standfirst, body, content_hash=content_hash(title, standfirst, body))
    return fingerprint(Article("", match=match))


def shorts(body: str, count: int) -> list[int]:
    """16 bits of the first distinct words, as a signature keeps them."""
    tokens = vocabulary().words(body).tokens.tolist()
    found = [token & 0xFFFF or 1 for token in dict.fromkeys(tokens)][:count]
    return found + [0] * (count - len(found))


def test_has_the_shape_that_the_index_expects():
    """Keys are at most 12 distinct 8-byte numbers, ascending; the signature has its dtype's size;
    words in order, words once each, and those of the title take 8 bytes each.
    """
    found = fingerprint_text(text(100), "عنوان الخبر")
    keys = np.frombuffer(found.keys, dtype="<u8")
    assert len(keys) == KEYS
    assert (keys[1:] > keys[:-1]).all()
    assert len(found.signature) == SIGNATURE.itemsize
    assert (found.words, len(found.text), len(found.title)) == (100, 800, 16)
    assert len(found.distinct) == 8 * len(set(words(100)))


def test_the_keys_are_the_smallest_distinct_hashes():
    """Of all runs of five words, by the hash of each."""
    body = f"{text(200)} {text(20)}"
    hashes = vocabulary().words(body).runs(KEY_WORDS)
    assert keys_of(body).tolist() == sorted(set(hashes.tolist()))[:KEYS]


def test_a_repeated_run_gives_one_key():
    """Keys are distinct however often a sentence comes back, and there may be fewer than 12."""
    assert len(keys_of("قال المتحدث " * 20)) == 2
    whole = keys_of(" ".join([text(20)] * 4))
    assert len(set(whole.tolist())) == len(whole) == KEYS
    assert keys_of(" ".join([text(20)] * 300)).tolist() == whole.tolist()


@pytest.mark.parametrize("count", [0, 1, MIN_WORDS - 1])
def test_a_short_text_has_no_signature(count):
    """Fewer than 20 words: neither keys nor signature, so that only an exact copy matches."""
    found = fingerprint_text(text(count), "عنوان طويل يزيد علي الحد المطلوب من الكلمات")
    assert (found.keys, found.signature, found.text, found.words) == (b"", b"", b"", count or 8)
    assert (found.distinct, found.title, signature_weight(found)) == (b"", b"", 0)


def test_a_text_of_the_commonest_words_has_no_signature():
    """Words that weigh nothing say nothing, however many: only an exact copy matches."""
    found = fingerprint_text("في من ان " * 10)
    assert (found.keys, found.signature, found.words) == (b"", b"", 30)
    assert fingerprint_text("في من ان " * 10 + "الرياض").signature


def test_twenty_words_are_enough():
    """The bound is below 20 words, not at 20."""
    assert fingerprint_text(text(MIN_WORDS)).signature


def test_the_title_gives_no_keys_and_no_words_of_the_text():
    """The same text under another headline differs in what is kept of the title alone."""
    one, other = (titled(each, body=text(50)).fingerprint for each in ("عنوان", "عنوان اخر"))
    assert (one.keys, one.text, one.distinct, one.exact, one.words) == (
        *(other.keys, other.text, other.distinct, other.exact, other.words),
    )
    a, b = (np.frombuffer(each.signature, dtype=SIGNATURE)[0] for each in (one, other))
    assert [name for name in SIGNATURE.names if (a[name] != b[name]).any()] == ["title"]
    assert one.title != other.title


def test_the_standfirst_belongs_to_the_text():
    """Where the first paragraph was cut off does not count."""
    body = words(50)
    whole = titled(body=" ".join(body))
    cut = titled(standfirst=" ".join(body[:9]), body=" ".join(body[9:]))
    assert whole.fingerprint == cut.fingerprint


def test_a_title_without_a_body_is_a_short_text():
    """However long the title."""
    found = titled(text(30)).fingerprint
    assert (found.keys, found.signature, found.words) == (b"", b"", 30)
    assert found.exact


@pytest.mark.parametrize(
    ("title", "body", "kind"),
    [
        (0, 0, "none"),
        (1, 0, "none"),
        (2, 0, "none"),
        (1, 1, "none"),
        (3, 0, "both"),
        (0, 3, "both"),
        (1, 2, "both"),
        (1, 9, "both"),
        (1, 10, "text"),
        (0, 200, "text"),
    ],
)
def test_what_an_exact_copy_shares(title, body, kind):
    """Nothing below three words together, title and text below ten words of text, else the text."""

    def exact(name: str, other: str = "") -> bytes:
        return titled(f"{text(title, 7)}{name}", body=f"{text(body)}{other}").fingerprint.exact

    if kind == "none":
        assert exact("") == b""
    else:
        assert len(exact("")) == 8
        if body:
            assert exact("", "ا") != exact("")
        if title:
            assert (exact("ا") == exact("")) == (kind == "text")


def test_the_filter_has_every_word_of_the_text():
    """Two bits of each are set and no others; `filled` counts them."""
    body = text(150)
    found = signature_of(body, "عنوان الخبر")
    bits = np.unpackbits(found["filter"])
    expected = np.zeros(FILTER_BITS, dtype=np.uint8)
    for token in vocabulary().words(body).tokens:
        expected[[filter_bit(token, which) for which in range(2)]] = 1
    assert (bits == expected).all()
    assert found["filled"] == bits.sum() <= 300
    assert len(found["filter"]) == FILTER_BYTES


def test_the_weight_is_that_of_the_distinct_words():
    """A word that comes again adds nothing, and one that every text has weighs nothing."""
    body = words(40)
    alone = fingerprint_text(" ".join(body))
    again = fingerprint_text(" ".join([*body, *body[:20], "في", "من"]))
    assert signature_weight(alone) == signature_weight(again) == 40 * RARE_UNITS
    assert signature_of(" ".join(body))["weight"] == 40 * RARE_UNITS


def test_the_lead_is_the_first_telling_words():
    """The first 12 distinct ones among the first 30, without those that say little."""
    body = words(60)
    mixed = ["في", "كان", body[0], "ان", *body]
    assert signature_of(" ".join(mixed))["lead"].tolist() == shorts(" ".join(body), LEAD)
    late = ["في"] * (LEAD_WORDS - 2) + body
    assert signature_of(" ".join(late))["lead"].tolist() == shorts(" ".join(body[:2]), LEAD)


def test_the_title_is_kept_in_its_first_telling_words():
    """At most six of them; nothing where there is no title."""
    title = words(9, seed=3)
    found = signature_of(text(30), " ".join(["في", *title]))
    assert found["title"].tolist() == shorts(" ".join(title), TITLE)
    assert not signature_of(text(30))["title"].any()


def test_short_tokens_are_never_zero():
    """0 stands for no word: a word whose 16 bits are 0 is kept as 1."""
    packed = np.array([0x12340000 << 8 | 160, 0x12345678 << 8 | 160], dtype=np.uint64)
    assert [short_token(each) for each in packed] == [1, 0x5678]


@given(st.lists(st.sampled_from([" ", "\n", "  ", "\n\n ", " \n"]), min_size=31, max_size=31))
@settings(max_examples=30)
def test_spacing_does_not_count(gaps):
    """The same words make the same fingerprint, however they are spaced and broken into lines."""
    body = words(30)
    spaced = "".join(gap + word for gap, word in zip(gaps, body, strict=False)) + gaps[-1]
    for title in ("", spaced):
        found = fingerprint_text(spaced, title)
        expected = fingerprint_text(" ".join(body), " ".join(title.split()))
        assert replace(found, exact=b"") == replace(expected, exact=b"")


def test_a_key_does_not_depend_on_where_its_words_stand():
    """A text with a paragraph put before it shares the keys that the paragraph did not displace."""
    body = text(400)
    one, other = keys_of(body), keys_of(f"{text(40, seed=2)} {body}")
    shared = np.intersect1d(one, other)
    assert len(shared) >= 8
    assert (one[one <= other[-1]] == shared).all()


def test_the_order_of_words_counts():
    """The same words backwards share no key, though all their words."""
    one, other = text(50), " ".join(words(50)[::-1])
    assert not np.intersect1d(keys_of(one), keys_of(other)).size
    assert (
        fingerprint_text(one).signature[:FILTER_BYTES]
        == (fingerprint_text(other).signature[:FILTER_BYTES])
    )


def test_numbers_count():
    """Two texts that differ in their numbers alone differ in their words and filters."""
    body = words(60)
    one, other = (
        fingerprint_text(" ".join([*body[:30], number, *body[30:]])) for number in ("45", "46")
    )
    assert one.distinct != other.distinct
    assert one.signature != other.signature


def test_a_number_is_one_word_however_it_is_written():
    """Spelled out or in digits: the same words, though not the same keys."""
    body = words(60)
    one, other = (
        fingerprint_text(" ".join([*body[:30], number, *body[30:]])) for number in ("5", "خمسه")
    )
    assert (one.text, one.distinct, one.signature) == (other.text, other.distinct, other.signature)


@given(st.text(max_size=400), st.text(max_size=40))
def test_any_text_has_a_fingerprint(body, title):
    """No text makes it fail, and the same text gives the same bytes."""
    body, title = (each.encode("utf-8", "ignore").decode() for each in (body, title))
    once = fingerprint_text(body, title)
    assert once == fingerprint_text(body, title)
    assert len(once.signature) in (0, SIGNATURE.itemsize)
    assert bool(once.signature) == bool(once.text) <= (once.words >= MIN_WORDS)


@given(st.lists(st.sampled_from([*words(40), "في", "5", "خمسه", "الف"]), min_size=20, max_size=300))
def test_words_in_order_and_once_each_agree(body):
    """`distinct` holds each word of `text` once, where it first stands, with its weight."""
    body.append("غشمشمون")
    found = fingerprint_text(" ".join(body))
    ordered = np.frombuffer(found.text, dtype="<u8")
    assert len(ordered) == len(body) == found.words
    once = list(dict.fromkeys(ordered.tolist()))
    assert np.frombuffer(found.distinct, dtype="<u8").tolist() == once


CODE = """
import hashlib
from pipelines.stages.fingerprint import fingerprint_text
found = fingerprint_text(" ".join(f"كلمه {n}" for n in range(40)) + " قال في الرياض", "عنوان الخبر")
print(found.keys.hex()[:32])
for part in (found.keys, found.signature, found.text, found.distinct, found.title):
    print(hashlib.sha256(part).hexdigest()[:16])
"""
EXPECTED = [
    "0cd4db3de585e405eac6a774cc363b0a",
    "020ab18dc27cb60e",
    "e909aa54e2a73878",
    "d7b1e2090304eae3",
    "01725556d83d180a",
    "c5c8aa009885cc8a",
]


def test_stays_the_same_across_processes_and_versions():
    """The bytes are part of the stored state: they may change only with FINGERPRINT_VERSION."""
    for seed in ("0", "1", "random"):
        found = subprocess.run(
            [sys.executable, "-c", CODE],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout.split()
        assert found == EXPECTED
