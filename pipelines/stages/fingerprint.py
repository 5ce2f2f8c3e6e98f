"""Fingerprint: what the index compares two articles by, taken from the match layer.

A text becomes a few keys, which find candidates, and a signature of fixed size, by which the index
tells how alike two texts are. An article also takes its words along: of two texts the new one is
compared word by word.
"""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import xxhash
from numpy.typing import NDArray

from pipelines.records import Article, Fingerprint
from pipelines.stages.weights import U32, U64, UNITS, WEIGHTS_VERSION, vocabulary

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
FINGERPRINT_VERSION = f"w5k12-f{FILTER_BYTES}l{LEAD}t{TITLE}-{WEIGHTS_VERSION}/2"

# At most so many of a text's smallest hashes are looked at for distinct keys.
_LOOKED_AT = 4 * KEYS
_TAIL = struct.Struct(f"<{LEAD + TITLE}HIH")
_FILTER_BITS, _HALF = np.uint32(FILTER_BITS), np.uint32(16)
_TELLING = np.uint32(2 * UNITS)
_BYTE, _WEIGHT = np.uint64(8), np.uint64(0xFF)
_SHORT, _ONE = np.uint64(0xFFFF), np.uint64(1)


def signature_weight(fingerprint: Fingerprint) -> int:
    """What the text's distinct words weigh together, in units; 0 for one without a signature."""
    if not fingerprint.signature:
        return 0
    weight: int = _TAIL.unpack_from(fingerprint.signature, FILTER_BYTES)[-2]
    return weight


def filter_bits(tokens: U32) -> U32:
    """Two bits of each word in a filter, one behind the other: one by each half of its hash."""
    bits = tokens.view(np.uint16).astype(np.uint32)
    bits *= _FILTER_BITS
    bits >>= _HALF
    return bits


def short_tokens(packed: U64) -> NDArray[np.uint16]:
    """16 bits of the hash of each packed word, never 0."""
    short: NDArray[np.uint16] = np.maximum(packed >> _BYTE & _SHORT, _ONE).astype(np.uint16)
    return short


def _keys(hashes: U64) -> bytes:
    """The smallest distinct ones, ascending."""
    if len(hashes) > _LOOKED_AT:
        hashes.partition(_LOOKED_AT)
        hashes = hashes[:_LOOKED_AT]
    smallest = sorted(set(hashes.tolist()))[:KEYS]
    return struct.pack(f"<{len(smallest)}Q", *smallest)


def _telling(tokens: list[int], count: int) -> list[int]:
    """16 bits of each of the first `count` distinct words; the rest is 0."""
    found = [token & 0xFFFF or 1 for token in dict.fromkeys(tokens)][:count]
    return found + [0] * (count - len(found))


def fingerprint_text(text: str, title: str = "") -> Fingerprint:
    """The fingerprint of a match-layer text and its title.

    Without keys and signature below `MIN_WORDS` words.
    """
    in_title = len(title.split())
    words = vocabulary().words(f"{title} {text}") if text else None
    count = len(words.tokens) - in_title if words else 0
    if words is None or count < MIN_WORDS:
        return Fingerprint(words=count)
    # Each token with its weight behind it, so that one sort finds the distinct ones of both.
    packed = words.tokens.astype(np.uint64)
    packed <<= _BYTE
    packed |= words.weights
    in_text = packed[in_title:]
    ordered = np.sort(in_text)
    first = np.empty(count, dtype=np.bool_)
    first[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    distinct = ordered[first]
    weight = int((distinct & _WEIGHT).sum())
    if not weight:  # nothing but the commonest words
        return Fingerprint(words=count)
    filled = np.zeros(FILTER_BITS, dtype=np.bool_)
    filled[filter_bits(words.tokens[in_title:])] = True
    start = words.tokens[: in_title + LEAD_WORDS]
    telling = words.weights[: in_title + LEAD_WORDS] >= _TELLING
    return Fingerprint(
        keys=_keys(words.runs(KEY_WORDS, in_title)),
        signature=np.packbits(filled).tobytes()
        + _TAIL.pack(
            *_telling(start[in_title:][telling[in_title:]].tolist(), LEAD),
            *_telling(start[:in_title][telling[:in_title]].tolist(), TITLE),
            weight,
            np.count_nonzero(filled),
        ),
        words=count,
        text=in_text.tobytes(),
        distinct=distinct.tobytes(),
        title=packed[:in_title].tobytes(),
    )


def fingerprint(article: Article) -> Article:
    """Fill `article.fingerprint` from the match layer of title, standfirst and body.

    Keys come from standfirst and body alone: newsrooms copy a text and write their own headline.
    An article with a title but no body counts as a short text, however long its title.
    """
    match = article.match
    text = f"{match.standfirst} {match.body}".strip()
    found = fingerprint_text(text, match.title)
    in_title = len(match.title.split())
    if found.words >= EXACT_TEXT:
        exact = xxhash.xxh3_64_digest(text.encode())
    elif found.words + in_title >= EXACT:
        exact = xxhash.xxh3_64_digest(match.content_hash.encode())
    else:
        exact = b""
    return replace(article, fingerprint=replace(found, words=found.words or in_title, exact=exact))
