"""How well and how fast the stages tell stories apart, on labelled pairs of real Arabic news.

    python -m benchmarks.stories --shared PATH

reads SaudiNewsNet's development part and its labels under PATH/data, which are not part of this
repository, and runs all articles through Clean to Decide in order of publication. Labels: D edited
copy and S short or long version are one story; T same template, P partial overlap, E same event
written independently and N unrelated are not; U is skipped. A pair's weight says for how many
candidate pairs it stands.
"""

from __future__ import annotations

import argparse
import collections
import json
import lzma
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from pipelines.records import Article, Origin, Time
from pipelines.stages.clean import clean
from pipelines.stages.decide import Index, decide
from pipelines.stages.decode import article_id
from pipelines.stages.fingerprint import fingerprint
from pipelines.stages.normalize import normalize


def read_articles(path: Path) -> list[Article]:
    """All articles, oldest first; `ingested_at` is the publication time, as in `khabar process`."""
    articles = []
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            title, body, url, source = row["title"], row["body"], row["url"], row["source"]
            when = datetime.fromisoformat(row["date"]).replace(tzinfo=UTC)
            published = int(when.timestamp() * 1000)
            articles.append(
                Article(
                    article_id=article_id(url, source, row["id"], title, body),
                    id=row["id"],
                    url=url,
                    source=source,
                    raw_title=title,
                    raw_body=body,
                    author=row["author"],
                    published=Time(utc=published, text=row["date"], zone="none", confidence=1.0),
                    ingested_at=published,
                )
            )
    return sorted(articles, key=lambda article: article.ingested_at)


def read_pairs(data: Path) -> list[dict]:
    """The labelled pairs but for the unsure ones."""
    with (data / "neardup" / "labelled-pairs-dev.jsonl").open(encoding="utf-8") as lines:
        return [pair for pair in map(json.loads, lines) if pair["label"] != "U"]


def scores(
    pairs: list[dict], story_of: dict[str, str], weighted: bool
) -> tuple[float, float, float]:
    """Precision, recall and F1 of the pairs put together."""
    right = wrong = missed = 0.0
    for pair in pairs:
        weight = pair["weight"] if weighted else 1.0
        together = story_of[pair["url_a"]] == story_of[pair["url_b"]]
        same = pair["label"] in "DS"
        right += weight * (together and same)
        wrong += weight * (together and not same)
        missed += weight * (same and not together)
    precision, recall = right / (right + wrong), right / (right + missed)
    return precision, recall, 2 * precision * recall / (precision + recall)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared = os.environ.get("KHABAR_SHARED") or "../shared"
    parser.add_argument("--shared", type=Path, default=Path(shared))
    parser.add_argument("--errors", action="store_true", help="name the pairs that went wrong")
    options = parser.parse_args()
    data = options.shared / "data"
    if not data.is_dir():
        print(f"no development data at {data}; skipped (--shared names the folder above it)")
        return

    articles = read_articles(data / "news" / "saudinewsnet-dev.jsonl.xz")
    seconds: collections.Counter[str] = collections.Counter()
    index = Index()
    decided = {}
    for offset, article in enumerate(articles):
        for stage in (clean, normalize, fingerprint):
            start = time.perf_counter()
            article = stage(article)
            seconds[stage.__name__] += time.perf_counter() - start
        start = time.perf_counter()
        article = decide(article, Origin("news.raw", 0, offset, article.ingested_at), index)
        seconds["decide"] += time.perf_counter() - start
        decided[article.url] = article

    pairs = read_pairs(data)
    story_of = {url: article.decision.story_id for url, article in decided.items()}
    for name, weighted in (("plain:   ", False), ("weighted:", True)):
        precision, recall, f1 = scores(pairs, story_of, weighted)
        print(
            f"{len(pairs)} pairs, {name} precision {precision:.3f} recall {recall:.3f} F1 {f1:.3f}"
        )
    rules = collections.Counter(article.decision.rule for article in decided.values())
    print("rules:", ", ".join(f"{rule} {count}" for rule, count in rules.most_common()))
    related = collections.Counter(
        each.relation for article in decided.values() for each in article.decision.related
    )
    print("related:", dict(related))
    sizes = collections.Counter(story_of.values())
    print(f"{len(sizes)} stories, the largest of {max(sizes.values())}")
    for stage, total in seconds.items():
        print(f"{stage}: {total / len(articles) * 1e6:.0f} µs an article")
    held = index.memory_bytes()
    start_of_window = articles[-1].ingested_at - index.window_ms
    remembered = sum(article.ingested_at > start_of_window for article in articles)
    print(
        f"index: {remembered} articles in {len(index)} living stories, "
        f"{held / remembered:.0f} bytes an article"
    )

    if options.errors:
        for pair in pairs:
            one, other = decided[pair["url_a"]], decided[pair["url_b"]]
            together = one.decision.story_id == other.decision.story_id
            if together != (pair["label"] in "DS"):
                print(pair["label"], f"{pair['weight']:.0f}", pair["url_a"], pair["url_b"])
                for each in (one, other):
                    print("   ", each.published.text, each.fingerprint.words, each.decision)


if __name__ == "__main__":
    main()
