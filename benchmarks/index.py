"""What finding stories costs: fingerprints, decisions, memory, and restoring them.

    python -m benchmarks.index --shared PATH [fingerprint] [decide] [restore]

All three by default, minutes; `decide` goes up to 1,000,000 stories (--stories). Needs the
development data, which is not part of this repository. What is measured is in docs/performance.md.
"""

from __future__ import annotations

import argparse
import collections
import gc
import hashlib
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import psutil
from kafka import TopicPartition

from benchmarks._news import data_folder, read_articles, shared_option
from benchmarks._peers import Wide, datasketch_sketch, layers, rensa_sketch
from benchmarks.kafka import settings
from pipelines import schemas
from pipelines.kafka import clients
from pipelines.kafka.index_log import IndexLog
from pipelines.local import Services
from pipelines.records import Article, Match, Origin
from pipelines.run import schema_ids
from pipelines.settings import Settings
from pipelines.stages.clean import clean
from pipelines.stages.decide import Index, decide
from pipelines.stages.encode import index_record
from pipelines.stages.fingerprint import fingerprint
from pipelines.stages.normalize import normalize

DAY_MS = 24 * 3600 * 1000
SIZES = (10_000, 100_000, 1_000_000)
# Articles of the usual target size, in bytes of UTF-8 as they came.
FIVE_KB = range(4_600, 5_600)
SAMPLE = 200
ROUNDS = 5
BATCH = 500  # decisions that are timed together
BATCHES = 20  # the last ones before a size is reached are its cost
COMMON = 1000  # of the most frequent words, each copy of the corpus has the same
ENTRIES = 50_000


class Copies:
    """An endless stream of articles that behaves like real news: the development articles in
    their order, again and again, each time with a mark on all but the most frequent words.

    So within a copy there are the real duplicates and near misses, and between copies no more in
    common than phrases of frequent words. All are published within six days and arrive after that:
    nothing expires.
    """

    def __init__(self, articles: Sequence[Article]) -> None:
        self._articles = articles
        counts: collections.Counter[str] = collections.Counter()
        for article in articles:
            match = article.match
            counts.update(f"{match.title} {match.standfirst} {match.body}".split())
        self._words = [word for word, _ in counts.most_common()]
        self._first = min(article.published.utc for article in articles)
        last = max(article.published.utc for article in articles)
        self._pace = 6 * DAY_MS / (last - self._first)
        self.arrival = self._first + 6 * DAY_MS

    def __iter__(self) -> Iterator[Article]:
        for copy in itertools.count():
            mark = chr(0x4E00 + copy)  # no letter of any article
            table = {word: word for word in self._words[:COMMON]}
            for word in self._words[COMMON:]:  # a number stays one
                table[word] = f"{word}{copy}" if word[-1].isdigit() else f"{word}{mark}"
            for article in self._articles:
                yield self._copy(article, copy, table)

    def _copy(self, article: Article, copy: int, table: dict[str, str]) -> Article:
        def marked(text: str) -> str:
            return " ".join(map(table.__getitem__, text.split()))

        def named(name: str) -> str:
            return hashlib.sha256(f"{copy} {name}".encode()).hexdigest()[: len(name)]

        published = self._first + round((article.published.utc - self._first) * self._pace)
        match = article.match
        return fingerprint(
            Article(
                named(article.article_id),
                url=f"{article.url}#{copy}",
                source=article.source,
                published=replace(article.published, utc=published),
                ingested_at=self.arrival,
                match=Match(
                    marked(match.title),
                    marked(match.standfirst),
                    marked(match.body),
                    content_hash=named(match.content_hash),
                ),
            )
        )


def measure_fingerprint(articles: Sequence[Article]) -> None:
    """From the match layer to what is compared: each tool over all texts, and then all tools in
    turn for each text, so that each one finds the processor's caches full of the others' work, as
    a stage does. Five rounds of both, the best of them for each text.
    """
    chosen = [each for each in articles if len(each.raw_body.encode()) in FIVE_KB][:SAMPLE]
    texts = layers(chosen)["match"]
    ways: dict[str, Callable[[int], object]] = {
        "Khabar": lambda at: fingerprint(chosen[at]),
        "datasketch, 128 of 3-grams": lambda at: datasketch_sketch(texts[at], 3),
        "datasketch, 128 of 5-grams": lambda at: datasketch_sketch(texts[at], 5),
        "datasketch, 256 of 3-grams": lambda at: datasketch_sketch(texts[at], 3, 256),
        "rensa, 128 of 3-grams": lambda at: rensa_sketch(texts[at], 3),
        "SimHash": lambda at: Wide(texts[at]),
    }
    every = range(len(chosen))
    orders = {
        "one tool after the other": [(name, at) for name in ways for at in every],
        "in turn for each text": [(name, at) for at in every for name in ways],
    }
    size = statistics.mean(len(each.raw_body.encode()) for each in chosen)
    words = statistics.mean(len(text.split()) for text in texts)
    print(f"fingerprint: {len(chosen)} articles of {size:.0f} bytes, {words:.0f} words to compare")
    for order, steps in orders.items():
        best: dict[tuple[str, int], float] = {}
        for _ in range(ROUNDS):
            for name, at in steps:
                start = time.perf_counter()
                ways[name](at)
                taken = time.perf_counter() - start
                best[name, at] = min(taken, best.get((name, at), taken))
        print(f" {order}")
        micros = {name: statistics.mean(best[name, at] for at in every) * 1e6 for name in ways}
        for name, taken in micros.items():
            print(f"  {name:28}{taken:7.0f} µs   {taken / micros['Khabar']:5.1f} times Khabar's")


def measure_decide(articles: Sequence[Article], sizes: Sequence[int]) -> None:
    """The cost of a decision, and memory, when the window holds so many stories."""
    process = psutil.Process()
    copies = iter(Copies(articles))
    batch = list(itertools.islice(copies, BATCH))
    gc.collect()
    before = process.memory_info().rss
    index = Index()
    costs: collections.deque[float] = collections.deque(maxlen=BATCHES)
    verdicts: collections.Counter[str] = collections.Counter()
    done = 0
    for size in sizes:
        while len(index) < size:
            start = time.process_time()
            for article in batch:
                decided = decide(article, Origin("news.raw", 0, done, article.ingested_at), index)
                verdicts[decided.decision.verdict] += 1
                done += 1
            costs.append((time.process_time() - start) / len(batch) * 1e6)
            batch = list(itertools.islice(copies, BATCH))
        gc.collect()
        held, stories = index.memory_bytes(), len(index)
        grown = process.memory_info().rss - before
        print(
            f"decide: {stories:9,} stories of {done:9,} articles: {statistics.mean(costs):.0f} µs "
            f"(batches of {BATCH}: {min(costs):.0f} to {max(costs):.0f}); a story takes "
            f"{held / stories:.0f} bytes by its own count, {grown / stories:.0f} of the process; "
            + ", ".join(f"{name} {n / done:.1%}" for name, n in verdicts.most_common()),
            flush=True,
        )


def measure_restore(articles: Sequence[Article]) -> None:
    """The index topic read into an index, against a consumer that only receives it, in turn."""
    with Services() as services:
        made = settings(services, "restore")
        ids = schema_ids(made)
        log, index = IndexLog(made, ids), Index()
        producer = clients.producer(made)
        size = 0
        for at, article in enumerate(itertools.islice(Copies(articles), ENTRIES)):
            origin = Origin("news.raw", 0, at, article.ingested_at)
            decided = decide(article, origin, index)
            message = log.message(index_record(decided, generation=0), decided.article_id.encode())
            size += len(message.value or b"")
            producer.send(message.topic, message.value, message.key)
        producer.close()
        print(f"restore: {ENTRIES} entries of {size / ENTRIES:.0f} bytes, {len(index)} stories")
        ratios = []
        for _ in range(ROUNDS):
            bare = _bare(made)
            restoring = IndexLog(made, ids)
            start = time.perf_counter()
            restoring.catch_up()
            ours = ENTRIES / (time.perf_counter() - start)
            assert len(restoring.index) == len(index)
            ratios.append(ours / bare)
            print(f"  restored {ours:.0f}/s, received {bare:.0f}/s, ratio {ratios[-1]:.2f}")
        print(f"  ratio, median of {ROUNDS}: {statistics.median(ratios):.2f}")


def _bare(made: Settings) -> float:
    """Messages a second of a consumer that does nothing with them."""
    partition = TopicPartition(made.topic(schemas.INDEX), 0)
    start = time.perf_counter()
    consumer = clients.consumer(made, auto_offset_reset="earliest")
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    received = 0
    while received < ENTRIES:
        received += sum(map(len, consumer.poll(timeout_ms=200).values()))
    rate = received / (time.perf_counter() - start)
    consumer.close()
    return rate


MEASURES = ("fingerprint", "decide", "restore")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared_option(parser)
    parser.add_argument("measures", nargs="*", choices=[[], *MEASURES], metavar="MEASURE")
    parser.add_argument("--stories", type=int, default=max(SIZES), help="the most for decide")
    options = parser.parse_args()
    data = data_folder(options.shared)
    if not data:
        return
    chosen = options.measures or MEASURES
    articles = read(data)
    if "fingerprint" in chosen:
        measure_fingerprint(articles)
    if "decide" in chosen:
        measure_decide(articles, [size for size in SIZES if size <= options.stories])
    if "restore" in chosen:
        measure_restore(articles)


def read(data: Path) -> list[Article]:
    return [normalize(clean(article)) for article in read_articles(data)]


if __name__ == "__main__":
    main()
