"""What each stage costs, and the chain of all: CPU time an article on one core, no Beam, no Kafka.

    python -m benchmarks.stages

Reads every tenth article of SaudiNewsNet's development part under `KHABAR_SHARED` or `../shared`,
which is not part of this repository; without it, the samples. Behind a stage stands its ratio to
what cannot be less: `json.loads` of the message for Decode, for Encode fastavro's write of the
article's record, without those of its entities and of the index.
"""

from __future__ import annotations

import json
import lzma
import os
import time
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import fastavro

from pipelines import schemas
from pipelines.producers import samples
from pipelines.records import Envelope, Origin, RawMessage, StageError
from pipelines.stages.clean import clean
from pipelines.stages.decide import Index, decide
from pipelines.stages.decode import decode
from pipelines.stages.encode import Topics, article_record, encode
from pipelines.stages.entities import entities, entities_version
from pipelines.stages.fingerprint import fingerprint
from pipelines.stages.gazetteer import Gazetteer
from pipelines.stages.normalize import normalize
from pipelines.stages.recognizer import Recognizer

EVERY = 10
ROUNDS = 5
CHUNK = 100  # articles: of each chunk the best round counts, so that a slow second spoils little
TIMESTAMP = 1_437_523_200_000  # 2015-07-22, the day behind the first articles of the data
SHARED = Path(os.environ.get("KHABAR_SHARED", "../shared"))
SAUDI = SHARED / "data" / "news" / "saudinewsnet-dev.jsonl.xz"
JSON, AVRO = "json.loads of the message", "fastavro's write of the article's record"
KINDS = (schemas.ARTICLES, schemas.DUPLICATES, schemas.ENTITIES, schemas.INDEX)
ENTITIES = entities_version("default")
TOPICS = Topics("news", {kind: at for at, kind in enumerate(KINDS)}, 1, ENTITIES)


def read() -> list[RawMessage]:
    """Messages that Decode takes."""
    if SAUDI.exists():
        with lzma.open(SAUDI, "rb") as file:
            values = [line.rstrip(b"\n") for line in islice(file, 0, None, EVERY)]
    else:
        values = [sample.value or b"" for sample in samples.read()]
    messages = [
        RawMessage(Origin("news.raw", 0, at, TIMESTAMP), None, value)
        for at, value in enumerate(values)
    ]
    return [message for message in messages if decodes(message)]


def decodes(message: RawMessage) -> bool:
    try:
        decode(message, lambda _: None)
    except StageError:
        return False
    return True


def write(record: dict[str, Any]) -> None:
    fastavro.schemaless_writer(BytesIO(), schemas.parsed(schemas.ARTICLES), record)


def run(
    messages: list[RawMessage], index: Index, gazetteer: Gazetteer, backend: Recognizer
) -> Iterator[tuple[str, float]]:
    """Name and CPU time, in seconds, of each stage on these messages, and of what is compared."""

    def timed(work: Callable[[Any], Any], items: Sequence[Any]) -> tuple[float, list[Any]]:
        start = time.process_time()
        done = [work(item) for item in items]
        return time.process_time() - start, done

    taken, articles = timed(lambda message: decode(message, lambda _: None), messages)
    yield "decode", taken
    yield JSON, timed(lambda message: json.loads(message.value), messages)[0]
    for stage in (clean, normalize, fingerprint):
        taken, articles = timed(stage, articles)
        yield stage.__name__, taken
    pairs = list(zip(articles, messages, strict=True))
    taken, articles = timed(lambda pair: decide(pair[0], pair[1].origin, index), pairs)
    yield "decide", taken
    taken, articles = timed(lambda article: entities(article, gazetteer, backend), articles)
    yield "entities", taken
    envelopes = [Envelope(*pair) for pair in zip(messages, articles, strict=True)]
    yield "encode", timed(lambda envelope: encode(envelope, TOPICS), envelopes)[0]
    records = [
        article_record(article, message.origin, ENTITIES)
        for article, message in zip(articles, messages, strict=True)
        if article.decision.verdict != "duplicate"
    ]
    yield AVRO, timed(write, records)[0]


def main() -> None:
    messages, gazetteer, backend = read(), Gazetteer.load(), Recognizer()
    best: dict[tuple[str, int], float] = {}
    for _ in range(ROUNDS):
        index = Index()
        for at in range(0, len(messages), CHUNK):
            for name, taken in run(messages[at : at + CHUNK], index, gazetteer, backend):
                best[name, at] = min(taken, best.get((name, at), taken))
    micros: dict[str, float] = {}
    for (name, _), taken in best.items():
        micros[name] = micros.get(name, 0.0) + taken / len(messages) * 1e6

    peers = {"decode": JSON, "encode": AVRO}
    stages = [name for name in micros if name not in peers.values()]
    size = sum(len(message.value or b"") for message in messages) / len(messages)
    print(f"{len(messages)} articles of {size:.0f} bytes on average; µs of CPU time an article")
    for name in stages:
        peer = peers.get(name)
        beside = f"   {micros[name] / micros[peer]:4.1f} × {peer}" if peer else ""
        print(f"{name:12} {micros[name]:7.0f}{beside}")
    total = sum(micros[name] for name in stages)
    print(f"{'chain':12} {total:7.0f}   {1e6 / total:.0f} articles/s on one core")


if __name__ == "__main__":
    main()
