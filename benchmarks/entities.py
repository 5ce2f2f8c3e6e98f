"""How long loading the gazetteer and the recognizer and finding entities take:

    python benchmarks/entities.py [ARTICLES.jsonl.xz [COUNT]]

Articles are lines of JSON with `title` and `body`; without a file, a made-up one of 2,000
characters. Prints the load time (s), the memory that both take then (MB), and, on one core, words
a second: of the first round, which meets every word for the first time, and of the fastest of four
more; with the gazetteer alone; and microseconds an article.
"""

from __future__ import annotations

import json
import lzma
import sys
import time
from itertools import islice

import psutil

from pipelines.records import Article
from pipelines.stages.clean import clean
from pipelines.stages.entities import entities
from pipelines.stages.gazetteer import Gazetteer
from pipelines.stages.normalize import normalize
from pipelines.stages.recognizer import Recognizer

MADE_UP = (
    "قال مصدر محلي إن قوات سوريا الديمقراطية تقدمت نحو مدينة البوكمال في ريف دير الزور، "
    "وأضاف أن تنظيم «داعش» انسحب من أطراف البلدة بعد معارك استمرت يومين مع القوات. "
)


def read(arguments: list[str]) -> list[Article]:
    if not arguments:
        return [Article("made-up", raw_title="خبر", raw_body=(MADE_UP * 14)[:2000])] * 100
    count = int(arguments[1]) if len(arguments) > 1 else 1000
    with lzma.open(arguments[0], "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in islice(file, count)]
    return [
        Article(str(at), raw_title=row["title"] or "", raw_body=row["body"] or "")
        for at, row in enumerate(rows)
    ]


def count(articles: list[Article]) -> int:
    """Words of the match layer."""
    texts = ((a.match.title, a.match.standfirst, a.match.body) for a in articles)
    return sum(len(text.split()) for parts in texts for text in parts)


def rate(articles: list[Article], gazetteer: Gazetteer, backend: Recognizer | None) -> float:
    """Words of the match layer a second of CPU time."""
    words = count(articles)
    start = time.process_time()
    for article in articles:
        entities(article, gazetteer, backend)
    return words / (time.process_time() - start)


def main() -> None:
    process = psutil.Process()
    before, start = process.memory_info().rss, time.process_time()
    gazetteer, backend = Gazetteer.load(), Recognizer()
    print(f"load            {time.process_time() - start:8.2f} s")
    print(f"memory          {(process.memory_info().rss - before) / 1e6:8.1f} MB")

    articles = [normalize(clean(article)) for article in read(sys.argv[1:])]
    rate([normalize(clean(article)) for article in read([])[:1]], gazetteer, backend)  # compiles
    words = count(articles) / len(articles)
    first = rate(articles, gazetteer, backend)
    best = max(rate(articles, gazetteer, backend) for _ in range(4))
    alone = max(rate(articles, gazetteer, None) for _ in range(4))
    print(f"first round     {first:8.0f} words/s")
    print(f"later rounds    {best:8.0f} words/s")
    print(f"gazetteer alone {alone:8.0f} words/s")
    print(f"an article      {words / best * 1e6:8.0f} µs ({words:.0f} words)")


if __name__ == "__main__":
    main()
