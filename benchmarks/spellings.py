"""What single rules of the match layer do: hamza on a seat (ؤ ئ), and formulas.

    python -m benchmarks.spellings --shared PATH

Counts which words of SaudiNewsNet's development part become one under each rule, and how alike the
texts of the labelled pairs are then: by the exact Jaccard similarity of their word 3-grams, which
rests on nothing but the match layer.
"""

from __future__ import annotations

import argparse
import collections
import statistics
from typing import NamedTuple

import numpy as np

from benchmarks._news import data_folder, given_pairs, read_articles, shared_option
from pipelines.records import Article, Origin
from pipelines.stages.arabic import layers
from pipelines.stages.clean import clean
from pipelines.stages.decide import Index, decide
from pipelines.stages.fingerprint import fingerprint
from pipelines.stages.normalize import normalize


class Rule(NamedTuple):
    name: str
    hamza: str  # what ؤ and ئ become
    formulas: bool  # left out
    compared: str = ""  # with which rule


RULES = (
    Rule("ؤ ئ as they are", "ؤئ", False),
    Rule("ؤ ئ to ء", "ءء", False, "ؤ ئ as they are"),
    Rule("ؤ ئ to و ي", "وي", False, "ؤ ئ as they are"),
    Rule("ؤ ئ to ء, no formulas", "ءء", True, "ؤ ئ to ء"),
)
_formula_spans = layers.formula_spans
PAIRS = 200_000


def follow(rule: Rule) -> None:
    for letter, to in zip("ؤئ", rule.hamza, strict=True):
        layers._MATCH[ord(letter)] = ord(to)
    layers.formula_spans = _formula_spans if rule.formulas else lambda match: []


def print_joined(articles: list[Article]) -> None:
    """How many words each hamza rule makes one of, and how often the rarer ones stand."""
    words: collections.Counter[str] = collections.Counter()
    for article in articles:
        words.update(
            f"{article.match.title} {article.match.standfirst} {article.match.body}".split()
        )
    print(f"{words.total():,} words, {len(words):,} different ones")
    for rule in RULES[1:3]:
        fold = str.maketrans("ؤئ", rule.hamza)
        groups = collections.defaultdict(list)
        for word, count in words.items():
            groups[word.translate(fold)].append(count)
        joined = [sorted(counts, reverse=True) for counts in groups.values() if len(counts) > 1]
        rarer = sum(sum(counts[1:]) for counts in joined)
        print(f"{rule.name}: {len(joined)} groups, their rarer words {rarer} times")


def shingles(article: Article) -> set[tuple[str, ...]]:
    words = f"{article.match.standfirst} {article.match.body}".split()
    return set(zip(words, words[1:], words[2:], strict=False))


def jaccard(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> float:
    return len(one & other) / max(1, len(one | other))


def print_formulas(rule: Rule, articles: list[Article], story_of: dict[str, str]) -> None:
    """How alike articles with formulas are that tell different stories: pairs drawn by chance."""
    if rule.hamza != "ءء":
        return
    # The same articles under both rules: their display text has one.
    having = [
        article
        for article in articles
        if _formula_spans(
            layers._folded(layers._encode(article.display.body.text), layers._MATCH)[0]
        )
    ]
    sets = [shingles(article) for article in having]
    random = np.random.default_rng(0)
    alike = [
        jaccard(sets[one], sets[other])
        for one, other in random.integers(len(having), size=(PAIRS, 2)).tolist()
        if story_of[having[one].url] != story_of[having[other].url]
    ]
    touching = sum(each > 0 for each in alike)
    print(
        f"  {len(having)} articles with formulas, {len(alike)} pairs of different stories:"
        f" mean Jaccard {statistics.mean(alike):.6f}, {touching} share three words in a row"
    )


def stories(articles: list[Article]) -> dict[str, str]:
    index = Index()
    story_of = {}
    for offset, article in enumerate(articles):
        origin = Origin("news.raw", 0, offset, article.ingested_at)
        story_of[article.url] = decide(fingerprint(article), origin, index).decision.story_id
    return story_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared_option(parser)
    data = data_folder(parser.parse_args().shared)
    if not data:
        return
    cleaned = [clean(article) for article in read_articles(data)]
    story_of = stories([normalize(article) for article in cleaned])
    pairs = given_pairs(data)
    before: dict[str, list[float]] = {}
    for rule in RULES:
        follow(rule)
        articles = [normalize(article) for article in cleaned]
        if rule is RULES[0]:
            print_joined(articles)
        by_url = {article.url: shingles(article) for article in articles}
        alike = [jaccard(by_url[pair.a], by_url[pair.b]) for pair in pairs]
        print(f"\n{rule.name}")
        for same, name in ((True, "the same story"), (False, "not the same")):
            chosen = [at for at, pair in enumerate(pairs) if pair.same == same]
            mean = statistics.mean(alike[at] for at in chosen)
            print(f"  Jaccard of {len(chosen)} pairs, {name}: {mean:.4f}", end="")
            base = before.get(rule.compared, alike)
            moved = [alike[at] - base[at] for at in chosen if alike[at] != base[at]]
            print(f"; {len(moved)} moved, by {[round(each, 3) for each in sorted(moved)]}")
        before[rule.name] = alike
        print_formulas(rule, articles, story_of)


if __name__ == "__main__":
    main()
