"""Likeness: how much a new article has in common with texts of which only a signature is kept, and
how much it tells that a story has not told yet.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.records import Fingerprint
from pipelines.stages.fingerprint import FILTER_BITS, filter_bits, short_tokens
from pipelines.stages.weights import RARE, UNITS

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
    distinct = np.frombuffer(own.distinct, dtype="<u8")
    both = np.concatenate((distinct, np.frombuffer(own.title, dtype="<u8")))
    weights = (both & _WEIGHT).astype(np.int64)
    hits = _in_filters(others["filter"], (both >> _BYTE).astype(np.uint32))
    in_text, in_title = weights[: len(distinct)], weights[len(distinct) :]
    beginning = frozenset(short_tokens(np.frombuffer(own.text, dtype="<u8")[:BEGINNING]).tolist())
    every = frozenset(short_tokens(both).tolist())
    total, of_title = int(in_text.sum()), int(in_title.sum())
    found: list[Likeness] = []
    for common, titled, lead, title, held, filled in zip(
        (hits[:, : len(distinct)] @ in_text).tolist(),
        (hits[:, len(distinct) :] @ in_title).tolist(),
        others["lead"].tolist(),
        others["title"].tolist(),
        others["weight"].tolist(),
        others["filled"].tolist(),
        strict=True,
    ):
        # Of the words that a text does not have, its filter shows this share all the same.
        mistaken = min((filled / FILTER_BITS) ** 2, SATURATED)
        shorter = min(total, held)
        shared = min(max(0.0, (common - mistaken * total) / (1 - mistaken)), shorter)
        if len(others) > 1 and shared < LEAST * shorter:
            found.append(NEXT_TO_NOTHING)
            continue
        jaccard = shared / (total + held - shared)
        containment = shared / shorter
        score = JACCARD * jaccard + CONTAINMENT * containment + LEAD * _share(lead, beginning)
        if of_title and title[0]:
            score += TITLE * min(titled / of_title, _share(title, every))
        else:
            score /= 1 - TITLE
        if mistaken == SATURATED:
            score = jaccard = containment = 0.0
        found.append(
            Likeness(
                score,
                jaccard,
                containment,
                shorter=total < held,
                left_out=(held - shared) / (RARE * UNITS),
                certain=mistaken <= CERTAIN,
            )
        )
    return found


def novelty(own: Fingerprint, told: NDArray[np.uint8]) -> tuple[float, float]:
    """What `own` says that is in none of `told`, filters of texts: the share of all its words by
    weight, and the most nats of such words among any `SENTENCE` in a row.

    A new word that seems to be in a filter is made up for by those that do not.
    """
    words = np.frombuffer(own.text, dtype="<u8")
    weights = (words & _WEIGHT).astype(np.int64)
    unseen = weights * ~holds(told, (words >> _BYTE).astype(np.uint32))
    sums = np.zeros(len(words) + 1, dtype=np.int64)
    np.cumsum(unseen, out=sums[1:])
    filled = np.bitwise_count(told).sum(axis=1, dtype=np.int64) / FILTER_BITS
    seen_as_new = max(1 - SATURATED, float(np.prod(1 - filled**2)))
    row = min(SENTENCE, len(words))
    densest = min(int((sums[row:] - sums[:-row]).max()) / seen_as_new, MOST_NEWS)
    total = int(weights.sum())
    return min(1.0, int(sums[-1]) / seen_as_new / total) if total else 0.0, densest / UNITS


def holds(told: NDArray[np.uint8], tokens: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which of these words are in any of the filters."""
    found: NDArray[np.bool_] = np.logical_or.reduce(_in_filters(told, tokens), axis=0)
    return found


def _in_filters(filters: NDArray[np.uint8], tokens: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """For each filter, which of the words it has."""
    bits = filter_bits(tokens)
    found = filters.take(bits >> np.uint32(3), axis=1)
    found &= (np.uint32(128) >> (bits & np.uint32(7))).astype(np.uint8)
    pairs = found.reshape(len(filters), len(tokens), 2) != 0
    both: NDArray[np.bool_] = pairs[:, :, 0] & pairs[:, :, 1]
    return both


def _share(kept: list[int], among: frozenset[int]) -> float:
    """The share of the kept words that is among these; 0 without any."""
    count = len(kept) - kept.count(0)
    return sum(map(among.__contains__, kept)) / count if count else 0.0
