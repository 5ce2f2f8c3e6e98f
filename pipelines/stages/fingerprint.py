"""Fingerprint: what the index compares two articles by, taken from the match layer.

A text becomes a few keys, which find candidates, and a signature of fixed size, by which the index
tells how alike two texts are. An article also takes its words along: of two texts the new one is
compared word by word.
"""

from __future__ import annotations

import struct

import numpy as np
import xxhash
from numpy.typing import NDArray

from pipelines.records import Article, Fingerprint, changed
from pipelines.stages.compiled import allocating, compiled, signed
from pipelines.stages.weights import (
    U16,
    U32,
    U64,
    UNITS,
    UTF_16,
    WEIGHTS_VERSION,
    Table,
    code_units,
    hash_words,
    run_hashes,
    vocabulary,
    weigh,
)

U8 = NDArray[np.uint8]

# Short texts share too few word n-grams to be judged by them: only an exact match counts.
MIN_WORDS = 20
KEYS = 12
KEY_WORDS = 5
# From so many words on a text that comes again is a copy, whatever its title; and from so many on
# title and text together: a page headed كاريكاتير and nothing else says too little.
EXACT_TEXT = 10
EXACT = 3
# A report's first words say what it is about, in its long version and in its short one.
LEAD_WORDS = 30
LEAD = 12
TITLE = 6

# Bits of the filter that says which words a text has, two a word (Bloom 1970). The median article
# has 130 words that weigh something: 5 in 100 others then seem to be in it.
FILTER_BYTES = 128
FILTER_BITS = FILTER_BYTES * 8

SIGNATURE = np.dtype(
    [
        ("filter", np.uint8, FILTER_BYTES),
        (
            "lead",
            "<u2",
            LEAD,
        ),  # the first telling ones of the first 30 words; 16 bits each
        ("title", "<u2", TITLE),  # the first telling words of the title, likewise
        ("weight", "<u4"),  # of the text's distinct words, in 1/32 nat
        ("filled", "<u2"),  # bits that are set in the filter
    ]
)
FINGERPRINT_VERSION = f"w5k12-f{FILTER_BYTES}l{LEAD}t{TITLE}-{WEIGHTS_VERSION}/3"

_TAIL = struct.Struct("<IH")
_TELLING = np.uint32(2 * UNITS)
_BITS, _LOW, _HALF = np.uint32(FILTER_BITS), np.uint32(0xFFFF), np.uint32(16)
_BYTE, _WEIGHT, _SHORT = np.uint64(8), np.uint64(0xFF), np.uint64(0xFFFF)
_ONE, _LAST = np.uint16(1), np.uint64(0xFFFFFFFFFFFFFFFF)
# Base of the places of words in a table: the 32-bit golden ratio (Knuth, TAOCP 3, 6.4).
_SPREAD = np.uint32(0x9E3779B1)


def signature_weight(fingerprint: Fingerprint) -> int:
    """What the text's distinct words weigh together, in units; 0 for one without a signature."""
    if not fingerprint.signature:
        return 0
    weight: int = _TAIL.unpack_from(fingerprint.signature, SIGNATURE.itemsize - _TAIL.size)[0]
    return weight


@compiled
def filter_bit(token: np.uint32, which: int) -> np.uint32:
    """The first or the second bit of a word in a filter: each by one half of its hash."""
    half = token & _LOW if which == 0 else token >> _HALF
    return half * _BITS >> _HALF


@compiled
def short_token(packed: np.uint64) -> np.uint16:
    """16 bits of the hash of a packed word, never 0."""
    return max(np.uint16(packed >> _BYTE & _SHORT), _ONE)


@compiled
def _telling(packed: U64, weights: U32, kept: U16) -> None:
    """Keeps the first distinct words that tell something."""
    count = 0
    for at in range(len(packed)):
        if weights[at] >= _TELLING:
            short = short_token(packed[at])
            if short not in kept[:count]:
                kept[count] = short
                count += 1
                if count == len(kept):
                    return


@compiled
def _smallest(hashes: U64, keys: U64) -> int:
    """Fills `keys` with the smallest distinct hashes, ascending, and returns how many there are."""
    count = 0
    for key in hashes:
        if count == len(keys) and key >= keys[count - 1]:
            continue
        at = np.searchsorted(keys[:count], key)
        if at < count and keys[at] == key:
            continue
        count = min(count + 1, len(keys))
        for place in range(count - 1, at, -1):
            keys[place] = keys[place - 1]
        keys[at] = key
    return count


@allocating
def _sketch(
    codes: U16, table: Table, in_title: int, keys: U64, shorts: U16, bits: U8
) -> tuple[U64, U64, int, int, int, int]:
    """Fills what a signature and keys are made of, empty before: `shorts` of first words, then of
    the title, and the filter's `bits`.

    Returns the words of title and text, each with its weight behind it; those of the text once
    each; how many keys, bits that are set, and words of the text there are; and what these weigh.
    """
    tokens, sums, turns = hash_words(codes)
    weights = weigh(tokens, table)
    count = len(tokens) - in_title
    packed = np.empty(len(tokens), np.uint64)
    for at in range(len(tokens)):
        packed[at] = np.uint64(tokens[at]) << _BYTE | np.uint64(weights[at])
    distinct = np.empty(max(count, 0), np.uint64)
    if count < MIN_WORDS:
        return packed, distinct[:0], 0, 0, count, 0
    # Which words were met: a table with open addressing, at most half full.
    size, shift = 64, np.uint32(26)
    while size < 2 * count:
        size, shift = 2 * size, shift - np.uint32(1)
    met = np.full(size, _LAST, np.uint64)
    found, filled, weight = _fill(packed[in_title:], shift, met, distinct, bits)
    lead = slice(in_title, in_title + LEAD_WORDS)
    _telling(packed[lead], weights[lead], shorts[:LEAD])
    _telling(packed[:in_title], weights[:in_title], shorts[LEAD:])
    of_keys = _smallest(run_hashes(sums, turns, KEY_WORDS, in_title), keys)
    return packed, distinct[:found], of_keys, filled, count, weight


@compiled
def _fill(words: U64, shift: np.uint32, met: U64, distinct: U64, bits: U8) -> tuple[int, int, int]:
    """Fills `distinct` and the filter with the words; `met` is a free table for them, in which the
    upper bits of a hash that `shift` leaves are a word's place.

    Returns how many distinct ones there are, how many bits are set, and what they weigh.
    """
    found, filled, weight = 0, 0, 0
    for word in words:
        token = np.uint32(word >> _BYTE)
        place = signed(np.uint32(token * _SPREAD) >> shift)
        while met[place] != _LAST and met[place] != word:
            place = (place + 1) & (len(met) - 1)
        if met[place] == word:
            continue
        met[place] = word
        distinct[found] = word
        found += 1
        weight += signed(word & _WEIGHT)
        for which in range(2):
            bit = filter_bit(token, which)
            mask = np.uint8(128 >> (bit & 7))
            filled += bool((bits[bit >> 3] & mask) == 0)
            bits[bit >> 3] |= mask
    return found, filled, weight


def fingerprint_text(text: str, title: str = "", content_hash: str = "") -> Fingerprint:
    """The fingerprint of a match-layer text, its title and the hash of both.

    Without keys and signature below `MIN_WORDS` words of text. Without any text it counts the
    title's words.
    """
    in_title = len(title.split())
    if not text:
        exact = xxhash.xxh3_64_digest(content_hash.encode()) if in_title >= EXACT else b""
        return Fingerprint(words=in_title, exact=exact)
    keys, bits = np.empty(KEYS, np.uint64), np.zeros(FILTER_BYTES, np.uint8)
    shorts = np.zeros(LEAD + TITLE, np.uint16)
    packed, distinct, of_keys, filled, count, weight = _sketch(
        code_units(f"{title} {text}"), vocabulary().table, in_title, keys, shorts, bits
    )
    exact = b""
    if count >= EXACT_TEXT:
        exact = xxhash.xxh3_64_digest(text.encode(UTF_16))
    elif count + in_title >= EXACT:
        exact = xxhash.xxh3_64_digest(content_hash.encode())
    if not weight:  # too short, or nothing but the commonest words
        return Fingerprint(words=count, exact=exact)
    words = packed.tobytes()
    return Fingerprint(
        keys=keys[:of_keys].tobytes(),
        signature=bits.tobytes() + shorts.tobytes() + _TAIL.pack(weight, filled),
        words=count,
        text=words[8 * in_title :],
        distinct=distinct.tobytes(),
        title=words[: 8 * in_title],
        exact=exact,
    )


def fingerprint(article: Article) -> Article:
    """Fill `article.fingerprint` from the match layer of title, standfirst and body.

    Keys come from standfirst and body alone: newsrooms copy a text and write their own headline.
    An article with a title but no body counts as a short text, however long its title.
    """
    match = article.match
    text = f"{match.standfirst} {match.body}".strip()
    found = fingerprint_text(text, match.title, match.content_hash)
    return changed(article, fingerprint=found)
