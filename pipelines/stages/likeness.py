"""Likeness: how much a new article has in common with texts of which only a signature is kept, and
how much it tells that a story has not told yet.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.records import Fingerprint
from pipelines.stages.compiled import allocating, compiled, signed
from pipelines.stages.fingerprint import FILTER_BITS, U8, filter_bit, short_token
from pipelines.stages.weights import RARE, U16, U32, U64, UNITS

# How much each part counts. Chosen on the labelled pairs, `python -m benchmarks.stories`; they are
# flat there: weights a third larger or smaller change no figure by more than labels can tell.
JACCARD, CONTAINMENT, LEAD, TITLE = 0.35, 0.35, 0.2, 0.1
# With less containment no likeness reaches .61, whatever the first words and titles are.
LEAST = 0.44
# Words at the beginning in which the other text's first words are looked for.
BEGINNING = 60
# News is looked for in so many words in a row: about a sentence.
SENTENCE = 21

MOST_NEWS = SENTENCE * RARE * UNITS
# A filter that shows so many of the words that a text does not have (one of more than 2,100 words)
# says nothing; up to the lower share (600 words) it can say that it holds all of a short text.
SATURATED, CERTAIN = 0.97, 0.5

_BYTE, _WEIGHT = np.uint64(8), np.uint64(0xFF)


class Likeness(NamedTuple):
    """How an article stands to one text; all scores are between 0 and 1.

    `jaccard` and `containment` are those of the two sets of words, each word counted by its weight.
    """

    likeness: float
    jaccard: float
    containment: float
    shorter: bool  # whether the article is the one of the two that says less
    left_out: float  # what the other's words weigh that the article has not, in rare words
    certain: bool  # whether its filter tells a short text's words from others


NEXT_TO_NOTHING = Likeness(0.0, 0.0, 0.0, shorter=False, left_out=0.0, certain=False)


def likeness(own: Fingerprint, others: NDArray[np.void]) -> list[Likeness]:
    """`own` held against some signatures; all are of texts long enough to have one.

    Of several, those of which it holds less than `LEAST` are all the same: `NEXT_TO_NOTHING`.
    """
    every = np.arange(len(others))
    return read_scores(hold_against(others, every, *words_of(own)))


def words_of(own: Fingerprint) -> tuple[U64, U64, U64]:
    """A text as the loops take it: its words in order, each of them once, those of its title."""
    return _words(own.text), _words(own.distinct), _words(own.title)


def read_scores(scores: NDArray[np.float64]) -> list[Likeness]:
    """What `hold_against` returned."""
    return [
        Likeness(score, jaccard, containment, bool(shorter), left_out, bool(certain))
        if near
        else NEXT_TO_NOTHING
        for score, jaccard, containment, shorter, left_out, certain, near in scores.tolist()
    ]


@allocating
def hold_against(
    signatures: NDArray[np.void], chosen: NDArray[np.int64], text: U64, distinct: U64, title: U64
) -> NDArray[np.float64]:
    """What `Likeness` has of each of the `chosen` signatures, and behind it whether it is more than
    next to nothing.
    """
    scores = np.zeros((len(chosen), 7))
    _hold_against(signatures, chosen, text, distinct, title, scores)
    return scores


@compiled
def _hold_against(
    signatures: NDArray[np.void],
    chosen: NDArray[np.int64],
    text: U64,
    distinct: U64,
    title: U64,
    scores: NDArray[np.float64],
) -> None:
    total, of_title = _weight_of(distinct), _weight_of(title)
    for at in range(len(chosen)):
        other = signatures[chosen[at]]
        # Of the words that a text does not have, its filter shows this share all the same.
        mistaken = min((other.filled / FILTER_BITS) ** 2, SATURATED)
        held = signed(other.weight)
        shorter = min(total, held)
        common = _weight_in(other.filter, distinct)
        shared = min(max(0.0, (common - mistaken * total) / (1 - mistaken)), shorter)
        if len(chosen) > 1 and shared < LEAST * shorter:
            continue
        jaccard = shared / (total + held - shared)
        containment = shared / shorter
        score = JACCARD * jaccard + CONTAINMENT * containment
        score += LEAD * _share(other.lead, text[:BEGINNING], text[:0])
        if of_title and other.title[0]:
            in_title = _weight_in(other.filter, title) / of_title
            score += TITLE * min(in_title, _share(other.title, distinct, title))
        else:
            score /= 1 - TITLE
        if mistaken == SATURATED:
            score = jaccard = containment = 0.0
        scores[at, 0], scores[at, 1], scores[at, 2] = score, jaccard, containment
        scores[at, 3] = total < held
        scores[at, 4] = (held - shared) / (RARE * UNITS)
        scores[at, 5] = mistaken <= CERTAIN
        scores[at, 6] = True


def novelty(own: Fingerprint, told: U8) -> tuple[float, float]:
    """What `own` says that is in none of `told`, filters of texts: the share of all its words by
    weight, and the most nats of such words among any `SENTENCE` in a row.

    A new word that seems to be in a filter is made up for by those that do not.
    """
    words = _words(own.text)
    share, densest = _unseen(words, told, np.zeros(len(words), np.int64))
    return share, densest / UNITS


@compiled
def _unseen(words: U64, told: U8, unseen: NDArray[np.int64]) -> tuple[float, float]:
    """Fills `unseen`, zeros before, with the weights of the words that are in none of `told`."""
    seen_as_new = 1.0
    for text in told:
        filled = 0
        for byte in text:
            while byte:
                byte &= byte - np.uint8(1)
                filled += 1
        seen_as_new *= 1 - (filled / FILTER_BITS) ** 2
    seen_as_new = max(1 - SATURATED, seen_as_new)
    total, every, row, most = 0, 0, 0, 0
    for at in range(len(words)):
        weight = signed(words[at] & _WEIGHT)
        total += weight
        if weight and not _in_any(told, np.uint32(words[at] >> _BYTE)):
            unseen[at] = weight
            every += weight
            row += weight
        if at >= SENTENCE:
            row -= unseen[at - SENTENCE]
        most = max(most, row)
    share = min(1.0, every / seen_as_new / total) if total else 0.0
    return share, min(most / seen_as_new, float(MOST_NEWS))


def holds(told: U8, tokens: U32) -> NDArray[np.bool_]:
    """Which of these words are in any of the filters."""
    found = np.empty(len(tokens), np.bool_)
    _holds(told, tokens, found)
    return found


@compiled
def _holds(told: U8, tokens: U32, found: NDArray[np.bool_]) -> None:
    for at in range(len(tokens)):
        found[at] = _in_any(told, tokens[at])


@compiled
def _in_any(told: U8, token: np.uint32) -> bool:
    found = False
    for bits in told:
        found |= _in_filter(bits, token)
    return found


@compiled
def _in_filter(bits: U8, token: np.uint32) -> bool:
    one, other = filter_bit(token, 0), filter_bit(token, 1)
    has_one = bits[one >> 3] & (128 >> (one & 7)) != 0
    return bool(has_one and bits[other >> 3] & (128 >> (other & 7)) != 0)


@compiled
def _weight_in(bits: U8, words: U64) -> int:
    """What those of the words that a filter has weigh."""
    weight = 0
    for word in words:
        if _in_filter(bits, np.uint32(word >> _BYTE)):
            weight += signed(word & _WEIGHT)
    return weight


@compiled
def _weight_of(words: U64) -> int:
    weight = 0
    for word in words:
        weight += signed(word & _WEIGHT)
    return weight


@compiled
def _share(kept: U16, words: U64, others: U64) -> float:
    """The share of the kept words that is among any of these; 0 without any."""
    count = there = 0
    for short in kept:
        if short:
            count += 1
            there += _is_among(short, words) or _is_among(short, others)
    return there / count if count else 0.0


@compiled
def _is_among(short: np.uint16, words: U64) -> bool:
    found = False
    for word in words:
        found |= bool(short_token(word) == short)
    return found


def tokens_of(packed: bytes) -> U32:
    """The hashes of a fingerprint's words."""
    return (_words(packed) >> _BYTE).astype(np.uint32)


def _words(packed: bytes) -> U64:
    return np.frombuffer(packed, dtype=np.uint64)
