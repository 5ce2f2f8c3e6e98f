"""How well and how fast the stages tell stories apart, on labelled pairs of real Arabic news.

    python -m benchmarks.stories --shared PATH             all of it, minutes
    python -m benchmarks.stories --shared PATH --quick     without shuffled streams and peers
    python -m benchmarks.stories --shared PATH --errors    and names the pairs that went wrong

reads SaudiNewsNet's development part and its labels under PATH/data, which are not part of this
repository, and runs all articles through Clean to Decide in order of publication. The labels, the
measures and what they can say are in docs/evaluation.md.
"""

from __future__ import annotations

import argparse
import collections
import random
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from benchmarks._news import data_folder, given_pairs, own_pairs, read_articles, shared_option
from benchmarks._scores import (
    Pair,
    Stories,
    agreement,
    cross_validated,
    densest_news,
    interval,
    judged,
    known_stories,
    pair_score,
    story_score,
    unseen_share,
)
from pipelines.records import Article, Decision, Origin
from pipelines.stages.clean import clean
from pipelines.stages.decide import Index, decide
from pipelines.stages.fingerprint import fingerprint
from pipelines.stages.normalize import normalize

HOUR_MS = 3600 * 1000
DELAY_MS = 24 * HOUR_MS
SHUFFLES = 3
LATE_SHARES = (0.1, 1.0)
LARGEST = 5
# What a reader is shown as something new of a story that was seen; or else it opens a story of its
# own, with a link to what it goes on from.
NEWS_OF_A_STORY = ("update", "correction", "retraction")
GOES_ON = "update_of"

Decided = dict[str, Article]  # by URL, in stream order


def fingerprinted(articles: Iterable[Article], seconds: collections.Counter) -> list[Article]:
    done = []
    for article in articles:
        for stage in (clean, normalize, fingerprint):
            start = time.perf_counter()
            article = stage(article)
            seconds[stage.__name__] += time.perf_counter() - start
        done.append(article)
    return done


def decided(articles: Iterable[Article], index: Index) -> Decided:
    """The articles, in this order, through Decide; their place in it is their offset."""
    return {
        article.url: decide(article, Origin("news.raw", 0, at, article.ingested_at), index)
        for at, article in enumerate(articles)
    }


def stories_of(articles: Decided) -> dict[str, str]:
    return {url: article.decision.story_id for url, article in articles.items()}


def arriving(articles: Sequence[Article], chance: random.Random, share: float) -> list[Article]:
    """The articles a day after their publication; a `share` of them up to a day sooner or later."""
    late = []
    for article in articles:
        moved = chance.randint(-DELAY_MS, DELAY_MS) if chance.random() < share else 0
        late.append(replace(article, ingested_at=article.ingested_at + DELAY_MS + moved))
    return sorted(late, key=lambda article: article.ingested_at)


def short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


class Table:
    """One line for each way to tell stories apart."""

    def __init__(self, labels: Mapping[str, list[Pair]]) -> None:
        self._labels = labels
        self._known = known_stories(pair for pairs in labels.values() for pair in pairs)

    def print_head(self) -> None:
        for name, pairs in self._labels.items():
            print(f"{name}: {len(pairs)} pairs, {sum(pair.same for pair in pairs)} of one story")
        sizes = collections.Counter(map(len, self._known.stories))
        print(
            "stories by the number of their labelled articles:",
            ", ".join(f"{count} of {size}" for size, count in sorted(sizes.items())),
        )
        print("weighted: precision, recall, F1, its 95 % interval; plain: F1\n")
        heads = "".join(f"   {f'{name}, weighted':25} plain" for name in self._labels)
        print(f"{'':46}{heads}   story F1  stories  largest  µs an article")

    def print_stories(self, story_of: Stories) -> None:
        print("\nKhabar's stories, pure and whole:", story_score(self._known, story_of))

    def print_line(self, name: str, story_of: Stories, micros: float) -> None:
        cells = ""
        for pairs in self._labels.values():
            low, high = interval(pairs, lambda drawn: pair_score(drawn, story_of, True).f1)
            weighted = " ".join(map(short, pair_score(pairs, story_of, weighted=True)))
            plain = short(pair_score(pairs, story_of, weighted=False).f1)
            spread = f"{low:.2f}–{high:.2f}".replace("0.", ".")
            cells += f"   {weighted:>15} {spread:9} {plain:>5}"
        story = short(story_score(self._known, story_of).f1)
        sizes = collections.Counter(story_of.values())
        print(
            f"{name:46}{cells}   {story:>8}  {len(sizes):7}  {max(sizes.values()):7}"
            f"  {micros:13.0f}",
            flush=True,
        )


def goes_on(decision: Decision) -> bool:
    """Whether it tells a reader that a story has something new."""
    linked = any(link.relation == GOES_ON for link in decision.related)
    return linked or decision.verdict in NEWS_OF_A_STORY


def decided_alone(pair: Pair, articles: Decided) -> Decision:
    """The later article's decision, where the earlier one is all that was seen before."""
    return decided([articles[pair.a], articles[pair.b]], Index())[pair.b].decision


def print_updates(pairs: list[Pair], articles: Decided) -> None:
    """Is the later one of two articles of one story published again when, and only when, it has
    something new?
    """
    changes = [pair for pair in pairs if pair.change]
    truths = [pair.change == "update" for pair in changes]
    print(f"\nupdates: {sum(truths)} labelled update, {len(truths) - sum(truths)} duplicate")

    def print_verdicts(name: str, decisions: list[Decision]) -> None:
        said = map(goes_on, decisions)
        found = judged((each, true, 1.0) for each, true in zip(said, truths, strict=True))
        print(f"  {name}: {found}")
        for change in ("update", "duplicate"):
            counts = counted(
                "new, linked"
                if decision.verdict == "new" and goes_on(decision)
                else decision.verdict
                for pair, decision in zip(changes, decisions, strict=True)
                if pair.change == change
            )
            print(f"    labelled {change}: {counts}")

    alone = [decided_alone(pair, articles) for pair in changes]
    print_verdicts("verdicts, each pair alone", alone)
    print_verdicts("verdicts in the stream", [articles[pair.b].decision for pair in changes])
    matched = [
        (decision.novelty, true)
        for decision, true in zip(alone, truths, strict=True)
        if decision.matched
    ]
    if len({novelty for novelty, _ in matched}) > 1:
        found = cross_validated(*zip(*matched, strict=True))
        print(f"  novelty of {len(matched)} matched alone, threshold cross-validated: {found}")
    words = {
        url: f"{articles[url].match.standfirst} {articles[url].match.body}".split()
        for pair in changes
        for url in (pair.a, pair.b)
    }
    for name, measure in (
        ("most unseen words among 20 in a row", densest_news),
        ("share of unseen 3-grams", unseen_share),
    ):
        values = [measure(words[pair.a], words[pair.b]) for pair in changes]
        found = cross_validated(values, truths)
        print(f"  {name}, of the two texts, threshold cross-validated: {found}")


def print_shuffled(articles: Sequence[Article]) -> None:
    in_order = stories_of(decided(arriving(articles, random.Random(0), 0.0), Index()))
    print(f"\nout of order, {SHUFFLES} times each, against all of them a day after publication:")
    for share in LATE_SHARES:
        found = [
            agreement(
                in_order, stories_of(decided(arriving(articles, random.Random(n), share), Index()))
            )
            for n in range(SHUFFLES)
        ]
        pairs, b_cubed, unchanged = (statistics.mean(each) for each in zip(*found, strict=True))
        print(
            f"  {share:.0%} up to a day sooner or later: B³ F1 {b_cubed:.4f}, pairs F1 {pairs:.4f},"
            f" articles with the very same companions {unchanged:.4f}"
        )


def print_largest(articles: Decided) -> None:
    """Titles go to the terminal only: the texts may not be passed on."""
    members = collections.defaultdict(list)
    for article in articles.values():
        members[article.decision.story_id].append(article)
    print("\nlargest stories:")
    for story in sorted(members.values(), key=len, reverse=True)[:LARGEST]:
        print(f"  {len(story)} articles")
        for article in story:
            title = " ".join(article.raw_title.split()[:6])
            decision = article.decision
            print(f"    {article.published.text} {decision.verdict} {decision.rule}: {title}")


def counted(values: Iterable[str]) -> str:
    counts = collections.Counter(values).most_common()
    return ", ".join(f"{name} {count}" for name, count in counts)


def print_decisions(articles: Decided, index: Index, seconds: collections.Counter) -> None:
    decisions = [article.decision for article in articles.values()]
    print("verdicts:", counted(each.verdict for each in decisions))
    print("rules:", counted(each.rule for each in decisions))
    print("related:", counted(link.relation for each in decisions for link in each.related))
    for stage, total in seconds.items():
        print(f"{stage}: {total / len(articles) * 1e6:.0f} µs an article")
    start = max(article.ingested_at for article in articles.values()) - index.window_ms
    remembered = sum(article.ingested_at > start for article in articles.values())
    held = index.memory_bytes()
    print(
        f"index: {remembered} articles in {len(index)} living stories, "
        f"{held / remembered:.0f} bytes an article, {held / len(index):.0f} a story"
    )


def print_errors(pairs: list[Pair], articles: Decided) -> None:
    for pair in pairs:
        one, other = articles[pair.a], articles[pair.b]
        together = one.decision.story_id == other.decision.story_id
        if together != pair.same:
            print("same" if pair.same else "apart", f"{pair.weight:.0f}", pair.a, pair.b)
            for each in (one, other):
                print("   ", each.published.text, each.fingerprint.words, each.decision)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared_option(parser)
    parser.add_argument("--quick", action="store_true", help="no shuffled streams, no peers")
    parser.add_argument("--errors", action="store_true", help="name the pairs that went wrong")
    options = parser.parse_args()
    data = data_folder(options.shared)
    if not data:
        return

    seconds: collections.Counter[str] = collections.Counter()
    articles = fingerprinted(read_articles(data), seconds)
    index = Index()
    start = time.perf_counter()
    done = decided(articles, index)
    seconds["decide"] = time.perf_counter() - start
    labels = {"given": given_pairs(data), "own": own_pairs()}

    table = Table(labels)
    table.print_head()
    micros = (seconds["fingerprint"] + seconds["decide"]) / len(articles) * 1e6
    table.print_line("Khabar", stories_of(done), micros)
    if not options.quick:
        # The peers are the larger part of the time; only here are their packages needed.
        from benchmarks._peers import bare_rule, found_by_peers

        bare = bare_rule(articles)
        table.print_line("exact Jaccard ≥ .27, ≥ .46 after 60 h, leader", bare.stories, bare.micros)
        for name, story_of, taken in found_by_peers(articles):
            table.print_line(name, story_of, taken)
    table.print_stories(stories_of(done))
    print_decisions(done, index, seconds)
    print_updates(labels["own"], done)
    if not options.quick:
        print_shuffled(articles)
    print_largest(done)
    if options.errors:
        for name, pairs in labels.items():
            print(f"\nwrong of {name}:")
            print_errors(pairs, done)


if __name__ == "__main__":
    main()
