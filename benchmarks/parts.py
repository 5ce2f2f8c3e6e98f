"""How well Clean takes a page apart, held against 200 articles of real Arabic news read by hand.

    python -m benchmarks.parts --shared PATH            scores against benchmarks/labels/parts.jsonl
    python -m benchmarks.parts --shared PATH --draw     prints the articles of the sample, to read
    python -m benchmarks.parts --shared PATH --errors   names each difference

The articles are SaudiNewsNet's under PATH/data, which are not part of this repository. The labels
are ours: for each article who sent it from where, and which spans of its body (code points, end
exclusive) are page furniture. `unsure` spans count neither way.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import random
from pathlib import Path
from typing import Any

from pipelines.records import Article
from pipelines.stages.arabic.layers import match_key
from pipelines.stages.clean import clean

SIZE = 200
SEED = "parts/200"
LABELS = Path(__file__).parent / "labels" / "parts.jsonl"
FACTS = ("agency", "dateline", "byline", "outlet")


def draw(path: Path) -> list[dict[str, Any]]:
    """The sample: 200 articles of the file by chance, the same ones each time."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        rows = {row["id"]: row for row in map(json.loads, lines)}
    return [rows[each] for each in sorted(random.Random(SEED).sample(sorted(rows), SIZE))]


def cleaned(row: dict[str, Any]) -> Article:
    return clean(
        Article(
            row["id"],
            source=row["source"],
            raw_title=row["title"],
            raw_body=row["body"],
            author=row["author"],
        )
    )


def fold(text: str) -> str:
    return match_key(text.strip(" «»\"'.:"))


def same_fact(name: str, found: str, label: str) -> bool:
    """Whether both say the same; a place or a paper may have its short or its long name."""
    one, other = fold(found), fold(label)
    if name in ("dateline", "outlet") and min(len(one), len(other)) > 2:
        return one.startswith(other) or other.startswith(one)
    return one == other


def covered(spans: list[tuple[int, int]]) -> set[int]:
    return {at for start, end in spans for at in range(start, end)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    shared = os.environ.get("KHABAR_SHARED") or "../shared"
    parser.add_argument("--shared", type=Path, default=Path(shared))
    parser.add_argument("--draw", action="store_true", help="print the sample's articles")
    parser.add_argument("--errors", action="store_true", help="name each difference")
    options = parser.parse_args()
    news = options.shared / "data" / "news" / "saudinewsnet-dev.jsonl.xz"
    if not news.is_file():
        print(f"no news data at {news}; skipped (--shared names the folder above data/)")
        return
    rows = draw(news)
    if options.draw:
        for row in rows:
            print(f"== {row['id']} | {row['source']} | {row['author']} | {row['title']}")
            print(row["body"])
        return

    labels = {label["id"]: label for label in map(json.loads, LABELS.open(encoding="utf-8"))}
    right, found, labelled = (dict.fromkeys(FACTS, 0) for _ in range(3))
    taken = whole = left = parts_left = wrong_spans = wrong_letters = 0
    for row in rows:
        label, article = labels[row["id"]], cleaned(row)
        for name in FACTS:
            value, expected = getattr(article.display, name), label[name]
            same = bool(value and expected) and same_fact(name, value, expected)
            right[name] += same
            found[name] += bool(value)
            labelled[name] += bool(expected)
            if options.errors and (value or expected) and not same:
                print(f"{row['id']} {name}: found {value!r}, read {expected!r}")
        body = row["body"]
        ours = [(f.start, f.end) for f in article.display.furniture if f.field == "raw_body"]
        theirs = [(start, end) for kind, start, end in label["spans"] if kind != "unsure"]
        gone = covered(ours)
        allowed = covered([(start, end) for _, start, end in label["spans"]])
        taken += len(ours)
        for start, end in theirs:
            visible = [at for at in range(start, end) if not body[at].isspace()]
            missing = [at for at in visible if at not in gone]
            whole += not missing
            left += len(missing) == len(visible)
            parts_left += 0 < len(missing) < len(visible)
            if options.errors and missing:
                print(f"{row['id']} left in: {body[start:end]!r}")
        for start, end in ours:
            letters = [at for at in range(start, end) if body[at].isalnum() and at not in allowed]
            wrong_spans += bool(letters)
            wrong_letters += len(letters)
            if options.errors and letters:
                print(f"{row['id']} wrongly taken out: {body[start:end]!r}")

    print(f"{len(rows)} articles")
    for name in FACTS:
        print(
            f"{name:9} {right[name]} right of {found[name]} found and {labelled[name]} read: "
            f"precision {right[name] / max(1, found[name]):.3f} "
            f"recall {right[name] / max(1, labelled[name]):.3f}"
        )
    print(f"furniture {whole} spans taken out whole, {parts_left} in part, {left} left in")
    print(f"text      {wrong_spans} of {taken} spans taken out hold text: {wrong_letters} letters")


if __name__ == "__main__":
    main()
