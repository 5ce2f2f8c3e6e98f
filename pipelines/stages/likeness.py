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

F64 = NDArray[np.float64]

# How much each part counts. Chosen on the labelled pairs, `python -m benchmarks.stories`; they are
# flat there: weights a third larger or smaller change no figure by more than labels can tell.
JACCARD, CONTAINMENT, LEAD, TITLE = 0.35, 0.35, 0.2, 0.1
# Words at the beginning in which the other text's first words are looked for.
BEGINNING = 60
# News is looked for in so many words in a row: about a sentence.
SENTENCE = 20

_BYTE, _WEIGHT = np.uint64(8), np.uint64(0xFF)


class Likeness(NamedTuple):
    """One value for each text that the article was held against, all between 0 and 1.

    `jaccard` and `containment` are those of the two sets of words, each word counted by its weight.
    """

    likeness: F64
    jaccard: F64
    containment: F64
    shorter: NDArray[np.bool_]  # whether the article is the one of the two that says less
    left_out: NDArray[
        np.bool_
    ]  # whether the other has a rare word that the article has not


def likeness(own: Fingerprint, others: NDArray[np.void]) -> Likeness:
    """`own` held against some signatures; both are of texts long enough to have one."""
    distinct = np.frombuffer(own.distinct, dtype="<u8")
    of_title = np.frombuffer(own.title, dtype="<u8")
    both = np.concatenate((distinct, of_title))
    tokens, weights = (both >> _BYTE).astype(np.uint32), (both & _WEIGHT).astype(np.int64)
    hits = _in_filters(others["filter"], tokens)

    total = weights[: len(distinct)].sum()
    common = hits[:, : len(distinct)] @ weights[: len(distinct)]
    # Of the words that a text does not have, its filter shows this share all the same.
    mistaken = (others["filled"] / FILTER_BITS) ** 2
    held = others["weight"].astype(np.int64)
    common = np.clip((common - mistaken * total) / (1 - mistaken), 0, np.minimum(total, held))
    jaccard = common / (total + held - common)
    containment = common / np.minimum(total, held)

    beginning = short_tokens(np.frombuffer(own.text, dtype="<u8")[:BEGINNING])
    lead = _share(others["lead"], beginning)
    score = JACCARD * jaccard + CONTAINMENT * containment + LEAD * lead
    title_weights = weights[len(distinct) :]
    if title_weights.any():
        ours = hits[:, len(distinct) :] @ title_weights / title_weights.sum()
        theirs = _share(others["title"], short_tokens(both))
        titled = others["title"][:, 0] != 0
        with_title = score + TITLE * np.minimum(ours, theirs)
        score = np.where(titled, with_title, score / (1 - TITLE))
    else:
        score /= 1 - TITLE
    return Likeness(score, jaccard, containment, total < held, held - common >= RARE * UNITS)


def novelty(own: Fingerprint, told: NDArray[np.uint8]) -> tuple[float, float]:
    """What `own` says that is not in `told`, a filter: the share of all its words by weight, and
    the most nats of such words among any `SENTENCE` in a row.
    """
    words = np.frombuffer(own.text, dtype="<u8")
    unseen = (words & _WEIGHT).astype(np.int64)
    unseen[_in_filters(told[None, :], (words >> _BYTE).astype(np.uint32))[0]] = 0
    sums = np.zeros(len(words) + 1, dtype=np.int64)
    np.cumsum(unseen, out=sums[1:])
    densest = int((sums[SENTENCE:] - sums[:-SENTENCE]).max())
    distinct = np.frombuffer(own.distinct, dtype="<u8")
    new = distinct[~_in_filters(told[None, :], (distinct >> _BYTE).astype(np.uint32))[0]]
    total = int((distinct & _WEIGHT).sum())
    return (int((new & _WEIGHT).sum()) / total if total else 0.0), densest / UNITS


def holds(told: NDArray[np.uint8], tokens: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which of these words are in the filter."""
    found: NDArray[np.bool_] = _in_filters(told[None, :], tokens)[0]
    return found


def _in_filters(filters: NDArray[np.uint8], tokens: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """For each filter, which of the words it has."""
    bits = filter_bits(tokens)
    found = filters.take(bits >> np.uint32(3), axis=1)
    found &= (np.uint32(128) >> (bits & np.uint32(7))).astype(np.uint8)
    pairs = found.reshape(len(filters), len(tokens), 2) != 0
    both: NDArray[np.bool_] = pairs[:, :, 0] & pairs[:, :, 1]
    return both


def _share(kept: NDArray[np.uint16], among: NDArray[np.uint16]) -> F64:
    """For each row of kept words, the share that is among these; 0 for a row without any."""
    found = (kept[:, :, None] == among).any(axis=2).sum(axis=1)  # 0 is among no words
    share: F64 = found / np.maximum(1, (kept != 0).sum(axis=1))
    return share
