"""`khabar index rebuild`: the index topic made anew from the raw topic.

Texts are fingerprinted again; what was decided of them stays as it was published. All is one
transaction that begins with a `reset` entry, so a crash in between leaves the old state.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pipelines import schemas
from pipelines.errors import Superseded, UsageError
from pipelines.kafka.index_log import new_index
from pipelines.kafka.tail import Tailed, tail
from pipelines.kafka.transaction import Job
from pipelines.records import (
    Article,
    Decision,
    Display,
    Match,
    Origin,
    RawMessage,
    Related,
    StageError,
)
from pipelines.settings import Settings
from pipelines.stages import encode
from pipelines.stages.clean import clean
from pipelines.stages.decide import entry_of, event_time, place_of, told_before
from pipelines.stages.decode import SchemaLookup, decode
from pipelines.stages.entry import REMOVED, RULES
from pipelines.stages.fingerprint import fingerprint
from pipelines.stages.normalize import normalize
from pipelines.stages.times import OutletZones

_HOUR_MS = 3600 * 1000
_Place = tuple[int, int]  # partition and offset on the raw topic


def rebuild(
    settings: Settings,
    schema_ids: Mapping[str, int],
    schema_by_id: SchemaLookup,
    *,
    outlet_zones: OutletZones | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> Counter[str]:
    """Writes the new state; returns how many decisions of the window were `rebuilt`, how many are
    `lost` because the raw topic no longer holds their text, and how many `refused` because this
    version does not take it any more.

    A running pipeline of the group is fenced first and ends. Raises Outage and UsageError.
    """
    counts: Counter[str] = Counter(rebuilt=0, lost=0, refused=0)
    # One transaction, however the job itself delivers.
    settings = replace(settings, delivery="exactly-once")
    # The broker's clock is ours, or near: older messages have left the window.
    oldest = time.time_ns() // 1_000_000 - settings.window_ms - _HOUR_MS
    last_sequence = 0

    def entries() -> Iterator[tuple[bytes, dict[str, Any]]]:
        nonlocal last_sequence
        published = _published(settings)
        last_sequence = max((r["sequence"] for r in published.values()), default=0)
        found: list[tuple[Article, Origin]] = []
        for message in tail(settings, [settings.topic(schemas.RAW)], until_caught_up=True):
            record = published.pop((message.partition, message.offset), None)
            if record is None or message.timestamp < oldest:  # a dead letter, or not read yet
                continue
            try:
                article, origin = _decided(message, record, settings, schema_by_id, outlet_zones)
            except StageError:
                counts["refused"] += 1
                continue
            if article.article_id != record["article_id"]:  # of a raw topic that was before
                counts["lost"] += 1
                continue
            found.append((article, origin))
            counts["rebuilt"] += 1
            progress(counts["rebuilt"])
        counts["lost"] += sum(record["time"] >= oldest for record in published.values())
        # Several partitions are read in another order than they were decided in.
        found.sort(key=lambda each: each[0].decision.sequence)
        index = new_index(settings)
        for article, origin in found:
            place = place_of(article, article.decision, index)
            decision = replace(article.decision, place=place)
            told = told_before(decision, index.known(article.article_id), index)
            article = replace(article, entry=entry_of(article, decision, origin, told))
            index.restore(article.entry)
            yield article.article_id.encode(), encode.index_record(article, generation=0)

    job = Job(settings, schema_ids)
    try:
        job.replace_index(entries, lambda: last_sequence)
    except Superseded:
        raise UsageError(
            f"A pipeline of group {settings.group} started while the index was being made anew, "
            "and took over. Stop it, and type the same command once more."
        ) from None
    finally:
        job.close()
    return counts


def _published(settings: Settings) -> dict[_Place, dict[str, Any]]:
    """Every decision that readers can see, by where its message stood; the newest of repeats."""
    raw = settings.topic(schemas.RAW)
    outputs = [settings.topic(schemas.ARTICLES), settings.topic(schemas.DUPLICATES)]
    decisions = {}
    for message in tail(settings, outputs, until_caught_up=True):
        record = message.record
        if record is not None and record["origin"]["topic"] == raw:
            place = (record["origin"]["partition"], record["origin"]["offset"])
            decisions[place] = {name: record.get(name) for name in _DECISION}
            decisions[place]["time"] = record["ingested_at"].timestamp() * 1000
    return decisions


_DECISION = (
    "article_id",
    "verdict",
    "story_id",
    "revision",
    "sequence",
    "rule",
    "matched",
    "jaccard",
    "containment",
    "likeness",
    "novelty",
    "news",
    "supersedes",
    "related",
)


def _decided(
    message: Tailed,
    record: Mapping[str, Any],
    settings: Settings,
    schema_by_id: SchemaLookup,
    outlet_zones: OutletZones | None,
) -> tuple[Article, Origin]:
    """The article in the message with the decision that was published of it, without its text."""
    origin = Origin(message.topic, message.partition, message.offset, message.timestamp)
    raw = RawMessage(origin, message.key, message.value, tuple(message.headers))
    # What was taken once is taken again, whatever the limit is today.
    article = decode(raw, schema_by_id, max_bytes=encode.MAX_BYTES)
    if record["rule"] != REMOVED:
        article = fingerprint(normalize(clean(article, outlet_zones)))
    numbers = {
        name: record[name]
        for name in ("matched", "jaccard", "containment", "likeness", "novelty", "news")
        if record[name] is not None
    }
    decision = Decision(
        verdict=record["verdict"],
        story_id=record["story_id"],
        revision=record["revision"],
        sequence=record["sequence"],
        # Of a rule that is no more, what is left of it is the verdict.
        rule=record["rule"] if record["rule"] in RULES else "no-match",
        supersedes=record["supersedes"],
        related=tuple(Related(**each) for each in record["related"] or ()),
        event_time=event_time(article, settings.window_ms),
        **numbers,
    )
    lean = replace(
        article,
        raw_title="",
        raw_body="",
        display=Display(),
        match=Match(content_hash=article.match.content_hash),
        dates=(),
        fingerprint=replace(article.fingerprint, text=b"", distinct=b"", title=b""),
        decision=decision,
    )
    return lean, origin
