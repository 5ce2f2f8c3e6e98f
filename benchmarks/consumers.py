"""How fast the documented Python readers are, on articles of 5 KB: records a second of each.

`python -m benchmarks.consumers [COUNT]`, with a real broker and registry on this machine. Each
reader runs as documented, as a process of its own with a group and a store of its own, in turn.
Counted is what lies between the commit of its first batch and that of its last one: the start of
Python and joining the group are left out. `bare` leaves the store out: reading and decoding alone.
Beside it stands the CPU time of a record, which other work on the machine changes less.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipelines import schemas
from pipelines.kafka import clients, topics
from pipelines.local import Services
from pipelines.producers import samples
from pipelines.records import Origin, RawMessage
from pipelines.run import register, schema_ids
from pipelines.settings import Settings
from pipelines.stages.clean import clean
from pipelines.stages.decide import Index, decide
from pipelines.stages.decode import decode
from pipelines.stages.encode import article_record, frame
from pipelines.stages.entities import entities
from pipelines.stages.fingerprint import fingerprint
from pipelines.stages.normalize import normalize
from pipelines.transforms import backend_of, gazetteer

READERS = ("python_kafka", "python_confluent")
COUNT = 5_000
ROUNDS = 5
ARTICLE_BYTES = 5_000
TRANSACTION = 500  # records


def record() -> dict[str, Any]:
    """What the pipeline makes of an article of 5 KB, put together from the samples."""
    values = [json.loads(s.value) for s in samples.read() if s.expect["verdict"] == "new"]
    article = {"url": "https://a.example/1", "source": "مصدر", "title": values[0]["title"]}
    article["published_at"] = "2025-03-01T09:00:00+03:00"
    bodies = iter([value["body"] for value in values if "body" in value])
    article["body"] = next(bodies)
    while len(json.dumps(article, ensure_ascii=False).encode()) < ARTICLE_BYTES:
        article["body"] += "\n\n" + next(bodies)
    origin = Origin("news.raw", 0, 0, 1_740_808_800_000)
    raw = RawMessage(origin, None, json.dumps(article, ensure_ascii=False).encode())
    decoded = normalize(clean(decode(raw, lambda schema_id: None)))
    decided = decide(fingerprint(decoded), origin, Index(window_ms=604_800_000))
    found = entities(decided, gazetteer(), backend_of("default"))
    print(f"an article of {len(raw.value or b'')} bytes, with {len(found.entities)} entities")
    return article_record(found, origin, "")


def fill(settings: Settings, count: int) -> None:
    """Writes the article `count` times, under as many ids, in committed transactions."""
    schema_id = schema_ids(settings)[schemas.ARTICLES]
    article = record()
    producer = clients.producer(settings, transactional_id=settings.group)
    producer.init_transactions()
    for start in range(0, count, TRANSACTION):
        producer.begin_transaction()
        for number in range(start, min(start + TRANSACTION, count)):
            article["article_id"] = article["story_id"] = f"{number:032x}"
            value = frame(schema_id, schemas.ARTICLES, article)
            producer.send(settings.topic(schemas.ARTICLES), value, f"{number:032x}".encode())
        producer.commit_transaction()
    producer.close()
    print(f"{count} records of {len(value)} bytes", flush=True)


def measured(
    settings: Settings, reader: str, kind: str, turn: int, count: int
) -> tuple[float, float]:
    """Of one run of a reader, the records a second, and the milliseconds of CPU of each."""
    with tempfile.TemporaryDirectory() as folder:
        times = Path(folder) / "times"
        command = [sys.executable, "-m", "benchmarks._reader", reader, kind, str(times)]
        options = {
            "bootstrap-servers": settings.bootstrap_servers,
            "registry-url": settings.registry_url,
            "topic": settings.topic(schemas.ARTICLES),
            "group": f"{reader}-{kind}-{turn}",
            "store": str(Path(folder) / "store"),
        }
        given = [f"--{name}={value}" for name, value in options.items()]
        subprocess.run(
            [*command, *given, "--until-caught-up"],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=600,
        )
        taken, seconds, cpu = json.loads(times.read_text(encoding="ascii"))
    assert count // 2 < taken < count, f"{reader} took {taken} of {count}"
    return taken / seconds, cpu / taken * 1000


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    with Services() as services:
        settings = Settings.of({"group": "consumers", **vars(services.addresses)})
        topics.create(settings)
        register(settings)
        fill(settings, count)
        for kind in ("store", "bare"):
            runs: dict[str, list[tuple[float, float]]] = {reader: [] for reader in READERS}
            for turn in range(ROUNDS):
                for reader in READERS:
                    runs[reader].append(measured(settings, reader, kind, turn, count))
                print(f"  {kind}: " + shown({name: run[-1] for name, run in runs.items()}))
            middle = {
                name: (statistics.median(r for r, _ in run), statistics.median(c for _, c in run))
                for name, run in runs.items()
            }
            ours, theirs = (middle[reader] for reader in READERS)
            print(f"{kind}, median of {ROUNDS}: {shown(middle)}")
            longer = max(ours[0], theirs[0]) / ours[0]
            print(
                f"  python_kafka takes {longer:.2f} times as long as the faster one, and "
                f"{ours[1] / theirs[1]:.2f} times the CPU of python_confluent"
            )


def shown(figures: dict[str, tuple[float, float]]) -> str:
    return ", ".join(
        f"{name} {rate:.0f}/s ({cpu:.2f} ms of CPU)" for name, (rate, cpu) in figures.items()
    )


if __name__ == "__main__":
    main()
