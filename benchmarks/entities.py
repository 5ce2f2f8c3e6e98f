"""How long loading the gazetteer and finding entities take:

    python benchmarks/entities.py [ARTICLES.jsonl.xz [COUNT]]

Articles are lines of JSON with `title` and `body`; without a file, a made-up one of 2,000
characters. Prints the load time (s), peak memory of a load (MB), and microseconds an article and
for 2,000 characters, the fastest of five rounds on one core.
"""

from __future__ import annotations

import json
import lzma
import sys
import time
import tracemalloc
from itertools import islice

from pipelines.records import Article
from pipelines.stages.clean import clean
from pipelines.stages.entities import entities
from pipelines.stages.gazetteer import Gazetteer
from pipelines.stages.normalize import normalize

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


def main() -> None:
    start = time.process_time()
    gazetteer = Gazetteer.load()
    print(f"load         {time.process_time() - start:8.3f} s")
    tracemalloc.start()
    Gazetteer.load()
    print(f"peak memory  {tracemalloc.get_traced_memory()[1] / 1e6:8.1f} MB")
    tracemalloc.stop()

    articles = [normalize(clean(article)) for article in read(sys.argv[1:])]
    characters = sum(len(a.raw_title) + len(a.raw_body) for a in articles)
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for article in articles:
            entities(article, gazetteer)
        best = min(best, time.process_time() - start)
    print(
        f"an article   {best / len(articles) * 1e6:8.0f} µs ({characters / len(articles):.0f} ch)"
    )
    print(f"2,000 chars  {best / characters * 2000 * 1e6:8.0f} µs")


if __name__ == "__main__":
    main()
