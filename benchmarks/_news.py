"""The development data, which is not part of this repository, and the labels on it."""

from __future__ import annotations

import argparse
import json
import lzma
import os
from datetime import UTC, datetime
from pathlib import Path

from benchmarks._scores import Pair
from pipelines.records import Article, Time
from pipelines.stages.decode import article_id

OWN_PAIRS = Path(__file__).parent / "labels" / "pairs.jsonl"
# Edited copy, and short or long version of one text.
SAME_STORY = ("D", "S")


def shared_option(parser: argparse.ArgumentParser) -> None:
    shared = os.environ.get("KHABAR_SHARED") or "../shared"
    parser.add_argument("--shared", type=Path, default=Path(shared), metavar="PATH")


def data_folder(shared: Path) -> Path | None:
    """PATH/data, or None, said on the terminal, when it is not here."""
    data = shared / "data"
    if data.is_dir():
        return data
    print(f"no development data at {data}; skipped (--shared names the folder above it)")
    return None


def read_articles(data: Path) -> list[Article]:
    """All articles, oldest first; `ingested_at` is the publication time, as in `khabar process`."""
    articles = []
    with lzma.open(data / "news" / "saudinewsnet-dev.jsonl.xz", "rt", encoding="utf-8") as lines:
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


def given_rows(data: Path) -> list[dict]:
    """The labelled pairs that came with the data."""
    with (data / "neardup" / "labelled-pairs-dev.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def given_pairs(data: Path) -> list[Pair]:
    """Without those of which the reader was unsure. Pairs of one weight were drawn together."""
    return [
        Pair(
            row["url_a"],
            row["url_b"],
            row["label"] in SAME_STORY,
            weight=row["weight"],
            stratum=str(row["weight"]),
        )
        for row in given_rows(data)
        if row["label"] != "U"
    ]


def own_rows() -> list[dict]:
    with OWN_PAIRS.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def own_pairs() -> list[Pair]:
    return [
        Pair(
            row["url_a"],
            row["url_b"],
            row["story"] in SAME_STORY,
            row["change"] if row["change"] in ("update", "duplicate") else "",
            row["weight"],
            row["stratum"],
        )
        for row in own_rows()
    ]
