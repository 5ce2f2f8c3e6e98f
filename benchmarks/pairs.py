"""The labelled pairs of this repository: what they are, and how they were drawn.

    python -m benchmarks.pairs --shared PATH           what was labelled, by stratum
    python -m benchmarks.pairs --shared PATH --draw    prints pairs as JSON lines, to read

Candidates are the pairs of articles that share a fingerprint key. They are put into strata by their
exact likeness, and from each stratum some are drawn by chance, the same ones each time; a pair's
weight is the size of its stratum for each pair drawn. The labels are of pairs that were drawn by
the match layer of commit 50264b8: with a later one likenesses differ a little, and so does the
draw. What the labels mean is in docs/evaluation.md.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks._news import data_folder, given_rows, own_rows, read_articles, shared_option
from pipelines.records import Article
from pipelines.stages.clean import clean
from pipelines.stages.fingerprint import fingerprint
from pipelines.stages.normalize import normalize

SEED = "updates/190"
# How many are drawn of a stratum: more where the thresholds were not sure.
USUAL = 11
DRAWN = {"near-low": 26, "digest": 20, "late-high": 22, "late-low": 14}
NEAR_MS = 60 * 3600 * 1000
# Newest texts of a key, as in the index: a boilerplate phrase makes no million pairs.
HOT_KEY = 64
NOVELTY_STEPS = (0.05, 0.15, 0.3, 0.5, 1.01)


class Likeness(NamedTuple):
    """Of two articles' word 3-grams: Jaccard, containment, and the later one's unseen share."""

    jaccard: float
    containment: float
    novelty: float
    gap: int  # milliseconds between their publications
    same_numbers: bool


def stratum(like: Likeness) -> str:
    """Empty for what is of no interest: unlike, or alike but far apart."""
    near = like.gap <= NEAR_MS
    if like.jaccard >= 0.27 and near:
        step = next(at for at, high in enumerate(NOVELTY_STEPS) if like.novelty < high)
        return f"near-nov{step}-{'same' if like.same_numbers else 'other'}-numbers"
    if 0.15 <= like.jaccard < 0.27 and near and like.containment < 0.8:
        return "near-low"
    if like.containment >= 0.8 and like.jaccard < 0.27:
        return "digest"
    if like.jaccard >= 0.46:
        return "late-high"
    return "late-low" if like.jaccard >= 0.27 else ""


def candidates(articles: list[Article]) -> set[tuple[int, int]]:
    """The pairs that share a key, by their positions, the earlier one first."""
    holders = collections.defaultdict(list)
    for at, article in enumerate(articles):
        for key in np.frombuffer(article.fingerprint.keys, dtype="<u8").tolist():
            holders[key].append(at)
    return {
        (one, other)
        for each in holders.values()
        for first, one in enumerate(each[-HOT_KEY:])
        for other in each[-HOT_KEY:][first + 1 :]
    }


def likenesses(articles: list[Article]) -> Iterator[tuple[int, int, Likeness]]:
    """Every candidate pair in order, with its exact likeness."""
    grams, numbers = [], []
    for article in articles:
        words = f"{article.match.standfirst} {article.match.body}".split()
        grams.append({hash(tuple(words[at : at + 3])) for at in range(len(words) - 2)})
        numbers.append(sorted(word for word in words if word.isdigit()))
    for one, other in sorted(candidates(articles)):
        common = len(grams[one] & grams[other])
        yield (
            one,
            other,
            Likeness(
                common / len(grams[one] | grams[other]),
                common / min(len(grams[one]), len(grams[other])),
                1 - common / len(grams[other]),
                abs(articles[other].published.utc - articles[one].published.utc),
                numbers[one] == numbers[other],
            ),
        )


def draw(articles: list[Article], given: list[dict]) -> Iterator[tuple[str, float, int, int]]:
    """Stratum, weight and positions of the pairs to read, in chance order; none that was given."""
    taken = {frozenset((row["url_a"], row["url_b"])) for row in given}
    strata = collections.defaultdict(list)
    for one, other, like in likenesses(articles):
        name = stratum(like)
        if name and frozenset((articles[one].url, articles[other].url)) not in taken:
            strata[name].append((one, other))
    chance = random.Random(SEED)
    drawn = []
    for name in sorted(strata):
        count = min(DRAWN.get(name, USUAL), len(strata[name]))
        weight = round(len(strata[name]) / count, 1)
        drawn += [(name, weight, *pair) for pair in chance.sample(strata[name], count)]
    chance.shuffle(drawn)
    yield from drawn


def shown(article: Article) -> dict[str, str]:
    return {
        "time": article.published.text,
        "source": article.source,
        "author": article.author,
        "title": article.raw_title,
        "body": article.raw_body,
    }


def print_draw(data: Path) -> None:
    articles = [fingerprint(normalize(clean(article))) for article in read_articles(data)]
    for name, weight, one, other in draw(articles, given_rows(data)):
        a, b = articles[one], articles[other]
        row = {"url_a": a.url, "url_b": b.url, "stratum": name, "weight": weight}
        print(json.dumps(row | {"a": shown(a), "b": shown(b)}, ensure_ascii=False))


def print_labels() -> None:
    rows = own_rows()
    strata = collections.defaultdict(list)
    for row in rows:
        strata[row["stratum"]].append(row)
    print(f"{len(rows)} pairs")
    for name, each in sorted(strata.items()):
        labels = collections.Counter(f"{row['story']} {row['change']}" for row in each)
        print(
            f"{name:24} {len(each):3} of {len(each) * each[0]['weight']:6.0f}: "
            + ", ".join(f"{label} {count}" for label, count in labels.most_common())
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared_option(parser)
    parser.add_argument("--draw", action="store_true", help="print the pairs, to read")
    options = parser.parse_args()
    if not options.draw:
        print_labels()
    elif data := data_folder(options.shared):
        print_draw(data)


if __name__ == "__main__":
    main()
